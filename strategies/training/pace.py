"""How many epochs of training there is time for, at the speed that training turns out to have."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

TIMED_STEPS = 32
"""The last ones, whose median is the speed: a step that was held up says nothing of those to come."""
FEWEST_TIMED = 8
"""Steps before anything is said."""
ROOM = 1.05
"""What an epoch is reckoned to take, by the speed of those before."""


class Pace:
    """The clock of one training. Times are `time.monotonic()` values, spans are seconds."""

    def __init__(self, deadline: float, steps_an_epoch: int) -> None:
        self._deadline, self._steps_an_epoch = deadline, steps_an_epoch
        self._steps = deque[float](maxlen=TIMED_STEPS)
        self._after_epoch = 0.0

    def took(self, seconds: float) -> None:
        """A step did."""
        self._steps.append(seconds)

    def took_after_epoch(self, seconds: float) -> None:
        """Measuring and saving what an epoch brought did; before the first that is reckoned to take no time."""
        self._after_epoch = seconds

    def last_epoch(self, epoch: int, steps_left: int, now: float) -> float:
        """The number of the last epoch that will end in time, when so many steps of this one are left.

        It is one less than this one's where not even this one will; infinite where too few steps were timed,
        or there is no deadline.
        """
        if len(self._steps) < FEWEST_TIMED or self._deadline == math.inf:
            return math.inf
        step = ROOM * median(self._steps)
        spare = self._deadline - now - steps_left * step - self._after_epoch
        if spare < 0:
            return epoch - 1
        return epoch + spare // max(1e-9, self._steps_an_epoch * step + self._after_epoch)
