"""Reading examples from tables."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from eval.audit.injection import prompt_injection
from eval.errors import RequestError
from eval.findings import Finding
from eval.reading.columns import map_inputs
from eval.reading.examples import ExampleFile, read_examples
from eval.reading.tables import read_table
from eval.reading.text import MARKS, UNSPACED

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, content: str | bytes | list[Any], encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        if isinstance(content, list):
            content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
        path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
        return path

    return write_file


def pairs(file: ExampleFile) -> list[tuple[str, str]]:
    return [(example.input, example.target) for example in file.examples]


def found(file: ExampleFile, code: str) -> Finding:
    return next(finding for finding in file.findings if finding.code == code)


def codes(file: ExampleFile) -> set[str]:
    return {finding.code for finding in file.findings}


def test_a_finding_has_a_code_from_the_closed_set() -> None:
    with pytest.raises(ValueError, match="made_up"):
        Finding("made_up", "info", 0, (), "", "")


# --- formats


def test_json_lines_are_read_and_the_mapping_is_stated(write: Write) -> None:
    file = read_examples(write("a.jsonl", [{"question": "Who?", "answer": " Ada\r\nL. "}]))
    assert pairs(file) == [("Who?", "Ada\nL.")]
    assert found(file, "column_mapping").message == 'Read "question" as the input and "answer" as the output.'


def test_a_broken_line_is_reported_by_its_physical_number_and_reading_goes_on(write: Write) -> None:
    text = '{"input": "a", "output": "x"}\n\n{"input": "b", "outp\n[1]\n{"input": "c", "output": "x"}\n'
    file = read_examples(write("a.jsonl", text))
    assert [(e.input, e.row) for e in file.examples] == [("a", 1), ("c", 2)]
    assert found(file, "unparseable_rows").rows == ("line 3", "line 4")
    assert found(file, "empty_input").rows == ("line 2",)


def test_the_nested_form_of_squad_is_a_row_for_each_question(write: Write) -> None:
    answers = [{"text": "blue", "answer_start": 11}, {"text": "light blue", "answer_start": 11}]
    qas = [
        {"id": "a", "question": "Which colour?", "answers": answers},
        {"id": "b", "question": "Which smell?", "is_impossible": True, "answers": []},
    ]
    articles = [{"paragraphs": [{"context": "The sky is blue.", "qas": qas}]}, {"title": "Empty", "paragraphs": []}]
    file = read_examples(write("a.json", json.dumps({"version": "2.0", "data": articles})))
    (example,) = file.examples
    assert (example.id, example.targets) == ("a", ("blue", "light blue"))
    assert example.input == "question: Which colour?\ncontext: The sky is blue."
    assert found(file, "empty_output").rows == ("b",)
    mixed = read_examples(write("c.json", json.dumps([*articles, "not an article"])))
    assert found(mixed, "unparseable_rows").count == 1, "nothing is dropped in silence"
    other = read_examples(write("b.json", json.dumps([{"paragraphs": [], "text": "x", "label": "y"}])))
    assert other.examples[0].input == "x", "another file with a column of this name is read as it is"


def test_a_line_separator_inside_a_json_string_ends_no_line(write: Write) -> None:
    file = read_examples(write("a.jsonl", '{"input": "a\u2028b", "output": "x"}\n'))
    assert pairs(file) == [("a\u2028b", "x")]
    assert codes(file) == {"column_mapping"}


def test_lone_surrogates_are_replaced_so_that_results_can_be_written(write: Write) -> None:
    file = read_examples(write("a.jsonl", '{"input": "a\\ud800b", "output": "\\ud83d\\ude00"}\n'))
    assert pairs(file) == [("a\ufffdb", "😀")]


def test_soft_hyphens_are_no_part_of_a_word(write: Write) -> None:
    row = '{"input": "Kün\u00addi\u00ad\\ngung", "output": "vier\u00adzehn"}\n'
    assert pairs(read_examples(write("a.jsonl", row))) == [("Kündigung", "vierzehn")]


def test_small_and_large_numbers_are_written_out(write: Write) -> None:
    rows = '{"input": "a", "output": 0.00001}\n{"input": "b", "output": 1e22}\n{"input": "c", "output": -1.5e-7}\n'
    outputs = [output for _, output in pairs(read_examples(write("a.jsonl", rows)))]
    assert outputs == ["0.00001", "10000000000000000000000", "-0.00000015"]


def test_names_of_columns_are_cleaned_as_cells_are(write: Write) -> None:
    row = '{"input": "a", "output": "x", "note\\ud83d": "n", "e\u0301tat ": 1, "\u00e9tat": 2}\n'
    file = read_examples(write("a.jsonl", row))
    assert file.columns == {
        "input": ("a",),
        "output": ("x",),
        "note\ufffd": ("n",),
        "\u00e9tat": ("1",),
        "\u00e9tat (2)": ("2",),
    }
    for finding in file.findings:
        finding.said.encode()


def test_a_letter_is_the_same_however_its_marks_are_written(write: Write) -> None:
    rows = [
        '{"input": "ho\u0301a \u0111o\u031bn", "output": "re\u0301clame"}',
        '{"input": {"nom": "Zoe\u0308"}, "output": "x"}',
    ]
    file = read_examples(write("a.jsonl", "\n".join(rows)))
    assert pairs(file) == [("hóa đơn", "réclame"), ('{"nom": "Zoë"}', "x")]


@pytest.mark.parametrize(
    "text",
    [
        '[{"input": "a", "output": "x"}]',
        '{"version": 1, "tags": ["t"], "data": [{"input": "a", "output": "x"}]}',
        '{"input": "a", "output": "x"}\n{"input": "", "output": "x"}',
    ],
    ids=["list", "list inside an object", "lines under the wrong name"],
)
def test_json_is_read_as_a_list_or_an_object_with_one(write: Write, text: str) -> None:
    assert pairs(read_examples(write("a.json", text))) == [("a", "x")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_detected_and_stated_unless_it_is_the_comma(write: Write, delimiter: str) -> None:
    text = delimiter.join(["text", "label"]) + "\r\n" + delimiter.join(['"a, b; c\nd"', "x"]) + "\r\n"
    file = read_examples(write("a.csv", text))
    assert pairs(file) == [("a, b; c\nd", "x")]
    assert ("encoding_assumed" in codes(file)) is (delimiter != ",")


def test_excels_separator_line_is_obeyed(write: Write) -> None:
    assert pairs(read_examples(write("a.csv", "sep=;\r\ntext;label\r\na,b;x\r\n"))) == [("a,b", "x")]


GERMAN = "Größe – „Straße“ für 5 € über Öl, schöne Grüße aus München, es heißt ja."
RUSSIAN = "Здравствуйте, я не могу войти в свой личный кабинет, пароль не подходит."
POLISH = "Zażółć gęślą jaźń, proszę o zwrot pieniędzy, ponieważ paczka przyszła uszkodzona."
CZECH = "Balík nedorazil včas, a zboží nefunguje. Prosím o vrácení peněz. Kdy přijde faktura za říjen?"
HUNGARIAN = "A csomag nem érkezett meg időben, és a termék hibás. A jelszó módosítása nem működik, kérem segítsenek."
TURKISH = "Paket zamanında gelmediği için şikayetçiyim. Çalışmayan ürünü iade etmek istiyorum, teşekkür ederim."
ICELANDIC = "Pakkinn kom ekki á réttum tíma. Ég vil skila vörunni sem virkar ekki. Þakka þér fyrir skjót viðbrögð."
GREEK = "Το πακέτο δεν ήρθε στην ώρα του και το προϊόν είναι ελαττωματικό."
HEBREW = "החבילה לא הגיעה בזמן ואני רוצה להחזיר את המוצר"
ARABIC = "لم يصل الطرد في الوقت المحدد وأريد إعادة المنتج"
THAI = "พัสดุไม่มาถึงตรงเวลาและสินค้าชำรุด"
JAPANESE = "荷物が時間通りに届かないとお客様が苦情を言っています。"
CHINESE = "客户抱怨包裹没有按时到达。"
TAIWANESE = "客戶抱怨包裹沒有按時到達。"
KOREAN = "고객이 소포가 제시간에 도착하지 않았다고 불평합니다."


@pytest.mark.parametrize(
    ("text", "encoding", "stated"),
    [
        (GERMAN, "utf-8", False),
        (GERMAN, "utf-8-sig", False),
        (GERMAN, "utf-16", True),
        (GERMAN, "cp1252", True),
        (RUSSIAN, "cp1251", True),
        (POLISH, "cp1250", True),
        (CZECH, "cp1250", True),
        (HUNGARIAN, "cp1250", True),
        (TURKISH, "cp1254", True),
        ("İade istiyorum, giriş", "cp1254", True),
        (ICELANDIC, "cp1252", True),
        (GREEK, "cp1253", True),
        (RUSSIAN, "koi8_r", True),
        (RUSSIAN, "cp866", True),
        (HEBREW, "cp1255", True),
        (ARABIC, "cp1256", True),
        (THAI, "cp874", True),
        (JAPANESE, "cp932", True),
        (JAPANESE, "euc_jp", True),
        (CHINESE, "gb18030", True),
        (TAIWANESE, "big5", True),
        (KOREAN, "cp949", True),
        ("Où est le colis de Noël ? Très déçu.", "mac_roman", True),
        ("Die Lieferung kam später als angekündigt, der Schlüssel für die Tür fehlt.", "mac_roman", True),
        ("¿Cuándo llegará mi envío? El número de pedido no aparece. Mañana quiero la devolución.", "mac_roman", True),
        ("La commande est arrivée abîmée et le vendeur a refusé l'échange.", "cp850", True),
        (HUNGARIAN, "cp852", True),
    ],
)
def test_the_encoding_is_detected_and_stated_unless_it_is_utf8(
    write: Write, text: str, encoding: str, stated: bool
) -> None:
    file = read_examples(write("a.csv", f'text,label\n"{text}",x\n"{text}",y\n', encoding))
    assert pairs(file) == [(text, "x"), (text, "y")]
    assert ("encoding_assumed" in codes(file)) is stated


@pytest.mark.parametrize(
    "text",
    [
        "naïve résumé",
        "20°C outside",
        "it’s 5 €",
        "£20 is a lot",
        "Müller ruft an",
        "Ärger – Größe falsch",
        "señor",
        "Ýmir Þór á leið",
        "Herr Nový",
        "a word—another and wait…what",
        "l’été à CŒUR ouvert",
        "très•bien",
        "C’est «vraiment»nul",
    ],
)
def test_a_few_letters_of_a_western_file_are_read_as_windows_1252(write: Write, text: str) -> None:
    file = read_examples(write("a.csv", f"text,label\n{text},x\nall good,y\nnothing to add,x\n", "cp1252"))
    assert file.examples[0].input == text
    assert (
        "Windows-1252" in found(file, "encoding_assumed").message or "cp1252" in found(file, "encoding_assumed").message
    )


@pytest.mark.parametrize("broken", ["sp\u00c3\u00a4ter", "it\u00e2\u20ac\u2122s", "sp\ufffdter"])
def test_letters_that_an_export_spoiled_are_told(write: Write, broken: str) -> None:
    file = read_examples(write("a.jsonl", [{"text": text, "label": "x"} for text in ("NÃO é", broken, "später")]))
    told = found(file, "encoding_assumed")
    assert (told.severity, told.count, told.rows) == ("warning", 1, ("line 2",))
    assert len(file.examples) == 3


def test_rows_pasted_in_another_encoding_do_not_spoil_a_file(write: Write) -> None:
    lines = [f"Grüße: {number}. Anfrage,x\n".encode() for number in range(20)]
    lines[7] = "Herr Müller fragt,x\n".encode("cp1252")
    file = read_examples(write("a.csv", b"text,label\n" + b"".join(lines)))
    assert [e.input for e in file.examples[6:9]] == ["Grüße: 6. Anfrage", "Herr Müller fragt", "Grüße: 8. Anfrage"]
    assert (found(file, "encoding_assumed").severity, found(file, "encoding_assumed").rows) == ("warning", ("line 9",))


TITLED = "Open tickets,,\n\n# exported 2024,,\nid,text,label\n" + "".join(f"{n},ticket {n},x\n" for n in range(6))


@pytest.mark.parametrize("text", [TITLED, TITLED.replace(",,\n", "\n"), TITLED.replace(",", ";")])
def test_a_title_above_the_column_names_is_passed_over(write: Write, text: str) -> None:
    file = read_examples(write("a.csv", text))
    assert pairs(file) == [(f"ticket {number}", "x") for number in range(6)]
    assert "line 4" in next(f.message for f in file.findings if "title" in f.message)


def test_a_title_is_found_above_a_last_column_that_is_mostly_blank(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for row in [["Tickets 2024"], [], ["text", "label", "remark"], *([f"ticket {i}", "x"] for i in range(9))]:
        book.worksheets[0].append(row)
    book.worksheets[0].append(["ticket 9", "x", "late"])
    book.save(tmp_path / "a.xlsx")
    assert pairs(read_examples(tmp_path / "a.xlsx")) == [(f"ticket {i}", "x") for i in range(10)]


def test_semicolons_are_found_though_every_row_has_a_decimal_comma(write: Write) -> None:
    rows = "".join(f"parcel {i};{i},5\n" for i in range(9))
    assert pairs(read_examples(write("a.csv", f"text;output\n{rows}")))[0] == ("parcel 0", "0,5")


def formatted(path: Path, *cells: tuple[object, str]) -> ExampleFile:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(["text", "output"])
    for number, (value, look) in enumerate(cells, 2):
        sheet.append([f"item {number}", value])
        sheet.cell(number, 2).number_format = look
    book.save(path)
    return read_examples(path)


def test_a_workbooks_numbers_with_leading_zeros_are_codes(tmp_path: Path) -> None:
    file = formatted(tmp_path / "a.xlsx", (101, "0000"), (12345, "0000"), (0, "00;-00"), (7, "General"))
    assert [e.target for e in file.examples] == ["0101", "12345", "00", "7"]
    assert len(file.findings) == 1


def test_numbers_that_a_workbook_shows_otherwise_than_it_stores_them_are_told(tmp_path: Path) -> None:
    cells = [(0.15, "0%"), (0.2, "0%"), (1234.5, "#,##0.00"), (49.9, '0.00 "EUR"'), (3.14159, "0.00"), (-7, "00")]
    file = formatted(tmp_path / "a.xlsx", *cells)
    assert [e.target for e in file.examples] == ["0.15", "0.2", "1234.5", "49.9", "3.14159", "-7"]
    (said,) = [f for f in file.findings if "not as they are shown" in f.message]
    assert (said.code, said.severity, said.count) == ("column_mapping", "info", 1)
    assert 'of "output" 0.15 (in the format 0%), 1234.5 (in the format #,##0.00)' in said.message
    same = formatted(tmp_path / "b.xlsx", (49.9, "0.00"), (12, "#,##0"), (5.0, "0"), (2.5, "General"))
    assert len(same.findings) == 1


def test_a_workbooks_dates_are_dates(tmp_path: Path) -> None:
    from datetime import datetime

    from openpyxl import Workbook

    book = Workbook()
    for row in [["text", "output"], ["a", datetime(2024, 3, 1)], ["b", datetime(2024, 3, 1, 8, 30)]]:
        book.worksheets[0].append(row)
    book.save(tmp_path / "a.xlsx")
    assert pairs(read_examples(tmp_path / "a.xlsx")) == [("a", "2024-03-01"), ("b", "2024-03-01 08:30:00")]


def test_dates_and_durations_that_a_workbook_shows_otherwise_are_told(tmp_path: Path) -> None:
    cells = [(date(2024, 3, 1), "dd.mm.yyyy"), (date(2024, 3, 31), "mm-dd-yy"), (time(8, 30), "hh:mm")]
    cells.append((timedelta(hours=26, minutes=30), "[h]:mm"))
    file = formatted(tmp_path / "a.xlsx", *cells)
    assert [e.target for e in file.examples] == ["2024-03-01", "2024-03-31", "08:30:00", "26:30:00"]
    (said,) = [f for f in file.findings if "not as they are shown" in f.message]
    first = "2024-03-01 (in the format dd.mm.yyyy), 2024-03-31 (in the format of short dates)"
    assert f"{first}, 08:30:00 (in the format hh:mm), 26:30:00 (in the format [h]:mm)" in said.message
    plain = [(date(2024, 3, 1), "yyyy\\-mm\\-dd;@"), (time(8, 30), "h:mm:ss"), (timedelta(hours=26), "[h]:mm:ss")]
    assert len(formatted(tmp_path / "b.xlsx", *plain).findings) == 1


def test_a_workbooks_numbers_have_the_figures_that_excel_reckons_with(tmp_path: Path) -> None:
    file = formatted(tmp_path / "a.xlsx", (20 * 1.19, "General"), (0.1 + 0.2, "0.00"), (1e-7 / 3, "General"))
    assert [e.target for e in file.examples] == ["23.8", "0.3", "0.0000000333333333333333"]
    assert len(file.findings) == 1


def workbook(path: Path, *sheets: list[list[object]], merged: str = "") -> Path:
    from openpyxl import Workbook

    book = Workbook()
    for place, rows in enumerate(sheets):
        sheet = book.worksheets[0] if not place else book.create_sheet(f"Sheet{place + 1}")
        for row in rows:
            sheet.append(row)
    for area in merged.split():
        book.worksheets[0].merge_cells(area)
    book.save(path)
    return path


def test_a_cell_that_is_merged_over_rows_is_the_value_of_each(tmp_path: Path) -> None:
    rows = [["Tickets", None], ["label", "text"], ["x", "a"], [None, "b"], [None, "c"], ["y", "d"], [None, "e"]]
    file = read_examples(workbook(tmp_path / "a.xlsx", rows, merged="A1:B1 A3:A5 A6:A7"))
    assert pairs(file) == [("a", "x"), ("b", "x"), ("c", "x"), ("d", "y"), ("e", "y")]
    (told,) = [f for f in file.findings if "merged" in f.message]
    assert (told.code, told.severity, told.count) == ("column_mapping", "info", 3)


def test_a_cell_that_is_merged_far_beyond_the_rows_makes_no_further_ones(tmp_path: Path) -> None:
    rows = [["label", "text"], ["x", "a"], [None, "b"], ["y", "c"], [None, "d"]]
    file = read_examples(workbook(tmp_path / "a.xlsx", rows, merged="A2:A3 A4:A60"))
    assert pairs(file) == [("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")]
    assert [f.count for f in file.findings if f.code != "column_mapping" or "merged" in f.message] == [2]


def test_cells_with_an_error_of_the_spreadsheet_are_empty(tmp_path: Path, write: Write) -> None:
    rows = [["a", "x"], ["b", "#N/A"], ["c", "#N/A"], ["#NAME?", "x"], ["d", "y"]]
    book = workbook(tmp_path / "a.xlsx", [["text", "label"], *rows])
    for path in (book, write("a.csv", "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))):
        file = read_examples(path)
        assert pairs(file) == [("a", "x"), ("d", "y")]
        (told,) = [f for f in file.findings if "error" in f.message]
        assert (told.code, told.severity, told.rows) == ("column_mapping", "warning", ("line 3", "line 4", "line 5"))
        assert 'an error of the spreadsheet (#N/A, #NAME?) in "label", "text" of a.' in told.message


def test_a_sheet_that_may_be_the_one_that_is_meant_is_a_warning(tmp_path: Path) -> None:
    header, rows = ["text", "label"], [["a", "x"], ["b", "y"]]
    cover, list_ = [["Question", "Answer"], ["Who?", "Ada"]], [["Country"], ["Spain"], ["Chile"], ["Peru"]]
    others = {"cover": ([header, *rows],), "months": ([cover[0], ["When?", "May"]],), "plain": (list_, [["a", "b"]])}
    for name, sheets in others.items():
        file = read_examples(workbook(tmp_path / f"{name}.xlsx", cover, *sheets))
        assert pairs(file) == [("Who?", "Ada")]
        (told,) = [f for f in file.findings if "Read only the sheet" in f.message]
        assert (told.severity == "warning", "Of these, Sheet2 has" in told.message) == (name != "plain",) * 2


def test_a_workbook_with_a_password_says_so(write: Write) -> None:
    path = write("a.xlsx", bytes.fromhex("D0CF11E0A1B11AE1") + b"\0" * 600)
    with pytest.raises(RequestError, match="needs a password to be opened, or is in the format of Excel 2003"):
        read_examples(path)


def test_signs_that_a_workbook_writes_as_their_numbers_are_read(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for row in [["text", "output"], ["one_x000D_\ntwo", "a_x0020_b _xyz_"]]:
        book.worksheets[0].append(row)
    book.save(tmp_path / "a.xlsx")
    assert pairs(read_examples(tmp_path / "a.xlsx")) == [("one\ntwo", "a b _xyz_")]


def test_columns_that_are_missed_are_told_with_the_sheet_that_was_read(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.worksheets[0].title = "Cover"
    for row in [["Project", "Routing"], ["Client", "Ada"]]:
        book.worksheets[0].append(row)
    book.create_sheet("Data").append(["text", "label"])
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(RequestError, match=r'Read only the sheet "Cover" .*; not read: Data'):
        read_examples(tmp_path / "a.xlsx", input_columns=["text"])


@pytest.mark.parametrize(
    ("header", "read", "unread"),
    [
        ("Ticket,Subject,Body,Category", ("Body", "Category"), ' In neither: "Ticket" and "Subject".'),
        ("id,source,content,label", ("content", "label"), ' In neither: "source".'),
        ("email,body,category", ("body", "category"), ' In neither: "email".'),
        (
            "Created,Channel,text,label,A,B,C,D,E",
            ("text", "label"),
            ' In neither: "Created", "Channel", "A", "B", "C" and 2 others.',
        ),
        ("message,response,category", ("message", "response"), ' In neither: "category".'),
        ("Frage,Antwort", ("Frage", "Antwort"), ""),
    ],
)
def test_of_several_usual_columns_the_texts_are_read_and_the_others_named(
    header: str, read: tuple[str, str], unread: str, write: Write
) -> None:
    file = read_examples(write("a.csv", header + "\n" + ",".join(f"cell {n}" for n in range(header.count(",") + 1))))
    stated = f'Read "{read[0]}" as the input and "{read[1]}" as the output.{unread}'
    assert found(file, "column_mapping").message == stated


@pytest.mark.parametrize(
    ("task", "named"),
    [
        ("Write a product description from title, material, colour and price.", "title,material,colour,unit_price"),
        ("Describe it by unit prices and Colours.", "title,colour,unit_price"),
        ("Describe the product from its title.", ""),
        ("Describe the sku.", ""),
        ("Say it in discolouration.", ""),
        ("", ""),
    ],
)
def test_columns_that_the_task_names_and_that_are_not_read_are_a_warning(task: str, named: str, write: Write) -> None:
    task = task.replace("and price", "and unit price")
    rows = [f"SKU{n},chair {n},oak,grey,{n}.50,it,The oak chair {n}." for n in range(9)]
    path = write("a.csv", "\n".join(["sku,title,material,colour,unit_price,from,description", *rows]))
    file = read_examples(path, output_column="description", task=task)
    warnings = [finding for finding in file.findings if finding.severity == "warning"]
    told = [re.findall(r"with --input-columns (\S+) if", finding.action) for finding in warnings]
    assert told == ([[named]] if named else [])
    given = read_examples(path, input_columns=["title"], output_column="description", task=task)
    assert all(finding.severity == "info" for finding in given.findings)


def test_a_header_far_below_blank_lines_is_found(write: Write) -> None:
    assert pairs(read_examples(write("a.csv", ",\n" * 300 + "text,label\na,x\n"))) == [("a", "x")]


def test_a_list_of_texts_with_commas_has_no_title(write: Write) -> None:
    rows = ["text", "one, two, three", "one", "one, two", "a, b, c, d, e", "none"]
    table = read_table(write("a.csv", "\n".join(rows)))
    assert table.columns == ("text",)


def test_a_header_that_fits_no_row_is_said_to(write: Write) -> None:
    with pytest.raises(RequestError, match=r"2 lines of a.csv are not CSV with as many cells as the header"):
        read_examples(write("a.csv", "text\na,b\nc,d,e\n"))


def test_the_first_sheet_with_rows_is_read(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    data = book.create_sheet("Data")
    data.append(["text", "label"])
    data.append(["hello", "x"])
    book.save(tmp_path / "a.xlsx")
    file = read_examples(tmp_path / "a.xlsx")
    assert pairs(file) == [("hello", "x")]
    assert '"Data"' in next(f.message for f in file.findings if "sheet" in f.message)


def test_a_hidden_sheet_is_read_only_where_no_visible_one_has_rows(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    lists, data = book.worksheets[0], book.create_sheet("Data")
    lists.title, lists.sheet_state = "Lists", "hidden"
    lists.append(["text", "label"])
    lists.append(["choice", "y"])
    book.save(tmp_path / "hidden.xlsx")
    data.append(["text", "label"])
    data.append(["hello", "x"])
    book.save(tmp_path / "both.xlsx")
    both, hidden = read_examples(tmp_path / "both.xlsx"), read_examples(tmp_path / "hidden.xlsx")
    assert (pairs(both), pairs(hidden)) == ([("hello", "x")], [("choice", "y")])
    assert any("not read: Lists (hidden)." in finding.message for finding in both.findings)
    assert any('Read only the sheet "Lists (hidden)" of' in finding.message for finding in hidden.findings)


def test_no_mark_of_the_basic_plane_stands_outside_the_alphabets_looked_through() -> None:
    marks = {sign for sign in map(chr, range(0x10000)) if unicodedata.category(sign) in ("Mn", "Mc")}
    assert set(MARKS) == {sign for sign in marks if not re.match(rf"[{UNSPACED}\ufe00-\ufe0f]", sign)}


def test_a_column_is_found_however_its_letters_and_their_marks_are_written(write: Write) -> None:
    path = write("a.csv", "Beru\u0308hrt,team\nlights out,outage\nbill,billing\n")
    file = read_examples(path, input_columns=["Ber\u00fchrt"], output_column="team")
    assert [example.input for example in file.examples] == ["lights out", "bill"]


def test_of_columns_with_one_name_the_first_is_read_and_said_to_be(write: Write) -> None:
    file = read_examples(write("a.csv", "text,label,label\na,x,y\n"))
    assert pairs(file) == [("a", "x")]
    assert 'several columns called "label"' in found(file, "column_mapping").message


def test_broken_json_names_the_place(write: Write) -> None:
    with pytest.raises(RequestError, match=r"not valid JSON \(line 2, column 1"):
        read_examples(write("a.json", '[{"input": "a", "output": "x"}\n{"input": "b", "output": "y"}]'))


def test_text_that_parquet_holds_as_bytes_is_text(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"text": [b"Gr\xc3\xbc\xc3\x9fe"], "label": [b"x"]}), tmp_path / "a.parquet")
    assert pairs(read_examples(tmp_path / "a.parquet")) == [("Grüße", "x")]
    parquet.write_table(pa.table({"text": [b"\xff\xfe"], "label": [b"x"]}), tmp_path / "b.parquet")
    with pytest.raises(RequestError, match=r'Column "text" of .*b\.parquet holds bytes'):
        read_examples(tmp_path / "b.parquet")


def test_bytes_in_lists_and_objects_are_text_and_null_where_they_are_none(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = {"text": ["a", "b"], "label": [[b"x", b"y"], [b"z"]], "picture": [{"bytes": b"\xff\xd8"}, {"bytes": b"p"}]}
    parquet.write_table(pa.table(table), tmp_path / "a.parquet")
    file = read_examples(tmp_path / "a.parquet")
    assert [e.targets for e in file.examples] == [("x", "y"), ("z",)]
    assert file.columns["picture"] == ('{"bytes": null}', '{"bytes": "p"}')


def test_a_map_of_parquet_is_an_object(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    names = pa.array([[("name", "Jane"), ("order", "7")]], type=pa.map_(pa.string(), pa.string()))
    counts = pa.array(
        [[{"by day": [(date(2024, 1, 2), 3)]}]], pa.list_(pa.struct([("by day", pa.map_(pa.date32(), "int8"))]))
    )
    for output, expected in (
        (names, '{"name": "Jane", "order": "7"}'),
        (counts, '[{"by day": {"2024-01-02": 3}}]'),
    ):
        parquet.write_table(pa.table({"text": ["a"], "output": output}), tmp_path / "a.parquet")
        assert pairs(read_examples(tmp_path / "a.parquet")) == [("a", expected)]


def test_numbers_that_json_does_not_have_are_null_in_objects_and_lists(tmp_path: Path, write: Write) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    outputs = [{"a": 1.0, "b": [float("nan"), 2.5]}, {"a": float("-inf"), "b": []}]
    parquet.write_table(pa.table({"text": ["x", "y"], "output": outputs}), tmp_path / "a.parquet")
    expected = [("x", '{"a": 1.0, "b": [null, 2.5]}'), ("y", '{"a": null, "b": []}')]
    assert pairs(read_examples(tmp_path / "a.parquet")) == expected
    lines = '{"input": "x", "output": {"a": 1e400}}\n{"input": "y", "output": {"a": NaN}}\n'
    assert pairs(read_examples(write("a.jsonl", lines))) == [("x", '{"a": null}'), ("y", '{"a": null}')]


def test_an_excel_export_loses_only_its_empty_column_and_rows(write: Write) -> None:
    text = 'question;answer;Unnamed: 2\r\n"Why; oh why?";"It’s\r\nso";\r\n;;\r\nHow?;Thus;\r\n;;\r\n'
    file = read_examples(write("FAQ (Kopie).csv", text, "cp1252"))
    assert pairs(file) == [("Why; oh why?", "It’s\nso"), ("How?", "Thus")]
    assert [example.id for example in file.examples] == ["row-1", "row-2"]
    assert found(file, "empty_input").rows == ("line 4", "line 6")
    assert '"Unnamed: 2"' in found(file, "column_mapping").message
    assert set(file.columns) == {"question", "answer"}


def test_csv_rows_with_too_many_cells_or_an_open_quote_are_reported(write: Write) -> None:
    file = read_examples(write("a.csv", 'text,label\na,x\nb, c,x\nd,y\n"e,y\nf,y\n'))
    assert pairs(file) == [("a", "x"), ("d", "y"), ("f", "y")]
    assert found(file, "unparseable_rows").rows == ("line 3", "line 5")


def test_a_quote_that_nothing_closes_costs_one_line(write: Write) -> None:
    rows = [(f"q{n}", "xy"[n % 2]) for n in range(400)]
    text = 'text,label\n"so he said,a\n' + "".join(f"{text},{label}\n" for text, label in rows)
    file = read_examples(write("a.csv", text))
    assert pairs(file) == rows
    assert found(file, "unparseable_rows").rows == ("line 2",)
    inside = read_examples(write("b.csv", 'text,label\nq1,x\n"so he said,a\nq2,x\nq3 "no" he,y\nq4,y\n'))
    assert pairs(inside) == [("q1", "x"), ("q2", "x"), ('q3 "no" he', "y"), ("q4", "y")]
    assert found(inside, "unparseable_rows").rows == ("line 3",)


def test_a_file_full_of_open_quotes_is_read_in_time_that_grows_as_its_lines(write: Write) -> None:
    many = 30_000
    file = read_examples(write("a.csv", 'text,label\nq1,x\n"a\n' + 'b","c\n' * many + "q2,y\n"))
    assert pairs(file) == [("q1", "x"), ("q2", "y")]
    assert found(file, "unparseable_rows").count == many + 1


def test_a_cell_of_several_lines_stays_one_where_there_is_one_column(write: Write) -> None:
    table = read_table(write("one.csv", 'text\n"a line\nand another"\nplain\n'))
    assert [row.values["text"] for row in table.rows] == ["a line\nand another", "plain"]
    assert not table.findings


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_lines_that_two_stray_quotes_make_one_cell_are_read_one_by_one(write: Write, delimiter: str) -> None:
    rows = [("q1", "x"), ('"so he said', "a"), ("q2", "x"), ("q3", "y"), ('screen is 15"', "b"), ("q4", "y")]
    text = "".join(f"{text}{delimiter}{label}\r\n" for text, label in [("text", "label"), *rows])
    file = read_examples(write("a.tsv", text))
    assert pairs(file) == rows
    (finding,) = (finding for finding in file.findings if "one by one" in finding.message)
    assert (finding.code, finding.severity, finding.rows) == (
        "encoding_assumed",
        "warning",
        ("line 3", "line 4", "line 5", "line 6"),
    )


@pytest.mark.parametrize(
    ("cell", "others"),
    [
        ("Hello,\nthanks", ""),
        ("Hi team, please help\nthanks", ""),
        ("one\ntwo", ""),
        ("a,b\n\nc", ""),
        ("It costs 3,50\nthanks", '"4,50 EUR",x\n'),
        ("select a,b\nfrom t", '"select c,d from t",x\n'),
    ],
)
def test_a_cell_of_several_lines_stays_one(write: Write, cell: str, others: str) -> None:
    file = read_examples(write("a.csv", f'text,label\nq1,y\n"{cell}",x\n{others}q2,y\n'))
    assert (cell, "x") in pairs(file)
    assert codes(file) == {"column_mapping"}


def test_parquet_keeps_lists_and_numbers(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "split=train" / "a.parquet"
    path.parent.mkdir()
    parquet.write_table(pa.table({"question": ["a", "b"], "answers": [["x", "y"], []], "year": [1, 2]}), path)
    file = read_examples(path)
    assert [e.targets for e in file.examples] == [("x", "y")]
    assert file.columns["year"] == ("1",)
    assert found(file, "empty_output").rows == ("row-2",)


@pytest.mark.parametrize("bits", [32, 64])
def test_numbers_of_few_bits_are_those_that_were_written(bits: int, tmp_path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    numbers = pa.array(np.array([49.9, 0.5, np.nan, 2**-10], f"float{bits}"))
    parquet.write_table(pa.table({"text": list("abcd"), "output": numbers}), tmp_path / "a.parquet")
    outputs = [output for _, output in pairs(read_examples(tmp_path / "a.parquet"))]
    assert outputs == ["49.9", "0.5", "0.0009765625"]


def test_numbers_of_few_bits_within_objects_and_lists_are_those_that_were_written_too(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    number = pa.float32()
    columns = {
        "text": pa.array([{"prices": [49.9, None]}, None], pa.struct([("prices", pa.list_(number))])),
        "output": pa.array([[("a", 0.1)], [("b", 0.7)]], pa.map_(pa.string(), number)),
    }
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert pairs(read_examples(tmp_path / "a.parquet")) == [('{"prices": [49.9, null]}', '{"a": 0.1}')]


@pytest.mark.parametrize("form", ["large list", "list of two", "dictionary"])
def test_numbers_of_few_bits_are_those_that_were_written_in_every_form(form: str, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    number = pa.float32()
    outputs = {
        "large list": pa.array([[49.9, 0.1], None], pa.large_list(number)),
        "list of two": pa.array([[49.9, 0.1], None], pa.list_(number, 2)),
        "dictionary": pa.array([49.9, None], number).dictionary_encode(),
    }[form]
    parquet.write_table(pa.table({"text": ["a", "b"], "output": outputs}), tmp_path / "a.parquet")
    (example,) = read_examples(tmp_path / "a.parquet").examples
    assert example.targets == (("49.9",) if form == "dictionary" else ("49.9", "0.1"))


def test_a_workbook_gives_its_first_sheet_and_names_the_others(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for row in [["Text", "Label", None], ["a", 1, None], [None, None, None], ["b", True, None], [" ", None, None]]:
        book.worksheets[0].append(row)
    book.create_sheet("Notes")
    book.save(tmp_path / "a.xlsx")
    file = read_examples(tmp_path / "a.xlsx")
    assert pairs(file) == [("a", "1"), ("b", "true")]
    assert found(file, "empty_input").rows == ("line 3",)
    assert any("Notes" in finding.message for finding in file.findings)


def test_formulas_without_results_are_told_from_empty_cells(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for row in [["text", "label", "note"], ["a", '=IF(1,"x","y")', None], ["b", "=B2", None]]:
        book.worksheets[0].append(row)
    book.save(tmp_path / "a.xlsx")
    told = 'Column "label" of a.xlsx had formulas whose results were not saved. Open the workbook in Excel, save it'
    with pytest.raises(RequestError, match=f'Every output in column "label" .* is empty: .* {told}'):
        read_examples(tmp_path / "a.xlsx")


def test_formulas_are_looked_for_in_the_sheet_that_is_read(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.worksheets[0].append(["=A1", "=B1", "=C1"])
    sheet = book.create_sheet("data")
    for row in [["text", "label", "remark"], ["a", "x", None], ["b", "y", None]]:
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    assert not [f for f in read_examples(tmp_path / "a.xlsx").findings if "formulas" in f.message]


def test_a_hub_data_set_gives_label_names(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": -1}]
    asked: list[object] = []

    def load(name: str, config: str | None, split: str) -> datasets.Dataset:
        asked.append((name, config, split))
        return datasets.Dataset.from_list(rows, features=features)

    monkeypatch.setattr(datasets, "load_dataset", load)
    file = read_examples("hf:some/data:train")
    assert asked == [("some/data", None, "train")]
    assert pairs(file) == [("a", "pos")]


def test_a_hub_data_set_that_cannot_be_fetched_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nmore")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(RequestError, match=r"^hf:a/b:test could not be fetched \(no route\): .*local file\.$"):
        read_examples("hf:a/b:test")


# --- columns

SQUAD = {"text": ["x"], "answer_start": [0]}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"TEXT": "a", "Expected Output": "x"}, ("a", "x")),
        ({"instruction": "do", "input": "a", "output": "x"}, ("instruction: do\ninput: a", "x")),
        ({"question": "q", "context": "c", "answers": SQUAD}, ("question: q\ncontext: c", "x")),
        ({"question": "q", "category": "c", "answer": "x"}, ("q", "x")),
        ({"input": "a", "output": {"k": "é", "n": 1}}, ("a", '{"k": "é", "n": 1}')),
        ({"input": "a", "output": [{"k": 1}]}, ("a", '[{"k": 1}]')),
        ({"input": "a", "output": 0}, ("a", "0")),
        ({"input": "a", "output": False}, ("a", "false")),
        ({"input": {"k": 1}, "output": "x"}, ('{"k": 1}', "x")),
    ],
)
def test_usual_column_names_are_known(write: Write, row: dict[str, Any], expected: tuple[str, str]) -> None:
    assert pairs(read_examples(write("a.jsonl", [row]))) == [expected]


def test_a_list_of_outputs_holds_accepted_answers(write: Write) -> None:
    file = read_examples(write("a.jsonl", [{"input": "a", "output": ["x", " ", "y", "x", 3]}]))
    assert file.examples[0].targets == ("x", "y", "3")


def turns(*said: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in said]


SYSTEM, HELLO, HOW = ("system", "Be kind."), ("user", "Hello"), ("assistant", "How can I help?")
WHERE, THERE = ("user", "Where is it?"), ("assistant", "On its way.")
SHOWN = {"type": "image_url", "image_url": {"url": "https://x.org/1.png"}}
DIALOGUE = "- user: Hello\n- assistant: How can I help?\n- user: Where is it?"


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([[], [{"city": "Rome"}]], ["[]", '[{"city": "Rome"}]']),
        ([[], [["a", 1]]], ["[]", '[["a", 1]]']),
        ([[], ["Rome"]], ["Rome"]),
        ([[], {"text": ["Rome"], "answer_start": [0]}], ["Rome"]),
        ([[], "Rome"], ["Rome"]),
    ],
)
def test_an_empty_list_is_an_output_only_among_lists_of_objects(
    write: Write, outputs: list[object], expected: list[str]
) -> None:
    file = read_examples(write("a.jsonl", [{"input": "a", "output": output} for output in outputs]))
    assert [e.target for e in file.examples] == expected
    assert ("empty_output" in codes(file)) is (len(expected) == 1)


def test_of_a_conversation_the_last_reply_is_the_output(write: Write) -> None:
    parts = turns(("user", [{"type": "text", "text": "u"}]), ("assistant", "a"))
    shared = {"conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi"}]}
    two = turns(HELLO, WHERE, THERE)
    messages = [turns(SYSTEM, HELLO, HOW, WHERE, THERE), parts, turns(HELLO), turns(HELLO, THERE, WHERE), two]
    file = read_examples(write("a.jsonl", [{"messages": m} for m in messages]))
    assert pairs(file) == [
        (DIALOGUE, "On its way."),
        ("u", "a"),
        ("Hello", "On its way."),
        ("Hello\nWhere is it?", "On its way."),
    ]
    assert found(file, "empty_output").rows == ("row-3",)
    told = found(file, "column_mapping").message
    assert (
        "Not read of conversations: system turns (in 1 row) and what follows the last assistant turn (in 1 row)" in told
    )
    assert pairs(read_examples(write("b.jsonl", [shared]))) == [("Hello", "Hi")]


def test_calls_of_functions_in_a_conversation_are_told(write: Write) -> None:
    call = {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "find"}}]}
    asked, answered = turns(WHERE), turns(("tool", "ok"), THERE)
    rows = [asked, [*asked, call, *answered], [*asked, call], *[[*asked, *turns(THERE)]] * 3]
    file = read_examples(write("a.jsonl", [{"messages": m} for m in rows]))
    assert pairs(file)[0] == ("- user: Where is it?\n- tool: ok", "On its way.")
    assert [e.target for e in file.examples] == ["On its way."] * 4
    assert found(file, "empty_output").rows == ("row-1", "row-3")
    assert "Not read of conversations: calls of functions (in 2 rows)." in found(file, "column_mapping").message
    with pytest.raises(RequestError, match=r"Every output .* calls of functions \(in 1 row\)"):
        read_examples(write("b.jsonl", [{"messages": [*asked, call]}]))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([HELLO], "Hello"),
        ([SYSTEM, HELLO], "Hello"),
        ([HELLO, HOW, WHERE], DIALOGUE),
        ([HELLO, HOW], "- user: Hello\n- assistant: How can I help?"),
    ],
)
def test_a_conversation_whose_output_stands_elsewhere_is_read_to_its_end(
    write: Write, said: list[tuple[str, str]], expected: str
) -> None:
    labelled = read_examples(
        write("a.jsonl", [{"messages": turns(*said), "label": "x"}]), input_columns=["messages"], output_column="label"
    )
    prompted = read_examples(write("b.jsonl", [{"prompt": turns(*said), "completion": turns(THERE)}]))
    assert (*pairs(labelled), *pairs(prompted)) == ((expected, "x"), (expected, "On its way."))
    assert not prompt_injection(labelled.examples), "a dialogue is no forged one"
    new, _ = map_inputs(read_table(write("c.jsonl", [{"messages": turns(*said)}])), ["messages"])
    assert new == [expected], "what is asked later is what was learnt from"


def test_of_new_conversations_only_a_reply_that_ends_them_is_not_read(write: Write) -> None:
    open_ended, answered = turns(SYSTEM, HELLO, HOW, WHERE), turns(HELLO, HOW, WHERE, THERE)
    table = read_table(write("a.jsonl", [{"messages": m} for m in (open_ended, answered, turns(THERE))]))
    new, sentence = map_inputs(table)
    assert new == [DIALOGUE, DIALOGUE, ""]
    assert sentence == 'Read "messages" as the input. Not read of conversations: system turns (in 1 row).'


@pytest.mark.parametrize("asked", [lambda parts: parts, lambda parts: turns(("user", parts))])
def test_pictures_are_pointed_out_and_refused_where_every_row_has_them(
    write: Write, asked: Callable[[list[dict[str, Any]]], object]
) -> None:
    written = {"type": "text", "text": "What is it?"}
    rows = [
        {"id": str(place), "input": asked(parts), "output": "x"}
        for place, parts in enumerate([[SHOWN, written], [written]])
    ]
    file = read_examples(write("a.jsonl", rows))
    assert pairs(file) == [("What is it?", "x")] * 2
    (told,) = [f for f in file.findings if f.severity == "warning"]
    assert (told.code, told.rows) == ("column_mapping", ("0",))
    assert told.message == 'Read the text alone of 1 row of a.jsonl with pictures, sound or files in "input".'
    assert "Of 1 row with pictures" in map_inputs(read_table(write("a.jsonl", rows)))[1]
    with pytest.raises(RequestError, match=r'Every input of b.jsonl holds pictures.* in "input"'):
        read_examples(write("b.jsonl", rows[:1]))


def test_what_a_reply_holds_besides_text_is_no_picture_of_the_question(write: Write) -> None:
    thought = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a cat"}]
    shown = [{"type": "text", "text": "here"}, SHOWN]
    used = [{"type": "tool_use", "id": "1", "input": {}}]
    conversations = [
        turns(("user", "What is it?"), ("assistant", thought)),
        turns(("system", [SHOWN]), ("user", "What is it?"), ("assistant", shown)),
        turns(("user", "What is it?"), ("assistant", used), ("user", "And?"), ("assistant", "a cat")),
    ]
    file = read_examples(write("a.jsonl", [{"messages": m} for m in conversations]))
    assert [e.target for e in file.examples] == ["a cat", "here", "a cat"]
    assert not [f for f in file.findings if f.severity == "warning"]


def test_objects_with_a_type_are_no_parts_of_a_message(write: Write) -> None:
    file = read_examples(write("a.jsonl", [{"input": [{"type": "CITY", "text": "Berlin"}], "output": "x"}]))
    assert pairs(file) == [('[{"type": "CITY", "text": "Berlin"}]', "x")]


def test_given_columns_are_joined_by_name(write: Write) -> None:
    path = write("a.csv", "subject,mail,queue,team\ns,m,q,t\n,m2,q2,t\n")
    file = read_examples(path, input_columns=["Subject", "mail"], output_column="queue")
    assert pairs(file) == [("subject: s\nmail: m", "q"), ("mail: m2", "q2")]
    assert file.columns["team"] == ("t", "t")


def test_unknown_names_are_not_guessed(write: Write) -> None:
    with pytest.raises(RequestError, match=r'"foo" and "bar".*--input-columns and --output-column'):
        read_examples(write("a.csv", "foo,bar\na,x\n"))


def test_the_one_column_that_is_left_is_what_is_missing(write: Write) -> None:
    path = write("a.csv", "id,review text,stars\n1,fine,5\n2,poor,1\n")
    assert pairs(read_examples(path)) == [("fine", "5"), ("poor", "1")]
    both = write("b.csv", "bar,foo\nx,a\n")
    assert pairs(read_examples(both, input_columns=["foo"])) == [("a", "x")]
    assert pairs(read_examples(both, output_column="bar")) == [("a", "x")]
    with pytest.raises(RequestError, match="none is known to be the input"):
        read_examples(write("c.csv", "date,review text,stars\n1.1.,fine,5\n"))
    with pytest.raises(RequestError, match="none is known to be the output: name it with --output-column "):
        read_examples(write("d.csv", "text,date\nunlabelled,1.1.\n"))


def test_a_file_without_header_lists_what_it_read_as_columns(write: Write) -> None:
    with pytest.raises(RequestError, match=r'"good film" and "pos".*first row'):
        read_examples(write("a.csv", "good film,pos\nbad film,neg\n"))


def test_a_flag_that_names_no_column_lists_the_columns(write: Write) -> None:
    with pytest.raises(RequestError, match=r'--output-column names "lable".*"text" and "label"'):
        read_examples(write("a.csv", "text,label\na,x\n"), output_column="lable")


def test_one_column_cannot_be_both(write: Write) -> None:
    with pytest.raises(RequestError, match="both"):
        read_examples(write("a.csv", "text,label\na,x\n"), input_columns=["text"], output_column="text")


# --- examples


def test_every_unusable_row_is_named_with_its_reason(write: Write) -> None:
    rows = [{"id": "r1", "input": "a", "output": "x"}, {"id": "r2", "input": "b", "output": None}]
    rows += [{"id": "r3", "input": "b", "output": "  "}, {"id": "r4", "input": " ", "output": "x"}]
    file = read_examples(write("a.jsonl", [*rows, {"id": "r5", "input": "c"}, {"input": "d", "output": ""}]))
    assert [e.id for e in file.examples] == ["r1"]
    assert found(file, "empty_output").rows == ("r2", "r3", "r5", "row-6")
    assert "null in line 2; blank in line 3, 6; missing in line 5" in found(file, "empty_output").message
    assert found(file, "empty_input").rows == ("r4",)


def test_rows_of_a_list_are_named_by_their_place_in_it(write: Write) -> None:
    rows = [{"input": "a", "output": "x"}, 5, {"input": "b", "output": None}, {"input": "", "output": None}]
    file = read_examples(write("a.json", json.dumps(rows, indent=2)))
    assert [finding.rows for finding in file.findings if finding.code != "column_mapping"] == [
        ("item 2",),
        ("item 4",),
        ("row-2",),
    ]
    assert "1 item of a.json is not a JSON object and left out: 2" in found(file, "unparseable_rows").message
    assert "null in item 3." in found(file, "empty_output").message


def test_ids_are_unique_whatever_the_file_says(write: Write) -> None:
    rows = [{"id": i, "input": "a", "output": "x"} for i in ("row-2", "row-2", None, "q", 7, "7")]
    file = read_examples(write("a.jsonl", rows))
    ids = [e.id for e in file.examples]
    assert ids == ["row-2", "row-2+", "row-3", "q", "7", "row-6"]
    (told,) = [f.message for f in file.findings if f.code == "column_mapping"]
    assert told.endswith(" Gave 2 rows with the id of an earlier one (line 2, 6) an id of their own.")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b"\n\n", "no usable rows"),
        ("a.csv", b"text,label\n", "no usable rows"),
        ("a.csv", b"\x89PNG\x00\x01", "not a text file"),
        ("a.json", b"nonsense", "not valid JSON"),
        ("a.json", b'{"a": 1}', "no list of objects"),
        ("a.parquet", b"PAR1 broken", "not a readable Parquet"),
        ("a.xlsx", b"PK broken", "not a readable Excel"),
        ("a.xls", b"x", r"unknown type.*\.jsonl, .*\.xlsx"),
        ("a.jsonl", b'{"input": "a", "output": ""}', 'Every output in column "output"'),
        ("a.jsonl", b'{"input": "", "output": "x"}', "both an input and an output"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(write: Write, name: str, content: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read_examples(write(name, content))
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="does not exist"):
        read_examples(tmp_path / "no.csv")
    with pytest.raises(RequestError, match="is a folder"):
        read_examples(tmp_path)
    with pytest.raises(RequestError, match="does not exist"):
        read_examples("x" * 5000)
