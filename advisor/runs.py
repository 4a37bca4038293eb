"""The run folder: what a comparison keeps, so that it can be read, resumed and checked."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from advisor.fingerprint import MEASURED_BY, what_differs
from advisor.records import CloserLook, Fit, Refit
from eval.errors import FolderBusy, RequestError
from eval.reading.text import conjoined

PLAN = "plan.json"
FINISHED = "finished"
ONE_SEED, ASIDE = "one_seed", "put_aside"
REFIT = "refit"
CLOSER_LOOK = "closer-look"
SOLUTIONS = "solutions"
FOLD_SOLUTIONS = "fold_solutions"
SOLUTION = "solution"
REPORT = "report.json"
ANSWERS = "hosted-answers"
"""A folder: what hosted models answered, so that nothing is paid for twice, and what that has cost."""
FULL = (errno.ENOSPC, errno.EDQUOT)

log = logging.getLogger("advisor")

Kept = TypeVar("Kept")


_FIT: TypeAdapter[Fit] = TypeAdapter(Fit)
_REFIT: TypeAdapter[Refit] = TypeAdapter(Refit)
_CLOSER_LOOK: TypeAdapter[CloserLook] = TypeAdapter(CloserLook)


class RunFolder:
    """A folder that belongs to one request. Opening it again with the same request goes on where it stopped."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: Path, fingerprint: str, parts: Mapping[str, Any] | None = None) -> RunFolder:
        """Create the folder, or take up an earlier run of the same request. `parts` are those of the fingerprint.

        Raises RequestError where it cannot be written, or holds anything else than a run of this request.
        """
        run = cls(path)
        run.refuse_others(fingerprint, parts)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if run.stored_fingerprint() is None:
                known = {"parts": dict(parts)} if parts else {}
                write_atomically(path / PLAN, json.dumps({"fingerprint": fingerprint, **known}))
        except OSError as error:
            raise run._unwritable(str(error.strerror)) from error
        return run

    def _unwritable(self, why: str) -> RequestError:
        return RequestError(f"--output: the folder {self.path} cannot be written ({why}): name another.")

    def refuse_others(self, fingerprint: str, parts: Mapping[str, Any] | None = None) -> None:
        """Raise RequestError where the folder holds anything else than a run of this request, or cannot be made.

        It says what parts the two requests where their `parts` are known: earlier versions did not keep them.
        """
        if not self.path.exists():
            above = next(parent for parent in self.path.absolute().parents if parent.exists())
            if not above.is_dir() or not os.access(above, os.W_OK):
                raise self._unwritable(f"{above} is no folder that can be written")
            return
        if not self.path.is_dir():
            raise self._unwritable("it is a file")
        # names with a dot are the lock, and what a process that was killed had not finished to write
        held = sorted(p.name for p in self.path.iterdir() if not p.name.startswith(".") and p.name != ANSWERS)
        if held and self.stored_fingerprint() != fingerprint:
            what = "another run" if PLAN in held else "other files"
            then = self.read_plan().get("parts")
            told = what_differs(then, parts) if isinstance(then, dict) and parts else []
            why = f", since {conjoined(told)}" if told else ""
            raise RequestError(
                f"--output: the folder {self.path} holds {what} already{why}: name a new or empty folder."
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one process. Raises RequestError where another has it."""
        import fcntl

        try:
            lock = (self.path / ".lock").open("w")
        except OSError as error:
            raise self._unwritable(str(error.strerror)) from error
        with lock as file, self._told_of_room():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise FolderBusy(
                    f"--output: another advisor is at work in {self.path}: wait or name another."
                ) from error
            yield

    @contextmanager
    def _told_of_room(self) -> Iterator[None]:
        """Raise RequestError where the disk gets full: what is finished stays, and is gone on with."""
        try:
            yield
        except Exception as error:
            if not is_full(error):
                raise
            raise RequestError(
                f"--output: the disk of {self.path} is full: make room there, and the same command goes on from what "
                "is done."
            ) from error

    def stored_fingerprint(self) -> str | None:
        """The request that the folder belongs to."""
        return self.read_plan().get("fingerprint")

    def read_plan(self) -> dict[str, Any]:
        """The stored plan; empty where there is none yet."""
        try:
            values = json.loads((self.path / PLAN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def began_otherwise(self) -> bool:
        """Whether a version that measured otherwise began the run."""
        plan = self.read_plan()
        return bool(plan) and plan.get("parts", {}).get("measured_by") != MEASURED_BY

    def begin_anew(self) -> None:
        """Remove all but what hosted models answered, which is paid for, and counts in the cap of what may be spent."""
        plan = self.path / PLAN
        for path in self.path.iterdir():
            if path.is_dir() and path.name != ANSWERS:
                shutil.rmtree(path)
            elif path.is_file() and path != plan:
                path.unlink()
        plan.unlink()  # last, since what is left without one is taken for somebody's files

    def write_plan(self, values: dict[str, Any]) -> None:
        """Store the plan beside the fingerprint."""
        write_atomically(self.path / PLAN, json.dumps({**self.read_plan(), **values}, indent=1, ensure_ascii=False))

    def finished(self, name: str, slot: str) -> Fit | None:
        """A trial of a strategy that an earlier attempt finished; what failed or was cut short is tried again.

        So is one with rows, or a latency, that the infrastructure left unmeasured: it may be there again, or may cost
        more now.
        """
        fit = self._read(self._record_file(name, slot), _FIT)
        if fit is None or fit.status not in ("ok", "not_applicable") or fit.untimed:
            return None
        return None if fit.evaluation and any(o.score is None for o in fit.evaluation.outcomes) else fit

    def fits(self, name: str) -> list[Fit]:
        """All finished trials of a strategy on whole folds, by repeat and fold."""
        read = (self._read(path, _FIT) for path in (self.path / FINISHED / file_name(name)).glob("fold-*.json"))
        return sorted((fit for fit in read if fit and fit.part == 1), key=lambda fit: (fit.repeat, fit.fold))

    def finish(self, name: str, slot: str, fit: Fit) -> None:
        """Keep the record of a trial; written at once or not at all."""
        write_atomically(self._record_file(name, slot), _FIT.dump_json(fit).decode())

    def forget(self, name: str, slot: str) -> None:
        """Remove a trial's record and its solution."""
        self._record_file(name, slot).unlink(missing_ok=True)
        shutil.rmtree(self.fold_solution(name, slot), ignore_errors=True)

    def keep_one_seed(self, name: str, why: str) -> None:
        """Of a strategy that was to have several."""
        self.write_plan({ONE_SEED: {**self.read_plan().get(ONE_SEED, {}), name: why}})

    def with_one_seed(self, name: str) -> str | None:
        """Why a strategy has one seed where several were planned; None where it has what was planned."""
        why: str | None = self.read_plan().get(ONE_SEED, {}).get(name)
        return why

    def refitted(self, name: str) -> Refit | None:
        """The record of the fit on all examples, where its solution is still there; it is then put in its place."""
        kept = self.path / SOLUTION
        if not self.solution(name).is_dir() and kept.is_dir() and self.read_plan().get("kept") == name:
            copy_whole(kept, self.solution(name))
        return self._read(self._record_file(name, REFIT), _REFIT) if self.solution(name).is_dir() else None

    def finish_refit(self, name: str, refit: Refit) -> None:
        """Keep the record of the fit on all examples."""
        write_atomically(self._record_file(name, REFIT), _REFIT.dump_json(refit).decode())

    def looked_at(self, name: str) -> CloserLook | None:
        """What was measured of a leader alone."""
        return self._read(self._record_file(name, CLOSER_LOOK), _CLOSER_LOOK)

    def finish_look(self, name: str, look: CloserLook) -> None:
        """Keep what was measured of a leader alone."""
        write_atomically(self._record_file(name, CLOSER_LOOK), _CLOSER_LOOK.dump_json(look).decode())

    def _record_file(self, name: str, slot: str) -> Path:
        return self.path / FINISHED / file_name(name) / f"{slot}.json"

    def _read(self, path: Path, form: TypeAdapter[Kept]) -> Kept | None:
        if not path.exists():
            return None
        try:
            return form.validate_json(path.read_bytes())
        except ValueError:
            log.warning("the record %s is damaged and is made anew", path)
            return None

    def solution(self, name: str) -> Path:
        """Where a strategy's solution is kept during the run, and after it with --keep all."""
        return self.path / SOLUTIONS / file_name(name)

    def fold_solution(self, name: str, slot: str) -> Path:
        """Where a measured solution is kept during the run, and after it with --keep all."""
        return self.path / FOLD_SOLUTIONS / file_name(name) / slot

    def work(self, name: str) -> Path:
        """A fresh scratch folder for one fit."""
        path = self.path / "work" / file_name(name)
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    @property
    def cache(self) -> Path:
        """Where embeddings are kept until the run has ended."""
        return self.path / "cache"

    def clear_work(self) -> None:
        """Remove the scratch folders and the cache."""
        shutil.rmtree(self.path / "work", ignore_errors=True)
        shutil.rmtree(self.cache, ignore_errors=True)

    def keep(self, pick: str | None, *, everything: bool) -> Path | None:
        """Put the picked solution at `solution/` and, unless everything is kept, remove the others.

        None where there is nothing to keep: no pick, or a pick whose solution an earlier end of this run removed.
        """
        kept = self.path / SOLUTION
        if self.read_plan().get("kept") != pick:
            self._put_aside(kept)
        if pick is not None and self.solution(pick).is_dir():
            copy_whole(self.solution(pick), kept)
            self.write_plan({"kept": pick})
        if not everything and pick is not None:
            spared = {file_name(name) for name in self.read_plan().get(ASIDE, []) if name != pick}
            for solution in (self.path / SOLUTIONS).glob("*"):
                if solution.name not in spared:
                    remove_whole(solution)
            remove_whole(self.path / FOLD_SOLUTIONS)
            with suppress(OSError):  # of what was put aside
                (self.path / SOLUTIONS).rmdir()
        return kept if kept.is_dir() else None

    def _put_aside(self, kept: Path) -> None:
        """The solution that was kept, beside the others: its strategy may be the pick again."""
        name = self.read_plan().get("kept")
        if name is None:
            return
        if kept.is_dir():
            self.solution(name).parent.mkdir(exist_ok=True)
            remove_whole(self.solution(name))
            kept.rename(self.solution(name))
        self.write_plan({"kept": None, ASIDE: sorted({*self.read_plan().get(ASIDE, []), name})})

    def log_to_file(self) -> logging.Handler:
        """Write the log of this run to run.log; the caller closes the handler."""
        handler = logging.FileHandler(self.path / "run.log", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
        return handler


def default_output(is_taken: Callable[[Path], bool] = Path.exists) -> Path:
    """A new folder's name for a run: `advisor-run`, then `advisor-run-2`, ..."""
    base = Path("advisor-run")
    number = 1
    while is_taken(path := base if number == 1 else Path(f"{base}-{number}")):
        number += 1
    return path


def file_name(name: str) -> str:
    """A strategy's name as a file name: a model in it may be an id with a slash, or a path."""
    safe = "".join(c if c.isalnum() or c in "_-.@" else "_" for c in name)
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def is_full(error: BaseException) -> bool:
    """Whether there is no room left on a disk, or none that is allowed.

    What is written in other languages (safetensors, faiss) raises errors of its own, whose text alone says so.
    """
    if isinstance(error, RequestError):
        return error.__cause__ is not None and is_full(error.__cause__)
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    writes = isinstance(error, OSError | RuntimeError) or type(error).__name__ == "SafetensorError"
    return writes and any(os.strerror(code) in str(error) for code in FULL)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a crash, sees all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    scratch.replace(path)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Fill the folder that is given; it then is at `path`, whole or, where the process is killed before, not at all."""
    scratch = path.with_name(f".new-{path.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield scratch
        remove_whole(path)
        scratch.rename(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a folder in place of what is there; a crash leaves no half of it."""
    with whole(target) as scratch:
        shutil.copytree(source, scratch)


def remove_whole(path: Path) -> None:
    """Remove a folder, if there is one; a crash leaves no half of it under its name."""
    gone = path.with_name(f".old-{path.name}")
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(FileNotFoundError):
        path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def folder_bytes(path: Path) -> int:
    """Size of all files in a folder."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def find_solution(path: Path) -> Path:
    """The kept solution of a run folder, or the solution that the folder itself is."""
    from strategies.manifest import FILE

    for folder in (path / SOLUTION, path):
        if (folder / FILE).exists():
            return folder
    raise RequestError(f"{path} holds neither a run with a kept solution nor a solution.")
