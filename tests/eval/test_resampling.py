"""What is resampled once for all strategies agrees with scipy, which resamples each pair anew."""

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, permutation_test, t

from eval.metrics import Metric, ScoredRow, get_metric, score_rows
from eval.resampling import bca, clusters_of, draw_weights, leave_out_weights, swap_tests, values_on

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
