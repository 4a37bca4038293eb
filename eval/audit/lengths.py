"""Inputs that are longer than what will read them can take in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.contracts import Example
from eval.findings import Finding, Severity
from eval.reading.text import counted


@dataclass(frozen=True)
class Limit:
    """How much of an input can be read, in units of the caller's choice."""

    longest: int
    reader: str
    """Who reads, for the message: "the context of MODEL"."""
    consequence: str
    """A sentence: what becomes of longer inputs, and what to do."""
    length: Callable[[str], int] = len
    """Measures a text, in no more units than it has characters. By default in characters."""
    unit: str = "characters"
    severity: Severity = "warning"


def long_inputs(examples: Sequence[Example], limit: Limit) -> Finding | None:
    """Report the rows whose input alone is longer than the limit."""
    candidates = [e for e in examples if len(e.input) > limit.longest]  # measuring may be slow
    lengths = {e.id: length for e in candidates if (length := limit.length(e.input)) > limit.longest}
    if not lengths:
        return None
    verb = "is" if len(lengths) == 1 else "are"
    message = (
        f"{counted(len(lengths), 'input')} {verb} longer than {limit.reader}, {limit.longest:,} {limit.unit} "
        f"(the longest has {max(lengths.values()):,})."
    )
    return Finding("long_inputs", limit.severity, len(lengths), tuple(lengths), message, limit.consequence)
