"""Figures read the same everywhere, in plain words."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from advisor.report import wording
from advisor.report.schema import (
    BreakEven,
    Fit,
    LatencyPart,
    LoadLevel,
    Plan,
    PlanOffer,
    Quality,
    Refit,
    SideEffects,
    StrategyResult,
    Tokens,
)


def quality(metric: str, value: float, ci95: tuple[float, float], n: int, correct: int | None = None) -> Quality:
    return Quality(metric=metric, value=value, ci95=ci95, n=n, correct=correct)


def test_counts_come_before_percentages_where_rows_are_right_or_wrong() -> None:
    assert wording.quality_sentence(quality("accuracy", 0.91, (0.84, 0.95), 100, 91)) == "91 of 100 right, 84 to 95"
    of_sixty = quality("exact_match", 55 / 60, (0.82, 0.964), 60, 55)
    assert wording.quality_sentence(of_sixty) == "55 of 60 right, 92 % (82 to 96 %)"


def test_a_near_miss_shows_as_many_digits_as_part_it_from_the_limit() -> None:
    def whole(of_100: float) -> str:
        return wording.hundredths(of_100 / 100)

    assert wording.near_miss(81.818, 82, whole) == "81.8"
    assert wording.near_miss(85.9999, 86, whole) == "85.9999"
    assert wording.near_miss(81.58, 81.6, whole) == "81.58"
    assert wording.near_miss(19.34, 19, wording.latency) == "19.3"
    assert wording.near_miss(1004.2, 1000, wording.latency) == "1,004"
    assert wording.near_miss(0.007312, 0.0073, wording.rate) == "0.00731"
    assert wording.near_miss(2430.4, 2400, wording.latency) == "2,430"
    assert wording.near_miss(1052.3, 1050, wording.latency) == "1,052"
    assert wording.near_miss(0.0000823, 0.00008, wording.rate) == "0.000082"
    assert wording.near_miss(80, 82, whole) == ""
    assert wording.near_miss(82, 82, whole) == ""


def test_a_figure_of_the_clients_own_is_told_as_it_was_given() -> None:
    figures = {0.005: "0.005", 84.5: "84.5", 1250: "1,250", 0.000001: "0.000001", 3e10: "30,000,000,000", 0: "0"}
    assert {figure: wording.stated(figure) for figure in figures} == figures
    assert wording.stated(100 * 0.57) == "57"


def test_other_metrics_are_points_of_a_hundred_with_their_name() -> None:
    assert wording.quality_sentence(quality("token_f1", 0.72, (0.66, 0.78), 300)) == (
        "72 of 100 points token F1, 66 to 78"
    )


def test_macro_f1_is_not_told_as_a_count_of_rows_though_rows_are_right_or_wrong() -> None:
    assert wording.quality_figure(quality("macro_f1", 0.72, (0.6, 0.8), 100, 91)) == "72 of 100 points"


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(1.0, "100"), (0.997, "99.7"), (0.995, "99.5"), (0.9999, "99.9"), (0.0, "0"), (0.0001, "0.1"), (0.005, "0.5")],
)
def test_only_a_true_zero_or_one_reads_as_0_or_100(fraction: float, text: str) -> None:
    assert wording.hundredths(fraction) == text


@pytest.mark.parametrize("rows", [8, 40, 80, 200])
def test_halves_are_rounded_up_as_by_hand(rows: int) -> None:
    for right in range(rows // 100 + 1, rows - rows // 100):
        told = (Decimal(100 * right) / rows).quantize(Decimal(1), ROUND_HALF_UP)
        assert wording.hundredths(right / rows) == str(told)
    assert (wording.points(0.0125), wording.points(-0.0225), wording.points(-0.0004)) == ("+1.3", "−2.3", "0.0")


def test_rows_that_are_right_on_average_over_fits_are_told_with_a_decimal_and_as_a_mean() -> None:
    fits = [36 / 40, 36 / 40, 37 / 40]
    mean = quality("accuracy", sum(fits) / 3, (0.8, 0.96), 40, 36).model_copy(update={"per_fit": fits})
    assert wording.quality_sentence(mean) == "36.3 of 40 right, 91 % (80 to 96 %)"
    assert wording.quality_short(mean) == "36.3 of 40, 80–96 %"
    assert wording.quality_remarks(mean) == "mean over 3 fits with different seeds"
    whole = mean.model_copy(update={"value": 0.9, "per_fit": [0.9, 0.9, 0.9]})
    assert wording.quality_figure(whole) == "36 of 40 right"
    macro = mean.model_copy(update={"metric": "macro_f1"})
    assert wording.quality_remarks(macro) == "mean over 3 fits with different seeds; 36 of 40 right on average"


def test_an_error_in_steps_is_no_share_of_100_and_less_of_it_is_better() -> None:
    assert wording.secondary_figure("macro_f1", 0.425) == "43"
    assert wording.secondary_figure("mean_absolute_error", 0.425) == "0.43"
    assert "lower is better" in wording.metric_title("mean_absolute_error")


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0.031, "0.031"), (0.0031, "under 0.01"), (0.0, "0"), (0.3, "0.30"), (0.9949, "0.99"), (0.996, "1.00"),
        (12.3, "12.30"), (146.2, "146"), (1240.0, "1,240"), (-0.5, "−0.50"), (float("nan"), "unknown"),
    ],
)  # fmt: skip
def test_money_keeps_the_digits_that_mean_something(usd: float, text: str) -> None:
    assert wording.amount(usd) == text


def test_cost_is_told_per_thousand_queries() -> None:
    assert wording.per_thousand(0.031) == "0.031 USD per 1,000 queries"
    assert wording.per_thousand(0.002) == "under 0.01 USD per 1,000 queries"


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0.0073, "0.0073"), (0.00021, "0.00021"), (0.00099, "0.00099"), (0.00002, "under 0.0001"), (0.0, "0")],
)
def test_small_costs_still_differ_in_a_column(usd: float, text: str) -> None:
    assert wording.rate(usd) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0.3, "under 1 ms"), (48.2, "48 ms"), (1300, "1.3 s"), (999.7, "1.0 s"), (12_900, "13 s"), (125_000, "2 min 5 s")],
)
def test_latency_has_a_readable_unit(ms: float, text: str) -> None:
    assert wording.latency(ms) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.01, "under 0.1 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3600, "1 h"), (3899, "1 h 5 min")],
)
def test_durations_carry_over_to_the_next_unit(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_a_strategy_on_a_named_model_says_both() -> None:
    assert wording.strategy_title("lora") == "Fine-tuning (LoRA)"
    assert wording.strategy_title("rag@openai:gpt@x") == "Retrieval (RAG) on openai:gpt@x"


def test_unknown_names_are_shown_as_they_are() -> None:
    assert wording.strategy_title("my_rules@v2") == "my_rules@v2"
    assert wording.metric_title("house_metric") == "house metric"


def test_differences_carry_their_sign_and_zero_has_none() -> None:
    assert [wording.points(d) for d in (0.012, -0.03, -0.0001)] == ["+1.2", "−3.0", "0.0"]


def test_tokens_of_a_strategy_without_a_language_model_are_none() -> None:
    assert wording.tokens(Tokens(input=0, output=0)) == "none"
    assert wording.tokens(Tokens(input=1412.4, output=3)) == "1,412 in, 3 out"
    assert wording.tokens(Tokens(input=1412.4, output=3, cached=1280)) == "1,412 in (1,280 cached), 3 out"


@pytest.mark.parametrize(
    ("number", "text"), [(740, "740 B"), (1_234_000, "1.2 MB"), (999_700, "1.0 MB"), (4 * 10**15, "4000 TB")]
)
def test_sizes_are_decimal(number: int, text: str) -> None:
    assert wording.size(number) == text


def test_a_time_that_cannot_be_read_is_shown_as_it_is() -> None:
    assert wording.moment("2025-03-14T10:22:05+00:00") == "14 March 2025, 10:22 UTC"
    assert wording.moment("yesterday") == "yesterday"


def test_strategies_that_never_change_places_are_said_to() -> None:
    assert "never change places" in wording.break_even_sentence(BreakEven(a="lora", b="rag"))
    above = wording.break_even_sentence(BreakEven(a="lora", b="rag", queries_per_month=140_000))
    assert above == "Above 140,000 queries a month, Fine-tuning (LoRA) is cheaper than Retrieval (RAG)."


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        (0.3, "1 query a month"),
        (1.4, "1 query a month"),
        (2, "2 queries a month"),
        (12_000.0, "12,000 queries a month"),
    ],
)
def test_one_query_is_not_several(queries: float, words: str) -> None:
    assert wording.a_month(queries) == words


def plan(**changes: Any) -> Plan:
    whole = {
        "kind": "holdout",
        "folds": 1,
        "train": 150,
        "dev": 0,
        "test": 100,
        "predicted_seconds": 1,
        "time_budget": 2,
    }
    return Plan.model_validate({**whole, **changes})


def test_the_split_is_told_for_each_kind_of_plan() -> None:
    assert wording.how_split(plan()) == (
        "Every strategy was fitted on 150 rows and measured on the same 100 rows, held back from the start."
    )
    assert wording.how_split(plan(test_source="file")) == (
        "Every strategy was fitted on 150 rows and measured on the client's own test file of 100 rows."
    )
    assert wording.how_split(plan(test_source="latest")) == (
        "Every strategy was fitted on 150 rows and measured on 100 later ones."
    )
    assert wording.how_split(plan(kind="cross_fit", folds=5, train=200, test=250)) == (
        "The examples were cut into 5 folds. Each of 250 rows was answered once, by a solution fitted on the other "
        "folds (about 200 rows) that had not seen it."
    )


def test_seeds_dev_rows_and_the_refit_are_told_where_there_are_any() -> None:
    said = wording.how_split(plan(repeats=3, dev=32, refit=True))
    assert "Fine-tuned strategies were fitted 3 times with different seeds." in said
    assert "chose by rows for fitting, never by those measured; answers of a language model were compared on at" in said
    assert "at most 32 of them." in said
    assert said.endswith("What is kept was then fitted on all examples, with the settings that were chosen most often.")
    assert "model-seconds" not in said
    assert "Strategies that try several configurations could spend 60 model-seconds each" in wording.how_split(
        plan(tuning_seconds=60.0)
    )
    plain = wording.how_split(plan())
    assert not [word for word in ("seeds", "chose", "kept") if word in plain]


def offers(*folds: int) -> list[PlanOffer]:
    return [
        PlanOffer(kind="cross_fit" if n > 1 else "holdout", folds=n, predicted_seconds=300.0 * n, chosen=False)
        for n in folds
    ]


def test_why_the_examples_were_divided_so_names_every_way_with_its_time() -> None:
    first = wording.why_divided(
        plan(kind="cross_fit", folds=5, offers=offers(5, 3, 1), predicted_seconds=1620, time_budget=1800)
    )
    assert first == (
        "Planned before anything was tried, each at the least (with all given up but what quality hangs on): "
        "5-fold cross-fitting about 25 min, 3-fold cross-fitting about 15 min, one holdout about 5 min; the time "
        "budget of 30 min had room for the first, the strongest, with 27 min planned for all that is done."
    )
    last = wording.why_divided(plan(offers=offers(5, 3, 1), predicted_seconds=400, time_budget=600))
    assert last.endswith(
        "; the strongest that fits the time budget of 10 min was taken, with 6 min 40 s planned for all that is done."
    )


def test_a_way_that_takes_longer_than_the_budget_is_not_said_to_fit_it() -> None:
    """The demo: one holdout gave up what quality hangs on, which the times of the ways do not."""
    said = wording.why_divided(plan(offers=offers(5, 3, 1), predicted_seconds=227, time_budget=270))
    assert said.endswith(
        "one holdout about 5 min; none of these fits the time budget of 4 min 30 s, so one holdout was taken, with "
        "less training, tuning or testing than they assume, and 3 min 47 s planned for all that is done."
    )


def test_where_not_even_the_shortest_plan_fits_it_is_not_called_the_strongest_that_does() -> None:
    over = {"predicted_seconds": 125, "time_budget": 90}
    said = "o plan fits the time budget of 1 min 30 s: the shortest was taken, planned at 2 min 5 s, 35 s over it."
    several = wording.why_divided(plan(offers=offers(5, 3, 1), **over))
    assert several.endswith(f"one holdout about 5 min; n{said}")
    assert "strongest" not in several
    assert wording.why_divided(plan(offers=offers(1), **over)) == f"N{said}"
    assert wording.what_cuts_are_for(125, 90) == "Cut to come near the time budget"
    assert wording.what_cuts_are_for(80, 90) == "Cut to fit the time budget"


def test_a_run_that_took_longer_than_its_budget_says_so() -> None:
    planned = plan(predicted_seconds=60, time_budget=90)
    assert wording.how_long(80, planned) == "The run took 1 min 20 s; planned were 1 min of a budget of 1 min 30 s."
    assert wording.how_long(121, planned) == (
        "The run took 2 min 1 s, 31 s over its time budget of 1 min 30 s; planned were 1 min."
    )


@pytest.mark.parametrize("folds", [(), (1,)])
def test_where_there_was_one_way_only_no_choice_is_told(folds: tuple[int, ...]) -> None:
    assert wording.why_divided(plan(offers=offers(*folds))) == ""


def test_power_is_the_smallest_difference_that_the_rows_can_show() -> None:
    assert wording.power(plan(), 1250) == ""
    assert wording.power(plan(test=1300, smallest_difference=0.0312), 1250) == (
        "Between the two leading strategies the 1,250 rows that all answered can show a difference of about 3.1 points "
        "or more (with 80 % power at the 5 % level)."
    )


def test_a_refit_is_told_with_its_epochs_and_its_check_where_there_are_any() -> None:
    plain = Refit(seconds=12.0, train_examples=250, artefact_bytes=1)
    assert wording.refit_sentence(plain) == "The kept solution was fitted on all examples in 12 s."
    checked = plain.model_copy(update={"epochs": 1, "checked_on": 32, "quality": 0.9, "floor": 0.78})
    assert wording.refit_sentence(checked) == (
        "The kept solution was fitted on all examples in 12 s, with 1 epoch of training, the measured fits' median; "
        "on 32 rows that it did not learn from it reached 90 of 100, where the measured fits' range begins at 78."
    )
    rejected = checked.model_copy(update={"rejected": "the time budget was used up"})
    assert wording.refit_sentence(rejected) == (
        "The fit on all examples was put aside, since the time budget was used up; a measured fit is kept instead."
    )


def test_controls_and_direction_overrides_become_visible() -> None:
    assert wording.legible("a\x00b\x1b[31m\u202ec\r\nd\te") == "a␀b␛[31m⟨U+202E⟩c\nd\te"
    assert wording.legible("x\udcff") == "x?"


def test_right_to_left_text_is_left_alone() -> None:
    assert wording.legible("שלום, مرحبا") == "שלום, مرحبا"


@pytest.mark.parametrize(
    ("queries", "words"),
    [(0.314, "0.31"), (6.25, "6.2"), (99.4, "99"), (371.8, "372"), (19_480.0, "19,500"), (float("inf"), "unknown")],
)
def test_throughput_is_a_plain_number(queries: float, words: str) -> None:
    assert wording.per_second(queries) == words


def tuned(curve: list[dict[str, float]], effects: SideEffects | None = None) -> StrategyResult:
    fit = Fit(seconds=1.0, train_examples=10, curve=curve)
    return StrategyResult(
        name="lora", family="finetune", status="ok", config={"best_epoch": 2}, fit=fit, side_effects=effects
    )


def test_side_effects_are_told_in_counts_and_for_the_epoch_that_was_kept() -> None:
    curve = [
        {"epoch": 1, "train_loss": 0.9, "dev_loss": 1.0, "dev_quality": 0.5},
        {"epoch": 2, "train_loss": 0.3, "dev_loss": 0.65, "dev_quality": 0.7},
        {"epoch": 3, "train_loss": 0.1, "dev_loss": 0.9, "dev_quality": 0.7},
    ]
    effects = SideEffects(
        general_before=0.75, general_after=0.5, general_questions=32, perplexity_before=20.04, perplexity_after=31.0,
        same_when_repeated=1.0, same_when_reworded=0.75, inputs=12,
    )  # fmt: skip
    overfitting, forgetting, steadiness = wording.side_effect_sentences(tuned(curve, effects))
    assert overfitting == (
        "Overfitting: the loss on rows not learnt from was lowest after epoch 2 (0.65) and rose to 0.90 after epoch 3; "
        "that epoch was kept. In the epoch that was kept, the loss was 0.65 on rows that it did not learn "
        "from, and 0.30 on those that it learnt from, on average while it learnt."
    )
    assert (
        "of 32 general questions, which have nothing to do with the task, the model answered 24 rightly" in forgetting
    )
    assert "16 after; the perplexity of ordinary text went from 20.0 to 31.0." in forgetting
    assert "gain" not in forgetting
    _, more, _ = wording.side_effect_sentences(tuned(curve, effects.model_copy(update={"general_after": 0.875})))
    assert "24 rightly before tuning and 28 after, which shows no forgetting rather than a gain; the perplexity" in more
    assert "of 12 test questions asked alone instead of together, 100 of 100 answers stay the same" in steadiness
    assert "slip of the pen, 75 of 100." in steadiness


@pytest.mark.parametrize(
    ("losses", "kept", "said"),
    [
        ([1.0], 1, "after a single epoch it cannot be told whether"),
        ([1.0, 0.7, 0.6], 2, "was at its lowest in the end, after epoch 3; epoch 2 was kept."),
        ([1.0, 0.701, 0.704], 1, "hardly changed after its lowest, after epoch 2; epoch 1 was kept."),
        ([0.1659, 0.1727], 2, "hardly changed after its lowest, after epoch 1; epoch 2 was kept."),
        ([0.0004, 0.0003, 0.0006], 2, "hardly changed after its lowest, after epoch 2; epoch 2 was kept."),
        ([0.166, 0.18], 1, "lowest after epoch 1 (0.17) and rose to 0.18 after epoch 2; that epoch was kept."),
        ([0.012, 0.014], 1, "lowest after epoch 1 (0.012) and rose to 0.014 after epoch 2; that epoch was kept."),
        ([0.6, 0.7, 0.9], 1, "lowest after epoch 1 (0.60) and rose to 0.90 after epoch 3; that epoch was kept."),
        ([0.6, 0.7, 0.9], 3, "after epoch 3; epoch 3, after it, was kept."),
        ([0.9, 0.6, 0.7], 1, "after epoch 3; epoch 1, before it, was kept."),
    ],
)
def test_overfitting_is_told_by_the_loss_on_rows_not_learnt_from(losses: list[float], kept: int, said: str) -> None:
    curve = [{"epoch": n, "train_loss": 0.5, "dev_loss": loss} for n, loss in enumerate(losses, 1)]
    result = tuned(curve).model_copy(update={"config": {"best_epoch": kept}})
    (sentence,) = wording.side_effect_sentences(result)
    assert said in sentence
    assert "gap" not in sentence


def test_a_text_that_was_cut_is_cut_again_without_a_wrong_count() -> None:
    once = wording.shortened("word " * 1000, 2000)
    assert once.endswith("word …")
    assert wording.shortened(once, 300).endswith("word …")
    assert wording.shortened("short", 5) == "short"


def test_a_peak_is_said_to_be_assumed_and_is_not_spoken_of_without_a_load() -> None:
    assert wording.peak_load(10, 2.5) == ", enough for a peak of 2.5 queries a second"
    assert "10 times the mean (assumed; give yours with --peak-qps)" in wording.peak_load(10, None)
    assert wording.peak_load(0, 2.5) == wording.peak_load(0, None) == ""


def test_what_was_not_measured_is_not_told() -> None:
    assert wording.side_effect_sentences(tuned([{"epoch": 2, "train_loss": 0.3}])) == []
    assert wording.side_effect_sentences(tuned([])) == []


def test_load_is_told_level_by_level_where_it_was_measured() -> None:
    levels = [
        LoadLevel(parallel=1, p50_ms=300, p95_ms=400, throughput_qps=3.3),
        LoadLevel(parallel=8, p50_ms=800, p95_ms=900, throughput_qps=10.0),
    ]
    latency = LatencyPart(p50_ms=300, p95_ms=400, n=9, throughput_qps=20.0, load=levels)
    said = wording.load_sentence(tuned([]).model_copy(update={"latency": latency}))
    assert "1 at once in 300 ms (3.3 a second), 8 at once in 800 ms (10 a second) with Fine-tuning (LoRA)." in said
    assert "are answered as one batch" in said
    there = wording.load_sentence(tuned([]).model_copy(update={"latency": latency, "model": "openai:big"}))
    assert "are sent to the provider side by side: 1 at once" in there
    assert wording.load_sentence(tuned([])) == ""


def test_where_today_s_system_is_kept_a_tie_is_called_by_what_it_means() -> None:
    assert wording.verdict_title("tie", keeps_incumbent=True, falls_short=False) == "No clear gain"
    assert wording.verdict_title("tie", keeps_incumbent=False, falls_short=False) == "Close call"
    assert wording.verdict_title("insufficient_evidence", keeps_incumbent=True, falls_short=False) == (
        "Not enough evidence"
    )
    assert wording.verdict_title("clear", keeps_incumbent=False, falls_short=True) == "Best of a weak field"
    assert wording.verdict_colour("clear", falls_short=True) != wording.verdict_colour("clear", falls_short=False)
    assert wording.verdict_title("insufficient_evidence", keeps_incumbent=False, falls_short=True) == (
        "Not enough evidence"
    )


def test_rows_without_an_id_are_explained_where_a_finding_names_some() -> None:
    assert wording.rows_without_id(["INC7", "line 3"]) == ""
    assert "blank rows and rows that cannot be read do not count" in wording.rows_without_id(["a", "row-2 (test set)"])
