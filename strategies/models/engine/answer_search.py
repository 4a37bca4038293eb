"""The likeliest answer of all, rather than the likeliest token each time: an exact search, depth first.

The greedy answer comes first. A beginning that is less likely than the best answer so far cannot lead to a likelier
one; the others are gone on from, the likeliest first, until there is none (Stahlberg 2019, arXiv 1908.10090), or none
likely enough to be worth it. A tuned model is sure of most of its tokens, so that most answers need no second look; of
one that is not tuned the likeliest answer is often none at all (the same source). (Pure Python; the network is the
engine's.)
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Sequence

CHOICES = 4
"""Tokens that are thought of in each place."""
MOST_LOOKS = 8
"""Answers that are begun for a row: an unsure model would come to no end."""
WORTH_A_LOOK = 0.1
"""Probability of what is gone on from: an answer less likely than that is hardly the right one, and not looked for."""


class AnswerSearch:
    """Of one row: `take` goes on with an answer, token by token, and `next` begins another."""

    def __init__(self, most_tokens: int, stop_tokens: Collection[int]) -> None:
        self.beginning: list[int] = []
        """Of the answer that is looked at, where it was not looked at before."""
        self.log_likelihood = -math.inf
        """Of the best answer so far, its end included."""
        self.looks = 1
        """Answers begun."""
        self._most, self._stops = most_tokens, stop_tokens
        self._best: Sequence[int] = ()
        self._path: list[int] = []
        self._here = 0.0
        self._over = False
        self._met = 0
        self._open: list[tuple[float, int, list[int], int, int]] = []
        """What was met and not taken: minus its log-likelihood, its number, and the path that it leaves after so many
        tokens for another one."""

    @property
    def answer(self) -> list[int]:
        """The best so far, without the token that ended it."""
        return [token for token in self._best if token not in self._stops]

    @property
    def _least(self) -> float:
        """Log-likelihood that another answer must be above."""
        return max(self.log_likelihood, math.log(WORTH_A_LOOK))

    def take(self, tokens: Sequence[int], log_probabilities: Sequence[float]) -> int | None:
        """The token to go on with, None where the answer is over: it ended, or cannot be the best any more.

        `tokens` are those that may follow, the likeliest first.
        """
        if self._over:
            return None
        least = self._least
        for token, value in zip(tokens[1:], log_probabilities[1:], strict=True):
            if self._here + value > least:
                self._met += 1
                heapq.heappush(self._open, (-(self._here + value), self._met, self._path, len(self._path), token))
        self._path.append(tokens[0])
        self._here += log_probabilities[0]
        beaten = self.looks > 1 and self._here <= least
        self._over = beaten or self._is_best(self._path, self._here)
        return None if self._over else tokens[0]

    def next(self) -> bool:
        """Whether there is a beginning that may lead to a likelier answer; it is looked at then."""
        while self._open and self.looks < MOST_LOOKS:
            loss, _, path, length, token = heapq.heappop(self._open)
            if -loss <= self._least:
                return False
            self._path, self._here, self._over = [*path[:length], token], -loss, False
            if not self._is_best(self._path, self._here):
                self.beginning = list(self._path)
                self.looks += 1
                return True
        return False

    def _is_best(self, path: Sequence[int], log_likelihood: float) -> bool:
        """Whether this is a whole answer, and so the best so far."""
        if path[-1] not in self._stops and len(path) < self._most:
            return False
        self._best, self.log_likelihood = path, log_likelihood
        return True
