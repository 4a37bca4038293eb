"""What commands show on a terminal: a comparison as it goes on, a plan, the findings of an audit, scores."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from advisor.progress import Forecast
from advisor.report.wording import (
    AT_THE_LEAST,
    count,
    duration,
    hundredths,
    latency,
    legible,
    over_budget,
    rows_without_id,
    strategy_title,
    title_in_text,
    what_cuts_are_for,
)
from eval.findings import Finding, Severity, gravest_first

if TYPE_CHECKING:
    from advisor.comparison import Comparison


class LiveProgress:
    """Implements `advisor.progress.Progress` with one line that moves and lines that stay."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._forecast = Forecast()

    def __enter__(self) -> LiveProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        self._console.print(escape(legible(text)), style="dim")

    def planned(self, seconds: dict[str, float], after: float) -> None:
        self._forecast.plan(seconds, after)
        self.say(f"{count(len(seconds), 'strategy', 'strategies')} to compare, about {duration(self._forecast.whole)}.")

    def phase(self, strategy: str, phase: str, done: int, total: int) -> None:
        self._forecast.at(strategy)
        words = f"{strategy_title(strategy)}: {phase}"
        if total > 1:
            words += f" {done} of {total}"
        if self._task is None:
            self._bar.start()  # not before there is something to show: an error may come first
            self._task = self._bar.add_task("", total=1.0, left="")
        left = self._forecast.left
        words_left = "" if left is None else f"about {duration(left)} left"
        self._bar.update(self._task, description=escape(words), completed=done / max(1, total), left=words_left)

    def finished(self, strategy: str, outcome: str, quality: float | None = None) -> None:
        self._forecast.done(strategy)
        if outcome != "not_applicable":
            self.say(f"  {strategy_title(strategy)}: {'done' if outcome == 'ok' else outcome.replace('_', ' ')}")


def print_plan(comparison: Comparison, console: Console) -> None:
    """What would be done, and how long it would take."""
    plan, folds, budget = comparison.plan, comparison.folds, comparison.request.time_budget
    rows = f"{len(folds[0].train)} examples to learn from, {plan.test_rows} to test on"
    if plan.folds > 1:
        rows = f"{plan.folds}-fold cross-fitting: all {plan.test_rows} examples are tested, none by what learnt from it"
    told = over_budget(plan.total, budget) or f"about {duration(plan.total)} of the {duration(budget)} allowed"
    console.print(f"{rows}; {told}.")
    if plan.offers:
        console.print(f"Ways of dividing the examples, each {AT_THE_LEAST}:", style="dim")
    for offer in plan.offers:
        way = f"{offer.folds}-fold cross-fitting" if offer.folds > 1 else "one holdout"
        console.print(f"  {way}: about {duration(offer.seconds)}", style="dim")
    table = Table("strategy", "predicted", box=None, header_style="bold")
    for name, seconds in plan.predicted.items():
        table.add_row(escape(strategy_title(name)), "left out" if name in plan.left_out else duration(seconds))
    console.print(table)
    for cut in plan.cuts_for(plan.tried):
        console.print(f"{what_cuts_are_for(plan.total, budget)}: {escape(cut)}.")


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """The audit as a list, the gravest first."""
    if not findings:
        console.print("Nothing to report.")
    for finding in gravest_first(findings):
        style, message = _STYLES[finding.severity], escape(legible(finding.message))
        console.print(f"[{style}]{finding.severity}[/] [bold]{finding.code}[/]: {message}")
        if finding.rows:
            more = len(finding.rows) - MOST_ROWS_SHOWN
            rows = ", ".join(finding.rows[:MOST_ROWS_SHOWN]) + (f" and {more} more" if more > 0 else "")
            console.print(f"  Rows: {escape(legible(rows))}", style="dim", soft_wrap=True)
        if finding.action:
            console.print(f"  {escape(legible(finding.action))}")
    if counted := rows_without_id(row for finding in findings for row in finding.rows):
        console.print(counted, style="dim")


def print_scores(scores: Sequence[dict[str, Any]], console: Console) -> None:
    """The scores of kept solutions on further rows as a small table, and which of these rows they know."""
    table = Table("strategy", "quality", "95 %", "rows", "p50", "errors", box=None, header_style="bold")
    for s in scores:
        q = s["quality"]
        table.add_row(
            escape(strategy_title(s["name"])),
            f"{hundredths(q['value'])}",
            f"{hundredths(q['ci95'][0])} to {hundredths(q['ci95'][1])}",
            str(q["n"]),
            latency(s["latency"]["p50_ms"]) if s["latency"] else "unknown",
            str(s["errors"]),
        )
    console.print(table)
    for s in scores:
        if s["learnt_from"]:
            console.print(escape(_warned(s)))


def _warned(scores: dict[str, Any]) -> str:
    """That a solution knows rows that it was asked."""
    name, known, unseen = title_in_text(scores["name"]), scores["learnt_from"], scores["unseen"]
    if unseen is None:
        return f"All of these rows are among those that {name} was fitted on: how it does on others, they cannot say."
    low, high = (hundredths(bound) for bound in unseen["ci95"])
    said = f"{known} of these {scores['quality']['n']} rows are among those that {name} was fitted on"
    return f"{said}; on the other {unseen['n']} it reaches {hundredths(unseen['value'])} ({low} to {high})."


MOST_ROWS_SHOWN = 10
_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "info": "blue"}
