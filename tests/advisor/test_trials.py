"""Every strategy in turn, fold by fold and seed by seed, on rows that none of its fits had seen."""

from __future__ import annotations

import csv
import errno
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from advisor import trials
from advisor.comparison import compare
from advisor.data import read_data
from advisor.progress import Silent
from advisor.recompute import report_again
from advisor.records import Fit, Record
from advisor.report.schema import INCUMBENT
from advisor.request import make_request
from advisor.trial import _why_stopped
from advisor.trials import Bench, Entry, try_all
from eval.contracts import Evaluation, Example, Latency, Outcome, Prediction, Solution, Task
from eval.errors import NotApplicable, RequestError
from eval.harness import OUT_OF_TIME
from eval.latency import typical_first
from strategies.base import SHORTENED, FitLog, Workshop
from strategies.baselines import Majority
from strategies.models.embedding_cache import CachingEmbedder
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.models.shelf import ModelShelf

MakeBench = Callable[..., Bench]
MakeShelf = Callable[[ScriptedModel], ModelShelf]
LORA = Entry("lora", "lora", "scripted")
MAJORITY = Entry("majority", "majority", "scripted")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


class Told(Silent):
    """Keeps what strategies came to."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.seconds: dict[str, float] = {}

    def planned(self, seconds: dict[str, float], after: float) -> None:
        self.seconds = seconds

    def finished(self, strategy: str, outcome: str, quality: float | None = None) -> None:
        self.outcomes.append(outcome)


def tried(bench: Bench, *entries: Entry) -> dict[str, Record]:
    return {record.name: record for record in try_all(bench, entries)}


@pytest.fixture
def options(task_file: Path, tickets: Path, fakes: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    return {"task": str(task_file), "examples": tickets, "output": tmp_path / "run", **fakes}


@pytest.fixture
def labels(tickets: Path) -> dict[str, str]:
    with tickets.open(encoding="utf-8") as file:
        return {row["text"]: row["label"] for row in csv.DictReader(file)}


# ---- seeds -----------------------------------------------------------------------------------------------------------


def test_what_is_trained_is_fitted_once_per_seed_on_every_fold_and_the_rest_once(
    bench_for: MakeBench, tuned: Any
) -> None:
    bench = bench_for(folds=3, repeats=3)
    records = tried(bench, MAJORITY, LORA)
    assert len(tuned.fits) == 9
    assert len({fit.seed for fit in tuned.fits}) == 9
    assert [len(record.fits) for record in records.values()] == [3, 9]
    assert [len(record.evaluations) for record in records.values()] == [1, 3]
    shown = Counter(fit.train for fit in tuned.fits)
    assert set(shown.values()) == {3}  # each fold's rows, with three seeds
    everything = {e.id for e in bench.data.examples}
    for evaluation in records["lora"].evaluations:
        assert {o.example.id for o in evaluation.outcomes} == everything
        assert len(evaluation.outcomes) == len(everything)


@pytest.mark.parametrize("model", ["", "@other"])
def test_a_strategy_goes_on_from_what_it_builds_on_in_the_same_fold_and_with_the_same_seed(
    bench_for: MakeBench, tuned: Any, builder: Any, model: str
) -> None:
    given: list[Any] = []
    builder.during = lambda fit, workshop: given.append((workshop.seed, workshop.given))
    bench = bench_for(folds=2, repeats=2)
    base, atop = replace(LORA, name=f"lora{model}"), Entry(f"lora_linear{model}", "lora_linear", "scripted")
    records = tried(bench, base, atop)
    assert [seed for seed, _ in given] == [fit.seed for fit in tuned.fits]
    own = records[base.name].fits
    assert [fit.folder for _, fit in given] == [bench.folder.fold_solution(base.name, fit.slot) for fit in own]
    assert [(fit.config, fit.train_examples) for _, fit in given] == [(fit.config, fit.train_examples) for fit in own]
    for fit, its_base in zip(records[atop.name].fits, own, strict=True):
        assert fit.given_seconds == its_base.seconds > 0
    assert records[atop.name].fit_seconds > records[base.name].fit_seconds, "what it builds on has to be made too"


def test_what_a_fit_takes_hangs_not_on_who_asked_first(
    bench_for: MakeBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are embedded, and documents indexed, once a comparison."""

    def slow(embedder: HashingEmbedder, texts: Sequence[str]) -> Any:
        time.sleep(0.004 * len(texts))
        return encode(embedder, texts)

    encode = HashingEmbedder.encode
    monkeypatch.setattr(HashingEmbedder, "encode", slow)
    write_csv(tmp_path / "documents.csv", ["text"], [[f"passage {i}"] for i in range(100)])
    bench = bench_for(folds=2, options={"documents": str(tmp_path / "documents.csv")})
    bench.embedder.encode([e.input for e in bench.data.examples])  # as the audit does
    names = ("nearest_copy", "embedding_linear", "rag", "few_shot")
    records = tried(bench, *(Entry(name, name, "scripted") for name in names))
    rows = 0.004 * min(len(fold.train) for fold in bench.folds)
    assert all(fit.seconds + fit.shared_seconds > rows for name in names for fit in records[name].fits)
    first, second = records["rag"].fits
    assert min(first.seconds, second.shared_seconds) > 0.4, "of the passages"
    assert records["rag"].seconds_again < records["rag"].fit_seconds


def test_a_strategy_goes_on_from_nothing_where_what_it_builds_on_is_missing_or_was_ended_by_the_clock(
    bench_for: MakeBench, tuned: Any, builder: Any
) -> None:
    given: list[Any] = []
    builder.during = lambda fit, workshop: given.append(workshop.given)
    tuned.during = lambda fit, workshop: setattr(workshop.log, "guard_fired", True)
    atop = [Entry(name, "lora_linear", "scripted") for name in ("lora_linear", "lora_linear@other")]
    assert tried(bench_for(folds=1), LORA, *atop)["lora"].status == "stopped_early"
    assert given == [None, None]


def test_only_the_first_fit_is_timed(bench_for: MakeBench, tuned: Any) -> None:
    record = tried(bench_for(folds=3, repeats=2), LORA)["lora"]
    timed = [fit.evaluation is not None and fit.evaluation.latency is not None for fit in record.fits]
    assert timed == [True] + [False] * 5
    assert record.evaluation is not None
    assert record.evaluation.latency is not None


def test_what_failed_before_the_clock_ran_out_is_told() -> None:
    late = Outcome(Example("1", "a", ("b",)), Prediction(""), None, 0.0, problem=OUT_OF_TIME)
    failed = replace(late, problem="the server answered 503, each time it was asked")
    ended = "1 test row was left unscored when the time budget was used up"
    told = f"{ended}, and before that some rows failed: {failed.problem}; see to that first, then raise --time-budget"
    assert _why_stopped(Evaluation("accuracy", (late,), 0.0), FitLog()) == f"{ended}; raise --time-budget"
    assert _why_stopped(Evaluation("accuracy", (failed, late), 0.0), FitLog()) == told
    assert _why_stopped(Evaluation("accuracy", (late,), 0.0), FitLog(failure=str(failed.problem))) == told


def test_what_is_answered_and_timed_is_embedded_anew(bench_for: MakeBench) -> None:
    bench, watched = bench_for(folds=1), Watched()
    bench.embedder = CachingEmbedder(watched)
    bench.embedder.encode([example.input for example in bench.data.examples])
    watched.texts.clear()
    tried(bench, Entry("embedding_linear", "embedding_linear", "scripted"))
    asked = [example.input for example in bench.folds[0].test]
    warm, *embedded = watched.texts
    answered, timed = embedded[: -len(asked)], embedded[-len(asked) :]
    assert warm == bench.folds[0].train[0].input
    assert answered == asked * (len(answered) // len(asked)), "what is quick is answered several times"
    assert sorted(timed) == sorted(asked)


def test_latency_is_measured_on_test_rows_like_all_of_them_for_as_long_as_planned(
    bench_for: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def measure(solution: Solution, inputs: Sequence[str], *, max_seconds: float) -> Latency:
        seen.append((list(inputs), max_seconds))
        return Latency(0.1, 0.2, 5)

    monkeypatch.setattr("advisor.trial.measure_latency", measure)
    bench = bench_for(folds=1, latency_seconds=8.0)
    record = tried(bench, MAJORITY)["majority"]
    assert record.evaluation is not None
    assert seen == [(typical_first(record.evaluation.outcomes), 8.0)]


def test_with_several_seeds_the_quality_is_the_mean_and_its_spread_is_told(
    options: dict[str, Any], tuned: Any, clerk: ScriptedModel, shelf_with: MakeShelf
) -> None:
    """The fits with the first seed are right on all rows, with the second on every other, with the third on none."""
    tuned.right = lambda fit, row: row % 2 < 2 - fit.seed // trials.SEEDS_APART
    report = compare(**options, strategies=["majority", "lora"], shelf=shelf_with(clerk))
    plan, quality = report.data.plan, report.result("lora").quality
    assert (plan.folds, plan.repeats) == (5, 3)
    assert quality is not None
    assert quality.per_fit == [1.0, 0.5, 0.0]
    assert quality.value == 0.5
    assert (quality.n, quality.correct) == (80, 40)
    assert quality.ci95[0] < 0.3 < 0.7 < quality.ci95[1]  # three fits apart say little, 80 rows or not
    assert quality.per_fold is not None
    assert len(quality.per_fold) == 15
    assert quality.per_fold[:5] == [1.0] * 5
    assert quality.per_fold[10:] == [0.0] * 5
    plain = report.result("majority").quality
    assert plain is not None
    assert plain.per_fit is None
    assert plain.per_fold is not None
    assert len(plain.per_fold) == 5
    fit = report.result("lora").fit
    assert fit is not None
    assert fit.count == 15
    assert {c.n for c in report.comparisons} == {80}
    table = pd.read_parquet(options["output"] / "predictions.parquet")
    assert table.groupby("strategy").size().to_dict() == {"majority": 80, "lora": 80}
    assert not table.duplicated(["strategy", "id"]).any()
    assert "3 times with different seeds" in (options["output"] / "report.md").read_text(encoding="utf-8")


# ---- fits that do not end well ---------------------------------------------------------------------------------------


def raising(error: Exception, *, at: int) -> Callable[[Any, Any], None]:
    def during(fit: Any, workshop: Any) -> None:
        if fit.number == at:
            raise error

    return during


def test_one_folds_failure_ends_the_strategy_and_scores_nothing(bench_for: MakeBench, tuned: Any) -> None:
    tuned.during = raising(RuntimeError("the loss is not a number"), at=1)
    bench = bench_for(folds=3)
    record = tried(bench, LORA)["lora"]
    assert (record.status, record.reason) == ("failed", "RuntimeError: the loss is not a number")
    assert len(tuned.fits) == 2
    assert record.evaluations == []
    kept = {p.name for p in (bench.folder.path / "fold_solutions" / "lora").iterdir()}
    assert kept == {"fold-0-fit-0"}


def test_a_full_disk_is_no_failure_of_a_strategy(bench_for: MakeBench, tuned: Any) -> None:
    tuned.during = raising(OSError(errno.ENOSPC, "full"), at=0)
    bench = bench_for(folds=1)
    with pytest.raises(OSError, match="full"):
        tried(bench, LORA)
    assert not bench.folder.fits("lora")


def test_a_solution_that_fails_while_it_answers_is_not_kept(bench_for: MakeBench, tuned: Any) -> None:
    tuned.known = {}
    bench = bench_for(folds=3)
    assert "KeyError" in str(tried(bench, LORA)["lora"].reason)
    assert not bench.folder.fold_solution("lora", "fold-0-fit-0").exists()


def test_an_error_of_our_own_is_told_in_its_own_words(bench_for: MakeBench, tuned: Any) -> None:
    tuned.during = raising(RequestError("The adapter is damaged."), at=0)
    assert tried(bench_for(), LORA)["lora"].reason == "The adapter is damaged."


def test_a_strategy_that_does_not_apply_is_asked_on_one_fold_only(bench_for: MakeBench, tuned: Any) -> None:
    tuned.during = raising(NotApplicable("there is nothing to learn"), at=0)
    record = tried(bench_for(folds=5, repeats=3), LORA)["lora"]
    assert (record.status, record.reason) == ("not_applicable", "there is nothing to learn")
    assert len(tuned.fits) == 1


def test_after_a_failure_only_the_folds_without_a_record_are_fitted_again(bench_for: MakeBench, tuned: Any) -> None:
    tuned.during = raising(MemoryError(), at=1)
    first = tried(bench_for(folds=3), LORA)["lora"]
    assert "out of memory" in str(first.reason)
    again = tried(bench_for(folds=3), LORA)["lora"]
    assert again.status == "ok"
    assert len(tuned.fits) == 2 + 2
    assert tuned.fits[2].train == tuned.fits[1].train
    assert again.fits[0] == first.fits[0]


def test_what_failed_in_one_fold_is_in_the_report_without_a_quality(
    options: dict[str, Any], tuned: Any, clerk: ScriptedModel, shelf_with: MakeShelf
) -> None:
    tuned.during = raising(RuntimeError("the loss is not a number"), at=3)
    report = compare(**options, strategies=["majority", "lora"], shelf=shelf_with(clerk))
    assert report.result("lora").status == "failed"
    assert report.result("lora").quality is None
    assert report.recommendation.strategy == "majority"
    assert report.comparisons == []
    assert set(pd.read_parquet(options["output"] / "predictions.parquet").strategy) == {"majority"}


def test_a_strategy_without_one_scored_row_has_failed(
    bench_for: MakeBench, tuned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else no test row would be left that all strategies were scored on."""
    lost = Outcome(Example("1", "x", ("y",)), Prediction("", error="429"), None, 0.0, "too many requests")
    monkeypatch.setattr(
        "advisor.trials.run_trial",
        lambda trial, *_: Fit("ok", fold=trial.fold, evaluation=Evaluation("accuracy", (lost, lost), 0.1)),
    )
    record = tried(bench_for(folds=3), LORA)["lora"]
    assert (record.status, record.reason) == ("failed", "no test row could be scored: too many requests")


def test_what_the_clock_stopped_in_a_later_fold_is_shown_but_never_recommended(
    options: dict[str, Any], tuned: Any, clerk: ScriptedModel, shelf_with: MakeShelf
) -> None:
    def during(fit: Any, workshop: Any) -> None:
        workshop.log.guard_fired = fit.number == 2

    tuned.during = during
    report = compare(**options, strategies=["majority", "lora"], shelf=shelf_with(clerk))
    stopped = report.result("lora")
    assert (stopped.status, len(tuned.fits)) == ("stopped_early", 3)
    assert "raise --time-budget" in str(stopped.reason)
    assert stopped.quality is not None
    assert (stopped.quality.value, stopped.quality.n) == (1.0, 48)
    assert report.recommendation.strategy == "majority"
    assert "lora" not in report.recommendation.probability_best


def clock_ends(fit: Any, workshop: Any, number: int) -> None:
    workshop.log.guard_fired = fit.number == number


def fails(fit: Any, workshop: Any, number: int) -> None:
    if fit.number == number:
        raise RuntimeError("the loss is not a number")


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        (clock_ends, "there was no time for more"),
        (fails, "another fit failed (RuntimeError: the loss is not a number)"),
    ],
)
def test_what_ends_at_a_later_seed_stands_with_its_first(
    options: dict[str, Any],
    tuned: Any,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    ended: Callable[[Any, Any, int], None],
    why: str,
) -> None:
    """Its first seed has answered all rows, its second those of one fold; compared again, it gets no more."""
    tuned.during = lambda fit, workshop: ended(fit, workshop, 6)
    tuned.right = lambda fit, row: row % 10 < (9 if fit.seed < trials.SEEDS_APART else 2)
    report = compare(**options, strategies=["majority", "lora"], shelf=shelf_with(clerk))
    plan, found, folder = report.data.plan, report.result("lora"), options["output"]
    assert (plan.folds, plan.repeats, len(tuned.fits)) == (5, 3, 7 + 2 + 1), "then the learning curve and the refit"
    assert (found.status, found.reason) == ("ok", f"one seed instead of 3: {why}")
    assert report.recommendation.strategy == "lora"
    assert found.quality is not None
    assert found.fit is not None
    assert (found.quality.n, found.quality.value, found.quality.per_fit, found.fit.count) == (80, 0.9, None, 5)
    (said,) = [caveat for caveat in report.recommendation.caveats if "one seed instead of 3" in caveat]
    assert said.startswith("Fine-tuning (LoRA) was")
    assert said.endswith(f"{why}.")
    assert "were fitted up to 3 times" in (folder / "report.md").read_text(encoding="utf-8")
    assert report_again(folder) == report
    again = compare(**options, strategies=["majority", "lora"], shelf=shelf_with(clerk))
    assert (again.strategies, len(tuned.fits)) == (report.strategies, 10)


@pytest.mark.parametrize(("left", "fits"), [(169.0, 3), (181.0, 9)])
def test_further_seeds_are_not_begun_where_all_of_them_would_not_end_in_time(
    bench_for: MakeBench, tuned: Any, monkeypatch: pytest.MonkeyPatch, left: float, fits: int
) -> None:
    """Planned were 3 x 3 fits of 10 seconds; each takes 20, so that six more take 120 of what is left after three."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(trials, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def run(trial: Any, *_: Any) -> Fit:
        clock.now += 20.0
        answered = tuple(Outcome(e, Prediction(e.target), 1.0, 0.1) for e in trial.test)
        evaluation = Evaluation("accuracy", answered, 4.0)
        return Fit("ok", fold=trial.fold, repeat=trial.repeat, evaluation=evaluation, seconds=16.0)

    monkeypatch.setattr("advisor.trials.run_trial", run)
    predicted, deadline = {"lora": 90.0, "lora_rag": 50.0}, clock.now + left + 50 + trials.GUARD_SECONDS
    record = tried(bench_for(folds=3, repeats=3, predicted=predicted, deadline=deadline), LORA)["lora"]
    assert (record.status, len(record.fits)) == ("ok", fits)


def test_of_seeds_that_were_given_up_nothing_is_left(bench_for: MakeBench, tuned: Any) -> None:
    tuned.during = lambda fit, workshop: clock_ends(fit, workshop, 4)
    bench = bench_for(folds=2, repeats=3)
    record = tried(bench, LORA)["lora"]
    assert [fit.slot for fit in bench.folder.fits("lora")] == [fit.slot for fit in record.fits]
    kept = bench.folder.fold_solution("lora", record.fits[0].slot)
    assert {folder.name for folder in kept.parent.iterdir()} == {fit.slot for fit in record.fits}


def test_what_builds_on_fits_of_another_has_no_more_seeds_than_that(
    bench_for: MakeBench, tuned: Any, builder: Any
) -> None:
    tuned.during = lambda fit, workshop: clock_ends(fit, workshop, 3)
    records = tried(bench_for(folds=2, repeats=2), LORA, Entry("lora_linear", "lora_linear", "scripted"))
    assert [(r.status, len(r.fits)) for r in records.values()] == [("ok", 2), ("ok", 2)]
    assert records["lora_linear"].reason == "one seed instead of 2: what it builds on has one seed too"
    assert len(builder.fits) == 2


def test_what_builds_on_a_strategy_that_failed_has_all_its_seeds(
    bench_for: MakeBench, tuned: Any, builder: Any
) -> None:
    tuned.during = lambda fit, workshop: fails(fit, workshop, 0)
    records = tried(bench_for(folds=2, repeats=2), LORA, Entry("lora_linear", "lora_linear", "scripted"))
    assert [(r.status, r.reason is None, len(r.fits)) for r in records.values()] == [
        ("failed", False, 1),
        ("ok", True, 4),
    ]


def test_fits_that_were_shortened_are_told_of(
    options: dict[str, Any], tuned: Any, clerk: ScriptedModel, shelf_with: MakeShelf
) -> None:
    tuned.during = lambda fit, workshop: workshop.log.config.update({SHORTENED: 1} if fit.number in (2, 7) else {})
    report = compare(**options, strategies=["majority", "lora"], shelf=shelf_with(clerk))
    (said,) = [c for c in report.recommendation.caveats if "passed over the rows fewer times than planned" in c]
    assert "2 of 15 fits" in said
    assert report_again(options["output"]) == report


# ---- the clock -------------------------------------------------------------------------------------------------------


def test_a_fit_with_no_time_left_is_not_begun(bench_for: MakeBench, tuned: Any) -> None:
    bench = bench_for(predicted={"lora": 300.0}, deadline=time.monotonic() + 20)
    record = tried(bench, LORA)["lora"]
    assert record.status == "stopped_early"
    assert "before its turn; raise --time-budget" in str(record.reason)
    assert tuned.fits == []


@pytest.mark.parametrize(("left", "status"), [(900, "ok"), (850, "stopped_early")])
def test_training_that_would_end_before_it_has_begun_well_is_not_begun(
    bench_for: MakeBench, tuned: Any, left: float, status: str
) -> None:
    """100 seconds after training, 700 for another strategy and the guard leave 80 of 900 for training of 200."""
    predicted, deadline = {"lora": 300.0, "lora_rag": 700.0}, time.monotonic() + left
    bench = bench_for(folds=1, predicted=predicted, after_fit={"lora": 100.0}, deadline=deadline)
    record = tried(bench, LORA)["lora"]
    assert (record.status, len(tuned.fits)) == (status, int(status == "ok"))


def test_what_the_clock_cut_short_is_not_timed(bench_for: MakeBench, tuned: Any) -> None:
    def during(_: Any, workshop: Any) -> None:
        workshop.log.guard_fired = True

    tuned.during = during
    (fit,) = tried(bench_for(folds=1), LORA)["lora"].fits
    assert fit.evaluation is not None
    assert (fit.status, fit.evaluation.latency) == ("stopped_early", None)


def test_what_takes_no_models_work_is_measured_with_no_time_left_too(bench_for: MakeBench, tuned: Any) -> None:
    bench = bench_for(predicted={"majority": 0.5, "lora": 300.0}, deadline=time.monotonic() - 20)
    records = tried(bench, MAJORITY, LORA)
    assert [record.status for record in records.values()] == ["ok", "stopped_early"]
    assert tuned.fits == []


def test_a_strategy_that_the_plan_left_out_is_not_fitted(bench_for: MakeBench, tuned: Any) -> None:
    bench = bench_for(predicted={"majority": 1.0, "lora": 300.0}, left_out=["lora"])
    bench.progress = told = Told()
    records = tried(bench, MAJORITY, LORA)
    assert [record.status for record in records.values()] == ["ok", "stopped_early"]
    assert "no room for it; raise --time-budget" in str(records["lora"].reason)
    assert told.outcomes == ["ok", "left_out"]
    assert tuned.fits == []


def test_the_forecast_counts_embedding_the_documents_with_the_first_that_reads_them(bench_for: MakeBench) -> None:
    names = ("majority", "rag", "passage_copy", "lora_rag")
    bench = bench_for(predicted=dict.fromkeys(names, 1.0), left_out=["rag"], index_seconds=50.0)
    bench.progress = told = Told()
    tried(bench, *(Entry(name, name, "scripted") for name in names))
    assert told.seconds == {"majority": 1.0, "passage_copy": 51.0, "lora_rag": 1.0}


def test_training_leaves_time_for_its_answers_and_for_the_fits_the_strategies_and_the_refit_to_come(
    bench_for: MakeBench, tuned: Any
) -> None:
    deadline = time.monotonic() + 10_000
    predicted = {"majority": 50.0, "lora": 300.0, "lora_rag": 700.0}
    bench = bench_for(folds=3, predicted=predicted, after_fit={"lora": 9.0}, refit_seconds=70.0, deadline=deadline)
    tried(bench, LORA)
    ends = [deadline - fit.allowance.deadline - trials.GUARD_SECONDS for fit in tuned.fits]
    assert ends == pytest.approx([200 + 700 + 70 + 9, 100 + 700 + 70 + 9, 700 + 70 + 9])


# ---- the system in use today -----------------------------------------------------------------------------------------


@pytest.fixture
def incumbent(tmp_path: Path, labels: dict[str, str]) -> Path:
    """Right on every other ticket; the rows are in another order than the tickets."""
    rows = [(text, label if n % 2 else "lost") for n, (text, label) in enumerate(labels.items())]
    return write_csv(tmp_path / "today.csv", ["text", "prediction"], rows[::-1])


def test_todays_system_is_scored_on_the_rows_of_every_fold(bench_for: MakeBench, incumbent: Path) -> None:
    bench = bench_for(folds=3, options={"incumbent": str(incumbent)})
    records = tried(bench, MAJORITY)
    theirs, ours = records[INCUMBENT].evaluation, records["majority"].evaluation
    assert theirs is not None
    assert ours is not None
    assert [o.example.id for o in theirs.outcomes] == [o.example.id for o in ours.outcomes]
    assert sum(theirs.scores) == 40
    assert len(records[INCUMBENT].evaluations) == 1


def test_todays_system_is_in_the_table_and_compared_but_never_picked(
    options: dict[str, Any], incumbent: Path, clerk: ScriptedModel, shelf_with: MakeShelf
) -> None:
    """It is better than the only strategy there is."""
    report = compare(**options, incumbent=str(incumbent), strategies=["majority"], shelf=shelf_with(clerk))
    today, advice = report.result(INCUMBENT), report.recommendation
    assert today.quality is not None
    assert (today.quality.value, today.quality.n, today.cost, today.latency) == (0.5, 80, None, None)
    assert [(c.a, c.b) for c in report.comparisons] == [("majority", INCUMBENT)]
    assert advice.strategy == "majority"
    assert INCUMBENT not in (advice.runner_up, *advice.probability_best, *advice.expected_loss)
    assert advice.gain_over_incumbent == report.comparisons[0].difference < 0
    assert "Keep today's system" in advice.next_step
    for name in ("report.md", "report.html"):
        assert "Today's system" in (options["output"] / name).read_text(encoding="utf-8").replace("&#39;", "'")


def test_the_gain_over_todays_system_is_told_with_its_range(
    options: dict[str, Any], incumbent: Path, clerk: ScriptedModel, shelf_with: MakeShelf
) -> None:
    report = compare(**options, incumbent=str(incumbent), strategies=["majority", "few_shot"], shelf=shelf_with(clerk))
    advice = report.recommendation
    assert (advice.strategy, advice.gain_over_incumbent) == ("few_shot", 0.5)
    (found,) = (c for c in report.comparisons if {c.a, c.b} == {"few_shot", INCUMBENT})
    low, high = sorted(abs(100 * end) for end in found.ci95)
    (reason,) = (reason for reason in advice.reasons if "today's system" in reason)  # and not among the baselines
    assert f"it gains 50 points (+{low:.1f} to +{high:.1f})" in reason
    assert "Keep today's system" not in advice.next_step


def test_with_a_test_file_todays_outputs_are_those_of_its_rows(
    options: dict[str, Any],
    labels: dict[str, str],
    tmp_path: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
) -> None:
    rows = list(labels.items())
    train = write_csv(tmp_path / "train.csv", ["text", "label"], rows[:50])
    test = write_csv(tmp_path / "test.csv", ["text", "label"], rows[50:])
    today = [(text, label if n < 24 else "lost") for n, (text, label) in enumerate(rows[50:])]
    outputs = write_csv(tmp_path / "today.csv", ["text", "prediction"], today[::-1])
    asked = {**options, "examples": train, "test": str(test), "incumbent": str(outputs), "strategies": ["majority"]}
    report = compare(**asked, shelf=shelf_with(clerk))
    quality = report.result(INCUMBENT).quality
    assert quality is not None
    assert (quality.n, quality.correct) == (30, 24)
    assert report.data.plan.test_source == "file"


def test_where_all_strategies_fail_todays_system_alone_is_no_comparison(
    options: dict[str, Any],
    incumbent: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(self: Any, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        raise RuntimeError("no")

    monkeypatch.setattr(Majority, "fit", crash)
    report = compare(**options, incumbent=str(incumbent), strategies=["majority"], shelf=shelf_with(clerk))
    assert report.recommendation.verdict == "insufficient_evidence"
    assert report.recommendation.strategy is None


# ---- groups and times ------------------------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Example, ...]]:
    """The rows that each fit of `majority` is shown."""
    seen: list[tuple[Example, ...]] = []
    original = Majority.fit

    def spy(self: Any, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        seen.append(tuple(train))
        return original(self, task, train, workshop)

    monkeypatch.setattr(Majority, "fit", spy)
    return seen


def grouped(path: Path, labels: dict[str, str], groups: int) -> Path:
    rows = [(text, label, f"customer {n % groups}") for n, (text, label) in enumerate(labels.items())]
    return write_csv(path, ["text", "label", "customer"], rows)


def test_rows_of_one_group_are_never_learnt_from_and_tested_on(
    options: dict[str, Any],
    labels: dict[str, str],
    shown: list[tuple[Example, ...]],
    tmp_path: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
) -> None:
    examples = grouped(tmp_path / "grouped.csv", labels, 16)
    asked = {**options, "examples": examples, "group_by": "customer", "strategies": ["majority"]}
    report = compare(**asked, shelf=shelf_with(clerk))
    assert report.data.plan.folds == 5
    assert len(shown) > 5
    everything = {e.id: e.input for e in read_data(make_request(**{**asked, "examples": str(examples)})).examples}
    customer = {text: n % 16 for n, text in enumerate(labels)}
    for rows in shown[:5]:
        learnt = {e.id for e in rows}
        tested = {customer[text] for i, text in everything.items() if i not in learnt}
        assert tested
        assert tested.isdisjoint(customer[e.input] for e in rows)


def test_rows_of_one_group_are_one_cluster_in_the_statistics(
    bench_for: MakeBench, labels: dict[str, str], tmp_path: Path
) -> None:
    examples = grouped(tmp_path / "grouped.csv", labels, 16)
    bench = bench_for(folds=3, options={"examples": str(examples), "group_by": "customer"})
    evaluation = tried(bench, MAJORITY)["majority"].evaluation
    assert evaluation is not None
    sizes = Counter(o.example.group for o in evaluation.outcomes)
    assert (len(sizes), set(sizes.values())) == (16, {5})
    assert "" not in sizes


@pytest.mark.parametrize("groups", [2, 4])
def test_few_groups_are_compared_on_a_holdout(
    groups: int,
    options: dict[str, Any],
    labels: dict[str, str],
    shown: list[tuple[Example, ...]],
    tmp_path: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
) -> None:
    """Four customers cannot be cut into five folds."""
    examples = grouped(tmp_path / "grouped.csv", labels, groups)
    asked = {**options, "examples": examples, "group_by": "customer", "strategies": ["majority"]}
    report = compare(**asked, shelf=shelf_with(clerk))
    assert report.data.plan.folds < 5
    assert report.recommendation.strategy == "majority"


def test_with_a_time_column_the_latest_rows_are_the_test(
    options: dict[str, Any],
    labels: dict[str, str],
    shown: list[tuple[Example, ...]],
    tmp_path: Path,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
) -> None:
    rows = [(text, label, f"2024-{1 + n % 12:02}-{1 + n // 12:02}") for n, (text, label) in enumerate(labels.items())]
    examples = write_csv(tmp_path / "dated.csv", ["text", "label", "day"], rows)
    asked = {**options, "examples": examples, "time_column": "day", "strategies": ["majority"]}
    report = compare(**asked, shelf=shelf_with(clerk))
    plan = report.data.plan
    assert (plan.kind, plan.folds, plan.test_source) == ("holdout", 1, "latest")
    assert all(offer.folds == 1 for offer in plan.offers)
    day = {text: date for text, _, date in rows}
    learnt = [day[e.input] for e in shown[0]]
    tested = sorted(set(day.values()) - set(learnt))
    assert len(learnt) == plan.train == 80 - plan.test
    assert max(learnt) < min(tested)
    assert len(shown[-1]) == 80  # what is kept learns from the latest rows too
    assert "latest" in (options["output"] / "report.md").read_text(encoding="utf-8")


# ---- leaks -----------------------------------------------------------------------------------------------------------


class Watched(HashingEmbedder):
    """Remembers all that it embedded."""

    def __init__(self) -> None:
        super().__init__(dimensions=4096)
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> Any:
        self.texts += texts
        return super().encode(texts)


def test_neither_todays_outputs_nor_the_test_files_answers_are_seen_by_any_strategy(
    rooms: tuple[Path, Path], reader: ScriptedModel, fakes: dict[str, Any], tmp_path: Path
) -> None:
    """Each is a canary; the documents, the examples and the test questions are all that may be known."""
    questions, documents = rooms
    rows = [json.loads(line) for line in questions.read_text().splitlines()]
    test, today = tmp_path / "test.jsonl", tmp_path / "today.jsonl"
    test.write_text(
        "".join(json.dumps({**row, "answer": f"canary-{n}-test"}) + "\n" for n, row in enumerate(rows[20:]))
    )
    today.write_text(
        "".join(
            json.dumps({"question": row["question"], "prediction": f"canary-{n}-today"}) + "\n"
            for n, row in enumerate(rows[20:])
        )
    )
    train = tmp_path / "train.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in rows[:20]))
    embedder, run = Watched(), tmp_path / "run"
    shelf = ModelShelf(language_models={"scripted": reader}, embedders={"hashing": embedder})
    report = compare(
        "Answer.", train, documents, test=str(test), incumbent=str(today), shelf=shelf, output=run, keep="all", **fakes
    )
    measured = {s.name for s in report.strategies if s.quality}
    assert {INCUMBENT, "rag", "nearest_copy", "few_shot"} <= measured
    table = pd.read_parquet(run / "predictions.parquet")
    assert table.target.str.contains("canary").all()
    assert table[table.strategy == INCUMBENT].output.str.contains("canary").all()
    assert not table[table.strategy != INCUMBENT].output.str.contains("canary").any()
    for folder in ("fold_solutions", "solutions", "solution"):
        kept = contents(run / folder)
        assert kept
        assert not [name for name, content in kept.items() if b"canary" in content]
    assert len(embedder.texts) > 40
    assert not [text for text in embedder.texts if "canary" in text]
    assert len(reader.seen) > 20
    assert not [turn for prompt in reader.seen for turn in prompt.turns if "canary" in turn.content]


def test_with_cross_fitting_todays_outputs_and_the_documents_leak_nothing(
    rooms: tuple[Path, Path], reader: ScriptedModel, fakes: dict[str, Any], tmp_path: Path
) -> None:
    questions, documents = rooms
    rows = [json.loads(line) for line in questions.read_text().splitlines()]
    today = tmp_path / "today.jsonl"
    outputs = ({"question": row["question"], "prediction": f"canary-{n}"} for n, row in enumerate(rows))
    today.write_text("".join(json.dumps(row) + "\n" for row in outputs))
    embedder, run = Watched(), tmp_path / "run"
    shelf = ModelShelf(language_models={"scripted": reader}, embedders={"hashing": embedder})
    asked = {**fakes, "strategies": ["nearest_copy", "few_shot", "nearest_examples", "rag"], "keep": "all"}
    report = compare("Answer.", questions, documents, incumbent=str(today), shelf=shelf, output=run, **asked)
    assert report.data.plan.folds == 5
    for folder in ("fold_solutions", "solutions"):
        assert not [name for name, content in contents(run / folder).items() if b"canary" in content]
    assert not [text for text in embedder.texts if "canary" in text]
    assert not [turn for prompt in reader.seen for turn in prompt.turns if "canary" in turn.content]
    for fold in range(5):  # no index of examples holds a row that its fold is tested on
        finished = json.loads((run / "finished" / "nearest_copy" / f"fold-{fold}-fit-0.json").read_text())
        tested = {o["example"]["input"] for o in finished["evaluation"]["outcomes"]}
        kept = b"".join(contents(run / "fold_solutions" / "nearest_copy" / f"fold-{fold}-fit-0").values())
        assert len(tested) == 8
        assert not [text for text in tested if text.encode() in kept]
        assert sum(row["question"].encode() in kept for row in rows) == 32
