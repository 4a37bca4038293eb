"""Two opinions of the labels as one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from strategies.label_pool import USUAL_WEIGHT, LabelPool
from strategies.linear_classifier import LinearClassifier
from strategies.models.base import LabelScores

LABELS = ("a", "b", "c")
RNG = np.random.default_rng(3)


class Numbers:
    """Texts that are three numbers, as features."""

    def transform(self, texts: list[str]) -> NDArray[np.float64]:
        return np.array([[float(part) for part in text.split()] for text in texts]).reshape(-1, 3)


def classifier(labels: tuple[str, ...] = LABELS) -> LinearClassifier:
    """Whose scores are the numbers themselves."""
    return LinearClassifier(Numbers(), labels, np.eye(3), np.zeros(3))  # type: ignore[arg-type]


def text(values: NDArray[np.float64]) -> str:
    return " ".join(repr(float(value)) for value in values)


def leaning(target: int, how_far: float, noise: float) -> NDArray[np.float64]:
    """Scores that lean towards a label, more or less."""
    return how_far * np.eye(3)[target] + RNG.normal(0, noise, 3)


def shares(scores: LabelScores) -> NDArray[np.float64]:
    values = np.exp(np.array(scores.log_likelihoods) - max(scores.log_likelihoods))
    return np.asarray(values / values.sum())


def test_the_opinions_are_added_up_by_their_weights() -> None:
    pool = LabelPool(classifier(), model_weight=2.0, classifier_weight=0.5)
    (found,) = pool.pooled(["0 1 2"], LABELS, [LabelScores((3.0, 1.0, 0.0))])
    expected = np.exp(2 * np.array([3.0, 1.0, 0.0]) + 0.5 * np.array([0.0, 1.0, 2.0]))
    assert shares(found) == pytest.approx(expected / expected.sum())


def test_who_is_right_more_often_counts_more_and_who_is_too_sure_less() -> None:
    targets = RNG.integers(0, 3, 200)
    good, bad = [leaning(t, 2, 1.5) for t in targets], [leaning(t, 0, 1.5) for t in targets]
    names = [LABELS[t] for t in targets]
    knows, is_lost = (
        LabelPool(classifier()).weighed(
            [text(own) for own in theirs], names, LABELS, [LabelScores(tuple(own)) for own in models]
        )
        for theirs, models in ((good, bad), (bad, good))
    )
    assert knows.classifier_weight > 0.6 > 0.3 > knows.model_weight
    assert is_lost.model_weight > 0.6 > 0.3 > is_lost.classifier_weight
    shouting = LabelPool(classifier()).weighed(
        [text(own) for own in bad], names, LABELS, [LabelScores(tuple(10 * own)) for own in good]
    )
    assert shouting.model_weight == pytest.approx(is_lost.model_weight / 10, rel=0.1)


def test_who_is_mostly_wrong_counts_for_nothing_rather_than_for_the_opposite() -> None:
    targets = RNG.integers(0, 3, 60)
    wrong, right = ([text(leaning(target, how_far, 0.5)) for target in targets] for how_far in (-2, 2))
    scores = [LabelScores(tuple(float(part) for part in own.split())) for own in wrong]
    found = LabelPool(classifier()).weighed(right, [LABELS[target] for target in targets], LABELS, scores)
    assert found.model_weight == 0
    assert found.classifier_weight > USUAL_WEIGHT


def test_without_rows_that_say_more_both_count_as_usual() -> None:
    pool = LabelPool(classifier())
    failed = [LabelScores((), error="too long")]
    assert pool.weighed([], [], LABELS, []) == pool
    assert pool.weighed(["0 0 0"], ["a"], LABELS, failed) == pool
    assert pool.weighed(["0 0 0"], ["new"], LABELS, [LabelScores((0.0, 0.0, 0.0))]) == pool
    one = pool.weighed(["9 0 0"], ["b"], LABELS, [LabelScores((0.0, 9.0, 0.0))])
    assert 0 <= one.classifier_weight < USUAL_WEIGHT < one.model_weight < 2


def test_what_the_model_could_not_read_stays_an_error() -> None:
    scores = [LabelScores((), error="too long"), LabelScores((0.0, -1.0, -2.0))]
    failed, answered = LabelPool(classifier()).pooled(["0 0 0", "0 0 5"], LABELS, scores)
    assert failed == scores[0]
    assert shares(answered).argmax() == 2


def test_a_label_that_the_classifier_does_not_know_is_as_unlikely_as_its_last() -> None:
    pool = LabelPool(classifier(), model_weight=0.0, classifier_weight=1.0)
    (found,) = pool.pooled(["0 1 2"], ("new", *LABELS), [LabelScores((0.0,) * 4)])
    own = shares(found)
    assert own[0] == pytest.approx(own[1])
    assert list(own[1:].argsort()) == [0, 1, 2]


def test_labels_are_told_apart_by_name_and_not_by_place() -> None:
    pool, scores = LabelPool(classifier(("c", "b", "a"))), [LabelScores((0.0, 0.0, 0.0))]
    (found,) = pool.pooled(["5 0 0"], LABELS, scores)
    assert shares(found).argmax() == LABELS.index("c")


@given(
    st.lists(st.floats(-50, 50), min_size=3, max_size=3),
    st.lists(st.floats(-50, 50), min_size=3, max_size=3),
    st.floats(0, 3),
)
def test_where_both_agree_the_pool_does_too(model: list[float], own: list[float], weight: float) -> None:
    """Whatever the weights, as long as one counts at all."""
    if np.argmax(model) != np.argmax(own):
        own = own[:]
        own[int(np.argmax(model))] = max(own) + 1.0
    pool = LabelPool(classifier(), model_weight=weight, classifier_weight=0.5)
    (found,) = pool.pooled([text(np.array(own))], LABELS, [LabelScores(tuple(model))])
    assert found.log_likelihoods[int(np.argmax(model))] == pytest.approx(max(found.log_likelihoods))
