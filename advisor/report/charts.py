"""The charts: Altair's specifications, drawn to SVG by vl-convert, with the page's own style for their colours.

Each is drawn once for wide pages and once for narrow ones. No script is needed to show them, so that they look the
same on a page, on paper and in a word processor (docs/decisions/0007-charts-without-vega-in-the-page.md).
"""

from __future__ import annotations

import html
import math
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from advisor.report import wording
from advisor.report.schema import CostLine, Quality, Report, StrategyResult, Volumes
from advisor.report.view import measured, pick_said, picks_searched

WIDE, NARROW = 880, 340
LETTER, BOLD_LETTER = 7.0, 7.8
"""Mean width of a letter at 12 px in a wide face (DejaVu Sans), which some machines show instead of a narrower one."""
COLOURS = {
    "ink": "#1b1f24",
    "soft": "#59626c",
    "line": "#dde2e7",
    "page": "#ffffff",
    "accent": "#0b5a75",
    "s1": "#0b5a75",
    "s2": "#a8480f",
    "s3": "#3d7a2a",
    "s4": "#8a3a9c",
    "s5": "#8a6a00",
    "s6": "#59626c",
}
"""Of a light page, for where there is no style sheet."""
LINE_COLOURS = ("dark blue", "orange", "green", "purple", "ochre", "grey")
"""Of the lines s1 to s6, in words."""


_NOISE = re.compile(r' (?:font-family|pointer-events|aria-roledescription|aria-hidden|role|class|opacity)="[^"]*"')
"""Attributes of parts of a chart that say nothing here."""


@dataclass(frozen=True)
class Key:
    """What a number in a chart stands for."""

    number: int
    strategy: str
    text: str


@dataclass(frozen=True)
class Drawing:
    svg: str
    """Colours are the style sheet's variables."""
    description: str
    keys: Sequence[Key] = ()
    has_free: bool = False
    """Whether a strategy without any cost stands at the left edge of a logarithmic axis."""
    marks_at: Sequence[float] = ()
    """Of a chart over the volume: where each volume is, in per cent of the width."""

    def png(self) -> bytes:
        """As a picture for documents that cannot hold an SVG."""
        import vl_convert

        svg = self.svg
        for name, colour in COLOURS.items():
            svg = svg.replace(f"var(--{name})", colour)
        picture: bytes = vl_convert.svg_to_png(svg, scale=2.5)
        return picture


def warm_up() -> None:
    """Start what draws, beside whatever comes first: it takes half a second."""
    threading.Thread(target=_draw, args=({"mark": "point", "data": {"values": []}},), daemon=True).start()


def quality_chart(report: Report, is_narrow: bool = False) -> Drawing | None:
    """A dot and a 95 % whisker per strategy, the best on top. Narrow: the title stands above its whisker."""
    rows = [(s, q) for s, q in measured(report) if math.isfinite(q.value)]
    if not rows:
        return None
    alt = _altair()
    titles = [_clipped(wording.strategy_title(s.name), 44 if is_narrow else 48) for s, _ in rows]
    letters = [BOLD_LETTER if _is_pick(report, s) else LETTER for s, _ in rows]
    longest = max(len(title) * letter for title, letter in zip(titles, letters, strict=True))
    beside = 10 if is_narrow else min(390.0, longest + 16)
    step, width = (44, NARROW) if is_narrow else (30, WIDE)
    inner = width - beside - 62
    low, high = _span([v for _, q in rows for v in (q.value, *q.ci95)])
    values = [
        {
            "row": i, "title": title, "value": 100 * q.value, "low": 100 * q.ci95[0], "high": 100 * q.ci95[1],
            "figure": wording.hundredths(q.value) + wording.unit(q), "is_pick": _is_pick(report, s),
            "tip": f"{wording.strategy_title(s.name)}: {wording.quality_sentence(q)}",
        }
        for i, ((s, q), title) in enumerate(zip(rows, titles, strict=True))
    ]  # fmt: skip
    scale = alt.Scale(domain=[100 * low, 100 * high], nice=False, zero=False)
    x_axis = alt.Axis(title=scale_name(rows[0][1].metric), tickCount=6, grid=True)
    y = alt.Y("row:Q", scale=alt.Scale(domain=[-0.5, len(rows) - 0.5], reverse=True, nice=False), axis=None)
    base = alt.Chart(alt.Data(values=values)).encode(y=y, description="tip:N")
    colour = _emphasis(alt)
    whiskers = base.mark_rule(size=2).encode(x=alt.X("low:Q", scale=scale, axis=x_axis), x2="high:Q", color=colour)
    dots = base.mark_circle(size=95, opacity=1).encode(x="value:Q", color=colour)
    names = base.mark_text(
        align="left" if is_narrow else "right",
        baseline="middle",
        dy=-15 if is_narrow else 0,
        fontWeight=alt.expr("datum.is_pick ? 650 : 400"),
    ).encode(text="title:N", x=alt.value(0 if is_narrow else -12))
    figures = base.mark_text(align="right", baseline="middle", fontWeight=600).encode(
        text="figure:N", x=alt.value(inner + 58)
    )
    described = "; ".join(str(row["tip"]) for row in values)
    chart = alt.layer(whiskers, dots, names, figures).properties(width=inner, height=step * len(rows))
    padding = {"left": beside, "right": 62, "top": 14 if is_narrow else 4, "bottom": 44}
    svg = _svg(chart, padding, _id("quality", is_narrow), "Quality of each strategy with its 95 % range", described)
    return Drawing(svg, described)


def cost_chart(report: Report, is_narrow: bool = False) -> Drawing | None:
    """Quality against the cost of a month, with intervals and the Pareto front; dots carry the table's numbers.

    Per query, machines that are always on would all cost the same. What wrong answers cost is left out, as it is in
    the quality already; where it has a price, the pick is made by the sum of the two. What stopped early is left out
    too: its quality is that of other rows.
    """
    rows = [
        (number, s, q, s.cost.monthly_usd)
        for number, (s, q) in enumerate(measured(report), start=1)
        if s.status == "ok" and s.cost is not None and math.isfinite(s.cost.monthly_usd) and math.isfinite(q.value)
    ]
    positive = [cost for *_, cost in rows if cost > 0]
    if len(rows) < 2 or not positive:
        return None
    alt = _altair()
    least = min(positive) / 2.5
    has_free = len(positive) < len(rows)
    low, high = _span([v for _, _, q, _ in rows for v in (q.value, *q.ci95)])
    values = [
        {
            "number": str(number), "cost": cost if cost > 0 else least, "value": 100 * q.value,
            "low": 100 * q.ci95[0], "high": 100 * q.ci95[1], "is_pick": _is_pick(report, s),
            "tip": f"{wording.strategy_title(s.name)}: {wording.quality_sentence(q)}, {wording.rate(cost)} USD a month",
        }
        for number, s, q, cost in rows
    ]  # fmt: skip
    width, height = (NARROW, 260) if is_narrow else (WIDE, 320)
    inner = width - 40 - 18
    domain = [least * (0.8 if has_free else 1.6), max(positive) * 1.6]
    ticks = _decades(domain[0], domain[1], most=4 if is_narrow else 8)
    x = alt.X(
        "cost:Q",
        scale=alt.Scale(type="log", domain=domain, nice=False),
        axis=_amounts(alt, ticks, f"USD a month at {wording.queries(report.settings.volume)}, logarithmic scale"),
    )
    y_scale = alt.Scale(domain=[100 * low, 100 * high], nice=False, zero=False)
    y = alt.Y("value:Q", scale=y_scale, axis=alt.Axis(title=None, tickCount=6, grid=True))
    base = alt.Chart(alt.Data(values=values)).encode(x=x, description="tip:N")
    colour = _emphasis(alt)
    whiskers = base.mark_rule(size=1.5).encode(y=alt.Y("low:Q", scale=y_scale), y2="high:Q", color=colour)
    dots = base.mark_circle(size=230, opacity=1, stroke="var(--page)", strokeWidth=1).encode(y=y, color=colour)
    numbers = base.mark_text(color="var(--page)", fontSize=10.5, fontWeight=600, baseline="middle").encode(
        y=y, text="number:N"
    )
    front = (
        alt.Chart(alt.Data(values=_front(values)))
        .mark_line(interpolate="step-after", color="var(--accent)", strokeDash=[4, 4], strokeWidth=1.25)
        .encode(x=x, y=y)
    )
    described = "; ".join(str(row["tip"]) for row in values)
    chart = alt.layer(front, whiskers, dots, numbers).properties(width=inner, height=height - 54)
    padding = {"left": 40, "right": 18, "top": 10, "bottom": 44}
    svg = _svg(chart, padding, _id("cost", is_narrow), "Quality against the cost of a month", described)
    keys = [Key(number, s.name, _key(q, cost)) for number, s, q, cost in rows]
    return Drawing(svg, described, keys, has_free)


def volume_chart(report: Report, is_narrow: bool = False) -> Drawing | None:
    """Total monthly cost over queries a month, both logarithmic, a line for each strategy that could be picked."""
    volumes = report.volumes
    if volumes is None:
        return None
    lines = [(n, line) for n, line in enumerate(volumes.lines, start=1) if max(line.monthly_usd) > 0]
    if not lines:
        return None
    alt = _altair()
    at = volumes.queries_per_month
    costs = [usd for _, line in lines for usd in line.monthly_usd if usd > 0]
    domain = [min(costs) / 1.5, max(costs) * 1.5]
    values = [
        {
            "volume": volume, "usd": usd, "line": str(n), "counts": line.counts,
            "title": wording.strategy_title(line.strategy),
        }
        for n, line in lines
        for volume, usd in _points(at, line)
        if usd > 0
    ]  # fmt: skip
    width, height = (NARROW, 280) if is_narrow else (WIDE, 340)
    left, right = 62, 18
    inner = width - left - right
    x = alt.X(
        "volume:Q",
        scale=alt.Scale(type="log", domain=[at[0], at[-1]], nice=False),
        axis=_amounts(alt, _decades(at[0], at[-1], most=4 if is_narrow else 8), "Queries a month"),
    )
    y = alt.Y(
        "usd:Q",
        scale=alt.Scale(type="log", domain=domain, nice=False),
        axis=_amounts(alt, _decades(domain[0], domain[1], most=6), "USD a month", grid=True),
    )
    names = [str(n) for n in range(1, len(volumes.lines) + 1)]
    colour = alt.Color(
        "line:N", scale=alt.Scale(domain=names, range=[f"var(--s{name})" for name in names]), legend=None
    )
    drawn = (
        alt.Chart(alt.Data(values=values))
        .mark_line(strokeWidth=2.25)
        .encode(
            x=x,
            y=y,
            color=colour,
            detail="line:N",
            strokeDash=alt.StrokeDash(
                "counts:N", scale=alt.Scale(domain=[True, False], range=[[1, 0], [5, 4]]), legend=None
            ),
        )
    )
    changes = [{"volume": change.queries_per_month} for change in volumes.changes[1:]]
    rules = alt.Chart(alt.Data(values=changes)).mark_rule(color="var(--soft)", strokeDash=[2, 3]).encode(x=x)
    described = "; ".join(
        [*_picks(report, volumes), *picks_searched(volumes), *(_ends(volumes, n - 1) for n, _ in lines)]
    )
    chart = alt.layer(rules, drawn).properties(width=inner, height=height - 54)
    padding = {"left": left, "right": right, "top": 10, "bottom": 44}
    svg = _svg(chart, padding, _id("volumes", is_narrow), "Cost of a month by the monthly volume", described)
    return Drawing(svg, described, marks_at=[_percent(volume, at, left, inner, width) for volume in at])


def _points(at: Sequence[int], line: CostLine) -> list[tuple[float, float]]:
    """The corners of a line: its cost at each volume, and on either side of each step."""
    steps = [(step.queries_per_month, usd) for step in line.steps for usd in step.monthly_usd]
    return sorted([*zip(at, line.monthly_usd, strict=True), *steps])


def _percent(volume: float, at: Sequence[int], left: float, inner: float, width: float) -> float:
    share = math.log10(volume / at[0]) / math.log10(at[-1] / at[0])
    return round(100 * (left + share * inner) / width, 2)


def _picks(report: Report, volumes: Volumes) -> list[str]:
    _, is_it = pick_said(report.recommendation)
    return [
        f"from {wording.a_month(c.queries_per_month)} on, "
        f"{wording.strategy_title(c.strategy) if c.strategy else 'nothing'} {is_it}"
        for c in volumes.changes
    ]


def _ends(volumes: Volumes, line: int) -> str:
    """A line in words."""
    drawn, at = volumes.lines[line], volumes.queries_per_month
    first, last = (wording.money(drawn.monthly_usd[i]) for i in (0, -1))
    return f"{wording.strategy_title(drawn.strategy)} costs {first} a month at {at[0]:,} and {last} at {at[-1]:,}"


def _key(quality: Quality, cost: float) -> str:
    return f"{wording.quality_short(quality)}; {wording.rate(cost)} USD a month"


def _is_pick(report: Report, result: StrategyResult) -> bool:
    return result.name == report.recommendation.strategy


def _id(name: str, is_narrow: bool) -> str:
    return f"{name}-{'narrow' if is_narrow else 'wide'}"


# ---- drawing ---------------------------------------------------------------------------------------------------------


def _altair() -> ModuleType:
    """Altair, imported when a chart is drawn.

    Its jsonschema builds a grammar of web addresses, which takes longer than the whole report, in environments that
    happen to hold rfc3987-syntax (a development tool brings it). Charts hold no address, so it is left out.
    """
    grammar = "rfc3987_syntax"
    if grammar not in sys.modules and "jsonschema" not in sys.modules:
        sys.modules[grammar] = None  # type: ignore[assignment]
        try:
            import jsonschema  # noqa: F401
        finally:
            del sys.modules[grammar]
    import altair

    return altair


def _svg(chart: Any, padding: Mapping[str, float], name: str, title: str, description: str) -> str:
    """The chart as an accessible SVG that takes its font from the page; each mark with its words as a tooltip."""
    quiet = {"domainColor": "var(--soft)", "tickColor": "var(--soft)", "gridColor": "var(--line)"}
    words = {"labelColor": "var(--soft)", "titleColor": "var(--soft)", "titleFontWeight": "normal"}
    config = {
        "axis": {**quiet, **words, "labelFontSize": 11.5, "titleFontSize": 11.5, "grid": False, "domain": False},
        "view": {"stroke": None},
        "text": {"fontSize": 12, "color": "var(--ink)"},
        "autosize": {"type": "none"},
        "padding": dict(padding),
        "background": "transparent",
    }
    spec = chart.to_dict(validate=False)
    spec["config"] = config
    width = spec["width"] + padding["left"] + padding["right"]
    height = spec["height"] + padding["top"] + padding["bottom"]
    kind = name.rsplit("-", 1)[1]
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart {kind}" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" font-family="Liberation Sans">'
        f'<title id="{name}-title">{html.escape(title)}</title><desc id="{name}-desc">{html.escape(description)}</desc>'
    )
    return _tidied(re.sub(r"^<svg[^>]*>", lambda _: root, _draw(spec), count=1))


def _tidied(svg: str) -> str:
    """Without what the page says itself: fonts, and what assistive technology is told of in the description."""
    svg = re.sub(r'<path class="(?:foreground|background)"[^>]*/>', "", svg)
    svg = re.sub(r"(?<!^)<(?:g|path|line|text) [^>]*>", lambda tag: _NOISE.sub("", tag[0]), svg)
    return re.sub(r'<(path|line) aria-label="([^"]*)"([^>]*)/>', r"<\1\3><title>\2</title></\1>", svg)


def _draw(spec: dict[str, Any]) -> str:
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(spec)
    return svg


def _emphasis(alt: ModuleType) -> Any:
    """The recommended strategy stands out."""
    scale = alt.Scale(domain=[True, False], range=["var(--accent)", "var(--soft)"])
    return alt.Color("is_pick:N", scale=scale, legend=None)


def _amounts(alt: ModuleType, ticks: Sequence[float], title: str, *, grid: bool = False) -> Any:
    """An axis whose ticks read as plain numbers: 0.001, 10, 1,000,000."""
    labels = {f"{tick:g}": f"{tick:,.10f}".rstrip("0").rstrip(".") for tick in ticks}
    chain = "".join(f"abs(datum.value / {value} - 1) < 1e-6 ? '{label}' : " for value, label in labels.items())
    return alt.Axis(title=title, values=list(ticks), labelExpr=f"{chain}''", grid=grid, labelOverlap=False)


# ---- scales ----------------------------------------------------------------------------------------------------------


def _decades(low: float, high: float, most: int) -> list[float]:
    """Ticks of a logarithmic axis: the decades, fewer of them where they are many, parts of them where they are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / most))
    factors: Sequence[float] = (1,)
    if last - first <= 2:
        factors = (1, 2, 5) if high / low > 5 else (1, 1.5, 2, 3, 4, 5, 6, 8)
    ticks = [factor * 10.0**d for d in range(first, last + 1) if d % every == 0 for factor in factors]
    return [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """The values' range, its ends on round numbers, in fractions."""
    finite = [v for v in values if math.isfinite(v)]
    low, high = max(0.0, min(finite)), min(1.0, max(finite))
    step = 0.05 if high - low <= 0.25 else 0.1
    low = math.floor(low / step + 1e-9) * step
    return low, max(math.ceil(high / step - 1e-9) * step, low + step)


def _front(values: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """The strategies that none is both cheaper and better than, by cost."""
    points: list[dict[str, float]] = []
    for row in sorted(values, key=lambda row: (row["cost"], -row["value"])):
        if not points or row["value"] > points[-1]["value"]:
            points.append({"cost": row["cost"], "value": row["value"]})
    return points


def scale_name(metric: str) -> str:
    """What an axis of quality counts."""
    if wording.is_share(metric):
        return "Rows right, %"
    title = _clipped(wording.metric_title(metric), 24)
    return f"{wording.capitalised(title)}, points of 100"


def _clipped(text: str, limit: int) -> str:
    """One line of at most `limit` characters. The end stays, because it names the model."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    tail = limit * 2 // 5
    return f"{text[: limit - tail - 1].rstrip()}…{text[-tail:].lstrip()}"
