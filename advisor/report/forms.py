"""The forms that a report is written in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from advisor.report import charts
from advisor.report.html import render_html
from advisor.report.markdown import render_markdown
from advisor.report.schema import Report
from advisor.report.word import render_word
from advisor.runs import write_atomically
from eval.errors import RequestError


def render_json(report: Report) -> str:
    """As `report.json`."""
    return report.model_dump_json(indent=1) + "\n"


FORMS: dict[str, Callable[[Report], str | bytes]] = {
    "html": render_html,
    "md": render_markdown,
    "json": render_json,
    "docx": render_word,
}
WITH_CHARTS = frozenset({"html", "docx"})
KEPT = ("md", "html", "json")
"""Forms in a run folder; the last one says that the run has ended."""


def form_of(form: str | None, path: Path | None) -> str | None:
    """The form asked for, or the one that a file's name ends in; None for the summary on a terminal.

    Raises RequestError where there is no such form. What draws charts is started where the form has some.
    """
    if form is None and path is not None:
        form = path.suffix.removeprefix(".")
        if form not in FORMS:
            raise RequestError(f"--output: the name {path.name} ends in none of .{', .'.join(FORMS)}: add --format.")
    if form is not None and form not in FORMS:
        raise RequestError(f"--format: {form!r} is none of {', '.join(FORMS)}.")
    if form in WITH_CHARTS:
        charts.warm_up()
    return form


def rendered(report: Report, form: str) -> bytes:
    """The report in that form."""
    made = FORMS[form](report)
    return made if isinstance(made, bytes) else made.encode("utf-8")


def written(report: Report, path: Path, form: str) -> None:
    """Write the report to a file in that form."""
    try:
        write_atomically(path, rendered(report, form))
    except OSError as error:
        raise RequestError(f"--output: {path} cannot be written ({error.strerror}).") from error
