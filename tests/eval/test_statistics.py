"""Intervals hold the truth at about their rate; comparisons are paired and reproducible."""

from collections.abc import Sequence
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import ScoredRow, get_metric, score_rows
from eval.statistics import (
    bootstrap_interval,
    expected_loss,
    holm,
    interval,
    paired_difference,
    probability_best,
    resample,
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
        low, high = bootstrap_interval(TOKEN_F1, rows_of(rng.beta(2, 1, size=60)), seed=0, resamples=600)
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
    low, high = bootstrap_interval(TOKEN_F1, rows, seed=0, resamples=200)
    assert -1e-12 <= low <= TOKEN_F1.aggregate(rows) + 1e-9
    assert TOKEN_F1.aggregate(rows) - 1e-9 <= high <= 1


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_equal_scores_are_no_certainty(value: float) -> None:
    few, many = (bootstrap_interval(TOKEN_F1, rows_of([value] * n), seed=0) for n in (10, 100))
    assert 0 < many[1] - many[0] < few[1] - few[0]


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


def test_a_constant_difference_is_no_certainty_either() -> None:
    constant = paired_difference(TOKEN_F1, rows_of([0.9] * 20), rows_of([0.4] * 20), seed=0)
    assert constant.p_value < 0.01
    assert 0.3 < constant.ci95[0] < 0.5 < constant.ci95[1] < 0.7


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


def test_draws_do_not_depend_on_the_pieces_they_are_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"a": rows_of(np.linspace(0, 1, 30))}
    whole = resample(TOKEN_F1, rows, seed=1)["a"]
    monkeypatch.setattr("eval.statistics._CELLS", 30 * 7)
    assert np.allclose(resample(TOKEN_F1, rows, seed=1)["a"], whole)


def test_ten_strategies_are_resampled_within_a_second() -> None:
    rng = np.random.default_rng(6)
    targets = [str(i % 20) for i in range(200)]
    rows = {f"s{i}": labelled(rng, targets, 0.5 + i / 25) for i in range(10)}
    start = perf_counter()
    assert sum(probability_best(resample(MACRO_F1, rows, seed=0)).values()) == pytest.approx(1)
    assert perf_counter() - start < 1
