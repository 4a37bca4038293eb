"""What may be spent on a hosted model, kept before each call."""

from __future__ import annotations

import threading

from eval.contracts import Usage
from eval.errors import InfrastructureError


class Purse:
    """Counts what was spent and what calls under way may cost at the most; their sum never exceeds the cap.

    Prices are in USD per token. Used by several threads.
    """

    def __init__(self, most_usd: float | None, read_usd: float, written_usd: float) -> None:
        self.most_usd, self._read, self._written = most_usd, read_usd, written_usd
        self.spent = 0.0
        """USD, calls that may have been paid for included."""
        self._lock = threading.Lock()

    def reserve(self, read: int, written: int) -> float:
        """Set aside what a call can cost. Raises InfrastructureError where that is more than is left."""
        most = read * self._read + written * self._written
        with self._lock:
            if self.most_usd is not None and self.spent + most > self.most_usd:
                raise InfrastructureError(f"the spending cap of {self.most_usd:g} USD is reached: raise --max-spend")
            self.spent += most
        return most

    def release(self, reserved: float) -> None:
        """The call was refused and costs nothing."""
        with self._lock:
            self.spent -= reserved

    def settle(self, reserved: float, usage: Usage) -> None:
        """The call was answered; where the server did not say what it used, all that was set aside counts."""
        if usage.input_tokens or usage.output_tokens:
            with self._lock:
                self.spent += self._cost(usage) - reserved

    def spend(self, usage: Usage) -> None:
        """Count what an earlier attempt has paid for."""
        with self._lock:
            self.spent += self._cost(usage)

    def _cost(self, usage: Usage) -> float:
        return usage.input_tokens * self._read + usage.output_tokens * self._written
