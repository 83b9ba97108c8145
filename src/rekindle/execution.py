"""
How a statement gets to the database: through SQLAlchemy Core, or straight to the driver.

Core's execute() takes longer than SQLite needs to find a row and pydantic to read it. So a store, which has its engine
to itself, hands the driver's cursor the text that SQLAlchemy compiled, once for all of its connections.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from sqlalchemy import Connection, Delete, Dialect, Engine, Insert, Select, Update
from sqlalchemy.exc import DBAPIError, OperationalError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


Statement: TypeAlias = Select[Any] | Insert | Update | Delete


class Execution(Protocol):
    """What a repository has its statements executed by."""

    @property
    def connection(self) -> Connection:
        """For what is not worth a short cut."""

    def rows(self, statement: Statement, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Read all rows, as the driver hands them over: moments may be text, and in any zone."""

    def write(self, statement: Statement, parameters: Mapping[str, Any]) -> int:
        """Write, and count the rows that were."""


class ThroughCore:
    """In a transaction of the caller's, whose Session or Connection has to know what is going on."""

    def __init__(self, db: Session | Connection) -> None:
        self._db = db

    @property
    def connection(self) -> Connection:
        """The connection of the transaction that the Session is in now."""
        return self._db if isinstance(self._db, Connection) else self._db.connection()

    def rows(self, statement: Statement, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """See Execution.rows."""
        return self.connection.execute(statement, parameters).all()

    def write(self, statement: Statement, parameters: Mapping[str, Any]) -> int:
        """See Execution.write."""
        return self.connection.execute(statement, parameters).rowcount


class _Text(NamedTuple):
    """A statement as its driver takes it; `order` is None where it takes values by name."""

    sql: str
    order: tuple[str, ...] | None
    constants: dict[str, Any]
    processors: tuple[tuple[str, Callable[[Any], Any]], ...]

    def values(self, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Sequence[Any]:
        """Give parameters as the driver wants them."""
        if self.constants:
            parameters = {**self.constants, **parameters}
        if self.processors:
            parameters = dict(parameters)
            for name, process in self.processors:
                parameters[name] = process(parameters[name])
        return parameters if self.order is None else [parameters[name] for name in self.order]


class ThroughDriver:
    """
    On an AUTOCOMMIT connection that nobody else has.

    Whatever goes wrong comes as the same SQLAlchemy error as from Core. As soon as somebody listens to SQLAlchemy's
    events, as tracers do, or has SQL logged, Core does the work, so that they miss nothing.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._core = ThroughCore(connection)
        self._texts = _texts_of(connection.dialect)
        # Of a driver for asyncio, SQLAlchemy's own takes two turns of the greenlet where one will do.
        self._ask = _awaited if connection.dialect.is_async else _asked
        proxied = connection.connection
        self._driver: Any = proxied.driver_connection if connection.dialect.is_async else proxied.dbapi_connection
        self._failure = connection.dialect.loaded_dbapi.Error
        self._logged = logging.getLogger("sqlalchemy.engine.Engine").isEnabledFor(logging.INFO)

    def rows(self, statement: Statement, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """See Execution.rows."""
        text = self._text_of(statement)
        try:
            if text is None:
                return self._core.rows(statement, parameters)
            found: Sequence[Sequence[Any]] = self._answer(text, parameters, reads=True)
        except OperationalError as error:
            if _NO_UTF_8 not in str(error.orig):
                raise
        else:
            return found
        # A text that a hand has put into SQLite: its bytes are handed on, so that it does not take other rows with it.
        usual, self._driver.text_factory = self._driver.text_factory, _text_or_bytes
        try:
            return self._core.rows(statement, parameters)
        finally:
            self._driver.text_factory = usual

    def write(self, statement: Statement, parameters: Mapping[str, Any]) -> int:
        """See Execution.write."""
        text = self._text_of(statement)
        if text is None:
            return self._core.write(statement, parameters)
        written: int = self._answer(text, parameters, reads=False)
        return written

    def write_many(self, statement: Insert | Update, parameters: Sequence[Mapping[str, Any]]) -> int:
        """Write with each of these in turn, and count the rows that were; not over a driver for asyncio."""
        text = self._text_of(statement)
        if text is None:
            return self.connection.execute(statement, parameters).rowcount
        cursor = self._driver.cursor()
        try:
            cursor.executemany(text.sql, [text.values(each) for each in parameters])
        except self._failure as error:
            raise self._wrapped(error, text) from error
        written: int = cursor.rowcount
        cursor.close()
        return written

    def _text_of(self, statement: Statement) -> _Text | None:
        """Give what goes to the driver, None where Core has to do it."""
        if self._logged or _is_watched(self.connection.engine):
            return None
        if statement not in self._texts:
            self._texts[statement] = _compiled(statement, self.connection.dialect)
        return self._texts[statement]

    def _answer(self, text: _Text, parameters: Mapping[str, Any], *, reads: bool) -> Any:
        try:
            return self._ask(self._driver, text.sql, text.values(parameters), reads)
        except self._failure as error:
            raise self._wrapped(error, text) from error

    def _wrapped(self, error: Any, text: _Text) -> BaseException:
        dialect = self.connection.dialect
        lost = dialect.is_disconnect(error, self._driver, None)
        if lost:
            self.connection.invalidate(error)
        wrapped: BaseException = DBAPIError.instance(
            text.sql, {}, error, self._failure, hide_parameters=True, connection_invalidated=lost, dialect=dialect
        )
        return wrapped


def _asked(driver: Any, sql: str, values: Any, reads: bool) -> Any:
    cursor = driver.cursor()
    try:
        cursor.execute(sql, values)
        return cursor.fetchall() if reads else cursor.rowcount
    finally:
        cursor.close()


def _awaited(driver: Any, sql: str, values: Any, reads: bool) -> Any:
    # Here and not above: only those who use it need the greenlet package.
    from sqlalchemy.util import await_only  # noqa: PLC0415

    return await_only(_asked_in_loop(driver, sql, values, reads))


async def _asked_in_loop(driver: Any, sql: str, values: Any, reads: bool) -> Any:
    # Entered, as every driver's can be, and not left: of a call that is cancelled, aiomysql would await the rest.
    cursor = await driver.cursor().__aenter__()
    await cursor.execute(sql, values)
    answer = await cursor.fetchall() if reads else cursor.rowcount
    await cursor.close()
    return answer


def write_many(connection: Connection, statement: Insert | Update, parameters: Sequence[Mapping[str, Any]]) -> int:
    """Write with each of these in turn, in the transaction that the connection is in; count the rows that were."""
    return ThroughDriver(connection).write_many(statement, parameters)


@lru_cache(maxsize=8)
def _texts_of(_dialect: Dialect) -> dict[Statement, _Text | None]:
    """Keep what was compiled for an engine, for all of its connections."""
    return {}


_NO_UTF_8 = "Could not decode to UTF-8"


def _text_or_bytes(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _is_watched(engine: Engine) -> bool:
    heard = engine.dispatch
    return bool(
        heard.before_cursor_execute
        or heard.after_cursor_execute
        or heard.before_execute
        or heard.after_execute
        or engine.dialect.dispatch.handle_error
    )


def _compiled(statement: Statement, dialect: Dialect) -> _Text | None:
    """Compile a statement, None when it has as many parameters as it is given values (IN)."""
    columns = statement.table.c.keys() if isinstance(statement, Insert) else None
    compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
    if any(bind.expanding for bind in compiled.binds.values()):
        return None
    processors = {name: bind.type.bind_processor(dialect) for name, bind in compiled.binds.items()}
    return _Text(
        compiled.string,
        tuple(compiled.positiontup) if dialect.positional else None,
        {name: bind.value for name, bind in compiled.binds.items() if not bind.required},
        tuple((name, process) for name, process in processors.items() if process is not None),
    )
