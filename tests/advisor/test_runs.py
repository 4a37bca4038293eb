"""The run folder belongs to one request, one process at a time, and never holds half a file."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import runs
from advisor.fingerprint import MEASURED_BY
from advisor.records import Fit, Refit
from advisor.runs import (
    ANSWERS,
    FINISHED,
    PLAN,
    RunFolder,
    default_output,
    file_name,
    find_solution,
    folder_bytes,
    write_atomically,
)
from eval.contracts import Evaluation, Example, Latency, Outcome, Prediction, Usage
from eval.errors import RequestError
from strategies.baselines import Constant

OUTCOME = Outcome(
    Example("7", "Wann?", ("früh", "früh am Morgen"), 7), Prediction("spät", Usage(5, 1, 2), 0.5, ("d1",)), 0.25, 0.1
)
UNSCORED = Outcome(Example("8", "x", ("y",)), Prediction("", error="429"), None, 0.0, "429")
NAME, SLOT = "few_shot@org/model", "fold-2-fit-0"
FIT = Fit(
    status="ok",
    fold=2,
    evaluation=Evaluation("token_f1", (OUTCOME, OUTCOME), 0.2, {"exact_match": 0.0}, Latency(0.1, 0.2, 5, 0.05)),
    seconds=1.5,
    train_examples=60,
    config={"demonstrations": 6},
    trials=[{"demonstrations": 6, "dev_quality": 0.5}],
    curve=[{"epoch": 1.0, "train_loss": 0.3}],
    artefact_bytes=12,
    peak_memory_bytes=34,
)
REFIT = Refit(2.0, 80, 12, epochs=3, checked_on=20, quality=0.5, floor=0.4)


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_new_folder_is_created_with_its_parents_and_remembers_its_request(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path / "a" / "b", "one")
    assert run.stored_fingerprint() == "one"
    assert files(run.path) == [PLAN]


def test_the_same_request_takes_its_folder_up_again(tmp_path: Path) -> None:
    RunFolder.open(tmp_path / "run", "one").write_plan({"plan": {"test_rows": 5}})
    again = RunFolder.open(tmp_path / "run", "one")
    assert again.read_plan() == {"fingerprint": "one", "plan": {"test_rows": 5}}


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert RunFolder.open(tmp_path, "one").stored_fingerprint() == "one"


def test_another_runs_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    RunFolder.open(tmp_path / "run", "one")
    with pytest.raises(RequestError, match=r"--output: .* holds another run already: name a new or empty folder\."):
        RunFolder.open(tmp_path / "run", "two")
    assert RunFolder(tmp_path / "run").stored_fingerprint() == "one"


def test_the_refusal_says_what_differs_where_that_is_known(tmp_path: Path) -> None:
    then = {"time_budget": 60.0, "examples": "sha256:1", "seed": 0}
    RunFolder.open(tmp_path / "run", "one", then)
    said = (
        r"holds another run already, since --time-budget differs \(60 then, 90 now\) and the examples have changed: "
        r"name a new or empty folder\.$"
    )
    with pytest.raises(RequestError, match=said):
        RunFolder(tmp_path / "run").refuse_others("two", {**then, "time_budget": 90.0, "examples": "sha256:2"})
    RunFolder.open(tmp_path / "before", "one")
    for folder, parts in (("run", then), ("run", None), ("before", then)):
        with pytest.raises(RequestError, match=r"holds another run already: name a new or empty folder\.$"):
            RunFolder.open(tmp_path / folder, "two", parts)
    assert RunFolder.open(tmp_path / "run", "one", then).read_plan() == {"fingerprint": "one", "parts": then}


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(RequestError, match=r"--output: .* holds other files already"):
        RunFolder.open(tmp_path, "one")
    assert files(tmp_path) == ["thesis.docx"]


def test_what_a_killed_process_had_not_finished_to_write_is_in_nobodys_way(tmp_path: Path) -> None:
    for name in (".plan.json.123", ".lock"):
        (tmp_path / name).write_text("{")
    assert RunFolder.open(tmp_path, "one").stored_fingerprint() == "one"


def test_a_path_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RequestError, match=r"--output: the folder .* cannot be written \(.+\): name another\."):
            RunFolder.open(path, "one")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o500)
    with pytest.raises(RequestError, match="cannot be written"):
        RunFolder.open(tmp_path / "run", "one")


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_folder_that_another_process_works_in_is_refused_until_that_ends(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "one")
    command = [sys.executable, "-c", HOLD, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RequestError, match="another advisor is at work"), run.locked():
            pytest.fail("the lock was given twice")
        other.communicate("")
    with run.locked():
        assert RunFolder.open(tmp_path, "one").stored_fingerprint() == "one"


def test_the_lock_is_released_after_an_error(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "one")
    with pytest.raises(KeyboardInterrupt), run.locked():
        raise KeyboardInterrupt
    with run.locked():
        pass


def test_a_full_disk_is_one_sentence_that_says_how_to_go_on(tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path / "run", "f")
    with (
        pytest.raises(RequestError, match=r"^--output: the disk of .* is full: .* the same command goes on") as told,
        folder.locked(),
    ):
        raise OSError(errno.ENOSPC, "no room")
    assert runs.is_full(told.value)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.EDQUOT, "quota"), True),
        (shutil.Error([("a", "b", f"[Errno 28] {os.strerror(errno.ENOSPC)}")]), True),
        (RuntimeError(f"write error in a: 1 != 2 ({os.strerror(errno.ENOSPC)})"), True),
        (OSError(errno.EACCES, "rights"), False),
        (ValueError(f"a client's text: {os.strerror(errno.ENOSPC)}"), False),
        (RequestError(f"a client's text: {os.strerror(errno.ENOSPC)}"), False),
    ],
)
def test_a_full_disk_is_known_by_what_is_raised(error: Exception, full: bool) -> None:
    assert runs.is_full(error) is full


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "one")
    run.finish(NAME, SLOT, FIT)
    assert FIT.slot == SLOT
    assert RunFolder(tmp_path).finished(NAME, SLOT) == FIT


def test_each_fit_of_a_strategy_has_its_own_record(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "one")
    for fit in (FIT, replace(FIT, fold=1), replace(FIT, repeat=1), replace(FIT, part=0.25)):
        run.finish(NAME, fit.slot, fit)
    assert run.finished(NAME, "fold-2-fit-0") == FIT
    assert run.finished(NAME, "fold-2-fit-0-part-0.25") == replace(FIT, part=0.25)


def test_a_strategy_that_did_not_finish_has_no_record(tmp_path: Path) -> None:
    assert RunFolder.open(tmp_path, "one").finished("lora", SLOT) is None


@pytest.mark.parametrize("status", ["failed", "stopped_early"])
def test_what_did_not_end_well_is_tried_again(status: Any, tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "one")
    run.finish(NAME, SLOT, replace(FIT, status=status))
    assert run.finished(NAME, SLOT) is None


def test_rows_that_the_infrastructure_left_unscored_are_asked_again(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "one")
    fit = replace(FIT, evaluation=Evaluation("token_f1", (OUTCOME, UNSCORED), 0.2))
    run.finish(NAME, SLOT, fit)
    assert run.finished(NAME, SLOT) is None
    assert run.fits(NAME) == [fit], "what there is can be reported"


def test_a_refit_counts_as_done_only_while_its_solution_is_there(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "one")
    run.finish_refit(NAME, REFIT)
    assert run.refitted(NAME) is None
    run.solution(NAME).mkdir(parents=True)
    assert run.refitted(NAME) == REFIT


def test_a_kept_solution_is_put_back_whole_whenever_the_process_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.open(tmp_path, "one")
    run.finish_refit(NAME, REFIT)
    run.solution(NAME).mkdir(parents=True)
    for name in "ab":
        (run.solution(NAME) / name).write_text(name)
    run.keep(NAME, everything=False)

    def killed(source: Path, target: Path) -> None:
        Path(target).mkdir()
        (Path(target) / "a").write_text("a")
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr(shutil, "copytree", killed)
        with pytest.raises(KeyboardInterrupt):
            run.refitted(NAME)
    assert run.refitted(NAME) == REFIT
    assert files(run.solution(NAME)) == ["a", "b"]


STEPS = ((os, "unlink"), (os, "rename"), (os, "replace"), (shutil, "copyfile"))
"""By which folders and files are moved, copied and removed."""


def killed_before_step(number: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> bool:
    """Do the work until its n-th step on the disk, of which nothing happens then or after; whether it got so far."""
    left = number

    def counted(step: Callable[..., object]) -> Callable[..., object]:
        def stepping(*args: Any, **options: Any) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return step(*args, **options)

        return stepping

    with monkeypatch.context() as during:
        for where, name in STEPS:
            during.setattr(where, name, counted(getattr(where, name)))
        try:
            work()
        except KeyboardInterrupt:
            return True
    return False


@pytest.mark.parametrize("before", [None, "a"])
def test_a_run_killed_while_it_tidies_up_keeps_its_solutions_whole(
    before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_killed, number = True, 0
    while was_killed:
        run = RunFolder.open(tmp_path / str(number), "one")
        for name in ("a", "b", "c"):
            for folder in (run.solution(name), run.fold_solution(name, SLOT)):
                folder.mkdir(parents=True)
                for part in ("1", "2"):
                    (folder / part).write_text(name + part)
            run.finish_refit(name, REFIT)
        if before:
            run.keep(before, everything=False)
            for part in ("1", "2"):
                write_atomically(run.solution("b") / part, "b" + part)
        was_killed = killed_before_step(number, monkeypatch, partial(run.keep, "b", everything=False))
        again = RunFolder.open(run.path, "one")
        for folder in [*(again.path / "solutions").glob("[!.]*"), *(again.path / "fold_solutions").glob("[!.]*/*")]:
            assert files(folder) == ["1", "2"], number
        assert again.refitted("b") == REFIT, number
        assert again.keep("b", everything=False) == again.path / "solution"
        kept = {"solution": "b"} | ({"solutions/a": "a"} if before else {})
        assert {place: (again.path / place / "2").read_text() for place in kept} == {
            place: name + "2" for place, name in kept.items()
        }, number
        assert all(files(again.path / place) == ["1", "2"] for place in kept), number
        assert not (again.path / "fold_solutions").exists()
        assert (again.path / "solutions").exists() == (before is not None)
        number += 1
    assert number > 10


@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b'{"name": "few_shot"}', b"\xff\xfe"])
def test_a_damaged_record_is_made_anew_and_said_in_the_log(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunFolder.open(tmp_path, "one")
    run.finish(NAME, SLOT, FIT)
    (path,) = (tmp_path / FINISHED).rglob("*.json")
    path.write_bytes(damage)
    with caplog.at_level(logging.WARNING, logger="advisor"):
        assert run.finished(NAME, SLOT) is None
    assert "damaged" in caplog.text
    run.finish(NAME, SLOT, FIT)
    assert run.finished(NAME, SLOT) == FIT


@pytest.mark.parametrize("damage", ["", "{", "[]", "\x00"])
def test_a_damaged_plan_is_no_plan(damage: str, tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "one")
    (tmp_path / PLAN).write_text(damage)
    assert run.read_plan() == {}
    with pytest.raises(RequestError, match="holds another run already"):
        RunFolder.open(tmp_path, "one")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "file.json"
    write_atomically(path, "old ü")
    assert path.read_text(encoding="utf-8") == "old ü"

    def full_disk(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:1])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_disk)
        with pytest.raises(OSError, match="No space"):
            write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old ü"
    write_atomically(path, "new")
    assert files(path.parent) == ["file.json"]


def test_names_with_slashes_are_safe_and_tell_models_apart() -> None:
    names = ["lora@org/model", "lora@org_model", "lora@org model", "lora@../../etc", "lora@/tmp/model", "lora"]
    made = [file_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert all("/" not in name and " " not in name for name in made)
    assert made[-1] == "lora"


@given(st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=6, unique=True))
def test_file_names_are_single_components_and_unique(names: list[str]) -> None:
    made = ["x@" + name for name in names]
    assert len({file_name(name) for name in made}) == len(names)
    assert all(len(Path(file_name(name)).parts) == 1 and "\0" not in file_name(name) for name in made)


def _with_solutions(tmp_path: Path, **answers: str) -> RunFolder:
    run = RunFolder.open(tmp_path, "one")
    for name, answer in answers.items():
        Constant(answer).save(run.solution(name))
    return run


def test_the_winner_alone_is_kept(tmp_path: Path) -> None:
    run = _with_solutions(tmp_path, a="A", b="B")
    kept = run.keep("b", everything=False)
    assert kept == tmp_path / "solution"
    assert '"B"' in (kept / "solution.json").read_text()
    assert not (tmp_path / "solutions").exists()


def test_all_are_kept_where_that_is_asked(tmp_path: Path) -> None:
    run = _with_solutions(tmp_path, a="A", b="B")
    run.keep("b", everything=True)
    assert files(tmp_path / "solutions") == ["a", "b"]
    assert '"B"' in (tmp_path / "solution" / "solution.json").read_text()


def test_without_a_pick_no_solution_is_left_from_before(tmp_path: Path) -> None:
    run = _with_solutions(tmp_path, a="A")
    run.keep("a", everything=True)
    assert run.keep(None, everything=True) is None
    assert not (tmp_path / "solution").exists()
    assert files(tmp_path / "solutions") == ["a"]


def test_a_pick_without_a_solution_puts_that_of_the_pick_before_aside(tmp_path: Path) -> None:
    run = _with_solutions(tmp_path, a="A")
    run.keep("a", everything=False)
    assert run.keep("b", everything=False) is None
    assert not (tmp_path / "solution").exists()
    assert files(tmp_path / "solutions") == ["a"]
    kept = run.keep("a", everything=False)
    assert kept is not None
    assert '"A"' in (kept / "solution.json").read_text()


def test_the_solution_of_the_pick_before_is_put_aside_for_good(tmp_path: Path) -> None:
    run = _with_solutions(tmp_path, a="A")
    run.keep("a", everything=False)
    Constant("B").save(run.solution("b"))
    Constant("C").save(run.solution("c"))
    assert run.keep("b", everything=False) == tmp_path / "solution"
    assert '"B"' in (tmp_path / "solution" / "solution.json").read_text()
    assert files(tmp_path / "solutions") == ["a"]
    run.keep("a", everything=False)
    assert '"A"' in (tmp_path / "solution" / "solution.json").read_text()
    assert files(tmp_path / "solutions") == ["b"]


def test_a_run_that_another_version_began_is_known(tmp_path: Path) -> None:
    assert not RunFolder(tmp_path / "none").began_otherwise()
    assert not RunFolder.open(tmp_path / "own", "one", {"measured_by": MEASURED_BY}).began_otherwise()
    for parts in (None, {"seed": 0}, {"measured_by": MEASURED_BY - 1}):
        folder = tmp_path / f"old {parts}"
        assert RunFolder.open(folder, "one", parts).began_otherwise()
    with pytest.raises(RequestError, match="since an earlier version of Advisor began it"):
        RunFolder.open(folder, "other", {"measured_by": MEASURED_BY})


def test_begun_anew_a_run_has_what_was_paid_for_and_nothing_else(tmp_path: Path) -> None:
    run = _with_solutions(tmp_path, a="A")
    run.keep("a", everything=True)
    run.finish(NAME, SLOT, FIT)
    write_atomically(run.path / ANSWERS / "model.jsonl", '{"usd": 1.0}\n')
    run.begin_anew()
    assert files(run.path) == [ANSWERS]
    again = RunFolder.open(tmp_path, "of this version")
    assert files(again.path / ANSWERS) == ["model.jsonl"]
    assert again.finished(NAME, SLOT) is None


def test_of_a_strategy_with_one_seed_it_is_known_why(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "one")
    run.keep_one_seed("lora", "there was no time")
    run.keep_one_seed("lora_rag", "another failed")
    again = RunFolder.open(tmp_path, "one")
    assert [again.with_one_seed(name) for name in ("lora", "lora_rag", "rag")] == [
        "there was no time",
        "another failed",
        None,
    ]


def test_keeping_twice_keeps_the_same(tmp_path: Path) -> None:
    run = _with_solutions(tmp_path, a="A")
    assert run.keep("a", everything=False) == run.keep("a", everything=False)


def test_scratch_folders_are_fresh_and_removed(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "one")
    (run.work("lora@org/model") / "half").touch()
    assert files(run.work("lora@org/model")) == []
    run.clear_work()
    assert files(tmp_path) == [PLAN]


def test_a_kept_solution_is_found_in_a_run_and_by_itself(tmp_path: Path) -> None:
    run = _with_solutions(tmp_path, a="A")
    run.keep("a", everything=True)
    assert find_solution(tmp_path) == tmp_path / "solution"
    assert find_solution(tmp_path / "solutions" / "a") == tmp_path / "solutions" / "a"
    with pytest.raises(RequestError, match="holds neither"):
        find_solution(tmp_path / "solutions")


def test_the_size_of_a_folder_is_that_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"45")
    assert folder_bytes(tmp_path) == 5


def test_the_log_is_written_to_the_folder(tmp_path: Path) -> None:
    handler = RunFolder.open(tmp_path, "one").log_to_file()
    try:
        runs.log.info("something happened")
    finally:
        runs.log.removeHandler(handler)
        handler.close()
    assert "something happened" in (tmp_path / "run.log").read_text()


def test_a_default_output_never_names_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_output() == Path("advisor-run")
    Path("advisor-run").mkdir()
    Path("advisor-run-2").touch()
    assert default_output() == Path("advisor-run-3")
