"""What may be spent on hosted models, kept before each call."""

from __future__ import annotations

import threading

from eval.errors import LastingFailure


class Purse:
    """Counts what was spent and what calls under way may cost at the most; their sum never exceeds the cap.

    All in USD. Used by several threads, and by all hosted models of a comparison.
    """

    def __init__(self, most_usd: float | None) -> None:
        self.most_usd = most_usd
        self.spent = 0.0
        """Calls that may have been paid for included, and what is set aside."""
        self._under_way = 0
        self._settled = threading.Condition()

    def reserve(self, most: float) -> None:
        """Set aside what a call can cost; `settle` must follow. Raises LastingFailure where there is too little.

        Where calls under way may yet give some back, since they seldom cost what was set aside for them, it waits.
        """
        with self._settled:
            self._settled.wait_for(lambda: self._fits(most) or not self._under_way)
            if not self._fits(most):
                cap = f"the spending cap of {self.most_usd:g} USD is reached"
                raise LastingFailure(f"{cap}: raise --max-spend (of a service, ADVISOR_MAX_SPEND)")
            self.spent += most
            self._under_way += 1

    def settle(self, reserved: float, cost: float) -> None:
        """The call is over, and has cost so much."""
        with self._settled:
            self.spent += cost - reserved
            self._under_way -= 1
            self._settled.notify_all()

    def spend(self, cost: float) -> None:
        """Count what was paid by an earlier attempt."""
        with self._settled:
            self.spent += cost

    def _fits(self, cost: float) -> bool:
        return self.most_usd is None or self.spent + cost <= self.most_usd
