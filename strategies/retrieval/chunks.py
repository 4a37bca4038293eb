"""Documents cut into passages that an embedder can read whole and a prompt can afford."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from eval.contracts import Document
from eval.reading.text import DANDAS, SENTENCE_END, SENTENCE_ENDS, UNSPACED, count_words
from eval.tasks import QUESTION_MARKS
from strategies.models.base import Embedder

MOST_WORDS = 160
"""About 220 tokens of English: within the 256 that the default embedder reads."""

NARROWEST, WIDEST = 30, 200
"""Letters of the longest line of prose that was wrapped. Where it has fewer, or more, line breaks are meant."""
FEWEST_WORDS, FILLED = 20, 0.9
"""What an embedder cannot read whole is cut down to passages of no fewer, that fill so much of what it reads."""
LONGEST_HEADING = 200
"""Letters. All passages below a heading bear it, and an embedder must be able to read them with it."""
FEWEST_ROWS = 2
"""A single line that begins with a dash, or holds a bar, may be prose."""

EARLY = 0.75
"""Of the width of a block: a line that ends before it, though the next word would have fitted, was not wrapped."""

_FENCED = re.compile(r"^[ \t]*(`{3,}+)[^\n`]*\n.*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
"""Code as Markdown marks it, with its marks; without the second, up to the end."""
_BLANK_LINES = re.compile(r"\n{2,}")
_SENTENCE_END = re.compile(SENTENCE_END)
_ITEM = re.compile(r"\s*(?:[-*+•‣▪◦–]|\d{1,3}[.)]|[a-z]\))\s+\S")
_HEADING = re.compile(r" {0,3}(#{1,6})\s+\S")
_RULE = re.compile(r"[\s|:]*-[\s|:-]*")
"""What stands between the first row of a table and the others in Markdown."""
_QUESTION = re.compile(rf"[{''.join(QUESTION_MARKS)}][*_\s]*$")
"""Emphasised or not."""
_CELLS_BETWEEN = ("|", "\t")
_WRAPPED = re.compile(rf"(?<![\s.!?。！？{DANDAS}])[ \t]*\n[ \t]*")
"""A line break within a sentence."""
_UNIT = re.compile(rf"(?:[{UNSPACED}]{{2}}|[{UNSPACED}]|[^\s{UNSPACED}]+)\s*")
"""A word, or two signs of a script that has no spaces, and the space after it."""


@dataclass(frozen=True)
class Passage:
    """A stretch of a document."""

    document_id: str
    title: str
    text: str
    section: str = ""
    """The headings above it, the highest first, a line each as in Markdown."""

    @property
    def shown(self) -> str:
        """Title, headings and text, as they are embedded and put into prompts."""
        names = [self.title.replace("_", " "), *(line.lstrip("#") for line in self.section.split("\n"))]
        head = " > ".join(dict.fromkeys(filter(None, map(str.strip, names))))
        return f"{head}: {self.text}" if head and not self.text.lstrip("# ").startswith(head) else self.text


def cut_documents(documents: Sequence[Document], most_words: int = MOST_WORDS) -> list[Passage]:
    """Passages of at most `most_words` words, cut at sentence ends, in document order.

    Neighbouring passages overlap by one sentence, so that a fact and what it refers to are found together.
    """
    return [passage for d in documents for passage in _cut(Passage(d.id, d.title, d.text), most_words)]


def fitting(passages: Sequence[Passage], embedder: Embedder) -> list[Passage]:
    """The same, but those that the embedder could not read whole, title and headings included, are cut further.

    Words are of two tokens in one language and of six in another, or in a list of parts.
    """
    fit = []
    for passage, tokens in zip(passages, embedder.count_tokens([p.shown for p in passages]), strict=True):
        words = count_words(passage.text)
        if tokens <= embedder.max_tokens or words <= FEWEST_WORDS:
            fit.append(passage)
        else:
            fewer = min(words - 1, int(FILLED * words * embedder.max_tokens / tokens))
            fit += fitting(_cut(passage, max(FEWEST_WORDS, fewer), is_passage=True), embedder)
    return fit


def cut(text: str, most_words: int) -> list[str]:
    """One text in passages; a sentence longer than a passage is cut between words.

    What blank lines part stays parted, by a line break. Rows of tables and items of lists count as sentences, and keep
    their lines; so do headings, and lines of code, settings, fields and addresses, which keep their indentation too.
    Passages within a table begin with its first row.
    """
    return [passage.text for passage in _cut(Passage("", "", text), most_words)]


@dataclass(frozen=True)
class _Piece:
    """A sentence, a heading, a row or an item; what begins a block or a line that is meant has a line break first."""

    text: str
    section: str
    """As that of a passage that begins with it."""
    head: str = ""
    """The first row of its table."""


def _cut(whole: Passage, most_words: int, *, is_passage: bool = False) -> list[Passage]:
    """A document in passages, or a passage in shorter ones: all line breaks that it has left are meant."""
    if count_words(whole.text) <= most_words:
        return [replace(whole, text=_unwrapped(whole.text))] if whole.text.strip() else []
    passages: list[list[_Piece]] = [[]]
    length = 0
    for piece in _pieces(whole, most_words, is_passage):
        words = count_words(piece.text)
        if length + words > most_words:
            passages.append(_repeated(passages[-1], piece, most_words - words))
            length = _words(passages[-1])
        passages[-1].append(piece)
        length += words
    return [replace(whole, section=own[0].section, text=_in_one(own)) for own in passages if own]


def _repeated(before: Sequence[_Piece], piece: _Piece, room: int) -> list[_Piece]:
    """What a passage that goes on with a piece repeats before it: its table's head, the last sentence, if they fit.

    An answer is repeated with its question, or not at all.
    """
    count = 2 if len(before) > 2 and is_question(before[-2].text) and not is_question(before[-1].text) else 1
    for last in (before[-count:] if len(before) > 1 else [], []):
        first = [*last, piece][0]
        head = [_Piece(first.head, first.section)] if first.head else []
        for repeated in ([*head, *last], head):
            if _words(repeated) <= room:
                return repeated
    return []


def _words(pieces: Sequence[_Piece]) -> int:
    return sum(count_words(piece.text) for piece in pieces)


def _in_one(pieces: Sequence[_Piece]) -> str:
    return " ".join(piece.text for piece in pieces).replace(" \n", "\n").lstrip("\n").rstrip()


def _pieces(whole: Passage, most_words: int, is_passage: bool) -> list[_Piece]:
    pieces: list[_Piece] = []
    section = whole.section
    for block, is_fenced in _blocks(whole.text):
        is_kept = is_fenced or is_passage or _has_lines_of_its_own(block)
        parts = block.split("\n") if is_kept else _parts(block)
        heads = [""] * len(parts) if is_fenced else table_heads(parts)
        has_lines = len(parts) > 1 or heading_level(parts[0]) > 0
        for part, head in zip(parts, heads, strict=True):
            is_heading = not is_fenced and heading_level(part) > 0
            above = _above(section, part) if is_heading else section
            is_line = has_lines and (is_kept or is_heading or _is_row(part))
            sentences = [part] if is_line and count_words(part) <= most_words else _SENTENCE_END.split(part)
            own = [piece for sentence in sentences for piece in _short(sentence, most_words)]
            if own and is_kept:
                own[0] = part[: len(part) - len(part.lstrip())] + own[0]
            if own:
                own[0] = "\n" + own[0]
            pieces += [_Piece(text, above, "" if n else head) for n, text in enumerate(own)]
            section = f"{above}\n{part.strip()}".strip() if is_heading else section
    return pieces


def table_heads(parts: Sequence[str]) -> list[str]:
    """For each part the first row of the table that it is a further row of, or nothing.

    A row begins with a line break, and has what rules it off in Markdown on a further line.
    """
    heads = []
    head, columns = "", 0
    for part in parts:
        cells = 0 if heading_level(part) else _cells(part)
        heads.append(head if cells == columns else "")
        if not cells:
            head, columns = "", 0
        elif not head:
            head, columns = "\n" + " ".join(part.split()), cells
        elif is_rule(part) and "\n" not in head[1:]:
            head += "\n" + part.strip()
    return heads


def _unwrapped(text: str) -> str:
    """A text with its sentences in one line each, where line breaks in them are none that are meant."""
    blocks = []
    for block, is_fenced in _blocks(text):
        is_kept = is_fenced or _has_lines_of_its_own(block)
        blocks.append(block if is_kept else "\n".join(_WRAPPED.sub(" ", part) for part in _parts(block)))
    return "\n\n".join(blocks).strip()


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
    prose = [(a.rstrip(), b) for a, b in pairwise(lines) if not heading_level(a) + heading_level(b)]
    within = [(a, b) for a, b in prose if not a.endswith(SENTENCE_ENDS)]
    early = [len(a) <= EARLY * width and len(a) + 1 + len(_first_word(b)) <= width for a, b in within]
    return bool(early) and sum(early) >= len(early) / 2


def _above(section: str, heading: str) -> str:
    """Of the headings of a section those that a further heading stands under."""
    return "\n".join(line for line in section.split("\n") if 0 < heading_level(line) < heading_level(heading))


def heading_level(line: str) -> int:
    """Of a heading, the highest is 1; 0 of any other line, and of one too long to be a name for what follows."""
    heading = _HEADING.match(line)
    return len(heading[1]) if heading and len(line.strip()) <= LONGEST_HEADING else 0


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
        is_meant = not (is_wrapped or line.rstrip().endswith(SENTENCE_ENDS))
        if has_rows:
            had_room = not is_wrapped or len(line.rstrip()) + 1 + len(_first_word(following)) <= longest
            is_item = _is_item(following) and (_is_item(line) or had_room)  # prose may be wrapped before a dash
            is_meant |= is_item or _cells(line) + _cells(following) > 0 or (_is_item(line) and not is_wrapped)
        is_meant |= heading_level(line) + heading_level(following) > 0
        if is_meant:
            parts.append(following)
        else:
            parts[-1] += "\n" + following
    return parts


def _is_row(line: str) -> bool:
    return _is_item(line) or _cells(line) > 0


def _is_item(line: str) -> bool:
    return _ITEM.match(line) is not None


def is_question(sentence: str) -> bool:
    """Whether a sentence asks something, so that what follows answers it."""
    return _QUESTION.search(sentence) is not None


def is_rule(line: str) -> bool:
    """Whether a line rules off the first row of a table from the others."""
    return _RULE.fullmatch(line) is not None


def _first_word(line: str) -> str:
    return line.split(maxsplit=1)[0] if line.strip() else ""


def _cells(line: str) -> int:
    """How many signs part the cells of a line."""
    return sum(map(line.strip().count, _CELLS_BETWEEN))
