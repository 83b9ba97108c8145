"""
One call of a store as one transaction: on which connection it runs, and when it may run again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from rekindle.engine import POOL_SIZE, transaction_level
from rekindle.errors import RekindleError
from rekindle.repository import SessionRepository

T = TypeVar("T")
Operation = Callable[[SessionRepository], T]

AGAIN_WHEN_STALE: dict[str, Any] = {
    "attempts": None, "timeout": 30, "wait_initial": 0.001, "wait_max": 0.1, "wait_jitter": 0.01
}  # fmt: skip
"""How stamina repeats update() after a lost race, in seconds: soon, because the winner is done already."""

AGAIN_WHEN_ROLLED_BACK: dict[str, Any] = {
    "attempts": 10, "timeout": 15, "wait_initial": 0.01, "wait_max": 1, "wait_jitter": 0.05
}  # fmt: skip
"""How stamina repeats what the server rolled back."""

# SQLSTATEs of PostgreSQL and error numbers of MariaDB.
_DEADLOCK_OR_SERIALIZATION = {"40001", "40P01", 1213, 1205, 1020}


def rolled_back(error: Exception) -> bool:
    """Whether the server undid the whole transaction and asks for another try; repeating is then always safe."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    code = getattr(error.orig, "sqlstate", None) or next(iter(error.orig.args), None)
    return code in _DEADLOCK_OR_SERIALIZATION


def in_autocommit(connection: Connection, operation: Operation[T], options: dict[str, Any]) -> T:
    """Run an operation whose statements are transactions of their own."""
    return operation(SessionRepository(connection, **options))


def in_transaction(connection: Connection, operation: Operation[T], options: dict[str, Any]) -> T:
    """Run an operation whose statements stand or fall together."""
    connection = connection.execution_options(isolation_level=transaction_level(connection.dialect))
    with connection.begin():
        return operation(SessionRepository(connection, **options))


class HeldConnections:
    """
    AUTOCOMMIT connections that stay checked out of the pool between calls, at most as many as the pool has.

    Checking one out and in again costs more than a read from SQLite. Used by any number of threads; each call has a
    connection to itself.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: deque[Connection] = deque()
        self._places = BoundedSemaphore(POOL_SIZE)

    def run(self, operation: Operation[T], options: dict[str, Any]) -> T:
        """Run an operation in AUTOCOMMIT."""
        with self._places:
            connection = self._taken()
            try:
                result = in_autocommit(connection, operation, options)
            except RekindleError:
                self._idle.append(connection)
                raise
            except BaseException:
                # Whatever state the database left it in, the pool sorts it out.
                connection.close()
                raise
            self._idle.append(connection)
            return result

    def transact(self, operation: Operation[T], options: dict[str, Any]) -> T:
        """Run an operation in a transaction."""
        with self._places, self._taken() as connection:
            connection.rollback()  # what SQLAlchemy began for itself; in AUTOCOMMIT the server knows nothing of it
            return in_transaction(connection, operation, options)

    def close(self) -> None:
        """Close the connections. Not while other threads are still in a call."""
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()

    def _taken(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.connect()
