"""The recommendation on a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from advisor.report import wording
from advisor.report.markdown import render_markdown
from advisor.report.schema import Report
from advisor.report.terminal import print_report

Build = Callable[..., Report]

PATHS = {"Report": "runs/help desk/report.html", "Solution kept": "runs/help desk/solution"}


def printed(report: Report, width: int, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="")
    print_report(report, Console(file=file, width=width, color_system=None, legacy_windows=False), PATHS)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 120])
def test_it_says_what_to_do_why_and_what_next(sample_report: Build, width: int) -> None:
    report = sample_report()
    words = " ".join(printed(report, width).split())
    assert words.startswith(report.recommendation.headline)
    for part in (*report.recommendation.reasons, report.recommendation.next_step, *PATHS.values()):
        assert part in words


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(sample_report: Build, width: int) -> None:
    assert max(len(line) for line in printed(sample_report(), width).splitlines()) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_figures_of_a_strategy_stay_on_one_line_with_its_title(sample_report: Build, width: int) -> None:
    lines = printed(sample_report(), width).splitlines()
    row = next(line for line in lines if line.startswith("Copy the nearest example's answer"))
    assert row.split()[-6:] == ["71–87", "%", "0.00021", "9", "ms", "0"]
    assert any("recommended" in line for line in lines)


def test_failed_and_inapplicable_strategies_say_why(sample_report: Build) -> None:
    words = " ".join(printed(sample_report(), 80).split())
    assert "Fine-tuning + retrieval, failed: Out of memory while training" in words
    assert "Copy from the best passage, not applicable: The task is classification" in words


def test_strategies_that_are_not_in_the_table_share_a_line_where_they_share_the_reason(sample_report: Build) -> None:
    report = sample_report()
    why = {"status": "not_applicable", "reason": "the answers are not labels", "quality": None}
    of_labels = ("tfidf_linear", "setfit")
    others = [s for s in report.strategies if s.name not in of_labels]
    added = [others[-1].model_copy(update={"name": name, **why}) for name in of_labels]
    lines = printed(report.model_copy(update={"strategies": [*others, *added]}), 120).splitlines()
    assert (
        "TF-IDF + linear classifier, Tuned embeddings + linear classifier, not applicable: the answers are not labels"
        in lines
    )
    assert sum("TF-IDF + linear classifier" in line for line in lines) == 1


def test_what_the_plan_left_out_is_called_so_whatever_it_means_for_the_advice(sample_report: Build) -> None:
    report = sample_report()
    last = report.strategies[-1]
    without = [
        last.model_copy(update={"name": name, "status": status, "reason": wording.LEFT_OUT, "quality": None})
        for name, status in (("lora_rag", "stopped_early"), ("full_tuning", "not_applicable"))
    ]
    left = [s for s in report.strategies if s.name not in ("lora_rag", "full_tuning")]
    report = report.model_copy(update={"strategies": [*left, *without]})
    both = "Fine-tuning + retrieval, Full fine-tuning, left out: the time budget has no room for it"
    assert both in " ".join(printed(report, 120).split())
    assert "left out; the time budget has no room for it" in render_markdown(report)


@pytest.mark.parametrize("width", [20, 80, 120])
def test_hostile_text_is_printed_and_never_obeyed(hostile_report: Report, width: int) -> None:
    text = printed(hostile_report, width)
    assert not set(text) & {"\x00", "\x1b", "\u202e", "\x9b", "\r"}
    assert "[bold]red[/bold][/]" in "".join(text.split())


def test_a_terminal_without_unicode_is_no_reason_to_crash(hostile_report: Report) -> None:
    assert "Clear recommendation" in printed(hostile_report, 80, encoding="ascii")


def test_a_run_that_took_longer_than_its_budget_says_so(sample_report: Build) -> None:
    over = {"total_seconds": 331.0, "phases": {}}
    assert "The run took 5 min 31 s, 31 s over its time budget of 5 min; planned were 4 min 22 s." in printed(
        sample_report(timing=over), 120
    )
    assert "The run took" not in printed(sample_report(), 120)


@pytest.mark.parametrize(
    ("encoding", "loss"), [("ascii", "-22.8"), ("cp1252", "-22.8"), ("latin-1", "-22.8"), ("utf-8", "\u221222.8")]
)
def test_a_loss_is_no_gain_where_the_terminal_has_no_minus_sign(sample_report: Build, encoding: str, loss: str) -> None:
    report = sample_report()
    told = {"reasons": ["It gains 5 points (\u221222.8 to +31.0) …"], "strategy": "lora"}
    advice = report.recommendation.model_copy(update=told)
    text = printed(report.model_copy(update={"recommendation": advice}), 100, encoding)
    assert f"({loss} to +31.0)" in text
    row = next(line for line in text.splitlines() if line.startswith("Copy the nearest example's answer"))
    assert "71-87" in row.replace("–", "-")
    assert ("* It gains" in text) == (encoding in ("ascii", "latin-1"))
    assert ("+31.0) ..." in text) == (encoding in ("ascii", "latin-1"))


def test_paths_are_never_broken_over_lines(sample_report: Build) -> None:
    raw = io.StringIO()
    print_report(sample_report(), Console(file=raw, width=80), {"Report": "/a" * 80})
    assert "/a" * 80 in raw.getvalue()
