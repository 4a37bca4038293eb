"""Labels that a classifier confidently contradicts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from eval.audit.wrong_labels import likely_wrong_labels
from eval.contracts import Example

LABELS = ("billing", "delivery", "returns")


def case(n: int = 120, seed: int = 0) -> tuple[list[Example], npt.NDArray[np.float64]]:
    """Rows with a classifier that is right and fairly sure."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    sure = rng.uniform(0.8, 0.95, size=n)
    probabilities = np.repeat(((1 - sure) / 2)[:, None], 3, axis=1)
    probabilities[np.arange(n), truth] = sure
    return [Example(f"r{i}", f"text {i}", (LABELS[t],)) for i, t in enumerate(truth)], probabilities


def relabel(examples: list[Example], rows: tuple[int, ...], *more: str) -> list[Example]:
    """The same with another label for these rows."""
    changed = list(examples)
    for row in rows:
        wrong = LABELS[(LABELS.index(examples[row].target) + 1) % 3]
        changed[row] = Example(examples[row].id, examples[row].input, (wrong, *more))
    return changed


def test_planted_errors_are_found_and_nothing_else() -> None:
    examples, probabilities = case()
    planted = (3, 40, 77, 100)
    finding = likely_wrong_labels(relabel(examples, planted), probabilities, LABELS)
    assert finding is not None
    assert set(finding.rows) <= {f"r{i}" for i in planted}
    assert len(finding.rows) >= 3, "confident learning estimates how many there are, and may miss one"
    assert f"rather '{examples[int(finding.rows[0][1:])].target}'" in finding.message


def test_right_labels_are_left_alone() -> None:
    examples, probabilities = case()
    assert likely_wrong_labels(examples, probabilities, LABELS) is None


def test_a_classifier_that_is_hardly_better_than_the_commonest_label_is_not_believed() -> None:
    """It learns nothing from two texts that are compared, say, and is right in 66 of 100 rows all the same."""
    rng = np.random.default_rng(0)
    truth = rng.random(100) < 0.4
    says = np.where(rng.random(100) < 0.34, ~truth, truth)
    probabilities = np.where(says[:, None], [0.05, 0.95], [0.95, 0.05])
    examples = [Example(f"r{i}", f"text {i}", (LABELS[int(label)],)) for i, label in enumerate(truth)]
    assert likely_wrong_labels(examples, probabilities, LABELS[:2]) is None
    better = np.where((rng.random(100) < 0.1) ^ truth, 0.95, 0.05)
    finding = likely_wrong_labels(examples, np.column_stack((1 - better, better)), LABELS[:2])
    assert finding is not None, "one that is right in 90 of 100 rows is"


def test_an_unsure_classifier_is_not_believed() -> None:
    examples, probabilities = case()
    assert likely_wrong_labels(relabel(examples, (3, 40)), 0.7 / 3 + 0.3 * probabilities, LABELS) is None


def test_another_accepted_answer_is_no_error() -> None:
    examples, probabilities = case()
    assert likely_wrong_labels(relabel(examples, (3,), examples[3].target), probabilities, LABELS) is None


def test_rows_that_were_not_predicted_are_passed_over() -> None:
    examples, probabilities = case()
    probabilities[[5, 40]] = np.nan
    finding = likely_wrong_labels(relabel(examples, (3, 40)), probabilities, LABELS)
    assert finding is not None
    assert finding.rows == ("r3",)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_rows_is_no_problem(n: int) -> None:
    examples, probabilities = case(n)
    assert likely_wrong_labels(examples, probabilities, LABELS) is None


def test_labels_that_nobody_knows_are_passed_over() -> None:
    examples, probabilities = case()
    examples[0] = Example("r0", "text", ("complaint",))
    assert likely_wrong_labels(examples, probabilities, LABELS) is None


def test_a_label_that_is_far_outnumbered_is_not_called_wrong_for_its_rarity() -> None:
    """A classifier that has seen next to nothing else always says the common label."""
    examples = [Example(f"r{i}", f"text {i}", (LABELS[i < 7],)) for i in range(120)]
    probabilities = np.tile([0.95, 0.04, 0.01], (120, 1))
    assert likely_wrong_labels(examples, probabilities, LABELS) is None
