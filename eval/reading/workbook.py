"""Records from Excel workbooks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from datetime import date, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from eval.errors import RequestError, brief
from eval.findings import Finding, Severity
from eval.json_fields import as_number
from eval.reading.delimited import SAMPLE_ROWS, Grid, Reading, from_grid, unparseable
from eval.reading.text import as_text, conjoined, is_blank, is_of_old_office, listed

Formats = dict[int, dict[str, object]]
"""By place of a column: formats that change how its numbers and dates look, each with the first such value."""
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?\bref=["'](\$?[A-Z]+\$?\d+:\$?[A-Z]+\$?\d+)["']""")
MOST_MERGED = 1_000_000
"""Cells that are filled from the one above; a sheet of a person has fewer."""
_AS_DATES = re.compile(r"(\[\$-\w+\])?(yyyy-mm-dd)?[ t]*(\[?h{1,2}\]?:mm:ss)?", re.IGNORECASE)
"""Formats in which dates, times and durations look as they are read."""
SHORT_DATE = "mm-dd-yy"
"""What a workbook calls the short dates of whoever looks at it, 31.03.2024 for one."""


def read_workbook(path: Path) -> Reading:
    """Read the first sheet of an Excel workbook that has any rows, a hidden one last; other sheets are reported."""
    if is_of_old_office(path):
        raise RequestError(
            f"{path} needs a password to be opened, or is in the format of Excel 2003: save it as .xlsx without one."
        )
    try:
        sheet = _first_sheet(path)
        formulas = _formulas_without_results(path, sheet)
    except Exception as error:  # a damaged archive surfaces as anything from BadZipFile to KeyError
        raise RequestError(f"{path} is not a readable Excel workbook ({brief(error)}): export it again.") from error
    grid = sheet.grid
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


def _first_sheet(path: Path) -> _Sheet:
    """The first sheet with rows, as values."""
    from openpyxl import load_workbook

    with closing(load_workbook(path, read_only=True, data_only=True)) as workbook:
        for sheet in sorted(workbook.worksheets, key=_is_hidden):
            formats: Formats = {}
            grid = _grid(sheet, formats)
            if grid.records or grid.odd:
                break
        others = [other for other in workbook.worksheets if other is not sheet]
        rivals = [_sheet_name(other) for other in others if _is_rival(other, grid)]
        while grid.records and is_blank(list(grid.records[-1][1].values())):  # rows that are formatted, say
            grid.records.pop()
        merged = _fill_merged(grid, sheet)
        return _Sheet(grid, _sheet_name(sheet), list(map(_sheet_name, others)), rivals, formats, merged)


def _formulas_without_results(path: Path, sheet: _Sheet) -> set[str]:
    """The columns of formulas that a program wrote without reckoning them, which read as empty."""
    from openpyxl import load_workbook

    empty = _empty_columns(sheet.grid)
    if not empty:
        return set()
    with closing(load_workbook(path, read_only=True)) as workbook:
        same = next(other for other in workbook.worksheets if _sheet_name(other) == sheet.name)
        return empty - _empty_columns(_grid(same, {}))


def _grid(sheet: Any, formats: Formats, most: int | None = None) -> Grid:
    """The rows of a sheet, or the first so many."""
    sheet.reset_dimensions()  # some exporters state a wrong range
    return from_grid(enumerate((_values(row, formats) for row in islice(sheet.iter_rows(), most)), 1))


def _is_rival(sheet: Any, read: Grid) -> bool:
    """Tell whether a sheet may as well be meant as the one that was read, or be its continuation."""
    if _is_hidden(sheet):
        return False
    grid = _grid(sheet, {}, len(read.records) + SAMPLE_ROWS)
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


def _values(row: Sequence[Any], formats: Formats) -> list[object]:
    """The values of a row's cells. Formats that change how a number or a date looks are noted, but for leading zeros.

    A number that is shown with these is a code, and read as it is shown.
    """
    values = [_stored(cell.value) for cell in row]
    for place, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float | date | time | timedelta):
            continue
        shown = row[place].number_format.split(";")[0]  # what follows is for negative numbers
        if re.fullmatch("0{2,}", shown) and re.fullmatch(r"\d+", as_number(str(value))):
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


def _looks_as_stored(value: float | date | time | timedelta, shown: str) -> bool:
    """Tell whether a format leaves a number what it is, but for the last zeros of its decimals, or a date."""
    if not isinstance(value, int | float):
        return _AS_DATES.fullmatch(shown.replace("\\", "")) is not None
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
