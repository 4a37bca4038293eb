"""What pydantic finds wrong, as our sentences say it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Invalid(Protocol):
    """An error of pydantic's, or of what is built on it."""

    def errors(self) -> Sequence[Any]:
        """All that is wrong."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong."""

    place: tuple[str | int, ...]
    """Names of fields and numbers of items, from the outermost on; empty where it is the whole."""
    said: str
    """Why, as a sentence goes on within another."""
    kind: str
    """Pydantic's name for such a fault."""
    given: object
    """The value that is wrong."""

    def __str__(self) -> str:
        return ": ".join(filter(None, [".".join(map(str, self.place)), self.said]))


def first_fault(error: Invalid, tags: Collection[str] = ()) -> Fault:
    """What is wrong first. `tags` are what pydantic calls the members of a union, which are no place."""
    first = error.errors()[0]
    outermost, inner = first["loc"][:1], first["loc"][1:]
    said = first["msg"]
    if first["type"] == "value_error":  # our own words, which may begin with a client's
        said = said.removeprefix("Value error, ")
    elif not said[1:2].isupper():
        said = said[0].lower() + said[1:]
    return Fault((*outermost, *(part for part in inner if part not in tags)), said, first["type"], first["input"])
