"""From measurements to a decision: the rows that all strategies share, their differences, their costs, the pick."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean

from advisor import economics
from advisor.decide import Assumptions, Candidate, Decision, Evidence, Limits, Losses, decide
from advisor.error_costs import ErrorCosts
from advisor.records import Record
from advisor.report import schema
from advisor.report.schema import INCUMBENT
from advisor.request import Options
from eval.contracts import NO_USAGE
from eval.harness import paired_fits
from eval.metrics import Metric, RowScore, ScoredRow, collapse
from eval.statistics import PairedDifference, holm, interval_over_fits, paired_differences, resample_over_fits
from strategies.registry import STRATEGIES


@dataclass(frozen=True)
class Weighed:
    """What the records of a run say, and what follows."""

    fits: Mapping[str, Sequence[Sequence[ScoredRow]]]
    """Per strategy and fit, on the test rows that all of them answered."""
    comparisons: Sequence[schema.Comparison]
    assumptions: Assumptions
    decision: Decision | None
    """None where nothing could be measured."""
    label_rows: Mapping[str, int] = field(default_factory=dict)
    """Test rows of each label that examples or test rows have, for classification."""


def weigh(
    records: Sequence[Record],
    request: Options,
    prices: economics.Prices,
    metric: Metric,
    *,
    labels: Collection[str] | None = None,
    seen: Collection[str] = (),
    comparisons: Sequence[schema.Comparison] | None = None,
) -> Weighed:
    """Compare the strategies that were measured as planned, and decide. `labels` are those that answers are to be,
    `seen` those of them that examples have, whether or not a test row has them.

    `comparisons` are those found before with the same records, metric and seed, on which alone they rest.
    """
    terms = terms_of(request, prices)
    measured = {r.name: r.evaluations for r in records if r.status == "ok" and r.evaluation is not None}
    fits = {name: of_name for name, of_name in paired_fits(measured).items() if of_name[0]}
    if comparisons is None:
        comparisons = compare_pairs(metric, fits, request.seed)
    compared = [r for r in records if r.name in fits]
    rows_per_label = _rows_per_label(compared, seen)
    hangs_on_labels = metric.is_macro or isinstance(request.error_cost, ErrorCosts)
    evidence = evidence_of(metric, fits, comparisons, request.seed)
    asked = max((len(r.evaluation.outcomes) for r in compared if r.evaluation), default=0)
    evidence = replace(
        evidence,
        unscored=asked - evidence.rows,
        unscored_shares=_unscored_shares(request.min_recall, fits, rows_per_label),
        rows_per_label=_rows_per_label(compared, seen, once=True) if hangs_on_labels else {},
    )
    if request.min_quality and evidence.rows:
        lowest = {name: interval_over_fits(metric, of_name, request.seed)[0] for name, of_name in fits.items()}
        evidence = replace(evidence, lowest=lowest)
    candidates = []
    for record in compared:
        quality = mean(metric.aggregate(rows) for rows in fits[record.name])
        candidates.append(
            _candidate(record, quality, money_of(record, terms, request.volume), recall_of(fits[record.name]))
        )
    error_cost = request.error_cost
    if isinstance(error_cost, ErrorCosts) and evidence.rows:
        error_cost, candidates, evidence = _by_kind_of_error(
            error_cost, fits, labels or (), candidates, evidence, request.seed
        )
    elif error_cost is not None and metric.is_macro and evidence.rows:
        # of labels that count alike, what is missing in quality is not the share of wrong answers
        candidates, evidence = _with_losses(fits, lambda row: row, 1.0, candidates, evidence, request.seed)
    assumed = Assumptions(
        candidates,
        evidence,
        Limits(request.min_quality, request.max_cost_per_1k, request.max_latency_ms, request.min_recall),
        request.tolerance / 100,
        request.volume,
        None if isinstance(error_cost, ErrorCosts) else error_cost,
    )
    decision = decide(assumed) if assumed.strategies else None
    return Weighed(fits, comparisons, assumed, decision, rows_per_label if labels is not None else {})


def terms_of(options: Options, prices: economics.Prices) -> economics.Terms:
    """Prices and hosting; a peak load that the client states is one at the volume that they state."""
    known = options.peak_qps is not None and options.volume > 0
    ratio = float(options.peak_qps or 0) / economics.mean_qps(options.volume) if known else economics.PEAK_RATIO
    return economics.Terms(prices, options.hosting, options.min_replicas, ratio)


def use_of(record: Record) -> economics.Use:
    """What a strategy took: a query in batches, on average over all fits, and one fit."""
    answered = [o for e in record.evaluations for o in e.outcomes if o.score is not None]
    usage = sum((o.prediction.usage for o in answered), NO_USAGE)
    rows, fitting, fits = max(1, len(answered)), record.fit_tokens, max(1, len(record.fits))
    return economics.Use(
        query_seconds=record.query_seconds,
        fit_seconds=record.fit_seconds,
        model=record.model,
        family=record.family,
        read=usage.input_tokens / rows,
        cached=usage.cached_tokens / rows,
        written=usage.output_tokens / rows,
        fit_read=fitting.input_tokens / fits,
        fit_cached=fitting.cached_tokens / fits,
        fit_written=fitting.output_tokens / fits,
    )


def money_of(record: Record, terms: economics.Terms, volume: float) -> economics.Money:
    """What a strategy costs at so many queries a month."""
    return economics.tariff(use_of(record), terms).at(volume)


def _candidate(record: Record, quality: float, money: economics.Money, recall: Mapping[str, float]) -> Candidate:
    order = [*STRATEGIES, INCUMBENT]
    latency = record.evaluation.latency if record.evaluation else None
    return Candidate(
        name=record.name,
        quality=quality,
        money=money,
        p95_ms=latency.p95 * 1000 if latency else math.inf,
        simplicity=order.index(record.strategy),
        incumbent=record.strategy == INCUMBENT,
        recall=recall,
    )


def recall_of(fits: Sequence[Sequence[ScoredRow]]) -> dict[str, float]:
    """Share of each label's rows that are answered rightly, on average over fits."""
    right: defaultdict[str, list[float]] = defaultdict(list)
    for rows in fits:
        for row in rows:
            right[row.targets[0]].append(row.score)
    return {label: mean(scores) for label, scores in right.items()}


SPARED = Metric(
    "spared", "error cost spared", "share of the dearest error's cost", lambda *_: RowScore(0.0), binary=True
)
"""Of rows that are scored otherwise. It is treated as a proportion, since no variable in [0, 1] varies more than one
with the same mean: that few rows have not shown the dearest error is no proof that it does not happen."""


def _by_kind_of_error(
    costs: ErrorCosts,
    fits: Mapping[str, Sequence[Sequence[ScoredRow]]],
    labels: Collection[str],
    candidates: Sequence[Candidate],
    evidence: Evidence,
    seed: int,
) -> tuple[float, list[Candidate], Evidence]:
    """What one error costs on average, the candidates with their losses in that unit, and the evidence about these."""
    known = {collapse(label) for label in labels}
    rows = next(iter(fits.values()))[0]
    unit, dearest = costs.of_one_error([collapse(row.targets[0]) for row in rows], known), costs.dearest
    worst, shares = dearest / unit, costs.shares(known)
    of_labels = {label: shares.get(collapse(label), 0.0) for label in evidence.rows_per_label}
    evidence = replace(evidence, cost_shares=of_labels)

    def spared(row: ScoredRow) -> ScoredRow:
        return replace(row, score=1 - costs.of(row.targets, row.output, known) / dearest)

    return unit, *_with_losses(fits, spared, worst, candidates, evidence, seed)


def _with_losses(
    fits: Mapping[str, Sequence[Sequence[ScoredRow]]],
    spared: Callable[[ScoredRow], ScoredRow],
    worst: float,
    candidates: Sequence[Candidate],
    evidence: Evidence,
    seed: int,
) -> tuple[list[Candidate], Evidence]:
    """Candidates and evidence with the losses of rows that are scored by the share of the worst that they spare."""
    scored = {name: [[spared(row) for row in of_fit] for of_fit in of_name] for name, of_name in fits.items()}
    resampled = {name: (1 - of_name) * worst for name, of_name in resample_over_fits(SPARED, scored, seed).items()}
    losses = {name: worst * (1 - mean(map(SPARED.aggregate, of_name))) for name, of_name in scored.items()}
    priced = [replace(c, loss=losses[c.name]) for c in candidates]
    errors, fit_errors, margins = _of_ordered_pairs(paired_differences(SPARED, scored, seed), worst)
    return priced, replace(evidence, losses=Losses(errors, resampled, worst, fit_errors, margins))


def compare_pairs(
    metric: Metric, fits: Mapping[str, Sequence[Sequence[ScoredRow]]], seed: int
) -> list[schema.Comparison]:
    """All pairs, on the same rows, with Holm's adjustment over all."""
    found = paired_differences(metric, fits, seed)
    adjusted = holm([d.p_value for d in found.values()])
    return [
        schema.Comparison(
            a=a, b=b, difference=d.difference, standard_error=d.standard_error, ci95=d.ci95, p_value=d.p_value,
            p_adjusted=p, n=d.n, fit_error=d.fit_error,
        )
        for ((a, b), d), p in zip(found.items(), adjusted, strict=True)
    ]  # fmt: skip


def evidence_of(
    metric: Metric,
    fits: Mapping[str, Sequence[Sequence[ScoredRow]]],
    comparisons: Sequence[schema.Comparison],
    seed: int,
) -> Evidence:
    """What rows that all strategies answered say about the differences between them; `comparisons` are all pairs."""
    errors, fit_errors, margins = _of_ordered_pairs({(c.a, c.b): c for c in comparisons})
    rows = next((of_fit[0] for of_fit in fits.values()), ())
    count = len(rows)
    clusters = [row.cluster for row in rows if row.cluster]
    return Evidence(
        standard_errors=errors,
        resampled=resample_over_fits(metric, fits, seed) if count else {},
        rows=count,
        metric_is_macro=metric.is_macro,
        groups=count - len(clusters) + len(set(clusters)),
        fit_errors=fit_errors,
        margins=margins,
    )


OfPairs = dict[tuple[str, str], float]


def _of_ordered_pairs(
    found: Mapping[tuple[str, str], schema.Comparison | PairedDifference], unit: float = 1.0
) -> tuple[OfPairs, OfPairs, OfPairs]:
    """Standard errors, the part of fits in them, and how far below a difference its range reaches; for pairs in either
    order, in so many units."""
    errors, fit_errors, margins = {}, {}, {}
    for (a, b), pair in found.items():
        errors[a, b] = errors[b, a] = pair.standard_error * unit
        fit_errors[a, b] = fit_errors[b, a] = pair.fit_error * unit
        margins[a, b] = (pair.difference - pair.ci95[0]) * unit
        margins[b, a] = (pair.ci95[1] - pair.difference) * unit
    return errors, fit_errors, margins


def _unscored_shares(
    labels: Collection[str], fits: Mapping[str, Sequence[Sequence[ScoredRow]]], asked: Mapping[str, int]
) -> dict[str, float]:
    """Of each label's test rows, what share is left out."""
    scored = Counter(row.targets[0] for row in next((of_fit[0] for of_fit in fits.values()), ()))
    return {label: 1 - scored[label] / asked[label] for label in labels if asked.get(label)}


def _rows_per_label(records: Sequence[Record], seen: Collection[str], *, once: bool = False) -> dict[str, int]:
    """Test rows of each label, those that have none among them; empty where nothing was measured.

    With `once`, those of a label that hang together are one.
    """
    evaluation = next((r.evaluation for r in records if r.evaluation is not None), None)
    if evaluation is None:
        return {}
    examples = [o.example for o in evaluation.outcomes]
    rows = Counter(label for label, _ in {(e.target, (once and e.group) or e.id) for e in examples})
    return {label: rows[label] for label in sorted({*seen, *rows})}
