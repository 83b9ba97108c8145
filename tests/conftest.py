"""
Databases for tests: one body of test for {sqlite, postgresql, mariadb} x {sync, async}.

A test that asks for `store` runs six times, one that asks for `database_url` or `engine` alone three times. Bodies are
synchronous; what is asyncio is driven from outside. Each run makes databases of its own on the servers, by the real
migrations, and drops them; each test finds the tables empty.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import isawaitable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from rekindle import AsyncSessionStore, SessionStore
from rekindle.database import upgrade
from rekindle.orm import Base

PREFIX = "rekindle_test_"
LEFT_BEHIND_AFTER = timedelta(hours=6)
"""Databases of runs that crashed are dropped by a later run, and no run takes this long."""


@dataclass(frozen=True)
class Capabilities:
    """How the engines differ where a test has to know."""

    skips_locked_rows: bool
    """A statement can pass over rows that another transaction holds (SKIP LOCKED)."""
    locks_single_rows: bool
    """Two transactions can write different rows at the same time, and can therefore deadlock."""
    aborts_transaction_on_error: bool
    """After a failed statement the transaction refuses every other until it is rolled back."""
    writes_after_others_wrote: bool
    """A transaction that has read may still write once another transaction has written and committed."""
    reads_from_a_snapshot: bool
    """By default a transaction does not see what others committed since its first read."""
    bounds_statement_size: bool
    """A statement with its values, escaped, has a limit that two payloads can reach."""


@dataclass(frozen=True)
class Server:
    """How to reach a database server, and what it calls making, listing and dropping a database."""

    variable: str
    default: str
    create: str
    drop: str
    names: str
    impatient: dict[str, str]
    """What a connection is told not to wait forever for a lock that a failed test left behind."""

    @property
    def url(self) -> sa.URL:
        """Say where the server is, for somebody who may create databases."""
        return sa.make_url(os.environ.get(self.variable, self.default))


@dataclass(frozen=True)
class Backend:
    """One of the engines, with the drivers that are tested for it."""

    name: str
    sync_driver: str
    async_driver: str
    capabilities: Capabilities
    server: Server | None = None


SQLITE = Backend(
    name="sqlite",
    sync_driver="sqlite3",
    async_driver="aiosqlite",
    capabilities=Capabilities(
        skips_locked_rows=False,
        locks_single_rows=False,
        aborts_transaction_on_error=False,
        writes_after_others_wrote=False,
        reads_from_a_snapshot=True,
        bounds_statement_size=False,
    ),
)
POSTGRESQL = Backend(
    name="postgresql",
    sync_driver="psycopg",
    async_driver="psycopg",
    capabilities=Capabilities(
        skips_locked_rows=True,
        locks_single_rows=True,
        aborts_transaction_on_error=True,
        writes_after_others_wrote=True,
        reads_from_a_snapshot=False,
        bounds_statement_size=False,
    ),
    server=Server(
        variable="REKINDLE_TEST_POSTGRESQL_URL",
        default="postgresql://root@127.0.0.1:5432/postgres",
        create="CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'",
        drop="DROP DATABASE IF EXISTS {name} WITH (FORCE)",
        names="SELECT datname FROM pg_database",
        impatient={"options": "-c lock_timeout=20s"},
    ),
)
MARIADB = Backend(
    name="mariadb",
    sync_driver="pymysql",
    async_driver="aiomysql",
    capabilities=Capabilities(
        skips_locked_rows=True,
        locks_single_rows=True,
        aborts_transaction_on_error=False,
        writes_after_others_wrote=True,
        reads_from_a_snapshot=True,
        bounds_statement_size=True,
    ),
    server=Server(
        variable="REKINDLE_TEST_MARIADB_URL",
        default="mariadb://root@127.0.0.1:3306/",
        # The poorest default there is: the tables must not depend on it.
        create="CREATE DATABASE {name} CHARACTER SET latin1",
        drop="DROP DATABASE IF EXISTS {name}",
        names="SELECT schema_name FROM information_schema.schemata",
        impatient={"init_command": "SET innodb_lock_wait_timeout = 20"},
    ),
)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    """Settings of the person who runs the tests decide nothing in them."""
    for name in ("REKINDLE_URL", "REKINDLE_WRITE_VERSION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", params=[SQLITE, POSTGRESQL, MARIADB], ids=lambda backend: backend.name)
def backend(request) -> Backend:
    return request.param


@pytest.fixture
def capabilities(backend) -> Capabilities:
    return backend.capabilities


@pytest.fixture(params=["sync", "async"])
def colour(request, backend) -> str:
    driver = backend.async_driver if request.param == "async" else backend.sync_driver
    _require_module(driver)
    if request.param == "async":
        _require_module("greenlet")
    return request.param


# --- databases ------------------------------------------------------------------------------------------------------


def _unavailable(reason: str) -> NoReturn:
    """Skip for people without the servers; fail where they are part of the deal."""
    if os.environ.get("REKINDLE_REQUIRE_DATABASES") == "1":
        pytest.fail(f"REKINDLE_REQUIRE_DATABASES is 1 and {reason}", pytrace=False)
    pytest.skip(reason)


def _require_module(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        _unavailable(f"{name} is not installed")


@contextmanager
def _engine(url: sa.URL, **options: Any) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url, **options)
    try:
        yield engine
    finally:
        engine.dispose()


def _drop_left_behind(connection: sa.Connection, server: Server) -> None:
    for name in connection.execute(sa.text(server.names)).scalars().all():
        found = re.fullmatch(rf"{PREFIX}(\d{{14}})_[0-9a-f]+", name)
        if found is None:
            continue
        made = datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        if datetime.now(UTC) - made > LEFT_BEHIND_AFTER:
            connection.execute(sa.text(server.drop.format(name=name)))


@pytest.fixture(scope="session")
def _server(backend) -> Iterator[sa.Engine | None]:
    """Connected to the server, if the engine has one, as somebody who may create databases."""
    if backend.server is None:
        yield None
        return
    _require_module(backend.sync_driver)
    url = backend.server.url.set(drivername=f"{backend.name}+{backend.sync_driver}")
    options = {"isolation_level": "AUTOCOMMIT", "connect_args": {"connect_timeout": 5}}
    with _engine(url, **options) as server:
        try:
            with server.connect() as connection:
                _drop_left_behind(connection, backend.server)
        except SQLAlchemyError as error:
            _unavailable(f"no {backend.name} at {url.render_as_string()}: {str(error).splitlines()[0]}")
        yield server


@contextmanager
def _database(server: sa.Engine, backend: Backend) -> Iterator[sa.URL]:
    """Make a database on a server, and drop it."""
    name = f"{PREFIX}{datetime.now(UTC):%Y%m%d%H%M%S}_{uuid.uuid4().hex[:12]}"
    with server.connect() as connection:
        connection.execute(sa.text(backend.server.create.format(name=name)))
    try:
        yield server.url.set(database=name)
    finally:
        with server.connect() as connection:
            connection.execute(sa.text(backend.server.drop.format(name=name)))


def _with_tables(engine: sa.Engine) -> sa.Engine:
    with engine.connect() as connection:
        upgrade(connection)
    return engine


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.sqlite"
    with _engine(sa.URL.create("sqlite", database=str(path))) as engine:
        _with_tables(engine)
    return path


@pytest.fixture(scope="session")
def _shared_engine(backend, _server) -> Iterator[sa.Engine | None]:
    """The database of this run on a server, which its tests have in turn."""
    if _server is None:
        yield None
        return
    with (
        _database(_server, backend) as url,
        _engine(url, poolclass=sa.NullPool) as upgrader,
        _engine(url, connect_args=backend.server.impatient) as engine,
    ):
        _with_tables(upgrader)
        yield engine


@pytest.fixture
def _connections_come_back() -> Iterator[None]:
    """Fail the test in which a connection stays checked out of its pool, whoever took it."""
    held: set[Any] = set()

    def checkout(_connection: Any, record: Any, _proxy: Any) -> None:
        held.add(record)

    def checkin(_connection: Any, record: Any) -> None:
        held.discard(record)

    sa.event.listen(sa.Pool, "checkout", checkout)
    sa.event.listen(sa.Pool, "checkin", checkin)
    yield
    sa.event.remove(sa.Pool, "checkout", checkout)
    sa.event.remove(sa.Pool, "checkin", checkin)
    assert not held, "a connection was not given back"


@pytest.fixture
def engine(_shared_engine, _sqlite_template, _connections_come_back, tmp_path) -> Iterator[sa.Engine]:
    """A synchronous engine on the test's database, for looking into the tables and editing rows by hand."""
    if _shared_engine is None:
        path = tmp_path / "sessions.sqlite"
        shutil.copy(_sqlite_template, path)
        with _engine(sa.URL.create("sqlite", database=str(path))) as own:
            yield own
    else:
        yield _shared_engine
        empty_tables(_shared_engine)


def empty_tables(engine: sa.Engine) -> None:
    """Delete every row of rekindle's tables."""
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            connection.execute(table.delete())


@pytest.fixture
def database_url(engine) -> str:
    """Where the test's database is: the tables are there, and empty."""
    return engine.url.render_as_string(hide_password=False)


# --- stores and repositories ----------------------------------------------------------------------------------------


class Driven:
    """Drives an asyncio object from a synchronous test body: each call runs to its end."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self.target = target
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.target, name)
        if not callable(attribute):
            return attribute

        def call(*arguments: Any, **options: Any) -> Any:
            result = attribute(*arguments, **options)
            return self._runner.run(_result_of(result)) if isawaitable(result) else result

        return call

    def begin_nested(self) -> Driven:
        """Begin a savepoint of an AsyncSession; what comes back is driven like the session."""
        return Driven(self._runner.run(_result_of(self.target.begin_nested())), self._runner)


async def _result_of(awaitable: Any) -> Any:
    return await awaitable


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """The event loop that everything asynchronous of one test runs on."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def drive(runner) -> Callable[[Any], Driven]:
    """Have an asyncio object driven by the event loop of the test."""
    return lambda target: Driven(target, runner)


OpenStore = Callable[..., Any]


@pytest.fixture
def open_store(database_url, colour, runner, drive) -> Iterator[OpenStore]:
    """Open a store on the test's database with the options given; closed when the test ends."""
    opened: list[Any] = []

    def open_(**options: Any) -> Any:
        if colour == "sync":
            store: Any = SessionStore.open(database_url, **options)
        else:
            store = drive(runner.run(_result_of(AsyncSessionStore.open(database_url, **options))))
        opened.append(store)
        return store

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store) -> Any:
    """A SessionStore, or a driven AsyncSessionStore, on the test's database."""
    return open_store()
