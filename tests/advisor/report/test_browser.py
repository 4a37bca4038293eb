"""The HTML report in a real Chromium: the slider, without a script, on paper, on a phone, and hostile text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from advisor.report.html import render_html
from advisor.report.schema import Report

HEADERS = {"content-security-policy": "sandbox allow-scripts; frame-ancestors 'none'; base-uri 'none'"}
"""What the service adds to the page's own policy."""
Build = Callable[..., Report]


@pytest.fixture
def shown(browser: Any) -> Iterator[Callable[..., Any]]:
    """Shows a report; the test fails where a script does, the policy is broken, or anything is asked of a network."""
    complaints: list[str] = []
    contexts = []

    def show(report: Report, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.route("**/*", lambda route: _answered(route, render_html(report), complaints))
        page.goto("http://report.test/")
        return page

    yield show
    for context in contexts:
        context.close()
    assert complaints == []


def _answered(route: Any, page: str, complaints: list[str]) -> None:
    if route.request.url == "http://report.test/":
        route.fulfill(body=page, content_type="text/html", headers=HEADERS)
    else:
        complaints.append(route.request.url)
        route.abort()


def test_moving_the_volume_changes_what_is_recommended_and_what_it_costs(
    shown: Callable[..., Any], sample_report: Build
) -> None:
    page = shown(sample_report())
    slider, pick, queries = (
        page.locator("#volume-slider"),
        page.locator("#volume-pick"),
        page.locator("#volume-queries"),
    )
    assert (queries.inner_text(), pick.inner_text()) == ("10,000 queries a month", "Fine-tuning (LoRA)")
    line = page.locator(".now.wide").bounding_box()["x"]
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert (queries.inner_text(), pick.inner_text()) == ("1,000 queries a month", "Embeddings + linear classifier")
    assert slider.get_attribute("aria-valuetext") == "1,000 queries a month"
    rows = page.locator(".lines tbody tr")
    assert rows.nth(1).get_attribute("class") == "pick"
    assert [rows.nth(i).locator("td").inner_text() for i in range(3)] == ["0.0024", "0.0011", "0.0068"]
    assert page.locator(".now.wide").bounding_box()["x"] < line
    slider.fill("3")
    assert (queries.inner_text(), pick.inner_text()) == ("100,000 queries a month", "none within the limits")
    assert page.locator(".lines tr.pick").count() == 0


def test_a_figure_leads_to_its_rows_though_they_are_folded_away(
    shown: Callable[..., Any], sample_report: Build
) -> None:
    page = shown(sample_report())
    assert not page.locator("#rows table").is_visible()
    page.locator(".contender a", has_text="91 of 100 right").click()
    page.locator("#rows table").wait_for(state="visible", timeout=5000)


def test_without_a_script_and_on_paper_everything_is_said(
    shown: Callable[..., Any], sample_report: Build, tmp_path: Path
) -> None:
    page = shown(sample_report(), java_script_enabled=False)
    assert not page.locator("#volume-control").is_visible()
    assert page.locator("svg.wide").count() == 3
    assert "Above 9,950 queries a month: Fine-tuning (LoRA)." in page.locator("#volume").inner_text()
    page = shown(sample_report(), viewport={"width": 680, "height": 900})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    assert page.locator("table.volumes").is_visible()
    assert not page.locator("#volume-control").is_visible()
    page.pdf(path=str(tmp_path / "report.pdf"), format="A4")
    assert (tmp_path / "report.pdf").stat().st_size > 20_000


@pytest.mark.parametrize("width", [360, 390, 1000, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_a_desk_by_day_and_by_night(
    shown: Callable[..., Any], sample_report: Build, width: int, scheme: str
) -> None:
    page = shown(sample_report(), viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    drawn = "narrow" if width < 640 else "wide"
    assert [page.locator(f"svg.{kind}:visible").count() for kind in (drawn, "chart")] == [3, 3]
    if width >= 1000:  # every table is seen whole
        cut = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
        assert page.evaluate(cut) == 0
    assert page.evaluate(CONTRAST) == []


CONTRAST = """() => {
  const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
      .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
      if (c !== 'rgba(0, 0, 0, 0)') return c; } return 'rgb(255, 255, 255)'; };
  const bad = [];
  const texts = 'p, li, td, th, dt, dd, h1, h2, h3, summary, figcaption, caption, svg text';
  for (const e of document.querySelectorAll(texts)) {
    if (!e.textContent.trim() || !e.getClientRects().length) continue;
    const svg = e instanceof SVGElement, style = getComputedStyle(e);
    if (svg && /^\\d+$/.test(e.textContent)) continue;  // numbers in dots stand on the dot
    const a = light(svg ? style.fill : style.color), b = light(behind(svg ? e.closest('svg').parentElement : e));
    if ((Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5) bad.push(e.textContent.trim().slice(0, 40));
  }
  return bad;
}"""
"""Texts whose contrast to what is behind them is under WCAG's 4.5."""


def test_hostile_text_does_nothing(shown: Callable[..., Any], hostile_report: Report) -> None:
    page = shown(hostile_report)
    assert page.locator("img").count() == 0
    page.locator("#volume-slider").fill("1")
    assert "<script>alert(1)</script>" in page.locator("#volume-pick").inner_text()
