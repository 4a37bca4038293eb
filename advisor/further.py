"""Work with kept solutions: score them on further data, answer with them, and give them changed documents."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from advisor.columns import column_values
from advisor.models import refuse_to_send
from advisor.progress import Progress
from advisor.runs import REPORT, SOLUTION, SOLUTIONS, find_solution, whole
from eval.audit.injection import prompt_injection
from eval.audit.personal_data import mask, mask_documents, mask_finding, masked_outputs, personal_data
from eval.audit.repeats import duplicate_documents
from eval.audit.spellings import respelt
from eval.contracts import Document, Evaluation, Example, Solution
from eval.errors import InfrastructureError, RequestError
from eval.findings import Finding
from eval.folds import with_groups
from eval.harness import CHUNK, evaluate, scored_rows, steady, steps_off
from eval.latency import measure_latency, typical_first
from eval.metrics import Metric, ScoredRow, get_metric
from eval.reading.columns import map_inputs, plain, quoted
from eval.reading.delimited import assumed
from eval.reading.examples import ExampleFile, examples_of
from eval.reading.tables import Table, read_table, readable_file
from eval.reading.text import clean, counted, read_text
from eval.statistics import interval
from strategies.manifest import Origin, fingerprint, note_origin, read_manifest, read_origin
from strategies.models.caches import uncached
from strategies.models.shelf import ModelShelf
from strategies.pipeline import Pipeline
from strategies.solutions import Refreshable, load_solution

LATENCY_SECONDS = 16.0


def labelled(
    run: Path,
    source: str,
    input_columns: Sequence[str] = (),
    output_column: str | None = None,
    group_by: str | None = None,
) -> tuple[tuple[Example, ...], list[str]]:
    """Further labelled rows, read as the run read its own, and sentences on how that was.

    Its input columns are taken where none is named, and so is the column that groups rows, where the table has it. Rows
    that are like each other belong together, and labels get the run's spelling. Raises RequestError where the table
    cannot be used, or lacks a `group_by` that is named.
    """
    table, origin = read_table(source), _origin_of(run)
    file = examples_of(table, input_columns=input_columns or _own_columns(run, table), output_column=output_column)
    grouped, how = (group_by, []) if group_by else _own_groups(origin.group_by, file)
    examples = with_groups(file.examples, column_values(file, grouped, "--group-by") if grouped else None)
    said = [*_said(file.findings), *how]
    labels = [Example("", "", (label,)) for label in _labels_of(run)]
    spelt = tuple(replace(e, targets=tuple(dict.fromkeys(respelt(e.targets, labels)))) for e in examples)
    changed = sum(new.targets != old.targets for new, old in zip(spelt, examples, strict=True))
    if changed:
        said.append(f"Spelt the labels of {counted(changed, 'row')} as the run does.")
    if origin.redacted and (private := masked_outputs(spelt)):
        outputs = counted(private.count, "output")
        said.append(
            f"{outputs} with personal data cannot be right in full: the run masked them (--redact), so that its "
            "solution answers [EMAIL] and the like."
        )
    return spelt, said


def _own_groups(column: str, file: ExampleFile) -> tuple[str, list[str]]:
    """The run's `column` that groups rows, empty where there is none or the file lacks it, and that in a sentence."""
    if not column:
        return "", []
    if plain(column) in map(plain, file.columns):
        return column, [f'Grouped the rows by "{column}", as the run did.']
    return "", [
        f"{quoted([column])} is missing, by which the run grouped its rows: where rows belong together all the same, "
        "the range of their quality is too narrow; --group-by names another column."
    ]


def _own_columns(run: Path, table: Table) -> Sequence[str]:
    """The input columns of the run; none where it read one only, and that is not there: another may do as well.

    Raises RequestError where one of several is missing, since inputs without it would not be what was learnt from.
    """
    own = _columns_of(run)
    missing = [name for name in own if plain(name) not in map(plain, table.columns)]
    if missing and len(own) > 1:
        columns, them = ("column", "it") if len(missing) == 1 else ("columns", "them")
        raise RequestError(
            f"{table.name} has no {columns} {quoted(missing)}, and the run read {quoted(own)} as the input: add "
            f"{them}, or name other columns with --input-columns."
        )
    return [] if missing else own


def _columns_of(run: Path) -> list[str]:
    """As its solution says, or its report."""
    reported: list[str] = _report_of(run).get("data", {}).get("input_columns", [])
    return list(_origin_of(run).input_columns) or reported


def _origin_of(run: Path) -> Origin:
    """What its solution comes from; nothing where it keeps none."""
    with suppress(RequestError):
        return read_origin(find_solution(run))
    return Origin()


def _labels_of(run: Path) -> list[str]:
    """As its report says; none where there is no report, or answers are no labels."""
    labels: list[str] = _report_of(run).get("task", {}).get("labels") or []
    return labels


def evaluate_kept(
    run: Path,
    examples: Sequence[Example],
    *,
    everything: bool,
    metric: str | None,
    device: str,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Score the kept solution, or all of them, on labelled rows. The run's metric unless another is named."""
    if not examples:
        raise RequestError("--examples: there is no usable row to evaluate on.")
    measure = get_metric(metric or _metric_of(run))
    shelf, labels = ModelShelf(device), _labels_of(run)
    found = []
    for name, folder in kept_solutions(run, everything=everything):
        solution = load_solution(folder, shelf)
        answered = partial(progress.phase, name, "answering")
        solution.predict([examples[0].input])  # what is done once is not counted in the time of queries
        result = steady(solution, evaluate(solution, examples, measure, on_progress=answered))
        found.append({**_scores(name, result, solution, labels), **_unseen(result, read_origin(folder))})
        progress.finished(name, "ok")
    return found


def _unseen(evaluation: Evaluation, origin: Origin) -> dict[str, Any]:
    """How many of the rows the solution has learnt from, and its quality on the others where there are both.

    None where that was not noted of the solution.
    """
    if not origin.learnt_from:
        return {"learnt_from": None, "unseen": None}

    def is_known(text: str) -> bool:
        return fingerprint(mask(text) if origin.redacted else text) in origin.learnt_from

    scored = [o for o in evaluation.outcomes if o.score is not None]
    others = [o for o in scored if not is_known(o.example.input)]
    known = len(scored) - len(others)
    rows = scored_rows(others) if known else []
    return {"learnt_from": known, "unseen": _quality(get_metric(evaluation.metric), rows) if rows else None}


def _quality(metric: Metric, rows: Sequence[ScoredRow]) -> dict[str, Any]:
    return {
        "metric": metric.name,
        "value": metric.aggregate(rows),
        "ci95": list(interval(metric, rows, seed=0)),
        "n": len(rows),
    }


def _scores(name: str, evaluation: Evaluation, solution: Solution, labels: Collection[str]) -> dict[str, Any]:
    metric = get_metric(evaluation.metric)
    rows = scored_rows(evaluation.outcomes)
    if not rows:
        raise RequestError(
            f"{name}: no row got an answer ({evaluation.outcomes[-1].problem}); mend that, and run it again."
        )
    n = max(1, len(evaluation.outcomes))
    return {
        "name": name,
        "quality": _quality(metric, rows),
        "secondary": {**evaluation.secondary, **steps_off(evaluation, labels)},
        "latency": _latency(solution, evaluation),
        "tokens": {"input": evaluation.usage.input_tokens / n, "output": evaluation.usage.output_tokens / n},
        "errors": sum(1 for o in evaluation.outcomes if o.prediction.error is not None),
    }


def _latency(solution: Solution, evaluation: Evaluation) -> dict[str, Any] | None:
    """None where a server that answered the rows has ceased to."""
    with uncached(*([solution.model] if isinstance(solution, Pipeline) else [])):
        try:
            timed = measure_latency(solution, typical_first(evaluation.outcomes), max_seconds=LATENCY_SECONDS)
        except InfrastructureError:
            return None
    return {
        "p50_ms": timed.p50 * 1000,
        "p95_ms": timed.p95 * 1000,
        "p99_ms": timed.p99 * 1000 if timed.p99 is not None else None,
        "n": timed.n,
        "repeated": timed.repeated,
        "throughput_qps": evaluation.throughput,
        "rows_a_call": evaluation.rows_a_call,
    }


def kept_solutions(run: Path, *, everything: bool) -> list[tuple[str, Path]]:
    """Names and folders of what a run kept. Raises RequestError where that is nothing."""
    report = _report_of(run)
    if everything:
        folders = sorted(p for p in (run / SOLUTIONS).glob("*") if p.is_dir())
        if not folders:
            raise RequestError(f"{run} keeps no solutions besides the recommended one: compare with --keep all.")
        names = {p.name: p for p in folders}
        order = [s["name"] for s in report.get("strategies", []) if s["name"] in names]
        return [(name, names[name]) for name in [*order, *(n for n in names if n not in order)]]
    folder = find_solution(run)
    name = folder.resolve().name
    picked = report.get("recommendation", {}).get("strategy") if name == SOLUTION else None
    return [(picked or name, folder)]


def _report_of(run: Path) -> dict[str, Any]:
    """The report of the run that a folder is, or is part of; empty where there is none."""
    whole = run.resolve()
    for folder in (whole, *whole.parents[:3]):
        with suppress(OSError, ValueError):
            report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
            if isinstance(report, dict) and report.get("task"):
                return report
    return {}


def _metric_of(run: Path) -> str:
    task = _report_of(run).get("task")
    if task:
        return str(task["metric"])
    raise RequestError(f"{run} has no report that says how it was measured: name one with --metric.")


def predict_lines(run: Path, inputs: Sequence[str | None], device: str) -> Iterator[dict[str, Any]]:
    """Answers of a run's kept solution, as `answers` gives them."""
    yield from answers(load_solution(find_solution(run), ModelShelf(device)), inputs)


def answers(solution: Solution, inputs: Sequence[str | None]) -> Iterator[dict[str, Any]]:
    """A solution's answers as plain values, in order, as many at once as when throughput was measured.

    An input that is empty is not asked, nor that of a row that could not be read (None).
    """
    found = _answered(solution, [text for text in inputs if text])
    for text in inputs:
        error = "the row cannot be read" if text is None else "the input is empty"
        yield next(found) if text else {"input": "", "output": "", "error": error}


def _answered(solution: Solution, inputs: Sequence[str]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(inputs), CHUNK):
        chunk = inputs[start : start + CHUNK]
        for text, answer in zip(chunk, solution.predict(chunk), strict=True):
            line: dict[str, Any] = {"input": text, "output": answer.text}
            if answer.confidence is not None:
                line["confidence"] = round(answer.confidence, 6)
            if answer.sources:
                line["sources"] = list(answer.sources)
            line["usage"] = asdict(answer.usage)
            if answer.error is not None:
                line["error"] = answer.error
            yield line


def refresh_kept(run: Path, documents: Sequence[Document], device: str, *, redact: bool = False) -> Path:
    """Let a kept solution look into these documents instead of those it has; prompt, adapter and settings stay.

    They are masked with `redact`, and where the run's were. Returns its folder, which holds the old solution until the
    new one is written. Raises RequestError where the solution looks into no documents, or these hold no text.
    """
    folder = find_solution(run).resolve()
    solution = load_solution(folder, ModelShelf(device))
    if not isinstance(solution, Refreshable):
        raise RequestError(f"{folder}: this solution looks into no documents; there is nothing to refresh.")
    origin = replace(read_origin(folder), input_columns=tuple(_columns_of(run)))
    fresh = solution.with_documents(mask_documents(documents) if redact or origin.redacted else documents)
    try:
        with whole(folder) as scratch:
            fresh.save(scratch)
            if origin != Origin():
                note_origin(scratch, origin)
    except OSError as error:
        raise RequestError(f"{folder} cannot be written ({error.strerror}).") from error
    return folder


def audited_documents(
    run: Path, documents: Sequence[Document], *, redact: bool = False, accept: Collection[str] = ()
) -> list[str]:
    """What the audit finds in documents that a kept solution is to look into, in sentences.

    Whether they give away examples is not among it: those are no longer at hand. Raises RequestError where a hosted
    model would be sent what the client has not said may leave the machine.
    """
    folder = find_solution(run)
    redact = redact or read_origin(folder).redacted
    personal = personal_data((), documents, redact=redact)
    found = [duplicate_documents(documents), *personal, *prompt_injection((), documents)]
    findings = [finding for finding in found if finding is not None]
    model = read_manifest(folder).get("language_model") or {}
    refuse_to_send([model.get("name", "")], findings, redact=redact, accept=accept)
    return _said(findings)


def quotes_documents(folder: Path) -> bool:
    """Whether the prompt of a solution that looks into documents has examples, which show what was found for them."""
    prompt = folder / "prompt.json"
    return prompt.is_file() and bool(json.loads(prompt.read_text(encoding="utf-8"))["demonstrations"])


def count_labels(folder: Path) -> int:
    """How many labels a solution chooses its answers among, whatever it looks into; 0 where answers are none."""
    return len(read_manifest(folder).get("answers", {}).get("labels", ()))


def inputs_of(run: Path, path: str, input_columns: Sequence[str] = ()) -> tuple[list[str | None], list[str]]:
    """The input of each line of a .txt, or row of a table (None where it cannot be read), and how they were read.

    Of a table, by default, the run's input columns.
    """
    if path.lower().endswith(".txt"):
        decoded = read_text(readable_file(path))
        lines = decoded.text.rstrip().split("\n")
        return [clean(line) for line in lines], [*_said(assumed(path, decoded)), "Read each line as an input."]
    table = read_table(path)
    inputs, sentence = map_inputs(table, input_columns or _own_columns(run, table))
    # empty rows are not ignored here: each has an answer, which says so
    found = [finding for finding in table.findings if not (table.blank and finding.code == "empty_input")]
    return inputs, [*_said(found), sentence]


def _said(findings: Sequence[Finding]) -> list[str]:
    return [mask_finding(finding).said for finding in findings]
