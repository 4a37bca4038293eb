"""Which training examples to show in every prompt."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.contracts import Example
from strategies.models.base import Embedder
from strategies.retrieval.index import firsts

MOST_CANDIDATES = 1000

Vectors = NDArray[np.float32]


Choice = Literal["typical", "diverse", "random"]


def pick(
    examples: Sequence[Example], count: int, embedder: Embedder, *, by_label: bool, choice: Choice = "diverse"
) -> list[Example]:
    """`count` demonstrations, what is most typical first.

    They are one from the middle of each cluster of inputs (`typical`), spread over the inputs (`diverse`), or drawn
    (`random`); of rows with the same input and answer it is the first. With `by_label` the labels take turns, the
    commonest first, so that as many as possible are shown.
    """
    rows = _candidates(firsts(examples, lambda e: (e.input, e.target)), by_label=by_label)
    vectors = embedder.encode([e.input for e in rows])
    select = _SELECT[choice]
    if not by_label:
        return [rows[i] for i in select(vectors, count)]
    groups = _by_label(rows)
    queues = [
        [members[i] for i in select(vectors[members], count)]
        for members in sorted(groups.values(), key=lambda members: (-len(members), members[0]))[:count]
    ]
    turns = [queue[turn] for turn in range(count) for queue in queues if turn < len(queue)]
    return [rows[i] for i in turns[:count]]


def _candidates(examples: Sequence[Example], *, by_label: bool) -> list[Example]:
    """All examples, or about `MOST_CANDIDATES` of them, some of each label: files may be sorted."""
    keep_every = max(1.0, len(examples) / MOST_CANDIDATES)
    groups = _by_label(examples).values() if by_label else [range(len(examples))]
    kept = [members[int(i * keep_every)] for members in groups for i in range(math.ceil(len(members) / keep_every))]
    return [examples[i] for i in sorted(kept)]


def _by_label(rows: Sequence[Example]) -> dict[str, list[int]]:
    """Places of each label's rows."""
    groups: dict[str, list[int]] = {}
    for index, example in enumerate(rows):
        groups.setdefault(example.target, []).append(index)
    return groups


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


def _drawn(vectors: Vectors, count: int) -> list[int]:
    """Any, the same each time."""
    drawn = np.random.default_rng(0).permutation(len(vectors))[:count]
    return [int(row) for row in drawn]


_SELECT: dict[Choice, Callable[[Vectors, int], list[int]]] = {
    "typical": _typical,
    "diverse": _farthest_first,
    "random": _drawn,
}
