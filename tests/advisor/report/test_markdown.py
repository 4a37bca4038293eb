"""The Markdown report: order, completeness, and client text that stays text."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from markdown_it import MarkdownIt

from advisor.report.markdown import escape, fenced, render_markdown
from advisor.report.schema import Report

Build = Callable[..., Report]


def test_the_recommendation_comes_first_then_the_table(sample_report: Build) -> None:
    report = sample_report()
    text = render_markdown(report)
    assert text.startswith(f"# {report.recommendation.headline}")
    order = [line for line in text.splitlines() if line.startswith("## ")]
    assert order[0] == "## All strategies"
    assert order[-1] == "## Appendix: configuration"
    assert "## What the audit of the data found" in order


def test_every_strategy_is_in_the_table_failed_ones_with_their_reason(sample_report: Build) -> None:
    text = render_markdown(sample_report())
    assert "| Fine-tuning (LoRA) | 91 of 100 right, 84 to 95 |" in text
    assert "failed; Out of memory while training" in text
    assert "not applicable; The task is classification" in text


def test_a_report_with_nothing_measured_still_renders(sample_report: Build) -> None:
    failed = {"name": "rag", "family": "retrieval", "status": "failed", "reason": "The disk is full."}
    advice = sample_report().recommendation.model_copy(
        update={"strategy": None, "runner_up": None, "verdict": "none_feasible", "probability_best": {}}
    )
    report = sample_report(
        strategies=[failed], comparisons=[], samples=[], artefact=None, recommendation=advice.model_dump()
    )
    text = render_markdown(report)
    assert "No strategy meets the limits" in text
    assert "The disk is full." in text


@pytest.mark.parametrize(
    "text",
    [
        "a|b",
        "`x`",
        "<script>alert(1)</script>",
        "*a* _b_ ~~c~~",
        "[a](b)",
        "# head",
        "- item",
        "1. item",
        "\\",
        "&lt;",
        "$x$",
        "==",
    ],
)
def test_escaped_text_shows_exactly_itself(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(escape(text))
    assert [t.type for t in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert "".join(child.content for child in children) == text
    assert {child.type for child in children} <= {"text", "text_special"}


def test_a_fence_is_longer_than_the_backticks_inside() -> None:
    assert fenced("a\n````\nb").startswith("`````\n")


def test_hostile_text_opens_no_html_link_or_image(hostile_report: Report) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(render_markdown(hostile_report))
    inline = [child for token in tokens for child in (token.children or [])]
    assert not [t for t in tokens if t.type == "html_block"]
    assert not [c for c in inline if c.type in ("html_inline", "image", "link_open", "code_inline")]


def test_every_row_of_a_table_has_as_many_cells_as_its_header(hostile_report: Report) -> None:
    """Counted in the source, because renderers drop surplus cells without a word."""
    blocks = [block.splitlines() for block in render_markdown(hostile_report).split("\n\n") if block.startswith("| ")]
    assert len(blocks) == 9
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block}) == 1, block[0]


def test_hostile_text_leaves_the_structure_of_the_plain_report(hostile_report: Report, sample_report: Build) -> None:
    """Block by block the same document, but for the times and titles that are no longer known names."""

    def structure(report: Report) -> list[str]:
        tokens = MarkdownIt("commonmark").enable("table").parse(render_markdown(report))
        return [t.type for t in tokens if t.type != "inline"]

    assert structure(hostile_report) == structure(sample_report())


def test_no_control_character_or_override_is_left(hostile_report: Report) -> None:
    assert not set(render_markdown(hostile_report)) & {"\x00", "\x1b", "\u202e", "\x9b", "\r"}
