"""The command line as a client meets it: in a process of its own."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import advisor
from advisor import cli
from advisor.request import make_request
from strategies.baselines import Constant

SOURCE = Path(advisor.__file__).parents[1]
SOON = 15.0
"""Seconds within which a refusal must come even on a busy machine."""

pytestmark = pytest.mark.filterwarnings("ignore")


def run(
    arguments: Sequence[str], folder: Path, *, inject: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """`advisor ARGUMENTS` in `folder`, without a terminal and without the machine's models."""
    variables = {
        **os.environ, "PYTHONPATH": str(SOURCE), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200",
        "HF_HOME": str(folder / "empty"), "ADVISOR_CACHE": str(folder / "empty"), **environment,
    }  # fmt: skip
    start = ["-c", f"import sys\n{inject}\nfrom advisor.cli import main\nmain()"] if inject else ["-m", "advisor.cli"]
    return subprocess.run(
        [sys.executable, *start, *arguments],
        cwd=folder, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one good file of examples and every kind of bad one. Nothing is written into it."""
    folder = tmp_path_factory.mktemp("desk")
    rows = [
        (f"my {'invoice' if i % 2 else 'parcel'} number {i}", "billing" if i % 2 else "delivery") for i in range(60)
    ]
    header = ("text", "label")
    write_csv(folder / "good.csv", header, rows)
    write_csv(folder / "few.csv", header, rows[:7])
    further = [(*row, "on a Tuesday" if i == 4 else "2024-05-01", "2024-05-01", "one") for i, row in enumerate(rows)]
    write_csv(folder / "further.csv", (*header, "written", "day", "customer"), further)
    write_csv(folder / "one_label.csv", header, [(text, "billing") for text, _ in rows])
    write_csv(folder / "no_outputs.csv", header, [(text, "") for text, _ in rows])
    write_csv(folder / "columns.csv", ("foo", "bar"), rows)
    write_csv(folder / "faq.csv", ("text",), [(f"{text}: {label}",) for text, label in rows])
    (folder / "empty.csv").touch()
    (folder / "binary.csv").write_bytes(bytes(range(256)) * 40)
    (folder / "binary.jsonl").write_bytes(bytes(range(256)) * 40)
    (folder / "broken.json").write_text('[{"input": "a", "output": ')
    (folder / "metric.json").write_text('{"description": "Sort.", "metric": "bleurgh"}')
    (folder / "kind.yaml").write_text("description: Sort.\nkind: magic\n")
    (folder / "vague.json").write_text('{"name": "x"}')
    (folder / "prices.yaml").write_text("machine: x\n")
    (folder / "list.yaml").write_text("- a\n")
    (folder / "odd.yaml").write_text("colour: red\n")
    (folder / "switch.yaml").write_text("dry_run: 5\n")
    (folder / "server.yaml").write_text("server: 5\n")
    (folder / "full").mkdir()
    (folder / "full" / "thesis.docx").touch()
    (folder / "other_run").mkdir()
    (folder / "other_run" / "plan.json").write_text('{"fingerprint": "of another request"}')
    (folder / "documents").mkdir()
    (folder / "documents" / "scan.bin").write_bytes(b"\0\1\2")
    Constant("delivery").save(folder / "solution")
    return folder


def only_sentence(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that a refusal is."""
    assert result.returncode == 2, result.stderr
    lines = result.stderr.splitlines()
    assert "Traceback" not in result.stderr
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("advisor: ")
    return lines[0]


GOOD = ("compare", "--task", "Sort the tickets.", "--examples", "good.csv", "--output", "new")


def with_examples(name: str) -> tuple[str, ...]:
    return ("compare", "--task", "Sort the tickets.", "--examples", name, "--output", "new")


REFUSED = {
    "missing file": (with_examples("nowhere.csv"), "nowhere.csv does not exist"),
    "folder for a file": (with_examples("documents"), "is a folder"),
    "binary csv": (with_examples("binary.csv"), "binary.csv is not a text file"),
    "binary jsonl": (with_examples("binary.jsonl"), "binary.jsonl is not a text file"),
    "broken json": (with_examples("broken.json"), "broken.json"),
    "no known columns": (with_examples("columns.csv"), "--input-columns and --output-column"),
    "column not there": ((*GOOD, "--output-column", "nope"), 'has the columns "text" and "label"'),
    "empty file": (with_examples("empty.csv"), "empty.csv is empty"),
    "too few examples": (with_examples("few.csv"), "at least 20 are needed"),
    "one label": (with_examples("one_label.csv"), "same label"),
    "all outputs empty": (with_examples("no_outputs.csv"), 'Every output in column "label"'),
    "missing documents": ((*GOOD, "--documents", "nowhere"), "nowhere does not exist"),
    "documents without text": ((*GOOD, "--documents", "documents"), "No text was found"),
    "missing test": ((*GOOD, "--test", "nowhere.csv"), "nowhere.csv does not exist"),
    "test is examples": ((*GOOD, "--test", "good.csv"), "--test names the same file"),
    "unknown strategy": ((*GOOD, "--strategies", "majority,magic"), "known are majority, copy_input"),
    "strategies without what they read": (
        (*GOOD, "--strategies", "rag,lora_rag"),
        "there is nothing to compare, for rag needs documents (--documents) and lora_rag needs documents",
    ),
    "documents that give all away": (
        (*GOOD, "--documents", "faq.csv", "--strategies", "rag"), "rag needs documents (all documents were left out,"
    ),
    "unknown metric": (("compare", "--task", "metric.json", *GOOD[3:]), "choose one of accuracy"),
    "unknown kind": (("compare", "--task", "kind.yaml", *GOOD[3:]), "choose one of classification"),
    "task without description": (("compare", "--task", "vague.json", *GOOD[3:]), "no description"),
    "missing task file": (("compare", "--task", "nowhere.yaml", *GOOD[3:]), "nowhere.yaml does not exist"),
    "no task": (("compare", "--examples", "good.csv"), "--task is missing"),
    "no examples": (("compare", "--task", "Sort."), "--examples is missing"),
    "min quality 2": ((*GOOD, "--min-quality", "2"), "--min-quality"),
    "latency 0": ((*GOOD, "--max-latency-ms", "0"), "--max-latency-ms"),
    "cost -1": ((*GOOD, "--max-cost-per-1k", "-1"), "--max-cost-per-1k"),
    "budget 0": ((*GOOD, "--time-budget", "0"), "--time-budget"),
    "keep some": ((*GOOD, "--keep", "some"), "--keep"),
    "unwritable output": ((*GOOD[:-1], "good.csv/run"), "cannot be written"),
    "output of another run": ((*GOOD[:-1], "other_run"), "holds another run already"),
    "output with other files": ((*GOOD[:-1], "full"), "holds other files already"),
    "unknown finding": ((*GOOD, "--accept", "leaks"), "known are duplicate_rows"),
    "unknown group": ((*GOOD, "--group-by", "customer"), '--group-by: there is no column "customer"'),
    "unknown time": ((*GOOD, "--time-column", "date"), '--time-column: there is no column "date"'),
    "missing incumbent": ((*GOOD, "--incumbent", "nowhere.csv"), "nowhere.csv does not exist"),
    "incumbent that does not fit": ((*GOOD, "--incumbent", "few.csv"), "--incumbent: few.csv has 7 rows"),
    "incumbent without outputs": ((*GOOD, "--incumbent", "columns.csv"), "--incumbent: columns.csv has the columns"),
    "dates that are none": ((*with_examples("further.csv"), "--time-column", "written"), "in line 6 of"),
    "all at one time": ((*with_examples("further.csv"), "--time-column", "day"), "leave --time-column or --group-by"),
    "all in one group": ((*with_examples("further.csv"), "--group-by", "customer"), "in 1 groups"),
    "error cost 0": ((*GOOD, "--error-cost", "0"), "--error-cost: input should be greater than 0"),
    "error cost in words": ((*GOOD, "--error-cost", "much"), "--error-cost"),
    "peak below the mean": ((*GOOD, "--peak-qps", "0.001"), "--peak-qps: 0.001 queries a second"),
    "label that is none": ((*GOOD, "--min-recall", "returns=0.9"), "'returns' is no label here"),
    "the same in a plan alone": ((*GOOD, "--dry-run", "--min-recall", "returns=0.9"), "'returns' is no label here"),
    "missing config": ((*GOOD, "-c", "nowhere.yaml"), "-c: the file nowhere.yaml does not exist"),
    "config is a list": ((*GOOD, "-c", "list.yaml"), "name: value"),
    "config with unknown option": ((*GOOD, "-c", "odd.yaml"), "--colour is no option"),
    "predict with both": (("predict", "solution", "--input", "a", "--file", "good.csv"), "either --input"),
    "predict with neither": (("predict", "solution"), "either --input"),
    "predict with nothing kept": (("predict", "full", "--input", "a"), "kept solution"),
    "predict on a missing file": (("predict", "solution", "--file", "nowhere.txt"), "nowhere.txt does not exist"),
    "predict on unknown columns": (("predict", "solution", "--file", "columns.csv"), "name it with --input-columns"),
    "error cost of no query": ((*GOOD, "--error-cost", "2", "--volume", "0"), "with --volume 0 there are none"),
    "examples twice": (("compare", "few.csv", *GOOD[1:]), "--examples good.csv and the argument few.csv say the same"),
    "no strategy": ((*GOOD, "--strategies", ""), "--strategies: name at least one, or leave it out."),
    "figures where they cannot be": (
        ("evaluate", "solution", "--examples", "good.csv", "--json", "nowhere/x.json"), "there is no folder"
    ),
    "figures for a folder": (
        ("evaluate", "solution", "--examples", "good.csv", "--json", "documents"), "documents cannot be written (it is"
    ),
    "config with an odd switch": ((*GOOD, "-c", "switch.yaml"), "--dry-run: in a file it is true or false (given: 5)."),
    "config with an odd server": ((*GOOD, "-c", "server.yaml"), "--server: 5 is no address"),
    "figures into a solution": (
        ("evaluate", "solution", "--examples", "good.csv", "--json", "solution/solution.json"), "is the run's own"
    ),
    "figures over a plan": (
        ("evaluate", "other_run", "--examples", "good.csv", "--json", "other_run/plan.json"), "is the run's own"
    ),
    "report into a solution": (("report", "other_run", "--output", "other_run/solution/x.md"), "is the run's own"),
    "audit of a missing file": (("audit", "--examples", "nowhere.csv"), "nowhere.csv does not exist"),
    "pull of an unknown model": (("models", "pull", "magic"), "name one of smollm2-135m-instruct"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_sentence_and_exit_status_2(case: str, desk: Path) -> None:
    arguments, says = REFUSED[case]
    before = sorted(desk.rglob("*"))
    start = time.monotonic()
    result = run(arguments, desk)
    took = time.monotonic() - start
    try:
        assert says in only_sentence(result)
        assert result.stdout.strip() == ""
        assert took < SOON or os.getloadavg()[0] > 2, "a busy machine says nothing about speed"
        assert sorted(desk.rglob("*")) == before
    finally:
        for path in set(desk.rglob("*")) - set(before):
            if path.is_file():
                path.unlink()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "fetch it with `advisor models pull smollm2-135m-instruct`"),
        (("--model", "magic"), "There is no model magic"),
        (("--model", "org/magic"), "fetch it with `advisor models pull org/magic`"),
        (("--model", "documents"), "config.json is missing"),
    ],
)
def test_a_model_that_is_not_there_says_how_to_fetch_it(
    options: Sequence[str], says: str, desk: Path, tmp_path: Path
) -> None:
    start = time.monotonic()
    sentence = only_sentence(run([*GOOD[:-1], str(tmp_path / "run"), *options], desk))
    assert says in sentence
    assert time.monotonic() - start < SOON or os.getloadavg()[0] > 2


def test_prices_without_a_price_are_refused(desk: Path, tmp_path: Path) -> None:
    sentence = only_sentence(run([*GOOD[:-1], str(tmp_path / "run"), "--prices", "prices.yaml"], desk))
    assert "--prices: prices.yaml must give hourly_usd" in sentence


def options_of(arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options that the command line makes of its arguments, as `make_request` gets them."""
    caught: dict[str, Any] = {}
    monkeypatch.setattr(cli, "_run", lambda options, **how: caught.update(options))
    result = CliRunner().invoke(cli.app, list(arguments), standalone_mode=False)
    assert result.exception is None
    return caught


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        (("--error-cost", "2.5"), "error_cost", 2.5),
        (("--min-recall", "delivery=0.9"), "min_recall", {"delivery": 0.9}),
        (("--accept", "rare_labels, duplicate_rows"), "accept", ["duplicate_rows", "rare_labels"]),
        (("--redact",), "redact", True),
        (("--group-by", "customer"), "group_by", "customer"),
        (("--time-column", "day"), "time_column", "day"),
        (("--incumbent", "today.csv"), "incumbent", "today.csv"),
        (("--test", "test.csv"), "test", "test.csv"),
        (("--tolerance", "2"), "tolerance", 2.0),
        (("--keep", "all"), "keep", "all"),
    ],
)
def test_a_flag_reaches_the_request(
    flags: Sequence[str], name: str, value: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert getattr(make_request(**options_of((*GOOD, *flags), monkeypatch)), name) == value
    assert name not in options_of(GOOD, monkeypatch)
    if flags[1:]:
        config = tmp_path / "options.yaml"
        config.write_text(f"{flags[0].removeprefix('--')}: {flags[1]}\n")
        assert getattr(make_request(**options_of((*GOOD, "-c", str(config)), monkeypatch)), name) == value


HEAVY = ("torch", "transformers", "faiss", "sentence_transformers", "sklearn", "scipy", "pandas", "datasets")
WATCH = f"""
import atexit, os
def heavy():
    loaded = [name for name in {HEAVY} if name in sys.modules]
    if loaded:
        os.write(2, ("loaded: " + " ".join(loaded)).encode())
atexit.register(heavy)
"""


@pytest.mark.parametrize(
    "arguments", [("--help",), ("compare", "--help"), (*GOOD, "--keep", "some"), ("models", "list")]
)
def test_help_and_mistakes_load_no_heavy_library(arguments: Sequence[str], desk: Path) -> None:
    assert "loaded:" not in run(arguments, desk, inject=WATCH).stderr


def test_refused_data_loads_no_model_library(desk: Path) -> None:
    assert "torch" not in run(with_examples("few.csv"), desk, inject=WATCH).stderr


def test_a_model_that_is_not_there_is_said_before_torch_is_loaded(desk: Path, tmp_path: Path) -> None:
    result = run([*GOOD[:-1], str(tmp_path / "run"), "--model", "magic"], desk, inject=WATCH)
    assert "There is no model magic" in result.stderr
    assert "torch" not in result.stderr


def test_help_names_the_commands(desk: Path) -> None:
    result = run(["--help"], desk)
    assert result.returncode == 0
    for command in ("compare", "evaluate", "predict", "audit", "models", "demo"):
        assert command in result.stdout


def test_help_takes_less_than_half_a_second(desk: Path) -> None:
    if os.getloadavg()[0] > 2:
        pytest.skip("the machine is busy")
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run(["--help"], desk)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5


def test_flags_overrule_the_config_file(desk: Path, tmp_path: Path) -> None:
    config = tmp_path / "options.yaml"
    config.write_text("task: Sort.\nexamples: nowhere.csv\nmin-quality: 2\n")
    assert "--min-quality" in only_sentence(run(["compare", "-c", str(config)], desk))
    assert "nowhere.csv" in only_sentence(run(["compare", "-c", str(config), "--min-quality", "0.5"], desk))
    overruled = run(["compare", "-c", str(config), "--min-quality", "0.5", "--examples", "few.csv"], desk)
    assert "at least 20" in only_sentence(overruled)


def test_examples_and_documents_may_be_named_without_flags(desk: Path) -> None:
    assert "7 usable examples" in only_sentence(run(["compare", "few.csv", "--task", "Sort."], desk))
    assert "nowhere" in only_sentence(run(["compare", "good.csv", "nowhere", "--task", "Sort."], desk))


def test_audit_prints_findings_as_json(desk: Path) -> None:
    result = run(["audit", "--examples", "few.csv", "--json"], desk)
    assert result.returncode == 0
    printed = json.loads(result.stdout)
    assert set(printed) == {"findings"}
    assert [f["code"] for f in printed["findings"]] == ["column_mapping", "too_few_examples", "rare_labels"]
    assert result.stderr == ""


def test_audit_prints_findings_for_people(desk: Path) -> None:
    result = run(["audit", "--examples", "few.csv"], desk)
    assert result.returncode == 0
    assert "at least 20 are needed" in result.stdout


def test_audit_shows_the_gravest_first(desk: Path) -> None:
    lines = run(["audit", "--examples", "few.csv"], desk).stdout.splitlines()
    severities = [line.split()[0] for line in lines if line.startswith(("error", "warning", "info"))]
    assert severities == ["error", "warning", "info"]


def test_audit_takes_what_compare_takes(desk: Path) -> None:
    result = run(["audit", "--examples", "few.csv", "--accept", "rare_labels", "--redact", "--json"], desk)
    severity = {f["code"]: f["severity"] for f in json.loads(result.stdout)["findings"]}
    assert severity["rare_labels"] == "info"
    assert "leaks" in only_sentence(run(["audit", "--examples", "few.csv", "--accept", "leaks"], desk))


def test_audit_loads_no_model_library(desk: Path) -> None:
    result = run(["audit", "--examples", "good.csv", "--documents", "good.csv", "--json"], desk, inject=WATCH)
    assert result.returncode == 0, result.stderr
    assert not {"torch", "transformers", "sentence_transformers", "faiss"} & set(result.stderr.split())


def test_models_list_says_what_is_fetched_and_how_to_fetch_the_rest(desk: Path) -> None:
    result = run(["models", "list"], desk)
    assert result.returncode == 0
    assert "smollm2-135m-instruct" in result.stdout
    assert "not fetched: advisor models pull all-minilm-l6-v2" in result.stdout


def test_predict_prints_one_json_object_a_line(desk: Path, tmp_path: Path) -> None:
    one = run(["predict", "solution", "--input", "Wo ist mein Päckchen?"], desk)
    assert one.returncode == 0
    line = json.loads(one.stdout)
    assert (line["input"], line["output"]) == ("Wo ist mein Päckchen?", "delivery")
    (tmp_path / "inputs.txt").write_text("a\n\n a\u0308 \n")
    many = run(["predict", "solution", "--file", str(tmp_path / "inputs.txt")], desk)
    assert [json.loads(row)["input"] for row in many.stdout.splitlines()] == ["a", "", "ä"]
    assert many.stderr == "Read each line as an input.\n"


def test_a_terminal_that_knows_few_letters_is_no_reason_to_end(desk: Path) -> None:
    result = run(["predict", "solution", "--input", "P\u00e4ckchen"], desk, PYTHONIOENCODING="ascii")
    assert json.loads(result.stdout)["input"] == "P\u00e4ckchen"
    assert result.returncode == 0
    halved = run(["predict", "solution", "--input", b"\xff".decode(errors="surrogateescape")], desk)
    assert json.loads(halved.stdout)["input"] == "\ufffd"


def test_without_a_command_there_is_help(desk: Path) -> None:
    result = run([], desk)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: ")
    assert run(["models"], desk).stdout == run(["models", "list"], desk).stdout


def test_options_of_hosted_models_say_that_they_change_nothing(desk: Path) -> None:
    result = run([*GOOD, "--endpoint", "http://127.0.0.1:9/v1", "--max-spend", "2", "--model", "magic"], desk)
    assert "--endpoint and --max-spend count with a hosted model" in result.stderr


def test_evaluate_writes_the_figures_of_a_kept_solution(desk: Path, tmp_path: Path) -> None:
    target = tmp_path / "scores.json"
    arguments = ["evaluate", "solution", "--examples", "good.csv", "--metric", "accuracy", "--limit", "10"]
    result = run([*arguments, "--json", str(target)], desk)
    assert result.returncode == 0, result.stderr
    (scores,) = json.loads(target.read_text())["strategies"]
    assert scores["quality"]["metric"] == "accuracy"
    assert (scores["quality"]["value"], scores["quality"]["n"]) == (0.5, 10)
    assert scores["quality"]["ci95"][0] < 0.5 < scores["quality"]["ci95"][1]
    assert {"name", "quality", "latency", "tokens", "errors"} <= set(scores)


def test_figures_that_cannot_be_written_in_the_end_are_printed_first(desk: Path, tmp_path: Path) -> None:
    target = tmp_path / "scores.json"
    full = """
from pathlib import Path
def refuse(path, *rest, write=Path.write_text, **how):
    if path.name == "scores.json":
        raise OSError(28, "No space left on device")
    return write(path, *rest, **how)
Path.write_text = refuse
"""
    arguments = ["evaluate", "solution", "--examples", "good.csv", "--metric", "accuracy", "--json", str(target)]
    result = run(arguments, desk, inject=full)
    assert result.returncode == 2
    assert "scores.json cannot be written (No space left on device)" in result.stderr
    assert "quality" in result.stdout


INTERRUPT = """
import advisor.comparison
def run(*rest):
    raise KeyboardInterrupt
advisor.comparison.run = run
"""


PLAN = """
import advisor.comparison
advisor.comparison.check = lambda *_: None
advisor.comparison.prepare = lambda *_, **__: None
advisor.comparison.forecast = lambda _: {"predicted_seconds": 25.0}
"""


def test_a_plan_alone_is_printed_as_json_too(desk: Path) -> None:
    result = run([*GOOD, "--dry-run", "--json"], desk, inject=PLAN)
    assert json.loads(result.stdout) == {"predicted_seconds": 25.0}


def test_an_interrupt_has_its_own_exit_status(desk: Path) -> None:
    result = run(GOOD, desk, inject=INTERRUPT)
    assert result.returncode == cli.INTERRUPTED
    assert "Traceback" not in result.stderr


def test_an_interrupt_promises_nothing_where_nothing_is_kept(desk: Path) -> None:
    stop = INTERRUPT.replace("advisor.comparison", "advisor.auditing").replace("run", "audit_only")
    result = run(["audit", "--examples", "good.csv"], desk, inject=stop)
    assert (result.returncode, result.stderr) == (cli.INTERRUPTED, "\nadvisor: interrupted.\n")


def test_an_interrupt_says_that_the_same_command_resumes_and_in_which_folder(desk: Path) -> None:
    assert "the same command resumes with --output new.\n" in run(GOOD, desk, inject=INTERRUPT).stderr
    odd = run([*GOOD[:-1], "the new run"], desk, inject=INTERRUPT)
    assert "the same command resumes with --output 'the new run'.\n" in odd.stderr
    assert "the same command resumes with --output advisor-run.\n" in run(GOOD[:-2], desk, inject=INTERRUPT).stderr


def test_what_is_done_with_a_comparison_may_be_said_in_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    caught: dict[str, Any] = {}
    monkeypatch.setattr(cli, "_run", lambda options, **how: caught.update(how, options=options))
    config = tmp_path / "options.yaml"
    config.write_text("dry-run: true\njson: true\nserver: http://127.0.0.1:9\nseed: 3\n")
    CliRunner().invoke(cli.app, [*GOOD, "-c", str(config), "--server", "http://127.0.0.1:8"], standalone_mode=False)
    assert caught.pop("options")["seed"] == 3
    assert caught == {"server": "http://127.0.0.1:8", "dry_run": True, "as_json": True}
    CliRunner().invoke(cli.app, list(GOOD), standalone_mode=False)
    assert caught.pop("options").keys() == {"task", "examples", "output"}
    assert caught == {"server": None, "dry_run": False, "as_json": False}


def test_a_refusal_is_one_line_with_json_too(desk: Path) -> None:
    only_sentence(run([*with_examples("few.csv"), "--json"], desk))


def test_a_flag_of_the_wrong_type_is_one_sentence(desk: Path) -> None:
    assert "--volume" in only_sentence(run([*GOOD, "--volume", "many"], desk))


def test_an_empty_list_of_strategies_does_not_mean_all(desk: Path) -> None:
    assert "--strategies" in only_sentence(run([*with_examples("few.csv"), "--strategies", ","], desk))
