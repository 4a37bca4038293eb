"""The HTML report: one file, no network, no script, readable by all, and client text that stays text."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup

from advisor.report.html import CONTENT_SECURITY_POLICY, render_html
from advisor.report.schema import Report

Build = Callable[..., Report]


def soup(report: Report) -> BeautifulSoup:
    return BeautifulSoup(render_html(report), "lxml")


def test_it_opens_with_headline_verdict_and_the_figures_that_matter(sample_report: Build) -> None:
    page = soup(sample_report())
    assert page.h1 is not None
    assert page.h1.text.startswith("Fine-tune the small model")
    assert [b.text for b in page.select(".badge")] == ["Clear recommendation"]
    cards = [card.get_text(" ", strip=True) for card in page.select(".contender")]
    assert len(cards) == 2
    assert "Recommended" in cards[0]
    assert "91 of 100 right" in cards[0]
    assert "98 ms" in cards[0]
    assert "Runner-up, needs no language model" in cards[1]


def test_the_best_strategy_without_a_language_model_is_shown_beside_other_winners(sample_report: Build) -> None:
    report = sample_report()
    report.recommendation.runner_up = "nearest_examples"
    assert [c.text for c in soup(report).select(".contender h2")] == [
        "Fine-tuning (LoRA)", "Prompt with the nearest examples", "Embeddings + linear classifier",
    ]  # fmt: skip


def test_strategies_stand_in_order_of_quality_and_the_unmeasured_last_with_reasons(sample_report: Build) -> None:
    rows = [row.get_text(" ", strip=True) for row in soup(sample_report()).select(".strategies tbody tr")]
    assert len(rows) == 11
    assert rows[0].startswith("1. Fine-tuning (LoRA)")
    assert rows[8].startswith("9. Always the commonest label")
    assert "Failed: Out of memory" in rows[9]
    assert "Not applicable:" in rows[10]


def test_how_it_was_measured_says_which_plans_were_weighed_and_what_the_rows_can_show(sample_report: Build) -> None:
    text = soup(sample_report()).get_text(" ", strip=True)
    assert "5-fold cross-fitting about 24 min 50 s" in text
    assert "these 100 rows can show a difference of about 6.7 points" in text


def test_the_learning_curve_is_a_table_of_its_own(sample_report: Build) -> None:
    report = sample_report()
    captions = [
        caption.text for caption in soup(report).find_all("caption") if "parts of the training rows" in caption.text
    ]
    assert captions == ["Fine-tuning (LoRA), on parts of the training rows and the same test rows"]
    (table,) = (t for t in soup(report).find_all("table") if t.caption is not None and t.caption.text == captions[0])
    rows = [[cell.text for cell in row.find_all("td")] for row in table.select("tbody tr")]
    assert rows[1] == ["75", "84", "75 to 90", "+7.0 (−1.0 to +14.0)"]
    assert len(rows) == 3
    fit = report.result("lora").fit
    assert fit is not None
    fit.learning_curve = None
    assert "What more examples bring" not in soup(report).text


def test_what_became_of_the_refit_stands_beside_the_kept_solution(sample_report: Build) -> None:
    report = sample_report()
    assert "put aside, since on 32 rows it fell below the measured fits; a measured fit is kept" in soup(report).text
    fit = report.result("lora").fit
    assert fit is not None
    assert fit.refit is not None
    fit.refit.rejected = None
    assert "was fitted on all examples in 1 min 38 s, with 2 epochs of training" in soup(report).text


def test_todays_system_is_in_the_table_without_a_cost(sample_report: Build) -> None:
    report = sample_report()
    today = report.result("majority").model_copy(
        update={"name": "incumbent", "cost": None, "latency": None, "fit": None}
    )
    page = soup(report.model_copy(update={"strategies": [*report.strategies, today]}))
    (row,) = (r for r in page.select(".strategies tbody tr") if "Today's system" in r.text)
    assert [cell.text for cell in row.find_all("td")][2:5] == ["–", "–", "–"]
    assert not [card for card in page.select(".contender") if "Today's system" in card.text]


def test_labels_in_advice_are_shown_and_never_obeyed(sample_report: Build) -> None:
    """A label can be any text of the client's, and the advice names scarce ones."""
    report = sample_report()
    report.recommendation.next_step = "Label more examples and run again: at least 7 more of <b>x</b>."
    report.recommendation.caveats = ["Not enough evidence: labels with hardly any test rows: <img src=x> (3)."]
    page = soup(report)
    assert "7 more of <b>x</b>" in page.text
    assert "<img src=x> (3)" in page.text
    assert not page.find_all("img")


def test_it_loads_nothing_and_runs_nothing(sample_report: Build, hostile_report: Report) -> None:
    for report in (sample_report(), hostile_report):
        text, page = render_html(report), soup(report)
        assert "<script" not in text.lower()
        assert not re.search(r"https?://", text)
        assert not page.find_all(["script", "link", "img", "iframe", "object", "embed", "base", "form", "a"])
        assert not page.find_all(attrs={"src": True})
        assert not page.find_all(attrs={"href": True})
        assert not [a for tag in page.find_all(True) for a in tag.attrs if a.startswith("on")]
        assert "url(" not in text
        assert "@import" not in text


def test_it_states_its_own_content_policy(sample_report: Build) -> None:
    meta = soup(sample_report()).find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert meta is not None
    assert meta["content"] == CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_tables_have_captions_and_scopes_and_charts_have_titles(sample_report: Build) -> None:
    page = soup(sample_report())
    assert page.html is not None
    assert page.html["lang"] == "en"
    for table in page.find_all("table"):
        assert table.caption is not None
        assert all(th.get("scope") in ("col", "row") for th in table.find_all("th"))
    charts = page.find_all("svg")
    assert len(charts) == 4
    for chart in charts:
        assert chart["role"] == "img"
        named = str(chart["aria-labelledby"]).split()
        assert [t["id"] for t in (chart.find("title"), chart.find("desc"))] == named  # type: ignore[index]
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))


def test_hostile_text_leaves_the_structure_of_the_plain_report(hostile_report: Report, sample_report: Build) -> None:
    """Tag by tag the same page: text that looks like markup has become none."""

    def tags(report: Report) -> list[str]:
        # Unknown metrics and names change what is remarked beneath a figure, and where labels fit in the chart.
        return [tag.name for tag in soup(report).find_all(True) if tag.name not in ("small", "span")]

    assert tags(hostile_report) == tags(sample_report())


def test_hostile_text_is_shown_as_it_is(hostile_report: Report) -> None:
    text, page = render_html(hostile_report), soup(hostile_report)
    assert page.h1 is not None
    assert "<script>alert(1)</script>|`x`{{ 7*7 }}{% raw %}[bold]red[/bold]" in page.h1.text
    assert "&amp;amp;" in text
    assert not set(text) & {"\x00", "\x1b", "\u202e", "\x9b", "\r"}
    assert text.lower().count("</style>") == 1
    text.encode("utf-8")


@pytest.mark.parametrize("cost", [0.0, 0.5])
def test_costs_that_are_all_equal_or_zero_do_not_break_the_charts(sample_report: Build, cost: float) -> None:
    report = sample_report()
    for strategy in report.strategies:
        if strategy.cost:
            strategy.cost.per_1k_usd = cost
    page = soup(report)
    assert len(page.find_all("svg")) == (2 if cost == 0 else 4)
    assert "nan" not in str(page.find_all("svg")).lower()


def test_long_names_become_numbers_with_a_key_in_the_cost_chart(sample_report: Build) -> None:
    report = sample_report()
    assert soup(report).select_one(".key.shown") is None
    report.strategies[2].name = "nearest_examples@smollm2-135m-instruct"
    page = soup(report)
    key = page.select_one(".key.shown")
    assert key is not None
    assert "Prompt with the nearest examples on smollm2-135m-instruct" in key.text
    assert [t.text for t in page.select("svg.wide .label")][-9:] == [str(n) for n in range(1, 10)]


def test_perfect_and_single_results_draw(sample_report: Build) -> None:
    report = sample_report()
    only = report.result("lora")
    assert only.quality is not None
    only.quality.value, only.quality.ci95, only.quality.correct = 1.0, (1.0, 1.0), 100
    page = soup(report.model_copy(update={"strategies": [only], "comparisons": []}))
    assert len(page.find_all("svg")) == 2
    assert "100 of 100 right" in page.text


def test_a_report_with_nothing_measured_still_renders(sample_report: Build) -> None:
    failed = {"name": "rag", "family": "retrieval", "status": "failed", "reason": "The disk is full."}
    advice = sample_report().recommendation.model_copy(
        update={"strategy": None, "runner_up": None, "verdict": "none_feasible", "break_even": []}
    )
    report = sample_report(
        strategies=[failed], comparisons=[], samples=[], artefact=None, recommendation=advice.model_dump()
    )
    page = soup(report)
    assert "No strategy meets the limits" in page.text
    assert "The disk is full." in page.text
    assert not page.find_all("svg")


def test_many_labels_fold_away_the_weakest_stay(sample_report: Build) -> None:
    report = sample_report()
    quality = report.result("lora").quality
    assert quality is not None
    quality.per_label = {f"intent {i:02}": i / 77 for i in range(77)}
    page = soup(report)
    tables = page.select("table.labels")
    assert [len(t.select("tbody tr")) for t in tables] == [16, 61]
    assert "intent 00" in tables[0].text
    assert tables[1].find_parent("details") is not None
