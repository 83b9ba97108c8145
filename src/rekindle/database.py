"""
The history of the tables, driven from code: alembic without an ini file.

The same env.py and revisions serve `alembic` at the root of a checkout, `rekindle db` from an installed wheel, and
`SessionStore.open(url, upgrade=True)`.
"""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, OperationalError

from rekindle.engine import redacted, translated
from rekindle.errors import DatabaseRevisionError, DatabaseUnavailableError, UnsupportedDatabaseError
from rekindle.revision import current_revision
from rekindle.tables import DATABASE_REVISION, VERSION_TABLE, metadata

LOCK_SECONDS = 60
"""How long an upgrade waits for another one of the same tables, and a statement of it for those who use a table."""

# Both must stay the same in all releases. MariaDB's names are those of a whole server: the database makes part of it.
_POSTGRESQL_KEY = 0x72656B696E646C65  # "rekindle"
_MARIADB_NAME = "CONCAT('rekindle_migrations.', SHA1(LOWER(DATABASE())))"

# Alembic keeps its context in module globals: two threads in it at once mix up their databases.
_alembic = threading.Lock()


def migrations_dir() -> Path:
    """Find env.py and versions/: wheels carry a copy inside the package, a checkout has the original."""
    packaged = Path(__file__).parent / "_migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"


def upgrade(connection: Connection) -> None:
    """
    Bring the tables to the revision of this release; writes nothing when they are there already.

    Any number of processes may do so at once: the first creates, the others wait for it. Not while a transaction is
    open on `connection`, and none is open afterwards; its isolation level may be another until it is closed. Raises
    DatabaseRevisionError when a later release has upgraded the tables, and DatabaseUnavailableError.
    """
    if connection.in_transaction():
        raise InvalidRequestError("a transaction is open on the connection; commit or roll back before the upgrade")
    with translated(connection.engine.url):
        if _is_current(connection):
            return
        with _alone(connection), _lock_timeout_named(connection):
            try:
                command.upgrade(_config(connection=connection), "head")
            except CommandError:
                _is_current(connection)  # a later release was faster, and alembic does not know its revision
                raise


def differences(connection: Connection) -> list[str]:
    """Say where the tables in the database are not those of this release; empty when they agree."""
    context = MigrationContext.configure(connection, opts={**OPTIONS, "include_name": include_name})
    return [_described(diff) for diff in compare_metadata(context, metadata)]


def sql(url: str) -> str:
    """Write the SQL that creates the tables on the database of `url`, without connecting to it."""
    _require_supported(url)
    buffer = io.StringIO()
    with _alone(None):
        command.upgrade(_config(buffer, url=url), "head", sql=True)
    return buffer.getvalue()


def _config(output: TextIO | None = None, **attributes: Any) -> Config:
    config = Config(output_buffer=output, stdout=sys.stderr)
    config.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes)
    return config


OPTIONS: dict[str, Any] = {
    "target_metadata": metadata,
    "version_table": VERSION_TABLE,
    "transaction_per_migration": True,
}
"""For MigrationContext and context.configure alike; alembic reads none of it from an ini file."""

TABLES = frozenset({VERSION_TABLE, *metadata.tables})
"""The names of all tables of rekindle, for an application that leaves them out of its own history."""


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    """Leave the tables of the application that shares the database alone."""
    return type_ != "table" or name in TABLES


def _described(diff: Any) -> str:
    if isinstance(diff, list):
        return "; ".join(_described(each) for each in diff)
    told = (part for part in diff if part is not None and not isinstance(part, dict))
    return " ".join(str(getattr(part, "name", part)) for part in told)


def _require_supported(url: str) -> None:
    try:
        name = make_url(url).get_backend_name()
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        raise UnsupportedDatabaseError(redacted(url), "cannot be read as a database URL") from None
    if name not in _LOCKS:
        raise UnsupportedDatabaseError(redacted(url), f"{name} is not supported")


def _is_current(connection: Connection) -> bool:
    found = current_revision(connection)
    connection.rollback()  # of reading
    error = DatabaseRevisionError(redacted(connection.engine.url), found, DATABASE_REVISION)
    if error.is_ahead:
        raise error
    return found == DATABASE_REVISION


@contextmanager
def _alone(connection: Connection | None) -> Iterator[None]:
    """Let one thread, and one task, of this process into alembic."""
    _wait_until(lambda: _alembic.acquire(blocking=False), connection)
    try:
        yield
    finally:
        _alembic.release()


def _wait_until(attempt: Callable[[], bool], connection: Connection | None) -> None:
    """
    Try until it succeeds.

    Not by a lock that blocks: a thread that blocks takes the event loop with it, and with that the task which holds the
    lock; and a PostgreSQL session that waits inside of a statement deadlocks with CREATE INDEX CONCURRENTLY.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while not attempt():
        if time.monotonic() > deadline:
            url = "the database" if connection is None else redacted(connection.engine.url)
            reason = f"another process has kept the tables locked for {LOCK_SECONDS} seconds, likely to upgrade them"
            raise DatabaseUnavailableError(url, reason, "wait for it to finish, or stop it, and try again")
        _pause(connection)


def _pause(connection: Connection | None) -> None:
    seconds = 0.05
    if connection is not None and connection.dialect.is_async:
        connection.connection.dbapi_connection.run_async(lambda _: asyncio.sleep(seconds))  # type: ignore[union-attr]
    else:
        time.sleep(seconds)


@contextmanager
def _lock_timeout_named(connection: Connection) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        # lock_not_available of PostgreSQL, ER_LOCK_WAIT_TIMEOUT of MariaDB
        if {"55P03", 1205}.isdisjoint({getattr(error.orig, "sqlstate", None), *getattr(error.orig, "args", ())[:1]}):
            raise
        reason = f"a table that is to be changed has been in use for {LOCK_SECONDS} seconds"
        remedy = "end the long transactions, and try again: what was done is kept"
        raise DatabaseUnavailableError(redacted(connection.engine.url), reason, remedy) from error


@contextmanager
def migration_lock(connection: Connection) -> Iterator[None]:
    """
    Hold the tables against every other process that would upgrade them; no transaction is open before and after.

    On SQLite the lock is the transaction that the revisions run in, so that a crash leaves nothing half done. On
    PostgreSQL and MariaDB it belongs to the server session. Behind a pooler in transaction mode, give
    `rekindle db upgrade` a URL that goes past the pooler; on a Galera cluster, one node for all.
    """
    with _LOCKS[connection.dialect.name](connection):
        yield


@contextmanager
def _sqlite_lock(connection: Connection) -> Iterator[None]:
    def attempt() -> bool:
        try:
            # Readers of a WAL never wait for a writer, nor it for them. SQLite does not wait for a lock to switch.
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            if "database is locked" not in str(error.orig):
                raise
            return False
        return True

    patience, foreign_keys = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("busy_timeout", "foreign_keys")
    )
    _end_sqlite_transaction(connection, "COMMIT")  # the engine of an application may have begun one by itself
    # Without: a table that is rebuilt would take the rows with it that refer to it.
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")  # so that a task which waits here can be cancelled
    try:
        _wait_until(attempt, connection)
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience}")
        yield
        connection.exec_driver_sql("COMMIT")
    finally:
        if not connection.invalidated:
            _end_sqlite_transaction(connection, "ROLLBACK")
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience}")
            connection.exec_driver_sql(f"PRAGMA foreign_keys = {foreign_keys}")
        connection.rollback()


def _end_sqlite_transaction(connection: Connection, how: str) -> None:
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        connection.exec_driver_sql(how)


@contextmanager
def _postgresql_lock(connection: Connection) -> Iterator[None]:
    def attempt() -> bool:
        got = connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_POSTGRESQL_KEY})").scalar()
        connection.commit()
        return got is True

    _wait_until(attempt, connection)
    try:
        connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        connection.commit()
        yield
    finally:
        _release(connection, f"SELECT pg_advisory_unlock({_POSTGRESQL_KEY})", "RESET lock_timeout")


@contextmanager
def _mariadb_lock(connection: Connection) -> Iterator[None]:
    def attempt() -> bool:
        return connection.exec_driver_sql(f"SELECT GET_LOCK({_MARIADB_NAME}, 0)").scalar() == 1

    _wait_until(attempt, connection)
    try:
        connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
        connection.commit()
        yield
    finally:
        _release(connection, f"SELECT RELEASE_LOCK({_MARIADB_NAME})", "SET SESSION lock_wait_timeout = DEFAULT")


def _release(connection: Connection, *statements: str) -> None:
    """Give the session back as it was. When it is lost, so is the lock, and the reason must not be hidden."""
    if connection.invalidated:
        connection.rollback()
        return
    try:
        connection.rollback()
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()
    except DBAPIError:
        connection.invalidate()
        connection.rollback()


_LOCKS = {
    "sqlite": _sqlite_lock,
    "postgresql": _postgresql_lock,
    "mysql": _mariadb_lock,
    "mariadb": _mariadb_lock,
}
