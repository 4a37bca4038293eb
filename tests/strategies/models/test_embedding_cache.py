"""A text is embedded once, what is timed is not remembered, and an interrupted run goes on with the same vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from strategies.models.base import ModelIdentity
from strategies.models.caches import uncached
from strategies.models.embedding_cache import CachingEmbedder, recalled_seconds
from strategies.models.fake import HashingEmbedder


class Counting(HashingEmbedder):
    """Remembers what it was asked, and gives other vectors each time, as bfloat16 does with other batches."""

    def __init__(self, sha256: str = "1") -> None:
        super().__init__()
        self.asked: list[str] = []
        self.sha256 = sha256

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity("counting", self.sha256)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return super().encode(texts) + np.float32(1e-3 * len(self.asked))


def test_a_text_is_embedded_once() -> None:
    inner = Counting()
    cached = CachingEmbedder(inner)
    first = cached.encode(["a b", "c", "a b"])
    again = cached.encode(["c", "d", "a b"])
    assert inner.asked == ["a b", "c", "d"]
    assert np.array_equal(first[0], first[2])
    assert np.array_equal(again[[0, 2]], first[[1, 0]])
    assert cached.encode([]).shape == (0, first.shape[1])


def test_what_is_timed_is_embedded_anew() -> None:
    inner = Counting()
    cached = CachingEmbedder(inner)
    cached.encode(["a"])
    with uncached(cached):
        cached.encode(["a", "b"])
    cached.encode(["a", "b"])
    assert inner.asked == ["a", "a", "b", "b"]
    with uncached(inner):
        inner.encode(["c"])


class Slow(HashingEmbedder):
    """Takes a second a letter, on a clock of its own."""

    now = 0.0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.now += sum(map(len, texts))
        return super().encode(texts)


def test_what_known_texts_took_is_told_once_to_each_who_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Slow()
    monkeypatch.setattr("strategies.models.embedding_cache.time.perf_counter", lambda: inner.now)
    cached = CachingEmbedder(inner)
    cached.encode(["four", "three"])
    cached.encode(["four"])
    assert recalled_seconds(cached) == 0.0, "it took them itself"
    cached.count_anew()
    for _ in range(2):
        cached.encode(["four", "eleven"])
    assert recalled_seconds(cached) == pytest.approx(4.0)
    cached.save(tmp_path)
    resumed = CachingEmbedder(HashingEmbedder())
    resumed.load(tmp_path)
    resumed.encode(["eleven"])
    assert recalled_seconds(resumed) == pytest.approx(6.0)
    assert recalled_seconds(inner) == 0.0


def test_vectors_survive_a_restart(tmp_path: Path) -> None:
    before = CachingEmbedder(Counting())
    vectors = before.encode(["a b", "line\u2028break", "c"])
    before.save(tmp_path)
    before.encode(["later"])
    inner = Counting()
    after = CachingEmbedder(inner)
    after.load(tmp_path)
    assert np.array_equal(after.encode(["c", "a b", "line\u2028break"]), vectors[[2, 0, 1]])
    assert inner.asked == []
    after.encode(["later"])
    assert inner.asked == ["later"]


def test_vectors_of_other_weights_are_left_alone(tmp_path: Path) -> None:
    CachingEmbedder(Counting()).load(tmp_path / "nothing")
    one = CachingEmbedder(Counting())
    one.encode(["a"])
    one.save(tmp_path)
    inner = Counting(sha256="2")
    other = CachingEmbedder(inner)
    other.load(tmp_path)
    other.encode(["a"])
    assert inner.asked == ["a"]


def test_a_marked_text_is_another_one_and_kept_as_that(tmp_path: Path) -> None:
    inner = Counting()
    inner.marks_searches = True
    cached = CachingEmbedder(inner)
    vectors = [cached.encode(["a"]), cached.encode_as("query", ["a"]), cached.encode_as("document", ["a"])]
    cached.save(tmp_path)
    again = CachingEmbedder(Counting())
    again.embedder.marks_searches = True  # type: ignore[misc]
    again.load(tmp_path)
    recalled = [again.encode(["a"]), again.encode_as("query", ["a"]), again.encode_as("document", ["a"])]
    assert all(map(np.array_equal, vectors, recalled))
    assert inner.asked == ["a", "query: a", "document: a"]


def test_where_nothing_is_marked_a_text_is_embedded_once_whatever_for() -> None:
    inner = Counting()
    cached = CachingEmbedder(inner)
    vectors = [cached.encode(["a"]), cached.encode_as("query", ["a"]), cached.encode_as("document", ["a"])]
    assert inner.asked == ["a"]
    assert all(np.array_equal(vectors[0], other) for other in vectors)


def test_a_save_that_broke_off_loses_nothing_but_what_was_new(tmp_path: Path) -> None:
    cached = CachingEmbedder(Counting())
    cached.encode(["a"])
    cached.save(tmp_path)
    vectors = (tmp_path / "vectors.safetensors").read_bytes()
    cached.encode(["b"])
    cached.save(tmp_path)
    (tmp_path / "vectors.safetensors").write_bytes(vectors)  # as if the second save had ended after the texts
    inner = Counting()
    after = CachingEmbedder(inner)
    after.load(tmp_path)
    after.encode(["a", "b"])
    assert inner.asked == ["b"]


@pytest.mark.parametrize("file", ["texts.jsonl", "vectors.safetensors"])
@pytest.mark.parametrize("left", [0, 0.5, -5])
def test_a_file_that_was_cut_off_is_no_memory(tmp_path: Path, file: str, left: float) -> None:
    cached = CachingEmbedder(Counting())
    cached.encode(["a b", "c"])
    cached.save(tmp_path)
    whole = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: int(left * len(whole)) if left >= 0 else int(left)])
    inner = Counting()
    after = CachingEmbedder(inner)
    after.load(tmp_path)
    after.encode(["a b", "c"])
    assert inner.asked == ["a b", "c"]
    after.save(tmp_path)
    again = CachingEmbedder(Counting("1"))
    again.load(tmp_path)
    assert np.array_equal(again.encode(["a b", "c"]), after.encode(["a b", "c"]))


def test_texts_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = CachingEmbedder(Counting())
    vectors = cached.encode(["a"])
    cached.save(tmp_path)
    cached.encode(["b"])

    def full_disk(path: Path, rows: Sequence[dict[str, str]]) -> None:
        path.write_text('{"te', encoding="utf-8")
        raise OSError("no space left")

    monkeypatch.setattr("strategies.models.embedding_cache.write_json_lines", full_disk)
    with pytest.raises(OSError, match="no space"):
        cached.save(tmp_path)
    after = CachingEmbedder(Counting())
    after.load(tmp_path)
    assert np.array_equal(after.encode(["a"]), vectors)
