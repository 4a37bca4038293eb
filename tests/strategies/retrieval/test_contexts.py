"""The context is as short as retrieval allows."""

from __future__ import annotations

from eval.contracts import Document, Example
from strategies.models.fake import HashingEmbedder
from strategies.retrieval.chunks import MOST_WORDS, cut_documents
from strategies.retrieval.contexts import CONTEXTS, Context, shortest_context
from strategies.retrieval.index import PassageIndex

TOWNS = [f"town{i}" for i in range(12)]
FILLING = " ".join(f"Nothing of note happened in year {year}." for year in range(1800, 1815))


def index_of(documents: list[Document]):  # type: ignore[no-untyped-def]
    return lambda words: PassageIndex.build(cut_documents(documents, words), HashingEmbedder())


def test_a_short_passage_is_enough_where_it_holds_the_answer() -> None:
    documents = [Document(t, f"The mayor of {t} is {t}smith. {FILLING} {FILLING}", t) for t in TOWNS]
    rows = [Example(t, f"Who is the mayor of {t}?", (f"{t}smith",)) for t in TOWNS]
    assert shortest_context(rows, index_of(documents), seed=0) == Context(60, 1)


def test_long_answers_ask_for_long_passages() -> None:
    documents = [Document(t, f"About {t}. " + " ".join(f"Fact{i}{t} of {t}." for i in range(70)), t) for t in TOWNS]
    rows = [Example(t, f"Tell me about {t}.", (documents[i].text,)) for i, t in enumerate(TOWNS)]
    chosen = shortest_context(rows, index_of(documents), seed=0)
    assert chosen.words * chosen.passages > 100


def test_what_the_documents_do_not_hold_asks_for_the_fewest_words() -> None:
    documents = [Document(t, f"The river of {t} is long. {FILLING} {FILLING}", t) for t in TOWNS]
    rows = [Example(t, f"Who is the mayor of {t}?", ("zzz",)) for t in TOWNS]
    assert shortest_context(rows, index_of(documents), seed=0) == Context(60, 1)


def test_the_planned_context_is_the_longest() -> None:
    assert CONTEXTS[-1] == Context(MOST_WORDS, 1)
    assert all(c.words * c.passages <= MOST_WORDS for c in CONTEXTS)
