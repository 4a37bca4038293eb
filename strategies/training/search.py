"""Which settings an adapter is trained with: whole trainings are compared on rows that none of them learnt from.

Short races between learning rates would favour high ones, which learn faster and then overfit; and on a few dozen
rows most differences are chance. So an alternative must be clearly better to be taken, and what is bought is mostly an
insurance: of a model for which the usual settings are far off.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from eval.metrics import ScoredRow
from strategies.base import FitLog
from strategies.racing import Meter, is_clearly_behind
from strategies.training.lora import Diverged, LoraSettings, TrainingLog
from strategies.tuning import ALTERNATIVES, most_often

RATES = 3.0
"""Half a decade: learning rates that lie nearer seldom differ by more than chance."""
RANKS = 4
BETTER = 2.0
"""Standard errors of the difference on the dev rows: of three equals one is often better by a single one."""
LOWER, LOWER_TIMES = 4.0, 3
"""How much lower the learning rate is, and how often, where training diverges."""
SEARCHED = ("learning_rate", "rank", "alpha", "rslora")


class OutOfTime(Exception):
    """A training was given up, since the clock has no room for all its passes."""

    def __init__(self, share: float) -> None:
        super().__init__(f"given up after {share:.0%}")
        self.share = share
        """Of its steps, that was done."""


class Course(Protocol):
    """What is trained on and judged by, whatever the settings."""

    def train(self, settings: LoraSettings, folder: Path, meter: Meter, *, whole: bool = False) -> TrainingLog:
        """Train an adapter into the folder; the meter counts what that takes.

        What is to be `whole` is worth nothing with fewer passes: it raises OutOfTime as soon as they will not all be
        done in time, and leaves it to the caller to count what it took.
        """
        ...

    def answer(self, folder: Path, meter: Meter) -> list[ScoredRow | None]:
        """What the adapter in the folder answers to the dev rows."""
        ...

    def value(self, rows: Sequence[ScoredRow | None]) -> float:
        """The metric of the rows that were scored."""
        ...


@dataclass(frozen=True)
class Trained:
    """An adapter, and how it came about."""

    settings: LoraSettings
    folder: Path
    log: TrainingLog


def most_chosen(settings: LoraSettings, before: Sequence[Mapping[str, Any]]) -> LoraSettings:
    """The settings, but for what is searched as most of the fits before ended with it (of equals the first)."""
    return replace(settings, **most_often(before, SEARCHED))


def neighbours(settings: LoraSettings) -> list[LoraSettings]:
    """Settings that differ in one thing, likeliest to be needed first."""
    rank = RANKS * settings.rank
    as_strong = round(settings.alpha / settings.rank * math.sqrt(rank))
    wider = [] if settings.rslora or settings.whole else [replace(settings, rank=rank, alpha=as_strong, rslora=True)]
    return [
        replace(settings, learning_rate=settings.learning_rate / RATES),
        *wider,
        replace(settings, learning_rate=settings.learning_rate * RATES),
    ]


def train_first(course: Course, settings: LoraSettings, folder: Path, meter: Meter) -> Trained:
    """With these settings, or with lower learning rates where training diverges. Raises Diverged where all do."""
    for _ in range(LOWER_TIMES):
        try:
            return Trained(settings, folder, course.train(settings, folder, meter))
        except Diverged:
            settings = replace(settings, learning_rate=settings.learning_rate / LOWER)
    return Trained(settings, folder, course.train(settings, folder, meter))


def search(first: Trained, seconds: float, course: Course, meter: Meter, log: FitLog, deadline: float) -> Trained:
    """The first training, or one with other settings that is clearly better on the dev rows.

    What differs in one thing from the best so far is tried next, while the meter has the `seconds` that the first took,
    and the clock as long before the `deadline` (a `time.monotonic()` value). What was tried is logged, also what
    diverged or was cut off by the clock; only the adapter that is taken is kept, in the folder of the first.
    """
    if meter.left < seconds:
        return first
    before = meter.spent
    best, rows, tried = first, course.answer(first.folder, meter), [first.settings]
    reached = course.value(rows)
    trials = [_trial(first.settings, reached, len(rows), meter.spent - before)]
    while len(tried) <= ALTERNATIVES and meter.left >= seconds and time.monotonic() + first.log.seconds < deadline:
        settings = next((s for s in neighbours(best.settings) if s not in tried), None)
        if settings is None:
            break
        tried.append(settings)
        before = meter.spent
        folder = first.folder.with_name(f"{first.folder.name}-{len(tried)}")
        own = _trained(course, settings, folder, meter, seconds)
        if own is None:
            trials.append(_trial(settings, None, 0, meter.spent - before))
            shutil.rmtree(folder, ignore_errors=True)
            continue
        own_rows = course.answer(own.folder, meter)
        own_reached = course.value(own_rows)
        trials.append(_trial(settings, own_reached, len(own_rows), meter.spent - before))
        better = own_reached > reached and is_clearly_behind(rows, own_rows, BETTER)
        shutil.rmtree((best if better else own).folder)
        if better:
            best, rows, reached = own, own_rows, own_reached
    log.trials += [
        {**trial, "chosen": settings == best.settings} for trial, settings in zip(trials, tried, strict=True)
    ]
    return replace(best, folder=best.folder.rename(first.folder))


def _trained(course: Course, settings: LoraSettings, folder: Path, meter: Meter, seconds: float) -> Trained | None:
    """None where it diverges, needs more memory than there is, or lacks the time for all that the first had.

    A whole training takes so many model-seconds.
    """
    try:
        log = course.train(settings, folder, meter, whole=True)
    except OutOfTime as failure:
        meter.spent += failure.share * seconds
        return None
    except (Diverged, MemoryError, torch.OutOfMemoryError):
        return None
    return None if log.guard_fired else Trained(settings, folder, log)


def _trial(settings: LoraSettings, quality: float | None, rows: int, seconds: float) -> dict[str, Any]:
    tried = {name: value for name, value in settings.told().items() if name in SEARCHED}
    return {**tried, "dev_quality": quality, "dev_rows": rows, "model_seconds": round(seconds, 2)}
