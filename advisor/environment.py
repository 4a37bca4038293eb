"""On what a comparison ran."""

from __future__ import annotations

import os
import platform
import resource
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from advisor.report.schema import Environment, ModelInfo, Role
from strategies.models.base import Embedder, LanguageModel

LIBRARIES = (
    "torch",
    "transformers",
    "peft",
    "sentence-transformers",
    "faiss-cpu",
    "scikit-learn",
    "datasets",
    "xgrammar",
)


def describe(models: list[LanguageModel], embedder: Embedder, device: str) -> Environment:
    """Device, processor, libraries and the very weights that were used."""
    infos = [_info(model, "language_model") for model in models] + [_info(embedder, "embedder")]
    return Environment(
        device=device,
        cpu=cpu_name(),
        gpu=gpu_name() if device == "cuda" else None,
        threads=cores(),
        libraries={"python": platform.python_version(), **{n: v for n in LIBRARIES if (v := _version(n))}},
        models=infos,
    )


def _info(model: LanguageModel | Embedder, role: Role) -> ModelInfo:
    identity = model.identity
    return ModelInfo(
        name=identity.name,
        role=role,
        sha256=identity.sha256 or None,
        licence=identity.licence,
        parameters=identity.parameters,
        precision=identity.precision,
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_name() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def gpu_name() -> str | None:
    """The GPU's name, where there is one."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def peak_memory_bytes() -> int:
    """Most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
