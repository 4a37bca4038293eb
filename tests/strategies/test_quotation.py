"""Answers that are quotations: what may be quoted, and where answers are taken for quotations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.contracts import Document, Example, Kind, Task
from eval.reading.text import count_words
from strategies.answers import AnswerFormat
from strategies.models.base import Prompt, Turn
from strategies.models.fake import ScriptedModel
from strategies.quotation import EDGES, Quotations, look_like_quotations, quotations, stretches

CONTEXT = "The mill (built in 1890) burnt down.\nNobody knows why."
PROMPT = Prompt((Turn("user", "When?"),))


def rows(*answers: str) -> list[Example]:
    return [Example(str(n), f"question {n}", (answer,)) for n, answer in enumerate(answers)]


def everywhere(questions: Sequence[str]) -> list[str]:
    """Every question is shown the same."""
    return [CONTEXT] * len(questions)


def test_stretches_are_whole_words_of_one_line_without_the_punctuation_around_them() -> None:
    found = stretches(CONTEXT, 2)
    assert {"The mill", "built in", "1890", "1890) burnt", "Nobody"} <= set(found)
    assert not {"down.", "down Nobody", "(built", "The mill (built"} & set(found)
    assert len(found) == len(set(found))


@given(st.text(alphabet="ab .,()\n", max_size=60), st.integers(1, 4))
def test_a_stretch_stands_in_the_text_and_has_no_more_words(context: str, most: int) -> None:
    for found in stretches(context, most):
        assert found in context
        assert 1 <= len(found.split()) <= most
        assert found == found.strip(EDGES)


@given(st.text(alphabet="北京第桥。a ,\n", max_size=40), st.integers(1, 4))
def test_in_scripts_without_spaces_two_signs_count_as_a_word(context: str, most: int) -> None:
    for found in stretches(context, most):
        assert found in context
        assert 1 <= count_words(found) <= most
        assert found == found.strip(EDGES)


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("Set it with `--width`.", "--width"),
        ("Take the **Basic Plan**, or *none*.", "Basic Plan"),
        ("-w, --width=NUMBER", "--width"),
        ("--backup[=CONTROL]", "CONTROL"),
        ("| Fee | 5 EUR |", "5 EUR"),
        ("<td>Basic Plan</td>", "Basic Plan"),
        ("See [Basic Plan](plans/basic.md).", "Basic Plan"),
        ("Call `__init__` first.", "__init__"),
        ("That is _never_ so.", "never"),
        ("Read `/etc/hosts`, then <a@b.org>.", "/etc/hosts"),
        ("Read `/etc/hosts`, then <a@b.org>.", "a@b.org"),
        ("Between **`<td>`** and `</td>`.", "<td>"),
    ],
)
def test_a_quotation_may_begin_and_end_at_a_mark(context: str, answer: str) -> None:
    assert answer in stretches(context, 2)
    assert quotations(rows(answer), lambda questions: [context]) is not None


@given(st.text(alphabet="ab .`*_=/[]\n", max_size=40), st.integers(1, 4))
def test_marks_are_no_words_of_a_stretch(context: str, most: int) -> None:
    found = stretches(context, most)
    assert len(found) == len(set(found))
    for text in found:
        assert text in context
        assert min(len(text.split()), len(re.sub(r"[`*=/\[\]]", " ", text).split())) <= most
        assert text
        assert text == text.strip(EDGES)


def test_in_scripts_without_spaces_a_quotation_may_begin_at_every_sign() -> None:
    context = "第7号桥建于1874年，位于阿维尔市。"
    assert {"1874年", "阿维尔市", "第7号桥"} <= set(stretches(context, 3))
    train = [Example(str(n), "?", (answer,)) for n, answer in enumerate(("1874年", "阿维尔市", "阿维尔"))]
    assert quotations(train, lambda questions: [context] * len(questions)) == Quotations(2)
    assert quotations(rows("两个很多年以前的时候" * 3), lambda questions: ["两个很多年以前的时候" * 3]) is None
    assert len(stretches("法国位于欧洲其首都为巴黎" * 10, 12)) <= 24 * 120


def test_short_answers_that_stand_in_what_is_shown_are_quotations() -> None:
    assert quotations(rows("1890", "The mill", "burnt down"), everywhere) == Quotations(2)


@pytest.mark.parametrize(
    "answers",
    [
        ["it burnt to the ground"] * 9,  # in words of its own
        ["1890", "the mill", "in 1890 built", "knows nobody"],  # the words are there, in another order or case
        ["1890", "1891", "1892", "1893", "1894"],  # mostly not there
        [*["1890"] * 9, "1890 in built", "down burnt"],  # mostly quoted, but not nearly all whose words are there
        ["yes"] * 8 + ["no"] * 8,  # never a quotation
        [" ".join(["built"] * 13)] * 5,  # too long
        [],
    ],
)
def test_other_answers_are_written(answers: list[str]) -> None:
    assert quotations(rows(*answers), everywhere) is None


def test_an_answer_that_recurs_without_being_shown_may_be_chosen_too() -> None:
    train = rows(*["1890"] * 12, *["not in the documents"] * 3, "once only")
    found = quotations(train, everywhere)
    assert found == Quotations(4, ("not in the documents",))
    assert {"1890", "not in the documents"} <= set(found.choices(CONTEXT))
    assert "once only" not in found.choices(CONTEXT)


def test_any_accepted_answer_may_be_the_one_that_is_quoted() -> None:
    train = [replace(row, targets=("in the year 1890", "1890")) for row in rows("", "", "")]
    assert quotations(train, everywhere) == Quotations(4)


def test_before_retrieval_answers_are_looked_for_in_all_documents() -> None:
    documents = [Document("a", "Nothing."), Document("b", CONTEXT)]
    assert look_like_quotations(rows("1890", "The mill"), documents)
    assert not look_like_quotations(rows("1890", "a hill", "a rill"), documents)
    assert not look_like_quotations(rows("1890"), [])
    assert not look_like_quotations([], documents)


# ---- answering -------------------------------------------------------------------------------------------------------


def test_the_likeliest_quotation_is_the_answer() -> None:
    model = ScriptedModel(lambda prompt: "1890")
    answers = AnswerFormat().quoting(model, rows("1890", "The mill", "burnt down"), everywhere)
    (found,) = answers.answer(model, [PROMPT], [CONTEXT])
    assert found.text == "1890"
    assert found.confidence is not None
    (other,) = answers.answer(ScriptedModel(lambda prompt: "in 1890, they say"), [PROMPT], [CONTEXT])
    assert other.text in stretches(CONTEXT, 2)


@pytest.mark.parametrize("contexts", [None, [""]])
def test_with_nothing_to_quote_the_answer_is_written(contexts: list[str] | None) -> None:
    answers = AnswerFormat(quotations=Quotations(2))
    (found,) = answers.answer(ScriptedModel(lambda prompt: "in 1890, they say"), [PROMPT], contexts)
    assert found.text == "in 1890, they say"


def test_each_question_is_answered_from_its_own_context() -> None:
    answers = AnswerFormat(quotations=Quotations(1))
    model = ScriptedModel(lambda prompt: "b")
    texts = [found.text for found in answers.answer(model, [PROMPT] * 3, ["a b", "c", ""])]
    assert texts == ["b", "c", "b"]


class NamesOnly(ScriptedModel):
    """Says which label, not how likely each is."""

    weighs_labels = False  # type: ignore[assignment]


def test_labels_json_and_models_that_weigh_nothing_are_left_as_they_are() -> None:
    model, train = ScriptedModel(lambda prompt: ""), rows("1890", "The mill")
    for answers in (AnswerFormat(labels=("1890", "The mill")), json_format()):
        assert answers.quoting(model, train, everywhere) == answers
    assert AnswerFormat().quoting(NamesOnly(lambda prompt: ""), train, everywhere) == AnswerFormat()


def json_format() -> AnswerFormat:
    task = Task("Extract.", Kind.EXTRACTION, "json_field_f1")
    return AnswerFormat.infer(task, rows('{"year": "1890"}'), ScriptedModel(lambda prompt: ""))
