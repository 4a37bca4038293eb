"""What is known of a strategy from all its fits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from advisor.records import Fit, Record
from eval.contracts import Evaluation, Example, Latency, Outcome, Prediction


def evaluated(ids: Sequence[str], *, right: int = 0, seconds: float = 1.0) -> Evaluation:
    """An evaluation of these rows, of which the first `right` are answered rightly."""
    outcomes = tuple(
        Outcome(Example(i, f"text {i}", ("yes",)), Prediction("yes" if n < right else "no"), float(n < right), 0.1)
        for n, i in enumerate(ids)
    )
    return Evaluation("accuracy", outcomes, seconds)


def fits_of(folds: int, repeats: int) -> list[Fit]:
    """Two rows a fold; fit r of fold f answers r of them rightly."""
    return [
        Fit("ok", fold=f, repeat=r, evaluation=evaluated([f"{f}a", f"{f}b"], right=r, seconds=2.0), seconds=f + 10 * r)
        for r in range(repeats)
        for f in range(folds)
    ]


def record(fits: Sequence[Fit], status: Any = "ok") -> Record:
    return Record("lora", "lora", "finetune", "tiny", status, fits=tuple(fits))


def test_each_repeat_is_one_evaluation_over_the_rows_of_all_folds() -> None:
    evaluations = record(fits_of(folds=3, repeats=2)).evaluations
    assert [[o.example.id for o in e.outcomes] for e in evaluations] == [["0a", "0b", "1a", "1b", "2a", "2b"]] * 2
    assert [sum(e.scores) for e in evaluations] == [0, 3]
    assert [e.seconds for e in evaluations] == [6.0, 6.0]


def test_the_order_in_which_fits_were_made_does_not_matter() -> None:
    fits = fits_of(folds=3, repeats=2)
    assert record(fits[::-1]).evaluations == record(fits).evaluations


def test_the_evaluation_is_the_first_repeats_with_the_latency_of_the_fit_that_was_timed() -> None:
    first, *rest = fits_of(folds=2, repeats=2)
    assert first.evaluation is not None
    timed = replace(first, evaluation=replace(first.evaluation, latency=Latency(0.1, 0.2, 5)))
    evaluation = record([timed, *rest]).evaluation
    assert evaluation is not None
    assert evaluation.scores == [0, 0, 0, 0]
    assert evaluation.latency == Latency(0.1, 0.2, 5)


@pytest.mark.parametrize("status", ["failed", "not_applicable"])
def test_a_strategy_that_failed_in_one_fold_has_no_evaluation_of_the_others(status: str) -> None:
    fits = [*fits_of(folds=2, repeats=1), Fit("failed", "RuntimeError", fold=2)]
    assert record(fits, status).evaluations == []
    assert record(fits, status).evaluation is None


def test_a_strategy_without_fits_costs_nothing_and_has_no_evaluation() -> None:
    nothing = record([], "stopped_early")
    assert (nothing.evaluation, nothing.fit_seconds, nothing.query_seconds) == (None, 0.0, 0.0)


def test_a_fit_costs_the_median_and_a_query_the_mean_over_all_fits() -> None:
    slow = Fit("ok", fold=2, evaluation=evaluated(["2a", "2b"], seconds=14.0), seconds=100.0)
    of_three = record([*fits_of(folds=2, repeats=1), slow])
    assert of_three.fit_seconds == 1.0  # of 0, 1 and 100
    assert of_three.query_seconds == pytest.approx((2 + 2 + 14) / 6)


def test_every_fit_of_a_strategy_has_a_slot_of_its_own() -> None:
    fits = [*fits_of(folds=3, repeats=2), *(replace(fit, part=part) for fit in fits_of(1, 1) for part in (0.25, 0.5))]
    slots = [fit.slot for fit in fits]
    assert len(set(slots)) == len(slots)
    assert slots[0] == "fold-0-fit-0"
    assert slots[-1] == "fold-0-fit-0-part-0.5"


def test_a_fit_is_plain_data() -> None:
    form: TypeAdapter[Fit] = TypeAdapter(Fit)
    fit = replace(fits_of(1, 1)[0], part=0.5, config={"best_epoch": 3}, trials=[{"C": 1.0}], curve=[{"epoch": 1.0}])
    assert form.validate_python(json.loads(form.dump_json(fit))) == fit
