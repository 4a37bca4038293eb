"""What several parts of the advice say in the same words."""

from __future__ import annotations

from advisor.advice.case import Case
from advisor.report import wording

FEW_POINTS = 3


def the_pick(case: Case) -> str:
    """The pick, by its name where what is advised is to keep today's system."""
    decision = case.decision
    return wording.strategy_title(str(decision.pick)) if decision.keeps_incumbent else "It"


def quality_of(case: Case, name: str) -> str:
    """With its range, of a strategy that was measured."""
    quality = case.results[name].quality
    assert quality is not None
    return wording.quality_sentence(quality)


def as_points(gap: float) -> str:
    """A difference of qualities: `3 points`."""
    amount = in_points(gap)
    return f"{amount} {'point' if amount == '1' else 'points'}"


def in_points(gap: float) -> str:
    """With a decimal where that may decide: a tolerance is a point or two."""
    few = 0 < 100 * gap < FEW_POINTS
    return wording.half_up(max(100 * gap, 0.1), 1).removesuffix(".0") if few else wording.hundredths(gap)


def within_limits(case: Case) -> str:
    """What is said of the best, where it may not be the best of all."""
    return " within your limits" if case.decision.broken else ""
