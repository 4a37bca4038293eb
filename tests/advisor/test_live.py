"""A plan, shown on a terminal."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from advisor.live import print_plan
from advisor.planning import Offer, RunPlan
from strategies.base import Allowance


def shown(total: float, budget: float, cuts: tuple[str, ...] = ()) -> str:
    plan = RunPlan(
        1, 1, 20, Allowance(), predicted={"zero_shot": 9.0}, offers=(Offer(3, 268.0), Offer(1, 232.0)), cuts=cuts,
        total=total,
    )  # fmt: skip
    comparison = SimpleNamespace(
        plan=plan, folds=[SimpleNamespace(train=range(30))], request=SimpleNamespace(time_budget=budget)
    )
    console = Console(file=io.StringIO(), width=200)
    print_plan(cast(Any, comparison), console)
    return cast(io.StringIO, console.file).getvalue()


def test_what_ways_of_dividing_the_examples_would_take_is_told_from_what_the_plan_takes() -> None:
    text = shown(total=200, budget=300, cuts=("no learning curve",))
    assert "30 examples to learn from, 20 to test on; about 3 min 20 s of the 5 min allowed." in text
    least = text.index("each at the least (with all given up but what quality hangs on):")
    assert least < text.index("3-fold cross-fitting: about 4 min 28 s") < text.index("one holdout: about 3 min 52 s")
    assert "Cut to fit the time budget: no learning curve." in text


@pytest.mark.parametrize("budget", [20.0, 134.0])
def test_a_plan_that_does_not_fit_says_so(budget: float) -> None:
    text = shown(total=135, budget=budget, cuts=("no learning curve",))
    assert "20 to test on; no plan fits the time budget of" in text
    assert "the shortest was taken, planned at 2 min 15 s" in text
    assert "Cut to come near the time budget: no learning curve." in text
    assert "allowed" not in text
