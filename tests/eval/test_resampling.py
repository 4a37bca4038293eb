"""What is resampled once for all strategies agrees with scipy, which resamples each pair anew."""

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, permutation_test, t

from eval.metrics import Floats, Metric, ScoredRow, get_metric, score_rows
from eval.resampling import (
    bca,
    clusters_of,
    degrees_of_freedom,
    draw_weights,
    draws_wanted,
    effective_rows,
    leave_out_weights,
    swap_tests,
    values_on,
)

ROWS = 60
RESAMPLES = 20_000
MACRO_F1, TOKEN_F1 = get_metric("macro_f1"), get_metric("token_f1")


def answered(metric: Metric, quality: float, seed: int) -> list[ScoredRow]:
    """Answers of one word of three to questions that are the same for every seed."""
    words, rng = ["red", "green", "blue"], np.random.default_rng(seed)
    targets = [words[number] for number in np.random.default_rng(0).integers(0, 3, ROWS)]
    outputs = [target if rng.random() < quality else f"{rng.choice(words)} or {target}" for target in targets]
    if metric is MACRO_F1:
        outputs = [output.split()[0] for output in outputs]
    return score_rows(metric, outputs, [(target,) for target in targets])


@pytest.mark.parametrize("metric", [TOKEN_F1, MACRO_F1], ids=lambda metric: metric.name)
def test_intervals_are_those_of_scipy(metric: Metric) -> None:
    rows = answered(metric, 0.7, 1)
    clusters = clusters_of(rows)
    drawn = values_on(metric, {"": [rows]}, draw_weights(clusters, RESAMPLES, 0))[""][0]
    without = values_on(metric, {"": [rows]}, leave_out_weights(clusters))[""][0]
    found = bca(metric.aggregate(rows), drawn, without, ROWS - 1)

    raised = 1 - 2 * norm.cdf(np.sqrt(ROWS / (ROWS - 1)) * t.ppf(0.025, ROWS - 1))
    theirs = bootstrap(
        (np.arange(ROWS),),
        lambda places: metric.aggregate([rows[place] for place in places]),
        vectorized=False,
        n_resamples=4000,
        confidence_level=raised,
        rng=np.random.default_rng(1),
    )

    assert found is not None
    assert found == pytest.approx((*theirs.confidence_interval, theirs.standard_error), abs=0.01)


def resampled(scores: Floats) -> tuple[Floats, Floats, float]:
    """Means of rows with these scores on resamples of them and those without one of them, and degrees of freedom."""
    rows = [ScoredRow("", ("",), score) for score in scores]
    clusters = clusters_of(rows)
    drawn = values_on(TOKEN_F1, {"": [rows]}, draw_weights(clusters, RESAMPLES, 0))[""][0]
    without = values_on(TOKEN_F1, {"": [rows]}, leave_out_weights(clusters))[""][0]
    return drawn, without, len(rows) - 1


def test_ends_are_moved_as_scipy_moves_them_where_scores_lean_to_one_side() -> None:
    scores = np.random.default_rng(0).beta(1, 0.5, size=15)
    drawn, without, freedom = resampled(scores)
    found = bca(scores.mean(), drawn, without, freedom)

    raised = 1 - 2 * norm.cdf(np.sqrt((freedom + 1) / freedom) * t.ppf(0.025, freedom))
    ends = {
        method: bootstrap(
            (scores,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=raised,
            method=method,
            rng=np.random.default_rng(1),
        ).confidence_interval
        for method in ("BCa", "percentile")
    }

    assert found is not None
    assert found[:2] == pytest.approx(tuple(ends["BCa"]), abs=0.01)
    assert found[:2] != pytest.approx(tuple(ends["percentile"]), abs=0.02), "else the correction would not be seen"


def test_ends_are_moved_no_farther_than_where_a_fifth_of_the_draws_lies_beyond() -> None:
    """One row of fifteen makes nearly all of the skew; scipy's end lies at one resample in 7,500."""
    scores = np.random.default_rng(0).beta(1, 0.1, size=15)
    drawn, without, freedom = resampled(scores)
    found = bca(scores.mean(), drawn, without, freedom)
    plain = norm.cdf(np.sqrt((freedom + 1) / freedom) * t.ppf(0.025, freedom))
    assert found is not None
    assert found[0] == np.quantile(drawn, plain / 5)


@pytest.mark.parametrize("metric", [TOKEN_F1, MACRO_F1], ids=lambda metric: metric.name)
@pytest.mark.parametrize("other", [0.55, 0.3])
def test_p_values_are_those_of_scipy(metric: Metric, other: float) -> None:
    a, b = answered(metric, 0.7, 1), answered(metric, other, 2)
    (found,) = swap_tests(metric, [[(a, b)]], clusters_of(a), 0, RESAMPLES)

    both = [*a, *b]

    def difference(mine: np.ndarray, theirs: np.ndarray) -> float:
        first, second = ([both[place] for place in places] for places in (mine, theirs))
        return float(metric.aggregate(first) - metric.aggregate(second))

    places = (np.arange(ROWS), np.arange(ROWS) + ROWS)
    theirs = permutation_test(
        places, difference, permutation_type="samples", n_resamples=4000, rng=np.random.default_rng(1)
    )

    assert found == pytest.approx(theirs.pvalue, abs=0.02)


def test_rows_in_clusters_count_as_many_as_the_jackknife_has_them() -> None:
    sizes, rng = [1, 2, 3, 5, 9, 40], np.random.default_rng(3)
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    values = rng.random(len(sizes))[clusters] + 0.1 * rng.random(len(clusters))
    shifts = np.array([values[clusters != left_out].mean() for left_out in range(len(sizes))]) - values.mean()
    variance = (len(sizes) - 1) / len(sizes) * (shifts**2).sum()
    for_few = (norm.ppf(0.025) / t.ppf(0.025, degrees_of_freedom(clusters))) ** 2
    assert effective_rows(values, clusters) == pytest.approx(values.var() / variance * for_few)


def test_more_is_drawn_only_where_few_draws_lie_beyond_an_end() -> None:
    even, uneven = np.linspace(0, 1, ROWS), np.array([0.0] + [1.0] * (ROWS - 1))
    counts = []
    for scores in (even, uneven, np.ones(ROWS)):
        drawn, without, _ = resampled(scores)
        counts.append(draws_wanted(float(scores.mean()), drawn[:2000], without, np.arange(ROWS)))
    assert counts[0] == counts[2] == 2000
    assert 4000 < counts[1] <= 20_000
