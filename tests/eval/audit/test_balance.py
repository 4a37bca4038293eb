"""Whether there are examples enough, in all and of each label."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eval.audit.balance import (
    class_imbalance,
    named,
    rare_labels,
    single_label,
    too_few_examples,
    too_rare_to_measure,
    unseen_labels,
)
from eval.contracts import Example, Kind, Task

SORT = Task("Sort the tickets.", Kind.CLASSIFICATION, "accuracy")


def labelled(*labels: str) -> list[Example]:
    return [Example(str(i), f"text {i}", (label,), i) for i, label in enumerate(labels, 1)]


@pytest.mark.parametrize(("count", "severity"), [(1, "error"), (19, "error"), (20, "warning"), (49, "warning")])
def test_too_few_examples(count: int, severity: str) -> None:
    finding = too_few_examples(labelled(*["a", "b"] * 30)[:count])
    assert finding is not None
    assert (finding.severity, finding.count) == (severity, count)
    assert str(count) in finding.message
    assert ("at least 20 are needed" in finding.message) == (severity == "error")


def test_fifty_examples_are_not_few() -> None:
    assert too_few_examples(labelled(*["a"] * 50)) is None


def test_one_label_only_is_an_error_and_no_imbalance() -> None:
    examples = labelled(*["billing"] * 60)
    finding = single_label(examples)
    assert finding is not None
    assert (finding.severity, finding.count) == ("error", 60)
    assert "'billing'" in finding.message
    assert class_imbalance(SORT, examples) is None
    assert single_label(labelled("a", "b")) is None


def test_class_imbalance_begins_beyond_four_fifths() -> None:
    assert class_imbalance(SORT, labelled(*["a"] * 80, *["b"] * 20)) is None
    finding = class_imbalance(SORT, labelled(*["a"] * 81, *["b"] * 19))
    assert finding is not None
    assert finding.count == 81
    assert "81 of 100 outputs are 'a'" in finding.message
    assert "81.0%" in finding.message


def test_imbalance_says_whether_the_metric_hides_it() -> None:
    examples = labelled(*["a"] * 90, *["b"] * 10)
    by_accuracy = class_imbalance(SORT, examples)
    by_f1 = class_imbalance(Task("Sort.", Kind.CLASSIFICATION, "macro_f1"), examples)
    assert by_accuracy is not None
    assert by_f1 is not None
    assert '"metric": "macro_f1"' in by_accuracy.action
    assert "Measured by macro F1" in by_f1.action


def test_labels_too_rare_to_learn_have_fewer_than_four_rows() -> None:
    (finding,) = rare_labels(labelled(*["a"] * 30, *["b"] * 30, *["c"] * 4, *["d"] * 3, "e"))
    assert (finding.rows, finding.count) == (("d", "e"), 2)
    assert finding.message.startswith("2 of 5 labels")
    assert "'d' (3 rows), 'e' (1 row)" in finding.message


def test_labels_that_are_stated_and_have_no_example_are_named() -> None:
    stated = replace(SORT, labels=("a", "b", "c", "d"))
    assert unseen_labels(SORT, labelled("a", "b")) is None
    assert unseen_labels(stated, labelled("a", "b", "c", "d")) is None
    finding = unseen_labels(stated, labelled("a", "c"))
    assert finding is not None
    assert (finding.code, finding.count, finding.rows) == ("unseen_labels", 2, ("b", "d"))
    assert "2 of the 4 labels that the task states have no example: 'b', 'd'." in finding.message


def test_a_rare_label_beside_a_dominant_one_is_too_rare_to_measure() -> None:
    examples = labelled(*["good"] * 90, *["bad"] * 7)
    (finding,) = rare_labels(examples)
    assert (finding.rows, finding.count) == (("bad",), 1)
    assert "'bad' (7 rows)" in finding.message
    assert too_rare_to_measure(examples) == ("bad",)


def test_many_labels_of_like_size_are_measured_together() -> None:
    examples = labelled(*[f"label {i}" for i in range(40) for _ in range(8)])
    assert rare_labels(examples) == []
    assert too_rare_to_measure(examples) == ()


def test_labels_are_shown_short_and_without_personal_data() -> None:
    assert named("a b") == "'a b'"
    assert named("mail to ada@example.org") == "'mail to [EMAIL]'"
    assert len(named("long " * 50)) <= 62


def test_a_single_rare_label_has_its_verb_in_the_singular() -> None:
    (finding,) = rare_labels(labelled(*["a"] * 30, "b"))
    assert finding.message == "1 of 2 labels has fewer than 4 examples: 'b' (1 row)."
