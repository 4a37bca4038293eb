"""API keys and browser visits. A key is shown once, when it is made; what is kept is a hash of its secret."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, delete, select

from api.database import reading, writing
from api.store import project_of
from api.tables import Action, Key, Project, Visit
from eval.errors import RequestError

VISIT_SECONDS = 12 * 3600.0
_FORM = re.compile(r"adv_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[\w][\w .'-]{0,63}")


@dataclass(frozen=True)
class Caller:
    """Who asks, and for which project."""

    project_id: str
    actor: str
    """A key's id, or `local`."""


class KeyRing:
    """Keys of all projects. `clock` gives seconds since 1970."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock

    def create(self, project: str, name: str) -> str:
        """A new key of a project, which is created where there is none; its secret (256 random bits) is not kept."""
        for value, what in ((project, "project"), (name, "key")):
            if not _NAME.fullmatch(value):
                raise RequestError(
                    f"The name of a {what} has 1 to 64 letters, digits, spaces, dots, dashes and apostrophes."
                )
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        with writing(self._engine) as session:
            project_id, now = project_of(session, project, self._clock()), self._clock()
            session.add(Key(id=key_id, project_id=project_id, name=name, secret_sha256=_hash(secret), created_at=now))
            session.add(self.action("operator", "key.create", key_id, project_id))
        return f"adv_{key_id}_{secret}"

    def revoke(self, key_id: str) -> None:
        """End a key, and the visits of browsers that showed it. Raises RequestError where there is none."""
        with writing(self._engine) as session:
            key = session.get(Key, key_id)
            if key is None:
                raise RequestError(f"There is no key {key_id!r}: `advisor keys list` shows all.")
            key.revoked_at = key.revoked_at or self._clock()
            session.execute(delete(Visit).where(Visit.key_id == key_id))
            session.add(self.action("operator", "key.revoke", key_id, key.project_id))

    def is_revoked(self, key_id: str) -> bool:
        """Whether a key has been ended."""
        with reading(self._engine) as session:
            key = session.get(Key, key_id)
        return key is None or key.revoked_at is not None

    def all(self) -> Sequence[tuple[Key, str]]:
        """Every key with the name of its project."""
        with reading(self._engine) as session:
            found = session.execute(select(Key, Project.name).join(Project).order_by(Project.name, Key.created_at))
            return [(key, name) for key, name in found]

    def caller(self, key: str) -> Caller | None:
        """Whose key it is; None where it is no key, or one that was revoked."""
        form = _FORM.fullmatch(key)
        if form is None:
            return None
        with reading(self._engine) as session:
            found = session.get(Key, form[1])
        if found is None or not hmac.compare_digest(found.secret_sha256, _hash(form[2])) or found.revoked_at:
            return None
        return Caller(found.project_id, found.id)

    # Browsers: a visit begins with a key and lives in a cookie that no script can read.

    def visit(self, key_id: str) -> str:
        """Begin a visit with a key; the token for the cookie."""
        token = secrets.token_urlsafe(32)
        with writing(self._engine) as session:
            session.execute(delete(Visit).where(Visit.ends_at < self._clock()))
            session.add(Visit(token_sha256=_hash(token), key_id=key_id, ends_at=self._clock() + VISIT_SECONDS))
        return token

    def visitor(self, token: str) -> Caller | None:
        """Whose visit it is; None where it has ended."""
        with reading(self._engine) as session:
            visit = session.get(Visit, _hash(token))
            key = session.get(Key, visit.key_id) if visit and visit.ends_at > self._clock() else None
        return Caller(key.project_id, key.id) if key and not key.revoked_at else None

    def leave(self, token: str) -> None:
        """End a visit."""
        with writing(self._engine) as session:
            session.execute(delete(Visit).where(Visit.token_sha256 == _hash(token)))

    def note(
        self, actor: str, action: str, object: str, project_id: str | None = None, request_id: str | None = None
    ) -> None:
        """Write to the audit log who did what."""
        with writing(self._engine) as session:
            session.add(self.action(actor, action, object, project_id, request_id))

    def action(
        self, actor: str, action: str, object: str, project_id: str | None = None, request_id: str | None = None
    ) -> Action:
        """A line of the audit log, to be written in the transaction that does what it says."""
        return Action(
            id=uuid.uuid4().hex, at=self._clock(), project_id=project_id, actor=actor, action=action, object=object,
            request_id=request_id,
        )  # fmt: skip


def _hash(secret: str) -> str:
    # a plain hash is enough: with 256 random bits there is nothing to guess
    return hashlib.sha256(secret.encode()).hexdigest()
