"""The one use case: compare strategies on a client's task and recommend one."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from advisor import economics, environment, planning
from advisor.auditing import with_suspects
from advisor.closer_look import leaders, look_closer
from advisor.data import Data, labels_of, read_data
from advisor.error_costs import check_labels
from advisor.evidence import Weighed, weigh
from advisor.fingerprint import fingerprint, parts_of
from advisor.learning_curve import learning_curve
from advisor.models import check_models, on_gpu, prices_of, shelf_of
from advisor.parts import divide, sizes_of, with_division
from advisor.planning import CURVE_STRATEGIES, RunPlan
from advisor.progress import Progress, Silent
from advisor.records import Fit, Record, Refit
from advisor.refit import keep_solution
from advisor.report import wording
from advisor.report.schema import Report
from advisor.reporting import TOO_LATE, Measured, build_report, write_report
from advisor.request import CompareRequest, make_request
from advisor.runs import ANSWERS, RunFolder, default_output, log
from advisor.speeds import PAID_CALLS, embedding_seconds, index_seconds, measure_speeds, profile_of, training_speed
from advisor.trials import Bench, Entry, base_of, entries_of, try_all
from eval.errors import AdvisorError, RequestError, first_line
from eval.folds import Split
from eval.metrics import get_metric
from eval.reading.text import conjoined
from strategies.answers import AnswerFormat
from strategies.base import TRAINED, Allowance, Strategy
from strategies.models.base import LanguageModel
from strategies.models.catalogue import check_role
from strategies.models.embedding_cache import CachingEmbedder
from strategies.models.shelf import ModelShelf
from strategies.registry import LEARN_LITTLE, make_strategy
from strategies.workload import Profile, Speeds


@dataclass
class Comparison:
    """A request with all that was read, loaded and planned for it."""

    request: CompareRequest
    data: Data
    shelf: ModelShelf
    embedder: CachingEmbedder
    """The shelf's, with a memory."""
    entries: Sequence[Entry]
    folds: Sequence[Split]
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


def run(
    request: CompareRequest,
    progress: Progress,
    shelf: ModelShelf | None = None,
    prices: economics.Prices | None = None,
    *,
    travels: bool = False,
) -> tuple[Report, RunFolder]:
    """Carry out a request: read, plan, try every strategy, decide, keep the winner, write.

    `shelf` and `prices` are the request's own where none are given. `travels` is as for `artefact_of`.
    """
    started = time.monotonic()
    data, prices = read_data(request), prices or prices_of(request)
    shelf = shelf or shelf_of(request, prices)
    path, marks = request.output or default_output(), parts_of(request, data)
    mark = fingerprint(marks)
    RunFolder(path).refuse_others(mark, marks)
    check(request, data, shelf, prices)
    folder = RunFolder.open(path, mark, marks)
    handler = folder.log_to_file()
    try:
        with folder.locked():
            comparison = prepare(request, data, started, progress, shelf, folder, prices)
            with _quick_collections():
                measured = _measure(comparison, folder, progress)
            kept = folder.keep(_pick(measured.weighed), everything=request.keep == "all")
            folder.clear_work()
            late = _too_late(comparison, measured.records, folder)
            if late:
                progress.say(late)
            report = build_report(comparison, measured, folder, kept, late=late, travels=travels)
            write_report(report, measured.records, folder.path)
    finally:
        log.removeHandler(handler)
        handler.close()
    return report, folder


@contextmanager
def _quick_collections() -> Iterator[None]:
    """Every fit ends with a garbage collection; it need not pass over the libraries and models, half a second each."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def check(request: CompareRequest, data: Data, shelf: ModelShelf, prices: economics.Prices) -> None:
    """Everything that can be refused before a folder is made or a model loaded."""
    check_models(request, data, prices)
    check_labels(request.error_cost, request.min_recall, labels_of(data))
    _refuse_where_none_applies(request, data)
    sizes_of(data, request.seed)
    for name in request.model:
        check_role(name, "language_model")
    check_role(request.embedder, "embedder")
    for name in (*request.model, request.embedder):
        shelf.require(name)


def _refuse_where_none_applies(request: CompareRequest, data: Data) -> None:
    """Strategies that do not apply say so themselves, which is no help where no other is left."""
    strategies = [make_strategy(name) for name in request.strategies]
    if any(_suits(strategy, data) for strategy in strategies):
        return
    kind = data.task.kind
    lacking = data.no_documents if request.documents else "--documents"
    why = [
        f"{s.name} needs documents ({lacking})" if kind in s.kinds else f"{s.name} is not for tasks of {kind.value}"
        for s in strategies
    ]
    raise RequestError(f"--strategies: there is nothing to compare, for {conjoined(why)}.")


def prepare(
    request: CompareRequest,
    data: Data,
    started: float,
    progress: Progress,
    shelf: ModelShelf | None = None,
    folder: RunFolder | None = None,
    prices: economics.Prices | None = None,
) -> Comparison:
    """Load the models and plan the run; a plan that the run folder holds already is used as it is."""
    prices = prices or prices_of(request)
    shelf = shelf or shelf_of(request, prices)
    if folder:
        shelf.keep_answers(folder.path / ANSWERS)  # before any language model is loaded
    embedder = CachingEmbedder(shelf.embedder(request.embedder))
    if folder:
        embedder.load(folder.cache)
    data = with_suspects(data, embedder, request.seed, request.accept)
    prices = on_gpu(request, prices, _gpu(shelf, request))
    # at the start, where a comparison can still be ended to mend what is warned of
    priced = economics.not_given(prices, request.model)
    for sentence in (*(f.said for f in data.findings if f.code in _STATED), *data.stated, *priced):
        progress.say(sentence)
    entries = entries_of(request)
    stored = folder.read_plan().get("plan") if folder else None
    if stored:
        plan = planning.from_json(stored)
        progress.say("Using the plan stored in the run folder.")
    else:
        plan = _make_plan(request, data, entries, shelf, progress, started)
        if folder:
            folder.write_plan({"plan": planning.to_json(plan)})
    if over := wording.over_budget(plan.total, request.time_budget):
        progress.say(f"{wording.capitalised(over)}.")
    if plan.usd:
        progress.say(wording.outlay(plan.usd, request.max_spend))
    folds = divide(data, request.seed, folds=plan.folds, test_rows=plan.test_rows)
    data = with_division(data, folds, request.accept)
    return Comparison(request, data, shelf, embedder, entries, folds, plan, prices, started)


def forecast(comparison: Comparison) -> dict[str, Any]:
    """The plan as plain data: how long it takes, what is given up for the time budget, and what hosted models cost."""
    plan = comparison.plan
    over = wording.over_budget(plan.total, comparison.request.time_budget)
    return {
        "predicted_seconds": plan.total,
        "folds": plan.folds,
        "cuts": plan.cuts_for(plan.tried),
        "over_budget": f"{wording.capitalised(over)}." if over else None,
        "most_usd": plan.usd or None,
    }


_STATED = {
    "column_mapping", "encoding_assumed", "unparseable_rows", "empty_input", "empty_output", "unread_documents",
    "shared_with_test", "leak_examples_documents",
}  # fmt: skip
"""How the data were read, and what of them was not, or is not learnt from."""
NO_MATTER = Speeds(math.inf, math.inf, math.inf)
"""Of a model that no strategy here works with, or that cannot be asked."""


def _gpu(shelf: ModelShelf, request: CompareRequest) -> str | None:
    if request.device == "cpu":
        return None
    shelf.language_model(request.model[0])  # torch is loaded by now, and the question costs nothing
    return environment.gpu_name()


def _make_plan(
    request: CompareRequest,
    data: Data,
    entries: Sequence[Entry],
    shelf: ModelShelf,
    progress: Progress,
    started: float,
) -> RunPlan:
    """Measure the models' speeds and plan what fits what is left of the budget."""
    progress.say("Measuring this machine's speed ...")
    (holdout,) = divide(data, request.seed, folds=1)
    strategies: dict[str, Strategy] = {e.name: make_strategy(e.strategy) for e in entries}
    by_model, speeds, profiles = dict[str, Speeds](), dict[str, Speeds](), dict[str, Profile]()
    fees = dict[str, planning.Fee]()
    embedder, inputs = shelf.embedder(request.embedder), [e.input for e in holdout.train]
    embedding = embedding_seconds(inputs, embedder)
    for name in dict.fromkeys(e.model for e in entries):
        model, own = shelf.language_model(name), [e.name for e in entries if e.model == name]
        answers = AnswerFormat.infer(data.task, holdout.train, model)
        profile = profile_of(data.task, holdout.train, data.documents, model, answers)
        works = any(_works(strategies[one], profile) for one in own)
        purse, price = shelf.hosted.purse, shelf.hosted.prices.get(name)
        before = purse.spent
        measured = _measured_speeds(model, progress) if works else NO_MATTER
        if price is not None and economics.is_hosted(name):
            fee = planning.Fee((purse.spent - before) / PAID_CALLS, price.read, price.written)
            fees |= {one: fee for one in own if strategies[one].family not in TRAINED}  # what is trained is not hosted
        measured = replace(measured, embedded=len(set(inputs)) * profile.input_tokens / embedding)
        by_model[name] = measured
        speeds |= dict.fromkeys(own, measured)
        profiles |= dict.fromkeys(own, profile)
        log.info("speeds of %s: %s", name, measured)
    applicable = {n: s for n, s in strategies.items() if _applies(s, data, profiles[n])}  # others say so themselves
    plan = planning.make_plan(
        applicable,
        profiles,
        speeds,
        sizes=sizes_of(data, request.seed),
        keep_all=request.keep == "all",
        index_seconds=index_seconds(data.documents, embedder),
        time_budget=request.time_budget,
        spent=time.monotonic() - started,
        named=request.names_strategies,
        builds_on={e.name: base_of(e) for e in entries},
        fees=fees,
    )
    return replace(plan, speeds=by_model)


def _measured_speeds(model: LanguageModel, progress: Progress) -> Speeds:
    """Of a hosted model that cannot be asked nothing is planned: its strategies say themselves why they fail."""
    if economics.is_hosted(model.identity.name):
        progress.say(f"Asking {model.identity.name} {PAID_CALLS} times to see how long it takes ...")
    try:
        return measure_speeds(model, training_speed)
    except AdvisorError as error:
        why = first_line(error).rstrip(".")
        progress.say(f"{model.identity.name} cannot be asked now, and its strategies fail if that stays so: {why}.")
        return NO_MATTER


def _applies(strategy: Strategy, data: Data, profile: Profile) -> bool:
    return _suits(strategy, data) and (not strategy.uses_language_model or _works(strategy, profile))


def _suits(strategy: Strategy, data: Data) -> bool:
    """Whether it is for such tasks, and has the documents that it needs."""
    return data.task.kind in strategy.kinds and (bool(data.documents) or not strategy.needs_documents)


def _works(strategy: Strategy, profile: Profile) -> bool:
    """Whether it gives a model any work."""
    return strategy.workload(profile, Allowance()).of_language_model


def _measure(comparison: Comparison, folder: RunFolder, progress: Progress) -> Measured:
    """Try everything, decide, and then learn more about the leading strategies and fit what is kept."""
    c, request = comparison, comparison.request
    deadline = c.started + request.time_budget
    bench = Bench(request, c.data, c.folds, c.plan, c.shelf, c.embedder, folder, progress, deadline)
    records = try_all(bench, c.entries)
    seen, metric = {example.target for example in c.data.examples}, get_metric(c.data.task.metric)
    weighed = weigh(records, request, c.prices, metric, labels=labels_of(c.data), seen=seen)
    by_name = {r.name: r for r in records}
    looks = look_closer(bench, records, leaders(bench, records, _pick(weighed)))
    curves: dict[str, list[Fit]] = {}
    refits: dict[str, Refit] = {}
    if c.plan.learning_curve:
        for entry in _named(c.entries, _to_curve(weighed)):
            curves[entry.name] = learning_curve(bench, entry)
    kept = _named(c.entries, _to_keep(request, records, weighed))
    for entry in kept:
        refit = keep_solution(bench, entry, by_name[entry.name])
        if refit is not None:
            refits[entry.name] = refit
    return Measured(records, weighed, curves, [entry.name for entry in kept], refits, looks)


def _pick(weighed: Weighed) -> str | None:
    return weighed.decision.pick if weighed.decision else None


def _to_curve(weighed: Weighed) -> list[str]:
    """Whose learning curves are drawn: the pick, and the best of the others, of those that learn enough."""
    decision = weighed.decision
    if decision is None:
        return []
    names = [decision.pick, decision.best, decision.runner_up]
    return list(dict.fromkeys(name for name in names if name and name not in LEARN_LITTLE))[:CURVE_STRATEGIES]


def _to_keep(request: CompareRequest, records: Sequence[Record], weighed: Weighed) -> list[str]:
    if request.keep == "all":
        return [r.name for r in records if r.evaluation is not None]
    pick = _pick(weighed)
    return [pick] if pick else []


def _too_late(comparison: Comparison, records: Sequence[Record], folder: RunFolder) -> str:
    """What `--keep all` cannot keep any more, since an earlier end of this run removed it; empty where it keeps all."""
    if comparison.request.keep != "all":
        return ""
    own = {entry.name for entry in comparison.entries}
    measured = [r for r in records if r.name in own and r.evaluation is not None]
    gone = [wording.title_in_text(r.name) for r in measured if not folder.solution(r.name).is_dir()]
    fits = all(folder.fold_solution(r.name, fit.slot).is_dir() for r in measured for fit in r.fits)
    lost = [f"the {'solution' if len(gone) == 1 else 'solutions'} of {conjoined(gone)}"] if gone else []
    lost += [] if fits else ["the fits that were measured"]
    if not lost:
        return ""
    return (
        f"{TOO_LATE} for {conjoined(lost)}: an earlier end of this run kept the winner alone. "
        "Compare in a new folder to have them."
    )


def _named(entries: Sequence[Entry], names: Sequence[str]) -> list[Entry]:
    return [entry for name in names for entry in entries if entry.name == name]
