"""The command line. It translates: options to a request, errors to a sentence and an exit status."""

from __future__ import annotations

import json
import os
import shlex
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advisor.flags import flag_of
from eval.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from advisor.report.schema import Report

compare_on: Callable[..., tuple[Report, Path]] | None = None
"""Carries out a request on a server; set by `api.cli`, since nothing here knows of HTTP."""
OWN_FILES = ("report.html", "report.md", "report.json", "predictions.parquet", "plan.json", "run.log")
"""Of a run folder, which no other command writes over, nor anything in the folders there."""
UNUSABLE, NONE_FEASIBLE, INTERRUPTED = 2, 3, 130
RESUMES = "interrupted. Finished strategies are kept: the same command resumes with --output {}."
ON_THE_WAY = ("server", "dry_run", "json")
"""Options of `compare` that say how it is carried out: no part of the request, but they may be in its file."""

app = typer.Typer(
    help="Prompt, retrieval or fine-tuning? Advisor answers by experiment, on your examples.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
models_app = typer.Typer(help="Base models that are known, and fetched.", rich_markup_mode=None)
app.add_typer(models_app, name="models")


class Interrupted(Exception):
    """The user stopped what can be taken up again; the sentence says how."""


def main() -> None:
    """Run the command line; every error a user can cause is one sentence on standard error."""
    quieten_libraries()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal cannot show is no reason to end
    stopped = "interrupted."
    try:
        status = app(standalone_mode=False)
    except Interrupted as error:
        status, stopped = INTERRUPTED, str(error)
    except RequestError as error:
        print(f"advisor: {error}", file=sys.stderr)
        status = UNUSABLE
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            sys.exit(0)
        print(f"advisor: {error.format_message()}", file=sys.stderr)  # typer's own: an unknown flag, a wrong type
        status = UNUSABLE
    if status == INTERRUPTED:
        print(f"\nadvisor: {stopped}", file=sys.stderr)
    sys.exit(status)


def _json(values: Any, indent: int | None = None) -> str:
    """JSON for standard output, whatever its encoding."""
    return json.dumps(values, ensure_ascii=(sys.stdout.encoding or "").lower() != "utf-8", indent=indent)


def quieten_libraries() -> None:
    """No network, no telemetry, no chatter of libraries; what the user has set stays."""
    defaults = {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "TQDM_DISABLE": "1",
    }
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


@app.command()
def compare(
    examples_file: Annotated[str | None, typer.Argument(metavar="[EXAMPLES]", help="Same as --examples.")] = None,
    documents_path: Annotated[str | None, typer.Argument(metavar="[DOCUMENTS]", help="Same as --documents.")] = None,
    task: Annotated[str | None, typer.Option(help="One sentence, or a JSON/YAML file with a description.")] = None,
    examples: Annotated[
        str | None, typer.Option(help="Labelled rows: JSONL, JSON, CSV/TSV, Parquet, XLSX, hf:ORG/NAME:SPLIT.")
    ] = None,
    documents: Annotated[
        str | None, typer.Option(help="A table of documents, or a folder of txt, md, html, pdf, docx.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Base model, or openai:NAME for a hosted one; repeat to compare several.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="URL of the server of hosted models, such as http://127.0.0.1:8000/v1.")
    ] = None,
    max_spend: Annotated[float | None, typer.Option(help="USD that hosted models may cost in all.")] = None,
    embedder: Annotated[str | None, typer.Option(help="Embedding model.")] = None,
    strategies: Annotated[str | None, typer.Option(help="Names with commas; all that apply by default.")] = None,
    input_columns: Annotated[str | None, typer.Option(help="Columns that make the input, with commas.")] = None,
    output_column: Annotated[str | None, typer.Option(help="Column of the output.")] = None,
    test: Annotated[str | None, typer.Option(help="Your own test set, never learnt from.")] = None,
    group_by: Annotated[
        str | None, typer.Option(help="Column; rows that share its value stay together, in training or in test.")
    ] = None,
    time_column: Annotated[str | None, typer.Option(help="Column of dates; the latest rows are tested on.")] = None,
    incumbent: Annotated[
        str | None, typer.Option(help="Outputs of the system in use today, scored as one more strategy.")
    ] = None,
    accept: Annotated[
        str | None, typer.Option(help="Codes of findings, with commas, for which the data stay as they are.")
    ] = None,
    redact: Annotated[
        bool | None, typer.Option("--redact", help="Mask personal data before anything else sees them.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Run folder; a new one by default.")] = None,
    time_budget: Annotated[float | None, typer.Option(help="Seconds from start to report. [default: 1800]")] = None,
    seed: Annotated[int | None, typer.Option(help="[default: 0]")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Points of quality not worth paying for. [default: 1]")
    ] = None,
    volume: Annotated[int | None, typer.Option(help="Queries a month. [default: 10000]")] = None,
    hosting: Annotated[
        str | None, typer.Option(help="scale-to-zero, always-on or per-token. [default: scale-to-zero]")
    ] = None,
    min_replicas: Annotated[int | None, typer.Option(help="Machines always on, at the least. [default: 1]")] = None,
    peak_qps: Annotated[
        float | None, typer.Option(help="Queries a second at the busiest time. [default: 10 times the mean]")
    ] = None,
    min_quality: Annotated[float | None, typer.Option(help="Lowest acceptable quality, 0 to 1.")] = None,
    max_cost_per_1k: Annotated[float | None, typer.Option("--max-cost-per-1k", help="USD per 1,000 queries.")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="p95 of one query at a time.")] = None,
    min_recall: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=RATE", help="Least share of a label's rows to be found, 0 to 1; repeatable."),
    ] = None,
    error_cost: Annotated[
        str | None,
        typer.Option(
            metavar="USD|FILE",
            help="What a wrong answer costs, or a file of what each costs (docs/economics.md): "
            "the pick is then the lowest total cost.",
        ),
    ] = None,
    prices: Annotated[str | None, typer.Option(help="YAML file of prices (docs/economics.md).")] = None,
    keep: Annotated[str | None, typer.Option(help="winner or all. [default: winner]")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda. [default: auto]")] = None,
    config: Annotated[
        Path | None, typer.Option("-c", "--config", help="Options of the comparison, from a YAML file.")
    ] = None,
    server: Annotated[
        str | None, typer.Option(help="URL of a service that does the work; its key is in $ADVISOR_KEY.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and its estimated time, then stop.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Report to standard output, progress to standard error.")
    ] = False,
) -> None:
    """Compare strategies on your examples, recommend one, and keep it."""
    given = dict(locals())  # the parameters, by their names
    from advisor.request import CompareRequest

    options = {name: value for name, value in given.items() if name in CompareRequest.model_fields}
    options["examples"] = _one_of(examples, examples_file, "--examples")
    options["documents"] = _one_of(documents, documents_path, "--documents")
    how = {"server": server, "dry_run": dry_run or None, "json": as_json or None}
    asked = _with_config(_given({**options, **how}), config)
    server, dry_run, as_json = _on_the_way(asked)
    request = {name: value for name, value in asked.items() if name not in ON_THE_WAY}
    _run(request, server=server, dry_run=dry_run, as_json=as_json)


def _on_the_way(asked: Mapping[str, Any]) -> tuple[str | None, bool, bool]:
    """The values of `ON_THE_WAY`, which a file may give as anything."""
    server, *switches = (asked.get(name) for name in ON_THE_WAY)
    if server is not None and not isinstance(server, str):
        raise RequestError(f"--server: {server!r} is no address of a service, such as http://127.0.0.1:8000.")
    for name, value in zip(ON_THE_WAY[1:], switches, strict=True):
        if value is not None and not isinstance(value, bool):
            raise RequestError(f"{flag_of(name)}: in a file it is true or false (given: {value!r}).")
    return server, bool(switches[0]), bool(switches[1])


def _one_of(named: str | None, placed: str | None, flag: str) -> str | None:
    if named and placed:
        raise RequestError(f"{flag} {named} and the argument {placed} say the same thing: give one of them.")
    return named or placed


def _names(value: str | None) -> list[str]:
    return [name.strip() for name in (value or "").split(",") if name.strip()]


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that were left out, which are an empty list where an option may come several times."""
    return {name: value for name, value in options.items() if value not in (None, [])}


def _with_config(given: dict[str, Any], config: Path | None) -> dict[str, Any]:
    """Options from the file, overruled by those on the command line."""
    if config is None:
        return given
    import yaml

    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RequestError(f"-c: the file {config} does not exist: check the path.") from error
    except OSError as error:
        raise RequestError(f"-c: the file {config} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise RequestError(f"-c: the file {config} cannot be read as YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(values, dict):
        raise RequestError(f"-c: {config} must hold options as `name: value` lines.")
    return {**{str(name).replace("-", "_"): value for name, value in values.items()}, **given}


def _run(options: dict[str, Any], *, server: str | None = None, dry_run: bool = False, as_json: bool = False) -> None:
    from advisor.request import make_request

    if not options.get("task"):
        options["task"] = _ask_for_task()
    if not options.get("examples"):
        raise RequestError("--examples is missing: name a file of labelled rows.")
    request = make_request(**options)
    _say_unused(options, request.hosting, request.model)

    from rich.console import Console

    from advisor.live import LiveProgress

    console = Console(stderr=as_json)
    if dry_run:
        if server is not None:
            raise RequestError("--dry-run: a plan is made on this machine alone; ask the server without it.")
        _dry_run(request, console, as_json=as_json)
        return
    with LiveProgress(console) as progress:
        if server is None:
            from advisor.comparison import run
            from advisor.runs import default_output

            place = request.output or default_output()
            try:
                report, kept = run(request.model_copy(update={"output": place}), progress)
            except KeyboardInterrupt as stopped:
                raise Interrupted(RESUMES.format(shlex.quote(str(place)))) from stopped
            folder = kept.path
        elif compare_on is None:
            raise RequestError("--server: the package `api` is not installed here.")
        else:
            report, folder = compare_on(server, request, progress)
    _show(report, folder, console, as_json=as_json)
    _exit_without(report.recommendation.strategy)


def _exit_without(strategy: str | None) -> None:
    """Tell by the exit status that no strategy meets the limits, too little evidence or not."""
    if strategy is None:
        raise typer.Exit(NONE_FEASIBLE)


def _spare_own_files(run: Path, file: Path | None, flag: str) -> None:
    """Raise RequestError where what is to be written would lie among what the run keeps."""
    if file is None:
        return
    home, place = run.resolve(), file.resolve()
    if home not in place.parents:
        return
    is_top = place.parent == home and not (home / "solution.json").exists()
    if not is_top or place.name in OWN_FILES:
        raise RequestError(f"{flag}: {file} is the run's own file, which stays as it is: name another.")


def _refuse_unwritable(file: Path, flag: str) -> None:
    """Raise RequestError where a file cannot be written: better now than when the work is done."""
    home, why = file.absolute().parent, ""
    if not home.is_dir():
        why = f"there is no folder {home}"
    elif file.is_dir():
        why = "it is a folder"
    elif not os.access(file if file.exists() else home, os.W_OK):
        why = "permission denied"
    if why:
        raise RequestError(f"{flag}: {file} cannot be written ({why}): name another.")


def _say_unused(options: Mapping[str, Any], hosting: str, models: Sequence[str] | None = None) -> None:
    """Options that change nothing: of machines that are always on, or of hosted models, where there is none."""
    from advisor.economics import is_hosted

    idle = {"--hosting always-on": ("min_replicas", "peak_qps")} if hosting != "always-on" else {}
    if models is not None and not any(map(is_hosted, models)):
        idle["a hosted model (--model openai:NAME)"] = ("endpoint", "max_spend")
    for needed, names in idle.items():
        given = [flag_of(name) for name in names if options.get(name) is not None]
        if given:
            typer.echo(f"advisor: {' and '.join(given)} count{'s' * (len(given) == 1)} with {needed} only.", err=True)


def _ask_for_task() -> str:
    if not sys.stdin.isatty():
        raise RequestError("--task is missing: say in one sentence what the model is asked to do.")
    return str(typer.prompt("What should the model do, in one sentence?"))


def _dry_run(request: Any, console: Any, *, as_json: bool) -> None:
    """Everything up to the first strategy."""
    import time

    from advisor.comparison import check, forecast, prepare
    from advisor.data import read_data
    from advisor.live import LiveProgress, print_plan
    from advisor.models import prices_of, shelf_of

    with LiveProgress(console) as progress:
        started, data, prices = time.monotonic(), read_data(request), prices_of(request)
        shelf = shelf_of(request, prices)
        check(request, data, shelf, prices)
        comparison = prepare(request, data, started, progress, shelf, prices=prices)
    if as_json:
        print(_json(forecast(comparison), indent=1))
    else:
        print_plan(comparison, console)


def _show(report: Report, folder: Path, console: Any, *, as_json: bool) -> None:
    from advisor.artefact import how_to_use
    from advisor.report.terminal import print_report
    from advisor.runs import RunFolder

    if as_json:
        print(_json(json.loads(report.model_dump_json()), indent=1))  # which has null for what is no number
        return
    paths = {
        "Report to read": str(folder / "report.html"),
        "Same as text": str(folder / "report.md"),
        "Same as data": str(folder / "report.json"),
    }
    if (folder / "predictions.parquet").exists():
        paths["Every answer"] = str(folder / "predictions.parquet")
    if report.artefact:
        paths["Kept solution"] = str(folder / report.artefact.path)
        # the report's own command is that of the service's readers where a service wrote it
        paths["Try it"] = how_to_use(folder / report.artefact.path, RunFolder(folder))
    print_report(report, console, paths)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN_OR_SOLUTION")],
    examples: Annotated[str, typer.Option(help="Labelled rows, as for compare.")],
    everything: Annotated[bool, typer.Option("--all", help="All solutions kept with --keep all.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to a file.")] = None,
    metric: Annotated[str | None, typer.Option(help="Another metric than the run's.")] = None,
    input_columns: Annotated[str | None, typer.Option(help="The run's own by default.")] = None,
    output_column: Annotated[str | None, typer.Option(help="As for compare.")] = None,
    group_by: Annotated[str | None, typer.Option(help="As for compare; the run's own by default.")] = None,
    device: Annotated[str, typer.Option()] = "auto",
) -> None:
    """Score kept solutions on further labelled data."""
    from rich.console import Console

    from advisor.further import evaluate_kept, labelled
    from advisor.live import LiveProgress, print_scores

    _spare_own_files(run, json_file, "--json")
    if json_file is not None:
        _refuse_unwritable(json_file, "--json")
    rows, said = labelled(run, examples, _names(input_columns), output_column, group_by)
    console = Console(stderr=True)
    for sentence in said:
        typer.echo(sentence, err=True)
    with LiveProgress(console) as progress:
        scores = evaluate_kept(
            run, rows[:limit], everything=everything, metric=metric, device=device, progress=progress
        )
    print_scores(scores, Console())
    if json_file is not None:
        try:
            json_file.write_text(json.dumps({"strategies": scores}, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise RequestError(f"--json: {json_file} cannot be written ({error.strerror}).") from error


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN_OR_SOLUTION")],
    text: Annotated[str | None, typer.Option("--input", help="One text.")] = None,
    file: Annotated[
        str | None, typer.Option("--file", help="A text file with one input a line, or a table with an input column.")
    ] = None,
    input_columns: Annotated[str | None, typer.Option(help="Of the table; the run's own by default.")] = None,
    device: Annotated[str, typer.Option()] = "auto",
) -> None:
    """Answer with the kept solution; one JSON object a line."""
    from advisor.further import inputs_of, predict_lines
    from eval.reading.text import clean

    if (text is None) == (file is None):
        raise RequestError("Give either --input TEXT or --file FILE.")
    inputs: list[str | None] = [clean(text)] if text is not None else []
    if file is not None:
        inputs, said = inputs_of(run, file, _names(input_columns))
        for sentence in said:
            typer.echo(sentence, err=True)
    for line in predict_lines(run, inputs, device):
        print(_json(line), flush=True)


@app.command()
def refresh(
    run: Annotated[Path, typer.Argument(metavar="RUN_OR_SOLUTION")],
    documents: Annotated[str, typer.Option(help="The documents as they are now, as for compare.")],
    device: Annotated[str, typer.Option()] = "auto",
    accept: Annotated[str | None, typer.Option(help="As for compare.")] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="As for compare; they are masked anyway where the run's were.")
    ] = False,
) -> None:
    """Let a kept solution look into changed documents. Nothing is fitted again, and nothing measured."""
    from advisor.further import audited_documents, count_labels, quotes_documents, refresh_kept
    from advisor.report.wording import count
    from eval.reading.documents import read_documents

    found = read_documents(documents)
    audited = audited_documents(run, found.documents, redact=redact, accept=_names(accept))
    for sentence in (*(finding.message for finding in found.findings), *audited):
        typer.echo(sentence, err=True)
    folder = refresh_kept(run, found.documents, device, redact=redact)
    looked_into = count(len(found.documents), "document")
    typer.echo(f"{folder} now looks into {looked_into}. The report speaks of those of then.")
    if quotes_documents(folder):
        typer.echo("Examples in its prompt still quote the documents of then, and go to the model with every query.")
    if labels := count_labels(folder):
        typer.echo(
            f"Answers stay among {count(labels, 'label')}, whatever the documents say. Where they are to say something "
            'new, compare again with "kind": "qa" in the task file.'
        )


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN")],
    volume: Annotated[int | None, typer.Option(help="Queries a month.")] = None,
    hosting: Annotated[str | None, typer.Option(help="scale-to-zero, always-on or per-token.")] = None,
    min_replicas: Annotated[int | None, typer.Option(help="As for compare.")] = None,
    peak_qps: Annotated[float | None, typer.Option(help="As for compare.")] = None,
    prices: Annotated[str | None, typer.Option(help="As for compare.")] = None,
    tolerance: Annotated[float | None, typer.Option(help="As for compare.")] = None,
    min_quality: Annotated[float | None, typer.Option(help="As for compare.")] = None,
    max_cost_per_1k: Annotated[float | None, typer.Option("--max-cost-per-1k", help="As for compare.")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="As for compare.")] = None,
    min_recall: Annotated[list[str] | None, typer.Option(metavar="LABEL=RATE", help="As for compare.")] = None,
    error_cost: Annotated[
        str | None, typer.Option(metavar="USD|FILE|none", help="As for compare; none leaves the run's out.")
    ] = None,
    form: Annotated[str | None, typer.Option("--format", help="html, md, json or docx; a summary by default.")] = None,
    output: Annotated[Path | None, typer.Option(help="File to write; standard output by default.")] = None,
) -> None:
    """Decide again from what a finished run measured, with other prices, volumes or limits. No model is loaded."""
    given = dict(locals())  # the parameters, by their names
    from advisor.report.forms import form_of, rendered, written

    form = form_of(form, output)
    if form == "docx" and output is None and sys.stdout.isatty():
        raise RequestError("--format docx: name the file with --output report.docx.")
    _spare_own_files(run, output, "--output")

    from advisor.economics import not_given, read_prices
    from advisor.error_costs import read_error_cost
    from advisor.recompute import report_again
    from advisor.request import Options
    from advisor.settings import prices_in

    changes = _given({name: value for name, value in given.items() if name in Options.model_fields})
    if error_cost is not None:
        changes["error_cost"] = None if error_cost == "none" else read_error_cost(error_cost)
    again = report_again(run, prices=read_prices(prices) if prices else None, **changes)
    _say_unused(changes, again.settings.hosting)
    models = sorted({result.model for result in again.strategies if result.model})
    for sentence in not_given(prices_in(again.settings), models):
        typer.echo(f"advisor: {sentence}", err=True)
    if output is not None and form is not None:
        written(again, output, form)
    elif form is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(rendered(again, form))
    else:
        from rich.console import Console

        from advisor.report.terminal import print_report

        print_report(again, Console(), {})
    _exit_without(again.recommendation.strategy)


@app.command()
def audit(
    examples: Annotated[str, typer.Option(help="Labelled rows, as for compare.")],
    task: Annotated[str, typer.Option(help="One sentence, or a JSON/YAML file.")] = "Answer as the examples do.",
    documents: Annotated[str | None, typer.Option()] = None,
    input_columns: Annotated[str | None, typer.Option()] = None,
    output_column: Annotated[str | None, typer.Option()] = None,
    accept: Annotated[str | None, typer.Option(help="As for compare.")] = None,
    redact: Annotated[bool, typer.Option("--redact", help="As for compare.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help='Print {"findings": [...]}.')] = False,
) -> None:
    """Only the audit of the data. No language model is loaded, and nothing is written."""
    from advisor.auditing import audit_only
    from advisor.request import make_request

    request = make_request(
        task=task,
        examples=examples,
        documents=documents,
        input_columns=input_columns,
        output_column=output_column,
        accept=accept,
        redact=redact,
    )
    findings = audit_only(request)
    if as_json:
        print(_json({"findings": [finding.to_json() for finding in findings]}, indent=1))
        return
    from rich.console import Console

    from advisor.live import print_findings

    print_findings(findings, Console())


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """Base models that are known, and fetched."""
    if context.invoked_subcommand is None:
        list_models()


@models_app.command("list")
def list_models() -> None:
    """The models that are known by name, and whether they are on this machine."""
    from strategies.models.catalogue import CATALOGUE, is_fetched

    for model in CATALOGUE.values():
        there = "fetched" if is_fetched(model.name) else f"not fetched: advisor models pull {model.name}"
        print(f"{model.name:24}{model.role.replace('_', ' '):16}{model.licence:12}{model.title}  [{there}]")
    print("Any Hugging Face id (ORG/NAME) or local folder with safetensors weights can be named too.")


@models_app.command("pull")
def pull_model(names: Annotated[list[str] | None, typer.Argument(metavar="NAME")] = None) -> None:
    """Fetch models over the network, by default both default models."""
    os.environ["HF_HUB_OFFLINE"] = "0"
    from strategies.models.catalogue import CATALOGUE, pull

    for name in names or list(CATALOGUE):
        pull(name)


@app.command()
def demo(
    output: Annotated[Path | None, typer.Option(help="Run folder; a new one by default.")] = None,
    time_budget: Annotated[float, typer.Option(help="Seconds from start to report.")] = 270,
) -> None:
    """The main job on the bundled sample: an invented utility's help desk."""
    sample = Path(__file__).parent / "sample"
    _run(
        {
            "task": str(sample / "task.json"),
            "examples": str(sample / "examples.jsonl"),
            "documents": str(sample / "documents"),
            "time_budget": time_budget,
            **({"output": output} if output else {}),
        }
    )


if __name__ == "__main__":
    main()
