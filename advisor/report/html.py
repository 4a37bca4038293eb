"""`report.html`: one self-contained page. It asks nothing of a network, and all it says is there without a script.

The script only moves the monthly volume; the policy, which the page states itself, lets nothing else run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.report import charts, view, wording
from advisor.report.schema import Report, StrategyResult

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
SCRIPT = (TEMPLATES / "report.js").read_text(encoding="utf-8")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-"
    f"{base64.b64encode(hashlib.sha256(SCRIPT.encode('utf-8')).digest()).decode('ascii')}'"
)

MOST_PARTS = 16
"""Labels or fields shown at once; the others fold away."""


def render_html(report: Report) -> str:
    """The report as one HTML file. All text of the client's is escaped."""
    report = view.legible(report)
    best, differences = view.differences_to_best(report)
    pick = view.find(report, report.recommendation.strategy)
    parts = view.parts(report)
    ranked = view.ranked(report)
    volume_charts = [charts.volume_chart(report), charts.volume_chart(report, is_narrow=True)]
    return (
        _templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            advice=report.recommendation,
            policy=CONTENT_SECURITY_POLICY,
            script=SCRIPT,
            contenders=view.contenders(report),
            baselines=view.baselines_sentence(report, view.other_baselines(report)),
            reasons=view.further_reasons(report.recommendation),
            ranked=ranked,
            number={s.name: i for i, s in enumerate(ranked, start=1)},
            row_names=list(dict.fromkeys(name for row in report.rows for name in row.answers)),
            best=best,
            differences=differences,
            pick=pick,
            parts=parts,
            shown_parts=parts.parts[:MOST_PARTS] if parts else [],
            more_parts=parts.parts[MOST_PARTS:] if parts else [],
            quality_charts=[charts.quality_chart(report), charts.quality_chart(report, is_narrow=True)],
            cost_charts=[charts.cost_chart(report), charts.cost_chart(report, is_narrow=True)],
            volume_charts=volume_charts,
            scale_name=charts.scale_name(report.task.metric),
            stops=_stops(report, volume_charts),
            picks=view.picks_by_volume(report),
            latencies=view.latencies(report),
            secondary=view.secondary(report),
            tried=view.tried_rows(report),
            learning=[(s, s.fit.learning_curve) for s in ranked if s.fit and s.fit.learning_curve],
            side_effects=[(s, said) for s in ranked if (said := wording.side_effect_sentences(s))],
            curves=[(s, s.fit.curve) for s in ranked if s.fit and s.fit.curve],
            view=view,
            words=wording,
        )
    )


def _stops(report: Report, drawn: list[charts.Drawing | None]) -> dict[str, Any] | None:
    """What the script shows at each volume that the slider stops at, all in words."""
    volumes = report.volumes
    if volumes is None:
        return None
    names = [line.strategy for line in volumes.lines]
    at = [
        {
            "volume": wording.a_month(volumes.queries_per_month[i]),
            "pick": cells[-1],
            "line": names.index(pick) if pick in names else -1,
            "costs": cells[1:-1],
            "x": [drawing.marks_at[i] for drawing in drawn if drawing],
        }
        for i, (cells, pick) in enumerate(
            zip(view.costs_at(volumes, range(len(volumes.picks))), volumes.picks, strict=True)
        )
    ]
    stated = report.settings.volume
    start = volumes.queries_per_month.index(stated) if stated in volumes.queries_per_month else 0
    return {"at": at, "start": start}


def templates_in(folder: Path) -> Environment:
    """The templates of a folder. All text is escaped; what a template misses is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(folder)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _templates() -> Environment:
    templates = templates_in(TEMPLATES)
    templates.filters |= {"configuration": _configuration, "commands": _commands}
    return templates


def _commands(text: str) -> str:
    """The text, escaped, with this program's own commands as code; nothing else in backticks is."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`(advisor [a-z]+)`", r"<code>\1</code>", str(escape(text))))


def _configuration(result: StrategyResult) -> str:
    return json.dumps({"name": result.name, "model": result.model, **result.config}, indent=2, ensure_ascii=False)
