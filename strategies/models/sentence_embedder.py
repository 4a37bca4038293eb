"""An embedder of the sentence-transformers library."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from eval.errors import ModelUnavailable
from strategies.models.base import ModelIdentity
from strategies.models.devices import data_type, pick_device, type_name

BATCH = 64


class SentenceEmbedder:
    """Implements `Embedder`."""

    def __init__(self, identity: ModelIdentity, network: Any) -> None:
        self.identity = identity
        self.network = network
        """A `SentenceTransformer`."""

    @classmethod
    def load(cls, name: str, folder: Path, device: str = "auto", licence: str | None = None) -> SentenceEmbedder:
        """Load safetensors weights from a local folder."""
        from sentence_transformers import SentenceTransformer

        from strategies.models.catalogue import weights_sha256

        chosen = pick_device(device)
        try:
            network = SentenceTransformer(
                str(folder),
                device=str(chosen),
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "dtype": data_type(chosen)},
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelUnavailable(f"The embedder {name} cannot be loaded: {reason}") from error
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
        return int(self.network.max_seq_length)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, int(self.network.get_embedding_dimension())), dtype=np.float32)
        vectors = self.network.encode(
            list(texts), batch_size=BATCH, convert_to_numpy=True, normalize_embeddings=False, show_progress_bar=False
        ).astype(np.float32)
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)
