"""Strategies that classify with scikit-learn alone, on TF-IDF or on embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eval.contracts import Example, Kind, Solution, Task
from eval.errors import NotApplicable
from strategies.base import Workshop
from strategies.baselines import NOT_A_CLASSIFICATION, Baseline
from strategies.linear_classifier import EmbeddingFeatures, Features, LinearClassifier, TfidfFeatures
from strategies.tuning import choose


class _Linear(Baseline):
    kinds = (Kind.CLASSIFICATION,)
    strengths: Sequence[float]

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        if task.kind not in self.kinds:
            raise NotApplicable(NOT_A_CLASSIFICATION)

        def make(configuration: dict[str, Any], rows: Sequence[Example]) -> Solution:
            return LinearClassifier.fit(self._features(rows, workshop), rows, configuration["C"])

        configurations = [{"C": strength} for strength in self.strengths]
        return choose(task, train, workshop, configurations, make, is_free=True)

    def _features(self, rows: Sequence[Example], workshop: Workshop) -> Features:
        raise NotImplementedError


class TfidfLinear(_Linear):
    """Words alone."""

    name = "tfidf_linear"
    strengths = (10.0, 100.0)

    def _features(self, rows: Sequence[Example], workshop: Workshop) -> Features:
        return TfidfFeatures.fit([e.input for e in rows])


class EmbeddingLinear(_Linear):
    """Sentence embeddings and a linear head."""

    name = "embedding_linear"
    strengths = (10.0, 100.0)

    def _features(self, rows: Sequence[Example], workshop: Workshop) -> Features:
        return EmbeddingFeatures(workshop.embedder)
