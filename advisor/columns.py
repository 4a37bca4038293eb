"""Further columns of the examples that a request names: what groups rows, and when they were written."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime

from eval.audit.personal_data import find, mask
from eval.errors import RequestError
from eval.reading.columns import plain, quoted
from eval.reading.examples import ExampleFile

_YEAR, _MONTH = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])"
_YEAR_AND_MONTH = re.compile(rf"(?P<month>{_MONTH})\.(?P<year>{_YEAR})|(?P<first>{_YEAR})\.(?P<last>{_MONTH})")

_PART = rf"({_YEAR}|\d\d?)"
_DATE = re.compile(
    rf"{_PART}[-/.]{_PART}[-/.]{_PART}"
    r"(?:(?:T|,? +)(?P<hour>\d\d?)(?P<minutes>:\d\d[^\sAaPp]*)(?:\s?(?P<half>[AaPp])\.?[Mm]\.?)?)?"
)
ORDERS = {"year": (1, 2, 3), "day": (3, 2, 1), "month": (3, 1, 2)}
"""By what stands first, the places of year, month and day."""
LAST_CENTURY = "69"
"""From this year on, two figures are one of the last century, as POSIX has it."""
FAR_MORE = 5
"""Times; days read as years make three decades of rows that were written in a few years."""


def column_values(file: ExampleFile, column: str, flag: str) -> tuple[str, ...]:
    """Return a further column's cells, one for each example; RequestError lists the columns that there are."""
    same = [column] if column in file.columns else [own for own in file.columns if plain(own) == plain(column)]
    if len(same) == 1:
        return file.columns[same[0]]
    known = f"known are {quoted(file.columns)}" if file.columns else "there is none beside input, output and id"
    raise RequestError(f'{flag}: there is no column "{column}"; {known}.')


def impersonal_groups(
    groups: Sequence[str], others: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Return the groups of examples and of test rows under names that can be shown.

    A customer's e-mail address groups rows well; as it must not be written, it becomes a number, the same in both.
    """
    distinct = dict.fromkeys((*groups, *(others or ())))
    names = {group: f"group-{number}" if find(group) else group for number, group in enumerate(distinct, 1)}
    return tuple(names[g] for g in groups), None if others is None else tuple(names[g] for g in others)


def times_of(cells: Sequence[str], lines: Sequence[int], column: str) -> tuple[float, ...]:
    """Return the cells of `--time-column` as numbers that grow with time.

    Numbers are taken as they are; dates become seconds since 1970, without a zone as UTC, and so do months that look
    like numbers (`11.2023`, `2023.11`). Raises RequestError that names the line of the first that cannot be read, or
    says that day, month and year cannot be told apart.
    """
    if months := _months(cells):
        return months
    numbers = [_number(cell) for cell in cells]
    if all(map(math.isfinite, numbers)):
        return tuple(numbers)
    readings = _dates(cells) or _guessed(cells)
    complete = {tuple(reading): first for first, reading in readings.items() if all(map(math.isfinite, reading))}
    if len(complete) == 1:
        return next(iter(complete))
    if complete:
        ways = " or ".join(f"with the {first}" for first in complete.values())
        raise RequestError(
            f'--time-column: the dates in "{column}" can be read {ways} first: write them as YYYY-MM-DD.'
        )
    best = min(readings.values(), key=lambda reading: sum(map(math.isnan, reading)))
    line, cell = next((n, cell) for n, cell, time in zip(lines, cells, best, strict=True) if math.isnan(time))
    problem = f'"{mask(cell)[:40]}" is no date or number' if cell else "there is no date"
    raise RequestError(f'--time-column: in line {line} of "{column}", {problem}: write dates as YYYY-MM-DD.')


def _months(cells: Sequence[str]) -> tuple[float, ...]:
    """The beginnings of months written with a full stop; nothing where not all cells are some.

    Where a year comes first, 2023.1 beside 2023.01 is a number that has lost its last 0, and numbers are in order.
    """
    found = [match for cell in cells if (match := _YEAR_AND_MONTH.fullmatch(cell.strip()))]
    last = [match["last"] for match in found if match["last"]]
    has_lost_a_zero = len({len(month) for month in last}) > 1 and any(month.startswith("0") for month in last)
    if len(found) < len(cells) or has_lost_a_zero:
        return ()
    years_and_months = [(int(match["year"] or match["first"]), int(match["month"] or match["last"])) for match in found]
    return tuple(datetime(year, month, 1, tzinfo=UTC).timestamp() for year, month in years_and_months)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _dates(cells: Sequence[str]) -> dict[str, list[float]]:
    """The cells as dates of three numbers, where all are some, in each order that these may stand in; NaN where a cell
    does not fit.

    Where the rows span far more time with the year first, or far less, days would be taken for years of two figures.
    """
    found = [match for cell in cells if (match := _DATE.fullmatch(cell.strip()))]
    if len(found) < len(cells):
        return {}
    read = {
        first: _seconds([_written(match, *places) for match in found], "ISO8601") for first, places in ORDERS.items()
    }
    spans = {first: max(times) - min(times) for first, times in read.items() if all(map(math.isfinite, times))}
    years = spans.pop("year", None)
    if years is None or not spans:
        return read
    if years >= FAR_MORE * max(spans.values()):
        return {first: read[first] for first in spans}
    return {"year": read["year"]} if FAR_MORE * years <= min(spans.values()) else read


def _written(date: re.Match[str], year: int, month: int, day: int) -> str:
    """A date as ISO 8601 has it, of which these parts are year, month and day; empty where the year has one figure."""
    if len(date[year]) < 2:
        return ""
    century = "" if len(date[year]) == 4 else "20" if date[year] < LAST_CENTURY else "19"
    return f"{century}{date[year]}-{date[month].zfill(2)}-{date[day].zfill(2)}{_time_of(date)}"


def _time_of(date: re.Match[str]) -> str:
    """Its time on a clock of 24 hours, if it has one."""
    if not date["hour"]:
        return ""
    hour = int(date["hour"])
    if date["half"]:
        hour = hour % 12 + 12 * (date["half"] in "pP")
    return f"T{hour:02}{date['minutes'].replace(',', '.')}"  # 09:45:10,123


def _guessed(cells: Sequence[str]) -> dict[str, list[float]]:
    """Cells in other forms, read as ISO 8601, or else with the day and with the month first; NaN where one is no
    date."""
    iso = {"year": _seconds(cells, "ISO8601")}
    if all(map(math.isfinite, iso["year"])):
        return iso
    return {**iso, "day": _seconds(cells, dayfirst=True), "month": _seconds(cells)}


def _seconds(cells: Sequence[str], format: str | None = None, *, dayfirst: bool = False) -> list[float]:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of dates that are guessed one by one
        times = pd.to_datetime(
            pd.Series(cells, dtype="object"), utc=True, errors="coerce", format=format, dayfirst=dayfirst
        )
    return [time.timestamp() if not pd.isna(time) else math.nan for time in times]
