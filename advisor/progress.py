"""What a comparison tells while it runs."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives what happens; none of its methods may fail or change anything."""

    def say(self, text: str) -> None:
        """A sentence that stays: what was read, what was planned."""
        ...

    def planned(self, seconds: dict[str, float]) -> None:
        """How long each strategy to come should take."""
        ...

    def phase(self, strategy: str, phase: str, done: int, total: int) -> None:
        """What a strategy is doing, and how far it is."""
        ...

    def finished(self, strategy: str, outcome: str) -> None:
        """A strategy is done; `outcome` is a few words."""
        ...


class Silent:
    """Tells nobody."""

    def say(self, text: str) -> None:
        pass

    def planned(self, seconds: dict[str, float]) -> None:
        pass

    def phase(self, strategy: str, phase: str, done: int, total: int) -> None:
        pass

    def finished(self, strategy: str, outcome: str) -> None:
        pass
