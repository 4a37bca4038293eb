"""How much of the documents a prompt shows: as little as retrieval allows, since every token of it is paid for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.contracts import Example
from eval.metrics import squad_tokens
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


def shortest_context(train: Sequence[Example], index: Callable[[int], PassageIndex], seed: int) -> Context:
    """The context of the fewest words that holds nearly as much of the training answers' words as the best does.

    `index` gives the documents in passages of at most so many words. Looks at training examples alone.
    """
    rows = list(train) if len(train) <= MOST_ROWS else random.Random(seed).sample(list(train), MOST_ROWS)
    found = {}
    for context in CONTEXTS:
        hits = index(context.words).search([e.input for e in rows], context.passages)
        shown = [" ".join(p.shown for p in passages) for passages in hits]
        held = sum(_held(e, text) for e, text in zip(rows, shown, strict=True)) / len(rows)
        found[context] = (held, sum(len(text.split()) for text in shown))
    best = max(held for held, _ in found.values())
    return min((c for c in CONTEXTS if found[c][0] >= best - SLACK), key=lambda c: found[c][1])


def _held(example: Example, text: str) -> float:
    """The share of the answer's words that a text holds, for the accepted answer that it holds most of."""
    words = set(squad_tokens(text))
    answers = [squad_tokens(target) for target in example.targets]
    return max((sum(w in words for w in answer) / len(answer) for answer in answers if answer), default=0.0)
