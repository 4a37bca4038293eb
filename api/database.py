"""The database: connecting, transactions, and bringing its tables up to date."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from api.settings import Settings, make_folder
from eval.errors import RequestError, first_line

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30
AWAY = (OperationalError, InterfaceError, NoConnection)
"""What is raised where the database does not answer, or cannot write, which may be otherwise soon."""
NO_URL = "ADVISOR_DATABASE_URL: this is no URL of a database that can be used, such as postgresql+psycopg://user@host/advisor."


def connect(settings: Settings) -> Engine:
    """An engine for the settings' database; nothing is opened yet. Raises RequestError where its URL is none."""
    url = settings.database
    if not url.startswith("sqlite"):
        return _engine(url, pool_pre_ping=True)
    make_folder(settings)
    engine = _engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _engine(url: str, **options: Any) -> Engine:
    try:
        return create_engine(url, **options)
    except ImportError as error:
        raise RequestError(_unusable(error)) from error
    except (SQLAlchemyError, ValueError) as error:
        raise RequestError(NO_URL) from error


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says
    _write_ahead(connection)
    for setting in ("synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {setting}")


def _write_ahead(connection: Any) -> None:
    """Have the file use a write-ahead log, which is a change of it only the first time.

    Beside another process that writes, SQLite refuses this change at once, whatever time it may wait.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.02)


def _begin_sqlite(connection: Any) -> None:
    """A transaction that will write takes the lock at once: one that reads first could not be let wait for it."""
    options = connection.get_execution_options()
    if not options.get("bare"):  # within a transaction there is no checkpoint
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A transaction that only reads."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A transaction that is committed at the end, or rolled back where an error passes."""
    with Session(engine.execution_options(writes=True), expire_on_commit=False) as session, session.begin():
        yield session


def empty_log(engine: Engine) -> None:
    """Take what SQLite's write-ahead log holds into the database, and empty it: deleted text would stay there.

    Where a reader holds the log beyond the usual wait, it stays for the next call.
    """
    if engine.dialect.name == "sqlite":
        with engine.execution_options(bare=True).connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def upgrade(settings: Settings) -> None:
    """Create the tables, or bring them up to date."""
    from alembic import command
    from alembic.util import CommandError

    try:
        command.upgrade(_alembic(settings), "head")
    except CommandError as error:
        raise RequestError(
            "The database is newer than this program: start the `advisor` that it was last used with."
        ) from error
    except SQLAlchemyError as error:
        raise RequestError(_unusable(error)) from error


def check_is_current(settings: Settings) -> None:
    """Raises RequestError where the tables are older or newer than this program."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    wanted = ScriptDirectory.from_config(_alembic(settings)).get_current_head()
    engine = connect(settings)
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        raise RequestError(_unusable(error)) from error
    finally:
        engine.dispose()
    if found != wanted:
        raise RequestError(f"The database is at version {found}, not {wanted}: start `advisor api` once to upgrade it.")


def _unusable(error: Exception) -> str:
    """Never with the URL, which may hold a password."""
    cause = getattr(error, "orig", None) or error
    return f"ADVISOR_DATABASE_URL: the database cannot be used ({first_line(cause)})."


def _alembic(settings: Settings) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["settings"] = settings
    return config
