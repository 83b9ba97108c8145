"""What the promises are tested with: documents, rows edited by hand, and other people's timing."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from rekindle import SessionMetadata, SessionRepository, SessionStore
from rekindle.orm import session_metadata, session_metadata_archive, session_metadata_quarantine

LONG_AGO = datetime(2024, 2, 29, 12, 30, 45, 123456, UTC)


class Documents:
    """Documents of other schema versions, as text."""

    outdated = (
        '{"model": "gpt-4.1",  "tooling": {"shell": false, "builtins": true}, "max_tokens": 4096,\n'
        ' "provider": "open_a_i", "host_mode": true, "comms_name": "w\\u00f6rker", "realm_id": "mob:office"}\n'
    )
    """Schema version 1: without the number, as the first releases wrote it, and as no serializer of ours would."""

    version_2 = '{"schema_version":2,"model":"gpt-5","max_tokens":1,"provider":"open_a_i","tooling":{}}'

    newer = '{"schema_version": 4, "model": {"name": "m", "of": "a later release"}, "tooling": 7}'
    """Schema version 4, whose format this release cannot know."""


@pytest.fixture
def documents() -> type[Documents]:
    return Documents


@pytest.fixture
def new_metadata() -> Callable[..., SessionMetadata]:
    """Make valid metadata, with the fields given in place of the usual ones."""

    def make(**fields: Any) -> SessionMetadata:
        usual = {"model": "claude-opus-4-5", "max_tokens": 4096, "provider": "anthropic", "tooling": {}}
        return SessionMetadata.model_validate({**usual, **fields})

    return make


@pytest.fixture
def as_json() -> Callable[[SessionMetadata], str]:
    """Spell metadata so that 1, 1.0 and true, and 0.0 and -0.0, are different texts."""

    def spell(metadata: SessionMetadata) -> str:
        return json.dumps(metadata.model_dump(mode="json"), sort_keys=True)

    return spell


# --- the tables, past every guard -----------------------------------------------------------------------------------


def _row(session_id: str, payload: str, schema_version: int, columns: dict[str, Any]) -> dict[str, Any]:
    return {
        "session_id": session_id, "schema_version": schema_version, "lock_version": 1, "payload": payload,
        "realm": None, "provider": "openai", "model": "gpt-4.1", "instance_id": None, "comms_name": None,
        "created_at": LONG_AGO, "updated_at": LONG_AGO, **columns,
    }  # fmt: skip


class Rows:
    """The tables as another release, or a careless hand, would reach them."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def insert(self, session_id: str, payload: str, schema_version: int, **columns: Any) -> None:
        """Put in a row: any payload, under any number."""
        with self._engine.begin() as connection:
            connection.execute(session_metadata.insert(), _row(session_id, payload, schema_version, columns))

    def insert_versions(self, *schema_versions: int, **columns: Any) -> None:
        """Put in a row for each of these numbers, at once; their ids are in this order."""
        numbered = enumerate(schema_versions)
        rows = [_row(f"row-{number:04d}", "{}", version, columns) for number, version in numbered]
        with self._engine.begin() as connection:
            connection.execute(session_metadata.insert(), rows)

    def edit(self, session_id: str, **columns: Any) -> None:
        """Overwrite these columns of a row, and nothing else."""
        mine = session_metadata.c.session_id == session_id
        with self._engine.begin() as connection:
            edited = connection.execute(session_metadata.update().where(mine).values(columns))
        assert edited.rowcount == 1

    def delete(self, session_id: str) -> None:
        """Take a row out, and nothing else."""
        with self._engine.begin() as connection:
            connection.execute(session_metadata.delete().where(session_metadata.c.session_id == session_id))

    def read(self, session_id: str) -> dict[str, Any] | None:
        """Read all columns of a row, None when there is none."""
        with self._engine.connect() as connection:
            mine = sa.select(session_metadata).where(session_metadata.c.session_id == session_id)
            row = connection.execute(mine).one_or_none()
        return None if row is None else dict(row._mapping)

    def archived(self, session_id: str) -> list[dict[str, Any]]:
        """Read what the archive keeps of a session, oldest first."""
        table = session_metadata_archive
        kept = sa.select(table).where(table.c.session_id == session_id)
        with self._engine.connect() as connection:
            rows = connection.execute(kept.order_by(table.c.lock_version, table.c.schema_version)).all()
        return [dict(row._mapping) for row in rows]

    def quarantine(self, session_id: str, realm: str | None = None) -> None:
        """List a row as one that does not load."""
        entry = {
            "session_id": session_id, "schema_version": 1, "lock_version": 1, "realm": realm, "step": "validate",
            "error_class": "InvalidPayloadError", "message": "model: Field required",
            "payload_sha256": sha256(b"{}").hexdigest(), "attempts": 1,
            "first_seen_at": LONG_AGO, "last_seen_at": LONG_AGO,
        }  # fmt: skip
        with self._engine.begin() as connection:
            connection.execute(session_metadata_quarantine.insert(), entry)

    def count(self) -> dict[str, int]:
        """Count the rows of all three tables."""
        tables = {
            "sessions": session_metadata,
            "archive": session_metadata_archive,
            "quarantine": session_metadata_quarantine,
        }
        with self._engine.connect() as connection:
            return {
                name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for name, table in tables.items()
            }


@pytest.fixture
def rows(engine) -> Rows:
    return Rows(engine)


@pytest.fixture
def fill(engine, documents) -> Callable[..., None]:
    """Put so many rows of schema version 2 into the table."""

    def put(count: int, prefix: str = "session", payload: str = documents.version_2) -> None:
        then = datetime(2024, 2, 29, tzinfo=UTC)
        batch = [
            {
                "session_id": f"{prefix}-{number:05}", "schema_version": 2, "lock_version": 1, "payload": payload,
                "realm": None, "provider": "openai", "model": "gpt-5", "instance_id": None, "comms_name": None,
                "created_at": then, "updated_at": then,
            }
            for number in range(count)
        ]  # fmt: skip
        with engine.begin() as connection:
            connection.execute(session_metadata.insert(), batch)

    return put


@pytest.fixture
def rival(database_url) -> Iterator[SessionStore]:
    """Somebody else's store on the same database, synchronous in both colours: it can act inside of callbacks."""
    with SessionStore.open(database_url) as store:
        yield store


# --- repositories in a session of the caller ------------------------------------------------------------------------


def _begin_for_real(engine: sa.Engine) -> None:
    """Have SQLite begin transactions when SQLAlchemy does; Python's driver would only begin at the first write."""

    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")


@pytest.fixture
def repository_over(colour, drive) -> Callable[..., Any]:
    """Make a repository over a caller's Session or Connection, with the options given."""

    def over(db: Any, **options: Any) -> Any:
        if colour == "sync":
            return SessionRepository(db, **options)
        from rekindle import AsyncSessionRepository

        return drive(AsyncSessionRepository(getattr(db, "target", db), **options))

    return over


@pytest.fixture
def open_session(backend, database_url, colour, drive) -> Callable[[], AbstractContextManager[Any]]:
    """Open a caller's Session, or driven AsyncSession; what the body does not commit is rolled back."""

    @contextmanager
    def session() -> Iterator[Any]:
        if colour == "sync":
            engine = sa.create_engine(database_url)
            db: Any = Session(engine)
        else:
            from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

            url = sa.make_url(database_url).set(drivername=f"{backend.name}+{backend.async_driver}")
            asynchronous = create_async_engine(url)
            engine, db = asynchronous.sync_engine, drive(AsyncSession(asynchronous))
        if backend.server is None:
            _begin_for_real(engine)
        try:
            yield db
        finally:
            db.close()
            (engine if colour == "sync" else drive(asynchronous)).dispose()

    return session


@pytest.fixture
def repository_scope(open_session, repository_over) -> Callable[..., AbstractContextManager[tuple[Any, Any]]]:
    """Open a caller's session and, over it, a repository with the options given."""

    @contextmanager
    def scope(**options: Any) -> Iterator[tuple[Any, Any]]:
        with open_session() as db:
            yield db, repository_over(db, **options)

    return scope


# --- timing ---------------------------------------------------------------------------------------------------------


@contextmanager
def _listening(listener: Callable[..., None]) -> Iterator[None]:
    """Hear every statement of every engine, right before the database does."""
    sa.event.listen(sa.Engine, "before_cursor_execute", listener)
    yield
    sa.event.remove(sa.Engine, "before_cursor_execute", listener)


@pytest.fixture
def statements_sent() -> Callable[[], AbstractContextManager[list[str]]]:
    """Write down the SQL that is sent while the body runs."""

    @contextmanager
    def listen() -> Iterator[list[str]]:
        sent: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            sent.append(statement)

        with _listening(note):
            yield sent

    return listen


Intervention = AbstractContextManager[list[str]]


@contextmanager
def _intervening(is_the_moment: Callable[[str], object], act: Callable[[], Any]) -> Iterator[list[str]]:
    happened: list[str] = []

    def watch(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not happened and is_the_moment(statement):
            happened.append(statement)
            act()

    with _listening(watch):
        yield happened


@pytest.fixture
def right_before() -> Callable[[str, Callable[[], Any]], Intervention]:
    """
    Do something once, right before the next statement that starts with these words reaches the database.

    What it yields is empty until that has happened.
    """

    def intervene(words: str, act: Callable[[], Any]) -> Intervention:
        return _intervening(lambda statement: statement.startswith(words), act)

    return intervene


@pytest.fixture
def right_before_statement() -> Callable[[int, Callable[[], Any]], Intervention]:
    """
    Do something once, right before the statement of this number, counted from 1, reaches the database.

    What it yields is empty when there were not so many.
    """

    def intervene(number: int, act: Callable[[], Any]) -> Intervention:
        numbers = count(1)
        return _intervening(lambda _: next(numbers) == number, act)

    return intervene


@pytest.fixture
def right_before_it_holds_the_row() -> Callable[[Callable[[], Any]], Intervention]:
    """
    Do something once, right before the next statement that writes, or locks what it reads: the last moment there is.

    What it yields is empty until that has happened.
    """
    holds = re.compile(r"UPDATE|DELETE|INSERT|SELECT.*(?:FOR UPDATE|FOR SHARE|LOCK IN SHARE MODE)", re.DOTALL)

    def intervene(act: Callable[[], Any]) -> Intervention:
        return _intervening(holds.match, act)

    return intervene


@pytest.fixture
def all_at_once(colour, store, runner) -> Callable[..., list[Any]]:
    """Call functions of one store together, from threads or as tasks; their results, or what they raised."""

    def from_threads(*calls: Callable[[Any], Any]) -> list[Any]:
        start = threading.Barrier(len(calls))

        def run(call: Callable[[Any], Any]) -> Any:
            start.wait(timeout=30)
            try:
                return call(store)
            except Exception as error:  # noqa: BLE001 - what it raised is what is asked for
                return error

        with ThreadPoolExecutor(len(calls)) as threads:
            return list(threads.map(run, calls))

    def as_tasks(*calls: Callable[[Any], Any]) -> list[Any]:
        async def gather() -> list[Any]:
            return await asyncio.gather(*(call(store.target) for call in calls), return_exceptions=True)

        return runner.run(gather())

    return from_threads if colour == "sync" else as_tasks
