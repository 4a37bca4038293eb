"""Choosing among configurations by a race: all answer a few rows, and only those that are not beaten answer more.

Successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943) with paired elimination on the same rows (Zhou et al.
2024, arXiv 2407.06172). What a race may cost is counted in model-seconds: work at speeds that were measured before, not
time on a clock, so that the same plan makes the same choices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from eval.contracts import Usage
from eval.metrics import ScoredRow
from strategies.workload import Speeds, Tokens

FIRST_LAP = 8
"""Rows that every configuration answers; each further lap doubles them."""
CLEARLY = 1.0
"""Standard errors of the paired difference by which a configuration must be behind the leader to be out at once."""


@dataclass
class Meter:
    """Counts model-seconds. Without speeds, work is free."""

    seconds: float = math.inf
    speeds: Speeds | None = None
    spent: float = 0.0

    def read(self, usage: Usage, steps: float = 0.0) -> None:
        """Count what a model read and wrote; `steps`: passes in which a whole batch wrote one token a row."""
        if self.speeds is not None:
            fresh = usage.input_tokens - usage.cached_tokens
            self.spent += self.speeds.seconds(Tokens(read=fresh, written=usage.output_tokens, steps=steps))

    @property
    def left(self) -> float:
        """Model-seconds."""
        return self.seconds - self.spent


@dataclass
class Runner:
    """A configuration in the race."""

    rows: list[ScoredRow | None] = field(default_factory=list)
    """Those it answered, in order; None where one could not be scored."""
    seconds: float = 0.0
    """Model-seconds."""
    beaten: bool = False


Answer = Callable[[int, slice], Sequence[ScoredRow | None]]
"""Lets a configuration answer some of the rows."""
Value = Callable[[Sequence[ScoredRow]], float]
"""The metric of some rows, higher is better."""


def race(count: int, rows: int, answer: Answer, value: Value, meter: Meter) -> tuple[int, list[Runner]]:
    """The winner's number, and how each of `count` configurations ran over at most `rows` rows.

    Where the meter has nothing left for a whole lap of all that are still in it, the laps before decide. Of equals the
    earlier is taken: let the simplest be the first.
    """
    runners = [Runner() for _ in range(count)]
    alive = list(range(count))
    start = 0
    for end in laps(rows):
        ran = []
        for number in alive:
            if not _affords(meter, runners, number, end - start):
                break
            before = meter.spent
            runners[number].rows += answer(number, slice(start, end))
            runners[number].seconds += meter.spent - before
            ran.append(number)
        if start and len(ran) < len(alive):
            break  # those that did not run are not beaten
        ranked = sorted(ran, key=lambda number: (-_quality(value, runners[number].rows), number))
        alive, start = _survivors(ranked, runners), end
        if len(alive) < 2:
            break
    winner = alive[0] if alive else 0
    for number, runner in enumerate(runners):
        runner.beaten = bool(runner.rows) and number != winner
    return winner, runners


def laps(rows: int) -> list[int]:
    """After how many rows each lap ends."""
    ends = []
    end = FIRST_LAP
    while end < rows:
        ends.append(end)
        end *= 2
    return [*ends, rows] if rows else []


def most_answers(count: int, rows: int) -> int:
    """Answers of a race in which no one is clearly beaten."""
    total, start = 0, 0
    for end in laps(rows):
        total += count * (end - start)
        count, start = _half(count), end
    return total if count > 1 else 0


def _half(count: int) -> int:
    """How many of so many go on. The last two run to the end, unless one is clearly behind."""
    return min(count, max(2, math.ceil(count / 2)))


def _affords(meter: Meter, runners: Sequence[Runner], number: int, rows: int) -> bool:
    """Whether what is left will do, going by what a row has cost this runner, or the dearest so far."""
    own = [runners[number]] if runners[number].rows else [runner for runner in runners if runner.rows]
    a_row = max((runner.seconds / len(runner.rows) for runner in own), default=0.0)
    return meter.left > 0 and meter.left >= a_row * rows


def _quality(value: Value, rows: Sequence[ScoredRow | None]) -> float:
    scored = [row for row in rows if row is not None]
    return value(scored) if scored else 0.0


def _survivors(ranked: Sequence[int], runners: Sequence[Runner]) -> list[int]:
    """The better half, the best first, without those that are clearly behind it."""
    better = ranked[: _half(len(ranked))]
    return [number for number in better if not _is_clearly_behind(runners[number], runners[ranked[0]])]


def _is_clearly_behind(runner: Runner, leader: Runner) -> bool:
    pairs = zip(runner.rows, leader.rows, strict=True)
    gaps = np.array([best.score - own.score for own, best in pairs if own is not None and best is not None])
    if len(gaps) < 2:
        return False
    return bool(gaps.mean() > CLEARLY * gaps.std(ddof=1) / math.sqrt(len(gaps)))
