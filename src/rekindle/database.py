"""
The history of the tables, driven from code: alembic without an ini file.

The same env.py and revisions serve `alembic` at the root of a checkout, `rekindle db` from an installed wheel, and
`SessionStore.open(url, upgrade=True)`.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from rekindle.orm import VERSION_TABLE, Base

LOCK_SECONDS = 60
"""How long one process waits for another that is upgrading the same tables."""

_LOCK_KEY = 0x72656B696E646C65  # "rekindle", and it must stay the same in all releases
_LOCK_NAME = "rekindle_migrations"

# Alembic keeps its context in module globals: two threads in it at once mix up their databases.
_alembic = threading.Lock()


def migrations_dir() -> Path:
    """Find env.py and versions/: wheels carry a copy inside the package, a checkout has the original."""
    packaged = Path(__file__).parent / "_migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"


def upgrade(connection: Connection) -> None:
    """
    Bring the tables to the revision of this release; does nothing when they are there already.

    Any number of processes may do so at once: the first creates, the others wait for it. Not while a transaction is
    open on `connection`.
    """
    with _alembic:
        command.upgrade(_config(connection=connection), "head")


def differences(connection: Connection) -> list[str]:
    """Say where the tables in the database are not those of this release; empty when they agree."""
    context = MigrationContext.configure(connection, opts={**OPTIONS, "include_name": include_name})
    return [_described(diff) for diff in compare_metadata(context, Base.metadata)]


def sql(url: str) -> str:
    """Write the SQL that creates the tables on the database of `url`, without connecting to it."""
    buffer = io.StringIO()
    with _alembic:
        command.upgrade(_config(buffer, url=url), "head", sql=True)
    return buffer.getvalue()


def _config(output: TextIO | None = None, **attributes: Any) -> Config:
    config = Config(output_buffer=output, stdout=sys.stderr)
    config.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes)
    return config


OPTIONS: dict[str, Any] = {
    "target_metadata": Base.metadata,
    "version_table": VERSION_TABLE,
    "transaction_per_migration": True,
}
"""For MigrationContext and context.configure alike; alembic reads none of it from an ini file."""


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    """Leave the tables of the application that shares the database alone."""
    return type_ != "table" or name in Base.metadata.tables


def _described(diff: Any) -> str:
    if isinstance(diff, list):
        return "; ".join(_described(each) for each in diff)
    return " ".join(str(part) for part in diff if part is not None)


@contextmanager
def migration_lock(connection: Connection) -> Iterator[None]:
    """
    Hold the tables against every other process that would upgrade them.

    On SQLite the lock is the transaction that the revisions run in, so that a crash leaves nothing half done. On
    PostgreSQL it belongs to the server session: behind a pooler in transaction mode, give `rekindle db upgrade` a URL
    that goes past the pooler.
    """
    held = {"sqlite": _sqlite_lock, "postgresql": _postgresql_lock}.get(connection.dialect.name, _mariadb_lock)
    with held(connection):
        yield


@contextmanager
def _sqlite_lock(connection: Connection) -> Iterator[None]:
    # Outside of any transaction, as SQLite demands. Readers of a WAL never wait for a writer, nor it for them.
    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


@contextmanager
def _postgresql_lock(connection: Connection) -> Iterator[None]:
    connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK_KEY})
        connection.exec_driver_sql("RESET lock_timeout")
        connection.commit()


@contextmanager
def _mariadb_lock(connection: Connection) -> Iterator[None]:
    got = connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), {"name": _LOCK_NAME, "seconds": LOCK_SECONDS})
    if got.scalar() != 1:
        raise TimeoutError(f"another process has been upgrading the tables for {LOCK_SECONDS} seconds")
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK_NAME})
        connection.commit()
