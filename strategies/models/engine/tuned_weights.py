"""Weights that were tuned as a whole, in the place of a network's own while they are in use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.errors import RequestError

if TYPE_CHECKING:
    import torch

FILE = "weights.safetensors"


def are_in(folder: Path) -> bool:
    """Whether the folder holds tuned weights, rather than an adapter."""
    return (folder / FILE).exists()


def save(weights: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write weights by their names in the network, rounded to bfloat16, as models are published."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    narrow = {name: weight.detach().to("cpu", torch.bfloat16).contiguous() for name, weight in weights.items()}
    save_file(narrow, folder / FILE, {"format": "pt"})


class TunedWeights:
    """The weights of a folder put into a network; its own are kept aside."""

    def __init__(self, network: Any, folder: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            tuned = load_file(folder / FILE)
        except (OSError, SafetensorError) as error:
            raise RequestError(f"The weights in {folder} cannot be read: {error}.") from error
        own = dict(network.named_parameters())
        if strange := [name for name in tuned if name not in own or own[name].shape != tuned[name].shape]:
            raise RequestError(f"The weights in {folder} are another model's: {strange[0]} does not fit.")
        self._kept = [(own[name], own[name].detach().clone()) for name in tuned]
        for name, weight in tuned.items():
            own[name].data.copy_(weight)

    def leave(self) -> None:
        """Put the very same base weights back."""
        for weight, original in self._kept:
            weight.data.copy_(original)
