"""What may be spent on hosted models, kept before each call."""

from __future__ import annotations

import threading

from eval.errors import InfrastructureError


class Purse:
    """Counts what was spent and what calls under way may cost at the most; their sum never exceeds the cap.

    All in USD. Used by several threads, and by all hosted models of a comparison.
    """

    def __init__(self, most_usd: float | None) -> None:
        self.most_usd = most_usd
        self.spent = 0.0
        """Calls that may have been paid for included."""
        self._lock = threading.Lock()

    def reserve(self, most: float) -> None:
        """Set aside what a call can cost. Raises InfrastructureError where that is more than is left."""
        with self._lock:
            if self.most_usd is not None and self.spent + most > self.most_usd:
                cap = f"the spending cap of {self.most_usd:g} USD is reached"
                raise InfrastructureError(f"{cap}: raise --max-spend (of a service, ADVISOR_MAX_SPEND)")
            self.spent += most

    def release(self, reserved: float) -> None:
        """The call was refused and costs nothing."""
        self.spend(-reserved)

    def settle(self, reserved: float, cost: float) -> None:
        """The call was answered, and has cost so much."""
        self.spend(cost - reserved)

    def spend(self, cost: float) -> None:
        """Count what was paid, by an earlier attempt for instance."""
        with self._lock:
            self.spent += cost
