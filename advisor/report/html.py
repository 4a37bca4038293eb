"""`report.html`: one self-contained page. No script, no network: it works under the policy it states itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.report import charts, view, wording
from advisor.report.schema import Report, StrategyResult

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

MOST_LABELS = 16
"""Labels shown at once; the others fold away."""


def render_html(report: Report) -> str:
    """The report as one HTML file. All text of the client's is escaped."""
    report = view.legible(report)
    best, differences = view.differences_to_best(report)
    pick = view.find(report, report.recommendation.strategy)
    labels = view.labels_worst_first(pick.quality) if pick and pick.quality else []
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            advice=report.recommendation,
            policy=CONTENT_SECURITY_POLICY,
            contenders=view.contenders(report),
            ranked=view.ranked(report),
            best=best,
            differences=differences,
            pick=pick,
            labels=labels[:MOST_LABELS],
            more_labels=labels[MOST_LABELS:],
            quality_charts=[charts.quality_chart(report, 880, False), charts.quality_chart(report, 340, True)],
            cost_charts=[charts.cost_chart(report, 880, False), charts.cost_chart(report, 340, True)],
            learning=[(s, s.fit.learning_curve) for s in view.ranked(report) if s.fit and s.fit.learning_curve],
            curves=[(s, s.fit.curve) for s in view.ranked(report) if s.fit and s.fit.curve],
            view=view,
            words=wording,
        )
    )


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["configuration"] = _configuration
    return environment


def _configuration(result: StrategyResult) -> str:
    return json.dumps({"name": result.name, "model": result.model, **result.config}, indent=2, ensure_ascii=False)
