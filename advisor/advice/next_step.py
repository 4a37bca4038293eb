"""What to do next."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from advisor.advice.case import (
    SMALL_TEST,
    Case,
    ahead_though_cut,
    broken_today,
    flags_of,
    foreign_to_embedder,
    is_loss,
    recall_range,
    unknown_today,
    value_of,
)
from advisor.advice.labelling import (
    MOST_LABELS_NAMED,
    cost_of_labels,
    labelling_cost,
    tens,
    time_first,
    to_have_enough,
    to_label,
)
from advisor.advice.outlook import told_flip
from advisor.advice.phrases import as_points, quality_of
from advisor.advice.shortfall import UNTAUGHT, shortfall_of
from advisor.decide import CLEAR, Assumptions, Limits, decide
from advisor.planning import HELD_OUT
from advisor.report.schema import INCUMBENT
from advisor.report.wording import capitalised, quality_figure, title_in_text, uncapitalised
from advisor.sensitivity import Flip, relaxed
from eval.folds import MOST_TEST_ROWS
from eval.reading.text import conjoined

ASK_AGAIN = "Run the same command again, with this run's folder as --output: it asks again for what failed."
MORE_ROWS = f"label more examples and run again; {SMALL_TEST} test rows are a fair start."
_ROWS = {"rows", "groups", "label_rows", "limited_labels"}
"""Lacks that more test rows may make up for."""
MOST_ROWS_ASKED = 20
"""Times the examples there are; nobody labels more for one decision."""


def next_step_of(case: Case) -> str:
    """In a sentence or two."""
    decision = case.decision
    if "unscored_rows" in decision.lacks or _awaits_timing(case):
        return ASK_AGAIN
    if decision.verdict == "none_feasible":
        step = _what_to_relax(case)
        return f"{_keep_today(case)}. For another: {step}." if decision.keeps_incumbent else f"{capitalised(step)}."
    if "alternatives" in decision.lacks:
        return f"{capitalised(_late(case) or _failed(case) or 'compare it with further strategies (--strategies)')}."
    if _ROWS & set(decision.lacks) and time_first(case):
        return f"{capitalised(time_first(case))}. Label more only if that is not enough."
    if decision.label_rows_needed:
        of_labels, needed = case.evidence.rows_per_label, decision.label_rows_needed
        more = {label: math.ceil(to_label(case, rows, of_labels[label])) for label, rows in needed.items()}
        wanted = ", ".join(f"{rows} more of {label}" for label, rows in more.items())
        if len(more) > MOST_LABELS_NAMED:
            wanted = f"{sum(more.values()):,} more of the {len(more)} labels with hardly any test rows"
        cost = cost_of_labels(case, [(rows, of_labels[label]) for label, rows in more.items()])
        enough = to_have_enough(case, min(of_labels[label] for label in more))
        of_each = " of each" if len(more) > 1 else ""
        return f"Label more examples and run again: at least {wanted}{cost}, better {enough}{of_each}."
    if "groups" in decision.lacks:
        return "Label examples that differ from these and run again; more of the same groups say nothing new."
    if decision.verdict == "insufficient_evidence":
        return capitalised(MORE_ROWS)
    if _late(case) and not shortfall_of(case) and not is_loss(case):
        until = "keep today's system" if decision.keeps_incumbent else "use what is advised"
        return f"{capitalised(_late(case))}; until then {until}."
    if shortfall_of(case):
        return f"Do not put it to use yet: {_what_may_be_better(case)}."
    if is_loss(case):
        loss = as_points(-(decision.gain or 0.0))
        return f"Use it if meeting {broken_today(case)} is worth the {loss} that it loses; else keep today's system."
    return f"{_in_use(case)}{f' {capitalised(embedder)}.' if (embedder := _another_embedder(case)) else ''}"


def _in_use(case: Case) -> str:
    """What to do with what is advised, where nothing speaks against it."""
    decision = case.decision
    if decision.keeps_incumbent and decision.pick:
        return f"{_keep_today(case)}: no strategy within the limits is better by more than counts as equal."
    if decision.verdict == "tie":
        limit = ["Further test rows would show whether it meets --min-quality."] * decision.limit_in_doubt
        others = [_to_settle(case)] if decision.rows_needed != 0 or not limit else []
        return " ".join(["Use it.", *limit, *others])
    if not case.is_kept:
        return "Compare in a new folder with --keep all, then try it."
    return "Try it on texts of your own with `advisor predict`, then on further labelled rows with `advisor evaluate`."


def _keep_today(case: Case) -> str:
    """Only if it meets limits of which nobody knows whether it does."""
    unknown = unknown_today(case)
    return f"Find out whether today's system meets {unknown}; if so, keep it" if unknown else "Keep today's system"


def _awaits_timing(case: Case) -> bool:
    """Whether another would be advised if what could not be timed were quick."""
    assumed = case.weighed.assumptions
    quick = [replace(c, p95_ms=0.0) if math.isinf(c.p95_ms) else c for c in assumed.candidates]
    return replace(assumed, candidates=quick).advised() != assumed.advised()


def _what_to_relax(case: Case) -> str:
    """Where no strategy meets the limits. What costs too much or takes too long does so with more examples, too.

    No limit, where what they shut out falls short as well, or today's system is better.
    """
    flags = {flag for name, broken in case.decision.broken.items() if name != INCUMBENT for flag in broken}
    late, assumed = _late(case), case.weighed.assumptions
    free, examples = replace(assumed, limits=Limits()), _learn_more(case)
    if case.decision.keeps_incumbent and free.advised() == INCUMBENT:
        return late or examples
    if not flags <= {"max_cost_per_1k", "max_latency_ms"}:
        first = late or (time_first(case) if _rows_may_show_enough(case) else "")
        return f"relax a limit, {f'or {first}' if first else examples}"
    if _falls_short(case, free):
        return late or examples
    enough = []
    for flag in sorted(flags):
        flips = (flip for flip, moved in relaxed(assumed, flag) if not _falls_short(case, moved))
        if flip := next(flips, None):
            enough.append(f"{flags_of([flag])[0]}: {uncapitalised(told_flip(case, flip).removesuffix('.'))}")
    return f"relax {'; or '.join(enough) or _together(case, str(free.pick()))}"


def _rows_may_show_enough(case: Case) -> bool:
    """Whether more test rows may show that a strategy meets all limits: it misses only some on quality or recall, and
    they are within its 95 % ranges."""

    def may_meet(name: str, broken: str) -> bool:
        limit, _, label = broken.partition(" ")
        if limit == "min_recall":
            return recall_range(case, name, label)[1] >= case.settings.min_recall[label]
        quality = case.results[name].quality
        return limit == "min_quality" and quality is not None and quality.ci95[1] >= (case.settings.min_quality or 0.0)

    strategies = {name: broken for name, broken in case.decision.broken.items() if name != INCUMBENT}
    return any(all(may_meet(name, limit) for limit in broken) for name, broken in strategies.items())


def _together(case: Case, name: str) -> str:
    """The limits on cost and latency that a strategy breaks, with figures that together let one in."""
    one, broken, assumed = case.candidate(name), sorted(case.decision.broken[name]), case.weighed.assumptions
    own, flags = {"max_cost_per_1k": 1000 * one.money.per_query, "max_latency_ms": one.p95_ms}, flags_of(broken)
    if math.isinf(one.p95_ms):  # not measured
        return conjoined(flags)
    wider: dict[str, Any] = {limit: own[limit] for limit in broken}
    moved = replace(assumed, limits=replace(assumed.limits, **wider))
    first, *others = (Flip(limit, value, str(moved.advised())) for limit, value in wider.items())
    told = told_flip(replace(case, weighed=replace(case.weighed, assumptions=moved)), first, *others)
    return f"{conjoined(flags)}: {uncapitalised(told.removesuffix('.'))}"


def _falls_short(case: Case, assumed: Assumptions) -> bool:
    """Whether what would be picked with other limits is no solution."""
    moved = replace(case.weighed, assumptions=assumed, decision=decide(assumed))
    return bool(shortfall_of(replace(case, weighed=moved)))


def _what_may_be_better(case: Case) -> str:
    """First what the limits shut out, then what was not tried, and the rows that were not tested."""
    beyond = [c for c in case.candidates if c.name in case.decision.broken]
    best = max(beyond, key=lambda c: c.quality, default=None)
    if best is not None and best.quality > value_of(case, case.decision.pick):
        return f"relax a limit first, for {title_in_text(best.name)} is beyond it ({quality_of(case, best.name)})"
    first = _late(case) or (time_first(case) if _rows_may_beat_untaught(case) else "")
    return first or _learn_more(case)


def _rows_may_beat_untaught(case: Case) -> bool:
    """Whether it is for want of test rows that nothing is surely better than what learns nothing."""
    decision = case.decision
    return decision.verdict == "tie" and not UNTAUGHT.keys().isdisjoint({str(decision.pick), *decision.rivals})


def _late(case: Case) -> str:
    """What there was no time for; empty where there was for all."""
    late = [title_in_text(result.name) for result in case.results.values() if result.status == "stopped_early"]
    if not late:
        return ""
    were = "was" if len(late) == 1 else "were"
    return f"raise --time-budget first, for want of which {conjoined(late)} {were} left out or cut short{_ahead(case)}"


def _ahead(case: Case) -> str:
    """What was cut short after it had answered all rows, and stands above the others; to follow other words."""
    cut, rows = ahead_though_cut(case), case.evidence.rows
    if cut is None or cut.quality is None or not cut.quality.n == rows == case.data.plan.test:
        return ""
    return f"; {title_in_text(cut.name)}, though cut short, had {quality_figure(cut.quality)} on the same rows"


def _failed(case: Case) -> str:
    """What else was to be tried and failed; empty where nothing did."""
    failed = [title_in_text(result.name) for result in case.results.values() if result.status == "failed"]
    return f"see first why {conjoined(failed)} failed (the table of strategies says), then run again" if failed else ""


def _learn_more(case: Case) -> str:
    """To learn from more examples, or with other models."""
    lacks_labels = any(finding.code == "unlearnt_labels" for finding in case.data.findings)
    first = ", first of labels that no training row has" if lacks_labels else ""
    return ", or ".join(filter(None, [f"add examples{first}", _another_embedder(case), _another_model(case)]))


def _another_embedder(case: Case) -> str:
    """One for the language of the texts, where that may help a leader; else empty."""
    if foreign_to_embedder(case) is None:
        return ""
    return f"try a multilingual embedder with --embedder, for {case.models('embedder')} was not made for these texts"


def _another_model(case: Case) -> str:
    if any(result.model for result in case.results.values()):
        return "try a larger model with --model"
    return "try strategies that have a language model (--strategies)"


def _to_settle(case: Case) -> str:
    needed, examples = case.decision.rows_needed, case.data.examples
    is_gain_known = INCUMBENT not in case.decision.rivals
    if needed is None and case.decision.confidence >= CLEAR and is_gain_known:
        return "No other is better by more than the tolerance, and more examples would not change that."
    if case.decision.hangs_on_fits:
        return (
            "If the difference matters to you: run again with another --seed. Fits of one strategy differ so much that "
            "no number of examples would part the leaders."
        )
    plan, first = case.data.plan, time_first(case)
    if needed is None or (more := tens(to_label(case, needed, plan.test))) > MOST_ROWS_ASKED * examples:
        if case.evidence.rows < SMALL_TEST:  # that they are so close may be chance
            return f"If the difference matters to you: {f'{first}.' if first else MORE_ROWS}"
        return "The leaders are so close that no reasonable number of examples would part them."
    cost, settled = labelling_cost(case, more), f"about {tens(needed):,} more test rows would settle it"
    is_part = plan.folds == 1 and plan.test_source != "file" and HELD_OUT not in plan.cuts
    if is_part and plan.test + needed > MOST_TEST_ROWS:
        most = f"{plan.test + tens(needed):,} in all, and at most {MOST_TEST_ROWS} are set aside"
        give = f"give a test file of your own with --test{labelling_cost(case, tens(needed))}"
        return f"If the difference matters to you: {settled}, {most}: {give}."
    if first:
        lacking = f", which takes about {more:,} more examples too{cost}" if more else ""
        return f"If the difference matters to you: {first}; {settled}{lacking}."
    rows = "test rows" if plan.test_source == "file" else "examples"
    return f"If the difference matters to you: about {more:,} more {rows}{cost} would settle it."
