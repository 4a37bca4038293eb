"""The whole way from files to report, with fakes for models."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import advisor.comparison as use_case
from advisor import parts, planning, trials
from advisor.comparison import compare, prepare
from advisor.data import read_data
from advisor.parts import divide
from advisor.progress import Silent
from advisor.recompute import report_again
from advisor.report.schema import Report
from advisor.request import make_request
from eval.contracts import Example, Solution, Task
from eval.errors import ModelUnavailable, RequestError
from eval.folds import Split
from strategies.base import Workshop
from strategies.baselines import CopyNearest, Majority
from strategies.linear import TfidfLinear
from strategies.models.base import LabelScores, Prompt
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.models.shelf import ModelShelf
from strategies.prompting import FewShot, ZeroShot
from strategies.registry import STRATEGIES
from strategies.solutions import load_solution

TASK = "Route the parcel ticket to the right team."
QUICK = ["majority", "nearest_copy", "zero_shot", "few_shot"]
COLUMNS = ["strategy", "id", "target", "output", "score", "input_tokens", "output_tokens", "seconds", "error"]

MakeShelf = Callable[[ScriptedModel], ModelShelf]
Fit = Callable[[Any, Task, Sequence[Example], Workshop], Solution]


def status(report: Report) -> dict[str, str]:
    return {s.name: s.status for s in report.strategies}


def values(report: Report) -> dict[str, float]:
    return {s.name: s.quality.value for s in report.strategies if s.quality}


def answers(folder: Path) -> pd.DataFrame:
    """What was answered, without the clock."""
    return pd.read_parquet(folder / "predictions.parquet").drop(columns="seconds")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the quick strategies, each time one is fitted."""
    fitted: list[str] = []

    def counted(original: Fit) -> Fit:
        def fit(self: Any, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
            fitted.append(self.name)
            return original(self, task, train, workshop)

        return fit

    for kind in (Majority, CopyNearest, ZeroShot, FewShot):
        monkeypatch.setattr(kind, "fit", counted(kind.fit))  # type: ignore[arg-type]
    return fitted


class Listener(Silent):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def crash_with(error: BaseException) -> Fit:
    def fit(self: Any, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        raise error

    return fit


def test_a_classification_is_compared_recommended_and_kept(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    report = compare(TASK, tickets, shelf=shelf_with(clerk), output=run, **fakes)

    assert [s.name for s in report.strategies] == list(STRATEGIES)
    assert report.recommendation.strategy == "few_shot"
    assert report.recommendation.verdict == "clear"
    assert values(report)["few_shot"] == 1.0
    assert report.task.kind == "classification"
    assert report.task.labels == ["billing", "delivery", "returns"]
    plan = report.data.plan
    assert any("classification" in sentence for sentence in report.data.stated)
    assert (plan.kind, plan.folds, plan.train, plan.test) == ("cross_fit", 5, 64, 80)
    not_applicable = {s.name: s.reason for s in report.strategies if s.status == "not_applicable"}
    assert set(not_applicable) == {
        "copy_input", "passage_copy", "optimized_prompt", "rag", "setfit",
        "lora", "full_tuning", "lora_classifier", "lora_linear", "lora_examples", "lora_rag",
    }  # fmt: skip
    assert "no documents" in str(not_applicable["rag"])
    assert "cannot be fine-tuned" in str(not_applicable["lora"])
    assert all(s.reason is None for s in report.strategies if s.status == "ok")
    n = len(values(report))
    assert len(report.comparisons) == n * (n - 1) / 2

    assert Report.model_validate_json((run / "report.json").read_bytes()) == report
    for name in ("report.html", "report.md"):
        assert "prompt with fixed examples" in (run / name).read_text(encoding="utf-8").lower()
    table = pd.read_parquet(run / "predictions.parquet")
    assert list(table.columns) == COLUMNS
    assert table.groupby("strategy").size().to_dict() == dict.fromkeys(values(report), 80)
    assert not (run / "solutions").exists()
    assert not (run / "fold_solutions").exists()
    assert not (run / "work").exists()
    assert report.artefact is not None
    assert set(report.artefact.sha256) == set(contents(run / "solution"))

    solution = load_solution(run / "solution", shelf_with(clerk))
    mine = table[table.strategy == "few_shot"].set_index("id")
    inputs = {e.id: e.input for e in read_data(make_request(task=TASK, examples=str(tickets))).examples}
    again = solution.predict([inputs[i] for i in mine.index])
    assert [p.text for p in again] == mine.output.tolist()


def test_questions_over_documents_are_compared_and_all_are_kept(
    rooms: tuple[Path, Path], reader: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    report = compare("Answer.", *rooms, shelf=shelf_with(reader), output=run, keep="all", **fakes)

    assert report.task.kind == "qa"
    assert report.recommendation.strategy == "rag"
    assert values(report)["rag"] == 1.0
    lora = {s.name: (s.status, str(s.reason)) for s in report.strategies if s.name.startswith("lora")}
    for name in ("lora_classifier", "lora_linear"):
        assert lora.pop(name) == ("not_applicable", "the answers are not labels")
    assert len(lora) == 3
    assert all(state == "not_applicable" and "cannot be fine-tuned" in why for state, why in lora.values())
    measured = {name for name, state in status(report).items() if state == "ok"}
    assert {p.name for p in (run / "solutions").iterdir()} == measured
    for name in measured:
        assert len(load_solution(run / "solutions" / name, shelf_with(reader)).predict(["What ?"])) == 1
    assert contents(run / "solution") == contents(run / "solutions" / "rag")


def test_the_speed_of_a_model_that_nothing_works_with_is_not_measured(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(use_case, "measure_speeds", crash_with(AssertionError()))
    run, strategies = tmp_path / "run", ["majority", "nearest_copy", "tfidf_linear"]
    report = compare(TASK, tickets, shelf=shelf_with(clerk), output=run, strategies=strategies, **fakes)
    assert set(status(report).values()) == {"ok"}
    assert report.recommendation.scope.startswith("This holds for the strategies tested, none of which has a language")
    assert "model-seconds" not in (run / "report.md").read_text(encoding="utf-8")


def test_compare_is_importable_from_the_package() -> None:
    from advisor import compare as function

    assert callable(function)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(RuntimeError("a tensor of the wrong shape\nmore"), "RuntimeError: a tensor of the wrong shape"),
     (MemoryError(), "out of memory"), (ValueError(), "ValueError")],
)  # fmt: skip
def test_a_strategy_that_crashes_is_reported_failed_and_the_rest_goes_on(
    error: Exception,
    reason: str,
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ZeroShot, "fit", crash_with(error))
    report = compare(TASK, tickets, shelf=shelf_with(clerk), output=tmp_path / "run", strategies=QUICK, **fakes)
    assert status(report) == {"majority": "ok", "nearest_copy": "ok", "zero_shot": "failed", "few_shot": "ok"}
    assert str(report.result("zero_shot").reason).startswith(reason)
    assert report.result("zero_shot").quality is None
    assert report.recommendation.strategy == "few_shot"


def test_a_run_in_which_everything_crashes_still_reports(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Majority, "fit", crash_with(MemoryError()))
    run = tmp_path / "run"
    report = compare(TASK, tickets, shelf=shelf_with(clerk), output=run, strategies=["majority"], **fakes)
    assert (report.recommendation.strategy, report.recommendation.verdict) == (None, "insufficient_evidence")
    assert report.artefact is None
    assert [model.role for model in report.environment.models] == ["embedder"], "no strategy had a language model"
    assert pd.read_parquet(run / "predictions.parquet").empty
    assert (run / "report.html").exists()


def test_finished_strategies_are_not_fitted_again_on_resume(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path, fits: list[str]
) -> None:
    options = {**fakes, "strategies": QUICK, "output": tmp_path / "run"}
    first = compare(TASK, tickets, shelf=shelf_with(clerk), **options)
    of_the_pick, kept = 2, 1  # on parts of the rows for its learning curve (the next one learns little), and on all
    assert len(fits) == 5 * len(QUICK) + of_the_pick + kept
    made, asked = len(fits), len(clerk.seen)
    second = compare(TASK, tickets, shelf=shelf_with(clerk), **options)
    assert len(fits) == made
    assert len(clerk.seen) == asked  # the stored plan is used: not even the speed is measured again
    assert second.recommendation == first.recommendation
    assert second.run_id == first.run_id
    assert second.artefact == first.artefact


def test_an_interrupted_run_resumes_to_the_same_decision(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    fits: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {**fakes, "strategies": QUICK}
    whole = compare(TASK, tickets, shelf=shelf_with(clerk), output=tmp_path / "whole", **options)
    fits.clear()
    with monkeypatch.context() as patch:
        patch.setattr(ZeroShot, "fit", crash_with(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            compare(TASK, tickets, shelf=shelf_with(clerk), output=tmp_path / "part", **options)
    assert Counter(fits) == {"majority": 5, "nearest_copy": 5}
    assert not (tmp_path / "part" / "report.json").exists()
    resumed = compare(TASK, tickets, shelf=shelf_with(clerk), output=tmp_path / "part", **options)
    assert fits[10:20] == ["zero_shot"] * 5 + ["few_shot"] * 5
    assert values(resumed) == values(whole)
    assert resumed.recommendation.strategy == whole.recommendation.strategy
    assert resumed.recommendation.verdict == whole.recommendation.verdict
    assert resumed.recommendation.probability_best == whole.recommendation.probability_best
    pd.testing.assert_frame_equal(answers(tmp_path / "part"), answers(tmp_path / "whole"))
    assert contents(tmp_path / "part" / "solution") == contents(tmp_path / "whole" / "solution")


def test_same_seed_and_stored_plan_give_the_same_outputs(
    rooms: tuple[Path, Path], reader: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    options = {**fakes, "strategies": ["nearest_copy", "few_shot", "nearest_examples", "rag"], "keep": "all"}
    one, two = tmp_path / "one", tmp_path / "two"
    first = compare("Answer.", *rooms, shelf=shelf_with(reader), output=one, **options)
    two.mkdir()
    shutil.copy(one / "plan.json", two)
    second = compare("Answer.", *rooms, shelf=shelf_with(reader), output=two, **options)
    assert second.data == first.data
    assert (values(second), second.comparisons) == (values(first), first.comparisons)
    assert second.recommendation.strategy == first.recommendation.strategy
    pd.testing.assert_frame_equal(answers(one), answers(two))
    for kept in ("solutions", "fold_solutions"):
        assert contents(one / kept) == contents(two / kept)


def test_another_seed_sets_other_rows_aside(tickets: Path) -> None:
    data = read_data(make_request(task=TASK, examples=str(tickets)))
    for folds in (1, 5):
        one, other = (divide(data, seed, folds=folds)[0].test for seed in (0, 1))
        assert {e.id for e in one} != {e.id for e in other}


def test_limits_that_nothing_meets_recommend_nothing(
    tickets: Path, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    never_right = ScriptedModel(lambda prompt: "")
    run = tmp_path / "run"
    report = compare(
        TASK, tickets, shelf=shelf_with(never_right), output=run, strategies=QUICK, min_quality=1.0, **fakes
    )
    assert (report.recommendation.strategy, report.recommendation.verdict) == (None, "none_feasible")
    assert all("--min-quality" in reason for reason in report.recommendation.reasons)
    assert report.artefact is None
    assert not (run / "solution").exists()
    assert "none_feasible" in (run / "report.json").read_text()


def test_with_what_each_error_costs_and_a_least_recall_the_decision_is_about_these(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    matrix = tmp_path / "errors.yaml"
    matrix.write_text("costs: {delivery: {billing: 30}}\ndefault: 1\n")
    options = {**fakes, "strategies": ["majority", "few_shot"], "error_cost": str(matrix)}
    run = tmp_path / "run"
    for wrong, said in (
        ({"min_recall": "nowhere=0.9"}, "--min-recall: 'nowhere' is no label here; known are billing"),
        ({"error_cost": {"costs": {"delivery": {"nowhere": 1}}, "default": 1}}, "names 'nowhere', which is no label"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=said):
            compare(TASK, tickets, shelf=shelf_with(clerk), output=run, **{**options, **wrong})
        assert not run.exists()
    report = compare(TASK, tickets, shelf=shelf_with(clerk), output=run, min_recall=["delivery=0.9"], **options)
    assert report.recommendation.strategy == "few_shot"
    assert report.settings.min_recall == {"delivery": 0.9}
    assert "errors.yaml" in str(report.settings.error_cost)
    cost = report.result("few_shot").cost
    assert cost is not None
    assert cost.errors_per_1k_usd == 0
    assert report_again(run) == report


def test_a_limit_moves_the_pick_to_what_meets_it(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    """On a machine of 1 USD an hour the models cost something; the constant answer next to nothing."""
    (tmp_path / "prices.yaml").write_text("machine: own\nhourly_usd: 1.0\n")
    options = {**fakes, "strategies": ["majority", "few_shot"], "prices": tmp_path / "prices.yaml"}
    free = compare(TASK, tickets, shelf=shelf_with(clerk), output=tmp_path / "free", **options)
    costs = {s.name: s.cost.per_1k_usd for s in free.strategies if s.cost}
    assert free.recommendation.strategy == "few_shot"
    assert free.settings.machine == "own"
    bound = (costs["few_shot"] * costs["majority"]) ** 0.5
    bounded = compare(
        TASK, tickets, shelf=shelf_with(clerk), output=tmp_path / "free", max_cost_per_1k=bound, **options
    )
    assert bounded.recommendation.strategy == "majority"
    assert "--max-cost-per-1k" not in bounded.recommendation.headline


def test_the_kept_solution_is_always_the_recommended_one(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    """Limits are no part of the fingerprint: the same folder may be decided again with others."""
    options = {**fakes, "strategies": ["majority", "few_shot"], "output": tmp_path / "run"}
    first = compare(TASK, tickets, shelf=shelf_with(clerk), **options)
    costs = {s.name: s.cost.per_1k_usd for s in first.strategies if s.cost}
    bound = (costs["few_shot"] * costs["majority"]) ** 0.5
    second = compare(TASK, tickets, shelf=shelf_with(clerk), max_cost_per_1k=bound, **options)
    assert second.recommendation.strategy == "majority"
    if second.artefact is not None:
        assert json.loads((tmp_path / "run" / "solution" / "solution.json").read_text())["kind"] == "constant"


def test_what_comes_too_late_to_be_kept_is_told(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    options = {**fakes, "strategies": ["majority", "few_shot"], "output": tmp_path / "run"}
    whole = compare(TASK, tickets, shelf=shelf_with(clerk), keep="all", **{**options, "output": tmp_path / "whole"})
    assert "came too late" not in " ".join(whole.recommendation.caveats)
    compare(TASK, tickets, shelf=shelf_with(clerk), **options)
    listener = Listener()
    report = compare(TASK, tickets, shelf=shelf_with(clerk), progress=listener, keep="all", **options)
    said = (
        "--keep all came too late for the fits that were measured: an earlier end of this run kept the winner alone. "
        "Compare in a new folder to have them."
    )
    assert said in report.recommendation.caveats
    assert said in report_again(tmp_path / "run", volume=5).recommendation.caveats
    assert said in listener.said
    assert (tmp_path / "run" / "solutions" / "majority").is_dir()


def test_no_comparison_touches_the_network(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a connection was attempted")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    report = compare(TASK, tickets, shelf=shelf_with(clerk), output=tmp_path / "run", **fakes)
    assert "failed" not in status(report).values()


@pytest.mark.parametrize("case", ["classification", "qa"])
def test_nothing_that_is_learnt_depends_on_the_test_targets(
    case: str,
    request: pytest.FixtureRequest,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if case == "qa":
        files, model = request.getfixturevalue("rooms"), request.getfixturevalue("reader")
    else:
        files, model = (request.getfixturevalue("tickets"),), request.getfixturevalue("clerk")
    options = {**fakes, "keep": "all"}
    compare(TASK, *files, shelf=shelf_with(model), output=tmp_path / "true", **options)
    model.seen.clear()

    def with_canaries(*args: Any, **options: Any) -> tuple[Split, ...]:
        return tuple(
            fold._replace(test=tuple(replace(e, targets=(f"canary-{e.id}-yrg",)) for e in fold.test))
            for fold in divide(*args, **options)
        )

    monkeypatch.setattr(use_case, "divide", with_canaries)
    compare(TASK, *files, shelf=shelf_with(model), output=tmp_path / "canaries", **options)
    targets = pd.read_parquet(tmp_path / "canaries" / "predictions.parquet").target
    assert targets.str.startswith("canary-").all()
    for folder in ("fold_solutions", "solutions"):
        kept = contents(tmp_path / "canaries" / folder)
        assert kept == contents(tmp_path / "true" / folder)
        assert len(kept) > 5
        assert not any(b"canary" in content for content in kept.values())
    assert not any("canary" in turn.content for prompt in model.seen for turn in prompt.turns)


def test_a_given_test_file_is_the_test_and_is_never_cut(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    lines = tickets.read_text().splitlines()
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("\n".join(lines[:61]) + "\n")  # the header and 60 rows
    test.write_text("\n".join([lines[0], *lines[51:]]) + "\n")  # 30 rows, 10 of them in train as well
    report = compare(
        TASK, train, shelf=shelf_with(clerk), output=tmp_path / "run", test=str(test), strategies=QUICK, **fakes
    )
    plan = report.data.plan
    assert (plan.train, plan.test, plan.test_source) == (50, 30, "file")
    assert all(s.quality.n == 30 for s in report.strategies if s.quality)


def test_with_several_models_each_competes_under_its_name_and_baselines_once(
    tickets: Path, clerk: ScriptedModel, fakes: dict[str, Any], tmp_path: Path
) -> None:
    clerk.name = "good"
    shelf = ModelShelf(
        language_models={"good": clerk, "org/bad": ScriptedModel(lambda prompt: "returns", name="org/bad")},
        embedders={"hashing": HashingEmbedder()},
    )
    options = {**fakes, "model": ["good", "org/bad"], "strategies": ["majority", "few_shot"], "keep": "all"}
    report = compare(TASK, tickets, shelf=shelf, output=tmp_path / "run", **options)
    assert list(status(report)) == ["majority", "few_shot@good", "few_shot@org/bad"]
    assert [s.model for s in report.strategies] == [None, "good", "org/bad"]
    assert report.recommendation.strategy == "few_shot@good"
    assert "good, org/bad" in report.recommendation.scope
    assert len(list((tmp_path / "run" / "solutions").iterdir())) == 3


def test_a_budget_with_no_room_for_a_model_leaves_the_strategies_that_need_none(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "FIXED_SECONDS", 12.0)
    options = {**fakes, "strategies": QUICK, "time_budget": 10}
    report = compare(TASK, tickets, shelf=shelf_with(clerk), output=tmp_path / "run", **options)
    stopped = [s for s in report.strategies if s.status == "stopped_early"]
    assert [s.name for s in stopped] == ["zero_shot", "few_shot"]
    assert all("--time-budget" in str(s.reason) for s in stopped)
    assert report.recommendation.strategy in ("majority", "nearest_copy")


def test_a_strategy_that_the_clock_cut_short_is_never_recommended(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Time stands at the deadline when few_shot has been fitted: none of its rows is asked."""
    original = trials.run_trial

    def late(trial: Any, *rest: Any) -> Any:
        return original(replace(trial, deadline=0.0) if trial.name == "few_shot" else trial, *rest)

    monkeypatch.setattr(trials, "run_trial", late)
    report = compare(TASK, tickets, shelf=shelf_with(clerk), output=tmp_path / "run", strategies=QUICK, **fakes)
    assert status(report)["few_shot"] == "stopped_early"
    assert "16 test rows were left unscored" in str(report.result("few_shot").reason)
    assert report.recommendation.strategy in ("majority", "nearest_copy", "zero_shot")
    table = pd.read_parquet(tmp_path / "run" / "predictions.parquet")
    assert table[table.strategy == "few_shot"].score.isna().all()


class Throttled(ScriptedModel):
    """A clerk whose server refuses one query for good."""

    refused = ""

    def score_labels(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, every: bool = False
    ) -> list[LabelScores]:
        return [
            replace(scores, error="infrastructure: 429 from the server") if self._refuses(prompt) else scores
            for prompt, scores in zip(prompts, super().score_labels(prompts, labels), strict=True)
        ]

    def _refuses(self, prompt: Prompt) -> bool:
        return prompt.turns[-1].content == self.refused


def test_a_row_that_the_infrastructure_failed_is_left_out_for_all_and_not_blamed_on_the_budget(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eval.harness.time.sleep", lambda seconds: None)
    model = Throttled(clerk.reply)
    data = read_data(make_request(task=TASK, examples=str(tickets)))
    model.refused = data.examples[-1].input
    options = {**fakes, "strategies": ["majority", "few_shot"]}
    report = compare(TASK, tickets, shelf=shelf_with(model), output=tmp_path / "run", **options)
    assert "time budget" not in str(report.result("few_shot").reason)
    assert report.recommendation.strategy == "few_shot"  # 79 of 79: the missing row cannot change that
    assert {c.n for c in report.comparisons} == {79}
    model.refused = ""
    again = compare(TASK, tickets, shelf=shelf_with(model), output=tmp_path / "run", **options)
    assert {c.n for c in again.comparisons} == {80}, "the same command asks again for what failed"


def test_preparing_alone_writes_nothing(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    before = contents(tmp_path)
    request = make_request(task=TASK, examples=str(tickets), output=tmp_path / "run", **fakes)
    comparison = prepare(request, read_data(request), time.monotonic(), Silent(), shelf_with(clerk))
    assert comparison.plan.test_rows == 80
    assert set(comparison.plan.predicted) == {
        "majority", "nearest_copy", "tfidf_linear", "embedding_linear", "pooled_linear", "zero_shot", "few_shot",
        "nearest_examples", "setfit", "lora", "full_tuning", "lora_classifier",
        "lora_linear", "lora_examples",
    }, "what does not apply, or not to so small a model, is not planned"  # fmt: skip
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("budget", "is_said"), [(0.001, True), (3600, False)])
def test_that_no_plan_fits_the_time_budget_is_said_before_it_is_spent(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], budget: float, is_said: bool
) -> None:
    options = {**fakes, "strategies": ["majority"], "time_budget": budget}
    request, listener = make_request(task=TASK, examples=str(tickets), **options), Listener()
    prepare(request, read_data(request), time.monotonic(), listener, shelf_with(clerk))
    assert any(sentence.startswith("No plan fits the time budget of") for sentence in listener.said) == is_said


def test_what_is_better_mended_before_is_said_at_the_start_with_what_to_do(
    clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    listener = Listener()
    said = listener.said
    labels = (["returns", "billing"], ["billing"])
    rows = [json.dumps({"text": f"my parcel {i}", "tags": labels[i % 2]}) for i in range(30)]
    torn = ['{"text": "and', '{"text": "b", "tags": ""}']
    (tmp_path / "tagged.jsonl").write_text("\n".join(rows + torn), encoding="utf-8")
    request = make_request(task=TASK, examples=str(tmp_path / "tagged.jsonl"), strategies=["majority"], **fakes)
    prepare(request, read_data(request), time.monotonic(), listener, shelf_with(clerk))
    lists = next(sentence for sentence in said if sentence.startswith("15 outputs are lists"))
    assert "any one of them" in lists
    assert "write them as one output" in lists
    assert [s for s in said if "not a JSON object and left out: 31" in s], (
        "a line that cannot be read is not left out in silence"
    )
    assert [s for s in said if s.startswith("Left out 1 row of")]


def test_a_folder_of_another_run_is_refused_before_any_model_is_asked(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    options = {**fakes, "strategies": ["majority"], "output": tmp_path / "run"}
    compare(TASK, tickets, shelf=shelf_with(clerk), **options)
    clerk.seen.clear()
    before = contents(tmp_path / "run")
    with pytest.raises(RequestError, match=r"--output: .* holds another run already, since the task has changed: name"):
        compare("Another task.", tickets, shelf=shelf_with(clerk), **options)
    assert clerk.seen == []
    assert contents(tmp_path / "run") == before


def test_a_model_that_is_not_there_is_said_before_any_strategy_runs(
    tickets: Path, fakes: dict[str, Any], tmp_path: Path, fits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADVISOR_CACHE", str(tmp_path / "empty"))
    options = {**fakes, "model": ["smollm2-135m-instruct"], "strategies": QUICK}
    with pytest.raises(ModelUnavailable, match="advisor models pull smollm2-135m-instruct"):
        compare(TASK, tickets, output=tmp_path / "run", **options)
    assert fits == []


def test_a_request_that_was_refused_leaves_its_folder_free_for_the_corrected_one(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(RequestError):
        compare(TASK, tickets, shelf=shelf_with(clerk), output=run, **{**fakes, "model": ["scriptd"]})
    compare(TASK, tickets, shelf=shelf_with(clerk), output=run, strategies=["majority"], **fakes)


def test_each_fit_is_shown_all_rows_but_those_it_is_tested_on(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[set[str]] = []
    original = TfidfLinear.fit

    def spy(self: Any, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        shown.append({e.id for e in train})
        return original(self, task, train, workshop)

    monkeypatch.setattr(TfidfLinear, "fit", spy)
    options = {**fakes, "strategies": ["tfidf_linear"]}
    report = compare(TASK, tickets, shelf=shelf_with(clerk), output=tmp_path / "run", **options)
    data = read_data(make_request(task=TASK, examples=str(tickets)))
    everything = {e.id for e in data.examples}
    tested = [{e.id for e in fold.test} for fold in divide(data, 0, folds=5)]
    assert shown[:5] == [everything - rows for rows in tested]
    assert sorted(i for rows in tested for i in rows) == sorted(everything)
    assert shown[-1] == everything  # the fit that is kept
    curve = list(shown[5:-1])
    assert [len(part) for part in curve] == [16, 32]
    assert curve[0] < curve[1] < shown[0]  # the parts of the learning curve
    fit = report.result("tfidf_linear").fit
    assert fit is not None
    assert fit.learning_curve is not None
    assert [p.train_examples for p in fit.learning_curve] == [16, 32, 64]


def test_a_budget_too_small_for_cross_fitting_takes_one_holdout(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parts, "FOLDS", ())
    options = {**fakes, "strategies": QUICK, "keep": "all"}
    report = compare(TASK, tickets, shelf=shelf_with(clerk), output=tmp_path / "run", **options)
    plan = report.data.plan
    assert (plan.kind, plan.folds, plan.train, plan.test) == ("holdout", 1, 60, 20)
    assert report.recommendation.strategy == "few_shot"
    assert all(s.quality.n == 20 for s in report.strategies if s.quality)


def test_solutions_that_come_too_late_to_be_kept_are_named(
    tickets: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is fitted again where the client's own test set leaves all examples to learn from."""
    with tickets.open(encoding="utf-8") as file:
        header, *rows = file.read().splitlines()
    (tmp_path / "test.csv").write_text("\n".join([header, *rows[60:]]))
    (tmp_path / "train.csv").write_text("\n".join([header, *rows[:60]]))
    options = {**fakes, "strategies": ["majority", "few_shot"], "output": tmp_path / "run"}
    for keep in ("winner", "all"):
        report = compare(
            TASK, tmp_path / "train.csv", shelf=shelf_with(clerk), test=tmp_path / "test.csv", keep=keep, **options
        )
    assert report.recommendation.caveats[-1].startswith(
        "--keep all came too late for the solution of always the same answer and the fits that were measured: "
    )


def test_what_is_kept_is_fitted_on_all_examples(
    tickets: Path, clerk: ScriptedModel, shelf_with: MakeShelf, fakes: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = {**fakes, "strategies": ["nearest_copy"]}
    report = compare(TASK, tickets, shelf=shelf_with(clerk), output=run, **options)
    assert report.result("nearest_copy").quality is not None
    solution = load_solution(run / "solution", shelf_with(clerk))
    examples = read_data(make_request(task=TASK, examples=str(tickets))).examples
    assert [p.text for p in solution.predict([e.input for e in examples])] == [e.target for e in examples]
