"""What a comparison tells while it runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """Receives what happens; none of its methods may fail or change anything."""

    def say(self, text: str) -> None:
        """A sentence that stays: what was read, what was planned."""
        ...

    def planned(self, seconds: dict[str, float], after: float) -> None:
        """How long each strategy to come should take, and what follows the last of them."""
        ...

    def phase(self, strategy: str, phase: str, done: int, total: int) -> None:
        """What a strategy is doing, and how far it is."""
        ...

    def finished(self, strategy: str, outcome: str, quality: float | None = None) -> None:
        """A strategy is done; `outcome` is its status, or `left_out` where the plan had no room for it.

        `quality`: its metric on the test rows, 0 to 1.
        """
        ...


class Silent:
    """Tells nobody."""

    def say(self, text: str) -> None:
        pass

    def planned(self, seconds: dict[str, float], after: float) -> None:
        pass

    def phase(self, strategy: str, phase: str, done: int, total: int) -> None:
        pass

    def finished(self, strategy: str, outcome: str, quality: float | None = None) -> None:
        pass


class Forecast:
    """How far a comparison is and how long it will take, by the seconds that the plan predicts."""

    def __init__(self) -> None:
        self._predicted: dict[str, float] = {}
        self._after = self.whole = 0.0
        self._current, self._since = "", time.monotonic()

    def plan(self, seconds: Mapping[str, float], after: float) -> None:
        """What each strategy to come should take, and what follows the last of them."""
        self._predicted, self._after = dict(seconds), after
        self.whole = sum(seconds.values()) + after

    def at(self, strategy: str) -> None:
        """A strategy is under way."""
        if strategy != self._current and self._predicted:
            self._current, self._since = strategy, time.monotonic()

    def done(self, strategy: str) -> None:
        """A strategy is over, however long it took."""
        self._predicted.pop(strategy, None)
        self._since = time.monotonic()

    @property
    def left(self) -> float | None:
        """Seconds until all is done; None where the strategy under way was not planned."""
        used = time.monotonic() - self._since
        if self._current in self._predicted:
            return sum(self._predicted.values()) + self._after - min(used, self._predicted[self._current])
        return None if self._predicted else max(0.0, self._after - used)

    @property
    def share(self) -> float:
        """Share of the planned seconds that is behind, 0 to 1."""
        left = sum(self._predicted.values()) + self._after if self.left is None else self.left
        return 1 - left / self.whole if self.whole else 0.0
