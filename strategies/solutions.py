"""Loading of kept solutions, whatever their kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol, runtime_checkable

from safetensors import SafetensorError

from eval.contracts import Document, Solution
from eval.errors import RequestError
from strategies.manifest import FILE, read_manifest
from strategies.models.shelf import ModelShelf

KINDS: dict[str, str] = {
    "pipeline": "strategies.pipeline:Pipeline",
    "constant": "strategies.baselines:Constant",
    "echo": "strategies.baselines:Echo",
    "nearest_copy": "strategies.baselines:NearestCopy",
    "passage_copy": "strategies.baselines:PassageCopy",
    "linear": "strategies.linear_classifier:LinearClassifier",
}
"""Kinds of solution that a manifest may name, and the class that loads each."""

DAMAGED = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)
"""What libraries raise on files that are not what they should be; FAISS raises RuntimeError."""


@runtime_checkable
class Refreshable(Protocol):
    """A solution that looks into documents."""

    def with_documents(self, documents: Sequence[Document]) -> Solution:
        """The same over other documents. Raises RequestError where it looks into none after all."""
        ...


def load_solution(folder: Path, shelf: ModelShelf) -> Solution:
    """The inverse of `Solution.save`.

    Raises RequestError where the folder holds no solution of a known kind, or one of its files is missing or damaged.
    """
    kind = read_manifest(folder)["kind"]
    if kind not in KINDS:
        raise RequestError(f"{folder / FILE} names the kind {kind!r}; known are {', '.join(KINDS)}.")
    loader: Any = resolve_name(KINDS[kind])
    try:
        solution: Solution = loader.load(folder, shelf)
    except DAMAGED as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise RequestError(
            f"The solution in {folder} cannot be loaded, a file of it is missing or damaged ({what}): "
            "copy the folder again, or make it anew with `advisor compare`."
        ) from error
    return solution
