"""What the models of a request can take in, as far as their folders say so: no model is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from advisor.request import CompareRequest
from eval.audit import Readers
from eval.audit.lengths import Limit
from eval.errors import ModelUnavailable
from strategies.models.catalogue import DEFAULT_EMBEDDER, locate

LANGUAGES = {DEFAULT_EMBEDDER: ("en",)}
"""Of the embedders that are known (ISO 639-1)."""


def readers_of(request: CompareRequest) -> Readers:
    """Languages of the embedder, and how long an input the models can read; a model that is not here limits nothing."""
    limits = [_context(name) for name in request.model] + [_beginning(request.embedder)]
    languages = LANGUAGES.get(request.embedder, ())
    return Readers(request.embedder, languages, [limit for limit in limits if limit is not None])


def _context(model: str) -> Limit | None:
    folder = _folder(model)
    longest = _setting(folder, "config.json", "max_position_embeddings")
    if folder is None or longest is None:
        return None
    action = "Answers to them will count as wrong: shorten them, or name a model with a longer context."
    return Limit(longest, f"the context of {model}", action, _token_counter(folder), "tokens")


def _beginning(embedder: str) -> Limit | None:
    folder = _folder(embedder)
    longest = _setting(folder, "sentence_bert_config.json", "max_seq_length")
    if folder is None or longest is None:
        return None
    action = "Went on; only their beginning is compared by meaning."
    return Limit(longest, f"what {embedder} reads", action, _token_counter(folder), "tokens", "info")


def _folder(name: str) -> Path | None:
    try:
        return locate(name)
    except ModelUnavailable:
        return None


def _setting(folder: Path | None, file: str, key: str) -> int | None:
    if folder is None or not (folder / file).is_file():
        return None
    settings = json.loads((folder / file).read_text(encoding="utf-8"))
    value = settings.get(key, settings.get("text_config", {}).get(key))
    return value if isinstance(value, int) else None


def _token_counter(folder: Path) -> Callable[[str], int]:
    """Counts tokens, special ones aside; characters where the tokenizer is kept in another form."""

    @cache
    def tokenizer() -> Any:
        from tokenizers import Tokenizer

        loaded = Tokenizer.from_file(str(folder / "tokenizer.json"))
        loaded.no_truncation()
        return loaded

    if not (folder / "tokenizer.json").is_file():
        return len
    return lambda text: len(tokenizer().encode(text, add_special_tokens=False).ids)
