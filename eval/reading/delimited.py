"""Rows from CSV and TSV files, and the header that they share with worksheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import NamedTuple

from eval.findings import Finding
from eval.reading.text import Decoded, counted, is_blank, listed, read_text

Record = tuple[int, dict[str, object]]
"""Physical line (or sheet row), and the cells by column name."""


class Reading(NamedTuple):
    """What a file holds, and what had to be assumed or left out to read it."""

    records: list[Record]
    findings: list[Finding]
    broken: Sequence[int] = ()
    """Lines, or items, that could not be read."""
    unit: str = "line"
    """What rows are counted in: of a list, a data set or a Parquet file, an `item`."""


DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
SAMPLE, SAMPLE_ROWS = 200_000, 200
"""Characters and rows that are looked at to find the delimiter and the header."""
MOST_TITLES = 5
"""Rows above a header."""
ERRORS = frozenset(("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"))
ERRORS |= frozenset(("#NV", "#BEZUG!", "#WERT!", "#ZAHL!", "#VALEUR!", "#NOM?", "#NOMBRE!", "#NUL!"))
"""What spreadsheets show where a formula fails or a text was taken for one; CSV has it in the user's language."""
csv.field_size_limit(2**31 - 1)


def read_delimited(path: Path) -> Reading:
    """Read CSV or TSV; encoding and delimiter are detected, and stated unless they are UTF-8 and the comma."""
    decoded = read_text(path)
    text, delimiter = _delimiter(decoded.text)
    broken: list[int] = []
    stray: list[int] = []
    grid = from_grid(_cells(text, delimiter, broken, stray))
    findings = assumed(path.name, decoded, delimiter) + grid.above(path.name) + grid.failed(path.name)
    findings += _quoted(path.name, stray)
    broken += grid.odd
    findings += unparseable(path.name, broken, "CSV with as many cells as the header")
    return Reading(grid.records, findings, broken)


@dataclass(frozen=True)
class Grid:
    """Rows of cells, named."""

    records: list[Record]
    odd: list[int]
    """Lines with cells beyond the header."""
    names: Sequence[str] = ()
    """Of the columns, in order."""
    errors: Sequence[tuple[int, str, str]] = ()
    """Line, column and text of cells with an error of the spreadsheet, which are read as empty."""
    header: int = 0
    """Its line."""
    titles: int = 0
    """Rows above the header that are not blank."""

    def above(self, name: str) -> list[Finding]:
        """State that the header is not the first row, if it is not."""
        if not self.titles:
            return []
        lines = counted(self.titles, "line")
        message = f"Took line {self.header} of {name} for the column names, and the {lines} above for a title."
        return [Finding("column_mapping", "info", 1, (), message, "Remove what is above the column names if not.")]

    def failed(self, name: str) -> list[Finding]:
        """State which cells were errors of the spreadsheet, if any."""
        if not self.errors:
            return []
        lines = sorted({line for line, *_ in self.errors})
        kinds = dict.fromkeys(error for _, _, error in self.errors)
        columns = dict.fromkeys(f'"{column}"' for _, column, _ in self.errors)
        cells = "cell holds an error" if len(self.errors) == 1 else "cells hold an error"
        message = f"{len(self.errors)} {cells} of the spreadsheet ({listed(kinds)}) in {listed(columns)} of {name}, "
        message += f"read as empty: line {listed(map(str, lines))}."
        action = "Repair the formulas, or store as text what was taken for one."
        return [Finding("column_mapping", "warning", len(lines), on_lines(lines), message, action)]


def from_grid(grid: Iterable[tuple[int, Sequence[object]]]) -> Grid:
    """Name the cells after the header: the first row that is not blank, or the first below a title."""
    rows = dropwhile(lambda row: not _width(row[1]), grid)
    first = list(islice(rows, SAMPLE_ROWS))
    filled = [(place, width) for place, (_, cells) in enumerate(first) if (width := _width(cells))]
    if not filled:
        return Grid([], [])
    titles = title_rows([width for _, width in filled])
    place, _ = filled[titles]
    start, names = first[place]
    header = _header(names)
    records: list[Record] = []
    odd: list[int] = []
    errors: list[tuple[int, str, str]] = []
    for line, cells in chain(first[place + 1 :], rows):
        if not cells and len(header) == 1:
            cells = [""]  # an empty line is how a single empty cell is written
        if _width(cells) <= len(header):
            named = dict(zip(header, cells, strict=False))
            failed = [(line, name, cell) for name, cell in named.items() if isinstance(cell, str) and cell in ERRORS]
            named.update((name, None) for _, name, _ in failed)
            records.append((line, named))
            errors += failed
        else:
            odd.append(line)
    return Grid(records, odd, header, errors, start, titles)


def title_rows(widths: Sequence[int]) -> int:
    """How many rows above the header are a title: one cell wide each, before rows about as wide as the next."""
    titles = next((i for i, width in enumerate(widths) if width > 1), 0)
    if not 0 < titles <= MOST_TITLES:
        return 0
    wide, below = widths[titles], widths[titles + 1 :]
    fitting, equal = (sum(map(fits, below)) for fits in (wide.__ge__, wide.__eq__))
    several = sum(width > 1 for width in below)  # the last columns may be blank in most rows
    is_header = fitting >= 0.9 * len(below) and (equal >= len(below) / 2 or several >= 0.9 * len(below))
    return titles if below and is_header else 0


def _width(cells: Sequence[object]) -> int:
    """Cells up to the last that holds something."""
    return next((place for place in range(len(cells), 0, -1) if not is_blank(cells[place - 1])), 0)


def assumed(name: str, decoded: Decoded, delimiter: str = ",") -> list[Finding]:
    """State the encoding and the delimiter unless they are the plain ones."""
    encoding, odd = decoded.encoding, decoded.odd_lines
    if odd:
        lines, verb = listed(map(str, odd)), "holds" if len(odd) == 1 else "hold"
        message = f"Read {name} as utf-8 text; line {lines} {verb} bytes that are none, taken for Windows-1252."
        action = "Check these lines for odd letters."
        return [Finding("encoding_assumed", "warning", len(odd), on_lines(odd), message, action)]
    if encoding == "utf-8" and delimiter == ",":
        return []
    cells = "" if delimiter == "," else f" with {DELIMITERS[delimiter]} between the cells"
    return [
        Finding(
            "encoding_assumed",
            "info",
            1,
            (),
            f"Read {name} as {encoding} text{cells}.",
            "If characters or columns look wrong, export the file again as UTF-8 with commas.",
        )
    ]


def unparseable(name: str, lines: Iterable[int], wanted: str, unit: str = "line") -> list[Finding]:
    """Report the physical lines, or items of a list, that could not be read, if any."""
    numbers = sorted(set(lines))
    if not numbers:
        return []
    verb = "is" if len(numbers) == 1 else "are"
    listing = listed(map(str, numbers))
    message = f"{counted(len(numbers), unit)} of {name} {verb} not {wanted} and left out: {listing}."
    rows, action = on_lines(numbers, unit), f"Repair these {unit}s."
    return [Finding("unparseable_rows", "warning", len(numbers), rows, message, action)]


def on_lines(numbers: Iterable[int], unit: str = "line") -> tuple[str, ...]:
    """What a finding calls rows that have no id, by where they are in their file."""
    return tuple(f"{unit} {number}" for number in numbers)


def _delimiter(text: str) -> tuple[str, str]:
    """Return the text, less Excel's `sep=` line, and the delimiter under which rows agree best with the header."""
    stated = re.match(r"sep=([,;\t|])\r?\n", text)
    if stated:
        return text[stated.end() :], stated[1]
    return text, delimiter_of(text)


def delimiter_of(text: str, among: Iterable[str] = DELIMITERS) -> str:
    """The delimiter under which rows agree best with the header; the first where under none they do."""
    return max(among, key=lambda delimiter: _agreement(text[:SAMPLE], delimiter))


def _agreement(sample: str, delimiter: str) -> tuple[float, bool, int]:
    """Share of the first rows that are as wide as the header, whether that is the first row, and the width."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
    widths = [len(row) for row in islice(reader, SAMPLE_ROWS) if row]
    titles = title_rows(widths)
    widths = widths[titles:]
    if not widths or widths[0] < 2:
        return 0.0, False, 0
    return sum(width == widths[0] for width in widths) / len(widths), not titles, widths[0]


def _cells(text: str, delimiter: str, broken: list[int], stray: list[int]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line it begins on.

    Lines that no row can begin on go to `broken`; those that stray quotes would make one cell, to `stray`.
    """
    lines = io.StringIO(text.rstrip("\r\n") + "\n", newline="").readlines()
    rows = list(_rows(lines, delimiter, broken))
    width = _agreement(text[:SAMPLE], delimiter)[2]
    # Who puts quotes around a delimiter elsewhere means those around a line break as well.
    quotes = any(count == 1 and 0 < len(cells) <= lines[place].count(delimiter) for place, count, cells in rows)
    for place, count, cells in rows:
        apart = [] if count == 1 or quotes else _apart(lines[place : place + count], delimiter, width)
        stray.extend(range(place + 1, place + 1 + len(apart)))
        yield from enumerate(apart or [cells], place + 1)


def _rows(lines: Sequence[str], delimiter: str, broken: list[int]) -> Iterator[tuple[int, int, list[str]]]:
    """Yield each row with the place of its first line and their count; after a stray quote, go on with the next line.

    A quoted cell that goes on at a line fails wherever it began if it failed once. Such lines are not tried again,
    so that the time grows as their number, not as its square.
    """
    place = failing = 0
    while place < len(lines):
        start, end = place, place + 1 if place < failing else len(lines)
        rest = map(lines.__getitem__, range(start, end))
        reader = csv.reader(rest, delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            for cells in reader:
                yield place, start + reader.line_num - place, cells
                place = start + reader.line_num
        except csv.Error:
            broken.append(place + 1)
            failing = max(failing, start + reader.line_num - 1)
            place += 1


def _apart(lines: Sequence[str], delimiter: str, width: int) -> list[list[str]]:
    """The cells of lines that are a row each, quotes being letters; none where they may well be one cell.

    A comma within a text is followed by a space or ends its line, unlike one between cells.
    """
    if sum(line.count('"') for line in lines) != 2:
        return []
    rows = [line.rstrip("\r\n").split(delimiter) for line in lines]
    fit = all(len(row) == width and row[-1].strip('"') and not any(cell[:1].isspace() for cell in row) for row in rows)
    return rows if fit else []


def _quoted(name: str, stray: Sequence[int]) -> list[Finding]:
    """State which lines were read one by one although quotes make them one cell."""
    if not stray:
        return []
    message = f"Took quotes of {name} for letters, since each line from one to the next is as wide as the header; "
    message += f"read one by one: {listed(map(str, stray))}."
    action = "Remove these quotes; if the lines are one cell, give the file as JSON Lines."
    return [Finding("encoding_assumed", "warning", len(stray), on_lines(stray), message, action)]


def _header(cells: Sequence[object]) -> list[str]:
    """Name the columns: blank names are numbered as pandas does, repeated ones get a suffix."""
    names: list[str] = []
    for number, cell in enumerate(cells):
        name = f"Unnamed: {number}" if is_blank(cell) else str(cell).strip()
        names.append(name if name not in names else f"{name} ({number + 1})")
    return names
