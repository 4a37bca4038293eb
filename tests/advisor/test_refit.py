"""What is kept: the winning procedure on all examples, unless something speaks against it."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from advisor.comparison import compare
from advisor.records import Record
from advisor.refit import keep_solution, origin_of
from advisor.trials import Bench, Entry, try_all
from eval.contracts import Prediction
from strategies.baselines import CopyNearest, Majority
from strategies.manifest import fingerprints, note_origin, read_origin, write_manifest
from strategies.models.fake import ScriptedModel
from strategies.models.shelf import ModelShelf
from strategies.prompting import FewShot
from strategies.solutions import load_solution
from strategies.tuning import choose

MakeBench = Callable[..., Bench]
MakeShelf = Callable[[ScriptedModel], ModelShelf]
LORA = Entry("lora", "lora", "scripted")
FOLDS = 3


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@dataclass(frozen=True)
class Named:
    """Answers what it knows; what is kept of it answers its name."""

    name: str
    known: Mapping[str, str]

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        return [Prediction(self.known.get(text, "")) for text in inputs]

    def save(self, folder: Path) -> None:
        write_manifest(folder, "constant", {"answer": self.name})


def measured(bench: Bench, entry: Entry = LORA) -> Record:
    (record,) = try_all(bench, [entry])
    assert record.status == "ok", record.reason
    return record


def kept(bench: Bench, name: str = "lora") -> Any:
    """What the kept solution answers, whatever it is asked: the fake says which fit it is."""
    (answer,) = load_solution(bench.folder.solution(name), bench.shelf).predict(["?"])
    return answer.text


def is_refit(fit: Any) -> bool:
    return fit.number >= FOLDS


def holding_out(rows: int) -> Callable[[Any, Any], None]:
    """A refit that sets its first rows aside."""

    def during(fit: Any, workshop: Any) -> None:
        workshop.log.held_out = fit.train[:rows] if is_refit(fit) else ()

    return during


# ---- the fit on all examples -----------------------------------------------------------------------------------------


def test_what_is_kept_learns_from_all_rows_for_the_median_of_the_folds_best_epochs(
    bench_for: MakeBench, tuned: Any
) -> None:
    tuned.epochs = lambda fit: (5, 2, 3)[fit.number]
    bench = bench_for(folds=FOLDS)
    refit = keep_solution(bench, LORA, measured(bench))
    assert refit is not None
    assert [fit.allowance.fixed_epochs for fit in tuned.fits] == [None, None, None, 3]
    assert sorted(tuned.fits[-1].train) == sorted(e.id for e in bench.data.examples)
    assert (refit.epochs, refit.train_examples, refit.rejected) == (3, 80, None)
    assert kept(bench) == "fit 3"


def test_a_strategy_without_epochs_is_fitted_as_it_was(bench_for: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = CopyNearest.fit

    def spy(self: Any, task: Any, train: Any, workshop: Any) -> Any:
        seen.append(workshop.allowance.fixed_epochs)
        return original(self, task, train, workshop)

    monkeypatch.setattr(CopyNearest, "fit", spy)
    bench = bench_for(folds=FOLDS)
    entry = Entry("nearest_copy", "nearest_copy", "scripted")
    refit = keep_solution(bench, entry, measured(bench, entry))
    assert refit is not None
    assert refit.epochs is None
    assert seen == [None] * 4


def test_what_is_kept_has_the_configuration_that_most_measured_fits_chose(
    bench_for: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more race, on all examples, may choose what was hardly measured."""
    best = iter("abb")

    def fit(self: Any, task: Any, train: Any, workshop: Any) -> Any:
        right, known = next(best, "a"), {e.input: e.target for e in train}

        def make(configuration: Any, rows: Any) -> Any:
            return Named(configuration["variant"], known if configuration["variant"] == right else {})

        return choose(task, train, workshop, [{"variant": "a"}, {"variant": "b"}], make)

    monkeypatch.setattr(CopyNearest, "fit", fit)
    bench = bench_for(folds=FOLDS)
    entry = Entry("nearest_copy", "nearest_copy", "scripted")
    record = measured(bench, entry)
    assert [fit.config["variant"] for fit in record.fits] == ["a", "b", "b"]
    keep_solution(bench, entry, record)
    assert kept(bench, "nearest_copy") == "b"


def test_without_a_refit_in_the_plan_the_measured_solution_is_kept(bench_for: MakeBench, tuned: Any) -> None:
    bench = bench_for(folds=1, longest_refit=0.0)
    assert keep_solution(bench, LORA, measured(bench)) is None
    assert len(tuned.fits) == 1
    assert kept(bench) == "fit 0"


@pytest.mark.parametrize(("seconds", "again"), [(0.7, True), (90.0, False)])
def test_what_the_plan_has_room_for_is_fitted_again_though_another_is_not(
    seconds: float, again: bool, bench_for: MakeBench, tuned: Any
) -> None:
    bench = bench_for(folds=1, refits={"lora": seconds, "full": 500.0}, longest_refit=12.0)
    assert (keep_solution(bench, LORA, measured(bench)) is not None) is again
    assert kept(bench) == f"fit {int(again)}"


def test_what_was_kept_already_is_not_fitted_again(bench_for: MakeBench, tuned: Any) -> None:
    bench = bench_for(folds=FOLDS)
    record = measured(bench)
    first = keep_solution(bench, LORA, record)
    assert keep_solution(bench, LORA, record) == first
    assert len(tuned.fits) == FOLDS + 1


# ---- what speaks against it ------------------------------------------------------------------------------------------

MIDDLING = 2
"""The fold whose fit is neither the best nor the worst in `of_three_qualities`."""


def of_three_qualities(fit: Any, row: int) -> bool:
    """The folds' fits are always, half the time and three quarters of the time right, and the refit is never."""
    return row % 4 < (4, 2, 3, 0)[fit.number]


def test_a_refit_below_the_measured_fits_is_put_aside_for_the_middling_of_them(
    bench_for: MakeBench, tuned: Any
) -> None:
    tuned.right, tuned.during = of_three_qualities, holding_out(20)
    bench = bench_for(folds=FOLDS)
    refit = keep_solution(bench, LORA, measured(bench))
    assert refit is not None
    assert refit.rejected == "on 20 rows that it did not learn from it fell below the measured fits"
    assert (refit.checked_on, refit.quality) == (20, 0.0)
    assert refit.floor is not None
    assert 0.3 < refit.floor < 0.75
    assert kept(bench) == f"fit {MIDDLING}"
    measured_one = bench.folder.fold_solution("lora", f"fold-{MIDDLING}-fit-0")
    note_origin(measured_one, origin_of(bench, bench.folds[MIDDLING].train))
    assert contents(bench.folder.solution("lora")) == contents(measured_one)


def test_a_refit_within_the_range_of_the_measured_fits_is_kept(bench_for: MakeBench, tuned: Any) -> None:
    """Three quarters where the measured were right on all of 20 rows is below their range; 19 of 20 is within it."""
    tuned.during = holding_out(20)
    bench = bench_for(folds=FOLDS)
    record = measured(bench)
    rows = list(tuned.known).index(bench.data.examples[0].input)
    tuned.right = lambda fit, row: row != rows
    refit = keep_solution(bench, LORA, record)
    assert refit is not None
    assert (refit.quality, refit.rejected) == (0.95, None)
    assert refit.floor is not None
    assert refit.floor < 0.95
    assert kept(bench) == "fit 3"
    assert read_origin(bench.folder.solution("lora")).learnt_from == fingerprints(e.input for e in bench.data.examples)


def test_what_further_rows_are_read_by_is_noted(bench_for: MakeBench) -> None:
    bench = bench_for()
    assert origin_of(bench, []).group_by == ""
    asked = bench.request.model_copy(update={"group_by": "customer", "redact": True})
    origin = origin_of(replace(bench, request=asked), [])
    assert (origin.input_columns, origin.group_by, origin.redacted) == (bench.data.inputs, "customer", True)


def test_a_refit_that_there_is_no_time_to_check_is_kept(
    bench_for: MakeBench, tuned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had been planned; that it is worse is not to be expected."""
    monkeypatch.setattr("advisor.refit.GUARD_SECONDS", 0.0)
    bench = bench_for(folds=FOLDS)
    record = measured(bench)

    def during(fit: Any, workshop: Any) -> None:
        holding_out(20)(fit, workshop)
        bench.deadline = time.monotonic()

    tuned.during = during
    refit = keep_solution(bench, LORA, record)
    assert refit is not None
    assert (refit.checked_on, refit.quality, refit.rejected) == (0, None, None)


def test_a_refit_that_learnt_from_all_rows_has_none_to_be_checked_on(bench_for: MakeBench, tuned: Any) -> None:
    tuned.right = of_three_qualities  # never right, but nobody could know
    bench = bench_for(folds=FOLDS)
    refit = keep_solution(bench, LORA, measured(bench))
    assert refit is not None
    assert (refit.checked_on, refit.quality, refit.floor, refit.rejected) == (0, None, None, None)


@pytest.mark.parametrize(("right_of_ten", "rejected"), [(9, False), (5, False), (0, True)])
def test_after_one_holdout_the_ranges_must_lie_apart(
    right_of_ten: int, rejected: bool, bench_for: MakeBench, tuned: Any
) -> None:
    """The measured fit was never asked for the rows that the refit held out: a lower figure there proves little."""
    tuned.right = lambda fit, row: row % 10 < (9 if fit.number == 0 else right_of_ten)
    bench = bench_for(folds=1)
    record = measured(bench)
    asked = {e.id for e in bench.folds[0].test}

    def during(fit: Any, workshop: Any) -> None:
        workshop.log.held_out = [i for i in fit.train if i not in asked][:20]

    tuned.during = during
    refit = keep_solution(bench, LORA, record)
    assert refit is not None
    assert refit.checked_on == 20
    assert bool(refit.rejected) is rejected
    assert kept(bench) == ("fit 0" if rejected else "fit 1")


def test_a_refit_that_crashes_leaves_a_measured_fit(bench_for: MakeBench, tuned: Any) -> None:
    def during(fit: Any, workshop: Any) -> None:
        if is_refit(fit):
            raise RuntimeError("the loss is not a number")

    tuned.during = during
    bench = bench_for(folds=FOLDS)
    refit = keep_solution(bench, LORA, measured(bench))
    assert refit is not None
    assert refit.rejected == "it failed (RuntimeError)"
    assert kept(bench) == "fit 1"


def test_a_refit_that_finds_the_disk_full_is_made_when_there_is_room(bench_for: MakeBench, tuned: Any) -> None:
    def during(fit: Any, workshop: Any) -> None:
        if is_refit(fit):
            raise OSError(errno.ENOSPC, "no room")

    tuned.during = during
    bench = bench_for(folds=FOLDS)
    record = measured(bench)
    with pytest.raises(OSError, match="no room"):
        keep_solution(bench, LORA, record)
    tuned.during = holding_out(0)
    refit = keep_solution(bench, LORA, record)
    assert refit is not None
    assert refit.rejected is None
    assert is_refit(tuned.fits[-1])


def test_a_refit_that_the_clock_cuts_short_leaves_a_measured_fit(bench_for: MakeBench, tuned: Any) -> None:
    def during(fit: Any, workshop: Any) -> None:
        workshop.log.guard_fired = is_refit(fit)

    tuned.during = during
    bench = bench_for(folds=FOLDS)
    refit = keep_solution(bench, LORA, measured(bench))
    assert refit is not None
    assert refit.rejected == "the time budget was used up"
    assert kept(bench) == "fit 1"


def test_a_refit_is_not_begun_without_the_time_that_a_fit_took(bench_for: MakeBench, tuned: Any) -> None:
    bench = bench_for(folds=FOLDS)
    record = measured(bench)
    slow = replace(record, fits=tuple(replace(fit, seconds=100.0) for fit in record.fits))
    bench.deadline = time.monotonic() + 90
    refit = keep_solution(bench, LORA, slow)
    assert refit is not None
    assert refit.rejected == "the time budget was used up"
    assert len(tuned.fits) == FOLDS
    assert kept(bench) == "fit 1"


def test_a_refit_must_end_in_time_for_the_report(bench_for: MakeBench, tuned: Any) -> None:
    bench = bench_for(folds=FOLDS, deadline=time.monotonic() + 1000)
    keep_solution(bench, LORA, measured(bench))
    assert tuned.fits[-1].allowance.deadline < bench.deadline


def test_a_rejected_refit_is_never_kept_even_where_the_measured_fits_are_gone(bench_for: MakeBench, tuned: Any) -> None:
    """As after an earlier end of the same run, which removed what it did not keep."""
    tuned.right, tuned.during = of_three_qualities, holding_out(20)
    bench = bench_for(folds=FOLDS)
    record = measured(bench)
    bench.folder.keep("majority", everything=False)
    refit = keep_solution(bench, LORA, record)
    assert refit is not None
    assert refit.rejected
    assert not bench.folder.solution("lora").exists()


# ---- in a whole comparison -------------------------------------------------------------------------------------------


@pytest.fixture
def options(task_file: Path, tickets: Path, fakes: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    return {"task": str(task_file), "examples": tickets, "output": tmp_path / "run", **fakes}


def test_all_that_was_measured_is_kept_where_that_is_asked_for(
    options: dict[str, Any], tuned: Any, clerk: ScriptedModel, shelf_with: MakeShelf
) -> None:
    report = compare(**options, strategies=["majority", "lora"], keep="all", shelf=shelf_with(clerk))
    run = options["output"]
    folds, repeats = report.data.plan.folds, report.data.plan.repeats
    assert (folds, repeats) == (5, 3)
    assert {p.name for p in (run / "solutions").iterdir()} == {"majority", "lora"}
    each = {f"fold-{fold}-fit-{repeat}" for fold in range(folds) for repeat in range(repeats)}
    assert {p.name for p in (run / "fold_solutions" / "lora").iterdir()} == each
    assert {p.name for p in (run / "fold_solutions" / "majority").iterdir()} == {
        f"fold-{f}-fit-0" for f in range(folds)
    }
    for folder in (run / "fold_solutions").glob("*/*"):
        assert len(load_solution(folder, shelf_with(clerk)).predict(["?"])) == 1
    assert contents(run / "solution") == contents(run / "solutions" / str(report.recommendation.strategy))


def test_of_the_winner_alone_the_solution_is_kept(
    options: dict[str, Any], tuned: Any, clerk: ScriptedModel, shelf_with: MakeShelf
) -> None:
    report = compare(**options, strategies=["majority", "lora"], shelf=shelf_with(clerk))
    run = options["output"]
    assert report.recommendation.strategy == "lora"
    assert (run / "solution").is_dir()
    assert not (run / "solutions").exists()
    assert not (run / "fold_solutions").exists()
    (answer,) = load_solution(run / "solution", shelf_with(clerk)).predict(["?"])
    assert answer.text == f"fit {len(tuned.fits) - 1}"  # the last fit of all, on all examples


def test_a_rejected_refit_is_told_in_the_report(
    options: dict[str, Any], tuned: Any, clerk: ScriptedModel, shelf_with: MakeShelf
) -> None:
    def during(fit: Any, workshop: Any) -> None:
        if workshop.allowance.fixed_epochs:
            raise RuntimeError("the loss is not a number")

    tuned.during = during
    report = compare(**options, strategies=["majority", "lora"], shelf=shelf_with(clerk))
    fit = report.result("lora").fit
    assert fit is not None
    assert fit.refit is not None
    assert fit.refit.rejected == "it failed (RuntimeError)"
    said = "put aside, since it failed (RuntimeError); a measured fit is kept instead"
    assert [caveat for caveat in report.recommendation.caveats if said in caveat]
    assert not [caveat for caveat in report.recommendation.caveats if "one more fit" in caveat]
    for name in ("report.md", "report.html"):
        assert "a measured fit is kept instead" in (options["output"] / name).read_text(encoding="utf-8")
    assert report.artefact is not None


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of `majority` and `few_shot`, each time one is fitted."""
    names: list[str] = []

    def counted(original: Any) -> Any:
        def fit(self: Any, task: Any, train: Sequence[Any], workshop: Any) -> Any:
            names.append(self.name)
            return original(self, task, train, workshop)

        return fit

    for kind in (Majority, FewShot):
        monkeypatch.setattr(kind, "fit", counted(kind.fit))
    return names


def test_with_other_limits_the_new_pick_alone_is_fitted_again(
    options: dict[str, Any], clerk: ScriptedModel, shelf_with: MakeShelf, fitted: list[str]
) -> None:
    """With a tolerance of all points everything counts as equal, and the constant answer is the cheapest."""
    run = options["output"]
    again = {**options, "strategies": ["majority", "few_shot"]}
    assert compare(**again, shelf=shelf_with(clerk)).recommendation.strategy == "few_shot"
    first = contents(run / "solution")
    fitted.clear()
    assert compare(**again, tolerance=100, shelf=shelf_with(clerk)).recommendation.strategy == "majority"
    assert fitted == ["majority"]
    assert contents(run / "solution") != first
    fitted.clear()
    third = compare(**again, tolerance=100, shelf=shelf_with(clerk))
    assert fitted == []
    refit = third.result("majority").fit
    assert refit is not None
    assert refit.refit is not None
    assert compare(**again, shelf=shelf_with(clerk)).recommendation.strategy == "few_shot"
    assert fitted == [], "it was put aside"
    assert contents(run / "solution") == first
