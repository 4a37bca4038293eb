"""`report.md`: the report as GitHub-flavoured Markdown, the recommendation first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from advisor.report import view, wording
from advisor.report.schema import Report, StrategyResult

_SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")
_LEADING = re.compile(r"^(\d+)([.)])(?=\s|$)|^([-=]|\+(?=\s|$))")


def escape(text: str) -> str:
    """Client text as one line of Markdown that shows exactly that text: no markup, no HTML, no line breaks."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _SPECIAL.sub(r"\\\1", line)
    return _LEADING.sub(lambda m: f"{m[1]}\\{m[2]}" if m[1] else f"\\{m[3]}", line)


def fenced(text: str, language: str = "") -> str:
    """A code block; its fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are escaped here, and a column is right-aligned where its header ends in `:`."""
    names = [h.removesuffix(":") for h in headers]
    rules = ["---:" if h.endswith(":") else "---" for h in headers]
    lines = [names, rules, *([escape(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def bullets(items: Iterable[str]) -> str:
    """A list of escaped lines."""
    return "\n".join(f"- {escape(item)}" for item in items)


def render_markdown(report: Report) -> str:
    """The whole report. Sections without content are left out."""
    report = view.legible(report)
    sections = [
        _opening(report),
        _strategies(report),
        _differences(report),
        _method(report),
        _findings(report),
        _costs(report),
        _section("Reasons", bullets(report.recommendation.reasons)),
        _section("What would change the answer", bullets(report.recommendation.sensitivity)),
        _section("Caveats", bullets(report.recommendation.caveats)),
        _section("Scope", escape(report.recommendation.scope)),
        _artefact(report),
        _labels(report),
        _learning_curves(report),
        _curves(report),
        _samples(report),
        _environment(report),
        _configuration(report),
    ]
    return "\n\n".join(s for s in sections if s) + "\n"


def _section(title: str, *parts: str) -> str:
    body = [part for part in parts if part]
    return "\n\n".join([f"## {title}", *body]) if body else ""


def _opening(report: Report) -> str:
    recommendation = report.recommendation
    parts = [
        f"# {escape(recommendation.headline)}",
        f"**{wording.VERDICT_TITLES[recommendation.verdict]}** for the task: {escape(report.task.description)}",
    ]
    rows = [
        [
            ", ".join(c.roles),
            wording.strategy_title(c.result.name),
            wording.quality_sentence(c.result.quality) if c.result.quality else "not measured",
            wording.rate(c.result.cost.per_1k_usd) if c.result.cost else "",
            wording.latency(c.result.latency.p95_ms) if c.result.latency else "",
        ]
        for c in view.contenders(report)
    ]
    if rows:
        parts.append(table(["", "Strategy", "Quality, 95 % range", "USD per 1,000:", "p95 latency:"], rows))
    parts.append(f"**Next step.** {escape(recommendation.next_step)}")
    return "\n\n".join(parts)


def _strategies(report: Report) -> str:
    headers = ["Strategy", "Quality, 95 % range", "USD per 1,000:", "p95 latency:", "Tokens per query:", "Note"]
    return _section("All strategies", table(headers, (_row(report, s) for s in view.ranked(report))))


def _row(report: Report, result: StrategyResult) -> list[str]:
    words = [view.note(report, result), result.reason or ""]
    if result.quality:
        words.append(wording.quality_remarks(result.quality))
    return [
        wording.strategy_title(result.name),
        wording.quality_sentence(result.quality) if result.quality else "",
        wording.rate(result.cost.per_1k_usd) if result.cost else "",
        wording.latency(result.latency.p95_ms) if result.latency else "",
        wording.tokens(result.cost.tokens) if result.cost else "",
        "; ".join(word for word in words if word),
    ]


def _differences(report: Report) -> str:
    best, found = view.differences_to_best(report)
    if not found:
        return ""
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
    subject = f" to the best measured, {escape(wording.strategy_title(best))}" if best else ""
    return _section(
        "Paired differences",
        f"In points of quality{subject}, on the same rows.",
        table(["Strategy", "Difference:", "95 % range:", "p:", "Rows:"], rows),
    )


def _method(report: Report) -> str:
    plan, task = report.data.plan, report.task
    facts = [
        f"Task: {task.name} ({task.kind}), scored by {wording.metric_title(task.metric)}.",
        f"Data: {wording.count(report.data.examples, 'example')}, {wording.count(report.data.documents, 'document')}.",
        wording.how_split(plan),
        *filter(None, [wording.why_divided(plan), wording.power(plan)]),
        f"The run took {wording.duration(report.timing.total_seconds)}; planned were"
        f" {wording.duration(plan.predicted_seconds)} of a budget of {wording.duration(plan.time_budget)}."
        f" The seed was {report.seed}.",
        *(f"Cut to fit the time budget: {cut}" for cut in plan.cuts),
        f"The decision is for {'; '.join(view.limits(report))}.",
    ]
    rows = [[phase, wording.duration(seconds)] for phase, seconds in report.timing.phases.items()]
    return _section("What was compared, and how", bullets(facts), table(["Phase", "Time:"], rows) if rows else "")


def _findings(report: Report) -> str:
    found = report.data.findings
    if not found:
        return _section("What the audit of the data found", "Nothing to report.")
    rows = [
        [
            wording.SEVERITY_TITLES[f.severity],
            f.code,
            f"{f.count:,}",
            wording.clip(f.message, 400),
            wording.clip(f.action, 400),
        ]
        for f in found
    ]
    return _section(
        "What the audit of the data found", table(["", "Finding", "Rows:", "What was seen", "What was done"], rows)
    )


def _costs(report: Report) -> str:
    rows = [
        [
            wording.strategy_title(s.name),
            wording.rate(s.cost.per_1k_usd),
            wording.amount(s.cost.training_usd),
            wording.amount(s.cost.monthly_usd),
            wording.amount(12 * s.cost.monthly_usd),
            *view.further_costs(report, s.cost),
        ]
        for s in view.ranked(report)
        if s.cost is not None
    ]
    if not rows:
        return ""
    bases = view.bases(report)
    basis = [text if len(bases) == 1 else f"{text} ({', '.join(names)})" for text, names in bases]
    basis.append(f"Machine: {view.price(report)}")
    basis.extend(wording.break_even_sentence(item) for item in report.recommendation.break_even)
    headers = ["Strategy", "USD per 1,000 queries:", "USD once:", "USD a month:", "USD in 12 months:"]
    headers += [f"{title}:" for title in view.further_cost_titles(report)]
    about = (
        f"At {report.settings.volume:,} queries a month, what is paid once spread over {report.settings.months} months."
    )
    return _section("Costs and their basis", about, table(headers, rows), bullets(basis))


def _artefact(report: Report) -> str:
    kept = report.artefact
    if kept is None:
        return ""
    rows = [[name, digest] for name, digest in kept.sha256.items()]
    return _section(
        "The kept solution",
        f"{escape(kept.path)} ({escape(kept.kind)})",
        _refit(report),
        fenced(kept.how_to_use),
        table(["File", "SHA-256"], rows) if rows else "",
    )


def _labels(report: Report) -> str:
    pick = view.find(report, report.recommendation.strategy)
    if pick is None or pick.quality is None or not pick.quality.per_label:
        return ""
    rows = [[label, f"{wording.hundredths(recall)} %"] for label, recall in view.labels_worst_first(pick.quality)]
    return _section(
        "Quality by label",
        f"Share of each label's rows that {escape(wording.strategy_title(pick.name))} finds (recall), weakest first.",
        table(["Label", "Found:"], rows),
    )


def _curves(report: Report) -> str:
    parts = []
    for result in view.ranked(report):
        curve = result.fit.curve if result.fit else None
        if curve:
            columns = list(dict.fromkeys(key for step in curve for key in step))
            rows = [[f"{step[c]:.4g}" if c in step else "" for c in columns] for step in curve]
            parts.append(f"**{escape(wording.strategy_title(result.name))}**")
            parts.append(table([f"{escape(c.replace('_', ' '))}:" for c in columns], rows))
    return _section("Training curves", *parts)


def _learning_curves(report: Report) -> str:
    parts = []
    for result in view.ranked(report):
        points = result.fit.learning_curve if result.fit else None
        if points:
            parts.append(f"**{escape(wording.strategy_title(result.name))}**")
            parts.append(
                table(["Training rows:", "Quality:", "95 % range:", "All rows bring:"], view.learning_rows(points))
            )
    return _section("What more examples bring", *parts)


def _refit(report: Report) -> str:
    pick = view.find(report, report.recommendation.strategy)
    refit = pick.fit.refit if pick and pick.fit else None
    return escape(wording.refit_sentence(refit)) if refit else ""


def _samples(report: Report) -> str:
    parts = []
    for sample in report.samples:
        lines = [
            f"- **Row {escape(sample.id)}**: {escape(wording.clip(sample.input, 300))}",
            f"  - Expected: {escape(wording.clip(sample.target, 300))}",
        ]
        for name, answer in sample.answers.items():
            title, result = wording.strategy_title(name), wording.score(sample.scores.get(name))
            lines.append(f"  - {escape(title)} ({result}): {escape(wording.clip(answer, 300)) or '(empty)'}")
        parts.append("\n".join(lines))
    return _section("Rows that went worst", "\n".join(parts))


def _environment(report: Report) -> str:
    environment = report.environment
    facts = [f"Device: {environment.device}; {environment.cpu}, {wording.count(environment.threads, 'thread')}"]
    if environment.gpu:
        facts.append(f"GPU: {environment.gpu}")
    for model in environment.models:
        about = [model.role.replace("_", " "), wording.parameters(model.parameters), model.licence or "licence unknown"]
        about.append(f"SHA-256 {model.sha256}" if model.sha256 else f"revision {model.revision or wording.UNKNOWN}")
        facts.append(f"{model.name}: {', '.join(a for a in about if a)}")
    facts.append("Libraries: " + ", ".join(f"{name} {version}" for name, version in environment.libraries.items()))
    facts.append(f"Run {report.run_id}, {wording.moment(report.created_at)}")
    return _section("Environment", bullets(facts))


def _configuration(report: Report) -> str:
    parts = []
    for result in view.ranked(report):
        config = {"name": result.name, "model": result.model, **result.config}
        parts.append(f"### {escape(wording.strategy_title(result.name))}")
        parts.append(fenced(json.dumps(config, indent=2, ensure_ascii=False), "json"))
    return _section("Appendix: configuration", *parts)
