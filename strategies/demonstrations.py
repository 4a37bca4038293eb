"""Which training examples to show in every prompt: typical, and different from each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.contracts import Example
from strategies.models.base import Embedder

MOST_CANDIDATES = 1000

Vectors = NDArray[np.float32]


Choice = Literal["diverse", "typical"]


def pick(
    examples: Sequence[Example], count: int, embedder: Embedder, *, by_label: bool, choice: Choice = "diverse"
) -> list[Example]:
    """`count` demonstrations: spread over the inputs (`diverse`), or one from the middle of each cluster (`typical`).

    With `by_label` the labels take turns, the commonest first, so that as many as possible are shown.
    """
    rows = list(examples)[:MOST_CANDIDATES]
    vectors = embedder.encode([e.input for e in rows])
    select = _farthest_first if choice == "diverse" else _typical
    if not by_label:
        return [rows[i] for i in select(vectors, count)]
    groups: dict[str, list[int]] = {}
    for index, example in enumerate(rows):
        groups.setdefault(example.target, []).append(index)
    queues = [
        [members[i] for i in select(vectors[members], count)]
        for members in sorted(groups.values(), key=lambda members: (-len(members), members[0]))[:count]
    ]
    turns = [queue[turn] for turn in range(count) for queue in queues if turn < len(queue)]
    return [rows[i] for i in turns[:count]]


def _farthest_first(vectors: Vectors, count: int) -> list[int]:
    """The unit vector nearest to the mean, then each time the one farthest from all chosen (Gonzalez 1985)."""
    chosen = [int((vectors @ vectors.mean(axis=0)).argmax())]
    nearest = vectors @ vectors[chosen[0]]
    while len(chosen) < min(count, len(vectors)):
        nearest[chosen] = np.inf
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return chosen


def _typical(vectors: Vectors, count: int) -> list[int]:
    """Of each cluster (k-means), the largest first, the row nearest to its centre."""
    from sklearn.cluster import KMeans

    count = min(count, len(np.unique(vectors, axis=0)))
    model = KMeans(n_clusters=count, n_init=4, random_state=0).fit(vectors)
    sizes = np.bincount(model.labels_, minlength=count)
    distances = model.transform(vectors)
    nearest = [int(np.where(model.labels_ == c, distances[:, c], np.inf).argmin()) for c in range(count)]
    return [nearest[c] for c in np.argsort(-sizes, kind="stable")]
