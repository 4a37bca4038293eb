"""Reading documents from folders and tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.errors import RequestError
from eval.reading.documents import DocumentFile, read_documents


def write_pdf(path: Path, pages: list[str]) -> None:
    """A minimal PDF by hand; an empty string gives a page without text."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    kids = []
    for text in pages:
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        resources = "<< /Font << /F1 3 0 R >> >>"
        box = "/MediaBox [0 0 612 792]"
        objects.append(f"<< /Type /Page /Parent 2 0 R {box} /Resources {resources} /Contents {len(objects)} 0 R >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    content, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    content += f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
    path.write_text(f"{content}startxref\n{content.index('xref')}\n%%EOF\n")


def texts(file: DocumentFile) -> dict[str, str]:
    return {document.id: document.text for document in file.documents}


def test_a_folder_is_read_recursively_in_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.md").write_text("# Returns\n\nWithin 30 days.")
    (tmp_path / "a.txt").write_bytes("Größe".encode("cp1252"))
    file = read_documents(tmp_path)
    assert texts(file) == {"a.txt": "Größe", "sub/b.md": "# Returns\n\nWithin 30 days."}
    assert [document.title for document in file.documents] == ["a", "Returns"]
    assert file.findings == ()


def test_files_of_tools_are_no_documents(tmp_path: Path) -> None:
    """A Mac's archive holds a second file for each, of the same type."""
    folder = tmp_path / ".given"
    for name in ("a.txt", "__MACOSX/._a.txt", "__MACOSX/b.txt", "sub/._c.txt", "sub/.DS_Store", ".git/d.md", "..e.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text")
    file = read_documents(folder)
    assert list(texts(file)) == ["a.txt"]
    assert file.findings == ()


def test_names_of_files_are_cleaned_as_their_text_is(tmp_path: Path) -> None:
    (tmp_path / "re\u0301clame.txt").write_text("pre\u0301nom")
    (document,) = read_documents(tmp_path).documents
    assert (document.id, document.title, document.text) == ("réclame.txt", "réclame", "prénom")


def test_html_gives_its_visible_text_and_title(tmp_path: Path) -> None:
    html = "<html><head><title>T</title><style>p {}</style></head><body><p>Some <b>bold</b> text<br>next</p>"
    (tmp_path / "a.html").write_text(html + "<ul><li>one</li><li>two</li></ul><script>x()</script></body></html>")
    (document,) = read_documents(tmp_path).documents
    assert (document.title, document.text) == ("T", "Some bold text\nnext\n\none\n\ntwo")


def test_html_questions_and_answers_stand_on_lines_of_their_own(tmp_path: Path) -> None:
    parts = ["<details><summary>How do I pay?</summary>By card.</details>", "<table><caption>Fees</caption></table>"]
    parts += ["Ten euros<hr>for", "<ul>all</ul>", "<form><label>Name</label><button>Send</button></form>"]
    parts += ["<select><option>one<option>two</select>", "<fieldset><legend>Pay</legend>now</fieldset>"]
    (tmp_path / "a.html").write_text(f"<html><body>{''.join(parts)}</body></html>")
    (text,) = texts(read_documents(tmp_path)).values()
    lines = ["How do I pay?", "By card.", "Fees", "Ten euros", "for", "all", "Name", "Send", "one", "two", "Pay", "now"]
    assert text.split("\n\n") == lines


def test_an_icons_title_is_not_the_documents(tmp_path: Path) -> None:
    icon = "<body><svg><title>Menu</title></svg><p>Text</p></body>"
    (tmp_path / "a.html").write_text(f"<html>{icon}</html>")
    (tmp_path / "b.html").write_text(f"<html><head><meta charset=utf-8><title>Fees</title></head>{icon}</html>")
    documents = read_documents(tmp_path).documents
    assert [(document.title, document.text) for document in documents] == [("a", "Text"), ("Fees", "Text")]


def test_docx_gives_paragraphs_and_tables_in_order(tmp_path: Path) -> None:
    from docx import Document

    source = Document()
    source.add_paragraph("Before")
    table = source.add_table(2, 2)
    for cell, text in zip([*table.rows[0].cells, table.rows[1].cells[0]], ["Fee", "5", "wide"], strict=True):
        cell.text = text
    table.rows[1].cells[0].merge(table.rows[1].cells[1])
    source.add_paragraph("After")
    source.save(str(tmp_path / "a.docx"))
    assert texts(read_documents(tmp_path)) == {"a.docx": "Before\n\nFee | 5\n\nwide\n\nAfter"}


def test_docx_gives_insertions_content_controls_and_nested_tables(tmp_path: Path) -> None:
    from docx import Document
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    def run(text: str, tag: str = "t") -> str:
        return f'<w:r><w:{tag} xml:space="preserve">{text}</w:{tag}></w:r>'

    def control(content: str) -> str:
        return f"<w:sdt><w:sdtPr><w:id w:val='1'/></w:sdtPr><w:sdtContent>{content}</w:sdtContent></w:sdt>"

    tracked = f"<w:ins>{run('14')}</w:ins><w:del>{run('30', 'delText')}</w:del><w:moveFrom>{run('x')}</w:moveFrom>"
    smart = f"<w:smartTag w:element='x'>{run(' in all')}</w:smartTag>"
    inserted = f"<w:p>{run('Within ')}{tracked}{control(run(' days'))}{smart}</w:p>"
    row = f"<w:tr><w:tc><w:p>{run('in a row')}</w:p></w:tc></w:tr>"
    source = Document()
    end = source.element.body[-1]
    for xml in (inserted, control(f"<w:p>{run('Controlled')}<w:r><w:br/></w:r>{run('text')}</w:p>")):
        end.addprevious(parse_xml(xml.replace(">", f" {nsdecls('w')}>", 1)))
    cell = source.add_table(1, 1).cell(0, 0)
    cell.text = "Outer"
    cell.add_table(1, 2).cell(0, 0).text = "inner"
    cell.tables[0].cell(0, 1).text = "5"
    source.tables[0]._tbl.append(parse_xml(control(row).replace(">", f" {nsdecls('w')}>", 1)))
    source.save(str(tmp_path / "a.docx"))
    lines = ["Within 14 days in all", "Controlled\ntext", "Outer", "inner | 5", "in a row"]
    assert texts(read_documents(tmp_path))["a.docx"].split("\n\n") == lines


def test_docx_gives_formulas_words_with_their_reading_and_runs_of_a_set_direction(tmp_path: Path) -> None:
    from docx import Document
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    def signs(text: str) -> str:
        return f"<m:r><m:t>{text}</m:t></m:r>"

    run = "<w:r><w:t>{}</w:t></w:r>".format
    reading = f"<w:ruby><w:rubyPr/><w:rt>{run('やくしょ')}</w:rt><w:rubyBase>{run('役所')}</w:rubyBase></w:ruby>"
    power = f"<m:sSup><m:e>{signs('r')}</m:e><m:sup>{signs('2')}</m:sup></m:sSup>"
    fraction = f"<m:f><m:num>{signs('a+b')}</m:num><m:den>{signs('12')}</m:den></m:f>"
    bracket = f"<m:oMathPara><m:oMath>{signs('2')}<m:d><m:e>{signs('x-1')}</m:e></m:d></m:oMath></m:oMathPara>"
    source = Document()
    for xml in (
        f"{run('申請は')}<w:r>{reading}</w:r>{run('の窓口')}",
        f"<w:bdo w:val='ltr'>{run('03-555')}</w:bdo><w:dir w:val='rtl'>{run('1234')}</w:dir>",
        f"<m:oMath>{signs('A=')}{power}{signs('+')}{fraction}</m:oMath>{run(' in all')}",
        bracket,
    ):
        source.element.body[-1].addprevious(parse_xml(f"<w:p {nsdecls('w', 'm')}>{xml}</w:p>"))
    source.save(str(tmp_path / "a.docx"))
    lines = ["申請は役所の窓口", "03-5551234", "A=r^2+(a+b)/12 in all", "2(x-1)"]
    assert texts(read_documents(tmp_path))["a.docx"].split("\n\n") == lines


PRICES = [("", "Express", "Standard"), ("France", "", "5.00"), ("Spain", "7.00", "")]


def table_of(path: Path, rows: list[tuple[str, ...]]) -> None:
    """A table as a page has it, or as a Word file does."""
    if path.suffix == ".html":
        in_rows = ("".join(f"<td><p>{cell}</p></td>" for cell in row) for row in rows)
        path.write_text(f"<table><tbody>{''.join(f'<tr>{cells}</tr>' for cells in in_rows)}</tbody></table>")
        return
    from docx import Document

    source = Document()
    table = source.add_table(0, len(rows[0]))
    for row in rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    source.save(str(path))


@pytest.mark.parametrize("name", ["a.html", "a.docx"])
def test_a_row_of_a_table_is_a_line_in_which_each_cell_keeps_its_column(tmp_path: Path, name: str) -> None:
    table_of(tmp_path / name, [*PRICES, ("", "", "")])
    (text,) = texts(read_documents(tmp_path)).values()
    assert text.splitlines() == ["– | Express | Standard", "France | – | 5.00", "Spain | 7.00 | –"]


def test_a_cell_of_several_columns_or_rows_is_given_in_each(tmp_path: Path) -> None:
    from docx import Document

    page = "<table><tr><td colspan=3>Prices<tr><th rowspan=2>EU<td colspan=2>5<tr><td>7<br>net<td></table>"
    (tmp_path / "a.html").write_text(page)
    source = Document()
    table = source.add_table(3, 3)
    cells = [row.cells for row in table.rows]
    for (top, left), (bottom, right), text in [
        ((0, 0), (0, 2), "Prices"),
        ((1, 0), (2, 0), "EU"),
        ((1, 1), (1, 2), "5"),
        ((2, 1), (2, 1), "7\nnet"),
    ]:
        cells[top][left].merge(cells[bottom][right]).text = text
    source.save(str(tmp_path / "a.docx"))
    for text in texts(read_documents(tmp_path)).values():
        assert text == "Prices\n\nEU | 5 | 5\nEU | 7 net | –"


def test_a_long_cell_of_several_columns_and_rows_is_given_once(tmp_path: Path) -> None:
    from docx import Document

    long = "The fee is due. " * 20
    page = f"<table><tr><td rowspan=2 colspan=2>{long}<td>1<tr><td>2<tr><td>a<td>b<td>3</table>"
    (tmp_path / "a.html").write_text(page)
    source = Document()
    table = source.add_table(3, 3)
    table.cell(0, 0).merge(table.cell(1, 1)).text = long
    for place, text in {(0, 2): "1", (1, 2): "2", (2, 0): "a", (2, 1): "b", (2, 2): "3"}.items():
        table.cell(*place).text = text
    source.save(str(tmp_path / "b.docx"))
    page_text, word_text = texts(read_documents(tmp_path)).values()
    assert page_text.split("\n\n") == [f"{long}| 1", "2", "a | b | 3"]
    assert word_text.splitlines() == [f"{long}| – | 1", "– | – | 2", "a | b | 3"]


def test_a_table_that_frames_a_page_keeps_the_lines_in_it(tmp_path: Path) -> None:
    inner = "<table><tr><td>a<td></tr></table>"
    (tmp_path / "a.html").write_text(f"<table><tr><td><h2>Fees</h2><p>One</p>{inner}<p>Two</p><td>Menu</tr></table>")
    (text,) = texts(read_documents(tmp_path)).values()
    assert text.split("\n\n") == ["## Fees", "One", "a | –", "Two", "Menu"]


def test_headings_are_those_of_markdown(tmp_path: Path) -> None:
    from docx import Document
    from docx.enum.style import WD_STYLE_TYPE

    headings = "<h1>Plans</h1><p>Some text</p><h2>Gold <br><b>plan</b></h2><h3></h3>"
    (tmp_path / "a.html").write_text(f"<title>T</title>{headings}")
    source = Document()
    own = source.styles.add_style("Kapitel", WD_STYLE_TYPE.PARAGRAPH)
    own.base_style = source.styles["Heading 2"]
    source.add_heading("Plans", 1)
    source.add_paragraph("Some text")
    source.add_paragraph("Gold\nplan", own)
    source.add_heading("", 3)
    source.save(str(tmp_path / "b.docx"))
    page, word = read_documents(tmp_path).documents
    assert page.title == "T"
    assert page.text == word.text == "# Plans\n\nSome text\n\n## Gold plan"


def test_styles_that_are_based_on_each_other_are_no_headings(tmp_path: Path) -> None:
    from docx import Document
    from docx.enum.style import WD_STYLE_TYPE

    source = Document()
    one, other = (source.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH) for name in ("One", "Other"))
    one.base_style, other.base_style = other, one
    source.add_paragraph("Some text", one)
    source.save(str(tmp_path / "a.docx"))
    assert texts(read_documents(tmp_path)) == {"a.docx": "Some text"}


def test_code_of_a_page_keeps_its_indentation(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>Run</p><pre>\ndef f(x):<br>    <b>return</b>  1\n# end\n</pre>")
    (text,) = texts(read_documents(tmp_path)).values()
    assert text == "Run\n\n```\ndef f(x):\n    return  1\n# end\n```"


def test_docx_gives_text_boxes_notes_headers_and_footers(tmp_path: Path) -> None:
    from docx import Document
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    def paragraph(content: str) -> str:
        return f"<w:p {nsdecls('w')}>{content}</w:p>"

    def run(text: str) -> str:
        return f"<w:r><w:t>{text}</w:t></w:r>"

    def box(*texts: str) -> str:
        return f"<w:pict><w:txbxContent>{''.join(paragraph(run(text)) for text in texts)}</w:txbxContent></w:pict>"

    source = Document()
    end = source.element.body[-1]
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    both = f"<mc:Choice>{box('In a box', 'with lines')}</mc:Choice><mc:Fallback>{box('In a box')}</mc:Fallback>"
    boxes = f"<w:r><mc:AlternateContent {mc}>{both}</mc:AlternateContent></w:r><w:r>{box('In another')}</w:r>"
    for content in (run("Before") + boxes, run("Fees apply") + "<w:r><w:footnoteReference w:id='2'/></w:r>" + run(".")):
        end.addprevious(parse_xml(paragraph(content)))
    was = "<w:r><w:rPr><w:strike/></w:rPr><w:t>5.90</w:t></w:r>"
    note = f"<w:footnote w:id='2'>{paragraph(was + run('4.90 EUR'))}</w:footnote>"
    notes = f"<w:footnotes {nsdecls('w')}><w:footnote w:id='0'><w:p/></w:footnote>{note}</w:footnotes>"
    part = Part(PackURI("/word/footnotes.xml"), "application/xml", notes.encode(), source.part.package)
    kinds = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    source.part.relate_to(part, f"{kinds}/footnotes")
    source.sections[0].header.paragraphs[0].text = "Valid from 1 May"
    source.sections[0].footer.paragraphs[0].text = "Example Ltd"
    source.settings.odd_and_even_pages_header_footer = True
    source.sections[0].even_page_footer.paragraphs[0].text = "Example Street"
    source.add_section()
    source.save(str(tmp_path / "a.docx"))
    lines = [
        "Valid from 1 May",
        "Before",
        "In a box",
        "with lines",
        "In another",
        "Fees apply (4.90 EUR).",
        "Example Ltd",
        "Example Street",
    ]
    assert texts(read_documents(tmp_path))["a.docx"].split("\n\n") == lines


def test_html_source_lines_are_no_lines_and_what_is_struck_is_not_read(tmp_path: Path) -> None:
    page = "<p>The fee is\n  due <!-- soon --> on<br>the first\nday.</p>\n<p>Loan: <del>49</del> <s>45</s> 39 EUR</p>"
    page += "<p>Now <span hidden>12</span><b style='display: none'>13</b> 14</p>"
    page += "<p style='text-decoration:line-through'>x</p><p>Open?<div hidden>Until noon</div>"
    (tmp_path / "a.html").write_text(page)
    (text,) = texts(read_documents(tmp_path)).values()
    assert text.split("\n\n") == ["The fee is due on\nthe first day.", "Loan: 39 EUR", "Now 14", "Open?", "Until noon"]


def test_superscripts_are_told_from_the_figures_before_them(tmp_path: Path) -> None:
    from docx import Document
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    pieces = [["10", "3", " of 5 m", "2", " are 8", "1", ", 7×10", "−6", " of the 2", "nd", " plant"]]
    pieces.append(["", "1", "net", " a month"])
    page = (
        "".join(f"<sup>{piece}</sup>" if place % 2 else piece for place, piece in enumerate(line)) for line in pieces
    )
    links = "<p>6<sup><a href='#fn4'>4</a></sup></p><p>&nbsp;<sup>4</sup> a</p>"
    links += "<p><sup>4</sup>/<sub>9</sub> or <sup>4</sup>&frasl;9, €<sup>4</sup>/day</p>"
    links += "<p><a href='x'>Article 1<sup>er</sup></a></p>"
    (tmp_path / "a.html").write_text("".join(f"<p>{line}</p>" for line in page) + links)
    source = Document()
    for line in [*pieces, ["6", "4 ", "a"]]:
        paragraph = source.add_paragraph()
        for place, piece in enumerate(line):
            for run in map(paragraph.add_run, piece):  # as Word breaks them up
                run.font.superscript = bool(place % 2)
    link = source.add_paragraph("8")._p
    link.append(parse_xml(f"<w:hyperlink {nsdecls('w')}/>"))
    link[-1].append(source.paragraphs[0].runs[2]._r.__copy__())
    source.save(str(tmp_path / "b.docx"))
    lines = ["10^3 of 5 m2 are 8 (1), 7×10^−6 of the 2nd plant", "(1) net a month"]
    page_text, word_text = texts(read_documents(tmp_path)).values()
    assert page_text.split("\n\n") == [*lines, "6 (4)", "(4) a", "4/9 or 4\u20449, € (4)/day", "Article 1er"]
    assert word_text.split("\n\n") == [*lines, "6^4 a", "8^3"]


def test_docx_gives_nothing_that_is_struck_or_hidden(tmp_path: Path) -> None:
    from docx import Document

    source = Document()
    paragraph = source.add_paragraph("The fee is ")
    for text, mark in (("49", "strike"), ("45", "double_strike"), ("12", "hidden")):
        setattr(paragraph.add_run(text).font, mark, True)
    paragraph.runs[-1].font.strike = True
    paragraph.add_run("39 EUR").font.strike = False
    source.save(str(tmp_path / "a.docx"))
    assert texts(read_documents(tmp_path)) == {"a.docx": "The fee is 39 EUR"}


def test_the_title_of_a_word_file_is_its_title(tmp_path: Path) -> None:
    from docx import Document
    from docx.enum.style import WD_STYLE_TYPE

    source = Document()
    own = source.styles.add_style("Cover", WD_STYLE_TYPE.PARAGRAPH)
    own.base_style = source.styles["Title"]
    source.add_paragraph("", own)
    source.add_paragraph("Dishwasher\nAqua 300", own)
    source.add_heading("Warranty", 1)
    source.save(str(tmp_path / "BA_4711.docx"))
    (document,) = read_documents(tmp_path).documents
    assert (document.title, document.text) == ("Dishwasher Aqua 300", "Dishwasher\nAqua 300\n\n# Warranty")


def test_docx_gives_the_numbers_of_headings_and_lists(tmp_path: Path) -> None:
    from docx import Document
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    def level(place: int, form: str, text: str, start: int = 1) -> str:
        form, text = f'<w:numFmt w:val="{form}"/>', f'<w:lvlText w:val="{text}"/>'
        return f'<w:lvl w:ilvl="{place}"><w:start w:val="{start}"/>{form}{text}</w:lvl>'

    layouts = {
        "90": level(0, "decimal", "§ %1") + level(1, "decimal", "%1.%2"),
        "91": level(0, "lowerLetter", "%1)", 25) + level(1, "upperRoman", "(%2)", 4),
        "92": level(0, "bullet", "o"),
    }
    source = Document()
    numbering = source.part.numbering_part.element
    for name, levels in layouts.items():
        layout = f'<w:abstractNum {nsdecls("w")} w:abstractNumId="{name}">{levels}</w:abstractNum>'
        numbering.insert(0, parse_xml(layout))
        numbering.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="{name}"><w:abstractNumId w:val="{name}"/></w:num>'))
    again = '<w:abstractNumId w:val="91"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride>'
    numbering.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="93">{again}</w:num>'))

    def numbered(text: str, number: int, place: int = 0) -> None:
        numbers = f'<w:ilvl w:val="{place}"/><w:numId w:val="{number}"/>'
        source.add_paragraph(text)._p.get_or_add_pPr().append(parse_xml(f"<w:numPr {nsdecls('w')}>{numbers}</w:numPr>"))

    of_style = f'<w:numPr {nsdecls("w")}><w:numId w:val="90"/></w:numPr>'
    source.styles["Heading 1"].element.get_or_add_pPr().append(parse_xml(of_style))
    source.add_heading("Fees", 1)
    numbered("Monthly", 90, 1)
    numbered("Yearly", 90, 1)
    source.add_heading("Notice", 1)
    numbered("Written", 90, 1)
    for text in ("post", "", "fax"):
        numbered(text, 91)
    numbered("signed", 91, 1)
    numbered("a bullet", 92)
    numbered("from the start", 93)
    numbered("none", 0)
    source.save(str(tmp_path / "a.docx"))
    assert texts(read_documents(tmp_path))["a.docx"].split("\n\n") == [
        "# § 1 Fees",
        "1.1 Monthly",
        "1.2 Yearly",
        "# § 2 Notice",
        "2.1 Written",
        "y) post",
        "aa) fax",
        "(IV) signed",
        "a bullet",
        "a) from the start",
        "none",
    ]


def test_pdf_pages_without_text_are_counted(tmp_path: Path) -> None:
    write_pdf(tmp_path / "a.pdf", ["First page", "", "Third page"])
    write_pdf(tmp_path / "scan.pdf", ["", ""])
    write_pdf(tmp_path / "one.pdf", [""])
    file = read_documents(tmp_path)
    assert texts(file) == {"a.pdf": "First page\n\nThird page"}
    files, pages = file.findings
    assert (files.code, files.rows) == ("unread_documents", ("one.pdf", "scan.pdf"))
    assert "one.pdf (no text on its 1 page, scanned?), scan.pdf (no text on its 2 pages, scanned?)" in files.message
    assert (pages.code, pages.count, pages.rows) == ("unread_documents", 1, ("a.pdf",))


def pdf_lines(*lines: str) -> str:
    """What `write_pdf` takes for a page of several lines."""
    return ") Tj 0 -16 Td (".join(lines)


def test_words_that_a_pdf_breaks_at_the_end_of_a_line_are_whole(tmp_path: Path) -> None:
    lines = ["A decla-", "ration for the long-", "term; a long-term con-", "tract of Smith-", "Jones, and in-"]
    write_pdf(tmp_path / "a.pdf", [pdf_lines(*lines, "and outgoing")])
    read = ["A declaration for the long-term; a long-term contract of Smith-", "Jones, and in-", "and outgoing"]
    assert texts(read_documents(tmp_path))["a.pdf"].splitlines() == read


def test_what_runs_along_the_pages_of_a_pdf_stands_once_and_no_sentence_is_cut_by_it(tmp_path: Path) -> None:
    prose = ["Claims are handed", "in within ninety days. Taxis", "are not paid."]
    pages = [pdf_lines("Travel 3.2", "intern", text, f"Page {n} of 4", "ACME") for n, text in enumerate(prose, 1)]
    write_pdf(tmp_path / "a.pdf", [*pages, pdf_lines("Travel 3.2", "intern", "Page 4 of 4", "ACME")])
    file = read_documents(tmp_path)
    lines = "Claims are handed\nin within ninety days. Taxis\nare not paid."
    assert texts(file) == {"a.pdf": f"Travel 3.2\n\nintern\n\n{lines}\n\nACME"}
    assert "a.pdf (1 of 4)" in file.findings[0].message


def test_left_and_right_pages_of_a_pdf_have_running_heads_of_their_own(tmp_path: Path) -> None:
    pages = [pdf_lines(f"{n} Travel" if n % 2 else f"Claims {n}", f"Text of page {n * n}.") for n in range(7, 14)]
    write_pdf(tmp_path / "a.pdf", pages)
    assert texts(read_documents(tmp_path))["a.pdf"].split("\n\n") == [f"Text of page {n * n}." for n in range(7, 14)]


def test_rows_of_a_pdf_are_no_running_heads_and_what_heads_them_is_left(tmp_path: Path) -> None:
    rows = [f"Lamp {n} {n} EUR" for n in range(12)]
    write_pdf(tmp_path / "a.pdf", [pdf_lines("Product Price", *rows[n : n + 3]) for n in range(0, 12, 3)])
    assert texts(read_documents(tmp_path))["a.pdf"].split() == " ".join(["Product Price", *rows]).split()
    stock = [(f"Lamp {n * n}", "In stock" if n % 5 < 3 else "Sold out") for n in range(10)]
    write_pdf(tmp_path / "a.pdf", [pdf_lines(*page) for page in stock])
    assert texts(read_documents(tmp_path))["a.pdf"].split("\n") == [line for page in stock for line in page]
    write_pdf(tmp_path / "a.pdf", ["Same line"] * 2)
    assert texts(read_documents(tmp_path)) == {"a.pdf": "Same line\nSame line"}


def test_ligatures_are_the_letters_that_they_draw(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The o\ufb03ce \ufb01les \ufb02at \ufb06amps.")
    assert texts(read_documents(tmp_path)) == {"a.txt": "The office files flat stamps."}


@pytest.mark.parametrize("cipher", ["RC4-128", "AES-256"])
def test_a_pdf_is_read_unless_it_needs_a_password_to_be_opened(tmp_path: Path, cipher: str) -> None:
    from pypdf import PdfWriter

    write_pdf(tmp_path / "plain.pdf", ["Opening hours"])
    for name, password in (("open.pdf", ""), ("shut.pdf", "secret")):
        writer = PdfWriter(clone_from=tmp_path / "plain.pdf")
        writer.encrypt(password, owner_password="owner", algorithm=cipher)
        writer.write(tmp_path / name)
    file = read_documents(tmp_path)
    assert texts(file) == {"open.pdf": "Opening hours", "plain.pdf": "Opening hours"}
    assert "shut.pdf (needs a password)" in file.findings[0].message


def test_whatever_yields_no_text_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "good.txt").write_text("text")
    (tmp_path / "blank.txt").write_text(" \n")
    (tmp_path / "broken.docx").write_bytes(b"PK nonsense")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF nonsense")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "binary.txt").write_bytes(b"\x00\x01")
    file = read_documents(tmp_path)
    assert list(texts(file)) == ["good.txt"]
    (finding,) = file.findings
    assert finding.rows == ("binary.txt", "blank.txt", "broken.docx", "broken.pdf", "picture.png")
    assert finding.count == 5
    assert "picture.png (unknown type .png)" in finding.message
    assert not caplog.records, "nor does a library say it once more"


def test_a_word_file_with_a_password_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(bytes.fromhex("D0CF11E0A1B11AE1"))
    with pytest.raises(RequestError, match=r"a\.docx: needs a password, or is in the format of Word 2003"):
        read_documents(tmp_path)


def test_links_that_leave_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "outside").mkdir()
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.txt").write_text("text")
    (folder / "b.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "inside.txt").symlink_to(folder / "a.txt")
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    (folder / "out").symlink_to(tmp_path / "outside")
    file = read_documents(folder)
    assert list(texts(file)) == ["a.txt", "inside.txt"]
    assert file.findings[0].rows == ("b.txt", "loop.txt", "out")


def test_a_table_gives_one_document_a_row(tmp_path: Path) -> None:
    path = tmp_path / "corpus.csv"
    path.write_text("doc_id,Title,Passage\nd1,T,one\nd1,,two\nd3,,\n")
    file = read_documents(path)
    assert [(d.id, d.title, d.text) for d in file.documents] == [("d1", "T", "one"), ("row-2", "", "two")]
    assert [finding.rows for finding in file.findings] == [("d3",)]


def test_columns_of_a_table_that_are_no_part_of_its_documents_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,title,text,hours,empty,price\nd1,T,one,9 to 5,,3\n")
    (finding,) = read_documents(tmp_path / "a.csv").findings
    assert finding.message == 'Read "text" and "title" of a.csv as the documents. Not read: "hours" and "price".'
    assert (finding.code, finding.action) == ("column_mapping", 'Write into "text" what answers need of them.')


def test_a_single_file_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    assert texts(read_documents(tmp_path / "a.txt")) == {"a.txt": "text"}


def test_documents_without_any_text_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="No text was found"):
        read_documents(tmp_path)
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(RequestError, match=r"a\.png: unknown type"):
        read_documents(tmp_path)
    with pytest.raises(RequestError, match="does not exist"):
        read_documents(tmp_path / "no")
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(RequestError, match=r"a\.zip is packed: unpack it"):
        read_documents(tmp_path / "a.zip")
    with pytest.raises(RequestError, match=r"unknown type.*\.pdf"):
        read_documents(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("foo,bar\n1,2\n")
    with pytest.raises(RequestError, match='"foo" and "bar"'):
        read_documents(tmp_path / "t.csv")
    (tmp_path / "e.csv").write_text("id,text\n1,\n")
    with pytest.raises(RequestError, match='empty "text"'):
        read_documents(tmp_path / "e.csv")
