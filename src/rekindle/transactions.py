"""
One call of a store as one transaction: on which connection it runs, and when it may run again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Condition
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from rekindle.attempts import Attempt, Deletion, Verdict
from rekindle.engine import POOL_SIZE, transaction_level
from rekindle.errors import (
    OutcomeUnknownError,
    RekindleError,
    SessionExistsError,
    SessionNotFoundError,
    StaleSessionError,
)
from rekindle.execution import ThroughDriver
from rekindle.observability import tried_again
from rekindle.repository import SessionRepository

T = TypeVar("T")
Operation = Callable[[SessionRepository], T]

AGAIN_WHEN_STALE: dict[str, Any] = {
    "attempts": None, "timeout": 30, "wait_initial": 0.001, "wait_max": 0.1, "wait_jitter": 0.01
}  # fmt: skip
"""How stamina repeats update() after a lost race, in seconds: soon, because the winner is done already."""

AGAIN: dict[str, Any] = {
    "attempts": 10, "timeout": 15, "wait_initial": 0.01, "wait_max": 1, "wait_jitter": 0.05
}  # fmt: skip
"""How stamina repeats what the server rolled back or the network lost: for some three seconds in all."""

# SQLSTATEs of PostgreSQL and error numbers of MariaDB: serialization failure, deadlock, lock time-out.
_ROLLED_BACK = {"40001", "40P01", "55P03", 1020, 1213, 1205}

_MISSED = (StaleSessionError, SessionExistsError, SessionNotFoundError)


def rolled_back(error: Exception) -> bool:
    """Whether the server undid the whole transaction and asks for another try; repeating is then always safe."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    # PyMySQL has both, and a SQLSTATE that says nothing.
    return not _ROLLED_BACK.isdisjoint({getattr(error.orig, "sqlstate", None), *error.orig.args[:1]})


def lost(error: BaseException) -> bool:
    """Whether the connection broke, or none could be made; what was sent may have arrived."""
    if not isinstance(error, DBAPIError):
        return False
    # An error of no statement is one of connecting. SQLite connects to a file, which does not come back by waiting.
    unreachable = isinstance(error, OperationalError) and error.statement is None
    return error.connection_invalidated or (unreachable and type(error.orig).__module__ != "sqlite3")


class Repeatable(Generic[T]):
    """
    A call of a store that can be made again when its connection was lost.

    Every write is a compare-and-swap, or creates a row, or deletes one: made twice it takes effect once at most. What
    is left to find out is whether the first try arrived, and that is read from the row, never guessed.
    """

    def __init__(self, operation: Operation[T]) -> None:
        self._operation = operation
        self._sent: list[Attempt | Deletion] = []
        self._doubtful = 0

    def again(self, error: Exception) -> bool:
        """Whether to try once more after this error."""
        again = rolled_back(error)
        if again:
            self._forget_this_try()
        elif not lost(error):
            return False
        tried_again(error, connection_lost=not again)
        return True

    def __call__(self, repository: SessionRepository) -> T:
        """Try once; from the second time on, look first whether an earlier try has arrived."""
        if self._sent and (arrived := self._arrived(repository)):
            return cast("T", arrived.answer)
        repository.attempts, self._doubtful = self._sent, len(self._sent)
        try:
            return self._operation(repository)
        except _MISSED:
            self._forget_this_try()
            # The server may still have been at work on an earlier try, and have finished it before this one.
            if self._sent and (arrived := self._arrived(repository)):
                return cast("T", arrived.answer)
            raise

    def _forget_this_try(self) -> None:
        """What became of it is known."""
        del self._sent[self._doubtful :]

    def _arrived(self, repository: SessionRepository) -> Attempt | Deletion | None:
        row = None
        with suppress(SessionNotFoundError):
            row = repository.stored(self._sent[0].session_id)
        verdicts = [(attempt, attempt.verdict(row)) for attempt in self._sent]
        for attempt, verdict in verdicts:
            if verdict is Verdict.ARRIVED:
                return attempt
        if any(verdict is Verdict.UNKNOWN for _, verdict in verdicts):
            raise OutcomeUnknownError(self._sent[0].session_id)
        self._sent[:] = [attempt for attempt, verdict in verdicts if verdict is not Verdict.NEVER]
        return None


def _at_transaction_level(connection: Connection) -> Connection:
    try:
        return connection.execution_options(isolation_level=transaction_level(connection.dialect))
    except connection.dialect.loaded_dbapi.Error as error:
        # Where the level is set by a statement, SQLAlchemy lets the driver's own error through.
        connection.invalidate(error)
        raise OperationalError("SET TRANSACTION", None, error, connection_invalidated=True) from error


class HeldConnections:
    """
    AUTOCOMMIT connections that stay checked out of the pool between calls, at most as many as the pool has.

    Checking one out and in again costs more than a read from SQLite. Used by any number of threads; each call has a
    connection, and the repository over it, to itself.
    """

    def __init__(self, engine: Engine, options: dict[str, Any]) -> None:
        self._engine = engine
        self._options = options
        self._idle: deque[SessionRepository] = deque()
        # Of `_open` and `_waiting`, and only where nothing is idle: a semaphore around each call costs as much as
        # reading the times of a row.
        self._turn = Condition()
        self._open = 0
        self._waiting = 0

    def run(self, operation: Operation[T]) -> T:
        """Run an operation whose statements are transactions of their own."""
        repository = self._taken()
        try:
            result = operation(repository)
        except RekindleError:
            self._put_back(repository)
            raise
        except BaseException as error:
            self._give_up(repository.execution.connection, error)
            raise
        self._put_back(repository)
        return result

    def transact(self, operation: Operation[T]) -> T:
        """Run an operation whose statements stand or fall together."""
        connection = self._taken().execution.connection
        try:
            with connection:
                # What SQLAlchemy began for itself; in AUTOCOMMIT the server knows nothing of it.
                connection.rollback()
                in_transaction = _at_transaction_level(connection)
                with in_transaction.begin():
                    return operation(SessionRepository(in_transaction, **self._options))
        except DBAPIError as error:
            if lost(error):
                self._replace_all()
            raise
        finally:
            self._closed()

    def close(self) -> None:
        """Close the connections. Not while other threads are still in a call."""
        self._give_back_idle()
        self._engine.dispose()

    def _give_up(self, connection: Connection, error: BaseException) -> None:
        """Whatever state the database left it in, the pool sorts it out; in the midst of an answer, nobody can."""
        try:
            if not isinstance(error, Exception):
                connection.invalidate()
            connection.close()
        finally:
            self._closed()
        if lost(error):
            self._replace_all()

    def _replace_all(self) -> None:
        """Where one connection is lost the others likely are; a retry is not to meet them one by one."""
        pool: Any = self._engine.pool
        with suppress(DBAPIError):  # somebody else was faster, and the pool tried to connect
            for _ in range(pool.checkedin()):
                with self._engine.connect() as connection:
                    connection.invalidate()
        self._give_back_idle(invalid=True)

    def _give_back_idle(self, *, invalid: bool = False) -> None:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop().execution.connection
                if invalid:
                    connection.invalidate()
                connection.close()
                self._closed()

    def _taken(self) -> SessionRepository:
        try:
            repository = self._idle.pop()
        except IndexError:
            return self._waited_for() or self._opened()
        repository.attempts = None
        return repository

    def _put_back(self, repository: SessionRepository) -> None:
        self._idle.append(repository)
        if self._waiting:
            with self._turn:
                self._turn.notify()

    def _waited_for(self) -> SessionRepository | None:
        """Wait for one that is put back, or return None once there is a place to open another."""
        with self._turn:
            # Counted before it looks: whoever puts one back from here on sees that somebody waits.
            self._waiting += 1
            try:
                while True:
                    with suppress(IndexError):
                        return self._idle.pop()
                    if self._open < POOL_SIZE:
                        self._open += 1
                        return None
                    self._turn.wait()
            finally:
                self._waiting -= 1

    def _opened(self) -> SessionRepository:
        try:
            connection = self._engine.connect()
        except BaseException:
            self._closed()
            raise
        repository = SessionRepository(connection, **self._options)
        repository.execution = ThroughDriver(connection)
        return repository

    def _closed(self) -> None:
        with self._turn:
            self._open -= 1
            self._turn.notify()
