"""The HTML report: one file, no network, readable by all and without its script, client text that stays text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup

from advisor.report.html import CONTENT_SECURITY_POLICY, SCRIPT, render_html
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
    assert rows[8].startswith("9. Always the same answer")
    assert "Failed: Out of memory" in rows[9]
    assert "Not applicable:" in rows[10]


def test_how_it_was_measured_says_which_plans_were_weighed_and_what_the_rows_can_show(
    sample_report: Build,
) -> None:
    text = soup(sample_report()).get_text(" ", strip=True)
    assert "5-fold cross-fitting about 24 min 50 s" in text
    assert "the 100 rows that all answered can show a difference of about 6.7 points" in text
    assert 'Grouped 600 examples by "cust" (20 groups).' in text


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
    among = "Chances and losses are among all strategies, those beyond your limits too"
    assert f"{among}, today's system aside." in page.text
    assert f"{among}." in soup(report).text
    report.settings.max_latency_ms = None
    assert "Chances and losses" not in soup(report).text
    (row,) = (r for r in page.select(".strategies tbody tr") if "Today's system" in r.text)
    assert [cell.text for cell in row.find_all("td")][1:] == ["–", "–", "–"]
    (card,) = (card for card in page.select(".contender") if "Today's system" in card.text)
    assert [b.text for b in card.find_all("b")] == ["31 of 100 right", "unknown", "unknown"]


def test_labels_in_advice_are_shown_and_never_obeyed(sample_report: Build) -> None:
    """A label can be any text of the client's, and the advice names scarce ones."""
    report = sample_report()
    report.recommendation.next_step = "Label more examples and run again: at least 7 more of <b>x</b>."
    report.recommendation.caveats = ["Not enough evidence: labels with hardly any test rows: <img src=x> (3)."]
    page = soup(report)
    assert "7 more of <b>x</b>" in page.text
    assert "<img src=x> (3)" in page.text
    assert not page.find_all("img")


def test_it_loads_nothing_and_runs_its_own_script_alone(sample_report: Build, hostile_report: Report) -> None:
    for report in (sample_report(), hostile_report):
        text, page = render_html(report), soup(report)
        assert [script.get("type") for script in page.find_all("script")] == ["application/json", None]
        assert page.find_all("script")[1].string == SCRIPT
        assert not re.search(r"https?://", text.replace('xmlns="http://www.w3.org/2000/svg"', ""))
        assert not page.find_all(["link", "img", "iframe", "object", "embed", "base", "form"])
        assert not page.find_all(attrs={"src": True})
        assert {str(tag["href"])[0] for tag in page.find_all(href=True)} == {"#"}
        assert not [a for tag in page.find_all(True) for a in tag.attrs if a.startswith("on")]
        assert "url(" not in text
        assert "@import" not in text


def test_it_states_its_own_content_policy(sample_report: Build) -> None:
    meta = soup(sample_report()).find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert meta is not None
    assert meta["content"] == CONTENT_SECURITY_POLICY
    policy = dict(part.strip().split(" ", 1) for part in CONTENT_SECURITY_POLICY.split(";"))
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'", "style-src": "'unsafe-inline'", "img-src": "data:", "script-src": f"'sha256-{digest}'",
    }  # fmt: skip


def test_every_figure_leads_to_where_it_comes_from(sample_report: Build) -> None:
    page = soup(sample_report())
    ids = {str(tag["id"]) for tag in page.find_all(id=True)}
    links = [str(tag["href"])[1:] for tag in page.find_all(href=True)]
    assert set(links) <= ids
    card = page.select(".contender")[0]
    assert [str(a["href"]) for a in card.find_all("a")] == ["#rows", "#cost-1", "#latency-1"]
    cost = page.find(id="cost-1")
    assert cost is not None
    assert "Fine-tuning (LoRA)" in cost.text
    assert "ombudsman" in page.select_one("#rows table").text  # type: ignore[union-attr]
    assert "#s-5" in [str(a["href"]) for a in page.select(".strategies a")]  # no rows of this one are shown


def test_the_decision_by_the_volume_is_told_without_the_script(sample_report: Build) -> None:
    page = soup(sample_report())
    section = page.find(id="volume")
    assert section is not None
    text = section.get_text(" ", strip=True)
    assert "Up to 9,950 queries a month: Embeddings + linear classifier." in text
    assert "Above 90,000 queries a month: none within the limits." in text
    assert "At 10,000 queries a month : Fine-tuning (LoRA) ." in text
    assert [row.get_text(" ", strip=True) for row in section.select(".volumes tr")][0::4] == [
        "Queries a month 1,000 10,000 100,000",
        "Recommended Embeddings + linear classifier Fine-tuning (LoRA) none within the limits",
    ]
    control = section.find(id="volume-control")
    assert control is not None
    assert control.has_attr("hidden")
    stops = json.loads(page.find(id="volume-stops").string)  # type: ignore[union-attr, arg-type]
    assert [stop["line"] for stop in stops] == [1, 0, 0, -1]
    assert stops[2]["costs"] == ["0.088", "0.090", "0.27"]
    report = sample_report()
    assert report.volumes is not None
    report.volumes.queries_per_month[0], report.settings.volume = 1, 0
    assert "At 1 query a month : Emb" in soup(report).get_text(" ", strip=True)
    assert "volume-control" not in render_html(sample_report(volumes=None)).split("</style>")[1].split("<script")[0]


def test_the_script_ends_where_it_says_whatever_names_hold(sample_report: Build) -> None:
    report = sample_report()
    assert report.volumes is not None
    report.volumes.lines[0].strategy = "</script><script>alert(1)</script><!--"
    report.volumes.picks[1] = report.volumes.lines[0].strategy
    page = soup(report)
    assert len(page.find_all("script")) == 2
    assert "alert(1)" in json.loads(page.find(id="volume-stops").string)[1]["pick"]  # type: ignore[union-attr, arg-type]


def test_a_report_stays_small(sample_report: Build) -> None:
    """The most rows and labels that a run writes, with long texts in five scripts."""
    text = "消息 сообщение μήνυμα message संदेश "
    row = {
        "id": "7", "input": text * 6, "target": text * 6, "scores": {},
        "answers": dict.fromkeys(("lora", "rag", "majority"), text * 6),
    }  # fmt: skip
    report = sample_report(rows=[row] * 200)
    quality = report.result("lora").quality
    assert quality is not None
    quality.per_label = {f"{text}{i}": 0.5 for i in range(500)}
    assert len(render_html(report).encode()) < 1_000_000


def test_tables_have_captions_and_scopes_and_charts_have_titles(sample_report: Build) -> None:
    page = soup(sample_report())
    assert page.html is not None
    assert page.html["lang"] == "en"
    for table in page.find_all("table"):
        assert table.caption is not None
        assert all(th.get("scope") in ("col", "row") for th in table.find_all("th"))
    charts = page.find_all("svg")
    assert len(charts) == 6
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
            strategy.cost.monthly_usd = cost
    assert report.volumes is not None
    for line in report.volumes.lines:
        line.monthly_usd = [cost] * 4
    page = soup(report)
    assert len(page.find_all("svg")) == (2 if cost == 0 else 6)
    assert "nan" not in str(page.find_all("svg")).lower()


def test_dots_of_the_cost_chart_are_numbered_as_in_the_table(sample_report: Build) -> None:
    report = sample_report()
    report.strategies[2].name = "nearest_examples@smollm2-135m-instruct"
    page = soup(report)
    keys = page.select(".key li")
    assert "Prompt with the nearest examples on smollm2-135m-instruct" in keys[2].text
    rows = page.select(".strategies tbody tr")
    for key in keys:
        assert key.a is not None
        row = next(row for row in rows if f"#{row['id']}" == key.a["href"])
        assert row.th is not None
        assert row.th.text.startswith(f"{key['value']}. {key.a.text}")
    (drawn,) = (svg for svg in page.select("svg.wide") if "cost-wide" in str(svg))
    numbers = [text.text for text in drawn.find_all("text")]
    assert {key["value"] for key in keys} <= set(numbers)


def test_perfect_and_single_results_draw(sample_report: Build) -> None:
    report = sample_report()
    only = report.result("lora")
    assert only.quality is not None
    only.quality.value, only.quality.ci95, only.quality.correct = 1.0, (1.0, 1.0), 100
    page = soup(report.model_copy(update={"strategies": [only], "comparisons": [], "volumes": None}))
    assert len(page.find_all("svg")) == 2
    assert "100 of 100 right" in page.text


def test_a_report_with_nothing_measured_still_renders(nothing_measured: Report) -> None:
    page = soup(nothing_measured)
    assert "No strategy meets the limits" in page.text
    assert "The disk is full." in page.text
    assert not page.find_all("svg")


def test_without_labels_quality_is_told_by_field(sample_report: Build) -> None:
    report = sample_report()
    assert [h.text for h in soup(report).select("#parts h2")] == ["Quality by label"]
    quality = report.result("lora").quality
    assert quality is not None
    quality.per_label = None
    rows = [[cell.text for cell in row.find_all(["th", "td"])][:3] for row in soup(report).select("#parts tbody tr")]
    assert rows == [["since[]", "12", "25 %"], ["team", "100", "91 %"]]
    report.fields = []
    assert not soup(report).select("#parts")


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
