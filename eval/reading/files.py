"""Text out of one file: plain text, Markdown, HTML, PDF and Word."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, filterfalse, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.errors import RequestError
from eval.reading.text import clean, counted, read_text

if TYPE_CHECKING:
    from bs4 import Tag
    from docx.blkcntnr import BlockItemContainer
    from docx.document import Document
    from docx.text.paragraph import Paragraph

# fmt: off
BLOCKS = (
    "address", "article", "aside", "blockquote", "button", "caption", "dd", "details", "div", "dl", "dt", "fieldset",
    "figcaption", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "label", "legend", "li", "main",
    "nav", "ol", "option", "p", "pre", "section", "summary", "table", "td", "th", "title", "tr", "ul",
)
# fmt: on
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
LOWEST = 6
"""The lowest level of a heading in Markdown."""
BODY = 9
"""The outline level of what is no heading in Word, where 0 is the highest of headings."""
OWN = "\0"
"""Begins a heading, a row of a table and a line of code until a file's lines are together: none is part of a cell."""
EMPTY = "\N{EN DASH}"
"""Stands for an empty cell, without which the next would move under its heading."""
MOST_REPEATED = 300
"""Characters; a longer cell that spans several is a part of the page rather than a value, and given once."""
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
    for code in soup.find_all("pre"):
        lines = ("```", *code.get_text().strip("\n").splitlines(), "```")
        code.string = "\n".join(OWN + line.rstrip() for line in lines)
    for heading in soup.find_all(HEADINGS):
        heading.string = _heading(heading.get_text(), HEADINGS.index(heading.name) + 1)
    for block in soup.find_all(BLOCKS):
        block.insert(0, "\n")
        block.append("\n")
    for table in reversed(soup.find_all("table")):  # those inside another come before it
        for row, line in zip(table.find_all("tr"), _html_rows(table), strict=True):
            row.replace_with(f"\n{line}\n")
    return Text(_joined(_html_lines(soup)), title)


def _html_lines(element: Tag) -> list[str]:
    return [line if line.startswith(OWN) else " ".join(line.split()) for line in element.get_text().splitlines()]


def _html_rows(table: Tag) -> list[str]:
    """The rows of a table in which no other is left; a cell that spans columns or rows is given in each of them."""
    rows, spanning = [], dict[int, tuple[str, int]]()  # from above, by column, with how many rows are to come
    for row in table.find_all("tr"):
        cells = row.find_all(("td", "th"))
        texts = {column: text for column, (text, _) in spanning.items()} if cells else {}
        spanning = {column: (text, left - 1) for column, (text, left) in spanning.items() if left > 1}
        free = filterfalse(texts.__contains__, count())
        is_whole_row = len(cells) == 1 and not texts
        for cell in cells:
            text = "\n".join(filter(None, _html_lines(cell)))
            is_repeated = len(text) <= MOST_REPEATED and OWN not in text and not is_whole_row
            for column in islice(free, _span(cell, "colspan") if is_repeated else 1):
                texts[column] = text
                if is_repeated and (below := _span(cell, "rowspan") - 1):
                    spanning[column] = (text, below)
        rows.append(_row([texts[column] for column in sorted(texts)]))
    return rows


def _span(cell: Tag, direction: str) -> int:
    said = re.fullmatch(r"[1-9]\d?", str(cell.get(direction, "")))
    return int(said[0]) if said else 1


def _heading(text: str, level: int) -> str:
    """A heading as Markdown has it, so that whoever cuts the text knows its sections; empty where nothing is in it."""
    text = " ".join(text.split())
    return f"{OWN}{'#' * min(level, LOWEST)} {text}" if text else ""


def _row(cells: Sequence[str]) -> str:
    """A row of a table as one line; empty where nothing is in it.

    A cell that is alone keeps its lines, and so do those of a row that holds headings, code or rows: a table can be a
    frame for any text.
    """
    if len(cells) < 2 or any(OWN in cell for cell in cells):
        return "\n".join(filter(None, cells))
    return OWN + " | ".join(" ".join(cell.split()) or EMPTY for cell in cells) if any(cells) else ""


def _joined(lines: Iterable[str]) -> str:
    return clean("\n".join(line for line in lines if line.strip()).replace(OWN, ""))


def _pdf(path: Path) -> Text:
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is wrong with a file is told in the findings
    pages = [clean(page.extract_text()) for page in PdfReader(path).pages]
    return Text("\n\n".join(filter(None, pages)), pages=len(pages), pages_without_text=pages.count(""))


def _docx(path: Path) -> Text:
    from docx import Document

    document = Document(str(path))
    _unwrap(document.element.body)
    return Text(_joined(_docx_lines(document)))


def _unwrap(body: Any) -> None:
    """Put what stands in tracked insertions, content controls and the like where python-docx looks for it."""
    from docx.oxml.ns import qn

    for wrapper in list(body.iter(*map(qn, WRAPPERS))):
        for child in list(wrapper):
            wrapper.addprevious(child)
        wrapper.getparent().remove(wrapper)


def _docx_lines(container: Document | BlockItemContainer) -> Iterator[str]:
    """Paragraphs, headings and rows of tables; a merged cell is given in each column and row that it covers."""
    from docx.table import Table

    for block in container.iter_inner_content():
        if not isinstance(block, Table):
            level = _level(block)
            yield _heading(block.text, level) if level else block.text
            continue
        for row in block.rows:
            cells = row.cells
            texts = {cell._tc: "\n".join(filter(str.strip, _docx_lines(cell))) for cell in cells}
            before = [""] * row.grid_cols_before
            yield _row([*before, *(texts[cell._tc] for cell in cells)] if len(texts) > 1 else list(texts.values()))


def _level(paragraph: Paragraph) -> int:
    """The level of a heading, by its outline or its style, as Word itself knows it; 0 of other paragraphs."""
    from docx.oxml.ns import qn

    properties, style = [paragraph._p.pPr], paragraph.style
    while style is not None:
        properties.append(style.element.pPr)
        if named := re.fullmatch(r"Heading (\d)", style.name or ""):
            return int(named[1])
        style = style.base_style
    levels = (p.find(qn("w:outlineLvl")) for p in properties if p is not None)
    outline = next((int(level.get(qn("w:val"))) for level in levels if level is not None), BODY)
    return outline + 1 if outline < BODY else 0


EXTRACTORS: dict[str, Callable[[Path], Text]] = {
    ".txt": _plain,
    ".md": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
}
