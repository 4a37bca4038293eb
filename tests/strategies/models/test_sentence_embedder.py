"""Queries and documents are marked as the embedder's own configuration says; most want no marks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from eval.errors import ModelUnavailable
from strategies.models.sentence_embedder import SentenceEmbedder

TEXTS = ["When was the bridge built?", "The bridge of Arvel was built in 1874."]


def marking(source: Path, folder: Path, prompts: dict[str, str]) -> SentenceEmbedder:
    shutil.copytree(source, folder)
    file = folder / "config_sentence_transformers.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "prompts": prompts}))
    return SentenceEmbedder.load("tiny", folder, "cpu")


@pytest.mark.parametrize("name", ["document", "passage"])
def test_queries_and_documents_get_the_marks_that_the_model_states(
    tiny_embedder_folder: Path, tmp_path: Path, name: str
) -> None:
    plain = SentenceEmbedder.load("tiny", tiny_embedder_folder, "cpu")
    e5 = marking(tiny_embedder_folder, tmp_path / "e5", {"query": "query: ", name: "passage: "})
    assert e5.marks_searches
    assert np.array_equal(e5.encode_as("query", TEXTS), plain.encode([f"query: {text}" for text in TEXTS]))
    assert np.array_equal(e5.encode_as("document", TEXTS), plain.encode([f"passage: {text}" for text in TEXTS]))
    assert np.array_equal(e5.encode(TEXTS), plain.encode(TEXTS))


def test_where_only_queries_are_marked_documents_stay_as_they_are(tiny_embedder_folder: Path, tmp_path: Path) -> None:
    qwen = marking(tiny_embedder_folder, tmp_path / "qwen", {"query": "Query:", "document": ""})
    assert np.array_equal(qwen.encode_as("document", TEXTS), qwen.encode(TEXTS))
    assert not np.array_equal(qwen.encode_as("query", TEXTS), qwen.encode(TEXTS))


def test_without_marks_all_texts_are_embedded_alike(tiny_embedder_folder: Path) -> None:
    plain = SentenceEmbedder.load("tiny", tiny_embedder_folder, "cpu")
    assert not plain.marks_searches
    for role in ("query", "document"):
        assert np.array_equal(plain.encode_as(role, TEXTS), plain.encode(TEXTS))  # type: ignore[arg-type]
    assert plain.encode_as("query", []).shape == plain.encode([]).shape


def test_tokens_are_counted_beyond_what_is_read_and_with_the_mark(tiny_embedder_folder: Path, tmp_path: Path) -> None:
    plain = SentenceEmbedder.load("tiny", tiny_embedder_folder, "cpu")
    long = "bridge " * 3 * plain.max_tokens
    short, all_of_it = plain.count_tokens([TEXTS[0], long])
    assert 6 <= short <= plain.max_tokens < 3 * plain.max_tokens <= all_of_it
    assert plain.count_tokens([]) == []
    e5 = marking(tiny_embedder_folder, tmp_path / "e5", {"query": "query: ", "passage": "passage: "})
    assert e5.count_tokens(TEXTS) == plain.count_tokens([f"passage: {text}" for text in TEXTS])
    assert np.array_equal(plain.encode([long]), plain.encode([long + "and more"])), "counting leaves the limit as it is"


def test_a_static_embedder_has_no_limit(tiny_embedder_folder: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules.static_embedding import StaticEmbedding

    plain = SentenceEmbedder.load("tiny", tiny_embedder_folder, "cpu")
    network = SentenceTransformer(modules=[StaticEmbedding(plain.network.tokenizer, embedding_dim=8)], device="cpu")
    static = SentenceEmbedder(plain.identity, network)
    assert static.count_tokens(["bridge " * 10_000])[0] < static.max_tokens


def test_modules_of_a_folders_own_are_refused_before_anything_of_it_is_imported(
    tiny_embedder_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_embedder_folder, tmp_path / "own")
    (folder / "own_module.py").write_text("raise SystemExit('this ran')\n", encoding="utf-8")
    listed = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    listed.append({"idx": 9, "name": "9", "path": "", "type": "own_module.Own"})
    (folder / "modules.json").write_text(json.dumps(listed), encoding="utf-8")
    with pytest.raises(ModelUnavailable, match=r"names own_module\.Own, .* code that comes with a model is never run"):
        SentenceEmbedder.load("own", folder, "cpu")
