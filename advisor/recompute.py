"""Decide once more from what a finished run measured, with other prices, volumes or limits. No model is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.economics import Prices
from advisor.evidence import Weighed, weigh
from advisor.records import Record
from advisor.report.schema import Report, Settings, StrategyResult
from advisor.request import Options
from advisor.runs import REPORT, RunFolder
from advisor.trials import INCUMBENT
from eval.errors import RequestError
from eval.metrics import get_metric


@dataclass(frozen=True)
class Decided:
    """A decision and what it was made with."""

    weighed: Weighed
    options: Options
    prices: Prices


def decide_again(run: Path, *, prices: Prices | None = None, **changes: Any) -> Decided:
    """Decide with the settings of a run's report but for the changes (names as in `Options`).

    Today's system takes no part: it is compared with in the report, and never picked. Raises RequestError where there
    is no finished run.
    """
    try:
        report = Report.model_validate_json((run / REPORT).read_bytes())
    except (OSError, ValueError) as error:
        raise RequestError(f"{run} holds no finished run.") from error
    options = Options(**{**_options(report.settings), "seed": report.seed, **changes})
    folder, own = RunFolder(run), report.settings
    records = [_record(folder, result) for result in report.strategies if result.name != INCUMBENT]
    used = prices or Prices(own.machine, own.machine_hourly_usd, own.price_source)
    return Decided(weigh(records, options, used, get_metric(report.task.metric)), options, used)


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "volume": settings.volume,
        "tolerance": settings.tolerance_points,
        "min_quality": settings.min_quality,
        "max_cost_per_1k": settings.max_cost_per_1k,
        "max_latency_ms": settings.max_latency_ms,
        "error_cost": settings.error_cost,
    }


def _record(folder: RunFolder, result: StrategyResult) -> Record:
    strategy = result.name.split("@")[0]
    fits = tuple(folder.fits(result.name))
    return Record(result.name, strategy, result.family, result.model, result.status, result.reason, fits)
