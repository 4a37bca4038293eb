"""Why this strategy: quality, wrong answers, cost, today's system; and how far that holds."""

from __future__ import annotations

import math
from collections.abc import Callable

from advisor.advice.case import Case, best_of, difference_between, flags_of, not_as_planned, recall_range, value_of
from advisor.advice.phrases import as_points, quality_of, the_pick, within_limits
from advisor.advice.shortfall import shortfall_of
from advisor.decide import ROUNDING, Aim, Candidate
from advisor.economics import is_paid_by_token
from advisor.error_costs import ErrorCosts
from advisor.report import wording
from advisor.report.schema import INCUMBENT
from advisor.report.wording import title_in_text
from eval.reading.text import conjoined


def scope_of(case: Case) -> str:
    """For which models and questions the advice holds."""
    asked = f"the embedder {case.models('embedder')} and questions like the {case.data.examples} examples given"
    if not any(r.model for r in case.results.values()):
        return f"This holds for the strategies tested, none of which has a language model, {asked}. One may change it."
    models = case.models("language_model")
    tested = f"the language model{'s' if ', ' in models else ''} tested ({models})"
    return f"This holds for {tested}, {asked}. A larger model may change it."


def reasons_of(case: Case) -> list[str]:
    """A sentence each; why none, where no strategy meets the limits."""
    decision = case.decision
    if decision.pick is None:
        breaks = [f"{wording.strategy_title(name)} breaks {_broken_by(case, name)}." for name in decision.broken]
        meets = ["Today's system meets them, as far as it is known."] if decision.keeps_incumbent else []
        return [*meets, *breaks, *_most_found(case)]
    reasons = [_against_best(case), _errors_reason(case), *_recall_reasons(case)]
    reasons += [cost_reason(case), against_incumbent(case)]
    llm_free = best_of(case, lambda r: r.model is None)
    if _no_model_needed(case):
        tested = case.models("language_model")
        reasons.append(f"No language model is needed here, as far as those tested can tell ({tested}).")
    with_model = case.results[decision.pick].model is not None
    if llm_free and with_model and llm_free not in (decision.best, decision.runner_up):
        figure = f"{title_in_text(llm_free)}: {quality_of(case, llm_free)}"
        reasons.append(f"The best without a language model{within_limits(case)} is {figure}.")
    reasons.append(_retrieval(case))
    if decision.broken:
        missed = {n: "".join(_near_miss(case, n, flag) for flag in flags) for n, flags in decision.broken.items()}
        names = conjoined([f"{title_in_text(name)}{by}" for name, by in missed.items()])
        reasons.append(f"Not considered, since beyond your limits: {names}.")
    return [reason for reason in reasons if reason]


def _broken_by(case: Case, name: str) -> str:
    """The limits that a strategy breaks."""
    broken = case.decision.broken[name]
    return conjoined([flag + _near_miss(case, name, b) for flag, b in zip(flags_of(broken), broken, strict=True)])


def _near_miss(case: Case, name: str, broken: str) -> str:
    """What was measured, in brackets, where it would read as the very limit that it breaks."""
    candidate, settings = case.candidate(name), case.settings
    flag, _, label = broken.partition(" ")
    if flag == "max_latency_ms" and math.isinf(candidate.p95_ms):
        return " (not measured)"
    if flag == "max_latency_ms":
        return _in_brackets(candidate.p95_ms, settings.max_latency_ms, wording.latency, "ms")
    if flag == "max_cost_per_1k":
        each = 1000 * candidate.money.per_query
        return _in_brackets(each, settings.max_cost_per_1k, wording.rate, "USD per 1,000 queries")
    if label:
        return _in_brackets(100 * candidate.recall[label], 100 * settings.min_recall[label], _whole, f"of 100 {label}")
    return _in_brackets(100 * candidate.quality, 100 * (settings.min_quality or 0.0), _whole, "of 100")


def _in_brackets(figure: float, limit: float | None, told: Callable[[float], str], unit: str) -> str:
    digits = wording.near_miss(figure, limit or 0.0, told)
    return f" ({digits} {unit})" if digits else ""


def _whole(of_100: float) -> str:
    return wording.hundredths(of_100 / 100)


def _retrieval(case: Case) -> str:
    """Whether what the best strategy that reads documents lacks is lost in finding the passages, or in reading them.

    Were all found, its quality would be that of where all was; what it lacks there is lost in reading.
    """
    reader = best_of(case, lambda r: r.family != "baseline" and "context_recall" in r.secondary)
    if reader is None:
        return ""
    secondary = case.results[reader].secondary
    held, where_found = wording.hundredths(secondary["context_recall"]), secondary.get("quality_where_found")
    said = f"The passages that {title_in_text(reader)} is shown hold {held} of 100 words of the right answers"
    if where_found is None:  # how well it reads is not known then
        return f"{said}."
    said += f"; where they hold all, quality is {wording.hundredths(where_found)} of 100."
    quality = secondary.get("quality_of_the_others", value_of(case, reader))
    if others := secondary.get("answers_in_no_passage"):
        said += (
            f" This leaves out {wording.hundredths(others)} of 100 rows whose answers come back and no passage holds "
            f"(that there is no answer, say); on the others quality is {wording.hundredths(quality)} of 100."
        )
    if quality >= 1:
        return said
    lost = "in finding the passages" if where_found - quality > 1 - where_found else "in reading them"
    return f"{said} Most of what is missing{' there' if others else ''} is lost {lost}."


def _no_model_needed(case: Case) -> bool:
    """A strategy without a language model is advised with evidence, and language models had their chance.

    None of them measured more by what does not count as equal: it is the limits or the costs that need none then.
    """
    named, decision = {c.name: c for c in case.candidates}, case.decision
    pick, aim = named[str(decision.pick)], Aim(case.weighed.assumptions.tolerance)
    with_model = [named[r.name] for r in case.results.values() if r.model is not None and r.name in named]
    missed = any(r.model is not None for r in not_as_planned(case))
    better = [c for c in with_model if c.quality - pick.quality > aim.margin(pick, c, case.evidence) + ROUNDING]
    enough = decision.verdict != "insufficient_evidence" and not decision.keeps_incumbent and not shortfall_of(case)
    return case.results[pick.name].model is None and bool(with_model) and not missed and enough and not better


def _against_best(case: Case) -> str:
    decision, it = case.decision, the_pick(case)
    if decision.runner_up is None:
        return f"{it} is the only strategy that could be considered."
    highest = f"{it} has the highest quality{_of_what(case)}{_on_shared(case)}"
    if decision.pick == decision.best:
        other = title_in_text(decision.runner_up)
        gap = value_of(case, decision.pick) - value_of(case, decision.runner_up)
        if gap > 0:
            figure = quality_of(case, decision.runner_up)
            return f"{highest}, {as_points(gap)} ahead of {other} ({figure})."
        return f"{highest}, level with {other}, {_why_rather(case, decision.runner_up)}."
    gap = value_of(case, decision.best) - value_of(case, decision.pick)
    if gap == 0:
        return f"{highest}, level with {title_in_text(str(decision.best))}, {_why_rather(case, str(decision.best))}."
    error_cost = case.settings.error_cost
    if error_cost is None:
        why = "a gap too small to pay for: it is within the tolerance or half its own standard error"
    elif isinstance(error_cost, ErrorCosts):
        why = "but costs more in all, each wrong answer counted at its own cost"
    else:
        why = f"but costs more in all, a wrong answer counted at {wording.stated(error_cost)} USD"
    return f"{wording.strategy_title(str(decision.best))} measured {as_points(gap)} more{_on_shared(case)}, {why}."


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
        among = f" of the strategies{within_limits(case)}"
    return f"{said}{f' ({against})' if against else ''}; with what it costs itself that is the lowest total{among}."


def _recall_reasons(case: Case) -> list[str]:
    """How often the pick finds the labels that must be found, and how sure that is."""
    pick, it = case.candidate(case.decision.pick), the_pick(case)
    return [
        f"{it} finds {_found(case, pick, label)}; at least {wording.stated(100 * least)} of 100 were asked for."
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
        asked = f"at least {wording.stated(100 * least)} were asked for"
        said.append(f"The most that any finds is {_found(case, best, label)}, by {title_in_text(best.name)}; {asked}.")
    return said


def _found(case: Case, candidate: Candidate, label: str) -> str:
    rows, recall = case.weighed.label_rows.get(label, 0), candidate.recall.get(label, 0.0)
    low, high = recall_range(case, candidate.name, label)
    span = f"{wording.hundredths(low)} to {wording.hundredths(high)}"
    least = case.settings.min_recall[label]
    told = wording.near_miss(100 * recall, 100 * least, _whole) if recall < least else ""
    return f"{told or wording.hundredths(recall)} of 100 {label} ({wording.count(rows, 'test row')}, {span})"


def against_incumbent(case: Case) -> str:
    """What is gained over the system in use today."""
    pick = case.decision.pick
    if case.decision.gain is None or pick is None:
        return ""
    low, high = difference_between(case, pick, INCUMBENT)
    it = title_in_text(pick) if case.decision.keeps_incumbent else "it"
    verb, span = "loses" if case.decision.gain < 0 else "gains", wording.points_range((low, high))
    moved = f"{it} {verb} {as_points(abs(case.decision.gain))} ({span}){_on_shared(case)}"
    errors = _error_costs(case)
    if errors:
        more = errors[pick] - errors[INCUMBENT]
        moved += f", and its wrong answers cost {wording.per_thousand(abs(more))} {'more' if more > 0 else 'less'}"
    breaks = f", which breaks {_broken_by(case, INCUMBENT)}," if INCUMBENT in case.decision.broken else ""
    return f"Against today's system ({quality_of(case, INCUMBENT)}){breaks} {moved}."


def cost_reason(case: Case) -> str:
    """What the pick costs, and how quick it is."""
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
        return f"{the_pick(case)} costs {month} on {on} always on, idle time{set_up} included{spread}{latency}."
    of = "in tokens" if by_token else "of busy machine time on this machine"
    included = "training and set-up" if settings.effort_usd.get(result.family) else "training"
    return f"{the_pick(case)} costs {each} {of} ({month}, {included} included){latency}."
