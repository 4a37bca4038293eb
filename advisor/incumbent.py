"""The outputs of the system in use today, matched to the rows that strategies are measured on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from advisor.request import CompareRequest
from eval.audit.personal_data import mask
from eval.contracts import Example
from eval.errors import RequestError
from eval.near_duplicates import group_key
from eval.reading.columns import IDS, OUTPUTS, find_column, map_columns, quoted
from eval.reading.examples import ExampleFile
from eval.reading.tables import Row, Table, read_table
from eval.reading.text import as_text, counted, listed

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


def read_incumbent(
    request: CompareRequest, file: ExampleFile, learnt_from: Sequence[Example] = ()
) -> tuple[tuple[str, ...], str]:
    """Return today's output for each example, the empty string where it gave none, and a sentence on the matching.

    With `--test` the examples of `file` are the test rows, and those `learnt_from` the others.

    Rows are matched by id where the file has ids, and where it has inputs too these agree; else by input, else by their
    order where there are as many of them as examples, or as records of the examples' file, and none that is known by
    its id or input stands elsewhere. Of several with the same id or input, the n-th is that of the n-th example with
    it. Raises RequestError that names examples without a row where none of these fits, and where rows may be those of
    the examples beside a test set that numbers its rows alike.
    """
    table, examples = _in_place(read_table(str(request.incumbent)), file), file.examples
    output = _output_column(table, request.output_column)
    outputs = [as_text(row.values.get(output)) for row in table.rows]
    places, order = _in_order(len(outputs), file)
    inputs, asked = _inputs(table, request, file), [group_key(example.input) for example in examples]
    rows = "test rows" if request.test else "examples"
    done, unmatched = f'Matched "{output}" of {table.title} to the {rows} by', dict[str, list[str]]()
    for way, theirs, ours in _ways(table, examples, inputs, asked):
        known = _by_key(theirs, outputs)
        of_another = _of_others(dict(zip(theirs, inputs, strict=False)), dict(zip(ours, asked, strict=True)))
        fits = [key in known and key not in of_another for key in ours]
        if all(fits):
            if way == "id" and set(inputs).isdisjoint(asked):
                _refuse_those_of_others(table, set(theirs), set(ours), learnt_from)
            taken, doubt = _each_in_turn(known, ours)
            return taken, f"{done} {way}{_left_over(theirs, ours)}{doubt}."
        unmatched[way] = [mask(e.id) for e, is_known in zip(examples, fits, strict=True) if not is_known]
        if any(ours[n] != theirs[place] and ours[n] in known for n, place in enumerate(places)):
            places = []
    if places:
        return tuple(outputs[place] for place in places), f"{done} {order}."
    raise RequestError(
        f"--incumbent: {table.name} has {counted(len(outputs), 'row')} for {len(examples)} {rows}"
        f"{_lacking(unmatched, len(examples), file.records)}: give one row for each, with its id or its input."
    )


def _by_key(keys: Sequence[str], outputs: Sequence[str]) -> dict[str, list[str]]:
    """The outputs of each key, in their order."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for key, output in zip(keys, outputs, strict=True):
        found[key].append(output)
    return dict(found)


def _each_in_turn(known: Mapping[str, Sequence[str]], ours: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Of its key's outputs, the n-th for the n-th example with that key, the last for any further ones; and how many
    examples may thus have another's."""
    turns, taken = Counter[str](), list[str]()
    for key in ours:
        taken.append(known[key][min(turns[key], len(known[key]) - 1)])
        turns[key] += 1
    unclear = sum(len(set(known[key])) > 1 and len(known[key]) != turns[key] for key in ours)
    said = f"; for {unclear} of them it has several outputs, of which the first were taken"
    return tuple(taken), said if unclear else ""


def _in_place(table: Table, file: ExampleFile) -> Table:
    """The table with its blank and unread rows too, for which the system gave nothing: the others keep their places.

    Without the blank ones that end it, or all of them, where there are then as many rows as examples, and else not:
    such end many a sheet, or are left out of the examples as well.
    """
    last = max((row.line for row in table.rows), default=0)
    within = tuple(line for line in table.blank if line < last)
    kept = [_with_gaps(table, (*blank, *table.unread)) for blank in (within, table.blank, ())]
    return next((found for found in kept if _in_order(len(found.rows), file)[0]), kept[1])


def _with_gaps(table: Table, lines: Sequence[int]) -> Table:
    gaps = (Row(0, line, {}) for line in lines)
    return replace(table, rows=tuple(sorted((*table.rows, *gaps), key=lambda row: row.line)))


def _in_order(count: int, file: ExampleFile) -> tuple[list[int], str]:
    """Where each example's output stands among so many, if they are in the examples' order, and what that order is."""
    if count == len(file.examples):
        return list(range(count)), "the order of rows"
    left_out = file.records - len(file.examples)
    if count == file.records:
        return [e.row - 1 for e in file.examples], f"the order of rows, with {counted(left_out, 'row')} left out"
    return [], ""


def _lacking(unmatched: Mapping[str, Sequence[str]], examples: int, records: int) -> str:
    """Which examples no row fits, as the better of the ways has it, and how many rows the examples' file has."""
    said = f" (of {counted(records, 'row')}, {records - examples} left out)" if records > examples else ""
    if not unmatched:
        return said
    way = min(unmatched, key=lambda way: len(unmatched[way]))
    if len(unmatched[way]) == examples:
        return f"{said}; none fits any of them by {' or '.join(unmatched)}"
    return f"{said}; by {way} none fits {listed(unmatched[way])}"


def _refuse_those_of_others(table: Table, ids: set[str], tested: set[str], learnt_from: Sequence[Example]) -> None:
    """Raise RequestError where ids alone, that examples and test rows share, are those of all examples and of more
    rows than are tested."""
    others = {example.id for example in learnt_from}
    if others <= ids and ids > tested and not others.isdisjoint(tested):
        raise RequestError(
            f"--incumbent: {table.name} has a row for each of the {len(others)} examples, and --test has rows with the "
            "same ids: give the outputs for the rows of --test alone, or with each its input."
        )


def _left_over(theirs: Sequence[str], ours: Sequence[str]) -> str:
    """How many rows fit no example; empty where all do."""
    known = set(ours)
    left = sum(key not in known for key in theirs)
    return f"; {left} of its {counted(len(theirs), 'row')} {'fits' if left == 1 else 'fit'} none" if left else ""


Way = tuple[str, list[str], list[str]]
"""What rows are matched by, the keys of the incumbent's rows, and those of the examples."""


def _ways(table: Table, examples: Sequence[Example], inputs: list[str], asked: list[str]) -> list[Way]:
    ways: list[Way] = []
    identifier = find_column(table, IDS)
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


def _inputs(table: Table, request: CompareRequest, file: ExampleFile) -> list[str]:
    """Each row's input as `group_key`; none where the file has no input column."""
    try:
        mapping = map_columns(table, request.input_columns, find_column(table, (*PREDICTIONS, *OUTPUTS)))
    except RequestError:
        return []
    if not file.inputs:  # the examples are conversations, of which a reply at the end is the output
        mapping = replace(mapping, output="", chat=True)
    return [group_key(mapping.input_of(row)) for row in table.rows]


def _output_column(table: Table, asked: str | None) -> str:
    column = (
        find_column(table, PREDICTIONS) or (asked if asked in table.columns else None) or find_column(table, OUTPUTS)
    )
    if column is None:
        raise RequestError(
            f"--incumbent: {table.name} has the columns {quoted(table.columns)}, none of which is known to be the "
            "system's output: name it prediction."
        )
    return column
