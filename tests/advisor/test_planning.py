"""What fits a budget, and what is cut first."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.comparison import _plan_from_json, _plan_to_json
from advisor.planning import (
    FIXED_SECONDS,
    MOST_EPOCHS,
    RESERVE,
    RunPlan,
    Speeds,
    index_seconds,
    make_plan,
    measure_speeds,
    profile_of,
    training_speed,
)
from eval.contracts import Document, Example, Kind, Task
from strategies.answers import AnswerFormat
from strategies.base import Allowance
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.registry import STRATEGIES, make_strategy
from strategies.workload import Profile, Tokens, Workload

PROFILE = Profile(
    train_rows=400,
    input_tokens=60,
    output_tokens=5,
    longest_output=20,
    label_tokens=0,
    passage_tokens=100,
    instruction_tokens=20,
)
SPEEDS = Speeds(read=2000, written=200, trained=400)
LADDER = [
    "fine-tuning passes over the training rows at most 4 times",
    "strategies took their first configuration instead of trying several",
    "150 test rows instead of 200",
    "100 test rows instead of 200",
    "fine-tuning passes over the training rows at most 3 times",
    "60 test rows instead of 200",
    "fine-tuning passes over the training rows at most 2 times",
    "fine-tuning learns from half of the training rows",
    "fine-tuning learns from a quarter of the training rows",
]


@dataclass(frozen=True)
class Work:
    """A strategy in tokens."""

    trained: float = 0.0
    """Each epoch."""
    read: float = 0.0
    """Each query."""

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        rows = min(profile.train_rows, allowance.train_rows)
        tuning = 64 if allowance.tune else 0
        fit = Tokens(trained=self.trained * allowance.epochs * rows / profile.train_rows, read=self.read * tuning)
        return Workload(fit=fit, query=Tokens(read=self.read))


REAL = {name: make_strategy(name) for name in STRATEGIES}


def plan(
    strategies: dict[str, object] | None = None, *, budget: float, test_rows: int = 200, fixed: bool = False
) -> RunPlan:
    chosen = REAL if strategies is None else strategies
    return make_plan(
        chosen,  # type: ignore[arg-type]
        dict.fromkeys(chosen, PROFILE),
        dict.fromkeys(chosen, SPEEDS),
        test_rows=test_rows,
        fixed_test=fixed,
        index_seconds=3.0,
        time_budget=budget,
    )


def test_a_big_budget_cuts_nothing() -> None:
    full = plan(budget=1e6)
    assert (full.cuts, full.left_out) == ((), ())
    assert full.test_rows == 200
    assert full.allowance == Allowance(epochs=MOST_EPOCHS)
    assert set(full.predicted) == set(STRATEGIES)
    assert full.total == pytest.approx(FIXED_SECONDS + 3.0 + sum(full.predicted.values()))


def test_an_endless_budget_cuts_nothing() -> None:
    assert plan(budget=math.inf).cuts == ()


def test_smaller_budgets_cut_in_the_stated_order() -> None:
    """Each smaller budget goes the same way down, further; each step is met by some budget."""
    seen = []
    for budget in range(3000, 100, -2):
        found = plan(budget=budget)
        assert list(found.cuts[: len(LADDER)]) == LADDER[: len(found.cuts)]
        seen.append(len(found.cuts))
    assert seen == sorted(seen)
    assert {len(LADDER), len(LADDER) + 1} <= set(seen)


def test_what_is_cut_first_is_passes_then_tuning_then_test_rows() -> None:
    full = plan(budget=1e6).total / RESERVE
    first = plan(budget=full - 1)
    assert first.cuts == (LADDER[0],)
    assert first.allowance == Allowance(epochs=4)
    second = plan(budget=first.total / RESERVE - 1)
    assert second.allowance == Allowance(epochs=4, tune=False)
    third = plan(budget=second.total / RESERVE - 1)
    assert (third.test_rows, third.allowance.epochs) == (150, 4)


def test_everything_is_cut_before_a_strategy_is_left_out() -> None:
    found = plan({"lora": Work(trained=40_000), "rag": Work(read=2000)}, budget=150)
    assert found.allowance == Allowance(epochs=2, tune=False, train_rows=100)
    assert found.test_rows == 60
    assert list(found.cuts[: len(LADDER)]) == LADDER


def test_the_longest_strategies_are_left_out_first() -> None:
    works = {"quick": Work(read=1), "slow": Work(read=20_000), "slower": Work(read=40_000)}
    found = plan(works, budget=900)
    assert found.left_out == ("slower",)
    assert found.cuts[-1] == "slower was left out"
    assert plan(works, budget=60).left_out == ("slower", "slow")


def test_a_given_test_set_is_never_cut() -> None:
    for budget in (1e6, 400, 200, 100, 50, 1):
        found = plan(budget=budget, fixed=True)
        assert found.test_rows == 200
        assert not any("test rows" in cut for cut in found.cuts)


def test_a_small_test_part_is_not_cut_to_more_rows() -> None:
    found = plan(budget=1, test_rows=80)
    assert found.test_rows == 60
    assert [cut for cut in found.cuts if "test rows" in cut] == ["60 test rows instead of 80"]


def test_few_training_rows_are_not_cut_to_a_handful() -> None:
    small = replace(PROFILE, train_rows=80)
    found = make_plan(
        {"lora": REAL["lora"]}, {"lora": small}, {"lora": SPEEDS},
        test_rows=20, fixed_test=False, index_seconds=0, time_budget=1,
    )  # fmt: skip
    assert found.allowance.train_rows == 40


works = st.builds(Work, st.floats(0, 1e6), st.floats(0, 1e5))


@given(
    st.dictionaries(st.sampled_from("abcdef"), works, max_size=6),
    st.floats(0.1, 1e5),
    st.integers(1, 200),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_the_predicted_total_stays_within_the_reserve_unless_everything_was_left_out(
    strategies: dict[str, object], budget: float, test_rows: int, fixed: bool
) -> None:
    found = plan(strategies, budget=budget, test_rows=test_rows, fixed=fixed)
    assert found.total <= RESERVE * budget + 1e-6 or set(found.left_out) == set(strategies)
    kept = sum(s for name, s in found.predicted.items() if name not in found.left_out)
    assert found.total == pytest.approx(FIXED_SECONDS + 3.0 + kept)
    assert found.test_rows <= test_rows
    assert not fixed or found.test_rows == test_rows


@given(st.dictionaries(st.sampled_from("abcdef"), works, min_size=1, max_size=6), st.floats(1, 1e5))
@settings(max_examples=100, deadline=None)
def test_more_time_never_leaves_more_strategies_out(strategies: dict[str, object], budget: float) -> None:
    less, more = plan(strategies, budget=budget), plan(strategies, budget=budget * 1.5)
    assert len(more.left_out) <= len(less.left_out)
    assert more.test_rows >= less.test_rows
    assert more.allowance.epochs >= less.allowance.epochs


@pytest.mark.parametrize("budget", [1e6, 700, 200, 1])
def test_a_plan_survives_json(budget: float) -> None:
    found = plan(budget=budget)
    again = _plan_from_json(json.loads(json.dumps(_plan_to_json(found))))
    assert again.allowance == found.allowance
    assert (again.test_rows, again.total) == (found.test_rows, found.total)
    assert (list(again.left_out), list(again.cuts)) == (list(found.left_out), list(found.cuts))
    assert list(again.predicted.items()) == list(found.predicted.items())


def test_a_deadline_belongs_to_one_run_and_is_not_stored() -> None:
    found = replace(plan(budget=1e6), allowance=Allowance(deadline=123.0))
    assert "deadline" not in _plan_to_json(found)["allowance"]
    assert _plan_from_json(_plan_to_json(found)).allowance.deadline == math.inf


def test_a_profile_describes_the_training_part() -> None:
    model = ScriptedModel(lambda prompt: "")
    task = Task("Sort the tickets.", Kind.CLASSIFICATION, "accuracy")
    train = [Example(str(i), "three words here", ("billing" if i % 2 else "bills",)) for i in range(10)]
    answers = AnswerFormat.infer(task, train, model)
    profile = profile_of(task, train, [Document("d", "four words of text")], model, answers)
    assert (profile.train_rows, profile.input_tokens, profile.output_tokens) == (10, 11, 1)
    assert profile.label_tokens > 0
    assert profile.passage_tokens >= 4
    assert profile_of(task, train, [], model, answers).passage_tokens == 0


def test_speeds_are_positive_and_what_cannot_be_trained_takes_no_training_time() -> None:
    speeds = measure_speeds(ScriptedModel(lambda prompt: "a " * 30), training_speed)
    assert speeds.read > 0
    assert speeds.written > 0
    assert speeds.trained == math.inf
    assert speeds.seconds(Tokens(trained=1e9)) == 0


def test_indexing_time_is_measured_on_a_sample() -> None:
    assert index_seconds([], HashingEmbedder()) == 0
    assert index_seconds([Document(str(i), "some words " * 20) for i in range(50)], HashingEmbedder()) > 0
