"""Records from JSON Lines, JSON, Parquet, Excel workbooks and Hugging Face data sets."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import date, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from eval.errors import RequestError, first_line
from eval.findings import Finding, Severity
from eval.json_fields import as_number
from eval.reading.delimited import SAMPLE_ROWS, Grid, Reading, Record, assumed, from_grid, unparseable
from eval.reading.text import (
    DECODER,
    Decoded,
    as_text,
    conjoined,
    is_blank,
    is_of_old_office,
    listed,
    read_text,
)

Formats = dict[int, dict[str, object]]
"""By place of a column: formats that change how its numbers and dates look, each with the first such value."""
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?\bref=["'](\$?[A-Z]+\$?\d+:\$?[A-Z]+\$?\d+)["']""")
MOST_MERGED = 1_000_000
"""Cells that are filled from the one above; a sheet of a person has fewer."""
_AS_DATES = re.compile(r"(\[\$-\w+\])?(yyyy-mm-dd)?[ t]*(\[?h{1,2}\]?:mm:ss)?", re.IGNORECASE)
"""Formats in which dates, times and durations look as they are read."""
SHORT_DATE = "mm-dd-yy"
"""What a workbook calls the short dates of whoever looks at it, 31.03.2024 for one."""


def read_json_lines(path: Path) -> Reading:
    """Read one JSON object per line; broken lines are reported by number, and reading goes on."""
    decoded = read_text(path)
    whole = _parse(decoded.text) if decoded.text.lstrip().startswith("[") else None
    if isinstance(whole, list):
        return _json_reading(path, decoded, *_objects(whole), "item")
    return _json_reading(path, decoded, *_lines(decoded.text))


def read_json(path: Path) -> Reading:
    """Read a list of objects, or an object that holds one; JSON Lines under the wrong name are read as well."""
    decoded = read_text(path)
    content = _parse(decoded.text)
    if content is not None:
        return _json_reading(path, decoded, *_objects(_flat(_only_list(content, path))), "item")
    is_list = decoded.text.lstrip().startswith("[")  # of which lines may be objects by chance
    records, broken = ([], []) if is_list else _lines(decoded.text)
    if not records:
        raise RequestError(
            f"{path} is not valid JSON ({_fault(decoded.text)}): give a list of objects, or one object per line "
            "(JSON Lines)."
        )
    return _json_reading(path, decoded, records, broken)


def _json_reading(
    path: Path, decoded: Decoded, records: list[Record], broken: Sequence[int], unit: str = "line"
) -> Reading:
    findings = assumed(path.name, decoded) + unparseable(path.name, broken, "a JSON object", unit)
    return Reading(records, findings, broken, unit)


def read_parquet(path: Path) -> Reading:
    """Read all columns of a Parquet file."""
    from pyarrow import parquet

    try:
        # ParquetFile, unlike read_table, makes no columns out of folder names such as `split=train`.
        with parquet.ParquetFile(path) as file:
            rows = _as_written(file.read()).to_pylist(maps_as_pydicts="strict")  # else they would be lists of pairs
    except Exception as error:  # pyarrow's errors share no base class with those of its decoders
        raise RequestError(f"{path} is not a readable Parquet file ({_brief(error)}): export it again.") from error
    named = [{k: _readable(v, k, path) for k, v in row.items() if not k.startswith("__index_level_")} for row in rows]
    return Reading(_objects(named)[0], [], unit="item")


def _as_written(table: Any) -> Any:
    """The table with the numbers of 32 bits as somebody wrote them: 49.9, not the nearest of 64 bits to them."""
    import pyarrow

    for place, field in enumerate(table.schema):
        texts, numbers = (_with_numbers(field.type, as_) for as_ in (pyarrow.string(), pyarrow.float64()))
        if numbers != field.type:
            table = table.set_column(place, field.name, table.column(place).cast(texts).cast(numbers))
    return table


def _with_numbers(kind: Any, as_: Any) -> Any:
    """The type with another in place of numbers of 32 bits, in lists, objects and maps too."""
    from pyarrow import float32, list_, map_, struct, types

    if kind == float32():
        return as_
    if types.is_struct(kind):
        return struct([field.with_type(_with_numbers(field.type, as_)) for field in kind])
    if types.is_map(kind):
        return map_(kind.key_type, _with_numbers(kind.item_type, as_))
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not is_list and not types.is_dictionary(kind):
        return kind
    inner = _with_numbers(kind.value_type, as_)
    if inner == kind.value_type:
        return kind
    return list_(kind.value_field.with_type(inner)) if is_list else inner


def _readable(value: object, column: str, path: Path) -> object:
    """Text that a writer stored as bytes. Raises RequestError for bytes that are no text."""
    try:
        return value.decode() if isinstance(value, bytes) else _readable_within(value)
    except UnicodeDecodeError:
        raise RequestError(f'Column "{column}" of {path} holds bytes that are no UTF-8 text: store text.') from None


def _readable_within(value: object) -> object:
    """The same for what lists, objects and maps hold; of bytes that are no text, such as pictures, null is left.

    Keys, which a map may have of any kind, are text.
    """
    if isinstance(value, dict):
        return {str(_readable_within(key)): _readable_within(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_readable_within(item) for item in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def read_workbook(path: Path) -> Reading:
    """Read the first sheet of an Excel workbook that has any rows, a hidden one last; other sheets are reported."""
    if is_of_old_office(path):
        raise RequestError(
            f"{path} needs a password to be opened, or is in the format of Excel 2003: save it as .xlsx without one."
        )
    try:
        sheet = _first_sheet(path)
        grid, empty = sheet.grid, _empty_columns(sheet.grid)
        formulas = empty and empty - _empty_columns(_first_sheet(path, sheet.name, formulas=True).grid)
    except Exception as error:  # a damaged archive surfaces as anything from BadZipFile to KeyError
        raise RequestError(f"{path} is not a readable Excel workbook ({_brief(error)}): export it again.") from error
    while grid.records and is_blank(list(grid.records[-1][1].values())):  # rows that are formatted, say
        grid.records.pop()
    findings = grid.above(path.name) + grid.failed(path.name) + _other_sheets(path, sheet)
    findings += _without_results(path, formulas) + _merged_cells(path, sheet.merged)
    findings += _not_as_shown(path, grid, sheet.formats)
    return Reading(grid.records, findings + unparseable(path.name, grid.odd, "covered by the header"), grid.odd)


class _Sheet(NamedTuple):
    """A sheet of a workbook, and what is to be told of it."""

    grid: Grid
    name: str
    others: list[str]
    """Sheets that are not read."""
    rivals: list[str]
    """Those of them, but for hidden ones, that have the same columns, or more rows."""
    formats: Formats
    merged: int
    """Cells that have the value of the one above, with which they are merged."""


def _first_sheet(path: Path, wanted: str = "", *, formulas: bool = False) -> _Sheet:
    """The first sheet with rows, or the one that is wanted, as values or as the formulas that give them."""
    from openpyxl import load_workbook

    workbook = load_workbook(path, read_only=True, data_only=not formulas)
    try:
        for sheet in sorted(workbook.worksheets, key=_is_hidden):
            sheet.reset_dimensions()  # some exporters state a wrong range
            formats: Formats = {}
            grid = from_grid(enumerate((_values(row, formats) for row in sheet.iter_rows()), 1))
            if _sheet_name(sheet) == wanted or (not wanted and (grid.records or grid.odd)):
                break
        others = [other for other in workbook.worksheets if other is not sheet]
        rivals = [_sheet_name(other) for other in others if not wanted and _is_rival(other, grid)]
        merged = _fill_merged(grid, sheet)
        return _Sheet(grid, _sheet_name(sheet), list(map(_sheet_name, others)), rivals, formats, merged)
    finally:
        workbook.close()


def _is_rival(sheet: Any, read: Grid) -> bool:
    """Tell whether a sheet may as well be meant as the one that was read, or be its continuation."""
    if _is_hidden(sheet):
        return False
    sheet.reset_dimensions()
    enough = len(read.records) + SAMPLE_ROWS
    grid = from_grid(islice(enumerate(sheet.iter_rows(values_only=True), 1), enough))
    is_longer = len(grid.names) > 1 and len(grid.records) > len(read.records)
    return bool(grid.records) and (grid.names == read.names or is_longer)


def _fill_merged(grid: Grid, sheet: Any) -> int:
    """Give the cells below the first of merged ones its value, and return how many there are.

    Excel keeps it in the first alone. Cells to its right stay blank: most are titles.
    """
    from openpyxl.utils import range_boundaries

    with sheet._get_source() as source:
        data = source.read()
    below: dict[int, list[int]] = {}
    left = MOST_MERGED
    for area in _MERGED.findall(data, data.rfind(b"sheetData>")):
        column, top, _, bottom = range_boundaries(area.decode())
        bottom = min(bottom, top + left)
        left -= bottom - top
        for line in range(top + 1, bottom + 1):
            below.setdefault(line, []).append(column - 1)
    filled = 0
    above: dict[str, object] = {}
    for line, cells in grid.records:
        names = [grid.names[place] for place in below.get(line, ()) if place < len(grid.names)]
        same = {name: above[name] for name in names if not is_blank(above.get(name))}
        cells.update(same)
        filled += len(same)
        above = cells
    return filled


def _merged_cells(path: Path, filled: int) -> list[Finding]:
    if not filled:
        return []
    cells = "cell is merged with the one" if filled == 1 else "cells are merged with the ones"
    message = f"{filled} {cells} above in {path.name}, and {'has its' if filled == 1 else 'have their'} value."
    return [Finding("column_mapping", "info", filled, (), message, "Unmerge the cells if other rows are meant.")]


def _values(row: Sequence[Any], formats: Formats) -> list[object]:
    """The values of a row's cells. Formats that change how a number or a date looks are noted, but for leading zeros.

    A number that is shown with these is a code, and read as it is shown.
    """
    values = [_stored(cell.value) for cell in row]
    for place, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float | date | time | timedelta):
            continue
        shown = row[place].number_format.split(";")[0]  # what follows is for negative numbers
        if not isinstance(value, int | float):
            if not _AS_DATES.fullmatch(shown.replace("\\", "")):
                formats.setdefault(place, {}).setdefault(shown, value)
        elif re.fullmatch("0{2,}", shown) and re.fullmatch(r"\d+", as_number(str(value))):
            values[place] = as_number(str(value)).zfill(len(shown))
        elif not _looks_as_stored(value, shown):
            formats.setdefault(place, {}).setdefault(shown, value)
    return values


def _stored(value: object) -> object:
    """A cell's value, of numbers with a fraction the 15 figures that Excel reckons with: 23.8, not 23.799999999999997.

    In texts, `_x000D_` and its like are the signs that they stand for.
    """
    from openpyxl.utils.escape import unescape

    if isinstance(value, float):
        return float(f"{value:.15g}")
    return unescape(value) if isinstance(value, str) else value


def _looks_as_stored(value: float, shown: str) -> bool:
    """Tell whether a format leaves a number what it is, but for the last zeros of its decimals."""
    plain = re.fullmatch(r"(#,##)?[0#](\.[0#]+)?", shown)
    if plain is None:
        return shown in ("General", "@")
    decimals = len(plain[2] or ".") - 1
    return as_number(f"{value:{',' if plain[1] else ''}.{decimals}f}") == as_number(str(value))


def _not_as_shown(path: Path, grid: Grid, formats: Formats) -> list[Finding]:
    """State which columns hold numbers and dates that read otherwise than they look."""
    found = {grid.names[place]: of_column for place, of_column in formats.items() if place < len(grid.names)}
    if not found:
        return []
    columns = [
        f'of "{name}" {listed(f"{as_text(value)} ({_named(shown)})" for shown, value in of_column.items())}'
        for name, of_column in found.items()
    ]
    message = f"Read numbers and dates of {path.name} as they are stored, not as they are shown: {listed(columns)}."
    action = "Where their look is meant (15% and not 0.15), store them as text, with TEXT in Excel."
    return [Finding("column_mapping", "info", len(found), (), message, action)]


def _named(shown: str) -> str:
    return f"in the format {'of short dates' if shown == SHORT_DATE else shown}"


def _empty_columns(grid: Grid) -> set[str]:
    names = {name for _, values in grid.records for name in values}
    return {name for name in names if all(is_blank(values.get(name)) for _, values in grid.records)}


def _without_results(path: Path, columns: set[str]) -> list[Finding]:
    """Columns of formulas that a program wrote without reckoning them, which read as empty."""
    if not columns:
        return []
    several, names = "Columns" if len(columns) > 1 else "Column", conjoined([f'"{name}"' for name in sorted(columns)])
    message = f"{several} {names} of {path.name} had formulas whose results were not saved."
    action = "Open the workbook in Excel, save it and give it again."
    return [Finding("column_mapping", "warning", len(columns), (), message, action)]


def _is_hidden(sheet: Any) -> bool:
    """Lists that a form chooses from, say."""
    return bool(sheet.sheet_state != "visible")


def _sheet_name(sheet: Any) -> str:
    return f"{sheet.title} (hidden)" if _is_hidden(sheet) else str(sheet.title)


def read_hub(source: str) -> Reading:
    """Read `hf:ORG/NAME:SPLIT` (or `hf:ORG/NAME/CONFIG:SPLIT`); label numbers become their names."""
    match = re.fullmatch(r"hf:([^:/\s]+/[^:/\s]+)(?:/([^:/\s]+))?:([^:\s]+)", source)
    if not match:
        raise RequestError(f'"{source}" does not name a data set: write hf:ORG/NAME:SPLIT.')
    name, config, split = match.groups()
    import datasets

    try:
        data: Any = datasets.load_dataset(name, config, split=split)
        rows = list(data)
    except Exception as error:  # hub, network, file and schema errors have no common base
        offline = os.environ.get("HF_HUB_OFFLINE", "1") != "0"  # nothing is fetched unasked
        allow = "set HF_HUB_OFFLINE=0 to allow it, " if offline else ""
        fix = f"{allow}check name, split and network, or give a local file"
        raise RequestError(f"{source} could not be fetched ({_brief(error)}): {fix}.") from error
    labels = {column: kind for column, kind in data.features.items() if isinstance(kind, datasets.ClassLabel)}
    named = [{key: _label(labels.get(key), value) for key, value in row.items()} for row in rows]
    return Reading(_objects(named)[0], [], unit="item")


def _label(names: Any, value: object) -> object:
    """A class number's name; -1 is the Hub's way of writing that there is no label."""
    if names is None or value is None:
        return value
    return None if value == -1 else names.int2str(value)


def _parse(text: str) -> object:
    """The JSON value; None where the text is not valid JSON."""
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _fault(text: str) -> str:
    """Where a text stops being JSON."""
    try:
        DECODER.decode(text)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    except (ValueError, RecursionError):
        pass
    return "nested too deeply"


def _lines(text: str) -> tuple[list[Record], list[int]]:
    """Objects by line; a blank line is a record without cells. Only LF ends a line, since U+2028 may be in a string."""
    records: list[Record] = []
    broken: list[int] = []
    for number, line in enumerate(text.rstrip().split("\n"), 1):
        value = _parse(line) if line.strip() else {}
        if isinstance(value, dict):
            records.append((number, value))
        else:
            broken.append(number)
    return records, broken


def _objects(items: Sequence[object]) -> tuple[list[Record], list[int]]:
    """Number the objects of a list from 1, and tell which items are none."""
    numbered = list(enumerate(items, 1))
    records = [(number, item) for number, item in numbered if isinstance(item, dict)]
    return records, [number for number, item in numbered if not isinstance(item, dict)]


def _only_list(content: object, path: Path) -> list[object]:
    if isinstance(content, list):
        return content
    members = content if isinstance(content, dict) else {}
    lists = {key: v for key, v in members.items() if isinstance(v, list) and any(isinstance(item, dict) for item in v)}
    if len(lists) == 1:
        return next(iter(lists.values()))
    found = f"lists of objects under {listed(lists)}" if lists else "no list of objects"
    raise RequestError(f"{path} holds {found}: give a list of objects, or an object with one such list.")


def _flat(items: list[object]) -> list[object]:
    """Of SQuAD's nested form (articles, paragraphs, questions), a row for each question; other items as they are."""
    articles = _dicts(items)
    paragraphs = [paragraph for article in articles for paragraph in _dicts(article.get("paragraphs"))]
    rows = [
        {
            "id": asked.get("id"),
            "context": paragraph.get("context"),
            "question": asked.get("question"),
            "answers": [answer.get("text") for answer in _dicts(asked.get("answers"))],
        }
        for paragraph in paragraphs
        for asked in _dicts(paragraph.get("qas"))
    ]
    if not rows or not all("paragraphs" in article for article in articles):
        return items
    return [*rows, *(item for item in items if not isinstance(item, dict))]  # which are told as unreadable


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _other_sheets(path: Path, sheet: _Sheet) -> list[Finding]:
    """A warning where another sheet may be the one that is meant, or hold further rows."""
    if not sheet.others:
        return []
    message = f'Read only the sheet "{sheet.name}" of {path.name}, the first with rows; not read: '
    message += f"{listed(sheet.others)}."
    if sheet.rivals:
        have = "has" if len(sheet.rivals) == 1 else "have"
        message += f" Of these, {listed(sheet.rivals)} {have} the same columns, or more rows."
    action = "Move the sheet that matters to the front, visible, if this is the wrong one."
    severity: Severity = "warning" if sheet.rivals else "info"
    return [Finding("column_mapping", severity, len(sheet.others), tuple(sheet.others), message, action)]


def _brief(error: Exception) -> str:
    """The first line of an error, short enough to stand inside a sentence."""
    return first_line(error)[:120].rstrip(".:")
