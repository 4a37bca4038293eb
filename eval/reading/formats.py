"""Records from JSON Lines, JSON, Parquet, Excel workbooks and Hugging Face data sets."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.errors import RequestError, first_line
from eval.findings import Finding
from eval.json_fields import as_number
from eval.reading.delimited import Grid, Reading, Record, assumed, from_grid, unparseable
from eval.reading.text import DECODER, Decoded, conjoined, is_blank, listed, read_text

Formats = dict[int, dict[str, float]]
"""By place of a column: formats that change how its numbers look, each with the first such number."""


def read_json_lines(path: Path) -> Reading:
    """Read one JSON object per line; broken lines are reported by number, and reading goes on."""
    decoded = read_text(path)
    whole = _parse(decoded.text) if decoded.text.lstrip().startswith("[") else None
    records, broken = _objects(whole) if isinstance(whole, list) else _lines(decoded.text)
    return _json_reading(path, decoded, records, broken)


def read_json(path: Path) -> Reading:
    """Read a list of objects, or an object that holds one; JSON Lines under the wrong name are read as well."""
    decoded = read_text(path)
    content = _parse(decoded.text)
    if content is None:
        is_list = decoded.text.lstrip().startswith("[")  # of which lines may be objects by chance
        records, broken = ([], []) if is_list else _lines(decoded.text)
        if not records:
            raise RequestError(
                f"{path} is not valid JSON ({_fault(decoded.text)}): give a list of objects, or one object per line "
                "(JSON Lines)."
            )
    else:
        records, broken = _objects(_flat(_only_list(content, path)))
    return _json_reading(path, decoded, records, broken)


def _json_reading(path: Path, decoded: Decoded, records: list[Record], broken: Sequence[int]) -> Reading:
    return Reading(records, assumed(path.name, decoded) + unparseable(path.name, broken, "a JSON object"), broken)


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
    return Reading(_objects(named)[0], [])


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
    if types.is_list(kind):
        return list_(kind.value_field.with_type(_with_numbers(kind.value_type, as_)))
    return kind


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
    try:
        grid, read, others, formats = _first_sheet(path)
        empty = _empty_columns(grid)
        formulas = empty and empty - _empty_columns(_first_sheet(path, read, formulas=True)[0])
    except Exception as error:  # a damaged archive surfaces as anything from BadZipFile to KeyError
        raise RequestError(f"{path} is not a readable Excel workbook ({_brief(error)}): export it again.") from error
    while grid.records and is_blank(list(grid.records[-1][1].values())):  # rows that are formatted, say
        grid.records.pop()
    findings = grid.above(path.name) + _other_sheets(path, read, others) + _without_results(path, formulas)
    findings += _not_as_shown(path, grid, formats)
    return Reading(grid.records, findings + unparseable(path.name, grid.odd, "covered by the header"), grid.odd)


def _first_sheet(path: Path, wanted: str = "", *, formulas: bool = False) -> tuple[Grid, str, list[str], Formats]:
    """The first sheet with rows, or the one that is wanted, as values or as the formulas that give them.

    And its name, those of the others, and the formats of numbers that are not read as they are shown.
    """
    from openpyxl import load_workbook

    workbook = load_workbook(path, read_only=True, data_only=not formulas)
    try:
        for sheet in sorted(workbook.worksheets, key=_is_hidden):
            sheet.reset_dimensions()  # some exporters state a wrong range
            formats: Formats = {}
            grid = from_grid(enumerate((_values(row, formats) for row in sheet.iter_rows()), 1))
            if _sheet_name(sheet) == wanted or (not wanted and (grid.records or grid.odd)):
                break
        others = [_sheet_name(other) for other in workbook.worksheets if other is not sheet]
        return grid, _sheet_name(sheet), others, formats
    finally:
        workbook.close()


def _values(row: Sequence[Any], formats: Formats) -> list[object]:
    """The values of a row's cells. Formats that change how a number looks are noted, but for leading zeros.

    A number that is shown with these is a code, and read as it is shown. In texts, `_x000D_` and its like are the signs
    that they stand for.
    """
    from openpyxl.utils.escape import unescape

    values: list[object] = [unescape(cell.value) if isinstance(cell.value, str) else cell.value for cell in row]
    for place, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        shown = row[place].number_format.split(";")[0]  # what follows is for negative numbers
        if re.fullmatch("0{2,}", shown) and re.fullmatch(r"\d+", as_number(str(value))):
            values[place] = as_number(str(value)).zfill(len(shown))
        elif not _looks_as_stored(value, shown):
            formats.setdefault(place, {}).setdefault(shown, value)
    return values


def _looks_as_stored(value: float, shown: str) -> bool:
    """Tell whether a format leaves a number what it is, but for the last zeros of its decimals."""
    plain = re.fullmatch(r"(#,##)?[0#](\.[0#]+)?", shown)
    if plain is None:
        return shown in ("General", "@")
    decimals = len(plain[2] or ".") - 1
    return as_number(f"{value:{',' if plain[1] else ''}.{decimals}f}") == as_number(str(value))


def _not_as_shown(path: Path, grid: Grid, formats: Formats) -> list[Finding]:
    """State which columns hold numbers that read otherwise than they look."""
    names = max((list(values) for _, values in grid.records), key=len, default=[])
    found = {names[place]: of_column for place, of_column in formats.items() if place < len(names)}
    if not found:
        return []
    columns = [
        f'of "{name}" {listed(f"{value} (in the format {shown})" for shown, value in of_column.items())}'
        for name, of_column in found.items()
    ]
    message = f"Read numbers of {path.name} as they are stored, not as they are shown: {listed(columns)}."
    action = "Where their look is meant (15% and not 0.15), store them as text, with TEXT in Excel."
    return [Finding("column_mapping", "info", len(found), (), message, action)]


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
    return Reading(_objects(named)[0], [])


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


def _other_sheets(path: Path, read: str, others: list[str]) -> list[Finding]:
    if not others:
        return []
    message = f'Read only the sheet "{read}" of {path.name}, the first with rows; not read: {listed(others)}.'
    action = "Move the sheet that matters to the front, visible, if this is the wrong one."
    return [Finding("column_mapping", "info", len(others), tuple(others), message, action)]


def _brief(error: Exception) -> str:
    """The first line of an error, short enough to stand inside a sentence."""
    return first_line(error)[:120].rstrip(".:")
