"""From measurements to the report: quality with intervals, costs, differences, the decision and its reasons."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from advisor import economics, environment
from advisor.advice import recommend
from advisor.artefact import artefact_of
from advisor.data import labels_of
from advisor.decide import doubt_of
from advisor.evidence import Weighed, money_of, terms_of, use_of
from advisor.fields import by_field
from advisor.parts import source_of
from advisor.records import CloserLook, Fit, Record, Refit
from advisor.report import schema, wording
from advisor.report.schema import INCUMBENT
from advisor.request import Options
from advisor.runs import RunFolder, write_atomically
from advisor.samples import rows_of, samples_of
from advisor.settings import settings_of
from advisor.volumes import by_volume
from eval.audit.injection import tries_to_instruct
from eval.contracts import Evaluation, Kind
from eval.findings import MOST_ROWS_NAMED
from eval.harness import paired_fits, scored_rows, steps_off
from eval.metrics import READ_AS_FIELDS, Metric, get_metric
from eval.statistics import difference_of_fits, interval, interval_over_fits, smallest_difference
from strategies.base import SHORTENED
from strategies.probe import QUESTIONS
from strategies.registry import make_strategy
from strategies.side_effects import SideEffects
from strategies.tuning import SEARCH_ROWS, dev_rows

if TYPE_CHECKING:
    from advisor.comparison import Comparison

TOO_LATE = "--keep all came too late"
"""How the caveat on what could not be kept begins: what was measured does not say it."""


@dataclass(frozen=True)
class Measured:
    """All that a run found out."""

    records: Sequence[Record]
    weighed: Weighed
    curves: Mapping[str, Sequence[Fit]]
    """Fits on parts of the training rows, of the leading strategies."""
    kept: Sequence[str]
    """Names of the strategies whose solutions are kept."""
    refits: Mapping[str, Refit]
    looks: Mapping[str, CloserLook]
    """At the leaders."""


def build_report(
    comparison: Comparison,
    measured: Measured,
    folder: RunFolder,
    kept: Path | None,
    *,
    late: str = "",
    travels: bool = False,
) -> schema.Report:
    """Put everything into the report's form.

    `kept` is the kept solution's folder, `late` says what could not be kept, `travels` is as for `artefact_of`.
    """
    request, metric = comparison.request, get_metric(comparison.data.task.metric)
    tested = comparison.data.test or comparison.data.examples
    instructing = {example.id for example in tested if tries_to_instruct(example.input)}
    results = [_result(record, comparison, measured, metric, instructing) for record in measured.records]
    results = with_errors(results, measured.weighed)
    data, environment, settings = (
        _data(comparison, measured),
        _environment(comparison),
        settings_of(request, comparison.prices),
    )
    advice = recommend(data, environment, settings, results, measured.weighed, is_kept=kept is not None)
    advice.caveats += [late] if late else []
    return schema.Report(
        run_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{folder.stored_fingerprint()}:{request.seed}")),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=request.seed,
        task=_task(comparison),
        data=data,
        environment=environment,
        settings=settings,
        strategies=results,
        comparisons=list(measured.weighed.comparisons),
        recommendation=advice,
        artefact=artefact_of(kept, folder, travels=travels) if kept and advice.strategy else None,
        **drawn_from(advice, measured.records, measured.weighed),
        timing=_timing(measured, time.monotonic() - comparison.started),
        spent_usd=comparison.shelf.hosted.purse.spent or None,
    )


def _task(comparison: Comparison) -> schema.TaskPart:
    task, labels = comparison.data.task, labels_of(comparison.data)
    return schema.TaskPart(
        name=task.name, description=task.description, kind=task.kind.value, metric=task.metric, labels=labels
    )


def _data(comparison: Comparison, measured: Measured) -> schema.DataPart:
    findings = [schema.Finding.model_validate(f.to_json(MOST_ROWS_NAMED)) for f in comparison.data.findings]
    return schema.DataPart(
        examples=len(comparison.data.examples),
        documents=len(comparison.data.documents),
        input_columns=list(comparison.data.inputs),
        plan=_plan(comparison, measured),
        findings=findings,
        stated=list(comparison.data.stated),
    )


def _plan(comparison: Comparison, measured: Measured) -> schema.Plan:
    plan, folds, weighed = comparison.plan, comparison.folds, measured.weighed
    refit = measured.refits.get(weighed.decision.pick or "") if weighed.decision else None
    train = round(median(len(parts.train) for parts in folds))
    return schema.Plan(
        kind="cross_fit" if plan.folds > 1 else "holdout",
        folds=plan.folds,
        repeats=plan.repeats,
        train=train,
        dev=dev_rows(train, plan.allowance, SEARCH_ROWS),
        tuning_seconds=plan.allowance.tuning_seconds,
        test=sum(len(parts.test) for parts in folds),
        test_source=source_of(comparison.data),
        refit=refit is not None and not refit.rejected,
        cuts=plan.cuts_for(measured.kept),
        offers=[
            schema.PlanOffer(
                kind="cross_fit" if o.folds > 1 else "holdout", folds=o.folds, predicted_seconds=o.seconds,
                chosen=o.folds == plan.folds,
            )
            for o in plan.offers
        ],
        smallest_difference=power_of(weighed),
        predicted_seconds=plan.total,
        time_budget=comparison.request.time_budget,
    )  # fmt: skip


def power_of(weighed: Weighed) -> float | None:
    """Of the pick to the runner-up: what their rows would show with 80 % power."""
    decision, evidence = weighed.decision, weighed.assumptions.evidence
    if decision is None or decision.pick is None or decision.runner_up is None:
        return None
    pair = decision.pick, decision.runner_up
    error = max(doubt_of(evidence, *names) for names in permutations(pair))
    return smallest_difference(error) if error else None


def _environment(comparison: Comparison) -> schema.Environment:
    import torch

    shelf, request = comparison.shelf, comparison.request
    device = "cuda" if request.device != "cpu" and torch.cuda.is_available() else "cpu"
    used = {e.model for e in comparison.entries if make_strategy(e.strategy).uses_language_model}
    models = [shelf.language_model(name) for name in request.model if name in used]
    return environment.describe(models, shelf.embedder(request.embedder), device)


def _result(
    record: Record, comparison: Comparison, measured: Measured, metric: Metric, instructing: Collection[str]
) -> schema.StrategyResult:
    first = next(iter(record.fits), None)
    tried: dict[str, Any] = {"tried": first.trials} if first and first.trials else {}
    base = schema.StrategyResult(
        name=record.name,
        family=record.family,
        model=record.model,
        config={**first.config, **tried} if first else {},
        status=record.status,
        reason=record.reason,
    )
    evaluation = record.evaluation
    if evaluation is None or not evaluation.scores:
        return base
    assert first is not None
    look, labels = measured.looks.get(record.name, CloserLook()), labels_of(comparison.data) or ()
    return base.model_copy(
        update={
            "quality": _quality(record, metric, comparison),
            "secondary": _mean_of(
                [
                    {**e.secondary, **steps_off(e, labels), **_robustness(e, metric, instructing)}
                    for e in record.evaluations
                ]
            ),
            "cost": cost_of(record, comparison.request, comparison.prices),
            "latency": _latency(evaluation, look),
            "untimed": record.untimed,
            "fit": _fit(record, measured, metric, comparison),
            "side_effects": _side_effects(look.side_effects),
            "footprint": schema.Footprint(
                artefact_bytes=max(f.artefact_bytes for f in record.fits),
                peak_memory_bytes=max(f.peak_memory_bytes for f in record.fits),
            ),
        }
    )


def _robustness(evaluation: Evaluation, metric: Metric, instructing: Collection[str]) -> dict[str, float]:
    """The metric on the rows whose text tries to instruct the model, which keep their true labels."""
    rows = scored_rows(o for o in evaluation.outcomes if o.example.id in instructing)
    return {f"{metric.name}_on_rows_with_instructions": metric.aggregate(rows)} if rows else {}


def _fit(record: Record, measured: Measured, metric: Metric, comparison: Comparison) -> schema.Fit:
    first, refit, parts = record.fits[0], measured.refits.get(record.name), measured.curves.get(record.name, ())
    return schema.Fit(
        seconds=record.fit_seconds,
        count=len(record.fits),
        shortened=sum(SHORTENED in fit.config for fit in record.fits),
        trials=max(1, len(first.trials)),
        tuning_seconds=sum(trial["model_seconds"] for trial in first.trials),
        train_examples=first.train_examples,
        curve=first.curve or None,
        refit=schema.Refit.model_validate(asdict(refit)) if refit else None,
        learning_curve=_learning_curve(parts, record.fits, metric, comparison.request.seed),
    )


def _side_effects(found: SideEffects | None) -> schema.SideEffects | None:
    if found is None:
        return None
    return schema.SideEffects(
        general_before=found.before.questions,
        general_after=found.after.questions,
        general_questions=len(QUESTIONS),
        perplexity_before=found.before.perplexity,
        perplexity_after=found.after.perplexity,
        same_when_repeated=found.steadiness.repeated,
        same_when_reworded=found.steadiness.reworded,
        inputs=found.steadiness.inputs,
    )


def _learning_curve(
    parts: Sequence[Fit], measured: Sequence[Fit], metric: Metric, seed: int
) -> list[schema.LearningPoint] | None:
    """Quality by the number of training rows, on the test rows of the first fold; `measured` are all fits on all of
    them, which show how much fits vary with their seed."""
    whole = measured[0]
    if not parts or whole.evaluation is None:
        return None
    evaluated = [fit.evaluation for fit in (*parts, whole) if fit.evaluation]
    (scored,) = paired_fits({whole.slot: evaluated}).values()
    by_fold = defaultdict[int, list[Evaluation]](list)
    for fit in measured:
        if fit.evaluation:
            by_fold[fit.fold].append(fit.evaluation)
    repeats = [paired_fits({"": of_fold})[""] for of_fold in by_fold.values()]
    points = []
    for fit, rows in zip((*parts, whole), scored, strict=True):
        gain, ci95 = difference_of_fits(metric, scored[-1], rows, repeats, seed) if fit is not whole else (None, None)
        points.append(
            schema.LearningPoint(
                share=fit.part,
                train_examples=fit.train_examples,
                value=metric.aggregate(rows),
                ci95=interval(metric, rows, seed),
                gain_to_all=gain,
                gain_ci95=ci95,
            )
        )
    return points


def _quality(record: Record, metric: Metric, comparison: Comparison) -> schema.Quality:
    """Over the test rows of all folds; with several fits, the mean over them on the rows that all of them scored."""
    (fits,) = paired_fits({record.name: record.evaluations}).values()
    rows, seed = fits[0], comparison.request.seed
    evaluation = record.evaluations[0]
    values = [metric.aggregate(of_fit) for of_fit in fits]
    by_label = comparison.data.task.kind is Kind.CLASSIFICATION
    by_fold = [metric.aggregate(scored_rows(f.evaluation.outcomes)) for f in record.fits if f.evaluation]
    unusable = [sum(1 for o in e.outcomes if o.score is not None and o.problem) for e in record.evaluations]
    return schema.Quality(
        metric=metric.name,
        value=mean(values),
        ci95=interval_over_fits(metric, fits, seed),
        n=len(rows),
        correct=round(mean(sum(row.score for row in of_fit) for of_fit in fits)) if metric.binary else None,
        unscored=len(evaluation.outcomes) - len(rows),
        unusable=math.ceil(mean(unusable)),
        per_label=_mean_of([_per_label(e) for e in record.evaluations]) if by_label else None,
        per_fold=by_fold if len(by_fold) > 1 else None,
        per_fit=values if len(values) > 1 else None,
    )


def _mean_of(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each figure's mean over the fits that have it."""
    names = sorted({name for of_fit in figures for name in of_fit})
    return {name: mean(of_fit[name] for of_fit in figures if name in of_fit) for name in names}


def _per_label(evaluation: Evaluation) -> dict[str, float]:
    """Recall of each label among the test targets."""
    right: defaultdict[str, list[float]] = defaultdict(list)
    for outcome in evaluation.outcomes:
        if outcome.score is not None:
            right[outcome.example.target].append(outcome.score)
    return {label: sum(scores) / len(scores) for label, scores in sorted(right.items())}


def cost_of(record: Record, options: Options, prices: economics.Prices) -> schema.Cost | None:
    """What a strategy costs; None where nothing was measured, and for today's system, whose costs are not known."""
    if record.evaluation is None or not record.evaluation.scores or record.strategy == INCUMBENT:
        return None
    terms = terms_of(options, prices)
    use, money = use_of(record), money_of(record, terms, options.volume)
    energy = economics.watt_hours(use, prices)
    return schema.Cost(
        per_query_usd=money.per_query,
        per_1k_usd=money.per_query * 1000,
        training_usd=money.training,
        monthly_usd=money.monthly,
        retraining_usd=money.tariff.standing,
        machines=money.tariff.machines(options.volume),
        watt_hours_per_1k=None if energy is None else energy * 1000,
        tokens=schema.Tokens(
            input=use.read, output=use.written, cached=use.cached, estimated=record.usage_is_estimated
        ),
        basis=_basis(record, options, prices),
    )


def with_errors(results: Sequence[schema.StrategyResult], weighed: Weighed) -> list[schema.StrategyResult]:
    """The results with what their wrong answers cost, where these have a price."""
    error_cost = weighed.assumptions.error_cost
    if error_cost is None:
        return list(results)
    losses = {c.name: c.errors for c in weighed.assumptions.candidates}
    return [
        r.model_copy(
            update={"cost": r.cost.model_copy(update={"errors_per_1k_usd": 1000 * error_cost * losses[r.name]})}
        )
        if r.cost is not None and r.name in losses
        else r
        for r in results
    ]


_APART = f"that come {economics.CACHE_MINUTES:g} minutes or more after the one before"


def _basis(record: Record, options: Options, prices: economics.Prices) -> str:
    """What the cost counts, and at which prices."""
    machine = f"{wording.stated(prices.hourly_usd)} USD an hour for {prices.machine} ({prices.source})"
    if record.model is not None and economics.is_paid_by_token(record.model, options.hosting):
        each = economics.token_prices(prices, record.model)
        cached = "" if each.cached_input is None else f" ({wording.stated(each.cached_input)} for those cached)"
        read = f"{wording.stated(each.input)} USD per million tokens read{cached}"
        written = f"{wording.stated(each.output)} per million written"
        of = " of queries and, once, of choosing a configuration" if economics.is_hosted(record.model) else ""
        estimated = ", estimated where the server counted none" if record.usage_is_estimated else ""
        cold = f"; up to {economics.COLD_QUERIES:,.0f} queries a month, {_APART}, find nothing cached" if cached else ""
        counted = f"tokens of the language model{of}{estimated}{cold}"
        return f"{counted}; at {read} and {written} ({each.source or prices.source})"
    if options.hosting == "always-on":
        on = f"machines that are always on, {economics.HOURS_A_MONTH:g} hours a month"
        return f"{on}, at {machine}{wording.peak_load(options.volume, options.peak_qps)}"
    return f"busy machine-seconds, measured in batches, at {machine}; idle hours are not counted"


def _latency(evaluation: Evaluation, look: CloserLook) -> schema.LatencyPart | None:
    latency = evaluation.latency
    if latency is None:
        return None
    first = latency.first_token_p50
    return schema.LatencyPart(
        p50_ms=latency.p50 * 1000,
        p95_ms=latency.p95 * 1000,
        p99_ms=latency.p99 * 1000 if latency.p99 is not None else None,
        n=latency.n,
        repeated=latency.repeated,
        first_token_p50_ms=first * 1000 if first is not None else None,
        throughput_qps=evaluation.throughput,
        rows_a_call=evaluation.rows_a_call,
        load=[
            schema.LoadLevel(
                parallel=level.parallel,
                p50_ms=level.p50 * 1000,
                p95_ms=level.p95 * 1000,
                throughput_qps=level.throughput,
            )
            for level in look.load
        ],
    )


def drawn_from(advice: schema.Recommendation, records: Sequence[Record], weighed: Weighed) -> dict[str, Any]:
    """What a report shows of the rows, and by the volume."""
    families = {record.name: record.family for record in records}
    pick = next((r.evaluation for r in records if r.name == advice.strategy), None)
    return {
        "samples": samples_of(advice, records),
        "rows": rows_of(advice, records, weighed),
        "label_rows": dict(sorted(weighed.label_rows.items())),
        "fields": by_field(pick.outcomes, READ_AS_FIELDS[pick.metric])
        if pick and pick.metric in READ_AS_FIELDS
        else [],
        "volumes": by_volume(weighed.assumptions, weighed.decision, families) if weighed.decision else None,
    }


def _timing(measured: Measured, total: float) -> schema.Timing:
    fits = [f for r in measured.records for f in r.fits] + [f for fits in measured.curves.values() for f in fits]
    fitting = sum(f.seconds for f in fits) + sum(r.seconds for r in measured.refits.values())
    answering = sum(f.evaluation.seconds for f in fits if f.evaluation)
    return schema.Timing(
        total_seconds=total,
        phases={"fitting": fitting, "answering": answering, "other": max(0.0, total - fitting - answering)},
    )


def write_report(report: schema.Report, records: Sequence[Record], folder: Path) -> None:
    """Write report.json, report.md, report.html and predictions.parquet."""
    from advisor.report.forms import KEPT, rendered

    write_predictions(records, folder / "predictions.parquet")
    for form in KEPT:
        write_atomically(folder / f"report.{form}", rendered(report, form))


def write_predictions(records: Sequence[Record], path: Path) -> None:
    """One row per strategy and example."""
    import pandas as pd

    columns = ["strategy", "id", "target", "output", "score", "input_tokens", "output_tokens", "seconds", "error"]
    rows = [
        (r.name, o.example.id, target_text(o.example.targets), o.prediction.text, o.score,
         o.prediction.usage.input_tokens, o.prediction.usage.output_tokens, o.seconds, o.problem)
        for r in records if r.evaluation for o in r.evaluation.outcomes
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns).astype({"score": "float64", "seconds": "float64", "error": "string"})
    scratch = path.with_name(f".{path.name}")
    frame.to_parquet(scratch, index=False)
    scratch.replace(path)


def target_text(targets: Sequence[str]) -> str:
    """A single accepted answer as it is, several as a JSON list."""
    return targets[0] if len(targets) == 1 else json.dumps(list(targets), ensure_ascii=False)
