"""Text out of a Word file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.reading.layout import BREAK, heading, is_repeated, joined, note_mark, raised, row
from eval.reading.text import clean

if TYPE_CHECKING:
    from docx.blkcntnr import BlockItemContainer
    from docx.document import Document
    from docx.section import _Footer, _Header
    from docx.styles.style import ParagraphStyle
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
ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
MOST_LETTERED = 780
"""Numbers beyond are written in figures, as by Word."""
STRUCK = ("w:strike", "w:dstrike", "w:vanish")
"""Marks of text that is struck or hidden."""
OFF = ("0", "false", "off")
BODY = 9
"""The outline level of what is no heading; that of the highest headings is 0."""


def read_word(path: Path) -> tuple[str, str]:
    """Return what a Word file says, its paragraphs parted by blank lines, and its title (of the style of that name).

    Comments and what was deleted, struck or hidden are no part of it.
    """
    from docx import Document

    document = Document(str(path))
    notes, numbers = _notes(document), _Numbers(document)
    headers, footers = _headers_and_footers(document)
    lines = []
    for container in (*headers, document, *footers):
        _unwrap(container._element, notes)
        lines.append(joined(_lines(container, numbers)))
    titles = (paragraph.text for paragraph in document.paragraphs if _is_title(paragraph))
    title = next(filter(str.strip, titles), "")
    return clean("\n\n".join(filter(None, dict.fromkeys(lines)))), " ".join(title.split())


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
    from docx.oxml.ns import qn

    notes = {}
    for kind in ("footnote", "endnote"):
        for note in _part(document, f"{kind}s"):
            _unwrap(note, {})
            paragraphs = map(_words, note.iter(qn("w:p")))
            notes[kind, note.get(qn("w:id"))] = " ".join(" ".join(paragraphs).split())
    return notes


def _part(document: Document, kind: str) -> Any:
    """The root of a part of the file; empty where there is none."""
    from docx.oxml import parse_xml

    relations = document.part.rels.values()
    return next((parse_xml(r.target_part.blob) for r in relations if r.reltype.rpartition("/")[2] == kind), ())


class _Numbers:
    """The numbers that Word gives to headings and items of lists, which stand in no text. Counted as they are asked
    for, so in the order of the document."""

    def __init__(self, document: Document) -> None:
        from docx.oxml.ns import qn

        self._levels: dict[tuple[str, int], Any] = {}
        self._list_of: dict[str, str] = {}
        self._restarts: dict[tuple[str, int], int] = {}
        """Where a list that is laid out as another begins, if it does not go on counting."""
        self._counts = defaultdict[str, dict[int, int]](dict)
        for element in _part(document, "numbering"):
            number = element.get(qn("w:numId"))
            if number is None:
                for level in element.findall(qn("w:lvl")):
                    self._levels[element.get(qn("w:abstractNumId")), int(level.get(qn("w:ilvl")))] = level
                continue
            self._list_of[number] = _value(element, "abstractNumId", "")
            for override in element.findall(qn("w:lvlOverride")):
                if start := _value(override, "startOverride", ""):
                    self._restarts[number, int(override.get(qn("w:ilvl")))] = int(start)

    def before(self, paragraph: Paragraph) -> str:
        """What stands before a paragraph, with a space; empty where it has no number, but a bullet for one."""
        from docx.oxml.ns import qn

        found = [p.find(qn("w:numPr")) for p in _properties(paragraph)]
        number, place = (
            next((value for of in found if of is not None and (value := _value(of, name, ""))), "0")
            for name in ("numId", "ilvl")
        )
        of_list, level = self._list_of.get(number, ""), int(place)
        if (of_list, level) not in self._levels:
            return ""
        counts = self._counts[of_list]
        start = self._restarts.pop((number, level), None)
        counts[level] = start if start is not None else counts.get(level, self._start(of_list, level) - 1) + 1
        self._counts[of_list] = {own: count for own, count in counts.items() if own <= level}
        if _value(self._levels[of_list, level], "numFmt", "") == "bullet":
            return ""

        def said(found: re.Match[str]) -> str:
            own = int(found[1]) - 1
            form = _value(self._levels.get((of_list, own), ()), "numFmt", "")
            return _numeral(form, counts.get(own, self._start(of_list, own)))

        text = re.sub("%([1-9])", said, _value(self._levels[of_list, level], "lvlText", ""))
        return f"{text} " if text.strip() else ""

    def _start(self, of_list: str, level: int) -> int:
        return int(_value(self._levels.get((of_list, level), ()), "start", "1"))


def _value(parent: Any, name: str, default: str) -> str:
    """The value of the first child of this name."""
    from docx.oxml.ns import qn

    return next((child.get(qn("w:val"), default) for child in parent if child.tag == qn(f"w:{name}")), default)


def _numeral(form: str, number: int) -> str:
    """A number in a form of Word's: in letters, Roman or, where the form is another, in figures."""
    if form == "none":
        return ""
    if not form.endswith(("Letter", "Roman")) or not 0 < number <= MOST_LETTERED:
        return str(number)
    said = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)  # y, z, aa, bb
    if form.endswith("Roman"):
        said = ""
        for value, sign in ROMAN:
            said, number = said + number // value * sign, number % value
    return said.upper() if form.startswith("upper") else said


def _unwrap(body: Any, notes: Mapping[tuple[str, str], str]) -> None:
    """Put what stands in tracked insertions, content controls and the like where python-docx looks for it.

    The paragraphs of a text box follow the one that holds it, and a note stands in brackets where it is referred to. Of
    words with their reading above them (furigana), the words are left; of what is struck or hidden, nothing.
    """
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    for copy in list(body.iter(FALLBACK)):
        copy.getparent().remove(copy)
    for wrapper in list(body.iter(*map(qn, WRAPPERS))):
        for child in list(wrapper):
            wrapper.addprevious(child)
        wrapper.getparent().remove(wrapper)
    marks = [mark for mark in body.iter(*map(qn, STRUCK)) if mark.get(qn("w:val")) not in OFF]
    for run in {mark.getparent().getparent() for mark in marks}:
        if run is not None and run.tag == qn("w:r"):
            run.getparent().remove(run)
    _write_out_superscripts(body)
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


def _write_out_superscripts(body: Any) -> None:
    """Put marks of notes in brackets, and a sign before powers. What a paragraph begins with is a mark."""
    from docx.oxml.ns import qn

    superscripts = list[list[Any]]()  # one may be in several runs
    for raising in body.iter(qn("w:vertAlign")):
        run = raising.getparent().getparent()
        if raising.get(qn("w:val")) != "superscript" or run.tag != qn("w:r"):
            continue
        if superscripts and run.getprevious() is superscripts[-1][-1]:
            superscripts[-1].append(run)
        else:
            superscripts.append([run])
    told = [("".join(map(_words, runs)), _before(runs[0])) for runs in superscripts]
    notes = {mark for said, before in told if not before and (mark := note_mark(said))}
    for runs, (said, before) in zip(superscripts, told, strict=True):
        texts = [text for run in runs for text in run.iter(qn("w:t"))]
        for text in texts:
            text.text = ""
        if texts:
            texts[0].text = raised(said, before, notes)


def _before(run: Any) -> str:
    """The word before a run in its paragraph; empty where it begins the paragraph."""
    from docx.oxml.ns import qn

    runs = next(run.iterancestors(qn("w:p"))).iter(qn("w:r"))
    words = "".join(map(_words, takewhile(lambda other: other is not run, runs))).split()
    return words[-1] if words else ""


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


def _lines(container: Document | BlockItemContainer, numbers: _Numbers) -> Iterator[str]:
    """Paragraphs, headings and rows of tables, each on a line; a short merged cell is given in each column and row that
    it covers.
    """
    from docx.table import Table

    for block in container.iter_inner_content():
        if not isinstance(block, Table):
            level, number = _level(block), numbers.before(block)
            text = f"{number}{block.text}" if block.text.strip() else ""
            yield heading(text, level) if level else text.replace("\n", BREAK)
            continue
        said = dict[Any, str]()  # by its cells, which may be merged
        for own in block.rows:
            cells = own.cells
            is_whole_row = len({cell._tc for cell in cells}) == 1
            texts = [""] * (0 if is_whole_row else own.grid_cols_before)
            for cell in cells[:1] if is_whole_row else cells:
                if cell._tc not in said:
                    said[cell._tc] = "\n".join(filter(str.strip, _lines(cell, numbers)))
                texts.append(said[cell._tc])
                if not is_repeated(texts[-1]):
                    said[cell._tc] = ""
            yield row(texts)


def _level(paragraph: Paragraph) -> int:
    """The level of a heading, by its outline or its style, as Word itself knows it; 0 of other paragraphs."""
    for style in _styles(paragraph):
        if named := re.fullmatch(r"Heading (\d)", style.name or ""):
            return int(named[1])
    levels = (_value(p, "outlineLvl", "") for p in _properties(paragraph))
    outline = int(next(filter(None, levels), BODY))
    return outline + 1 if outline < BODY else 0


def _is_title(paragraph: Paragraph) -> bool:
    return any(style.name == "Title" for style in _styles(paragraph))


def _styles(paragraph: Paragraph) -> list[ParagraphStyle]:
    """A paragraph's style and those that it is based on."""
    style, found = paragraph.style, dict[str, Any]()
    while style is not None and style.style_id not in found:  # one of a damaged file may be based on itself
        found[style.style_id] = style
        style = style.base_style
    return list(found.values())


def _properties(paragraph: Paragraph) -> list[Any]:
    """What is set for a paragraph: itself, and then by its styles."""
    properties = [paragraph._p.pPr, *(style.element.pPr for style in _styles(paragraph))]
    return [own for own in properties if own is not None]
