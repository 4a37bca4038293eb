"""Every text is embedded once a comparison, whichever strategies and folds ask for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strategies.json_lines import read_json_lines, write_json_lines
from strategies.models.base import Embedder, ModelIdentity, SearchRole
from strategies.models.caches import Bypassable

log = logging.getLogger("advisor")

Key = tuple[str, str]
"""What a text was embedded as, empty where it was not marked, and the text."""


class CachingEmbedder(Bypassable):
    """Implements `Embedder` by another one, remembering its vectors.

    In bfloat16 a vector depends a little on the texts that it was computed with, so the memory is also what makes a
    comparison that was interrupted go on with the same vectors: `save` and `load` keep it in the run folder.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        """The one that works."""
        self._known: dict[Key, NDArray[np.float32]] = {}
        self._saved = 0
        self._seconds, self._letters = 0.0, 0  # of all that was embedded
        self._new, self._recalled = set[Key](), set[Key]()  # of what was asked for since `count_anew`

    @property
    def identity(self) -> ModelIdentity:
        return self.embedder.identity

    @property
    def max_tokens(self) -> int:
        return self.embedder.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.embedder.count_tokens(texts)

    @property
    def marks_searches(self) -> bool:
        return self.embedder.marks_searches

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._remembered("", self.embedder.encode, texts)

    def encode_as(self, role: SearchRole, texts: Sequence[str]) -> NDArray[np.float32]:
        if not self.marks_searches:  # then it is no other text
            return self.encode(texts)
        return self._remembered(role, partial(self.embedder.encode_as, role), texts)

    def _remembered(
        self, role: str, encode: Callable[[Sequence[str]], NDArray[np.float32]], texts: Sequence[str]
    ) -> NDArray[np.float32]:
        if self._bypassed or not texts:
            return encode(texts)
        asked = dict.fromkeys((role, text) for text in texts)
        new = [text for _, text in asked if (role, text) not in self._known]
        if new:
            start = time.perf_counter()
            vectors = encode(new)
            self._seconds, self._letters = self._seconds + time.perf_counter() - start, self._letters + _letters(new)
            self._known.update(zip([(role, text) for text in new], vectors, strict=True))
            self._new.update((role, text) for text in new)
        self._recalled |= asked.keys() - self._new
        return np.stack([self._known[role, text] for text in texts])

    def count_anew(self) -> None:
        """What is asked for from now on counts in `recalled_seconds`."""
        self._new.clear()
        self._recalled.clear()

    @property
    def recalled_seconds(self) -> float:
        """About how long those texts took, each counted once, that were asked for and had been known before."""
        return self._seconds * _letters(text for _, text in self._recalled) / max(1, self._letters)

    def save(self, folder: Path) -> None:
        """Write what is known as safetensors and JSON, where anything was learnt since the last time."""
        from safetensors.numpy import save_file

        if len(self._known) == self._saved:
            return
        folder.mkdir(parents=True, exist_ok=True)
        took = {"seconds": repr(self._seconds), "letters": repr(self._letters)}
        metadata = {"embedder": self.identity.sha256, **took}
        save_file({"vectors": np.stack(list(self._known.values()))}, folder / "new.safetensors", metadata=metadata)
        rows = [{"text": text, "role": role} if role else {"text": text} for role, text in self._known]
        write_json_lines(folder / "new.jsonl", rows)
        (folder / "new.jsonl").replace(folder / "texts.jsonl")
        (folder / "new.safetensors").replace(folder / "vectors.safetensors")
        self._saved = len(self._known)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote with the same weights; anything else, and what is damaged, is left alone."""
        from safetensors import SafetensorError

        if not (folder / "vectors.safetensors").exists():
            return
        try:
            self._known.update(self._read(folder))
        except (OSError, ValueError, SafetensorError):
            log.warning("the embeddings in %s are damaged and are made anew", folder)
        self._saved = len(self._known)

    def _read(self, folder: Path) -> dict[Key, NDArray[np.float32]]:
        from safetensors import safe_open

        with safe_open(folder / "vectors.safetensors", framework="numpy") as file:
            metadata = file.metadata() or {}
            mine = metadata.get("embedder") == self.identity.sha256
            vectors = file.get_tensor("vectors") if mine else []
        texts = [(row.get("role", ""), row["text"]) for row in read_json_lines(folder / "texts.jsonl")]
        if len(texts) < len(vectors):
            raise ValueError("there are vectors without a text")
        if mine:
            self._seconds += float(metadata.get("seconds", 0.0))
            self._letters += int(metadata.get("letters", 0))
        return dict(zip(texts, vectors, strict=False))  # texts are written first: there may be more of them


def _letters(texts: Iterable[str]) -> int:
    return sum(map(len, texts))


def recalled_seconds(embedder: Embedder) -> float:
    """Those of an embedder that remembers; of others none."""
    return embedder.recalled_seconds if isinstance(embedder, CachingEmbedder) else 0.0
