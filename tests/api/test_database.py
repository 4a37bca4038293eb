"""The tables are what the migrations make, and a process refuses those of another version."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, insert, text

from api import database
from api.app import create_app
from api.database import _alembic, check_is_current, connect, reading, upgrade, writing
from api.settings import Settings, read_settings
from api.store import Asked, Store
from api.tables import Comparison, Project, Table
from api.worker import Worker
from eval.errors import RequestError

Make = Callable[..., Settings]


def test_the_migrations_make_the_tables_that_the_code_has(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


def test_a_database_with_comparisons_is_brought_up_to_date_and_back(database_url: str, make_settings: Make) -> None:
    settings = make_settings(database_url=database_url)
    command.upgrade(_alembic(settings), "0001")
    now = {
        "id": "c",
        "project_id": "p",
        "created_at": 1.0,
        "task": "t",
        "options": {},
        "files": {},
        "content_sha256": "",
    }
    with connect(settings).execution_options(writes=True).begin() as connection:
        connection.execute(text("INSERT INTO projects (id, name, created_at) VALUES ('p', 'P', 1)"))
        connection.execute(insert(Comparison).values(now))
    upgrade(settings)
    lease = Store(connect(settings)).lease(60, 3)
    assert lease is not None
    assert lease.id == "c"
    command.downgrade(_alembic(settings), "0001")
    with connect(settings).connect() as connection:
        assert connection.execute(text("SELECT name FROM projects")).scalar_one() == "P"
        assert connection.execute(text("SELECT id FROM comparisons")).scalar_one() == "c"


def test_a_database_of_another_version_is_refused_in_one_sentence(database_url: str, make_settings: Make) -> None:
    settings = make_settings(database_url=database_url)
    with pytest.raises(RequestError, match="start `advisor api` once"):
        check_is_current(settings)
    upgrade(settings)
    check_is_current(settings)
    upgrade(settings)
    with connect(settings).execution_options(writes=True).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RequestError, match="version 9999"):
        check_is_current(settings)
    with pytest.raises(RequestError, match="newer than this program"):
        upgrade(settings)


def test_processes_that_start_at_once_upgrade_once(database_url: str, make_settings: Make) -> None:
    settings = make_settings(database_url=database_url)
    code = "from api.database import upgrade; from api.settings import read_settings; upgrade(read_settings())"
    environment = {**os.environ, "ADVISOR_DATA": str(settings.data), "ADVISOR_DATABASE_URL": database_url}
    started = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    check_is_current(settings)


def test_a_database_that_another_process_is_creating_is_waited_for(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    settings.data.mkdir()
    with closing(sqlite3.connect(settings.data / "advisor.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(database, "BUSY_SECONDS", 0)
        with pytest.raises(RequestError, match=r"cannot be used \(database is locked\)"):
            upgrade(settings)
        monkeypatch.setattr("time.sleep", lambda seconds: other.execute("COMMIT"))
        monkeypatch.setattr(database, "BUSY_SECONDS", 30)
        upgrade(settings)
    check_is_current(settings)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://nobody:SECRET@127.0.0.1:9/x", "postgresql+psycopg://a:SECRET@[::1]:9/x"]
)
def test_a_database_that_is_not_there_is_one_sentence_without_its_password(url: str, make_settings: Make) -> None:
    with pytest.raises(RequestError) as refused:
        upgrade(make_settings(database_url=url))
    assert "ADVISOR_DATABASE_URL" in str(refused.value)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "foo",
        "postgresql+psycopg://user:SECRET@host:port/advisor",
        "oracle://user:SECRET@host/advisor",
        "nonsense://user:SECRET@host/advisor",
        "sqlite:////nowhere/at/all.db",
        "sqlite:foo",
    ],
)
def test_an_address_that_names_no_database_is_one_sentence_without_its_password(url: str, make_settings: Make) -> None:
    for start in (upgrade, check_is_current):
        with pytest.raises(RequestError, match=r"^ADVISOR_DATABASE_URL: ") as refused:
            start(make_settings(database_url=url))
        assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("url", ["", "postgresql+psycopg://nobody@127.0.0.1:9/x"])
@pytest.mark.parametrize("data", ["file", "file/data"])
def test_a_data_folder_that_cannot_be_made_is_one_sentence(url: str, data: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match=r"^ADVISOR_DATA: the folder .* cannot be used"):
        create_app(Settings(data=tmp_path / data, database_url=url))


def test_what_fails_in_a_transaction_is_rolled_back(engine: Engine) -> None:
    def add_and_fail() -> None:
        with writing(engine) as session:
            session.add(Project(id="p", name="p", created_at=0.0))
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        add_and_fail()
    with reading(engine) as session:
        assert session.get(Project, "p") is None


def test_writers_wait_for_each_other(engine: Engine) -> None:
    """Many at once, none refused: on SQLite each takes the lock before it reads."""
    store = Store(engine)
    errors: list[Exception] = []

    def write(number: int) -> None:
        try:
            for _ in range(10):
                store.seen(f"w{number}")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.workers() == 8


def test_nothing_of_what_was_deleted_stays_in_sqlites_files(make_settings: Make, asked: Callable[..., Asked]) -> None:
    settings = make_settings()
    upgrade(settings)
    store, other = Store(connect(settings)), Store(connect(settings))
    project = store.project("one")
    store.submit(project, "kept", asked(), 9)
    store.submit(project, "gone", asked(task="SECRET " * 5000, options={"x": "SECRET"}, idempotency_key="SECRET"), 9)
    lease = next(one for one in (store.lease(30, 3) for _ in range(2)) if one and one.id == "gone")
    store.tell(lease, "said", {"text": "SECRET"})
    assert b"SECRET" in _bytes_of(settings)
    other.find(project, "gone")  # another process has the database open
    store.delete(project, "gone")
    assert b"SECRET" not in _bytes_of(settings)
    assert store.find(project, "kept").task == "Sort."


def test_what_a_reader_keeps_in_the_log_is_tidied_away_later(
    make_settings: Make, asked: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    settings = make_settings()
    upgrade(settings)
    engine = connect(settings)
    store = Store(engine)
    project = store.project("one")
    store.submit(project, "gone", asked(task="SECRET"), 9)
    with reading(engine) as session:
        assert session.get(Project, project) is not None
        store.delete(project, "gone")
        assert b"SECRET" in _bytes_of(settings)
    Worker(settings).tidy()
    assert b"SECRET" not in _bytes_of(settings)


def _bytes_of(settings: Settings) -> bytes:
    return b"".join(path.read_bytes() for path in settings.data.glob("advisor.db*"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("ADVISOR_MOST_ROWS", "many"), ("ADVISOR_MODELS", "{"), ("ADVISOR_MODELS", "{}"), ("ADVISOR_DEVICE", "tpu")],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(RequestError, match=r"ADVISOR_|setting"):
        read_settings()


def test_every_setting_is_in_the_operators_document() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()
    for name in Settings.model_fields:
        assert f"`ADVISOR_{name.upper()}`" in text or f"`…{name.upper()}`" in text, name
