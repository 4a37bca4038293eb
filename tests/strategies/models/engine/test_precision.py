"""A network in bfloat16 comes nearer to its float32 self, and one of an unknown kind is left as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from strategies.models.engine.precision import keep_sums_wide


class OddRMSNorm(torch.nn.Module):
    """As some models have it: one is added to the weight."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(size))
        self.variance_epsilon = 1e-5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon).sqrt() * (1 + self.weight)


def load(folder: Path, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


@torch.no_grad()
def logits(network: Any) -> torch.Tensor:
    found: torch.Tensor = network(input_ids=torch.arange(40)[None]).logits.float()
    return found


def test_sums_in_float32_bring_bfloat16_nearer_to_float32(tiny_model_folder: Path) -> None:
    exact, rough = load(tiny_model_folder, torch.float32), load(tiny_model_folder, torch.bfloat16)
    wanted, before = logits(exact), logits(rough)
    keep_sums_wide(rough)
    assert float((logits(rough) - wanted).abs().mean()) < float((before - wanted).abs().mean())


def test_in_float32_nothing_changes(tiny_model_folder: Path) -> None:
    network = load(tiny_model_folder, torch.float32)
    before = logits(network)
    keep_sums_wide(network)
    assert torch.allclose(logits(network), before, atol=1e-4)


@pytest.mark.parametrize("odd", [OddRMSNorm(32), torch.nn.LayerNorm(32)])
def test_a_network_with_another_kind_of_norm_is_left_as_it_is(tiny_model_folder: Path, odd: torch.nn.Module) -> None:
    network = load(tiny_model_folder, torch.bfloat16)
    network.model.norm = odd.to(torch.bfloat16)
    before = logits(network)
    keep_sums_wide(network)
    assert torch.equal(logits(network), before)
    assert not any("forward" in vars(module) for module in network.modules())
