"""From measurements to the report: quality with intervals, costs, differences, the decision and its reasons."""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from advisor import economics, environment
from advisor.advice import recommend
from advisor.decide import Candidate, Evidence, Limits
from advisor.report import schema
from advisor.runs import REPORT, Record, RunFolder, write_atomically
from eval.contracts import Evaluation, Kind
from eval.harness import paired_rows, scored_rows
from eval.metrics import Metric, ScoredRow, get_metric
from eval.statistics import holm, interval, paired_difference, resample
from strategies.manifest import read_manifest
from strategies.models.catalogue import file_sha256
from strategies.registry import STRATEGIES

if TYPE_CHECKING:
    from advisor.comparison import Comparison

MOST_ROWS_NAMED = 100
SAMPLES = 8
ANSWER_LETTERS = 2000


def build_report(comparison: Comparison, records: Sequence[Record], folder: RunFolder) -> schema.Report:
    """Decide from the records and put everything into the report's form; keep the picked solution."""
    request, metric = comparison.request, get_metric(comparison.data.task.metric)
    results = [_result(record, comparison, metric) for record in records]
    measured = {r.name: r.evaluation for r in records if r.status == "ok" and r.evaluation is not None}
    rows = paired_rows(measured)
    comparisons = _comparisons(metric, rows, request.seed)
    evidence = _evidence(metric, rows, comparisons, measured, request.seed)
    qualities = {name: metric.aggregate(scored) for name, scored in rows.items()}
    candidates = candidates_of(records, results, comparison, qualities)
    limits = Limits(request.min_quality, request.max_cost_per_1k, request.max_latency_ms)
    tolerance = request.tolerance / 100
    advice = recommend(comparison, results, candidates, evidence, limits, tolerance)
    kept = folder.keep(advice.strategy, everything=request.keep == "all")
    if advice.strategy is not None and kept is None:
        advice.caveats.append("Its solution was removed when this run first ended; compare again in a new folder.")
    return schema.Report(
        run_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{folder.stored_fingerprint()}:{request.seed}")),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=request.seed,
        task=_task(comparison),
        data=_data(comparison),
        environment=_environment(comparison),
        settings=_settings(comparison),
        strategies=results,
        comparisons=comparisons,
        recommendation=advice,
        artefact=_artefact(kept, folder) if kept and advice.strategy else None,
        samples=_samples(advice, records),
        timing=_timing(records, time.monotonic() - comparison.started),
    )


def _task(comparison: Comparison) -> schema.TaskPart:
    task = comparison.data.task
    labels = (
        sorted({t for e in comparison.data.examples for t in e.targets}) if task.kind is Kind.CLASSIFICATION else None
    )
    return schema.TaskPart(
        name=task.name, description=task.description, kind=task.kind.value, metric=task.metric, labels=labels
    )


def _data(comparison: Comparison) -> schema.DataPart:
    plan, parts = comparison.plan, comparison.parts
    findings = [
        schema.Finding.model_validate({**asdict(f), "rows": list(f.rows[:MOST_ROWS_NAMED])})
        for f in comparison.data.findings
    ]
    return schema.DataPart(
        examples=len(comparison.data.examples),
        documents=len(comparison.data.documents),
        plan=schema.Plan.model_validate(
            {
                "kind": "holdout",
                "folds": 1,
                "train": len(parts.train),
                "dev": min(plan.allowance.dev_rows, len(parts.train) // 4),
                "test": len(parts.test),
                "test_source": parts.source,
                "cuts": list(plan.cuts),
                "predicted_seconds": plan.total,
                "time_budget": comparison.request.time_budget,
            }
        ),
        findings=findings,
    )


def _environment(comparison: Comparison) -> schema.Environment:
    import torch

    shelf, request = comparison.shelf, comparison.request
    device = "cuda" if request.device != "cpu" and torch.cuda.is_available() else "cpu"
    models = [shelf.language_model(name) for name in request.model]
    return environment.describe(models, shelf.embedder(request.embedder), device)


def _settings(comparison: Comparison) -> schema.Settings:
    request, prices = comparison.request, comparison.prices
    return schema.Settings(
        volume=request.volume,
        months=economics.MONTHS,
        tolerance_points=request.tolerance,
        min_quality=request.min_quality,
        max_cost_per_1k=request.max_cost_per_1k,
        max_latency_ms=request.max_latency_ms,
        machine=prices.machine,
        machine_hourly_usd=prices.hourly_usd,
        price_source=prices.source,
    )


def _result(record: Record, comparison: Comparison, metric: Metric) -> schema.StrategyResult:
    base = schema.StrategyResult.model_validate(
        {
            "name": record.name,
            "family": record.family,
            "model": record.model,
            "config": {**record.config, **({"tried": record.trials} if record.trials else {})},
            "status": record.status,
            "reason": record.reason,
        }
    )
    if record.evaluation is None or not record.evaluation.scores:
        return base
    return base.model_copy(
        update={
            "quality": _quality(record.evaluation, metric, comparison),
            "secondary": record.evaluation.secondary,
            "cost": _cost(record, comparison),
            "latency": _latency(record.evaluation),
            "fit": schema.Fit(
                seconds=record.fit_seconds,
                trials=max(1, len(record.trials)),
                train_examples=record.train_examples,
                curve=record.curve or None,
            ),
            "footprint": schema.Footprint(
                artefact_bytes=record.artefact_bytes, peak_memory_bytes=record.peak_memory_bytes
            ),
        }
    )


def _quality(evaluation: Evaluation, metric: Metric, comparison: Comparison) -> schema.Quality:
    rows = scored_rows(evaluation.outcomes)
    return schema.Quality(
        metric=metric.name,
        value=metric.aggregate(rows),
        ci95=interval(metric, rows, comparison.request.seed),
        n=len(rows),
        correct=round(sum(row.score for row in rows)) if metric.binary else None,
        unscored=len(evaluation.outcomes) - len(rows),
        unusable=sum(1 for o in evaluation.outcomes if o.score is not None and o.problem),
        per_label=_per_label(evaluation) if comparison.data.task.kind is Kind.CLASSIFICATION else None,
    )


def _per_label(evaluation: Evaluation) -> dict[str, float]:
    """Recall of each label among the test targets."""
    right: defaultdict[str, list[float]] = defaultdict(list)
    for outcome in evaluation.outcomes:
        if outcome.score is not None:
            right[outcome.example.target].append(outcome.score)
    return {label: sum(scores) / len(scores) for label, scores in sorted(right.items())}


def _cost(record: Record, comparison: Comparison) -> schema.Cost:
    evaluation, prices, volume = record.evaluation, comparison.prices, comparison.request.volume
    assert evaluation is not None
    money = _money(record, comparison, volume)
    usage, n = evaluation.usage, max(1, len(evaluation.outcomes))
    return schema.Cost(
        per_query_usd=money.per_query,
        per_1k_usd=money.per_query * 1000,
        training_usd=money.training,
        monthly_usd=money.monthly,
        tokens=schema.Tokens(
            input=usage.input_tokens / n, output=usage.output_tokens / n, cached=usage.cached_tokens / n
        ),
        basis=(
            f"busy machine-seconds, measured in batches, at {prices.hourly_usd:g} USD an hour for {prices.machine} "
            f"({prices.source}); idle hours are not counted"
        ),
    )


def _money(record: Record, comparison: Comparison, volume: int) -> economics.Money:
    assert record.evaluation is not None
    a_query = record.evaluation.seconds / max(1, len(record.evaluation.outcomes))
    return economics.cost(a_query, record.fit_seconds, comparison.prices, volume)


def _latency(evaluation: Evaluation) -> schema.LatencyPart | None:
    latency = evaluation.latency
    if latency is None:
        return None
    first = latency.first_token_p50
    return schema.LatencyPart(
        p50_ms=latency.p50 * 1000,
        p95_ms=latency.p95 * 1000,
        n=latency.n,
        first_token_p50_ms=first * 1000 if first is not None else None,
        throughput_qps=evaluation.throughput,
    )


def candidates_of(
    records: Sequence[Record],
    results: Sequence[schema.StrategyResult],
    comparison: Comparison,
    qualities: Mapping[str, float],
) -> list[Candidate]:
    """The strategies that may be recommended: those measured as planned. `qualities` are on the rows all share."""
    order = list(STRATEGIES)
    return [
        Candidate(
            name=record.name,
            quality=qualities[record.name],
            money=_money(record, comparison, comparison.request.volume),
            p95_ms=result.latency.p95_ms if result.latency else 0.0,
            simplicity=order.index(record.strategy),
        )
        for record, result in zip(records, results, strict=True)
        if record.name in qualities and result.quality is not None
    ]


def _comparisons(metric: Metric, rows: Mapping[str, Sequence[ScoredRow]], seed: int) -> list[schema.Comparison]:
    """All pairs, on the same rows, with Holm's adjustment over all."""
    pairs = list(combinations(rows, 2))
    found = [paired_difference(metric, rows[a], rows[b], seed) for a, b in pairs]
    adjusted = holm([d.p_value for d in found])
    return [
        schema.Comparison(
            a=a, b=b, difference=d.difference, standard_error=d.standard_error, ci95=d.ci95, p_value=d.p_value,
            p_adjusted=p, n=d.n,
        )
        for (a, b), d, p in zip(pairs, found, adjusted, strict=True)
    ]  # fmt: skip


def _evidence(
    metric: Metric,
    rows: Mapping[str, Sequence[ScoredRow]],
    comparisons: Sequence[schema.Comparison],
    measured: Mapping[str, Evaluation],
    seed: int,
) -> Evidence:
    errors = {}
    for c in comparisons:
        errors[c.a, c.b] = errors[c.b, c.a] = c.standard_error
    count = len(next(iter(rows.values()), ()))
    total = max((len(e.outcomes) for e in measured.values()), default=0)
    return Evidence(errors, resample(metric, rows, seed) if count else {}, count, total - count)


_PARTS = {"adapter": "LoRA adapter", "passages_shown": "document index", "examples_shown": "example index"}


def _artefact(kept: Path, folder: RunFolder) -> schema.Artefact:
    manifest = read_manifest(kept)
    parts = [title for key, title in _PARTS.items() if manifest.get(key)]
    kind = str(manifest["kind"]) + (f" with {', '.join(parts)}" if parts else "")
    files = sorted(p for p in kept.rglob("*") if p.is_file())
    return schema.Artefact(
        path=str(kept.relative_to(folder.path)),
        kind=kind,
        sha256={str(p.relative_to(kept)): file_sha256(p) for p in files},
        how_to_use=f"advisor predict {folder.path} --input 'TEXT'",
    )


def _samples(advice: schema.Recommendation, records: Sequence[Record]) -> list[schema.SampleAnswer]:
    """Rows that the recommended strategy got most wrong, beside the runner-up's answers."""
    by_name = {r.name: r.evaluation for r in records if r.evaluation is not None}
    shown = [name for name in (advice.strategy, advice.runner_up) if name in by_name]
    if not shown or advice.strategy is None:
        return []
    outcomes = {name: {o.example.id: o for o in by_name[name].outcomes} for name in shown if name}
    first = by_name[advice.strategy].outcomes
    worst = sorted((o for o in first if o.score is not None and o.score < 1), key=lambda o: (o.score, o.example.id))
    return [
        schema.SampleAnswer(
            id=o.example.id,
            input=o.example.input[:ANSWER_LETTERS],
            target=o.example.target[:ANSWER_LETTERS],
            answers={n: outcomes[n][o.example.id].prediction.text[:ANSWER_LETTERS] for n in outcomes},
            scores={n: outcomes[n][o.example.id].score for n in outcomes},
        )
        for o in worst[:SAMPLES]
    ]


def _timing(records: Sequence[Record], total: float) -> schema.Timing:
    fitting = sum(r.fit_seconds for r in records)
    answering = sum(r.evaluation.seconds for r in records if r.evaluation)
    return schema.Timing(
        total_seconds=total,
        phases={"fitting": fitting, "answering": answering, "other": max(0.0, total - fitting - answering)},
    )


def write_report(report: schema.Report, records: Sequence[Record], folder: Path) -> None:
    """Write report.json, report.md, report.html and predictions.parquet."""
    from advisor.report.html import render_html
    from advisor.report.markdown import render_markdown

    write_predictions(records, folder / "predictions.parquet")
    write_atomically(folder / "report.md", render_markdown(report))
    write_atomically(folder / "report.html", render_html(report))
    write_atomically(folder / REPORT, report.model_dump_json(indent=1) + "\n")


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
