"""Whole trainings with other settings: taken where they are clearly better, within the allowance, and said."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from eval.contracts import Example, Kind, Task
from eval.metrics import ScoredRow
from strategies.base import SHORTENED, Allowance, FitLog, Workshop
from strategies.finetuning import LoraClassifier
from strategies.models.fake import HashingEmbedder
from strategies.models.transformers_lm import TransformersModel
from strategies.racing import Meter
from strategies.registry import make_strategy
from strategies.training.lora import Diverged, LoraSettings, TrainingLog
from strategies.training.pace import Pace
from strategies.training.search import LOWER, OutOfTime, Trained, most_chosen, neighbours, search, train_first
from strategies.tuning import ALTERNATIVES
from strategies.workload import Profile, Speeds

FIRST = LoraSettings(learning_rate=9e-4)
SPEEDS = Speeds(read=1000.0, written=100.0, trained=100.0)
SECOND = 100
"""Tokens that are trained on in a second."""


class Scripted:
    """A course whose adapters answer so many of 32 rows rightly; each training takes a second."""

    def __init__(
        self,
        right: Callable[[LoraSettings], int],
        *,
        cut_off: int | None = None,
        given_up: int | None = None,
    ) -> None:
        self.right = right
        self.cut_off, self.given_up = cut_off, given_up
        self.trained: list[LoraSettings] = []

    def train(self, settings: LoraSettings, folder: Path, meter: Meter, *, whole: bool = False) -> TrainingLog:
        self.trained.append(settings)
        if whole and len(self.trained) == self.given_up:
            raise OutOfTime(0.25)
        meter.train(SECOND)
        if self.right(settings) < 0:
            raise Diverged(settings.learning_rate, SECOND)
        folder.mkdir()
        (folder / "right").write_text(str(self.right(settings)), encoding="utf-8")
        return TrainingLog((), 1, SECOND, 1.0, guard_fired=len(self.trained) == self.cut_off)

    def answer(self, folder: Path, meter: Meter) -> list[ScoredRow | None]:
        right = int((folder / "right").read_text(encoding="utf-8"))
        return [ScoredRow("", ("x",), float(i < right)) for i in range(32)]

    def value(self, rows: Sequence[ScoredRow | None]) -> float:
        return sum(row.score for row in rows if row is not None) / len(rows)


def searched(
    course: Scripted, folder: Path, seconds: float = math.inf, deadline: float = math.inf
) -> tuple[Trained, FitLog, Meter]:
    first = Trained(FIRST, folder / "adapter", course.train(FIRST, folder / "adapter", Meter()))
    log, meter = FitLog(), Meter(seconds, SPEEDS)
    return search(first, 1.0, course, meter, log, deadline), log, meter


def test_what_is_clearly_better_is_taken_and_nothing_else_is_kept(tmp_path: Path) -> None:
    course = Scripted(lambda settings: 28 if settings.rank > FIRST.rank else 16)
    best, log, _ = searched(course, tmp_path)
    assert (best.settings.rank, best.settings.rslora, best.settings.learning_rate) == (64, True, FIRST.learning_rate)
    assert best.settings.alpha / math.sqrt(best.settings.rank) == FIRST.alpha / FIRST.rank, "as strong as before"
    assert best.folder == tmp_path / "adapter"
    assert [p.name for p in tmp_path.iterdir()] == ["adapter"]
    assert (best.folder / "right").read_text(encoding="utf-8") == "28"
    assert [trial["dev_quality"] for trial in log.trials] == [0.5, 0.5, 0.875, 0.875]
    assert [trial["chosen"] for trial in log.trials] == [False, False, True, False]
    assert json.loads(json.dumps(log.trials)) == log.trials


def test_what_may_be_better_by_chance_is_not_taken(tmp_path: Path) -> None:
    course = Scripted(lambda settings: 16 if settings == FIRST else 17)
    best, log, _ = searched(course, tmp_path)
    assert best.settings == FIRST
    assert len(course.trained) == 1 + ALTERNATIVES
    assert [trial["chosen"] for trial in log.trials] == [True, False, False, False]
    assert [p.name for p in tmp_path.iterdir()] == ["adapter"]


def test_what_is_right_on_more_rows_and_worse_by_the_metric_is_not_taken(tmp_path: Path) -> None:
    """As by macro F1, where an adapter leans towards the commonest label."""

    class Macro(Scripted):
        def value(self, rows: Sequence[ScoredRow | None]) -> float:
            return 1 - super().value(rows)

    best, _, _ = searched(Macro(lambda settings: 16 if settings == FIRST else 28), tmp_path)
    assert best.settings == FIRST


def test_memory_that_does_not_suffice_for_another_training_costs_nothing(tmp_path: Path) -> None:
    class Tight(Scripted):
        def train(self, settings: LoraSettings, folder: Path, meter: Meter, *, whole: bool = False) -> TrainingLog:
            if settings.rank > FIRST.rank:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().train(settings, folder, meter, whole=whole)

    best, log, _ = searched(Tight(lambda settings: 16), tmp_path)
    assert best.settings == FIRST
    assert [trial["dev_rows"] for trial in log.trials] == [32, 32, 0, 32]


def test_it_goes_on_from_the_best_so_far(tmp_path: Path) -> None:
    """Of a model for which the usual rate is ten times too high."""
    course = Scripted(
        lambda settings: 30 if settings.learning_rate < 2e-4 else 16 if settings.learning_rate < 5e-4 else 2
    )
    best, _, _ = searched(course, tmp_path)
    assert best.settings.learning_rate == pytest.approx(1e-4)


@pytest.mark.parametrize(("seconds", "trainings"), [(0.0, 0), (0.9, 0), (1.0, 1), (2.5, 2), (99.0, ALTERNATIVES)])
def test_no_training_is_begun_that_the_allowance_has_no_room_for(
    seconds: float, trainings: int, tmp_path: Path
) -> None:
    course = Scripted(lambda settings: 16)
    _, log, meter = searched(course, tmp_path, seconds)
    assert len(course.trained) == 1 + trainings
    assert meter.spent == trainings <= seconds
    assert len(log.trials) == (1 + trainings if trainings else 0)
    assert sum(trial["model_seconds"] for trial in log.trials) == trainings


def test_an_alternative_that_diverges_is_told_and_not_taken(tmp_path: Path) -> None:
    course = Scripted(lambda settings: -1 if settings.learning_rate > FIRST.learning_rate else 16)
    best, log, _ = searched(course, tmp_path)
    assert best.settings == FIRST
    assert (log.trials[-1]["dev_quality"], log.trials[-1]["dev_rows"], log.trials[-1]["chosen"]) == (None, 0, False)


def test_what_the_clock_cut_off_is_not_compared_with_whole_trainings(tmp_path: Path) -> None:
    course = Scripted(lambda settings: 16 if settings == FIRST else 32, cut_off=2)
    best, log, _ = searched(course, tmp_path)
    assert best.settings != FIRST, "the next one is whole"
    assert (log.trials[1]["dev_quality"], log.trials[1]["chosen"]) == (None, False)
    assert not log.guard_fired, "the solution is whole"
    assert [p.name for p in tmp_path.iterdir()] == ["adapter"]


def test_no_training_is_begun_that_would_not_end_before_the_deadline(tmp_path: Path) -> None:
    """The first took a second."""
    for number, (left, trainings) in enumerate([(0.9, 0), (30.0, ALTERNATIVES)]):
        course, folder = Scripted(lambda settings: 16), tmp_path / str(number)
        folder.mkdir()
        searched(course, folder, deadline=time.monotonic() + left)
        assert len(course.trained) == 1 + trainings


def test_where_training_diverges_lower_rates_follow(tmp_path: Path) -> None:
    course = Scripted(lambda settings: 16 if settings.learning_rate < FIRST.learning_rate / LOWER else -1)
    trained = train_first(course, FIRST, tmp_path / "adapter", Meter())
    assert trained.settings.learning_rate == FIRST.learning_rate / LOWER**2
    with pytest.raises(Diverged):
        train_first(Scripted(lambda settings: -1), FIRST, tmp_path / "none", Meter())


def test_settings_are_tried_once(tmp_path: Path) -> None:
    assert len({FIRST, *neighbours(FIRST)}) == 4
    wide = neighbours(FIRST)[1]
    assert [s.rank for s in neighbours(wide)] == [wide.rank, wide.rank], "no wider still"


def test_what_most_fits_before_ended_with_is_taken() -> None:
    wide = neighbours(FIRST)[1]
    assert most_chosen(FIRST, [FIRST.told(), {**wide.told(), "epochs": 9}, wide.told(), {}, {}]) == wide
    assert most_chosen(FIRST, [wide.told(), FIRST.told()]) == wide, "of equals the first"
    assert most_chosen(FIRST, [{}, {"quotes": True}]) == most_chosen(FIRST, []) == FIRST


# ---- through the strategies ------------------------------------------------------------------------------------------

TASK = Task("Route the ticket.", Kind.CLASSIFICATION, "accuracy")
TRAIN = [
    Example(f"{i:02}", f"{('the invoice is wrong', 'nothing works')[i % 2]} {i}", (("billing", "outage")[i % 2],))
    for i in range(64)
]


@pytest.mark.parametrize("name", ["lora", "full_tuning", "lora_classifier"])
def test_a_strategy_tries_other_settings_where_it_may(name: str, tiny_model: TransformersModel, tmp_path: Path) -> None:
    def fitted(folder: Path, **allowance: Any) -> Workshop:
        workshop = Workshop(
            tiny_model, HashingEmbedder(), (), folder, allowance=Allowance(epochs=1, **allowance), speeds=SPEEDS
        )
        solution = make_strategy(name).fit(TASK, TRAIN, workshop)
        assert solution.predict(["the invoice is wrong"])[0].text in ("billing", "outage")
        assert [p.name for p in folder.iterdir()] == ["adapter"]
        return workshop

    searching = fitted(tmp_path / "a", adapter_search=True)
    assert len(searching.log.trials) == (3 if name == "full_tuning" else 1 + ALTERNATIVES)  # it has no rank
    chosen = next(trial for trial in searching.log.trials if trial["chosen"])
    told = {"rank", "rslora", "learning_rate"} & searching.log.config.keys()
    assert ("rank" in told) == (name != "full_tuning")
    assert all(chosen[one] == searching.log.config[one] for one in told)
    assert sum(t["model_seconds"] for t in searching.log.trials) == pytest.approx(searching.meter.spent, abs=0.05)
    before = tuple({**searching.log.config, "learning_rate": rate} for rate in (1e-4, 2e-4, 2e-4))
    again = fitted(tmp_path / "again", adapter_search=True, chosen_before=before)
    assert (again.log.trials, again.log.config["learning_rate"]) == ([], 2e-4), "fits before have searched"
    for number, allowance in enumerate([{}, {"adapter_search": True, "tuning_seconds": 0.01}]):
        spared = fitted(tmp_path / str(number), **allowance)
        assert (spared.log.trials, spared.meter.spent) == ([], 0.0)
        assert spared.log.config.get("rank", FIRST.rank) == FIRST.rank


def test_a_training_that_had_to_be_shortened_is_told_and_other_settings_are_not_tried(
    tiny_model: TransformersModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of the passes is the least, and a fit with as many passes as others had is not shortened."""

    def fitted(last: int, **allowance: Any) -> Workshop:
        monkeypatch.setattr(Pace, "last_epoch", lambda *_: last)
        folder, allowed = tmp_path / f"{last}{len(allowance)}", Allowance(epochs=2, adapter_search=True, **allowance)
        workshop = Workshop(tiny_model, HashingEmbedder(), (), folder, allowance=allowed, speeds=SPEEDS)
        make_strategy("lora").fit(TASK, TRAIN, workshop)
        return workshop

    shortened, whole, fixed = fitted(1), fitted(2), fitted(1, fixed_epochs=2)
    assert (shortened.log.config[SHORTENED], len(shortened.log.curve), shortened.log.trials) == (1, 1, [])
    assert not shortened.log.guard_fired
    for workshop in (whole, fixed):
        assert SHORTENED not in workshop.log.config
        assert len(workshop.log.curve) == 2
    assert whole.log.trials


def test_an_alternative_that_was_given_up_is_not_compared_and_what_it_took_counts(tmp_path: Path) -> None:
    course = Scripted(lambda settings: 16 if settings == FIRST else 32, given_up=2)
    best, log, meter = searched(course, tmp_path)
    assert best.settings not in (FIRST, course.trained[1]), "the next one is whole"
    assert (log.trials[1]["dev_quality"], log.trials[1]["chosen"]) == (None, False)
    assert (log.trials[1]["model_seconds"], meter.spent) == (0.25, 2.25)


def test_other_settings_are_given_up_as_soon_as_they_will_not_end_in_time(
    tiny_model: TransformersModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than trained with fewer passes, which no one would compare."""
    asked: list[int] = []

    def last_epoch(pace: Pace, epoch: int, *_: float) -> float:
        asked.append(epoch)
        return 1 if len(asked) == 16 else 2

    monkeypatch.setattr(Pace, "last_epoch", last_epoch)
    allowance = Allowance(epochs=2, adapter_search=True)
    workshop = Workshop(tiny_model, HashingEmbedder(), (), tmp_path, allowance=allowance, speeds=SPEEDS)
    make_strategy("lora").fit(TASK, TRAIN, workshop)
    assert SHORTENED not in workshop.log.config
    assert [trial["dev_quality"] is None for trial in workshop.log.trials] == [False, True, False, False]
    assert len(asked) == 14 + 2 + 14 + 14, "the second of the four trainings is given up at its second step"
    assert [p.name for p in tmp_path.iterdir()] == ["adapter"]


def test_on_rows_too_few_for_a_clear_difference_no_other_settings_are_tried_or_planned(
    tiny_model: TransformersModel, tmp_path: Path
) -> None:
    """An eighth of the rows is set aside, and of seven none is ever clearly better."""
    for rows, trials in ((63, 0), (64, 1 + ALTERNATIVES)):
        train = [replace(TRAIN[i % 2], id=str(i), input=f"{TRAIN[i % 2].input} {i}") for i in range(rows)]
        allowance = Allowance(epochs=1, adapter_search=True)
        workshop = Workshop(tiny_model, HashingEmbedder(), (), tmp_path / str(rows), allowance=allowance, speeds=SPEEDS)
        make_strategy("lora").fit(TASK, train, workshop)
        assert len(workshop.log.trials) == trials
        work = LoraClassifier().workload(Profile(rows, 30.0, 5.0, 20, 12, 0.0, 40), allowance)
        assert (work.search.trained > 0, work.search_step.trained > 0) == (trials > 0, trials > 0)


def test_more_settings_are_more_work_in_whole_trainings() -> None:
    strategy, profile = LoraClassifier(), Profile(64, 30.0, 5.0, 20, 12, 0.0, 40)
    work = strategy.workload(profile, Allowance(adapter_search=True))
    assert work.search.trained == ALTERNATIVES * work.search_step.trained == ALTERNATIVES * work.fit.trained > 0
    assert strategy.workload(profile, Allowance()).search.trained == 0
