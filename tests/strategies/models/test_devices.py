"""Where models run, and in which precision."""

from __future__ import annotations

import pytest
import torch

from strategies.models.devices import data_type

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({"avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"architecture": "aarch64", "bf16": True}, torch.bfloat16),
        ({"architecture": "aarch64", "neon": True}, torch.float32),
    ],
)
def test_a_cpu_computes_in_bfloat16_only_where_it_can(
    capabilities: dict[str, object], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert data_type(CPU) == expected


def test_where_torch_cannot_say_float32_is_right_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert data_type(CPU) == torch.float32
