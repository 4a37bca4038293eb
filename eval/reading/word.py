"""Text out of a Word file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.reading.layout import heading, is_repeated, joined, row
from eval.reading.text import clean

if TYPE_CHECKING:
    from docx.blkcntnr import BlockItemContainer
    from docx.document import Document
    from docx.section import _Footer, _Header
    from docx.text.paragraph import Paragraph

WRAPPERS = (
    *("w:ins", "w:moveTo", "w:sdt", "w:sdtContent", "w:smartTag", "w:customXml", "w:fldSimple"),
    *("w:bdo", "w:dir", "m:oMathPara"),
)
"""What was inserted or moved there with changes tracked, content controls, tags, fields, runs of a set direction, and
formulas on lines of their own."""
PARTS = {"num": "", "den": "/", "sup": "^", "sub": "_", "rad": "√"}
"""Of a formula, with what is written before them."""
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
"""The same once more, for older programs."""
BODY = 9
"""The outline level of what is no heading; that of the highest headings is 0."""


def read_word(path: Path) -> str:
    """Return what a Word file says, a line for each paragraph; comments and what was deleted are no part of it."""
    from docx import Document

    document = Document(str(path))
    notes = _notes(document)
    headers, footers = _headers_and_footers(document)
    lines = []
    for container in (*headers, document, *footers):
        _unwrap(container._element, notes)
        lines.append(joined(_lines(container)))
    return clean("\n".join(filter(None, dict.fromkeys(lines))))


def _headers_and_footers(document: Document) -> tuple[list[BlockItemContainer], list[BlockItemContainer]]:
    """Those that the document has of its own, of first pages before the others."""
    headers: list[_Header] = []
    footers: list[_Footer] = []
    for section in document.sections:
        if section.different_first_page_header_footer:
            headers.append(section.first_page_header)
            footers.append(section.first_page_footer)
        headers.append(section.header)
        footers.append(section.footer)
        if document.settings.odd_and_even_pages_header_footer:
            headers.append(section.even_page_header)
            footers.append(section.even_page_footer)
    return [h for h in headers if not h.is_linked_to_previous], [f for f in footers if not f.is_linked_to_previous]


def _notes(document: Document) -> dict[tuple[str, str], str]:
    """What footnotes and endnotes say, by the name of their kind and their id."""
    from docx.oxml import parse_xml
    from docx.oxml.ns import qn

    notes = {}
    for relation in document.part.rels.values():
        kind = relation.reltype.rpartition("/")[2].removesuffix("s")
        for note in parse_xml(relation.target_part.blob) if kind in ("footnote", "endnote") else ():
            paragraphs = map(_words, note.iter(qn("w:p")))
            notes[kind, note.get(qn("w:id"))] = " ".join(" ".join(paragraphs).split())
    return notes


def _unwrap(body: Any, notes: Mapping[tuple[str, str], str]) -> None:
    """Put what stands in tracked insertions, content controls and the like where python-docx looks for it.

    The paragraphs of a text box follow the one that holds it, and a note stands in brackets where it is referred to. Of
    words with their reading above them (furigana), the words are left.
    """
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    for copy in list(body.iter(FALLBACK)):
        copy.getparent().remove(copy)
    for wrapper in list(body.iter(*map(qn, WRAPPERS))):
        for child in list(wrapper):
            wrapper.addprevious(child)
        wrapper.getparent().remove(wrapper)
    for formula in list(body.iter(qn("m:oMath"))):
        run = OxmlElement("w:r")
        run.append(_text(_formula(formula)))
        formula.getparent().replace(formula, run)
    for ruby in list(body.iter(qn("w:ruby"))):
        for base in ruby.findall(qn("w:rubyBase")):
            ruby.addprevious(_text(_words(base)))
        ruby.getparent().remove(ruby)
    for box in reversed(list(body.iter(qn("w:txbxContent")))):
        paragraph = next(box.iterancestors(qn("w:p")))
        for child in reversed(list(box)):
            paragraph.addnext(child)
    for kind in ("footnote", "endnote"):
        for reference in list(body.iter(qn(f"w:{kind}Reference"))):
            if said := notes.get((kind, reference.get(qn("w:id")))):
                reference.addprevious(_text(f" ({said})"))


def _words(part: Any) -> str:
    """The texts within a part, one after the other."""
    from docx.oxml.ns import qn

    return "".join(text.text or "" for text in part.iter(qn("w:t")))


def _text(said: str) -> Any:
    """A text within a run."""
    from docx.oxml import OxmlElement

    text = OxmlElement("w:t")
    text.text = said
    return text


def _formula(part: Any) -> str:
    """A formula, or a part of one, on one line: `(a+b)/2`, `x^2`."""
    name = str(part.tag).rpartition("}")[2]
    if name == "t":
        return part.text or ""
    said = "".join(map(_formula, part))
    if not said:
        return ""
    if name == "d" or (name in PARTS and not re.fullmatch(r"[\w.,]+", said)):
        said = f"({said})"
    return PARTS.get(name, "") + said


def _lines(container: Document | BlockItemContainer) -> Iterator[str]:
    """Paragraphs, headings and rows of tables; a short merged cell is given in each column and row that it covers."""
    from docx.table import Table

    for block in container.iter_inner_content():
        if not isinstance(block, Table):
            level = _level(block)
            yield heading(block.text, level) if level else block.text
            continue
        said = dict[Any, str]()  # by its cells, which may be merged
        for own in block.rows:
            cells = own.cells
            is_whole_row = len({cell._tc for cell in cells}) == 1
            texts = [""] * (0 if is_whole_row else own.grid_cols_before)
            for cell in cells[:1] if is_whole_row else cells:
                if cell._tc not in said:
                    said[cell._tc] = "\n".join(filter(str.strip, _lines(cell)))
                texts.append(said[cell._tc])
                if not is_repeated(texts[-1]):
                    said[cell._tc] = ""
            yield row(texts)


def _level(paragraph: Paragraph) -> int:
    """The level of a heading, by its outline or its style, as Word itself knows it; 0 of other paragraphs."""
    from docx.oxml.ns import qn

    properties, style, known = [paragraph._p.pPr], paragraph.style, set[str]()
    while style is not None and style.style_id not in known:  # a style of a damaged file may be based on itself
        known.add(style.style_id)
        properties.append(style.element.pPr)
        if named := re.fullmatch(r"Heading (\d)", style.name or ""):
            return int(named[1])
        style = style.base_style
    levels = (p.find(qn("w:outlineLvl")) for p in properties if p is not None)
    outline = next((int(level.get(qn("w:val"))) for level in levels if level is not None), BODY)
    return outline + 1 if outline < BODY else 0
