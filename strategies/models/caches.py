"""Switching memories off while something is timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class Bypassable:
    """A model that remembers its answers, and can be made to work anew."""

    _bypassed = False
    recalled = 0
    """Answers that took no work, since they were known; of models that count them."""

    @contextmanager
    def bypassed(self) -> Iterator[None]:
        """Work anew for a while, whatever is known: what is timed must not come from memory."""
        self._bypassed = True
        try:
            yield
        finally:
            self._bypassed = False


@contextmanager
def uncached(*models: object) -> Iterator[None]:
    """A context in which those of the models that have a memory work anew."""
    with ExitStack() as stack:
        for model in models:
            if isinstance(model, Bypassable):
                stack.enter_context(model.bypassed())
        yield
