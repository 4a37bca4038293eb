"""Text out of one file: plain text, Markdown, HTML, PDF and Word."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.errors import RequestError
from eval.reading.text import SENTENCE_ENDS, clean, counted, is_of_old_office, read_text
from eval.reading.web_page import read_page
from eval.reading.word import read_word

_BROKEN = re.compile(r"\b([^\W\d_]+)[-\u2010] *\n *(?!(?:und|oder|bzw|and|or)\b)([^\W\d_]+)")
"""A word on two lines; not the first half of `Vor- und Nachteile`."""
_HYPHENATED = re.compile(r"\b(?=([^\W\d_]+-[^\W\d_]+))")
_NUMBER = re.compile(r"\d{1,9}")
FEWEST_PAGES, MOST_RUNNING = 3, 3
"""Pages that tell which lines run along their ends, and how many such lines there may be at either."""
REGULARLY = 0.8
"""Share of the pages from the first to the last with such a line, or of the left or right ones among them, that have
it; what is the same on pages here and there is a part of them."""


@dataclass(frozen=True)
class Text:
    """What a file says."""

    body: str
    title: str = ""
    pages: int = 0
    """Pages of a PDF."""
    pages_without_text: int = 0
    """Those with nothing but what runs along all pages count as well."""
    problem: str = ""
    """Why there is no text; empty where there is."""


def extract(path: Path) -> Text:
    """Return a file's text; a file that cannot be read comes back with its problem, never as an exception."""
    extractor = EXTRACTORS.get(path.suffix.lower())
    if extractor is None:
        return Text("", problem=f"unknown type {path.suffix}" if path.suffix else "no file type")
    try:
        text = extractor(path)
    except RequestError:
        return Text("", problem="not text, or unknown encoding")
    except Exception as error:  # a damaged file surfaces as anything; the file is reported, the others are read
        return Text("", problem=f"unreadable: {type(error).__name__}")
    if text.body or text.problem:
        return text
    return Text("", problem=f"no text on its {counted(text.pages, 'page')}, scanned?" if text.pages else "no text")


def _plain(path: Path) -> Text:
    return Text(clean(read_text(path).text))


def _markdown(path: Path) -> Text:
    body = _plain(path).body
    heading = next((line for line in body.splitlines() if line.startswith("# ")), "")
    return Text(body, heading.removeprefix("# ").strip())


def _pdf(path: Path) -> Text:
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is wrong with a file is told in the findings
    reader = PdfReader(path)
    if reader.is_encrypted and not reader.decrypt(""):  # most can be read, and have a password for printing alone, say
        return Text("", problem="needs a password")
    pages = [clean(page.extract_text()) for page in reader.pages]
    heads, pages = _without_running(pages, 0)
    feet, pages = _without_running(pages, -1)
    going_on = "".join(page + ("\n\n" if page.endswith(SENTENCE_ENDS) else "\n") for page in pages)
    body = _unbroken("\n\n".join(filter(None, [*heads, going_on.strip(), *reversed(feet)])))
    return Text(body, pages=len(pages), pages_without_text=pages.count(""))


def _without_running(pages: Sequence[str], end: int) -> tuple[list[str], list[str]]:
    """The lines that run along one end of the pages (0 the first, -1 the last), and the pages without them.

    Of those that number the pages, none is given; the others are, the outermost first.
    """
    running = list[str]()
    lines = [page.split("\n") for page in pages]
    for _ in range(MOST_RUNNING):
        places = _alike({place: own[end] for place, own in enumerate(lines) if own != [""]})
        if said := {lines[place][end] for place in places}:
            running += said if len(said) == 1 else []
        for place in places:
            lines[place].pop(end)
            lines[place] = "\n".join(lines[place]).strip().split("\n")
    return running, ["\n".join(own) for own in lines]


def _alike(lines: Mapping[int, str]) -> list[int]:
    """The places of lines that are the same, but for numbers that count the pages, on half of these, and regularly."""
    places = defaultdict[str, list[int]](list)
    for place, line in lines.items():
        places[_NUMBER.sub("0", line)].append(place)

    def counted_on(first: int, place: int) -> bool:
        pairs = zip(*(map(int, _NUMBER.findall(lines[own])) for own in (first, place)), strict=True)
        return all(number - known in (0, place - first) for known, number in pairs)

    alike = ([place for place in own if counted_on(own[0], place)] for own in places.values())
    most = max(alike, key=len, default=[])
    if len(lines) < FEWEST_PAGES or len(most) < max(2, len(lines) // 2):
        return []
    step = 2 if len({place % 2 for place in most}) == 1 else 1
    could = [place for place in range(most[0], most[-1] + 1, step) if place in lines]
    return most if len(most) >= REGULARLY * len(could) else []


def _unbroken(text: str) -> str:
    """The text with the words put together that were broken at the end of a line.

    A hyphen goes, unless the text has that word with it within a line too (`long-term`).
    """
    hyphenated = {word.casefold() for word in _HYPHENATED.findall(text)}

    def whole(broken: re.Match[str]) -> str:
        start, rest = broken.groups()
        if not rest[0].islower():
            return broken[0]
        compound = f"{start}-{rest}"
        return compound if compound.casefold() in hyphenated else start + rest

    return _BROKEN.sub(whole, text)


def _html(path: Path) -> Text:
    return Text(*read_page(path))


def _docx(path: Path) -> Text:
    if is_of_old_office(path):
        return Text("", problem="needs a password, or is in the format of Word 2003")
    return Text(*read_word(path))


EXTRACTORS: dict[str, Callable[[Path], Text]] = {
    ".txt": _plain,
    ".md": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
}
