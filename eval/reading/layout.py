"""Lines of formatted documents: headings as in Markdown, rows of tables with all their columns."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from itertools import pairwise

from eval.reading.text import clean

LOWEST = 6
"""The lowest level of a heading in Markdown."""
OWN = "\0"
"""Begins a heading, a row of a table and a line of code until a file's lines are together: none is part of a cell."""
BREAK = "\v"
"""A line break within a paragraph until a file's lines are together: `\\n` ends a paragraph."""
EMPTY = "\N{EN DASH}"
"""Stands for an empty cell, without which the next would move under its heading."""

MOST_REPEATED = 300
"""Characters."""

_MARK = re.compile(r"\(?(\w{1,3})[.)]*")
"""Of a note."""
_FIGURES = re.compile(r"[-+\u2212]?\d+")
_UNIT = re.compile(r"(?<![^\W\d_])[^\W\d_]{1,2}$")
"""What may be one, at the end of a word: `m`, `km`. A superscript after it is no mark."""


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


def note_mark(superscript: str) -> str:
    """The mark of a note without its brackets; empty where a superscript is none."""
    mark = _MARK.fullmatch(superscript.strip())
    return mark[1] if mark else ""


def raised(superscript: str, before: str, notes: Container[str]) -> str:
    """A superscript within a line, after the word before it (empty at its beginning).

    The mark of a note stands in brackets and figures after figures are a power, so that neither is read as the end of
    a number. `notes` are the marks of those that the document has.
    """
    if (mark := note_mark(superscript)) in notes and not _UNIT.search(before):
        return f" ({mark}){' ' * superscript[-1:].isspace()}" if before else f"({mark}) "
    is_power = before[-1:].isdigit() and _FIGURES.fullmatch(superscript.rstrip())
    return f"^{superscript}" if is_power else superscript


def joined(paragraphs: Iterable[str]) -> str:
    """The paragraphs that say something as one text, blank lines between; none between rows or lines of code."""
    lines = [line.strip() for paragraph in paragraphs for line in paragraph.split("\n") if line.strip()]
    parted = ["\n" if a[:1] == b[:1] == OWN else "\n\n" for a, b in pairwise(["", *lines])]
    text = "".join(map("".join, zip(parted, lines, strict=True)))
    return clean(text.replace(BREAK, "\n").replace(OWN, ""))
