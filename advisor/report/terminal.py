"""The recommendation on a terminal, from 80 columns up. Client text is never read as markup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from advisor.decide import Verdict
from advisor.report import view, wording
from advisor.report.schema import Quality, Report, StrategyResult

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

MOST_REASONS = 4
WIDE = 110
"""Columns from which a note has its own column; below, it stands under the strategy's title."""

PLAIN = {wording.MINUS: "-", "–": "-", "•": "*", "…": "..."}
"""Signs of our own that mean something, and what stands for them where an encoding lacks them."""

VERDICT_STYLES: dict[Verdict, str] = {
    "clear": "green",
    "tie": "yellow",
    "none_feasible": "red",
    "insufficient_evidence": "yellow",
}


def print_report(report: Report, console: Console, paths: Mapping[str, str] | None = None) -> None:
    """Print headline, reasons, next step, the table of strategies, and the titles and `paths` of what was written."""
    report = view.legible(report)
    recommendation = report.recommendation
    console.print()
    console.print(_text(recommendation.headline, console, "bold"))
    verdict = recommendation.verdict
    title = wording.verdict_title(verdict, recommendation.keeps_incumbent, recommendation.falls_short)
    console.print(_text(title, console, VERDICT_STYLES[wording.verdict_colour(verdict, recommendation.falls_short)]))
    console.print()
    for reason in recommendation.reasons[:MOST_REASONS]:
        _item("•", reason, console)
    for caveat in recommendation.caveats[:2]:
        _item("!", caveat, console, "yellow")
    console.print()
    console.print(_text("Next: ", console, "bold").append_text(_text(recommendation.next_step, console)))
    if view.measured(report):
        console.print()
        console.print(_strategies(report, console))
    unusual = [*_unusual(report), *_over_time(report)]
    if unusual:
        console.print()
        for words in unusual:
            console.print(_text(words, console, "dim"))
    if paths:
        console.print()
        width = max(len(title) for title in paths) + 2
        for title, path in paths.items():
            line = _text(f"{wording.legible(title):<{width}}", console, "dim")
            console.print(line.append_text(_text(wording.legible(path), console)), soft_wrap=True)
    console.print()


def _unusual(report: Report) -> list[str]:
    """A line for each reason that strategies were not measured as planned for, with their titles."""
    titles: dict[str, list[str]] = {}
    for result in view.ranked(report):
        if result.status != "ok":
            reason = wording.clip(result.reason or "no reason was recorded", 300)
            said = f"{wording.status_title(result)}: {reason}"
            titles.setdefault(said, []).append(wording.strategy_title(result.name))
    return [f"{', '.join(names)}, {said}" for said, names in titles.items()]


def _over_time(report: Report) -> list[str]:
    plan, took = report.data.plan, report.timing.total_seconds
    return [wording.how_long(took, plan)] if took > plan.time_budget else []


def _text(words: str, console: Console, style: str = "") -> Text:
    """The words as they are, no markup, with what the terminal's encoding lacks replaced."""
    from rich.text import Text

    encoding = console.encoding or "utf-8"
    try:
        "".encode(encoding)
    except LookupError:
        encoding = "ascii"
    for sign, plain in PLAIN.items():
        if sign.encode(encoding, "ignore") == b"":
            words = words.replace(sign, plain)
    return Text(words.encode(encoding, "replace").decode(encoding), style=style)


def _item(bullet: str, words: str, console: Console, style: str = "") -> None:
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=3, justify="right")
    grid.add_column()
    grid.add_row(_text(bullet, console, style), _text(words, console, style))
    console.print(grid)


def _strategies(report: Report, console: Console) -> Table:
    from rich import box
    from rich.table import Table

    is_wide = console.width >= WIDE
    padding = (0, 2, 0, 0) if is_wide else (0, 1, 0, 0)
    table = Table(box=box.SIMPLE_HEAD, padding=padding, pad_edge=False, show_edge=False)
    metric = wording.metric_title(report.task.metric)
    table.add_column("Strategy", overflow="fold", vertical="top")
    table.add_column(_text(f"{wording.capitalised(metric)},\n95 % range", console), overflow="fold")
    for header in ("USD per\n1,000", "p95\nlatency", "Tokens\na query"):
        # Rich marks what it cuts (below 60 columns) with an ellipsis, which not every encoding has.
        overflow: Literal["crop", "ellipsis"] = "crop" if console.options.ascii_only else "ellipsis"
        table.add_column(header, justify="right", no_wrap=True, overflow=overflow)
    if is_wide:
        table.add_column("Note", overflow="fold")
    for result, quality in view.measured(report):
        table.add_row(*_cells(report, result, quality, console, is_wide))
    return table


def _cells(report: Report, result: StrategyResult, quality: Quality, console: Console, is_wide: bool) -> list[Text]:
    is_pick = result.name == report.recommendation.strategy
    style = "bold" if is_pick else ""
    note = view.note(report, result)
    title = _text(wording.strategy_title(result.name), console, style)
    if note and not is_wide:
        title.append_text(_text(f"\n  {note}", console, "green" if is_pick else "dim"))
    figures = [
        wording.quality_short(quality),
        view.per_1k(report, result.cost) if result.cost else "–",
        wording.latency(result.latency.p95_ms) if result.latency else "–",
        f"{result.cost.tokens.input + result.cost.tokens.output:,.0f}" if result.cost else "–",
    ]
    cells = [title, *(_text(figure.replace("under ", "<"), console, style) for figure in figures)]
    if is_wide:
        cells.append(_text(note, console, "green" if is_pick else "dim"))
    return cells
