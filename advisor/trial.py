"""One trial: fit a strategy on the training part of one fold, then measure it on the fold's test part."""

from __future__ import annotations

import gc
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from advisor.environment import peak_memory_bytes
from advisor.progress import Progress
from advisor.records import Fit
from advisor.runs import RunFolder, folder_bytes
from eval.contracts import NO_USAGE, Evaluation, Example, Solution, Task
from eval.errors import InfrastructureError, NotApplicable
from eval.harness import OUT_OF_TIME, evaluate, infrastructure_failure, steady
from eval.latency import measure_latency, typical_first
from eval.metrics import get_metric
from eval.reading.text import counted
from strategies.base import Allowance, FitLog, Given, Strategy, Workshop
from strategies.models.caches import Bypassable, uncached
from strategies.models.embedding_cache import CachingEmbedder, recalled_seconds
from strategies.models.hosted.model import HostedModel

ROWS_ASKED_AGAIN = 16
"""Of a hosted model, where answers were remembered, for the time that they take; each is paid for."""


@dataclass(frozen=True)
class Trial:
    """What to try: plain data, so that it could be run elsewhere."""

    name: str
    strategy: str
    task: Task
    train: Sequence[Example]
    test: Sequence[Example]
    allowance: Allowance
    seed: int = 0
    fold: int = 0
    folds: int = 1
    repeat: int = 0
    part: float = 1.0
    """Share of the fold's training rows that `train` is."""
    latency_seconds: float | None = None
    """Longest measurement of latency; None where that is not measured."""
    kept: Path | None = None
    """Where the solution is saved, if anywhere."""
    deadline: float = math.inf
    """`time.monotonic()` value of the end of the run."""
    given: Given | None = None
    """The fit that this one goes on from."""

    @property
    def title(self) -> str:
        """Which of the strategy's trials this is; empty for the only one."""
        if self.part < 1:
            return f"learning curve, {self.part:.0%} of the rows, "
        words = f"fold {self.fold + 1} of {self.folds}, " if self.folds > 1 else ""
        return words + (f"fit {self.repeat + 1}, " if self.repeat else "")

    @property
    def unfinished(self) -> Fit:
        """A record of this trial that says nothing yet."""
        return Fit("stopped_early", fold=self.fold, repeat=self.repeat, part=self.part)

    @property
    def slot(self) -> str:
        """As of the record it leads to."""
        return self.unfinished.slot


def run_trial(trial: Trial, strategy: Strategy, workshop: Workshop, folder: RunFolder, progress: Progress) -> Fit:
    """Fit, save, evaluate, and measure latency last. Errors pass through, but not that a strategy does not apply."""
    blank = trial.unfinished

    def phase(name: str, done: int, total: int) -> None:
        progress.phase(trial.name, trial.title + name, done, total)

    own = workshop.for_fit(folder.work(trial.name), trial.allowance, phase, trial.seed, trial.given)
    phase("fitting", 0, 1)
    model = workshop.language_model
    hosted = model if isinstance(model, HostedModel) else None
    if hosted:
        hosted.count_anew()
    if isinstance(workshop.embedder, CachingEmbedder):
        workshop.embedder.count_anew()
    start = time.perf_counter()
    try:
        solution = strategy.fit(trial.task, trial.train, own)
    except NotApplicable as error:
        return replace(blank, status="not_applicable", reason=str(error))
    seconds = time.perf_counter() - start
    shared = recalled_seconds(workshop.embedder) + sum(own.log.index_seconds.values())
    tokens = hosted.taken if hosted else NO_USAGE
    if trial.kept is not None:
        shutil.rmtree(trial.kept, ignore_errors=True)
        solution.save(trial.kept)
    with uncached(workshop.embedder):  # what is timed here is what a query costs
        solution.predict([trial.train[0].input])  # and nothing that is done once: merging weights, compiling a grammar
        evaluation, untimed = _measure(trial, solution, workshop, phase, is_whole=not own.log.guard_fired)
    unasked = _unasked(evaluation)
    stopped = own.log.guard_fired or unasked > 0
    gc.collect()
    return replace(
        blank,
        status="stopped_early" if stopped else "ok",
        reason=_why_stopped(evaluation, own.log) if stopped else None,
        evaluation=evaluation,
        untimed=untimed,
        seconds=seconds,
        tokens=tokens,
        given_seconds=trial.given.seconds if trial.given else 0.0,
        shared_seconds=shared,
        train_examples=own.log.train_examples,
        config=own.log.config,
        trials=own.log.trials,
        curve=own.log.curve,
        artefact_bytes=folder_bytes(trial.kept) if trial.kept else 0,
        peak_memory_bytes=peak_memory_bytes(),
    )


def _measure(
    trial: Trial, solution: Solution, workshop: Workshop, phase: Callable[[str, int, int], None], *, is_whole: bool
) -> tuple[Evaluation, str | None]:
    """Answers to the test rows and, if wanted, the latency of some of them; not of what the clock has cut short.

    Then why no latency could be measured: a server that answered the rows may have ceased to, or the money be gone.
    """
    model = workshop.language_model
    known = _recalled(model)
    evaluation = evaluate(
        solution,
        trial.test,
        get_metric(trial.task.metric),
        on_progress=lambda done, total: phase("answering", done, total),
        deadline=time.perf_counter() + (trial.deadline - time.monotonic()) if trial.deadline < math.inf else None,
    )
    if _recalled(model) > known:
        with uncached(model):
            evaluation = replace(evaluation, seconds=_seconds_anew(solution, evaluation))
    if trial.latency_seconds is None or not is_whole or _unasked(evaluation):
        return evaluation, None
    phase("timing", 0, 1)
    left = max(0.0, min(trial.latency_seconds, trial.deadline - time.monotonic()))
    evaluation = steady(solution, evaluation)
    with uncached(model):
        try:
            latency = measure_latency(solution, typical_first(evaluation.outcomes), max_seconds=left)
        except InfrastructureError as error:
            return evaluation, str(error)
    return replace(evaluation, latency=latency), None


def _unasked(evaluation: Evaluation) -> int:
    """Rows for which there was no time."""
    return sum(1 for o in evaluation.outcomes if o.problem == OUT_OF_TIME)


def _recalled(model: object) -> int:
    """How many answers a model has given from memory."""
    return model.recalled if isinstance(model, Bypassable) else 0


def _seconds_anew(solution: Solution, evaluation: Evaluation) -> float:
    """About how long all rows take whose answers came from memory: some of them are asked again."""
    rows = [o.example.input for o in evaluation.outcomes if o.score is not None][:ROWS_ASKED_AGAIN]
    start = time.perf_counter()
    answers = solution.predict(rows)
    seconds = time.perf_counter() - start
    failed = not rows or any(infrastructure_failure(answer.error) for answer in answers)
    return evaluation.seconds if failed else seconds * evaluation.asked / len(rows)


def _why_stopped(evaluation: Evaluation, log: FitLog) -> str:
    """What the clock cut short, and what the infrastructure had failed before."""
    unasked = _unasked(evaluation)
    if unasked:
        were = "was" if unasked == 1 else "were"
        late = f"{counted(unasked, 'test row')} {were} left unscored when the time budget was used up"
        problems = (o.problem for o in evaluation.outcomes if o.score is None and o.problem != OUT_OF_TIME)
        failure = next(problems, log.failure)
        before = f", and before that some rows failed: {failure}; see to that first, then" if failure else ";"
        return f"{late}{before} raise --time-budget"
    return "training was ended by the clock before its planned epochs; raise --time-budget"
