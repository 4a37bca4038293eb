"""What is known of models before any of them is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from advisor.readers import readers_of
from advisor.request import make_request


def folder_with(path: Path, **files: dict[str, Any]) -> str:
    path.mkdir()
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    (path / "model.safetensors").touch()
    return str(path)


def test_the_context_is_read_from_the_models_folder(tmp_path: Path) -> None:
    plain = folder_with(tmp_path / "plain", config={"max_position_embeddings": 300})
    nested = folder_with(tmp_path / "nested", config={"text_config": {"max_position_embeddings": 400}})
    silent = folder_with(tmp_path / "silent", config={})
    request = make_request(task="Sort.", examples="a.csv", model=[plain, nested, silent], embedder="org/unknown")
    limits = readers_of(request).limits
    assert [limit.longest for limit in limits] == [300, 400]
    assert {limit.severity for limit in limits} == {"warning"}


def test_a_long_input_is_only_cut_by_an_embedder(tmp_path: Path) -> None:
    embedder = folder_with(tmp_path / "e", config={}, sentence_bert_config={"max_seq_length": 256})
    (limit,) = readers_of(make_request(task="Sort.", examples="a.csv", model="org/unknown", embedder=embedder)).limits
    assert (limit.longest, limit.severity) == (256, "info")


def test_models_that_are_not_here_limit_nothing() -> None:
    readers = readers_of(make_request(task="Sort.", examples="a.csv", model="org/unknown", embedder="hashing"))
    assert (readers.languages, readers.limits) == ((), [])


def test_the_default_embedder_was_made_for_english() -> None:
    readers = readers_of(make_request(task="Sort.", examples="a.csv"))
    assert (readers.embedder, tuple(readers.languages)) == ("all-minilm-l6-v2", ("en",))


def test_lengths_are_counted_in_the_models_own_tokens(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.enable_truncation(2)
    folder = folder_with(tmp_path / "m", config={"max_position_embeddings": 3})
    words.save(str(tmp_path / "m" / "tokenizer.json"))
    (limit,) = readers_of(make_request(task="Sort.", examples="a.csv", model=folder, embedder="hashing")).limits
    assert (limit.length("a word or four five"), limit.unit) == (5, "tokens")
