"""Cells with nothing usable in them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from eval.audit.contents import (
    invalid_json_output,
    joined_labels,
    placeholder_outputs,
    several_outputs,
    wordless_inputs,
)
from eval.contracts import Example, Kind, Task
from eval.tasks import TaskSpec, complete

PARSE = Task("Parse the command.", Kind.EXTRACTION, "json_field_f1")
COPY = Task("Copy the value.", Kind.EXTRACTION, "exact_match")
WRITE = Task("Rewrite.", Kind.GENERATION, "rougeL")
GOOD = [Example(str(i), f"text {i}", (json.dumps({"k": i}),)) for i in range(60)]
BAD = [Example("x", "a", ("{broken",)), Example("y", "b", ("[1, 2]",)), Example("z", "c", ("plain",))]


def test_what_is_no_object_is_invalid_json() -> None:
    assert invalid_json_output(PARSE, GOOD) is None
    finding = invalid_json_output(PARSE, [*GOOD, *BAD])
    assert finding is not None
    assert (finding.rows, finding.severity) == (("x", "y", "z"), "warning")


def test_lists_of_objects_are_no_invalid_json() -> None:
    lists = [Example(str(i), f"text {i}", (f'[{{"topic": {i}}}]',)) for i in range(9)]
    assert invalid_json_output(PARSE, [*lists, Example("none", "nothing", ("[]",))]) is None
    empty = [Example(f"none {i}", "nothing", ("[]",)) for i in range(20)]
    assert invalid_json_output(PARSE, [*lists, *empty]) is None, "which says of no list what it is of"
    finding = invalid_json_output(PARSE, [*lists, Example("x", "figures", ("[1]",))])
    assert finding is not None
    assert finding.rows == ("x",)
    assert "neither learnt from" in finding.action


def test_lists_of_texts_are_no_invalid_json() -> None:
    lists = [Example(str(i), f"review {i}", (f'["part {i}", "price"]',)) for i in range(20)]
    assert invalid_json_output(PARSE, lists) is None
    assert invalid_json_output(PARSE, [*lists, Example("x", "text", ("part 3",))]) is not None
    finding = invalid_json_output(PARSE, [*lists, Example("x", "text", ('{"part": 3}',))])
    assert finding is not None
    assert finding.message == "1 output is no JSON list of texts."
    assert "no answer to them" not in finding.action, "an object scores by its fields"
    assert "neither learnt from" not in finding.action, "as lists of texts are"
    assert invalid_json_output(PARSE, [*GOOD, Example("x", "text", ('["part 3"]',))]) is not None, "nor the other way"


def test_json_too_deep_to_read_is_invalid() -> None:
    finding = invalid_json_output(PARSE, [*GOOD, Example("x", "a", ("[" * 100_000,))])
    assert finding is not None
    assert finding.rows == ("x",)


def test_mostly_json_is_meant_to_be_json_whatever_the_metric() -> None:
    finding = invalid_json_output(COPY, [*GOOD, *BAD])
    assert finding is not None
    assert finding.rows == ("x", "y", "z")


def test_free_text_need_not_be_json() -> None:
    assert invalid_json_output(WRITE, [*GOOD, *BAD]) is None
    assert invalid_json_output(COPY, BAD * 9) is None


def test_what_its_braces_call_json_is_meant_to_be_json() -> None:
    dicts = [Example(str(i), f"text {i}", (f"{{'topic': {i}}}",)) for i in range(20)]
    finding = invalid_json_output(WRITE, dicts)
    assert finding is not None
    assert finding.count == 20


@pytest.mark.parametrize("form", ["{}", "[{}]"])
def test_what_python_writes_for_missing_numbers_is_no_json(form: str) -> None:
    total = [json.dumps({"total": float("nan") if i % 3 == 0 else i}) for i in range(60)]
    rows = [Example(str(i), f"text {i}", (form.replace("{}", text),)) for i, text in enumerate(total)]
    task, _ = complete(TaskSpec("Extract."), rows)
    finding = invalid_json_output(task, rows)
    assert finding is not None
    assert finding.rows == tuple(str(i) for i in range(0, 60, 3))
    assert "write null" in finding.message
    assert "as text" in finding.action
    finding = invalid_json_output(PARSE, rows)
    assert finding is not None
    assert "can score" in finding.action


def outputs(*values: str) -> list[Example]:
    return [Example(str(i), "a text", (value,)) for i, value in enumerate(values)]


@pytest.mark.parametrize("value", ["N/A", "nan", "NULL", "#REF!", "tbd", "???", "-", "…"])
def test_a_placeholder_among_outputs_is_reported(value: str) -> None:
    finding = placeholder_outputs(outputs(*["good"] * 40, value))
    assert finding is not None
    assert finding.rows == ("40",)


def test_a_frequent_placeholder_is_a_label() -> None:
    assert placeholder_outputs(outputs(*["good"] * 40, *["null"] * 10)) is None
    assert placeholder_outputs(outputs(*["good"] * 40, "🙂", "7", "no", "€", "none", "Na")) is None
    assert placeholder_outputs(outputs(*['[{"city": "Rome"}]'] * 40, "[]", "{}")) is None, "nothing was found"


def test_inputs_of_punctuation_only_are_reported() -> None:
    texts = ["hello", "???", "\u200b\u200b", "🙂", "€", "42", "- -"]
    finding = wordless_inputs([Example(str(i), text, ("a",)) for i, text in enumerate(texts)])
    assert finding is not None
    assert finding.rows == ("1", "2", "6")


def test_lists_of_labels_are_pointed_out_since_one_alone_counts_as_right() -> None:
    """Several tags of a message would otherwise be measured as if any one of them were enough, and nothing said."""
    examples = [Example(str(i), f"text {i}", ("billing", "login")[: 1 + i % 2]) for i in range(30)]
    finding = several_outputs(Task("Tag it.", Kind.CLASSIFICATION, "accuracy"), examples)
    assert finding is not None
    assert (finding.code, finding.severity, finding.count) == ("column_mapping", "warning", 15)
    assert finding.message == "15 outputs are lists of several: an answer counts as right if it is any one of them."
    assert "classifiers cannot" in finding.action
    assert '{"labels": ["a", "b"]}' in finding.action
    answers = several_outputs(Task("Answer.", Kind.QA, "token_f1"), examples)
    assert answers is not None
    assert answers.severity == "info", "alternatives are usual there"
    assert several_outputs(PARSE, GOOD) is None


@pytest.mark.parametrize("mark", ["; ", ",", " | ", "+"])
def test_labels_joined_in_one_cell_are_pointed_out(mark: str) -> None:
    cells = ["billing", "login", f"billing{mark}login", f"login{mark}urgent", f"Billing{mark}urgent"]
    finding = joined_labels(outputs(*cells * 4))
    assert finding is not None
    assert (finding.code, finding.severity, finding.count) == ("column_mapping", "warning", 12)
    assert f"'Billing{mark}urgent'" in finding.message
    assert '{"labels": ["a", "b"]}' in finding.action
    assert "order" not in finding.message
    assert "classifiers cannot" in finding.action


def test_labels_joined_in_most_cells_are_pointed_out_though_one_has_a_part_of_its_own() -> None:
    cells = ["billing", "login", "urgent", "billing, login", "login, urgent", "billing, urgent"]
    finding = joined_labels(outputs(*cells * 4, "billing, legal"))
    assert finding is not None
    assert finding.count == 13
    assert "such as 'billing, login'" in finding.message


@pytest.mark.parametrize("written", [json.dumps, str])
def test_lists_of_labels_in_a_cell_are_pointed_out(written: Callable[[list[str]], str]) -> None:
    """As pandas writes them to a CSV file."""
    cells = [
        written(tags) for tags in (["billing", "refund"], ["login"], ["delivery", "refund"], ["refund", "billing"])
    ]
    finding = joined_labels(outputs(*cells * 4, written(["login", "delivery"])))
    assert finding is not None
    assert finding.count == 13
    assert "2 of 4 combinations differ from another in order alone" in finding.message


def test_joined_labels_that_differ_in_their_order_alone_are_counted() -> None:
    cells = ["billing", "damage", "urgent", "billing; damage", "damage; billing", "urgent; damage"]
    finding = joined_labels(outputs(*cells * 4))
    assert finding is not None
    assert "2 of 3 combinations differ from another in order alone, which counts as wrong too." in finding.message


@pytest.mark.parametrize(
    "labels",
    [
        ("Food, Beverage & Tobacco", "Oil, Gas & Fuels", "Banks"),  # names with a comma in them
        ("travel/hotel", "travel/flight", "money/card"),  # a tree, its leaves named once
        ("yes", "no", "yes/no"),  # one label that is called so
        ("yes;", "yes", "no;", "no"),
        ("C/C++", "C", "C++"),
        ("Oil, Gas", "Gas, Coal", "Oil", "Coal", "Food, Drinks", "Health, Care", "Banks, Loans"),
        ("Fees (EU, UK)", "Fees (EU)", "Fees (UK)"),
        ("a", "b"),
    ],
)
def test_labels_with_such_marks_in_their_names_are_no_joined_ones(labels: tuple[str, ...]) -> None:
    assert joined_labels(outputs(*labels * 10)) is None
