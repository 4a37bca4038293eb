"""From records to a decision: which rows count, how often, and who takes part."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from advisor.decide import Limits
from advisor.economics import PEAK_RATIO, Prices, Terms
from advisor.evidence import Weighed, money_of, terms_of, use_of, weigh
from advisor.records import Fit, Record
from advisor.report.schema import INCUMBENT
from advisor.request import make_request
from eval.contracts import Evaluation, Example, Latency, Outcome, Prediction, Usage
from eval.metrics import get_metric

PRICES = Prices("a machine", 3600.0, "own")
"""A second costs a dollar."""

Answer = Callable[[int], bool | None]
"""Whether a row is answered rightly; None where the infrastructure failed."""


def outcome(row: int, right: bool | None, group: str = "", label: str = "yes") -> Outcome:
    example = Example(f"{row:03}", f"text {row}", (label,), group=group)
    score = None if right is None else float(right)
    return Outcome(example, Prediction(label if right else "never"), score, 0.1)


def evaluated(
    rows: Sequence[int], answer: Answer, metric: str, group: Callable[[int], str], label: Callable[[int], str]
) -> Evaluation:
    outcomes = tuple(outcome(row, answer(row), group(row), label(row)) for row in rows)
    return Evaluation(metric, outcomes, 0.1 * len(rows), latency=Latency(0.2, 0.3, 5))


def record(
    name: str,
    *repeats: Answer,
    rows: int = 60,
    folds: int = 3,
    status: Any = "ok",
    metric: str = "accuracy",
    group: Callable[[int], str] = lambda row: "",
    label: Callable[[int], str] = lambda row: "yes",
) -> Record:
    """A strategy that was measured on every row, once per answer function."""
    fits = tuple(
        Fit(
            "ok",
            fold=fold,
            repeat=repeat,
            evaluation=evaluated(range(fold, rows, folds), answer, metric, group, label),
            seconds=10.0,
        )
        for repeat, answer in enumerate(repeats)
        for fold in range(folds)
    )
    return Record(name, name, "baseline", None, status, fits=fits)


def weighed(*records: Record, metric: str = "accuracy", **options: Any) -> Weighed:
    request = make_request(task="Sort.", examples="tickets.csv", **options)
    return weigh(records, request, PRICES, get_metric(metric))


def always(row: int) -> bool:
    return True


def never(row: int) -> bool:
    return False


def mostly(row: int) -> bool:
    return row % 5 != 0


def half(row: int) -> bool:
    return row % 2 == 0


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_a_row_that_one_fold_could_not_score_is_left_out_for_all() -> None:
    """Row 7 is in the second fold."""
    failing = record("few_shot", lambda row: None if row == 7 else True)
    found = weighed(record("majority", half), failing, record("nearest_copy", mostly))
    assert [len(rows) for fits in found.fits.values() for rows in fits] == [59, 59, 59]
    evidence = found.assumptions.evidence
    assert (evidence.rows, evidence.unscored) == (59, 1)
    assert {c.n for c in found.comparisons} == {59}
    qualities = {c.name: c.quality for c in found.assumptions.candidates}
    assert qualities == {"majority": pytest.approx(30 / 59), "few_shot": 1.0, "nearest_copy": pytest.approx(47 / 59)}


def test_what_share_of_a_label_is_unscored_is_known_where_its_recall_is_asked_for() -> None:
    """Of 60 rows every third is bad, and row 0 is one of them."""

    def labelled(row: int) -> str:
        return "good" if row % 3 else "bad"

    failing = record("few_shot", lambda row: None if row == 0 else True, label=labelled)
    both = [record("majority", half, label=labelled), failing]
    assert weighed(*both).assumptions.evidence.unscored_shares == {}
    asked = weighed(*both, min_recall="bad=0.5").assumptions.evidence
    assert asked.unscored_shares == {"bad": pytest.approx(1 / 20)}


def test_rows_that_different_fits_could_not_score_are_all_left_out() -> None:
    seeds = [lambda row: None if row == 7 else True, lambda row: None if row == 8 else True, always]
    found = weighed(record("majority", half), record("lora", *seeds))
    assert (found.assumptions.evidence.rows, found.assumptions.evidence.unscored) == (58, 2)


def test_a_row_counts_once_however_many_fits_answered_it() -> None:
    found = weighed(record("majority", half), record("lora", always, always, always))
    assert found.assumptions.evidence.rows == 60
    assert found.assumptions.evidence.unscored == 0
    assert [c.n for c in found.comparisons] == [60]


def test_the_same_answers_three_times_are_no_more_evidence_than_once() -> None:
    rng = random.Random(0)
    drawn = [rng.random() < 0.8 for _ in range(60)]
    once = weighed(record("majority", half), record("lora", drawn.__getitem__))
    thrice = weighed(record("majority", half), record("lora", *[drawn.__getitem__] * 3))
    (single,), (several,) = once.comparisons, thrice.comparisons
    assert several.difference == pytest.approx(single.difference)
    assert several.standard_error > 0.95 * single.standard_error
    assert several.p_value is not None
    assert single.p_value is not None
    assert several.p_value > 0.5 * single.p_value
    spread = [float(w.assumptions.evidence.resampled["lora"].std()) for w in (once, thrice)]
    assert spread[1] == pytest.approx(spread[0], rel=0.1)


def test_a_strategy_fitted_thrice_has_the_mean_quality_of_its_fits() -> None:
    found = weighed(record("majority", half), record("lora", always, half, never))
    assert {c.name: c.quality for c in found.assumptions.candidates} == {"majority": 0.5, "lora": 0.5}
    assert found.comparisons[0].difference == 0.0


def test_rows_of_one_group_are_one_cluster() -> None:
    """Six groups of ten rows that share their fate say less than sixty rows."""

    def by_group(row: int) -> bool:
        return row // 10 != 0

    alone = weighed(record("majority", half), record("lora", by_group))
    grouped = [record(n, a, group=lambda row: f"g{row // 10}") for n, a in (("majority", half), ("lora", by_group))]
    together = weighed(*grouped)
    assert together.comparisons[0].difference == alone.comparisons[0].difference
    assert together.comparisons[0].standard_error > 1.2 * alone.comparisons[0].standard_error
    assert (together.assumptions.evidence.groups, alone.assumptions.evidence.groups) == (6, 60)


def test_the_rows_of_each_label_are_those_of_a_strategy_that_was_measured_whole() -> None:
    """The first in the list was stopped after a fold; its rows are not all there are."""

    def label(row: int) -> str:
        return f"label {row % 3}"

    stopped = record("majority", always, folds=3, status="stopped_early", label=label, metric="macro_f1")
    stopped = replace(stopped, fits=stopped.fits[:1])
    whole = [record(name, mostly, label=label, metric="macro_f1") for name in ("nearest_copy", "few_shot")]
    found = weighed(stopped, *whole, metric="macro_f1")
    evidence = found.assumptions.evidence
    assert evidence.rows_per_label == {"label 0": 20, "label 1": 20, "label 2": 20}
    assert evidence.metric_is_macro
    assert evidence.scarce_labels() == {}


def test_copies_of_a_labels_rows_are_counted_once_where_much_hangs_on_them() -> None:
    """Ten rows of the rare label that are copies of four texts."""

    def label(row: int) -> str:
        return "rare" if row < 10 else "usual"

    def group(row: int) -> str:
        return f"g{row % 4}" if row < 10 else ""

    for copies, needed in ((lambda row: "", {}), (group, {"rare": 6})):
        pair = [record(name, always, label=label, group=copies, metric="macro_f1") for name in ("majority", "few_shot")]
        found = weighed(*pair, metric="macro_f1")
        assert found.assumptions.evidence.scarce_labels() == needed
        assert found.assumptions.evidence.rows_per_label == {"rare": 10 - needed.get("rare", 0), "usual": 50}


@pytest.mark.parametrize(("scores", "verdict"), [([1.0] * 38 + [0.9] * 2, "tie"), ([1.0] * 40, "tie")])
def test_a_limit_on_quality_is_as_sure_as_the_range_says(scores: list[float], verdict: str) -> None:
    """38 of 40 rows right and two nearly so show no more than 40 right ones, whose range begins at 91 %."""

    def scored(name: str, of_rows: list[float]) -> Record:
        known = record(name, always, rows=40, folds=1, metric="json_field_f1")
        (fit,) = known.fits
        assert fit.evaluation is not None
        outcomes = [replace(o, score=s) for o, s in zip(fit.evaluation.outcomes, of_rows, strict=True)]
        return replace(known, fits=(replace(fit, evaluation=replace(fit.evaluation, outcomes=tuple(outcomes))),))

    both = (scored("majority", [0.3] * 40), scored("few_shot", scores))
    for asked, says in ((0.98, verdict), (0.89, "clear")):
        found = weighed(*both, metric="json_field_f1", min_quality=asked)
        assert found.decision is not None
        assert (found.decision.verdict, found.decision.limit_in_doubt) == (says, says == "tie")
        assert 0.89 < found.assumptions.evidence.lowest["few_shot"] < 0.92
    assert weighed(*both, metric="json_field_f1").assumptions.evidence.lowest == {}


def test_a_label_that_examples_have_and_no_test_row_is_counted_as_none() -> None:
    pair = [record(name, always, label=lambda row: "fine", metric="macro_f1") for name in ("majority", "few_shot")]
    request, labels = make_request(task="Sort.", examples="tickets.csv"), ["fine", "rare", "stated"]
    for metric, lacks in (("macro_f1", ("label_rows",)), ("accuracy", ())):
        found = weigh(pair, request, PRICES, get_metric(metric), labels=labels, seen=labels[:2])
        assert found.label_rows == {"fine": 60, "rare": 0}, "one that is only stated says nothing of the rows"
        assert found.decision is not None
        assert found.decision.lacks == lacks


# ---- who takes part --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["failed", "stopped_early", "not_applicable"])
def test_only_what_was_measured_as_planned_is_compared(status: str) -> None:
    found = weighed(record("majority", half), record("few_shot", always, status=status))
    assert list(found.fits) == ["majority"]
    assert found.comparisons == []
    assert found.decision is not None
    assert found.decision.pick == "majority"


def test_a_strategy_that_was_stopped_costs_the_others_no_rows() -> None:
    stopped = record("few_shot", always, status="stopped_early")
    found = weighed(record("majority", half), replace(stopped, fits=stopped.fits[:1]), record("nearest_copy", mostly))
    assert found.assumptions.evidence.rows == 60
    assert found.assumptions.evidence.unscored == 0


def test_nothing_measured_is_nothing_decided() -> None:
    assert weighed().decision is None
    assert weighed(record("majority", half, status="failed")).decision is None


def test_todays_system_alone_is_nothing_decided() -> None:
    assert weighed(record("majority", half, status="failed"), record(INCUMBENT, always)).decision is None


def test_todays_system_is_compared_and_never_picked() -> None:
    found = weighed(record("majority", half), record("nearest_copy", mostly), record(INCUMBENT, always))
    assert {(c.a, c.b) for c in found.comparisons} >= {("majority", INCUMBENT), ("nearest_copy", INCUMBENT)}
    assert [c.incumbent for c in found.assumptions.candidates] == [False, False, True]
    assert found.decision is not None
    assert found.decision.pick == found.decision.best == "nearest_copy"
    assert found.decision.runner_up == "majority"
    assert found.decision.gain == pytest.approx(-0.2)
    assert found.decision.keeps_incumbent


def test_with_equal_answers_the_order_of_simplicity_decides() -> None:
    names = ["zero_shot", "majority", "lora"]
    found = weighed(*(record(name, mostly) for name in names))
    assert found.decision is not None
    assert found.decision.pick == "majority"


# ---- what is made of it ----------------------------------------------------------------------------------------------


def test_every_pair_is_compared_once_and_adjusted_for_all() -> None:
    found = weighed(record("majority", half), record("nearest_copy", mostly), record("few_shot", always))
    assert len(found.comparisons) == 3
    assert all(c.p_adjusted is not None and c.p_value is not None for c in found.comparisons)
    assert all(c.p_adjusted >= c.p_value for c in found.comparisons if c.p_adjusted and c.p_value)
    assert any(c.p_adjusted > c.p_value for c in found.comparisons if c.p_adjusted and c.p_value)


def test_the_standard_error_of_a_pair_is_found_in_either_order() -> None:
    found = weighed(record("majority", half), record("few_shot", always))
    errors = found.assumptions.evidence.standard_errors
    assert errors["majority", "few_shot"] == errors["few_shot", "majority"] == found.comparisons[0].standard_error > 0


def test_the_requests_limits_tolerance_and_error_cost_are_those_of_the_decision() -> None:
    options = {"min_quality": 0.6, "max_cost_per_1k": 900.0, "max_latency_ms": 400.0}
    found = weighed(
        record("majority", half), record("few_shot", always), tolerance=2, volume=5, error_cost=3.0, **options
    )
    assumed = found.assumptions
    assert assumed.limits == Limits(**options)
    assert (assumed.tolerance, assumed.volume, assumed.error_cost) == (0.02, 5, 3.0)
    assert found.decision is not None
    assert found.decision.broken == {"majority": ["min_quality"]}
    assert {c.p95_ms for c in assumed.candidates} == {300.0}


def test_the_price_of_an_error_can_change_the_pick() -> None:
    """few_shot is right ten rows of sixty more often, and a query of it costs 100 USD more."""

    def cheap(row: int) -> bool:
        return row >= 10

    costly = record("few_shot", always)
    slow = [replace(f, evaluation=replace(f.evaluation, seconds=2000.0)) for f in costly.fits if f.evaluation]
    records = record("majority", cheap), replace(costly, fits=tuple(slow))
    picks = []
    for error_cost in (None, 300.0, 3000.0):
        decision = weighed(*records, error_cost=error_cost).decision
        assert decision is not None
        picks.append(decision.pick)
    assert picks == ["few_shot", "majority", "few_shot"]


def test_money_is_that_of_a_query_and_of_one_fit() -> None:
    money = money_of(record("lora", always, always, always), Terms(PRICES), volume=1000)
    assert money.per_query == pytest.approx(0.1)
    assert money.training == pytest.approx(10.0)
    assert money.monthly == pytest.approx(100 + 10 / 12)


def test_rows_that_were_not_answered_make_tokens_no_fewer() -> None:
    answered = Outcome(Example("1", "x", ("y",)), Prediction("y", Usage(500, 20)), 1.0, 0.1)
    lost = Outcome(Example("2", "x", ("y",)), Prediction("", error="429"), None, 0.0, "429")
    fit = Fit("ok", evaluation=Evaluation("accuracy", (answered, *[lost] * 3), 0.1))
    use = use_of(Record("few_shot", "few_shot", "prompt", "hosted", "ok", fits=(fit,)))
    assert (use.read, use.written) == (500, 20)


def test_a_peak_that_is_stated_is_one_at_the_stated_volume() -> None:
    mean_qps = 26_280 / (730 * 3600)
    options = make_request(task="x", examples="y", volume=26_280, peak_qps=1.0, hosting="always-on", min_replicas=2)
    terms = terms_of(options, PRICES)
    assert (terms.hosting, terms.fewest_machines) == ("always-on", 2)
    assert terms.peak_ratio == pytest.approx(1 / mean_qps)
    assert terms_of(make_request(task="x", examples="y"), PRICES).peak_ratio == PEAK_RATIO
    assert terms_of(make_request(task="x", examples="y", volume=0, peak_qps=1.0), PRICES).peak_ratio == PEAK_RATIO
