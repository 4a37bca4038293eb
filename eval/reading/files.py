"""Text out of one file: plain text, Markdown, HTML, PDF and Word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eval.errors import RequestError
from eval.reading.text import clean, read_text

if TYPE_CHECKING:
    from docx.table import Table

# fmt: off
BLOCKS = (
    "address", "article", "aside", "blockquote", "dd", "div", "dt", "figcaption", "footer", "h1", "h2", "h3", "h4",
    "h5", "h6", "header", "li", "main", "nav", "p", "pre", "section", "table", "td", "th", "title", "tr",
)
# fmt: on
UNSEEN = ("script", "style", "noscript", "template", "title")


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
    return Text("", problem=f"no text on its {text.pages} pages, scanned?" if text.pages else "no text")


def _plain(path: Path) -> Text:
    return Text(clean(read_text(path).text))


def _markdown(path: Path) -> Text:
    body = _plain(path).body
    heading = next((line for line in body.splitlines() if line.startswith("# ")), "")
    return Text(body, heading.removeprefix("# ").strip())


def _html(path: Path) -> Text:
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(path.read_bytes(), "lxml")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
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

    pages = [clean(page.extract_text()) for page in PdfReader(path).pages]
    return Text("\n\n".join(filter(None, pages)), pages=len(pages), pages_without_text=pages.count(""))


def _docx(path: Path) -> Text:
    from docx import Document
    from docx.table import Table

    parts: list[str] = []
    for block in Document(str(path)).iter_inner_content():
        parts.extend(_table_lines(block) if isinstance(block, Table) else [block.text])
    return Text(clean("\n".join(part for part in parts if part.strip())))


def _table_lines(table: Table) -> Iterator[str]:
    """One line for each row; a merged cell is given once."""
    for row in table.rows:
        cells = {id(cell._tc): cell.text.strip() for cell in row.cells}
        yield " | ".join(filter(None, cells.values()))


EXTRACTORS: dict[str, Callable[[Path], Text]] = {
    ".txt": _plain,
    ".md": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
}
