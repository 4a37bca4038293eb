"""What to keep in mind: doubts, too little evidence, how it was measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import NormalDist

from advisor.advice.arrivals import arrivals_of
from advisor.advice.case import SMALL_TEST, Case, broken_today, foreign_to_embedder, is_loss, not_as_planned
from advisor.advice.labelling import ENOUGH_ROWS_OF_A_LABEL, MOST_LABELS_NAMED, more_of_labels
from advisor.advice.phrases import as_points, quality_of
from advisor.decide import CLEAR, Candidate, doubt_of, gain_over, optimism
from advisor.report import schema, wording
from advisor.report.schema import INCUMBENT
from advisor.report.wording import title_in_text
from eval.audit import LOST
from eval.metrics import NUMBERS_MATCH
from eval.reading.text import conjoined
from strategies.base import TRAINED

NOT_AS_GIVEN = (*LOST, "masked_outputs")
NOT_MEASURED = ("blind_metric", "unseen_labels", "unlearnt_labels", "untested_groups")
"""Findings of what the figures say nothing of, or of what nothing could learn."""
MANY_LOST = 0.05
"""Share of the examples beyond which the advice tells of rows that were left out, masked, or say nothing."""
A_POINT = 0.01
"""Of quality: what a pick is measured too well by is told from there on."""
ONE_TEST = {
    "split": "one split of the examples; another would give others, mostly within the ranges",
    "file": "your test file; other rows of the kind would give others, mostly within the ranges",
    "latest": "the latest rows; later ones may differ",
}
"""What was tested on where nothing was crossed, by its source."""


def caveats_of(case: Case) -> list[str]:
    """A sentence each; first what speaks against the pick."""
    plan, rows = case.data.plan, case.evidence.rows
    caveats = [*_doubts(case), *_lacking(case), *_too_well(case), *_unsure_quality(case), *_unsure_recalls(case)]
    caveats += _wrong_numbers(case)
    if rows < SMALL_TEST and case.decision.verdict != "insufficient_evidence":
        caveats.append(f"{rows} test rows show large differences only.")
    if case.evidence.unscored:
        were = "was" if case.evidence.unscored == 1 else "were"
        lost = f"{wording.count(case.evidence.unscored, 'test row')} could not be scored for every strategy"
        caveats.append(f"{lost} and {were} left out for all.")
    for name, untimed in ((r.name, r.untimed) for r in case.results.values() if r.untimed):
        caveats.append(f"Of {title_in_text(name)} the {wording.uncapitalised(untimed)}")
    estimated = [title_in_text(r.name) for r in case.results.values() if r.cost and r.cost.tokens.estimated]
    if estimated:
        costs = f"What {conjoined(estimated)} {'costs' if len(estimated) == 1 else 'cost'} is a rough estimate"
        caveats.append(f"{costs}: the server does not count all tokens. Compare it with the provider's bill.")
    caveats += [
        f.message for f in case.data.findings if f.code in NOT_AS_GIVEN and f.count > MANY_LOST * case.data.examples
    ]
    caveats += [f.message for f in case.data.findings if f.code in NOT_MEASURED]
    caveats += [*_foreign(case), *_unmeasured(case), *_cuts(plan), *arrivals_of(case), *_about_fits(case)]
    if case.decision.pick is not None and not case.is_kept:
        it = title_in_text(case.decision.pick)
        caveats.append(f"No solution of {it} is kept here: compare in a new folder with --keep all.")
    return caveats


def _doubts(case: Case) -> list[str]:
    if case.decision.verdict != "tie":
        return []
    said = [*_against_today(case), *_against_rivals(case)]
    if said or case.decision.limit_in_doubt:
        return said
    return [f"On {case.evidence.rows} test rows another strategy may be more than the tolerance better."]


def _against_today(case: Case) -> list[str]:
    """Where today's system is the better one, or where it is kept and may not be."""
    if is_loss(case):
        return [f"Today's system gets more right, but breaks {broken_today(case)}."]
    may_gain = [title_in_text(c.name) for c in case.possible if case.decision.keeps_incumbent and _may_gain(case, c)]
    better = f"{conjoined(may_gain)} may be more than the tolerance better than today's system"
    return [f"On {case.evidence.rows} test rows {better}."] if may_gain else []


def _may_gain(case: Case, candidate: Candidate) -> bool:
    """Whether a strategy may be better than today's system, which is kept, by more than the tolerance."""
    today = case.candidate(INCUMBENT)
    doubt = doubt_of(case.evidence.of_answers, today.name, candidate.name)
    most = gain_over(candidate, today, case.evidence) + NormalDist().inv_cdf(CLEAR) * doubt
    return most > case.weighed.assumptions.tolerance


def _against_rivals(case: Case) -> list[str]:
    """The others that may be as good as the pick, unless today's system is what is advised.

    It was taken from those that count as equal for one reason, and before those that are close for another.
    """
    decision, by_reason = case.decision, defaultdict(list)
    for name in () if decision.keeps_incumbent else decision.rivals:
        why = "as the cheaper or simpler" if name in decision.equals else "for its measured lead"
        if case.settings.error_cost is not None:
            # what today's system costs itself is not known
            why = "since its wrong answers cost less" if name == INCUMBENT else "for its lowest total cost"
        by_reason[why].append(title_in_text(name))
    return [
        f"On {case.evidence.rows} test rows it cannot be told apart from {conjoined(others)}; it was taken {why}."
        for why, others in by_reason.items()
    ]


def _lacking(case: Case) -> list[str]:
    groups = wording.count(case.evidence.groups or 0, "group")
    picks = case.decision.pick is not None and not case.decision.keeps_incumbent
    words = {
        "alternatives": "nothing else was measured that it could be compared with",
        "rows": f"{case.evidence.rows} test rows are too few to recommend anything with confidence",
        "groups": f"the {case.evidence.rows} test rows are {groups} of rows that belong together, such as like inputs, "
        "and so few say nothing about others",
        "unscored_rows": f"the rows that could not be scored could change {'the pick' if picks else 'the advice'}",
        "limited_labels": "no test row has a label that --min-recall names",
        "label_rows": f"much hangs on labels with hardly any test rows: {_scarce(case)}",
    }
    return [f"Not enough evidence: {words[lack]}." for lack in case.decision.lacks]


def _scarce(case: Case) -> str:
    """The labels with the fewest test rows, those that belong together counted once, and how many others there are."""
    known, rows = case.evidence.rows_per_label, case.weighed.label_rows
    fewest = sorted(case.decision.label_rows_needed, key=lambda label: (known[label], label))
    apart = {label: " that differ" if known[label] < rows.get(label, 0) else "" for label in fewest}
    named = [f"{label} ({known[label]}{apart[label]})" for label in fewest[:MOST_LABELS_NAMED]]
    others = len(fewest) - len(named)
    return ", ".join([*named, f"and {wording.count(others, 'other')}"] if others else named)


def _too_well(case: Case) -> list[str]:
    """What is picked for its figure owes part of it to chance, the more, the more others are close and the fewer the
    rows."""
    pick = case.decision.pick
    if pick is None or case.decision.keeps_incumbent or (too_much := optimism(case.weighed.assumptions)) < A_POINT:
        return []
    it, points = title_in_text(pick), as_points(too_much)
    return [f"The figure of {it} is probably about {points} too high, since it was picked by these very figures."]


def _unsure_quality(case: Case) -> list[str]:
    """A limit that is met as measured, and perhaps not in truth."""
    decision, least = case.decision, case.settings.min_quality
    if not decision.limit_in_doubt or least is None:
        return []
    name = INCUMBENT if decision.keeps_incumbent else str(decision.pick)
    asked = f"at least {wording.stated(100 * least)} of 100 were asked for"
    if case.evidence.lowest.get(name, 0.0) >= least:
        asked += ", and its figure is probably somewhat too high, since it was picked by it"
    return [f"Whether {title_in_text(name)} meets --min-quality is not sure: {quality_of(case, name)}; {asked}."]


def _wrong_numbers(case: Case) -> list[str]:
    """Where texts are much like the right ones, perhaps, but no answer holds the numbers that are asked for."""
    name = INCUMBENT if case.decision.keeps_incumbent else case.decision.pick
    if name is None or case.results[name].secondary.get(NUMBERS_MATCH) != 0:
        return []
    it = title_in_text(name)
    return [f"No answer of {it} holds just the numbers of the right one, however like it the rest may be."]


def _unsure_recalls(case: Case) -> list[str]:
    """Limits on the recall of labels with so few test rows that it is hardly known."""
    said = []
    for label in case.settings.min_recall:
        rows = case.weighed.label_rows.get(label, 0)
        if rows == 0:
            said.append(f"No test row is {label}, so that nothing shows how often it is found.")
        elif rows < ENOUGH_ROWS_OF_A_LABEL:
            counted = wording.count(rows, "test row")
            more = more_of_labels(case, rows, " of it")
            said.append(f"How often {label} is found was measured on {counted}, which is few: {more}.")
    return said


def _foreign(case: Case) -> list[str]:
    """Texts in languages that the embedder was not made for, where a leader compares by it."""
    if (found := foreign_to_embedder(case)) is None:
        return []
    finding, leader = found
    it = title_in_text(leader)
    return [f"{finding.message} What compares by meaning, as {it} does, may do better with a multilingual --embedder."]


def _unmeasured(case: Case) -> list[str]:
    """Strategies that this says nothing of, though they were to be tried."""
    missing = [f"{title_in_text(r.name)} ({wording.status_title(r)})" for r in not_as_planned(case)]
    return [f"Not measured as planned, and so not compared: {conjoined(missing)}."] if missing else []


def _cuts(plan: schema.Plan) -> list[str]:
    """What was given up for the time budget, and whether that was enough."""
    cuts, over = "; ".join(plan.cuts), wording.over_budget(plan.predicted_seconds, plan.time_budget)
    if over:
        return [f"{wording.capitalised(over)}{f', though this was cut: {cuts}' if cuts else ''}."]
    return [f"To keep the time budget: {cuts}."] if cuts else []


def _about_fits(case: Case) -> list[str]:
    """What was measured, what is kept, and how far the one speaks for the other."""
    plan, pick = case.data.plan, case.decision.pick
    fit = case.results[pick].fit if pick else None
    refit = fit.refit if fit else None
    if plan.folds > 1:
        about = f"The figures are of the procedure ({plan.folds} fits, each tested on rows it had not seen)"
    else:
        about = f"The figures are of {ONE_TEST[plan.test_source]}"
    if refit is not None and not refit.rejected and case.is_kept:
        about += "; what is kept is one more fit of the same procedure, on all examples"
    said = [f"{about}."]
    if refit is not None and refit.rejected and case.is_kept:
        said.append(f"The fit on all examples was put aside, since {refit.rejected}; a measured fit is kept instead.")
    trained = [r for r in case.results.values() if r.family in TRAINED and r.quality and r.status == "ok"]
    once = [title_in_text(r.name) for r in trained if r.fit and r.fit.count == 1]
    if once and len(once) == len(trained):
        said.append("Fine-tuned strategies were fitted with one seed: a claim about them is about this fit.")
    elif once:
        said.append(f"A claim about {conjoined(once)} is about {'one fit' if len(once) == 1 else 'one fit of each'}.")
    return [*said, *_short_of_time(plan, trained)]


def _short_of_time(plan: schema.Plan, trained: Sequence[schema.StrategyResult]) -> list[str]:
    """Where fine-tuned strategies had less than was planned."""
    said = []
    by_reason = defaultdict(list)
    for result in trained:
        if result.fit and plan.seeds(result.fit) < plan.repeats:
            by_reason[result.reason].append(wording.strategy_title(result.name))
    for reason, titles in by_reason.items():
        were = "was" if len(titles) == 1 else "were"
        said.append(f"{conjoined(titles)} {were} fitted with {reason}.")
    for result in trained:
        if result.fit and result.fit.shortened:
            fits = wording.count(result.fit.count, "fit")
            said.append(
                f"Time ran short: {result.fit.shortened} of {fits} of {title_in_text(result.name)} "
                "passed over the rows fewer times than planned, and it might do better with more --time-budget."
            )
    return said
