"""Turns of projects at what is done for one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from api.problems import Problem

LOOK_SECONDS = 1.0
"""How often it is seen to whether someone still waits."""
BUSY = "The service is busy with other requests of this kind: try again soon."


@dataclass(frozen=True, eq=False)
class _Call:
    whose: str


class Turns:
    """One call at a time, of the project whose last turn is longest ago, and of its calls the first that came.

    Each call blocks its thread, so only so many may be here at a time, in all and of one project.
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._changed = threading.Condition()
        self._here: list[_Call] = []
        """At work or waiting, the first to come first."""
        self._at_work: _Call | None = None
        self._turns = 0
        self._last: dict[str, int] = {}
        """The number of each project's last turn."""

    @contextmanager
    def turn(self, whose: str, seconds: float, gone: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Wait for a turn, and have it. Raises Problem where too many are here, or it does not come in time.

        `gone`: whether nobody waits for it any more, which leaves the place to others.
        """
        call = _Call(whose)
        with self._changed:
            if len(self._here) >= self._most or [c.whose for c in self._here].count(whose) >= self._most_of_one:
                raise _busy()
            self._here.append(call)
            end = time.monotonic() + seconds
            while not self._changed.wait_for(lambda: self._next() is call, min(seconds, LOOK_SECONDS)):
                if time.monotonic() >= end or gone():
                    self._leave(call)
                    raise _busy()
            self._turns += 1
            self._at_work, self._last[whose] = call, self._turns
        try:
            yield
        finally:
            with self._changed:
                self._at_work = None
                self._leave(call)

    def _next(self) -> _Call | None:
        if self._at_work is not None:
            return None
        return min(self._here, key=lambda call: self._last.get(call.whose, 0))

    def _leave(self, call: _Call) -> None:
        self._here.remove(call)
        self._changed.notify_all()


def _busy() -> Problem:
    return Problem(503, BUSY, {"retry-after": "5"})
