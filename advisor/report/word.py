"""`--format docx`: the report as a Word document to edit, with the findings of `report.md` and the charts."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from advisor.report import charts, view, wording
from advisor.report.outline import Block, Bullets, Code, Figure, Heading, Paragraph, Sample, Table, outline
from advisor.report.schema import Report

DRAWN: dict[str, Callable[[Report], charts.Drawing | None]] = {
    "quality": charts.quality_chart,
    "cost": charts.cost_chart,
    "volumes": charts.volume_chart,
}
CAPTIONS = {
    "quality": "Quality of each strategy: the dot is what was measured, the line its 95 % range.",
    "cost": "Quality against the cost of a month. The dashed line joins the strategies that no other is both cheaper "
    "and better than.",
    "volumes": "Cost of a month over the monthly volume, both logarithmic.",
}
MOST_CONFIGURATION = 4000
"""Letters of a code block; a document is no archive."""


def render_word(report: Report) -> bytes:
    """The whole report. Client text is text: nothing in it becomes a field, a link or markup."""
    from docx import Document
    from docx.shared import Mm, Pt

    report = view.legible(report)
    document = Document()
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(20)
    section.top_margin = section.bottom_margin = Mm(18)
    document.styles["Normal"].font.name = "Calibri"
    document.styles["Normal"].font.size = Pt(10)
    properties = document.core_properties
    properties.title, properties.author = report.task.name[:250], "Advisor"
    properties.comments = f"Advisor, run {report.run_id}"[:250]
    for block in outline(report):
        _add(document, report, block)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _add(document: Any, report: Report, block: Block) -> None:
    if isinstance(block, Heading):
        document.add_heading(block.text, level=block.level - 1 if block.level > 1 else 0)
    elif isinstance(block, Paragraph):
        paragraph = document.add_paragraph()
        if block.lead:
            paragraph.add_run(f"{block.lead} ").bold = True
        paragraph.add_run(block.text)
    elif isinstance(block, Bullets):
        for item in block.items:
            document.add_paragraph(item, style="List Bullet")
    elif isinstance(block, Table):
        _add_table(document, block)
    elif isinstance(block, Sample):
        _add_sample(document, block)
    elif isinstance(block, Code):
        _add_code(document, block)
    elif isinstance(block, Figure):
        _add_figure(document, report, block)


def _add_table(document: Any, block: Table) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml import OxmlElement
    from docx.shared import Pt

    table = document.add_table(rows=0, cols=len(block.headers), style="Light List Accent 1")
    lines = [[header.removesuffix(":") for header in block.headers], *block.rows]
    for line in lines:
        cells = table.add_row().cells
        for cell, text, header in zip(cells, line, block.headers, strict=True):
            paragraph = cell.paragraphs[0]
            paragraph.add_run(text).font.size = Pt(9)
            if header.endswith(":"):
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    heads = table.rows[0]._tr.get_or_add_trPr()
    heads.append(OxmlElement("w:tblHeader"))  # repeated on each page, and read out as headers
    document.add_paragraph()


def _add_sample(document: Any, block: Sample) -> None:
    paragraph = document.add_paragraph()
    paragraph.add_run(f"{block.title}: ").bold = True
    paragraph.add_run(block.text)
    for who, answer in block.answers:
        paragraph = document.add_paragraph(style="List Bullet")
        paragraph.add_run(f"{who}: ").bold = True
        paragraph.add_run(answer)


def _add_code(document: Any, block: Code) -> None:
    from docx.shared import Pt

    text = wording.clip(block.text, MOST_CONFIGURATION)
    run = document.add_paragraph().add_run(text)
    run.font.name, run.font.size = "Consolas", Pt(8.5)


def _add_figure(document: Any, report: Report, block: Figure) -> None:
    from docx.shared import Mm

    drawing = DRAWN[block.name](report)
    if drawing is None:
        return
    shape = document.add_picture(io.BytesIO(drawing.png()), width=Mm(170))
    described = shape._inline.docPr
    described.set("title", CAPTIONS[block.name])
    described.set("descr", drawing.description)
    document.add_paragraph(" ".join([CAPTIONS[block.name], *_legend(report, block.name, drawing)]), style="Caption")


def _legend(report: Report, name: str, drawing: charts.Drawing) -> list[str]:
    """Which dot or line is whose: the document's tables show neither a dot's number nor a line's colour."""
    if drawing.keys:
        return [f"{key.number}: {wording.strategy_title(key.strategy)}." for key in drawing.keys]
    if name != "volumes" or report.volumes is None:
        return []
    lines = zip(charts.LINE_COLOURS, report.volumes.lines, strict=False)
    return [
        f"{colour.capitalize()}{'' if line.counts else ', dashed'}: {wording.strategy_title(line.strategy)}."
        for colour, line in lines
    ]
