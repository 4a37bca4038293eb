"""BM25 over words (Robertson et al. 1994, "Okapi at TREC-3"): finds names and rare words that embeddings blur."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

import numpy as np

_WORD = re.compile(r"\w+")


class WordIndex:
    """Search by words. Made anew from the texts wherever it is needed: that takes less time than reading it would."""

    def __init__(self, texts: Sequence[str]) -> None:
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it turns its own debugging messages on
        tokens = [words(text) for text in texts]
        self._scores = bm25s.BM25() if any(tokens) else None
        if self._scores is not None:
            self._scores.index(tokens, show_progress=False)

    def search(self, queries: Sequence[str], k: int) -> list[list[int]]:
        """For each query the positions of its `k` best texts, best first; ties keep the order of the texts.

        Texts that share no word with the query are not found.
        """
        return [self._best(words(query), k) for query in queries]

    def _best(self, tokens: list[str], k: int) -> list[int]:
        if self._scores is None or not tokens:
            return []
        scores = self._scores.get_scores(tokens)
        best = np.argsort(-scores, kind="stable")[:k]
        return [int(position) for position in best if scores[position] > 0]


def words(text: str) -> list[str]:
    """The words of a text, without case."""
    return _WORD.findall(text.casefold())
