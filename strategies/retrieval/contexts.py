"""How the documents are searched, and how much of them a prompt shows: as little as retrieval allows, since every token
of it is paid for. Both are chosen by how much of the training answers' words is found, where these tell which passages
are the right ones: "yes" stands in any passage, or in none."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.contracts import Example
from eval.metrics import words_held
from eval.reading.text import count_words
from strategies.retrieval.chunks import MOST_WORDS
from strategies.retrieval.index import PassageIndex

MOST_ROWS = 200
SLACK = 0.05
"""Share of the answers' words that may be given up for a shorter context."""


@dataclass(frozen=True)
class Context:
    """Some passages of at most so many words."""

    words: int
    passages: int


CONTEXTS = (Context(60, 1), Context(60, 2), Context(MOST_WORDS, 1))
"""The last is the longest."""
PASSAGE_WORDS = tuple(dict.fromkeys(context.words for context in CONTEXTS))
"""In passages of these sizes the documents are embedded."""


WORD_SHARES = (0.3, 0.5, 0.2, 0.0, 1.0)
"""How much words count in a search beside meaning: both, embeddings alone, BM25 alone. Equals go to the first."""

UNTOLD, UNTOLD_SHARE = CONTEXTS[1], 0.5
"""Where answers do not tell. Of 80 yes/no questions about made-up manuals two short passages held the sentence that was
asked for in all, one long one in 72 (a throw-away script)."""


@dataclass(frozen=True)
class Found:
    """What one way of searching finds for the training examples."""

    word_share: float
    held: float
    """Mean share of the answers' words that are in what is shown."""
    words: int
    """Shown, over all examples."""


def shortest_context(
    train: Sequence[Example], index: Callable[[int], PassageIndex], seed: int, *, labels: bool = False
) -> tuple[Context, float]:
    """The context of the fewest words that holds nearly as much of the training answers' words as the best does.

    And the share of words in the search for it. `index` gives the documents in passages of at most so many words.
    Looks at training examples alone. Where answers are labels, or are found nowhere, both are the usual ones.
    """
    if labels:
        return UNTOLD, UNTOLD_SHARE
    found = {context: best_search(train, index(context.words), context.passages, seed) for context in CONTEXTS}
    best = max(f.held for f in found.values())
    if best <= SLACK:
        return UNTOLD, found[UNTOLD].word_share
    chosen = min((c for c in CONTEXTS if found[c].held >= best - SLACK), key=lambda c: found[c].words)
    return chosen, found[chosen].word_share


def best_search(
    train: Sequence[Example], index: PassageIndex, passages: int, seed: int, *, labels: bool = False
) -> Found:
    """The way of searching whose first `passages` hold most of the training answers' words.

    Where answers are labels, or are found nowhere, meaning and words count the same.
    """
    rows = list(train) if len(train) <= MOST_ROWS else random.Random(seed).sample(list(train), MOST_ROWS)
    ranked = index.rank([e.input for e in rows])

    def found(word_share: float) -> Found:
        shown = [" ".join(p.shown for p in index.best(ranks, passages, word_share)) for ranks in ranked]
        held = sum(words_held(text, e.targets) for e, text in zip(rows, shown, strict=True)) / max(1, len(rows))
        return Found(word_share, held, sum(map(count_words, shown)))

    best = max((found(share) for share in ([UNTOLD_SHARE] if labels else WORD_SHARES)), key=lambda f: f.held)
    return best if best.held > SLACK else found(UNTOLD_SHARE)
