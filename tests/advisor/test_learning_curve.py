"""The leading strategies on parts of the training rows: how much more examples would help."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor.comparison import compare
from advisor.learning_curve import learning_curve, nested_parts
from advisor.planning import CURVE_SHARES
from advisor.trial import Trial
from advisor.trials import Bench, Entry
from eval.contracts import Example, Kind, Task
from strategies.base import Allowance
from strategies.models.fake import ScriptedModel
from strategies.models.shelf import ModelShelf

MakeBench = Callable[..., Bench]
MakeShelf = Callable[[ScriptedModel], ModelShelf]
LORA = Entry("lora", "lora", "scripted")


def trial_of(rows: int, group: Callable[[int], str] = lambda i: "") -> Trial:
    train = tuple(Example(f"{i:03}", f"text number {i}", (f"label {i % 3}",), group=group(i)) for i in range(rows))
    return Trial("lora", "lora", Task("Sort.", Kind.CLASSIFICATION, "accuracy"), train, (), Allowance())


@pytest.mark.parametrize("rows", [40, 61, 300])
def test_each_part_holds_the_one_before(rows: int) -> None:
    trial = trial_of(rows)
    parts = [set(part) for part in nested_parts(trial, stratify=True)]
    assert [len(part) for part in parts] == [round(share * rows) for share in CURVE_SHARES]
    assert parts[0] < parts[1] < set(trial.train)


def test_each_part_holds_the_one_before_whatever_the_sizes_of_the_groups() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        sizes = [f"g{g}" for g in range(60) for _ in range(rng.choice((1, 1, 2, 9)))]
        trial = replace(trial_of(len(sizes), group=sizes.__getitem__), seed=seed)
        parts = [set(part) for part in nested_parts(trial, stratify=True)]
        assert parts[0] < parts[1] < set(trial.train)


def test_parts_keep_the_labels_and_the_groups_together() -> None:
    for part in nested_parts(trial_of(120, group=lambda i: f"g{i // 4}"), stratify=True):
        assert {e.target for e in part} == {"label 0", "label 1", "label 2"}
        members = [e.group for e in part]
        assert all(members.count(group) == 4 for group in members)


@pytest.mark.parametrize("trial", [trial_of(1), trial_of(2), trial_of(40, group=lambda i: "all")])
def test_too_few_rows_have_no_parts(trial: Trial) -> None:
    assert nested_parts(trial, stratify=True) == []


def test_parts_of_the_first_folds_rows_are_tested_on_its_test_rows(bench_for: MakeBench, tuned: Any) -> None:
    bench = bench_for(folds=3, repeats=3)
    fits = learning_curve(bench, LORA)
    train, test = bench.folds[0].train, bench.folds[0].test
    assert [fit.part for fit in fits] == [0.25, 0.5]
    assert [fit.train_examples for fit in fits] == [round(len(train) / 4), round(len(train) / 2)]
    assert [len(shown.train) for shown in tuned.fits] == [fit.train_examples for fit in fits]
    for shown, fit in zip(tuned.fits, fits, strict=True):
        assert set(shown.train) < {e.id for e in train}
        assert shown.seed == bench.trials(LORA)[0].seed
        assert fit.evaluation is not None
        assert [o.example for o in fit.evaluation.outcomes] == list(test)
        assert fit.evaluation.latency is None
    assert not bench.folder.fold_solution("lora", "fold-0-fit-0").exists()  # the curve keeps no solution
    assert not (bench.folder.path / "fold_solutions").exists()


def test_what_was_fitted_already_is_not_fitted_again(bench_for: MakeBench, tuned: Any) -> None:
    bench = bench_for(folds=3)
    assert learning_curve(bench, LORA) == learning_curve(bench, LORA)
    assert len(tuned.fits) == 2


@pytest.mark.parametrize(("at", "points"), [(0, 0), (1, 1)])
def test_a_curve_ends_at_the_first_fit_that_fails(at: int, points: int, bench_for: MakeBench, tuned: Any) -> None:
    def during(fit: Any, workshop: Any) -> None:
        if fit.number == at:
            raise RuntimeError("no")

    tuned.during = during
    assert len(learning_curve(bench_for(folds=3), LORA)) == points
    assert len(tuned.fits) == at + 1


def test_a_curve_that_there_is_no_time_for_is_left_out(bench_for: MakeBench, tuned: Any) -> None:
    bench = bench_for(folds=3, curve_seconds=4000.0, deadline=time.monotonic() + 100)
    assert learning_curve(bench, LORA) == []
    assert tuned.fits == []


def test_training_for_a_curve_leaves_no_time_for_strategies_that_are_done(bench_for: MakeBench, tuned: Any) -> None:
    """All have been tried by then; only the refit and the report are still to come."""
    deadline = time.monotonic() + 10_000
    predicted = {"lora": 300.0, "lora_rag": 9000.0}
    bench = bench_for(folds=3, predicted=predicted, refit_seconds=70.0, deadline=deadline)
    assert len(learning_curve(bench, LORA)) == 2
    assert [deadline - fit.allowance.deadline for fit in tuned.fits] == pytest.approx([90.0, 90.0])


def test_the_report_tells_what_all_rows_bring_over_each_part(
    task_file: Path,
    tickets: Path,
    tuned: Any,
    clerk: ScriptedModel,
    shelf_with: MakeShelf,
    fakes: dict[str, Any],
    tmp_path: Path,
) -> None:
    """A fit on a quarter of the rows is right on no row, on a half on every other, on all of them on all."""

    def right(fit: Any, row: int) -> bool:
        return len(fit.train) > 40 or (len(fit.train) > 20 and row % 2 == 0)

    tuned.right = right
    asked = {**fakes, "strategies": ["majority", "tfidf_linear", "lora"], "output": tmp_path / "run"}
    report = compare(str(task_file), tickets, shelf=shelf_with(clerk), **asked)
    fit = report.result("lora").fit
    assert fit is not None
    assert fit.learning_curve is not None
    quarter, half, whole = fit.learning_curve
    assert [(p.share, p.train_examples) for p in fit.learning_curve] == [(0.25, 16), (0.5, 32), (1.0, 64)]
    assert (quarter.value, whole.value) == (0.0, 1.0)
    assert 0.2 < half.value < 0.8
    assert quarter.gain_to_all == 1.0
    assert half.gain_to_all == pytest.approx(1 - half.value)
    assert half.gain_ci95 is not None
    assert half.gain_ci95[0] < 1 - half.value < half.gain_ci95[1]
    assert (whole.gain_to_all, whole.gain_ci95) == (None, None)
    (sentence,) = (s for s in report.recommendation.sensitivity if "Twice" in s and "fine-tuning (LoRA)" in s)
    assert "the next doubling may bring less" in sentence
    (unsure,) = (s for s in report.recommendation.sensitivity if "Twice" in s and "TF-IDF" in s)
    assert "too few test rows to say whether more would help" in unsure
    assert "What more examples bring" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
