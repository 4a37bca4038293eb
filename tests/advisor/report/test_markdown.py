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
    assert order[:2] == ["## Why", "## All strategies"]
    assert order[-1] == "## Appendix: configuration of every strategy"
    assert "## What the audit of the data found" in order


def test_every_strategy_is_in_the_table_failed_ones_with_their_reason(sample_report: Build) -> None:
    text = render_markdown(sample_report())
    assert "| Fine-tuning (LoRA) | 91 of 100 right, 84 to 95 |" in text
    assert "failed; Out of memory while training" in text
    assert "not applicable; The task is classification" in text


def test_a_report_with_nothing_measured_still_renders(nothing_measured: Report) -> None:
    text = render_markdown(nothing_measured)
    assert "No strategy meets the limits" in text
    assert "The disk is full." in text


def test_how_it_was_measured_says_which_plans_were_weighed_and_what_the_rows_can_show(
    sample_report: Build,
) -> None:
    text = render_markdown(sample_report())
    assert "5-fold cross-fitting about 24 min 50 s" in text
    assert "the 100 rows that all answered can show a difference of about 6.7 points" in text
    assert 'Grouped 600 examples by "cust" (20 groups).' in text


def test_the_learning_curve_is_a_table_of_its_own(sample_report: Build) -> None:
    text = render_markdown(sample_report())
    start = text.index("## What more examples bring")
    section = text[start : text.index("\n## ", start)]
    assert "**Fine-tuning (LoRA)**" in section
    assert "| 37 | 61 | 51 to 70 | +30.0 (+21.0 to +39.0) |" in section
    assert "| 150 | 91 | 84 to 95 |  |" in section
    assert "Embeddings" not in section


def test_a_training_that_two_strategies_go_on_from_is_told_once(sample_report: Build) -> None:
    report = sample_report()
    lora, other = (next(s for s in report.strategies if s.name == name) for name in ("lora", "embedding_linear"))
    assert lora.fit is not None
    assert other.fit is not None

    def section() -> str:
        text = render_markdown(report)
        start = text.index("## Training curves")
        return text[start : text.index("\n## ", start)]

    assert "**Fine-tuning (LoRA)**" in (once := section())
    other.fit.curve = lora.fit.curve
    assert section() == once.replace("**Fine-tuning (LoRA)**", "**Fine-tuning (LoRA); Embeddings + linear classifier**")
    other.fit.curve = (lora.fit.curve or [])[:1]
    assert section().count("| epoch |") == 2


def test_what_became_of_the_refit_stands_beside_the_kept_solution(sample_report: Build) -> None:
    text = render_markdown(sample_report())
    section = text[text.index("## The kept solution") :]
    assert "put aside, since on 32 rows it fell below the measured fits; a measured fit is kept instead" in section
    report = sample_report()
    fit = report.result("lora").fit
    assert fit is not None
    assert fit.refit is not None
    fit.refit.rejected = None
    assert "was fitted on all examples in 1 min 38 s, with 2 epochs of training" in render_markdown(report)


def test_labels_in_advice_are_shown_and_never_obeyed(sample_report: Build) -> None:
    """A label can be any text of the client's, and the advice names scarce ones."""
    report = sample_report()
    report.recommendation.next_step = "Label more examples and run again: at least 7 more of *bold* | <b>x</b>."
    report.recommendation.caveats = ["Not enough evidence: labels with hardly any test rows: `[a](b)` (3)."]
    text = render_markdown(report)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inline = [child for token in tokens for child in (token.children or [])]
    assert not [c for c in inline if c.type in ("html_inline", "link_open", "code_inline", "em_open")]
    assert "7 more of \\*bold\\* \\| &lt;b&gt;x&lt;/b&gt;" in text


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
    assert len(blocks) == 13
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


def test_rows_of_a_given_test_file_are_told_from_those_of_the_examples(sample_report: Build) -> None:
    report = sample_report()
    assert "(test set)" not in render_markdown(report)
    plan = report.data.plan.model_copy(update={"test_source": "file"})
    given = report.model_copy(update={"data": report.data.model_copy(update={"plan": plan})})
    assert f"Row {report.samples[0].id} (test set)" in render_markdown(given)
