"""The one use case: compare strategies on a client's task and recommend one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from advisor import economics, environment, planning
from advisor.data import Data, Parts, default_output, divide, fingerprint, read_data
from advisor.planning import RunPlan, Speeds
from advisor.progress import Progress, Silent
from advisor.report.schema import Report
from advisor.reporting import build_report, write_report
from advisor.request import CompareRequest, make_request
from advisor.runs import Record, RunFolder, log
from advisor.trial import Trial, run_trial
from eval.errors import AdvisorError
from strategies.answers import AnswerFormat
from strategies.base import Allowance, Strategy, Workshop
from strategies.models import catalogue
from strategies.models.shelf import ModelShelf
from strategies.registry import make_strategy


@dataclass(frozen=True)
class Entry:
    """A strategy that takes part, under the name it has in this run."""

    name: str
    strategy: str
    model: str
    """The language model it works with (or would, if it used one)."""


@dataclass
class Comparison:
    """A request with all that was read, loaded and planned for it."""

    request: CompareRequest
    data: Data
    shelf: ModelShelf
    entries: Sequence[Entry]
    parts: Parts
    plan: RunPlan
    prices: economics.Prices
    started: float
    """`time.monotonic()` at the start."""


def compare(
    task: str,
    examples: str | Path,
    documents: str | Path | None = None,
    *,
    progress: Progress | None = None,
    shelf: ModelShelf | None = None,
    **options: Any,
) -> Report:
    """Compare strategies and return the report, which is also written to the run folder `output`.

    Takes the options of `advisor compare`, with underscores. Raises RequestError where the request or the data cannot
    be used. `shelf` may carry models that are loaded already.
    """
    request = make_request(
        task=task, examples=str(examples), documents=str(documents) if documents else None, **_plain(options)
    )
    report, _ = run(request, progress or Silent(), shelf)
    return report


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, Path) and k != "output" else v for k, v in options.items()}


def run(request: CompareRequest, progress: Progress, shelf: ModelShelf | None = None) -> tuple[Report, RunFolder]:
    """Carry out a request: read, plan, try every strategy, decide, write."""
    started = time.monotonic()
    data = read_data(request)
    path, mark = request.output or default_output(), fingerprint(request, data)
    RunFolder(path).refuse_others(mark)
    check(request, data, shelf)
    folder = RunFolder.open(path, mark)
    handler = folder.log_to_file()
    try:
        with folder.locked():
            comparison = prepare(request, data, started, progress, shelf, folder)
            records = _try_all(comparison, folder, progress)
            report = build_report(comparison, records, folder)
            write_report(report, records, folder.path)
    finally:
        log.removeHandler(handler)
        handler.close()
    return report, folder


def check(request: CompareRequest, data: Data, shelf: ModelShelf | None) -> None:
    """Everything that can be refused before a folder is made or a model loaded."""
    if request.prices:
        economics.read_prices(request.prices)
    divide(data, request.seed)
    known = shelf or ModelShelf(request.device)
    for name in (*request.model, request.embedder):
        if not known.holds(name):
            catalogue.locate(name)


def prepare(
    request: CompareRequest,
    data: Data,
    started: float,
    progress: Progress,
    shelf: ModelShelf | None = None,
    folder: RunFolder | None = None,
) -> Comparison:
    """Load the models and plan the run; a plan that the run folder holds already is used as it is."""
    shelf = shelf or ModelShelf(request.device)
    prices = (
        economics.read_prices(request.prices)
        if request.prices
        else economics.assumed_prices(environment.cores(), _gpu(shelf, request))
    )
    for sentence in (*(f.message for f in data.findings if f.code in _STATED), *data.stated):
        progress.say(sentence)
    entries = entries_of(request)
    whole = divide(data, request.seed)
    stored = folder.read_plan().get("plan") if folder else None
    if stored:
        plan = _plan_from_json(stored)
        progress.say("Using the plan stored in the run folder.")
    else:
        plan = _make_plan(request, data, whole, entries, shelf, progress)
        if folder:
            folder.write_plan({"plan": _plan_to_json(plan)})
    parts = divide(data, request.seed, plan.test_rows)
    return Comparison(request, data, shelf, entries, parts, plan, prices, started)


_STATED = {"column_mapping", "encoding_assumed"}


def _gpu(shelf: ModelShelf, request: CompareRequest) -> str | None:
    if request.device == "cpu":
        return None
    shelf.language_model(request.model[0])  # torch is loaded by now, and the question costs nothing
    return environment.gpu_name()


def entries_of(request: CompareRequest) -> list[Entry]:
    """The strategies of a run. With several models, those that use one take part once a model, as NAME@MODEL."""
    entries = []
    for name in request.strategies:
        baseline = make_strategy(name).family == "baseline"
        for model in request.model[:1] if baseline else request.model:
            several = len(request.model) > 1 and not baseline
            entries.append(Entry(f"{name}@{model}" if several else name, name, model))
    return entries


def _make_plan(
    request: CompareRequest,
    data: Data,
    parts: Parts,
    entries: Sequence[Entry],
    shelf: ModelShelf,
    progress: Progress,
) -> RunPlan:
    """Measure the models' speeds and plan what fits the budget."""
    progress.say("Measuring this machine's speed ...")
    strategies: dict[str, Strategy] = {e.name: make_strategy(e.strategy) for e in entries}
    speeds: dict[str, Speeds] = {}
    profiles = {}
    for name in dict.fromkeys(e.model for e in entries):
        model = shelf.language_model(name)
        measured = planning.measure_speeds(model, planning.training_speed)
        answers = AnswerFormat.infer(data.task, parts.train, model)
        profile = planning.profile_of(data.task, parts.train, data.documents, model, answers)
        for entry in entries:
            if entry.model == name:
                speeds[entry.name], profiles[entry.name] = measured, profile
        log.info("speeds of %s: %s", name, measured)
    applicable = {name: s for name, s in strategies.items() if data.documents or not s.needs_documents}
    return planning.make_plan(
        applicable,
        profiles,
        speeds,
        test_rows=len(parts.test),
        fixed_test=data.test is not None,
        index_seconds=planning.index_seconds(data.documents, shelf.embedder(request.embedder)),
        time_budget=request.time_budget,
    )


def _plan_to_json(plan: RunPlan) -> dict[str, Any]:
    values = asdict(plan)
    del values["allowance"]["deadline"]
    return values


def _plan_from_json(values: dict[str, Any]) -> RunPlan:
    return RunPlan(**{**values, "allowance": Allowance(**values["allowance"])})


def _try_all(comparison: Comparison, folder: RunFolder, progress: Progress) -> list[Record]:
    """Every strategy in turn; one that an earlier attempt finished is not run again."""
    request, plan = comparison.request, comparison.plan
    deadline = comparison.started + request.time_budget
    workshops: dict[str, Workshop] = {}
    progress.planned({n: s for n, s in plan.predicted.items() if n not in plan.left_out})
    records = []
    for entry in comparison.entries:
        record = folder.finished(entry.name)
        if record is None:
            workshop = workshops.setdefault(entry.model, _workshop(comparison, entry.model, folder))
            record = _try_one(comparison, entry, workshop, folder, progress, deadline)
            folder.finish(record)
        records.append(record)
        log.info("%s: %s %s", record.name, record.status, record.reason or "")
        progress.finished(record.name, record.status)
    folder.clear_work()
    return records


def _workshop(comparison: Comparison, model: str, folder: RunFolder) -> Workshop:
    return Workshop(
        language_model=comparison.shelf.language_model(model),
        embedder=comparison.shelf.embedder(comparison.request.embedder),
        documents=comparison.data.documents,
        folder=folder.path,
        seed=comparison.request.seed,
        allowance=comparison.plan.allowance,
    )


def _try_one(
    comparison: Comparison,
    entry: Entry,
    workshop: Workshop,
    folder: RunFolder,
    progress: Progress,
    deadline: float,
) -> Record:
    """Fit and measure one strategy, within what is left of the budget."""
    plan = comparison.plan
    strategy = make_strategy(entry.strategy)
    model = entry.model if strategy.family != "baseline" else None
    blank = Record(entry.name, entry.strategy, strategy.family, model, "stopped_early")
    if entry.name in plan.left_out:
        return replace(blank, reason="the time budget has no room for it; raise --time-budget")
    predicted = plan.predicted.get(entry.name, 0.0)
    if predicted and time.monotonic() + 0.3 * predicted > deadline:
        return replace(blank, reason="the time budget was used up before its turn; raise --time-budget")
    trial = Trial(
        name=entry.name,
        strategy=entry.strategy,
        task=comparison.data.task,
        train=comparison.parts.train,
        test=comparison.parts.test,
        allowance=replace(plan.allowance, deadline=_fit_deadline(plan, entry.name, deadline)),
        deadline=deadline,
    )
    try:
        return run_trial(trial, strategy, workshop, folder, progress, blank)
    except AdvisorError as error:
        reason = str(error)
    except Exception as error:
        log.exception("%s failed", entry.name)
        reason = _reason(error)
    shutil.rmtree(folder.solution(entry.name), ignore_errors=True)
    return replace(blank, status="failed", reason=reason)


def _fit_deadline(plan: RunPlan, name: str, deadline: float) -> float:
    """When training must end so that what comes after it still fits."""
    names = [n for n in plan.predicted if n not in plan.left_out]
    later = names[names.index(name) + 1 :] if name in names else []
    return deadline - sum(plan.predicted[n] for n in later) - 20.0


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory: use a smaller model, fewer examples or a larger machine"
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
