"""The context is as short as retrieval allows."""

from __future__ import annotations

from eval.contracts import Document, Example
from eval.reading.text import count_words
from strategies.models.fake import HashingEmbedder
from strategies.retrieval.chunks import MOST_WORDS, cut_documents
from strategies.retrieval.contexts import (
    CONTEXTS,
    MOST_ROWS,
    UNTOLD,
    UNTOLD_SHARE,
    WORD_SHARES,
    Context,
    best_search,
    shortest_context,
)
from strategies.retrieval.index import PassageIndex

TOWNS = [f"town{i}" for i in range(12)]
FILLING = " ".join(f"Nothing of note happened in year {year}." for year in range(1800, 1815))


def index_of(documents: list[Document]):  # type: ignore[no-untyped-def]
    return lambda words: PassageIndex.build(cut_documents(documents, words), HashingEmbedder())


def test_a_short_passage_is_enough_where_it_holds_the_answer() -> None:
    documents = [Document(t, f"The mayor of {t} is {t}smith. {FILLING} {FILLING}", t) for t in TOWNS]
    rows = [Example(t, f"Who is the mayor of {t}?", (f"{t}smith",)) for t in TOWNS]
    assert shortest_context(rows, index_of(documents), seed=0)[0] == Context(60, 1)


def test_long_answers_ask_for_long_passages() -> None:
    documents = [Document(t, f"About {t}. " + " ".join(f"Fact{i}{t} of {t}." for i in range(70)), t) for t in TOWNS]
    rows = [Example(t, f"Tell me about {t}.", (documents[i].text,)) for i, t in enumerate(TOWNS)]
    chosen, _ = shortest_context(rows, index_of(documents), seed=0)
    assert chosen.words * chosen.passages > 100


def test_where_passages_hold_no_answer_neither_context_nor_search_is_chosen_by_that() -> None:
    documents = [Document(t, f"The river of {t} is long. {FILLING} {FILLING}", t) for t in TOWNS]
    rows = [Example(t, f"Is the river of {t} long?", ("zzz",)) for t in TOWNS]
    assert shortest_context(rows, index_of(documents), seed=0) == (UNTOLD, UNTOLD_SHARE)
    assert best_search(rows, index_of(documents)(60), 1, seed=0).word_share == UNTOLD_SHARE


def test_labels_do_not_tell_which_passages_are_the_right_ones() -> None:
    """Though some hold the word, the search and the context are those for answers that tell nothing."""
    documents = [Document(t, f"The mayor of {t} says no. {FILLING} {FILLING}", t) for t in TOWNS]
    rows = [Example(t, f"Does the mayor of {t} agree?", ("no",)) for t in TOWNS]
    assert shortest_context(rows, index_of(documents), seed=0)[0] == Context(60, 1)
    assert shortest_context(rows, index_of(documents), seed=0, labels=True) == (UNTOLD, UNTOLD_SHARE)
    assert best_search(rows, index_of(documents)(60), 1, seed=0, labels=True).word_share == UNTOLD_SHARE


def test_the_planned_context_is_the_longest() -> None:
    assert CONTEXTS[-1] == Context(MOST_WORDS, 1)
    assert all(c.words * c.passages <= MOST_WORDS for c in CONTEXTS)


class Blind(HashingEmbedder):
    """To whom all texts are the same."""

    def encode(self, texts):  # type: ignore[no-untyped-def]
        return super().encode(["same"] * len(texts))


def test_where_meaning_is_blind_words_decide_alone() -> None:
    documents = [Document(t, f"The mayor of {t} is {t}smith.", t) for t in TOWNS]
    rows = [Example(t, f"Who is the mayor of {t}?", (f"{t}smith",)) for t in TOWNS]
    blind = PassageIndex.build(cut_documents(documents, 60), Blind())
    assert best_search(rows, blind, 1, seed=0).held == 1.0
    nonsense = [Example(t, f"Name{i}?", (f"{t}smith",)) for i, t in enumerate(TOWNS)]
    assert best_search(nonsense, blind, 1, seed=0).word_share == WORD_SHARES[0]


def test_a_little_of_the_answers_is_given_up_for_a_shorter_context_but_no_more() -> None:
    documents = [Document(t, f"The mayor of {t} is {t}smith. {FILLING} Then came {t}end.", t) for t in TOWNS]

    def chosen(longer: int) -> Context:
        """Where so many of the twelve answers have half of their words at the end of their document."""
        ends = {t: f" {t}end" if i < longer else "" for i, t in enumerate(TOWNS)}
        rows = [Example(t, f"Who is the mayor of {t}?", (f"{t}smith{ends[t]}",)) for t in TOWNS]
        return shortest_context(rows, index_of(documents), seed=0)[0]

    assert chosen(longer=1) == Context(60, 1), "a 24th of the words is lost"
    assert chosen(longer=2) == Context(60, 2)


def test_of_many_training_rows_some_are_looked_at_the_same_each_time() -> None:
    documents = [Document(t, f"The mayor of {t} is {t}smith.", t) for t in TOWNS]
    rows = [Example(f"{t}{n}", f"Who is the mayor of {t}?", (f"{t}smith",)) for t in TOWNS for n in range(30)]
    index = PassageIndex.build(cut_documents(documents, 60), HashingEmbedder())
    found = best_search(rows, index, 1, seed=0)
    (shown,) = {count_words(passage.shown) for passage in index.passages}
    assert found.words == MOST_ROWS * shown < len(rows) * shown
    assert best_search(rows, index, 1, seed=0) == found
