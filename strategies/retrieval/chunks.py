"""Documents cut into passages that an embedder can read whole and a prompt can afford."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from eval.contracts import Document
from eval.reading.text import DANDAS, SENTENCE_END, UNSPACED, count_words

MOST_WORDS = 160
"""About 220 tokens of English: within the 256 that the default embedder reads."""

NARROWEST, WIDEST = 30, 200
"""Letters of the longest line of prose that was wrapped. Where it has fewer, or more, line breaks are meant."""
FEWEST_ROWS = 2
"""A single line that begins with a dash, or holds a bar, may be prose."""

EARLY = 0.75
"""Of the width of a block: a line that ends before it, though the next word would have fitted, was not wrapped."""

_FENCED = re.compile(r"^[ \t]*(`{3,}+)[^\n`]*\n.*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
"""Code as Markdown marks it, with its marks; without the second, up to the end."""
_BLANK_LINES = re.compile(r"\n{2,}")
_SENTENCE_END = re.compile(SENTENCE_END)
_ITEM = re.compile(r"\s*(?:[-*+•‣▪◦–]|\d{1,3}[.)]|[a-z]\))\s+\S")
_CELLS_BETWEEN = ("|", "\t")
_SENTENCE_ENDS = tuple(f".!?。！？{DANDAS}")
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
    """One text in passages; a sentence longer than a passage is cut between words.

    Rows of tables and items of lists count as sentences, and keep their lines; so do lines of code, settings, fields
    and addresses, which keep their indentation too.
    """
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
    return [" ".join(passage).replace(" \n", "\n").lstrip("\n").rstrip() for passage in passages if passage]


def _pieces(text: str, most_words: int) -> list[str]:
    """Sentences, rows and items; those that begin a line of their own begin with a line break."""
    pieces: list[str] = []
    after_lines = False
    for block, is_fenced in _blocks(text):
        is_kept = is_fenced or _has_lines_of_its_own(block)
        parts = block.split("\n") if is_kept else _parts(block)
        has_lines = len(parts) > 1
        for part in parts:
            is_whole = has_lines and (is_kept or _is_row(part)) and count_words(part) <= most_words
            sentences = [part] if is_whole else _SENTENCE_END.split(part)
            own = [piece for sentence in sentences for piece in _short(sentence, most_words)]
            if own and is_kept:
                own[0] = part[: len(part) - len(part.lstrip())] + own[0]
            pieces += ["\n" + own[0], *own[1:]] if own and (has_lines or after_lines) else own
        after_lines = has_lines
    return pieces


def _blocks(text: str) -> Iterator[tuple[str, bool]]:
    """What blank lines, and the marks of code, part, in order; and whether it is code."""
    start = 0
    for fenced in [*_FENCED.finditer(text), None]:
        plain = text[start : fenced.start() if fenced else None].strip("\n")
        yield from ((block, False) for block in _BLANK_LINES.split(plain))
        if fenced:
            yield fenced[0], True
            start = fenced.end()


def _has_lines_of_its_own(block: str) -> bool:
    """Whether no line break of a block is a wrapped one, as in code, settings, fields and addresses.

    So it is where at least half of the lines that end within a sentence end early. The width is one that few lines
    exceed: a single long one among wrapped prose says nothing.
    """
    lines = block.split("\n")
    lengths = sorted(len(line.rstrip()) for line in lines)
    width = lengths[int(EARLY * len(lengths))]
    if not NARROWEST <= width <= WIDEST:
        return False
    within = [(a.rstrip(), b) for a, b in pairwise(lines) if not a.rstrip().endswith(_SENTENCE_ENDS)]
    early = [len(a) <= EARLY * width and len(a) + 1 + len(_first_word(b)) <= width for a, b in within]
    return bool(early) and sum(early) >= len(early) / 2


def _short(sentence: str, most_words: int) -> list[str]:
    """A sentence in one line, cut between words where it is too long."""
    units = _UNIT.findall(" ".join(sentence.split()))
    return ["".join(units[i : i + most_words]).strip() for i in range(0, len(units), most_words)]


def _parts(block: str) -> list[str]:
    """A block of lines, cut at the line breaks that are meant; wrapped prose stays whole."""
    lines = block.split("\n")
    longest = max(map(len, lines))
    is_wrapped, has_rows = NARROWEST <= longest <= WIDEST, sum(map(_is_row, lines)) >= FEWEST_ROWS
    parts = lines[:1]
    for line, following in pairwise(lines):
        is_meant = not (is_wrapped or line.rstrip().endswith(_SENTENCE_ENDS))
        if has_rows:
            had_room = not is_wrapped or len(line.rstrip()) + 1 + len(_first_word(following)) <= longest
            is_item = _is_item(following) and (_is_item(line) or had_room)  # prose may be wrapped before a dash
            is_meant |= is_item or _has_cells(line) or _has_cells(following) or (_is_item(line) and not is_wrapped)
        if is_meant:
            parts.append(following)
        else:
            parts[-1] += "\n" + following
    return parts


def _is_row(line: str) -> bool:
    return _is_item(line) or _has_cells(line)


def _is_item(line: str) -> bool:
    return _ITEM.match(line) is not None


def _first_word(line: str) -> str:
    return line.split(maxsplit=1)[0] if line.strip() else ""


def _has_cells(line: str) -> bool:
    return any(sign in line.strip() for sign in _CELLS_BETWEEN)
