"""How often each field of a JSON answer is right."""

from __future__ import annotations

from advisor.fields import MOST_FIELDS, by_field
from eval.contracts import Example, Outcome, Prediction
from eval.json_fields import fields_of_lines


def answered(text: str, *targets: str, score: float | None = 0.5) -> Outcome:
    return Outcome(Example("1", "x", targets), Prediction(text), score, 0.1)


def test_each_field_counts_the_values_it_should_have() -> None:
    rows = [
        answered('{"city": "Bonn", "tags": ["a", "b"]}', '{"city": "Bonn", "tags": ["b", "c"]}'),
        answered('{"city": "Ulm", "extra": 1}', '{"city": "Bonn", "day": {"of": 3}}'),
        answered("no JSON", '{"city": "Bonn"}'),
        answered('{"city": "Bonn"}', '{"city": "Bonn"}', score=None),
    ]
    assert [(f.field, f.values, round(f.found, 2)) for f in by_field(rows)] == [
        ("city", 3, 0.33), ("tags[]", 2, 0.5), ("day.of", 1, 0.0),
    ]  # fmt: skip


def test_of_several_targets_the_nearest_counts_and_a_target_that_is_no_json_does_not() -> None:
    (found,) = by_field([answered('{"a": 2}', '{"a": 1}', '{"a": 2}', "text")])
    assert (found.field, found.values, found.found) == ("a", 1, 1.0)
    assert by_field([answered('{"a": 2}', "text")]) == []


def test_fields_that_are_left_open_are_not_counted() -> None:
    rows = [answered('{"city": null, "day": null}', '{"city": "Bonn", "day": null}') for _ in range(2)]
    assert [(f.field, f.values, f.found) for f in by_field(rows)] == [("city", 2, 0.0)]


def test_a_list_that_is_never_filled_has_one_line_and_finds_nothing() -> None:
    rows = [answered('{"tags": []}', target) for target in ('{"tags": []}', '{"tags": ["a", "b"]}')]
    assert [(f.field, f.values, f.found) for f in by_field(rows)] == [("tags[]", 2, 0.0)]


def test_a_value_in_another_object_of_a_list_is_not_found() -> None:
    target = '[{"name": "bolt", "qty": 100}, {"name": "nut", "qty": 1}]'
    swapped = '[{"name": "nut", "qty": 100}, {"name": "bolt", "qty": 1}]'
    found = {f.field: f.found for f in by_field([answered(swapped, target)])}
    assert sum(found.values()) == 1


def test_fields_of_lines_are_told_too() -> None:
    rows = [answered("from: Oslo\nto: Bonn", "from: Oslo\nto: Rome"), answered("from: Oslo", "from: Oslo\nto: Rome")]
    assert [(f.field, f.values, f.found) for f in by_field(rows, fields_of_lines)] == [("from", 2, 1), ("to", 2, 0)]


def test_only_the_commonest_fields_are_told() -> None:
    wide = "{" + ", ".join(f'"k{i}": 1' for i in range(200)) + "}"
    assert len(by_field([answered(wide, wide), answered(wide, '{"k99": 1}')])) == MOST_FIELDS
