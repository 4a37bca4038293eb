"""BM25 over words and runs of letters (Robertson et al. 1994, "Okapi at TREC-3"): finds names and rare words that
embeddings blur."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

import numpy as np

from eval.reading.text import UNSPACED, word_of

_SPACED = word_of(rf"[^\W{UNSPACED}]")
_WORD = re.compile(f"([{UNSPACED}]+)|{_SPACED}")
_HANGUL = re.compile("[\uac00-\ud7a3]")
RUN, SYLLABLES = 4, 2
"""Signs of a run: letters, and syllables of Korean."""


class WordIndex:
    """Search by words. Made anew from the texts where it is needed, in about a millisecond a passage; never kept."""

    def __init__(self, texts: Sequence[str]) -> None:
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it turns its own debugging messages on
        tokens = [terms(text) for text in texts]
        self._scores = bm25s.BM25() if any(tokens) else None
        if self._scores is not None:
            self._scores.index(tokens, show_progress=False)

    def search(self, queries: Sequence[str], k: int) -> list[list[int]]:
        """For each query the positions of its `k` best texts, best first; ties keep the order of the texts.

        Texts that share neither a word nor a run of letters with the query are not found.
        """
        return [self._best(terms(query), k) for query in queries]

    def _best(self, tokens: list[str], k: int) -> list[int]:
        if self._scores is None or not tokens:
            return []
        scores = self._scores.get_scores(tokens)
        best = np.argsort(-scores, kind="stable")[:k]
        return [int(position) for position in best if scores[position] > 0]


def terms(text: str) -> list[str]:
    """The words of a text, and after each the runs of letters in it, marked, for words that share a stem: in most
    languages question and document hardly ever have the same form of one (McNamee and Mayfield 2004, "Character n-gram
    tokenization for European language text retrieval").
    """
    return [term for word in words(text) for term in (word, *_runs(word))]


def _runs(word: str) -> list[str]:
    signs = SYLLABLES if _HANGUL.search(word) else RUN
    return [f"#{word[i : i + signs]}" for i in range(len(word) - signs + 1)]


def words(text: str) -> list[str]:
    """The words of a text, without case; of scripts without spaces, all pairs of signs that stand side by side, which
    serve as well as words do (Nie et al. 2000, "On the use of words and n-grams for Chinese information retrieval").
    """
    return [
        word for match in _WORD.finditer(text.casefold()) for word in (_pairs(match[0]) if match[1] else [match[0]])
    ]


def _pairs(signs: str) -> list[str]:
    return [signs[i : i + 2] for i in range(max(1, len(signs) - 1))]
