"""Where models run, and in which precision."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Any

import torch

from eval.errors import RequestError


def pick_device(name: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`; torch uses all cores of a CPU, or OMP_NUM_THREADS of them.

    Raises RequestError where `cuda` is asked for and there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise RequestError(f"--device {name} is unknown: use auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise RequestError("--device cuda: torch sees no GPU here; use --device cpu or auto.")
    if name != "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "0")) or len(os.sched_getaffinity(0)))
    keep_freed_memory()
    return torch.device("cpu")


def data_type(device: torch.device) -> torch.dtype:
    """bfloat16 wherever the device computes in it: on CPUs that do it is three times faster than float32.

    On CPUs that do not (most of those without AVX-512), torch imitates it, several times slower than float32; and so it
    does on GPUs before NVIDIA's Ampere (T4, V100). In float16, which those have, small gradients would vanish.
    """
    if device.type == "cuda":
        computes_in_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        computes_in_bfloat16 = cpu_computes_in_bfloat16()
    return torch.bfloat16 if computes_in_bfloat16 else torch.float32


def type_name(dtype: torch.dtype) -> str:
    """As people write it, such as bfloat16."""
    return str(dtype).removeprefix("torch.")


def cpu_computes_in_bfloat16() -> bool:
    """Whether this CPU has instructions for products of bfloat16. False where torch is too old to say."""
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # the last is ARM's


def keep_freed_memory() -> None:
    """Let glibc reuse large blocks instead of giving them back to the system after every operation.

    Answering makes and drops tensors of tens of megabytes; without this, a good part of the time goes into page faults.
    Does nothing on other C libraries.
    """
    m_trim_threshold, m_mmap_max = -1, -4  # from malloc.h
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)
    except (OSError, AttributeError):
        return
