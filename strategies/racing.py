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

from eval.contracts import NO_USAGE, Usage
from eval.metrics import ScoredRow
from strategies.workload import Speeds, Tokens

FIRST_LAP = 4
"""Rows that every configuration answers; each further lap doubles them."""
FEWEST = 8
"""Rows below which no one is clearly behind, and nothing is decided: how much four of them differ is mostly chance."""
ROUNDING = 1e-9
CLEARLY, LATELY = 1.0, 0.5
"""Standard errors of the paired difference by which a configuration must be behind the leader to be out at once; and,
from `LATE` rows on, since the last lap takes as many answers as all before it, for a smaller difference than ever."""
LATE = 32


@dataclass
class Meter:
    """Counts model-seconds. Without speeds, work is free."""

    seconds: float = math.inf
    speeds: Speeds | None = None
    spent: float = 0.0
    shared: float = 0.0
    """Of what was spent: on what the prompts of a call begin with."""

    def read(self, usage: Usage, steps: float = 0.0) -> None:
        """Count what a model read and wrote; `steps`: passes in which a whole batch wrote one token a row."""
        if self.speeds is not None:
            fresh = usage.input_tokens - usage.cached_tokens
            self.spent += self.speeds.seconds(Tokens(read=fresh, written=usage.output_tokens, steps=steps))

    def answer(self, usages: Sequence[Usage]) -> None:
        """Count the answers of one call: what their prompts share is read once, and cached for the others."""
        before = self.spent
        self.read(Usage(input_tokens=max((own.cached_tokens for own in usages), default=0)))
        self.shared += self.spent - before
        self.read(sum(usages, NO_USAGE), steps=max((own.output_tokens for own in usages), default=0))

    def train(self, tokens: float) -> None:
        """Count what a model was trained on."""
        if self.speeds is not None:
            self.spent += self.speeds.seconds(Tokens(trained=tokens))

    @property
    def left(self) -> float:
        """Model-seconds."""
        return self.seconds - self.spent


@dataclass
class Runner:
    """A configuration in the race."""

    rows: list[ScoredRow | None] = field(default_factory=list)
    """Those it answered, in order; None where one could not be scored."""
    making: float = 0.0
    """Model-seconds before it answered anything."""
    answering: float = 0.0
    """Model-seconds of all its answers, without what their prompts begin with."""
    beginning: float = 0.0
    """Model-seconds of that, which each lap takes again."""
    seconds: float = 0.0
    """Model-seconds that it took in all."""


Make = Callable[[int], object]
"""Makes a configuration's solution; called once, before it answers."""
Answer = Callable[[int, slice], Sequence[ScoredRow | None]]
"""Lets a configuration answer some of the rows."""
Value = Callable[[Sequence[ScoredRow]], float]
"""The metric of some rows, higher is better."""


def race(
    count: int,
    rows: int,
    make: Make,
    answer: Answer,
    value: Value,
    meter: Meter,
    first_lap: int | None = None,
) -> tuple[int, list[Runner]]:
    """The winner's number, and how each of `count` configurations ran over at most `rows` rows.

    In the first lap (of `FIRST_LAP` rows, or as said) as many run, in order, as leave the meter room for the half of
    them that go on to answer `FEWEST` rows; where none of them gets anything right, which tells nothing, all run a
    second one. Where the meter has no room for a further lap of all that are still in it, or none of its rows could be
    scored, the laps before decide; less than `FEWEST` rows do not, and the first configuration is kept. Of equals the
    earlier is taken: let the simplest be the first.
    """
    runners = [Runner() for _ in range(count)]
    alive = list(range(count))
    start = 0
    for end in laps(rows, first_lap):
        if start and meter.left < sum(_expected(runners, runners[number], end - start) for number in alive):
            break
        ran = []
        for number in alive:
            runner = runners[number]
            if not start and (meter.left <= 0 or meter.left < _expected_to_decide(runners, number, end)):
                break
            before = meter.spent
            if not start:
                make(number)
            made, shared = meter.spent, meter.shared
            runner.rows += answer(number, slice(start, end))
            runner.making, runner.beginning = runner.making + made - before, meter.shared - shared
            runner.answering += meter.spent - made - runner.beginning
            runner.seconds += meter.spent - before
            ran.append(number)
        if not any(scored(runners[number].rows[start:]) for number in ran):
            break
        ranked = sorted(ran, key=lambda number: (-_quality(value, runners[number].rows), number))
        tells_nothing = not start and not any(row and row.score for row in runners[ranked[0]].rows)
        if tells_nothing and meter.left >= sum(_expected(runners, runners[number], end) for number in ranked):
            alive = ranked
        else:
            alive = _survivors(ranked, runners)
        if len(alive) < 2:
            break
        start = end
    decided = alive and len(scored(runners[alive[0]].rows)) >= FEWEST
    return alive[0] if decided else 0, runners


def laps(rows: int, first: int | None = None) -> list[int]:
    """After how many rows each lap ends."""
    ends = []
    end = first or FIRST_LAP
    while end < rows:
        ends.append(end)
        end *= 2
    return [*ends, rows] if rows else []


def longest(count: int, rows: int) -> list[tuple[int, int]]:
    """Of each lap how many run it, and over how many rows, where the first tells nothing and no one is clearly beaten.

    No laps, where there is nothing to choose.
    """
    run, start = [], 0
    for end in laps(rows) if count > 1 else []:
        run.append((count, end - start))
        count, start = _half(count) if start else count, end
    return run


def _half(count: int) -> int:
    """How many of so many go on. The last two run to the end, unless one is clearly behind."""
    return min(count, max(2, math.ceil(count / 2)))


def _expected(runners: Sequence[Runner], runner: Runner, rows: int) -> float:
    """Model-seconds of a lap of so many rows, going by what this runner has taken; a new one, by the dearest so far."""
    known = [runner] if runner.rows else [other for other in runners if other.rows]
    a_row = max((other.answering / len(other.rows) for other in known), default=0.0)
    making = 0.0 if runner.rows else max((other.making for other in known), default=0.0)
    beginning = max((other.beginning for other in known), default=0.0) if rows else 0.0
    return making + beginning + a_row * rows


def _expected_to_decide(runners: Sequence[Runner], number: int, rows: int) -> float:
    """Model-seconds until a first lap of so many rows has decided something, if this runner begins as well.

    The half that goes on may be the dearest. The first runner of all begins anyway: what one takes is not yet known.
    """
    begun = [_expected(runners, runner, max(0, FEWEST - rows)) for runner in runners[:number]]
    further = sorted([*begun, max(begun, default=0.0)])[-_half(number + 1) :]
    return _expected(runners, runners[number], rows) + sum(further)


def scored(rows: Sequence[ScoredRow | None]) -> list[ScoredRow]:
    """Those rows that the infrastructure did not leave without a score."""
    return [row for row in rows if row is not None]


def _quality(value: Value, rows: Sequence[ScoredRow | None]) -> float:
    found = scored(rows)
    return value(found) if found else 0.0


def _survivors(ranked: Sequence[int], runners: Sequence[Runner]) -> list[int]:
    """The better half, the best first, without those that are clearly behind it."""
    better, leaders = ranked[: _half(len(ranked))], runners[ranked[0]].rows
    errors = LATELY if len(leaders) >= LATE else CLEARLY
    return [number for number in better if not is_clearly_behind(runners[number].rows, leaders, errors)]


def is_clearly_behind(
    own_rows: Sequence[ScoredRow | None], leaders: Sequence[ScoredRow | None], errors: float = CLEARLY
) -> bool:
    """Whether the leader is better on the same rows by more than so many standard errors of the difference.

    By one, a single row that only the leader got right never is enough: its error is as large as it is.
    """
    pairs = zip(own_rows, leaders, strict=True)
    gaps = np.array([best.score - own.score for own, best in pairs if own is not None and best is not None])
    if len(gaps) < FEWEST:
        return False
    return bool(gaps.mean() > errors * gaps.std(ddof=1) / math.sqrt(len(gaps)) + ROUNDING)
