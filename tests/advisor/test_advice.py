"""What a client reads: the sentences around a decision, each where it holds and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from advisor.advice import recommend
from advisor.advice.opening import _pays
from advisor.advice.outlook import _beyond, outlook_of, told_flip
from advisor.decide import Assumptions, Candidate, Evidence, Limits, Losses, decide
from advisor.economics import Money, Prices, Tariff, Terms, Use, tariff
from advisor.error_costs import ErrorCosts
from advisor.evidence import Weighed
from advisor.planning import FEWER_ROWS, HELD_OUT
from advisor.report import schema
from advisor.report.schema import INCUMBENT
from advisor.reporting import with_errors
from advisor.request import CompareRequest, make_request
from advisor.sensitivity import Flip, break_evens, what_would_flip
from advisor.settings import settings_of
from eval.metrics import ScoredRow
from strategies.base import TRAINED

FAMILIES = {
    "few_shot": "prompt", "zero_shot": "prompt", "rag": "retrieval", "lora": "finetune", "full_tuning": "finetune"
}  # fmt: skip
SIMPLICITY = ["majority", "tfidf_linear", "zero_shot", "few_shot", "rag", "lora", "full_tuning", INCUMBENT]


def quality(value: float, rows: int, metric: str) -> schema.Quality:
    right = round(value * rows)
    return schema.Quality(metric=metric, value=value, ci95=(value - 0.1, value + 0.1), n=rows, correct=right)


def result(
    name: str,
    value: float,
    monthly: float,
    rows: int,
    points: list[schema.LearningPoint] | None = None,
    refit: schema.Refit | None = None,
    secondary: dict[str, float] | None = None,
    metric: str = "accuracy",
) -> schema.StrategyResult:
    today = name == INCUMBENT
    return schema.StrategyResult(
        name=name,
        family=cast(Any, FAMILIES.get(name, "baseline")),
        status="ok",
        quality=quality(value, rows, metric),
        secondary=secondary or {},
        cost=None
        if today
        else schema.Cost(
            per_query_usd=monthly / 10_000,
            per_1k_usd=monthly / 10,
            training_usd=0.0,
            monthly_usd=monthly,
            tokens=schema.Tokens(input=0, output=0),
            basis="busy seconds",
        ),
        fit=schema.Fit(seconds=1.0, train_examples=64, learning_curve=points, refit=refit),
    )


def with_models(request: CompareRequest) -> schema.Environment:
    models = [schema.ModelInfo(name=name, role="language_model") for name in request.model]
    models.append(schema.ModelInfo(name=request.embedder, role="embedder"))
    return schema.Environment(device="cpu", cpu="a processor", threads=2, libraries={}, models=models)


def data_of(rows: int, examples: int, plan: dict[str, Any] | None = None) -> schema.DataPart:
    known = {
        "kind": "cross_fit", "folds": 5, "repeats": 3, "train": 64, "dev": 16, "test": rows, "predicted_seconds": 60,
        "time_budget": 600,
    }  # fmt: skip
    return schema.DataPart(examples=examples, documents=0, plan=schema.Plan.model_validate({**known, **(plan or {})}))


def fitted(result: schema.StrategyResult, plan: schema.Plan, told: dict[str, int]) -> schema.StrategyResult:
    """As often as was planned, unless something else is told of its fits."""
    count = plan.folds * (plan.repeats if result.family in TRAINED else 1)
    fit = result.fit and result.fit.model_copy(update={"count": count, **told})
    return result.model_copy(update={"fit": fit})


class Told:
    """A decision among strategies with these qualities and monthly costs, and what is said about it."""

    def __init__(
        self,
        qualities: dict[str, float],
        costs: dict[str, float] | None = None,
        *,
        rows: int = 200,
        examples: int = 200,
        error: float = 0.02,
        evidence: dict[str, Any] | None = None,
        decision: dict[str, Any] | None = None,
        plan: dict[str, Any] | None = None,
        refits: dict[str, schema.Refit] | None = None,
        fits: dict[str, dict[str, int]] | None = None,
        reasons: dict[str, str] | None = None,
        curves: dict[str, list[schema.LearningPoint]] | None = None,
        label_rows: dict[str, int] | None = None,
        secondary: dict[str, dict[str, float]] | None = None,
        recalls: dict[str, dict[str, float]] | None = None,
        groups: int = 0,
        losses: dict[str, float] | None = None,
        p95_ms: dict[str, float] | None = None,
        models: dict[str, str] | None = None,
        label_usd: float | None = None,
        metric: str = "accuracy",
        unfinished: Sequence[str] = (),
        further: Sequence[schema.StrategyResult] = (),
        findings: Sequence[schema.Finding] = (),
        is_kept: bool = True,
        **options: Any,
    ) -> None:
        costs = {name: float(n + 1) for n, name in enumerate(qualities)} | (costs or {})
        request = make_request(task="Sort.", examples="tickets.csv", **options)
        candidates = [
            Candidate(
                name,
                value,
                Money(costs[name] / 10_000, 0.0, costs[name], Tariff(costs[name] / 10_000, 0.0)),
                (p95_ms or {}).get(name, 100.0),
                SIMPLICITY.index(name),
                incumbent=name == INCUMBENT,
                loss=(losses or {}).get(name),
                recall=(recalls or {}).get(name, {}),
            )
            for name, value in qualities.items()
        ]
        rng = np.random.default_rng(0)
        known = Evidence(
            **{
                "standard_errors": {(a, b): error for a in qualities for b in qualities if a != b},
                "resampled": {name: rng.normal(value, error / 1.4, 500) for name, value in qualities.items()},
                "rows": rows,
                "lowest": {name: value - 1.96 * error / 1.4 for name, value in qualities.items()},
                **(evidence or {}),
            }
        )
        limits = Limits(request.min_quality, request.max_cost_per_1k, request.max_latency_ms, request.min_recall)
        priced = request.error_cost.dearest if isinstance(request.error_cost, ErrorCosts) else request.error_cost
        assumed = Assumptions(candidates, known, limits, request.tolerance / 100, request.volume, priced)
        decided = replace(decide(assumed), **(decision or {}))
        names = list(qualities)
        comparisons = [
            schema.Comparison(
                a=a, b=b, difference=d, standard_error=e, ci95=(d - 2 * e, d + 2 * e), p_value=0.1, n=rows
            )
            for i, a in enumerate(names)
            for b in names[i + 1 :]
            for d, e in [(qualities[a] - qualities[b], known.standard_errors[a, b])]
        ]
        results = [
            result(n, v, costs[n], rows, (curves or {}).get(n), (refits or {}).get(n), (secondary or {}).get(n), metric)
            for n, v in qualities.items()
        ]
        used = {r.name: None if r.family == "baseline" else "small" for r in results} | (models or {})
        results = [r.model_copy(update={"model": used[r.name]}) for r in results]
        late = [
            schema.StrategyResult(name=n, family=cast(Any, FAMILIES[n]), model="small", status="stopped_early")
            for n in unfinished
        ]
        settings = settings_of(request, Prices("a machine", 0.1, "assumed", label_usd=label_usd))
        weighed = Weighed(
            answered(recalls or {}, label_rows or {}, groups), comparisons, assumed, decided, label_rows or {}
        )
        self.decision = decided
        data = data_of(rows, examples, plan).model_copy(update={"findings": list(findings)})
        results = [fitted(r, data.plan, (fits or {}).get(r.name, {})) for r in results]
        results = [r.model_copy(update={"reason": (reasons or {}).get(r.name)}) for r in results]
        results = [*with_errors(results, weighed), *late, *further]
        self.advice = recommend(data, with_models(request), settings, results, weighed, is_kept=is_kept)

    @property
    def reasons(self) -> str:
        return " ".join(self.advice.reasons)

    @property
    def caveats(self) -> str:
        return " ".join(self.advice.caveats)

    @property
    def summary(self) -> str:
        return " ".join(self.advice.summary)


def answered(
    recalls: dict[str, dict[str, float]], rows: dict[str, int], groups: int = 0
) -> dict[str, list[list[ScoredRow]]]:
    """One fit of each strategy, in which so many rows of each label are answered rightly; in so many groups."""

    def fit(shares: dict[str, float]) -> list[ScoredRow]:
        numbered = [(label, i, n) for label, n in rows.items() for i in range(n)]
        right = [float(i < round(shares[label] * n)) for label, i, n in numbered]
        names = [f"group {i * groups // n}" if groups else "" for _, i, n in numbered]
        return [ScoredRow(row[0], (row[0],), s, name) for row, s, name in zip(numbered, right, names, strict=True)]

    return {name: [fit(shares)] for name, shares in recalls.items()}


CLEAR = {"majority": 0.5, "few_shot": 0.9}
CLOSE = {"tfidf_linear": 0.88, "few_shot": 0.9}
WEAK = {"tfidf_linear": 0.3, "few_shot": 0.2}


# ---- the opening -----------------------------------------------------------------------------------------------------


def test_the_summary_gives_the_cost_the_gain_over_today_and_what_fine_tuning_would_bring() -> None:
    told = Told({INCUMBENT: 0.8, "few_shot": 0.9, "lora": 0.88}, {"few_shot": 2.0, "lora": 5.0})
    assert told.advice.strategy == "few_shot"
    assert "Against today's system" in told.summary
    assert "2.00 USD a month at 10,000 queries" in told.summary
    assert "Fine-tuning (LoRA) gains at most 2 points and costs more." in told.summary
    assert set(told.advice.summary) & set(told.advice.reasons)  # the same words, so that no form says them twice


def test_where_fine_tuning_is_picked_the_summary_says_what_the_best_without_it_loses() -> None:
    told = Told({"few_shot": 0.7, "lora": 0.9}, {"few_shot": 2.0, "lora": 5.0})
    assert told.advice.strategy == "lora"
    assert "Without fine-tuning, the best is prompt with fixed examples: it loses 16 to 24 points and costs less" in (
        told.summary
    )


def test_the_best_of_another_kind_is_one_within_the_limits() -> None:
    qualities, costs = {"majority": 0.5, "few_shot": 0.7, "lora": 0.9}, {"few_shot": 900.0}
    told = Told(qualities, costs, max_cost_per_1k=50)
    assert "Without fine-tuning, the best within your limits is always the same answer: it loses" in told.summary
    assert "without" not in Told({"few_shot": 0.7, "lora": 0.9}, costs, max_cost_per_1k=50).summary.lower()
    assert "Fine-tuning" not in Told({"few_shot": 0.7, "lora": 0.9}, {"lora": 900.0}, max_cost_per_1k=50).summary


@pytest.mark.parametrize(("cost", "said"), [(0.0001, "costs more"), (0.0031, "costs about the same")])
def test_costs_are_compared_as_they_are_and_not_as_they_are_told(cost: float, said: str) -> None:
    """0.003 and 0.0001 USD a month are both under a cent."""
    told = Told({"few_shot": 0.9, "lora": 0.88}, {"few_shot": cost, "lora": 0.003}, volume=0)
    assert f"Fine-tuning (LoRA) gains at most 2 points and {said}." in told.summary


def test_fine_tuning_that_is_clearly_behind_gains_nothing() -> None:
    assert "Fine-tuning (LoRA) measures at least 16 points lower and" in Told({"few_shot": 0.9, "lora": 0.7}).summary


def test_labels_with_hardly_any_test_rows_are_named_with_what_to_do() -> None:
    one = Told(CLEAR, label_rows={"Legal": 9, "Billing": 91})
    assert "I am not sure about Legal (9 test rows): label 50 more." in one.summary
    two = Told(CLEAR, label_rows={"Legal": 9, "Moving": 1, "Billing": 90})
    assert "about Moving (1 test row) and Legal (9 test rows): label 50 more of each." in two.summary
    many = Told(CLEAR, label_rows={**{f"l{i}": 3 for i in range(8)}, "Billing": 90})
    assert "I am not sure about 8 of 9 labels, which have under 10 test rows; the fewest have l0 (3" in many.summary
    assert "about any single label: all 8 have" in Told(CLEAR, label_rows={f"l{i}": 3 for i in range(8)}).summary
    assert "not sure" not in Told(CLEAR, label_rows={"Billing": 90}).summary


# ---- the pick --------------------------------------------------------------------------------------------------------


def test_a_clear_pick_is_named_with_its_figure_its_lead_and_its_cost() -> None:
    told = Told(CLEAR)
    advice = told.advice
    assert (advice.verdict, advice.strategy, advice.runner_up) == ("clear", "few_shot", "majority")
    assert advice.headline == "Use prompt with fixed examples: 180 of 200 right, 90 % (80 to 100 %)."
    assert "the highest quality, 40 points ahead of always the same answer (100 of 200 right" in told.reasons
    assert "2.00 USD a month at 10,000 queries" in told.reasons
    assert "Try it on texts of your own" in advice.next_step
    assert advice.gain_over_incumbent is None
    assert "cannot be told apart" not in told.caveats


def test_what_was_not_kept_is_not_to_be_tried_as_it_is() -> None:
    told = Told(CLEAR, is_kept=False)
    assert told.advice.next_step == "Compare in a new folder with --keep all, then try it."
    assert told.advice.caveats[-1] == (
        "No solution of prompt with fixed examples is kept here: compare in a new folder with --keep all."
    )
    assert "is kept here" not in Told(CLEAR).caveats


def test_where_less_than_half_is_right_that_is_said_first() -> None:
    told = Told(WEAK)
    assert (told.advice.strategy, told.advice.verdict) == ("tfidf_linear", "clear")
    assert told.advice.falls_short
    headline = "No strategy gets half of it right; the best of those tried is TF-IDF + linear classifier: 60"
    assert told.advice.headline.startswith(headline)
    assert told.advice.next_step.startswith("Do not put it to use yet")
    assert "No language model is needed" not in told.reasons


def test_before_more_examples_what_time_was_lacking_for_is_to_be_tried() -> None:
    told = Told(WEAK, unfinished=["rag", "lora"])
    assert told.advice.next_step == (
        "Do not put it to use yet: raise --time-budget first, for want of which retrieval (RAG) and fine-tuning (LoRA) "
        "were left out or cut short."
    )


def in_german(rows: int) -> schema.Finding:
    message = f"{rows} inputs of 200 seem to be in another language than English, for which minilm was made."
    return schema.Finding(
        code="language_mismatch", severity="warning", count=rows, message=message, action="Name another."
    )


def test_texts_that_the_embedder_was_not_made_for_are_told_where_a_leader_embeds() -> None:
    near = Told({"majority": 0.5, "few_shot": 0.895, "rag": 0.9}, findings=[in_german(180)])
    assert near.advice.strategy == "few_shot"
    assert "180 inputs of 200 seem to be in another language than English" in near.caveats
    assert "as retrieval (RAG) does, may do better with a multilingual --embedder." in near.caveats
    tried = "ry a multilingual embedder with --embedder, for all-minilm-l6-v2 was not made for these texts"
    assert near.advice.next_step.startswith("Use it. ")
    assert near.advice.next_step.endswith(f" T{tried}.")
    ahead = Told({"few_shot": 0.5, "rag": 0.9}, findings=[in_german(180)]).advice.next_step
    assert ahead.startswith("Try it on texts of your own")
    assert ahead.endswith(f" T{tried}.")
    weak = Told({"few_shot": 0.1, "rag": 0.3}, findings=[in_german(180)]).advice.next_step
    assert weak == f"Do not put it to use yet: add examples, or t{tried}, or try a larger model with --model."


@pytest.mark.parametrize(
    ("qualities", "rows"), [({"few_shot": 0.5, "rag": 0.9}, 60), ({"few_shot": 0.9, "rag": 0.5}, 180)]
)
def test_they_are_not_where_they_are_few_or_no_leader_embeds(qualities: dict[str, float], rows: int) -> None:
    told = Told(qualities, findings=[in_german(rows)])
    assert "multilingual" not in told.caveats + told.advice.next_step
    assert "another language" not in told.caveats


def test_what_is_graver_comes_before_another_embedder() -> None:
    late = Told({"few_shot": 0.5, "rag": 0.9}, findings=[in_german(180)], unfinished=["lora"]).advice.next_step
    assert late.endswith("was left out or cut short; until then use what is advised.")


def cut_short(value: float, rows: int) -> schema.StrategyResult:
    """Fine-tuning that the clock ended, as it did on the rows that it answered."""
    return schema.StrategyResult(
        name="lora", family="finetune", model="small", status="stopped_early", quality=quality(value, rows, "accuracy")
    )


def test_what_was_cut_short_and_stands_higher_is_not_passed_over() -> None:
    """Neither is another called the best of those tried, nor is the lead left to the table."""
    ahead = Told(WEAK, further=[cut_short(0.4, 200)]).advice
    assert "; the best of those measured as planned is TF-IDF + linear classifier: 60 of 200" in ahead.headline
    figure = "; fine-tuning (LoRA), though cut short, had 80 of 200 right on the same rows"
    assert ahead.next_step.endswith(f"fine-tuning (LoRA) was left out or cut short{figure}.")
    within = Told(CLEAR, further=[cut_short(0.95, 200)]).advice.next_step
    assert "though cut short, had 190 of 200 right on the same rows; until then use what is advised." in within
    none = Told(WEAK, {"tfidf_linear": 900.0, "few_shot": 900.0}, max_cost_per_1k=1, further=[cut_short(0.4, 200)])
    assert "the best measured as planned is TF-IDF" in none.advice.headline
    partly = Told(WEAK, further=[cut_short(0.4, 20)]).advice
    assert "of those measured as planned is" in partly.headline
    assert "though cut short" not in partly.next_step, "on other rows"
    behind = Told(WEAK, further=[cut_short(0.25, 200)]).advice
    assert "the best of those tried is" in behind.headline
    assert "though cut short" not in behind.next_step


def test_what_was_not_measured_is_neither_called_needless_nor_passed_over() -> None:
    """Fine-tuning that never began may be better, however clear the pick is among the others."""
    qualities = {"majority": 0.3, "tfidf_linear": 0.9, "zero_shot": 0.4}
    assert "No language model is needed here" in Told(qualities).reasons
    told = Told(qualities, unfinished=["lora"])
    assert told.advice.verdict == "clear"
    assert "No language model is needed" not in told.reasons
    assert told.advice.headline.startswith("Of what was measured, use TF-IDF + linear classifier: 180 of 200")
    assert "Not measured as planned, and so not compared: fine-tuning (LoRA) (stopped early)." in told.caveats
    raised = "Raise --time-budget first, for want of which fine-tuning (LoRA) was left out or cut short; until then "
    assert told.advice.next_step == f"{raised}use what is advised."
    kept = Told({**qualities, INCUMBENT: 0.95}, unfinished=["lora"]).advice
    assert kept.next_step == f"{raised}keep today's system."


def test_a_strategy_that_failed_is_named_and_not_called_needless() -> None:
    failed = schema.StrategyResult(name="lora", family="finetune", model="small", status="failed", reason="no memory")
    told = Told({"majority": 0.3, "tfidf_linear": 0.9, "zero_shot": 0.4}, further=[failed])
    assert "No language model is needed" not in told.reasons
    assert "Not measured as planned, and so not compared: fine-tuning (LoRA) (failed)." in told.caveats
    assert "--time-budget" not in told.advice.next_step


@pytest.mark.parametrize(
    ("qualities", "options"),
    [
        ({"tfidf_linear": 0.3, "few_shot": 0.42}, {}),  # which may be half
        (WEAK, {"min_quality": 0.25}),  # which the client finds enough
        (WEAK, {"error_cost": 0.5}),  # by which the client weighs it
        ({"majority": 0.6, "lora": 0.95}, {"costs": {"lora": 99.0}, "error_cost": 0.0001}),  # which better is not worth
        (WEAK, {"metric": "rougeL"}),  # by which good texts are not near 1
        ({**WEAK, INCUMBENT: 0.2}, {}),  # which is what a client has to do with
    ],
)
def test_less_than_half_right_is_a_fault_only_where_that_is_sure_and_says_something(
    qualities: dict[str, float], options: dict[str, Any]
) -> None:
    told = Told(qualities, **options)
    assert not told.advice.falls_short
    assert told.advice.headline.startswith("Use ")


def test_what_gets_nothing_right_is_no_solution_whatever_errors_cost() -> None:
    told = Told({"few_shot": 0.0, "rag": 0.0}, error_cost=2.0)
    assert told.advice.falls_short
    assert told.advice.headline.startswith("No strategy gets anything right; the best of those tried is ")


@pytest.mark.parametrize("error_cost", [None, 2.0])
def test_where_nothing_beats_the_commonest_label_it_is_no_solution(error_cost: float | None) -> None:
    told = Told({"majority": 0.8, "few_shot": 0.8}, error_cost=error_cost)
    assert told.advice.strategy == "majority"
    assert told.advice.falls_short
    assert told.advice.headline.startswith("No strategy is better than giving every input the same answer; ")
    assert told.advice.next_step.startswith("Do not put it to use yet")


@pytest.mark.parametrize("error_cost", [None, 2.0])
def test_where_it_is_not_sure_that_anything_beats_the_commonest_label_that_is_said(error_cost: float | None) -> None:
    told = Told({"majority": 0.51, "few_shot": 0.6}, error=0.05, error_cost=error_cost)
    assert (told.advice.strategy, told.advice.falls_short) == ("few_shot", True)
    assert told.advice.headline.startswith("No strategy is surely better than giving every input the same answer; ")
    assert not Told({"majority": 0.51, "few_shot": 0.6}, error=0.02, error_cost=error_cost).advice.falls_short


def test_texts_that_are_hardly_nearer_than_any_other_are_no_solution() -> None:
    told = Told({"majority": 0.73, "few_shot": 0.77}, metric="rougeL", error=0.03)
    assert (told.advice.strategy, told.advice.falls_short) == ("few_shot", True)
    assert told.advice.headline.startswith("No strategy is surely better than giving every input the same answer; ")


NO_NUMBERS, SOME_NUMBERS = {"numbers_exact_match": 0.0}, {"numbers_exact_match": 0.02}


def test_where_no_answer_has_its_numbers_right_it_is_no_solution_however_alike_the_texts() -> None:
    values, none = {"majority": 0.63, "few_shot": 0.9}, {"majority": NO_NUMBERS, "few_shot": NO_NUMBERS}
    told = Told(values, metric="rougeL", secondary=none)
    assert told.advice.falls_short
    assert told.advice.headline.startswith("No strategy gets the numbers of any answer right; the best of those tried ")
    assert "No answer of prompt with fixed examples holds just the numbers of the right one" in told.caveats
    own = Told(values, metric="rougeL", secondary=none, min_quality=0.7)
    assert own.advice.headline.startswith("Use prompt with fixed")
    assert "holds just the numbers" in own.caveats


def test_numbers_that_another_strategy_gets_right_are_missed_in_a_caveat_of_the_pick() -> None:
    values = {"majority": 0.63, "few_shot": 0.9, "rag": 0.7}
    wrong = Told(values, metric="rougeL", secondary={"few_shot": NO_NUMBERS, "rag": SOME_NUMBERS})
    assert not wrong.advice.falls_short
    assert "No answer of prompt with fixed examples holds just the numbers" in wrong.caveats
    right = Told(values, metric="rougeL", secondary={"few_shot": SOME_NUMBERS, "rag": NO_NUMBERS})
    assert not right.advice.falls_short
    assert "numbers" not in right.caveats


def test_that_nothing_is_surely_better_than_the_commonest_label_is_said_only_where_it_holds_of_all() -> None:
    """lora is 3.5 points ahead, with hardly any doubt; the cheaper pick, which counts as equal to it, is 3 ahead."""
    values, costs = {"majority": 0.6, "tfidf_linear": 0.63, "lora": 0.635}, {"tfidf_linear": 0.5, "lora": 50.0}
    errors = {("lora", "majority"): 0.01, ("tfidf_linear", "majority"): 0.02, ("lora", "tfidf_linear"): 0.02}
    known = {"standard_errors": errors | {(b, a): error for (a, b), error in errors.items()}}
    told = Told(values, costs, evidence=known)
    assert (told.advice.strategy, told.advice.falls_short) == ("tfidf_linear", False)
    assert "cannot be told apart from always the same answer" in told.caveats
    assert Told(values, costs, evidence={}, error=0.02).advice.falls_short


def test_what_is_said_of_all_strategies_holds_of_those_beyond_the_limits_too() -> None:
    costs = {"majority": 1.0, "tfidf_linear": 2.0, "lora": 99.0}
    told = Told({"majority": 0.5, "tfidf_linear": 0.5, "lora": 0.95}, costs, max_cost_per_1k=1.0)
    assert told.advice.headline.startswith("No strategy within your limits is better than giving every input the sam")
    told = Told({"majority": 0.9, "tfidf_linear": 0.905})
    assert told.advice.headline.startswith("No strategy is better than giving every input the same answer by more")


def test_limits_that_a_better_language_model_breaks_do_not_make_it_unneeded() -> None:
    qualities, models = {"tfidf_linear": 0.8, "lora": 0.95}, {"lora": "smollm2-135m-instruct"}
    dear = {"tfidf_linear": 1.0, "lora": 99.0}
    assert "No language model is needed" not in Told(qualities, dear, models=models, max_cost_per_1k=1.0).reasons
    worse = {**qualities, "lora": 0.7}
    assert "No language model is needed" in Told(worse, dear, models=models, max_cost_per_1k=1.0).reasons


def test_no_language_model_is_needed_only_where_none_is_advised_and_none_leads() -> None:
    said, dear = "No language model is needed", {"tfidf_linear": 1.0, "lora": 50.0}
    assert said in Told({"tfidf_linear": 0.895, "lora": 0.9}, dear).reasons
    assert said not in Told({"tfidf_linear": 0.6, "lora": 0.9}, dear, error_cost=0.01).reasons, "which costs more"
    today = Told({INCUMBENT: 0.9, "tfidf_linear": 0.8, "lora": 0.7}, dear)
    assert today.advice.keeps_incumbent
    assert said not in today.reasons, "today's system may be one"


def test_where_the_gain_over_todays_system_may_be_none_that_is_said() -> None:
    told = Told({INCUMBENT: 0.8, "few_shot": 0.84}, rows=40, error=0.07)
    assert told.advice.verdict == "tie"
    assert "On 40 test rows it cannot be told apart from today's system" in " ".join(told.advice.caveats)
    kept = Told({INCUMBENT: 0.8, "few_shot": 0.83}, rows=40, error=0.07)
    assert (kept.advice.verdict, kept.advice.keeps_incumbent) == ("tie", True)
    assert "may be more than the tolerance better than today's system" in " ".join(kept.advice.caveats)


def test_where_todays_system_is_kept_what_may_be_better_is_named() -> None:
    close = {INCUMBENT: 0.8, "few_shot": 0.83, "tfidf_linear": 0.825, "zero_shot": 0.4}
    kept = Told(close, rows=40, error=0.07)
    assert (kept.advice.verdict, kept.advice.keeps_incumbent) == ("tie", True)
    assert kept.advice.caveats[0] == (
        "On 40 test rows prompt with fixed examples and TF-IDF + linear classifier may be more than the tolerance "
        "better than today's system."
    )
    assert "cannot be told apart from" not in kept.caveats, "which of those that are not advised is the best"


def test_where_all_are_far_behind_todays_system_it_is_no_matter_which_is_the_best_of_them() -> None:
    behind = Told({INCUMBENT: 0.99, "few_shot": 0.73, "tfidf_linear": 0.725}, rows=200, error=0.03)
    assert (behind.advice.verdict, behind.advice.keeps_incumbent, behind.advice.rows_needed) == ("clear", True, 0)
    assert "cannot be told apart from" not in behind.caveats


def test_whether_a_kept_system_is_beaten_goes_by_losses_where_errors_have_their_own() -> None:
    close, losses = {INCUMBENT: 0.8, "few_shot": 0.83, "tfidf_linear": 0.83}, {INCUMBENT: 0.1, "few_shot": 0.5}
    known = Losses({(a, b): 0.07 for a in close for b in close}, {name: np.full(500, 0.5) for name in close}, 1.0)
    told = Told(close, rows=40, error=0.07, losses={**losses, "tfidf_linear": 0.5}, evidence={"losses": known})
    assert (told.advice.verdict, told.advice.keeps_incumbent) == ("clear", True)
    assert "may be more than the tolerance better" not in told.caveats


def test_what_a_limit_costs_against_today_is_said_beside_the_rivals() -> None:
    asked: dict[str, Any] = {"min_recall": "late=0.9", "recalls": {**LATE, "few_shot": {"late": 0.95}}}
    told = Told({"lora": 0.82, "few_shot": 0.82, INCUMBENT: 0.87}, **asked, label_rows={"late": 50})
    assert "Today's system gets more right, but breaks --min-recall late." in told.caveats
    assert "cannot be told apart from" in told.caveats


@pytest.mark.parametrize(
    ("source", "said"),
    [("split", "one split of the examples"), ("file", "your test file"), ("latest", "the latest rows")],
)
def test_what_one_test_stands_for_depends_on_where_its_rows_are_from(source: str, said: str) -> None:
    plan = {"kind": "holdout", "folds": 1, "repeats": 1, "test_source": source}
    assert f"The figures are of {said}" in " ".join(Told({"majority": 0.5, "few_shot": 0.9}, plan=plan).advice.caveats)


def test_of_a_holdout_only_a_part_of_further_examples_are_test_rows() -> None:
    decision = {"verdict": "insufficient_evidence", "label_rows_needed": {"bad": 6}}
    plan = {"kind": "holdout", "folds": 1, "repeats": 1}
    known: dict[str, Any] = {"decision": decision, "evidence": {"rows_per_label": {"bad": 4}}}
    told = Told({"majority": 0.5, "few_shot": 0.9}, rows=100, examples=400, plan=plan, **known)
    assert "at least 24 more of bad" in told.advice.next_step
    file = {**plan, "test_source": "file"}
    told = Told({"majority": 0.5, "few_shot": 0.9}, rows=100, examples=400, plan=file, **known)
    assert "at least 6 more of bad" in told.advice.next_step


def test_a_strategy_that_was_the_only_one_is_no_better_than_none() -> None:
    alone = Told({"majority": 0.8}).advice
    assert alone.falls_short, "it was compared with nothing"
    assert alone.headline.startswith("No recommendation: nothing was measured beside always the same answer: 160 of")


def test_limits_that_shut_out_all_that_is_good_leave_a_weak_field() -> None:
    beyond = {"lora": 50.0}
    told = Told({"few_shot": 0.05, "lora": 0.95}, beyond, max_cost_per_1k=1.0)
    assert told.advice.headline.startswith("No strategy within your limits gets half of it right; the best within them")
    assert "relax a limit first, for fine-tuning (LoRA) is beyond it (190 of 200 right, 95 %" in told.advice.next_step
    told = Told({"majority": 0.7, "lora": 0.95}, beyond, max_cost_per_1k=1.0)
    nothing_more = "No strategy within your limits does more than giving every input the same answer; the best"
    assert told.advice.headline.startswith(nothing_more)
    assert told.advice.falls_short


def test_a_level_pick_says_truly_why_it_is_preferred() -> None:
    costs = {"tfidf_linear": 1.05, "few_shot": 1.0}
    simpler = Told({"tfidf_linear": 0.9, "few_shot": 0.9}, costs)
    assert simpler.advice.strategy == "tfidf_linear"
    assert "level with prompt with fixed examples, and is simpler, at about the same cost." in simpler.reasons
    cheaper = Told({"tfidf_linear": 0.9, "few_shot": 0.9}, {"few_shot": 5.0})
    assert "level with prompt with fixed examples, and costs no more." in cheaper.reasons
    priced = Told(
        {"tfidf_linear": 0.9, "few_shot": 0.9}, {"few_shot": 5.0}, error_cost=1.0,
        losses={"tfidf_linear": 0.3, "few_shot": 0.1},
    )  # fmt: skip
    assert priced.advice.strategy == "few_shot"
    assert "level with TF-IDF + linear classifier, and costs no more in all, wrong answers included." in priced.reasons


def test_where_today_is_kept_nothing_is_said_to_beat_it_nor_to_be_picked_at_other_volumes() -> None:
    told = Told(
        {"tfidf_linear": 0.70, "few_shot": 0.695, INCUMBENT: 0.695}, {"tfidf_linear": 900.0, "few_shot": 1.0},
        error_cost=0.5,
    )  # fmt: skip
    assert told.advice.keeps_incumbent
    assert "beat today's system" not in told.reasons
    assert not [said for said in told.advice.sensitivity if "a month, the pick" in said or "USD, the pick" in said]


def test_a_quality_that_today_lacks_is_told_as_more_than_today_has() -> None:
    told = Told({"tfidf_linear": 0.905, INCUMBENT: 0.90})
    assert told.advice.keeps_incumbent
    flips = " ".join(told.advice.sensitivity)
    assert "With a quality of more than 90 of 100 asked for, the pick is TF-IDF + linear classifier." in flips


def test_a_flip_at_a_round_figure_is_told_as_it_is() -> None:
    """A quality of 0.69 is 69 of 100, however 69 hundredths are rounded."""
    told = Told({"tfidf_linear": 0.7, INCUMBENT: 0.69})
    assert "more than 69 of 100 asked for" in " ".join(told.advice.sensitivity)


def test_a_cheaper_pick_within_the_margin_says_what_it_gives_up_and_why() -> None:
    told = Told({"majority": 0.5, "tfidf_linear": 0.89, "few_shot": 0.9}, {"few_shot": 50.0})
    assert told.advice.strategy == "tfidf_linear"
    assert "Prompt with fixed examples measured 1 point more, a gap too small to pay for" in told.reasons
    near = Told({"majority": 0.5, "tfidf_linear": 0.885, "few_shot": 0.9}, {"few_shot": 50.0}, tolerance=2)
    assert "measured 1.5 points more" in near.reasons, "which a tolerance of one point would not allow"
    assert "within the tolerance or half its own standard error" in told.reasons


def test_a_cheaper_pick_that_is_level_with_the_best_gives_up_nothing() -> None:
    told = Told({"majority": 0.9, "few_shot": 0.9}, {"majority": 9.0, "few_shot": 1.0})
    assert told.decision.pick == "few_shot"
    assert "level with always the same answer" in told.reasons
    assert "0 points" not in told.reasons


def test_with_a_price_of_errors_the_reason_is_the_total_cost() -> None:
    """Ten points more right save 0.1 x 10,000 x 0.01 = 10 USD a month, and cost 49 more."""
    told = Told({"tfidf_linear": 0.8, "few_shot": 0.9}, {"tfidf_linear": 1.0, "few_shot": 50.0}, error_cost=0.01)
    assert told.advice.strategy == "tfidf_linear"
    assert "10 points more, but costs more in all, a wrong answer counted at 0.01 USD" in told.reasons
    assert "tolerance" not in told.reasons


PAIR = {"tfidf_linear": 0.8, "few_shot": 0.9}


def test_where_errors_differ_in_cost_the_reason_is_what_they_cost() -> None:
    """Per 1,000 queries 0.1 × 2 × 1,000 = 200 USD against 0.05 × 2 × 1,000 = 100; itself few_shot costs 5."""
    matrix = {"costs": {"bad": {"good": 2}, "good": {"bad": 0.1}}}
    told = Told(PAIR, {"few_shot": 50.0}, losses={"tfidf_linear": 0.1, "few_shot": 0.05}, error_cost=matrix)
    assert told.advice.strategy == "few_shot"
    assert "those of prompt with fixed examples cost 100 USD per 1,000 queries" in told.reasons
    assert "(of TF-IDF + linear classifier: 200 USD)" in told.reasons
    flips = " ".join(told.advice.sensitivity)
    assert "With all costs of wrong answers less than 0.049 times as high, the pick is TF-IDF" in flips


def test_what_finds_too_few_of_a_label_is_named_and_few_rows_are_a_caveat() -> None:
    recalls = {"tfidf_linear": {"complaint_new": 0.7}, "few_shot": {"complaint_new": 0.95}}
    asked = {"min_recall": {"complaint_new": 0.9}, "recalls": recalls, "label_usd": 0.5}
    told = Told(PAIR, {"few_shot": 50.0}, label_rows={"complaint_new": 20}, **asked)
    assert (
        "It finds 95 of 100 complaint_new (20 test rows, 76 to 99); at least 90 of 100 were asked for." in told.reasons
    )
    assert "beyond your limits: TF-IDF" in told.reasons
    assert (
        "How often complaint_new is found was measured on 20 test rows, which is few: label 30 more of it"
        in told.caveats
    )
    assert "(about 300 examples as they come, 150 USD)" in told.caveats, "one test row in ten is one"
    assert "is few" not in Told(PAIR, label_rows={"complaint_new": 60}, **asked).caveats
    assert "No test row is complaint_new" in Told(PAIR, **asked).caveats


def test_where_none_finds_enough_the_most_that_any_finds_is_told() -> None:
    recalls = {"tfidf_linear": {"bad": 0.7}, "few_shot": {"bad": 0.8}}
    told = Told(PAIR, min_recall="bad=0.9", recalls=recalls, label_rows={"bad": 50})
    assert told.advice.verdict == "none_feasible"
    assert "TF-IDF + linear classifier breaks --min-recall bad." in told.reasons
    assert "The most that any finds is 80 of 100 bad (50 test rows, 67 to 89), by prompt with fixed" in told.reasons


def test_what_misses_a_limit_by_less_than_is_told_is_told_with_more_digits() -> None:
    recalls = {"tfidf_linear": {"bad": 0.857}, "few_shot": {"bad": 0.7}}
    none = Told(PAIR, min_recall="bad=0.86", recalls=recalls, label_rows={"bad": 7})
    assert "TF-IDF + linear classifier breaks --min-recall bad (85.7 of 100 bad)." in none.reasons
    assert "The most that any finds is 85.7 of 100 bad (7 test rows, 49 to 97), by TF-IDF + linear cl" in none.reasons
    assert none.reasons.endswith("; at least 86 were asked for.")
    assert "breaks --min-quality (89.6 of 100)." in Told({"few_shot": 0.896}, min_quality=0.9).reasons
    late = Told({"few_shot": 0.9, "majority": 0.8}, max_latency_ms=99.9)
    assert "Prompt with fixed examples breaks --max-latency-ms (100 ms)." in late.reasons
    dear = Told({"few_shot": 0.9, "rag": 0.8}, {"few_shot": 73.12, "rag": 1.0}, max_cost_per_1k=7.31)
    assert "beyond your limits: prompt with fixed examples (7.312 USD per 1,000 queries)." in dear.reasons
    today = Told({INCUMBENT: 0.896, "few_shot": 0.95}, min_quality=0.9)
    assert "which breaks --min-quality (89.6 of 100), it gains" in today.reasons


def test_the_least_recall_is_told_as_it_was_asked_for() -> None:
    recalls = {"tfidf_linear": {"bad": 0.9}, "few_shot": {"bad": 0.95}}
    told = Told(PAIR, min_recall="bad=0.855", recalls=recalls, label_rows={"bad": 80})
    assert "at least 85.5 of 100 were asked for." in told.reasons


def test_another_recall_asked_for_can_change_the_pick() -> None:
    recalls = {"tfidf_linear": {"bad": 0.7}, "few_shot": {"bad": 0.95}}
    told = Told(PAIR, min_recall="bad=0.6", recalls=recalls, label_rows={"bad": 80}, error_cost=0.01)
    assert told.advice.strategy == "few_shot"
    cheap = Told({"tfidf_linear": 0.9, "few_shot": 0.9}, min_recall="bad=0.6", recalls=recalls, label_rows={"bad": 80})
    assert cheap.advice.strategy == "tfidf_linear"
    flips = " ".join(cheap.advice.sensitivity)
    assert "With more than 70 of 100 bad to be found, the pick is prompt with fixed examples." in flips


def test_further_examples_are_told_with_what_they_cost() -> None:
    needed = {"decision": {"verdict": "tie", "rows_needed": 101, "label_rows_needed": {}}}
    assert "about 110 more examples would settle it" in Told(PAIR, **needed).advice.next_step
    told = Told(PAIR, label_usd=0.8, **needed)
    assert "about 110 more examples (about 88.00 USD) would settle it" in told.advice.next_step
    lacking = {
        "decision": {"verdict": "insufficient_evidence", "label_rows_needed": {"bad": 6, "good": 4}},
        "evidence": {"rows_per_label": {"bad": 4, "good": 6}},
    }
    assert (
        "at least 6 more of bad, 4 more of good (about 300 examples as they come, 240 USD), better 50"
        in Told(PAIR, label_usd=0.8, **lacking).advice.next_step
    ), "of 200 rows 4 are bad; among so many there are 4 more good ones too"
    assert (
        "I am not sure about bad (5 test rows): label 50 more (about 1,800 examples as they come, 1,440 USD)."
        in Told(PAIR, label_usd=0.8, label_rows={"bad": 5, "good": 90}).summary
    )


def test_what_no_test_row_is_has_no_price() -> None:
    """Nothing shows how many examples must be labelled to meet one."""
    lacking = {
        "decision": {"verdict": "insufficient_evidence", "label_rows_needed": {"bad": 10, "good": 4}},
        "evidence": {"rows_per_label": {"bad": 0, "good": 6}},
    }
    told = Told(PAIR, label_usd=0.8, **lacking).advice.next_step
    assert "at least 10 more of bad, 4 more of good, better" in told


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({}, "With the machine's price above 0.21 USD an hour"),  # 100 / 49 times 0.1
        (
            {"tfidf_linear": "local", "few_shot": "openai:big"},
            "With all prices, those of tokens and of the machine, more than 2.1 times as high",
        ),
        ({"tfidf_linear": "openai:small", "few_shot": "openai:big"}, "With all prices more than 2.1 times as high"),
    ],
)
def test_the_price_that_would_change_the_pick_is_the_machines_only_where_nothing_else_is_paid(
    models: dict[str, str], words: str
) -> None:
    told = Told(PAIR, {"few_shot": 50.0}, models=models, error_cost=0.1)
    assert told.advice.strategy == "few_shot"
    assert words in " ".join(told.advice.sensitivity)


def test_no_larger_model_is_advised_where_no_language_model_was_tried() -> None:
    for options in ({"min_quality": 0.95}, {}):
        none = Told({"majority": 0.5, "tfidf_linear": 0.4}, **options).advice.next_step
        assert "add examples, or try strategies that have a language model (--strategies)." in none
        some = Told({"majority": 0.5, "few_shot": 0.4}, **options).advice.next_step
        assert "add examples, or try a larger model with --model." in some


def test_examples_of_labels_that_no_training_row_has_are_to_be_added_first() -> None:
    message = "3 test rows have labels that no training row has: 'bad' (3 rows)."
    found = schema.Finding(code="unlearnt_labels", severity="warning", count=3, rows=[], message=message, action="Add.")
    asked: dict[str, Any] = {"min_recall": "bad=0.5", "recalls": {"tfidf_linear": {"bad": 0.0}, "few_shot": {"bad": 0}}}
    told = Told(PAIR, label_rows={"bad": 3}, findings=[found], **asked).advice
    first = "add examples, first of labels that no training row has, or try a larger model with --model."
    assert told.next_step == f"Relax a limit, {first}"
    assert message in told.caveats
    assert Told(WEAK, findings=[found]).advice.next_step == f"Do not put it to use yet: {first}"


def test_what_takes_too_long_or_costs_too_much_is_not_mended_by_examples_or_a_larger_model() -> None:
    """The limit is named, with the figure that would do."""
    pair = {"majority": 0.5, "few_shot": 0.9}
    late = Told(pair, max_latency_ms=50).advice
    assert late.verdict == "none_feasible"
    assert late.next_step == (
        "Relax --max-latency-ms: with 95 of 100 answers wanted within 100 ms, the pick is prompt with fixed examples."
    )
    dear = Told(pair, {"majority": 140.0, "few_shot": 90.0}, max_cost_per_1k=2).advice.next_step
    assert dear == (
        "Relax --max-cost-per-1k: with at most 9 USD per 1,000 queries allowed, the pick is prompt with fixed examples."
    )
    untaught_first = Told(pair, {"majority": 40.0, "few_shot": 90.0}, max_cost_per_1k=2).advice.next_step
    assert untaught_first == dear, "the commonest label alone is no solution"
    all_weak = Told({"majority": 0.5, "few_shot": 0.4}, max_cost_per_1k=0.01).advice.next_step
    assert all_weak == "Add examples, or try a larger model with --model."
    both = Told(pair, {"majority": 40.0, "few_shot": 90.0}, max_cost_per_1k=2, max_latency_ms=50).advice.next_step
    assert both == (
        "Relax --max-cost-per-1k and --max-latency-ms: with at most 9 USD per 1,000 queries allowed and with 95 of 100 "
        "answers wanted within 100 ms, the pick is prompt with fixed examples."
    )
    untimed = {"max_cost_per_1k": 2, "max_latency_ms": 50, "p95_ms": {"few_shot": math.inf}}
    not_timed = Told(pair, {"majority": 40.0, "few_shot": 90.0}, **untimed).advice.next_step
    assert not_timed == "Relax --max-cost-per-1k and --max-latency-ms."
    kept = Told({**pair, INCUMBENT: 0.6}, max_latency_ms=50).advice.next_step
    find_out = "Find out whether today's system meets --max-latency-ms; if so, keep it. For another:"
    assert kept.startswith(f"{find_out} relax --max-latency-ms: with 95 of 100 answers")
    no_gain = Told({**pair, INCUMBENT: 0.95}, max_latency_ms=50).advice.next_step
    assert no_gain == f"{find_out} add examples, or try a larger model with --model."
    known = Told({**pair, INCUMBENT: 0.97}, min_quality=0.96).advice.next_step
    assert known == "Keep today's system. For another: add examples, or try a larger model with --model."
    neither = Told({**pair, INCUMBENT: 0.95}, min_quality=0.96).advice.next_step
    assert neither == "Relax a limit, add examples, or try a larger model with --model."
    tried = Told(pair, min_quality=0.95, unfinished=["lora"]).advice.next_step
    assert tried.startswith("Relax a limit, or raise --time-budget first, for want of which fine-tuning (LoRA) was")


def test_titles_keep_their_capitals() -> None:
    told = Told({"majority": 0.4, "lora": 0.9}, min_quality=0.95)
    assert told.advice.reasons[1] == "Fine-tuning (LoRA) breaks --min-quality."
    assert told.advice.verdict == "none_feasible"
    assert "the best measured is fine-tuning (LoRA): 180 of 200" in told.advice.headline
    assert "Relax a limit" in told.advice.next_step


def test_what_is_beyond_the_limits_is_named() -> None:
    told = Told({"majority": 0.5, "few_shot": 0.9, "rag": 0.95}, {"rag": 900.0}, max_cost_per_1k=50)
    assert told.advice.strategy == "few_shot"
    assert "Not considered, since beyond your limits: retrieval (RAG)." in told.reasons


@pytest.mark.parametrize(
    ("quality", "where_found", "lost"),
    [
        (0.6, 0.75, "in reading them"),  # all of the passages would bring 15 points, reading all of them rightly 25
        (0.45, 0.9, "in finding the passages"),
        (0.6, 0.5, "in reading them"),
    ],
)
def test_where_retrieval_or_reading_fails_is_told(quality: float, where_found: float, lost: str) -> None:
    figures = {"rag": {"context_recall": 0.79, "quality_where_found": where_found}}
    told = Told({"majority": 0.3, "rag": quality, "few_shot": 0.9}, secondary=figures)
    held = f"where they hold all, quality is {100 * where_found:.0f} of 100"
    assert f"hold 79 of 100 words of the right answers; {held}. Most of what is missing is lost {lost}." in told.reasons
    assert "right answers" not in Told(CLEAR).reasons


def test_what_documents_do_not_answer_is_lost_neither_in_finding_nor_in_reading() -> None:
    """Quality is 0.5 for these rows; of the others most is lost in reading."""
    figures = {"context_recall": 0.97, "quality_where_found": 0.8, "answers_in_no_passage": 0.25}
    told = Told({"rag": 0.5, "few_shot": 0.9}, secondary={"rag": {**figures, "quality_of_the_others": 0.75}})
    assert "This leaves out 25 of 100 rows whose answers come back and no passage holds" in told.reasons
    assert "on the others quality is 75 of 100. Most of what is missing there is lost in reading them." in told.reasons
    found = {**figures, "quality_where_found": 1.0, "quality_of_the_others": 1.0}
    assert "is lost" not in Told({"rag": 0.5, "few_shot": 0.9}, secondary={"rag": found}).reasons


def test_where_it_is_not_known_how_well_passages_are_read_neither_is_said_to_fail() -> None:
    told = Told({"majority": 0.3, "rag": 0.6, "few_shot": 0.9}, secondary={"rag": {"context_recall": 0.65}})
    assert "hold 65 of 100 words of the right answers." in told.reasons
    assert "is lost" not in told.reasons


def test_the_best_without_a_language_model_is_named_once() -> None:
    told = Told({"majority": 0.3, "tfidf_linear": 0.5, "rag": 0.8, "few_shot": 0.9})
    assert "The best without a language model is TF-IDF + linear classifier: 100 of 200" in told.reasons
    assert "without a language model" not in Told(CLEAR).reasons  # it is the runner-up, named already


def test_no_other_is_the_best_without_a_language_model_where_the_pick_is() -> None:
    told = Told({"majority": 0.3, "zero_shot": 0.4, "few_shot": 0.5, "tfidf_linear": 0.9})
    assert (told.advice.strategy, told.advice.runner_up) == ("tfidf_linear", "few_shot")
    assert "without a language model" not in told.reasons


# ---- today's system --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("few_shot", INCUMBENT), (INCUMBENT, "few_shot")])
def test_the_gain_over_todays_system_has_the_sign_of_the_pick_minus_it(names: tuple[str, str]) -> None:
    values = {"few_shot": 0.9, INCUMBENT: 0.8}
    told = Told({name: values[name] for name in names})
    assert told.advice.gain_over_incumbent == pytest.approx(0.1)
    assert (
        "Against today's system (160 of 200 right, 80 % (70 to 90 %)) it gains 10 points (+6.0 to +14.0)."
        in told.reasons
    )
    assert told.advice.headline.startswith("Use prompt with fixed examples")


def test_where_nothing_beats_todays_system_the_advice_is_to_keep_it() -> None:
    told = Told({"majority": 0.5, "few_shot": 0.8, INCUMBENT: 0.85})
    advice = told.advice
    assert advice.next_step.startswith("Keep today's system: no strategy within the limits is better")
    assert advice.headline.startswith("Keep today's system: 170 of 200 right")
    assert "The best to put in its place is prompt with fixed examples: 160 of 200" in advice.headline
    assert "prompt with fixed examples loses 5 points (−9.0 to −1.0)" in told.reasons
    assert advice.strategy == "few_shot"
    priced = Told({"majority": 0.5, "few_shot": 0.8, INCUMBENT: 0.85}, error_cost=2.0)
    assert "with what it costs itself that is the lowest total of the strategies." in priced.reasons


def test_what_learns_nothing_is_not_the_best_to_put_in_the_place_of_todays_system() -> None:
    late = {"few_shot": 100.0, "majority": 1.0}
    told = Told({"majority": 0.3, "few_shot": 0.7, INCUMBENT: 0.8}, max_latency_ms=50, p95_ms=late).advice
    assert told.strategy == "majority"
    assert told.headline.endswith(
        "No strategy within your limits does more than giving every input the same answer; the best within them is "
        "always the same answer: 60 of 200 right, 30 % (20 to 40 %)."
    )
    assert not told.falls_short, "beside a system that can be kept the gain over it is what counts"


def test_todays_system_is_no_strategy_that_needs_no_language_model() -> None:
    told = Told({"rag": 0.8, "few_shot": 0.9, INCUMBENT: 0.6})
    assert "without a language model" not in told.reasons
    assert INCUMBENT not in told.advice.probability_best
    assert INCUMBENT not in told.advice.expected_loss
    assert not [item for item in told.advice.break_even if INCUMBENT in (item.a, item.b)]


def test_beyond_all_limits_the_best_measured_is_a_strategy_and_not_todays_system() -> None:
    told = Told({"majority": 0.5, "few_shot": 0.6, INCUMBENT: 0.9}, min_quality=0.95)
    assert (told.advice.verdict, told.advice.keeps_incumbent) == ("none_feasible", False)
    headline = "No strategy meets the limits, nor does today's system; the best measured is prompt with fixed examples"
    assert told.advice.headline.startswith(headline)
    assert "Today's system breaks --min-quality." in told.reasons
    assert "Keep today's system" not in told.advice.next_step


def test_todays_system_is_kept_where_it_alone_meets_the_limits() -> None:
    told = Told({"majority": 0.5, "few_shot": 0.6, INCUMBENT: 0.9}, min_quality=0.85)
    assert (told.advice.verdict, told.advice.keeps_incumbent) == ("none_feasible", True)
    assert told.advice.headline.startswith("Keep today's system: 180 of 200 right, 90 % (80 to 100 %). No strategy")
    assert told.advice.reasons[0] == "Today's system meets them, as far as it is known."
    assert told.advice.next_step.startswith("Keep today's system. For another: add examples"), "no limit shuts out more"


def test_that_today_meets_a_limit_on_cost_or_latency_is_claimed_nowhere() -> None:
    """Only its answers are known."""
    qualities = {"few_shot": 0.9, INCUMBENT: 0.8}
    none = Told(qualities, max_latency_ms=50).advice
    known = "Keep today's system if it meets --max-latency-ms, which is not known: 160 of 200 right, 80 % (70 to 90 %)."
    assert none.headline.startswith(f"{known} No strategy meets the limits; the best measured is ")
    better = Told({"few_shot": 0.8, INCUMBENT: 0.9}, max_latency_ms=200, max_cost_per_1k=5).advice
    assert better.headline.startswith("Keep today's system if it meets --max-cost-per-1k and --max-latency-ms, which")
    assert better.next_step == (
        "Find out whether today's system meets --max-cost-per-1k and --max-latency-ms; if so, keep it: no strategy "
        "within the limits is better by more than counts as equal."
    )
    unlimited = Told(qualities).advice.sensitivity
    beaten = "no strategy that meets all limits beats today's system, whose own {} is not known."
    assert [said for said in unlimited if said.endswith(f" ms, {beaten.format('latency')}")]
    assert [said for said in unlimited if said.endswith(f" USD per 1,000 queries allowed, {beaten.format('cost')}")]


def test_a_pick_that_may_be_no_better_than_today_is_not_said_to_cost_less_in_all() -> None:
    told = Told({INCUMBENT: 0.8, "few_shot": 0.84}, rows=40, error=0.07, error_cost=2.0)
    said = "cannot be told apart from today's system; it was taken since its wrong answers cost less."
    assert said in told.caveats


LATE = {"majority": {"late": 1.0}, "few_shot": {"late": 0.7}, "lora": {"late": 0.95}, INCUMBENT: {"late": 0.8}}


def test_what_is_no_solution_is_none_beside_a_system_that_breaks_a_limit() -> None:
    asked: dict[str, Any] = {"min_recall": "late=0.9", "recalls": LATE, "label_rows": {"late": 50}}
    told = Told({"majority": 0.5, "few_shot": 0.84, INCUMBENT: 0.87}, **asked)
    assert (told.advice.strategy, told.advice.falls_short) == ("majority", True)
    assert told.advice.headline.startswith("No strategy within your limits does more than giving every input the same")
    assert "right, 87 % (77 to 97 %)), which breaks --min-recall late, it loses 37 points" in told.summary
    assert "relax a limit first, for today's system is beyond it (174 of 200 right" in told.advice.next_step


def test_what_is_given_up_for_a_limit_that_todays_system_breaks_is_for_the_client_to_weigh() -> None:
    asked: dict[str, Any] = {"min_recall": "late=0.9", "recalls": LATE, "label_rows": {"late": 50}}
    told = Told({"lora": 0.82, INCUMBENT: 0.87}, **asked)
    assert (told.advice.verdict, told.advice.falls_short) == ("tie", False)
    assert "Today's system gets more right, but breaks --min-recall late." in told.caveats
    assert told.advice.next_step == (
        "Use it if meeting --min-recall late is worth the 5 points that it loses; else keep today's system."
    )
    kept = Told({"lora": 0.9, INCUMBENT: 0.95}, **{**asked, "min_recall": "late=0.8"})
    assert "Fine-tuning (LoRA) finds 95 of 100 late" in kept.reasons, "and not today's system, which is to be kept"
    gains = Told({"lora": 0.9, INCUMBENT: 0.8}, **asked)
    assert gains.advice.verdict == "clear"
    assert "which breaks --min-recall late, it gains 10 points" in gains.summary


# ---- how sure it is --------------------------------------------------------------------------------------------------


def test_a_tie_says_with_whom_and_why_this_one_was_taken() -> None:
    told = Told({"tfidf_linear": 0.9, "few_shot": 0.9}, {"few_shot": 50.0}, error=0.05)
    assert (told.advice.verdict, told.advice.strategy) == ("tie", "tfidf_linear")
    said = "On 200 test rows it cannot be told apart from prompt with fixed examples; it was taken as the cheaper"
    assert said in told.caveats
    for dearer in ("few_shot", "tfidf_linear"):
        led = Told({"tfidf_linear": 0.85, "few_shot": 0.9}, {dearer: 50.0}, error=0.05)
        assert (led.advice.verdict, led.advice.strategy) == ("tie", "few_shot")
        assert "it was taken for its measured lead" in led.caveats, f"whatever is dearer: {dearer}"


def test_rivals_that_count_as_equal_and_those_that_are_only_close_are_told_apart() -> None:
    costs = {"tfidf_linear": 1.0, "few_shot": 5.0, "lora": 50.0}
    told = Told({"tfidf_linear": 0.88, "few_shot": 0.90, "lora": 0.905}, costs, error=0.02)
    assert told.decision.equals == ("lora", "few_shot")
    apart = "On 200 test rows it cannot be told apart from"
    assert told.advice.caveats[:2] == [
        f"{apart} fine-tuning (LoRA); it was taken as the cheaper or simpler.",
        f"{apart} TF-IDF + linear classifier; it was taken for its measured lead.",
    ]


def test_where_no_other_is_better_by_more_than_the_tolerance_no_more_examples_are_asked_for() -> None:
    known = {"verdict": "tie", "rows_needed": None, "confidence": 0.99}
    told = Told({"tfidf_linear": 0.9, "few_shot": 0.893}, decision=known)
    assert "more examples would not change that" in told.advice.next_step
    today = Told({"few_shot": 0.9, INCUMBENT: 0.86}, decision={**known, "hangs_on_fits": True, "rivals": (INCUMBENT,)})
    assert "another --seed" in today.advice.next_step, "today's system may be better, for all that fits show"


def test_where_fits_differ_too_much_no_more_examples_are_asked_for() -> None:
    known = {"verdict": "tie", "rows_needed": None, "confidence": 0.7, "hangs_on_fits": True}
    told = Told(CLOSE, rows=40, examples=40, decision=known)
    assert told.advice.next_step == (
        "Use it. If the difference matters to you: run again with another --seed. Fits of one strategy differ so much "
        "that no number of examples would part the leaders."
    )


def test_on_few_rows_that_leaders_are_close_may_be_chance() -> None:
    known = {"verdict": "tie", "rows_needed": None, "confidence": 0.7}
    told = Told(CLOSE, rows=40, examples=40, decision=known)
    assert "label more examples and run again; 100 test rows are a fair start." in told.advice.next_step


@pytest.mark.parametrize(
    ("code", "count", "is_told"),
    [
        ("blind_metric", 2, True),
        ("unseen_labels", 2, True),
        ("unlearnt_labels", 2, True),
        ("untested_groups", 2, True),
        ("masked_outputs", 50, True),
        ("masked_outputs", 2, False),
        ("near_duplicates", 50, False),
    ],
)
def test_what_the_figures_say_nothing_of_is_a_caveat(code: str, count: int, is_told: bool) -> None:
    found = schema.Finding(
        code=code, severity="warning", count=count, rows=[], message="2 of the 9 labels.", action="Went on."
    )
    assert ("2 of the 9 labels." in Told(CLEAR, findings=[found]).advice.caveats) is is_told


@pytest.mark.parametrize(
    ("rows_needed", "says"),
    [
        (None, "no reasonable number of examples would part them"),
        (100_000, "no reasonable number of examples would part them"),
        (63, "about 70 more examples would settle it"),
        (1200, "about 1,200 more examples would settle it"),
    ],
)
def test_a_tie_says_how_many_more_examples_would_settle_it(rows_needed: int | None, says: str) -> None:
    told = Told(CLOSE, decision={"verdict": "tie", "rows_needed": rows_needed})
    assert told.advice.next_step.startswith("Use it. ")
    assert says in told.advice.next_step
    assert told.advice.rows_needed == rows_needed


def test_with_a_test_file_the_rows_that_would_settle_it_are_test_rows() -> None:
    decision = {"verdict": "tie", "rows_needed": 63}
    told = Told(CLOSE, rows=50, decision=decision, plan={"folds": 1, "test": 50, "test_source": "file"})
    assert "about 70 more test rows would settle it" in told.advice.next_step


def test_of_a_holdout_only_a_part_of_further_examples_is_tested_on() -> None:
    """A quarter of the examples was: a further 63 test rows take about four times as many examples."""
    decision = {"verdict": "tie", "rows_needed": 63}
    told = Told(CLOSE, rows=50, decision=decision, plan={"folds": 1, "test": 50})
    assert "about 260 more examples" in told.advice.next_step
    many = Told(CLOSE, rows=120, decision={**decision, "rows_needed": 3000}, plan={"folds": 1, "test": 120})
    assert "no reasonable number of examples" in many.advice.next_step, "5,000 for the 200 that there are"


def test_too_few_rows_are_no_evidence() -> None:
    told = Told(CLEAR, rows=15)
    assert told.advice.verdict == "insufficient_evidence"
    assert "Not enough evidence: 15 test rows are too few to recommend anything with confidence." in told.caveats
    assert told.advice.next_step == "Label more examples and run again; 100 test rows are a fair start."


def test_many_rows_of_one_group_are_no_evidence() -> None:
    """Where all test rows are the same question, ten times as many answers to it would be no more."""
    told = Told(CLEAR, evidence={"groups": 1})
    assert told.advice.verdict == "insufficient_evidence"
    assert "the 200 test rows are 1 group of rows that belong together" in told.caveats
    assert told.advice.next_step.startswith("Label examples that differ from these")


def test_scarce_labels_are_named_with_how_many_more_are_needed() -> None:
    per_label = {"billing": 100, "legal": 3, "outage": 9}
    told = Told(CLEAR, evidence={"rows_per_label": per_label, "metric_is_macro": True})
    assert told.advice.verdict == "insufficient_evidence"
    assert "labels with hardly any test rows: legal (3), outage (9)" in told.caveats
    assert "run again: at least 7 more of legal, 1 more of outage, better 50 of each." in told.advice.next_step
    assert "billing" not in told.caveats + told.advice.next_step


def test_of_many_scarce_labels_the_scarcest_are_named_and_copies_of_rows_told_from_rows() -> None:
    per_label = {"billing": 100, **{f"l{i}": i for i in range(6)}}
    found = {"rows_per_label": per_label, "metric_is_macro": True}
    told = Told(CLEAR, evidence=found, label_rows={**per_label, "l1": 9})
    assert "hardly any test rows: l0 (0), l1 (1 that differ), l2 (2), and 3 others." in told.caveats
    assert "at least 45 more of the 6 labels with hardly any test rows, better 50 of each." in told.advice.next_step


@pytest.mark.parametrize(
    ("cut", "says"),
    [
        (HELD_OUT, "Raise --time-budget first"),
        (f"20 {FEWER_ROWS} 200", "Raise --time-budget first"),
        ("no learning curve", "Label more examples"),
    ],
)
def test_rows_that_only_the_time_budget_kept_from_being_tested_are_not_to_be_labelled(cut: str, says: str) -> None:
    plan = {"kind": "holdout", "folds": 1, "repeats": 1, "cuts": [cut]}
    scarce = {"rows_per_label": {"fraud": 4, "fine": 196}, "metric_is_macro": True}
    told = Told(CLEAR, examples=3000, plan=plan, evidence=scarce).advice
    assert told.next_step.startswith(says)
    assert Told(CLEAR, rows=15, examples=60, plan=plan).advice.next_step.startswith(says)
    if says.startswith("Raise"):
        assert told.next_step == (
            "Raise --time-budget first, for it allowed for 200 test rows of 3,000 examples. Label more only if that is "
            "not enough."
        )
        unscored = Told(CLEAR, plan=plan, evidence={"rows": 30, "unscored": 170}).advice.next_step
        assert "--time-budget" not in unscored, "more time brings back no row that could not be scored"


def short_of_time(examples: int, test: int, *cuts: str) -> dict[str, Any]:
    """One holdout, since there was no time for more, and examples that cost 2 USD each."""
    plan = {"kind": "holdout", "folds": 1, "repeats": 1, "test": test, "cuts": list(cuts)}
    return {"examples": examples, "rows": test, "plan": plan, "label_usd": 2.0}


RAISED = "raise --time-budget first, for it allowed for {} test rows of {} examples"


@pytest.mark.parametrize(
    ("examples", "test", "cuts", "needed", "settled"),
    [
        (90, 22, [HELD_OUT], 51, "about 60 more test rows would settle it."),
        (20_000, 60, [HELD_OUT, f"60 {FEWER_ROWS} 200"], 1871, "about 1,880 more test rows would settle it."),
        (1000, 60, [f"60 {FEWER_ROWS} 200"], 100, "about 100 more test rows would settle it."),  # the latest rows
        (
            40, 20, [HELD_OUT], 31,  # 51, of which 40 are there
            "about 40 more test rows would settle it, which takes about 20 more examples too (about 40.00 USD).",
        ),
        (
            400, 60, [f"60 {FEWER_ROWS} 100"], 80,  # 140 of a quarter of the examples, of which 100 are there
            "about 80 more test rows would settle it, which takes about 160 more examples too (about 320 USD).",
        ),
        (
            400, 60, [f"60 {FEWER_ROWS} 72"], 30,  # late rows of known customers are left out
            "about 30 more test rows would settle it, which takes about 100 more examples too (about 200 USD).",
        ),
    ],
)  # fmt: skip
def test_what_time_would_settle_is_not_told_to_be_labelled(
    examples: int, test: int, cuts: list[str], needed: int, settled: str
) -> None:
    decision = {"verdict": "tie", "rows_needed": needed}
    told = Told(CLOSE, decision=decision, **short_of_time(examples, test, *cuts)).advice.next_step
    assert told == f"Use it. If the difference matters to you: {RAISED.format(test, f'{examples:,}')}; {settled}"


def test_where_nothing_surely_beats_the_commonest_label_the_rows_at_hand_are_to_be_tested_first() -> None:
    held_out, first = short_of_time(120, 30, HELD_OUT), f"Do not put it to use yet: {RAISED.format(30, 120)}."
    unsure = Told({"majority": 0.5, "few_shot": 0.6}, error=0.1, **held_out).advice
    assert (unsure.verdict, unsure.falls_short, unsure.next_step) == ("tie", True, first)
    late = Told({"majority": 0.5, "few_shot": 0.6}, error=0.1, unfinished=["lora"], **held_out).advice.next_step
    assert "for want of which fine-tuning (LoRA) was left out" in late, "what was not tried at all comes before"
    for surely in ({"majority": 0.5, "few_shot": 0.2}, WEAK):
        assert "--time-budget" not in Told(surely, **held_out).advice.next_step, "more test rows change nothing"


def test_limits_that_more_test_rows_may_show_to_be_met_are_not_relaxed_before_those_at_hand_are_tested() -> None:
    held_out, first = short_of_time(120, 30, HELD_OUT), f"Relax a limit, or {RAISED.format(30, 120)}."
    nearly = Told({"majority": 0.5, "few_shot": 0.85}, min_quality=0.9, **held_out).advice
    assert (nearly.verdict, nearly.next_step) == ("none_feasible", first)
    assert "--time-budget" not in Told({"few_shot": 0.5}, min_quality=0.9, **held_out).advice.next_step
    dear = {"min_quality": 0.9, "max_cost_per_1k": 0.01, **held_out}
    assert "--time-budget" not in Told({"few_shot": 0.85}, **dear).advice.next_step, "it stays too dear"
    recalls = {"majority": {"bad": 0.0}, "few_shot": {"bad": 0.75}}
    few = Told(CLEAR, min_recall="bad=0.9", recalls=recalls, label_rows={"bad": 4}, **held_out).advice.next_step
    assert few == first
    many = Told(CLEAR, min_recall="bad=0.9", recalls=recalls, label_rows={"bad": 100}, **held_out).advice.next_step
    assert "--time-budget" not in many, "of as many rows 75 are surely fewer than 90"


def test_where_nothing_is_known_of_the_rows_needed_those_at_hand_come_before_new_ones() -> None:
    decision = {"verdict": "tie", "rows_needed": None, "confidence": 0.7}
    told = Told(CLOSE, decision=decision, **short_of_time(20_000, 60, HELD_OUT)).advice.next_step
    assert told == f"Use it. If the difference matters to you: {RAISED.format(60, '20,000')}."


def test_of_a_label_those_are_to_be_labelled_that_would_lack_though_all_examples_were_tested() -> None:
    """Of 90 examples 22 were tested, 7 of them of one label: some 29 of all are, and 50 are enough."""
    held_out, raised = short_of_time(90, 22, HELD_OUT), RAISED.format(22, 90)
    priced = "(about 70 examples as they come, 140 USD)"
    told = Told(CLEAR, **held_out, label_rows={"app": 7, "card": 15})
    assert f"I am not sure about app (7 test rows): {raised}; then label 30 more {priced}." in told.summary
    both = Told(CLEAR, **held_out, label_rows={"app": 7, "card": 8})
    assert f"{raised}; then label 30 more of each {priced}." in both.summary
    many = Told(CLEAR, **short_of_time(900, 22, HELD_OUT), label_rows={"app": 7, "card": 15})
    assert f"I am not sure about app (7 test rows): {RAISED.format(22, 900)}." in many.summary
    found = {name: {"app": 1.0} for name in CLEAR}
    asked = Told(CLEAR, **held_out, label_rows={"app": 7}, min_recall="app=0.5", recalls=found)
    assert f"on 7 test rows, which is few: {raised}; then label 30 more of it {priced}." in asked.caveats


def test_unscored_rows_that_could_change_the_pick_are_no_evidence() -> None:
    told = Told(CLEAR, evidence={"rows": 30, "unscored": 170})
    assert told.advice.verdict == "insufficient_evidence"
    assert "the rows that could not be scored could change the pick" in told.caveats
    assert "170 test rows could not be scored for every strategy and were left out for all." in told.caveats
    shared = "on the 30 rows that all answered"
    assert f"the highest quality {shared}, 40 points ahead" in told.reasons
    today = Told({INCUMBENT: 0.8, "few_shot": 0.9}, evidence={"unscored": 7})
    assert "it gains 10 points (+6.0 to +14.0) on the 200 rows that all answered." in today.reasons
    assert "all answered" not in Told(CLEAR).reasons


def test_after_failures_of_the_infrastructure_the_advice_is_to_ask_again() -> None:
    told = Told({"tfidf_linear": 0.8, "few_shot": 0.85}, rows=700, examples=1000, evidence={"unscored": 300})
    assert told.advice.next_step == (
        "Run the same command again, with this run's folder as --output: it asks again for what failed."
    )
    alone = Told({"few_shot": 0.85}, evidence={"unscored": 100}, min_quality=0.8)
    assert alone.advice.next_step.startswith("Run the same command again")


def test_what_only_a_latency_that_is_not_known_keeps_out_is_to_be_timed_and_no_limit_relaxed() -> None:
    pair, untimed = {"majority": 0.4, "few_shot": 0.9}, {"few_shot": math.inf}
    again = Told({**pair, INCUMBENT: 0.5}, p95_ms=untimed, max_latency_ms=200).advice
    assert (again.verdict, again.next_step[:30]) == ("clear", "Run the same command again, wi")
    behind = Told({**pair, INCUMBENT: 0.95}, p95_ms=untimed, max_latency_ms=200).advice
    assert "if so, keep it: no strategy within the limits is better" in behind.next_step
    assert Told(pair, p95_ms=untimed, max_latency_ms=50).advice.next_step == again.next_step
    assert Told(pair, p95_ms=untimed, max_latency_ms=200).advice.next_step == again.next_step
    assert "Run the same" not in Told(pair, p95_ms={"majority": math.inf}, max_latency_ms=200).advice.next_step
    dear: dict[str, Any] = {"p95_ms": untimed, "max_latency_ms": 50, "max_cost_per_1k": 0.15}
    assert "Run the same" not in Told(pair, **dear).advice.next_step, "it costs too much in any case"


def test_where_all_else_failed_the_next_step_is_to_see_why() -> None:
    failed = schema.StrategyResult(name="lora", family="finetune", model="small", status="failed", reason="no memory")
    told = Told({"few_shot": 0.9}, further=[failed]).advice
    assert told.next_step == "See first why fine-tuning (LoRA) failed (the table of strategies says), then run again."


def test_of_one_row_and_of_many_that_could_not_be_scored() -> None:
    one, two = (Told(CLEAR, evidence={"unscored": n}).caveats for n in (1, 2))
    assert "1 test row could not be scored for every strategy and was left out for all." in one
    assert "2 test rows could not be scored for every strategy and were left out for all." in two


def test_where_failures_leave_open_whether_a_limit_is_met_that_is_said() -> None:
    unsure: dict[str, Any] = {"evidence": {"rows": 60, "unscored": 140}, "min_quality": 0.9}
    told = Told({"few_shot": 0.89, "tfidf_linear": 0.6}, **unsure)
    assert (told.advice.verdict, told.advice.strategy) == ("insufficient_evidence", None)
    assert told.advice.headline.startswith(
        "Too little evidence for a recommendation: no strategy meets the limits; the best measured is prompt with"
    )
    assert "Not enough evidence: the rows that could not be scored could change the advice." in told.caveats
    assert told.advice.next_step.startswith("Run the same command again")
    kept = Told({"few_shot": 0.89, INCUMBENT: 0.95}, **unsure)
    assert kept.advice.keeps_incumbent
    assert kept.advice.headline.startswith("Too little evidence to give up today's system: 190 of 200")


def test_a_figure_that_luck_had_a_part_in_is_told_to_be_too_high() -> None:
    close = {"few_shot": 0.71, "rag": 0.7, "zero_shot": 0.7, "lora": 0.7, "tfidf_linear": 0.69}
    (said,) = [c for c in Told(close, error=0.06).advice.caveats if "too high" in c]
    assert said.startswith("The figure of ")
    assert said.endswith("points too high, since it was picked by these very figures.")
    assert not any("too high" in caveat for caveat in Told(CLEAR).advice.caveats)
    kept = Told({**close, INCUMBENT: 0.9}, error=0.06)
    assert not any("too high" in caveat for caveat in kept.advice.caveats), "it is not what is advised"


def test_a_limit_on_quality_that_is_met_by_a_hair_is_told() -> None:
    told = Told({"few_shot": 0.9, "tfidf_linear": 0.5}, min_quality=0.9)
    assert told.advice.verdict == "tie"
    assert told.advice.caveats[0] == (
        "Whether prompt with fixed examples meets --min-quality is not sure: 180 of 200 right, 90 % (80 to 100 %); at "
        "least 90 of 100 were asked for."
    )
    assert told.advice.next_step == "Use it. Further test rows would show whether it meets --min-quality."
    close = Told({"few_shot": 0.9, "tfidf_linear": 0.88}, min_quality=0.875)
    assert close.advice.next_step.startswith("Use it. Further test rows would show whether it meets --min-quality.")
    assert "If the difference matters to you" in close.advice.next_step
    assert "meets --min-quality" not in Told({"few_shot": 0.9, "tfidf_linear": 0.5}, min_quality=0.8).caveats
    level = {"few_shot": 0.9, "rag": 0.9, "zero_shot": 0.9, "lora": 0.9}
    assert (
        "least 86 of 100 were asked for, and its figure is probably somewhat too high, since it was picked by it."
        in (Told(level, min_quality=0.86).caveats)
    )


def test_few_test_rows_are_said_to_show_large_differences_only() -> None:
    assert "60 test rows show large differences only." in Told(CLEAR, rows=60).caveats
    assert "large differences only" not in Told(CLEAR, rows=200).caveats


def test_nothing_measured_says_where_the_reasons_are() -> None:
    request = make_request(task="Sort.", examples="tickets.csv")
    settings = settings_of(request, Prices("a machine", 0.1, "assumed"))
    evidence = Evidence({}, {}, 0)
    weighed = Weighed({}, [], Assumptions([], evidence, Limits(), 0.01, 10_000), None)
    advice = recommend(data_of(0, 40), with_models(request), settings, [], weighed)
    assert (advice.strategy, advice.verdict) == (None, "insufficient_evidence")
    assert "raise --time-budget where they name it" in advice.next_step, "a server that failed is mended by no time"
    assert "the table" in advice.reasons[0]


# ---- what was measured, and what is kept -----------------------------------------------------------------------------

GOOD_REFIT = schema.Refit(seconds=3.0, train_examples=200, artefact_bytes=10)
BAD_REFIT = schema.Refit(seconds=3.0, train_examples=200, artefact_bytes=10, rejected="it failed (ValueError)")


def test_after_cross_fitting_the_figures_are_of_the_procedure() -> None:
    told = Told(CLEAR, refits={"few_shot": GOOD_REFIT})
    assert "The figures are of the procedure (5 fits, each tested on rows it had not seen)" in told.caveats
    assert "; what is kept is one more fit of the same procedure, on all examples." in told.caveats
    assert "one split" not in told.caveats


def test_after_one_holdout_the_figures_are_of_one_split() -> None:
    told = Told(CLEAR, plan={"folds": 1}, refits={"few_shot": GOOD_REFIT})
    assert "The figures are of one split of the examples" in told.caveats
    assert "what is kept is one more fit" in told.caveats
    assert "procedure (" not in told.caveats


@pytest.mark.parametrize("refits", [{}, {"majority": GOOD_REFIT}])
def test_without_a_refit_of_the_pick_none_is_claimed(refits: dict[str, schema.Refit]) -> None:
    assert "one more fit" not in Told(CLEAR, refits=refits).caveats


def test_a_rejected_refit_is_told_with_its_reason() -> None:
    told = Told(CLEAR, refits={"few_shot": BAD_REFIT})
    assert "one more fit" not in told.caveats
    said = "The fit on all examples was put aside, since it failed (ValueError); a measured fit is kept instead."
    assert said in told.advice.caveats


@pytest.mark.parametrize(
    ("folds", "repeats", "strategy", "one_seed"),
    [(1, 1, "lora", True), (1, 3, "lora", False), (5, 1, "lora", False), (1, 1, "few_shot", False)],
)
def test_one_fit_with_one_seed_is_a_claim_about_this_fit(
    folds: int, repeats: int, strategy: str, one_seed: bool
) -> None:
    told = Told({"majority": 0.5, strategy: 0.9}, plan={"folds": folds, "repeats": repeats})
    assert ("a claim about them is about this fit" in told.caveats) is one_seed


def test_the_best_of_one_is_no_recommendation() -> None:
    alone = Told({"few_shot": 0.9})
    assert alone.advice.verdict == "insufficient_evidence"
    assert "nothing else was measured that it could be compared with" in alone.caveats
    assert alone.advice.next_step == "Compare it with further strategies (--strategies)."
    late = Told({"few_shot": 0.9}, unfinished=["lora"])
    assert late.advice.next_step.startswith(
        "Raise --time-budget first, for want of which fine-tuning (LoRA) was left out"
    )


def test_fewer_seeds_than_planned_are_told() -> None:
    qualities = {"few_shot": 0.5, "lora": 0.9}
    told = Told(qualities, fits={"lora": {"count": 5}}, reasons={"lora": "one seed instead of 3: no time"})
    said = "Fine-tuning (LoRA) was fitted with one seed instead of 3: no time."
    assert said in told.advice.caveats
    assert "instead of 3" not in Told(qualities).caveats


def test_only_what_was_fitted_once_is_a_claim_about_one_fit() -> None:
    some: dict[str, Any] = {"plan": {"folds": 1, "repeats": 3}, "fits": {"lora": {"count": 1}}}
    told = Told({"full_tuning": 0.9, "lora": 0.5}, **some)
    assert "A claim about fine-tuning (LoRA) is about one fit." in told.advice.caveats
    assert "a claim about them" not in told.caveats


def test_trainings_that_were_shortened_are_told() -> None:
    told = Told({"few_shot": 0.5, "lora": 0.9}, fits={"lora": {"shortened": 4}})
    assert (
        "Time ran short: 4 of 15 fits of fine-tuning (LoRA) passed over the rows fewer times than "
        "planned, and it might do better with more --time-budget." in told.advice.caveats
    )


def test_cuts_are_told() -> None:
    assert (
        "To keep the time budget: fewer rows; no curve."
        in Told(CLEAR, plan={"cuts": ["fewer rows", "no curve"]}).caveats
    )


def test_cuts_that_were_not_enough_are_not_said_to_keep_the_time_budget() -> None:
    over = {"predicted_seconds": 125, "time_budget": 90}
    said = "No plan fits the time budget of 1 min 30 s: the shortest was taken, planned at 2 min 5 s, 35 s over it"
    assert f"{said}, though this was cut: fewer rows." in Told(CLEAR, plan={**over, "cuts": ["fewer rows"]}).caveats
    assert f"{said}." in Told(CLEAR, plan=over).caveats
    assert "To keep" not in Told(CLEAR, plan=over).caveats


# ---- what would change it --------------------------------------------------------------------------------------------


def test_a_cost_of_errors_is_told_so_that_the_pick_does_change_there() -> None:
    """A tenth of 10,000 answers at 0.00159 USD are the 1.59 USD that few_shot costs more."""
    told = Told(PAIR, {"tfidf_linear": 1.0, "few_shot": 2.59}, error_cost=0.02)
    assert "With a wrong answer's cost below 0.00159 USD, the pick is TF-IDF + linear classifier." in (
        told.advice.sensitivity
    )


def test_a_limit_that_would_change_the_pick_is_told_in_its_units() -> None:
    told = Told({"majority": 0.5, "tfidf_linear": 0.85, "few_shot": 0.9}, {"few_shot": 50.0})
    assert told.advice.strategy == "few_shot"
    sentences = told.advice.sensitivity
    assert "With a tolerance of 5 points, the pick is TF-IDF + linear classifier." in sentences
    assert "With less than 5 USD per 1,000 queries allowed, the pick is TF-IDF + linear classifier." in sentences


def test_what_the_pick_has_is_not_told_as_a_limit_that_would_change_it() -> None:
    """It answers in 22.4 ms, which its table has as 22 ms, and costs 5 USD per 1,000 queries."""
    told = Told({"majority": 0.5, "few_shot": 0.9}, {"few_shot": 50.0}, p95_ms={"majority": 1.0, "few_shot": 22.4})
    of_limits = [said for said in told.advice.sensitivity if "wanted" in said or "allowed" in said]
    assert of_limits == [
        "With 95 of 100 answers wanted in less than 22 ms, the pick is always the same answer.",
        "With less than 5 USD per 1,000 queries allowed, the pick is always the same answer.",
    ]


def test_that_nothing_changes_the_pick_is_said_too() -> None:
    alone = Told({"majority": 0.5})
    tried = "No other volume, price, limit or tolerance that was tried"
    assert alone.advice.sensitivity == [f"{tried} makes another strategy the pick."]
    assert alone.advice.reasons[0] == "It is the only strategy that could be considered."
    kept = Told({"majority": 0.5, INCUMBENT: 0.9})
    assert kept.advice.sensitivity == [f"{tried} speaks against keeping today's system."]


def point(share: float, gain: tuple[float, float, float] | None) -> schema.LearningPoint:
    return schema.LearningPoint(
        share=share,
        train_examples=round(share * 64),
        value=0.8,
        ci95=(0.7, 0.9),
        gain_to_all=gain[0] if gain else None,
        gain_ci95=gain[1:] if gain else None,
    )


@pytest.mark.parametrize(
    ("gain", "says"),
    [
        ((0.05, 0.02, 0.08), "+5.0 points (+2.0 to +8.0): the next doubling may bring less."),
        ((0.01, -0.03, 0.05), "+1.0 points (−3.0 to +5.0): too few test rows to say whether more would help."),
        ((-0.09, -0.13, -0.05), "−9.0 points (−13.0 to −5.0): more of them did harm."),
        ((-0.0005, -0.006, 0.005), "−0.1 points (−0.6 to +0.5): more would hardly help."),
    ],
)
def test_the_learning_curve_says_what_a_doubling_of_the_examples_brought(
    gain: tuple[float, float, float], says: str
) -> None:
    curve = [point(0.25, (0.4, 0.3, 0.5)), point(0.5, gain), point(1.0, None)]
    (sentence,) = (s for s in Told(CLEAR, curves={"few_shot": curve}).advice.sensitivity if "Twice" in s)
    assert sentence == f"Twice the training examples (half, then all of them) brought prompt with fixed examples {says}"


@pytest.mark.parametrize(
    ("gain", "repeats", "says"),
    [
        ((0.05, 0.02, 0.08), 3, "the next doubling may bring less."),
        ((0.05, 0.02, 0.08), 1, "there is one fit of each, so that it may be chance."),
        ((-0.09, -0.13, -0.05), 1, "there is one fit of each, so that it may be chance."),
        ((-0.0005, -0.006, 0.005), 1, "there is one fit of each, so that it may be chance."),
        ((0.01, -0.03, 0.05), 1, "too few test rows and seeds to say whether more would help."),
    ],
)
def test_of_two_single_fits_the_learning_curve_claims_nothing(
    gain: tuple[float, float, float], repeats: int, says: str
) -> None:
    curves = {"lora": [point(0.5, gain), point(1.0, None)]}
    told = Told({**CLEAR, "lora": 0.7}, curves=curves, plan={"repeats": repeats})
    (sentence,) = (s for s in told.advice.sensitivity if "Twice" in s)
    assert sentence.endswith(f": {says}")


def test_a_curve_without_its_half_says_nothing() -> None:
    curve = [point(0.25, (0.4, 0.3, 0.5)), point(1.0, None)]
    assert not [s for s in Told(CLEAR, curves={"few_shot": curve}).advice.sensitivity if "Twice" in s]


def test_the_scope_names_the_models_the_embedder_and_the_examples() -> None:
    scope = Told(CLEAR, examples=123, model=["small", "org/large"], embedder="words").advice.scope
    assert "language models tested (small, org/large)" in scope
    assert "embedder words" in scope
    assert "123 examples" in scope


def test_what_needs_more_test_rows_than_one_holdout_has_is_not_told_to_label_examples() -> None:
    decision = {"verdict": "tie", "rows_needed": 80}
    latest = Told(CLOSE, rows=200, decision=decision, plan={"folds": 1, "test": 200, "test_source": "latest"})
    most = "about 80 more test rows would settle it, 280 in all, and at most 200 are set aside"
    assert most in latest.advice.next_step
    assert "--time-budget" not in latest.advice.next_step
    assert "--test" in latest.advice.next_step
    priced = Told(CLOSE, rows=200, label_usd=0.8, decision=decision, plan={"folds": 1, "test": 200})
    assert priced.advice.next_step.endswith("give a test file of your own with --test (about 64.00 USD).")


def test_the_range_of_a_recall_counts_rows_that_belong_together_once() -> None:
    asked = {"min_recall": "bad=0.6", "recalls": {name: {"bad": 1.0} for name in PAIR}, "label_rows": {"bad": 40}}
    assert "100 of 100 bad (40 test rows, 91 to 100)" in Told(PAIR, **asked).reasons
    assert "100 of 100 bad (40 test rows, 28 to 100)" in Told(PAIR, **asked, groups=4).reasons


def test_rows_that_were_left_out_are_told_where_they_are_many() -> None:
    def told(count: int, code: str = "unparseable_rows") -> str:
        message = f"{count} lines of tickets.jsonl are left out."
        found = schema.Finding(code=code, severity="warning", count=count, message=message, action="Repair them.")
        return Told(PAIR, findings=[found]).caveats

    assert "30 lines of tickets.jsonl are left out." in told(30)
    assert "left out" not in told(3)
    assert "left out" not in told(30, "duplicate_rows")


def test_with_a_price_of_errors_a_rival_in_cost_is_none_in_quality() -> None:
    told = Told({"few_shot": 0.9, "majority": 0.2}, {"few_shot": 2.0, "majority": 1.0}, error_cost=0.00015)
    assert "majority" in told.decision.rivals
    assert "surely better" not in told.advice.headline


def test_what_a_tolerance_does_to_todays_system_is_told() -> None:
    near = Told({INCUMBENT: 0.8, "lora": 0.9}, error=0.002)
    assert "With a tolerance of 10 points, today's system is to be kept." in near.advice.sensitivity
    wide = Told({INCUMBENT: 0.8, "lora": 0.9}, error=0.002, tolerance=11)
    assert wide.decision.keeps_incumbent
    assert [said for said in wide.advice.sensitivity if "the pick is fine-tuning" in said]


def test_few_rows_are_no_reason_to_keep_todays_system_for_good() -> None:
    told = Told({INCUMBENT: 0.8, "lora": 0.9}, rows=8, examples=8, error=0.2, evidence={"rows": 8})
    assert told.advice.headline.startswith("Too little evidence to give up today's system: ")
    assert told.advice.next_step.startswith("Label more examples")


def test_the_lowest_total_cost_is_that_of_those_that_may_be_taken() -> None:
    dear = Told({"zero_shot": 0.90, "lora": 0.93}, {"zero_shot": 1.0, "lora": 28.0}, error_cost=0.1)
    assert "it was taken for its lowest total cost" in dear.caveats
    limited = Told(
        {"few_shot": 0.9, "lora": 0.97, "zero_shot": 0.2}, {"few_shot": 2.0, "lora": 3.0, "zero_shot": 1.0},
        error_cost=0.5, max_cost_per_1k=0.25,
    )  # fmt: skip
    assert "that is the lowest total of those that are within your limits." in limited.reasons


def test_where_nothing_is_missing_nothing_is_lost() -> None:
    whole = {"rag": {"context_recall": 1.0, "quality_where_found": 1.0}}
    assert "hold 100 of 100 words" in (said := Told({"rag": 1.0, "few_shot": 0.9}, secondary=whole).reasons)
    assert "is lost" not in said


def always_on(seconds: float, fit_seconds: float, family: Any, volume: float, prices: Prices) -> Money:
    return tariff(Use(seconds, fit_seconds, family=family, model="m"), Terms(prices, "always-on")).at(volume)


def test_no_queries_have_no_cost_by_the_thousand() -> None:
    assert "idle time included (0.20 USD per 1,000 queries)" in Told(CLEAR, hosting="always-on").reasons
    assert "idle time included." in Told(CLEAR, hosting="always-on", volume=0).reasons


def test_what_costs_less_at_some_volume_is_not_said_to_where_it_costs_more() -> None:
    """Machines are added one by one: the cheaper of two changes again and again."""
    volume, prices = 4_500_000, Prices("m", 0.10, "stated", retrainings_per_year=12)
    prompt, tuned = (
        always_on(0.10, 0.0, "prompt", volume, prices),
        always_on(0.0667, 72_000, "finetune", volume, prices),
    )
    assert prompt.monthly < tuned.monthly
    candidates = [Candidate("few_shot", 0.9, prompt, 1.0, 0), Candidate("lora", 0.9, tuned, 1.0, 1)]
    case: Any = SimpleNamespace(candidates=candidates, settings=SimpleNamespace(volume=volume, error_cost=None))
    assert _pays(case, "few_shot", "lora") == "costs about the same"
    assert break_evens(candidates, "few_shot") == []


def prompted_and_tuned(tuned_seconds: float, volume: float) -> list[Candidate]:
    """On machines that are always on; the tuned one cost 0.03 USD to train."""
    prices = Prices("m", 0.10, "stated")
    prompt = always_on(0.9, 0.0, "prompt", volume, prices)
    tuned = always_on(tuned_seconds, 1200, "finetune", volume, prices)
    return [Candidate("few_shot", 0.9, prompt, 1.0, 0), Candidate("lora", 0.9, tuned, 1.0, 1)]


@pytest.mark.parametrize(
    ("volume", "said"), [(300_000, "costs more"), (440_000, "costs about the same"), (2_000_000, "costs more")]
)
def test_of_what_costs_less_at_some_volumes_only_the_stated_one_is_told(volume: int, said: str) -> None:
    """A machine carries 292,000 queries or 438,000: at 440,000 both need two, a cent apart at most."""
    candidates = prompted_and_tuned(0.6, volume)
    case: Any = SimpleNamespace(candidates=candidates, settings=SimpleNamespace(volume=volume, error_cost=None))
    assert _pays(case, "lora", "few_shot") == said


def test_less_by_a_cent_is_not_told_as_less() -> None:
    """Below 292,000 queries one machine does for both, and the prompt is the cheaper by 0.3 cents of training."""
    volume = 300_000
    candidates = prompted_and_tuned(0.25, volume)
    case: Any = SimpleNamespace(candidates=candidates, settings=SimpleNamespace(volume=volume, error_cost=None))
    assert _pays(case, "few_shot", "lora") == "costs less above 292,000 queries a month"
    assert _pays(case, "lora", "few_shot") == "costs more"


def test_costs_that_are_compared_without_wrong_answers_say_so() -> None:
    told = Told({"few_shot": 0.9, "lora": 0.88}, {"few_shot": 1.0, "lora": 3.0}, error_cost=0.01)
    assert "and costs more, wrong answers not counted." in told.summary


def test_what_is_the_pick_between_two_volumes_only_is_told_with_both() -> None:
    """From 438,000 queries both need two machines, and the simpler is taken; from 584,000 it needs a third."""
    volume = 300_000
    candidates = prompted_and_tuned(0.6, volume)
    evidence = Evidence({}, {c.name: np.full(10, 0.9) for c in candidates}, 200)
    assumed = Assumptions(candidates, evidence, Limits(), 0.01, volume)
    case: Any = SimpleNamespace(
        weighed=SimpleNamespace(assumptions=assumed), settings=SimpleNamespace(volume=volume, hosting="always-on")
    )
    told = [told_flip(case, flip) for flip in what_would_flip(assumed) if flip.what == "volume"]
    assert told == [
        "Below 292,000 queries a month, the pick is prompt with fixed examples.",
        "Between 438,000 and 584,000 queries a month, the pick is prompt with fixed examples.",
    ]


@pytest.mark.parametrize(
    ("fit_seconds", "told"), [(10.0, []), (20.0, ["Below 3 queries a month, the pick is prompt with "])]
)
def test_what_would_be_the_pick_below_one_query_is_not_told(fit_seconds: float, told: list[str]) -> None:
    """A month's share of 10 seconds of training is made up for by 1.5 queries of 0.9 seconds instead of 0.25."""
    prompt, tuned = (
        tariff(Use(seconds, fit, family="prompt", model="m"), Terms(Prices("m", 0.1, "stated"))).at(10_000)
        for seconds, fit in ((0.9, 0.0), (0.25, fit_seconds))
    )
    candidates = [Candidate("few_shot", 0.9, prompt, 1.0, 0), Candidate("lora", 0.9, tuned, 1.0, 1)]
    assumed = Assumptions(
        candidates, Evidence({}, {c.name: np.full(10, 0.9) for c in candidates}, 200), Limits(), 0.01, 10_000
    )
    settings = SimpleNamespace(volume=10_000, hosting="scale-to-zero")
    case: Any = SimpleNamespace(
        weighed=SimpleNamespace(assumptions=assumed), decision=decide(assumed), settings=settings, results={}
    )
    said = [sentence for sentence in outlook_of(case) if "a month" in sentence]
    assert [sentence[: len(start)] for sentence, start in zip(said, told, strict=True)] == told


def test_where_it_ends_at_a_price_that_nobody_sets_no_end_is_told() -> None:
    """What answers all alike is the cheapest only where a wrong answer costs less than a millionth of a dollar."""
    costs = {"lora": 0.6, "tfidf_linear": 0.003, "majority": 0.001}
    told = " ".join(Told({"lora": 0.9, "tfidf_linear": 0.8, "majority": 0.3}, costs, error_cost=0.5).advice.sensitivity)
    assert "With a wrong answer's cost below 0.00059 USD, the pick is TF-IDF + linear classifier." in told


def test_two_values_that_are_rounded_alike_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    case: Any = SimpleNamespace(weighed=SimpleNamespace(assumptions=None))
    flip = Flip("error_cost", 4.98106685, "lora", until=5.20500627)
    monkeypatch.setattr("advisor.advice.outlook.in_few_digits", lambda *_: "5")
    told = _beyond(case, flip, 1.0, "above", "below")
    assert told == "between 4.98107 and 5.20501"
