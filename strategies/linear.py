"""Strategies that classify with scikit-learn alone: by words and characters, by sentence embeddings, or by both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.contracts import Example, Kind, Solution, Task
from eval.errors import NotApplicable, RequestError
from eval.folds import Split, k_folds
from eval.metrics import ScoredRow, get_metric
from strategies.base import Workshop
from strategies.baselines import NOT_A_CLASSIFICATION, Baseline
from strategies.label_pool import USUAL_WEIGHT, likeliest_weights
from strategies.linear_classifier import EmbeddingFeatures, Features, LinearClassifier, TfidfFeatures
from strategies.models.base import Embedder
from strategies.tuning import most_often, sample

FOLDS, MOST_ROWS = 3, 1000
"""What is found on rows that are left out in turn is found on so many, drawn, where there are more."""

FEATURES: Mapping[str, Callable[[Sequence[Example], Embedder], Features]] = {
    "embedding": lambda rows, embedder: EmbeddingFeatures(embedder),
    "tfidf": lambda rows, embedder: TfidfFeatures.fit([row.input for row in rows]),
}
"""Kinds of features, and what makes them of training rows."""


class _Linear(Baseline):
    kinds = (Kind.CLASSIFICATION,)
    features: Sequence[str]

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        if task.kind not in self.kinds:
            raise NotApplicable(NOT_A_CLASSIFICATION)
        workshop.log.train_examples = len(train)
        return fit_linear(task, train, workshop, self.features)


class TfidfLinear(_Linear):
    """Words and runs of characters alone."""

    name = "tfidf_linear"
    features = ("tfidf",)


class EmbeddingLinear(_Linear):
    """Sentence embeddings and a linear head."""

    name = "embedding_linear"
    features = ("embedding",)


class PooledLinear(_Linear):
    """One classifier on embeddings and one on TF-IDF, whose opinions are weighted and added up."""

    name = "pooled_linear"
    features = ("embedding", "tfidf")


def fit_linear(task: Task, train: Sequence[Example], workshop: Workshop, features: Sequence[str]) -> LinearClassifier:
    """A classifier on each of these kinds of features, as one.

    Training rows that are left out in turn say how much each counts, so that its confidence is as sure as it is right,
    and whether rare labels count as much as frequent ones. The log tells both.
    """
    splits = _splits(sample(train, MOST_ROWS, workshop.seed), workshop.seed)
    before = most_often(workshop.allowance.chosen_before, ("balanced",))
    choices = [before["balanced"]] if before else [True, False]
    found = [_left_out(task, splits, workshop.embedder, features, balanced) for balanced in choices]
    best = max(range(len(choices)), key=lambda choice: found[choice][0])  # of equals the first
    for choice, (quality, _) in enumerate(found if splits and not before else ()):
        rows = sum(len(split.test) for split in splits)
        tried = {"balanced": choices[choice], "dev_quality": quality, "dev_rows": rows, "chosen": choice == best}
        workshop.log.trials.append({**tried, "model_seconds": 0.0})
    (_, weights), balanced = found[best], choices[best]
    named = {f"{name}_weight": weight for name, weight in zip(features, weights, strict=True)}
    workshop.log.config |= {"balanced": balanced, **named}
    return LinearClassifier.joined(_fitted(train, workshop.embedder, features, balanced), weights)


def _fitted(
    rows: Sequence[Example], embedder: Embedder, features: Sequence[str], balanced: bool
) -> list[LinearClassifier]:
    return [LinearClassifier.fit(FEATURES[name](rows, embedder), rows, balanced=balanced) for name in features]


def _splits(rows: Sequence[Example], seed: int) -> Sequence[Split]:
    """None where there are too few rows."""
    try:
        return k_folds(rows, folds=FOLDS, seed=seed, stratify=True)
    except RequestError:
        return ()


def _left_out(
    task: Task, splits: Sequence[Split], embedder: Embedder, features: Sequence[str], balanced: bool
) -> tuple[float, list[float]]:
    """The quality on rows that were left out, and the weight of each opinion.

    Rows with a label that was not there to be learnt say nothing of weights.
    """
    if not splits:
        return 0.0, [USUAL_WEIGHT] * len(features)
    labels = sorted({row.target for split in splits for row in split.test})
    rows, opinions, learnt = list[Example](), list[NDArray[np.float64]](), list[bool]()
    for split in splits:
        inputs, known = [row.input for row in split.test], {row.target for row in split.train}
        fitted = _fitted(split.train, embedder, features, balanced)
        opinions.append(np.stack([own.opinions(inputs, labels) for own in fitted]))
        learnt += [row.target in known for row in split.test]
        rows += split.test
    thought = np.concatenate(opinions, axis=1)
    places = np.array([labels.index(row.target) for row in rows])
    weights = likeliest_weights(thought[:, learnt], places[learnt])
    best = np.tensordot(weights, thought, axes=1).argmax(axis=1)
    metric, answers = get_metric(task.metric), [labels[own] for own in best]
    scored = [
        ScoredRow(answer, row.targets, metric.row(answer, row.targets).score)
        for answer, row in zip(answers, rows, strict=True)
    ]
    return metric.aggregate(scored), weights
