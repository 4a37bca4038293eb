"""Advisor: prompt, retrieval or fine-tuning? Answered by experiment.

from advisor import compare
report = compare(task="Route each ticket to a team.", examples="tickets.csv", output="run")
"""

from __future__ import annotations

from typing import Any

__all__ = ["__version__", "compare"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load `compare` on first use: the command line must answer `--help` at once."""
    if name == "compare":
        from advisor.comparison import compare

        return compare
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
