"""All trials of a comparison: every strategy in turn, fold by fold, within the time budget."""

from __future__ import annotations

import math
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from advisor.data import Data
from advisor.planning import RunPlan
from advisor.progress import Progress
from advisor.records import Fit, Record
from advisor.report import wording
from advisor.report.schema import INCUMBENT, Status
from advisor.request import CompareRequest
from advisor.runs import RunFolder, is_full, log
from advisor.trial import Trial, run_trial
from eval.errors import AdvisorError, first_line
from eval.folds import Split
from eval.harness import evaluate_outputs, scored_rows
from eval.metrics import get_metric
from strategies.base import TRAINED, Family, Given, Workshop
from strategies.models.embedding_cache import CachingEmbedder
from strategies.models.shelf import ModelShelf
from strategies.registry import BUILDS_ON, make_strategy

GUARD_SECONDS = 20.0
"""What saving and the report need after training, at the least."""
WORTH_BEGINNING = 0.3
"""Share of the predicted time that must be left: what is cut off shows a figure, and is never recommended."""
NO_TIME = "there was no time for more"
SEEDS_APART = 1000
"""Fits of the same fold take seeds this far apart, so that they meet no other fold's."""


@dataclass(frozen=True)
class Entry:
    """A strategy that takes part, under the name it has in this run."""

    name: str
    strategy: str
    model: str
    """The language model it works with (or would, if it used one)."""


def entries_of(request: CompareRequest) -> list[Entry]:
    """The strategies of a run. With several models, those that use one take part once a model, as NAME@MODEL."""
    entries = []
    for name in request.strategies:
        uses_model = make_strategy(name).uses_language_model
        for model in request.model if uses_model else request.model[:1]:
            several = len(request.model) > 1 and uses_model
            entries.append(Entry(f"{name}@{model}" if several else name, name, model))
    return entries


def base_of(entry: Entry) -> str:
    """The name in this run of the strategy that this one builds on; empty where it builds on none."""
    base = BUILDS_ON.get(entry.strategy, "")
    return base and base + entry.name.removeprefix(entry.strategy)


@dataclass
class Bench:
    """Where trials are made: the models, the folds, the run folder and the clock of one comparison."""

    request: CompareRequest
    data: Data
    folds: Sequence[Split]
    plan: RunPlan
    shelf: ModelShelf
    embedder: CachingEmbedder
    folder: RunFolder
    progress: Progress
    deadline: float
    """A value of `time.monotonic()`."""
    _workshops: dict[str, Workshop] = field(default_factory=dict, init=False)

    def workshop(self, model: str) -> Workshop:
        """The models and documents that all fits of a model share."""
        if model not in self._workshops:
            self._workshops[model] = Workshop(
                language_model=self.shelf.language_model(model),
                embedder=self.embedder,
                documents=self.data.documents,
                folder=self.folder.path,
                seed=self.request.seed,
                allowance=self.plan.allowance,
                speeds=self.plan.speeds.get(model),
                no_documents=self.data.no_documents,
            )
        return self._workshops[model]

    def remember(self) -> None:
        """Keep what was embedded, for an attempt that goes on with this run."""
        self.embedder.save(self.folder.cache)

    def quality(self, record: Record) -> float | None:
        """The metric on the test rows, of the first fits; None where nothing was scored."""
        rows = scored_rows(record.evaluation.outcomes) if record.evaluation else []
        return get_metric(self.data.task.metric).aggregate(rows) if rows else None

    def given(self, entry: Entry, slot: str) -> Given | None:
        """The fit in this slot of the strategy that this one builds on, if it ended well and its solution is there."""
        base = base_of(entry)
        if not base:
            return None
        fit, kept = self.folder.finished(base, slot), self.folder.fold_solution(base, slot)
        if fit is None or fit.status != "ok" or not kept.is_dir():
            return None
        return Given(kept, fit.config, fit.curve, fit.train_examples, fit.seconds)

    def trials(self, entry: Entry, *, every_seed: bool = False) -> list[Trial]:
        """What is to be tried of a strategy, fold by fold; further seeds only where they were not given up."""
        trained = make_strategy(entry.strategy).family in TRAINED
        repeated = trained and (every_seed or self.folder.with_one_seed(entry.name) is None)
        trials = [
            Trial(
                name=entry.name,
                strategy=entry.strategy,
                task=self.data.task,
                train=parts.train,
                test=parts.test,
                allowance=self.plan.allowance,
                seed=self.request.seed + fold + SEEDS_APART * repeat,
                fold=fold,
                folds=len(self.folds),
                repeat=repeat,
                latency_seconds=self.plan.latency_seconds if fold == repeat == 0 else None,
                deadline=self.deadline,
            )
            for repeat in range(self.plan.repeats if repeated else 1)
            for fold, parts in enumerate(self.folds)
        ]
        return [replace(trial, kept=self.folder.fold_solution(trial.name, trial.slot)) for trial in trials]


def try_all(bench: Bench, entries: Sequence[Entry]) -> list[Record]:
    """Every strategy in turn; a fit that an earlier attempt finished is not made again."""
    plan = bench.plan
    bench.progress.planned(_to_come(plan, entries), plan.after_all)
    records = []
    for entry in entries:
        record = _try_one(bench, entry)
        records.append(record)
        log.info("%s: %s %s", record.name, record.status, record.reason or "")
        left_out = record.name in plan.left_out and record.status == "stopped_early"
        bench.progress.finished(record.name, "left_out" if left_out else record.status, bench.quality(record))
    if bench.data.incumbent is not None:
        records.append(_incumbent(bench))
    return records


def _to_come(plan: RunPlan, entries: Sequence[Entry]) -> dict[str, float]:
    """Seconds of each strategy that is tried; the first that reads documents embeds them."""
    seconds = {name: plan.predicted[name] for name in plan.tried}
    readers = [e.name for e in entries if e.name in seconds and make_strategy(e.strategy).needs_documents]
    return {name: own + (plan.index_seconds if name in readers[:1] else 0.0) for name, own in seconds.items()}


def _try_one(bench: Bench, entry: Entry) -> Record:
    """All fits of a strategy; the first that does not end well ends the strategy."""
    strategy = make_strategy(entry.strategy)
    model = entry.model if strategy.uses_language_model else None
    blank = Record(entry.name, entry.strategy, strategy.family, model, "stopped_early")
    if entry.name in bench.plan.left_out:
        spared = strategy.standing == "dispensable" and not bench.request.names_strategies
        status: Status = "not_applicable" if spared else "stopped_early"
        return replace(blank, status=status, reason=wording.LEFT_OUT)
    fits = _fits(bench, entry)
    if fits[-1].status != "ok":
        return replace(blank, status=fits[-1].status, reason=fits[-1].reason, fits=tuple(fits))
    whole = replace(blank, status="ok", reason=bench.folder.with_one_seed(entry.name), fits=tuple(fits))
    outcomes = [outcome for evaluation in whole.evaluations for outcome in evaluation.outcomes]
    if outcomes and not scored_rows(outcomes):  # one such strategy would leave no row to compare the others on
        ((problem, _),) = Counter(outcome.problem for outcome in outcomes).most_common(1)
        return replace(whole, status="failed", reason=f"no test row could be scored: {problem}")
    return whole


def _fits(bench: Bench, entry: Entry) -> list[Fit]:
    """Fold by fold and seed by seed; the first that does not end well is the last.

    Once every fold has had a fit, the further seeds are all made, or else given up: what two would say of how much a
    result owes to the seed is hardly worth knowing.
    """
    trials, fits = bench.trials(entry), list[Fit]()
    a_fit = bench.plan.predicted.get(entry.name, 0.0) / len(bench.trials(entry, every_seed=True))
    for number, trial in enumerate(trials):
        fit = bench.folder.finished(trial.name, trial.slot)
        if fit is None:
            lacking = _why_not_repeated(bench, entry, trial, fits, len(trials) - number) if trial.repeat else ""
            if lacking:
                return _with_one_seed(bench, entry, fits, lacking)
            later = (trial.folds - trial.fold - 1) * a_fit + _seconds_after(bench.plan, entry.name)
            fit = make_fit(bench, entry, replace(trial, given=bench.given(entry, trial.slot)), a_fit, later)
            bench.folder.finish(trial.name, trial.slot, fit)
            bench.remember()
        fits.append(fit)
        if fit.status != "ok":
            why = NO_TIME if fit.status == "stopped_early" else f"another fit failed ({fit.reason})"
            return _with_one_seed(bench, entry, fits, why) if trial.repeat else fits
    return fits


def _why_not_repeated(bench: Bench, entry: Entry, trial: Trial, fits: Sequence[Fit], left: int) -> str:
    """Why further seeds cannot be had, going by what the fits so far took; empty where they can.

    Where the first seed went on from fits of another strategy, the others are to do so too.
    """
    builds = bench.given(entry, replace(trial, repeat=0).slot) is not None
    if builds and bench.given(entry, trial.slot) is None:
        return "what it builds on has one seed too"
    taken = sum(fit.seconds + (fit.evaluation.seconds if fit.evaluation else 0.0) for fit in fits) / len(fits)
    end = _end(bench, _seconds_after(bench.plan, entry.name))
    return "" if time.monotonic() + left * taken < end else NO_TIME


def _with_one_seed(bench: Bench, entry: Entry, fits: Sequence[Fit], why: str) -> list[Fit]:
    """Those of the first seed; the others are forgotten, and not tried again when the run is resumed."""
    bench.folder.keep_one_seed(entry.name, f"one seed instead of {bench.plan.repeats}: {why}")
    for trial in bench.trials(entry, every_seed=True):
        if trial.repeat:
            bench.folder.forget(trial.name, trial.slot)
    return [fit for fit in fits if fit.repeat == 0]


def make_fit(bench: Bench, entry: Entry, trial: Trial, predicted: float, later: float) -> Fit:
    """One fit within what is left of the budget. `later` seconds are wanted for the fits still to come.

    A baseline that reads no documents is done with no time left too: there would be no answer at all. A full disk is
    no failure of the strategy's: what was raised passes through.
    """
    strategy, blank = make_strategy(entry.strategy), trial.unfinished
    after = bench.plan.after_fit.get(trial.name, 0.0)
    end = _end(bench, later) - after
    if strategy.family == "baseline" and not strategy.needs_documents:
        trial = replace(trial, deadline=math.inf)
    elif _comes_too_late(strategy.family, predicted, after, end, bench.deadline):
        return replace(blank, reason="the time budget was used up before its turn; raise --time-budget")
    trial = replace(trial, allowance=replace(trial.allowance, deadline=end))
    try:
        return run_trial(trial, strategy, bench.workshop(entry.model), bench.folder, bench.progress)
    except Exception as error:
        if trial.kept is not None:
            shutil.rmtree(trial.kept, ignore_errors=True)
        if is_full(error):
            raise
        if not isinstance(error, AdvisorError):
            log.exception("%s failed", entry.name)
        return replace(blank, status="failed", reason=_reason(error))


def _end(bench: Bench, later: float) -> float:
    """When what is under way is to end, so that `later` seconds are left for what is still to be tried."""
    return bench.deadline - later - bench.plan.refit_seconds - bench.plan.closer_look_seconds - GUARD_SECONDS


def _comes_too_late(family: Family, predicted: float, after: float, end: float, deadline: float) -> bool:
    """Whether too little is left: of all that a fit takes, or of its training."""
    now = time.monotonic()
    untrained = family in TRAINED and now + WORTH_BEGINNING * max(0.0, predicted - after) > end
    return predicted > 0 and (untrained or now + WORTH_BEGINNING * predicted > deadline)


def _seconds_after(plan: RunPlan, name: str) -> float:
    """What the strategies after this one are planned to take."""
    names = plan.tried
    later = names[names.index(name) + 1 :] if name in names else []
    return sum(plan.predicted[n] for n in later)


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory: use a smaller model, fewer examples or a larger machine"
    if isinstance(error, AdvisorError):
        return str(error)
    kind = type(error).__name__
    return f"{kind}: {first_line(error)}" if str(error).strip() else kind


def _incumbent(bench: Bench) -> Record:
    """Today's system, scored on the same test rows by the outputs that the client gave."""
    assert bench.data.incumbent is not None
    rows = bench.data.examples if bench.data.test is None else bench.data.test
    outputs = {e.id: text for e, text in zip(rows, bench.data.incumbent, strict=True)}
    metric = get_metric(bench.data.task.metric)
    fits = tuple(
        Fit("ok", fold=fold, evaluation=evaluate_outputs([outputs[e.id] for e in parts.test], parts.test, metric))
        for fold, parts in enumerate(bench.folds)
    )
    for fit in fits:  # for deciding once more
        bench.folder.finish(INCUMBENT, fit.slot, fit)
    return Record(INCUMBENT, INCUMBENT, "baseline", None, "ok", fits=fits)
