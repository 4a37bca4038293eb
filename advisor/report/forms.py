"""The forms that a report is written in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from advisor.report.html import render_html
from advisor.report.markdown import render_markdown
from advisor.report.schema import Report
from advisor.runs import write_atomically
from eval.errors import RequestError


def render_json(report: Report) -> str:
    """As `report.json`."""
    return report.model_dump_json(indent=1) + "\n"


FORMS: dict[str, Callable[[Report], str]] = {"html": render_html, "md": render_markdown, "json": render_json}


def rendered(report: Report, form: str) -> str:
    """The report as text of that form. Raises RequestError where there is no such form."""
    if form not in FORMS:
        raise RequestError(f"--format: {form!r} is none of {', '.join(FORMS)}.")
    return FORMS[form](report)


def written(report: Report, path: Path, form: str | None) -> None:
    """Write the report to a file, in that form or the one that the file's name ends in."""
    ending = path.suffix.removeprefix(".")
    if form is None and ending not in FORMS:
        raise RequestError(f"--output: the name {path.name} ends in none of .{', .'.join(FORMS)}: add --format.")
    text = rendered(report, form or ending)
    try:
        write_atomically(path, text)
    except OSError as error:
        raise RequestError(f"--output: {path} cannot be written ({error.strerror}).") from error
