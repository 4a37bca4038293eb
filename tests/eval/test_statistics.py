"""Intervals hold the truth at about their rate; comparisons are paired and reproducible."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import sqrt
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t
from statsmodels.stats.proportion import proportion_confint

from eval.contracts import Example, Outcome, Prediction
from eval.harness import scored_rows
from eval.metrics import Metric, ScoredRow, get_metric, score_rows
from eval.statistics import (
    difference_of_fits,
    expected_loss,
    holm,
    interval,
    interval_over_fits,
    paired_difference,
    paired_difference_over_fits,
    paired_differences,
    probability_best,
    resample,
    resample_over_fits,
    rows_needed,
    smallest_difference,
    wilson,
)

ACCURACY, MACRO_F1, TOKEN_F1 = get_metric("accuracy"), get_metric("macro_f1"), get_metric("token_f1")
scores = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def rows_of(values: Sequence[float]) -> list[ScoredRow]:
    return [ScoredRow("", (str(i),), float(value)) for i, value in enumerate(values)]


def labelled(rng: np.random.Generator, targets: Sequence[str], quality: float) -> list[ScoredRow]:
    outputs = [target if rng.random() < quality else str(rng.integers(0, 5)) for target in targets]
    return score_rows(MACRO_F1, outputs, [(target,) for target in targets])


@pytest.mark.parametrize("truth", [0.5, 0.9])
def test_wilson_contains_the_truth_at_about_its_rate(truth: float) -> None:
    draws = np.random.default_rng(0).binomial(50, truth, size=400)
    covered = np.mean([low <= truth <= high for low, high in (wilson(int(k), 50) for k in draws)])
    assert 0.91 <= covered <= 0.99


def test_wilson_knows_nothing_without_rows_and_is_never_certain() -> None:
    assert wilson(0, 0) == (0, 1)
    low, high = wilson(20, 20)
    assert 0.8 < low < 0.9
    assert high == pytest.approx(1)


def test_the_bootstrap_contains_the_mean_at_about_its_rate() -> None:
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(200):
        low, high = interval(TOKEN_F1, rows_of(rng.beta(2, 1, size=60)), seed=0)
        covered.append(low <= 2 / 3 <= high)
    assert 0.89 <= np.mean(covered) <= 0.99


def test_the_bootstrap_contains_macro_f1_at_about_its_rate() -> None:
    rng = np.random.default_rng(2)
    population = labelled(rng, [str(i % 4) for i in range(20_000)], 0.7)
    truth, covered = MACRO_F1.aggregate(population), []
    for _ in range(80):
        sample = [population[i] for i in rng.integers(0, len(population), 100)]
        low, high = interval(MACRO_F1, sample, seed=0)
        covered.append(low <= truth <= high)
    assert 0.88 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize(("wins", "losses", "n"), [(0.1, 0.02, 20), (0.2, 0.1, 50)])
def test_the_paired_interval_contains_the_difference_of_proportions(wins: float, losses: float, n: int) -> None:
    rng, covered = np.random.default_rng(3), []
    for _ in range(300):
        draw, both = rng.random(n), rng.random(n) > 0.5
        a, b = both | (draw < wins), both & (draw >= 0) | ((draw >= wins) & (draw < wins + losses))
        low, high = paired_difference(ACCURACY, rows_of(a), rows_of(b), seed=0).ci95
        covered.append(low <= (wins - losses) / 2 <= high)
    assert np.mean(covered) >= 0.93


@settings(max_examples=40, deadline=None)
@given(scores)
def test_an_interval_holds_the_value_and_stays_in_range(values: list[float]) -> None:
    rows = rows_of(values)
    low, high = interval(TOKEN_F1, rows, seed=0)
    assert -1e-12 <= low <= TOKEN_F1.aggregate(rows) + 1e-9
    assert TOKEN_F1.aggregate(rows) - 1e-9 <= high <= 1


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_equal_scores_are_no_certainty(value: float) -> None:
    few, many = (interval(TOKEN_F1, rows_of([value] * n), seed=0) for n in (10, 100))
    assert 0 < many[1] - many[0] < few[1] - few[0]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_row_that_differs_a_little_makes_nothing_surer(sign: int) -> None:
    """39 rows right and one nearly so are not known better than 40 that are all right."""
    found = []
    for last in (1.0, 0.95, 0.5, 0.0):
        low, high = interval(TOKEN_F1, rows_of([1.0] * 39 + [last] if sign > 0 else [0.0] * 39 + [1 - last]), seed=0)
        found.append((low, high) if sign > 0 else (1 - high, 1 - low))
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(wilson(40, 40))
    assert found[-1][0] <= wilson(39, 40)[0]


@pytest.mark.parametrize(("n", "more"), [(20, 1.2), (40, 1.1), (100, 1.05), (300, 1.02)])
def test_where_all_rows_score_differently_little_is_added(n: int, more: float) -> None:
    """Scores as of ROUGE-L, beside the mean's 95 % range by Student's t."""
    rng = np.random.default_rng(15)
    widths = []
    for _ in range(20):
        scores = rng.beta(2, 3.5, n)
        low, high = interval(TOKEN_F1, rows_of(scores.tolist()), seed=0)
        widths.append((high - low) / (2 * t.ppf(0.975, n - 1) * scores.std(ddof=1) / sqrt(n)))
    assert 0.95 < np.mean(widths) < more


def test_a_proportion_gets_wilson_and_macro_f1_does_not() -> None:
    rows = labelled(np.random.default_rng(0), [str(i % 3) for i in range(60)], 0.6)
    right = int(sum(row.score for row in rows))
    assert interval(ACCURACY, rows, seed=0) == wilson(right, 60)
    assert interval(MACRO_F1, rows, seed=0) != wilson(right, 60)


@pytest.mark.parametrize("metric", [ACCURACY, MACRO_F1])
def test_a_clear_difference_is_found_and_none_is_not_invented(metric: object) -> None:
    rng = np.random.default_rng(4)
    targets = [str(i % 5) for i in range(150)]
    good, bad, alike = (labelled(rng, targets, quality) for quality in (0.9, 0.5, 0.5))
    clear = paired_difference(metric, good, bad, seed=0)  # type: ignore[arg-type]
    assert clear.p_value < 0.01
    assert 0 < clear.ci95[0] < clear.difference < clear.ci95[1]
    unclear = paired_difference(metric, alike, bad, seed=0)  # type: ignore[arg-type]
    assert unclear.p_value > 0.05
    assert unclear.ci95[0] < 0 < unclear.ci95[1]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=15))
def test_a_difference_changes_only_its_sign_when_the_strategies_swap(pairs: list[tuple[float, float]]) -> None:
    a, b = rows_of([first for first, _ in pairs]), rows_of([second for _, second in pairs])
    one, other = (paired_difference(TOKEN_F1, *rows, seed=0, resamples=200) for rows in ((a, b), (b, a)))
    assert one.difference == pytest.approx(-other.difference)
    assert one.p_value == pytest.approx(other.p_value, abs=0.1)
    assert one.ci95[0] <= one.difference <= one.ci95[1]


def test_the_mcnemar_p_value_is_exact() -> None:
    a, b = rows_of([1] * 6 + [0] * 4 + [1] * 10), rows_of([0] * 6 + [0] * 4 + [1] * 10)
    assert paired_difference(ACCURACY, a, b, seed=0).p_value == pytest.approx(2 / 2**6)


@pytest.mark.parametrize("metric", [ACCURACY, MACRO_F1, TOKEN_F1])
def test_the_same_answers_differ_by_nothing_but_leave_doubt(metric: object) -> None:
    rows = rows_of([1, 0, 1, 1, 0] * 4)
    same = paired_difference(metric, rows, rows, seed=0)  # type: ignore[arg-type]
    assert (same.difference, same.p_value) == (0, 1)
    assert same.ci95[0] == pytest.approx(-same.ci95[1])
    assert 0.05 < same.ci95[1] < 0.25
    assert same.ci95[1] == pytest.approx(1.96 * same.standard_error, rel=0.01)


def test_a_constant_difference_is_no_certainty_either() -> None:
    constant = paired_difference(TOKEN_F1, rows_of([0.9] * 20), rows_of([0.4] * 20), seed=0)
    assert constant.p_value < 0.01
    assert 0.3 < constant.ci95[0] < 0.5 < constant.ci95[1] < 0.7


@pytest.mark.parametrize("n", [20, 40, 100])
@pytest.mark.parametrize("differ", [0, 1, 4])
def test_answers_that_are_right_or_wrong_are_as_sure_by_every_metric(n: int, differ: int) -> None:
    """Of labels that are equally frequent, a row of which weighs as much in macro F1 as in accuracy."""
    targets = ["ab"[i % 2] for i in range(n)]
    a = score_rows(MACRO_F1, targets, [(target,) for target in targets])
    b = [replace(row, output="", score=0.0) if i < differ else row for i, row in enumerate(a)]
    wanted = paired_difference(ACCURACY, a, b, seed=0)
    token_f1, macro_f1 = (paired_difference(m, a, b, seed=0) for m in (TOKEN_F1, MACRO_F1))
    assert token_f1.standard_error == pytest.approx(wanted.standard_error, rel=0.05)
    assert 0.7 < macro_f1.standard_error / wanted.standard_error < 1.05  # no label is named in place of the right one
    for found in (token_f1, macro_f1):
        assert found.ci95[1] - found.ci95[0] == pytest.approx(wanted.ci95[1] - wanted.ci95[0], rel=0.3)


@pytest.mark.parametrize(("n", "more"), [(40, 1.15), (100, 1.05), (300, 1.05)])
def test_where_all_rows_differ_by_some_part_little_is_added(n: int, more: float) -> None:
    rng = np.random.default_rng(31)
    base = rng.uniform(0.3, 0.7, n)
    a, b = rows_of(base + rng.normal(0, 0.15, n)), rows_of(base + rng.normal(0, 0.15, n))
    of_rows = np.std([x.score - y.score for x, y in zip(a, b, strict=True)], ddof=1) / sqrt(n)
    assert of_rows < paired_difference(TOKEN_F1, a, b, seed=0).standard_error < more * of_rows


def test_a_rare_label_leaves_as_much_doubt_of_macro_f1_as_its_few_rows_do() -> None:
    """Ten rows make half of the metric: as sure as 2 × the harmonic mean of 10 and 290 rows."""
    even, uneven = (
        paired_difference(MACRO_F1, rows, rows, seed=0).standard_error
        for rows in ([ScoredRow(t, (t,), 1.0) for t in "a" * few + "b" * (300 - few)] for few in (150, 10))
    )
    assert even == pytest.approx(sqrt(2) / 302)
    assert uneven == pytest.approx(sqrt(2) / (2 * 2 / (1 / 10 + 1 / 290) + 2))


def test_copies_of_a_rare_labels_rows_are_no_more_than_the_rows_themselves() -> None:
    """Ten rows of the rare label that are four texts."""

    def error(clusters: Sequence[str]) -> float:
        rare = [ScoredRow("b", ("b",), 1.0, cluster) for cluster in clusters]
        rows = [ScoredRow("a", ("a",), 1.0)] * 290 + rare
        return paired_difference(MACRO_F1, rows, rows, seed=0).standard_error

    four, copied, ten = error([""] * 4), error([f"c{i % 4}" for i in range(10)]), error([""] * 10)
    assert copied == pytest.approx(four, rel=0.1)
    assert four > 1.8 * ten


def test_one_row_proves_nothing() -> None:
    for metric in (ACCURACY, MACRO_F1, TOKEN_F1):
        one = paired_difference(metric, rows_of([1]), rows_of([0]), seed=0)
        assert one.p_value == 1
        assert one.ci95[1] - one.ci95[0] > 0.5


def test_different_examples_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same rows"):
        paired_difference(ACCURACY, rows_of([1, 0]), rows_of([1, 0])[::-1], seed=0)


@settings(max_examples=25, deadline=None)  # statsmodels collects garbage at every call.
@given(st.lists(st.floats(0, 1), max_size=10))
def test_holm_never_rejects_more_than_the_raw_p_values(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert len(adjusted) == len(p_values)
    assert all(raw <= new <= 1 for raw, new in zip(p_values, adjusted, strict=True))


@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_is_that_of_statsmodels(n: int, share: float) -> None:
    theirs = proportion_confint(share * n, n, alpha=0.05, method="wilson")
    assert wilson(share * n, n) == pytest.approx(theirs, abs=1e-12)


def test_the_chance_of_being_best_adds_up_and_ties_share_it() -> None:
    values = np.random.default_rng(5).random(40)
    rows = {"a": rows_of(values), "twin": rows_of(values), "worse": rows_of(values * 0.5)}
    resampled = resample(TOKEN_F1, rows, seed=0)
    assert probability_best(resampled) == {"a": 0.5, "twin": 0.5, "worse": 0}
    losses = expected_loss(resampled)
    assert losses["a"] == losses["twin"] == 0
    assert losses["worse"] == pytest.approx(values.mean() / 2, rel=0.1)


def test_the_seed_alone_fixes_the_draws() -> None:
    rows = {"a": rows_of(np.linspace(0, 1, 30))}
    one, same, other = (resample(TOKEN_F1, rows, seed=seed)["a"] for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def with_rare(wrong: Collection[int], rare: int = 9, n: int = 62) -> list[ScoredRow]:
    """Answers to rows of which the first few have a rare label; a wrong one names the other label."""
    labels = ["spam" if i < rare else "ham" for i in range(n)]
    answers = [label if i not in wrong else "ham" if label == "spam" else "spam" for i, label in enumerate(labels)]
    return [ScoredRow(a, (t,), float(a == t)) for a, t in zip(answers, labels, strict=True)]


def test_answers_that_are_as_good_have_the_same_range_whichever_is_wrong() -> None:
    """With 2,000 resamples and no bound on the correction for skew, the lower end was anywhere from 56 to 82 points."""
    lows = [interval(MACRO_F1, with_rare({row}), seed)[0] for row in range(9) for seed in range(3)]
    assert max(lows) - min(lows) < 0.04


def test_a_difference_in_a_rare_label_has_the_same_range_whatever_the_seed() -> None:
    """The upper end was anywhere from 20 to 32 points with 2,000 resamples."""
    found = [paired_difference(MACRO_F1, with_rare(()), with_rare({1}), seed) for seed in range(10)]
    highs = [pair.ci95[1] for pair in found]
    assert max(highs) - min(highs) < 0.04


def test_draws_do_not_depend_on_the_pieces_they_are_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"a": rows_of(np.linspace(0, 1, 30))}
    whole = resample(TOKEN_F1, rows, seed=1)["a"]
    monkeypatch.setattr("eval.resampling._CELLS", 30 * 7)
    assert np.allclose(resample(TOKEN_F1, rows, seed=1)["a"], whole)


@pytest.mark.parametrize("metric", [MACRO_F1, TOKEN_F1])
def test_what_all_rows_show_stays_significant_among_many_pairs(metric: Metric) -> None:
    """2,000 swaps give a p-value of 0.0005 at the least, and Holm's is 66 times that among twelve strategies."""
    rng = np.random.default_rng(11)
    targets = [str(i % 2) for i in range(60)]
    fits = {f"s{i}": [labelled(rng, targets, 0.3)] for i in range(11)} | {"best": [labelled(rng, targets, 1.0)]}
    found = paired_differences(metric, fits, seed=0)
    adjusted = dict(zip(found, holm([pair.p_value for pair in found.values()]), strict=True))
    assert all(p < 0.03 for names, p in adjusted.items() if "best" in names)
    assert found == paired_differences(metric, fits, seed=0)
    assert min(p for names, p in adjusted.items() if "best" not in names) > 0.05


def test_all_pairs_are_found_as_each_is() -> None:
    rng = np.random.default_rng(12)
    fits = {name: fits_of(rng, qualities) for name, qualities in {"a": [0.8], "b": [0.6], "c": [0.5] * 3}.items()}
    for metric in (ACCURACY, MACRO_F1, TOKEN_F1):
        for (a, b), pair in paired_differences(metric, fits, seed=0).items():
            assert pair == paired_difference_over_fits(metric, fits[a], fits[b], seed=0)


def test_swaps_are_all_tried_where_they_are_few() -> None:
    """Of the 2⁶ ways to swap, two make the difference as great."""
    a, b = rows_of([0.9] * 6), rows_of([0.4] * 6)
    assert paired_difference(TOKEN_F1, a, b, seed=0).p_value == 2 / 2**6


def test_the_jackknife_leaves_out_no_more_than_a_thousand_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(np.random.default_rng(13).beta(4, 1, 400))
    one_by_one = interval(TOKEN_F1, rows, seed=0)
    monkeypatch.setattr("eval.resampling._MOST_LEFT_OUT", 40)
    assert interval(TOKEN_F1, rows, seed=0) == pytest.approx(one_by_one, abs=0.002)


@pytest.mark.parametrize("metric", [MACRO_F1, TOKEN_F1], ids=lambda metric: metric.name)
def test_all_pairs_of_fourteen_strategies_take_seconds(metric: Metric) -> None:
    rng = np.random.default_rng(14)
    targets = [str(i % 77) for i in range(1000)]
    named = {name: [rng.permutation(targets) for _ in range(1 + name % 3)] for name in range(14)}
    fits = {
        str(name): [[ScoredRow(o, (t,), float(o == t)) for o, t in zip(of, targets, strict=True)] for of in of_name]
        for name, of_name in named.items()
    }
    start = process_time()
    assert len(paired_differences(metric, fits, seed=0)) == 91
    assert process_time() - start < 15  # once for each pair it took minutes


def test_ten_strategies_with_few_rows_that_decide_are_resampled_within_seconds() -> None:
    fits = {f"s{i}": [with_rare(wrong={i % 3, 3 + i % 5, 7 + i}, rare=6, n=1000)] for i in range(10)}
    start = process_time()
    assert all(interval_over_fits(MACRO_F1, of_name, seed=0)[0] > 0.4 for of_name in fits.values())
    assert len(paired_differences(MACRO_F1, fits, seed=0)) == 45
    assert process_time() - start < 8


def test_ten_strategies_are_resampled_within_a_second() -> None:
    rng = np.random.default_rng(6)
    targets = [str(i % 20) for i in range(200)]
    rows = {f"s{i}": labelled(rng, targets, 0.5 + i / 25) for i in range(10)}
    start = process_time()
    assert sum(probability_best(resample(MACRO_F1, rows, seed=0)).values()) == pytest.approx(1)
    assert process_time() - start < 1


# ---- clusters --------------------------------------------------------------------------------------------------------


def clustered(rows: Sequence[ScoredRow], size: int) -> list[ScoredRow]:
    """Every `size` rows share a cluster."""
    return [replace(row, cluster=f"c{i // size}") for i, row in enumerate(rows)]


def test_a_strategy_whose_fits_differ_varies_more_over_the_resamples_than_its_rows_do() -> None:
    good, bad = rows_of([1] * 60), rows_of([0] * 60)
    steady = resample_over_fits(ACCURACY, {"a": [good, good, good]}, seed=0)["a"]
    wavering = resample_over_fits(ACCURACY, {"a": [good, good, bad]}, seed=0)["a"]
    assert steady.std() == 0
    assert wavering.mean() == pytest.approx(2 / 3, abs=0.02)
    assert wavering.std() == pytest.approx(np.sqrt(2 / 9 / 3), rel=0.1)  # of a mean of three draws from 1, 1, 0


def test_groups_of_examples_are_the_clusters_of_rows() -> None:
    examples = [Example("1", "a", ("x",), group="g"), Example("2", "b", ("x",))]
    rows = scored_rows([Outcome(example, Prediction("x"), 1.0, 0.0) for example in examples])
    assert [row.cluster for row in rows] == ["g", ""]


@pytest.mark.parametrize("metric", [ACCURACY, MACRO_F1, TOKEN_F1])
def test_clusters_of_one_row_change_nothing(metric: object) -> None:
    rng = np.random.default_rng(7)
    a, b = (labelled(rng, [str(i % 4) for i in range(40)], quality) for quality in (0.8, 0.6))
    for one, other in ((a, b), (clustered(a, 1), clustered(b, 1))):
        found = (
            interval(metric, one, seed=0),  # type: ignore[arg-type]
            paired_difference(metric, one, other, seed=0),  # type: ignore[arg-type]
            resample(metric, {"a": one}, seed=0)["a"].tolist(),  # type: ignore[arg-type]
        )
        if one is a:
            alone = found
    assert found == alone


@pytest.mark.parametrize("metric", [ACCURACY, MACRO_F1, TOKEN_F1])
def test_copies_of_a_row_bring_no_further_evidence(metric: object) -> None:
    rng = np.random.default_rng(8)
    a, b = (labelled(rng, [str(i % 4) for i in range(60)], quality) for quality in (0.8, 0.6))
    copies_a, copies_b = ([row for row in clustered(rows, 1) for _ in range(5)] for rows in (a, b))
    low, high = interval(metric, a, seed=0)  # type: ignore[arg-type]
    low_of_copies, high_of_copies = interval(metric, copies_a, seed=0)  # type: ignore[arg-type]
    assert (low_of_copies, high_of_copies) == pytest.approx((low, high), abs=0.01)
    one = paired_difference(metric, a, b, seed=0)  # type: ignore[arg-type]
    of_copies = paired_difference(metric, copies_a, copies_b, seed=0)  # type: ignore[arg-type]
    assert of_copies.ci95 == pytest.approx(one.ci95, abs=0.02)
    assert of_copies.standard_error == pytest.approx(one.standard_error, rel=0.1)
    assert of_copies.p_value == pytest.approx(one.p_value, abs=0.02)


def test_clusters_are_resampled_whole() -> None:
    """Two clusters: resamples hold only the first, only the second, or each once."""
    rows = clustered(rows_of([0, 0, 0, 1, 1, 1]), 3)
    assert set(resample(ACCURACY, {"a": rows}, seed=0)["a"].tolist()) == {0, 0.5, 1}


@pytest.mark.parametrize("metric", [ACCURACY, TOKEN_F1])
def test_what_one_cluster_shows_proves_nothing(metric: object) -> None:
    a, b = clustered(rows_of([1] * 50), 50), clustered(rows_of([0] * 50), 50)
    low, high = interval(metric, a, seed=0)  # type: ignore[arg-type]
    assert high - low > 0.5
    difference = paired_difference(metric, a, b, seed=0)  # type: ignore[arg-type]
    assert difference.p_value == 1
    assert difference.ci95[1] - difference.ci95[0] > 0.5


def test_perfect_clusters_count_as_rows() -> None:
    low, high = interval(ACCURACY, clustered(rows_of([1] * 60), 3), seed=0)
    assert wilson(20, 20)[0] - 0.05 < low < wilson(20, 20)[0]
    assert high == pytest.approx(1)


def test_different_clusters_are_not_compared() -> None:
    rows = rows_of([1, 0, 1, 0])
    with pytest.raises(ValueError, match="same rows"):
        paired_difference(ACCURACY, clustered(rows, 2), rows, seed=0)


# ---- fits ------------------------------------------------------------------------------------------------------------


def fits_of(rng: np.random.Generator, qualities: Sequence[float], n: int = 80) -> list[list[ScoredRow]]:
    return [labelled(rng, [str(i % 4) for i in range(n)], quality) for quality in qualities]


@pytest.mark.parametrize("metric", [ACCURACY, MACRO_F1, TOKEN_F1])
def test_one_fit_has_the_interval_and_the_difference_of_its_rows(metric: object) -> None:
    a, b = fits_of(np.random.default_rng(9), (0.8, 0.6))
    assert interval_over_fits(metric, [a], seed=0) == interval(metric, a, seed=0)  # type: ignore[arg-type]
    assert paired_difference_over_fits(metric, [a], [b], seed=0) == paired_difference(  # type: ignore[arg-type]
        metric,  # type: ignore[arg-type]
        a,
        b,
        seed=0,
    )


@pytest.mark.parametrize("metric", [ACCURACY, MACRO_F1, TOKEN_F1])
def test_fits_that_answer_alike_are_as_sure_as_one(metric: object) -> None:
    (rows,) = fits_of(np.random.default_rng(10), (0.8,))
    alike = interval_over_fits(metric, [rows] * 3, seed=0)  # type: ignore[arg-type]
    assert alike == pytest.approx(interval(metric, rows, seed=0), abs=0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", [ACCURACY, MACRO_F1, TOKEN_F1])
def test_fits_of_different_quality_widen_the_interval_and_the_difference(metric: object) -> None:
    rng = np.random.default_rng(11)
    level, uneven, (other,) = fits_of(rng, (0.7, 0.7, 0.7)), fits_of(rng, (0.4, 0.7, 1.0)), fits_of(rng, (0.3,))
    narrow, wide = (interval_over_fits(metric, fits, seed=0) for fits in (level, uneven))  # type: ignore[arg-type]
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])
    sure, unsure = (
        paired_difference_over_fits(metric, fits, [other], seed=0)  # type: ignore[arg-type]
        for fits in (level, uneven)
    )
    assert sure.difference == pytest.approx(unsure.difference, abs=0.1)
    assert sure.p_value < 0.01 < unsure.p_value
    assert sure.standard_error * 1.5 < unsure.standard_error
    assert unsure.ci95[0] < 0 < sure.ci95[0]


@pytest.mark.parametrize("metric", [ACCURACY, MACRO_F1, TOKEN_F1])
def test_fits_that_differ_by_what_is_due_to_their_rows_widen_nothing(metric: object) -> None:
    level = fits_of(np.random.default_rng(30), (0.7, 0.7, 0.7))
    values = [metric.aggregate(rows) for rows in level]  # type: ignore[attr-defined]
    assert 0.03 < np.std(values, ddof=1) < 0.05, "the standard error of each"
    several, alone = (interval_over_fits(metric, fits, seed=0) for fits in (level, level[:1]))  # type: ignore[arg-type]
    assert several[1] - several[0] < alone[1] - alone[0]


def test_the_value_of_several_fits_is_their_mean() -> None:
    a, b = fits_of(np.random.default_rng(12), (0.5, 0.9, 0.7)), fits_of(np.random.default_rng(13), (0.3, 0.5))
    means = [np.mean([MACRO_F1.aggregate(rows) for rows in fits]) for fits in (a, b)]
    difference = paired_difference_over_fits(MACRO_F1, a, b, seed=0)
    assert difference.difference == pytest.approx(means[0] - means[1])
    low, high = interval_over_fits(MACRO_F1, a, seed=0)
    assert low < means[0] < high


def test_fits_on_different_rows_are_not_joined() -> None:
    (rows,) = fits_of(np.random.default_rng(14), (0.8,))
    with pytest.raises(ValueError, match="same rows"):
        interval_over_fits(ACCURACY, [rows, rows[::-1]], seed=0)


# ---- power -----------------------------------------------------------------------------------------------------------


def test_the_smallest_difference_is_found_with_its_power() -> None:
    """20,000 simulated studies, each with a true difference of just that size."""
    error = sqrt(0.2 / 200)
    truth = smallest_difference(error)
    observed = np.random.default_rng(15).normal(truth, error, size=20_000)
    assert np.mean(np.abs(observed) > 1.96 * error) == pytest.approx(0.8, abs=0.01)
    assert smallest_difference(error, power=0.9) > truth
    assert smallest_difference(error / 2) == pytest.approx(truth / 2)


@pytest.mark.parametrize(("difference", "margin"), [(-0.004, 0.01), (0.02, 0.01), (-0.03, 0.01)])
def test_rows_needed_settle_on_which_side_of_the_margin_the_difference_is(difference: float, margin: float) -> None:
    needed = rows_needed(difference, standard_error=0.02, n=100, margin=margin)
    assert needed is not None
    observed = np.random.default_rng(17).normal(size=20_000) * (error := 0.02 * sqrt(100 / needed)) + difference
    settled = np.abs(observed + margin) > 1.645 * error
    assert np.mean(settled & (np.sign(observed + margin) == np.sign(difference + margin))) == pytest.approx(
        0.8, abs=0.02
    )
    assert rows_needed(difference, standard_error=0.02, n=100, margin=margin, power=0.5) < needed  # type: ignore[operator]


def test_no_number_of_rows_settles_a_difference_that_is_the_margin() -> None:
    assert rows_needed(-0.01, standard_error=0.02, n=100, margin=0.01) is None


def test_the_spread_between_fits_does_not_shrink_with_the_rows() -> None:
    """An error of 3 points of rows and 4 of fits: with ten times the rows it is 4.1, and never under 4."""
    assert rows_needed(0.02, standard_error=0.05, n=100, margin=0.0, fit_error=0.04) is None
    needed = rows_needed(0.12, standard_error=0.05, n=100, margin=0.0, fit_error=0.04)
    assert needed is not None
    assert (1.645 + 0.842) * sqrt(0.03**2 * 100 / needed + 0.04**2) == pytest.approx(0.12, rel=0.001)
    alone = rows_needed(0.12, standard_error=0.03, n=100, margin=0.0)
    assert alone is not None
    assert needed > alone


def test_what_fits_add_to_the_error_of_a_difference_is_told_apart() -> None:
    rng = np.random.default_rng(16)
    several, one = fits_of(rng, (0.5, 0.9, 0.7)), fits_of(rng, (0.6,))
    found, of_rows = (paired_difference_over_fits(ACCURACY, fits, one, seed=0) for fits in (several, several[:1]))
    assert 0.05 < found.fit_error < found.standard_error
    assert of_rows.fit_error == 0


@pytest.mark.parametrize("metric", [ACCURACY, MACRO_F1, TOKEN_F1])
def test_fits_that_come_out_alike_are_no_surer_than_those_of_others_usually_are(metric: Metric) -> None:
    rng = np.random.default_rng(18)
    same, once = fits_of(rng, (0.7,)), fits_of(rng, (0.5,))
    fits = {"alike": same * 3, "apart": fits_of(rng, (0.5, 0.9, 0.7)), "once": once}
    alone = paired_difference_over_fits(metric, fits["alike"], once, seed=0)
    beside, widest = (paired_differences(metric, fits, seed=0)[name, "once"] for name in ("alike", "apart"))
    assert alone.fit_error == pytest.approx(0, abs=1e-6)
    assert beside.fit_error**2 == pytest.approx(widest.fit_error**2 / 2)
    assert beside.p_value > alone.p_value
    assert beside.ci95[1] - beside.ci95[0] > alone.ci95[1] - alone.ci95[0]
    assert widest == paired_difference_over_fits(metric, fits["apart"], once, seed=0), "it is the mean or more"


@pytest.mark.parametrize("metric", [ACCURACY, MACRO_F1, TOKEN_F1])
def test_two_fits_may_differ_as_much_as_fits_with_other_seeds_do(metric: Metric) -> None:
    """The more lots of them show how much that is, the surer it is."""
    rng = np.random.default_rng(19)
    (more, fewer), uneven = fits_of(rng, (0.8, 0.6)), fits_of(rng, (0.5, 0.7, 0.9))
    known = paired_difference(metric, more, fewer, seed=0)
    lone, alike, apart, often = (
        difference_of_fits(metric, more, fewer, repeats, seed=0)
        for repeats in ([[more]], [[more] * 3], [uneven], [uneven] * 5)
    )
    assert lone == (known.difference, known.ci95)
    assert alike[1] == pytest.approx(known.ci95, abs=1e-6)
    assert apart[1][0] < often[1][0] < known.ci95[0] < known.difference < known.ci95[1] < often[1][1] <= apart[1][1]
    assert difference_of_fits(metric, more, fewer, [uneven, [more], [[], []]], seed=0) == apart


# ---- the ends of a proportion ----------------------------------------------------------------------------------------


def test_none_and_all_are_within_their_own_range() -> None:
    for n in range(1, 200):
        assert wilson(0, n)[0] == 0
        assert wilson(n, n)[1] == 1
