"""What tests of the service share: settings with tiny models, a database of each kind, an app with a client."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, text

from api.app import create_app
from api.database import connect, upgrade
from api.keys import KeyRing
from api.settings import Settings
from api.store import Asked, Store

POSTGRES = os.environ.get("ADVISOR_TEST_POSTGRES")
"""URL of a server on which databases may be made; `.ci/run` starts one."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of each kind; the empty string is SQLite in the data folder."""
    if request.param == "sqlite":
        yield ""
        return
    if POSTGRES is None:
        pytest.skip("ADVISOR_TEST_POSTGRES names no server")
    server = create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    name = f"test_{uuid.uuid4().hex}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield POSTGRES.rsplit("/", 1)[0] + f"/{name}"
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with a data folder of their own."""
    return lambda **changes: Settings(data=tmp_path / "data", **changes)


@pytest.fixture
def engine(database_url: str, make_settings: Callable[..., Settings]) -> Iterator[Engine]:
    """A database of each kind, up to date."""
    settings = make_settings(database_url=database_url)
    upgrade(settings)
    made = connect(settings)
    yield made
    made.dispose()


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> Store:
    return Store(engine, clock)


@pytest.fixture
def ring(engine: Engine, clock: Clock) -> KeyRing:
    return KeyRing(engine, clock)


@pytest.fixture
def asked() -> Callable[..., Asked]:
    """A request without files."""

    def make(**changes: Any) -> Asked:
        return Asked(
            **{"task": "Sort.", "options": {"time_budget": 60.0}, "files": {}, "content_sha256": "0", **changes}
        )

    return make


@pytest.fixture
def client_for(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., TestClient]]:
    """A client of a service with such settings, on SQLite."""
    open_clients: list[TestClient] = []

    def make(**changes: Any) -> TestClient:
        client = TestClient(create_app(make_settings(**changes)), raise_server_exceptions=False)
        client.__enter__()
        open_clients.append(client)
        return client

    yield make
    for client in open_clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(client_for: Callable[..., TestClient]) -> TestClient:
    """A client of a service for this machine alone."""
    return client_for()


def rows(count: int = 24) -> list[dict[str, str]]:
    """Labelled rows that any baseline learns."""
    words = {"billing": "invoice payment refund", "outage": "power dark breaker"}
    return [
        {"input": f"case {i}: {text} please", "output": label}
        for i in range(count // 2)
        for label, text in words.items()
    ]
