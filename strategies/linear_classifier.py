"""A linear classifier on features of the text. Kept as safetensors and JSON, never as pickle."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from eval.contracts import Example, Prediction
from strategies.manifest import read_manifest, write_manifest
from strategies.models.shelf import ModelShelf
from strategies.text_features import Features, JoinedFeatures, Matrix, load_features

STRENGTH = 10.0
"""Scikit-learn's C, for features of length one."""
MOST_SPAN, SPANNED = 3500, 1e-10
"""Rows, beyond which finding what spans them takes longer than it saves; and the share of the farthest squared reach of
rows in any direction, below which they do not reach there at all."""


@dataclass(frozen=True)
class LinearClassifier:
    """Multinomial logistic regression over features of the text."""

    features: Features
    labels: tuple[str, ...]
    weights: NDArray[np.float64]
    """Shape (labels, features)."""
    intercept: NDArray[np.float64]
    """Shape (labels,)."""

    @classmethod
    def fit(
        cls, features: Features, matrix: Matrix, targets: Sequence[str], *, balanced: bool = True
    ) -> LinearClassifier:
        """Fit on rows by their features. One label alone is answered always.

        If `balanced`, the rows of each label count as much together as those of any other: rare labels are learnt,
        and answered more often than they occur where texts tell little.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        labels = sorted(set(targets))
        if len(labels) == 1:
            return cls(features, tuple(labels), np.zeros((1, matrix.shape[1])), np.zeros(1))
        model = LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced" if balanced else None)
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # the audit says it better
            within, back = _in_span(matrix)
            model.fit(within, targets)
            weights, intercept = back(model.coef_), model.intercept_
        if len(weights) == 1:  # scikit-learn keeps one row for two labels: the second against the first
            weights, intercept = np.vstack([-weights, weights]) / 2, np.concatenate([-intercept, intercept]) / 2
        # scikit-learn's weights may be column-major, and safetensors writes bytes as they lie
        return cls(
            features, tuple(model.classes_.tolist()), np.ascontiguousarray(weights), np.ascontiguousarray(intercept)
        )

    @classmethod
    def joined(cls, classifiers: Sequence[LinearClassifier], weights: Sequence[float]) -> LinearClassifier:
        """One that weights and adds up what several think, all of which know the same labels.

        Their log-probabilities are linear in their features but for what all labels of a row have in common.
        """
        kinds = tuple(own.features for own in classifiers)
        return cls(
            kinds[0] if len(kinds) == 1 else JoinedFeatures(kinds),
            classifiers[0].labels,
            np.hstack([weight * own.weights for weight, own in zip(weights, classifiers, strict=True)]),
            np.sum([weight * own.intercept for weight, own in zip(weights, classifiers, strict=True)], axis=0),
        )

    @classmethod
    def fit_texts(cls, features: Features, train: Sequence[Example], *, balanced: bool = True) -> LinearClassifier:
        """Fit on training examples."""
        matrix = features.transform([row.input for row in train])
        return cls.fit(features, matrix, [row.target for row in train], balanced=balanced)

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        if not inputs:
            return []
        shares = self.probabilities(self.features.transform(inputs))
        best = shares.argmax(axis=1)
        return [Prediction(self.labels[i], confidence=float(row[i])) for i, row in zip(best, shares, strict=True)]

    def probabilities(self, features: Matrix) -> NDArray[np.float64]:
        """Probability of each label (shape: rows × labels) for rows of features."""
        scores = np.asarray(features @ self.weights.T) + self.intercept
        shares: NDArray[np.float64] = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return shares

    def opinions(self, matrix: Matrix, labels: Sequence[str]) -> NDArray[np.float64]:
        """Log-probability of each of these labels (rows × labels); of one that it does not know, that of its last."""
        tiniest = np.finfo(np.float64).tiny
        known = np.log(np.maximum(self.probabilities(matrix), tiniest))
        places = {label: place for place, label in enumerate(self.labels)}
        unlikeliest = known.min(axis=1)
        return np.stack([known[:, places[own]] if own in places else unlikeliest for own in labels], axis=1)

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weights": self.weights, "intercept": self.intercept}, folder / "linear.safetensors")
        write_manifest(folder, "linear", {"labels": list(self.labels), **self.features.save(folder)})

    @classmethod
    def load(cls, folder: Path, shelf: ModelShelf) -> LinearClassifier:
        """Inverse of `save`. Raises ValueError where its files are not of one classifier."""
        from safetensors.numpy import load_file

        manifest = read_manifest(folder)
        tensors, labels = load_file(folder / "linear.safetensors"), tuple(manifest["labels"])
        weights, intercept, features = tensors["weights"], tensors["intercept"], load_features(folder, manifest, shelf)
        if weights.shape != (len(labels), features.transform(["a"]).shape[1]) or intercept.shape != (len(labels),):
            raise ValueError("linear.safetensors has other labels or features than the solution")
        return cls(features, labels, weights, intercept)


def one_thread() -> AbstractContextManager[Any]:
    """For many small products: threads that wait for each other make them several times slower where a core is busy."""
    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limits


def _in_span(matrix: Matrix) -> tuple[Matrix, Callable[[NDArray[np.float64]], NDArray[np.float64]]]:
    """Rows by their coordinates among themselves, where they have more features than there are rows, and a function
    that turns weights (labels × coordinates) into those of the features.

    Weights that a quadratic penalty keeps small lie in the span of the rows, so that nothing is lost (Hastie and
    Tibshirani 2004, "Efficient quadratic regularization for expression arrays").
    """
    from scipy.linalg import eigh
    from scipy.sparse import issparse

    rows, features = matrix.shape
    if features <= rows or rows > MOST_SPAN:
        return matrix, lambda weights: weights
    products = matrix @ matrix.T
    lengths, directions = eigh(products.toarray() if issparse(products) else products)
    far = lengths > SPANNED * lengths[-1]
    reach, directions = np.sqrt(lengths[far]), directions[:, far]
    return directions * reach, lambda weights: (matrix.T @ ((directions / reach) @ weights.T)).T
