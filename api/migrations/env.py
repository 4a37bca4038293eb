"""Alembic's entry: runs the migrations on the service's database, one process at a time."""

from alembic import context
from sqlalchemy import text

from api.database import connect
from api.tables import Table

LOCK = 4_823_917  # any number, the same in all processes

engine = connect(context.config.attributes["settings"]).execution_options(writes=True)
with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=Table.metadata, render_as_batch=True, transactional_ddl=True
    )
    with context.begin_transaction():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.run_migrations()
engine.dispose()
