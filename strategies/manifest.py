"""`solution.json`: what a kept solution is, and which models it was made with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.errors import RequestError
from strategies.models.base import ModelIdentity

FILE = "solution.json"
FORMAT = 1


def write_manifest(folder: Path, kind: str, values: dict[str, Any]) -> None:
    """Write the manifest of a solution of this kind."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": FORMAT, "kind": kind, **values}, ensure_ascii=False, indent=1)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a manifest. Raises RequestError where there is none, or one of another format."""
    try:
        manifest = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RequestError(f"{folder} holds no kept solution: {FILE} is missing.") from error
    except ValueError as error:
        raise RequestError(f"{folder / FILE} is damaged: {error}.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise RequestError(f"{folder / FILE} has a format that this version does not read.")
    return manifest


def note_inputs(folder: Path, columns: Sequence[str]) -> None:
    """Note in a kept solution's manifest which columns its inputs were made of, for tables that it is to answer."""
    write = {**read_manifest(folder), "input_columns": list(columns)}
    (folder / FILE).write_text(json.dumps(write, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def model_entry(identity: ModelIdentity) -> dict[str, Any]:
    """How a model is recorded."""
    return asdict(identity)
