"""What wrong answers cost where not all cost the same: a matrix of the right label and the answer. USD throughout."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from advisor.faults import first_fault
from eval.errors import RequestError
from eval.metrics import collapse
from eval.reading.delimited import delimiter_of
from eval.reading.text import clean

Usd = Annotated[float, Field(ge=0, lt=1e9)]
DEFAULT, UNUSABLE = "(default)", "(unusable)"
"""Rows of a table that give what the fields of these names give."""
MOST_LABELS = 1000
Value = TypeVar("Value")
_SEPARATORS = {".csv": ",;\t", ".tsv": "\t"}
"""By kind of file."""


class ErrorCosts(BaseModel):
    """USD that an answer costs, by the right label and the answer. A right answer costs nothing where not named."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    costs: dict[str, dict[str, Usd]] = Field(min_length=1, max_length=MOST_LABELS)
    """By the right label, then by the answer."""
    default: Usd | None = None
    """Of pairs that are not named; without it all pairs must be."""
    unusable: Usd | None = None
    """Of an answer that is no label, or none at all; where not given `default`, else the dearest of the right label."""
    source: str | None = Field(default=None, max_length=500)
    """The file that it comes from."""

    @field_validator("costs")
    @classmethod
    def _as_labels_are_compared(cls, costs: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        """Labels with each run of whitespace as one space."""
        return _collapsed({right: _collapsed(row) for right, row in costs.items()})

    @model_validator(mode="after")
    def _something_costs(self) -> ErrorCosts:
        if not self.dearest > 0:
            raise ValueError("all costs are zero, so that nothing is to be saved: leave it out")
        return self

    @property
    def dearest(self) -> float:
        """The greatest of all costs."""
        named = [usd for row in self.costs.values() for usd in row.values()]
        return max([*named, self.default or 0.0, self.unusable or 0.0])

    @property
    def labels(self) -> list[str]:
        """All that are named."""
        return list(dict.fromkeys([*self.costs, *(answer for row in self.costs.values() for answer in row)]))

    def pair(self, right: str, answer: str) -> float | None:
        """What a label costs in place of the right one; None where nothing is said of that."""
        named = self.costs.get(right, {}).get(answer)
        return named if named is not None else 0.0 if right == answer else self.default

    def of(self, targets: Sequence[str], answer: str, labels: Collection[str]) -> float:
        """What an answer costs; of several accepted answers the one that makes it cheapest counts."""
        answer, rights = collapse(answer), [collapse(target) for target in targets]
        known = answer in labels or answer in rights
        return min(self._of(right, answer if known else None) for right in rights)

    def _of(self, right: str, answer: str | None) -> float:
        cost = self.unusable if answer is None else self.pair(right, answer)
        if cost is None:
            cost = self.default
        return max(self.costs.get(right, {}).values(), default=self.dearest) if cost is None else cost

    def of_one_error(self, targets: Sequence[str], labels: Collection[str]) -> float:
        """What a wrong answer costs on average, with these right answers and every other label equally often.

        The unit in which losses are compared: it hangs on no strategy.
        """
        each = {right: self._of_any(right, labels) for right in set(targets)}
        return mean(each[right] for right in targets) or self.dearest

    def shares(self, labels: Collection[str]) -> dict[str, float]:
        """What part of all that errors may cost hangs on each right label, all of them and their errors equally often.

        All 0 where no label in place of another costs anything.
        """
        each = {right: self._of_any(right, labels) for right in labels}
        return {right: usd / (sum(each.values()) or 1.0) for right, usd in each.items()}

    def _of_any(self, right: str, labels: Collection[str]) -> float:
        """The mean over all other labels in place of the right one."""
        return mean([self._of(right, other) for other in labels if other != right] or [self._of(right, None)])

    def check(self, labels: Collection[str]) -> None:
        """Raise RequestError where a label is named that the task has not, or a pair is missing."""
        where, labels = f"--error-cost: {self.source or 'the matrix'}", {collapse(label) for label in labels}
        for label in self.labels:
            if label not in labels:
                raise RequestError(f"{where} names {label!r}, which is no label here; known are {_some(labels)}.")
        for right in sorted(labels):
            for answer in sorted(labels):
                if self.pair(right, answer) is None:
                    said = f"{where} says nothing of {answer!r} where {right!r} is right"
                    raise RequestError(f"{said}: name the pair, or give a default.")


def _collapsed(values: Mapping[str, Value]) -> dict[str, Value]:
    """The values by their labels with each run of whitespace as one space. Raises ValueError where two become one."""
    found = {collapse(clean(label)): value for label, value in values.items()}
    if len(found) < len(values):
        raise ValueError("two labels differ in nothing but their spaces")
    return found


TAGS = ("figure", "matrix")
ErrorCost = Annotated[
    Annotated[float, Field(gt=0, lt=1e9), Tag("figure")] | Annotated[ErrorCosts, Tag("matrix")],
    Discriminator(lambda value: TAGS[isinstance(value, dict | ErrorCosts)]),
]
"""What one wrong answer costs in USD, whichever it is; or what each costs."""


def check_labels(error_cost: object, min_recall: Mapping[str, float], labels: Collection[str] | None) -> None:
    """Raise RequestError where an option names a label that the task has not; `labels` is None where it has none."""
    if labels is None and isinstance(error_cost, ErrorCosts):
        raise RequestError(
            "--error-cost: a matrix is for classification, and these answers are no labels: give one figure."
        )
    if labels is None and min_recall:
        raise RequestError("--min-recall is for classification, and these answers are no labels: use --min-quality.")
    if labels is None:
        return
    if isinstance(error_cost, ErrorCosts):
        error_cost.check(labels)
    for label in min_recall:
        if label not in labels:
            raise RequestError(f"--min-recall: {label!r} is no label here; known are {_some(labels)}.")


def _some(labels: Collection[str], most: int = 20) -> str:
    shown = sorted(labels)
    return ", ".join(shown[:most]) + (", ..." if len(shown) > most else "")


# ---- files -----------------------------------------------------------------------------------------------------------


def read_error_cost(text: str) -> float | ErrorCosts:
    """One figure, or the path of a file that holds a matrix. Raises RequestError that names the file and the place."""
    try:
        return float(text)
    except ValueError:
        return read_error_costs(text)


def read_error_costs(path: str) -> ErrorCosts:
    """A matrix from YAML or JSON (fields as in ErrorCosts), or from a table: a row for each right label, a column for
    each answer. Raises RequestError that names the file and the place."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".tsv", ".json", ".yaml", ".yml"):
        raise RequestError(f"--error-cost: {path!r} is neither a figure in USD nor a .yaml, .json, .csv or .tsv file.")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise RequestError(f"--error-cost: the file {path} cannot be read: {why}.") from error
    values = _table(text, suffix, path) if suffix in _SEPARATORS else _fields(text, suffix, path)
    try:
        return ErrorCosts.model_validate({**values, "source": path})
    except ValidationError as error:
        raise RequestError(f"--error-cost: {path}: {first_fault(error)}.") from error


def _fields(text: str, suffix: str, path: str) -> dict[str, Any]:
    """All scalars of YAML as text: labels may look like figures or like yes and no."""
    import yaml

    try:
        values = json.loads(text) if suffix == ".json" else yaml.load(text, Loader=yaml.BaseLoader)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise RequestError(f"--error-cost: the file {path} cannot be read as {suffix[1:].upper()}: {said}.") from error
    if not isinstance(values, dict):
        raise RequestError(
            f"--error-cost: {path} must give `costs`: for each right label what each answer costs in USD."
        )
    return values


def _table(text: str, suffix: str, path: str) -> dict[str, Any]:
    """A matrix whose first row has the answers and whose first column the right labels; empty cells say nothing."""
    delimiter = delimiter_of(text, _SEPARATORS[suffix])
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = [(n, [collapse(cell) for cell in line]) for n, line in enumerate(lines, 1) if any(map(str.strip, line))]
    if len(rows) < 2 or len(rows[0][1]) < 2:
        raise RequestError(
            f"--error-cost: {path} must have a first row of answers, and a row of costs in USD for each right label."
        )
    answers, values = rows[0][1][1:], dict[str, Any]({"costs": {}})
    if len(set(answers)) < len(answers) or "" in answers:
        raise RequestError(f"--error-cost: {path}, row 1: each answer must have a name, and one column.")
    for number, (right, *cells) in rows[1:]:
        place = f"--error-cost: {path}, row {number} ({right})"
        if right in values["costs"]:
            raise RequestError(f"{place}: a second row of this label.")
        if len(cells) > len(answers):
            raise RequestError(f"{place}: {len(cells)} costs for {len(answers)} answers.")
        found = {a: _usd(c, f"{place}, column {a}") for a, c in zip(answers, cells, strict=False) if c}
        if right in (DEFAULT, UNUSABLE):
            name = right.strip("()")
            if name in values:
                raise RequestError(f"{place}: a second row of this name.")
            if len(found) > 1:
                raise RequestError(f"{place}: it takes one cost, not {len(found)}.")
            values[name] = next(iter(found.values()), None)
        else:
            values["costs"][right] = found
    return values


def _usd(cell: str, place: str) -> float:
    try:
        usd = float(cell)
    except ValueError:
        usd = float("nan")
    if not 0 <= usd < 1e9:
        point = f": write {cell.replace(',', '.')}" if re.fullmatch(r"\d+,\d{1,2}", cell.strip()) else ""
        raise RequestError(f"{place}: {cell!r} is no cost in USD, of 0 or more{point}.")
    return usd
