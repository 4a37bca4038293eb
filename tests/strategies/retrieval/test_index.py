"""Search finds the nearest, keeps the order of equals, and survives being written to disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from eval.contracts import Document, Example
from strategies.models.fake import HashingEmbedder
from strategies.retrieval import index as retrieval_index
from strategies.retrieval.chunks import Passage, cut_documents
from strategies.retrieval.index import ExampleIndex, Pair, PassageIndex, VectorIndex

EMBEDDER = HashingEmbedder()
TEXTS = ["red apple", "green pear", "red apple", "blue sky over town"]
EXAMPLES = [Example(str(i), text, (f"answer {i}", "other")) for i, text in enumerate(TEXTS)]


def cosines(query: str, texts: Sequence[str]) -> NDArray[np.float32]:
    return EMBEDDER.encode(texts) @ EMBEDDER.encode([query])[0]


def test_the_nearest_come_first() -> None:
    (found,) = VectorIndex.build(TEXTS, EMBEDDER).search(["blue sky"], 4)
    assert found[0] == 3
    assert sorted(found) == [0, 1, 2, 3]
    assert np.all(np.diff(cosines("blue sky", TEXTS)[found]) <= 1e-6)


def test_equals_keep_the_order_of_the_index() -> None:
    assert VectorIndex.build(TEXTS, EMBEDDER).search(["red apple"], 2) == [[0, 2]]


def test_of_many_equals_the_first_are_found() -> None:
    assert VectorIndex.build(["other", *["same"] * 30], EMBEDDER).search(["same"], 3) == [[1, 2, 3]]


def test_very_many_vectors_are_searched_along_a_graph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(retrieval_index, "MOST_EXACT", 500)
    texts = [f"number {i} of shelf {i % 37} in hall {i % 11}" for i in range(600)]
    index = VectorIndex.build(texts, EMBEDDER)
    hits = index.search(texts[:100], 3)
    assert sum(texts[own[0]] == text for own, text in zip(hits, texts, strict=False)) >= 95
    assert all(np.all(np.diff(cosines(text, texts)[own]) <= 1e-6) for own, text in zip(hits, texts, strict=False))
    index.save(tmp_path / "graph.faiss")
    assert VectorIndex.load(tmp_path / "graph.faiss", EMBEDDER, 600).search(texts[:5], 3) == hits[:5]


def test_no_more_is_found_than_there_is() -> None:
    index = VectorIndex.build(TEXTS, EMBEDDER)
    assert [len(hits) for hits in index.search(["a", "b"], 99)] == [4, 4]
    assert index.search([], 3) == []
    assert len(index) == 4


def test_nothing_is_found_where_nothing_is() -> None:
    assert VectorIndex.build([], EMBEDDER).search(["a"], 3) == [[]]
    assert PassageIndex.build(cut_documents([Document("d", " ")]), EMBEDDER).search(["a"], 1, 0.5) == [[]]


def test_passages_survive_the_disk(tmp_path: Path) -> None:
    passages = [Passage("d1", "Größe", "line one\nline two"), Passage("d2", "", "odd \u2028 separator \x85 here")]
    index = PassageIndex.build(passages, EMBEDDER)
    index.save(tmp_path / "new" / "folder")
    loaded = PassageIndex.load(tmp_path / "new" / "folder", EMBEDDER)
    assert loaded.passages == passages
    queries = ["odd separator", "line two", ""]
    assert loaded.search(queries, 2, 0.5) == index.search(queries, 2, 0.5)


def test_examples_survive_the_disk_with_the_preferred_answer_only(tmp_path: Path) -> None:
    examples = [replace(e, group="one" if i < 2 else "") for i, e in enumerate(EXAMPLES)]
    index = ExampleIndex.build(examples, EMBEDDER)
    index.save(tmp_path)
    loaded = ExampleIndex.load(tmp_path, EMBEDDER)
    assert loaded.pairs == [Pair(e.id, e.input, e.targets[0], e.group) for e in examples]
    for share in (0.0, 0.3):
        assert loaded.search(["green pear", "sky"], 3, share) == index.search(["green pear", "sky"], 3, share)
    assert index.search(["green pear"], 1)[0][0].answer == "answer 1"


class Blurred(HashingEmbedder):
    """To which all texts mean the same."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return super().encode(["same"] * len(texts))


def test_examples_are_found_by_their_words_where_meaning_does_not_tell() -> None:
    index = ExampleIndex.build(EXAMPLES, Blurred())
    assert [p.id for p in index.search(["the town's blue skies"], 4)[0]] == ["0", "1", "2", "3"]
    assert index.search(["the town's blue skies"], 1, 0.3)[0][0].id == "3"


def test_where_words_count_too_equals_keep_their_order_and_all_queries_are_answered() -> None:
    index, many = ExampleIndex.build(EXAMPLES, EMBEDDER), ["red apple"] * (retrieval_index.AT_ONCE + 1)
    assert {tuple(p.id for p in hits) for hits in index.search(many, 2, 0.5)} == {("0", "2")}
    assert len(index.search(many, 99, 0.5)) == len(many)
    assert [len(hits) for hits in index.search(["red", ""], 99, 0.5)] == [4, 4]
    assert index.search([], 3, 0.5) == []


def test_words_count_as_much_as_they_are_said_to() -> None:
    likeness = ExampleIndex.build(EXAMPLES, EMBEDDER).likeness(["green pear", "Zug"])
    assert likeness.meaning.shape == likeness.words.shape == (2, len(EXAMPLES))
    assert likeness.meaning[0] == pytest.approx(cosines("green pear", TEXTS), abs=1e-6)
    assert likeness.words[0, 1] == pytest.approx(1.0)
    assert not likeness.words[1].any(), "a text that shares nothing with any"
    among = ExampleIndex.build(EXAMPLES, EMBEDDER).likeness_among([2, 0])
    asked = ExampleIndex.build(EXAMPLES, EMBEDDER).likeness([TEXTS[2], TEXTS[0]])
    assert among.meaning == pytest.approx(asked.meaning, abs=1e-6)
    assert among.words == pytest.approx(asked.words, abs=1e-6)
    mixed = 0.7 * likeness.meaning + 0.3 * likeness.words
    assert likeness.joined(0.3) == pytest.approx(mixed, abs=1e-6)


def test_what_reads_the_same_is_found_once_however_often_it_stands_there() -> None:
    repeated = [Passage(f"copy {i}", "", "the bridge was built in 1874") for i in range(20)]
    index = PassageIndex.build([*repeated, Passage("mayor", "", "the mayor opened the bridge")], EMBEDDER)
    for share in (0.0, 0.5, 1.0):
        (found,) = index.search(["when was the bridge built"], 3, share)
        assert [p.document_id for p in found] == ["copy 0", "mayor"]


def test_a_text_under_several_names_takes_one_place() -> None:
    texts = ["The bridge was built in 1874.", "the bridge was  built\nin 1874.", "The bridge was built in 1874."]
    copies = [Passage(f"copy {i}", f"Version {i}", text) for i, text in enumerate(texts)]
    index = PassageIndex.build([*copies, Passage("mayor", "", "The mayor opened the bridge.")], EMBEDDER)
    for share in (0.0, 0.5, 1.0):
        (found,) = index.search(["Version 2: when was it built?"], 2, share)
        assert [p.document_id for p in found] == ["copy 2", "mayor"]


def test_a_row_that_stands_twice_is_found_once_but_with_each_answer_it_was_given() -> None:
    answers = ["account", "account", "devices", "account"]
    rows = [Example(str(i), "reset my password", (answer,)) for i, answer in enumerate(answers)]
    index = ExampleIndex.build([*rows, Example("9", "reset my router", ("devices",))], EMBEDDER)
    (found,) = index.search(["reset my password"], 3)
    assert [pair.id for pair in found] == ["0", "2", "9"]


def test_the_same_index_is_written_byte_for_byte_the_same(tmp_path: Path) -> None:
    for name in "ab":
        ExampleIndex.build(EXAMPLES, EMBEDDER).save(tmp_path / name)
    for file in ("examples.jsonl", "examples.faiss"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_queries_and_documents_are_marked_as_the_embedder_wants_and_examples_are_not(tmp_path: Path) -> None:
    """To a marking embedder the word "query:" makes two texts alike that share nothing else."""
    marking = HashingEmbedder(marks_searches=True)
    passages = [Passage(str(i), "", text) for i, text in enumerate(TEXTS)]
    PassageIndex.build(passages, marking).save(tmp_path / "marked")
    wanted = VectorIndex.build([f"document: {p.shown}" for p in (*passages[:2], passages[3])], EMBEDDER)
    loaded = PassageIndex.load(tmp_path / "marked", marking)
    (hits,) = wanted.search(["query: blue pear"], 3)
    assert loaded.search(["blue pear"], 3, 0.0) == [[loaded.passages[place] for place in hits]]
    assert loaded._vectors.search(["blue pear"], 3) == [hits]
    for queries in (["green pear"], ["red"]):
        assert ExampleIndex.build(EXAMPLES, marking).search(queries, 3) == ExampleIndex.build(
            EXAMPLES, EMBEDDER
        ).search(queries, 3)


def test_an_index_over_other_vectors_than_those_of_its_texts_is_refused(tmp_path: Path) -> None:
    VectorIndex.build(TEXTS, EMBEDDER).save(tmp_path / "own.faiss")
    assert len(VectorIndex.load(tmp_path / "own.faiss", EMBEDDER, len(TEXTS))) == len(TEXTS)
    for count, embedder in ((len(TEXTS) - 1, EMBEDDER), (len(TEXTS), HashingEmbedder(dimensions=7))):
        with pytest.raises(ValueError, match=rf"own\.faiss is no index of {count} vectors of"):
            VectorIndex.load(tmp_path / "own.faiss", embedder, count)
    vectors = EMBEDDER.encode(TEXTS)
    other = faiss.IndexIDMap(faiss.IndexFlatIP(vectors.shape[1]))
    other.add_with_ids(vectors, np.arange(len(TEXTS)) + 10**6)
    faiss.write_index(other, str(tmp_path / "own.faiss"))
    with pytest.raises(ValueError, match="is no index of"):
        VectorIndex.load(tmp_path / "own.faiss", EMBEDDER, len(TEXTS))
