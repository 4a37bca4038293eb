"""What intervals and tests are made of: clusters of rows, draws of clusters, the BCa bootstrap and swap tests.

A row without a cluster is a cluster of its own; where all are, drawing clusters is drawing rows.

scipy.stats has both, for one statistic at a time. Here every strategy is resampled once for all that it is compared
with, which takes seconds where it took minutes; tests hold the results against scipy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import ceil

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtrit

from eval.metrics import Floats, Metric, ScoredRow, Table

Indices = npt.NDArray[np.int64]
Pair = tuple[Sequence[ScoredRow], Sequence[ScoredRow]]
"""A fit of one strategy and a fit of another, on the same rows."""
Swapped = Callable[[Floats], Floats]
"""Differences on each line of swapped clusters, 1 for those that are (from shape: swaps × clusters; to: swaps ×
compared)."""

CONFIDENCE = 0.95
"""Of every interval."""
EQUAL = 1e-9
"""Values closer than this are equal: floating-point sums differ with their order."""
_CELLS = 4_000_000
"""Weights held in memory at once (resamples × rows)."""
_FEWEST_BEYOND, _BEYOND = 30, 100
"""Draws beyond an end of an interval, with fewer of which more are drawn; how many there should then be."""
_MOST_DRAWN, _MOST_WEIGHED = 20_000, 20_000_000
"""Draws, and weights of all of them (resamples × rows), where more are drawn: a third of a second a strategy."""
_FARTHEST = 0.2
"""Of the level of an end, the least that its correction leaves. The skew of few rows that decide is itself hardly
known: uncut, intervals of 20 to 300 simulated rows are up to a tenth wider and hold no more often."""
_MOST_LEFT_OUT = 1000
"""Parts of the rows that the jackknife leaves out, each once."""


def clusters_of(rows: Sequence[ScoredRow]) -> Indices:
    """The number of each row's cluster, counted from 0 in the order of the rows."""
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(row.cluster or i, len(numbers)) for i, row in enumerate(rows)], dtype=np.int64)


def count_of(clusters: Indices) -> int:
    """How many clusters there are."""
    return int(clusters.max(initial=-1)) + 1


def independent_rows(clusters: Indices) -> float:
    """How many rows are left if those of a cluster are all alike (Kish 1965): the number of clusters of even size."""
    return float(len(clusters) ** 2 / (np.bincount(clusters) ** 2).sum())


def degrees_of_freedom(clusters: Indices) -> float:
    """Fewer than clusters - 1 where some are large (Carter, Schnepel and Steigerwald 2017)."""
    return max(1.0, independent_rows(clusters) - 1)


def effective_rows(values: Floats, clusters: Indices) -> float:
    """How many independent rows would be as sure of the mean: rows / design effect, at most all of them.

    The variance of clusters is the jackknife's (CR3), since a large one pulls the mean towards its own values. The
    factor of quantiles keeps few clusters from looking sure (Korn and Graubard 1998). Where all values are the same the
    design effect cannot be seen, and those of a cluster count as one.
    """
    n, count = len(values), count_of(clusters)
    if count == n:
        return float(n)
    if count == 1:
        return 1.0
    tail = (1 - CONFIDENCE) / 2
    few = float((ndtri(tail) / stdtrit(degrees_of_freedom(clusters), tail)) ** 2)
    sums = np.bincount(clusters, weights=values - values.mean()) / (1 - np.bincount(clusters) / n)
    as_if_independent, clustered = values.var() / n, (sums**2).sum() / n**2 * (count - 1) / count
    if as_if_independent < EQUAL**2:
        return independent_rows(clusters) * few
    return float(n / max(1.0, clustered / as_if_independent) * few)


def draw_weights(clusters: Indices, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each row is in each resample (shape: some resamples × rows), in pieces that fit into memory."""
    rng = np.random.default_rng(seed)
    n, count = len(clusters), count_of(clusters)
    step = max(1, _CELLS // n)
    for start in range(0, resamples, step):
        lines = min(step, resamples - start)
        cells = rng.integers(count, size=(lines, count)) + count * np.arange(lines)[:, None]
        drawn = np.bincount(cells.ravel(), minlength=lines * count).reshape(lines, count)
        yield _to_rows(drawn, clusters)


def _to_rows(counts: npt.NDArray[np.int64], clusters: Indices) -> Floats:
    """What is said of each cluster (shape: lines × clusters), for each of its rows."""
    return (counts if counts.shape[1] == len(clusters) else counts[:, clusters]).astype(np.float64)


def leave_out_weights(clusters: Indices) -> Iterator[Floats]:
    """All rows but those of a cluster, for each cluster in turn (shape: some leavings-out × rows), as `draw_weights`.

    Of many clusters, every `_MOST_LEFT_OUT`th is left out together, so that the work grows with the rows alone.
    """
    count = count_of(clusters)
    parts = min(count, _MOST_LEFT_OUT)
    part, step = np.arange(count) % parts, max(1, _CELLS // len(clusters))
    for start in range(0, parts, step):
        left_out = np.arange(start, min(start + step, parts))
        stays = (part != left_out[:, None]) | (count == 1)  # Without the only one there would be nothing.
        yield _to_rows(stays.astype(np.int64), clusters)


def values_on(
    metric: Metric, fits: Mapping[str, Sequence[Sequence[ScoredRow]]], weightings: Iterable[Floats]
) -> dict[str, Floats]:
    """The metric of every fit of every strategy on the same weightings of the rows (shape: fits × weightings)."""
    tables = {name: [metric.summands(rows) for rows in of_name] for name, of_name in fits.items()}
    parts: dict[str, list[Floats]] = {name: [] for name in fits}
    for weights in weightings:
        columns = np.ascontiguousarray(weights.T)  # once for all; scipy would copy it each time
        for name, of_name in tables.items():
            parts[name].append(np.array([metric.of_sums(table @ columns) for table in of_name]))
    return {name: np.concatenate(values, axis=1) for name, values in parts.items()}


def bca(value: float, drawn: Floats, without: Floats, freedom: float) -> tuple[float, float, float] | None:
    """Low and high end of the BCa interval (Efron 1987), and the standard error, of a value on all rows from those on
    resamples of them and those without some of them.

    Resamples of few rows vary too little; the level is raised to make up for it (Hesterberg 2015, section 5.3).
    That for skew moves an end no farther than to a fifth of its level (`_FARTHEST`). None where the value is the same
    on all resamples, so that they say nothing about other rows. The percentile interval where the correction fails.
    """
    error = _error(drawn, without)
    if error < EQUAL:
        return None
    low, high = np.quantile(drawn, _levels(value, drawn, without, freedom))
    return float(low), float(high), error


def draws_wanted(value: float, drawn: Floats, without: Floats, clusters: Indices) -> int:
    """How many resamples leave enough beyond both ends of `bca`; as many as there are where these do.

    Where few rows decide, values lean so far to one side that an end lies at the ninth of 2,000 draws.
    """
    if _error(drawn, without) < EQUAL:
        return len(drawn)
    low, high = _levels(value, drawn, without, degrees_of_freedom(clusters))
    beyond = max(float(min(low, 1 - high)), EQUAL)
    if len(drawn) * beyond >= _FEWEST_BEYOND:
        return len(drawn)
    return max(len(drawn), min(ceil(_BEYOND / beyond), _MOST_DRAWN, _MOST_WEIGHED // len(clusters)))


def _error(drawn: Floats, without: Floats) -> float:
    """Standard error of a value; 0 where nothing is known of other rows."""
    return float(drawn.std(ddof=1)) if len(without) > 1 and len(drawn) > 1 else 0.0


def _levels(value: float, drawn: Floats, without: Floats, freedom: float) -> Floats:
    """The quantiles of the resamples that are the ends of the BCa interval, low and high (shape: 2)."""
    ends = np.array([1, -1]) * np.sqrt((freedom + 1) / freedom) * stdtrit(freedom, (1 - CONFIDENCE) / 2)
    shifts = without.mean() - without
    skew = float((shifts**3).sum() / (6 * (shifts**2).sum() ** 1.5)) if float(np.abs(shifts).max()) > EQUAL else 0.0
    bias = ndtri(((drawn < value - EQUAL).mean() + (drawn <= value + EQUAL).mean()) / 2)
    levels = ndtr(bias + (bias + ends) / (1 - skew * (bias + ends)) if np.isfinite(bias) else ends)
    least = _FARTHEST * ndtr(ends[0])
    kept: Floats = np.clip(levels, least, 1 - least)
    return kept


def swap_tests(metric: Metric, compared: Sequence[Sequence[Pair]], clusters: Indices, seed: int, swaps: int) -> Floats:
    """The p-value of the paired permutation test for each two strategies that are compared: under the null, who gave
    which of the answers to a cluster is a coin's toss.

    The difference is the mean over the pairs of fits, in all of which the same clusters are swapped. Exact where there
    are no more than so many ways to swap.
    """
    count = count_of(clusters)
    if count < 2:
        return np.ones(len(compared))
    differences = (_mean_differences if metric.is_mean else _differences)(metric, compared, clusters)
    observed, extreme = np.abs(differences(np.zeros((1, count)))), np.zeros(len(compared))
    for lines in _swaps(count, swaps, seed, max(1, _CELLS // (4 * len(clusters)))):
        extreme += (np.abs(differences(lines)) >= observed - EQUAL).sum(axis=0)
    p_values: Floats = extreme / 2**count if 2**count <= swaps else (extreme + 1) / (swaps + 1)
    return p_values


def _swaps(count: int, swaps: int, seed: int, step: int) -> Iterator[Floats]:
    """1 for each cluster that is swapped, else 0 (shape: some swaps × clusters): all ways where these are no more."""
    rng, is_exact = np.random.default_rng(seed), 2**count <= swaps
    total = 2**count if is_exact else swaps
    for start in range(0, total, step):
        lines = np.arange(start, min(start + step, total))
        ways = lines[:, None] >> np.arange(count) & 1 if is_exact else rng.integers(0, 2, (len(lines), count), np.int8)
        yield ways.astype(np.float64)


def _mean_differences(metric: Metric, compared: Sequence[Sequence[Pair]], clusters: Indices) -> Swapped:
    """Of a metric that is a mean: what a cluster adds to a difference only changes its sign."""
    added = [np.bincount(clusters, weights=differences_of(pairs).mean(axis=0)) for pairs in compared]
    table = np.array(added).T / len(clusters)
    return lambda lines: np.asarray((1 - 2 * lines) @ table)


def _differences(metric: Metric, compared: Sequence[Sequence[Pair]], clusters: Indices) -> Swapped:
    """Of any metric: what a swapped cluster takes from the sums of one side, it adds to those of the other."""
    from scipy.sparse import csr_array

    of_cluster = csr_array((np.ones(len(clusters)), (np.arange(len(clusters)), clusters)))
    sides = {id(rows): rows for pairs in compared for pair in pairs for rows in pair}  # a fit is of many pairs
    tables = {number: metric.summands(rows) @ of_cluster for number, rows in sides.items()}

    def difference(columns: Floats, a: Table, b: Table) -> Floats:
        moved = (b - a) @ columns
        return metric.of_sums(a.sum(axis=1)[:, None] + moved) - metric.of_sums(b.sum(axis=1)[:, None] - moved)

    def differences(lines: Floats) -> Floats:
        columns = np.ascontiguousarray(lines.T)
        found = [[difference(columns, tables[id(a)], tables[id(b)]) for a, b in pairs] for pairs in compared]
        return np.array([np.mean(of_pairs, axis=0) for of_pairs in found]).T

    return differences


def differences_of(pairs: Sequence[Pair]) -> Floats:
    """Score of a minus score of b (shape: pairs of fits × rows)."""
    return np.array([[a.score - b.score for a, b in zip(*pair, strict=True)] for pair in pairs], dtype=np.float64)
