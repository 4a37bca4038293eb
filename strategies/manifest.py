"""`solution.json`: what a kept solution is, and which models it was made with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.errors import RequestError
from eval.near_duplicates import group_key
from strategies.models.base import ModelIdentity

FILE = "solution.json"
FORMAT = 3


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
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{folder / FILE} is damaged: {error}.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise RequestError(
            f"{folder / FILE} has a format that this version does not read: `advisor compare` makes it anew."
        )
    return manifest


@dataclass(frozen=True)
class Origin:
    """What a kept solution comes from, as far as what it is given later hangs on that."""

    input_columns: tuple[str, ...] = ()
    """That its inputs were made of, for tables that it is to answer."""
    redacted: bool = False
    """Whether personal data were masked, and are to be in documents that it is to look into."""
    learnt_from: frozenset[str] = frozenset()
    """Fingerprints of inputs, to tell further rows from those that it knows."""
    group_by: str = ""
    """The column that says which rows belong together, there and in further rows; empty where there was none."""


def fingerprint(text: str) -> str:
    """A short hash of an input, whatever its case and spacing, from which the text cannot be read."""
    return hashlib.sha256(group_key(text).encode()).hexdigest()[:12]


def fingerprints(texts: Iterable[str]) -> frozenset[str]:
    """Of all of them."""
    return frozenset(map(fingerprint, texts))


def note_origin(folder: Path, origin: Origin) -> None:
    """Note in a kept solution's manifest what it comes from."""
    noted = {**asdict(origin), "learnt_from": " ".join(sorted(origin.learnt_from))}
    text = json.dumps({**read_manifest(folder), **noted}, ensure_ascii=False, indent=1)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read_origin(folder: Path) -> Origin:
    """What was noted; nothing where that was not done."""
    manifest = read_manifest(folder)
    learnt_from = frozenset(str(manifest.get("learnt_from", "")).split())
    columns, redacted = tuple(manifest.get("input_columns", ())), bool(manifest.get("redacted"))
    return Origin(columns, redacted, learnt_from, str(manifest.get("group_by", "")))


def model_entry(identity: ModelIdentity) -> dict[str, Any]:
    """How a model is recorded."""
    return asdict(identity)
