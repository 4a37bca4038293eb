"""A linear classifier on features of the text. Kept as safetensors and JSON, never as pickle."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eval.contracts import Example, Prediction
from strategies.manifest import model_entry, read_manifest, write_manifest
from strategies.models.base import Embedder
from strategies.models.shelf import ModelShelf

if TYPE_CHECKING:
    from strategies.models.sentence_embedder import SentenceEmbedder

Matrix = Any
"""Features of rows: a dense array or a scipy sparse matrix, shape (rows, features)."""


class Features(Protocol):
    """Texts to numbers."""

    def transform(self, texts: Sequence[str]) -> Matrix: ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Write what is needed and return what the manifest must say."""
        ...


@dataclass(frozen=True)
class EmbeddingFeatures:
    """Sentence embeddings."""

    embedder: Embedder

    def transform(self, texts: Sequence[str]) -> Matrix:
        return self.embedder.encode(texts)

    def save(self, folder: Path) -> dict[str, Any]:
        return {"features": "embedding", "embedder": model_entry(self.embedder.identity)}


@dataclass(frozen=True)
class TunedFeatures(EmbeddingFeatures):
    """Embeddings by an embedder that was tuned for the task and is kept with the classifier."""

    embedder: SentenceEmbedder

    def save(self, folder: Path) -> dict[str, Any]:
        self.embedder.save(folder / "embedder")
        return {**super().save(folder), "features": "tuned_embedding"}


@dataclass(frozen=True)
class TfidfFeatures:
    """Words and pairs of words, weighted by TF-IDF with sublinear term frequency."""

    vocabulary: dict[str, int]
    idf: NDArray[np.float64]

    @classmethod
    def fit(cls, texts: Sequence[str]) -> TfidfFeatures:
        """Learn vocabulary and weights from training texts."""
        vectorizer = cls._vectorizer(None)
        vectorizer.fit(texts)
        return cls({term: int(i) for term, i in vectorizer.vocabulary_.items()}, vectorizer.idf_)

    @staticmethod
    def _vectorizer(vocabulary: dict[str, int] | None) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", vocabulary=vocabulary
        )

    def transform(self, texts: Sequence[str]) -> Matrix:
        vectorizer = self._vectorizer(self.vocabulary)
        vectorizer.idf_ = self.idf
        return vectorizer.transform(texts)

    def save(self, folder: Path) -> dict[str, Any]:
        from safetensors.numpy import save_file

        (folder / "vocabulary.json").write_text(
            json.dumps(self.vocabulary, ensure_ascii=False, sort_keys=True), encoding="utf-8"
        )
        save_file({"idf": self.idf}, folder / "idf.safetensors")
        return {"features": "tfidf"}

    @classmethod
    def load(cls, folder: Path) -> TfidfFeatures:
        """Inverse of `save`."""
        from safetensors.numpy import load_file

        vocabulary = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        return cls(vocabulary, load_file(folder / "idf.safetensors")["idf"])


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
    def fit(cls, features: Features, train: Sequence[Example], strength: float) -> LinearClassifier:
        """Fit on training examples; `strength` is scikit-learn's C. One label alone is answered always."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        labels = sorted({e.target for e in train})
        matrix = features.transform([e.input for e in train])
        if len(labels) == 1:
            return cls(features, tuple(labels), np.zeros((1, matrix.shape[1])), np.zeros(1))
        model = LogisticRegression(C=strength, max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # the audit says it better
            model.fit(matrix, [e.target for e in train])
        weights, intercept = model.coef_, model.intercept_
        if len(weights) == 1:  # scikit-learn keeps one row for two labels: the second against the first
            weights, intercept = np.vstack([-weights, weights]) / 2, np.concatenate([-intercept, intercept]) / 2
        # scikit-learn's weights may be column-major, and safetensors writes bytes as they lie
        return cls(
            features, tuple(model.classes_.tolist()), np.ascontiguousarray(weights), np.ascontiguousarray(intercept)
        )

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

    def log_probabilities(self, inputs: Sequence[str]) -> NDArray[np.float64]:
        """Of each label (shape: inputs × labels) for each input."""
        tiniest = np.finfo(np.float64).tiny
        logs: NDArray[np.float64] = np.log(np.maximum(self.probabilities(self.features.transform(inputs)), tiniest))
        return logs

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weights": self.weights, "intercept": self.intercept}, folder / "linear.safetensors")
        write_manifest(folder, "linear", {"labels": list(self.labels), **self.features.save(folder)})

    @classmethod
    def load(cls, folder: Path, shelf: ModelShelf) -> LinearClassifier:
        """Inverse of `save`."""
        from safetensors.numpy import load_file

        manifest = read_manifest(folder)
        tensors = load_file(folder / "linear.safetensors")
        features = _features(folder, manifest, shelf)
        return cls(features, tuple(manifest["labels"]), tensors["weights"], tensors["intercept"])


def _features(folder: Path, manifest: dict[str, Any], shelf: ModelShelf) -> Features:
    if manifest["features"] == "tfidf":
        return TfidfFeatures.load(folder)
    if manifest["features"] == "tuned_embedding":
        from strategies.models.sentence_embedder import SentenceEmbedder

        return TunedFeatures(SentenceEmbedder.load(manifest["embedder"]["name"], folder / "embedder", shelf.device))
    return EmbeddingFeatures(shelf.embedder_for(manifest["embedder"]))
