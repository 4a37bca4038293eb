"""How options are called on the command line."""

from __future__ import annotations


def flag_of(name: str) -> str:
    """`min_quality` is `--min-quality`."""
    return "--" + name.replace("_", "-")
