"""Two opinions of the labels as one: a language model's, and that of a linear classifier on embeddings.

A logarithmic opinion pool (Genest and Zidek 1986; as a product of experts, Hinton 2002): log-probabilities are weighted
and added up. A tuned model is far surer than it is right, a classifier often less so: the weights, which few rows can
tell, put both in order, so that what is answered with is a probability again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from strategies.linear_classifier import LinearClassifier, one_thread
from strategies.models.base import LabelScores

Floats = NDArray[np.float64]

USUAL_WEIGHT, WEIGHT_DEVIATION = 0.5, 0.5
"""Of each opinion, before any row is looked at: a normal distribution."""


def likeliest_weights(opinions: Floats, places: NDArray[np.int_]) -> list[float]:
    """The weight of each opinion under which the rows' labels are likeliest, given what weights usually are.

    Opinions are log-probabilities (shape: opinions × rows × labels) by such as have not learnt from the rows; `places`
    says which label each row has.
    """
    from scipy.optimize import minimize

    def surprise(weights: Floats) -> float:
        pooled = log_softmax(np.tensordot(weights, opinions, axes=1), axis=1)
        unusual = ((weights - USUAL_WEIGHT) ** 2).sum() / (2 * WEIGHT_DEVIATION**2)
        return float(unusual - pooled[np.arange(len(places)), places].sum())

    count = len(opinions)
    with one_thread():
        found = minimize(surprise, np.full(count, USUAL_WEIGHT), bounds=[(0.0, None)] * count).x
    return [round(float(weight), 4) for weight in found]


@dataclass(frozen=True)
class LabelPool:
    """A classifier that a language model's opinion is pooled with."""

    classifier: LinearClassifier
    model_weight: float = USUAL_WEIGHT
    classifier_weight: float = USUAL_WEIGHT

    def weighed(
        self, inputs: Sequence[str], targets: Sequence[str], labels: Sequence[str], scores: Sequence[LabelScores]
    ) -> LabelPool:
        """The pool with the weights under which the rows' targets are likeliest, given what weights usually are.

        The rows must be such as neither the model, whose `scores` these are, nor the classifier has learnt from.
        """
        known = [i for i, own in enumerate(scores) if not own.error and targets[i] in labels]
        if not known:
            return self
        model = log_softmax([scores[i].log_likelihoods for i in known], axis=1)
        classifier = self._opinions([inputs[i] for i in known], labels)
        places = np.array([labels.index(targets[i]) for i in known])
        own, other = likeliest_weights(np.stack([model, classifier]), places)
        return replace(self, model_weight=own, classifier_weight=other)

    def pooled(self, inputs: Sequence[str], labels: Sequence[str], scores: Sequence[LabelScores]) -> list[LabelScores]:
        """What both think of each input, in the place of what the model does."""
        if not scores:
            return []
        opinions = self.classifier_weight * self._opinions(inputs, labels)
        return [
            own if own.error else replace(own, log_likelihoods=self._added(own, opinion))
            for own, opinion in zip(scores, opinions, strict=True)
        ]

    def _added(self, scores: LabelScores, opinion: Floats) -> tuple[float, ...]:
        return tuple((self.model_weight * log_softmax(scores.log_likelihoods) + opinion).tolist())

    def _opinions(self, inputs: Sequence[str], labels: Sequence[str]) -> Floats:
        return self.classifier.opinions(self.classifier.features.transform(inputs), labels)

    def to_json(self) -> dict[str, Any]:
        """The weights, for a manifest; the classifier has a folder of its own."""
        return {"model_weight": self.model_weight, "classifier_weight": self.classifier_weight}
