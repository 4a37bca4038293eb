"""Comparisons as jobs: asked for, leased by workers, told about, ended. Nothing else changes their rows.

A worker holds a comparison by a lease that it must renew. Whoever lost the lease (another worker took over, the owner
cancelled or deleted) can change nothing any more: every change names the lease's token.
"""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, and_, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from api.database import empty_log, reading, writing
from api.problems import Problem
from api.tables import ENDED, Action, Comparison, Event, Project, State, Worker

WORKER_SILENT_SECONDS = 60.0
PASSING = "phase"
"""Kind of the events that say how far it is: many, and nothing to anybody once it has ended."""
NOT_THERE = "There is no such comparison."
OTHER = aliased(Comparison)
"""Of the same project as the one that is looked at."""
ID = re.compile(r"[0-9a-z-]{1,64}")


class LeaseLost(Exception):
    """The comparison is no longer this worker's: stop at once, and change nothing."""


@dataclass(frozen=True)
class Asked:
    """All that a client asks for."""

    task: str
    options: dict[str, Any]
    files: dict[str, Any]
    content_sha256: str
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Lease:
    """A comparison in a worker's hands."""

    id: str
    project_id: str
    token: str
    attempt: int


class Store:
    """All changes of comparisons, on SQLite or PostgreSQL. `clock` gives seconds since 1970."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock

    # What clients do

    def project(self, name: str) -> str:
        """The id of the project of that name, which is created where there is none."""
        with writing(self._engine) as session:
            return project_of(session, name, self._clock())

    def submit(
        self, project_id: str, id: str, asked: Asked, most_waiting: int, action: Action | None = None
    ) -> tuple[Comparison, bool]:
        """Queue a comparison under an id that the caller has made up, and say whether it is new.

        The same idempotency key and content give the comparison that is there already. Raises Problem where the key
        came with other content, or too many comparisons wait.
        """
        with writing(self._engine) as session:
            project = session.scalars(select(Project).where(Project.id == project_id).with_for_update()).one()
            if asked.idempotency_key is not None:
                same = Comparison.idempotency_key == asked.idempotency_key
                found = session.scalar(select(Comparison).where(Comparison.project_id == project.id, same))
                if found is not None and found.content_sha256 != asked.content_sha256:
                    raise Problem(409, "This Idempotency-Key came with another request before: use a new one.")
                if found is not None:
                    return found, False
            waiting = Comparison.project_id == project.id, Comparison.state == State.QUEUED
            if (session.scalar(select(func.count()).where(*waiting)) or 0) >= most_waiting:
                raise Problem(429, f"{most_waiting} comparisons are waiting already: wait for some, or cancel them.")
            row = Comparison(
                id=id, project_id=project.id, created_at=self._clock(), task=asked.task, options=asked.options,
                files=asked.files, idempotency_key=asked.idempotency_key, content_sha256=asked.content_sha256,
            )  # fmt: skip
            session.add(row)
            session.flush()  # which gives it the defaults of its columns
            self._tell(session, row, "state", {"state": State.QUEUED})
            _add(session, action)
            return row, True

    def find(self, project_id: str, id: str) -> Comparison:
        """A project's comparison. Raises Problem 404, for other projects' too."""
        with reading(self._engine) as session:
            return self._own(session, project_id, id)

    def page(
        self, project_id: str, limit: int, state: State | None = None, before: tuple[float, str] | None = None
    ) -> Sequence[Comparison]:
        """A project's comparisons, the newest first, from before one that is named by its time and id."""
        query = select(Comparison).where(Comparison.project_id == project_id)
        if state is not None:
            query = query.where(Comparison.state == state)
        if before is not None:
            query = query.where(tuple_(Comparison.created_at, Comparison.id) < before)
        newest = query.order_by(Comparison.created_at.desc(), Comparison.id.desc()).limit(limit)
        with reading(self._engine) as session:
            return session.scalars(newest).all()

    def events(
        self, project_id: str, id: str, after: int = 0, kinds: Sequence[str] = ()
    ) -> tuple[Sequence[Event], bool]:
        """What happened after the event of that number, all or of some kinds, and whether more may come."""
        with reading(self._engine) as session:
            row = self._own(session, project_id, id)
            more = row.state not in ENDED
            query = select(Event).where(Event.comparison_id == row.id, Event.number > after)
            if kinds:
                query = query.where(Event.kind.in_(kinds))
            return session.scalars(query.order_by(Event.number)).all(), more

    def cancel(self, project_id: str, id: str, action: Action | None = None) -> Comparison:
        """Ask for the end of a comparison; one that waits ends at once, one that has ended stays as it is."""
        with writing(self._engine) as session:
            row = self._own(session, project_id, id, lock=True)
            _add(session, action)
            silent = row.lease_ends_at is not None and row.lease_ends_at < self._clock()
            if row.state == State.QUEUED or (row.state == State.RUNNING and silent):
                self._end(session, row, State.CANCELLED)
            elif row.state == State.RUNNING:
                row.cancel_requested = True
            return row

    def delete(self, project_id: str, id: str, action: Action | None = None) -> None:
        """Forget a comparison, whatever its state. A worker that has it loses its lease."""
        with writing(self._engine) as session:
            session.delete(self._own(session, project_id, id, lock=True))
            _add(session, action)
        self.wipe()

    def wipe(self) -> None:
        """Leave nothing of what was deleted in the files of a database of our own."""
        empty_log(self._engine)

    # What workers do

    def lease(self, seconds: float, most_attempts: int) -> Lease | None:
        """Take one that waits, or whose worker is silent; None where there is none.

        Projects take turns: first comes the one with the fewest that run, of these the one whose last lease is longest
        ago, and of its comparisons the oldest.
        """
        while True:
            with writing(self._engine) as session:
                now = self._clock()
                silent = and_(Comparison.state == State.RUNNING, Comparison.lease_ends_at < now)
                due = select(Comparison).where(or_(Comparison.state == State.QUEUED, silent))
                running = select(func.count()).where(
                    OTHER.project_id == Comparison.project_id,
                    OTHER.state == State.RUNNING,
                    OTHER.lease_ends_at >= now,
                )
                last = select(func.coalesce(Project.leased_at, 0.0)).where(Project.id == Comparison.project_id)
                turns = running.scalar_subquery(), last.scalar_subquery(), Comparison.created_at, Comparison.id
                first = due.order_by(*turns).limit(1)
                row = session.scalars(first.with_for_update(skip_locked=True)).first()
                if row is None:
                    return None
                if row.cancel_requested:
                    self._end(session, row, State.CANCELLED)
                elif row.fruitless_attempts >= most_attempts:
                    self._end(session, row, State.FAILED, _gave_up(row.fruitless_attempts))
                else:
                    return self._lease(session, row, now + seconds)

    def _lease(self, session: Session, row: Comparison, until: float) -> Lease:
        row.state = State.RUNNING
        row.attempts += 1
        row.fruitless_attempts += 1
        row.started_at = row.started_at or self._clock()
        session.execute(update(Project).where(Project.id == row.project_id).values(leased_at=self._clock()))
        row.lease_token, row.lease_ends_at = secrets.token_hex(16), until
        self._tell(session, row, "state", {"state": State.RUNNING, "attempt": row.attempts})
        return Lease(row.id, row.project_id, row.lease_token, row.attempts)

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold a comparison for longer; whether it is to be cancelled. Raises LeaseLost."""
        with writing(self._engine) as session:
            row = self._leased(session, lease)
            row.lease_ends_at = self._clock() + seconds
            return row.cancel_requested

    def is_wanted(self, lease: Lease) -> bool:
        """Whether a comparison is still to go on. Raises LeaseLost."""
        with reading(self._engine) as session:
            row = session.get(Comparison, lease.id)
            if row is None or row.lease_token != lease.token:
                raise LeaseLost
            return not row.cancel_requested

    def request_of(self, lease: Lease) -> Comparison:
        """The leased comparison. Raises LeaseLost."""
        with reading(self._engine) as session:
            return self._leased(session, lease)

    def tell(self, lease: Lease, kind: str, data: dict[str, Any], **changes: Any) -> None:
        """Add an event to a comparison, and change columns of its row with it. Raises LeaseLost."""
        with writing(self._engine) as session:
            row = self._leased(session, lease)
            for name, value in changes.items():
                setattr(row, name, value)
            self._tell(session, row, kind, data)

    def strategy_done(self, lease: Lease, name: str, result: Mapping[str, Any]) -> None:
        """A strategy has ended: the attempt was not in vain."""
        with writing(self._engine) as session:
            row = self._leased(session, lease)
            if name not in row.strategies:  # an attempt that goes on with a run tells again what was done before
                row.fruitless_attempts = 0
            row.strategies = {**row.strategies, name: dict(result)}
            self._tell(session, row, "strategy", {"strategy": name, **result})

    def end(self, lease: Lease, state: State, reason: str | None = None, **changes: Any) -> None:
        """The comparison is over. Raises LeaseLost."""
        with writing(self._engine) as session:
            row = self._leased(session, lease)
            for name, value in changes.items():
                setattr(row, name, value)
            self._end(session, row, state, reason)

    def release(self, lease: Lease, *, counts: bool) -> None:
        """Let another attempt be made at once; whether this one counts as one in vain. Raises LeaseLost."""
        with writing(self._engine) as session:
            row = self._leased(session, lease)
            row.state, row.lease_token, row.lease_ends_at = State.QUEUED, None, None
            if not counts:
                row.fruitless_attempts = max(0, row.fruitless_attempts - 1)
            self._tell(session, row, "state", {"state": State.QUEUED})

    def seen(self, worker: str) -> None:
        """A worker is alive; those that are not are forgotten after a day."""
        with writing(self._engine) as session:
            session.merge(Worker(id=worker, seen_at=self._clock()))
            session.execute(delete(Worker).where(Worker.seen_at < self._clock() - 86_400))

    def gone(self, worker: str) -> None:
        """A worker has ended as it should."""
        with writing(self._engine) as session:
            session.execute(delete(Worker).where(Worker.id == worker))

    # What the service asks

    def workers(self) -> int:
        """How many are alive."""
        with reading(self._engine) as session:
            alive = Worker.seen_at > self._clock() - WORKER_SILENT_SECONDS
            return session.scalar(select(func.count()).select_from(Worker).where(alive)) or 0

    def counts(self) -> dict[str, int]:
        """Comparisons of all projects by state."""
        with reading(self._engine) as session:
            found = session.execute(select(Comparison.state, func.count()).group_by(Comparison.state)).all()
        return {state: dict(found).get(state, 0) for state in map(str, State)}

    def ended_before(self, at: float) -> Sequence[Comparison]:
        """Comparisons that ended before a time."""
        with reading(self._engine) as session:
            old = Comparison.state.in_(ENDED), Comparison.ended_at < at
            return session.scalars(select(Comparison).where(*old)).all()

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are comparisons'."""
        with reading(self._engine) as session:
            return set(session.scalars(select(Comparison.id).where(Comparison.id.in_(ids))))

    def removed(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that were comparisons', as the audit log says, and are no more."""
        with reading(self._engine) as session:
            once = set(session.scalars(select(Action.object).where(Action.object.in_(ids))))
        return once - self.known(ids)

    # Parts

    def _own(self, session: Session, project_id: str, id: str, *, lock: bool = False) -> Comparison:
        if not ID.fullmatch(id):  # PostgreSQL would stumble over a null character
            raise Problem(404, NOT_THERE)
        query = select(Comparison).where(Comparison.id == id, Comparison.project_id == project_id)
        row = session.scalar(query.with_for_update() if lock else query)
        if row is None:
            raise Problem(404, NOT_THERE)
        return row

    def _leased(self, session: Session, lease: Lease) -> Comparison:
        query = select(Comparison).where(Comparison.id == lease.id, Comparison.lease_token == lease.token)
        row = session.scalar(query.with_for_update())
        if row is None:
            raise LeaseLost
        return row

    def _end(self, session: Session, row: Comparison, state: State, reason: str | None = None) -> None:
        reason = reason and _storable(reason)
        row.state, row.reason, row.ended_at = state, reason, self._clock()
        row.lease_token = row.lease_ends_at = row.seconds_left = None
        row.phase = ""
        if state == State.SUCCEEDED:
            row.progress = 1.0
        session.execute(delete(Event).where(Event.comparison_id == row.id, Event.kind == PASSING))
        told = {"state": state, "reason": reason, "recommendation": row.recommendation}
        self._tell(session, row, "state", {name: value for name, value in told.items() if value is not None})

    def _tell(self, session: Session, row: Comparison, kind: str, data: dict[str, Any]) -> None:
        row.events += 1
        session.add(Event(comparison_id=row.id, number=row.events, at=self._clock(), kind=kind, data=data))


def project_of(session: Session, name: str, now: float) -> str:
    """The id of the project of that name, which is created where there is none."""
    found = session.scalar(select(Project).where(Project.name == name))
    if found is None:
        found = Project(id=uuid.uuid4().hex, name=name, created_at=now)
        session.add(found)
        session.flush()
    return found.id


def _add(session: Session, action: Action | None) -> None:
    """Write to the audit log in the transaction that does what it says."""
    if action is not None:
        session.add(action)


def _storable(text: str) -> str:
    """A sentence that may quote a client's file, without what databases do not take."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _gave_up(attempts: int) -> str:
    return (
        f"Given up after {attempts} attempts in a row that were cut off before a further strategy was done: "
        "see the worker's log for why, or ask for fewer strategies."
    )
