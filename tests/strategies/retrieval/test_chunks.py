"""Documents are cut into passages without losing a word."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eval.contracts import Document
from eval.reading.text import count_words
from strategies.models.fake import HashingEmbedder
from strategies.retrieval.chunks import FEWEST_WORDS, MOST_WORDS, Passage, cut, cut_documents, fitting

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


@pytest.mark.parametrize("most", [13, 19, 24])
def test_neighbours_share_no_answer_without_its_question(most: int) -> None:
    passages = cut(" ".join(f"What of thing {n}? It is done at {n}." for n in range(9)), most)
    assert len(passages) > 3
    assert all(passage.startswith("What") for passage in passages)


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


TABBED = [line.replace(" | ", "\t") for line in TABLE]
MARKDOWN = [f"| {line} |" for line in (TABLE[0], "--- | --- | ---", *TABLE[1:])]


@pytest.mark.parametrize(("lines", "head"), [(TABLE, 1), (TABBED, 1), (MARKDOWN, 2), (LIST, 0)])
def test_rows_and_items_stay_whole_in_lines_of_their_own_and_tables_keep_their_heads(
    lines: list[str], head: int
) -> None:
    passages = cut("\n".join(lines), 40)
    rows = [" ".join(line.split()) for line in lines]
    assert len(passages) > 3
    assert all(line in rows for passage in passages for line in passage.split("\n"))
    for before, after in pairwise(passages):
        assert [*rows[:head], before.split("\n")[-1]] == after.split("\n")[: head + 1], "neighbours share one row"


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


def test_the_first_row_goes_with_the_rows_of_its_own_table_alone() -> None:
    other = [f"Chair {i} | {i} EUR" for i in range(30)]
    passages = cut("\n".join([*TABLE, "Chairs cost less.", "Chair | Price", *other]), 40)
    assert all((TABLE[0] in passage) == ("Lamp" in passage) for passage in passages)
    assert all(("Chair | Price" in passage) == ("Chair " in passage) for passage in passages)
    assert all("Price" not in passage for passage in cut(text_of(40, 10), 40))
    wide = " | ".join(f"column {i}" for i in range(20))
    passages = cut("\n".join([wide, *(wide.replace("column", "cell") for _ in range(4))]), 70)
    assert passages[1].count("\n") == 0, "where a row has no room beside it, it stands alone"


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
    """As in plain text with a line for each paragraph."""
    paragraph = text_of(8, 10)
    first = cut(f"Fees\n{paragraph}\n{paragraph}\nOpening hours\n{paragraph}", 60)
    assert first[0].startswith("Fees\ns0w0")
    assert any(". s0w0" in passage for passage in first)
    assert any("Opening hours\ns0w0" in passage for passage in first)
    assert (
        cut("Monday 9 to 5\nTuesday 9 to 12\nClosed else\n" * 9, 12)[0] == "Monday 9 to 5\nTuesday 9 to 12\nClosed else"
    )


@pytest.mark.parametrize("most", [30, 160])
def test_what_blank_lines_part_begins_a_line(most: int) -> None:
    lines = [line for n in range(40) for line in (f"**When is thing {n} done?**", f"At noon of day {n}")]
    passages = cut("\n\n".join(lines), most)
    assert {line for passage in passages for line in passage.split("\n")} == set(lines)


PLANS = ["Silver", "Gold", "Bronze"]
HANDBOOK = "# Handbook\n\n" + "\n\n".join(
    f"## {plan} plan\n\n{text_of(9, 10)}\n\n### Fees\n{text_of(9, 10)} The fee is {n} EUR. {text_of(9, 10)}"
    for n, plan in enumerate(PLANS)
)


@pytest.mark.parametrize("most", [60, 160])
def test_a_passage_says_which_headings_it_stands_under(most: int) -> None:
    passages = cut_documents([Document("h", HANDBOOK, "Handbook")], most)
    for n, plan in enumerate(PLANS):
        own = [p.shown for p in passages if f"The fee is {n} EUR" in p.text]
        assert own
        assert all(f"{plan} plan" in shown for shown in own)
    assert passages[0].shown.startswith("# Handbook\n## Silver plan\ns0w0"), "a heading has a line of its own"
    last = passages[-1]
    assert last.section == "# Handbook\n## Bronze plan\n### Fees"
    assert last.shown.startswith("Handbook > Bronze plan > Fees: s")


def test_what_a_passage_begins_with_is_not_above_it() -> None:
    sections = "\n\n".join(f"## Part {n}\n{text_of(4, 10)}" for n in range(4))
    for passage in cut_documents([Document("h", f"# All\n{sections}", "")], 48)[1:]:
        assert passage.section == "# All"
        assert passage.text.startswith("## Part")


def test_a_paragraph_that_begins_with_a_sharp_is_no_heading() -> None:
    passages = cut_documents([Document("h", f"# {text_of(1, 60)}\n\n{text_of(30, 10)}", "")])
    assert len(passages) > 1
    assert {p.section for p in passages} == {""}


def test_marks_in_code_are_no_headings() -> None:
    code = "```\n# a comment\n" + "\n".join(f"call({i})" for i in range(100)) + "\n```"
    assert {p.section for p in cut_documents([Document("c", f"{code}\n\n{text_of(9, 10)}")], 40)} == {""}


LONG_WORDS = "Die Bearbeitungsfrist der Haftpflichtversicherungsbeitragserstattung beträgt vierzehn Arbeitstage. "


class Letters(HashingEmbedder):
    """Reads 400 tokens, which are letters."""

    def __init__(self) -> None:
        super().__init__(max_tokens=400)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return list(map(len, texts))


def test_what_an_embedder_could_not_read_whole_is_cut_further() -> None:
    text = f"## Fristen\n\n{LONG_WORDS * 40}"
    passages = cut_documents([Document("d", text, "Handbuch"), Document("e", "Kurz.", "Rest")])
    assert any(len(p.shown) > 400 for p in passages)
    fit = fitting(passages, Letters())
    assert all(200 < len(p.shown) <= 400 for p in fit[:-2])
    assert {p.section for p in fit[1:-1]} == {"## Fristen"}
    assert (fit[-1], fit[-1].text) == (passages[-1], "Kurz.")
    assert fitting(fit, Letters()) == fit
    assert fitting(passages, HashingEmbedder()) == passages


def test_what_is_cut_further_keeps_its_lines() -> None:
    lines = [f"Frage nach der Bearbeitungsfrist {n}\n\nVierzehn Arbeitstage im Jahr {n}" for n in range(30)]
    fit = fitting(cut_documents([Document("d", "\n\n".join(lines), "Fristen")]), Letters())
    assert all(len(p.shown) <= 400 for p in fit)
    assert {line for p in fit for line in p.text.split("\n")} == set("\n\n".join(lines).split("\n\n"))


def test_what_no_cut_makes_short_enough_is_left() -> None:
    giant = Passage("g", "word " * 500, "word " * 100)
    assert all(count_words(p.text) == FEWEST_WORDS for p in fitting([giant], Letters()))


def test_short_documents_are_unwrapped_too() -> None:
    prose = "The right code is blue river nine, and it stays valid for the rest of the year. Ask for it at the desk."
    wrapped = "\n".join(textwrap.wrap(prose, 60))
    assert cut(wrapped, 60) == [prose]
    assert cut(f"# Codes\n{wrapped}\n\n{FIELDS}\n\n{FENCED}", 60) == [f"# Codes\n{prose}\n\n{FIELDS}\n\n{FENCED}"]
    for block in (CODE, SETTINGS, COMMANDS, FIELDS, LETTER, FENCED, "\n".join(TABLE[:9]), "\n".join(LIST[:5])):
        assert cut(block, 160) == [block]
