"""Examples from a table: one usable row each, and every other row named with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eval.contracts import Example
from eval.errors import RequestError
from eval.findings import Finding
from eval.reading.columns import ColumnMapping, assumed, is_ignored, map_columns, quoted
from eval.reading.tables import Row, Table, read_table
from eval.reading.text import as_text, counted, listed, unique_id

MOST_LINES = 100
"""So many lines of unusable rows are named for each reason."""


@dataclass(frozen=True)
class ExampleFile:
    """The usable examples of a file, and what was found while reading it."""

    examples: tuple[Example, ...]
    findings: tuple[Finding, ...]
    columns: dict[str, tuple[str, ...]]
    """All columns as text, one value for each example, for grouping or ordering by time."""
    inputs: tuple[str, ...] = ()
    """The columns that make the input; none of conversations, which hold the output too."""
    records: int = 0
    """All data records, those that are no usable examples too."""
    lines: tuple[int, ...] = ()
    """On which line of the file each example begins."""


@dataclass(frozen=True)
class _Gap:
    """A row that lacks its input or its output."""

    name: str
    line: int
    reason: str


def read_examples(
    source: str | Path, *, input_columns: Sequence[str] = (), output_column: str | None = None, task: str = ""
) -> ExampleFile:
    """Read labelled examples from a table file or `hf:ORG/NAME:SPLIT`.

    Rows without input or output are left out and reported, and where the client names no input, so are columns that
    the task's sentence names and that are not read. Raises RequestError, in one sentence, where the file cannot be
    read or its columns cannot be told apart.
    """
    return examples_of(read_table(source), input_columns=input_columns, output_column=output_column, task=task)


def examples_of(
    table: Table, *, input_columns: Sequence[str] = (), output_column: str | None = None, task: str = ""
) -> ExampleFile:
    """The labelled examples of a table, as `read_examples` gives them."""
    mapping = map_columns(table, input_columns, output_column)
    rows = [(row, mapping.input_of(row), mapping.targets_of(row)) for row in table.rows]
    no_input = [_gap(mapping, row, mapping.inputs) for row, text, _ in rows if not text]
    no_output = [_gap(mapping, row, (mapping.output,)) for row, _, targets in rows if not targets]
    usable = [(row, text, targets) for row, text, targets in rows if text and targets]
    if not usable:
        raise _nothing_usable(table, mapping, len(no_output) == len(rows))
    more = [mapping.holds_more_than_text(row) for row, *_ in usable]
    if all(more):
        raise RequestError(
            f"Every input of {table.title} holds pictures, sound or files in {quoted(mapping.inputs)}, of which text "
            "alone is read: say in words what matters in them, or remove them."
        )
    taken: set[str] = set()
    wanted = [_id_of(mapping, row) for row, *_ in usable]
    examples = tuple(
        Example(unique_id(id, row.record, taken), text, targets, row.record)
        for id, (row, text, targets) in zip(wanted, usable, strict=True)
    )
    renamed = [str(row.line) for id, e, (row, *_) in zip(wanted, examples, usable, strict=True) if id not in ("", e.id)]
    named = mapping.named_unread(table, task) if not input_columns else None
    findings = (
        *table.findings,
        _mapped(mapping.finding(table), renamed, table.unit),
        *filter(None, [named]),
        *_more_than_text(mapping, table.title, [e.id for e, holds in zip(examples, more, strict=True) if holds]),
        *_gaps(table, "empty_input", "input", mapping.inputs, no_input),
        *_gaps(table, "empty_output", "output", (mapping.output,), no_output),
    )
    inputs = () if mapping.chat else mapping.inputs
    kept = [row for row, _, _ in usable]
    lines = tuple(row.line for row in kept)
    return ExampleFile(examples, findings, _cells(table, kept), inputs, len(table.rows), lines)


def _mapped(finding: Finding, renamed: Sequence[str], unit: str) -> Finding:
    """How the columns were read, and the lines (or items) of rows whose id was another row's already."""
    if not renamed:
        return finding
    rows = f"{counted(len(renamed), 'row')} with the id of an earlier one ({unit} {listed(renamed)})"
    return replace(
        finding, message=f"{finding.message} Gave {rows} an id of {'its' if len(renamed) == 1 else 'their'} own."
    )


def _id_of(mapping: ColumnMapping, row: Row) -> str:
    return as_text(row.values.get(mapping.id)) if mapping.id else ""


def _gap(mapping: ColumnMapping, row: Row, columns: Sequence[str]) -> _Gap:
    values = [row.values[column] for column in columns if column in row.values]
    reason = "missing" if not values else "null" if all(value is None for value in values) else "blank"
    return _Gap(_id_of(mapping, row) or f"row-{row.record}", row.line, reason)


def _gaps(table: Table, code: str, noun: str, columns: Sequence[str], gaps: Sequence[_Gap]) -> list[Finding]:
    if not gaps:
        return []
    lines: dict[str, list[str]] = {}
    for gap in gaps:
        lines.setdefault(gap.reason, []).append(str(gap.line))
    named = "; ".join(f"{reason} in {table.unit} {listed(numbers, MOST_LINES)}" for reason, numbers in lines.items())
    message = f"Left out {counted(len(gaps), 'row')} of {table.title} without an {noun} in {quoted(columns)}: {named}."
    action = f"Fill in the {noun}, or remove the rows."
    if code == "empty_output":
        action = 'Fill in the output ("none", say, where there is nothing to answer), or remove the rows.'
    return [Finding(code, "warning", len(gaps), tuple(gap.name for gap in gaps), message, action)]


def _more_than_text(mapping: ColumnMapping, title: str, ids: Sequence[str]) -> list[Finding]:
    if not ids:
        return []
    message = f"Read the text alone of {counted(len(ids), 'row')} of {title} with pictures, sound or files in "
    message += f"{quoted(mapping.inputs)}."
    action = "Say in words what matters in them, or remove the rows."
    return [Finding("column_mapping", "warning", len(ids), tuple(ids), message, action)]


def _nothing_usable(table: Table, mapping: ColumnMapping, no_output: bool) -> RequestError:
    if no_output:
        problem = f'Every output in column "{mapping.output}" of {table.name} is empty'
    else:
        problem = f"No row of {table.name} has both an input and an output"
    return RequestError(
        f"{problem}: fill it in, or name other columns with --input-columns and --output-column."
        f"{mapping.unread(table)}{assumed(table)}"
    )


def _cells(table: Table, rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    names = [name for name in table.columns if not is_ignored(table, name)]
    return {name: tuple(as_text(row.values.get(name)) for row in rows) for name in names}
