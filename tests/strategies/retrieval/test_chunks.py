"""Documents are cut into passages without losing a word."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
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
