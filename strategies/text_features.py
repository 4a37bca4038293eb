"""What a linear classifier sees of a text. Kept as safetensors and JSON, never as pickle."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eval.reading.text import word_of
from strategies.manifest import model_entry
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


MANY_TEXTS = 1000
"""From so many on, terms that stand in one of them only are left out: they are most of all, and tell nothing more."""


@dataclass(frozen=True)
class TfidfFeatures:
    """Words, pairs of words, and runs of two to five characters of a word, by TF-IDF with sublinear term frequency.

    Characters see what words do not: endings, compounds, misspellings, marks. A run of them is written with a `#`.
    """

    vocabulary: dict[str, int]
    idf: NDArray[np.float64]

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
        many = self.counts.shape[0] >= MANY_TEXTS  # of the whole, so that parts see what the whole will
        kept = np.flatnonzero(texts_with >= (2 if many else 1))
        counts = self.counts[:, kept]
        weighing = TfidfTransformer(sublinear_tf=True).fit(counts[rows])
        vocabulary = {str(term): place for place, term in enumerate(self.terms[kept])}
        return TfidfFeatures(vocabulary, weighing.idf_), weighing.transform(counts)


def terms_of() -> Callable[[str], list[str]]:
    """A function that lists the terms of a text, each as often as it is there."""
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(ngram_range=(1, 2), token_pattern=word_of(r"\w")).build_analyzer()
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


def load_features(folder: Path, manifest: dict[str, Any], shelf: ModelShelf) -> Features:
    """What `save` wrote to the folder and returned for the manifest."""
    if manifest["features"] == "joined":
        return JoinedFeatures(tuple(load_features(folder, part, shelf) for part in manifest["parts"]))
    if manifest["features"] == "tfidf":
        return TfidfFeatures.load(folder)
    if manifest["features"] == "tuned_embedding":
        from strategies.models.sentence_embedder import SentenceEmbedder

        return TunedFeatures(SentenceEmbedder.load(manifest["embedder"]["name"], folder / "embedder", shelf.device))
    return EmbeddingFeatures(shelf.embedder_for(manifest["embedder"]))
