"""Which strategy to recommend. Pure functions over plain data: no model, no clock, no files.

The pick is the cheapest strategy whose observed gap to the best is within max(tolerance, half the standard error of
the paired difference). "The cheapest that is not significantly worse" would reward a lack of evidence: not
significant is not equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from advisor.economics import Money, break_even

Verdict = Literal["clear", "tie", "none_feasible", "insufficient_evidence"]

EQUAL_COST = 0.10
"""Costs within this share of each other count as equal."""
CLEAR = 0.95
FEWEST_ROWS = 20


@dataclass(frozen=True)
class Limits:
    """What the client will not go beyond."""

    min_quality: float | None = None
    max_cost_per_1k: float | None = None
    max_latency_ms: float | None = None

    def broken_by(self, candidate: Candidate) -> list[str]:
        """Names of the limits that a candidate does not meet."""
        broken = []
        if self.min_quality is not None and candidate.quality < self.min_quality:
            broken.append("min_quality")
        if self.max_cost_per_1k is not None and candidate.money.per_query * 1000 > self.max_cost_per_1k:
            broken.append("max_cost_per_1k")
        if self.max_latency_ms is not None and candidate.p95_ms > self.max_latency_ms:
            broken.append("max_latency_ms")
        return broken


@dataclass(frozen=True)
class Candidate:
    """A strategy that was measured as planned."""

    name: str
    quality: float
    money: Money
    p95_ms: float
    simplicity: int
    """Place in the fixed order of simplicity, the simplest first; decides between equals."""


@dataclass(frozen=True)
class Evidence:
    """What the measurements say about differences."""

    standard_errors: Mapping[tuple[str, str], float]
    """Of the paired difference, for each ordered pair of names."""
    resampled: Mapping[str, NDArray[np.float64]]
    """Quality of each strategy on the same bootstrap resamples of the test rows."""
    rows: int
    """Test rows that all candidates were scored on."""
    unscored: int = 0
    """Test rows that the infrastructure left unscored for at least one candidate."""


@dataclass(frozen=True)
class Decision:
    """The pick, and how sure it is."""

    verdict: Verdict
    pick: str | None
    best: str | None
    """Highest quality among those within the limits."""
    runner_up: str | None
    equals: tuple[str, ...] = ()
    """All that are as good as the best for this purpose, the pick among them."""
    confidence: float = 0.0
    """Bootstrap probability that the pick's quality is within the tolerance of the best."""
    broken: Mapping[str, list[str]] = field(default_factory=dict)
    """Limits not met, per strategy that meets not all."""


def decide(candidates: Sequence[Candidate], evidence: Evidence, limits: Limits, tolerance: float) -> Decision:
    """Recommend one of the candidates. `tolerance` is in units of quality (0.01 is a point)."""
    broken = {c.name: b for c in candidates if (b := limits.broken_by(c))}
    feasible = [c for c in candidates if c.name not in broken]
    if not feasible:
        return Decision("none_feasible", None, None, None, broken=broken)
    best = min(feasible, key=lambda c: (-c.quality, c.simplicity))
    equals = [c for c in feasible if best.quality - c.quality <= _margin(best, c, evidence, tolerance) + 1e-12]
    pick = cheapest([c for c in equals if not any(_dominates(other, c) for other in feasible)])
    rest = [c for c in feasible if c is not pick]
    runner_up = best if best is not pick else _next_best(rest, pick)
    confidence = within_tolerance(pick.name, [c.name for c in feasible], evidence, tolerance)
    verdict = _verdict(confidence, feasible, pick, evidence, tolerance)
    names = tuple(c.name for c in sorted(equals, key=lambda c: (-c.quality, c.simplicity)))
    return Decision(verdict, pick.name, best.name, runner_up.name if runner_up else None, names, confidence, broken)


def _margin(best: Candidate, other: Candidate, evidence: Evidence, tolerance: float) -> float:
    if best.name == other.name:
        return tolerance
    error = evidence.standard_errors.get((best.name, other.name), 0.0)
    return max(tolerance, error / 2)


def cheapest(candidates: Sequence[Candidate]) -> Candidate:
    """The cheapest a month; among those that cost the same (within 10 %), the simplest."""
    least = min(c.money.monthly for c in candidates)
    level = [c for c in candidates if c.money.monthly <= least * (1 + EQUAL_COST)]
    return min(level, key=lambda c: (c.simplicity, c.name))


def _dominates(a: Candidate, b: Candidate) -> bool:
    """Whether `a` is at least as good, as cheap and as simple as `b`, and better in one of these."""
    at_least = a.quality >= b.quality and a.money.monthly <= b.money.monthly and a.simplicity <= b.simplicity
    return at_least and (a.quality, -a.money.monthly, -a.simplicity) != (b.quality, -b.money.monthly, -b.simplicity)


def _next_best(rest: Sequence[Candidate], pick: Candidate) -> Candidate | None:
    return min(rest, key=lambda c: (-c.quality, c.simplicity)) if rest else None


def within_tolerance(pick: str, feasible: Sequence[str], evidence: Evidence, tolerance: float) -> float:
    """Share of the resamples in which the pick loses at most the tolerance to the best of the feasible."""
    table = np.array([evidence.resampled[name] for name in feasible])
    loss = table.max(axis=0) - evidence.resampled[pick]
    return float((loss <= tolerance + 1e-12).mean())


def _verdict(
    confidence: float, feasible: Sequence[Candidate], pick: Candidate, evidence: Evidence, tolerance: float
) -> Verdict:
    if evidence.rows < FEWEST_ROWS or _missing_rows_matter(feasible, pick, evidence, tolerance):
        return "insufficient_evidence"
    return "clear" if confidence >= CLEAR else "tie"


def _missing_rows_matter(feasible: Sequence[Candidate], pick: Candidate, evidence: Evidence, tolerance: float) -> bool:
    """Whether another pick would be possible if all unscored rows went another strategy's way.

    A dearer one would have to get ahead of the pick by more than the tolerance, a cheaper one only within it.
    """
    if evidence.unscored == 0:
        return False
    share = evidence.unscored / (evidence.rows + evidence.unscored)

    def could_win(other: Candidate) -> bool:
        lead = (other.quality - pick.quality) * (1 - share) + share
        cheaper = other.money.monthly < pick.money.monthly
        return lead > (-_margin(pick, other, evidence, tolerance) if cheaper else tolerance)

    return any(could_win(c) for c in feasible if c is not pick)


def what_would_flip(
    candidates: Sequence[Candidate],
    evidence: Evidence,
    limits: Limits,
    tolerance: float,
    reprice: Mapping[float, Sequence[Candidate]],
) -> list[tuple[str, float, str]]:
    """Other assumptions under which another strategy is picked: (what, its value, the pick then).

    `reprice` gives the same candidates at other monthly volumes.
    """
    pick = decide(candidates, evidence, limits, tolerance).pick
    found: list[tuple[str, float, str]] = []
    for other in (0.0, tolerance * 2, 0.05):
        changed = decide(candidates, evidence, limits, other).pick
        if other != tolerance and changed is not None and changed != pick:
            found.append(("tolerance", other, changed))
    for volume, repriced in reprice.items():
        changed = decide(repriced, evidence, limits, tolerance).pick
        if changed is not None and changed != pick:
            found.append(("volume", volume, changed))
    if limits != Limits():
        changed = decide(
            candidates,
            evidence,
            replace(limits, min_quality=None, max_cost_per_1k=None, max_latency_ms=None),
            tolerance,
        ).pick
        if changed is not None and changed != pick:
            found.append(("limits", 0.0, changed))
    return found


def break_evens(candidates: Sequence[Candidate], pick: str) -> list[tuple[str, str, float]]:
    """Volumes at which the pick and another strategy change places in cost: (cheaper above it, the other, volume)."""
    chosen = next(c for c in candidates if c.name == pick)
    found = []
    for other in candidates:
        for a, b in ((chosen, other), (other, chosen)):
            volume = break_even(a.money, b.money) if a is not b else None
            if volume is not None:
                found.append((a.name, b.name, volume))
    return found
