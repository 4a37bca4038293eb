"""A linear classifier on features of the text. Kept as safetensors and JSON, never as pickle."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

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


STRENGTH = 10.0
"""Scikit-learn's C, for features of length one."""
MOST_SPAN, SPANNED = 2000, 1e-10
"""Rows, beyond which finding what spans them takes longer than it saves; and the share of the farthest squared reach of
rows in any direction, below which they do not reach there at all."""
MANY_TEXTS = 1000
"""From so many on, terms that stand in one of them only are left out: they are most of all, and tell nothing more."""


@dataclass(frozen=True)
class TfidfFeatures:
    """Words, pairs of words, and runs of two to five characters of a word, by TF-IDF with sublinear term frequency.

    Characters see what words do not: endings, compounds, misspellings, marks. A run of them is written with a `#`.
    """

    vocabulary: dict[str, int]
    idf: NDArray[np.float64]

    @classmethod
    def fit(cls, texts: Sequence[str]) -> TfidfFeatures:
        """Learn vocabulary and weights from training texts."""
        return TermCounts.of(texts).learn(np.arange(len(texts)))[0]

    @cached_property
    def _vectorizer(self) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(analyzer=terms_of(), sublinear_tf=True, vocabulary=self.vocabulary)
        vectorizer.idf_ = self.idf
        return vectorizer

    def transform(self, texts: Sequence[str]) -> Matrix:
        return self._vectorizer.transform(texts)

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
class TermCounts:
    """How often texts hold each term: counted once, for features learnt from parts of the texts."""

    terms: NDArray[np.object_]
    counts: Matrix
    """Sparse, texts × terms."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> TermCounts:
        """All terms of all texts."""
        from sklearn.feature_extraction.text import CountVectorizer

        vectorizer = CountVectorizer(analyzer=terms_of(), dtype=np.float64)
        counts = vectorizer.fit_transform(texts)
        return cls(vectorizer.get_feature_names_out(), counts)

    def learn(self, rows: NDArray[np.int_]) -> tuple[TfidfFeatures, Matrix]:
        """Features as learnt from these texts alone, and all texts by them."""
        from sklearn.feature_extraction.text import TfidfTransformer

        texts_with = np.bincount(self.counts[rows].indices, minlength=len(self.terms))
        kept = np.flatnonzero(texts_with >= (2 if len(rows) >= MANY_TEXTS else 1))
        counts = self.counts[:, kept]
        weighing = TfidfTransformer(sublinear_tf=True).fit(counts[rows])
        vocabulary = {str(term): place for place, term in enumerate(self.terms[kept])}
        return TfidfFeatures(vocabulary, weighing.idf_), weighing.transform(counts)


def terms_of() -> Callable[[str], list[str]]:
    """A function that lists the terms of a text, each as often as it is there."""
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b").build_analyzer()
    runs = CountVectorizer(analyzer="char_wb", ngram_range=(2, 5)).build_analyzer()
    return lambda text: [*words(text), *(f"#{run}" for run in runs(text))]


@dataclass(frozen=True)
class JoinedFeatures:
    """Several kinds of features, side by side."""

    parts: tuple[Features, ...]

    def transform(self, texts: Sequence[str]) -> Matrix:
        from scipy.sparse import csr_matrix, hstack

        return csr_matrix(hstack([part.transform(texts) for part in self.parts]))

    def save(self, folder: Path) -> dict[str, Any]:
        return {"features": "joined", "parts": [part.save(folder) for part in self.parts]}


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
        """Inverse of `save`."""
        from safetensors.numpy import load_file

        manifest = read_manifest(folder)
        tensors = load_file(folder / "linear.safetensors")
        features = _features(folder, manifest, shelf)
        return cls(features, tuple(manifest["labels"]), tensors["weights"], tensors["intercept"])


def one_thread() -> AbstractContextManager[Any]:
    """For many small products: threads that wait for each other make them several times slower where a core is busy."""
    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limits


def _in_span(matrix: Matrix) -> tuple[Matrix, Callable[[NDArray[np.float64]], NDArray[np.float64]]]:
    """Rows by their coordinates among themselves, where they have more features than there are rows, and a function
    that turns weights (labels × coordinates) into those of the features.

    Weights that a quadratic penalty keeps small lie in the span of the rows, so that nothing is lost (Hastie and
    Tibshirani 2004, "Efficient quadratic regularization for expression arrays"); 500 rows are fitted 9 times as fast.
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


def _features(folder: Path, manifest: dict[str, Any], shelf: ModelShelf) -> Features:
    if manifest["features"] == "joined":
        return JoinedFeatures(tuple(_features(folder, part, shelf) for part in manifest["parts"]))
    if manifest["features"] == "tfidf":
        return TfidfFeatures.load(folder)
    if manifest["features"] == "tuned_embedding":
        from strategies.models.sentence_embedder import SentenceEmbedder

        return TunedFeatures(SentenceEmbedder.load(manifest["embedder"]["name"], folder / "embedder", shelf.device))
    return EmbeddingFeatures(shelf.embedder_for(manifest["embedder"]))
