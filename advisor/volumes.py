"""The decision by the volume: what a reader who moves the volume is to see. Pure functions over plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from advisor.decide import EQUAL_COST, Assumptions, Decision
from advisor.report.schema import CostLine, CostStep, PickFrom, Volumes
from advisor.sensitivity import picks_by_volume

STEPS = (10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82)
"""Of a decade, about evenly apart on a logarithmic scale (the E12 series)."""
BELOW, ABOVE = 2, 3
"""Decades shown around the volume stated."""
MOST_LINES = 6
MOST_MACHINES = round(1 / EQUAL_COST)
"""One more than so many costs less than a tenth of them."""


def by_volume(assumed: Assumptions, decision: Decision, families: Mapping[str, str]) -> Volumes | None:
    """Picks and monthly costs from hundredths to thousands of the volume stated; None where nothing can be picked.

    `families` has the family of each strategy.
    """
    low, high = _range(assumed)
    changes, searched = picks_by_volume(assumed, low, high)
    volumes = _stops(low, high, [assumed.volume, *(volume for volume, _ in changes)])
    moved = [assumed.at_volume(volume) for volume in volumes]
    picks = [at.pick() for at in moved]
    picked = [*(pick for _, pick in changes), *picks]
    names = _shown(assumed, decision, picked, families)
    if not names:
        return None
    level = set(names) if assumed.error_cost is not None else {*decision.equals, *picked}
    return Volumes(
        queries_per_month=volumes,
        picks=picks,
        lines=[
            CostLine(
                strategy=name,
                counts=name in level,
                monthly_usd=[_monthly(at, name) for at in moved],
                steps=_steps(assumed, name, low, high),
            )
            for name in names
        ],
        changes=[PickFrom(queries_per_month=volume, strategy=pick) for volume, pick in changes],
        searched=searched if searched != (low, high) else None,
    )


def _range(assumed: Assumptions) -> tuple[float, float]:
    """Whole decades around the volume stated."""
    decade = math.floor(math.log10(max(1.0, assumed.volume)))
    return 10.0 ** max(0, decade - BELOW), 10.0 ** (decade + ABOVE)


def _stops(low: float, high: float, further: Sequence[float]) -> list[int]:
    """Round volumes, with the further ones among them."""
    decades = range(round(math.log10(low)), round(math.log10(high)))
    round_ones = {math.ceil(step * 10.0 ** (decade - 1)) for decade in decades for step in STEPS}
    return sorted({*round_ones, round(high), *(math.ceil(v) for v in further if low <= v <= high)})


def _shown(
    assumed: Assumptions, decision: Decision, picks: Sequence[str | None], families: Mapping[str, str]
) -> list[str]:
    """The picks at some volume, what else counts as equal in quality, the runner-up, and the best of each family."""
    feasible = decision.possible(assumed.candidates)
    best = {families[c.name]: c.name for c in sorted(feasible, key=lambda c: c.quality)}
    wanted = [decision.pick, *picks, *decision.equals, decision.runner_up, *best.values()]
    names = {*picks, *(c.name for c in feasible)}  # a limit can rule out at the volume stated what is picked at others
    return list(dict.fromkeys(name for name in wanted if name is not None and name in names))[:MOST_LINES]


def _steps(assumed: Assumptions, name: str, low: float, high: float) -> list[CostStep]:
    """Where a further machine makes a difference; those beyond are within what counts as equal."""
    tariff = assumed.candidate(name).money.tariff
    steps = []
    for number in range(tariff.fewest, MOST_MACHINES + 1) if tariff.machine else ():
        volume = number * tariff.carries
        if low < volume < high:
            usd = _monthly(assumed.at_volume(volume), name)
            steps.append(CostStep(queries_per_month=volume, monthly_usd=(usd, usd + tariff.machine)))
    return steps


def _monthly(assumed: Assumptions, name: str) -> float:
    candidate = assumed.candidate(name)
    errors = (assumed.error_cost or 0.0) * assumed.volume * candidate.errors
    return candidate.money.monthly + errors
