"""What is measured of the leaders alone: how the pick bears load, and what tuning did to the best tuned model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from advisor.planning import FEW_ASKED_AGAIN, LOAD_SECONDS
from advisor.records import CloserLook, Record
from advisor.runs import is_full, log
from advisor.trials import Bench
from eval.contracts import Load, Solution
from eval.latency import measure_load, typical_first
from strategies.base import TRAINED
from strategies.models.caches import uncached
from strategies.pipeline import Pipeline
from strategies.side_effects import side_effects
from strategies.solutions import load_solution


@dataclass(frozen=True)
class Leaders:
    """Names of strategies; one may be both."""

    pick: str | None
    tuned: str | None
    """A language model."""


def leaders(bench: Bench, records: Sequence[Record], pick: str | None) -> Leaders:
    """The pick, and the best of the tuned language models measured as planned; None where there is none."""
    planned = [r for r in records if r.family in TRAINED and r.model and r.status == "ok"]
    tuned = [(quality, r.name) for r in planned if (quality := bench.quality(r)) is not None]
    return Leaders(pick, max(tuned)[1] if tuned else None)


def look_closer(bench: Bench, records: Sequence[Record], found: Leaders) -> dict[str, CloserLook]:
    """What is found out about each of them, on the solution of its first fit.

    What is known from an earlier attempt is not measured again. What cannot be measured is left out, and the log says
    why: a figure less is no reason to lose a comparison.
    """
    looks = {}
    for record in records:
        if record.name in (found.pick, found.tuned) and record.fits:
            known = bench.folder.looked_at(record.name) or CloserLook()
            look = _look(bench, record, known, found)
            if look != known:
                bench.folder.finish_look(record.name, look)
            looks[record.name] = look
    return looks


def _look(bench: Bench, record: Record, look: CloserLook, found: Leaders) -> CloserLook:
    wants_load = record.name == found.pick and not look.load
    wants_effects = record.name == found.tuned and look.side_effects is None
    kept, answered = bench.folder.fold_solution(record.name, record.fits[0].slot), record.fits[0].evaluation
    if not (wants_load or wants_effects) or not kept.is_dir() or answered is None:
        return look
    inputs = [outcome.example.input for outcome in answered.outcomes]
    bench.progress.phase(record.name, "taking a closer look", 0, 1)
    try:
        solution = load_solution(kept, bench.shelf)
        if wants_effects and isinstance(solution, Pipeline):
            effects = side_effects(solution, inputs, bench.request.seed, asked_again(bench))
            look = replace(look, side_effects=effects)
        if wants_load:
            look = replace(look, load=_load(bench, solution, typical_first(answered.outcomes)))
    except Exception as error:
        if is_full(error):
            raise
        log.exception("a closer look at %s failed", record.name)
    return look


def asked_again(bench: Bench) -> int:
    """Inputs that steadiness is measured on: as planned, or few where the clock has overtaken the plan."""
    on_time = time.monotonic() + bench.plan.closer_look_seconds < bench.deadline
    return bench.plan.asked_again if on_time else FEW_ASKED_AGAIN


def _load(bench: Bench, solution: Solution, inputs: Sequence[str]) -> tuple[Load, ...]:
    with ExitStack() as stack:
        stack.enter_context(uncached(bench.embedder))
        if isinstance(solution, Pipeline):
            stack.enter_context(uncached(solution.model))
        return tuple(measure_load(solution, inputs, max_seconds=LOAD_SECONDS))
