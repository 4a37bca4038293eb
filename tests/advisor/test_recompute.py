"""A finished run, decided again under other assumptions."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import resource
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from docx import Document
from rich.console import Console
from typer.testing import CliRunner

from advisor import artefact, cli
from advisor.comparison import compare
from advisor.economics import Prices
from advisor.error_costs import ErrorCosts
from advisor.recompute import report_again
from advisor.report import view
from advisor.report.forms import FORMS, rendered
from advisor.report.schema import INCUMBENT, Report
from advisor.runs import RunFolder
from eval.errors import RequestError
from strategies.models.fake import ScriptedModel
from strategies.models.shelf import ModelShelf

STRATEGIES = ["majority", "nearest_copy", "few_shot"]


@pytest.fixture(scope="module")
def finished() -> list[Path]:
    """The run that the first test that needs one makes."""
    return []


@pytest.fixture
def run(
    finished: list[Path],
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: Callable[[ScriptedModel], ModelShelf],
    fakes: dict[str, Any],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A finished comparison in which today's system takes part, and `few_shot` is right; a copy for each test."""
    if not finished:
        folder = tmp_path_factory.mktemp("finished")
        with tickets.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        today = folder / "today.csv"
        with today.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "prediction"), *((row["text"], "billing") for row in rows)])
        asked = {**fakes, "strategies": STRATEGIES, "incumbent": str(today), "output": folder / "run"}
        compare("Route the ticket.", tickets, shelf=shelf_with(clerk), **asked)
        finished.append(folder / "run")
    copy = shutil.copytree(finished[0], tmp_path / "run")
    report = copy / "report.json"  # it names its own folder
    report.write_text(report.read_text(encoding="utf-8").replace(str(finished[0]), str(copy)), encoding="utf-8")
    return copy


def original(run: Path) -> Report:
    return Report.model_validate_json((run / "report.json").read_bytes())


def test_the_same_options_give_the_same_report(run: Path) -> None:
    assert report_again(run) == original(run)


def test_other_prices_change_costs_and_nothing_that_was_measured(run: Path) -> None:
    before, after = original(run), report_again(run, prices=Prices("a big one", 100.0, "the bill"), volume=50)
    assert (after.settings.machine, after.settings.volume) == ("a big one", 50)
    for was, now in zip(before.strategies, after.strategies, strict=True):
        assert now.model_copy(update={"cost": was.cost}) == was
        if was.cost and now.cost:
            factor = 100.0 / before.settings.machine_hourly_usd
            assert now.cost.per_query_usd == pytest.approx(was.cost.per_query_usd * factor)
    assert after.result(INCUMBENT).cost is None
    assert after.recommendation.gain_over_incumbent == before.recommendation.gain_over_incumbent
    assert "100.00 an hour" not in json.dumps(before.model_dump(mode="json"))


@pytest.mark.parametrize(("hourly", "told"), [(0.125, "0.125"), (0.0045, "0.0045"), (12345.678, "12,345.678")])
def test_the_clients_own_price_is_told_as_it_was_given(run: Path, hourly: float, told: str) -> None:
    again = report_again(run, prices=Prices("m", hourly, "x"))
    cost = again.result("majority").cost
    assert view.price(again) == f"m at {told} USD an hour (x)"
    assert cost is not None
    assert f"at {told} USD an hour for m (x)" in cost.basis


def test_a_month_is_the_sum_of_what_the_report_shows_of_it(run: Path) -> None:
    again = report_again(run, prices=Prices("m", 100.0, "x", effort_usd={"prompt": 400.0}, retrainings_per_year=4))
    for cost in (result.cost for result in again.strategies if result.cost):
        shown = cost.per_1k_usd * again.settings.volume / 1000 + cost.training_usd / 12 + cost.retraining_usd
        assert cost.monthly_usd == pytest.approx(shown)
    cost = again.result("few_shot").cost
    assert cost is not None
    assert cost.retraining_usd == pytest.approx(4 / 12 * (cost.training_usd - 400.0))
    assert cost.retraining_usd > 0


def test_another_pick_says_that_its_solution_was_not_kept(run: Path) -> None:
    assert original(run).recommendation.strategy == "few_shot"
    cost = next(s.cost for s in original(run).strategies if s.name == "few_shot")
    assert cost is not None
    again = report_again(run, max_cost_per_1k=cost.per_1k_usd / 2)
    assert again.recommendation.strategy != "few_shot"
    assert again.artefact is None
    assert any("--keep all" in caveat for caveat in again.recommendation.caveats)
    assert "advisor predict" not in again.recommendation.next_step
    assert again.samples
    shown = {again.recommendation.strategy, again.recommendation.runner_up} - {None}
    assert set(again.samples[0].answers) == shown


def test_a_solution_that_was_removed_is_not_offered(run: Path) -> None:
    assert report_again(run).artefact == original(run).artefact
    shutil.rmtree(run / "solution")
    again = report_again(run)
    assert again.recommendation.strategy == original(run).recommendation.strategy
    assert again.artefact is None
    assert "No solution of prompt with fixed examples is kept here" in " ".join(again.recommendation.caveats)
    assert "advisor predict" not in again.recommendation.next_step
    text = rendered(again, "md").decode()
    assert "what is kept" not in text.lower()
    assert "what is kept" in rendered(original(run), "md").decode().lower()
    (run / "solution").mkdir()
    assert report_again(run).artefact is None


def test_a_run_whose_solution_an_earlier_version_kept_is_decided_again_all_the_same(run: Path) -> None:
    manifest = run / "solution" / "solution.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 1}))
    again = report_again(run, volume=1_000_000)
    assert again.artefact is None
    assert "No solution of prompt with fixed examples is kept here" in " ".join(again.recommendation.caveats)
    assert "advisor predict" not in again.recommendation.next_step


def test_hashes_are_those_of_the_files_that_are_there_now(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = original(run).artefact
    assert before is not None
    name = next(iter(before.sha256))
    file = run / "solution" / name
    file.write_bytes(file.read_bytes() + b"\n")
    (run / "solution" / "passages.jsonl").write_text("new")

    def now() -> dict[str, str]:
        artefact = report_again(run).artefact
        assert artefact is not None
        return artefact.sha256

    assert now()[name] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert set(now()) == {*before.sha256, "passages.jsonl"}
    monkeypatch.setattr(artefact, "QUICKLY_HASHED", 0)
    assert now()["passages.jsonl"] == hashlib.sha256(b"new").hexdigest()
    weights, index = run / "solution" / "model.safetensors", run / "solution" / "index.faiss"
    for large in (weights, index):
        large.write_bytes(b"large")
    assert artefact._sha256(weights, "as it was") == "as it was"
    assert artefact._sha256(index, "as it was") == hashlib.sha256(b"large").hexdigest(), "`refresh` writes it anew"


def test_the_command_names_the_solution_of_the_pick_wherever_the_run_lies(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: Callable[[ScriptedModel], ModelShelf],
    fakes: dict[str, Any],
    tmp_path: Path,
) -> None:
    asked = {**fakes, "strategies": ["majority", "few_shot"], "keep": "all", "output": tmp_path / "run"}
    compare("Route the ticket.", tickets, shelf=shelf_with(clerk), **asked)
    moved = (tmp_path / "run").rename(tmp_path / "it's moved")

    def command(**changes: Any) -> str:
        artefact = report_again(moved, **changes).artefact
        assert artefact is not None
        return artefact.how_to_use

    flip = {"error_cost": 1e-9, "volume": 1}
    assert shlex.split(command()) == ["advisor", "predict", str(moved), "--input", "TEXT"]
    assert shlex.split(command(**flip))[2] == str(moved / "solutions" / "majority")
    assert command(travels=True) == "advisor predict solution --input 'TEXT'"
    assert command(travels=True, **flip) == "advisor predict solutions/majority --input 'TEXT'"


def test_a_service_names_no_folder_of_its_own(run: Path) -> None:
    for changes in ({}, {"error_cost": 1e-9, "volume": 1}):
        assert str(run.parent) not in report_again(run, travels=True, **changes).model_dump_json()


def test_the_command_line_names_its_own_folder_whatever_a_services_report_says(run: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    cli._show(report_again(run, travels=True), Path("my run"), console, as_json=False)
    assert "advisor predict 'my run' --input 'TEXT'" in console.file.getvalue()  # type: ignore[attr-defined]


def test_long_texts_are_cut_without_a_wrong_count(run: Path) -> None:
    answered = RunFolder(run).fits("few_shot")
    for fit in answered:
        assert fit.evaluation is not None
        outcomes = tuple(
            replace(o, score=0.0, example=replace(o.example, input="word " * 1000)) for o in fit.evaluation.outcomes
        )
        RunFolder(run).finish("few_shot", fit.slot, replace(fit, evaluation=replace(fit.evaluation, outcomes=outcomes)))
    again = report_again(run, tolerance=100)
    for row in again.rows:
        assert row.input.endswith("word …") or len(row.input) < 240
    for form in ("md", "html"):
        assert "more characters" not in rendered(again, form).decode()


def test_what_was_never_answered_has_no_cost(run: Path) -> None:
    before, answered = original(run), RunFolder(run).fits("few_shot")
    for fit in answered:
        assert fit.evaluation is not None
        lost = tuple(replace(outcome, score=None) for outcome in fit.evaluation.outcomes)
        RunFolder(run).finish("few_shot", fit.slot, replace(fit, evaluation=replace(fit.evaluation, outcomes=lost)))
    assert before.result("few_shot").cost is not None
    assert report_again(run).result("few_shot").cost is None


def test_what_each_error_costs_and_the_least_recall_are_kept_with_the_report(run: Path) -> None:
    matrix = {"costs": {"delivery": {"billing": 30}}, "default": 1e-6}
    again = report_again(run, error_cost=matrix, min_recall={"delivery": 0.9})
    assert again.settings.min_recall == {"delivery": 0.9}
    assert again.settings.error_cost == ErrorCosts.model_validate(matrix)
    assert again.recommendation.strategy == "few_shot"
    assert "finds 100 of 100 delivery" in " ".join(again.recommendation.reasons)
    assert "Each wrong answer counted at its own cost" in " ".join(again.recommendation.reasons)
    majority, best = again.result("majority").cost, again.result("few_shot").cost
    assert majority is not None
    assert best is not None
    assert best.errors_per_1k_usd == 0
    rows = again.label_rows["delivery"] / sum(again.label_rows.values())
    assert majority.errors_per_1k_usd in (pytest.approx(30_000 * rows, rel=1e-3), pytest.approx(0, abs=0.01))
    for form in FORMS:
        assert rendered(again, form)
    read = Report.model_validate_json(again.model_dump_json())
    assert read == again
    with pytest.raises(RequestError, match="'nowhere' is no label here; known are"):
        report_again(run, min_recall={"nowhere": 0.9})
    with pytest.raises(RequestError, match="names 'nowhere', which is no label here"):
        report_again(run, error_cost={"costs": {"nowhere": {"billing": 1}}, "default": 1})


def test_a_stated_peak_goes_with_the_volume_as_on_the_slider(run: Path) -> None:
    """So high a peak that the number of machines goes with the volume."""
    report = original(run)
    mean = report.settings.volume / (730 * 3600)
    stated = report_again(run, hosting="always-on", peak_qps=5000 * mean)
    (run / "report.json").write_text(stated.model_dump_json())
    assert stated.volumes is not None
    for number, volume in list(enumerate(stated.volumes.queries_per_month))[::9]:
        moved = report_again(run, volume=volume)
        assert moved.settings.peak_ratio == pytest.approx(5000)
        for line in stated.volumes.lines:
            cost = moved.result(line.strategy).cost
            assert cost is not None
            assert cost.monthly_usd == pytest.approx(line.monthly_usd[number])
    assert report_again(run, volume=1000, peak_qps=3.0).settings.peak_qps == 3.0
    assert report_again(run, volume=0).settings.peak_qps is None
    for text in (rendered(report_again(run, volume=0), "md").decode(), report_again(run, volume=0).model_dump_json()):
        assert "peak of" not in text
    with pytest.raises(RequestError, match="--peak-qps"):
        report_again(run, volume=10**9, peak_qps=1e-3)


def test_machines_that_wait_for_no_query_have_no_cost_of_one(run: Path) -> None:
    again = report_again(run, volume=0, hosting="always-on")
    each = original(run).settings.machine_hourly_usd * 730 * 1000
    for form in ("md", "html"):
        assert f"{each:,.0f}" not in rendered(again, form).decode()
        assert f"{each / 1000:.2f}" in rendered(again, form).decode()
    console = Console(file=io.StringIO(), width=200)
    cli._show(again, run, console, as_json=False)
    assert f"{each:,.0f}" not in console.file.getvalue()  # type: ignore[attr-defined]
    always = rendered(report_again(run, volume=1, hosting="always-on"), "md").decode()
    assert f"{each:,.0f}" in always
    assert "No queries" not in always


def test_limits_that_nothing_meets_leave_no_pick(run: Path) -> None:
    again = report_again(run, max_latency_ms=1e-9)
    assert (again.recommendation.strategy, again.recommendation.verdict) == (None, "none_feasible")
    assert again.artefact is None


def test_no_model_is_loaded_and_nothing_is_written(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a model was asked for")

    monkeypatch.setattr(ModelShelf, "language_model", refuse)
    monkeypatch.setattr(ModelShelf, "embedder", refuse)
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    start = time.perf_counter()
    report_again(run, volume=123)
    assert time.perf_counter() - start < 2
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_what_is_no_run_or_has_lost_its_records_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"^nothing does not exist: name the folder of a finished run"):
        report_again(tmp_path / "nothing")
    with pytest.raises(RequestError, match="holds no finished run"):
        report_again(tmp_path)
    with pytest.raises(RequestError, match=r"--tolerance: .*less than or equal to 100"):
        report_again(run, tolerance=101)
    for record in (run / "finished" / "few_shot").iterdir():
        record.unlink()
    with pytest.raises(RequestError, match="What was measured of few_shot is lost: compare again") as lost:
        report_again(run)
    (run / "plan.json").unlink()
    with pytest.raises(RequestError, match=r"^run: a service made this run and keeps what was measured"):
        report_again(run)
    with chdir(run), pytest.raises(RequestError, match=r"^run: a service made this run"):
        report_again(Path())
    (run / "report.json").write_text("{}")
    with pytest.raises(RequestError, match=r"^run holds no finished run") as unreadable:
        report_again(run)
    assert str(run.parent) not in f"{lost.value} {unreadable.value}"


# ---- the command -----------------------------------------------------------------------------------------------------


def told(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["report", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


@pytest.mark.parametrize(("form", "starts"), [("html", "<!doctype html>"), ("md", "# "), ("json", "{")])
def test_the_command_writes_each_form(run: Path, tmp_path: Path, form: str, starts: str) -> None:
    status, text = told(run, "--volume", 77, "--format", form)
    assert status == 0
    assert text.lower().startswith(starts)
    assert "77" in text
    path = tmp_path / f"again.{form}"
    assert told(run, "--volume", 77, "--output", path) == (0, "")
    assert path.read_text(encoding="utf-8") == text


def test_the_command_writes_a_word_document(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "again.docx"
    assert told(run, "--volume", 77, "--output", path) == (0, "")
    text = "\n".join(paragraph.text for paragraph in Document(str(path)).paragraphs)
    assert original(run).recommendation.headline in text
    assert "at 77 queries" in text
    assert "How it was measured" in text


def test_the_rows_behind_the_figures_and_the_decision_by_the_volume_are_kept(run: Path) -> None:
    report = original(run)
    assert {"few_shot", report.recommendation.runner_up, INCUMBENT} <= set(report.rows[0].answers)
    assert len(report.rows) == report.data.plan.test
    scores = [row.scores["few_shot"] or 0.0 for row in report.rows]
    assert scores == sorted(scores)
    assert sum(report.label_rows.values()) == report.data.plan.test
    assert report.volumes is not None
    stated = report.volumes.queries_per_month.index(report.settings.volume)
    assert report.volumes.picks[stated] == report.recommendation.strategy
    for line in report.volumes.lines:
        cost = report.result(line.strategy).cost
        assert cost is not None
        assert line.monthly_usd[stated] == pytest.approx(cost.monthly_usd)


def test_what_is_masked_is_in_no_form_of_the_report_and_in_no_file_of_the_run(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: Callable[[ScriptedModel], ModelShelf],
    fakes: dict[str, Any],
    tmp_path: Path,
) -> None:
    name = "anna.schmidt@example.org"
    tickets.write_text(tickets.read_text(encoding="utf-8").replace("parcel", f"{name} parcel"), encoding="utf-8")
    folder = tmp_path / "masked"
    asked = {**fakes, "strategies": ["nearest_copy", "few_shot"], "redact": True, "output": folder}
    compare("Route the ticket.", tickets, shelf=shelf_with(clerk), **asked)
    for form in FORMS:
        assert name.encode() not in rendered(report_again(folder), form)
    shown = "".join(p.text for p in Document(io.BytesIO(rendered(report_again(folder), "docx"))).paragraphs)
    assert name not in shown
    assert name not in pd.read_parquet(folder / "predictions.parquet").to_json()
    assert "parcel" in report_again(folder).rows[0].input
    kept = [path for path in folder.rglob("*") if path.is_file() and name.encode() in path.read_bytes()]
    assert kept == []


def processor_seconds(command: list[str]) -> tuple[bytes, float]:
    """What a command prints, and what it takes in a process of its own, which has no library loaded yet."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return printed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_page_is_made_from_a_run_in_under_two_seconds(run: Path) -> None:
    """Processor seconds, since other tests may run beside it: 1.5 of them where nothing does (Zen 5). A slower machine
    has as much more time as it takes to load libraries that the page is made with."""
    command = [sys.executable, "-m", "advisor.cli", "report", str(run), "--volume", "5000", "--format", "html"]
    libraries = [sys.executable, "-c", "import scipy.stats, pydantic, jinja2, typer"]
    taken, loading = [], []
    for _ in range(3):
        page, seconds = processor_seconds(command)
        taken.append(seconds)
        loading.append(processor_seconds(libraries)[1])
    assert len(page) < 3_000_000
    assert min(taken) < max(2.5, 3.2 * min(loading))


def test_the_command_prints_a_summary_and_tells_by_its_status_that_nothing_is_within_the_limits(run: Path) -> None:
    assert "Prompt with fixed examples" in told(run)[1]
    assert told(run, "--max-latency-ms", 1e-9)[0] == cli.NONE_FEASIBLE


def test_the_status_is_the_same_where_rows_without_a_score_might_change_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = report_again(run, max_latency_ms=1e-9)
    doubted = again.recommendation.model_copy(update={"verdict": "insufficient_evidence"})
    doubtful = again.model_copy(update={"recommendation": doubted})
    monkeypatch.setattr("advisor.recompute.report_again", lambda *_, **__: doubtful)
    assert told(run)[0] == cli.NONE_FEASIBLE


def test_the_command_takes_a_matrix_and_a_least_recall(run: Path, tmp_path: Path) -> None:
    matrix = tmp_path / "errors.csv"
    matrix.write_text(",delivery,billing\ndelivery,,30\n(default),1\n")
    status, text = told(run, "--error-cost", matrix, "--min-recall", "delivery=0.9", "--format", "md")
    assert status == 0
    assert "up to 30" in text
    assert "at least 90 of 100 delivery found" in text


def test_a_price_of_wrong_answers_can_be_left_out_again(run: Path) -> None:
    (run / "report.json").write_text(report_again(run, error_cost=2.0).model_dump_json())
    assert "Each wrong answer counted at 2 USD" in told(run, "--format", "md")[1]
    assert "wrong answer counted" not in told(run, "--error-cost", "none", "--format", "md")[1]


def test_options_that_change_nothing_are_named(run: Path) -> None:
    def warned(*arguments: str) -> str:
        return CliRunner().invoke(cli.app, ["report", str(run), "--format", "json", *arguments]).stderr

    assert "--min-replicas counts with --hosting always-on only" in warned("--min-replicas", "3")
    assert "--min-replicas and --peak-qps count with" in warned("--min-replicas", "3", "--peak-qps", "9")
    assert warned("--min-replicas", "3", "--hosting", "always-on") == ""


def test_the_command_refuses_in_a_sentence(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--format: 'pdf' is none of html, md, json"):
        told(run, "--format", "pdf")
    with pytest.raises(RequestError, match=r"again\.txt ends in none of \.html, \.md, \.json, \.docx: add"):
        told(run, "--output", tmp_path / "again.txt")
    with pytest.raises(RequestError, match=r"--output: .*report\.json is the run's own file"):
        told(run, "--output", run / "report.json")
    with pytest.raises(RequestError, match="late is named twice"):
        told(run, "--min-recall", "late=0.9", "--min-recall", "late=0.8")
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match=r"--output: .* cannot be written"):
        told(run, "--output", tmp_path / "file" / "again.md")
