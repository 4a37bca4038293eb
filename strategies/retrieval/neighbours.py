"""How the nearest examples are found, and how many of them vote: by what answers training rows best when each is left
out, with all that belongs together with it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from eval.metrics import Metric, ScoredRow
from eval.near_duplicates import group_key
from strategies.racing import is_clearly_behind
from strategies.retrieval.index import AT_ONCE, MOST_EXACT, ExampleIndex, Pair, highest

WORD_SHARES = (0.0, 0.3, 0.5)
"""How much words and runs of characters count beside meaning."""
VOTES = (1, 3, 5)
MOST_ROWS = 500
"""That are left out in turn; more hardly tell more."""
MOST_CHARACTERS = 1_500_000
"""Of all inputs, whose terms are counted for every fit, which takes seconds."""


@dataclass(frozen=True)
class Neighbours:
    """The usual ones: the nearest by meaning alone."""

    word_share: float = 0.0
    """How much words count in the search; the rest is meaning."""
    votes: int = 1
    """Of so many of the nearest; what most of them answer is the answer."""


def voters(nearest: Sequence[Pair]) -> list[Pair]:
    """Those of the nearest, best first, whose answer most of them have; of equals that of the nearest."""
    answer = Counter(pair.answer for pair in nearest).most_common(1)[0][0]
    return [pair for pair in nearest if pair.answer == answer]


def best_neighbours(index: ExampleIndex, metric: Metric, seed: int, votes: Sequence[int] = (1,)) -> Neighbours:
    """What answers most of the index's own examples by the others' answers.

    Unless that is better than the usual way by more than its standard error, the usual way is kept. And so it is where
    all examples belong together, where there are so many that not all are compared with a query, and where their terms
    take too long to count.
    """
    pairs, usual = index.pairs, Neighbours()
    names = [pair.group or group_key(pair.input) for pair in pairs]
    too_much = len(pairs) > MOST_EXACT or sum(len(pair.input) for pair in pairs) > MOST_CHARACTERS
    if too_much or len(set(names)) < 2:
        return usual
    groups = np.unique(np.array(names, dtype=object), return_inverse=True)[1]
    asked = sorted(random.Random(seed).sample(range(len(pairs)), min(len(pairs), MOST_ROWS)))
    tried = {Neighbours(share, count): list[ScoredRow]() for share in WORD_SHARES for count in votes}

    @cache
    def scored(output: str, target: str) -> ScoredRow:
        return ScoredRow(output, (target,), metric.row(output, (target,)).score)

    for start in range(0, len(asked), AT_ONCE):
        block = asked[start : start + AT_ONCE]
        likeness, own = index.likeness_among(block), groups[block][:, None] == groups
        for share in WORD_SHARES:
            alike = np.where(own, np.float32(-np.inf), likeness.joined(share))
            for i, row in zip(block, alike, strict=True):
                nearest = [pairs[place] for place in highest(row, max(votes)) if row[place] > -np.inf]
                for count in votes:
                    answer = voters(nearest[:count])[0].answer
                    tried[Neighbours(share, count)].append(scored(answer, pairs[i].answer))
    better = [way for way, rows in tried.items() if is_clearly_behind(tried[usual], rows)]
    return max([usual, *better], key=lambda way: metric.aggregate(tried[way]))  # of equals the first
