"""What would flip a decision: other volumes, prices, limits, tolerances, error costs. Pure functions over plain data.

Nothing is searched for. The pick can change only where the costs of two candidates cross, where a limit meets a
candidate's own figure, or where the tolerance meets a candidate's gap to the best; these points are computed, and the
decision is made again at or between them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any, NamedTuple

from advisor.decide import EQUAL_COST, ROUNDING, Assumptions, Candidate, gain_over
from advisor.economics import break_even, middle, pieces

PRICES = (0.1, 10.0)
"""Between which factors the price of the machine is varied."""
EVERYWHERE = (0.0, math.inf)
MOST_DECIMALS, NEAR = 7, 0.05
"""Of a figure as it is told, and what share of it that may be off."""
_STEP = 1e-9


class Flip(NamedTuple):
    """Another assumption under which another strategy is picked."""

    what: str
    """volume, price, error_cost, tolerance, or the name of a limit (`Limits.broken_by`)."""
    value: float
    """The value nearest to the one assumed at which the pick changes: from there on, away from the one assumed."""
    pick: str
    """It may be today's system."""
    until: float | None = None
    """Of a volume, a price or an error's cost: where it ceases to be the pick, farther away. None where it never does,
    as far as was looked."""


def what_would_flip(assumed: Assumptions) -> list[Flip]:
    """The nearest other values, below and above the one assumed, at which another strategy is picked.

    One assumption is changed at a time. Empty where nothing changes the pick.
    """
    return [*_volumes(assumed), *_prices(assumed), *_error_costs(assumed), *_limits(assumed), *_tolerances(assumed)]


# ---- volume, prices, error cost: lines that cross --------------------------------------------------------------------


def _volumes(assumed: Assumptions) -> Iterator[Flip]:
    points, bounds = _volume_points(assumed)
    yield from _changes("volume", assumed, points, assumed.volume, bounds)


def picks_by_volume(
    assumed: Assumptions, low: float, high: float
) -> tuple[list[tuple[float, str | None]], tuple[float, float]]:
    """The picks between two volumes, in order, each with the volume from which on it is the pick; and these volumes.

    They are nearer to the volume assumed where machines are always on, and too many to look at each.
    """
    points, bounds = _volume_points(assumed)
    low, high = max(low, bounds[0]), min(high, bounds[1])
    ends = [low, *(point for point in _apart(points) if low < point < high), high]
    found: list[tuple[float, str | None]] = []
    for start, end in pairwise(ends):
        pick = assumed.at_volume((start + end) / 2).pick()
        if not found or found[-1][1] != pick:
            found.append((start, pick))
    return found, (low, high)


def _volume_points(assumed: Assumptions) -> tuple[list[float], tuple[float, float]]:
    """Volumes between which the pick is one, and how far they were looked for.

    Costs are lines over the volume, piece by piece where machines are always on or a provider caches.
    """
    error, limit, points = assumed.error_cost or 0.0, assumed.limits.max_cost_per_1k, list[float]()
    strategies = assumed.strategies
    found = pieces([c.money.tariff for c in strategies], assumed.volume)
    for low, high in found:
        at = assumed.volume if found == [EVERYWHERE] else middle(low, high)
        lines = [(*c.money.tariff.line(at), c.errors) for c in strategies]
        totals = [(start, slope + error * errors) for start, slope, errors in lines]
        here = _crossings(totals, by_total=assumed.error_cost is not None)
        if limit is not None:
            here += [c.money.tariff.spread_until(limit / 1000, at) for c in strategies]
        points += [low, *(point for point in here if low < point < high)]
    return [point for point in points if point > 0], (found[0][0], found[-1][1])


def _prices(assumed: Assumptions) -> Iterator[Flip]:
    """One factor on all prices: it changes no order of costs, but what a limit lets through, and what errors weigh."""
    points, strategies = [], assumed.strategies
    if assumed.limits.max_cost_per_1k is not None:
        points += [assumed.limits.max_cost_per_1k / (1000 * c.money.per_query) for c in strategies if c.money.per_query]
    if assumed.error_cost is not None:
        stake = assumed.error_cost * assumed.volume
        points += _crossings([(stake * c.errors, c.money.monthly) for c in strategies], by_total=True)
    within = [p for p in points if PRICES[0] <= p <= PRICES[1]]
    yield from _changes("price", assumed, within, 1.0, PRICES)


def _error_costs(assumed: Assumptions) -> Iterator[Flip]:
    if assumed.error_cost is None:
        return
    lines = [(c.money.monthly, assumed.volume * c.errors) for c in assumed.strategies]
    yield from _changes("error_cost", assumed, _crossings(lines, by_total=True), assumed.error_cost, EVERYWHERE)


def _crossings(lines: Sequence[tuple[float, float]], *, by_total: bool) -> list[float]:
    """Where above 0 two lines (value at 0, slope) meet, or begin or cease to count as equal costs."""
    factors = (1.0,) if by_total else (1.0, 1 + EQUAL_COST)
    points = []
    for (start, slope), (other_start, other_slope), factor in product(lines, lines, factors):
        steeper = slope - factor * other_slope
        parallel = abs(steeper) <= _STEP * max(abs(slope), abs(factor * other_slope))  # they differ by rounding only
        if not parallel and (point := (factor * other_start - start) / steeper) > 0:
            points.append(point)
    return points


def _changes(
    what: str, assumed: Assumptions, points: Sequence[float], now: float, bounds: tuple[float, float]
) -> Iterator[Flip]:
    """The nearest of the points below and above `now` beyond which the pick is another; between points it is one."""
    pick, points = assumed.advised(), _apart(points)
    below = [*[p for p in reversed(points) if p < now], bounds[0]]
    above = [p for p in points if p > now]
    above.append(min(bounds[1], 2 * above[-1] if above else now))
    for side in (below, above):
        flip: Flip | None = None
        for point, further in pairwise(side):
            changed = _with(assumed, what, (point + further) / 2).advised()
            if flip is None and changed not in (None, pick):
                flip = Flip(what, point, str(changed))
            elif flip is not None and changed != flip.pick:
                flip = flip._replace(until=point)
                break
        if flip is not None:
            yield flip


def _apart(points: Sequence[float]) -> list[float]:
    """In order, and once where several differ by rounding only."""
    ordered = sorted(points)
    return [p for i, p in enumerate(ordered) if i == 0 or p > ordered[i - 1] * (1 + _STEP)]


# ---- limits and tolerance: the candidates' own figures ---------------------------------------------------------------


def _limits(assumed: Assumptions) -> Iterator[Flip]:
    """The nearest looser and stricter value of each limit with another pick."""
    limits = assumed.limits
    yield from _nearest_limits("max_latency_ms", assumed, _latencies(assumed), limits.max_latency_ms)
    yield from _nearest_limits("max_cost_per_1k", assumed, _costs(assumed), limits.max_cost_per_1k)
    yield from _nearest_limits("min_quality", assumed, [c.quality for c in assumed.candidates], limits.min_quality)
    for label, now in limits.min_recall.items():
        recalls = [c.recall.get(label, 0.0) for c in assumed.candidates]
        yield from _nearest_limits(f"min_recall {label}", assumed, recalls, now)


def _nearest_limits(what: str, assumed: Assumptions, figures: Sequence[float], now: float | None) -> Iterator[Flip]:
    """A looser limit lets a candidate in at its very figure, and a stricter one shuts it out just beyond it."""
    looser = 1 if what.startswith("max") else -1
    sides = {-looser: [figure * (1 - looser * _STEP) for figure in figures]}
    if now is not None:  # nothing is looser than no limit
        sides[looser] = list(figures)
    for side, values in sides.items():
        beyond = [v for v in set(values) if now is None or (v - now) * side > 0]
        yield from _first_change(what, assumed, sorted(beyond, reverse=side < 0))


def _latencies(assumed: Assumptions) -> list[float]:
    return [c.p95_ms for c in assumed.strategies if math.isfinite(c.p95_ms)]


def _costs(assumed: Assumptions) -> list[float]:
    """Per 1,000 queries; machines that wait for none have no such cost."""
    asked = [c.money for c in assumed.strategies if assumed.volume or not c.money.tariff.machine]
    return [1000 * money.per_query for money in asked]


def relaxed(assumed: Assumptions, what: str) -> Iterator[tuple[Flip, Assumptions]]:
    """Each greater cost (`max_cost_per_1k`) or latency (`max_latency_ms`) from which on another strategy is picked.

    In order, with all that is assumed where the limit is that one.
    """
    figures, pick = {"max_cost_per_1k": _costs, "max_latency_ms": _latencies}[what](assumed), assumed.advised()
    for value in sorted(set(figures)):
        moved = _with(assumed, what, value)
        if value > getattr(assumed.limits, what) and (changed := moved.advised()) not in (None, pick):
            pick = changed
            yield Flip(what, value, str(changed)), moved


def _with(assumed: Assumptions, what: str, value: float) -> Assumptions:
    """The same with another value of what `Flip.what` names."""
    if what == "volume":
        return assumed.at_volume(value)
    if what == "price":
        return assumed.at_price(value)
    if what == "tolerance":
        return replace(assumed, tolerance=value)
    if what == "error_cost":
        return replace(assumed, error_cost=value)
    name, _, label = what.partition(" ")
    changed: dict[str, Any] = {name: {**assumed.limits.min_recall, label: value} if label else value}
    return replace(assumed, limits=replace(assumed.limits, **changed))


def shuts_out(assumed: Assumptions, flip: Flip) -> bool:
    """Whether a flip is that of a stricter limit: just beyond what a candidate has, who is then out."""
    name, _, label = flip.what.partition(" ")
    if not name.startswith(("max_", "min_")):
        return False
    now = assumed.limits.min_recall.get(label) if label else getattr(assumed.limits, name)
    return now is None or (flip.value < now) == name.startswith("max_")


def in_few_digits(assumed: Assumptions, flip: Flip, unit: float = 1.0) -> str:
    """The value of a flip in this unit, with as few decimals as bring it about: it, or what is just beyond it where the
    flip shuts a candidate out."""
    value, beyond = flip.value / unit, 1.0
    if shuts_out(assumed, flip):
        beyond += -_STEP if flip.what.startswith("max_") else _STEP
    for decimals in range(MOST_DECIMALS):
        step = 10.0**-decimals
        for number in (round(value / step), math.floor(value / step), math.ceil(value / step)):
            text = f"{number * step:,.{decimals}f}"
            stated = float(text.replace(",", ""))
            near = abs(stated - value) <= NEAR * value
            tried = beyond * round(stated * unit, MOST_DECIMALS + 2)
            if near and _with(assumed, flip.what, tried).advised() == flip.pick:
                return text
    return f"{value:g}"


def _tolerances(assumed: Assumptions) -> Iterator[Flip]:
    """The smallest greater tolerance with another pick, and the greatest smaller one."""
    feasible, today = assumed.feasible, assumed.incumbent
    values = {gain for c in feasible if today and (gain := gain_over(c, today, assumed.evidence)) > 0}
    if assumed.error_cost is None and feasible:  # the pick is else the lowest total cost of what beats today's system
        best = max(c.quality for c in feasible)
        values |= {best - c.quality for c in feasible}
    gaps = sorted(values)
    met = assumed.tolerance + ROUNDING  # as by a gap of 0.5 - 0.49 a tolerance of 0.01
    yield from _first_change("tolerance", assumed, [g for g in gaps if met < g <= 1.0])  # no losses, which may be more
    smaller = [max(0.0, g - _STEP) for g in reversed(gaps) if g <= met]
    yield from _first_change("tolerance", assumed, smaller)


def _first_change(what: str, assumed: Assumptions, values: Sequence[float]) -> Iterator[Flip]:
    pick = assumed.advised()
    for value in values:
        changed = _with(assumed, what, value).advised()
        if changed not in (None, pick):
            yield Flip(what, value, str(changed))
            return


def break_evens(candidates: Sequence[Candidate], pick: str) -> list[tuple[str, str, float]]:
    """Volumes at which the pick and another change places in cost once and for all: (cheaper above, other, volume)."""
    chosen = next(c for c in candidates if c.name == pick)
    found = []
    for other in candidates:
        if other is chosen or other.incumbent:
            continue
        for a, b in ((chosen, other), (other, chosen)):
            volume = break_even(a.money, b.money)
            if volume is not None:
                found.append((a.name, b.name, volume))
    return found
