"""Figures in plain words. Pure functions; all renderers speak through them, so that a figure reads the same everywhere.

Shares, qualities and differences arrive as fractions in [0, 1] and are shown out of 100.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from advisor.decide import Verdict
from advisor.economics import PEAK_RATIO, is_hosted
from advisor.report.schema import (
    BreakEven,
    Plan,
    Quality,
    Refit,
    SideEffects,
    Status,
    StrategyResult,
    Tokens,
)
from eval.findings import Severity
from eval.metrics import MEAN_ERROR, METRICS, NUMBERS_MATCH, get_metric

STRATEGY_TITLES = {
    "zero_shot": "Prompt only",
    "few_shot": "Prompt with fixed examples",
    "optimized_prompt": "Optimized prompt",
    "nearest_examples": "Prompt with the nearest examples",
    "rag": "Retrieval (RAG)",
    "lora": "Fine-tuning (LoRA)",
    "full_tuning": "Full fine-tuning",
    "lora_classifier": "Fine-tuning with a classification head",
    "lora_linear": "Fine-tuning + linear classifier",
    "lora_examples": "Fine-tuning + the nearest examples",
    "lora_rag": "Fine-tuning + retrieval",
    "majority": "Always the same answer",
    "nearest_copy": "Copy the nearest example's answer",
    "tfidf_linear": "TF-IDF + linear classifier",
    "embedding_linear": "Embeddings + linear classifier",
    "pooled_linear": "TF-IDF + embeddings + linear classifiers",
    "setfit": "Tuned embeddings + linear classifier",
    "passage_copy": "Copy from the best passage",
    "copy_input": "Copy the input",
    "incumbent": "Today's system",
}

SECONDARY_TITLES = {
    MEAN_ERROR: "mean absolute error, lower is better",
    "within_one": "at most one step off",
    NUMBERS_MATCH: "exact match of numbers",
}
"""Of further figures that are no metrics."""

_VERDICT_TITLES: dict[Verdict, str] = {
    "clear": "Clear recommendation",
    "tie": "Close call",
    "none_feasible": "No strategy meets the limits",
    "insufficient_evidence": "Not enough evidence",
}

_STATUS_TITLES: dict[Status, str] = {
    "ok": "",
    "failed": "failed",
    "stopped_early": "stopped early",
    "not_applicable": "not applicable",
}

LEFT_OUT = "the time budget has no room for it; raise --time-budget"
"""The reason of a strategy that was not begun."""

ERRORS_APART = ", wrong answers not counted"
"""Of a cost that is compared with another, where wrong answers have a price."""

SEVERITY_TITLES: dict[Severity, str] = {"info": "Note", "warning": "Warning", "error": "Problem"}

AT_THE_LEAST = "at the least (with all given up but what quality hangs on)"
"""How long ways of dividing the examples are told to take, of which one is then taken with less given up, or more."""

HAIR = 1e-9
"""What a half may miss itself by, as 100 * 0.285 does."""
UNKNOWN = "unknown"
HARDLY, HARDLY_AT_ALL = 0.05, 0.001
"""Change of a loss that is called none: as a share of it, or on its own scale."""
MINUS = "\u2212"


# Names


def strategy_title(name: str) -> str:
    """The plain title of a strategy; `NAME@MODEL` says the model too, and an unknown name is shown as it is."""
    base, at, model = name.partition("@")
    title = STRATEGY_TITLES.get(base)
    if title is None:
        return name
    return f"{title} on {model}" if at else title


def status_title(result: StrategyResult) -> str:
    """How it went, in a word or two; empty where it went as planned."""
    return "left out" if result.reason == LEFT_OUT else _STATUS_TITLES[result.status]


def title_in_text(name: str) -> str:
    """The title of a strategy as it stands within a sentence."""
    title = strategy_title(name)
    return uncapitalised(title) if title[1:2].islower() else title


def metric_title(metric: str) -> str:
    """The metric as its field writes it; an unknown one is shown with spaces for underscores."""
    return get_metric(metric).title if metric in METRICS else SECONDARY_TITLES.get(metric, metric.replace("_", " "))


# Quality


def half_up(value: float, digits: int = 0) -> str:
    """A figure of 0 or more with so many decimals, halves up, as they are rounded by hand: 52.5 is 53."""
    scale = 10**digits
    return f"{math.floor(value * scale + 0.5 + HAIR) / scale:,.{digits}f}"


def hundredths(fraction: float) -> str:
    """A fraction out of 100, whole. Only a true 0 or 1 reads as 0 or 100, the neighbours get a decimal."""
    if not math.isfinite(fraction):
        return UNKNOWN
    value = 100 * fraction
    if 99.5 - HAIR <= value < 100:
        return half_up(min(value, 99.9), 1)
    if 0 < value <= 0.5 + HAIR:
        return half_up(max(value, 0.1), 1)
    return half_up(value)


def secondary_figure(name: str, value: float) -> str:
    """A further measure of the same answers: out of 100, but for an error, which is in the unit of the labels."""
    return half_up(value, 2) if name == MEAN_ERROR else hundredths(value)


def is_share(metric: str) -> bool:
    """Whether the metric is the share of rows that are right."""
    return metric in METRICS and get_metric(metric).is_proportion


def is_counted(quality: Quality) -> bool:
    """Whether the quality is a number of rows that are right."""
    return quality.correct is not None and is_share(quality.metric)


def unit(quality: Quality) -> str:
    """What stands behind a figure of this metric: ` %` for a share of rows, nothing for points of a score."""
    return " %" if is_share(quality.metric) else ""


def interval(quality: Quality) -> str:
    """The 95 % interval: `84 to 95 %`."""
    low, high = quality.ci95
    return f"{hundredths(low)} to {hundredths(high)}{unit(quality)}"


def quality_figure(quality: Quality) -> str:
    """The figure alone: `91 of 100 right`, `72 of 100 points`, `91 %`."""
    if is_counted(quality):
        return f"{_right(quality)} right"
    if unit(quality):
        return f"{hundredths(quality.value)} %"
    return f"{hundredths(quality.value)} of 100 points"


def _right(quality: Quality) -> str:
    """Rows that are right, with a decimal where the mean over several fits is no whole number: `36.3 of 40`."""
    rows = half_up(quality.value * quality.n, 1).removesuffix(".0") if quality.per_fit else f"{quality.correct:,}"
    return f"{rows} of {quality.n:,}"


def quality_range(quality: Quality) -> str:
    """What belongs beneath the figure: the metric where it needs naming, and the range."""
    if is_counted(quality):
        return f"{hundredths(quality.value)} %; 95 % range {interval(quality)}"
    return f"{metric_title(quality.metric)}; 95 % range {interval(quality)}"


def quality_sentence(quality: Quality) -> str:
    """Quality with its range: `91 of 100 right, 84 to 95`, or `72 of 100 points token F1, 66 to 78`."""
    if is_counted(quality):
        if quality.n == 100:
            low, high = quality.ci95
            return f"{quality_figure(quality)}, {hundredths(low)} to {hundredths(high)}"
        return f"{quality_figure(quality)}, {hundredths(quality.value)} % ({interval(quality)})"
    return f"{quality_figure(quality)} {metric_title(quality.metric)}, {interval(quality)}"


def quality_short(quality: Quality) -> str:
    """Quality with its range for a narrow column: `91 of 100, 84–95 %`."""
    low, high = quality.ci95
    span = f"{hundredths(low)}–{hundredths(high)}{unit(quality)}"
    if is_counted(quality):
        return f"{_right(quality)}, {span}"
    return f"{hundredths(quality.value)}{unit(quality)}, {span}"


def quality_remarks(quality: Quality) -> str:
    """Of how many fits the figure is the mean, and rows that weigh on it: unusable answers, and rows without a score.

    Empty where there is nothing to say.
    """
    remarks = [f"mean over {len(quality.per_fit)} fits with different seeds"] if quality.per_fit else []
    if not is_counted(quality) and quality.correct is not None:
        remarks.append(f"{quality.correct:,} of {quality.n:,} right{' on average' if quality.per_fit else ''}")
    if quality.unusable:
        remarks.append(f"{quality.unusable:,} unusable {'answer' if quality.unusable == 1 else 'answers'}, scored 0")
    if quality.unscored:
        remarks.append(f"{count(quality.unscored, 'row')} without a score")
    return "; ".join(remarks)


def points(difference: float) -> str:
    """A signed difference in points: `+1.2`, `−3.0`, `0.0`."""
    if not math.isfinite(difference):
        return UNKNOWN
    text = half_up(abs(100 * difference), 1)
    if text == "0.0":
        return text
    return f"{'+' if difference > 0 else MINUS}{text}"


def points_range(ci95: tuple[float, float]) -> str:
    """The range of a difference in points: `−4.1 to +0.6`."""
    return f"{points(ci95[0])} to {points(ci95[1])}"


def p_value(p: float | None) -> str:
    """A p-value with two digits that mean something."""
    if p is None or not math.isfinite(p):
        return ""
    if p < 0.001:
        return "under 0.001"
    return f"{p:.3f}" if p < 0.01 else f"{p:.2f}"


def score(value: float | None) -> str:
    """One row's score."""
    if value is None or not math.isfinite(value):
        return "not scored"
    if value == 1:
        return "right"
    return "wrong" if value == 0 else f"{hundredths(value)} of 100 points"


# Money, time, size


def amount(usd: float) -> str:
    """US dollars without the unit: `0.031`, `under 0.01`, `12.30`, `1,240`."""
    if not math.isfinite(usd):
        return UNKNOWN
    if usd < 0:
        return f"{MINUS}{amount(-usd)}"
    if usd == 0:
        return "0"
    if usd < 0.01:
        return "under 0.01"
    if usd < 0.995:
        return f"{usd:#.2g}"
    return f"{usd:.2f}" if usd < 99.995 else f"{usd:,.0f}"


def outlay(usd: float, most: float | None) -> str:
    """What calls of hosted models should cost, and whether a spending cap allows for that; a sentence."""
    short = ", more than --max-spend, which ends them before" if most is not None and usd > most else ""
    return f"Calls of hosted models should cost {money(usd)} at the most{short}."


def money(usd: float) -> str:
    """US dollars: `0.031 USD`."""
    text = amount(usd)
    return text if text == UNKNOWN else f"{text} USD"


def stated(number: float) -> str:
    """A figure of the client's own, as it was given: `0.005`, `84.5`, `1,250`."""
    return _written_out(number, 10)


def near_miss(figure: float, limit: float, told: Callable[[float], str]) -> str:
    """A figure beyond a limit, with the digits that part the two; empty where they are `told` differently anyway."""
    if figure == limit or told(figure) != told(limit):
        return ""
    whole = len(f"{figure:.0f}")
    parting = (n for n in range(max(2, whole), 18) if float(f"{figure:.{n}g}") != float(f"{limit:.{n}g}"))
    return _written_out(figure, next(parting))


def _written_out(number: float, digits: int) -> str:
    """At most so many digits that mean something, and no powers of ten: `0.000082`."""
    return f"{Decimal(f'{number:.{digits}g}'):,f}"


def rate(usd: float) -> str:
    """A cost per 1,000 queries for a column, where small ones must still differ: `0.0073`, `under 0.0001`."""
    if 0.0001 <= usd < 0.01:
        return f"{float(f'{usd:.1e}'):.{5 if usd < 0.000995 else 4}f}"
    return "under 0.0001" if 0 < usd < 0.0001 else amount(usd)


def per_thousand(usd: float) -> str:
    """`0.031 USD per 1,000 queries`."""
    return f"{money(usd)} per 1,000 queries"


def latency(ms: float) -> str:
    """`48 ms`, `1.3 s`, `13 s`, `2 min 5 s`."""
    if not math.isfinite(ms):
        return UNKNOWN
    if ms < 1:
        return "under 1 ms"
    return f"{ms:.0f} ms" if ms < 999.5 else duration(ms / 1000)


def duration(seconds: float) -> str:
    """`0.4 s`, `45 s`, `3 min 20 s`, `1 h 5 min`."""
    if not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 0.05:
        return "under 0.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def size(number: int) -> str:
    """Bytes in decimal units: `740 B`, `18 MB`, `1.2 GB`."""
    value, names = float(number), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(names) > 1:
        value /= 1000
        names.pop(0)
    name = names[0]
    return f"{value:.0f} {name}" if value >= 10 or name == "B" else f"{value:.1f} {name}"


def per_second(queries: float) -> str:
    """A throughput: `0.31`, `6.3`, `372`, `19,500`."""
    if not math.isfinite(queries):
        return UNKNOWN
    return f"{float(f'{queries:.3g}'):,.0f}" if queries >= 99.5 else f"{queries:.2g}"


def tokens(per_query: Tokens) -> str:
    """Tokens of a query: `412 in (256 cached), 3 out`; `none` where no language model reads."""
    if per_query.input == 0 and per_query.output == 0:
        return "none"
    cached = f" ({per_query.cached:,.0f} cached)" if per_query.cached >= 0.5 else ""
    return f"{per_query.input:,.0f} in{cached}, {per_query.output:,.0f} out"


def parameters(number: int | None) -> str:
    """The size of a model: `135 million`."""
    if number is None:
        return ""
    if number >= 999_500_000:
        return f"{number / 1e9:.1f} billion"
    return f"{number / 1e6:.0f} million" if number >= 500_000 else f"{number:,}"


def verdict_colour(verdict: Verdict, falls_short: bool) -> Verdict:
    """The verdict whose colour is shown: a clear one without a solution is no good news."""
    return "tie" if verdict == "clear" and falls_short else verdict


def verdict_title(verdict: Verdict, keeps_incumbent: bool, falls_short: bool) -> str:
    """The verdict in a few words, as they stand below the headline."""
    if verdict in ("clear", "tie") and falls_short:
        return "Best of a weak field"
    return "No clear gain" if keeps_incumbent and verdict == "tie" else _VERDICT_TITLES[verdict]


def capitalised(text: str) -> str:
    """With a capital at its beginning, as a sentence has; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def uncapitalised(text: str) -> str:
    """As a sentence goes on within another."""
    return text[:1].lower() + text[1:]


def count(number: int, noun: str, several: str = "") -> str:
    """`1 row`, `1,200 rows`; `several` is what more than one are called, where that is not a matter of an s."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def queries(number: int) -> str:
    """`1 query`, `12,000 queries`."""
    return count(number, "query", "queries")


def a_month(volume: float) -> str:
    """`1 query a month`, `12,000 queries a month`; there is no volume between none and one."""
    return f"{queries(max(1, round(volume)))} a month"


def moment(created_at: str) -> str:
    """An ISO time as a reader writes it: `14 March 2025, 10:22 UTC`; shown as it is where it cannot be read."""
    try:
        when = datetime.fromisoformat(created_at)
    except ValueError:
        return created_at
    zone = when.strftime(" %Z").rstrip()
    return f"{when.day} {when:%B %Y, %H:%M}{zone}"


# Sentences


def how_split(plan: Plan, *, fewer_seeds: bool = False) -> str:
    """How rows were kept apart, in a few sentences."""
    if plan.test_source == "file":
        text = f"Every strategy was fitted on {count(plan.train, 'row')} and measured on the client's own test file"
        text += f" of {count(plan.test, 'row')}."
    elif plan.kind == "cross_fit":
        text = f"The examples were cut into {plan.folds} folds. Each of {count(plan.test, 'row')} was answered once,"
        text += f" by a solution fitted on the other folds (about {count(plan.train, 'row')}) that had not seen it."
    elif plan.test_source == "latest":
        text = f"Every strategy was fitted on {count(plan.train, 'row')} and measured on {plan.test:,} later ones."
    else:
        text = f"Every strategy was fitted on {count(plan.train, 'row')} and measured on the same {plan.test:,} rows,"
        text += " held back from the start."
    if plan.repeats > 1:
        times = f"up to {plan.repeats}" if fewer_seeds else plan.repeats
        text += f" Fine-tuned strategies were fitted {times} times with different seeds."
    if plan.dev:
        text += (
            " Fine-tuning and tuning chose by rows for fitting, never by those measured; answers of a language model "
            f"were compared on at most {plan.dev:,} of them."
        )
    if plan.tuning_seconds:
        text += (
            f" Strategies that try several configurations could spend {plan.tuning_seconds:.0f} model-seconds each on"
            " that in each fit: work at the speeds measured before, the same for all."
        )
    if plan.refit:
        text += " What is kept was then fitted on all examples, with the settings that were chosen most often."
    return text


def why_divided(plan: Plan) -> str:
    """Which ways of dividing the examples were weighed; where there was only one, that it does not fit, or nothing."""
    over = over_budget(plan.predicted_seconds, plan.time_budget)
    if len(plan.offers) < 2:
        return f"{capitalised(over)}." if over else ""
    ways = [
        f"{'one holdout' if offer.kind == 'holdout' else f'{offer.folds}-fold cross-fitting'} about "
        f"{duration(offer.predicted_seconds)}"
        for offer in plan.offers
    ]
    weighed = f"Planned before anything was tried, each {AT_THE_LEAST}: {', '.join(ways)}"
    budget, planned = f"the time budget of {duration(plan.time_budget)}", duration(plan.predicted_seconds)
    if over:
        return f"{weighed}; {over}."
    taken = next(offer for offer in plan.offers if offer.folds == plan.folds)
    if taken.predicted_seconds > plan.time_budget:  # only one holdout may give up what quality hangs on
        return (
            f"{weighed}; none of these fits {budget}, so one holdout was taken, with less training, tuning or testing "
            f"than they assume, and {planned} planned for all that is done."
        )
    if plan.folds == plan.offers[0].folds:
        return (
            f"{weighed}; {budget} had room for the first, the strongest, with {planned} planned for all that is done."
        )
    return f"{weighed}; the strongest that fits {budget} was taken, with {planned} planned for all that is done."


def over_budget(planned: float, budget: float) -> str:
    """That even the shortest plan is longer than the budget, to follow other words; empty where it is not."""
    if planned <= budget or duration(planned) == duration(budget):
        return ""
    return (
        f"no plan fits the time budget of {duration(budget)}: the shortest was taken, planned at {duration(planned)}, "
        f"{duration(planned - budget)} over it"
    )


def what_cuts_are_for(planned: float, budget: float) -> str:
    """What was given up may not have been enough."""
    return "Cut to come near the time budget" if planned > budget else "Cut to fit the time budget"


def how_long(seconds: float, plan: Plan) -> str:
    """What the run took, beside what was planned and what was allowed."""
    took, planned, budget = (duration(each) for each in (seconds, plan.predicted_seconds, plan.time_budget))
    if seconds <= plan.time_budget:
        return f"The run took {took}; planned were {planned} of a budget of {budget}."
    over = duration(seconds - plan.time_budget)
    return f"The run took {took}, {over} over its time budget of {budget}; planned were {planned}."


def power(plan: Plan, rows: int) -> str:
    """The smallest difference that the rows can show, those that all answered; empty where it is not known."""
    if plan.smallest_difference is None:
        return ""
    return (
        f"Between the two leading strategies the {count(rows, 'row')} that all answered can show a difference of "
        f"about {100 * plan.smallest_difference:.1f} points or more (with 80 % power at the 5 % level)."
    )


def rows_without_id(rows: Iterable[str]) -> str:
    """What the names of rows without an id mean, where findings name such rows; else empty."""
    if not any(row.startswith("row-") for row in rows):
        return ""
    return (
        "Rows without an id of their own are called row-1, row-2 and so on: the column names, blank rows and rows that "
        "cannot be read do not count."
    )


def refit_sentence(refit: Refit) -> str:
    """What became of the fit on all examples."""
    if refit.rejected:
        return f"The fit on all examples was put aside, since {refit.rejected}; a measured fit is kept instead."
    text = f"The kept solution was fitted on all examples in {duration(refit.seconds)}"
    if refit.epochs:
        text += f", with {count(refit.epochs, 'epoch')} of training, the measured fits' median"
    if refit.quality is not None and refit.floor is not None:
        text += f"; on {count(refit.checked_on, 'row')} that it did not learn from it reached"
        text += (
            f" {hundredths(refit.quality)} of 100, where the measured fits' range begins at {hundredths(refit.floor)}"
        )
    return text + "."


def load_sentence(result: StrategyResult) -> str:
    """How a strategy bears queries that arrive together; empty where that was not measured."""
    levels = result.latency.load if result.latency else []
    if not levels:
        return ""
    said = [
        f"{level.parallel} at once in {latency(level.p50_ms)} ({per_second(level.throughput_qps)} a second)"
        for level in levels
    ]
    hosted = result.model is not None and is_hosted(result.model)
    how = "are sent to the provider side by side" if hosted else "are answered as one batch"
    return f"Queries that arrive together {how}: {', '.join(said)} with {strategy_title(result.name)}."


def peak_load(volume: int, peak_qps: float | None) -> str:
    """What machines that are always on have room for, to follow other words; empty without any load."""
    if not volume:
        return ""
    assumed = f"{PEAK_RATIO:g} times the mean (assumed; give yours with --peak-qps)"
    return f", enough for a peak of {f'{peak_qps:g} queries a second' if peak_qps else assumed}"


def side_effect_sentences(result: StrategyResult) -> list[str]:
    """Overfitting, forgetting and steadiness of a tuned strategy, as far as they were measured."""
    return [*_overfitting(result), *(_forgetting(result.side_effects) if result.side_effects else [])]


def _overfitting(result: StrategyResult) -> list[str]:
    """Whether the loss on rows not learnt from rose after its lowest epoch, and where what was kept stands.

    The loss on rows learnt from is a mean during the epoch, the other one is from its end: the two have no gap to tell.
    """
    curve = [row for row in (result.fit.curve if result.fit else None) or [] if "dev_loss" in row]
    kept = next((row for row in curve if row["epoch"] == result.config.get("best_epoch")), None)
    if kept is None:
        return []
    return [
        f"Overfitting: {_course(curve, kept)} In the epoch that was kept, the loss was "
        f"{_loss(kept['dev_loss'])} on rows that it did not learn from, and {_loss(kept['train_loss'])} on those that "
        "it learnt from, on average while it learnt."
    ]


def _course(curve: Sequence[Mapping[str, float]], kept: Mapping[str, float]) -> str:
    """How the loss on rows not learnt from went over the epochs, and which of them was kept."""
    if len(curve) == 1:
        return "after a single epoch it cannot be told whether the loss on rows not learnt from would rise."
    lowest, last = min(curve, key=lambda row: row["dev_loss"]), curve[-1]
    own, least, end = (f"epoch {row['epoch']:.0f}" for row in (kept, lowest, last))
    if last is lowest:
        return f"the loss on rows not learnt from was at its lowest in the end, after {end}; {own} was kept."
    if math.isclose(last["dev_loss"], lowest["dev_loss"], rel_tol=HARDLY, abs_tol=HARDLY_AT_ALL):
        return f"the loss on rows not learnt from hardly changed after its lowest, after {least}; {own} was kept."
    which = "that epoch" if kept is lowest else f"{own}, {'before' if kept['epoch'] < lowest['epoch'] else 'after'} it,"
    return (
        f"the loss on rows not learnt from was lowest after {least} ({_loss(lowest['dev_loss'])}) and rose to "
        f"{_loss(last['dev_loss'])} after {end}; {which} was kept."
    )


def _loss(value: float) -> str:
    return f"{value:.{2 if value >= 0.1 else 3}f}"


def _forgetting(found: SideEffects) -> list[str]:
    n = found.general_questions
    before, after = round(found.general_before * n), round(found.general_after * n)
    repeated, reworded = hundredths(found.same_when_repeated), hundredths(found.same_when_reworded)
    no_gain = ", which shows no forgetting rather than a gain" if after > before else ""
    perplexity = f"from {found.perplexity_before:.1f} to {found.perplexity_after:.1f}"
    return [
        f"Forgetting: of {n} general questions, which have nothing to do with the task, the model answered {before} "
        f"rightly before tuning and {after} after{no_gain}; the perplexity of ordinary text went {perplexity}. "
        "It matters where the same model is to serve other purposes as well.",
        f"Steadiness: of {found.inputs} test questions asked alone instead of together, {repeated} of 100 answers stay "
        f"the same; with other case, other punctuation or a slip of the pen, {reworded} of 100.",
    ]


def break_even_sentence(item: BreakEven, *, errors_count: bool = False) -> str:
    """When two strategies change places on cost. `errors_count` says that wrong answers cost something elsewhere."""
    counted = ERRORS_APART if errors_count else ""
    a, b = strategy_title(item.a), strategy_title(item.b)
    if item.queries_per_month is None or not math.isfinite(item.queries_per_month):
        return f"{a} and {b} never change places on cost, at any volume{counted}."
    return f"Above {a_month(item.queries_per_month)}, {a} is cheaper than {b}{counted}."


# Client text


def _controls() -> dict[int, str | int]:
    visible: dict[int, str | int] = {i: 0x2400 + i for i in range(32) if chr(i) not in "\t\n"}
    visible |= {0x7F: 0x2421, 0x85: "\n", 0x2028: "\n", 0x2029: "\n", 0xFFFE: 0xFFFD, 0xFFFF: 0xFFFD}
    visible |= {i: 0xFFFD for i in range(0x80, 0xA0) if i != 0x85}
    visible |= {i: f"⟨U+{i:04X}⟩" for i in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
    return visible


_VISIBLE = _controls()


def legible(text: str) -> str:
    """The text with nothing that can act on a page or a terminal unseen.

    Control characters (a terminal obeys them) and bidirectional overrides (they reorder what follows) are shown as
    symbols, and what cannot be encoded is replaced.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_VISIBLE)
    return text.encode("utf-8", "replace").decode("utf-8")


def shortened(text: str, limit: int) -> str:
    """The text, cut at `limit` characters with a sign that it was; for texts that may have been cut before."""
    return text if len(text) <= limit else f"{text[:limit].rstrip()} …"


def clip(text: str, limit: int) -> str:
    """The whole text, cut at `limit` characters with a word on how much is missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit].rstrip()} … ({len(text) - limit:,} more characters)"
