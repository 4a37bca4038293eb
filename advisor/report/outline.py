"""The report as a plain sequence of headings, paragraphs, lists and tables: what Markdown and Word have in common."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.report import view, wording
from advisor.report.schema import Report, SampleAnswer, StrategyResult

TEXT = 300
"""Letters of a client's text in a sample."""


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: str
    lead: str = ""
    """Words before it that stand out."""


@dataclass(frozen=True)
class Bullets:
    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    headers: Sequence[str]
    """A column is right-aligned where its header ends in `:`."""
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Sample:
    """A row with what was expected and answered."""

    title: str
    text: str
    answers: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    text: str
    language: str = ""


@dataclass(frozen=True)
class Figure:
    """Where a chart may stand; forms that have no pictures leave it out."""

    name: str


Block = Heading | Paragraph | Bullets | Table | Sample | Code | Figure


def outline(report: Report) -> list[Block]:
    """The whole report, which is to be `view.legible`. Sections without content are left out."""
    advice = report.recommendation
    sections = [
        _opening(report),
        _section("Why", Bullets(view.further_reasons(advice))),
        _strategies(report),
        _volumes(report),
        _latency(report),
        _differences(report),
        _section("What would change the answer", Bullets(advice.sensitivity)),
        _parts(report),
        _samples(report),
        _findings(report),
        _method(report),
        _tried(report),
        _learning_curves(report),
        _curves(report),
        _side_effects(report),
        _other_measures(report),
        _costs(report),
        _section("Scope and limits", Paragraph(advice.scope), Bullets(advice.caveats)),
        _section("Next step", Paragraph(advice.next_step)),
        _artefact(report),
        _environment(report),
        _configuration(report),
    ]
    return [block for section in sections for block in section]


def _section(title: str, *blocks: Block | None) -> list[Block]:
    body = [block for block in blocks if block is not None and not _is_empty(block)]
    return [Heading(title), *body] if any(not isinstance(block, Figure) for block in body) else []


def _is_empty(block: Block) -> bool:
    if isinstance(block, Bullets):
        return not block.items
    if isinstance(block, Table):
        return not block.rows
    return isinstance(block, Paragraph) and not block.text


def _opening(report: Report) -> list[Block]:
    advice = report.recommendation
    verdict = wording.verdict_title(advice.verdict, advice.keeps_incumbent, advice.falls_short)
    rows = [
        [
            ", ".join(c.roles),
            wording.strategy_title(c.result.name),
            wording.quality_sentence(c.result.quality) if c.result.quality else "not measured",
            view.per_1k(report, c.result.cost) if c.result.cost else "unknown",
            wording.latency(c.result.latency.p95_ms) if c.result.latency else "unknown",
        ]
        for c in view.contenders(report)
    ]
    others = view.other_baselines(report)
    blocks: list[Block] = [
        Heading(advice.headline, 1),
        Paragraph(" ".join(advice.summary), f"{verdict}."),
        Paragraph(report.task.description, "The task."),
        Table(["", "Strategy", "Quality, 95 % range", "USD per 1,000:", "p95 latency:"], rows),
        Paragraph(view.baselines_sentence(report, others)),
        Paragraph(advice.next_step, "Next step."),
    ]
    return [block for block in blocks if not _is_empty(block) or (isinstance(block, Paragraph) and block.lead)]


def _strategies(report: Report) -> list[Block]:
    headers = ["Strategy", "Quality, 95 % range", "USD per 1,000:", "p95 latency:", "Tokens per query:", "Note"]
    rows = [_row(report, s) for s in view.ranked(report)]
    return _section("All strategies", Table(headers, rows), Figure("quality"), Figure("cost"))


def _row(report: Report, result: StrategyResult) -> list[str]:
    words = [view.note(report, result), result.reason or ""]
    if result.quality:
        words.append(wording.quality_remarks(result.quality))
    return [
        wording.strategy_title(result.name),
        wording.quality_sentence(result.quality) if result.quality else "",
        view.per_1k(report, result.cost) if result.cost else "",
        wording.latency(result.latency.p95_ms) if result.latency else "",
        wording.tokens(result.cost.tokens) if result.cost else "",
        "; ".join(word for word in words if word),
    ]


def _volumes(report: Report) -> list[Block]:
    table = view.costs_by_volume(report)
    if not table:
        return []
    facts = [*view.picks_by_volume(report), *view.break_evens(report)]
    return _section(
        "Cost and the monthly volume",
        Bullets(facts),
        Figure("volumes"),
        Paragraph(view.volumes_caption(report)),
        Table([table[0][0], *(f"{volume}:" for volume in table[0][1:])], table[1:]),
    )


def _latency(report: Report) -> list[Block]:
    headers = [f"{title}:" if i else title for i, title in enumerate(view.latency_titles(report))]
    rows = [cells for _, cells in view.latencies(report)]
    about = Paragraph(view.latency_about(report)) if rows else None
    return _section("Latency", about, Table(headers, rows), Paragraph(" ".join(view.load_sentences(report))))


def _differences(report: Report) -> list[Block]:
    best, found = view.differences_to_best(report)
    if not found:
        return []
    rows = [
        [
            wording.strategy_title(c.a) if best else f"{wording.strategy_title(c.a)} − {wording.strategy_title(c.b)}",
            wording.points(c.difference),
            wording.points_range(c.ci95),
            wording.p_value(c.p_adjusted if c.p_adjusted is not None else c.p_value),
            f"{c.n:,}",
        ]
        for c in found
    ]
    p = "p, adjusted" if found[0].p_adjusted is not None else "p"
    subject = f" to the best measured, {wording.strategy_title(best)}" if best else ""
    return _section(
        "How sure the differences are",
        Paragraph(f"In points of quality{subject}, on the same rows. A range with 0 in it may be chance."),
        Table(["Strategy", "Difference:", "95 % range:", f"{p}:", "Rows:"], rows),
    )


def _parts(report: Report) -> list[Block]:
    parts = view.parts(report)
    if parts is None:
        return []
    kind, unit = parts.columns
    rows = [
        [part.name, *([f"{part.rows or 0:,}"] if parts.are_counted else []), f"{wording.hundredths(part.found)} %"]
        for part in parts.parts
    ]
    headers = [kind, *([f"{unit}:"] if parts.are_counted else []), "Found:"]
    return _section(parts.heading, Paragraph(f"{parts.about}."), Table(headers, rows))


def _samples(report: Report) -> list[Block]:
    title = wording.title_in_text(str(report.recommendation.strategy))
    about = f"Some of the rows that {title} got most wrong; predictions.parquet has every answer."
    samples = (_sample(sample, view.test_mark(report)) for sample in report.samples)
    return _section("Rows that went worst", Paragraph(about), *samples) if report.samples else []


def _sample(sample: SampleAnswer, mark: str) -> Sample:
    answers = [("Expected", wording.shortened(sample.target, TEXT))]
    for name, answer in sample.answers.items():
        title = f"{wording.strategy_title(name)} ({wording.score(sample.scores.get(name))})"
        answers.append((title, wording.shortened(answer, TEXT) or "(empty)"))
    return Sample(f"Row {sample.id}{mark}", wording.shortened(sample.input, TEXT), answers)


def _findings(report: Report) -> list[Block]:
    rows = [
        [
            wording.SEVERITY_TITLES[f.severity],
            f.code,
            f"{f.count:,}",
            wording.clip(f.message, 400),
            wording.clip(f.action, 400),
        ]
        for f in report.data.findings
    ]
    nothing = None if rows else Paragraph("Nothing to report.")
    table = Table(["", "Finding", "Rows:", "What was seen", "What was done"], rows)
    names = view.names_of_rows(report)
    return _section("What the audit of the data found", nothing, table, Paragraph(names) if names else None)


def _method(report: Report) -> list[Block]:
    plan, task = report.data.plan, report.task
    facts = [
        f"Task: {task.name} ({task.kind}), scored by {wording.metric_title(task.metric)}.",
        f"Data: {wording.count(report.data.examples, 'example')}, {wording.count(report.data.documents, 'document')}.",
        *report.data.stated,
        view.how_split(report),
        *filter(None, [wording.why_divided(plan), view.power(report)]),
        f"{wording.how_long(report.timing.total_seconds, plan)} The seed was {report.seed}.",
        *(f"{wording.what_cuts_are_for(plan.predicted_seconds, plan.time_budget)}: {cut}" for cut in plan.cuts),
        f"The decision is for {'; '.join(view.limits(report))}.",
    ]
    rows = [[phase, wording.duration(seconds)] for phase, seconds in report.timing.phases.items()]
    return _section("How it was measured", Bullets(facts), Table(["Phase", "Time:"], rows))


def _tried(report: Report) -> list[Block]:
    rows = view.tried_rows(report)
    headers = [f"{name}:" if number else name for number, name in enumerate(view.TRIED)]
    return [Heading("How configurations were chosen"), Table(headers, rows)] if rows else []


def _learning_curves(report: Report) -> list[Block]:
    blocks: list[Block] = []
    for result in view.ranked(report):
        points = result.fit.learning_curve if result.fit else None
        if points:
            blocks.append(Paragraph("", wording.strategy_title(result.name)))
            headers = ["Training rows:", "Quality:", "95 % range:", "All rows bring:"]
            blocks.append(Table(headers, view.learning_rows(points)))
    return [Heading("What more examples bring"), *blocks] if blocks else []


def _curves(report: Report) -> list[Block]:
    """Told once for strategies that go on from the very same training."""
    told: list[tuple[list[str], list[dict[str, float]]]] = []
    for result in view.ranked(report):
        curve = result.fit.curve if result.fit else None
        same = next((titles for titles, other in told if other == curve), None)
        if same is not None:
            same.append(wording.strategy_title(result.name))
        elif curve:
            told.append(([wording.strategy_title(result.name)], curve))
    blocks: list[Block] = []
    for titles, curve in told:
        columns = list(dict.fromkeys(key for step in curve for key in step))
        rows = [[f"{step[c]:.4g}" if c in step else "" for c in columns] for step in curve]
        blocks.append(Paragraph("", "; ".join(titles)))
        blocks.append(Table([f"{c.replace('_', ' ')}:" for c in columns], rows))
    return [Heading("Training curves"), *blocks] if blocks else []


def _side_effects(report: Report) -> list[Block]:
    blocks: list[Block] = []
    for result in view.ranked(report):
        if sentences := wording.side_effect_sentences(result):
            blocks += [Paragraph("", wording.strategy_title(result.name)), Bullets(sentences)]
    return [Heading("Side effects of tuning"), *blocks] if blocks else []


def _other_measures(report: Report) -> list[Block]:
    names, rows = view.secondary(report)
    headers = ["Strategy", *(f"{wording.metric_title(name)}:" for name in names)]
    return _section("Other measures of the same answers", Table(headers, rows))


def _costs(report: Report) -> list[Block]:
    rows = [
        [
            wording.strategy_title(s.name),
            view.per_1k(report, s.cost),
            wording.amount(s.cost.training_usd),
            wording.amount(s.cost.monthly_usd),
            wording.amount(12 * s.cost.monthly_usd),
            *view.further_costs(report, s, s.cost),
        ]
        for s in view.ranked(report)
        if s.cost is not None
    ]
    if not rows:
        return []
    bases = view.bases(report)
    basis = [text if len(bases) == 1 else f"{text} ({', '.join(names)})" for text, names in bases]
    basis.append(f"Machine: {view.price(report)}")
    basis += [said] if (said := view.spending(report)) else []
    headers = ["Strategy", "USD per 1,000 queries:", "USD once:", "USD a month:", "USD in 12 months:"]
    headers += [f"{title}:" for title in view.further_cost_titles(report)]
    errors = view.error_costs(report)
    return _section(
        "Costs and their basis",
        Paragraph(view.costs_about(report)),
        Table(headers, rows),
        Bullets(basis),
        Paragraph(view.ERROR_COSTS) if errors else None,
        Table(["Right label", "Answer", "USD:"], errors),
    )


def _artefact(report: Report) -> list[Block]:
    kept = report.artefact
    if kept is None:
        return []
    pick = view.find(report, report.recommendation.strategy)
    refit = pick.fit.refit if pick and pick.fit else None
    return _section(
        "The kept solution",
        Paragraph(f"{kept.path} ({kept.kind})"),
        Paragraph(wording.refit_sentence(refit)) if refit else None,
        Code(kept.how_to_use),
        Table(["File", "SHA-256"], [[name, digest] for name, digest in kept.sha256.items()]),
    )


def _environment(report: Report) -> list[Block]:
    environment = report.environment
    facts = [f"Device: {environment.device}; {environment.cpu}, {wording.count(environment.threads, 'thread')}"]
    if environment.gpu:
        facts.append(f"GPU: {environment.gpu}")
    for model in environment.models:
        about = [model.role.replace("_", " "), wording.parameters(model.parameters), model.licence or "licence unknown"]
        more = (("computed in", model.precision), ("revision", model.revision), ("SHA-256", model.sha256))
        about += [f"{title} {value}" for title, value in more if value]
        facts.append(f"{model.name}: {', '.join(a for a in about if a)}")
    facts.append("Libraries: " + ", ".join(f"{name} {version}" for name, version in environment.libraries.items()))
    facts.append(f"Run {report.run_id}, {wording.moment(report.created_at)}")
    return _section("Environment", Bullets(facts))


def _configuration(report: Report) -> list[Block]:
    blocks: list[Block] = [Heading("Appendix: configuration of every strategy")]
    for result in view.ranked(report):
        config = {"name": result.name, "model": result.model, **result.config}
        blocks.append(Heading(wording.strategy_title(result.name), 3))
        blocks.append(Code(json.dumps(config, indent=2, ensure_ascii=False), "json"))
    return blocks
