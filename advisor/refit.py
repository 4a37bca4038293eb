"""What is kept: the winning procedure, its tuner included, carried out once more on all examples."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from advisor.progress import Progress
from advisor.records import Fit, Record, Refit
from advisor.runs import folder_bytes, is_full, log, remove_whole, whole
from advisor.trials import GUARD_SECONDS, Bench, Entry
from eval.contracts import Evaluation, Example, Solution
from eval.harness import evaluate, scored_rows
from eval.metrics import get_metric
from eval.statistics import Interval, interval
from strategies.manifest import Origin, fingerprints, note_origin
from strategies.registry import make_strategy


def keep_solution(bench: Bench, entry: Entry, record: Record) -> Refit | None:
    """Put the strategy's solution where it is kept: the refit, or a measured one where the plan has no room for it.

    A refit that fails, or does worse than the measured fits, is put aside, and the record says why.
    """
    done = bench.folder.refitted(record.name)
    if done is not None:
        return done
    refit = _refit(bench, entry, record) if bench.plan.fits_again(record.name) else None
    if refit is None or refit.rejected:
        measured = _middling(record.fits)
        source = bench.folder.fold_solution(record.name, measured.slot)
        if not source.is_dir():  # an earlier end of this run removed it
            if refit is not None:
                remove_whole(bench.folder.solution(record.name))
            return refit
        with whole(bench.folder.solution(record.name)) as scratch:
            shutil.copytree(source, scratch)
            note_origin(scratch, origin_of(bench, bench.folds[measured.fold].train))
    if refit is not None:
        bench.folder.finish_refit(record.name, refit)
    return refit


def origin_of(bench: Bench, learnt_from: Sequence[Example]) -> Origin:
    """What a solution comes from that was fitted on these examples."""
    inputs = fingerprints(example.input for example in learnt_from)
    return Origin(bench.data.inputs, bench.request.redact, inputs, bench.request.group_by or "")


def _refit(bench: Bench, entry: Entry, record: Record) -> Refit:
    start = time.monotonic()
    if start + record.seconds_again + GUARD_SECONDS > bench.deadline:
        return Refit(0.0, rejected="the time budget was used up")
    try:
        return _fit_on_all(bench, entry, record)
    except Exception as error:
        if is_full(error):  # the same command goes on once there is room
            raise
        log.exception("the refit of %s failed", record.name)
        return Refit(time.monotonic() - start, rejected=f"it failed ({type(error).__name__})")


def _fit_on_all(bench: Bench, entry: Entry, record: Record) -> Refit:
    examples, task, folder = bench.data.examples, bench.data.task, bench.folder
    epochs = _median_epochs(record.fits)
    allowance = replace(
        bench.plan.allowance,
        fixed_epochs=epochs,
        chosen_before=tuple(fit.config for fit in record.fits),
        deadline=bench.deadline - GUARD_SECONDS,
    )
    workshop = bench.workshop(entry.model).for_fit(
        folder.work(record.name), allowance, _told(bench.progress, record.name), bench.request.seed
    )
    start = time.perf_counter()
    solution = make_strategy(entry.strategy).fit(task, examples, workshop)
    seconds = time.perf_counter() - start
    kept = folder.solution(record.name)
    with whole(kept) as scratch:
        solution.save(scratch)
        note_origin(scratch, origin_of(bench, examples))
    refit = Refit(seconds, workshop.log.train_examples, folder_bytes(kept), epochs)
    if workshop.log.guard_fired:
        return replace(refit, rejected="the time budget was used up")
    unlearnt = set(workshop.log.held_out)
    return _checked(refit, record, solution, [e for e in examples if e.id in unlearnt], bench)


def _told(progress: Progress, name: str):  # type: ignore[no-untyped-def]
    return lambda phase, done, total: progress.phase(name, f"fitting on all examples, {phase}", done, total)


def _median_epochs(fits: Sequence[Fit]) -> int | None:
    epochs = [int(fit.config["best_epoch"]) for fit in fits if fit.config.get("best_epoch")]
    return round(median(epochs)) if epochs else None


def _checked(refit: Refit, record: Record, solution: Solution, rows: Sequence[Example], bench: Bench) -> Refit:
    """Compare the refit with the measured fits on rows that neither learnt from, as far as there is time.

    After cross-fitting the measured fits have answered the very rows that the refit held out: it is rejected below
    their interval. After one holdout they have not, and its own interval must lie below theirs.
    """
    measured, seed = record.evaluation, bench.request.seed
    if not rows or measured is None:
        return refit
    metric = get_metric(measured.metric)
    deadline = time.perf_counter() + bench.deadline - time.monotonic()
    outcomes = [o for o in evaluate(solution, rows, metric, deadline=deadline).outcomes if o.score is not None]
    if not outcomes:
        return refit
    answered = scored_rows(outcomes)
    quality = metric.aggregate(answered)
    same = _outcomes_on(measured, {o.example.id for o in outcomes})
    paired = len(same.outcomes) == len(outcomes)
    floor = _interval(same if paired else measured, seed)[0]
    reached = quality if paired else interval(metric, answered, seed)[1]
    why = None
    if reached < floor:
        why = f"on {len(outcomes)} rows that it did not learn from it fell below the measured fits"
    return replace(refit, checked_on=len(outcomes), quality=quality, floor=floor, rejected=why)


def _outcomes_on(evaluation: Evaluation, ids: set[str]) -> Evaluation:
    return replace(evaluation, outcomes=tuple(o for o in evaluation.outcomes if o.example.id in ids))


def _interval(evaluation: Evaluation, seed: int) -> Interval:
    return interval(get_metric(evaluation.metric), scored_rows(evaluation.outcomes), seed)


def _middling(fits: Sequence[Fit]) -> Fit:
    """The measured fit in the middle by quality: it is most like what the estimate says."""

    def quality(fit: Fit) -> float:
        scores = fit.evaluation.scores if fit.evaluation else []
        return sum(scores) / max(1, len(scores))

    measured = sorted((fit for fit in fits if fit.evaluation), key=quality)
    return measured[(len(measured) - 1) // 2]
