"""Documents that hold an example's question together with its answer.

With such a document, retrieval has only to find the question again, and its score says nothing of new questions. An
answer alone in the documents is what a knowledge base is for.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from eval.contracts import Document, Example
from eval.findings import Finding
from eval.near_duplicates import Words, words_of
from eval.reading.text import counted, listed

FEWEST_WORDS = 4
"""A shorter question occurs in documents by chance, unless it and its answer are half of what the document says."""
LONG_ANSWER = 8
"""Words; of an answer this long, half in the same words is enough, since passages and copies cut answers."""
_BOUNDARY = re.compile(r"(?<=[.!?:;|\n\t\"“”„«»()\[\]{}>*#–—。！？：；、，「」『』（）【】؟،؛।-])")
_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_BORDERS = re.compile(rf"({_BLANK_LINES.pattern}|\n(?=[^\n]*\|))")
"""Of paragraphs and rows of tables, which count as paragraphs."""
_LINE_ENDS = re.compile(r"(\n)")
_NUMBER = re.compile(r"(?:q|question|frage|f|no|nr)?\d*")
"""A word that numbers the question after it."""


class _Text:
    """A document as words without case and punctuation, which remembers where its sentences begin."""

    def __init__(self, document: Document) -> None:
        self.words: list[str] = []
        starts = []
        for part in _BOUNDARY.split(f"{document.title}\n{document.text}"):
            starts.append(len(self.words))
            words = words_of(part)
            if words and _NUMBER.fullmatch(words[0]):
                starts.append(len(self.words) + 1)
            self.words += words
        self.line = _spaced(self.words)
        ends = [0, *accumulate(len(word) + 1 for word in self.words)]
        self.starts = {ends[start] for start in starts}

    def without(self, question: str) -> str | None:
        """The rest where the question begins a sentence: "we know how to prevent it" asks nothing. Else None."""
        place = self.line.find(question)
        while place >= 0 and place not in self.starts:
            place = self.line.find(question, place + 1)
        return None if place < 0 else self.line.replace(question, " | ")


def leaking_documents(examples: Sequence[Example], documents: Sequence[Document]) -> dict[str, tuple[str, ...]]:
    """Return the ids of the documents that leak, each with the ids of the examples that it leaks.

    Texts are compared word by word, without case and punctuation. An answer that is part of the question must occur
    once more.
    """
    texts = [_Text(document) for document in documents]
    holders = _holders(texts)
    leaks: defaultdict[str, list[str]] = defaultdict(list)
    for example in examples:
        question, answers = _question_and_answers(example)
        for number in sorted(_with_all(question, holders)):
            if _leaks(texts[number], question, answers):
                leaks[documents[number].id].append(example.id)
    return {d.id: tuple(leaks[d.id]) for d in documents if d.id in leaks}


def without_leaks(
    documents: Sequence[Document], leaks: Mapping[str, Sequence[str]], examples: Sequence[Example]
) -> tuple[Document, ...]:
    """The documents less what `leaks` names: the paragraphs with a leaked question and its answer.

    A document of which nothing would be left, or that would still leak, is left out as a whole.
    """
    known = {example.id: example for example in examples}
    rest = (_without(d, [known[id] for id in leaks[d.id]]) if d.id in leaks else d for d in documents)
    return tuple(document for document in rest if document is not None)


def leak_finding(
    leaks: Mapping[str, tuple[str, ...]], *, left_out: bool, kept: Collection[str] | None = None
) -> Finding | None:
    """Report the leaking documents, `left_out` or not.

    `kept` holds the ids of all documents that are left, leaking ones less their passages; by default no leaking one is.
    """
    if not leaks:
        return None
    examples = list(dict.fromkeys(name for names in leaks.values() for name in names))
    verb = "holds" if len(leaks) == 1 else "hold"
    message = (
        f"{counted(len(leaks), 'document')} {verb} both the question and the answer of "
        f"{counted(len(examples), 'example')} ({listed(examples, 10)}): retrieval scores on these would be inflated."
    )
    if left_out:
        action = f"Left out of the comparison and of the kept index{_what(leaks, kept)}; "
        action += "--accept leak_examples_documents keeps them."
    else:
        action = "Kept: do not believe what retrieval scores on these examples."
    return Finding("leak_examples_documents", "warning", len(leaks), tuple(leaks), message, action)


def _what(leaks: Collection[str], kept: Collection[str] | None) -> str:
    """What of the documents is left out, where that are not just these as a whole."""
    whole = [id for id in leaks if id not in (kept or ())]
    if kept is not None and not kept:
        return ", so that no document is left"
    if len(whole) == len(leaks):
        return ""
    paragraphs = "the paragraphs with these questions and answers"
    return f": {paragraphs}, and {listed(whole)} as a whole" if whole else f": {paragraphs}"


def _without(document: Document, leaked: Sequence[Example]) -> Document | None:
    """A document less the paragraphs with these questions, and those after them with their answers; None if none is
    left, or if it leaks even so: from its title, say."""
    borders = _BORDERS if _BLANK_LINES.search(document.text) else _LINE_ENDS
    paragraphs, before = (["\n", *borders.split(document.text)][first::2] for first in (1, 0))
    texts = [_Text(Document("", paragraph)) for paragraph in paragraphs]
    holders, gone = _holders(texts), set[int]()
    for question, answers in map(_question_and_answers, leaked):
        for place in _with_all(question, holders):
            if (beside := texts[place].without(_spaced(question))) is not None:
                gone |= {place, *_answering(texts, place + 1, beside, answers)}
    left = [border + paragraph for border, paragraph in zip(before, paragraphs, strict=True)]
    rest = replace(document, text="".join(part for place, part in enumerate(left) if place not in gone).strip())
    return rest if words_of(rest.text) and not leaking_documents(leaked, [rest]) else None


def _answering(texts: Sequence[_Text], start: int, before: str, answers: Sequence[Sequence[str]]) -> Iterator[int]:
    """The paragraphs from `start` that answer: one, unless `before` does, and those that are part of an answer."""
    for place in range(start, len(texts)):
        line = texts[place].line
        begins = place == start and not any(_holds(before, answer) for answer in answers)
        if not any((begins and _holds(line, answer)) or line in _spaced(answer) for answer in answers):
            return
        yield place


def _question_and_answers(example: Example) -> tuple[Words, list[Words]]:
    return words_of(example.input), [words for target in example.targets if (words := words_of(target))]


def _holders(texts: Sequence[_Text]) -> Mapping[str, set[int]]:
    """The places of the texts that hold each word."""
    holders: defaultdict[str, set[int]] = defaultdict(set)
    for number, text in enumerate(texts):
        for word in text.words:
            holders[word].add(number)
    return holders


def _with_all(words: Sequence[str], holders: Mapping[str, set[int]]) -> set[int]:
    """The texts that hold the three rarest of these words: few enough to be read in full."""
    sets = sorted((holders.get(word, set()) for word in set(words)), key=len)[:3]
    return set.intersection(*sets) if sets else set()


def _leaks(text: _Text, question: Sequence[str], answers: Sequence[Sequence[str]]) -> bool:
    rest = text.without(_spaced(question))
    held = [answer for answer in answers if _holds(rest, answer)] if rest is not None else []
    if not held or len(question) >= FEWEST_WORDS:
        return bool(held)
    return len(question) + max(map(len, held)) >= len(text.words) / 2


def _holds(text: str, answer: Sequence[str]) -> bool:
    if _spaced(answer) in text:
        return True
    if len(answer) < LONG_ANSWER:
        return False
    triples = set(zip(answer, answer[1:], answer[2:], strict=False))
    return 2 * sum(_spaced(triple) in text for triple in triples) >= len(triples)


def _spaced(words: Sequence[str]) -> str:
    """Words as a string in which whole words can be looked for."""
    return f" {' '.join(words)} "
