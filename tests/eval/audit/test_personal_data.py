"""What is personal data and what only looks like it; all numbers are invented or published for tests."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from eval.audit.personal_data import (
    find,
    impersonal_ids,
    mask,
    mask_documents,
    mask_examples,
    mask_finding,
    masked_outputs,
    personal_data,
)
from eval.contracts import Document, Example
from eval.findings import Finding


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to ada.lovelace+x@mail.example.org, please.", "Write to [EMAIL], please."),
        ("<ADA@EXAMPLE.COM>", "<[EMAIL]>"),
        ("IBAN DE89 3704 0044 0532 0130 00 and so on", "IBAN [IBAN] and so on"),
        ("gb29nwbk60161331926819.", "[IBAN]."),
        ("pay FR14-2004-1010-0505-0001-3M02-606", "pay [IBAN]"),
        ("card 4242 4242 4242 4242 declined", "card [CARD] declined"),
        ("5555-5555-5555-4444", "[CARD]"),
        ("amex 378282246310005", "amex [CARD]"),
        ("my SSN is 219-09-9999.", "my SSN is [NATIONAL_ID]."),
        ("social security no 219099999", "social security no [NATIONAL_ID]"),
        ("NINO AB 12 34 56 C", "NINO [NATIONAL_ID]"),
        ("AHV 756.9217.0769.85", "AHV [NATIONAL_ID]"),
        ("DNI 54362315K", "DNI [NATIONAL_ID]"),
        ("codice RCCMNL83S18D969H", "codice [NATIONAL_ID]"),
        ("CPF 390.533.447-05", "CPF [NATIONAL_ID]"),
        ("meine Steuer-ID 36 574 261 809", "meine Steuer-ID [NATIONAL_ID]"),
        ("my BSN is 111222333", "my BSN is [NATIONAL_ID]"),
        ("passport number C01X00T47", "passport number [NATIONAL_ID]"),
        ("ring +44 20 7946 0958 tonight", "ring [PHONE] tonight"),
        ("+1 (212) 555-0123", "[PHONE]"),
        ("reach me on 212-555-0187", "reach me on [PHONE]"),
        ("(212) 555-0187 works", "[PHONE] works"),
        ("Handy: 0171 1234567", "Handy: [PHONE]"),
        ("call me: 020 7946 0018", "call me: [PHONE]"),
        ("0049 171 1234567", "[PHONE]"),
        ("Tel. 030/12345678", "Tel. [PHONE]"),
        ("Tel.: 089 2345678", "Tel.: [PHONE]"),
        ("Téléphone 01.42.68.53.00", "Téléphone [PHONE]"),
        ("Tél. : 06 12 34 56 78", "Tél. : [PHONE]"),
        ("Appelez-moi au 06 12 34 56 78", "Appelez-moi au [PHONE]"),
        ("Llámame al 612 345 678", "Llámame al [PHONE]"),
        ("Chiamami al 347 123 4567", "Chiamami al [PHONE]"),
        ("Rufen Sie mich unter 0171 1234567 an", "Rufen Sie mich unter [PHONE] an"),
        ("Rückruf erbeten an 0221 4567816", "Rückruf erbeten an [PHONE]"),
        ("Joignable au 06 12 34 57 17", "Joignable au [PHONE]"),
        ("please call me back any time on 07911123456", "please call me back any time on [PHONE]"),
        ("Write to Ada.O'Neil@example.org", "Write to [EMAIL]"),
        ("'ada@example.org'", "'[EMAIL]'"),
        ("Passport no. AB 1234567", "Passport no. [NATIONAL_ID]"),
        ("my SIN is 130 692 544", "my SIN is [NATIONAL_ID]"),
        ("7 Garden Lane, London NW1 6XE", "[ADDRESS]"),
        ("I live at 7 Garden Lane, London NW1 6XE", "I live at [ADDRESS]"),
        ("I was born on 3 May 1985 in Delm", "I was born on [BIRTH_DATE] in Delm"),
        ("born 05/03/1985", "born [BIRTH_DATE]"),
        ("DOB: 1985-05-03", "DOB: [BIRTH_DATE]"),
        ("date of birth is March 3rd, 1985", "date of birth is [BIRTH_DATE]"),
        ("Geburtsdatum: 03.05.1985", "Geburtsdatum: [BIRTH_DATE]"),
        ("I live at 7 Garden Lane, Delm and wait", "I live at [ADDRESS] and wait"),
        ("my address is 221b baker street", "my address is [ADDRESS]"),
        ("7 Garden Lane, Delm, SW1A 1AA", "[ADDRESS]"),
        ("send to 7 Garden Lane, Springfield, IL 62704", "send to [ADDRESS]"),
        ("Gartenweg 7, 12345 Delm", "[ADDRESS]"),
        ("ich wohne in der Gartenstraße 7a", "ich wohne in der [ADDRESS]"),
        ("DOB 03/05/1985, name Ada Lovelace", "DOB [BIRTH_DATE], name [NAME]"),
        ("My name is Ada Lovelace, ada@example.org", "My name is [NAME], [EMAIL]"),
        ("My name’s Ada Lovelace, ada@example.org", "My name’s [NAME], [EMAIL]"),
        ("My address is 7B Garden Lane, London NW1 6XE", "My address is [ADDRESS]"),
        ("7B GARDEN LANE, LONDON NW1 6XE", "[ADDRESS]"),
        ("My address is Flat 3, 7 Garden Lane", "My address is [ADDRESS]"),
        ("7 Garden Lane Apt 4, Springfield, IL 62704", "[ADDRESS]"),
        ("Gartenstraße 5A, 12345 Delm", "[ADDRESS]"),
        ("Gartenstraße 5 a, 12345 Delm", "[ADDRESS]"),
        ("7 bis rue des Jardins, 75002 Paris", "[ADDRESS]"),
        ("appelle-moi au 06 12 34 56 78", "appelle-moi au [PHONE]"),
        ("Rappelez-moi au 06 12 34 56 78", "Rappelez-moi au [PHONE]"),
        ("contact me on 07700 900123", "contact me on [PHONE]"),
        ("contact number 07700900123", "contact number [PHONE]"),
        ("mob. 07700 900123", "mob. [PHONE]"),
        ("My no. is 07700 900123", "My no. is [PHONE]"),
        ("meine Nr. 0170-1234567", "meine Nr. [PHONE]"),
        ("mon numéro est le 06 12 34 56 78", "mon numéro est le [PHONE]"),
        ("mi número es 612 345 678", "mi número es [PHONE]"),
        ("il mio numero è 347 123 4567", "il mio numero è [PHONE]"),
        ("My date of birth is the 12/03/1985", "My date of birth is the [BIRTH_DATE]"),
        ("I was born on the 3rd of May 1979", "I was born on the [BIRTH_DATE]"),
        ("Date of birth (DD/MM/YYYY): 12/03/1985", "Date of birth (DD/MM/YYYY): [BIRTH_DATE]"),
        ("dob - 3 May 1979", "dob - [BIRTH_DATE]"),
    ],
)
def test_personal_data_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "order 4242 4242 4242 4241 and 1234567890123456",
        "4242424242424242.5 units, or 0.4242424242424242",
        "ISBN 978-3-16-148410-0, EAN 4006381333931",
        "DE00 1234 5678 9012 3456 78",
        "call within 24 hours, on 12.05.2024 at 10:30",
        "Please call me about order 412345678",
        "My mobile phone from order 412345678 is broken",
        "call about invoice 0171 1234567",
        "Order no. 212-555-2073 is late",
        "SKU AB123443C is damaged",
        "Part no 123-45-4839 does not fit",
        "Ihr Anruf zur Bestellung: Handy 12 Stück, Nr. 20123456",
        "Sigo sin recibir el paquete 130692544",
        "Passport cover ref AB12345",
        "The passport case order 20241234",
        "call our free line: 0800 1234567",
        "call 2024-05-12 or 12/05/2024",
        "from 2015-2016 to 2017-2018: 123 456 7890 visits",
        "between 1 000 000 and 2 500 000 people",
        "192.168.100.200, v10.12.2024, 00:11:22:33:44:55",
        "SELECT a FROM t WHERE n = 1234567 AND m = 202555",
        "write to support@example.org or no-reply@example.org",
        "@home, a@b, lodash@4.17.21, x@y.z",
        "toll-free 1-800-555-0199 or +1 888 555 0123",
        "case 123-45-678, part 000-12-3456, 912-34-5678",
        "Newton was born on 4 January 1643, Hopper was born 9 December 1906",
        "The singer was born June 7, 1958.",
        "born 05/03/1643",
        "10 Downing Street is a famous house; turn into 3rd Avenue",
        "the 5 main roads and 3 ways to place an order",
        "What is the name Peter derived from?",
        "My name is not on the invoice.",
        "Why was section 12 of the road closed in 2019?",
        "advising/100/9 banking/train/4853 row-17",
        "sin 30 is 0.5, the BSN network has 100000000 nodes",
        "3.14159265358979, 6.02214076e23, 1,234,567,890.12",
        "0xDEADBEEF12345678, 550e8400-e29b-41d4-a716-446655440000, 1700000000, 1700000000000",
        "SKU AB123456C-99, batch 12345678A",
        "mon numéro de dossier est le 612345678, mon numéro de client 06 12 34 56 78",
        "mi número de cuenta es 612 345 678",
        "il mio numero di cliente: 347 123 4567",
        "contact us about order 412345678 or contact me on 12/05/2024 at 10:30",
        "contact lenses no 20123456, pH 7.0 buffer, meine Nr. 1 in Bestellung 12345678",
        "4K film on a 5A fuse, bus 12A to Mill Lane, room 12B in the 3rd street",
        "Unit 3, 12 apples; flat 3 has 12 rooms on the high street",
        "vivo en la calle y trabajo 5 días",
        "The singer was born on the 7th of June 1958, on the 4th of July",
        "Date of birth (optional): yes, dob - not given",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert mask(text) == text


def test_several_data_in_a_text_are_found_in_order() -> None:
    spans = find("a@example.org, 4242424242424242 and b@example.org")
    assert [span.kind for span in spans] == ["EMAIL", "CARD", "EMAIL"]
    assert all(a.end <= b.start for a, b in pairwise(spans))


def test_masking_twice_changes_nothing() -> None:
    once = mask("Ada, ada@example.org, +44 20 7946 0958, 4242 4242 4242 4242")
    assert mask(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "1" * 50_000,
        "a@" * 25_000,
        "1-" * 25_000,
        "DE12" * 12_000,
        "12 Aa " * 8_000,
        "+1" * 9_000,
        "Flat 1, 2B " * 5_000,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    start = time.process_time()
    find(text)
    assert time.process_time() - start < 2


ROWS = [
    Example("a", "mail ada@example.org", ("yes",), 1),
    Example("b", "nothing here", ("to 4242 4242 4242 4242", "no"), 2),
    Example("c", "nothing here", ("no",), 3),
]


def test_rows_and_kinds_are_told_but_no_value() -> None:
    (finding,) = personal_data(ROWS)
    assert (finding.severity, finding.count, finding.rows) == ("warning", 2, ("a", "b"))
    assert "e-mail address 1, card number 1" in finding.message
    assert "--redact" in finding.action
    assert "fine-tuning" in finding.action
    assert not any(value in str(finding) for value in ("ada", "4242"))


def test_contact_data_in_documents_are_told_apart() -> None:
    (finding,) = personal_data([], [Document("d", "Ask ada@example.org."), Document("e", "Ask us.")])
    assert (finding.severity, finding.rows) == ("info", ("d",))
    (finding,) = personal_data([], [Document("d", "Ada pays by 4242 4242 4242 4242.")])
    assert (finding.severity, finding.rows) == ("warning", ("d",))


def test_what_documents_publish_is_no_secret_in_an_answer() -> None:
    rows = [
        Example("a", "Whom do I call?", ("Call +44 20 7946 0958.",)),
        Example("b", "Call me: +44 20 7946 0959", ("yes",)),
    ]
    handbook = [Document("d", "Our line is +44 (20) 7946 0958, at any time.")]
    found = {finding.rows for finding in personal_data(rows, handbook)}
    assert found == {("b",), ("d",)}
    assert {finding.rows for finding in personal_data(rows, handbook, redact=True)} == {("a", "b"), ("d",)}


def test_what_several_answers_give_is_no_secret() -> None:
    answers = [Example(str(i), f"question {i}", ("Call us: +44 20 7946 0958.",)) for i in range(3)]
    assert personal_data(answers) == []
    assert len(personal_data(answers[:2])) == 1
    cards = [Example(str(i), f"question {i}", ("It is 4242 4242 4242 4242.",)) for i in range(3)]
    assert personal_data(cards)[0].count == 3
    inputs = [Example(str(i), "Call me: +44 20 7946 0958.", ("yes",)) for i in range(3)]
    assert personal_data(inputs)[0].count == 3


def test_what_is_masked_is_no_warning() -> None:
    (finding,) = personal_data(ROWS, redact=True)
    assert (finding.severity, finding.count) == ("info", 2)
    assert finding.action.startswith("Masked")


def test_outputs_that_are_masked_are_a_warning_of_their_own() -> None:
    finding = masked_outputs(ROWS)
    assert finding is not None
    assert (finding.code, finding.severity, finding.rows) == ("masked_outputs", "warning", ("b",))
    assert finding.message.startswith("1 output with personal data is masked: there the figures are of answers such as")
    assert masked_outputs([ROWS[0], *ROWS[2:]]) is None, "inputs alone are answered all the same"


def test_no_personal_data_are_no_finding() -> None:
    assert personal_data(ROWS[2:], [Document("d", "text")]) == []


def test_inputs_and_every_accepted_answer_are_masked() -> None:
    first, second, third = mask_examples(ROWS)
    assert (first.input, second.targets, third) == ("mail [EMAIL]", ("to [CARD]", "no"), ROWS[2])
    same = mask_examples([Example("x", "t", ("a@example.org", "b@example.org"))])[0]
    assert same.targets == ("[EMAIL]",)


def test_documents_are_masked_with_their_titles() -> None:
    assert mask_documents([Document("d", "+1 212-555-0187", "ada@example.org")]) == (
        Document("d", "[PHONE]", "[EMAIL]"),
    )


def test_ids_that_are_personal_become_row_numbers() -> None:
    rows = [Example("ada@example.org", "x", ("y",)), Example("row-1", "x", ("y",)), Example("7", "x", ("y",))]
    ids = [row.id for row in impersonal_ids(rows)]
    assert ids[1:] == ["row-1", "7"]
    assert "@" not in ids[0]
    assert len(set(ids)) == 3


def test_findings_repeat_no_personal_data_of_ids() -> None:
    finding = Finding("empty_output", "warning", 1, ("ada@example.org",), "Left out ada@example.org (line 1).", "")
    assert mask_finding(finding) == Finding(
        "empty_output", "warning", 1, ("[EMAIL]",), "Left out [EMAIL] (line 1).", ""
    )


def test_json_stays_json_where_its_numbers_are_masked() -> None:
    answers = [
        '{"card": 4111111111111111, "guests": 4}',
        '{"mail": "a@example.org", "guests": 4}',
        "[4111111111111111]",
    ]
    masked = [e.target for e in mask_examples([Example(str(i), "t", (text,)) for i, text in enumerate(answers)])]
    assert masked == ['{"card": "[CARD]", "guests": 4}', '{"mail": "[EMAIL]", "guests": 4}', '["[CARD]"]']


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("カード番号は4111111111111111です。", "カード番号は[CARD]です。"),
        ("IBANはDE89370400440532013000です。", "IBANは[IBAN]です。"),
        ("電話は+819012345678です。", "電話は[PHONE]です。"),
        ("身份证号11010519491231002X。", "身份证号[NATIONAL_ID]。"),
        ("メールはtaro.yamada@example.co.jpです。", "メールは[EMAIL]です。"),
        ("hong.gildong@naver.com으로 보내 주세요", "[EMAIL]으로 보내 주세요"),
        ("อีเมลsomchai@example.comครับ", "อีเมล[EMAIL]ครับ"),
        ("2024年11月14日15時30分45秒の注文", "2024年11月14日15時30分45秒の注文"),
    ],
)
def test_letters_of_scripts_without_spaces_hide_nothing(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_of_two_kinds_that_claim_the_same_signs_the_first_has_them_in_their_order() -> None:
    text = "\n".join(f"Person, person{i}@firma.de, card 4111111111111111, +49 30 901820{i:02}" for i in range(50))
    spans = find(text)
    assert [s.kind for s in spans] == ["EMAIL", "CARD", "PHONE"] * 50
    assert all(a.end <= b.start for a, b in pairwise(spans))
