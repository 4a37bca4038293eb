"""How many more examples to label, and what that costs."""

from __future__ import annotations

import math

from advisor.advice.case import Case
from advisor.report import wording

ENOUGH_ROWS_OF_A_LABEL = 50
"""For a range of some 14 points on either side at most."""


def label_more(case: Case, number: int, words: str = " more") -> str:
    """To label so many more, and what that costs where it is known."""
    return f"label {number:,}{words}{labelling_cost(case, number)}"


def to_label(case: Case, test_rows: float) -> float:
    """How many examples give so many more test rows: of a holdout only a part is, and of a test file all are."""
    plan = case.data.plan
    return test_rows if plan.test_source == "file" else test_rows * case.data.examples / max(1, plan.test)


def labelling_cost(case: Case, number: int) -> str:
    """Of so many examples, in brackets; empty where nothing is known of it."""
    each = case.settings.label_usd
    return "" if each is None else f" (about {wording.money(each * number)})"


def tens(number: float) -> int:
    """The next multiple of ten: no more is known of such numbers."""
    return math.ceil(number / 10) * 10
