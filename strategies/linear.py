"""Strategies that classify with scikit-learn alone: by words and characters, by sentence embeddings, or by both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eval.contracts import Example, Kind, Solution, Task
from eval.errors import RequestError
from eval.folds import k_folds
from eval.metrics import ScoredRow, get_metric
from strategies.base import Allowance, Workshop, check_suits
from strategies.baselines import Baseline
from strategies.label_pool import USUAL_WEIGHT, likeliest_weights
from strategies.linear_classifier import MOST_SPAN, LinearClassifier
from strategies.models.base import Embedder
from strategies.text_features import EmbeddingFeatures, Features, Matrix, TermCounts
from strategies.tuning import most_often, sample
from strategies.workload import Profile, Tokens, Workload

Rows = NDArray[np.int_]
"""Places of training rows."""
FOLDS, MOST_ROWS = 3, 1000
"""What is found on rows that are left out in turn is found on so many, drawn, where there are more."""


class Sheet(Protocol):
    """Rows by one kind of features, for fits on parts of them."""

    def learn(self, rows: Rows) -> tuple[Features, Matrix]:
        """Features as learnt from these rows alone, and all rows by them."""
        ...


@dataclass(frozen=True)
class _Embedded:
    features: EmbeddingFeatures
    matrix: Matrix

    def learn(self, rows: Rows) -> tuple[Features, Matrix]:
        return self.features, self.matrix


def _embedded(inputs: Sequence[str], embedder: Embedder) -> Sheet:
    return _Embedded(EmbeddingFeatures(embedder), embedder.encode(inputs))


def _counted(inputs: Sequence[str], embedder: Embedder) -> Sheet:
    return TermCounts.of(inputs)


SHEETS: Mapping[str, Callable[[Sequence[str], Embedder], Sheet]] = {"embedding": _embedded, "tfidf": _counted}
"""By the kind of features."""
EFFORT, BEYOND_SPAN = {"embedding": 0.1, "tfidf": 1.0}, 3.0
"""What learning from such features takes, in that from words and characters; and from rows beyond `MOST_SPAN`."""


class _Linear(Baseline):
    kinds = (Kind.CLASSIFICATION,)
    features: Sequence[str]

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        check_suits(self, task, workshop)
        workshop.log.train_examples = len(train)
        return fit_linear(task, train, workshop, self.features)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        rows = profile.train_rows * (1.0 if profile.train_rows <= MOST_SPAN else BEYOND_SPAN)
        effort = sum(EFFORT[kind] for kind in self.features) * rows * profile.input_tokens * profile.labels
        work = Workload(fit=Tokens(classified=effort) + balancing(profile, self.features))
        return work.embedding(profile.input_tokens if "embedding" in self.features else 0.0)


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
    sheets = [SHEETS[name]([row.input for row in train], workshop.embedder) for name in features]
    tried = _tried(task, train, workshop, sheets)
    best = max(tried, key=lambda own: own.quality)  # of equals the first
    if len(tried) > 1:
        workshop.log.trials += [
            {"balanced": own.balanced, "dev_quality": own.quality, "dev_rows": own.rows}
            | {"model_seconds": 0.0, "chosen": own is best}
            for own in tried
        ]
    named = {f"{name}_weight": weight for name, weight in zip(features, best.weights, strict=True)}
    workshop.log.config |= {"balanced": best.balanced, **named}
    everything, targets = np.arange(len(train)), [row.target for row in train]
    learnt = [sheet.learn(everything) for sheet in sheets]
    return LinearClassifier.joined(
        [LinearClassifier.fit(kind, matrix, targets, balanced=best.balanced) for kind, matrix in learnt], best.weights
    )


def is_balanced(task: Task, rows: Sequence[Example], workshop: Workshop) -> bool:
    """Whether rare labels count as much as frequent ones in a classifier on embeddings. The log tells it.

    Found by the workshop's embedder as it comes, on rows left out in turn: one that is tuned on the rows has learnt
    them by heart, and the few that it has not could hardly tell.
    """
    tried = _tried(task, rows, workshop, [_embedded([row.input for row in rows], workshop.embedder)])
    found = max(tried, key=lambda own: own.quality).balanced
    workshop.log.config["balanced"] = found
    return found


def balancing(profile: Profile, features: Sequence[str] = ("embedding",)) -> Tokens:
    """What finding out whether labels are to be balanced takes."""
    rows = 2 * (FOLDS - 1) * min(profile.train_rows, MOST_ROWS)  # either way, each part left out
    effort = sum(EFFORT[kind] for kind in features)
    return Tokens(classified=effort * rows * profile.input_tokens * profile.labels)


@dataclass(frozen=True)
class _Tried:
    """What is found on rows that are left out, with labels balanced or not."""

    balanced: bool
    quality: float
    weights: Sequence[float]
    """Of each kind's opinion."""
    rows: int


def _tried(task: Task, train: Sequence[Example], workshop: Workshop, sheets: Sequence[Sheet]) -> Sequence[_Tried]:
    """Both ways, the usual one first; one alone where fits before have chosen it, or no rows can be left out."""
    asked = _left_out(train, workshop.seed, sheets)
    before = most_often(workshop.allowance.chosen_before, ("balanced",))
    choices = [before["balanced"]] if before else [True, False] if asked else [True]
    return [_weighed(task, train, asked, len(sheets), balanced) for balanced in choices]


@dataclass(frozen=True)
class _Asked:
    """Rows that are left out, and what is learnt from the others."""

    rows: Rows
    learnt: Rows
    features: Sequence[tuple[Features, Matrix]]
    """Of each kind, and all rows by them."""


def _left_out(train: Sequence[Example], seed: int, sheets: Sequence[Sheet]) -> Sequence[_Asked]:
    """Each row once, of so many as weights are found on; none where there are too few rows."""
    try:
        splits = k_folds(sample(train, MOST_ROWS, seed), folds=FOLDS, seed=seed, stratify=True)
    except RequestError:
        return ()
    places = {row.id: place for place, row in enumerate(train)}
    parts = [[np.array([places[row.id] for row in part]) for part in split] for split in splits]
    return [_Asked(asked, learnt, [sheet.learn(learnt) for sheet in sheets]) for learnt, asked in parts]


def _weighed(task: Task, train: Sequence[Example], asked: Sequence[_Asked], kinds: int, balanced: bool) -> _Tried:
    """The quality on rows that were left out, and the weight of each kind's opinion.

    Rows with a label that was not there to be learnt say nothing of weights.
    """
    if not asked:
        return _Tried(balanced, 0.0, [USUAL_WEIGHT] * kinds, 0)
    targets = np.array([row.target for row in train], dtype=object)
    labels, rows = sorted(set(targets)), np.concatenate([own.rows for own in asked])
    opinions, known = list[NDArray[np.float64]](), list[NDArray[np.bool_]]()
    for own in asked:
        fitted = [
            (
                LinearClassifier.fit(kind, matrix[own.learnt], targets[own.learnt].tolist(), balanced=balanced),
                matrix[own.rows],
            )
            for kind, matrix in own.features
        ]
        opinions.append(np.stack([classifier.opinions(matrix, labels) for classifier, matrix in fitted]))
        known.append(np.isin(targets[own.rows], targets[own.learnt]))
    thought, learnt = np.concatenate(opinions, axis=1), np.concatenate(known)
    places = np.array([labels.index(target) for target in targets[rows]])
    weights = likeliest_weights(thought[:, learnt], places[learnt])
    best = np.tensordot(weights, thought, axes=1).argmax(axis=1)
    metric = get_metric(task.metric)
    answers = [(labels[own], train[row].targets) for own, row in zip(best, rows, strict=True)]
    scored = [ScoredRow(text, wanted, metric.row(text, wanted).score) for text, wanted in answers]
    return _Tried(balanced, metric.aggregate(scored), weights, len(rows))
