"""Documents cut into passages that an embedder can read whole and a prompt can afford."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from eval.contracts import Document
from eval.reading.text import SENTENCE_END, UNSPACED, count_words

MOST_WORDS = 160
"""About 220 tokens of English: within the 256 that the default embedder reads."""

_SENTENCE_END = re.compile(rf"{SENTENCE_END}|\n{{2,}}")
_UNIT = re.compile(rf"(?:[{UNSPACED}]{{2}}|[{UNSPACED}]|[^\s{UNSPACED}]+)\s*")
"""A word, or two signs of a script that has no spaces, and the space after it."""


@dataclass(frozen=True)
class Passage:
    """A stretch of a document."""

    document_id: str
    title: str
    text: str

    @property
    def shown(self) -> str:
        """Title and text, as they are embedded and put into prompts."""
        title = self.title.replace("_", " ").strip()
        return f"{title}: {self.text}" if title and not self.text.startswith(title) else self.text


def cut_documents(documents: Sequence[Document], most_words: int = MOST_WORDS) -> list[Passage]:
    """Passages of at most `most_words` words, cut at sentence ends, in document order.

    Neighbouring passages overlap by one sentence, so that a fact and what it refers to are found together.
    """
    return [
        Passage(document.id, document.title, text) for document in documents for text in cut(document.text, most_words)
    ]


def cut(text: str, most_words: int) -> list[str]:
    """One text in passages; a sentence longer than a passage is cut between words."""
    if count_words(text) <= most_words:
        return [text.strip()] if text.strip() else []
    passages: list[list[str]] = [[]]
    length = 0
    for sentence in _pieces(text, most_words):
        words = count_words(sentence)
        if length + words > most_words:
            overlap = passages[-1][-1:] if len(passages[-1]) > 1 else []
            overlap = overlap if count_words(" ".join(overlap)) + words <= most_words else []
            passages.append(list(overlap))
            length = count_words(" ".join(overlap))
        passages[-1].append(sentence)
        length += words
    return [" ".join(passage) for passage in passages if passage]


def _pieces(text: str, most_words: int) -> list[str]:
    pieces: list[str] = []
    for sentence in _SENTENCE_END.split(text):
        units = _UNIT.findall(" ".join(sentence.split()))
        pieces += ["".join(units[i : i + most_words]).strip() for i in range(0, len(units), most_words)]
    return pieces
