"""Rows that say the same again."""

from __future__ import annotations

import pytest

from eval.audit.repeats import (
    conflicting_labels,
    duplicate_documents,
    duplicate_rows,
    near_duplicates,
    repeated_in_test,
)
from eval.contracts import Document, Example

ROWS = [Example(str(i), f"text {i}", ("a" if i % 2 else "b",), i) for i in range(20)]


def test_duplicate_rows_repeat_input_and_output_whatever_the_case_and_spacing() -> None:
    again = [Example("x", "TEXT  1", ("a",)), Example("y", "text 1", ("a",)), Example("z", "text 99", ("a",))]
    finding = duplicate_rows([*ROWS, *again])
    assert finding is not None
    assert (finding.rows, finding.count, finding.severity) == (("x", "y"), 2, "warning")
    assert conflicting_labels([*ROWS, *again]) is None


def test_conflicting_labels_name_every_row_of_the_conflict() -> None:
    examples = [*ROWS, Example("x", "Text 1", ("b",))]
    finding = conflicting_labels(examples)
    assert finding is not None
    assert (finding.rows, finding.count) == (("1", "x"), 2)
    assert duplicate_rows(examples) is None


def test_documents_with_the_same_text_are_reported() -> None:
    documents = [Document("a", "One text."), Document("b", "Another."), Document("c", "one  text.")]
    finding = duplicate_documents(documents)
    assert finding is not None
    assert finding.rows == ("c",)
    assert duplicate_documents(documents[:2]) is None


def test_examples_in_the_test_set_are_named() -> None:
    finding = repeated_in_test(ROWS, [Example("t", "Text 3", ("a",))])
    assert finding is not None
    assert finding.rows == ("3",)
    assert repeated_in_test(ROWS, []) is None


LONG = "Please tell me when the parcel that I ordered last week with the blue shoes will finally arrive at my house"


def test_near_duplicates_name_whole_groups_and_differing_labels() -> None:
    examples = [*ROWS[:1], Example("x", LONG, ("a",)), Example("y", LONG.replace("finally ", ""), ("b",))]
    finding = near_duplicates(examples, are_labels=True)
    assert finding is not None
    assert (finding.rows, finding.count) == (("x", "y"), 2)
    assert "In 1 of them the labels differ" in finding.message
    as_text = near_duplicates(examples, are_labels=False)
    assert as_text is not None
    assert "labels" not in as_text.message


def test_different_inputs_are_no_near_duplicates() -> None:
    assert near_duplicates([ROWS[0], Example("x", LONG, ("a",))], are_labels=True) is None


def test_json_answers_do_not_conflict_by_the_order_of_their_keys() -> None:
    same = [Example("a", "book it", ('{"x": 1, "y": 2}',)), Example("b", "book it", ('{"y":2,"x":1}',))]
    assert conflicting_labels(same) is None
    assert conflicting_labels([*same, Example("c", "book it", ('{"y": 3, "x": 1}',))]) is not None


def rows(text: str, *targets: tuple[str, ...]) -> list[Example]:
    return [Example(str(i), text, accepted) for i, accepted in enumerate(targets)]


COMPATIBLE = [
    (("Paris", "paris city"), ("paris city", "Paris")),
    (("a", "b"), ("a",)),
    (("a", "b"), ("b", "c"), ("b",)),
    (("a",), ("a", "a")),
]


@pytest.mark.parametrize("targets", COMPATIBLE)
def test_rows_that_one_answer_satisfies_do_not_conflict(targets: tuple[tuple[str, ...], ...]) -> None:
    assert conflicting_labels(rows(LONG, *targets)) is None
    near = [Example(str(i), LONG.replace("finally ", "") if i else LONG, each) for i, each in enumerate(targets)]
    finding = near_duplicates([*ROWS[:1], *near], are_labels=True)
    assert finding is not None
    assert "differ" not in finding.message


def test_rows_that_no_answer_satisfies_together_conflict_though_any_two_agree() -> None:
    finding = conflicting_labels(rows("text", ("a", "b"), ("b", "c"), ("a", "c")))
    assert finding is not None
    assert finding.count == 3
