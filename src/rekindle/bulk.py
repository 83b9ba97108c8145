"""
What the engines can do for whoever goes through whole tables, in one place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from rekindle.engine import transaction_level
from rekindle.transactions import rolled_back


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How an engine is treated in bulk."""

    locks_rows: bool
    """Whether rows can be locked one by one, and those that others hold be passed over (SKIP LOCKED)."""
    batch_seconds: float
    """How long a batch should keep rows locked: what a live writer has to wait in the worst case."""
    smallest_batch: int
    """Below this, the commit is most of what a batch costs."""
    largest_batch: int
    patience: tuple[str, ...] = ()
    """What is said at the start of a transaction, so that it does not wait for long when it waits at all."""


_SQLITE = Capabilities(locks_rows=False, batch_seconds=0.1, smallest_batch=250, largest_batch=1_000)
_MARIADB = Capabilities(locks_rows=True, batch_seconds=0.1, smallest_batch=100, largest_batch=5_000)
_POSTGRESQL = Capabilities(
    locks_rows=True,
    batch_seconds=0.1,
    smallest_batch=100,
    largest_batch=5_000,
    patience=("SET LOCAL lock_timeout = '5s'",),
)
_CAPABILITIES = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL, "mysql": _MARIADB, "mariadb": _MARIADB}

# SQLSTATEs of PostgreSQL and error numbers of MariaDB: statement cancelled by its time-out.
_TIMED_OUT = {"57014", 1969, 3024}


def capabilities(dialect: str) -> Capabilities:
    """Say what an engine can do."""
    return _CAPABILITIES[dialect]


def gave_up(error: DBAPIError) -> bool:
    """Whether the database did not get through in time, or chose somebody else: a smaller batch may fare better."""
    codes = {getattr(error.orig, "sqlstate", None), *getattr(error.orig, "args", ())[:1]}
    return rolled_back(error) or not _TIMED_OUT.isdisjoint(codes) or "database is locked" in str(error.orig)


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """Connect in AUTOCOMMIT, whatever the engine's own level is, and give the connection back as it was."""
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            yield connection
        finally:
            if not connection.invalidated:
                connection.rollback()


@contextmanager
def write_transaction(connection: Connection) -> Iterator[None]:
    """
    Run the body as one transaction of a connection in AUTOCOMMIT, and leave it in AUTOCOMMIT.

    On SQLite the transaction is begun as a writing one: begun as a reading one, it would fail when it starts to write
    after somebody else has written, instead of waiting for its turn.
    """
    sqlite = connection.dialect.name == "sqlite"
    connection.rollback()
    if not sqlite:
        connection.execution_options(isolation_level=transaction_level(connection.dialect))
        try:
            with connection.begin():
                for statement in capabilities(connection.dialect.name).patience:
                    connection.exec_driver_sql(statement)
                yield
        finally:
            if not connection.invalidated:
                connection.execution_options(isolation_level="AUTOCOMMIT")
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
