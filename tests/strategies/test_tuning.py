"""Configurations are chosen on a dev part of the training examples, the same way for all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.contracts import Example, Kind, Prediction, Solution, Task
from eval.errors import InfrastructureError, NotApplicable
from strategies.base import Allowance, Workshop
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.pipeline import Pipeline
from strategies.prompts import PromptTemplate
from strategies.registry import STRATEGIES, make_strategy
from strategies.tuning import SMALLEST_DEV, choose, parts, quality, set_aside
from strategies.workload import Speeds

TASK = Task("Sort.", Kind.CLASSIFICATION, "accuracy")
TRAIN = [Example(f"{i:02}", f"text {i}", ("odd" if i % 2 else "even",)) for i in range(40)]


class Share:
    """Is right on a share of the rows; the numbers it answers are in the inputs."""

    def __init__(self, share: float) -> None:
        self.share = share

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        answers = ["odd" if int(text.split()[1]) % 2 else "even" for text in inputs]
        right = round(self.share * len(inputs))
        return [Prediction(a if i < right else "neither") for i, a in enumerate(answers)]

    def save(self, folder: Path) -> None: ...


def workshop(**allowance: Any) -> Workshop:
    return Workshop(ScriptedModel(lambda p: ""), HashingEmbedder(), (), Path(), 3, Allowance(**allowance))


Made = list[tuple[float, tuple[str, ...]]]


@pytest.fixture
def made() -> Made:
    """Which configuration was made from which rows."""
    return []


@pytest.fixture
def make(made: Made) -> Callable[[dict[str, Any], Sequence[Example]], Solution]:
    def one(configuration: dict[str, Any], rows: Sequence[Example]) -> Solution:
        made.append((configuration["share"], tuple(e.id for e in rows)))
        return Share(configuration["share"])

    return one


def shares(*values: float) -> list[dict[str, Any]]:
    return [{"share": value} for value in values]


def test_the_parts_are_disjoint_and_complete() -> None:
    fit, dev = parts(TASK, TRAIN, workshop(dev_rows=12), 64)
    ids = {e.id for e in fit} | {e.id for e in dev}
    assert (len(fit), len(dev), len(ids)) == (30, 10, 40)  # a quarter at most
    assert {e.target for e in dev} == {"odd", "even"}
    assert parts(TASK, TRAIN, workshop(dev_rows=12), 64) == (fit, dev)
    assert parts(TASK, TRAIN[::-1], workshop(dev_rows=12), 64)[1] == dev[::-1]


def test_too_small_a_dev_part_is_no_dev_part() -> None:
    assert parts(TASK, TRAIN[: 4 * SMALLEST_DEV - 1], workshop(), 64) == (tuple(TRAIN[: 4 * SMALLEST_DEV - 1]), ())
    assert parts(TASK, TRAIN, workshop(dev_rows=SMALLEST_DEV - 1), 64)[1] == ()
    assert len(parts(TASK, TRAIN[: 4 * SMALLEST_DEV], workshop(), 64)[1]) == SMALLEST_DEV


def test_the_best_on_dev_is_made_again_from_all_examples(made: Made, make: Any) -> None:
    shop = workshop()
    solution = choose(TASK, TRAIN, shop, shares(0.2, 0.9, 0.5), make)
    fit, _ = parts(TASK, TRAIN, shop, 64)
    assert isinstance(solution, Share)
    assert solution.share == 0.9
    fitted_on = tuple(e.id for e in fit)
    assert made == [(s, fitted_on) for s in (0.2, 0.9, 0.5)] + [(0.9, tuple(e.id for e in TRAIN))]
    assert [trial["share"] for trial in shop.log.trials] == [0.2, 0.9, 0.5]
    assert [trial["dev_quality"] for trial in shop.log.trials] == pytest.approx([0.25, 1.0, 0.5])  # of the last lap
    assert [trial["dev_rows"] for trial in shop.log.trials] == [4, 8, 8], "the others are clearly behind by then"
    assert [trial["chosen"] for trial in shop.log.trials] == [False, True, False]
    assert (shop.log.config, shop.log.train_examples) == ({"share": 0.9}, 40)


@pytest.mark.parametrize("seconds", [math.inf, 0.0])
def test_where_answers_are_free_all_configurations_answer_all_dev_rows(make: Any, seconds: float) -> None:
    shop = workshop(tuning_seconds=seconds)
    choose(TASK, TRAIN, shop, shares(0.2, 0.9, 0.5), make, is_free=True)
    assert [trial["dev_rows"] for trial in shop.log.trials] == [10, 10, 10]
    assert shop.log.config == {"share": 0.9}


class Failing(Share):
    """A server that fails whatever is not right."""

    def __init__(self, share: float) -> None:
        super().__init__(share)
        self.calls = 0

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        self.calls += 1
        return [
            Prediction("", error="infrastructure: 429") if answer.text == "neither" else answer
            for answer in super().predict(inputs)
        ]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[Failing]:
    """Those that were made."""
    monkeypatch.setattr("eval.harness.time.sleep", lambda seconds: None)
    return []


def failing_as_told(failing: list[Failing]) -> Callable[[dict[str, Any], Sequence[Example]], Solution]:
    def one(configuration: dict[str, Any], rows: Sequence[Example]) -> Solution:
        failing.append(Failing(configuration["share"]))
        return failing[-1]

    return one


def test_where_no_row_could_be_scored_the_failure_ends_the_race(failing: list[Failing]) -> None:
    shop = workshop()
    with pytest.raises(InfrastructureError, match="429"):
        choose(TASK, TRAIN, shop, shares(0.0, 0.0, 0.0), failing_as_told(failing))
    assert [one.calls for one in failing] == [3, 3, 3], "one lap, in which each row is asked three times"


def test_after_the_deadline_a_failing_server_is_asked_once_and_no_more(failing: list[Failing]) -> None:
    shop = workshop(deadline=time.monotonic())
    with pytest.raises(InfrastructureError, match="429"):
        choose(TASK, TRAIN, shop, shares(0.0, 0.0, 0.0), failing_as_told(failing))
    assert [one.calls for one in failing] == [1]


def test_a_failure_of_some_rows_is_told_and_the_others_decide(failing: list[Failing]) -> None:
    shop = workshop(deadline=time.monotonic())
    choose(TASK, TRAIN, shop, shares(0.5, 0.5), failing_as_told(failing))
    assert shop.log.failure == "429"
    assert [trial["dev_quality"] for trial in shop.log.trials] == [1.0, 1.0]


def test_a_model_that_answers_is_not_held_to_the_clock(make: Any) -> None:
    """Its work is planned, so that the same plan makes the same choices."""
    shop = workshop(deadline=time.monotonic())
    choose(TASK, TRAIN, shop, shares(0.2, 0.9, 0.5), make)
    assert shop.log.config == {"share": 0.9}
    assert shop.log.failure == ""


def test_equally_good_configurations_give_the_earlier(made: Made, make: Any) -> None:
    choose(TASK, TRAIN, workshop(), shares(0.52, 0.48), make)  # the same number of dev rows right
    assert made[-1][0] == 0.52
    choose(TASK, TRAIN, workshop(), shares(0.0, 0.0), make)
    assert made[-1][0] == 0.0


@pytest.mark.parametrize(
    ("allowance", "train", "configurations"),
    [
        ({"tuning_seconds": 0}, TRAIN, shares(0.1, 0.9)),
        ({}, TRAIN[:20], shares(0.1, 0.9)),
        ({}, TRAIN, shares(0.1)),
    ],
    ids=["not allowed", "too few examples", "nothing to choose"],
)
def test_without_a_choice_the_first_is_made_once(
    made: Made, make: Any, allowance: dict[str, Any], train: list[Example], configurations: list[dict[str, Any]]
) -> None:
    shop = workshop(**allowance)
    choose(TASK, train, shop, configurations, make)
    assert made == [(0.1, tuple(e.id for e in train))]
    assert (shop.log.trials, shop.log.config) == ([], {"share": 0.1})


def test_what_most_fits_before_chose_is_made_without_a_race(made: Made, make: Any) -> None:
    before = ({"share": 0.2, "word_share": 0.5}, {"share": 0.9}, {"share": 0.2})
    shop = workshop(chosen_before=before)
    choose(TASK, TRAIN, shop, shares(0.9, 0.2, 0.5), make)
    assert made == [(0.2, tuple(e.id for e in TRAIN))], "though 0.9 would win a race"
    assert (shop.log.config, shop.log.trials) == ({"share": 0.2}, [])


def test_where_fits_before_chose_differently_their_choices_race(made: Made, make: Any) -> None:
    shop = workshop(chosen_before=({"share": 0.2}, {"share": 0.5}))
    choose(TASK, TRAIN, shop, shares(0.9, 0.2, 0.5), make)
    assert [trial["share"] for trial in shop.log.trials] == [0.2, 0.5]
    assert shop.log.config == {"share": 0.5}
    shop = workshop(chosen_before=({"epochs": 2}, {}))
    choose(TASK, TRAIN, shop, shares(0.9, 0.2, 0.5), make)
    assert len(shop.log.trials) == 3, "fits that say nothing of it leave all to choose from"


def test_dev_rows_that_a_solution_does_not_know_are_left_to_check_it_by(make: Any) -> None:
    shop = workshop()
    _, dev = parts(TASK, TRAIN, shop, 64)
    known = {dev[0].id, dev[3].id}
    choose(TASK, TRAIN, shop, shares(0.2, 0.9), make, knows=lambda solution, example: example.id in known)
    assert shop.log.held_out == tuple(e.id for e in dev if e.id not in known)
    choose(TASK, TRAIN, shop, shares(0.2, 0.9), make)
    assert shop.log.held_out == (), "what learns from all rows is the rule"


@pytest.mark.parametrize("name", ["zero_shot", "few_shot", "nearest_examples", "rag", "passage_copy"])
def test_what_prompts_show_is_not_left_to_check_them_by(
    name: str, small_tasks: dict[Kind, Any], tmp_path: Path
) -> None:
    small = small_tasks[Kind.QA]
    rows = [replace(e, id=f"{e.id}-{i}", input=f"{e.input} ({i})") for i in range(8) for e in small.examples][:80]
    model = ScriptedModel(lambda prompt: "a few words")
    shop = replace(workshop(), language_model=model, documents=small.documents, folder=tmp_path)
    solution = make_strategy(name).fit(small.task, rows, shop)
    _, dev = parts(small.task, rows, shop, 64)
    template = solution.template if isinstance(solution, Pipeline) else PromptTemplate("")
    free = [e.id for e in dev if not template.shows(e.input)]
    if name == "nearest_examples":
        assert shop.log.held_out == ()
    else:
        assert list(shop.log.held_out) == free != []
        assert (len(free) < len(dev)) == (name == "few_shot")


def test_progress_is_told_for_each_configuration(make: Any) -> None:
    seen: list[tuple[str, int, int]] = []
    shop = workshop()
    shop.progress = lambda phase, done, total: seen.append((phase, done, total))
    choose(TASK, TRAIN, shop, shares(0.1, 0.9), make)
    assert seen == [("tuning", 1, 2), ("tuning", 2, 2)]


def test_quality_is_the_metric_of_the_task() -> None:
    assert quality(TASK, Share(0.5), TRAIN) == 0.5
    macro = quality(Task("Sort.", Kind.CLASSIFICATION, "macro_f1"), Share(0.5), TRAIN)
    assert 0 < macro < 1
    assert macro != 0.5


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_strategy_gets_more_than_its_share(name: str, small_tasks: dict[Kind, Any], tmp_path: Path) -> None:
    """All are given the same model-seconds; the last lap begun may end a little beyond them, and no other is begun."""
    for small in small_tasks.values():
        spent, most = dict[float, float](), dict[float, float]()
        for seconds in (math.inf, 2.0, 0.0):
            shop = replace(
                workshop(tuning_seconds=seconds),
                language_model=ScriptedModel(lambda prompt: "a few words"),
                documents=small.documents,
                folder=tmp_path,
                speeds=Speeds(read=2000, written=200, trained=400),
            )
            try:
                make_strategy(name).fit(small.task, small.examples, shop)
            except NotApplicable:
                break
            taken = [trial["model_seconds"] for trial in shop.log.trials]
            spent[seconds], most[seconds] = sum(taken), max(taken, default=0.0)
        assert spent.get(0.0, 0.0) == 0.0
        assert spent.get(2.0, 0.0) <= min(spent.get(math.inf, 0.0) + 0.1, 2.0 + most.get(2.0, 0.0))


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_few_large_groups_cost_neither_the_choice_nor_half_of_what_is_learnt_from(groups: int) -> None:
    train = [replace(e, group=f"site {i % groups}") for i, e in enumerate(TRAIN)]
    fit, dev = set_aside(TASK, train, workshop(), 5)
    assert len(dev) == 5
    assert sorted(e.id for e in (*fit, *dev)) == [e.id for e in train]
    assert all(e.group for e in (*fit, *dev))


@pytest.mark.parametrize(("groups", "kept_whole"), [(1, False), (4, False), (8, True), (12, True)])
def test_large_groups_are_chosen_by_whole_where_they_are_many(groups: int, kept_whole: bool) -> None:
    """With four, a quarter of the rows is one of them."""
    train = [Example(f"{i:03}", f"text {i}", (f"{i % 2}",), group=f"site {i // 2 % groups}") for i in range(480)]
    fit, dev = parts(TASK, train, workshop(dev_rows=16), 64)
    assert len(dev) == 16
    known, chosen_by = ({e.group for e in rows} for rows in (fit, dev))
    assert known.isdisjoint(chosen_by) == kept_whole
    assert len(fit) >= len(train) * 0.7
    assert set(dev).isdisjoint(fit)


def test_groups_stay_together_where_they_are_small() -> None:
    train = [replace(e, group=f"customer {i // 4}") for i, e in enumerate(TRAIN)]
    fit, dev = set_aside(TASK, train, workshop(), 8)
    assert len(dev) == 8
    assert {e.group for e in fit}.isdisjoint({e.group for e in dev})


def test_rows_that_are_all_alike_are_all_learnt_from() -> None:
    alike = [replace(e, input="the same") for e in TRAIN]
    assert set_aside(TASK, alike, workshop(), 8) == (tuple(alike), ())
