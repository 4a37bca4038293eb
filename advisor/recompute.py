"""Decide once more from what a finished run measured, with other prices, volumes or limits. No model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from advisor.advice import recommend
from advisor.artefact import artefact_of
from advisor.economics import Prices, is_hosted, mean_qps
from advisor.error_costs import check_labels
from advisor.evidence import weigh
from advisor.records import Record
from advisor.report.schema import Artefact, Plan, Report, Settings, StrategyResult
from advisor.reporting import TOO_LATE, cost_of, drawn_from, power_of, with_errors
from advisor.request import Options, checked
from advisor.runs import REPORT, RunFolder
from advisor.settings import options_in, prices_in, settings_of
from eval.contracts import Kind
from eval.errors import RequestError
from eval.metrics import get_metric


def report_again(run: Path, *, prices: Prices | None = None, travels: bool = False, **changes: Any) -> Report:
    """The report of a finished run, with the decision made again under other options (names as in `Options`).

    What was measured stays as it is: strategies, their quality, latency and comparisons. Nothing is written. `travels`
    is as for `artefact_of`. Raises RequestError, which names no folder but the run's own name, where there is no
    finished run, or an option is not as it should be.
    """
    report, folder = _read(run), RunFolder(run)
    options = _options(report, changes)
    used = _prices(report.settings, prices)
    records = [_record(folder, result) for result in report.strategies]
    labels = report.task.labels if report.task.kind == Kind.CLASSIFICATION.value else None
    check_labels(options.error_cost, options.min_recall, labels)
    metric = get_metric(report.task.metric)
    weighed = weigh(
        records, options, used, metric, labels=labels, seen=report.label_rows, comparisons=report.comparisons
    )
    costs = {record.name: cost_of(record, options, used) for record in records}
    results = [result.model_copy(update={"cost": costs[result.name]}) for result in report.strategies]
    results = with_errors(results, weighed)
    pick = weighed.decision.pick if weighed.decision else None
    settings = settings_of(options, used)
    artefact = _artefact(report, folder, pick, travels=travels)
    kept = [result for result in results if artefact is not None and result.name == pick]
    data = report.data.model_copy(update={"plan": _plan(report.data.plan, kept, power_of(weighed))})
    advice = recommend(data, report.environment, settings, results, weighed, is_kept=artefact is not None)
    advice.caveats += [said for said in report.recommendation.caveats if said.startswith(TOO_LATE)]
    return report.model_copy(
        update={
            "data": data,
            "settings": settings,
            "strategies": results,
            "comparisons": list(weighed.comparisons),
            "recommendation": advice,
            "artefact": artefact,
            **drawn_from(advice, records, weighed),
        }
    )


def _read(run: Path) -> Report:
    if not run.exists():
        raise RequestError(f"{run.name or run} does not exist: name the folder of a finished run.")
    try:
        return Report.model_validate_json((run / REPORT).read_bytes())
    except (OSError, ValueError) as error:
        raise RequestError(f"{run.name or run} holds no finished run that this version can read.") from error


def _options(report: Report, changes: Mapping[str, Any]) -> Options:
    """The run's options with the changes; a stated peak keeps its ratio to the mean where only the volume changes."""
    settings, before = report.settings, {**options_in(report.settings), "seed": report.seed}
    if settings.peak_qps is None or not settings.volume or "volume" not in changes or "peak_qps" in changes:
        return checked(Options, {**before, **changes})
    options = checked(Options, {**before, **changes, "peak_qps": None})
    peak = settings.peak_ratio * mean_qps(options.volume)
    return options.model_copy(update={"peak_qps": peak or None})


def _prices(settings: Settings, given: Prices | None) -> Prices:
    """Those given, else the run's; a hosted model keeps the token prices of the run where none are given."""
    before = prices_in(settings)
    if given is None:
        return before
    hosted = {
        name: tokens.model_copy(update={"source": tokens.source or f"{before.source}, at the time of the run"})
        for name, tokens in before.tokens.items()
        if is_hosted(name)
    }
    return replace(given, tokens={**hosted, **given.tokens})


def _record(folder: RunFolder, result: StrategyResult) -> Record:
    strategy = result.name.split("@")[0]
    fits = tuple(folder.fits(result.name))
    if result.quality is not None and not fits:
        if not folder.read_plan():
            raise RequestError(
                f"{folder.path.resolve().name}: a service made this run and keeps what was measured: decide "
                "again there, with POST /v1/comparisons/ID/decision."
            )
        raise RequestError(f"What was measured of {result.name} is lost: compare again.")
    return Record(result.name, strategy, result.family, result.model, result.status, result.reason, fits)


def _plan(plan: Plan, kept: Sequence[StrategyResult], power: float | None) -> Plan:
    """What a plan says about the pick, `kept` where its solution is."""
    refit = any(result.fit and result.fit.refit and not result.fit.refit.rejected for result in kept)
    return plan.model_copy(update={"refit": refit, "smallest_difference": power})


def _artefact(report: Report, folder: RunFolder, pick: str | None, *, travels: bool) -> Artefact | None:
    """The pick's solution as it is now; None where it was not kept, was removed since, or is of another version."""
    if pick is None:
        return None
    before = report.artefact if pick == report.recommendation.strategy else None
    kept = folder.path / before.path if before else folder.solution(pick)
    try:
        return artefact_of(kept, folder, travels=travels, known=before.sha256 if before else None)
    except RequestError:
        return None
