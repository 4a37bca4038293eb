"""What a reader is shown of a report, and in which order. Pure functions, shared by all renderers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.report import wording
from advisor.report.schema import Comparison, Cost, LearningPoint, Quality, Report, Settings, StrategyResult

INCUMBENT = "incumbent"
"""Name of today's system, as in `advisor.trials`."""


def legible(report: Report) -> Report:
    """The report with every string made legible (`wording.legible`), names consistently so."""
    return Report.model_validate(_legible(report.model_dump()))


def _legible(value: object) -> object:
    if isinstance(value, str):
        return wording.legible(value)
    if isinstance(value, dict):
        return {_legible(key): _legible(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_legible(item) for item in value]
    return value


def find(report: Report, name: str | None) -> StrategyResult | None:
    """The strategy of that name, or None."""
    return next((s for s in report.strategies if s.name == name), None)


def measured(report: Report) -> list[tuple[StrategyResult, Quality]]:
    """Strategies with a quality, the best first; among equals the recommended one, then the order of the report."""
    pairs = [(s, s.quality) for s in report.strategies if s.quality is not None]
    return sorted(pairs, key=lambda pair: (-_sortable(pair[1].value), pair[0].name != report.recommendation.strategy))


def _sortable(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def unmeasured(report: Report) -> list[StrategyResult]:
    """Strategies without a quality: those that failed first, then those that do not apply."""
    order = {"failed": 0, "stopped_early": 1, "ok": 2, "not_applicable": 3}
    return sorted((s for s in report.strategies if s.quality is None), key=lambda s: order[s.status])


def ranked(report: Report) -> list[StrategyResult]:
    """All strategies in the order of the table."""
    return [s for s, _ in measured(report)] + unmeasured(report)


def note(report: Report, result: StrategyResult) -> str:
    """A few words on a strategy: its part in the recommendation, and its status where that is not ok."""
    words = []
    if result.name == report.recommendation.strategy:
        words.append("recommended")
    elif result.name == report.recommendation.runner_up:
        words.append("runner-up")
    if result.status != "ok":
        words.append(wording.STATUS_TITLES[result.status])
    return ", ".join(words)


@dataclass(frozen=True)
class Contender:
    """A strategy that the opening shows, and why."""

    result: StrategyResult
    roles: tuple[str, ...]


def contenders(report: Report) -> list[Contender]:
    """The winner, the runner-up and the best strategy that needs no language model, each once.

    Today's system is none of these: nothing is known of it but its answers.
    """
    best = [(s, quality) for s, quality in measured(report) if s.name != INCUMBENT]
    roles: dict[str, list[str]] = {}
    if find(report, report.recommendation.strategy):
        roles[str(report.recommendation.strategy)] = ["Recommended"]
    elif best:
        roles[best[0][0].name] = ["Best measured"]
    if find(report, report.recommendation.runner_up):
        roles.setdefault(str(report.recommendation.runner_up), []).append("Runner-up")
    plain = next((s for s, _ in best if s.family == "baseline"), None)
    if plain:
        words = "Needs no language model" if plain.name in roles else "Best without a language model"
        roles.setdefault(plain.name, []).append(words)
    return [Contender(report.result(name), tuple(words)) for name, words in roles.items()]


def differences_to_best(report: Report) -> tuple[str | None, list[Comparison]]:
    """The best strategy measured, and the paired differences of the others to it (other minus best).

    Without any such comparison: None, and all comparisons as they stand.
    """
    best = measured(report)
    if best:
        name = best[0][0].name
        found = [c if c.b == name else _reversed(c) for c in report.comparisons if name in (c.a, c.b)]
        if found:
            return name, sorted(found, key=lambda c: -_sortable(c.difference))
    return None, list(report.comparisons)


def _reversed(c: Comparison) -> Comparison:
    turned = {"a": c.b, "b": c.a, "difference": -c.difference, "ci95": (-c.ci95[1], -c.ci95[0])}
    return c.model_copy(update=turned)


def labels_worst_first(quality: Quality) -> list[tuple[str, float]]:
    """Recall of each label, the weakest first."""
    return sorted((quality.per_label or {}).items(), key=lambda item: (_sortable(item[1]), item[0]))


def learning_rows(points: Sequence[LearningPoint]) -> list[list[str]]:
    """A learning curve as a table: training rows, quality, its range, and what all rows bring over so many."""
    return [
        [
            f"{point.train_examples:,}",
            wording.hundredths(point.value),
            f"{wording.hundredths(point.ci95[0])} to {wording.hundredths(point.ci95[1])}",
            f"{wording.points(point.gain_to_all)} ({wording.points_range(point.gain_ci95)})"
            if point.gain_to_all is not None and point.gain_ci95 is not None
            else "",
        ]
        for point in points
    ]


def bases(report: Report) -> list[tuple[str, list[str]]]:
    """Each way a cost was reached, with the titles of the strategies it holds for."""
    found: dict[str, list[str]] = {}
    for result in ranked(report):
        if result.cost is not None:
            found.setdefault(result.cost.basis, []).append(wording.strategy_title(result.name))
    return list(found.items())


def limits(report: Report) -> list[str]:
    """The limits and the tolerance that the decision was made with, in words."""
    settings = report.settings
    tolerance = f"{settings.tolerance_points:g} point{'' if settings.tolerance_points == 1 else 's'}"
    words = [
        f"{settings.volume:,} queries a month over {wording.count(settings.months, 'month')}",
        _hosting(settings),
        f"strategies within {tolerance} of the best count as equal in quality",
    ]
    if settings.min_quality is not None:
        words.append(f"quality at least {wording.hundredths(settings.min_quality)} of 100")
    if settings.max_cost_per_1k is not None:
        words.append(f"at most {wording.per_thousand(settings.max_cost_per_1k)}")
    if settings.max_latency_ms is not None:
        words.append(f"95 of 100 answers within {wording.latency(settings.max_latency_ms)}")
    if settings.error_cost is not None:
        words.append(f"a wrong answer costs {wording.money(settings.error_cost)}")
    return words


def _hosting(settings: Settings) -> str:
    if settings.hosting == "always-on":
        least = f", at least {wording.count(settings.min_replicas, 'machine')}"
        peak = (
            f"{settings.peak_qps:g} queries a second"
            if settings.peak_qps
            else f"{settings.peak_ratio:g} times the mean"
        )
        return f"machines are always on{least}, enough for a peak of {peak}"
    return "tokens are paid for" if settings.hosting == "per-token" else "busy machine-seconds are paid for"


def further_cost_titles(report: Report) -> list[str]:
    """Columns of the costs that only some reports have."""
    machines = ["Machines"] if report.settings.hosting == "always-on" else []
    return [*machines, *(["Wh per 1,000"] if report.settings.watts is not None else [])]


def further_costs(report: Report, cost: Cost) -> list[str]:
    """A strategy's entries in these columns."""
    machines = [f"{cost.machines:,}"] if report.settings.hosting == "always-on" else []
    energy = cost.watt_hours_per_1k or 0.0
    return [*machines, *([f"{energy:.3g}"] if report.settings.watts is not None else [])]


def price(report: Report) -> str:
    """The machine, its price, and where the price comes from."""
    settings = report.settings
    return f"{settings.machine} at {wording.money(settings.machine_hourly_usd)} an hour ({settings.price_source})"
