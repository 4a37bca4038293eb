"""`report.md`: the report as GitHub-flavoured Markdown, the recommendation first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from advisor.report import view
from advisor.report.outline import Block, Bullets, Code, Figure, Heading, Paragraph, Sample, Table, outline
from advisor.report.schema import Report

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
    """The whole report. Charts are left out: each stands for a table that is there."""
    blocks = outline(view.legible(report))
    return "\n\n".join(_written(block) for block in blocks if not isinstance(block, Figure)) + "\n"


def _written(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {escape(block.text)}"
    if isinstance(block, Paragraph):
        lead = f"**{escape(block.lead)}**" if block.lead else ""
        return " ".join(part for part in (lead, escape(block.text)) if part)
    if isinstance(block, Bullets):
        return bullets(block.items)
    if isinstance(block, Table):
        return table([escape(header) for header in block.headers], block.rows)
    if isinstance(block, Sample):
        lines = [f"- **{escape(block.title)}**: {escape(block.text)}"]
        return "\n".join([*lines, *(f"  - {escape(who)}: {escape(answer)}" for who, answer in block.answers)])
    if isinstance(block, Code):
        return fenced(block.text, block.language)
    raise AssertionError(block)
