"""One trial: fit a strategy on the training part, then measure it on the test part."""

from __future__ import annotations

import gc
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from advisor.environment import peak_memory_bytes
from advisor.planning import LATENCY_SECONDS
from advisor.progress import Progress
from advisor.runs import Record, RunFolder, folder_bytes
from eval.contracts import Example, Task
from eval.errors import NotApplicable
from eval.harness import OUT_OF_TIME, evaluate, measure_latency
from eval.metrics import get_metric
from strategies.base import Allowance, Strategy, Workshop


@dataclass(frozen=True)
class Trial:
    """What to try: plain data, so that it could be run elsewhere."""

    name: str
    strategy: str
    task: Task
    train: Sequence[Example]
    test: Sequence[Example]
    allowance: Allowance
    deadline: float = math.inf
    """`time.monotonic()` value of the end of the run."""


def run_trial(
    trial: Trial, strategy: Strategy, workshop: Workshop, folder: RunFolder, progress: Progress, blank: Record
) -> Record:
    """Fit, save, evaluate, and measure latency last."""

    def phase(name: str, done: int, total: int) -> None:
        progress.phase(trial.name, name, done, total)

    own = workshop.for_fit(folder.work(trial.name), trial.allowance, phase)
    phase("fitting", 0, 1)
    start = time.perf_counter()
    try:
        solution = strategy.fit(trial.task, trial.train, own)
    except NotApplicable as error:
        return replace(blank, status="not_applicable", reason=str(error))
    fit_seconds = time.perf_counter() - start
    kept = folder.solution(trial.name)
    shutil.rmtree(kept, ignore_errors=True)
    solution.save(kept)
    metric = get_metric(trial.task.metric)
    evaluation = evaluate(
        solution,
        trial.test,
        metric,
        on_progress=lambda done, total: phase("answering", done, total),
        deadline=time.perf_counter() + (trial.deadline - time.monotonic()) if trial.deadline < math.inf else None,
    )
    phase("timing", 0, 1)
    inputs = [example.input for example in trial.test]
    left = max(0.0, min(LATENCY_SECONDS, trial.deadline - time.monotonic()))
    latency = measure_latency(solution, inputs, max_seconds=left)
    unasked = sum(1 for o in evaluation.outcomes if o.problem == OUT_OF_TIME)
    stopped = own.log.guard_fired or unasked > 0
    gc.collect()
    return replace(
        blank,
        status="stopped_early" if stopped else "ok",
        reason=_why_stopped(own.log.guard_fired, unasked) if stopped else None,
        evaluation=replace(evaluation, latency=latency),
        fit_seconds=fit_seconds,
        train_examples=own.log.train_examples,
        config=own.log.config,
        trials=own.log.trials,
        curve=own.log.curve,
        artefact_bytes=folder_bytes(kept),
        peak_memory_bytes=peak_memory_bytes(),
    )


def _why_stopped(guard_fired: bool, unasked: int) -> str:
    if unasked:
        return f"{unasked} test rows were left unscored when the time budget was used up; raise --time-budget"
    return "training was ended by the clock before its planned epochs; raise --time-budget"
