"""What intervals and tests are made of: clusters of rows, draws of clusters, the BCa bootstrap and the swap test.

A row without a cluster is a cluster of its own; where all are, drawing clusters is drawing rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.metrics import Floats, Metric, ScoredRow

Indices = npt.NDArray[np.int64]
Pair = tuple[Sequence[ScoredRow], Sequence[ScoredRow]]
"""A fit of one strategy and a fit of another, on the same rows."""
Statistic = Callable[[Indices], Floats]
"""A value for each line of drawn cluster numbers (shape: draws × drawn clusters, or one draw)."""

CONFIDENCE = 0.95
"""Of every interval."""
EQUAL = 1e-9
"""Values closer than this are equal: floating-point sums differ with their order."""
_CELLS = 4_000_000
"""Weights held in memory at once (resamples × rows)."""


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

    The factor of quantiles keeps few clusters from looking sure (Korn and Graubard 1998). Where all values are the same
    the design effect cannot be seen, and those of a cluster count as one.
    """
    from scipy.stats import norm, t

    n, count = len(values), count_of(clusters)
    if count == n:
        return float(n)
    if count == 1:
        return 1.0
    tail = (1 - CONFIDENCE) / 2
    few = float((norm.ppf(tail) / t.ppf(tail, degrees_of_freedom(clusters))) ** 2)
    sums = np.bincount(clusters, weights=values - values.mean())
    as_if_independent, clustered = values.var() / n, (sums**2).sum() / n**2 * count / (count - 1)
    if as_if_independent < EQUAL**2:
        return independent_rows(clusters) * few
    return float(n / max(1.0, clustered / as_if_independent) * few)


def draw_weights(clusters: Indices, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each row is in each resample (shape: some resamples × rows), in pieces that fit into memory."""
    rng = np.random.default_rng(seed)
    n, count = len(clusters), count_of(clusters)
    step = max(1, _CELLS // n)
    for start in range(0, resamples, step):
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=min(step, resamples - start))
        yield _to_rows(drawn, clusters)


def _to_rows(counts: npt.NDArray[np.int64], clusters: Indices) -> Floats:
    """What is said of each cluster (shape: lines × clusters), for each of its rows."""
    return (counts if counts.shape[1] == len(clusters) else counts[:, clusters]).astype(np.float64)


def on_clusters(metric: Metric, rows: Sequence[ScoredRow], clusters: Indices) -> Statistic:
    """The metric as a function of drawn cluster numbers (shape: draws × drawn clusters, or one draw) for scipy."""
    count = count_of(clusters)

    def value(draws: Indices) -> Floats:
        lines = np.atleast_2d(draws)
        cells = lines + count * np.arange(len(lines))[:, None]
        counts = np.bincount(cells.ravel(), minlength=len(lines) * count).reshape(len(lines), count)
        return metric.weighted(rows, _to_rows(counts, clusters)).reshape(draws.shape[:-1])

    return value


def mean_of(statistics: Sequence[Statistic]) -> Statistic:
    """All of them on the same draws."""

    def value(draws: Indices) -> Floats:
        means: Floats = np.mean([of_one(draws) for of_one in statistics], axis=0)
        return means

    return value


def bca(statistic: Statistic, clusters: Indices, seed: int, resamples: int) -> tuple[float, float, float] | None:
    """Low and high end of the BCa interval (Efron 1987), and the standard error, of a statistic of cluster numbers.

    Resamples of few rows vary too little; the level is raised to make up for it (Hesterberg 2015, section 5.3).
    None where the statistic is the same on all resamples, so that they say nothing about other rows.
    """
    from scipy.stats import bootstrap, norm, t

    n = count_of(clusters)
    if n < 2:
        return None
    freedom = degrees_of_freedom(clusters)
    raised = 1 - 2 * norm.cdf(np.sqrt((freedom + 1) / freedom) * t.ppf((1 - CONFIDENCE) / 2, freedom))

    def on_axis(draws: Indices, axis: int) -> Floats:
        return statistic(np.moveaxis(draws, axis, -1))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Degenerate data is dealt with below.
        result: Any = bootstrap(
            (np.arange(n),),
            on_axis,
            vectorized=True,
            n_resamples=resamples,
            batch=max(1, _CELLS // len(clusters)),
            confidence_level=raised,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    if result.standard_error < EQUAL:
        return None
    low, high = float(result.confidence_interval.low), float(result.confidence_interval.high)
    if np.isnan(low) or np.isnan(high):
        tail = (1 - raised) / 2
        low, high = (float(end) for end in np.quantile(result.bootstrap_distribution, [tail, 1 - tail]))
    return low, high, float(result.standard_error)


def swap_test(metric: Metric, pairs: Sequence[Pair], clusters: Indices, seed: int, resamples: int) -> float:
    """The p-value of the paired permutation test: under the null, who gave which of the answers to a cluster is a
    coin's toss. The difference is the mean over the pairs of fits, in all of which the same clusters are swapped."""
    from scipy.stats import permutation_test

    n = count_of(clusters)
    if n < 2:
        return 1.0
    both = np.concatenate([clusters, clusters + n])
    value = mean_of([on_clusters(metric, [*a, *b], both) for a, b in pairs])

    def difference(mine: Indices, theirs: Indices, axis: int) -> Floats:
        return value(np.moveaxis(mine, axis, -1)) - value(np.moveaxis(theirs, axis, -1))

    result: Any = permutation_test(
        (np.arange(n), np.arange(n, 2 * n)),
        difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _CELLS // (2 * len(clusters))),
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)
