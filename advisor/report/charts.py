"""Where the marks of the two charts go. Geometry only, in pixels; `templates/charts.svg.j2` draws it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from advisor.report import wording
from advisor.report.schema import Report
from advisor.report.view import measured

LETTER = 6.8
"""Mean width of a letter at the charts' 12 px, a little generous."""

LONGEST_LABEL = 36
"""Letters that a label beside a dot may have."""


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Mark:
    """One strategy: its dot at (x, y), its whisker from `low` to `high`."""

    number: int
    label: str
    value: str
    x: float
    y: float
    low: float
    high: float
    text_x: float
    text_y: float
    anchor: str
    is_pick: bool


@dataclass(frozen=True)
class Chart:
    id: str
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    marks: list[Mark]
    title: str
    description: str
    x_label: str
    front: str = ""
    """Points of the quality–cost front, as an SVG polyline."""
    is_numbered: bool = False
    """Whether dots carry the strategies' numbers, and a key is needed."""
    has_free: bool = False
    """Whether a strategy without any cost stands at the left edge of a logarithmic axis."""


def quality_chart(report: Report, width: float, is_narrow: bool) -> Chart | None:
    """A dot and a 95 % whisker per strategy, the best on top. Narrow: the label stands above its whisker."""
    rows = [(s, q) for s, q in measured(report) if math.isfinite(q.value)]
    if not rows:
        return None
    row_height, top = (44.0, 10.0) if is_narrow else (30.0, 10.0)
    labels = [_clipped(wording.strategy_title(s.name), 44 if is_narrow else 48) for s, _ in rows]
    left = 10.0 if is_narrow else min(344.0, max(len(label) for label in labels) * LETTER + 16)
    right = width - (48 if is_narrow else 60)
    bottom = top + row_height * len(rows)
    axis = _linear([v for _, q in rows for v in (q.value, *q.ci95)], left, right)
    marks = []
    for i, ((strategy, quality), label) in enumerate(zip(rows, labels, strict=True)):
        y = top + row_height * (i + (0.68 if is_narrow else 0.5))
        marks.append(
            Mark(
                number=i + 1,
                label=label,
                value=wording.hundredths(quality.value) + wording.unit(quality),
                x=axis.at(quality.value),
                y=y,
                low=axis.at(quality.ci95[0]),
                high=axis.at(quality.ci95[1]),
                text_x=left if is_narrow else left - 12,
                text_y=y - 13 if is_narrow else y + 4,
                anchor="start" if is_narrow else "end",
                is_pick=strategy.name == report.recommendation.strategy,
            )
        )
    described = "; ".join(f"{wording.strategy_title(s.name)}: {wording.quality_sentence(q)}" for s, q in rows)
    return Chart(
        id="quality-narrow" if is_narrow else "quality-wide",
        width=width,
        height=bottom + 44,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        x_ticks=axis.ticks,
        y_ticks=[],
        marks=marks,
        title="Quality of each strategy with its 95 % range",
        description=described,
        x_label=_scale_name(rows[0][1].metric),
    )


def cost_chart(report: Report, width: float, is_narrow: bool) -> Chart | None:
    """Quality against cost per 1,000 queries on a logarithmic axis.

    Dots carry numbers instead of titles where the chart is narrow or the titles are long or many.
    """
    rows = [
        (number, s, q, s.cost.per_1k_usd)
        for number, (s, q) in enumerate(measured(report), start=1)
        if s.cost is not None and math.isfinite(s.cost.per_1k_usd) and math.isfinite(q.value)
    ]
    positive = [cost for *_, cost in rows if cost > 0]
    if len(rows) < 2 or not positive:
        return None
    titles = [wording.strategy_title(s.name) for _, s, _, _ in rows]
    is_numbered = is_narrow or len(rows) > 12 or max(len(title) for title in titles) > LONGEST_LABEL
    height = 300.0 if is_narrow else 360.0
    left, right, top, bottom = 40.0, width - 18, 14.0, height - 44
    y_axis = _linear([v for _, _, q, _ in rows for v in (q.value, *q.ci95)], bottom, top)
    has_free = len(positive) < len(rows)
    x_axis = _logarithmic(positive, left + (24 if has_free else 0), right)
    dots = [(left + 8 if cost <= 0 else x_axis.at(cost), y_axis.at(q.value)) for _, _, q, cost in rows]
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in dots]
    ends = [sorted(y_axis.at(end) for end in q.ci95) for _, _, q, _ in rows]
    taken += [(x - 3, high, x + 3, low) for (x, _), (high, low) in zip(dots, ends, strict=True)]
    marks = []
    for (number, strategy, quality, cost), (x, y) in zip(rows, dots, strict=True):
        label = str(number) if is_numbered else wording.strategy_title(strategy.name)
        place = _place(label, x, y, (left, right, top, bottom), taken)
        if place is None:
            label = str(number)
            place = _place(label, x, y, (left, right, top, bottom), taken) or (x + 8, y - 6, "start")
        marks.append(
            Mark(
                number=number,
                label=label,
                value=f"{wording.rate(cost)} USD",
                x=x,
                y=y,
                low=y_axis.at(quality.ci95[0]),
                high=y_axis.at(quality.ci95[1]),
                text_x=place[0],
                text_y=place[1],
                anchor=place[2],
                is_pick=strategy.name == report.recommendation.strategy,
            )
        )
    described = "; ".join(
        f"{wording.strategy_title(s.name)}: {wording.quality_figure(q)}, {wording.rate(c)} USD" for _, s, q, c in rows
    )
    return Chart(
        id="cost-narrow" if is_narrow else "cost-wide",
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        x_ticks=x_axis.ticks,
        y_ticks=y_axis.ticks,
        marks=marks,
        title="Quality against cost per 1,000 queries",
        description=described,
        x_label="USD per 1,000 queries, logarithmic scale",
        front=_front(dots),
        is_numbered=is_numbered,
        has_free=has_free,
    )


def _scale_name(metric: str) -> str:
    if metric.lower() in wording.COUNTED_METRICS:
        return "Rows right, %"
    title = _clipped(wording.metric_title(metric), 24)
    return f"{title[:1].upper()}{title[1:]}, points of 100"


def _clipped(text: str, limit: int) -> str:
    """One line of at most `limit` characters. The end stays, because it names the model."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    tail = limit * 2 // 5
    return f"{text[: limit - tail - 1].rstrip()}…{text[-tail:].lstrip()}"


@dataclass(frozen=True)
class _Axis:
    start: float
    end: float
    low: float
    high: float
    is_log: bool
    ticks: list[Tick]

    def at(self, value: float) -> float:
        number = math.log10(value) if self.is_log else value
        share = (number - self.low) / (self.high - self.low)
        return round(self.start + min(1.0, max(0.0, share)) * (self.end - self.start), 1)


def _linear(values: list[float], start: float, end: float) -> _Axis:
    """An axis of fractions over the values' range, its ends on ticks that read out of 100."""
    finite = [v for v in values if math.isfinite(v)]
    low, high = max(0.0, min(finite)), min(1.0, max(finite))
    step = next((s for s in (0.05, 0.1) if (high - low) / s <= 5), 0.2)
    low = math.floor(low / step + 1e-9) * step
    high = max(math.ceil(high / step - 1e-9) * step, low + step)
    bare = _Axis(start, end, low, high, False, [])
    count = round((high - low) / step)
    ticks = [Tick(bare.at(low + i * step), f"{100 * (low + i * step):.0f}") for i in range(count + 1)]
    return _Axis(start, end, low, high, False, ticks)


def _logarithmic(values: list[float], start: float, end: float) -> _Axis:
    """A base-10 axis over the values' range; ticks at the decades, or at 1, 2 and 5 where there are few of those."""
    low, high = math.log10(min(values)) - 0.12, math.log10(max(values)) + 0.12
    if high - low < 1:
        low, high = (low + high) / 2 - 0.5, (low + high) / 2 + 0.5
    decades = range(math.floor(low), math.ceil(high) + 1)
    factors = (1,) if high - low > 2.5 else (1, 2, 5) if high - low < 1.6 else (1, 3)
    every = max(1, math.ceil((high - low) / 7))
    at = [f * 10.0**d for d in decades if d % every == 0 for f in factors]
    bare = _Axis(start, end, low, high, True, [])
    ticks = [Tick(bare.at(v), f"{v:,.10f}".rstrip("0").rstrip(".")) for v in at if low <= math.log10(v) <= high]
    return _Axis(start, end, low, high, True, ticks)


Box = tuple[float, float, float, float]


def _place(label: str, x: float, y: float, frame: Box, taken: list[Box]) -> tuple[float, float, str] | None:
    """A free place for a label near its dot, taken from now on; None where there is none."""
    left, right, top, bottom = frame
    width = len(label) * LETTER
    for dx, dy, anchor in (
        (10, -5, "start"),
        (-10, -5, "end"),
        (10, 14, "start"),
        (-10, 14, "end"),
        (10, -19, "start"),
        (-10, -19, "end"),
        (10, 28, "start"),
        (-10, 28, "end"),
    ):
        x0 = x + dx - (width if anchor == "end" else 0)
        box = (x0, y + dy - 10, x0 + width, y + dy + 3)
        inside = box[0] >= left and box[2] <= right and box[1] >= top - 8 and box[3] <= bottom
        if inside and not any(_overlap(box, other) for other in taken):
            taken.append(box)
            return x + dx, y + dy, anchor
    return None


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _front(dots: list[tuple[float, float]]) -> str:
    """The strategies that none is both cheaper and better than, joined by steps."""
    points: list[tuple[float, float]] = []
    for x, y in sorted(dots):
        if not points or y < points[-1][1]:
            if points:
                points.append((x, points[-1][1]))
            points.append((x, y))
    return " ".join(f"{x:g},{y:g}" for x, y in points) if len(points) > 1 else ""
