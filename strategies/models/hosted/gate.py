"""How many calls of a server are under way at once: fewer, where those beside a call keep it waiting too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(eq=False)
class Place:
    """A call's, while it is under way."""

    begun: float
    """`time.monotonic()` value."""
    at_once: int = 0
    """The most calls that were under way together with it, itself among them."""


class Gate:
    """Lets so many calls through at once. Used by several threads."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._inside = set[Place]()
        self._served_in = 0.0
        """Seconds that the last answer took, with its waiting for others at the server."""
        self._changed = threading.Condition()

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Wait until a call may be made."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._inside) < self.width)
            own = Place(time.monotonic())
            self._inside.add(own)
            for each in self._inside:
                each.at_once = max(each.at_once, len(self._inside))
        try:
            yield own
        finally:
            with self._changed:
                self._inside.remove(own)
                self._changed.notify_all()

    def served(self, place: Place) -> None:
        """The call was answered."""
        self._served_in = time.monotonic() - place.begun

    def narrows(self, place: Place) -> bool:
        """After a call that took too long: whether it had to wait for those beside it, and half as many go from now on.

        A server that takes one prompt at a time needs for each at least that time's share of those that were under
        way. Where others are answered in less, the call hung by itself.
        """
        share = (time.monotonic() - place.begun) / place.at_once
        with self._changed:
            is_starved = place.at_once > 1 and self._served_in >= share
            if is_starved:
                self.width = min(self.width, place.at_once // 2)
            return is_starved
