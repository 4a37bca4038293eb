"""The tables. Times are seconds since 1970, so that both databases keep them alike."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, MetaData, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class State(StrEnum):
    """Of a comparison."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class Table(DeclarativeBase):
    """Base of all."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {dict[str, Any]: JSON, str: Text, int: BigInteger}


class Project(Table):
    """Whose a comparison is. Nobody sees what belongs to another project."""

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[float]
    leased_at: Mapped[float | None]
    """When a worker last took one of its comparisons."""


class Key(Table):
    """An API key; what is kept of its secret is a hash."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    secret_sha256: Mapped[str]
    created_at: Mapped[float]
    revoked_at: Mapped[float | None]


class Visit(Table):
    """A browser that showed a key."""

    __tablename__ = "visits"

    token_sha256: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("keys.id", ondelete="CASCADE"))
    ends_at: Mapped[float]


class Comparison(Table):
    """A comparison that was asked for, and how far it is."""

    __tablename__ = "comparisons"
    __table_args__ = (
        UniqueConstraint("project_id", "idempotency_key"),
        Index("ix_comparisons_project_created", "project_id", "created_at", "id"),
        Index("ix_comparisons_state_created", "state", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    ended_at: Mapped[float | None]
    state: Mapped[str] = mapped_column(default=State.QUEUED)
    task: Mapped[str]
    """Its sentence."""
    options: Mapped[dict[str, Any]]
    files: Mapped[dict[str, Any]]
    """By role (examples, documents, ...): the name it came with, its name in the folder, its bytes."""
    idempotency_key: Mapped[str | None]
    content_sha256: Mapped[str]
    """Of all that was asked, files included."""

    phase: Mapped[str] = mapped_column(default="")
    progress: Mapped[float] = mapped_column(default=0.0)
    seconds_left: Mapped[float | None]
    strategies: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """By name, of those that are done: outcome and quality."""
    recommendation: Mapped[dict[str, Any] | None]
    reason: Mapped[str | None]
    """Why it failed."""
    events: Mapped[int] = mapped_column(default=0)
    """How many there are."""

    cancel_requested: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    fruitless_attempts: Mapped[int] = mapped_column(default=0)
    """Since the last strategy that was done."""
    lease_token: Mapped[str | None]
    lease_ends_at: Mapped[float | None]


class Event(Table):
    """Something that happened to a comparison, numbered from 1."""

    __tablename__ = "events"

    comparison_id: Mapped[str] = mapped_column(ForeignKey("comparisons.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[float]
    kind: Mapped[str]
    data: Mapped[dict[str, Any]]


class Action(Table):
    """Who did what: the audit log. Holds ids and names of keys, no text of a client's."""

    __tablename__ = "actions"

    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[float] = mapped_column(index=True)
    project_id: Mapped[str | None]
    actor: Mapped[str]
    action: Mapped[str]
    object: Mapped[str]
    request_id: Mapped[str | None]


class Worker(Table):
    """A worker that is, or was, at work."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[float]
