"""The decision in words: headline, reasons, caveats, what would change it, what to do next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from advisor.decide import EQUAL_COST, FEWEST_ROWS_OF_A_LABEL, Candidate, Decision, Evidence
from advisor.economics import break_even, is_paid_by_token
from advisor.error_costs import ErrorCosts
from advisor.evidence import Weighed
from advisor.planning import CURVE_SHARES, HELD_OUT
from advisor.report import schema, wording
from advisor.report.wording import title_in_text
from advisor.sensitivity import Flip, break_evens, in_few_digits, what_would_flip
from advisor.trials import INCUMBENT
from eval.audit import LOST
from eval.folds import MOST_TEST_ROWS
from eval.metrics import get_metric
from eval.reading.text import conjoined
from eval.statistics import expected_loss, interval_over_fits, probability_best, wilson
from strategies.base import TRAINED

MOST_BREAK_EVENS = 6
FEW_POINTS = 3
MOST_LABELS_NAMED = 3
LEAST_USD = 0.0001
"""Nobody sets a limit below, or prices an error lower."""
LEAST_MS = 1.0
FAR = 100
"""Times under the volume stated, where a break-even is no news."""
ENOUGH_ROWS_OF_A_LABEL = 50
"""For a range of some 14 points on either side at most."""
SMALL_TEST = 100
MANY_LOST = 0.05
"""Share of the examples beyond which the advice tells of rows that were left out or say nothing."""
HALF = 0.5
UNTAUGHT = {"majority": "giving every input the commonest label", "copy_input": "giving back the input"}
"""Strategies that learn nothing from the inputs, in words."""
ONE_TEST = {
    "split": "one split of the examples; another would give others, mostly within the ranges",
    "file": "your test file; other rows of the kind would give others, mostly within the ranges",
    "latest": "the latest rows; later ones may differ",
}
"""What was tested on where nothing was crossed, by its source."""
MOST_ROWS_ASKED = 20
"""Times the examples there are; nobody labels more for one decision."""


@dataclass(frozen=True)
class Case:
    """What the report says besides, and the decision with what it was made from."""

    data: schema.DataPart
    environment: schema.Environment
    settings: schema.Settings
    results: Mapping[str, schema.StrategyResult]
    weighed: Weighed
    is_kept: bool
    """Whether there is a solution of the pick to try."""

    @property
    def decision(self) -> Decision:
        assert self.weighed.decision is not None
        return self.weighed.decision

    @property
    def candidates(self) -> Sequence[Candidate]:
        return self.weighed.assumptions.candidates

    @property
    def evidence(self) -> Evidence:
        return self.weighed.assumptions.evidence

    def models(self, role: str) -> str:
        """Names of the language models, or of the embedder."""
        return ", ".join(model.name for model in self.environment.models if model.role == role)


def recommend(
    data: schema.DataPart,
    environment: schema.Environment,
    settings: schema.Settings,
    results: Sequence[schema.StrategyResult],
    weighed: Weighed,
    *,
    is_kept: bool = True,
) -> schema.Recommendation:
    """Say in plain words what was decided, and whether a solution of the pick is there to try."""
    case = Case(data, environment, settings, {r.name: r for r in results}, weighed, is_kept)
    decision = weighed.decision
    if decision is None:
        return _nothing_measured(case)
    resampled = {name: values for name, values in case.evidence.resampled.items() if name != INCUMBENT}
    return schema.Recommendation(
        strategy=decision.pick,
        verdict=decision.verdict,
        headline=_headline(case),
        summary=_summary(case),
        scope=_scope(case),
        probability_best=probability_best(resampled),
        expected_loss=expected_loss(resampled),
        runner_up=decision.runner_up,
        reasons=_reasons(case),
        caveats=_caveats(case),
        sensitivity=_sensitivity(case),
        rows_needed=decision.rows_needed,
        gain_over_incumbent=decision.gain,
        keeps_incumbent=decision.keeps_incumbent,
        falls_short=bool(_shortfall(case)),
        break_even=_break_evens(case),
        next_step=_next_step(case),
    )


def _nothing_measured(case: Case) -> schema.Recommendation:
    return schema.Recommendation(
        strategy=None,
        verdict="insufficient_evidence",
        headline="No strategy could be measured as planned.",
        scope=_scope(case),
        reasons=["Every strategy failed, did not apply, or was stopped by the time budget; the table says which."],
        next_step="Raise --time-budget, or look at the reasons in the table of strategies.",
    )


def _headline(case: Case) -> str:
    decision = case.decision
    if decision.pick is None:
        best = max((c for c in case.candidates if not c.incumbent), key=lambda c: c.quality)
        measured = f"the best measured is {title_in_text(best.name)}: {_quality(case, best.name)}"
        if decision.keeps_incumbent:
            return f"Keep today's system: {_quality(case, INCUMBENT)}. No strategy meets the limits; {measured}."
        nor = ", nor does today's system" if INCUMBENT in decision.broken else ""
        return f"No strategy meets the limits{nor}; {measured}."
    figures = f"{title_in_text(decision.pick)}: {_quality(case, decision.pick)}"
    in_its_place = f"The best to put in its place is {figures}."
    if decision.verdict == "insufficient_evidence" and decision.keeps_incumbent:
        return f"Too little evidence to give up today's system: {_quality(case, INCUMBENT)}. {in_its_place}"
    if decision.verdict == "insufficient_evidence":
        return f"Too little evidence for a recommendation; what these rows favour is {figures}."
    if decision.keeps_incumbent:
        return f"Keep today's system: {_quality(case, INCUMBENT)}. {in_its_place}"
    shortfall, among = _shortfall(case), "within them" if decision.broken else "of those tried"
    return f"{shortfall}; the best {among} is {figures}." if shortfall else f"Use {figures}."


def _shortfall(case: Case) -> str:
    """Why even the best is no solution, in words. Empty where it is one, or the client's own measure says so.

    It may be that nothing was learnt from the inputs, or surely less than half of what is wanted is got right. Where
    today's system could be kept, what counts is the gain over it.
    """
    decision = case.decision
    if decision.pick is None or (decision.gain is not None and INCUMBENT not in decision.broken):
        return ""
    settings, within = case.settings, _within(case)
    possible = [c.name for c in case.candidates if not c.incumbent and c.name not in decision.broken]
    if all(name in UNTAUGHT for name in possible):
        nothing = "No strategy within your limits does more than" if decision.broken else "Nothing was measured but"
        return f"{nothing} {conjoined([UNTAUGHT[name] for name in possible])}"
    is_priced = settings.error_cost is not None
    if is_priced and decision.pick != decision.best:  # what is better is not worth what it costs
        return ""
    if decision.pick in UNTAUGHT and decision.runner_up:
        by_how_much = "" if decision.pick == decision.best else " by more than counts as equal"
        return f"No strategy{within} is better than {UNTAUGHT[decision.pick]}{by_how_much}"
    level = [name for name in decision.rivals if name in UNTAUGHT]
    if is_priced:  # rivals are so by what they cost in all
        level = [name for name in level if _difference(case, decision.pick, name)[0] <= 0]
    if level:
        return f"No strategy{within} is surely better than {UNTAUGHT[level[0]]}"
    qualities = [quality for name in possible if (quality := case.results[name].quality)]
    if not any(quality.value for quality in qualities):
        return f"No strategy{within} gets anything right"
    has_own_measure = settings.min_quality is not None or is_priced or settings.min_recall
    if has_own_measure:
        return ""
    return f"No strategy{within} gets half of it right" if all(map(_is_below_half, qualities)) else ""


def _is_below_half(quality: schema.Quality) -> bool:
    """Whether surely less than half is right, where the metric can tell.

    One that is a mean over labels is low where rare labels are missed, and a likeness where words differ.
    """
    metric = get_metric(quality.metric)
    if metric.likeness:
        return False
    right = quality.ci95 if quality.correct is None else wilson(quality.correct, quality.n)
    return max(right[1], quality.ci95[1]) < HALF


def _summary(case: Case) -> list[str]:
    """What a client asks next: today's system, the cost, the other way, what is not sure."""
    if case.decision.pick is None:
        return []
    said = [_against_incumbent(case), _cost_reason(case), _other_way(case), _unsure_labels(case)]
    return [sentence for sentence in said if sentence]


def _other_way(case: Case) -> str:
    """What fine-tuning would bring where it was not picked, and what the best without it loses where it was."""
    pick = str(case.decision.pick)
    trained = case.results[pick].family in TRAINED
    if trained:
        other = _best_of(case, lambda r: r.family not in TRAINED)
        return _without_training(case, pick, other) if other else ""
    other = _best_of(case, lambda r: r.family in TRAINED)
    return _with_training(case, pick, other) if other else ""


def _with_training(case: Case, pick: str, other: str) -> str:
    title, most = wording.strategy_title(other), _difference(case, other, pick)[1]
    brings = f"gains at most {_points(most)}" if most > 0 else f"measures at least {_points(-most)} lower"
    return f"{title} {brings} and {_pays(case, pick, other)}."


def _without_training(case: Case, pick: str, other: str) -> str:
    low, high = _difference(case, other, pick)
    span = f"{_in_points(max(0.0, -high))} to {_points(-low)}"
    loses = f"loses {span}" if low < 0 else f"is level or better, by {_points(low)} or more"
    best = f"the best{_within(case)} is {title_in_text(other)}"
    return f"Without fine-tuning, {best}: it {loses} and {_pays(case, pick, other)}."


def _pays(case: Case, pick: str, other: str) -> str:
    """From which volume on the other is the cheaper of the two, where such a volume is anywhere near."""
    money = {c.name: c.money for c in case.candidates}
    above, below = break_even(money[other], money[pick]), break_even(money[pick], money[other])
    volume, cost, own = case.settings.volume, money[other].monthly, money[pick].monthly
    # where machines are always on, costs may cross again before the volume stated
    if above is not None and above >= volume / FAR and (cost < own) == (volume > above):
        return f"costs less above {wording.a_month(above)}"
    if below is not None and below >= volume / FAR and (cost < own) == (volume < below):
        return f"costs less below {wording.a_month(below)}"
    if max(cost, own) <= min(cost, own) * (1 + EQUAL_COST):
        return "costs about the same"
    return "costs more" if cost > own else "costs less"


def _difference(case: Case, a: str, b: str) -> tuple[float, float]:
    """Interval of what `a` is better by than `b`."""
    found = next(c for c in case.weighed.comparisons if {c.a, c.b} == {a, b})
    return found.ci95 if found.a == a else (-found.ci95[1], -found.ci95[0])


def _unsure_labels(case: Case) -> str:
    """Labels with so few test rows that little can be said of them."""
    rows = case.weighed.label_rows
    scarce = sorted((count, label) for label, count in rows.items() if count < FEWEST_ROWS_OF_A_LABEL)
    if not scarce:
        return ""
    named = conjoined([f"{label} ({wording.count(count, 'test row')})" for count, label in scarce[:MOST_LABELS_NAMED]])
    if len(scarce) <= MOST_LABELS_NAMED:
        more = _tens(_to_label(case, ENOUGH_ROWS_OF_A_LABEL - scarce[0][0]))
        if len(scarce) == 1:
            return f"I am not sure about {named}: {_label_more(case, more)}."
        cost = _labelling(case, more * len(scarce))
        return f"I am not sure about {named}: label {more} more of each{cost}."
    few = f"have under {FEWEST_ROWS_OF_A_LABEL} test rows"
    if len(scarce) == len(rows):
        return f"I am not sure about any single label: all {len(rows)} {few}."
    return f"I am not sure about {len(scarce)} of {len(rows)} labels, which {few}; the fewest have {named}."


def _it(case: Case) -> str:
    """The pick, by its name where what is advised is to keep today's system."""
    decision = case.decision
    return wording.strategy_title(str(decision.pick)) if decision.keeps_incumbent else "It"


def _quality(case: Case, name: str) -> str:
    quality = case.results[name].quality
    assert quality is not None
    return wording.quality_sentence(quality)


def _scope(case: Case) -> str:
    asked = f"the embedder {case.models('embedder')} and questions like the {case.data.examples} examples given"
    if not any(r.model for r in case.results.values()):
        return f"This holds for the strategies tested, none of which has a language model, {asked}. One may change it."
    models = case.models("language_model")
    tested = f"the language model{'s' if ', ' in models else ''} tested ({models})"
    return f"This holds for {tested}, {asked}. A larger model may change it."


def _reasons(case: Case) -> list[str]:
    decision = case.decision
    if decision.pick is None:
        broken = decision.broken.items()
        breaks = [f"{wording.strategy_title(name)} breaks {conjoined(_flags(flags))}." for name, flags in broken]
        meets = ["Today's system meets them, as far as it is known."] if decision.keeps_incumbent else []
        return [*meets, *breaks, *_most_found(case)]
    reasons = [_against_best(case), _errors_reason(case), *_recall_reasons(case)]
    reasons += [_cost_reason(case), _against_incumbent(case)]
    llm_free = _best_of(case, lambda r: r.model is None)
    if _no_model_needed(case):
        tested = case.models("language_model")
        reasons.append(f"No language model is needed here, as far as those tested can tell ({tested}).")
    with_model = case.results[decision.pick].model is not None
    if llm_free and with_model and llm_free not in (decision.best, decision.runner_up):
        figure = f"{title_in_text(llm_free)}: {_quality(case, llm_free)}"
        reasons.append(f"The best without a language model{_within(case)} is {figure}.")
    reasons.append(_retrieval(case))
    if decision.broken:
        names = conjoined([title_in_text(name) for name in decision.broken])
        reasons.append(f"Not considered, since beyond your limits: {names}.")
    return [reason for reason in reasons if reason]


def _retrieval(case: Case) -> str:
    """Whether what the best strategy that reads documents lacks is lost in finding the passages, or in reading them."""
    reader = _best_of(case, lambda r: r.family != "baseline" and "context_recall" in r.secondary)
    if reader is None:
        return ""
    secondary, quality = case.results[reader].secondary, _value(case, reader)
    recall, where_found = secondary["context_recall"], secondary.get("quality_where_found")
    held = wording.hundredths(recall)
    said = f"The passages that {title_in_text(reader)} is shown hold {held} of 100 words of the right answers"
    if where_found is not None:
        said += f"; where they hold all, quality is {wording.hundredths(where_found)} of 100"
    if quality >= 1:
        return f"{said}."
    lost = "in finding the passages" if 1 - recall > recall - quality else "in reading them"
    return f"{said}. Most of what is missing is lost {lost}."


def _no_model_needed(case: Case) -> bool:
    """A strategy without a language model was picked with evidence, and language models had their chance.

    None that is beyond the limits measured more: it is the limits that need none then.
    """
    pick = str(case.decision.pick)
    picked = case.results[pick].model is None
    tried = any(r.model is not None and r.quality for r in case.results.values())
    beyond = [name for name in case.decision.broken if case.results[name].model is not None]
    better = any(_value(case, name) > _value(case, pick) for name in beyond)
    enough = case.decision.verdict != "insufficient_evidence" and not _shortfall(case)
    return picked and tried and enough and not better


def _against_best(case: Case) -> str:
    decision, it = case.decision, _it(case)
    if decision.runner_up is None:
        return f"{it} is the only strategy that could be considered."
    highest = f"{it} has the highest quality{_of_what(case)}{_on_shared(case)}"
    if decision.pick == decision.best:
        other = title_in_text(decision.runner_up)
        gap = _value(case, decision.pick) - _value(case, decision.runner_up)
        if gap > 0:
            figure = _quality(case, decision.runner_up)
            return f"{highest}, {_points(gap)} ahead of {other} ({figure})."
        return f"{highest}, level with {other}, {_why_rather(case, decision.runner_up)}."
    gap = _value(case, decision.best) - _value(case, decision.pick)
    if gap == 0:
        return f"{highest}, level with {title_in_text(str(decision.best))}, {_why_rather(case, str(decision.best))}."
    error_cost = case.settings.error_cost
    if error_cost is None:
        why = "a gap too small to pay for: it is within the tolerance or half its own standard error"
    elif isinstance(error_cost, ErrorCosts):
        why = "but costs more in all, each wrong answer counted at its own cost"
    else:
        why = f"but costs more in all, a wrong answer counted at {wording.stated(error_cost)} USD"
    return f"{wording.strategy_title(str(decision.best))} measured {_points(gap)} more{_on_shared(case)}, {why}."


def _why_rather(case: Case, other: str) -> str:
    """Why the pick is preferred to another one that measured the same."""
    if case.settings.error_cost is not None:
        return "and costs no more in all, wrong answers included"
    monthly = {c.name: c.money.monthly for c in case.candidates}
    if monthly[str(case.decision.pick)] <= monthly[other]:
        return "and costs no more"
    return "and is simpler, at about the same cost"


def _of_what(case: Case) -> str:
    """Among which strategies the highest quality is one, where it is not among all."""
    if case.decision.broken:
        return " of those within your limits"
    return " of the strategies" if case.decision.keeps_incumbent else ""


def _on_shared(case: Case) -> str:
    """On which rows differences are taken, where figures are of others too."""
    evidence = case.evidence
    return f" on the {wording.count(evidence.rows, 'row')} that all answered" if evidence.unscored else ""


def _error_costs(case: Case) -> dict[str, float]:
    """What wrong answers cost, in USD per 1,000 queries; empty where they have no price."""
    each = case.weighed.assumptions.error_cost
    return {} if each is None else {c.name: 1000 * c.errors * each for c in case.candidates}


def _errors_reason(case: Case) -> str:
    """What wrong answers cost where they have a price."""
    error_cost, each = case.settings.error_cost, _error_costs(case)
    if error_cost is None or not each:
        return ""
    pick, runner_up = str(case.decision.pick), case.decision.runner_up
    others = {"today's system": INCUMBENT, **({title_in_text(runner_up): runner_up} if runner_up else {})}
    against = conjoined([f"of {who}: {wording.money(each[name])}" for who, name in others.items() if name in each])
    at = "its own cost" if isinstance(error_cost, ErrorCosts) else f"{wording.stated(error_cost)} USD"
    said = f"Each wrong answer counted at {at}, those of {title_in_text(pick)} cost {wording.per_thousand(each[pick])}"
    better = INCUMBENT in each and INCUMBENT not in case.decision.broken
    which = ["are within your limits"] * bool(case.decision.broken) + ["beat today's system"] * better
    among = f" of those that {conjoined(which)}" if which else ""
    if case.decision.keeps_incumbent:
        among = f" of the strategies{_within(case)}"
    return f"{said}{f' ({against})' if against else ''}; with what it costs itself that is the lowest total{among}."


def _recall_reasons(case: Case) -> list[str]:
    """How often the pick finds the labels that must be found, and how sure that is."""
    pick = next(c for c in case.candidates if c.name == case.decision.pick)
    return [
        f"{_it(case)} finds {_found(case, pick, label)}; at least {wording.hundredths(least)} of 100 were asked for."
        for label, least in case.settings.min_recall.items()
        if label in pick.recall
    ]


def _most_found(case: Case) -> list[str]:
    """The highest recall of each label that one is asked for of, whatever other limits say."""
    strategies = [c for c in case.candidates if not c.incumbent]
    said = []
    for label, least in case.settings.min_recall.items():
        if not case.weighed.label_rows.get(label):
            continue
        best = max(strategies, key=lambda c: c.recall.get(label, 0.0))
        asked = f"at least {wording.hundredths(least)} were asked for"
        said.append(f"The most that any finds is {_found(case, best, label)}, by {title_in_text(best.name)}; {asked}.")
    return said


def _found(case: Case, candidate: Candidate, label: str) -> str:
    rows, recall = case.weighed.label_rows.get(label, 0), candidate.recall.get(label, 0.0)
    fits = [[row for row in fit if row.targets[0] == label] for fit in case.weighed.fits[candidate.name]]
    low, high = interval_over_fits(get_metric("accuracy"), fits, seed=0)  # by Wilson, without chance
    span = f"{wording.hundredths(low)} to {wording.hundredths(high)}"
    return f"{wording.hundredths(recall)} of 100 {label} ({wording.count(rows, 'test row')}, {span})"


def _unsure_recalls(case: Case) -> list[str]:
    """Limits on the recall of labels with so few test rows that it is hardly known."""
    said = []
    for label in case.settings.min_recall:
        rows = case.weighed.label_rows.get(label, 0)
        if rows == 0:
            said.append(f"No test row is {label}, so that nothing shows how often it is found.")
        elif rows < ENOUGH_ROWS_OF_A_LABEL:
            counted = wording.count(rows, "test row")
            more = _label_more(case, _tens(_to_label(case, ENOUGH_ROWS_OF_A_LABEL - rows)), " more of it")
            said.append(f"How often {label} is found was measured on {counted}, which is few: {more}.")
    return said


def _label_more(case: Case, number: int, words: str = " more") -> str:
    """To label so many more, and what that costs where it is known."""
    return f"label {number:,}{words}{_labelling(case, number)}"


def _to_label(case: Case, test_rows: float) -> float:
    """How many examples give so many more test rows: of a holdout only a part is, and of a test file all are."""
    plan = case.data.plan
    return test_rows if plan.test_source == "file" else test_rows * case.data.examples / max(1, plan.test)


def _labelling(case: Case, number: int) -> str:
    each = case.settings.label_usd
    return "" if each is None else f" (about {wording.money(each * number)})"


def _against_incumbent(case: Case) -> str:
    """What is gained over the system in use today."""
    pick = case.decision.pick
    if case.decision.gain is None or pick is None:
        return ""
    low, high = _difference(case, pick, INCUMBENT)
    it = title_in_text(pick) if case.decision.keeps_incumbent else "it"
    verb, span = "loses" if case.decision.gain < 0 else "gains", wording.points_range((low, high))
    moved = f"{it} {verb} {_points(abs(case.decision.gain))} ({span}){_on_shared(case)}"
    errors = _error_costs(case)
    if errors:
        more = errors[pick] - errors[INCUMBENT]
        moved += f", and its wrong answers cost {wording.per_thousand(abs(more))} {'more' if more > 0 else 'less'}"
    breaks = f", which breaks {flags}," if (flags := _broken_today(case)) else ""
    return f"Against today's system ({_quality(case, INCUMBENT)}){breaks} {moved}."


def _broken_today(case: Case) -> str:
    """The limits that today's system breaks."""
    return conjoined(_flags(case.decision.broken.get(INCUMBENT, [])))


def _is_loss(case: Case) -> bool:
    """Whether the pick measured less than today's system, which breaks a limit."""
    return bool(_broken_today(case)) and (case.decision.gain or 0.0) < 0


def _value(case: Case, name: str | None) -> float:
    return next(c.quality for c in case.candidates if c.name == name)


def _points(gap: float) -> str:
    amount = _in_points(gap)
    return f"{amount} {'point' if amount == '1' else 'points'}"


def _in_points(gap: float) -> str:
    """With a decimal where that may decide: a tolerance is a point or two."""
    few = 0 < 100 * gap < FEW_POINTS
    return f"{max(100 * gap, 0.1):.1f}".removesuffix(".0") if few else wording.hundredths(gap)


def _cost_reason(case: Case) -> str:
    result = case.results[str(case.decision.pick)]
    cost, settings = result.cost, case.settings
    assert cost is not None
    latency = f", and answers one query in {wording.latency(result.latency.p50_ms)}" if result.latency else ""
    each, monthly = wording.per_thousand(cost.per_1k_usd), wording.money(cost.monthly_usd)
    month = f"{monthly} a month at {wording.queries(settings.volume)}"
    by_token = is_paid_by_token(result.model, settings.hosting)
    if settings.hosting == "always-on" and not by_token:
        on = wording.count(cost.machines, "machine")
        set_up = " and set-up" if settings.effort_usd.get(result.family) else ""
        spread = f" ({each})" if settings.volume else ""
        return f"{_it(case)} costs {month} on {on} always on, idle time{set_up} included{spread}{latency}."
    of = "in tokens" if by_token else "of busy machine time on this machine"
    included = "training and set-up" if settings.effort_usd.get(result.family) else "training"
    return f"{_it(case)} costs {each} {of} ({month}, {included} included){latency}."


def _best_of(case: Case, wanted: Callable[[schema.StrategyResult], bool]) -> str | None:
    """Of the strategies within the limits."""
    possible = [c for c in case.candidates if not c.incumbent and c.name not in case.decision.broken]
    names = [c for c in possible if wanted(case.results[c.name])]
    return max(names, key=lambda c: (c.quality, -c.simplicity)).name if names else None


def _within(case: Case) -> str:
    """What is said of the best, where it may not be the best of all."""
    return " within your limits" if case.decision.broken else ""


def _flags(broken: Sequence[str]) -> list[str]:
    """Of a recall with its label."""
    parts = [name.partition(" ") for name in broken]
    return [f"--{flag.replace('_', '-')}{space}{label}" for flag, space, label in parts]


def _caveats(case: Case) -> list[str]:
    plan, rows = case.data.plan, case.evidence.rows
    caveats = [*_doubts(case), *_lacking(case), *_unsure_recalls(case)]
    if rows < SMALL_TEST and case.decision.verdict != "insufficient_evidence":
        caveats.append(f"{rows} test rows show large differences only.")
    if case.evidence.unscored:
        caveats.append(
            f"{case.evidence.unscored} test rows could not be scored for every strategy and were left out for all."
        )
    caveats += [f.message for f in case.data.findings if f.code in LOST and f.count > MANY_LOST * case.data.examples]
    if plan.cuts:
        caveats.append(f"To keep the time budget: {'; '.join(plan.cuts)}.")
    caveats += _about_fits(case)
    if case.decision.pick is not None and not case.is_kept:
        caveats.append("Its solution was not kept: compare in a new folder with --keep all.")
    return caveats


def _doubts(case: Case) -> list[str]:
    decision, rows = case.decision, case.evidence.rows
    if decision.verdict != "tie":
        return []
    if not decision.rivals and _is_loss(case):
        return [f"Today's system gets more right, but breaks {_broken_today(case)}."]
    if not decision.rivals and decision.keeps_incumbent:
        it = title_in_text(str(decision.pick))
        return [f"On {rows} test rows {it} may be more than the tolerance better than today's system."]
    if not decision.rivals:
        return [f"On {rows} test rows another strategy may be more than the tolerance better."]
    others = conjoined([title_in_text(name) for name in decision.rivals])
    leads = decision.equals == (decision.pick,)
    why = "it was taken for its measured lead" if leads else "it was taken as the cheaper or simpler"
    if case.settings.error_cost is not None:
        why = "it was taken for its lowest total cost"
    return [f"On {rows} test rows it cannot be told apart from {others}; {why}."]


def _lacking(case: Case) -> list[str]:
    groups = wording.count(case.evidence.groups or 0, "group")
    words = {
        "rows": f"{case.evidence.rows} test rows are too few to recommend anything with confidence",
        "groups": f"the {case.evidence.rows} test rows are {groups} of rows that belong together, such as like inputs, "
        "and so few say nothing about others",
        "unscored_rows": "the rows that could not be scored could change the pick",
        "limited_labels": "no test row has a label that --min-recall names",
        "label_rows": "much of the metric hangs on labels with hardly any test rows: "
        + ", ".join(f"{label} ({case.evidence.rows_per_label[label]})" for label in case.decision.label_rows_needed),
    }
    return [f"Not enough evidence: {words[lack]}." for lack in case.decision.lacks]


def _about_fits(case: Case) -> list[str]:
    """What was measured, what is kept, and how far the one speaks for the other."""
    plan, pick = case.data.plan, case.decision.pick
    fit = case.results[pick].fit if pick else None
    refit = fit.refit if fit else None
    if plan.folds > 1:
        about = f"The figures are of the procedure ({plan.folds} fits, each tested on rows it had not seen)"
    else:
        about = f"The figures are of {ONE_TEST[plan.test_source]}"
    if refit is not None and not refit.rejected:
        about += "; what is kept is one more fit of the same procedure, on all examples"
    said = [f"{about}."]
    if refit is not None and refit.rejected:
        said.append(f"The fit on all examples was put aside, since {refit.rejected}; a measured fit is kept instead.")
    trained = [r for r in case.results.values() if r.family in TRAINED and r.quality and r.status == "ok"]
    if any(r.fit and r.fit.count == 1 for r in trained):
        said.append("Fine-tuned strategies were fitted with one seed: a claim about them is about this fit.")
    return [*said, *_short_of_time(plan, trained)]


def _short_of_time(plan: schema.Plan, trained: Sequence[schema.StrategyResult]) -> list[str]:
    """Where fine-tuned strategies had less than was planned, since the machine was slower than when it was planned."""
    said = []
    fewer = [title_in_text(r.name) for r in trained if r.fit and plan.seeds(r.fit) < plan.repeats]
    if fewer:
        were = f"{conjoined(fewer)} {'was' if len(fewer) == 1 else 'were'}"
        said.append(f"Fits took longer than foreseen: {were} fitted with fewer than the {plan.repeats} seeds planned.")
    for result in trained:
        if result.fit and result.fit.shortened:
            fits = wording.count(result.fit.count, "fit")
            said.append(
                f"Training took longer than foreseen: {result.fit.shortened} of {fits} of {title_in_text(result.name)} "
                "passed over the rows fewer times than planned, and it might do better with more --time-budget."
            )
    return said


def _sensitivity(case: Case) -> list[str]:
    """What would flip the decision, the nearest value on either side, and what more examples would bring."""
    assumed = case.weighed.assumptions
    least = {"volume": 1.0, "max_cost_per_1k": LEAST_USD, "error_cost": LEAST_USD, "max_latency_ms": LEAST_MS}
    flips = [_flip(case, flip) for flip in what_would_flip(assumed) if flip.value >= least.get(flip.what, 0.0)]
    if case.decision.pick is not None and not flips:
        keeps = case.decision.keeps_incumbent
        leads = "speaks against keeping today's system" if keeps else "makes another strategy the pick"
        flips = [f"No other volume, price, limit or tolerance that was tried {leads}."]
    return [*flips, *_curve_sentences(case)]


def _flip(case: Case, flip: Flip) -> str:
    kept = flip.pick == INCUMBENT
    then = "today's system is to be kept" if kept else f"the pick is {title_in_text(flip.pick)}"
    return f"{_change(case, flip)}, {then}."


def _change(case: Case, flip: Flip) -> str:
    """The other value, in words."""
    settings = case.settings
    if flip.what == "volume":
        side = "Above" if flip.value > settings.volume else "Below"
        return f"{side} {wording.a_month(flip.value)}"
    if flip.what == "price" and _by_token(case):
        of = "all prices, those of tokens and of the machine," if _by_token(case) == "some" else "all prices"
        return f"With {of} {_times(case, flip, 1.0)}"
    if flip.what == "price" and settings.effort_usd:
        return f"With all prices, those of set-up among them, {_times(case, flip, 1.0)}"
    if flip.what == "price":
        hourly = in_few_digits(case.weighed.assumptions, flip, 1 / settings.machine_hourly_usd)
        return f"With the machine's price {'above' if flip.value > 1 else 'below'} {hourly} USD an hour"
    if flip.what == "error_cost":
        now = case.weighed.assumptions.error_cost or 0.0
        if isinstance(settings.error_cost, ErrorCosts):
            return f"With all costs of wrong answers {_times(case, flip, now)}"
        usd = in_few_digits(case.weighed.assumptions, flip)
        return f"With a wrong answer's cost {'above' if flip.value > now else 'below'} {usd} USD"
    of_100 = flip.what == "tolerance" or flip.what.startswith("min_")
    value = in_few_digits(case.weighed.assumptions, flip, 0.01 if of_100 else 1.0)
    name, _, label = flip.what.partition(" ")
    return {
        "tolerance": f"With a tolerance of {value} {'point' if value == '1' else 'points'}",
        "min_recall": f"With at least {value} of 100 {label} to be found",
        "min_quality": f"With a quality of at least {value} of 100 asked for",
        "max_cost_per_1k": f"With at most {value} USD per 1,000 queries allowed",
        "max_latency_ms": f"With 95 of 100 answers wanted within {value} ms",
    }[name]


def _times(case: Case, flip: Flip, now: float) -> str:
    """The other value as a factor of the present one, from which on something holds."""
    factor = in_few_digits(case.weighed.assumptions, flip, now)
    return f"{'more' if flip.value > now else 'less'} than {factor} times as high"


def _by_token(case: Case) -> str:
    """Whether tokens are what is paid for: of all strategies with a language model, of some, or of none."""
    models = [case.results[c.name].model for c in case.candidates if not c.incumbent]
    paid = [is_paid_by_token(model, case.settings.hosting) for model in models]
    return "all" if all(paid) else "some" if any(paid) else ""


def _break_evens(case: Case) -> list[schema.BreakEven]:
    if case.decision.pick is None:
        return []
    found = break_evens(case.candidates, case.decision.pick)
    found.sort(key=lambda item: item[2])
    return [schema.BreakEven(a=a, b=b, queries_per_month=v) for a, b, v in found[:MOST_BREAK_EVENS]]


def _next_step(case: Case) -> str:
    decision = case.decision
    if decision.verdict == "none_feasible":
        kept = "Keep today's system. For another: relax" if decision.keeps_incumbent else "Relax"
        return f"{kept} a limit, add examples, or try a larger model with --model."
    if decision.label_rows_needed:
        more = {label: math.ceil(_to_label(case, rows)) for label, rows in decision.label_rows_needed.items()}
        wanted = ", ".join(f"{rows} more of {label}" for label, rows in more.items())
        cost = _labelling(case, sum(more.values()))
        known = min(case.evidence.rows_per_label[label] for label in more)
        enough = _tens(_to_label(case, ENOUGH_ROWS_OF_A_LABEL - known))
        of_each = " of each" if len(more) > 1 else ""
        return f"Label more examples and run again: at least {wanted}{cost}, better {enough}{of_each}."
    if "groups" in decision.lacks:
        return "Label examples that differ from these and run again; more of the same groups say nothing new."
    if decision.verdict == "insufficient_evidence":
        return "Label more examples and run again; 100 test rows are a fair start."
    if decision.keeps_incumbent and decision.pick:
        return "Keep today's system: no strategy within the limits is better by more than counts as equal."
    if _shortfall(case):
        return f"Do not put it to use yet: {_what_may_be_better(case)}."
    if _is_loss(case):
        loss = _points(-(decision.gain or 0.0))
        return f"Use it if meeting {_broken_today(case)} is worth the {loss} that it loses; else keep today's system."
    if decision.verdict == "tie":
        return f"Use it. {_to_settle(case)}"
    if not case.is_kept:
        return "Compare in a new folder with --keep all, then try it."
    return "Try it on texts of your own with `advisor predict`, then on further labelled rows with `advisor evaluate`."


def _what_may_be_better(case: Case) -> str:
    """First what the limits shut out, then what was not tried."""
    beyond = [c for c in case.candidates if c.name in case.decision.broken]
    best = max(beyond, key=lambda c: c.quality, default=None)
    if best is not None and best.quality > _value(case, case.decision.pick):
        return f"relax a limit first, for {title_in_text(best.name)} is beyond it ({_quality(case, best.name)})"
    late = [title_in_text(result.name) for result in case.results.values() if result.status == "stopped_early"]
    if late:
        were = "was" if len(late) == 1 else "were"
        return f"raise --time-budget first, for want of which {conjoined(late)} {were} left out or cut short"
    return "add examples, or try a larger model with --model"


def _to_settle(case: Case) -> str:
    needed, examples = case.decision.rows_needed, case.data.examples
    if needed == 0:
        return (
            "No other is better by more than the tolerance; more examples could only show that one that costs no more "
            "is as good."
        )
    more = None if needed is None else _tens(_to_label(case, needed))
    if more is None or more > MOST_ROWS_ASKED * examples:
        return "The leaders are so close that no reasonable number of examples would part them."
    plan = case.data.plan
    if needed and plan.folds == 1 and plan.test_source != "file" and plan.test + needed > MOST_TEST_ROWS:
        instead = " raise --time-budget, so that every example is tested, or" if HELD_OUT in plan.cuts else ""
        most = f"{plan.test + _tens(needed):,} in all, and at most {MOST_TEST_ROWS} are set aside"
        settled = f"about {_tens(needed):,} more test rows would settle it, {most}"
        return f"If the difference matters to you: {settled}:{instead} give a test file of your own with --test."
    rows = "test rows" if plan.test_source == "file" else "examples"
    return f"If the difference matters to you: about {more:,} more {rows}{_labelling(case, more)} would settle it."


def _tens(number: float) -> int:
    return math.ceil(number / 10) * 10


def _curve_sentences(case: Case) -> list[str]:
    """What more examples are likely to bring, for the strategies whose learning curve is known."""
    sentences = []
    for name, result in case.results.items():
        points = (result.fit.learning_curve or []) if result.fit else []
        half = next((p for p in points if p.gain_to_all is not None and p.share == max(CURVE_SHARES)), None)
        if half is None or half.gain_to_all is None or half.gain_ci95 is None:
            continue
        gain = f"{wording.points(half.gain_to_all)} points ({wording.points_range(half.gain_ci95)})"
        found = f"Twice the training examples (half, then all of them) brought {title_in_text(name)} {gain}"
        unsure = half.gain_ci95[0] <= 0 <= half.gain_ci95[1]
        further = "too few test rows to say whether more would help" if unsure else "the next doubling may bring less"
        sentences.append(f"{found}: {further}.")
    return sentences
