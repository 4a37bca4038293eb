"""Text out of a web page."""

from __future__ import annotations

import re
from itertools import count, filterfalse, islice
from pathlib import Path
from typing import TYPE_CHECKING

from eval.reading.layout import BREAK, OWN, heading, is_repeated, joined, note_mark, raised, row

if TYPE_CHECKING:
    from bs4 import Tag

# fmt: off
BLOCKS = (
    "address", "article", "aside", "blockquote", "button", "caption", "dd", "details", "div", "dl", "dt", "fieldset",
    "figcaption", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "label", "legend", "li", "main",
    "nav", "ol", "option", "p", "pre", "section", "summary", "table", "td", "th", "title", "tr", "ul",
)
# fmt: on
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
UNSEEN = ("script", "style", "noscript", "template", "title", "del", "s", "strike")
WITHIN_LINES = ("a", "abbr", "b", "em", "font", "i", "mark", "small", "span", "strong", "sub", "sup", "u")
"""What is hidden in these is not shown. A hidden block may be: answers of FAQs are, to whoever clicks the question."""
_DENOMINATOR = re.compile(r"[/\u2044](?:\d|$)")
"""What follows a numerator; the figures may be a subscript."""
_NOT_DISPLAYED = re.compile(r"display\s*:\s*none")


def read_page(path: Path) -> tuple[str, str]:
    """Return what a page shows, its blocks parted by blank lines, and its title; what is struck is no part of it."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(path.read_bytes(), "lxml")
    named = soup.select_one("head > title")  # icons have titles as well
    title = named.get_text(" ", strip=True) if named else ""
    for element in soup.find_all(_is_unseen):
        element.decompose()
    for line_break in soup.find_all("br"):
        line_break.replace_with(BREAK)
    codes = soup.find_all("pre")
    for code in codes:
        lines = ("```", *code.get_text().strip("\n").splitlines(), "```")
        code.string = "\n".join(OWN + line.rstrip() for line in lines)
    as_they_are = {id(code.string) for code in codes}
    for text in list(soup.strings):
        if id(text) not in as_they_are and ("\n" in text or "\r" in text):
            text.replace_with(re.sub(r"\s+", " ", text))
    for block in soup.find_all(BLOCKS):
        block.insert(0, "\n")
        block.append("\n")
    _write_out_superscripts(soup)
    for level, name in enumerate(HEADINGS, 1):
        for element in soup.find_all(name):
            element.string = f"\n{heading(element.get_text(), level)}\n"
    for table in reversed(soup.find_all("table")):  # those inside another come before it
        for element, line in zip(table.find_all("tr"), _rows(table), strict=True):
            element.replace_with(f"\n{line}\n")
    return joined(_lines(soup)), title


def _is_unseen(element: Tag) -> bool:
    style = str(element.get("style", ""))
    is_hidden = element.has_attr("hidden") or _NOT_DISPLAYED.search(style) is not None
    return element.name in UNSEEN or "line-through" in style or (is_hidden and element.name in WITHIN_LINES)


def _write_out_superscripts(soup: Tag) -> None:
    """Put marks of notes in brackets, and a sign before powers. What begins a line, or is a link, is a mark."""
    found = [element for element in soup.find_all("sup") if not _is_numerator(element)]
    superscripts = [(element, _before(element)) for element in found]
    notes = {note_mark(element.get_text()) for element, before in superscripts if not before or _is_link(element)}
    for element, before in superscripts:
        element.string = raised(element.get_text(), before, notes - {""})


def _is_numerator(element: Tag) -> bool:
    """Whether a superscript stands above the line of a fraction by itself, as in recipes: no mark, nor a power."""
    return _DENOMINATOR.match(str(element.next_sibling)) is not None and not _before(element)[-1:].isdigit()


def _is_link(element: Tag) -> bool:
    """Whether an element is a link, or holds one; a part of one, such as the ordinal in a link's words, is none."""
    link = element.find("a") or element.find_parent("a")
    return link is not None and link.get_text(strip=True) in element.get_text()


def _before(element: Tag) -> str:
    """The word before an element on its line; empty where it begins the line."""
    from bs4.element import NavigableString

    texts = (text for text in element.previous_elements if type(text) is NavigableString)
    words = next((text for text in texts if text.strip() or text in ("\n", BREAK)), "").split()
    return words[-1] if words else ""


def _lines(element: Tag) -> list[str]:
    lines = (line.split(BREAK) for line in element.get_text().split("\n"))
    return [BREAK.join(part if part.startswith(OWN) else " ".join(part.split()) for part in parts) for parts in lines]


def _rows(table: Tag) -> list[str]:
    """The rows of a table in which no other is left; a cell that spans columns or rows is given in each of them."""
    rows, spanning = [], dict[int, tuple[str, int]]()  # from above, by column, with how many rows are to come
    for element in table.find_all("tr"):
        cells = element.find_all(("td", "th"))
        texts = {column: text for column, (text, _) in spanning.items()} if cells else {}
        spanning = {column: (text, left - 1) for column, (text, left) in spanning.items() if left > 1}
        free = filterfalse(texts.__contains__, count())
        is_whole_row = len(cells) == 1 and not texts
        for cell in cells:
            text = "\n".join(filter(None, _lines(cell)))
            is_spread = is_repeated(text) and not is_whole_row
            for column in islice(free, _span(cell, "colspan") if is_spread else 1):
                texts[column] = text
                if is_spread and (below := _span(cell, "rowspan") - 1):
                    spanning[column] = (text, below)
        rows.append(row([texts[column] for column in sorted(texts)]))
    return rows


def _span(cell: Tag, direction: str) -> int:
    said = re.fullmatch(r"[1-9]\d?", str(cell.get(direction, "")))
    return int(said[0]) if said else 1
