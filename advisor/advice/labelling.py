"""How many more examples to label, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from advisor.advice.case import Case
from advisor.planning import FEWER_ROWS, HELD_OUT
from advisor.report import wording

MOST_LABELS_NAMED = 3
ENOUGH_ROWS_OF_A_LABEL = 50
"""For a range of some 14 points on either side at most."""


def time_first(case: Case) -> str:
    """To give more time first, where that would have more of the labelled rows tested; else empty."""
    plan = case.data.plan
    if not any(HELD_OUT in cut or FEWER_ROWS in cut for cut in plan.cuts):
        return ""
    return f"raise --time-budget first, for it allowed for {plan.test:,} test rows of {case.data.examples:,} examples"


def more_of_labels(case: Case, rows: int, words: str = "") -> str:
    """How labels, the rarest of which has `rows` test rows, too few, get enough: by more time, by labelling."""
    more = to_label(case, ENOUGH_ROWS_OF_A_LABEL - rows, rows)
    label = f"label {tens(more):,} more{words}{cost_of_labels(case, [(more, rows)])}"
    return "; then ".join([step for step in (time_first(case), label if more else "") if step])


def to_have_enough(case: Case, rows: int) -> int:
    """How many examples of a label that has `rows` test rows give it enough."""
    return tens(to_label(case, ENOUGH_ROWS_OF_A_LABEL - rows, rows))


def to_label(case: Case, more: float, rows: int) -> float:
    """How many examples give so many more test rows, where there are `rows` (of all, or of a label).

    Of those that were not tested for want of time as large a part is taken to be of a label as of those that were. Of a
    holdout only a part of further examples is tested, and of a test file all are.
    """
    plan, testable = case.data.plan, max(1, _testable(case))
    lacking = max(0.0, more - rows * (testable - plan.test) / max(1, plan.test))
    return lacking if plan.test_source == "file" else lacking * case.data.examples / testable


def _testable(case: Case) -> int:
    """Test rows that the examples would give with time enough."""
    plan = case.data.plan
    if HELD_OUT in plan.cuts:
        return case.data.examples
    return max([plan.test, *(int(cut.split()[-1]) for cut in plan.cuts if FEWER_ROWS in cut)])


def labelling_cost(case: Case, number: int) -> str:
    """Of so many examples, in brackets; empty where nothing is known of it."""
    each = case.settings.label_usd
    return "" if each is None else f" (about {wording.money(each * number)})"


def cost_of_labels(case: Case, wanted: Sequence[tuple[float, int]]) -> str:
    """Of so many examples of a label that has so many test rows, for each, in brackets.

    To meet them others are labelled too, as many as come with them among the test rows. Empty where nothing is known of
    the price, or of how often a label comes.
    """
    each = case.settings.label_usd
    if each is None or not all(rows for _, rows in wanted):
        return ""
    examples = tens(max(more * case.data.plan.test / rows for more, rows in wanted))
    return f" (about {examples:,} examples as they come, {wording.money(each * examples)})"


def tens(number: float) -> int:
    """The next multiple of ten: no more is known of such numbers."""
    return math.ceil(number / 10) * 10
