"""A worker: takes comparisons one after another, each in a process that it watches, bounds, and ends when asked to."""

from __future__ import annotations

import os
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from advisor.runs import folder_bytes
from api.database import AWAY, connect
from api.helper import memory_of, processes
from api.job import NO_FAULT, UNFINISHED, carry_out, folder_of, lacks_room, scratch_of
from api.problems import Problem
from api.settings import GIB, Settings
from api.store import Lease, LeaseLost, Store
from api.tables import State

POLL_SECONDS = 0.5
DATABASE_SECONDS = 2.0
"""After so long a database that did not answer is asked again."""
SEEN_SECONDS = 15.0
DISK_SECONDS = 5.0
TIDY_SECONDS = 3600.0
FULL_SECONDS = 60.0
"""So often the log says that the disk is full."""
ORPHAN_SECONDS = 3600.0
OVERTIME = 1.5
"""A comparison keeps its time budget by itself; this many times the budget, and some start-up, are not gone beyond."""
START_UP_SECONDS = 300.0
DAY = 86_400.0

log = structlog.get_logger("advisor.worker")


class Worker:
    """Works until it is asked to stop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(connect(settings))
        self.id = f"{socket.gethostname()}-{os.getpid()}"
        self._stopping = False
        self._next: dict[str, float] = {}
        self._owed: Lease | None = None
        """What was under way when the database went away: given back as soon as it answers."""

    def stop(self, *_: Any) -> None:
        """End after giving back what is under way; may be used as a signal's handler."""
        self._stopping = True

    def work(self) -> None:
        """Take comparisons until stopped."""
        warm = processes.Process(target=_nothing)  # the fork server's imports take long: not while a lease runs
        warm.start()
        warm.join()
        log.info("worker started", worker=self.id)
        while not self._stopping:
            try:
                self._one()
            except SQLAlchemyError as error:
                log.warning("the database does not answer", worker=self.id, error=type(error).__name__)
                time.sleep(DATABASE_SECONDS)
        try:
            self.store.gone(self.id)
        except SQLAlchemyError as error:  # it is forgotten after a while all the same
            log.warning("the database does not answer", worker=self.id, error=type(error).__name__)
        log.info("worker stopped", worker=self.id)

    def _one(self) -> None:
        """Take one comparison, or wait a little."""
        self._seen()
        if self._owed:
            with suppress(LeaseLost):
                self.store.release(self._owed, counts=False)
            self._owed = None
        if self._is_due("tidy", TIDY_SECONDS):
            try:
                self.tidy()
            except OSError as error:
                log.warning("could not tidy up", worker=self.id, error=type(error).__name__)
        full = self._is_full()
        lease = None if full else self.store.lease(self.settings.lease_seconds, self.settings.most_attempts)
        if lease is None:
            time.sleep(POLL_SECONDS)
        else:
            self.supervise(lease)

    def _is_full(self) -> bool:
        """Whether the disk has no room for a comparison, so that those that wait had better go on waiting."""
        try:
            full, why = lacks_room(self.settings), "the disk is full: nothing is begun until there is room"
        except OSError as error:
            full, why = True, f"the data folder cannot be used ({error.strerror}): nothing is begun until it can"
        if full and self._is_due("full", FULL_SECONDS):
            log.error(why, worker=self.id)
        return full

    def supervise(self, lease: Lease) -> None:
        """Carry out one comparison in a process and watch over it until it ends."""
        log.info("leased", worker=self.id, comparison=lease.id, attempt=lease.attempt)
        ours, theirs = processes.Pipe()
        process = processes.Process(target=carry_out, args=(self.settings, lease, theirs), daemon=True)
        process.start()
        theirs.close()
        try:
            self._watch(process, lease)
        except LeaseLost:
            log.info("over", worker=self.id, comparison=lease.id)
        except AWAY:
            self._owed = lease
            raise
        finally:
            _end(process)
            ours.close()
        if not self.store.known([lease.id]):
            shutil.rmtree(folder_of(self.settings, lease.project_id, lease.id), ignore_errors=True)  # it was deleted

    def _watch(self, process: Any, lease: Lease) -> None:
        """Until the process has ended, or must be ended. Raises LeaseLost once the comparison is over or another's.

        A database that does not answer is waited for as long as the lease would have held.
        """
        row = self.store.request_of(lease)
        end = time.monotonic() + OVERTIME * row.options["time_budget"] + START_UP_SECONDS
        self._next["renew"] = 0.0
        held_until = time.monotonic() + self.settings.lease_seconds
        while process.is_alive():
            process.join(POLL_SECONDS)
            wanted = True
            try:
                self._seen()
                wanted = self.store.is_wanted(lease)
                if self._is_due("renew", self.settings.lease_seconds / 3):
                    wanted = not self.store.renew(lease, self.settings.lease_seconds)
                    held_until = time.monotonic() + self.settings.lease_seconds
            except AWAY as error:
                if time.monotonic() > held_until:
                    raise
                self._next["renew"] = 0.0  # as soon as it answers: a third of the lease may be all that is left
                log.warning("the database does not answer", comparison=lease.id, error=type(error).__name__)
            if not wanted:
                _end(process)
                self.store.end(lease, State.CANCELLED)
                return
            if self._stopping:
                _end(process)
                self.store.release(lease, counts=False)
                return
            beyond = self._beyond(process, lease, end)
            if beyond:
                _end(process)
                self.store.end(lease, State.FAILED, beyond)
                return
        process.join()
        # had it ended as it should, the lease would be gone
        self.store.release(lease, counts=process.exitcode != NO_FAULT)
        log.warning("process died", worker=self.id, comparison=lease.id, exitcode=process.exitcode)

    def _beyond(self, process: Any, lease: Lease, end: float) -> str | None:
        """Which bound a comparison has crossed, in words."""
        settings = self.settings
        if memory_of(process.pid) > settings.most_memory_bytes:
            return f"It needed more than {settings.most_memory_bytes / GIB:.1f} GiB of memory: send fewer rows."
        if time.monotonic() > end:
            return "It went on far beyond its time budget and was ended."
        if self._is_due("disk", DISK_SECONDS):
            folder = folder_of(settings, lease.project_id, lease.id)
            if _size(folder) > settings.most_disk_bytes:
                return (
                    f"It needed more than {settings.most_disk_bytes / GIB:.1f} GiB of disk: ask for fewer strategies."
                )
        return None

    def tidy(self) -> None:
        """Remove comparisons that ended long ago, folders of removed ones, and what was left of audits and uploads."""
        for row in self.store.ended_before(time.time() - self.settings.keep_days * DAY):
            shutil.rmtree(folder_of(self.settings, row.project_id, row.id), ignore_errors=True)
            with suppress(Problem):  # another worker, or its owner, was quicker
                self.store.delete(row.project_id, row.id)
            log.info("pruned", comparison=row.id)
        self.store.wipe()  # once more, for deletions that a reader stood in the way of
        for folder in self._orphans():
            shutil.rmtree(folder, ignore_errors=True)
            log.info("orphan removed", comparison=folder.name)
        for folder in (*scratch_of(self.settings).glob("*"), *self.settings.data.glob(f"projects/*/{UNFINISHED}*")):
            if _age(folder) > ORPHAN_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _orphans(self) -> list[Path]:
        """Folders of comparisons that this database had and has no more.

        One that it never had is left alone: it is another database's, where the wrong one is named, or of one that is
        yet to be restored.
        """
        found = self.settings.data.glob("projects/*/*")
        old = [f for f in found if f.is_dir() and f.name[0] != UNFINISHED and _age(f) > ORPHAN_SECONDS]
        names = [folder.name for folder in old]
        removed = self.store.removed(names)
        if unknown := set(names) - removed - self.store.known(names):
            log.warning("folders of comparisons that are not in this database: left alone", folders=len(unknown))
        return [folder for folder in old if folder.name in removed]

    def _seen(self) -> None:
        if self._is_due("seen", SEEN_SECONDS):
            self.store.seen(self.id)

    def _is_due(self, what: str, seconds: float) -> bool:
        if time.monotonic() < self._next.get(what, 0.0):
            return False
        self._next[what] = time.monotonic() + seconds
        return True


def _end(process: Any) -> None:
    """Kill it, and wait until it has let go of its folder."""
    process.kill()
    process.join()


def _nothing() -> None:
    pass


def _size(folder: Any) -> int:
    try:
        return folder_bytes(folder)
    except FileNotFoundError:  # a file that was removed meanwhile
        return 0


def _age(folder: Any) -> float:
    try:
        return time.time() - float(folder.stat().st_mtime)
    except FileNotFoundError:
        return 0.0
