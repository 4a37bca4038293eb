"""What reading and auditing the client's data brought to light."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Literal

Severity = Literal["info", "warning", "error"]
GRAVITY: tuple[Severity, ...] = ("error", "warning", "info")
MOST_ROWS_NAMED = 100
"""In reports."""


class Code(StrEnum):
    """The closed set of finding codes: reports and programs rely on these names."""

    DUPLICATE_ROWS = "duplicate_rows"
    CONFLICTING_LABELS = "conflicting_labels"
    LIKELY_WRONG_LABELS = "likely_wrong_labels"
    LABEL_VARIANTS = "label_variants"
    EMPTY_OUTPUT = "empty_output"
    EMPTY_INPUT = "empty_input"
    BLIND_METRIC = "blind_metric"
    CLASS_IMBALANCE = "class_imbalance"
    SINGLE_LABEL = "single_label"
    TOO_FEW_EXAMPLES = "too_few_examples"
    RARE_LABELS = "rare_labels"
    ENCODING_ASSUMED = "encoding_assumed"
    COLUMN_MAPPING = "column_mapping"
    UNPARSEABLE_ROWS = "unparseable_rows"
    LEAK_EXAMPLES_DOCUMENTS = "leak_examples_documents"
    NEAR_DUPLICATES = "near_duplicates"
    PROMPT_INJECTION = "prompt_injection"
    PERSONAL_DATA = "personal_data"
    MASKED_OUTPUTS = "masked_outputs"
    LONG_INPUTS = "long_inputs"
    INVALID_JSON_OUTPUT = "invalid_json_output"
    LANGUAGE_MISMATCH = "language_mismatch"
    UNREAD_DOCUMENTS = "unread_documents"
    SHARED_WITH_TEST = "shared_with_test"
    UNLEARNT_LABELS = "unlearnt_labels"
    UNSEEN_LABELS = "unseen_labels"
    UNTESTED_GROUPS = "untested_groups"


@dataclass(frozen=True)
class Finding:
    """One fact about the data that the client should know, with the rows it concerns."""

    code: str
    """One of `Code`; any other raises ValueError."""
    severity: Severity
    count: int
    """How many rows, files or pages are concerned."""
    rows: tuple[str, ...]
    """Their ids, line numbers or file names; empty where the finding concerns the whole file."""
    message: str
    """One sentence: what was found."""
    action: str
    """What was done about it, and how to overrule that or repair the data; empty where nothing is needed."""

    def __post_init__(self) -> None:
        Code(self.code)

    @property
    def said(self) -> str:
        """The message; where it is a warning, with what was done and is to be done."""
        return f"{self.message} {self.action}".strip() if self.severity == "warning" else self.message

    def to_json(self, most_rows: int | None = None) -> dict[str, Any]:
        """Its fields, with at most so many of the rows."""
        return {**asdict(self), "rows": list(self.rows[:most_rows])}


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, warnings, then the rest, each in the order that they came in."""
    return sorted(findings, key=lambda finding: GRAVITY.index(finding.severity))


def in_test(row: str) -> str:
    """Return what a row of a test set is called where rows of the examples are named too."""
    return f"{row} (test set)"


def of_test(finding: Finding) -> Finding:
    """Return what was found in a test set, told from what was found in the examples."""
    return replace(finding, rows=tuple(map(in_test, finding.rows)), message=f"Test set: {finding.message}")
