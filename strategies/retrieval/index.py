"""FAISS indexes over passages and over examples. Inner products of unit vectors, so scores are cosines."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from eval.contracts import Example
from eval.near_duplicates import group_key
from strategies.json_lines import read_json_lines, write_json_lines
from strategies.models.base import Embedder
from strategies.retrieval.chunks import Passage, fitting
from strategies.retrieval.words import WordIndex
from strategies.text_features import Matrix, TermCounts, TfidfFeatures

Item = TypeVar("Item")

FUSED, RANK_CONSTANT = 50, 60
"""Of reciprocal rank fusion (Cormack et al. 2009): hits taken of each search, and how little the first ranks count."""
NEXT_TO_NOTHING = 1e-9


MOST_EXACT = 100_000
"""Vectors that are searched one by one; among more, a graph of neighbours is searched instead."""
NEIGHBOURS, WIDTH = 32, 128
"""Of the graph (HNSW, Malkov and Yashunin 2016, arXiv 1603.09320): links per vector, candidates kept in a search."""


class VectorIndex:
    """Search over unit vectors, exact up to `MOST_EXACT` of them."""

    def __init__(self, index: Any, embedder: Embedder, *, documents: bool = False) -> None:
        self._index = index
        self._embedder = embedder
        self._documents = documents
        """Whether the texts are embedded as documents and searched by queries, else by their like."""

    @classmethod
    def build(cls, texts: Sequence[str], embedder: Embedder, *, documents: bool = False) -> VectorIndex:
        """Embed the texts, none or more, and index them in order."""
        import faiss

        vectors = embedder.encode_as("document", texts) if documents else embedder.encode(texts)
        index: Any = faiss.IndexFlatIP(vectors.shape[1])
        if len(vectors) > MOST_EXACT:
            index = faiss.IndexHNSWFlat(vectors.shape[1], NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efSearch = index.hnsw.efConstruction = WIDTH
        index.add(vectors)
        return cls(index, embedder, documents=documents)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, queries: Sequence[str], k: int) -> list[list[int]]:
        """For each query the positions of its `k` nearest, best first; ties keep the order of the index.

        An approximate index may find fewer, which FAISS tells by places below zero.
        """
        k = min(k, len(self))
        if not queries or not k:
            return [[] for _ in queries]
        scores, positions = self._index.search(self._encoded(queries), k)
        return [
            [int(place) for _, place in sorted(zip(-cosines, places, strict=True)) if place >= 0]
            for places, cosines in zip(positions, scores, strict=True)
        ]

    def cosines(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Of each query with every text, shape (queries, texts)."""
        cosines: NDArray[np.float32] = self._encoded(queries) @ self._vectors.T
        return cosines

    def cosines_among(self, places: Sequence[int]) -> NDArray[np.float32]:
        """Of each of these texts with every text, shape (places, texts)."""
        cosines: NDArray[np.float32] = self._vectors[places] @ self._vectors.T
        return cosines

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self._index.reconstruct_n(0, len(self))
        return vectors

    def _encoded(self, queries: Sequence[str]) -> NDArray[np.float32]:
        return self._embedder.encode_as("query", queries) if self._documents else self._embedder.encode(queries)

    def save(self, path: Path) -> None:
        """Write a FAISS file."""
        import faiss

        faiss.write_index(self._index, str(path))

    @classmethod
    def load(cls, path: Path, embedder: Embedder, count: int, *, documents: bool = False) -> VectorIndex:
        """Read what `save` wrote. Raises ValueError where it is not over so many vectors of the embedder."""
        import faiss

        index, length = faiss.read_index(str(path)), embedder.encode([]).shape[1]
        if not isinstance(index, faiss.IndexFlat | faiss.IndexHNSWFlat) or (index.d, index.ntotal) != (length, count):
            raise ValueError(f"{path.name} is no index of {count} vectors of {length} numbers")
        return cls(index, embedder, documents=documents)


@dataclass(frozen=True)
class Ranks:
    """Positions of passages, best first, by each of the two searches."""

    meaning: Sequence[int]
    words: Sequence[int]

    def fused(self, word_share: float) -> list[int]:
        """Both rankings as one, by weighted reciprocal rank fusion. At 0 or 1 the other only adds what the one lacks.

        Ties go to what stands first by meaning.
        """
        worth: dict[int, float] = {}
        for ranking, weight in ((self.meaning, 1 - word_share), (self.words, word_share)):
            for rank, position in enumerate(ranking, 1):
                worth[position] = worth.get(position, 0.0) + max(weight, NEXT_TO_NOTHING) / (RANK_CONSTANT + rank)
        return sorted(worth, key=lambda position: -worth[position])


class PassageIndex:
    """Passages of documents, searched by meaning, by words, or by both."""

    def __init__(self, passages: Sequence[Passage], vectors: VectorIndex) -> None:
        self.passages = list(passages)
        self._vectors = vectors

    @classmethod
    def build(cls, passages: Sequence[Passage], embedder: Embedder) -> PassageIndex:
        """Embed and index passages, of those that read the same the first; what is too long to be embedded is cut."""
        distinct = firsts(fitting(passages, embedder), lambda passage: passage.shown)
        return cls(distinct, VectorIndex.build([p.shown for p in distinct], embedder, documents=True))

    @cached_property
    def _words(self) -> WordIndex:
        return WordIndex([p.shown for p in self.passages])

    def search(self, queries: Sequence[str], k: int, word_share: float) -> list[list[Passage]]:
        """For each query its `k` best passages, best first."""
        depth = max(k, FUSED)
        if word_share == 0:  # words would only add what comes after
            ranked = [Ranks(meaning, ()) for meaning in self._vectors.search(queries, depth)]
        else:
            ranked = self.rank(queries, depth)
        return [self.best(ranks, k, word_share) for ranks in ranked]

    def rank(self, queries: Sequence[str], depth: int = FUSED) -> list[Ranks]:
        """For each query the first so many passages, by either search."""
        by_meaning, by_words = self._vectors.search(queries, depth), self._words.search(queries, depth)
        return [Ranks(meaning, words) for meaning, words in zip(by_meaning, by_words, strict=True)]

    def best(self, ranks: Ranks, k: int, word_share: float) -> list[Passage]:
        """The `k` best passages where words count so much, and meaning the rest; of those with one text the first."""
        found: dict[str, Passage] = {}
        for position in ranks.fused(word_share):
            if len(found) == k:
                break
            found.setdefault(group_key(self.passages[position].text), self.passages[position])
        return list(found.values())

    def save(self, folder: Path) -> None:
        """Write passages.jsonl and passages.faiss."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json_lines(folder / "passages.jsonl", [asdict(p) for p in self.passages])
        self._vectors.save(folder / "passages.faiss")

    @classmethod
    def load(cls, folder: Path, embedder: Embedder) -> PassageIndex:
        """Read what `save` wrote."""
        passages = [Passage(**row) for row in read_json_lines(folder / "passages.jsonl")]
        return cls(passages, VectorIndex.load(folder / "passages.faiss", embedder, len(passages), documents=True))


@dataclass(frozen=True)
class Pair:
    """A training example as it is shown or copied: what was asked and the preferred answer."""

    id: str
    input: str
    answer: str
    group: str = ""
    """Of the rows that belong together; empty for one on its own."""


@dataclass(frozen=True)
class Likeness:
    """Cosines of queries with all examples, each of shape (queries, examples)."""

    meaning: NDArray[np.float32]
    """Of their embeddings."""
    words: NDArray[np.float32]
    """Of the TF-IDF of their words and runs of characters."""

    def joined(self, word_share: float) -> NDArray[np.float32]:
        """The weighted mean of both."""
        return np.float32(1 - word_share) * self.meaning + np.float32(word_share) * self.words


AT_ONCE = 64
"""Queries that are compared with all examples at once, to bound the memory."""


class ExampleIndex:
    """Training examples, searched by the meaning of their inputs, or by words and runs of characters as well."""

    def __init__(self, pairs: Sequence[Pair], vectors: VectorIndex) -> None:
        self.pairs = list(pairs)
        self._vectors = vectors

    @classmethod
    def build(cls, examples: Sequence[Example], embedder: Embedder) -> ExampleIndex:
        """Embed and index the inputs of examples; of those with the same input and answer the first."""
        distinct = firsts(examples, lambda example: (example.input, example.target))
        pairs = [Pair(e.id, e.input, e.target, e.group) for e in distinct]
        return cls(pairs, VectorIndex.build([p.input for p in pairs], embedder))

    def search(self, queries: Sequence[str], k: int, word_share: float = 0.0) -> list[list[Pair]]:
        """For each query its `k` nearest examples, best first, where words count so much and meaning the rest."""
        if word_share == 0:
            return [[self.pairs[place] for place in places] for places in self._vectors.search(queries, k)]
        found: list[list[Pair]] = []
        for start in range(0, len(queries), AT_ONCE):
            alike = self.likeness(queries[start : start + AT_ONCE]).joined(word_share)
            found += [[self.pairs[place] for place in highest(row, k)] for row in alike]
        return found

    def likeness(self, queries: Sequence[str]) -> Likeness:
        """How like these queries are to every example. Raises ValueError where all inputs are blank."""
        features, inputs = self._terms
        words: NDArray[np.float32] = (features.transform(queries).astype(np.float32) @ inputs).toarray()
        return Likeness(self._vectors.cosines(queries), words)

    def likeness_among(self, places: Sequence[int]) -> Likeness:
        """How like the examples at these places are to every example; none is read again."""
        _, inputs = self._terms
        words: NDArray[np.float32] = (inputs[:, places].T @ inputs).toarray()
        return Likeness(self._vectors.cosines_among(places), words)

    @cached_property
    def _terms(self) -> tuple[TfidfFeatures, Matrix]:
        """TF-IDF and the inputs by it, terms × pairs. As quickly learnt from the inputs as read, so it is not kept."""
        features, inputs = TermCounts.of([p.input for p in self.pairs]).learn(np.arange(len(self.pairs)))
        return features, inputs.astype(np.float32).T.tocsr()

    def save(self, folder: Path) -> None:
        """Write examples.jsonl and examples.faiss."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json_lines(folder / "examples.jsonl", [asdict(p) for p in self.pairs])
        self._vectors.save(folder / "examples.faiss")

    @classmethod
    def load(cls, folder: Path, embedder: Embedder) -> ExampleIndex:
        """Read what `save` wrote."""
        pairs = [Pair(**row) for row in read_json_lines(folder / "examples.jsonl")]
        return cls(pairs, VectorIndex.load(folder / "examples.faiss", embedder, len(pairs)))


def highest(scores: NDArray[np.float32], k: int) -> list[int]:
    """The places of the `k` highest, best first; ties keep their order."""
    k = min(k, len(scores))
    if not k:
        return []
    places = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
    return [int(place) for place in places[np.argsort(-scores[places], kind="stable")][:k]]


def firsts(items: Sequence[Item], key: Callable[[Item], Hashable]) -> list[Item]:
    """In their order, without those whose key an earlier one has."""
    firsts: dict[Hashable, Item] = {}
    for item in items:
        firsts.setdefault(key(item), item)
    return list(firsts.values())
