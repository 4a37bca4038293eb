"""A linear layer that weighs labels by what a network has made of a prompt, instead of writing them token by token."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

FILE = "label_head.safetensors"


@dataclass(frozen=True)
class LabelHead:
    """Sequence classification over the last token's hidden state. It lies beside the adapter it was trained with."""

    labels: tuple[str, ...]
    weight: torch.Tensor
    """(labels, hidden size), float32."""
    bias: torch.Tensor
    """(labels,), float32."""

    @classmethod
    def blank(cls, labels: tuple[str, ...], hidden_size: int, device: torch.device) -> LabelHead:
        """All labels are equally likely, whatever the prompt."""
        weight = torch.zeros(len(labels), hidden_size, device=device)
        return cls(labels, weight, torch.zeros(len(labels), device=device))

    def knows(self, labels: Sequence[str]) -> bool:
        """Whether it was trained to weigh all of these."""
        return set(labels) <= set(self.labels)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(rows, labels) of hidden states (rows, hidden size), in float32."""
        return torch.nn.functional.linear(hidden.float(), self.weight, self.bias)

    def log_likelihoods(self, hidden: torch.Tensor, labels: tuple[str, ...]) -> list[list[float]]:
        """Of these labels, which it must know, in this order, for each row."""
        places = {label: place for place, label in enumerate(self.labels)}
        found: list[list[float]] = self.logits(hidden).log_softmax(-1)[:, [places[label] for label in labels]].tolist()
        return found

    def save(self, folder: Path) -> None:
        """Write it beside the adapter."""
        tensors = {"weight": self.weight.detach().cpu().contiguous(), "bias": self.bias.detach().cpu().contiguous()}
        save_file(tensors, folder / FILE, metadata={"labels": json.dumps(self.labels, ensure_ascii=False)})

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> LabelHead | None:
        """Inverse of `save`; None where there is none."""
        if not (folder / FILE).exists():
            return None
        with safe_open(folder / FILE, "pt", device=str(device)) as file:
            labels = tuple(json.loads(file.metadata()["labels"]))
            return cls(labels, file.get_tensor("weight"), file.get_tensor("bias"))
