"""The Word document: the same findings as the Markdown, pictures with a description, client text that stays text."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from docx import Document
from lxml import etree

from advisor.report.outline import Heading, Sample, Table, outline
from advisor.report.schema import Report
from advisor.report.view import legible
from advisor.report.word import render_word

Build = Callable[..., Report]


def opened(report: Report) -> Any:
    return Document(io.BytesIO(render_word(report)))


def text_of(document: Any) -> str:
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])


def test_it_says_what_the_markdown_says(sample_report: Build) -> None:
    report = sample_report()
    document, blocks = opened(report), outline(legible(report))
    headings = [p.text for p in document.paragraphs if p.style.name.startswith(("Heading", "Title"))]
    assert headings == [block.text for block in blocks if isinstance(block, Heading)]
    tables = [block for block in blocks if isinstance(block, Table)]
    assert [len(table.rows) for table in document.tables] == [len(table.rows) + 1 for table in tables]
    text = text_of(document)
    assert "Fine-tune the small model" in text
    assert "I am not sure about legal (6 test rows): label 40 more." in text
    for block in blocks:
        if isinstance(block, Sample):
            assert block.text in text
    assert document.core_properties.title == report.task.name


def test_charts_are_pictures_with_a_description_and_tables_repeat_their_headers(sample_report: Build) -> None:
    document = opened(sample_report())
    described = [shape._inline.docPr.get("descr") for shape in document.inline_shapes]
    assert len(described) == 3
    assert all(described)
    pages = zipfile.ZipFile(io.BytesIO(render_word(sample_report())))
    pictures = [pages.read(name) for name in pages.namelist() if name.startswith("word/media/")]
    assert len(pictures) == 3
    assert all(picture.startswith(b"\x89PNG") and len(picture) > 10_000 for picture in pictures)
    for table in document.tables:
        assert table.rows[0]._tr.trPr.find(table.rows[0]._tr.nsmap["w"].join("{}") + "tblHeader") is not None


def test_the_numbers_of_the_dots_are_explained_below_them(sample_report: Build) -> None:
    (caption,) = (p.text for p in opened(sample_report()).paragraphs if p.text.startswith("Quality against the cost"))
    assert "better than. 1: Fine-tuning (LoRA). 2: Embeddings + linear classifier. 3: Prompt with the n" in caption
    assert "table" not in caption


def test_what_is_cut_is_said_to_be(sample_report: Build) -> None:
    report = sample_report()
    report.result("lora").config["prompt"] = "x" * 5000
    assert "more characters)" in text_of(opened(report))
    assert "dashed: Prompt with fixed examples." in text_of(opened(report))


def test_hostile_text_is_shown_as_it_is_and_every_part_is_xml(hostile_report: Report, sample_report: Build) -> None:
    document = opened(hostile_report)
    assert "<script>alert(1)</script>|`x`{{ 7*7 }}{% raw %}[bold]red[/bold]" in text_of(document)
    assert len(document.tables) == len(opened(sample_report()).tables)
    parts = zipfile.ZipFile(io.BytesIO(render_word(hostile_report)))
    for name in parts.namelist():
        if name.endswith((".xml", ".rels")):
            etree.fromstring(parts.read(name))
    links = parts.read("word/_rels/document.xml.rels").decode()
    assert 'TargetMode="External"' not in links


@pytest.mark.parametrize("volumes", [None, "as it is"])
def test_what_is_not_known_is_left_out(sample_report: Build, volumes: str | None) -> None:
    report = sample_report()
    if volumes is None:
        report.volumes = None
    assert len(opened(report).inline_shapes) == (2 if volumes is None else 3)
