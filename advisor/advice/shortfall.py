"""Whether even the best is no solution."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.advice.case import Case, difference_between
from advisor.advice.phrases import within_limits
from advisor.report import schema
from advisor.report.schema import INCUMBENT
from eval.metrics import NUMBERS_MATCH, get_metric
from eval.reading.text import conjoined
from eval.statistics import wilson

HALF = 0.5
UNTAUGHT = {"majority": "giving every input the same answer", "copy_input": "giving back the input"}
"""Strategies that learn nothing from the inputs, in words: the best constant answer, a label or a text, and a copy."""


def shortfall_of(case: Case) -> str:
    """That of `weakness_of`; empty where today's system could be kept, for what counts then is the gain over it."""
    decision = case.decision
    return "" if decision.gain is not None and INCUMBENT not in decision.broken else weakness_of(case)


def weakness_of(case: Case) -> str:
    """Why even the best is no solution, in words. Empty where it is one, or the client's own measure says so.

    It may be that nothing was learnt from the inputs, or surely less than half of what is wanted is got right, or no
    answer has its numbers right, though they are what differs from row to row.
    """
    decision = case.decision
    if decision.pick is None:
        return ""
    settings, within = case.settings, within_limits(case)
    possible = [c.name for c in case.possible]
    if all(name in UNTAUGHT for name in possible):
        nothing = "No strategy within your limits does more than" if decision.broken else "Nothing was measured but"
        return f"{nothing} {conjoined([UNTAUGHT[name] for name in possible])}"
    is_priced = settings.error_cost is not None
    if is_priced and decision.pick != decision.best:  # what is better is not worth what it costs
        return ""
    if decision.pick in UNTAUGHT and decision.runner_up:
        by_how_much = "" if decision.pick == decision.best else " by more than counts as equal"
        return f"No strategy{within} is better than {UNTAUGHT[decision.pick]}{by_how_much}"
    level = [name for name in decision.rivals if name in UNTAUGHT and not _surely_beaten(case, name, possible)]
    if level:
        return f"No strategy{within} is surely better than {UNTAUGHT[level[0]]}"
    qualities = [quality for name in possible if (quality := case.results[name].quality)]
    if not any(quality.value for quality in qualities):
        return f"No strategy{within} gets anything right"
    has_own_measure = settings.min_quality is not None or is_priced or settings.min_recall
    if has_own_measure:
        return ""
    if all(case.results[name].secondary.get(NUMBERS_MATCH) == 0 for name in possible):
        return f"No strategy{within} gets the numbers of any answer right"
    return f"No strategy{within} gets half of it right" if all(map(_is_below_half, qualities)) else ""


def _surely_beaten(case: Case, untaught: str, possible: Sequence[str]) -> bool:
    """Whether any strategy gets surely more right: the pick, or a dearer one that it counts as equal to."""
    return any(difference_between(case, name, untaught)[0] > 0 for name in possible if name not in UNTAUGHT)


def _is_below_half(quality: schema.Quality) -> bool:
    """Whether surely less than half is right, where the metric can tell.

    One that is a mean over labels is low where rare labels are missed, and a likeness where words differ.
    """
    metric = get_metric(quality.metric)
    if metric.likeness:
        return False
    right = quality.ci95 if quality.correct is None else wilson(quality.correct, quality.n)
    return max(right[1], quality.ci95[1]) < HALF
