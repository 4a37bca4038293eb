"""A report is written whatever happened to some rows or fits, and does not contradict itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor.comparison import compare
from advisor.decide import Assumptions, Decision, Evidence, Limits
from advisor.evidence import Weighed
from advisor.report import wording
from advisor.report.schema import Report
from advisor.reporting import power_of
from eval.contracts import Prediction, Solution
from strategies.models.fake import ScriptedModel
from strategies.models.shelf import ModelShelf

MakeShelf = Callable[[ScriptedModel], ModelShelf]


@pytest.fixture
def options(task_file: Path, tickets: Path, fakes: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    return {
        "task": str(task_file),
        "examples": tickets,
        "output": tmp_path / "run",
        "strategies": ["majority", "lora"],
        **fakes,
    }


@pytest.fixture
def compared(options: dict[str, Any], clerk: ScriptedModel, shelf_with: MakeShelf) -> Callable[[], Report]:
    """Carries the comparison out."""
    return lambda: compare(**options, shelf=shelf_with(clerk))


class Flaky:
    """A solution that fails for good on some rows; below it the infrastructure does, unless it says otherwise."""

    def __init__(self, solution: Solution, fails: Callable[[int], bool], error: str) -> None:
        self.solution, self.fails, self.error = solution, fails, error
        self.bad: set[str] = set()

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        if len(inputs) > 1 and not self.bad:
            self.bad.update(text for number, text in enumerate(inputs) if self.fails(number))
        answers = zip(inputs, self.solution.predict(inputs), strict=True)
        return [replace(p, error=self.error) if text in self.bad else p for text, p in answers]

    def save(self, folder: Path) -> None:
        self.solution.save(folder)


def break_some_rows(
    tuned: Any,
    fails: Callable[[Any, int], bool],
    monkeypatch: pytest.MonkeyPatch,
    error: str = "infrastructure: 429",
) -> None:
    """Some rows of some fits stay unscored: `fails` is asked for the fit and the number of the row."""
    monkeypatch.setattr("eval.harness.time.sleep", lambda seconds: None)
    original = type(tuned).fit

    def fit(self: Any, *arguments: Any) -> Flaky:
        solution = original(self, *arguments)
        made = self.fits[-1]
        return Flaky(solution, lambda number: fails(made, number), error)

    monkeypatch.setattr(type(tuned), "fit", fit)


def test_rows_that_one_seed_could_not_score_do_not_break_the_report(
    compared: Callable[[], Report], tuned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    second_seed_second_fold = 6
    break_some_rows(tuned, lambda fit, row: fit.number == second_seed_second_fold and row == 0, monkeypatch)
    quality = compared().result("lora").quality
    assert quality is not None
    assert (quality.n, quality.unscored) == (79, 1)


def test_unusable_answers_are_counted_on_average_over_the_fits(
    compared: Callable[[], Report], tuned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four rows of one of three seeds, which is not the first: 1.3 a fit."""
    second_seed_second_fold = 6
    break_some_rows(
        tuned, lambda fit, row: fit.number == second_seed_second_fold and row < 4, monkeypatch, "context_overflow"
    )
    quality = compared().result("lora").quality
    assert quality is not None
    assert (quality.unusable, quality.unscored) == (2, 0)


def test_a_learning_curve_with_other_rows_unscored_does_not_break_the_report(
    compared: Callable[[], Report], tuned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row of the whole fit and another of a part could not be scored: as many, but not the same."""
    break_some_rows(
        tuned, lambda fit, row: (fit.number == 0 and row == 0) or (len(fit.train) == 32 and row == 1), monkeypatch
    )
    assert compared().recommendation.strategy == "lora"


def test_the_range_of_what_more_rows_brought_knows_how_much_fits_differ(
    compared: Callable[[], Report], tuned: Any
) -> None:
    """All fits are right on all rows, but for those with the second seed: on half of them."""
    second_seed = range(5, 10)
    tuned.right = lambda fit, row: fit.number not in second_seed or row % 2 == 0
    fit = compared().result("lora").fit
    assert fit is not None
    assert fit.learning_curve is not None
    for part in fit.learning_curve[:-1]:
        assert part.gain_to_all == 0
        assert part.gain_ci95 is not None
        assert part.gain_ci95[0] < -0.5, "without regard to seeds 16 such rows have -0.15"


def test_what_few_seeds_or_groups_leave_open_is_no_difference_that_the_rows_can_show() -> None:
    """The range reaches 0.098 to one side, as that of a normal difference with an error of 5 points."""
    pair = "a", "b"
    known = Evidence({pair: 0.03, pair[::-1]: 0.03}, {}, 200)
    wide = replace(known, margins={pair: 0.05, pair[::-1]: 0.098})
    decision = Decision("tie", "a", "a", "b")
    told = [
        power_of(Weighed({}, (), Assumptions((), evidence, Limits(), 0.01, 1000.0), decision))
        for evidence in (known, wide)
    ]
    assert told == [pytest.approx(2.8016 * 0.03, rel=1e-3), pytest.approx(2.8016 * 0.05, rel=1e-3)]
    assert power_of(Weighed({}, (), Assumptions((), wide, Limits(), 0.01, 1000.0), None)) is None


def test_what_is_kept_is_not_said_to_be_fitted_on_all_examples_where_the_refit_was_rejected(
    compared: Callable[[], Report], tuned: Any
) -> None:
    def fail_on_all(fit: Any, workshop: Any) -> None:
        if workshop.allowance.fixed_epochs:
            raise RuntimeError("no")

    tuned.during = fail_on_all
    report = compared()
    fit = report.result("lora").fit
    assert fit is not None
    assert fit.refit is not None
    assert fit.refit.rejected
    assert "What is kept was then fitted" not in wording.how_split(report.data.plan)
