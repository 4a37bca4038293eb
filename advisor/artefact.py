"""The kept solution, as a report tells of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from advisor.report import schema
from advisor.runs import SOLUTION, RunFolder
from strategies.manifest import read_manifest
from strategies.models.catalogue import file_sha256
from strategies.models.engine.tuned_weights import are_in

QUICKLY_HASHED = 200_000_000
"""Bytes of a file that is hashed in a fraction of a second: an adapter, an index, but no whole model."""
_PARTS = {"adapter": "LoRA adapter", "passages_shown": "document index", "examples_shown": "example index"}


def artefact_of(
    kept: Path, folder: RunFolder, *, travels: bool = False, known: Mapping[str, str] | None = None
) -> schema.Artefact:
    """The kept solution, file by file. `travels` says that its readers have it somewhere else than in this folder.

    Of large weights the hashes that are `known` are taken: nothing here writes over them.
    """
    manifest = read_manifest(kept)
    adapter = manifest.get("adapter")
    titles = {**_PARTS, "adapter": "tuned weights"} if adapter and are_in(kept / adapter) else _PARTS
    parts = [title for key, title in titles.items() if manifest.get(key)]
    kind = str(manifest["kind"]) + (f" with {', '.join(parts)}" if parts else "")
    names = [str(p.relative_to(kept)) for p in sorted(kept.rglob("*")) if p.is_file()]
    return schema.Artefact(
        path=str(kept.relative_to(folder.path)),
        kind=kind,
        sha256={name: _sha256(kept / name, (known or {}).get(name)) for name in names},
        how_to_use=how_to_use(kept, folder, travels=travels),
    )


def _sha256(file: Path, known: str | None) -> str:
    is_weights = file.suffix == ".safetensors"  # an index is written anew by `refresh`
    return known if known and is_weights and file.stat().st_size > QUICKLY_HASHED else file_sha256(file)


def how_to_use(kept: Path, folder: RunFolder, *, travels: bool = False) -> str:
    """The command that answers with a kept solution: by the run's name where it is the one that the run stands for."""
    named = folder.path if kept == folder.path / SOLUTION else kept
    return f"advisor predict {shlex.quote(str(kept.relative_to(folder.path) if travels else named))} --input 'TEXT'"
