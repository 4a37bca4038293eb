"""Which epoch of a training is kept, by the quality of answers to rows that are not learnt from."""

from __future__ import annotations

import math

PATIENCE = 3
"""Epochs in a row that are not kept, after which training ends."""


class Watch:
    """The last epoch is kept, or the last before answers became worse than chance makes them (docs/decisions/0009).

    Learning rates come down by the last epoch: every other one is taken from training in full swing.
    """

    def __init__(self, margin: float, patience: int = PATIENCE) -> None:
        self._margin, self._patience = margin, patience
        self._best = -math.inf
        self.epochs = 0
        """That there were."""
        self.kept = 0
        """The number of the one that is kept; 0 before the first."""

    def keeps(self, quality: float | None) -> bool:
        """Whether the next epoch, which reached this quality, is kept in the place of those before.

        It may lose the margin on the best. None where nothing was measured: it is kept, then.
        """
        self.epochs += 1
        self._best = max(self._best, quality or 0.0)
        if self.kept and quality is not None and quality < self._best - self._margin:
            return False
        self.kept = self.epochs
        return True

    @property
    def has_seen_enough(self) -> bool:
        """As many epochs in a row as patience lasts were not kept."""
        return self.epochs - self.kept >= self._patience


def chance(rows: int) -> float:
    """Two standard errors of a share of so many rows: what an epoch may lose on them and be as good."""
    return 1 / math.sqrt(max(1, rows))
