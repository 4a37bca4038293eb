"""Text out of one file: plain text, Markdown, HTML, PDF and Word."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eval.errors import RequestError
from eval.reading.text import clean, counted, read_text
from eval.reading.web_page import read_page
from eval.reading.word import read_word


@dataclass(frozen=True)
class Text:
    """What a file says."""

    body: str
    title: str = ""
    pages: int = 0
    """Pages of a PDF."""
    pages_without_text: int = 0
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
    if text.body:
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
    pages = [clean(page.extract_text()) for page in PdfReader(path).pages]
    return Text("\n\n".join(filter(None, pages)), pages=len(pages), pages_without_text=pages.count(""))


def _html(path: Path) -> Text:
    return Text(*read_page(path))


def _docx(path: Path) -> Text:
    return Text(read_word(path))


EXTRACTORS: dict[str, Callable[[Path], Text]] = {
    ".txt": _plain,
    ".md": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
}
