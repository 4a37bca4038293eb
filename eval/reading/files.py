"""Text out of one file: plain text, Markdown, HTML, PDF and Word."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.errors import RequestError
from eval.reading.text import clean, counted, read_text

if TYPE_CHECKING:
    from docx.document import Document
    from docx.table import _Cell

# fmt: off
BLOCKS = (
    "address", "article", "aside", "blockquote", "button", "caption", "dd", "details", "div", "dl", "dt", "fieldset",
    "figcaption", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "label", "legend", "li", "main",
    "nav", "ol", "option", "p", "pre", "section", "summary", "table", "td", "th", "title", "tr", "ul",
)
# fmt: on
UNSEEN = ("script", "style", "noscript", "template", "title")
WRAPPERS = ("w:ins", "w:moveTo", "w:sdt", "w:sdtContent", "w:smartTag", "w:customXml", "w:fldSimple")
"""Of Word: what was inserted or moved there with changes tracked, content controls, tags and fields."""


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


def _html(path: Path) -> Text:
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(path.read_bytes(), "lxml")
    heading = soup.select_one("head > title")  # icons have titles as well
    title = heading.get_text(" ", strip=True) if heading else ""
    for element in soup.find_all(UNSEEN):
        element.decompose()
    for line_break in soup.find_all("br"):
        line_break.replace_with("\n")
    for block in soup.find_all(BLOCKS):
        block.insert(0, "\n")
        block.append("\n")
    lines = (" ".join(line.split()) for line in soup.get_text().splitlines())
    return Text(clean("\n".join(filter(None, lines))), title)


def _pdf(path: Path) -> Text:
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is wrong with a file is told in the findings
    pages = [clean(page.extract_text()) for page in PdfReader(path).pages]
    return Text("\n\n".join(filter(None, pages)), pages=len(pages), pages_without_text=pages.count(""))


def _docx(path: Path) -> Text:
    from docx import Document

    document = Document(str(path))
    _unwrap(document.element.body)
    return Text(clean("\n".join(line for line in _docx_lines(document) if line.strip())))


def _unwrap(body: Any) -> None:
    """Put what stands in tracked insertions, content controls and the like where python-docx looks for it."""
    from docx.oxml.ns import qn

    for wrapper in list(body.iter(*map(qn, WRAPPERS))):
        for child in list(wrapper):
            wrapper.addprevious(child)
        wrapper.getparent().remove(wrapper)


def _docx_lines(container: Document | _Cell) -> Iterator[str]:
    """One line for each paragraph and each row of a table; a merged cell is given once in a row."""
    from docx.table import Table

    for block in container.iter_inner_content():
        if not isinstance(block, Table):
            yield block.text
            continue
        for row in block.rows:
            cells = {id(cell._tc): "\n".join(_docx_lines(cell)).strip() for cell in row.cells}
            yield " | ".join(filter(None, cells.values()))


EXTRACTORS: dict[str, Callable[[Path], Text]] = {
    ".txt": _plain,
    ".md": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
}
