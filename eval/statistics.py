"""How sure a number is: intervals, paired differences, and the chance that a strategy is the best.

Every resampling sees the same draws for all strategies (common random numbers): seed and number of rows fix them.
Callers leave unscored rows out, and pass the same examples in the same order for strategies that are compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.metrics import Floats, Metric, ScoredRow

Interval = tuple[float, float]
Indices = npt.NDArray[np.int64]

RESAMPLES = 2000
_CELLS = 4_000_000
"""Weights held in memory at once (resamples × rows)."""
_EQUAL = 1e-9
"""Values closer than this are equal: floating-point sums differ with their order."""


@dataclass(frozen=True)
class PairedDifference:
    """Value of a minus value of b on the same rows."""

    difference: float
    standard_error: float
    ci95: Interval
    p_value: float
    n: int


def wilson(successes: float, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927); (0, 1) where there are no rows."""
    from statsmodels.stats.proportion import proportion_confint

    if n == 0:
        return 0.0, 1.0
    low, high = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    return max(0.0, float(low)), min(1.0, float(high))


def bootstrap_interval(
    metric: Metric, rows: Sequence[ScoredRow], seed: int, resamples: int = RESAMPLES, confidence: float = 0.95
) -> Interval:
    """BCa bootstrap interval (Efron 1987) of the metric, recomputed on resampled rows; the percentile one if BCa fails.

    Where all resamples have the same value they say nothing, yet a handful of perfect rows is no certainty. Wilson's
    interval is then given: no variable in [0, 1] varies more than a proportion with the same mean.
    """
    value = metric.aggregate(rows)
    found = _bootstrap(_on_indices(metric, rows), len(rows), seed, resamples, confidence)
    if found is None:
        return wilson(value * len(rows), len(rows), confidence) if rows else (0.0, 1.0)
    # Rounding, or a value at the rim of what resamples reach, may leave the value itself a hair outside.
    return max(0.0, min(found[0], value)), min(1.0, max(found[1], value))


def interval(metric: Metric, rows: Sequence[ScoredRow], seed: int, confidence: float = 0.95) -> Interval:
    """Wilson's interval where the value is a proportion, the bootstrap's elsewhere."""
    if metric.is_proportion:
        return wilson(sum(row.score for row in rows), len(rows), confidence)
    return bootstrap_interval(metric, rows, seed, confidence=confidence)


def paired_difference(
    metric: Metric, rows_a: Sequence[ScoredRow], rows_b: Sequence[ScoredRow], seed: int, resamples: int = RESAMPLES
) -> PairedDifference:
    """Difference of two strategies on the same rows.

    Proportions: Bonett and Price's (2012) interval, as the bootstrap's covers only 90 % of the time on 50 rows, and
    McNemar's exact test. Other metrics: paired BCa bootstrap, and a permutation test that swaps the answers to a row.
    """
    _check_paired({"a": rows_a, "b": rows_b})
    n, difference = len(rows_a), metric.aggregate(rows_a) - metric.aggregate(rows_b)
    if n == 0:
        return PairedDifference(difference, float("nan"), (-1.0, 1.0), 1.0, 0)
    if metric.is_proportion:
        low, high, error, p_value = _proportions(rows_a, rows_b)
    else:
        value_a, value_b = _on_indices(metric, rows_a), _on_indices(metric, rows_b)
        found = _bootstrap(lambda draws: value_a(draws) - value_b(draws), n, seed, resamples, 0.95)
        rare = wilson(0, n)[1]  # The share of other rows on which the difference could still be another one.
        low, high, error = found or (difference - rare, difference + rare, 0.0)
        p_value = _swap_test(metric, rows_a, rows_b, seed, resamples)
    ci95 = max(-1.0, min(low, difference)), min(1.0, max(high, difference))
    return PairedDifference(difference, error, ci95, p_value, n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def resample(
    metric: Metric, rows: Mapping[str, Sequence[ScoredRow]], seed: int, resamples: int = RESAMPLES
) -> dict[str, Floats]:
    """The metric's value per strategy on each bootstrap resample; resample i holds the same examples for all."""
    _check_paired(rows)
    n = len(next(iter(rows.values()), ()))
    if n == 0:
        raise ValueError("there are no rows to resample")
    parts: dict[str, list[Floats]] = {name: [] for name in rows}
    for weights in _weights(n, resamples, seed):
        for name, strategy_rows in rows.items():
            parts[name].append(metric.weighted(strategy_rows, weights))
    return {name: np.concatenate(values) for name, values in parts.items()}


def probability_best(values: Mapping[str, Floats]) -> dict[str, float]:
    """Share of the resamples (of `resample`) in which each strategy is the best; those level with it share equally."""
    if not values:
        return {}
    table = np.array(list(values.values()))
    best = table >= table.max(axis=0) - _EQUAL
    shares = (best / best.sum(axis=0)).mean(axis=1)
    return dict(zip(values, shares.tolist(), strict=True))


def expected_loss(values: Mapping[str, Floats]) -> dict[str, float]:
    """What choosing a strategy costs in quality: the mean over resamples of the best value minus its own."""
    if not values:
        return {}
    table = np.array(list(values.values()))
    losses = (table.max(axis=0) - table).mean(axis=1)
    return dict(zip(values, losses.tolist(), strict=True))


def _check_paired(rows: Mapping[str, Sequence[ScoredRow]]) -> None:
    """Different examples under one index would compare nothing."""
    if len({tuple(row.targets for row in strategy_rows) for strategy_rows in rows.values()}) > 1:
        raise ValueError("strategies can be compared only on the same rows in the same order")


def _weights(n: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each of n rows is in each resample (shape: some resamples × n), in pieces that fit into memory."""
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // n)
    for start in range(0, resamples, step):
        yield rng.multinomial(n, np.full(n, 1 / n), size=min(step, resamples - start)).astype(np.float64)


def _on_indices(metric: Metric, rows: Sequence[ScoredRow]) -> Callable[[Indices], Floats]:
    """The metric as a function of drawn row numbers (shape: draws × drawn rows, or one draw), which scipy resamples."""

    def value(draws: Indices) -> Floats:
        lines = np.atleast_2d(draws)
        cells = lines + len(rows) * np.arange(len(lines))[:, None]
        counts = np.bincount(cells.ravel(), minlength=len(lines) * len(rows)).reshape(len(lines), len(rows))
        return metric.weighted(rows, counts.astype(np.float64)).reshape(draws.shape[:-1])

    return value


def _bootstrap(
    statistic: Callable[[Indices], Floats], n: int, seed: int, resamples: int, confidence: float
) -> tuple[float, float, float] | None:
    """Low and high end of the BCa interval, and the standard error, of a statistic of row numbers.

    Resamples of few rows vary too little; the level is raised to make up for it (Hesterberg 2015, section 5.3).
    None where the statistic is the same on all resamples, so that they say nothing about other rows.
    """
    from scipy.stats import bootstrap, norm, t

    if n < 2:
        return None
    raised = 1 - 2 * norm.cdf(np.sqrt(n / (n - 1)) * t.ppf((1 - confidence) / 2, n - 1))

    def on_axis(draws: Indices, axis: int) -> Floats:
        return statistic(np.moveaxis(draws, axis, -1))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Degenerate data is dealt with below.
        result: Any = bootstrap(
            (np.arange(n),),
            on_axis,
            vectorized=True,
            n_resamples=resamples,
            batch=max(1, _CELLS // n),
            confidence_level=raised,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    if result.standard_error < _EQUAL:
        return None
    low, high = float(result.confidence_interval.low), float(result.confidence_interval.high)
    if np.isnan(low) or np.isnan(high):
        tail = (1 - raised) / 2
        low, high = (float(end) for end in np.quantile(result.bootstrap_distribution, [tail, 1 - tail]))
    return low, high, float(result.standard_error)


def _proportions(rows_a: Sequence[ScoredRow], rows_b: Sequence[ScoredRow]) -> tuple[float, float, float, float]:
    """Low, high, standard error and p-value from the rows that one alone gets right.

    Bonett and Price (2012) add one row to each of the two kinds; McNemar's exact test holds the kinds equally likely.
    """
    from scipy.stats import binomtest, norm

    differences = [a.score - b.score for a, b in zip(rows_a, rows_b, strict=True)]
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    total = len(differences) + 2
    centre = (wins - losses) / total
    error = float(np.sqrt(((wins + losses + 2) / total - centre**2) / total))
    margin = float(norm.ppf(0.975)) * error
    p_value = float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    return centre - margin, centre + margin, error, p_value


def _swap_test(
    metric: Metric, rows_a: Sequence[ScoredRow], rows_b: Sequence[ScoredRow], seed: int, resamples: int
) -> float:
    """Paired permutation test: under the null, who gave which of the two answers to a row is a coin's toss."""
    from scipy.stats import permutation_test

    n = len(rows_a)
    if n < 2:
        return 1.0
    value = _on_indices(metric, [*rows_a, *rows_b])

    def difference(mine: Indices, theirs: Indices, axis: int) -> Floats:
        return value(np.moveaxis(mine, axis, -1)) - value(np.moveaxis(theirs, axis, -1))

    result: Any = permutation_test(
        (np.arange(n), np.arange(n, 2 * n)),
        difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _CELLS // (2 * n)),
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)
