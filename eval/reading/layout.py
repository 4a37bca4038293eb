"""Lines of formatted documents: headings as in Markdown, rows of tables with all their columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eval.reading.text import clean

LOWEST = 6
"""The lowest level of a heading in Markdown."""
OWN = "\0"
"""Begins a heading, a row of a table and a line of code until a file's lines are together: none is part of a cell."""
EMPTY = "\N{EN DASH}"
"""Stands for an empty cell, without which the next would move under its heading."""

MOST_REPEATED = 300
"""Characters."""


def is_repeated(cell: str) -> bool:
    """Whether a cell that covers several is given in each; a longer one is a part of the page rather than a value."""
    return len(cell) <= MOST_REPEATED and OWN not in cell


def heading(text: str, level: int) -> str:
    """A heading as Markdown has it, so that whoever cuts the text knows its sections; empty where nothing is in it."""
    text = " ".join(text.split())
    return f"{OWN}{'#' * min(level, LOWEST)} {text}" if text else ""


def row(cells: Sequence[str]) -> str:
    """A row of a table as one line; empty where nothing is in it.

    A cell that is alone keeps its lines, and so do those of a row that holds headings, code or rows: a table can be a
    frame for any text.
    """
    if len(cells) < 2 or any(OWN in cell for cell in cells):
        return "\n".join(filter(None, cells))
    return OWN + " | ".join(" ".join(cell.split()) or EMPTY for cell in cells) if any(cells) else ""


def joined(lines: Iterable[str]) -> str:
    """The lines that say something as one text."""
    return clean("\n".join(line for line in lines if line.strip()).replace(OWN, ""))
