"""Simulated truth: intervals contain it at their rate, tests reject it at theirs, with 20 to 500 rows.

All draws are fixed. A rate counts as wrong where so few (or so many) hits had a chance below one in a thousand at the
lowest (or highest) rate that we accept: 92 and 98 % for intervals, 6 % for tests.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from eval.metrics import Metric, ScoredRow, get_metric, score_rows
from eval.statistics import (
    holm,
    interval,
    interval_over_fits,
    paired_difference,
    paired_difference_over_fits,
    paired_differences,
)

ACCURACY, MACRO_F1, TOKEN_F1 = get_metric("accuracy"), get_metric("macro_f1"), get_metric("token_f1")
Floats = np.ndarray[Any, np.dtype[np.float64]]
SELDOM = 1e-3
sampled = settings(max_examples=12, deadline=None, derandomize=True)


def rate_is_right(hits: Sequence[bool], lowest: float = 0.92, highest: float = 0.98) -> bool:
    return bool(binom.ppf(SELDOM, len(hits), lowest) <= sum(hits) <= binom.isf(SELDOM, len(hits), highest))


def rate_is_at_most(hits: Sequence[bool], highest: float) -> bool:
    return bool(sum(hits) <= binom.isf(SELDOM, len(hits), highest))


def test_the_check_of_rates_can_fail() -> None:
    assert rate_is_right([True] * 950 + [False] * 50)
    assert not rate_is_right([True] * 870 + [False] * 130)
    assert not rate_is_right([True] * 1000)
    assert not rate_is_at_most([True] * 100 + [False] * 900, 0.06)


def rows_of(values: Iterable[float], clusters: Iterable[int] | None = None) -> list[ScoredRow]:
    values = list(values)
    names = [""] * len(values) if clusters is None else [f"c{cluster}" for cluster in clusters]
    return [ScoredRow("", ("t",), float(value), name) for value, name in zip(values, names, strict=True)]


def clusters_of(rng: np.random.Generator, n: int, mean_size: float) -> Floats:
    """Cluster numbers of about n rows; sizes are geometric, at most 12, and at least four clusters there are."""
    count = max(4, round(n / mean_size))
    return np.repeat(np.arange(count), np.minimum(rng.geometric(1 / mean_size, count), 12))


def chances(rng: np.random.Generator, clusters: Floats, mean: float, alike: float) -> Floats:
    """Each row's chance of being right: the same in a cluster, from a beta distribution whose intraclass correlation
    is `alike`."""
    strength = (1 - alike) / alike
    return rng.beta(mean * strength, (1 - mean) * strength, int(clusters.max()) + 1)[clusters.astype(int)]


def uneven(rng: np.random.Generator, n: int) -> Floats:
    """Scores as of token F1: many 0 and 1, the rest anywhere between; the mean is 0.55."""
    kind = rng.random(n)
    return np.where(kind < 0.3, 0.0, np.where(kind < 0.7, 1.0, rng.random(n)))


# ---- intervals -------------------------------------------------------------------------------------------------------


@sampled
@given(st.integers(20, 500), st.sampled_from([0.3, 0.5, 0.8, 0.9, 0.95]))
def test_intervals_of_proportions(n: int, truth: float) -> None:
    rng = np.random.default_rng(n)
    found = (interval(ACCURACY, rows_of(rng.random(n) < truth), seed=0) for _ in range(400))
    assert rate_is_right([low <= truth <= high for low, high in found])


@sampled
@given(st.integers(20, 500), st.sampled_from([0.5, 0.8, 0.9]), st.sampled_from([1.5, 3]), st.sampled_from([0.2, 0.5]))
def test_intervals_of_proportions_in_clusters(n: int, truth: float, size: float, alike: float) -> None:
    rng, hits = np.random.default_rng(n), []
    for _ in range(400):
        clusters = clusters_of(rng, n, size)
        right = rng.random(len(clusters)) < chances(rng, clusters, truth, alike)
        low, high = interval(ACCURACY, rows_of(right, clusters), seed=0)
        hits.append(low <= truth <= high)
    assert rate_is_right(hits, highest=0.99)


@pytest.mark.parametrize(("n", "alike"), [(200, 0.2), (500, 0.3)])
def test_intervals_of_proportions_in_clusters_of_very_unequal_size(n: int, alike: float) -> None:
    """The second of thirty customers has half as many rows as the first, the third a third (Zipf)."""
    shares = 1 / np.arange(1, 31)
    rng, hits = np.random.default_rng(n), []
    for _ in range(1000):
        clusters = rng.choice(30, size=n, p=shares / shares.sum())
        right = rng.random(n) < chances(rng, clusters, 0.8, alike)
        low, high = interval(ACCURACY, rows_of(right, clusters), seed=0)
        hits.append(low <= 0.8 <= high)
    assert rate_is_right(hits, lowest=0.94)


def test_intervals_that_ignore_clusters_would_be_wrong() -> None:
    rng, hits = np.random.default_rng(0), []
    for _ in range(400):
        clusters = clusters_of(rng, 200, 3)
        right = rng.random(len(clusters)) < chances(rng, clusters, 0.8, 0.5)
        low, high = interval(ACCURACY, rows_of(right), seed=0)
        hits.append(low <= 0.8 <= high)
    assert not rate_is_right(hits)


@pytest.mark.parametrize(("n", "times"), [(20, 400), (60, 300), (200, 200), (500, 150)])
def test_intervals_of_bounded_scores(n: int, times: int) -> None:
    rng = np.random.default_rng(n)
    found = (interval(TOKEN_F1, rows_of(uneven(rng, n)), seed=0) for _ in range(times))
    assert rate_is_right([low <= 0.55 <= high for low, high in found])


@pytest.mark.parametrize(("n", "times"), [(20, 300), (60, 300), (200, 200), (500, 150)])
def test_intervals_of_bounded_scores_in_clusters(n: int, times: int) -> None:
    rng, hits = np.random.default_rng(n), []
    for _ in range(times):
        clusters = clusters_of(rng, n, 3)
        mean = chances(rng, clusters, 0.7, 0.3)
        scores = rng.beta(6 * mean + 0.01, 6 * (1 - mean) + 0.01)
        low, high = interval(TOKEN_F1, rows_of(scores, clusters), seed=0)
        hits.append(low <= 0.7 <= high)
    assert rate_is_right(hits, lowest=0.9)


def mostly_alike(
    rng: np.random.Generator, chances: Floats, often: float, parts: Sequence[tuple[float, float]]
) -> Floats:
    """Scores of rows most of which score `often`; `parts` are shares of rows and what these score instead, the share of
    the first varying as the chances do (shape of all: rows)."""
    found, drawn, at = np.full(len(chances), often), rng.random(len(chances)), np.zeros(len(chances))
    for i, (share, score) in enumerate(parts):
        wide = chances if i == 0 else share
        found[(at <= drawn) & (drawn < at + wide)] = score
        at = at + wide
    return found


ALIKE = {
    "good extractor": (1.0, ((0.03, 0.0), (0.10, 0.9))),
    "middling extractor": (1.0, ((0.05, 0.0), (0.30, 0.9))),
    "a field is always wrong": (0.9, ((0.03, 0.0),)),
    "hardly anything right": (0.0, ((0.05, 0.6), (0.05, 0.3))),
}
"""What most rows score, and what shares of the others score instead."""


def mean_of(often: float, parts: Sequence[tuple[float, float]]) -> float:
    return often + sum(share * (score - often) for share, score in parts)


@pytest.mark.parametrize("kind", ALIKE)
@pytest.mark.parametrize(("n", "times"), [(20, 200), (40, 200), (100, 150), (500, 60)])
def test_intervals_where_most_rows_score_the_same(kind: str, n: int, times: int) -> None:
    """As of JSON fields; a bootstrap's hold 65 % of the time where few rows are worth nothing."""
    (often, parts), rng = ALIKE[kind], np.random.default_rng(n)
    samples = (mostly_alike(rng, np.full(n, parts[0][0]), often, parts) for _ in range(times))
    found = (interval(TOKEN_F1, rows_of(scores), seed=0) for scores in samples)
    assert rate_is_right([low <= mean_of(often, parts) <= high for low, high in found], highest=0.99)


@pytest.mark.parametrize("kind", ["good extractor", "hardly anything right"])
@pytest.mark.parametrize(("n", "times"), [(60, 200), (300, 100)])
def test_intervals_where_most_rows_score_the_same_in_clusters(kind: str, n: int, times: int) -> None:
    """Rows of a cluster are alike in what most others do not score."""
    (often, parts), rng, hits = ALIKE[kind], np.random.default_rng(n), []
    for _ in range(times):
        clusters = clusters_of(rng, n, 3)
        scores = mostly_alike(rng, chances(rng, clusters, parts[0][0], 0.2), often, parts)
        low, high = interval(TOKEN_F1, rows_of(scores, clusters), seed=0)
        hits.append(low <= mean_of(often, parts) <= high)
    assert rate_is_right(hits, lowest=0.9, highest=0.995)


@pytest.mark.parametrize("kind", ["good extractor", "hardly anything right"])
@pytest.mark.parametrize(("n", "times"), [(40, 150), (200, 100)])
def test_intervals_over_fits_where_most_rows_score_the_same(kind: str, n: int, times: int) -> None:
    """Three fits, of rows that are as hard to all of them as not."""
    (often, parts), rng, hits = ALIKE[kind], np.random.default_rng(n), []
    for _ in range(times):
        hard = np.where(rng.random(n) < 0.5, 1.8, 0.2) * parts[0][0]
        fits = [rows_of(mostly_alike(rng, hard, often, parts)) for _ in range(3)]
        low, high = interval_over_fits(TOKEN_F1, fits, seed=0)
        hits.append(low <= mean_of(often, parts) <= high)
    assert rate_is_right(hits, highest=0.995)


@pytest.mark.parametrize(("n", "labels"), [(30, 2), (60, 5), (200, 5)])
def test_intervals_of_macro_f1(n: int, labels: int) -> None:
    """The truth follows from the confusion matrix: 75 % know the label, the others guess evenly."""
    rng, hits = np.random.default_rng(n), []
    truth = 0.75 + 0.25 / labels
    for _ in range(200):
        targets = rng.integers(0, labels, n)
        named = np.where(rng.random(n) < 0.75, targets, rng.integers(0, labels, n))
        rows = score_rows(MACRO_F1, [str(label) for label in named], [(str(label),) for label in targets])
        low, high = interval(MACRO_F1, rows, seed=0)
        hits.append(low <= truth <= high)
    assert rate_is_right(hits, highest=0.99)


@pytest.mark.parametrize("found", [0.85, 0.6, 0.3])
@pytest.mark.parametrize(("n", "rare"), [(62, 9), (40, 4), (200, 20)])
def test_intervals_of_macro_f1_where_a_label_is_rare(n: int, rare: int, found: float) -> None:
    """As drawn by label; the truth is that of the expected counts. Few rows leave few values that there can be."""
    rng, hits, wrongly = np.random.default_rng(n), [], 0.02
    hit, alarm = rare * found, (n - rare) * wrongly
    truth = hit / (rare + hit + alarm) + (n - rare - alarm) / (2 * (n - rare) - alarm + rare - hit)
    targets = ["rare"] * rare + ["other"] * (n - rare)
    for _ in range(100):
        named = np.where(rng.random(n) < np.repeat([found, wrongly], [rare, n - rare]), "rare", "other")
        low, high = interval(MACRO_F1, score_rows(MACRO_F1, named.tolist(), [(t,) for t in targets]), seed=0)
        hits.append(low <= truth <= high)
    assert rate_is_right(hits, highest=0.999)


# ---- differences -----------------------------------------------------------------------------------------------------


def two_strategies(
    rng: np.random.Generator, metric: Metric, n: int, difference: float, mean_size: float | None
) -> tuple[list[ScoredRow], list[ScoredRow]]:
    """Answers of two strategies that find the same rows hard; with a mean size, in clusters."""
    clusters = clusters_of(rng, n, mean_size) if mean_size else np.arange(n)
    hard = chances(rng, clusters, 0.6, 0.3)
    chance_a, chance_b = hard, hard * (1 - difference / 0.6)
    if metric is ACCURACY:
        return tuple(rows_of(rng.random(len(p)) < p, clusters) for p in (chance_a, chance_b))  # type: ignore[return-value]
    scores = (rng.beta(6 * p + 0.01, 6 * (1 - p) + 0.01) for p in (chance_a, chance_b))
    return tuple(rows_of(values, clusters) for values in scores)  # type: ignore[return-value]


@pytest.mark.parametrize("mean_size", [None, 3.0])
@pytest.mark.parametrize(("metric", "n"), [(ACCURACY, 20), (ACCURACY, 300), (TOKEN_F1, 20), (TOKEN_F1, 100)])
def test_equal_strategies_are_seldom_told_apart(metric: Metric, n: int, mean_size: float | None) -> None:
    rng, rejected, covered = np.random.default_rng(n), [], []
    for _ in range(200):
        a, b = two_strategies(rng, metric, n, 0.0, mean_size)
        found = paired_difference(metric, a, b, seed=0, resamples=400)
        rejected.append(found.p_value < 0.05)
        covered.append(found.ci95[0] <= 0 <= found.ci95[1])
    assert rate_is_at_most(rejected, 0.06)
    assert rate_is_right(covered, lowest=0.91, highest=0.995)


@pytest.mark.parametrize("mean_size", [None, 3.0])
def test_different_strategies_are_told_apart_and_the_interval_holds_the_difference(mean_size: float | None) -> None:
    rng, rejected, covered = np.random.default_rng(1), [], []
    for _ in range(200):
        a, b = two_strategies(rng, ACCURACY, 300, 0.1, mean_size)
        found = paired_difference(ACCURACY, a, b, seed=0, resamples=400)
        rejected.append(found.p_value < 0.05)
        covered.append(found.ci95[0] <= 0.1 <= found.ci95[1])
    assert rate_is_right(covered)
    assert np.mean(rejected) > 0.4


def test_holm_keeps_the_chance_of_any_false_claim() -> None:
    """Six comparisons among strategies that are all equal."""
    rng, claims, raw_claims = np.random.default_rng(2), [], []
    for _ in range(60):
        chance = rng.beta(2, 2, 100)
        rows = [rows_of(rng.random(100) < chance) for _ in range(4)]
        pairs = [(a, b) for i, a in enumerate(rows) for b in rows[i + 1 :]]
        p_values = [paired_difference(ACCURACY, a, b, seed=0).p_value for a, b in pairs]
        claims.append(min(holm(p_values)) < 0.05)
        raw_claims.append(min(p_values) < 0.05)
    assert rate_is_at_most(claims, 0.05)
    assert sum(claims) < sum(raw_claims)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_no_more_than_raw_p_values_and_no_less_than_bonferroni(
    p_values: list[float], level: float
) -> None:
    adjusted = holm(p_values)
    for raw, new in zip(p_values, adjusted, strict=True):
        assert not new < level or raw < level
        assert new <= min(1, raw * len(p_values)) + 1e-12
    assert all(adjusted[i] <= adjusted[j] for i, p in enumerate(p_values) for j, q in enumerate(p_values) if p <= q)


# ---- fits ------------------------------------------------------------------------------------------------------------


def fits_of(rng: np.random.Generator, hard: Floats, count: int, spread: float) -> list[list[ScoredRow]]:
    """Answers of fits of a strategy that is right three times in four; `spread` is that of its fits, in probits."""
    fits = []
    for _ in range(count):
        latent = np.sqrt(0.8) * hard + np.sqrt(0.2) * rng.normal(size=len(hard)) + spread * rng.normal()
        fits.append(rows_of(latent + norm.ppf(0.75) * np.sqrt(1 + spread**2) > 0))
    return fits


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.2])
def test_intervals_over_three_fits_hold_what_further_fits_would_reach(spread: float) -> None:
    rng, hits, hits_of_one = np.random.default_rng(3), [], []
    for _ in range(200):
        fits = fits_of(rng, rng.normal(size=200), 3, spread)
        low, high = interval_over_fits(ACCURACY, fits, seed=0)
        hits.append(low <= 0.75 <= high)
        low, high = interval(ACCURACY, fits[0], seed=0)
        hits_of_one.append(low <= 0.75 <= high)
    assert rate_is_right(hits)
    assert rate_is_right(hits_of_one) or spread > 0
    assert not rate_is_right(hits_of_one) or spread < 0.2


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.2])
def test_two_fits_are_of_nearly_as_much_use_as_three(spread: float) -> None:
    """Their ranges hold at the same rate, and few are much wider."""
    rng, hits, widths = np.random.default_rng(6), [], []
    for _ in range(200):
        fits = fits_of(rng, rng.normal(size=200), 3, spread)
        (low, high), of_three = (interval_over_fits(ACCURACY, fits[:count], seed=0) for count in (2, 3))
        hits.append(low <= 0.75 <= high)
        widths.append((high - low, of_three[1] - of_three[0]))
    assert rate_is_right(hits)
    wide, wide_of_three = np.quantile(widths, 0.9, axis=0)
    assert wide < 1.6 * wide_of_three


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_two_strategies_that_differ_by_their_seeds_are_seldom_told_apart(spread: float, count: int) -> None:
    rng, rejected, covered = np.random.default_rng(4), [], []
    for _ in range(100):
        hard = rng.normal(size=100)
        a, b = (fits_of(rng, hard, count, spread) for _ in "ab")
        found = paired_difference_over_fits(ACCURACY, a, b, seed=0, resamples=300)
        rejected.append(found.p_value < 0.05)
        covered.append(found.ci95[0] <= 0 <= found.ci95[1])
    assert rate_is_at_most(rejected, 0.06)
    assert rate_is_right(covered, highest=1)


@pytest.mark.parametrize("count", [2, 3])
def test_of_several_tuned_strategies_that_are_equal_hardly_any_two_are_claimed_to_differ(count: int) -> None:
    """Of six, some have fits that came out alike; without regard to the others' spread something is claimed in 38 % of
    draws with two fits, and in 25 % with three."""
    rng, claims = np.random.default_rng(5), []
    for _ in range(40):
        hard = rng.normal(size=300)
        fits = {f"s{i}": fits_of(rng, hard, count, 0.15) for i in range(6)}
        found = paired_differences(ACCURACY, fits, seed=0, resamples=300)
        claims.append(min(holm([pair.p_value for pair in found.values()])) < 0.05)
    assert rate_is_at_most(claims, 0.05)
