"""Rows from CSV and TSV files, and the header that they share with worksheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from eval.findings import Finding
from eval.reading.text import counted, is_blank, listed, read_text

Record = tuple[int, dict[str, object]]
"""Physical line (or sheet row), and the cells by column name."""
Reading = tuple[list[Record], list[Finding]]

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
csv.field_size_limit(2**31 - 1)


def read_delimited(path: Path) -> Reading:
    """Read CSV or TSV; encoding and delimiter are detected, and stated unless they are UTF-8 and the comma."""
    text, encoding = read_text(path)
    text, delimiter = _delimiter(text)
    broken: list[int] = []
    records, odd = from_grid(_cells(text, delimiter, broken))
    findings = assumed(path.name, encoding, delimiter)
    return records, findings + unparseable(path.name, broken + odd, "CSV with as many cells as the header")


def from_grid(grid: Iterable[tuple[int, Sequence[object]]]) -> tuple[list[Record], list[int]]:
    """Name the cells after the first row that is not blank; also return the lines with cells beyond the header."""
    header: list[str] = []
    records: list[Record] = []
    odd: list[int] = []
    for line, cells in grid:
        if not header:
            header = [] if is_blank(list(cells)) else _header(cells)
        elif is_blank(list(cells[len(header) :])):
            records.append((line, dict(zip(header, cells, strict=False))))
        else:
            odd.append(line)
    return records, odd


def assumed(name: str, encoding: str, delimiter: str = ",") -> list[Finding]:
    """State the encoding and the delimiter unless they are the plain ones."""
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


def unparseable(name: str, lines: Iterable[int], wanted: str) -> list[Finding]:
    """Report the physical lines that could not be read, if any."""
    rows = [str(line) for line in sorted(set(lines))]
    if not rows:
        return []
    verb = "is" if len(rows) == 1 else "are"
    message = f"{counted(len(rows), 'line')} of {name} {verb} not {wanted} and left out: {listed(rows)}."
    return [Finding("unparseable_rows", "warning", len(rows), tuple(rows), message, "Repair these lines.")]


def _delimiter(text: str) -> tuple[str, str]:
    """Return the text, less Excel's `sep=` line, and the delimiter under which rows agree best with the header."""
    stated = re.match(r"sep=([,;\t|])\r?\n", text)
    if stated:
        return text[stated.end() :], stated[1]
    return text, max(DELIMITERS, key=lambda delimiter: _agreement(text[:200_000], delimiter))


def _agreement(sample: str, delimiter: str) -> tuple[float, int]:
    """Share of the first rows that are as wide as the header, and that width."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
    widths = [len(row) for row in islice(reader, 200) if row]
    if not widths or widths[0] < 2:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]


def _cells(text: str, delimiter: str, broken: list[int]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line it begins on; the lines of rows with stray quotes go to `broken`."""
    lines = io.StringIO(text.rstrip("\r\n") + "\n", newline="")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        first = reader.line_num + 1
        try:
            yield first, next(reader)
        except StopIteration:
            return
        except csv.Error:
            broken.extend(range(first, reader.line_num + 1))


def _header(cells: Sequence[object]) -> list[str]:
    """Name the columns: blank names are numbered as pandas does, repeated ones get a suffix."""
    names: list[str] = []
    for number, cell in enumerate(cells):
        name = f"Unnamed: {number}" if is_blank(cell) else str(cell).strip()
        names.append(name if name not in names else f"{name} ({number + 1})")
    return names
