"""Tables: named columns and numbered rows, whatever file they come from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from eval.errors import RequestError
from eval.findings import Finding
from eval.reading.delimited import Reading, Record, on_lines, read_delimited
from eval.reading.formats import read_hub, read_json, read_json_lines, read_parquet
from eval.reading.text import clean, counted, is_blank, listed
from eval.reading.workbook import read_workbook

GARBLED = re.compile("Ã[\x80-\x9f\xa1-\xba\xbc-\xbfŸ„‰€œ]|â€|\ufffd")
"""UTF-8 that was read as Windows-1252 and written so, which no language has; and what stands for unknown letters."""
READERS: dict[str, Callable[[Path], Reading]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".parquet": read_parquet,
    ".xlsx": read_workbook,
}


@dataclass(frozen=True)
class Row:
    """One data record that is not entirely empty."""

    record: int
    """Data record, counted from 1 without header, blank and broken lines."""
    line: int
    """Physical line or sheet row on which it begins; the position in the list for JSON and Parquet."""
    values: dict[str, object]


@dataclass(frozen=True)
class Table:
    """A file's rows, and what had to be assumed or left out to read them."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    unread: tuple[int, ...] = ()
    """Lines, or items, that could not be read."""
    blank: tuple[int, ...] = ()
    """Lines, or items, that have cells, but nothing in them."""
    unit: str = "line"
    """What `Row.line` counts: lines, or items."""

    @property
    def title(self) -> str:
        """What a sentence calls it: a file's name without its folders."""
        return _title(self.name)

    def is_empty(self, column: str) -> bool:
        """Tell whether no row has anything in this column."""
        return all(is_blank(row.values.get(column)) for row in self.rows)


def read_table(source: str | Path) -> Table:
    """Read a table from a file or from `hf:ORG/NAME:SPLIT`; RequestError where that is impossible."""
    name = str(source)
    if name.startswith("hf:"):
        records, findings, broken, unit = read_hub(name)
    else:
        path = readable_file(source)
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            raise RequestError(f"{path} has an unknown type: convert it to one of {', '.join(READERS)}.")
        records, findings, broken, unit = reader(path)
    names = _column_names(records)
    records = [(line, {names[name]: cell for name, cell in values.items()}) for line, values in records]
    filled = [record for record in records if not _is_blank(record)]
    if not filled:
        lost = next((f.said for f in findings if f.code == "unparseable_rows"), "")
        raise RequestError(f"{name} has no usable rows: {lost or 'give a file with at least one row of data.'}")
    blank = [record for record in records if _is_blank(record)]
    rows = tuple(Row(number, line, values) for number, (line, values) in enumerate(filled, 1))
    columns = tuple(dict.fromkeys(column for _, values in filled for column in values))
    findings = [*findings, *_blank_rows(name, blank, unit), *_garbled(name, rows, unit)]
    empty = tuple(line for line, cells in blank if cells)
    return Table(name, columns, rows, tuple(findings), tuple(broken), empty, unit)


def readable_file(source: str | Path) -> Path:
    """Return the path of a file that exists and is not empty; RequestError otherwise."""
    path = Path(source)
    if os.path.isdir(path):  # unlike Path.is_dir, no error for an overlong name
        raise RequestError(f"{path} is a folder: name the file inside it.")
    if not os.path.isfile(path):
        raise RequestError(f"{path} does not exist: check the path.")
    if path.stat().st_size == 0:
        raise RequestError(f"{path} is empty: give a file with at least one row of data.")
    return path


def _column_names(records: Sequence[Record]) -> dict[str, str]:
    """What each column is called: its name cleaned as cells are, with a number where that is another's already."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(name for _, values in records for name in values):
        cleaned = clean(name)
        numbered = (f"{cleaned} ({number})" for number in count(2))
        names[name] = next(called for called in chain([cleaned], numbered) if called not in taken)
        taken.add(names[name])
    return names


def _is_blank(record: Record) -> bool:
    return all(map(is_blank, record[1].values()))


def _blank_rows(name: str, blank: Sequence[Record], unit: str) -> list[Finding]:
    if not blank:
        return []
    lines = [line for line, _ in blank]
    listing = listed(map(str, lines))
    message = f"Ignored {counted(len(lines), 'entirely empty row')} of {_title(name)}: {unit} {listing}."
    return [Finding("empty_input", "info", len(lines), on_lines(lines, unit), message, "")]


def _garbled(name: str, rows: Sequence[Row], unit: str) -> list[Finding]:
    """Rows with letters that were lost before the file was written, which no reading brings back."""
    lines = [row.line for row in rows if any(isinstance(v, str) and GARBLED.search(v) for v in row.values.values())]
    if not lines:
        return []
    count, verb = counted(len(lines), "row"), "has" if len(lines) == 1 else "have"
    message = f"{count} of {_title(name)} {verb} letters that an export spoiled, such as Ã¤ for ä, or � for any: "
    message += f"{unit} {listed(map(str, lines))}."
    action = "Export these rows again from where they read well."
    return [Finding("encoding_assumed", "warning", len(lines), on_lines(lines, unit), message, action)]


def _title(name: str) -> str:
    return name if name.startswith("hf:") else Path(name).name
