"""
Empty databases, one or more per test, and what it takes to run the revisions on them: alembic at the command line,
several processes at once, and a later release with one revision more.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from rekindle import AsyncSessionStore, SessionStore, database, revision, store, tables
from rekindle.engine import create_engine

_T = TypeVar("_T")

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = '{"schema_version": 2, "model": "gpt-5", "max_tokens": 4096, "provider": "open_a_i", "tooling": {}}'

CURRENT = tables.DATABASE_REVISION
LATER = f"{int(CURRENT) + 1:04}"

LATER_REVISION = """
import sys
import sqlalchemy as sa
from alembic import op

revision = "{later}"
down_revision = "{current}"
branch_labels = None
depends_on = None


def later_table(name):
    again = op.get_context().dialect.name in ("mysql", "mariadb")
    op.create_table(name, sa.Column("session_id", sa.String(8), primary_key=True), if_not_exists=again)


def upgrade():
    {upgrade}


def downgrade():
    pass
"""


@pytest.fixture
def root() -> Path:
    """The root of the checkout."""
    return ROOT


# --- databases ------------------------------------------------------------------------------------------------------


@pytest.fixture
def make_database(backend, request, tmp_path) -> Iterator[Callable[[], str]]:
    """Make empty databases of one kind, and say where they are; they are dropped when the test ends."""
    with ExitStack() as stack:

        def make() -> str:
            name = f"rekindle_test_{datetime.now(UTC):%Y%m%d%H%M%S}_{uuid.uuid4().hex[:12]}"
            if backend.server is None:
                return f"sqlite:///{tmp_path / name}.sqlite"
            server = request.getfixturevalue("_server")
            with server.connect() as connection:
                connection.exec_driver_sql(backend.server.create.format(name=name))
            stack.callback(drop, server, name)
            return server.url.set(database=name).render_as_string(hide_password=False)

        def drop(server: sa.Engine, name: str) -> None:
            with server.connect() as connection:
                connection.exec_driver_sql(backend.server.drop.format(name=name))

        yield make


@pytest.fixture
def empty_url(make_database) -> str:
    """Where an empty database is. On SQLite the file is not there yet."""
    return make_database()


@contextmanager
def _connected(url: str) -> Iterator[sa.Connection]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@pytest.fixture
def connected() -> Any:
    """Connect to a database as rekindle does, in AUTOCOMMIT."""
    return _connected


@pytest.fixture
def upgraded_url(empty_url) -> str:
    """Where a database with the tables of this release is, and one outdated row in them."""
    with SessionStore.open(empty_url, upgrade=True) as opened:
        opened.import_document("kept", DOCUMENT, created_at=None, updated_at=None)
    return empty_url


def _catalogue(url: str) -> list[str]:
    with _connected(url) as connection:
        inspector = sa.inspect(connection)
        found = []
        for table in inspector.get_table_names():
            found += [
                f"{table}.{column['name']} {column['type']!r} {column['nullable']} {column['default']}"
                for column in inspector.get_columns(table)
            ]
            found.append(f"{table} primary key {inspector.get_pk_constraint(table)}")
            constraints = (inspector.get_unique_constraints, inspector.get_check_constraints)
            for inspect in (inspector.get_indexes, *constraints, inspector.get_foreign_keys):
                found += [f"{table} {inspect.__name__} {each}" for each in inspect(table)]
            found.append(f"{table} rows {connection.exec_driver_sql(f'SELECT count(*) FROM {table}').scalar()}")
        if connection.dialect.name != "sqlite":
            schema = "current_schema()" if connection.dialect.name == "postgresql" else "database()"
            statement = (
                "SELECT table_name, column_name, character_set_name, collation_name "
                f"FROM information_schema.columns WHERE table_schema = {schema}"
            )
            found += map(str, connection.exec_driver_sql(statement))
        if inspector.has_table(tables.VERSION_TABLE):
            found.append(f"{tables.VERSION_TABLE} is at {revision.current_revision(connection)}")
    return sorted(found)


@pytest.fixture
def catalogue() -> Callable[[str], list[str]]:
    """Describe a database: columns, types, collations, keys, indexes, their names, how many rows, which revision."""
    return _catalogue


def _run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    async def to_the_end() -> _T:
        try:
            return await coroutine
        finally:
            # A thread of aiosqlite whose connect failed tells the event loop that it ends, and needs one for it.
            for thread in threading.enumerate():
                if "_connection_worker_thread" in thread.name:
                    await asyncio.to_thread(thread.join, 20)

    return asyncio.run(to_the_end())


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine in an event loop of its own, threads included."""
    return _run


def _opening(colour: str) -> Callable[..., None]:
    async def open_asynchronously(url: str, options: dict[str, Any]) -> None:
        async with AsyncSessionStore.open(url, **options):
            pass

    def try_open(url: str, **options: Any) -> None:
        if colour == "sync":
            SessionStore.open(url, **options).close()
        else:
            _run(open_asynchronously(url, options))

    return try_open


@pytest.fixture
def try_open(colour) -> Callable[..., None]:
    """Open a store on a URL of the test's database, and close it."""
    return _opening(colour)


@pytest.fixture(params=["sync", "async"])
def try_open_any(request) -> Callable[..., None]:
    """Open a store on any URL, and close it."""
    return _opening(request.param)


# --- processes ------------------------------------------------------------------------------------------------------


def _environment(**settings: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**kept, **settings}


@pytest.fixture
def alembic() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `alembic` at the root of the checkout, or with the ini file of a later release."""

    def run(*arguments: str, ini: Path | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
        config = () if ini is None else ("-c", str(ini))
        return subprocess.run(
            [sys.executable, "-m", "alembic", *config, *arguments],
            cwd=ROOT, env=_environment(**settings), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `python ...` with pipes to all of its streams; what still runs when the test ends is killed."""
    with ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=_environment(), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


# --- a later release ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LaterRelease:
    """A copy of migrations/ with one revision more, which `alembic` reaches by an ini file of its own."""

    directory: Path
    revision: str = f"{int(tables.DATABASE_REVISION) + 1:04}"

    @property
    def ini(self) -> Path:
        """The ini file for the command line."""
        return self.directory / "alembic.ini"

    @property
    def file(self) -> Path:
        """The revision."""
        return self.directory / "migrations" / "versions" / f"{self.revision}_later.py"

    def upgrading_by(self, *statements: str) -> LaterRelease:
        """Have the revision do this."""
        body = "\n    ".join(statements)
        (self.directory / "migrations" / "versions" / f"{LATER}_later.py").write_text(
            LATER_REVISION.replace("{upgrade}", body).replace("{later}", LATER).replace("{current}", CURRENT)
        )
        return self


@pytest.fixture
def later_release(tmp_path) -> LaterRelease:
    """The release after this one."""
    directory = tmp_path / "later"
    shutil.copytree(ROOT / "migrations", directory / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "alembic.ini", directory)
    return LaterRelease(directory).upgrading_by("pass")


@pytest.fixture
def installed_later_release(later_release, monkeypatch) -> LaterRelease:
    """The release after this one, in this process."""
    monkeypatch.setattr(database, "migrations_dir", lambda: later_release.directory / "migrations")
    for module in (tables, revision, database, store):
        monkeypatch.setattr(module, "DATABASE_REVISION", LATER)
    return later_release
