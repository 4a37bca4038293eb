"""What a reader is shown of a report, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from advisor.error_costs import ErrorCosts
from advisor.report import view, wording
from advisor.report.html import render_html
from advisor.report.markdown import render_markdown
from advisor.report.schema import LearningPoint, Report, SideEffects

Build = Callable[..., Report]


def with_todays_system(report: Report, value: float) -> Report:
    """The report with today's system in it, the best or the worst of all."""
    plain = report.result("majority")
    assert plain.quality is not None
    quality = plain.quality.model_copy(update={"value": value})
    today = plain.model_copy(update={"name": "incumbent", "quality": quality, "cost": None, "latency": None})
    return report.model_copy(update={"strategies": [*report.strategies, today]})


def test_a_learning_curve_is_a_row_a_point_and_the_last_brings_nothing_more() -> None:
    points = [
        LearningPoint(
            share=0.25, train_examples=1250, value=0.5, ci95=(0.4, 0.6), gain_to_all=0.3, gain_ci95=(-0.01, 0.4)
        ),
        LearningPoint(share=1.0, train_examples=5000, value=0.8, ci95=(0.7, 0.995)),
    ]
    assert view.learning_rows(points) == [
        ["1,250", "50", "40 to 60", "+30.0 (−1.0 to +40.0)"],
        ["5,000", "80", "70 to 99.5", ""],
    ]
    assert view.learning_rows([]) == []


def test_a_mean_error_stands_beside_shares_and_says_that_less_is_better(sample_report: Build) -> None:
    report = sample_report()
    report.result("lora").secondary["mean_absolute_error"] = 1.467
    names, rows = view.secondary(report)
    assert names == ["macro_f1", "mean_absolute_error"]
    assert next(row for row in rows if row[0] == "Fine-tuning (LoRA)")[-1] == "1.47"
    for text in (render_html(report), render_markdown(report)):
        assert "mean absolute error, lower is better" in text
    assert "Out of 100 where nothing else is said" in render_html(report)


def test_todays_system_is_ranked_among_the_strategies(sample_report: Build) -> None:
    assert [s.name for s in view.ranked(with_todays_system(sample_report(), 0.99))][:2] == ["incumbent", "lora"]


def test_todays_system_stands_beside_the_others_but_is_neither_a_baseline_nor_the_best_to_choose(
    sample_report: Build,
) -> None:
    """It may well be a language model; nothing is known of it but its answers."""
    report = with_todays_system(sample_report(), 0.99)
    today = ("incumbent", ("In use today",))
    shown = [(c.result.name, c.roles) for c in view.contenders(report)]
    assert shown == [("lora", ("Recommended",)), ("embedding_linear", ("Runner-up", "Needs no language model")), today]
    report.recommendation.strategy = report.recommendation.runner_up = None
    assert [(c.result.name, c.roles) for c in view.contenders(report)] == [
        ("lora", ("Best measured",)), today, ("embedding_linear", ("Best without a language model",)),
    ]  # fmt: skip
    assert [s.name for s in view.other_baselines(report)] == ["tfidf_linear", "nearest_copy", "majority"]
    sentence = view.baselines_sentence(report, view.other_baselines(report))
    assert "TF-IDF + linear classifier (82 of 100, 73–88 %; under 0.0001 USD per 1,000; p95 under 1 ms)" in sentence


def test_all_that_are_shown_and_need_no_language_model_say_so(sample_report: Build) -> None:
    report = sample_report()
    report.recommendation.strategy, report.recommendation.runner_up = "tfidf_linear", "embedding_linear"
    assert [(c.result.name, c.roles) for c in view.contenders(report)] == [
        ("tfidf_linear", ("Recommended", "Needs no language model")),
        ("embedding_linear", ("Runner-up", "Needs no language model")),
    ]


def stopped(report: Report, name: str, value: float, rows: int = 20) -> Report:
    """The report with a strategy that stopped early, having answered so many rows, and answered them so well."""
    quality = report.result(name).quality
    assert quality is not None
    few = quality.model_copy(update={"value": value, "n": rows})
    changed = report.result(name).model_copy(update={"status": "stopped_early", "quality": few})
    return report.model_copy(update={"strategies": [changed if s.name == name else s for s in report.strategies]})


def test_what_stopped_early_is_neither_the_best_nor_what_others_are_compared_with(sample_report: Build) -> None:
    report = stopped(sample_report(), "tfidf_linear", 1.0)
    assert [s.name for s, _ in view.measured(report)][:2] == ["lora", "embedding_linear"]
    assert view.measured(report)[-1][0].name == "tfidf_linear"
    assert view.differences_to_best(report)[0] == "lora"
    report.recommendation.strategy = report.recommendation.runner_up = None
    assert [c.result.name for c in view.contenders(report)] == ["lora", "embedding_linear"]
    assert "tfidf_linear" not in [s.name for s in view.other_baselines(report)]


def test_captions_say_on_which_rows_strategies_were_measured(sample_report: Build) -> None:
    whole, cut = sample_report(), stopped(sample_report(), "tfidf_linear", 1.0)
    assert "Best quality first, all measured on the same rows." in render_html(whole)
    page = render_html(cut)
    assert "all measured on the same rows but those that stopped early" in page
    assert "all measured on the same rows." not in page
    assert "Every strategy answered the same rows" not in page
    for form in (page, render_markdown(cut)):
        assert "Those strategies that stopped early answered only some of the rows." in form
    assert "stopped early" not in render_markdown(whole)
    for report in (whole, cut):
        quality = report.result("lora").quality
        assert quality is not None
        quality.unscored = 7
    assert "Best quality first, all measured on the same rows, less those without a score." in render_html(whole)
    assert "the same rows, less those without a score, but those that stopped early, which" in render_html(cut)


def test_where_only_training_was_cut_short_all_rows_were_answered(sample_report: Build) -> None:
    report = sample_report()
    report = stopped(report, "lora", 1.0, rows=report.data.plan.test)
    assert view.same_rows(report) == "all measured on the same rows; what stopped early stands last"
    assert "only some of the rows" not in view.how_split(report)
    quality = report.result("rag").quality
    assert quality is not None
    quality.unscored = 7
    assert "less those without a score; what stopped early" in view.same_rows(report)
    quality.unscored = 0
    both = stopped(report, "tfidf_linear", 1.0)
    assert view.same_rows(both) == (
        "all measured on the same rows but some of those that stopped early, which stand last"
    )
    assert view.how_split(both).endswith("Some of those strategies that stopped early answered only some of the rows.")


def test_every_form_says_what_wrong_answers_cost_and_where_they_are_not_counted(sample_report: Build) -> None:
    report = sample_report()
    report.settings.error_cost = 2.5
    for result in report.strategies:
        if result.cost is not None and result.name != "rag":
            result.cost.errors_per_1k_usd = 225.0 if result.name == "lora" else 1000.0
    assert view.break_evens(report)[0].endswith("than Prompt with fixed examples, wrong answers not counted.")
    tuned = report.result("lora")
    assert tuned.cost is not None
    titles, entries = view.further_cost_titles(report), view.further_costs(report, tuned, tuned.cost)
    assert dict(zip(titles, entries, strict=True)) == {"Wrong answers, USD per 1,000": "225"}
    for form in (render_html(report), render_markdown(report)):
        assert "Wrong answers, USD per 1,000" in form
        assert "wrong answers not counted" in form
    assert "Wrong answers" not in render_markdown(sample_report())


def test_adjusted_p_values_are_called_so_in_every_form(sample_report: Build) -> None:
    report = sample_report()
    for form in (render_html(report), render_markdown(report)):
        assert ("p, adjusted" in form) is (report.comparisons[0].p_adjusted is not None)
    for comparison in report.comparisons:
        comparison.p_adjusted = 0.5
    for form in (render_html(report), render_markdown(report)):
        assert "p, adjusted" in form


def test_dashes_are_spoken_of_where_a_chart_is_drawn(sample_report: Build) -> None:
    report = sample_report()
    assert "Such lines are dashed." in render_html(report)
    assert "dashed" not in render_markdown(report)


def test_latencies_of_hosted_models_are_those_of_a_network_and_a_provider(sample_report: Build) -> None:
    assert "provider" not in view.latency_about(sample_report())
    report = sample_report()
    report.result("few_shot").model = "openai:big"
    assert view.latency_about(report).endswith("this is the time of the network and of the provider's machines.")


def test_p99_and_the_size_of_batches_are_told_where_they_are_known(sample_report: Build) -> None:
    report = sample_report()
    (one, _), *_ = view.latencies(report)
    first, second, *_ = [result.latency for result, _ in view.latencies(report)]
    assert first is not None
    assert second is not None
    assert "99 of 100 within (p99)" not in view.latency_titles(report)
    assert "batches" not in view.latency_about(report)
    first.p99_ms, first.rows_a_call, second.rows_a_call = 1300.0, 120, 40
    assert view.latency_titles(report)[3] == "99 of 100 within (p99)"
    assert [cells[3] for _, cells in view.latencies(report)][:2] == ["1.3 s", "–"]
    assert all(len(cells) == len(view.latency_titles(report)) for _, cells in view.latencies(report))
    assert "batches are of 120 rows" in view.latency_about(report)
    assert "p99 is the slowest" in view.latency_about(report)
    assert "asked more than once" not in view.latency_about(report)
    first.repeated = 1
    assert f"calls or failed: 1 of {wording.strategy_title(one.name)}." in view.latency_about(report)


def test_reasons_that_the_summary_gives_are_not_given_twice(sample_report: Build) -> None:
    advice = sample_report().recommendation
    advice.reasons = [*advice.summary[:1], "It is the simplest."]
    assert view.further_reasons(advice) == ["It is the simplest."]


def test_break_evens_below_one_query_a_month_are_left_out(sample_report: Build) -> None:
    report = sample_report()
    report.recommendation.break_even[0].queries_per_month = 0.4
    assert [text for text in view.break_evens(report) if "Above" in text] == []


def test_hosting_and_what_it_adds_to_the_costs_are_told(sample_report: Build) -> None:
    report = sample_report()
    prompt = report.result("zero_shot")
    cost = prompt.cost
    assert cost is not None
    assert (view.further_cost_titles(report), view.further_costs(report, prompt, cost)) == ([], [])
    settings = {"hosting": "always-on", "min_replicas": 2, "peak_ratio": 10.0, "watts": 65.0}
    on = report.model_copy(update={"settings": report.settings.model_copy(update=settings)})
    dear = cost.model_copy(update={"machines": 2, "watt_hours_per_1k": 0.5})
    assert view.further_cost_titles(on) == ["Machines", "Wh per 1,000"]
    assert view.further_costs(on, prompt, dear) == ["2", "0.50"]
    assert view.further_costs(on, prompt, cost) == ["0", "unknown"], "a provider's machines are not ours"
    peak = "enough for a peak of 10 times the mean (assumed; give yours with --peak-qps)"
    assert view.limits(on)[1] == f"machines are always on, at least 2 machines, {peak}"
    for render in (render_markdown, render_html):
        assert "Wh per 1,000" in render(on)
    energy = [cost.model_copy(update={"watt_hours_per_1k": wh}) for wh in (1458.3, 0.0000972)]
    assert [view.further_costs(on, prompt, used)[1] for used in energy] == ["1,458", "under 0.0001"]


def test_what_is_paid_once_and_a_month_can_be_worked_out_from_the_columns(sample_report: Build) -> None:
    """USD a month is that of its queries, a twelfth of what is paid once, and of training again."""
    report = sample_report()
    report.settings.effort_usd, report.settings.retrainings_per_year = {"finetune": 2000.0}, 48.0
    tuned = report.result("lora")
    assert tuned.cost is not None
    tuned.cost.retraining_usd = 16.0
    titles, entries = view.further_cost_titles(report), view.further_costs(report, tuned, tuned.cost)
    assert list(zip(titles, entries, strict=True)) == [
        ("Set-up, of USD once", "2,000"),
        ("Training again, of USD a month", "16.00"),
    ]
    assert view.further_costs(report, (rag := report.result("rag")), rag.cost or tuned.cost)[0] == "0"
    for render in (render_markdown, render_html):
        assert "spread over 12 months, and training again 48 times a year." in (form := render(report))
        assert "Training again, of USD a month" in form
    report.settings.volume, report.settings.retrainings_per_year = 1, 1.0
    assert view.costs_about(report).startswith("At 1 query a month; ")
    assert view.costs_about(report).endswith("training again 1 time a year.")
    assert "1 queries" not in render_html(report)


def test_a_matrix_of_costs_is_shown_and_no_longer_than_a_reader_reads(sample_report: Build) -> None:
    report = sample_report()
    costs = {"legal": {"billing": 20.0, "legal": 0.0}, "billing": {"legal": 0.5, "outage": 0.0}}
    report.settings.error_cost = ErrorCosts(costs=costs, default=1.0)
    assert view.error_costs(report) == [
        ["legal", "billing", "20"],
        ["billing", "legal", "0.5"],
        ["billing", "outage", "0"],
        ["any", "another wrong label", "1"],
        ["any", "no label", "1"],
    ]
    assert "| legal | billing | 20 |" in render_markdown(report)
    assert "What each wrong answer costs" in render_html(report)
    many = {f"label {n}": {f"label {m}": float(m + 1) for m in range(9) if m != n} for n in range(9)}
    report.settings.error_cost = ErrorCosts(costs=many)
    rows = view.error_costs(report)
    assert rows[-2:] == [["48 further pairs", "", "up to 6"], ["any", "no label", "as its dearest"]]
    assert len(rows) == view.MOST_PAIRS + 2
    report.settings.error_cost = 2.5
    assert view.error_costs(report) == []


def test_the_decisions_terms_are_told_all(sample_report: Build) -> None:
    report = sample_report()
    report.settings.min_quality, report.settings.max_cost_per_1k, report.settings.error_cost = 0.845, 0.005, 0.004
    assert view.limits(report) == [
        "10,000 queries a month over 12 months",
        "busy machine-seconds are paid for",
        "the lowest total of costs and wrong answers decides, with a tolerance of 1 point",
        "quality at least 84.5 of 100",
        "at most 0.005 USD per 1,000 queries",
        "95 of 100 answers within 2,000 ms",
        "a wrong answer costs 0.004 USD",
    ]
    report.settings.error_cost = None
    assert not [term for term in view.limits(report) if "wrong answer" in term]
    assert "strategies within 1 point of the best count as equal in quality" in view.limits(report)


@pytest.mark.parametrize(
    ("changed", "role"),
    [
        ({"keeps_incumbent": True}, "is the best to replace today's system with"),
        ({"keeps_incumbent": True, "verdict": "insufficient_evidence"}, "is the best to replace today's system with"),
        ({"verdict": "insufficient_evidence"}, "is favoured by these rows"),
        ({"falls_short": True}, "is the best of a weak field"),
    ],
)
def test_nothing_is_called_recommended_that_is_not(sample_report: Build, changed: dict[str, Any], role: str) -> None:
    report = sample_report()
    assert report.volumes is not None
    del report.volumes.changes[1:]
    assert "is recommended at any volume shown" in render_markdown(report)
    for name, value in changed.items():
        setattr(report.recommendation, name, value)
    for render in (render_markdown, render_html):
        shown = render(report).replace("&#39;", "'")
        assert f"{role} at any volume shown" in shown
        assert "Recommended" not in shown
        assert "is recommended at any volume" not in shown


def test_side_effects_of_tuning_are_told_in_every_form(sample_report: Build) -> None:
    report = sample_report()
    report.result("lora").side_effects = SideEffects(
        general_before=0.75, general_after=0.5, general_questions=32, perplexity_before=20.0, perplexity_after=31.0,
        same_when_repeated=1.0, same_when_reworded=0.75, inputs=12,
    )  # fmt: skip
    for render in (render_markdown, render_html):
        assert "Side effects of tuning" in render(report)
        assert "Forgetting: of 32 general questions" in render(report)
        assert "Side effects" not in render(sample_report())


def test_how_far_changes_of_the_pick_are_known_is_told(sample_report: Build) -> None:
    report = sample_report()
    assert report.volumes is not None
    last = report.volumes.queries_per_month[-1]
    report.volumes.searched = (float(report.volumes.queries_per_month[0]), last / 2)
    known = "the pick is known at the volumes shown only, and may change between them."
    assert view.picks_by_volume(report)[-1] == f"Above {last // 2:,} queries a month {known}"
    del report.volumes.changes[1:]
    assert view.picks_by_volume(report)[0].startswith("From ")
