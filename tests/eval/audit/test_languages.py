"""Which texts are in another language than the embedder's, as far as that can be known."""

from __future__ import annotations

import pytest

from eval.audit.languages import language_mismatch, language_of
from eval.contracts import Document, Example

GERMAN = (
    "Ich habe meine Karte verloren und brauche bitte schnell Ersatz",
    "Warum wurde mir der Betrag auf der Rechnung zweimal berechnet",
    "Die Lieferung ist leider immer noch nicht bei mir angekommen",
    "Können Sie mir bitte sagen, wann der Techniker morgen kommt",
)
ENGLISH = (
    "I have lost my card and need another one quickly please",
    "Why was the amount on the invoice charged to me twice",
    "The delivery has unfortunately still not arrived at my house",
    "Could you please tell me when the technician is coming tomorrow",
)


def rows(*texts: str) -> list[Example]:
    return [Example(str(i), text, ("a",), i) for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    "text",
    [
        "", "ok", "42", "SKU-4711-XL", "7f3a9c0d12", "https://example.org/de/seite", "ada@beispiel.de", "🙂🙂",
        "SELECT COUNT(*) FROM KURS WHERE KURS.NAME = 'x'", "for i in range(10): print(i)", '{"a": [1, 2]}', "Gouda",
        "play some Édith Piaf", "x = y**2 + z", "ERR_CONN_RESET 0x80070005",
    ],
)  # fmt: skip
def test_codes_names_and_crumbs_have_no_sure_foreign_language(text: str) -> None:
    assert language_of(text) in ("", "en")


@pytest.mark.parametrize(("texts", "language"), [(GERMAN, "de"), (ENGLISH, "en")])
def test_sentences_have_one(texts: tuple[str, ...], language: str) -> None:
    assert {language_of(text) for text in texts} == {language}


def test_texts_in_another_script_are_recognised_however_short() -> None:
    assert language_of("我的卡在哪里") == "zh"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Заказ не пришёл", "ru"),
        ("Где мой возврат 20 рублей за iPhone?", "ru"),
        ("لم يصل طلبي", "ar"),
        ("ההזמנה שלי לא הגיעה", "he"),
        ("สินค้ายังไม่มาถึง", "th"),
    ],
)
def test_another_script_is_another_language_however_unsure_which(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("請求書4711の金額が間違っています", "ja"),
        ("注文4711はいつ届きますか", "ja"),
        ("7月3日にhttps://example.org/aを見て連絡先ada@example.orgに書きました", "ja"),
        ("请问订单12345什么时候可以发货?", "zh"),
        ("เลขที่คำสั่งซื้อ12345ยังไม่มาถึง", "th"),
    ],
)
def test_figures_and_names_within_a_script_without_spaces_take_nothing_with_them(text: str, language: str) -> None:
    assert language_of(text) == language


def test_foreign_inputs_are_named_with_their_language() -> None:
    (finding,) = language_mismatch(rows(*GERMAN, *ENGLISH * 3), (), languages=["en"], made_for="minilm")
    assert (finding.count, finding.rows) == (4, ("0", "1", "2", "3"))
    assert "4 inputs of 16" in finding.message
    assert "German 4" in finding.message
    assert "minilm" in finding.message


def test_a_few_foreign_texts_do_not_matter() -> None:
    assert language_mismatch(rows(GERMAN[0], *ENGLISH * 5), (), languages=["en"], made_for="minilm") == []


def test_short_texts_are_judged_together() -> None:
    short = ("Karte weg", "kein Strom", "Wo ist mein Paket?", "Rechnung falsch", "bitte kündigen", "Zähler kaputt")
    assert "" in {language_of(text) for text in short}
    (finding,) = language_mismatch(rows(*short * 3), (), languages=["en"], made_for="minilm")
    assert finding.count == 18


def test_documents_are_reported_apart() -> None:
    documents = [Document(f"d{i}", text) for i, text in enumerate(GERMAN)]
    (finding,) = language_mismatch(rows(*ENGLISH), documents, languages=["en"], made_for="minilm")
    assert finding.rows == ("d0", "d1", "d2", "d3")


def test_a_language_of_the_embedder_is_no_mismatch() -> None:
    assert language_mismatch(rows(*GERMAN), (), languages=["en", "de"], made_for="polyglot") == []
    assert language_mismatch(rows(*GERMAN), (), languages=[], made_for="unknown") == []
