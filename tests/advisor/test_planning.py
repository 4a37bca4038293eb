"""What fits a budget, and what is cut first."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor import planning
from advisor.planning import (
    CURVE_SHARES,
    FIRST_SETTINGS,
    FIXED_SECONDS,
    MOST_EPOCHS,
    RESERVE,
    STATISTICS_SECONDS,
    STRATEGY_SECONDS,
    Fee,
    RunPlan,
    Sizes,
    Speeds,
    from_json,
    make_plan,
    to_json,
)
from eval.latency import LOAD_BATCHES, MOST_QUERIES, PARALLEL, WARM_UP
from strategies.base import Allowance, Standing
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
    json=True,
)
SPEEDS = Speeds(read=2000, written=200, trained=400)
DISPENSABLE = ("lora_examples",)
"""Of what applies here; there are no labels."""
HELD_OUT = "one holdout instead of cross-fitting"
NO_REFIT = "the kept solution is the measured one, not fitted again on all examples"
SHORTER = "the kept solution is fitted again on all examples only where that takes at most"
LADDER = [
    "one holdout instead of cross-fitting",
    "fine-tuned strategies were fitted once, not 3 times with different seeds",
    "no learning curve",
    "latency is measured for at most 8 seconds a strategy instead of 16",
    "latency is measured for at most 4 seconds a strategy instead of 16",
    "steadiness is measured on 4 questions instead of 12",
    "choosing a configuration takes at most 30 model-seconds a strategy instead of 60",
    "choosing a configuration takes at most 15 model-seconds a strategy instead of 60",
    "fine-tuning passes over the training rows at most 4 times (over few rows more often)",
    "the kept solution is the measured one, not fitted again on all examples",
    "fine-tuning + the nearest examples was left out",
    "strategies took their first configuration instead of trying several",
    "150 test rows instead of 200",
    "100 test rows instead of 200",
    "fine-tuning passes over the training rows at most 3 times (over few rows more often)",
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
    standing: Standing = "further"
    again: float = 0.0
    """Tokens of a training with other settings; there may be three."""

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        rows = min(profile.train_rows, allowance.train_rows)
        fit = Tokens(trained=self.trained * allowance.epochs * rows / profile.train_rows)
        again = Tokens(trained=self.again * allowance.adapter_search)
        search = Tokens(read=self.read * 64) + again * 3
        return Workload(fit=fit, query=Tokens(read=self.read), search=search, search_step=again)


REAL = {name: make_strategy(name) for name in STRATEGIES}


def sizes(test: int = 200, *, train: int = 400, fixed: bool = False, crossable: bool = True) -> Sizes:
    return Sizes(train + (0 if fixed else test), train, test, fixed, planning.FOLDS if crossable and not fixed else ())


def plan(
    strategies: dict[str, object] | None = None,
    *,
    budget: float,
    test_rows: int = 200,
    fixed: bool = False,
    keep_all: bool = False,
    named: bool = False,
) -> RunPlan:
    chosen = REAL if strategies is None else strategies
    return make_plan(
        chosen,  # type: ignore[arg-type]
        dict.fromkeys(chosen, PROFILE),
        dict.fromkeys(chosen, SPEEDS),
        sizes=sizes(test_rows, fixed=fixed),
        keep_all=keep_all,
        index_seconds=3.0,
        time_budget=budget,
        named=named,
    )


def tightest(planned: Callable[[float], RunPlan]) -> RunPlan:
    """With the least budget for which nothing is left out, to a hundredth."""
    return next(found for n in range(2000) if not (found := planned(1.01**n)).left_out)


def usual(planned: Callable[[float], RunPlan]) -> RunPlan:
    """With the most budget for which choosing takes no longer than usual."""
    found = planned(1e6)
    while found.allowance.tuning_seconds > 60:
        found = planned(found.total / RESERVE - 1)
    return found


def strength(found: RunPlan) -> tuple[int, int, int]:
    return found.folds, found.allowance.epochs, found.repeats


def parts(found: RunPlan) -> float:
    statistics = STATISTICS_SECONDS * found.test_rows * (len(found.predicted) - len(found.left_out))
    whole = sum(found.predicted.values()) + found.refit_seconds + found.curve_seconds + found.closer_look_seconds
    return whole + statistics


def test_what_hosted_models_cost_is_counted_by_the_calls_and_tokens_of_what_is_planned() -> None:
    """Where nothing is chosen: answering, timing, bearing load, and a first query after each fit, the second one being
    that of what is kept."""

    def plan(fee: Fee, budget: float) -> RunPlan:
        return make_plan(
            {"zero_shot": make_strategy("zero_shot")}, {"zero_shot": PROFILE}, {"zero_shot": Speeds(200, 20, math.inf)},
            sizes=Sizes(examples=100, holdout_train=80, holdout_test=20, folds=()), keep_all=False, index_seconds=0.0,
            time_budget=budget, fees={"zero_shot": fee},
        )  # fmt: skip

    short = plan(Fee(1.0, 0.0, 0.0), 60.0)
    assert (short.allowance.tuning_seconds, short.learning_curve, short.longest_refit) == (0, False, math.inf)
    assert short.usd == 20 + 2 + WARM_UP + MOST_QUERIES + (1 + LOAD_BATCHES) * sum(PARALLEL)
    assert plan(Fee(1.0, 0.0, 0.0), 1e6).usd > short.usd + 100
    read, written = (plan(fee, 60.0).usd for fee in (Fee(0.0, 1.0, 0.0), Fee(0.0, 0.0, 1.0)))
    assert read == short.usd * (PROFILE.input_tokens + PROFILE.instruction_tokens)
    assert written == short.usd * (PROFILE.output_tokens + PROFILE.longest_output) / 2
    assert from_json(json.loads(json.dumps(to_json(short)))).usd == short.usd
    assert plan(Fee(1.0, 0.0, 0.0), 1.0).usd == 0, "all is left out"


def test_what_builds_on_another_takes_little_where_that_one_takes_part() -> None:
    labelled = replace(PROFILE, label_tokens=12, json=False)

    def planned(budget: float, *names: str) -> RunPlan:
        return make_plan(
            {name: REAL[name] for name in names},
            dict.fromkeys(names, labelled),
            dict.fromkeys(names, SPEEDS),
            sizes=sizes(),
            keep_all=False,
            index_seconds=0.0,
            time_budget=budget,
            builds_on={"lora_linear": "lora"},
        )

    both, alone = planned(1e6, "lora", "lora_linear"), planned(1e6, "lora_linear")
    assert alone.predicted["lora_linear"] == pytest.approx(both.predicted["lora"], rel=0.05)
    assert both.predicted["lora_linear"] < both.predicted["lora"] / 2
    assert both.refit_seconds == pytest.approx(alone.refit_seconds), "what is kept is fitted from the start"
    enough = usual(lambda budget: planned(budget, "lora", "lora_linear")).total
    cheap = planned(0.6 * enough, "lora", "lora_linear", "lora_examples")
    assert cheap.left_out == ("lora_examples",), "what takes little is not worth leaving out"


def test_a_big_budget_cuts_nothing_and_tests_every_example() -> None:
    full = plan(budget=1e6)
    assert (full.cuts, full.left_out) == ((), ())
    assert (full.folds, full.repeats, full.test_rows) == (5, 3, 600)
    assert full.longest_refit == math.inf
    assert full.learning_curve
    assert full.allowance == Allowance(
        epochs=MOST_EPOCHS, tuning_seconds=full.allowance.tuning_seconds, adapter_search=True
    )
    assert full.allowance.tuning_seconds > 60
    assert set(full.predicted) == set(STRATEGIES)
    assert full.total == pytest.approx(FIXED_SECONDS + 3.0 + parts(full))


def test_an_endless_budget_cuts_nothing() -> None:
    assert plan(budget=math.inf).cuts == ()


def test_the_strongest_way_of_dividing_that_fits_is_taken() -> None:
    full = plan(budget=1e6)
    five, three, one = full.offers
    assert [offer.folds for offer in full.offers] == [5, 3, 1]
    assert five.seconds > three.seconds > one.seconds
    assert plan(budget=five.seconds / RESERVE + 1).folds == 5
    assert plan(budget=three.seconds / RESERVE + 1).folds >= 3
    assert plan(budget=one.seconds / RESERVE + 1).folds == 1
    assert plan(budget=one.seconds / RESERVE + 1).cuts[0] == HELD_OUT


def test_what_cross_fitting_is_thrifty_with_is_seeds_then_the_curve_then_timing_then_tuning_then_passes() -> None:
    found = [usual(lambda budget: plan(budget=budget))]
    while found[-1].folds == 5:
        found.append(plan(budget=found[-1].total / RESERVE - 1))
    assert [strength(p) for p in found[:15]] == [(5, 8, 3), *[(5, 8, 1)] * 13, (5, 4, 1)]
    curves = [p.learning_curve for p in found[:15]]
    assert curves == [True, True, *[False] * 12, True], "four passes pay for a curve"
    tuning = [p.allowance.tuning_seconds for p in found[:15]]
    assert tuning == [*[60] * 6, *[30] * 4, *[15] * 4, 60], "and for the tuning"
    timing = [p.latency_seconds for p in found[:15]]
    assert timing == [16, 16, *[16, 8, 4, 4] * 3, 16], "each of which pays for timing"
    steadiness = [p.asked_again for p in found[:15]]
    assert steadiness == [12, 12, *[12, 12, 12, 4] * 3, 12], "and for looking closely"
    assert [p.left_out for p in found[26:28]] == [(), DISPENSABLE]
    assert found[-1].folds == 3
    assert found[-1].cuts[0] == "3-fold cross-fitting instead of 5-fold"


def test_trainings_with_other_settings_are_given_up_first_and_planned_as_wholes() -> None:
    """29 seconds each: two fit into the 60 that choosing may take."""
    works = {"tuned": Work(trained=4_000, again=29 * SPEEDS.trained)}
    full = usual(lambda budget: plan(works, budget=budget))
    first = plan(works, budget=full.total / RESERVE - 1)
    assert (full.cuts, first.cuts) == ((), (FIRST_SETTINGS,))
    assert first.repeats == full.repeats == 3
    fits = full.folds * full.repeats + len(
        CURVE_SHARES
    )  # measured, and the curve's; what is kept is trained as they were
    assert full.total - first.total == pytest.approx(fits * 58)


def test_with_nothing_given_up_all_have_longer_for_choosing_where_trainings_with_other_settings_need_it() -> None:
    works = {"tuned": Work(trained=4_000, again=100 * SPEEDS.trained), "prompted": Work(read=4_000)}
    full = plan(works, budget=1e6)
    assert (full.cuts, full.allowance.tuning_seconds) == ((), 240), "three of 100 and a little room"
    fewer = plan(works, budget=full.total / RESERVE - 1)
    assert (fewer.cuts, fewer.allowance.tuning_seconds) == ((), 120)
    usual = plan(works, budget=fewer.total / RESERVE - 1)
    assert (usual.cuts, usual.allowance.tuning_seconds) == ((FIRST_SETTINGS,), 60), "no training fits, and so it says"
    assert not usual.allowance.adapter_search
    prompted = plan({"prompted": works["prompted"]}, budget=1e6)
    assert (prompted.cuts, prompted.allowance.tuning_seconds) == ((), 60), "the longer is for whole trainings"


@pytest.mark.parametrize("again", [0, 80])
def test_a_plan_without_room_for_other_settings_says_so_where_they_could_have_been_tried(again: int) -> None:
    works = {"tuned": Work(trained=4_000, again=again * SPEEDS.trained)}
    found = next(p for n in range(2000) if (p := plan(works, budget=1e5 * 0.99**n)).repeats == 1)
    assert (found.allowance.tuning_seconds, FIRST_SETTINGS in found.cuts) == (60, again > 0)


def test_only_fine_tuned_strategies_are_fitted_with_several_seeds() -> None:
    works = {"tuned": Work(trained=40_000), "prompted": Work(read=2000)}
    many, once = plan(works, budget=1e6), plan(works, budget=plan(works, budget=1e6).total / RESERVE - 1)
    assert (many.repeats, once.repeats) == (3, 1)
    assert many.predicted["tuned"] > 2.5 * once.predicted["tuned"]
    assert many.predicted["prompted"] == once.predicted["prompted"]


def test_what_is_kept_after_one_fit_is_not_planned_to_choose_again() -> None:
    crossed, once = plan({"rag": Work(read=2000)}, budget=1e6), plan({"rag": Work(read=2000)}, budget=500)
    assert (crossed.folds, once.folds, once.longest_refit) == (5, 1, math.inf)
    assert once.allowance.tuning_seconds == 60 == crossed.allowance.tuning_seconds
    assert once.refit_seconds < 1 < 60 < crossed.refit_seconds, "five fits may have chosen differently"


def test_keeping_everything_plans_a_refit_of_everything() -> None:
    assert plan(budget=1e6, keep_all=True).refit_seconds > 1.2 * plan(budget=1e6).refit_seconds


def test_what_is_refitted_quickly_is_refitted_where_there_is_no_time_for_the_longest() -> None:
    found = next(found for n in range(300) if SHORTER in str((found := plan(budget=6000 * 0.98**n)).cuts_for(REAL)))
    again = [name for name in found.tried if found.fits_again(name)]
    assert {"majority", "tfidf_linear"} <= set(again)
    assert not found.fits_again(max(found.tried, key=found.refits.__getitem__))
    assert found.refit_seconds == max(found.refits[name] for name in again) == found.longest_refit


@pytest.mark.parametrize("keep_all", [False, True])
@pytest.mark.parametrize("budget", [200, 400, 800, 1600])
def test_refits_never_take_a_plan_over_what_there_is_and_leave_no_room_for_another(budget: int, keep_all: bool) -> None:
    found = plan(budget=budget, keep_all=keep_all)
    again = [found.refits[name] for name in found.tried if found.fits_again(name)]
    others = [found.refits[name] for name in found.tried if not found.fits_again(name)]
    assert found.refit_seconds == pytest.approx(sum(again) if keep_all else max(again, default=0))
    if others and again:
        more = min(others) if keep_all else min(others) - max(again)
        assert found.total <= RESERVE * budget < found.total + more


def test_a_cut_of_the_refit_is_said_where_it_concerns_what_is_kept() -> None:
    some = RunPlan(1, 1, 60, Allowance(), refits={"quick": 0.7, "long": 90.0}, longest_refit=0.7, cuts=("a", NO_REFIT))
    assert some.cuts_for(["quick"]) == ["a"] == some.cuts_for([])
    assert some.cuts_for(["long"]) == ["a", NO_REFIT]
    assert some.cuts_for(["quick", "long"]) == ["a", f"{SHORTER} 0.7 s"]
    assert replace(some, longest_refit=0.0).cuts_for(["quick", "long"]) == ["a", NO_REFIT]
    assert replace(some, longest_refit=math.inf, cuts=("a",)).cuts_for(["quick", "long"]) == ["a"]


def test_smaller_budgets_cut_in_the_stated_order() -> None:
    """Each smaller budget goes further down the same way; each step is met by some budget.

    Until a strategy is left out that cannot be done without, which leaves room for the others.
    """
    seen = set()
    deepest = 0
    for step in range(140):
        found = plan(budget=6000 * 0.97**step)  # down to 90 seconds
        if found.folds == 1:
            steps = [LADDER.index(cut) for cut in found.cuts if cut in LADDER]
            assert steps == sorted(steps)
            seen |= set(steps)
            if not set(found.left_out) - set(DISPENSABLE):
                assert steps[-1] >= deepest
                deepest = steps[-1]
    assert seen >= set(range(len(LADDER))) - {0}


@pytest.mark.parametrize("budget", range(150, 3000, 50))
def test_nothing_is_given_up_that_there_is_room_for(budget: int) -> None:
    found = plan(budget=budget)
    if set(found.left_out) - set(DISPENSABLE):
        return
    (division,) = (d for d in planning._divisions(sizes(200), DISPENSABLE) if d.whole.folds == found.folds)
    kept = [cut for cut in division.cuts if cut.say in found.cuts]
    assert division.without(kept).cuts == found.cuts
    assert FIRST_SETTINGS in found.cuts or not found.allowance.tuning_seconds, "a training takes more than 60 seconds"
    facts = planning._Facts(
        REAL, dict.fromkeys(REAL, PROFILE), dict.fromkeys(REAL, SPEEDS), sizes(200), False, 3.0, 0.0, {}, {}
    )  # type: ignore[arg-type]
    for cut in kept:
        more = planning._timed(facts, division.without([other for other in kept if other is not cut]))
        nothing_more = cut.say == FIRST_SETTINGS and not any(planning._searching(facts, more))
        assert nothing_more or more.total > RESERVE * budget


def test_of_several_cuts_of_the_same_thing_the_last_is_said() -> None:
    found = plan({"lora": Work(trained=40_000), "rag": Work(read=3500)}, budget=310)
    assert [cut for cut in found.cuts if "passes" in cut] == [
        "fine-tuning passes over the training rows at most 2 times"
    ]
    assert [cut for cut in found.cuts if "test rows" in cut] == ["60 test rows instead of 200"]


def test_of_those_that_can_be_done_without_what_trains_longest_goes_first() -> None:
    works = {
        "short": Work(trained=20_000, standing="dispensable"),
        "lora": Work(trained=20_000),
        "long": Work(trained=60_000, standing="dispensable"),
    }
    seen = [plan(works, budget=20_000 * 0.96**step) for step in range(100)]
    crossed = [found for found in seen if found.folds == 5]
    assert list(dict.fromkeys(found.left_out for found in crossed)) == [(), ("long",), ("long", "short")]
    assert crossed[-1].cuts[-1] == "long and short were left out"
    assert sum("left out" in cut for cut in crossed[-1].cuts) == 1


def test_what_was_named_is_not_left_out_for_more_folds() -> None:
    works = {"tuned": Work(trained=40_000, standing="dispensable"), "prompted": Work(read=100)}
    for budget in (400, 600, 900):
        assert plan(works, budget=budget).left_out == ("tuned",)
        named = plan(works, budget=budget, named=True)
        assert (named.left_out, named.folds) == ((), 1)


def test_everything_is_cut_before_a_strategy_is_left_out() -> None:
    works = {"lora": Work(trained=80_000), "rag": Work(read=4000)}
    seen = [plan(works, budget=4000 * 0.97**step) for step in range(100)]
    last = [found for found in seen if not found.left_out][-1]
    assert (last.allowance.epochs, last.allowance.tuning_seconds, last.allowance.train_rows) == (2, 0.0, 100)
    assert (last.test_rows, last.repeats, last.learning_curve, last.longest_refit) == (60, 1, False, 0.0)


def test_what_is_left_out_leaves_room_for_the_others() -> None:
    works = {"lora": Work(trained=80_000), "prompted": Work(read=100)}
    found = plan(works, budget=100)
    assert (found.left_out, found.test_rows, found.longest_refit) == (("lora",), 200, math.inf)
    assert found.allowance.tuning_seconds > 0
    assert not any(cut.startswith(("fine-tuning passes", "fine-tuning learns")) for cut in found.cuts)


def test_the_plain_form_of_a_family_is_left_out_last() -> None:
    """Whatever takes longest: each answer to the client's question is to be tried where all can be."""
    works = {
        "few_shot": Work(read=2000, standing="plain"),
        "many_shot": Work(read=3000),
        "lora": Work(trained=800_000, standing="plain"),
        "lora_further": Work(trained=600_000),
        "lora_whole": Work(trained=400_000, standing="dispensable"),
    }
    order = ("lora_whole", "lora_further", "many_shot", "lora", "few_shot")
    seen = [plan(works, budget=40_000 * 0.96**step).left_out for step in range(200)]
    weightiest = [order.index(left_out[-1]) for left_out in seen if left_out]
    assert weightiest == sorted(weightiest)
    assert set(weightiest) == set(range(len(order)))


def test_a_short_strategy_is_tried_where_a_longer_one_that_matters_more_has_no_room() -> None:
    works = {"lora": Work(trained=800_000, standing="plain"), "many_shot": Work(read=3000), "two_shot": Work(read=200)}
    found = plan(works, budget=200)
    assert found.left_out == ("lora",)
    assert found.cuts[-1] == "fine-tuning (LoRA) was left out"
    assert plan(works, budget=100).left_out == ("many_shot", "lora")


def test_each_answer_to_the_clients_question_has_a_plain_form() -> None:
    """Is a good prompt enough, is retrieval needed, fine-tuning, or both together?"""
    plain = [s.family for s in REAL.values() if s.standing == "plain"]
    assert sorted(plain) == ["combination", "finetune", "prompt", "retrieval"]


def test_what_can_be_done_without_goes_before_the_others_are_given_less() -> None:
    works = {"lora": Work(trained=8000), "more": Work(trained=40_000, standing="dispensable")}
    found_all = [plan(works, budget=budget) for budget in range(100, 9000, 100)]
    assert {p.left_out for p in found_all} >= {(), ("more",)}
    for budget, found in zip(range(100, 9000, 100), found_all, strict=True):
        given_less = found.test_rows < 200 or found.allowance.epochs < 4
        assert not given_less or found.left_out[:1] == ("more",)
        assert found.total <= RESERVE * budget or set(found.left_out) == set(works)


def test_what_takes_no_work_stays_whatever_the_budget() -> None:
    found = plan({"majority": Work(), "lora": Work(trained=100), "rag": Work(read=1)}, budget=1)
    assert set(found.left_out) == {"lora", "rag"}


def test_the_longest_strategies_are_left_out_first() -> None:
    works = {"quick": Work(read=1), "slow": Work(read=20_000), "slower": Work(read=40_000)}
    found = plan(works, budget=900)
    assert found.left_out == ("slower",)
    assert found.cuts[-1] == "slower was left out"
    assert plan(works, budget=60).left_out == ("slower", "slow")


def test_a_given_test_set_is_never_cut_nor_crossed_nor_learnt_from() -> None:
    for budget in (1e6, 400, 200, 100, 50, 1):
        found = plan(budget=budget, fixed=True)
        assert (found.folds, found.test_rows, found.longest_refit) == (1, 200, 0.0)
        assert not any("test rows" in cut or "cross-fitting" in cut for cut in found.cuts)
    assert plan(budget=1e6, fixed=True).cuts == ()


def test_a_test_on_the_latest_rows_is_not_crossed_but_may_be_cut() -> None:
    def planned(budget: float) -> RunPlan:
        return make_plan(
            {"lora": REAL["lora"]}, {"lora": PROFILE}, {"lora": SPEEDS},
            sizes=sizes(crossable=False), keep_all=False, index_seconds=0, time_budget=budget,
        )  # fmt: skip

    for found, rows in ((planned(1e6), 200), (tightest(planned), 60)):
        assert (found.folds, found.test_rows) == (1, rows)


def test_where_rows_make_few_groups_there_are_few_folds() -> None:
    three = replace(sizes(), folds=(3,))
    found = make_plan(
        {"lora": REAL["lora"]}, {"lora": PROFILE}, {"lora": SPEEDS},
        sizes=three, keep_all=False, index_seconds=0, time_budget=1e6,
    )  # fmt: skip
    assert (found.folds, [offer.folds for offer in found.offers]) == (3, [3, 1])


def test_a_small_test_part_is_not_cut_to_more_rows() -> None:
    found = tightest(lambda budget: plan({"lora": REAL["lora"]}, budget=budget, test_rows=80))
    assert found.test_rows == 60
    assert [cut for cut in found.cuts if "test rows" in cut] == ["60 test rows instead of 80"]


def test_few_training_rows_are_not_cut_to_a_handful() -> None:
    def planned(budget: float) -> RunPlan:
        return make_plan(
            {"lora": REAL["lora"]}, {"lora": replace(PROFILE, train_rows=80)}, {"lora": SPEEDS},
            sizes=sizes(20, train=80), keep_all=False, index_seconds=0, time_budget=budget,
        )  # fmt: skip

    assert tightest(planned).allowance.train_rows == 40


def test_what_saves_nothing_is_not_given_up() -> None:
    """Where all that takes time is left out, nothing is trained, and all rows may be tested on."""
    found = plan({"majority": REAL["majority"], "lora": Work(trained=1e9, standing="plain")}, budget=5)
    assert found.left_out == ("lora",)
    assert [cut for cut in found.cuts if "tuned" in cut or "tuning" in cut] == ["fine-tuning (LoRA) was left out"]
    assert found.test_rows == 200


@pytest.mark.parametrize(("embedded", "rows"), [(10_000.0, 200), (10.0, 60)])
def test_a_plan_that_is_too_long_in_any_case_gives_up_no_test_rows_for_a_second(embedded: float, rows: int) -> None:
    """Of a hundred that reading the documents takes; it does where queries take a third of the time."""
    found = make_plan(
        {"nearest_copy": REAL["nearest_copy"]}, {"nearest_copy": PROFILE},
        {"nearest_copy": replace(SPEEDS, embedded=embedded)},
        sizes=sizes(), keep_all=False, index_seconds=100, time_budget=20,
    )  # fmt: skip
    assert (found.folds, found.left_out, found.test_rows) == (1, (), rows)
    assert any("test rows" in cut for cut in found.cuts) == (rows < 200)


works = st.builds(Work, st.floats(0, 1e6), st.floats(0, 1e5))


@given(
    st.dictionaries(st.sampled_from("abcdef"), works, max_size=6),
    st.floats(0.1, 1e5),
    st.integers(1, 200),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_the_predicted_total_stays_within_the_reserve_unless_all_that_takes_time_was_left_out(
    strategies: dict[str, object], budget: float, test_rows: int, fixed: bool
) -> None:
    found = plan(strategies, budget=budget, test_rows=test_rows, fixed=fixed)
    takes_time = {name for name, seconds in found.predicted.items() if seconds > STRATEGY_SECONDS}
    assert found.total <= RESERVE * budget + 1e-6 or set(found.left_out) == takes_time
    left_out = sum(found.predicted[name] for name in found.left_out)
    assert found.total == pytest.approx(FIXED_SECONDS + 3.0 + parts(found) - left_out)
    assert found.test_rows <= test_rows or found.folds > 1
    assert not fixed or found.test_rows == test_rows


@given(st.dictionaries(st.sampled_from("abcdef"), works, min_size=1, max_size=6), st.floats(1, 1e5))
@settings(max_examples=100, deadline=None)
def test_more_time_never_leaves_a_weightier_strategy_out(strategies: dict[str, object], budget: float) -> None:
    """Though a light one may have to make room for a weightier one that there is time for now."""
    order = plan(strategies, budget=1e-9).left_out
    less, more = plan(strategies, budget=budget), plan(strategies, budget=budget * 1.5)
    assert max(map(order.index, more.left_out), default=-1) <= max(map(order.index, less.left_out), default=-1)
    assert more.folds >= less.folds


@pytest.mark.parametrize("budget", [1e6, 2000, 700, 200, 1])
def test_a_plan_survives_json(budget: float) -> None:
    found = plan(budget=budget)
    again = from_json(json.loads(json.dumps(to_json(found))))
    assert again.allowance == found.allowance
    assert (again.test_rows, again.total, strength(again)) == (found.test_rows, found.total, strength(found))
    assert (again.longest_refit, again.learning_curve) == (found.longest_refit, found.learning_curve)
    assert again.latency_seconds == found.latency_seconds
    assert list(again.offers) == list(found.offers)
    assert (list(again.left_out), list(again.cuts)) == (list(found.left_out), list(found.cuts))
    assert list(again.predicted.items()) == list(found.predicted.items())


def test_a_deadline_belongs_to_one_run_and_is_not_stored() -> None:
    found = replace(plan(budget=1e6), allowance=Allowance(deadline=123.0))
    assert "deadline" not in to_json(found)["allowance"]
    assert from_json(to_json(found)).allowance.deadline == math.inf


def test_measuring_latency_takes_seven_queries_at_the_least() -> None:
    """Each answered by itself: where one takes two seconds, that is longer than the usual few."""
    slow = replace(SPEEDS, step=0.1)
    found = {
        name: make_plan(
            {name: REAL[name]}, {name: replace(PROFILE, longest_output=40)}, {name: slow},
            sizes=sizes(crossable=False), keep_all=False, index_seconds=0, time_budget=1e6,
        )
        for name in ("zero_shot", "majority")
    }  # fmt: skip
    written = (PROFILE.output_tokens + 40) / 2
    assert found["zero_shot"].after_fit["zero_shot"] > 7 * 0.1 * written
    assert found["majority"].after_fit["majority"] == 0


def test_what_embeds_queries_takes_time_but_is_not_left_out() -> None:
    names = ["tfidf_linear", "embedding_linear", "zero_shot"]
    slow = replace(SPEEDS, embedded=10.0)  # five seconds a query
    found = make_plan(
        {name: REAL[name] for name in names},
        dict.fromkeys(names, replace(PROFILE, label_tokens=12, json=False)),
        dict.fromkeys(names, slow),
        sizes=sizes(), keep_all=False, index_seconds=0, time_budget=30,
    )  # fmt: skip
    assert found.after_fit["tfidf_linear"] == 0
    assert found.after_fit["embedding_linear"] > 60 * PROFILE.input_tokens / 10
    assert set(found.left_out) == {"zero_shot"}


@pytest.mark.parametrize("crossable", [False, True])
def test_rows_that_are_learnt_from_are_embedded_once_by_the_first_that_embeds(crossable: bool) -> None:
    def planned(*names: str) -> RunPlan:
        return make_plan(
            {name: REAL[name] for name in names},
            dict.fromkeys(names, replace(PROFILE, label_tokens=12, json=False)),
            dict.fromkeys(names, replace(SPEEDS, embedded=10.0)),
            sizes=sizes(crossable=crossable), keep_all=False, index_seconds=0, time_budget=1e6,
        )  # fmt: skip

    first, second = (
        planned(*names) for names in (("tfidf_linear", "embedding_linear"), ("nearest_copy", "embedding_linear"))
    )
    learnt_from = 600 if crossable else 400
    expected = learnt_from * PROFILE.input_tokens / 10
    assert first.predicted["embedding_linear"] - second.predicted["embedding_linear"] == pytest.approx(expected)
    assert first.predicted["tfidf_linear"] == planned("tfidf_linear").predicted["tfidf_linear"] < expected


def test_measuring_latency_takes_no_longer_than_its_forty_queries() -> None:
    timed = {
        most: make_plan(
            {"rag": Work(read=read)}, {"rag": PROFILE}, {"rag": SPEEDS},
            sizes=sizes(crossable=False), keep_all=False, index_seconds=0, time_budget=1e6,
        ).after_fit["rag"] - 200 * read / SPEEDS.read
        for most, read in (("forty queries", 200), ("sixteen seconds", 2000), ("five queries", 8000))
    }  # fmt: skip
    assert timed == pytest.approx({"forty queries": 4 + 0.2, "sixteen seconds": 16 + 2, "five queries": 20 + 8})
