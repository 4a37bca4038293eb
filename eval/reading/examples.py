"""Examples from a table: one usable row each, and every other row named with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.contracts import Example
from eval.errors import RequestError
from eval.findings import Finding
from eval.reading.columns import ColumnMapping, is_ignored, map_columns
from eval.reading.tables import Row, Table, read_table
from eval.reading.text import as_text, counted, listed, unique_id


@dataclass(frozen=True)
class ExampleFile:
    """The usable examples of a file, and what was found while reading it."""

    examples: tuple[Example, ...]
    findings: tuple[Finding, ...]
    columns: dict[str, tuple[str, ...]]
    """Further columns as text, one value for each example, for grouping or ordering by time."""


@dataclass(frozen=True)
class _Gap:
    """A row that lacks its input or its output."""

    name: str
    line: int
    reason: str


def read_examples(
    source: str | Path, *, input_columns: Sequence[str] = (), output_column: str | None = None
) -> ExampleFile:
    """Read labelled examples from a table file or `hf:ORG/NAME:SPLIT`.

    Rows without input or output are left out and reported. Raises RequestError, in one sentence, where the file
    cannot be read or its columns cannot be told apart.
    """
    table = read_table(source)
    mapping = map_columns(table, input_columns, output_column)
    rows = [(row, mapping.input_of(row), mapping.targets_of(row)) for row in table.rows]
    no_input = [_gap(mapping, row, mapping.inputs) for row, text, _ in rows if not text]
    no_output = [_gap(mapping, row, (mapping.output,)) for row, _, targets in rows if not targets]
    usable = [(row, text, targets) for row, text, targets in rows if text and targets]
    if not usable:
        raise _nothing_usable(table, mapping, len(no_output) == len(rows))
    taken: set[str] = set()
    examples = tuple(
        Example(unique_id(_id_of(mapping, row), row.record, taken), text, targets, row.record)
        for row, text, targets in usable
    )
    findings = (
        *table.findings,
        mapping.finding(table),
        *_gaps("empty_input", "input", no_input),
        *_gaps("empty_output", "output", no_output),
    )
    return ExampleFile(examples, findings, _further(table, mapping, [row for row, _, _ in usable]))


def _id_of(mapping: ColumnMapping, row: Row) -> str:
    return as_text(row.values.get(mapping.id)) if mapping.id else ""


def _gap(mapping: ColumnMapping, row: Row, columns: Sequence[str]) -> _Gap:
    values = [row.values[column] for column in columns if column in row.values]
    reason = "missing" if not values else "null" if all(value is None for value in values) else "blank"
    return _Gap(_id_of(mapping, row) or str(row.record), row.line, reason)


def _gaps(code: str, noun: str, gaps: Sequence[_Gap]) -> list[Finding]:
    if not gaps:
        return []
    reasons = ", ".join(f"{n} {reason}" for reason, n in Counter(gap.reason for gap in gaps).items())
    named = listed(f"{gap.name} (line {gap.line})" for gap in gaps)
    message = f"Left out {counted(len(gaps), 'row')} without an {noun} ({reasons}): {named}."
    action = f"Fill in the {noun}, or remove the rows."
    return [Finding(code, "warning", len(gaps), tuple(gap.name for gap in gaps), message, action)]


def _nothing_usable(table: Table, mapping: ColumnMapping, no_output: bool) -> RequestError:
    if no_output:
        problem = f'Every output in column "{mapping.output}" of {table.name} is empty'
    else:
        problem = f"No row of {table.name} has both an input and an output"
    return RequestError(f"{problem}: fill it in, or name other columns with --input-columns and --output-column.")


def _further(table: Table, mapping: ColumnMapping, rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    used = {*mapping.inputs, mapping.output, mapping.id}
    names = [name for name in table.columns if name not in used and not is_ignored(table, name)]
    return {name: tuple(as_text(row.values.get(name)) for row in rows) for name in names}
