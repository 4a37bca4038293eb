"""What belongs together in a list's objects is counted together; all else is a bag of paths and values."""

from __future__ import annotations

import json
from itertools import permutations
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.json_fields import MOST_PAIRS, f1_of_fields, fields_of, shared

RECORD = {"name": "bolt", "qty": 3, "unit": "box"}


def f1(output: object, target: object) -> float:
    a, b = fields_of(json.dumps(output)), fields_of(json.dumps(target))
    assert a is not None
    assert b is not None
    return f1_of_fields(a, b)


def lines(*pairs: tuple[str, int]) -> list[dict[str, object]]:
    return [{"name": name, "qty": quantity} for name, quantity in pairs]


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        (lines(("a", 1), ("b", 2)), lines(("b", 2), ("a", 1)), 1),
        (lines(("a", 2), ("b", 1)), lines(("a", 1), ("b", 2)), 1 / 2),
        ({"no": 7, "lines": lines(("a", 2), ("b", 1))}, {"no": 7, "lines": lines(("a", 1), ("b", 2))}, 3 / 5),
        (lines(("a", 1)), lines(("a", 1), ("b", 2)), 2 / 3),
        (lines(("a", 1), ("a", 1)), lines(("a", 1)), 2 / 3),
        (lines(("a", 1), ("a", 1)), lines(("a", 1), ("a", 2)), 3 / 4),
        ([{"lines": lines(("a", 1))}, {"lines": lines(("b", 2))}], [{"lines": lines(("a", 2))}, {"lines": []}], 1 / 3),
        ([["bolt", 100], ["engine", 1]], [["bolt", 1], ["engine", 100]], 1 / 2),
        ([["bolt", 100], ["engine", 1]], [[1, "engine"], [100, "bolt"]], 1),
        ([{"tags": ["x", "y"]}], [{"tags": ["y", "x"]}], 1),
        ([{}, 1, "x"], ["x", {}, 1], 1),
        ([{}, [], 1, "x"], ["x", 2], 1 / 2),
        ([], [], 1),
        ([], lines(("a", 1)), 0),
        ({"a": None, "b": 1}, {"b": 1}, 1),
        ({"a": None, "b": 1}, {"a": "x", "b": 1}, 2 / 3),
        ({"a": "x", "b": 1}, {"a": None, "b": 1}, 2 / 3),
        ({"a": None, "b": 2}, {"a": None, "b": 1}, 0),
        ({"a": None, "b": {"c": None}}, {"a": "", "b": {"c": "null"}}, 1),
        ({"a": None, "b": {"c": None}, "d": 1}, {"a": [], "b": {}, "d": 1}, 1),
        ({"a": None}, {"a": [], "b": {}}, 1),
        ({"a": None}, {"a": "x"}, 0),
        ({"lines": [{"name": "a", "qty": None}]}, {"lines": [{"name": "b", "qty": None}]}, 0),
    ],
)
def test_items_of_a_list_are_held_against_one_item_each(output: object, target: object, expected: float) -> None:
    assert f1(output, target) == pytest.approx(expected)


records = st.dictionaries(
    st.sampled_from("abc"), st.integers(0, 2) | st.lists(st.integers(0, 1), max_size=2), min_size=1
)


@settings(max_examples=200, deadline=None)
@given(st.lists(records, max_size=4), st.lists(records, max_size=4))
def test_the_pairs_are_those_that_share_most(ours: list[object], theirs: list[object]) -> None:
    first, second = sorted((ours, theirs), key=len)
    best = max(
        sum(_shared(a, b) for a, b in zip(first, chosen, strict=True)) for chosen in permutations(second, len(first))
    )
    assert _shared(ours, theirs) == _shared(theirs, ours) == best


def _shared(output: object, target: object) -> int:
    a, b = fields_of(json.dumps(output)), fields_of(json.dumps(target))
    assert a is not None
    assert b is not None
    return len(shared(a, b))


def test_long_lists_are_compared_in_seconds() -> None:
    target = [{**RECORD, "name": f"part {i}", "qty": i % 9} for i in range(400)]
    output = [{**line, "unit": "piece"} for line in reversed(target)]
    assert len(target) ** 2 > MOST_PAIRS
    start = process_time()
    assert f1(output, target) == pytest.approx(2 / 3)
    assert f1([*output[:100], *target[:300]], target) > 0.9
    assert process_time() - start < 5


def test_deep_nesting_takes_no_time_and_beyond_a_hundred_levels_is_no_answer() -> None:
    deep = '[{"a": 1}, ' * 90 + '{"a": 2}' + "]" * 90
    start = process_time()
    a, b = fields_of(deep), fields_of(deep.replace("2", "3"))
    assert a is not None
    assert b is not None
    assert f1_of_fields(a, b) == pytest.approx(90 / 91)
    assert process_time() - start < 2
    assert fields_of("[" * 200 + "1" + "]" * 200) is None
    assert fields_of('{"a":' * 5000 + "1" + "}" * 5000) is None
