"""What the report opens with: the headline, and what a client asks next."""

from __future__ import annotations

from advisor.advice.case import (
    Case,
    ahead_though_cut,
    best_of,
    difference_between,
    not_as_planned,
    unknown_today,
)
from advisor.advice.labelling import MOST_LABELS_NAMED, more_of_labels
from advisor.advice.phrases import as_points, in_points, quality_of, within_limits
from advisor.advice.reasons import against_incumbent, cost_reason
from advisor.advice.shortfall import shortfall_of, weakness_of
from advisor.decide import EQUAL_COST, FEWEST_ROWS_OF_A_LABEL
from advisor.economics import Money, break_even
from advisor.report import wording
from advisor.report.schema import INCUMBENT
from advisor.report.wording import title_in_text
from eval.reading.text import conjoined
from strategies.base import TRAINED

FAR = 100
"""Times under the volume stated, where a break-even is no news. So far from it the cheaper must clearly cost less."""


def headline_of(case: Case) -> str:
    """The advice in a sentence or two, with the figures of what it names."""
    decision, unknown = case.decision, unknown_today(case)
    as_planned = "" if ahead_though_cut(case) is None else " as planned"
    too_little = decision.verdict == "insufficient_evidence"
    keep = f"Keep today's system{f' if it meets {unknown}, which is not known' if unknown else ''}"
    if too_little:
        keep = "Too little evidence to give up today's system"
    if decision.pick is None:
        best = max((c for c in case.candidates if not c.incumbent), key=lambda c: c.quality)
        measured = f"the best measured{as_planned} is {title_in_text(best.name)}: {quality_of(case, best.name)}"
        if decision.keeps_incumbent:
            return f"{keep}: {quality_of(case, INCUMBENT)}. No strategy meets the limits; {measured}."
        nor = ", nor does today's system" if INCUMBENT in decision.broken else ""
        none = "Too little evidence for a recommendation: no" if too_little else "No"
        return f"{none} strategy meets the limits{nor}; {measured}."
    figures = f"{title_in_text(decision.pick)}: {quality_of(case, decision.pick)}"
    those = "within them" if decision.broken else f"of those {f'measured{as_planned}' if as_planned else 'tried'}"
    best_of_weak = f"the best {those} is {figures}."
    if "alternatives" in decision.lacks:
        return f"No recommendation: nothing was measured beside {figures}."
    if decision.keeps_incumbent:
        weakness = weakness_of(case)
        other = f"{weakness}; {best_of_weak}" if weakness else f"The best to put in its place is {figures}."
        return f"{keep}: {quality_of(case, INCUMBENT)}. {other}"
    if too_little:
        return f"Too little evidence for a recommendation; what these rows favour is {figures}."
    if shortfall := shortfall_of(case):
        return f"{shortfall}; {best_of_weak}"
    return f"Of what was measured, use {figures}." if not_as_planned(case) else f"Use {figures}."


def summary_of(case: Case) -> list[str]:
    """What a client asks next: today's system, the cost, the other way, what is not sure."""
    if case.decision.pick is None:
        return []
    said = [against_incumbent(case), cost_reason(case), _other_way(case), _unsure_labels(case)]
    return [sentence for sentence in said if sentence]


def _other_way(case: Case) -> str:
    """What fine-tuning would bring where it was not picked, and what the best without it loses where it was."""
    pick = str(case.decision.pick)
    trained = case.results[pick].family in TRAINED
    if trained:
        other = best_of(case, lambda r: r.family not in TRAINED)
        return _without_training(case, pick, other) if other else ""
    other = best_of(case, lambda r: r.family in TRAINED)
    return _with_training(case, pick, other) if other else ""


def _with_training(case: Case, pick: str, other: str) -> str:
    title, most = wording.strategy_title(other), difference_between(case, other, pick)[1]
    brings = f"gains at most {as_points(most)}" if most > 0 else f"measures at least {as_points(-most)} lower"
    return f"{title} {brings} and {_pays(case, pick, other)}."


def _without_training(case: Case, pick: str, other: str) -> str:
    low, high = difference_between(case, other, pick)
    span = f"{in_points(max(0.0, -high))} to {as_points(-low)}"
    loses = f"loses {span}" if low < 0 else f"is level or better, by {as_points(low)} or more"
    best = f"the best{within_limits(case)} is {title_in_text(other)}"
    return f"Without fine-tuning, {best}: it {loses} and {_pays(case, pick, other)}."


def _pays(case: Case, pick: str, other: str) -> str:
    """From which volume on the other is the cheaper of the two, where such a volume is anywhere near.

    Else which is the cheaper at the volume stated.
    """
    money = {c.name: c.money for c in case.candidates}
    apart = wording.ERRORS_APART if case.settings.error_cost is not None else ""
    for a, b, side, far in ((other, pick, "above", FAR), (pick, other, "below", 1 / FAR)):
        at = break_even(money[a], money[b])
        if at is not None and at >= case.settings.volume / FAR:
            there = {name: one.tariff.at(at * far) for name, one in money.items()}
            if _compared(there[other], there[pick]) == "less":
                return f"costs less {side} {wording.a_month(at)}{apart}"
    return f"costs {_compared(money[other], money[pick])}{apart}"


def _compared(one: Money, other: Money) -> str:
    """What the one costs a month beside the other, in words."""
    if max(one.monthly, other.monthly) <= min(one.monthly, other.monthly) * (1 + EQUAL_COST):
        return "about the same"
    return "more" if one.monthly > other.monthly else "less"


def _unsure_labels(case: Case) -> str:
    """Labels with so few test rows that little can be said of them."""
    rows = case.weighed.label_rows
    scarce = sorted((count, label) for label, count in rows.items() if count < FEWEST_ROWS_OF_A_LABEL)
    if not scarce:
        return ""
    named = conjoined([f"{label} ({wording.count(count, 'test row')})" for count, label in scarce[:MOST_LABELS_NAMED]])
    if len(scarce) <= MOST_LABELS_NAMED:
        more = more_of_labels(case, scarce[0][0], " of each" if len(scarce) > 1 else "")
        return f"I am not sure about {named}: {more}."
    few = f"have under {FEWEST_ROWS_OF_A_LABEL} test rows"
    if len(scarce) == len(rows):
        return f"I am not sure about any single label: all {len(rows)} {few}."
    return f"I am not sure about {len(scarce)} of {len(rows)} labels, which {few}; the fewest have {named}."
