"""What a run learns: plain data, written as JSON when it is made and read again on resume."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from statistics import median
from typing import Any

from advisor.report.schema import Status
from eval.contracts import NO_USAGE, Evaluation, Load, Usage
from eval.harness import pool
from strategies.base import Family
from strategies.side_effects import SideEffects


@dataclass(frozen=True)
class Fit:
    """One fit of a strategy on the training rows of one fold, measured on the fold's test rows."""

    status: Status
    reason: str | None = None
    fold: int = 0
    repeat: int = 0
    """Number of the fit among those of the same fold, which differ in their seed alone."""
    part: float = 1.0
    """Share of the fold's training rows that it was fitted on."""
    evaluation: Evaluation | None = None
    untimed: str | None = None
    """Why the latency, which was to be measured, is not known: a sentence."""
    seconds: float = 0.0
    """Of fitting."""
    tokens: Usage = NO_USAGE
    """Of a hosted model that fitting took; those of remembered answers too, which another fit paid for."""
    given_seconds: float = 0.0
    """Of the other strategy's fit that this one went on from; they are not in `seconds`."""
    shared_seconds: float = 0.0
    """That texts and indexes took which it used and which were there before; they are not in `seconds` either."""
    train_examples: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    trials: list[dict[str, Any]] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    artefact_bytes: int = 0
    peak_memory_bytes: int = 0

    @property
    def slot(self) -> str:
        """What tells it from the strategy's other fits, as a file name."""
        part = f"-part-{self.part:g}" if self.part < 1 else ""
        return f"fold-{self.fold}-fit-{self.repeat}{part}"


@dataclass(frozen=True)
class Refit:
    """The fit on all examples, which is kept in place of the measured ones if nothing speaks against it."""

    seconds: float
    train_examples: int = 0
    artefact_bytes: int = 0
    epochs: int | None = None
    """The measured fits' median, where epochs were trained."""
    checked_on: int = 0
    """Rows that it was checked on; 0 where it learnt from all, so that there are none to check it on."""
    quality: float | None = None
    """On these rows."""
    floor: float | None = None
    """Lower end of the 95 % interval of the measured fits, on the same rows where they were test rows."""
    rejected: str | None = None
    """Why a measured fit is kept instead."""


@dataclass(frozen=True)
class CloserLook:
    """What is measured of the leaders alone."""

    load: tuple[Load, ...] = ()
    """Of the pick."""
    side_effects: SideEffects | None = None
    """Of the best fine-tuned strategy."""


@dataclass(frozen=True)
class Record:
    """One strategy of a run with all its fits."""

    name: str
    strategy: str
    family: Family
    model: str | None
    status: Status
    reason: str | None = None
    """Why it did not end well, or else why it has one seed where more were planned."""
    fits: tuple[Fit, ...] = ()

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """One evaluation per repeat, each over the test rows of all folds; none of a strategy that did not end well.

        One that the clock stopped has the folds that it got to, and of its further repeats those that got as far.
        """
        if self.status in ("failed", "not_applicable"):
            return []
        by_repeat = sorted((f for f in self.fits if f.evaluation), key=lambda f: (f.repeat, f.fold))
        repeats = [[f.evaluation for f in fits if f.evaluation] for _, fits in groupby(by_repeat, _repeat)]
        return [pool(evaluations) for evaluations in repeats if len(evaluations) == len(repeats[0])]

    @property
    def evaluation(self) -> Evaluation | None:
        """The first repeat's."""
        return next(iter(self.evaluations), None)

    @property
    def untimed(self) -> str | None:
        """Why its latency is not known, though it was to be measured: a sentence."""
        return next((fit.untimed for fit in self.fits if fit.untimed), None)

    @property
    def fit_seconds(self) -> float:
        """Of one fit, with all that it goes on from and shares with others: the median."""
        return median(f.seconds + f.given_seconds + f.shared_seconds for f in self.fits) if self.fits else 0.0

    @property
    def seconds_again(self) -> float:
        """Of one more fit in the same run, where what is shared is there: the median."""
        return median(f.seconds + f.given_seconds for f in self.fits) if self.fits else 0.0

    @property
    def fit_tokens(self) -> Usage:
        """Of a hosted model, in all fits together."""
        return sum((fit.tokens for fit in self.fits), NO_USAGE)

    @property
    def usage_is_estimated(self) -> bool:
        """Whether a server did not count all tokens of its answers."""
        return any(e.usage.estimated for e in self.evaluations) or self.fit_tokens.estimated

    @property
    def query_seconds(self) -> float:
        """Busy seconds of one query, in batches, on average over all fits."""
        rows = sum(e.asked for e in self.evaluations)
        return sum(e.seconds for e in self.evaluations) / max(1, rows)


def _repeat(fit: Fit) -> int:
    return fit.repeat
