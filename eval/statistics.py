"""How sure a number is: intervals, paired differences, and the chance that a strategy is the best.

Every resampling sees the same draws for all strategies (common random numbers): seed and number of rows fix them.
Callers leave unscored rows out, and pass the same examples in the same order for strategies that are compared.

Rows of one cluster (`ScoredRow.cluster`) are no independent evidence (Miller 2024, "Adding error bars to evals"): whole
clusters are resampled, left out by the jackknife and swapped, and a proportion is taken for one of fewer rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, hypot, lcm, sqrt
from statistics import NormalDist, fmean, harmonic_mean

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from eval.metrics import Floats, Metric, ScoredRow, collapse
from eval.resampling import (
    CONFIDENCE,
    EQUAL,
    Indices,
    Pair,
    bca,
    clusters_of,
    count_of,
    degrees_of_freedom,
    differences_of,
    draw_weights,
    draws_wanted,
    effective_rows,
    leave_out_weights,
    swap_tests,
    values_on,
)

Interval = tuple[float, float]

RESAMPLES = 2000
SWAPS_A_PAIR = 50
"""Swaps of a permutation test for each pair that its p-value is adjusted for, so that Holm's is 0.02 at the least."""
NEAR_THE_FLOOR = 10
"""Swaps with as great a difference, among `RESAMPLES`, below which a p-value is worth more of them."""
_TWO_SIDED = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""Standard errors on either side of an estimate."""


@dataclass(frozen=True)
class PairedDifference:
    """Value of a minus value of b on the same rows."""

    difference: float
    standard_error: float
    ci95: Interval
    p_value: float
    n: int
    fit_error: float = 0.0
    """The part of the standard error that the spread between fits makes up, and that further rows do not lessen; the
    other part is the root of the difference of the squares."""


def wilson(successes: float, n: float) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927); (0, 1) where there are no rows.

    Written out, for statsmodels loads pandas, which takes longer than all that `advisor report` decides.
    """
    if n == 0:
        return 0.0, 1.0
    share, z = successes / n, float(ndtri((1 + CONFIDENCE) / 2))
    middle, shrunk = share + z**2 / (2 * n), 1 + z**2 / n
    half = z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (middle - half) / shrunk, (middle + half) / shrunk
    # at the ends rounding leaves them just within
    return 0.0 if successes <= 0 else max(0.0, low), 1.0 if successes >= n else high


def interval(metric: Metric, rows: Sequence[ScoredRow], seed: int) -> Interval:
    """Wilson's interval where the value is a proportion, elsewhere the bootstrap's, widened for what so few rows may
    not have shown (see `_interval_on_rows`).

    With clusters, Wilson's is that of as many rows as would be as sure if they were independent: the rows divided by
    the design effect, which is never taken to be below 1 (Korn and Graubard 1998; Dean and Pagano 2015).
    """
    return interval_over_fits(metric, [rows], seed)


def interval_over_fits(metric: Metric, fits: Sequence[Sequence[ScoredRow]], seed: int) -> Interval:
    """Interval of the metric's mean over fits of one strategy (seeds), which all answered the same rows in one order.

    It speaks of further rows and of further fits. Two parts are joined by MOVER (Zou and Donner 2008): the interval
    over rows, in which the answers of all fits to a row are one cluster, and Student's of a mean of so few fits, whose
    spread is taken without the part that other rows would change. With one fit there is no second part: the interval
    speaks of this fit.
    """
    clusters = _clusters_of_all(fits)
    if not fits[0]:
        return 0.0, 1.0
    value, several = _mean(metric, fits), len(fits) > 1
    if several or not metric.is_proportion:
        (drawn,) = values_on(metric, {"": fits}, draw_weights(clusters, RESAMPLES, seed)).values()
    if metric.is_proportion:
        scores = np.array([row.score for rows in fits for row in rows], dtype=np.float64)
        n = effective_rows(scores, np.tile(clusters, len(fits)))
        low, high = wilson(scores.sum() * (n / len(scores)), n)
    else:
        (without,) = values_on(metric, {"": fits}, leave_out_weights(clusters)).values()
        on_draws, on_rest = drawn.mean(axis=0), without.mean(axis=0)
        wanted = draws_wanted(value, on_draws, on_rest, clusters)
        if wanted > RESAMPLES:
            (more,) = values_on(metric, {"": fits}, draw_weights(clusters, wanted, seed)).values()
            on_draws = more.mean(axis=0)
        low, high = _interval_on_rows(metric, fits, clusters, value, on_draws, on_rest)
    if not several:
        return low, high
    wider = _margin_of_fits(_variance_of_fits(metric, fits, drawn), len(fits))
    low, high = _widened(value, low, high, wider)
    return max(0.0, low), min(1.0, high)


def paired_difference(
    metric: Metric, rows_a: Sequence[ScoredRow], rows_b: Sequence[ScoredRow], seed: int, resamples: int = RESAMPLES
) -> PairedDifference:
    """Difference of two strategies on the same rows.

    Proportions: Bonett and Price's (2012) interval, as the bootstrap's covers only 90 % of the time on 50 rows, and
    McNemar's exact test. Other metrics: paired BCa bootstrap, widened for what so few rows may not have shown (see
    `_unseen`), and a permutation test that swaps the answers to a row.
    With clusters, proportions are those of the effective number of rows (see `interval`), and all tests swap clusters.
    """
    return paired_difference_over_fits(metric, [rows_a], [rows_b], seed, resamples)


def paired_difference_over_fits(
    metric: Metric,
    fits_a: Sequence[Sequence[ScoredRow]],
    fits_b: Sequence[Sequence[ScoredRow]],
    seed: int,
    resamples: int = RESAMPLES,
) -> PairedDifference:
    """Difference of two strategies' means over their fits, each of which answered the same rows in one order.

    With one fit each it is `paired_difference`. The spread of several fits enters as in `interval_over_fits`; the
    p-value is then the greater of that of the rows and Welch's t-test over rows and fits (Satterthwaite's degrees of
    freedom). A strategy with one fit adds no spread: what is said of it is said of this fit.
    """
    return paired_differences(metric, {"a": fits_a, "b": fits_b}, seed, resamples)["a", "b"]


def paired_differences(
    metric: Metric, fits: Mapping[str, Sequence[Sequence[ScoredRow]]], seed: int, resamples: int = RESAMPLES
) -> dict[tuple[str, str], PairedDifference]:
    """Differences of all pairs of strategies, each of which is resampled once.

    A permutation test sees more swaps where its p-value is near the least that so few can give, the more, the more
    pairs it will be adjusted for.

    The spread between fits of one strategy counts as no less than it is on average over all that have several fits. A
    few fits often come out alike by chance, and the smallest of many p-values would be of just these.
    """
    clusters = _clusters_of_all([rows for of_name in fits.values() for rows in of_name])
    names, n, values = list(combinations(fits, 2)), len(clusters), {name: _mean(metric, f) for name, f in fits.items()}
    if n == 0:
        return {(a, b): PairedDifference(values[a] - values[b], float("nan"), (-1.0, 1.0), 1.0, 0) for a, b in names}
    resampled = {name: of_name for name, of_name in fits.items() if len(of_name) > 1 or not metric.is_proportion}
    drawn = values_on(metric, resampled, draw_weights(clusters, resamples, seed))
    without = {} if metric.is_proportion else values_on(metric, fits, leave_out_weights(clusters))
    spread = {
        name: _variance_of_fits(metric, fits[name], of_name) for name, of_name in drawn.items() if len(of_name) > 1
    }
    spread = {name: max(own, fmean(spread.values())) for name, own in spread.items()}
    pairs = {(a, b): _pairs_of_fits(fits[a], fits[b]) for a, b in names}
    p_values = _p_values_on_rows(metric, pairs, clusters, seed, resamples)
    resampled_pairs = _resampled_pairs(metric, fits, clusters, values, drawn, without, seed) if without else {}
    found = {}
    for a, b in names:
        difference, p_value = values[a] - values[b], p_values[a, b]
        if metric.is_proportion:
            low, high, error = _bonett_price(differences_of(pairs[a, b]).ravel(), np.tile(clusters, len(pairs[a, b])))
        else:
            low, high, error = _difference_on_rows(metric, pairs[a, b], clusters, difference, *resampled_pairs[a, b])
        several, fit_error = [name for name in (a, b) if name in spread], 0.0
        if several:
            wider = hypot(*(_margin_of_fits(spread[name], len(fits[name])) for name in several))
            low, high = _widened(difference, low, high, wider)
            parts = [(spread[name] / len(fits[name]), _freedom_of_fits(len(fits[name]))) for name in several]
            p_value = max(p_value, _welch(difference, [(error**2, degrees_of_freedom(clusters)), *parts]))
            fit_error = sqrt(sum(variance for variance, _ in parts))
            error = hypot(error, fit_error)
        ci95 = max(-1.0, min(low, difference)), min(1.0, max(high, difference))
        found[a, b] = PairedDifference(difference, error, ci95, p_value, n, fit_error)
    return found


def difference_of_fits(
    metric: Metric,
    rows_a: Sequence[ScoredRow],
    rows_b: Sequence[ScoredRow],
    repeats: Sequence[Sequence[Sequence[ScoredRow]]],
    seed: int,
) -> tuple[float, Interval]:
    """Difference of two single fits of one strategy, and its interval, which speaks of further rows and further seeds.

    `repeats` are lots of fits that differ in their seed alone, each on rows of its own (those of a fold): within them
    it is seen how much a fit varies. Where none has several fits, the interval speaks of these two fits.
    """
    found, spread, freedom = paired_difference(metric, rows_a, rows_b, seed), [], 0.0
    for fits in repeats:
        if len(fits) > 1 and fits[0]:
            (drawn,) = values_on(metric, {"": fits}, draw_weights(_clusters_of_all(fits), RESAMPLES, seed)).values()
            spread.append(_variance_of_fits(metric, fits, drawn))
            freedom += _freedom_of_fits(len(fits))
    if not spread:
        return found.difference, found.ci95
    low, high = _widened(found.difference, *found.ci95, _student(freedom) * sqrt(2 * fmean(spread)))
    return found.difference, (max(-1.0, low), min(1.0, high))


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
    return resample_over_fits(metric, {name: [of_name] for name, of_name in rows.items()}, seed, resamples)


def resample_over_fits(
    metric: Metric, fits: Mapping[str, Sequence[Sequence[ScoredRow]]], seed: int, resamples: int = RESAMPLES
) -> dict[str, Floats]:
    """As `resample`, for the mean over each strategy's fits, which are resampled too where there are several."""
    clusters = _clusters_of_all([rows for of_name in fits.values() for rows in of_name])
    if len(clusters) == 0:
        raise ValueError("there are no rows to resample")
    values, rng = values_on(metric, fits, draw_weights(clusters, resamples, seed)), np.random.default_rng(seed)
    return {name: _mean_of_drawn(of_name, rng) for name, of_name in values.items()}


def _mean_of_drawn(values: Floats, rng: np.random.Generator) -> Floats:
    """Mean over as many fits as there are, drawn anew for each resample (shape of values: fits × resamples)."""
    drawn = rng.integers(len(values), size=values.shape)
    mean: Floats = np.take_along_axis(values, drawn, axis=0).mean(axis=0)
    return mean


def probability_best(values: Mapping[str, Floats]) -> dict[str, float]:
    """Share of the resamples (of `resample`) in which each strategy is the best; those level with it share equally."""
    if not values:
        return {}
    table = np.array(list(values.values()))
    best = table >= table.max(axis=0) - EQUAL
    shares = (best / best.sum(axis=0)).mean(axis=1)
    return dict(zip(values, shares.tolist(), strict=True))


def expected_loss(values: Mapping[str, Floats]) -> dict[str, float]:
    """What choosing a strategy costs in quality: the mean over resamples of the best value minus its own."""
    if not values:
        return {}
    table = np.array(list(values.values()))
    losses = (table.max(axis=0) - table).mean(axis=1)
    return dict(zip(values, losses.tolist(), strict=True))


# ---- power -----------------------------------------------------------------------------------------------------------


def smallest_difference(standard_error: float, *, power: float = 0.8) -> float:
    """The smallest true difference that a two-sided test at the 5 % level would show with this power (Miller 2024).

    Holds the standard error of the paired difference to be the same whatever the difference.
    """
    return (_TWO_SIDED + NormalDist().inv_cdf(power)) * standard_error


def rows_needed(
    difference: float,
    standard_error: float,
    n: int,
    margin: float,
    confidence: float = 0.95,
    *,
    fit_error: float = 0.0,
    power: float = 0.8,
) -> int | None:
    """Rows, the n measured ones included, after which a gap like the observed would be settled with this power.

    Settled: known, one-sided, on which side of -margin the difference (a minus b) lies, if in truth it is what it is
    here and its standard error falls with the root of the rows, but for the part that is due to fits. None where no
    number would do: the difference is -margin itself, or the spread between fits alone leaves its side open.
    """
    quantiles = NormalDist().inv_cdf(confidence) + NormalDist().inv_cdf(power)
    allowed = (abs(difference + margin) / quantiles) ** 2 - fit_error**2
    if allowed < EQUAL**2:
        return None
    return max(1, ceil(n * (standard_error**2 - fit_error**2) / allowed))


def _widened(value: float, low: float, high: float, margin: float) -> Interval:
    """The interval of a value, joined by MOVER with what else may move it by this margin."""
    return value - hypot(value - low, margin), value + hypot(high - value, margin)


# ---- rows ------------------------------------------------------------------------------------------------------------


def _clusters_of_all(several: Sequence[Sequence[ScoredRow]]) -> Indices:
    """The clusters of the rows that all are of: different examples under one index would compare nothing."""
    if len({tuple((row.targets, row.cluster) for row in rows) for rows in several}) > 1:
        raise ValueError("strategies can be compared only on the same rows in the same order")
    return clusters_of(several[0] if several else ())


def _interval_on_rows(
    metric: Metric, fits: Sequence[Sequence[ScoredRow]], clusters: Indices, value: float, drawn: Floats, without: Floats
) -> Interval:
    """The wider at either end of the BCa bootstrap interval (Efron 1987), for which the metric is recomputed on
    resampled rows, and Wilson's of as many rows as would be as sure.

    Where most rows score the same, the bootstrap hardly varies, or not at all, yet a handful of perfect rows is no
    certainty. Wilson's counts what such a sample may not have shown (see `_unseen_beyond`), in a macro average of each
    label. It has all rows at the least: no variable in [0, 1] varies more than a proportion with the same mean.
    """
    found = bca(value, drawn, without, degrees_of_freedom(clusters))
    low, high = found[:2] if found else (value, value)
    variance = (len(without) - 1) * float(without.var())  # the jackknife's: a draw may lack a rare label altogether
    scores = np.array([[row.score for row in rows] for rows in fits], dtype=np.float64).mean(axis=0)
    of_cluster = effective_rows(scores, clusters) / count_of(clusters)
    parts = [(scores[of], of_cluster * len(set(clusters[of].tolist()))) for of in _weighing_alike(metric, fits[0])]
    rows = len(parts) * harmonic_mean([n for _, n in parts])

    def end(side: int) -> float:
        added = hypot(*(_unseen_beyond(of_part, side) / (len(parts) * n) for of_part, n in parts))
        known = EQUAL < value < 1 - EQUAL
        n = max(rows, value * (1 - value) / (variance + added**2)) if known else rows
        return wilson(value * n, n)[max(0, side)]

    return max(0.0, min(low, end(-1))), min(1.0, max(high, end(1)))


def _weighing_alike(metric: Metric, rows: Sequence[ScoredRow]) -> list[list[int]]:
    """The indices of all rows, or, in a macro average, of those of each label."""
    if not metric.is_macro:
        return [list(range(len(rows)))]
    of_labels = defaultdict[str, list[int]](list)
    for i, row in enumerate(rows):
        of_labels[collapse(row.targets[0])].append(i)
    return list(of_labels.values())


def _unseen_beyond(scores: Floats, side: int) -> float:
    """The root of the squares of two deviations below (-1) or above (1) the mean, as two further rows may have them.

    They are as large as those are on average that differ from each other, and two of the farthest that there can be:
    nearly the farthest where rows mostly score the same, and hardly larger than others where all score differently.
    """
    mean = float(scores.mean())
    farthest = mean if side < 0 else 1 - mean
    seen = np.unique(np.round(side * (scores - mean), 9))
    seen = seen[seen > 0]
    return sqrt(2) * (float(seen.sum()) + 2 * farthest) / (len(seen) + 2)


# ---- fits ------------------------------------------------------------------------------------------------------------


def _mean(metric: Metric, fits: Sequence[Sequence[ScoredRow]]) -> float:
    return sum(metric.aggregate(rows) for rows in fits) / len(fits)


def _pairs_of_fits(fits_a: Sequence[Sequence[ScoredRow]], fits_b: Sequence[Sequence[ScoredRow]]) -> list[Pair]:
    """Each fit equally often."""
    count = lcm(len(fits_a), len(fits_b))
    return [(fits_a[i % len(fits_a)], fits_b[i % len(fits_b)]) for i in range(count)]


def _variance_of_fits(metric: Metric, fits: Sequence[Sequence[ScoredRow]], drawn: Floats) -> float:
    """Of the value from fit to fit, without what is due to these rows: the interaction's part of a two-way analysis of
    variance, here from the bootstrap over rows (shape of drawn: fits × resamples), so that it is had for every metric.
    """
    values = np.array([metric.aggregate(rows) for rows in fits])
    shifts = drawn - drawn.mean(axis=0) - (values - values.mean())[:, None]
    by_chance = (shifts**2).sum(axis=0).mean() / (len(fits) - 1)
    return max(0.0, float(values.var(ddof=1) - by_chance))


def _margin_of_fits(variance: float, fits: int) -> float:
    """Half the width of Student's interval of the mean over so many fits."""
    return _student(_freedom_of_fits(fits)) * sqrt(variance / fits)


def _student(freedom: float) -> float:
    """Standard errors on either side of an estimate whose spread is known with so many degrees of freedom."""
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def _freedom_of_fits(fits: int) -> float:
    """Degrees of freedom of the spread between fits, of two fits as of three.

    With one (a quantile of 12.7) a second fit would leave a result of less use than the first alone. With two (4.3)
    ranges hold at about their rate while rows vary as much as fits do (tests/eval/test_statistics_simulated.py), and
    less often where rows are many: docs/method.md has how often.
    """
    return max(2, fits - 1)


def _welch(difference: float, parts: Sequence[tuple[float, float]]) -> float:
    """Two-sided p-value of a difference whose variance has these parts (variance, degrees of freedom)."""
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / own for part, own in parts)
    return float(2 * stdtr(freedom, -abs(difference) / np.sqrt(variance)))


# ---- pairs -----------------------------------------------------------------------------------------------------------


def _difference_on_rows(
    metric: Metric, pairs: Sequence[Pair], clusters: Indices, difference: float, drawn: Floats, without: Floats
) -> tuple[float, float, float]:
    """Low, high and standard error of a metric that is no proportion.

    Where few rows differ, the bootstrap hardly varies, or not at all. As Bonett and Price do for proportions, two rows
    that differ are added: they join its standard error as further rows would, and its interval by MOVER.
    """
    found = bca(difference, drawn, without, degrees_of_freedom(clusters))
    low, high, error = found or (difference, difference, 0.0)
    rows, added = _unseen(metric, pairs, clusters)
    low, high = _widened(difference, low, high, _TWO_SIDED * added / (rows + 2))
    return low, high, hypot(rows * error, added) / (rows + 2)


def _resampled_pairs(
    metric: Metric,
    fits: Mapping[str, Sequence[Sequence[ScoredRow]]],
    clusters: Indices,
    values: Mapping[str, float],
    drawn: Mapping[str, Floats],
    without: Mapping[str, Floats],
    seed: int,
) -> dict[tuple[str, str], tuple[Floats, Floats]]:
    """The difference of each two strategies on resamples of the rows, and on all but some of them.

    Where an end of its range is at one of the last resamples, more are drawn, each pair's as if it were the only one.
    """

    def differences(of: Mapping[str, Floats], a: str, b: str) -> Floats:
        return np.asarray(of[a].mean(axis=0) - of[b].mean(axis=0))

    found = {(a, b): (differences(drawn, a, b), differences(without, a, b)) for a, b in combinations(fits, 2)}
    wanted = {(a, b): draws_wanted(values[a] - values[b], *of, clusters) for (a, b), of in found.items()}
    wanting = {names: count for names, count in wanted.items() if count > len(found[names][0])}
    if wanting:
        weights = draw_weights(clusters, max(wanting.values()), seed)
        more = values_on(metric, {name: fits[name] for names in wanting for name in names}, weights)
        found |= {(a, b): (differences(more, a, b)[:count], found[a, b][1]) for (a, b), count in wanting.items()}
    return found


def _unseen(metric: Metric, pairs: Sequence[Pair], clusters: Indices) -> tuple[float, float]:
    """How many rows of one weight there are, and the root of the squares of the two differences that are added.

    These have the size that differences have, on average over what they sum to, with two full ones among them: full
    where rows differ wholly or not at all, or hardly any does; the smaller, the more rows show that they differ a bit.
    """
    sizes = np.abs(differences_of(pairs).mean(axis=0))
    rows = effective_rows(sizes, clusters) * _evenness(metric, pairs[0][0], clusters)
    weight = rows / len(sizes)
    size = (float((sizes**2).sum()) * weight + 2) / (float(sizes.sum()) * weight + 2)
    return rows, sqrt(2) * size


def _evenness(metric: Metric, rows: Sequence[ScoredRow], clusters: Indices) -> float:
    """The rows of one weight that are as sure, over all rows (Kish 1965); those of a cluster are one of each label.

    In a macro average a row weighs the less, the more rows its label has: labels × the harmonic mean of their rows.
    """
    counts = [len(set(clusters[of].tolist())) for of in _weighing_alike(metric, rows)]
    return len(counts) * harmonic_mean(counts) / sum(counts)


def _bonett_price(differences: Floats, clusters: Indices) -> tuple[float, float, float]:
    """Low, high and standard error from the rows that one alone gets right.

    Bonett and Price (2012) add one row to each of the two kinds. Differences may be any in [-1, 1]: the rows added are
    then of the greatest difference that there can be.
    """
    n = effective_rows(differences, clusters)
    weight, total = n / len(differences), n + 2
    centre = float(differences.sum()) * weight / total
    error = float(np.sqrt(((float((differences**2).sum()) * weight + 2) / total - centre**2) / total))
    margin = _TWO_SIDED * error
    return centre - margin, centre + margin, error


def _p_values_on_rows(
    metric: Metric, pairs: Mapping[tuple[str, str], Sequence[Pair]], clusters: Indices, seed: int, resamples: int
) -> dict[tuple[str, str], float]:
    """McNemar's where all rows of two single fits stand for themselves, else those of swap tests."""
    is_exact = metric.is_proportion and count_of(clusters) == len(clusters)
    found = {names: _mcnemar(differences_of(of)) for names, of in pairs.items() if is_exact and len(of) == 1}
    tested, more = [names for names in pairs if names not in found], max(resamples, SWAPS_A_PAIR * len(pairs))
    for swaps in sorted({resamples, more}):
        p_values = swap_tests(metric, [pairs[names] for names in tested], clusters, seed, swaps) if tested else ()
        found |= zip(tested, map(float, p_values), strict=True)
        tested = [names for names in tested if found[names] <= NEAR_THE_FLOOR / resamples]
    return found


def _mcnemar(differences: Floats) -> float:
    """McNemar's exact test: under the null, a row that one alone gets right is as likely to be the other's."""
    from scipy.stats import binomtest

    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
