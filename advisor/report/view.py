"""What a reader is shown of a report, and in which order. Pure functions, shared by all renderers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from advisor.economics import is_hosted
from advisor.error_costs import ErrorCosts
from advisor.report import wording
from advisor.report.schema import (
    INCUMBENT,
    Comparison,
    Cost,
    LearningPoint,
    Quality,
    Recommendation,
    Report,
    Settings,
    StrategyResult,
    Volumes,
)  # fmt: skip
from eval.findings import in_test
from eval.reading.text import conjoined
from strategies.base import TRAINED

NO_QUERY = "–"
"""In place of what a query costs, where there is none."""
SET_UP, AGAIN = "Set-up, of USD once", "Training again, of USD a month"
WRONG, MACHINES, ENERGY = "Wrong answers, USD per 1,000", "Machines", "Wh per 1,000"
"""Columns of costs that only some reports have."""
ERROR_COSTS = "What each wrong answer costs, the dearest first."
MOST_PAIRS = 24
"""Of a right label and an answer, whose cost is shown."""


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
    """Strategies with a quality, those measured as planned before those that stopped early, and then the best first.

    Among equals the recommended one, then the order of the report.
    """

    def place(pair: tuple[StrategyResult, Quality]) -> tuple[bool, float, bool]:
        result, quality = pair
        return result.status != "ok", -_sortable(quality.value), result.name != report.recommendation.strategy

    return sorted(((s, s.quality) for s in report.strategies if s.quality is not None), key=place)


def as_planned(report: Report) -> list[StrategyResult]:
    """Strategies that were measured as planned, on all test rows, the best first."""
    return [s for s, _ in measured(report) if s.status == "ok"]


def same_rows(report: Report) -> str:
    """On which rows strategies were measured, in words that end a caption."""
    on = "all measured on the same rows"
    if any(s.status == "ok" and quality.unscored for s, quality in measured(report)):
        on += ", less those without a score,"
    if all(s.status == "ok" for s, _ in measured(report)):
        return on.removesuffix(",")
    which = _unfinished(report)
    if which:
        return f"{on} but {which} that stopped early, which stand last"
    return f"{on.removesuffix(',')}; what stopped early stands last"


def _unfinished(report: Report) -> str:
    """Which of the strategies that stopped early did not answer all rows; empty where only training was cut short."""
    whole = [quality.n >= report.data.plan.test for s, quality in measured(report) if s.status != "ok"]
    if all(whole):
        return ""
    return "some of those" if any(whole) else "those"


def _sortable(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def unmeasured(report: Report) -> list[StrategyResult]:
    """Strategies without a quality: those that failed first, then those that do not apply."""
    order = {"failed": 0, "stopped_early": 1, "ok": 2, "not_applicable": 3}
    return sorted((s for s in report.strategies if s.quality is None), key=lambda s: order[s.status])


def ranked(report: Report) -> list[StrategyResult]:
    """All strategies in the order of the table."""
    return [s for s, _ in measured(report)] + unmeasured(report)


def how_split(report: Report) -> str:
    """How rows were kept apart, and that not all strategies answered all of them where that is so."""
    plan, families = report.data.plan, {s.family for s, _ in measured(report)}
    if not families & set(TRAINED):
        plan = plan.model_copy(update={"repeats": 1})
    if families <= {"baseline"}:
        plan = plan.model_copy(update={"dev": 0, "tuning_seconds": None})
    fewer = any(s.fit and plan.seeds(s.fit) < plan.repeats for s, _ in measured(report) if s.family in TRAINED)
    said = wording.how_split(plan, fewer_seeds=fewer)
    which = wording.capitalised(_unfinished(report))
    return f"{said} {which} strategies that stopped early answered only some of the rows." if which else said


def power(report: Report) -> str:
    """The smallest difference that can be shown by the rows that all strategies answered."""
    return wording.power(report.data.plan, min((c.n for c in report.comparisons), default=0))


def note(report: Report, result: StrategyResult) -> str:
    """A few words on a strategy: its part in the recommendation, and its status where that is not ok."""
    words = []
    if result.name == report.recommendation.strategy:
        words.append(pick_role(report.recommendation).lower())
    elif result.name == report.recommendation.runner_up:
        words.append("runner-up")
    if result.status != "ok":
        words.append(wording.status_title(result))
    return ", ".join(words)


def pick_role(advice: Recommendation) -> str:
    """What the strategy is that a recommendation names."""
    return pick_said(advice)[0]


def pick_said(advice: Recommendation) -> tuple[str, str]:
    """The same, as a title and as the end of a sentence about it."""
    if advice.keeps_incumbent:
        return "Best to replace it", "is the best to replace today's system with"
    if advice.verdict == "insufficient_evidence":
        return "Favoured by these rows", "is favoured by these rows"
    if advice.falls_short:
        return "Best of a weak field", "is the best of a weak field"
    return "Recommended", "is recommended"


def test_mark(report: Report) -> str:
    """What follows the name of a test row: they may be those of a file of their own."""
    return in_test("") if report.data.plan.test_source == "file" else ""


def names_of_rows(report: Report) -> str:
    """What rows without an id are called in findings; empty where none is named."""
    return wording.rows_without_id(row for finding in report.data.findings for row in finding.rows)


@dataclass(frozen=True)
class Contender:
    """A strategy that the opening shows, and why."""

    result: StrategyResult
    roles: tuple[str, ...]


def contenders(report: Report) -> list[Contender]:
    """The winner, the runner-up, today's system and the best strategy that needs no language model, each once."""
    best = [s for s in as_planned(report) if s.name != INCUMBENT]
    roles: dict[str, list[str]] = {}
    if find(report, report.recommendation.strategy):
        roles[str(report.recommendation.strategy)] = [pick_role(report.recommendation)]
    elif best:
        roles[best[0].name] = ["Best measured"]
    if find(report, report.recommendation.runner_up):
        roles.setdefault(str(report.recommendation.runner_up), []).append("Runner-up")
    if find(report, INCUMBENT):
        roles[INCUMBENT] = ["In use today"]
    plain = [s.name for s in best if s.model is None]
    for name in roles.keys() & plain:
        roles[name].append("Needs no language model")
    if plain and plain[0] not in roles:
        roles[plain[0]] = ["Best without a language model"]
    return [Contender(report.result(name), tuple(words)) for name, words in roles.items()]


def other_baselines(report: Report) -> list[StrategyResult]:
    """Strategies without a language model, measured as planned, that are no contenders, the best first."""
    shown = {contender.result.name for contender in contenders(report)}
    return [s for s in as_planned(report) if s.model is None and s.name not in (*shown, INCUMBENT)]


def baselines_sentence(report: Report, results: Sequence[StrategyResult]) -> str:
    """Several such strategies in one row; empty where there are none."""
    if not results:
        return ""
    return f"Others without a language model: {'; '.join(brief(report, result) for result in results)}."


def brief(report: Report, result: StrategyResult) -> str:
    """A strategy with its three figures, in one line."""
    figures = [
        wording.quality_short(result.quality) if result.quality else "not measured",
        _brief_cost(report, result.cost),
        f"p95 {wording.latency(result.latency.p95_ms)}" if result.latency else "latency unknown",
    ]
    return f"{wording.strategy_title(result.name)} ({'; '.join(figures)})"


def _brief_cost(report: Report, cost: Cost | None) -> str:
    if cost is None:
        return "cost unknown"
    each = per_1k(report, cost)
    return f"{wording.money(cost.monthly_usd)} a month" if each == NO_QUERY else f"{each} USD per 1,000"


def per_1k(report: Report, cost: Cost) -> str:
    """USD per 1,000 queries; of machines that are always on for no query there is no such figure."""
    return NO_QUERY if cost.machines and not report.settings.volume else wording.rate(cost.per_1k_usd)


def further_reasons(advice: Recommendation) -> list[str]:
    """Those that the summary does not give already."""
    return [reason for reason in advice.reasons if reason not in advice.summary]


def differences_to_best(report: Report) -> tuple[str | None, list[Comparison]]:
    """The best strategy measured as planned, and the paired differences of the others to it (other minus best).

    Without any such comparison: None, and all comparisons as they stand.
    """
    best = as_planned(report)
    if best:
        name = best[0].name
        found = [c if c.b == name else _reversed(c) for c in report.comparisons if name in (c.a, c.b)]
        if found:
            return name, sorted(found, key=lambda c: -_sortable(c.difference))
    return None, list(report.comparisons)


def _reversed(c: Comparison) -> Comparison:
    turned = {"a": c.b, "b": c.a, "difference": -c.difference, "ci95": (-c.ci95[1], -c.ci95[0])}
    return c.model_copy(update=turned)


def chances_about(report: Report) -> str:
    """Among which strategies the chances of being the best and expected losses are; empty where it is clear."""
    settings = report.settings
    given = (settings.min_quality, settings.max_cost_per_1k, settings.max_latency_ms, settings.min_recall or None)
    limited = any(limit is not None for limit in given)
    which = [*["those beyond your limits too"] * limited, *["today's system aside"] * bool(find(report, INCUMBENT))]
    return f"Chances and losses are among all strategies, {', '.join(which)}." if which else ""


@dataclass(frozen=True)
class Part:
    """A label or a field, and how much of it the recommended strategy gets right."""

    name: str
    found: float
    rows: int | None
    """Test rows of the label, or values of the field; None where that is not known."""


@dataclass(frozen=True)
class Parts:
    """Quality by label or by field, the weakest first."""

    heading: str
    about: str
    columns: tuple[str, str]
    """What the parts are, and what they are counted in."""
    parts: list[Part]

    @property
    def are_counted(self) -> bool:
        return any(part.rows is not None for part in self.parts)


def parts(report: Report) -> Parts | None:
    """The recommended strategy's quality by label or by field; None where there is neither."""
    pick = find(report, report.recommendation.strategy)
    if pick is None or pick.quality is None:
        return None
    title = wording.strategy_title(pick.name)
    if pick.quality.per_label:
        found = [Part(name, share, report.label_rows.get(name)) for name, share in pick.quality.per_label.items()]
        about = f"Share of each label's rows that {title} finds (recall), weakest first"
        return Parts("Quality by label", about, ("Label", "Test rows"), _weakest_first(found))
    if report.fields:
        found = [Part(field.field, field.found, field.values) for field in report.fields]
        about = f"Share of each field's expected values that {title} gives (recall), weakest first"
        return Parts("Quality by field", about, ("Field", "Values"), _weakest_first(found))
    return None


def _weakest_first(found: Sequence[Part]) -> list[Part]:
    return sorted(found, key=lambda part: (_sortable(part.found), part.name))


TRIED = ["Strategy", "Configurations tried", "Model-seconds", "Rows chosen by", "First configuration", "Chosen"]


def tried_rows(report: Report) -> list[list[str]]:
    """What choosing among configurations took and brought, a line for each strategy that had a choice.

    The quality of the first and of the chosen configuration on the rows that both answered first, or more; rows differ,
    since what is beaten early is not asked further.
    """

    def reached(trial: Mapping[str, Any]) -> str:
        return "not scored" if trial["dev_quality"] is None else wording.hundredths(trial["dev_quality"])

    lines = []
    for result in ranked(report):
        trials: Any = result.config.get("tried", [])
        if result.fit is None or len(trials) < 2:
            continue
        chosen = next(trial for trial in trials if trial.get("chosen"))
        lines.append(
            [
                wording.strategy_title(result.name),
                f"{len(trials):,}",
                f"{result.fit.tuning_seconds:.0f}",
                f"{chosen['dev_rows']:,}",
                f"{reached(trials[0])} on {trials[0]['dev_rows']:,}",
                reached(chosen),
            ]
        )
    return lines


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
        f"{wording.queries(settings.volume)} a month over {wording.count(settings.months, 'month')}",
        _hosting(settings),
        f"strategies within {tolerance} of the best count as equal in quality"
        if settings.error_cost is None
        else f"the lowest total of costs and wrong answers decides, with a tolerance of {tolerance}",
    ]
    if settings.min_quality is not None:
        words.append(f"quality at least {wording.stated(100 * settings.min_quality)} of 100")
    if settings.max_cost_per_1k is not None:
        words.append(f"at most {wording.stated(settings.max_cost_per_1k)} USD per 1,000 queries")
    if settings.max_latency_ms is not None:
        words.append(f"95 of 100 answers within {wording.stated(settings.max_latency_ms)} ms")
    words += [
        f"at least {wording.stated(100 * least)} of 100 {label} found" for label, least in settings.min_recall.items()
    ]
    if isinstance(settings.error_cost, ErrorCosts):
        dearest = wording.stated(settings.error_cost.dearest)
        words.append(f"wrong answers cost up to {dearest} USD, by the right label and the answer")
    elif settings.error_cost is not None:
        words.append(f"a wrong answer costs {wording.stated(settings.error_cost)} USD")
    return words


def _hosting(settings: Settings) -> str:
    if settings.hosting == "always-on":
        least = f", at least {wording.count(settings.min_replicas, 'machine')}"
        return f"machines are always on{least}{wording.peak_load(settings.volume, settings.peak_qps)}"
    return "tokens are paid for" if settings.hosting == "per-token" else "busy machine-seconds are paid for"


def costs_about(report: Report) -> str:
    """What the cost of a month holds."""
    settings, again = report.settings, report.settings.retrainings_per_year
    about = f"At {wording.queries(settings.volume)} a month; a month carries its share of what is paid once, spread"
    about += f" over {wording.count(settings.months, 'month')}"
    if again:
        about += f", and training again {wording.stated(again)} {'time' if again == 1 else 'times'} a year"
    return f"{about}."


def further_cost_titles(report: Report) -> list[str]:
    """Columns of the costs that only some reports have."""
    settings = report.settings
    there = {
        SET_UP: bool(settings.effort_usd),
        AGAIN: settings.retrainings_per_year > 0,
        WRONG: settings.error_cost is not None,
        MACHINES: settings.hosting == "always-on",
        ENERGY: settings.watts is not None,
    }
    return [title for title, is_there in there.items() if is_there]


def further_costs(report: Report, result: StrategyResult, cost: Cost) -> list[str]:
    """A strategy's entries in these columns."""
    entries = {
        SET_UP: wording.amount(report.settings.effort_usd.get(result.family, 0.0)),
        AGAIN: wording.amount(cost.retraining_usd),
        WRONG: _rate(cost.errors_per_1k_usd),
        MACHINES: f"{cost.machines:,}",
        ENERGY: _rate(cost.watt_hours_per_1k),
    }
    return [entries[title] for title in further_cost_titles(report)]


def _rate(figure: float | None) -> str:
    return wording.UNKNOWN if figure is None else wording.rate(figure)


def error_costs(report: Report) -> list[list[str]]:
    """What wrong answers cost: right label, answer and USD, the dearest first. Empty where all cost the same."""
    matrix = report.settings.error_cost
    if not isinstance(matrix, ErrorCosts):
        return []
    named = [(usd, right, answer) for right, row in matrix.costs.items() for answer, usd in row.items()]
    pairs = sorted((pair for pair in named if pair[0] or pair[1] != pair[2]), key=lambda pair: -pair[0])
    rows = [[right, answer, wording.stated(usd)] for usd, right, answer in pairs[:MOST_PAIRS]]
    if rest := pairs[MOST_PAIRS:]:
        rows.append([f"{len(rest):,} further pairs", "", f"up to {wording.stated(rest[0][0])}"])
    if matrix.default is not None:
        rows.append(["any", "another wrong label", wording.stated(matrix.default)])
    unusable = matrix.default if matrix.unusable is None else matrix.unusable
    return [*rows, ["any", "no label", "as its dearest" if unusable is None else wording.stated(unusable)]]


def price(report: Report) -> str:
    """The machine, its price, and where the price comes from."""
    settings = report.settings
    return f"{settings.machine} at {wording.stated(settings.machine_hourly_usd)} USD an hour ({settings.price_source})"


def spending(report: Report) -> str:
    """What the run itself spent; empty where that is nothing."""
    if report.spent_usd is None:
        return ""
    return (
        f"The calls of hosted models in this run cost {wording.money(report.spent_usd)}, as a spending cap counts "
        "them: all attempts, with cached tokens and calls that were cut off in full."
    )


def latency_about(report: Report) -> str:
    """How latencies came about."""
    timed = [(s, s.latency) for s in ranked(report) if s.latency is not None]
    about = "Measured one query at a time, after a warm-up, on the machine named under Environment."
    if _has_p99(report):
        about += " The queries are test rows, short and long ones as among all; of fewer than 50, p99 is the slowest."
    together = max((latency.rows_a_call or 0 for _, latency in timed), default=0)
    if together:
        about += (
            f" The batches are of {wording.count(together, 'row')}: larger ones may be quicker, smaller ones slower."
        )
    repeated = [f"{latency.repeated:,} of {wording.strategy_title(s.name)}" for s, latency in timed if latency.repeated]
    if repeated:
        about += (
            " Left out are queries that had to be asked more than once, since the server limits the rate of calls or "
            f"failed: {conjoined(repeated)}."
        )
    hosted = {s.model for s, _ in timed if s.model is not None and is_hosted(s.model)}
    if not hosted:
        return about
    return f"{about} For {', '.join(sorted(hosted))} this is the time of the network and of the provider's machines."


def latency_titles(report: Report) -> list[str]:
    """Columns of the latencies; p99 and the time to the first token are there where they were measured."""
    p99 = ["99 of 100 within (p99)"] if _has_p99(report) else []
    first = ["First token, median"] if _has_first_token(report) else []
    return [
        "Strategy",
        "Half within (p50)",
        "95 of 100 within (p95)",
        *p99,
        *first,
        "Queries a second, in batches",
        "Queries",
    ]


def latencies(report: Report) -> list[tuple[StrategyResult, list[str]]]:
    """Each strategy with a latency, and its cells."""
    rows = []
    for result in ranked(report):
        if (latency := result.latency) is None:
            continue
        p99 = [_latency_or_dash(latency.p99_ms)] if _has_p99(report) else []
        first = [_latency_or_dash(latency.first_token_p50_ms)] if _has_first_token(report) else []
        figures = [wording.latency(latency.p50_ms), wording.latency(latency.p95_ms), *p99, *first]
        figures += [wording.per_second(latency.throughput_qps), f"{latency.n:,}"]
        rows.append((result, [wording.strategy_title(result.name), *figures]))
    return rows


def load_sentences(report: Report) -> list[str]:
    """How the pick bears load."""
    return [said for result in ranked(report) if (said := wording.load_sentence(result))]


def _latency_or_dash(ms: float | None) -> str:
    return wording.latency(ms) if ms is not None else "–"


def _has_p99(report: Report) -> bool:
    return any(s.latency and s.latency.p99_ms is not None for s in report.strategies)


def _has_first_token(report: Report) -> bool:
    return any(s.latency and s.latency.first_token_p50_ms is not None for s in report.strategies)


def secondary(report: Report) -> tuple[list[str], list[list[str]]]:
    """Names of the further measures, and a row of them for each strategy that has any."""
    names = list(dict.fromkeys(name for result in ranked(report) for name in result.secondary))
    rows = [
        [
            wording.strategy_title(result.name),
            *(
                wording.secondary_figure(name, result.secondary[name]) if name in result.secondary else ""
                for name in names
            ),
        ]
        for result in ranked(report)
        if result.secondary
    ]
    return names, rows


# By the volume


def costs_by_volume(report: Report) -> list[list[str]]:
    """Monthly costs at each power of ten and at the volume stated: a row of volumes, one a strategy, one of the picks.

    Empty where they are not known.
    """
    if report.volumes is None:
        return []
    volumes = report.volumes
    shown = [
        i
        for i, volume in enumerate(volumes.queries_per_month)
        if volume == report.settings.volume or math.log10(volume).is_integer()
    ]
    titles = [
        "Queries a month",
        *(wording.strategy_title(line.strategy) for line in volumes.lines),
        pick_role(report.recommendation),
    ]
    return [[title, *cells] for title, *cells in zip(titles, *costs_at(volumes, shown), strict=True)]


def break_evens(report: Report) -> list[str]:
    """Where two strategies change places in cost, in sentences; below one query a month is nowhere."""
    found = [item for item in report.recommendation.break_even if (item.queries_per_month or 1) >= 1]
    errors_count = report.settings.error_cost is not None
    return [wording.break_even_sentence(item, errors_count=errors_count) for item in found]


def costs_at(volumes: Volumes, shown: Sequence[int]) -> list[list[str]]:
    """The rows of these volumes."""
    return [
        [
            f"{volumes.queries_per_month[i]:,}",
            *(wording.rate(line.monthly_usd[i]) for line in volumes.lines),
            pick_title(volumes.picks[i]),
        ]
        for i in shown
    ]


def pick_title(name: str | None) -> str:
    """The title of a pick, or words for none."""
    return "none within the limits" if name is None else wording.strategy_title(name)


def picks_by_volume(report: Report) -> list[str]:
    """From which volume on which strategy is recommended, or what it is instead, in sentences."""
    if report.volumes is None:
        return []
    volumes, (_, is_it) = report.volumes, pick_said(report.recommendation)
    changes = volumes.changes
    low, high = volumes.searched or (volumes.queries_per_month[0], volumes.queries_per_month[-1])
    span = f"{low:,.0f} to {wording.a_month(high)}"
    if len(changes) == 1 and volumes.searched:
        return [f"From {span}: {pick_title(changes[0].strategy)}.", *picks_searched(volumes)]
    if len(changes) == 1:
        return [f"{pick_title(changes[0].strategy)} {is_it} at any volume shown, {span}."]
    first = f"Up to {wording.a_month(changes[1].queries_per_month)}: {pick_title(changes[0].strategy)}."
    later = [f"Above {wording.a_month(c.queries_per_month)}: {pick_title(c.strategy)}." for c in changes[1:]]
    return [first, *later, *picks_searched(volumes)]


def picks_searched(volumes: Volumes) -> list[str]:
    """How far the changes of the pick are known, in a sentence; none where that is all that is shown."""
    if volumes.searched is None:
        return []
    low, high = volumes.searched
    below = [f"below {wording.a_month(low)}"] if low > volumes.queries_per_month[0] else []
    above = [f"above {wording.a_month(high)}"] if high < volumes.queries_per_month[-1] else []
    farther = wording.capitalised(" and ".join([*below, *above]))
    return [f"{farther} the pick is known at the volumes shown only, and may change between them."]


def volumes_caption(report: Report) -> str:
    """What the costs by the volume are, and which of them decide."""
    settings = report.settings
    total = "USD a month in all" if settings.error_cost is None else "USD a month in all, wrong answers included"
    spread = f"what is paid once spread over {wording.count(settings.months, 'month')}"
    out = [line.strategy for line in report.volumes.lines if not line.counts] if report.volumes else []
    if not out:
        return f"{total}, {spread}."
    names = ", ".join(wording.strategy_title(name) for name in out)
    return f"{total}, {spread}. Too far behind in quality to be picked for its cost: {names}."
