"""Documents are cut into passages without losing a word."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eval.contracts import Document
from eval.reading.text import count_words
from strategies.retrieval.chunks import MOST_WORDS, Passage, cut, cut_documents

Words = st.lists(st.sampled_from(["alpha", "beta.", "gamma!", "delta?", "e.g.", "3.14", "\n\n", "zeta\n"]), max_size=80)


def text_of(sentences: int, words: int) -> str:
    return " ".join(" ".join(f"s{s}w{w}" for w in range(words)) + "." for s in range(sentences))


@given(Words, st.integers(1, 12))
def test_no_word_is_lost_and_no_passage_too_long(words: list[str], most: int) -> None:
    text = " ".join(words)
    passages = cut(text, most)
    assert all(0 < len(passage.split()) <= most for passage in passages)
    rest = text.split()
    for passage in passages:  # what a passage repeats of the one before stands at its beginning
        own = passage.split()
        fresh = next(n for n in range(len(own), -1, -1) if own[len(own) - n :] == rest[:n])
        rest = rest[fresh:]
    assert rest == []


def test_a_short_text_stays_whole_and_as_it_is() -> None:
    assert cut("  Two lines.\n\nSecond   one. ", 10) == ["Two lines.\n\nSecond   one."]
    assert cut(" \n ", 10) == cut("", 10) == []


def test_passages_end_with_sentences() -> None:
    assert all(passage.endswith(".") for passage in cut(text_of(20, 7), 30))


def test_neighbours_share_one_sentence() -> None:
    passages = cut(text_of(9, 10), 30)
    assert len(passages) == 4
    for before, after in pairwise(passages):
        assert before.split(". ")[-1].rstrip(".") == after.split(". ")[0].rstrip(".")


def test_a_sentence_longer_than_a_passage_is_cut_between_words() -> None:
    words = [f"w{i}" for i in range(25)]
    passages = cut(" ".join(words), 10)
    assert [len(p.split()) for p in passages] == [10, 10, 5]
    assert " ".join(passages).split() == words


def test_documents_keep_their_order_names_and_titles() -> None:
    documents = [Document("a", text_of(40, 10), "First_title"), Document("b", ""), Document("c", "Short.")]
    passages = cut_documents(documents)
    assert [p.document_id for p in passages] == ["a"] * 3 + ["c"]
    assert all(len(p.text.split()) <= MOST_WORDS for p in passages)
    assert {p.title for p in passages} == {"First_title", ""}


def test_a_title_is_shown_once_and_readable() -> None:
    assert Passage("d", "Help_desk", "Call us.").shown == "Help desk: Call us."
    assert Passage("d", "Help desk", "Help desk hours.").shown == "Help desk hours."
    assert Passage("d", "", "Call us.").shown == "Call us."


def test_text_without_spaces_is_cut_too() -> None:
    text = "法国位于欧洲，其首都为巴黎。" * 40
    passages = cut(text, 20)
    assert len(passages) > 10
    assert all(count_words(passage) <= 20 and passage.endswith("。") for passage in passages)
    unbroken = cut("中" * 100, 20)
    assert [len(passage) for passage in unbroken] == [40, 40, 20]


def test_a_danda_ends_a_sentence() -> None:
    text = "बैंक सुबह दस बजे खुलता है। " * 30
    passages = cut(text, 20)
    assert all(passage.endswith("।") for passage in passages)
    assert passages[1].startswith("बैंक")


TABLE = ["Product | Price | Stock", *(f"Lamp Mk. {i} | {i} EUR | {i} pieces" for i in range(30))]
LIST = [f"- Step {i}: press button {i}. Wait." for i in range(30)]


@pytest.mark.parametrize("lines", [TABLE, [line.replace(" | ", "\t") for line in TABLE], LIST])
def test_rows_of_tables_and_items_of_lists_stay_whole_and_keep_their_lines(lines: list[str]) -> None:
    passages = cut("\n".join(lines), 40)
    rows = [" ".join(line.split()) for line in lines]
    assert len(passages) > 3
    assert all(line in rows for passage in passages for line in passage.split("\n"))
    for before, after in pairwise(passages):
        assert before.split("\n")[-1] == after.split("\n")[0], "neighbours share one row"


def test_what_stands_around_a_table_has_lines_of_its_own() -> None:
    text = "These are our prices.\n\n" + "\n".join(TABLE[:4]) + "\n\nAll prices in euros. " + text_of(9, 10)
    passage = cut(text, 60)[0]
    assert passage.split("\n")[:2] == ["These are our prices.", TABLE[0]]
    assert "\nAll prices in euros. s0w0" in passage


def test_an_item_may_go_on_in_further_lines_and_a_row_that_is_too_long_is_cut_in_itself() -> None:
    items = [f"* {word} " + "and more words of it " * 6 for word in ("first", "second", "third")]
    wrapped = "\n".join(line for item in items for line in textwrap.wrap(item, 60, subsequent_indent="  "))
    assert cut(wrapped, 40) == [item.strip() for item in items]
    long = cut("\n".join(["a | b", "word " * 50 + "| c", "d | e"]), 20)
    assert [passage.split("\n")[-1] for passage in long[1:3]] == ["word " * 19 + "word"] * 2
    assert long[-1] == "word " * 10 + "| c\nd | e"


@given(st.lists(st.sampled_from(["word", "longer", "end.", "A", "-", "12."]), min_size=80, max_size=160))
def test_wrapped_prose_is_cut_as_if_it_stood_in_one_line(words: list[str]) -> None:
    text = "Prose: " + " ".join(f"{word} so" for word in words)
    lines = textwrap.wrap(text, 70)
    marked = [line[0] in "-1" for line in lines]
    assume(not any(map(all, pairwise(marked))))  # one line after another begins like an item: that is a list
    assert cut("\n".join(lines), 30) == cut(text, 30)


CODE = """def charge(order, rate=0.19):
    if order.is_free:
        return 0
    net = sum(item.price * item.count for item in order.items)
    return round(net * (1 + rate), 2)"""
SETTINGS = """server:
  host: 127.0.0.1
  port: 8080
  allowed_origins:
    - https://portal.example.org
    - https://intranet.example.org
  timeout_seconds: 30"""
COMMANDS = """$ sudo systemctl stop advisor
$ sudo cp /etc/advisor/advisor.conf /root/advisor.conf.bak
$ sudo systemctl start advisor"""
FIELDS = """Opening hours: Monday to Friday, 9 to 17
Telephone: +44 20 7946 0000
Address: 12 High Street, Arvel"""
LETTER = """Dear Sir,
we confirm your order of 12 March about three tables.
Kind regards
Arvel Ltd"""
FENCED = "```\nif a:\n    one_call_with_arguments(a)\nelse:\n    another_call_with_arguments(a)\n```"


@pytest.mark.parametrize("block", [CODE, SETTINGS, COMMANDS, FIELDS, LETTER, FENCED])
def test_lines_that_are_meant_keep_their_breaks_and_indentation(block: str) -> None:
    prose = "\n".join(textwrap.wrap(text_of(9, 10), 70))
    passages = cut(f"{prose}\n\n{block}\n\n{prose}", 160)
    assert any(f"\n{block}\n" in passage for passage in passages)
    assert all("\n" not in line for line in passages[0].split("\n" + block[:5])[0].split("s0w0")), "prose is joined"
    pieces = cut("\n\n".join([block] * 20), 40)
    assert {line for piece in pieces for line in piece.split("\n")} == set(block.split("\n"))


def test_what_is_no_mark_of_code_begins_none() -> None:
    prose = textwrap.wrap("```make``` " + text_of(9, 10), 70)
    text = "\n".join(prose)
    assert cut(f"{text}\n\n```\na = 1\n```\n\n{text}", 60)[0] == cut(text, 60)[0]


def test_code_whose_end_is_missing_goes_on_to_the_end_and_many_beginnings_are_read_once() -> None:
    code = "```\n" + "\n".join(["call(with_as_many_signs, in_every_line)"] * 4)
    assert cut(f"{text_of(15, 10)}\n\n{code}", 160)[0].endswith(f"\n{code}")
    start = process_time()
    cut("```a\nsome words\n" * 12_000, 60)
    assert process_time() - start < 3


def test_one_long_line_among_wrapped_prose_does_not_make_the_others_lines_of_their_own() -> None:
    lines = textwrap.wrap("Prose " + "word so " * 200, 70)
    lines[8] += " " + "https://example.org/" * 6
    assert all("\n" not in passage for passage in cut("\n".join(lines), 60))


def test_where_no_line_is_wrapped_headings_have_lines_of_their_own_and_paragraphs_run_on() -> None:
    """As in what is read from HTML and Word files."""
    paragraph = text_of(8, 10)
    first = cut(f"Fees\n{paragraph}\n{paragraph}\nOpening hours\n{paragraph}", 60)
    assert first[0].startswith("Fees\ns0w0")
    assert any(". s0w0" in passage for passage in first)
    assert any("Opening hours\ns0w0" in passage for passage in first)
    assert (
        cut("Monday 9 to 5\nTuesday 9 to 12\nClosed else\n" * 9, 12)[0] == "Monday 9 to 5\nTuesday 9 to 12\nClosed else"
    )
