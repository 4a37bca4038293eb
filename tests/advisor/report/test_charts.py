"""The charts: valid specifications, drawn in the page's own colours, with what they show in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from advisor.report import charts
from advisor.report.schema import Report
from advisor.report.view import legible

Build = Callable[..., Report]
CHARTS = [charts.quality_chart, charts.cost_chart, charts.volume_chart]


def drawn(make: Any, report: Report, is_narrow: bool = False) -> charts.Drawing:
    drawing = make(legible(report), is_narrow)
    assert drawing is not None
    return drawing  # type: ignore[no-any-return]


@pytest.mark.parametrize("make", CHARTS)
@pytest.mark.parametrize("is_narrow", [False, True])
def test_specifications_are_what_altair_allows(
    make: Any, is_narrow: bool, sample_report: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawing leaves the check out, because it takes longer than the drawing."""
    import altair

    specs: list[dict[str, Any]] = []

    def keep(spec: dict[str, Any]) -> str:
        specs.append(spec)
        return "<svg></svg>"

    monkeypatch.setattr(charts, "_draw", keep)
    drawn(make, sample_report(), is_narrow)
    (spec,) = specs
    altair.LayerChart.from_dict(spec)
    assert spec["width"] + spec["config"]["padding"]["left"] <= (charts.NARROW if is_narrow else charts.WIDE)


def test_what_stopped_early_has_no_place_among_costs(sample_report: Build) -> None:
    report = sample_report()
    report.result("lora").status = "stopped_early"
    assert "lora" in [key.strategy for key in drawn(charts.cost_chart, sample_report()).keys]
    assert "lora" not in [key.strategy for key in drawn(charts.cost_chart, report).keys]


@pytest.mark.parametrize("make", CHARTS)
def test_colours_and_fonts_are_the_pages_and_a_picture_needs_neither(make: Any, sample_report: Build) -> None:
    drawing = drawn(make, sample_report())
    root = etree.fromstring(drawing.svg.encode())
    used = {value for tag in root.iter() for key, value in tag.attrib.items() if key in ("fill", "stroke")}
    assert {colour for colour in used if not colour.startswith("var(--")} <= {"none", "transparent"}
    assert {colour[6:-1] for colour in used if colour.startswith("var(--")} <= set(charts.COLOURS)
    assert drawing.svg.count("font-family") == 1
    assert drawing.png().startswith(b"\x89PNG")


@pytest.mark.parametrize("make", CHARTS)
def test_hostile_names_are_text_in_a_well_formed_chart(make: Any, hostile_report: Report) -> None:
    drawing = drawn(make, hostile_report)
    root = etree.fromstring(drawing.svg.encode())
    names = {etree.QName(tag).localname for tag in root.iter()}
    assert names <= {"svg", "g", "path", "line", "text", "title", "desc"}
    assert "<script>alert(1)</script>" in drawing.description


def test_marks_say_what_they_are(sample_report: Build) -> None:
    root = etree.fromstring(drawn(charts.cost_chart, sample_report()).svg.encode())
    said = [tag.text for tag in root.iter("{*}title")]
    assert any("Fine-tuning (LoRA): 91 of 100 right, 84 to 95, 0.022 USD a month" in str(text) for text in said)


def test_volumes_stand_in_order_within_the_chart(sample_report: Build) -> None:
    for is_narrow in (False, True):
        at = list(drawn(charts.volume_chart, sample_report(), is_narrow).marks_at)
        assert at == sorted(at)
        assert 0 < at[0] < at[-1] < 100


def test_nothing_is_drawn_of_nothing(sample_report: Build) -> None:
    empty = sample_report(strategies=[], comparisons=[], volumes=None)
    assert [make(empty) for make in CHARTS] == [None, None, None]
