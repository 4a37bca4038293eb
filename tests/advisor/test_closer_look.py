"""Who is looked at more closely."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from advisor import closer_look
from advisor.closer_look import Leaders, asked_again, leaders, look_closer
from advisor.planning import FEW_ASKED_AGAIN
from advisor.records import CloserLook, Fit, Record
from advisor.report.schema import Status
from advisor.trials import Bench
from eval.contracts import Evaluation, Example, Load, Outcome, Prediction
from strategies.side_effects import MOST_INPUTS


def tuned(name: str, status: Status, right: int, rows: int) -> Record:
    outcomes = tuple(
        Outcome(Example(str(i), "text", ("a",)), Prediction("a"), float(i < right), 0.1) for i in range(rows)
    )
    fit = Fit(status, evaluation=Evaluation("accuracy", outcomes, 1.0))
    return Record(name, name, "finetune", "scripted", status, fits=(fit,))


def test_what_stopped_early_is_no_leader_however_good_on_the_rows_it_got_to(bench_for: Callable[..., Bench]) -> None:
    records = [tuned("lora", "ok", 8, 10), tuned("lora_rag", "stopped_early", 3, 3)]
    assert leaders(bench_for(), records, "majority") == Leaders("majority", "lora")
    assert leaders(bench_for(), records[1:], None) == Leaders(None, None)


def test_an_embedder_that_was_tuned_has_no_language_to_forget(bench_for: Callable[..., Bench]) -> None:
    records = [tuned("lora", "ok", 5, 10), replace(tuned("setfit", "ok", 9, 10), model=None)]
    assert leaders(bench_for(), records, "setfit") == Leaders("setfit", "lora")


def test_few_questions_are_asked_again_where_the_clock_has_overtaken_the_plan(bench_for: Callable[..., Bench]) -> None:
    early, late = (bench_for(closer_look_seconds=60.0, deadline=time.monotonic() + left) for left in (3600, 30))
    assert asked_again(early) == early.plan.asked_again == MOST_INPUTS
    assert asked_again(late) == FEW_ASKED_AGAIN


def test_what_an_earlier_attempt_found_out_is_not_measured_again(bench_for: Callable[..., Bench]) -> None:
    bench, record = bench_for(), tuned("lora", "ok", 8, 10)
    known = CloserLook(load=(Load(1, 0.1, 0.2, 10.0, 5),))
    bench.folder.finish_look("lora", known)
    assert look_closer(bench, [record], Leaders("lora", None)) == {"lora": known}
    assert bench.folder.looked_at("lora") == known


def test_a_full_disk_ends_the_closer_look_so_that_the_run_can_go_on_from_there(
    bench_for: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, record = bench_for(), tuned("lora", "ok", 8, 10)
    bench.folder.fold_solution("lora", record.fits[0].slot).mkdir(parents=True)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(closer_look, "load_solution", full)
    with pytest.raises(OSError, match="no room"):
        look_closer(bench, [record], Leaders("lora", None))
    assert bench.folder.looked_at("lora") is None
