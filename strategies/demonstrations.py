"""Which training examples to show in every prompt: typical, and different from each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.contracts import Example
from strategies.models.base import Embedder

MOST_CANDIDATES = 1000


def pick(examples: Sequence[Example], count: int, embedder: Embedder, *, by_label: bool) -> list[Example]:
    """`count` demonstrations, spread over the inputs by farthest-first traversal (Gonzalez 1985) from the most typical.

    With `by_label` the labels take turns, the commonest first, so that as many as possible are shown.
    """
    rows = list(examples)[:MOST_CANDIDATES]
    vectors = embedder.encode([e.input for e in rows])
    if not by_label:
        return [rows[i] for i in _farthest_first(vectors, count)]
    groups: dict[str, list[int]] = {}
    for index, example in enumerate(rows):
        groups.setdefault(example.target, []).append(index)
    queues = [
        [members[i] for i in _farthest_first(vectors[members], count)]
        for members in sorted(groups.values(), key=lambda members: (-len(members), members[0]))
    ]
    turns = [queue[turn] for turn in range(count) for queue in queues if turn < len(queue)]
    return [rows[i] for i in turns[:count]]


def _farthest_first(vectors: np.ndarray, count: int) -> list[int]:
    """Rows of unit vectors: the one nearest to the mean, then each time the one farthest from all chosen."""
    chosen = [int((vectors @ vectors.mean(axis=0)).argmax())]
    nearest = vectors @ vectors[chosen[0]]
    while len(chosen) < min(count, len(vectors)):
        nearest[chosen] = np.inf
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return chosen
