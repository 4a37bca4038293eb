"""What parts one request from another that has its run in the folder already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HASHED = "sha256:"
"""Begins the values that are kept as a hash: texts of a client's, and what may hold a secret."""

CONTENTS = {
    "task": "the task has changed",
    "examples": "the examples have changed",
    "test": "the test rows have changed",
    "documents": "the documents have changed",
    "incumbent": "the outputs of today's system have changed",
}
DERIVED = {
    "reading": "the kind of the task, its metric or its labels have changed",
    "groups": "the cells of --group-by have changed",
    "times": "the cells of --time-column have changed",
}
"""These follow from others, and are told where nothing else has changed."""


def what_differs(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The parts that differ, in words; of parts that only one of the two has nothing is known."""
    if then.get("measured_by") != now.get("measured_by"):
        return ["an earlier version of Advisor began it, which measured otherwise"]
    changed = [name for name in now if name in then and then[name] != now[name]]
    told = [_told(name, then[name], now[name]) for name in changed if name not in DERIVED]
    return told or [DERIVED[name] for name in changed]


def _told(name: str, then: Any, now: Any) -> str:
    if name in CONTENTS:
        return CONTENTS[name]
    flag = "--" + name.replace("_", "-")
    if any(str(value).startswith(HASHED) for value in (then, now)):
        return f"{flag} differs"
    return f"{flag} differs ({_value(then)} then, {_value(now)} now)"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "given" if value else "not given"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
