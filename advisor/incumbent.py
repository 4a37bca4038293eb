"""The outputs of the system in use today, matched to the rows that strategies are measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from advisor.request import CompareRequest
from eval.contracts import Example
from eval.errors import RequestError
from eval.folds import group_key
from eval.reading.columns import IDS, OUTPUTS, map_columns, named, quoted
from eval.reading.tables import Table, read_table
from eval.reading.text import as_text, counted

PREDICTIONS = (
    "prediction",
    "predictions",
    "predicted",
    "predicted_label",
    "model_output",
    "system_output",
    "incumbent",
)
"""Usual names of a system's output; they come before the names that a true output may have too."""


def read_incumbent(request: CompareRequest, examples: Sequence[Example]) -> tuple[tuple[str, ...], str]:
    """Return today's output for each example, the empty string where it gave none, and a sentence on the matching.

    Rows are matched by id where the file has ids, and where it has inputs too these agree; else by input, else by their
    order where there are as many of them and none that is known by its id or input stands elsewhere.
    Raises RequestError with the counts where none of these fits.
    """
    table = read_table(str(request.incumbent))
    output = _output_column(table, request.output_column)
    outputs = [as_text(row.values.get(output)) for row in table.rows]
    tried, in_order = [], len(outputs) == len(examples)
    inputs, asked = _inputs(table, request), [group_key(example.input) for example in examples]
    for way, theirs, ours in _ways(table, examples, inputs, asked):
        known = dict(zip(theirs, outputs, strict=True))
        of_another = _of_others(dict(zip(theirs, inputs, strict=False)), dict(zip(ours, asked, strict=True)))
        matched = sum(key in known and key not in of_another for key in ours)
        in_order = in_order and all(o == t or o not in known for o, t in zip(ours, theirs, strict=True))
        if matched == len(examples):
            return tuple(known[key] for key in ours), f'Matched "{output}" of {table.name} to the examples by {way}.'
        tried.append(f"by {way} {matched}")
    if in_order:
        return tuple(outputs), f'Matched "{output}" of {table.name} to the examples by the order of rows.'
    found = f"; of the examples were found {' and '.join(tried)}" if tried else ""
    raise RequestError(
        f"--incumbent: {table.name} has {counted(len(outputs), 'row')} for {counted(len(examples), 'example')}{found}: "
        "give one row for each example, with its id or its input."
    )


Way = tuple[str, list[str], list[str]]
"""What rows are matched by, the keys of the incumbent's rows, and those of the examples."""


def _ways(table: Table, examples: Sequence[Example], inputs: list[str], asked: list[str]) -> list[Way]:
    ways: list[Way] = []
    identifier = named(table, IDS)
    if identifier:
        ids = [as_text(row.values.get(identifier)) for row in table.rows]
        ways.append(("id", ids, [example.id for example in examples]))
    if inputs:
        ways.append(("input", inputs, asked))
    return ways


def _of_others(inputs: Mapping[str, str], asked: Mapping[str, str]) -> set[str]:
    """Keys under which the files have different inputs, by which two files that number their rows alike are told apart.

    None where hardly any input is an example's: the column is then something else.
    """
    known = set(asked.values())
    if sum(text in known for text in inputs.values()) < len(asked) / 2:
        return set()
    return {key for key, text in inputs.items() if key in asked and text != asked[key]}


def _inputs(table: Table, request: CompareRequest) -> list[str]:
    """Each row's input as `group_key`; none where the file has no input column."""
    try:
        mapping = map_columns(table, request.input_columns, named(table, (*PREDICTIONS, *OUTPUTS)))
    except RequestError:
        return []
    return [group_key(mapping.input_of(row)) for row in table.rows]


def _output_column(table: Table, asked: str | None) -> str:
    column = named(table, PREDICTIONS) or (asked if asked in table.columns else None) or named(table, OUTPUTS)
    if column is None:
        raise RequestError(
            f"--incumbent: {table.name} has the columns {quoted(table.columns)}, none of which is known to be the "
            "system's output: name it prediction."
        )
    return column
