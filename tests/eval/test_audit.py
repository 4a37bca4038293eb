"""Each finding of the audit, and the data in which there is nothing to find."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from eval.audit import audit, refuse_hopeless
from eval.contracts import Example, Kind, Task
from eval.errors import RequestError
from eval.findings import Finding

SORT = Task("Sort the tickets.", Kind.CLASSIFICATION, "accuracy")
WRITE = Task("Rewrite the text.", Kind.GENERATION, "rougeL")
PARSE = Task("Parse the command.", Kind.EXTRACTION, "json_field_f1")


def labelled(*labels: str) -> list[Example]:
    return [Example(str(i), f"text {i}", (label,), i) for i, label in enumerate(labels, 1)]


CLEAN = labelled(*["billing", "delivery"] * 30)


def found(task: Task, examples: Sequence[Example], code: str) -> Finding:
    (finding,) = [f for f in audit(task, examples) if f.code == code]
    return finding


def codes(task: Task, examples: Sequence[Example]) -> list[str]:
    return [str(f.code) for f in audit(task, examples)]


def test_clean_examples_have_no_findings() -> None:
    assert audit(SORT, CLEAN) == []
    refuse_hopeless([])


def test_findings_do_not_depend_on_anything_but_the_examples() -> None:
    examples = labelled(*["a"] * 50, "b", "c")
    assert audit(SORT, examples) == audit(SORT, examples)


@pytest.mark.parametrize(("count", "severity"), [(1, "error"), (19, "error"), (20, "warning"), (49, "warning")])
def test_too_few_examples(count: int, severity: str) -> None:
    finding = found(SORT, CLEAN[:count], "too_few_examples")
    assert (finding.severity, finding.count) == (severity, count)
    assert str(count) in finding.message
    assert ("at least 20 are needed" in finding.message) == (severity == "error")


def test_fifty_examples_are_not_few() -> None:
    assert "too_few_examples" not in codes(SORT, CLEAN[:50])


def test_duplicate_rows_are_repeats_of_input_and_output_whatever_the_case_and_spacing() -> None:
    again = [
        Example("x", "TEXT  1", ("billing",)),
        Example("y", "text 1", ("billing",)),
        Example("z", "text 61", ("billing",)),
    ]
    finding = found(SORT, [*CLEAN, *again], "duplicate_rows")
    assert (finding.rows, finding.count, finding.severity) == (("x", "y"), 2, "warning")
    assert "conflicting_labels" not in codes(SORT, [*CLEAN, *again])


def test_conflicting_labels_name_every_row_of_the_conflict() -> None:
    finding = found(SORT, [*CLEAN, Example("x", "Text 1", ("delivery",))], "conflicting_labels")
    assert (finding.rows, finding.count) == (("1", "x"), 2)
    assert "duplicate_rows" not in codes(SORT, [*CLEAN, Example("x", "Text 1", ("delivery",))])


def test_single_label_is_an_error_and_no_imbalance() -> None:
    examples = labelled(*["billing"] * 60)
    finding = found(SORT, examples, "single_label")
    assert (finding.severity, finding.count) == ("error", 60)
    assert "'billing'" in finding.message
    assert codes(SORT, examples) == ["single_label"]


def test_one_answer_to_everything_is_no_concern_outside_classification() -> None:
    assert audit(WRITE, labelled(*["billing"] * 60)) == []


def test_class_imbalance_begins_beyond_four_fifths() -> None:
    assert "class_imbalance" not in codes(SORT, labelled(*["a"] * 80, *["b"] * 20))
    finding = found(SORT, labelled(*["a"] * 81, *["b"] * 19), "class_imbalance")
    assert finding.count == 81
    assert "81 of 100 outputs are 'a'" in finding.message


def test_rare_labels_have_fewer_than_four_rows() -> None:
    finding = found(SORT, labelled(*["a"] * 30, *["b"] * 30, *["c"] * 4, *["d"] * 3, "e"), "rare_labels")
    assert (finding.rows, finding.count) == (("d", "e"), 2)
    assert finding.message.startswith("2 of 5 labels")


def test_invalid_json_output_is_what_is_no_object() -> None:
    good = [Example(str(i), f"text {i}", (json.dumps({"k": i}),)) for i in range(60)]
    bad = [Example("x", "a", ("{broken",)), Example("y", "b", ("[1, 2]",)), Example("z", "c", ("plain",))]
    assert audit(PARSE, good) == []
    finding = found(PARSE, [*good, *bad], "invalid_json_output")
    assert (finding.rows, finding.severity) == (("x", "y", "z"), "warning")
    assert "invalid_json_output" not in codes(WRITE, [*good, *bad])


def test_json_too_deep_to_read_is_invalid() -> None:
    good = [Example(str(i), f"text {i}", ("{}",)) for i in range(60)]
    assert found(PARSE, [*good, Example("x", "a", ("[" * 100_000,))], "invalid_json_output").rows == ("x",)


def test_the_first_error_is_refused_with_what_to_do() -> None:
    findings = audit(SORT, labelled(*["a"] * 10))
    with pytest.raises(RequestError, match=r"10 usable examples are too few.* Label more examples"):
        refuse_hopeless(findings)


def test_warnings_are_not_refused() -> None:
    findings = audit(SORT, [*labelled(*["a"] * 40, "b"), Example("x", "text 1", ("b",))])
    assert {f.severity for f in findings} == {"warning"}
    refuse_hopeless(findings)
