"""What tests of the service share: settings with tiny models, a database of each kind, an app with a client."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, text

from api.app import create_app
from api.database import connect, upgrade
from api.keys import KeyRing
from api.settings import Settings
from api.store import Asked, Store
from api.worker import Worker

POSTGRES = os.environ.get("ADVISOR_TEST_POSTGRES")
"""URL of a server on which databases may be made; `.ci/run` starts one."""


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A test that sets the log up leaves no trace."""
    yield
    structlog.reset_defaults()


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
        app = create_app(make_settings(**changes))
        client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
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


@pytest.fixture
def served(
    make_settings: Callable[..., Settings], tiny_model_folder: Path, tiny_embedder_folder: Path
) -> Iterator[tuple[str, Settings]]:
    """The service on a port of this machine."""
    settings = make_settings(
        models={"smollm2-135m-instruct": str(tiny_model_folder)},
        embedders={"all-minilm-l6-v2": str(tiny_embedder_folder)},
        device="cpu",
    )
    server = uvicorn.Server(uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", settings
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def worker(served: tuple[str, Settings]) -> Iterator[Worker]:
    working = Worker(served[1])
    thread = threading.Thread(target=working.work, daemon=True)
    thread.start()
    yield working
    working.stop()
    thread.join(20)
