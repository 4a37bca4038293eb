"""An embedder of the sentence-transformers library."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.errors import ModelUnavailable
from strategies.models.base import ModelIdentity, SearchRole
from strategies.models.devices import data_type, pick_device, type_name
from strategies.models.loading import CHECKED, check_unquantised, check_whole, told_in_a_sentence

BATCH = 64
UNREAD = ("pooler.",)
"""What BERT makes of its first token, which no embedder of sentence-transformers reads. Some are kept without it."""


PROMPTS: dict[SearchRole, tuple[str, ...]] = {"query": ("query",), "document": ("document", "passage", "corpus")}
"""Names under which a model's config_sentence_transformers.json says what it wants before the texts of a search."""


class SentenceEmbedder:
    """Implements `Embedder`."""

    def __init__(self, identity: ModelIdentity, network: Any) -> None:
        self.identity = identity
        self.network = network
        """A `SentenceTransformer`."""

    @classmethod
    def load(cls, name: str, folder: Path, device: str = "auto", licence: str | None = None) -> SentenceEmbedder:
        """Load safetensors weights from a local folder.

        Raises ModelUnavailable for what is no such model.
        """
        from sentence_transformers import SentenceTransformer

        from strategies.models.catalogue import weights_sha256

        chosen = pick_device(device)
        what = f"The embedder {name}"
        with told_in_a_sentence(what):
            check_unquantised(what, folder)
            _check_modules(what, folder)
            network = SentenceTransformer(
                str(folder),
                device=str(chosen),
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "dtype": data_type(chosen), "ignore_mismatched_sizes": True},
            )
            if network.transformers_model is not None:
                check_whole(what, _loading_info(network.transformers_model, folder), unread=UNREAD)
        count = sum(p.numel() for p in network.parameters())
        identity = ModelIdentity(name, weights_sha256(folder), licence, count, type_name(data_type(chosen)))
        return cls(identity, network)

    def with_network(self, network: Any) -> SentenceEmbedder:
        """One with these weights as they are now, in this one's data type. Named after this one."""
        kept = copy.deepcopy(network).to(next(self.network.parameters()).dtype).eval()
        return SentenceEmbedder(self.identity, kept)

    def save(self, folder: Path) -> None:
        """Write it as sentence-transformers does, weights as safetensors."""
        self.network.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)

    @property
    def max_tokens(self) -> int:
        limit = self.network.max_seq_length  # static embedders have none
        return int(limit) if limit and limit < sys.maxsize else sys.maxsize

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        tokenizer, mark = self.network.tokenizer, self._prompt("document")
        batches = [[mark + text for text in texts[i : i + BATCH]] for i in range(0, len(texts), BATCH)]
        if not callable(tokenizer):  # that of a static embedder
            return [len(own.ids) for batch in batches for own in tokenizer.encode_batch(batch)]
        encode = partial(tokenizer, truncation=False, verbose=False)
        return [len(ids) for batch in batches for ids in encode(batch)["input_ids"]]

    @property
    def marks_searches(self) -> bool:
        return any(map(self._prompt, PROMPTS))

    def _prompt(self, role: SearchRole) -> str:
        stated = [self.network.prompts.get(name) for name in PROMPTS[role]]
        return next(filter(None, stated), "")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._unit_vectors(self.network.encode, texts)

    def encode_as(self, role: SearchRole, texts: Sequence[str]) -> NDArray[np.float32]:
        if not self.marks_searches:
            return self.encode(texts)
        # not by `encode_document`, which does not look for "passage" where there is an empty "document", and there is
        return self._unit_vectors(partial(self.network.encode, prompt=self._prompt(role)), texts)

    def _unit_vectors(self, encode: Callable[..., Any], texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, int(self.network.get_embedding_dimension())), dtype=np.float32)
        vectors = encode(
            list(texts), batch_size=BATCH, convert_to_numpy=True, normalize_embeddings=False, show_progress_bar=False
        ).astype(np.float32)
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def _loading_info(network: Any, folder: Path) -> dict[str, Any]:
    """What transformers tells of the weights in a folder, which sentence-transformers does not pass on.

    So they are loaded once more, onto no device: only their names and shapes are read.
    """
    _, info = type(network).from_pretrained(
        folder, config=network.config, device_map="meta", local_files_only=True, use_safetensors=True, **CHECKED
    )
    return dict(info)


def _check_modules(what: str, folder: Path) -> None:
    """Raise ModelUnavailable where the folder names modules of its own, which would be imported and so run."""
    listing = folder / "modules.json"
    named = json.loads(listing.read_text(encoding="utf-8")) if listing.exists() else []
    strange = [module["type"] for module in named if not module["type"].startswith("sentence_transformers.")]
    if strange:
        raise ModelUnavailable(
            f"{what} cannot be loaded: modules.json names {strange[0]}, which is no module of sentence-transformers; "
            "code that comes with a model is never run."
        )
