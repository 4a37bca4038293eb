"""Answers that are quotations of the passages shown.

The likeliest stretch of them is, as a rule, a better answer than what is written token by token ("exact-extract",
Castel 2021, arXiv 2108.05857; docs/decisions/0013). Whether a task's answers are quotations is seen from its training
examples alone.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from eval.contracts import Document, Example
from eval.metrics import words_held
from eval.reading.text import UNSPACED, count_words

MOST_WORDS = 12
"""Of a quotation: the choices are as many times the words shown."""
NEARLY_ALL = 0.95
"""Of the answers whose words are shown, so many must stand there as they are."""
MOSTLY = 0.7
"""And of all answers."""
MOST_ROWS = 200
"""Rows that this is seen from."""
MOST_LOOKED_UP = 50
"""Answers looked for in all documents."""
RECURRING = 0.02
"""Share of the rows from which on an answer that is no quotation is a set phrase; at least `FEWEST_TIMES`."""
FEWEST_TIMES = 3
EDGES = " .,;:!?()[]{}\"'“”‘’„«»、。，．；：！？（）［］「」『』《》【】।॥"
"""Around a quotation, no part of it."""
EMPHASIS = "`*_"
"""Around a quotation, part of it or not."""
_MARK = re.compile(r"[`*<>|=/\[\]]")
"""Sets words off within what stands between spaces: of Markdown, HTML, tables, settings, commands and paths."""
_UNIT = re.compile(rf"([{UNSPACED}])|[^\s{UNSPACED}]+")


@dataclass(frozen=True)
class Quotations:
    """What answers are chosen among."""

    words: int
    """The most that a quotation has."""
    phrases: tuple[str, ...] = ()
    """Answers that are no quotations and recur, such as that something is not in the documents."""

    def choices(self, context: str) -> list[str]:
        """All that may be answered to a question with this context."""
        return list(dict.fromkeys([*stretches(context, self.words), *self.phrases])) if context else []


def stretches(context: str, most_words: int) -> list[str]:
    """Every stretch of at most so many words within a line, each once, without the punctuation around it.

    Of a script without spaces, every sign may begin or end one, and two count as a word. To begin and end at marks as
    well (`--width` of `--width=NUMBER`), a line is read once as it is, and once with spaces in place of its marks.
    What Markdown emphasises may be a stretch with and without its marks: `_never_`, but `__init__`.
    """
    found: dict[str, None] = {}
    for line in context.split("\n"):
        for read in dict.fromkeys((line, _MARK.sub(" ", line))):
            units = list(_UNIT.finditer(read))
            taken = [0, *accumulate(1 if unit[1] else 2 for unit in units)]
            for number, first in enumerate(units):
                last = bisect_right(taken, taken[number] + 2 * most_words) - 1
                found |= dict.fromkeys(line[first.start() : unit.end()].strip(EDGES) for unit in units[number:last])
    emphasised = [text for text in found if text[:1] in EMPHASIS or text[-1:] in EMPHASIS]
    found |= dict.fromkeys(text.strip(EDGES + EMPHASIS) for text in emphasised)
    found.pop("", None)
    return list(found)


def quotations(train: Sequence[Example], shown: Callable[[Sequence[str]], Sequence[str]]) -> Quotations | None:
    """What answers to questions like the training ones are chosen among; None where they are written.

    `shown` gives the context of each question.
    """
    train = _some(train, MOST_ROWS)
    most = _usual_words(train)
    if not 0 < most <= MOST_WORDS:
        return None
    contexts = shown([e.input for e in train])
    quoted = [is_quoted(e, context, most) for e, context in zip(train, contexts, strict=True)]
    others = Counter(e.target for e, is_one in zip(train, quoted, strict=True) if not is_one)
    phrases = tuple(
        sorted(text for text, times in others.items() if times >= max(FEWEST_TIMES, RECURRING * len(train)))
    )
    known = [is_one or e.target in phrases for e, is_one in zip(train, quoted, strict=True)]
    held = [words_held(context, e.targets) == 1.0 for e, context in zip(train, contexts, strict=True)]
    missed = sum(holds and not is_known for holds, is_known in zip(held, known, strict=True))
    if not any(quoted) or sum(known) < MOSTLY * len(train) or missed > (1 - NEARLY_ALL) * sum(held):
        return None
    return Quotations(most, phrases)


def is_quoted(example: Example, context: str, most_words: int) -> bool:
    """Whether one of an example's accepted answers is a stretch of the context."""
    there = [target for target in example.targets if target in context]
    return bool(there) and not set(there).isdisjoint(stretches(context, most_words))


def look_like_quotations(train: Sequence[Example], documents: Sequence[Document]) -> bool:
    """Whether answers look like quotations, judged before anything is retrieved: to plan by, not to decide."""
    if not documents or not 0 < _usual_words(train) <= MOST_WORDS:
        return False
    rows = _some(train, MOST_LOOKED_UP)
    found = [any(target in document.text for document in documents for target in e.targets) for e in rows]
    return sum(found) >= MOSTLY * len(rows)


def _some(train: Sequence[Example], most: int) -> Sequence[Example]:
    """At most so many, evenly from beginning to end."""
    return train[:: math.ceil(len(train) / most) or 1]


def _usual_words(train: Sequence[Example]) -> int:
    """Of nearly all answers, the most."""
    lengths = [count_words(e.target) for e in train]
    return math.ceil(float(np.quantile(lengths, 0.98))) if lengths else 0
