"""
Engines as rekindle wants them, and what their failures are called.

Connections are in AUTOCOMMIT until somebody asks for a transaction: a read then costs no BEGIN and ROLLBACK, and a
write of one statement is its own transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import URL, Dialect, Engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from rekindle.errors import DatabaseUnavailableError, UnsupportedDatabaseError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

SQLITE_BUSY_SECONDS = 15
"""How long a write waits for another process's write; SQLite admits one at a time."""

POOL_SIZE = 15
"""Connections to one database from one store: callers beyond that wait for each other."""

_SUPPORTED = {"sqlite", "postgresql", "mysql", "mariadb"}
_ASYNC_DRIVERS = {"postgresql": "psycopg", "mysql": "aiomysql", "mariadb": "aiomysql"}
_SYNC_DRIVERS = {"sqlite": "", "postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
_TRANSACTION = {"sqlite": "SERIALIZABLE"}

TRANSACTION_LEVEL = "READ COMMITTED"

REALM_SETTING = "rekindle.realm"
"""What a PostgreSQL session is told of the realm it acts for; see row_level_security.py."""


_INSUFFICIENT_PRIVILEGE = "42501"


def transaction_level(dialect: Dialect) -> str:
    """Name the isolation level of a write of several statements: what the engine's compare-and-swap needs, no more."""
    return _TRANSACTION.get(dialect.name, TRANSACTION_LEVEL)


def redacted(url: str | URL) -> str:
    """Show a URL without its password, also when it is no URL."""
    try:
        url = make_url(url)
    except (ArgumentError, ValueError):  # the latter of a port that is no number, and may be part of a password
        return "the given database URL"
    secrets = {key: "***" for key in url.query if key in {"password", "passwd", "sslpassword"}}
    return url.update_query_dict(secrets).render_as_string(hide_password=True)


def create_engine(url: str | URL, *, realm: str | None = None) -> Engine:
    """
    Make an engine for one of the supported databases; nothing is connected yet.

    With `realm`, PostgreSQL is told it on every connection, for row-level security.
    """
    with _named(url):
        target, synchronous = _synchronous(_with_driver(url, _SYNC_DRIVERS))
        engine = sa.create_engine(target, isolation_level="AUTOCOMMIT", **_options(target))
    _prepare(engine, realm, synchronous)
    return engine


def create_async_engine(url: str | URL, *, realm: str | None = None) -> AsyncEngine:
    """Make the same engine for asyncio, for a database on a server."""
    with _named(url):
        # Here and not above: the synchronous path does not pay for asyncio.
        from sqlalchemy.ext.asyncio import create_async_engine as create  # noqa: PLC0415

        target = _with_driver(url, _ASYNC_DRIVERS)
        engine = create(target, isolation_level="AUTOCOMMIT", **_options(target))
    _prepare(engine.sync_engine, realm)
    return engine


def is_sqlite(url: str | URL) -> bool:
    """Whether it is of SQLite; what is no URL is of nothing, and refused when an engine is made of it."""
    try:
        return make_url(url).get_backend_name() == "sqlite"
    except (ArgumentError, ValueError):
        return False


@contextmanager
def _named(url: str | URL) -> Iterator[None]:
    """Give what goes wrong before there is an engine a name and a remedy."""
    try:
        yield
    except NoSuchModuleError:
        raise UnsupportedDatabaseError(redacted(url), "is of no database that rekindle supports") from None
    except (ArgumentError, ValueError):
        # The message of SQLAlchemy quotes the URL, password and all.
        raise UnsupportedDatabaseError(redacted(url), "cannot be read as a database URL") from None
    except ModuleNotFoundError as error:
        remedy = "install rekindle[asyncio], rekindle[postgresql], rekindle[mariadb] or rekindle[mariadb-asyncio]"
        raise DatabaseUnavailableError(redacted(url), f"the driver {error.name!r} is not installed", remedy) from None


def _with_driver(url: str | URL, drivers: Mapping[str, str]) -> URL:
    """Fill in the tested driver where the URL names none, or one of the other colour; SQLite's own needs no name."""
    target = make_url(url)
    database = target.get_backend_name()
    if database not in _SUPPORTED:
        raise UnsupportedDatabaseError(redacted(url), f"{database} is not supported")
    tested = drivers[database]
    others = {"aiosqlite", *_ASYNC_DRIVERS.values(), *_SYNC_DRIVERS.values()} - {tested}
    if target.drivername.partition("+")[2] in {"", *others}:
        target = target.set(drivername=f"{database}+{tested}" if tested else database)
    return target


def _options(url: URL) -> dict[str, Any]:
    # Parameters would put payloads into error messages and logs.
    options: dict[str, Any] = {"hide_parameters": True, "skip_autocommit_rollback": True}
    if url.get_backend_name() == "sqlite":
        if "timeout" not in url.query:
            options["connect_args"] = {"timeout": SQLITE_BUSY_SECONDS}
        if url.database in {None, "", ":memory:"}:
            # One database, one connection: another would find an empty database of its own.
            options.setdefault("connect_args", {})["check_same_thread"] = False
            return {**options, "poolclass": sa.StaticPool}
    return {**options, "pool_size": POOL_SIZE, "max_overflow": 0}


def _synchronous(url: URL) -> tuple[URL, str]:
    """Take `?synchronous=` out of the URL of a SQLite file: whether a save waits until the disk has it."""
    if url.get_backend_name() != "sqlite" or "synchronous" not in url.query:
        return url, "full"
    level = str(url.query["synchronous"]).lower()
    if level not in {"full", "normal"}:
        reason = "has a `synchronous` that is neither full nor normal"
        raise DatabaseUnavailableError(redacted(url), reason, "correct it, or leave it out")
    return url.difference_update_query(["synchronous"]), level


def _prepare(engine: Engine, realm: str | None, synchronous: str = "full") -> None:
    if engine.dialect.name == "sqlite":
        # Whatever this SQLite was compiled with: an acknowledged save survives a power cut, unless told otherwise.
        event.listen(engine, "connect", _on_connect(f"PRAGMA synchronous={synchronous}"))
    elif engine.dialect.name == "postgresql" and realm is not None:
        marker = "$1" if engine.dialect.paramstyle == "numeric_dollar" else "%s"
        event.listen(engine, "connect", _on_connect(f"SELECT set_config('{REALM_SETTING}', {marker}, false)", realm))
    elif engine.dialect.name in {"mysql", "mariadb"}:
        event.listen(engine, "first_connect", _require_mariadb(engine), once=True)


def _on_connect(statement: str, *parameters: str) -> Any:
    def execute(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(statement, parameters)
        cursor.close()
        connection.commit()  # or the rollback of a transaction would take a setting with it

    return execute


def _require_mariadb(engine: Engine) -> Any:
    def check(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT VERSION()")
        (version,) = cursor.fetchone()
        cursor.close()
        if "mariadb" not in str(version).lower():
            raise UnsupportedDatabaseError(redacted(engine.url), f"is MySQL {version}, which is not supported")

    return check


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn a failure to open, reach or lock the database into an error with a remedy."""
    try:
        yield
    except DBAPIError as error:
        reason = _reason(error)
        if reason is None:
            raise
        if error.statement is None:
            _forget_frames(error)
        raise DatabaseUnavailableError(redacted(url), *reason) from error


def _forget_frames(error: BaseException) -> None:
    """Of connecting the messages are kept; among the variables of the drivers' frames is the password."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__


def _reason(error: DBAPIError) -> tuple[str, str] | None:
    text = str(error.orig)
    known = {
        "file is not a database": ("is not a SQLite database", "check the path"),
        "unable to open database file": ("cannot be opened", "check that the directory exists and can be written to"),
        "database is locked": ("is locked by another process", "wait for it to finish, or stop it, and try again"),
        "readonly database": ("cannot be written to", "check the permissions of the file and its directory"),
        "disk image is malformed": ("is damaged", "restore it from a backup"),
    }
    for part, reason in known.items():
        if part in text:
            return reason
    if getattr(error.orig, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE:
        remedy = "grant it the privilege; under row-level security, open the store with the realm of its sessions"
        return "does not allow this to the role that is connected", remedy
    if error.connection_invalidated:
        return "the connection was lost", "check that the server is up, and try again"
    if isinstance(error, OperationalError) and error.statement is None:
        return f"cannot be reached ({type(error.orig).__name__})", "check the address, the credentials and the server"
    return None
