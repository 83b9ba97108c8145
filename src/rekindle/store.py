"""
SessionStore: a repository with an engine of its own.

The embedded front door: it opens the database, checks that the tables fit, gives each call its transaction, and repeats
what is safe to repeat. What a call means is said, and decided, in repository.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from rekindle.engine import create_engine, redacted, translated
from rekindle.errors import DatabaseRevisionError, StaleSessionError
from rekindle.observability import spans
from rekindle.record import Batch, Filters, Page, SessionRecord, StoredDocument, changed
from rekindle.repository import require_writable
from rekindle.revision import require_revision
from rekindle.schema import CURRENT, SessionMetadata
from rekindle.secret_guard import SecretGuard, find_secret
from rekindle.tables import DATABASE_REVISION
from rekindle.transactions import AGAIN, AGAIN_WHEN_STALE, HeldConnections, Operation, Repeatable, T

if TYPE_CHECKING:
    from rekindle.store_archive import StoreArchive

_Change = Callable[[SessionMetadata], SessionMetadata | None]


class SessionStore:
    """
    Agent sessions in a database of their own choosing: SQLite, PostgreSQL or MariaDB.

    Open one per process and share it: its methods may be called from any thread, each call is a transaction of its own,
    and an acknowledged write is durable. Deadlocks and serialization failures, which roll back by themselves, are
    repeated. Close it, or use it as a context manager.
    """

    def __init__(self, engine: Engine, options: dict[str, Any]) -> None:
        self._engine = engine
        self._options = options
        self._connections = HeldConnections(engine, options)
        self._span = spans(engine.dialect.name)

    @classmethod
    def open(
        cls,
        url: str | URL,
        *,
        realm: str | None = None,
        write_version: int | None = None,
        secret_guard: SecretGuard | None = find_secret,
        upgrade: bool = False,
    ) -> Self:
        """
        Open the database at `url`, such as `sqlite:///agents.db` or `postgresql+psycopg://host/agents`.

        With `realm`, only that realm's sessions exist. `write_version`, else REKINDLE_WRITE_VERSION, pins the schema
        version that is written while older releases still run. `secret_guard` None switches the check for credentials
        off. With `upgrade`, missing or older tables are created or upgraded first; otherwise they are
        DatabaseRevisionError. Also raises DatabaseUnavailableError, UnsupportedDatabaseError and WriteVersionError.
        """
        options = options_of(realm, write_version, secret_guard)
        engine = create_engine(url, realm=realm)
        url = engine.url  # which shows no password to those who print the variables of a traceback
        return cls(open_engine(engine, upgrade=upgrade), options)

    def close(self) -> None:
        """Close the connections. Not while other threads are still in a call."""
        self._connections.close()

    @property
    def archive(self) -> StoreArchive:
        """The originals of the sessions that were rewritten at a newer schema version."""
        from rekindle.store_archive import StoreArchive  # noqa: PLC0415 - most programs never look at them

        return StoreArchive(self._archive_call)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self, session_id: str) -> SessionRecord:
        """See SessionRepository.load."""
        return self._read("load", lambda repository: repository.load(session_id))

    def find(self, session_id: str) -> SessionRecord | None:
        """See SessionRepository.find."""
        return self._read("find", lambda repository: repository.find(session_id))

    def stored(self, session_id: str) -> StoredDocument:
        """See SessionRepository.stored."""
        return self._read("stored", lambda repository: repository.stored(session_id))

    def load_many(self, session_ids: Iterable[str]) -> Batch:
        """See SessionRepository.load_many."""
        wanted = list(session_ids)
        return self._read("load_many", lambda repository: repository.load_many(wanted))

    def list(self, *, limit: int = 100, after: str | None = None, **filters: Unpack[Filters]) -> Page:
        """See SessionRepository.list."""
        return self._read("list", lambda repository: repository.list(limit=limit, after=after, **filters))

    def list_stored(
        self, *, limit: int = 100, after: str | None = None
    ) -> tuple[tuple[StoredDocument, ...], str | None]:
        """See SessionRepository.list_stored."""
        return self._read("list_stored", lambda repository: repository.list_stored(limit=limit, after=after))

    def count_by_schema_version(self) -> dict[int, int]:
        """See SessionRepository.count_by_schema_version."""
        return self._read("count_by_schema_version", lambda repository: repository.count_by_schema_version())

    def add(self, session_id: str, metadata: SessionMetadata) -> SessionRecord:
        """See SessionRepository.add."""
        return self._write("add", lambda repository: repository.add(session_id, metadata))

    def save(self, record: SessionRecord) -> SessionRecord:
        """See SessionRepository.save."""
        transaction = archives(record, self._options)
        return self._write("save", lambda repository: repository.save(record), transaction=transaction)

    def update(self, session_id: str, change: _Change) -> SessionRecord:
        """
        Load, apply `change` to the metadata (in place, or returning a new one), save; again when somebody else saved.

        `change` may run several times, each time on what the winner left. Raises StaleSessionError after 30 seconds of
        lost races, besides what load() and save() raise.
        """
        try:
            return self._update_once(session_id, change)
        except StaleSessionError:
            # Imported where a race was lost: most processes never lose one.
            from stamina import RetryingCaller  # noqa: PLC0415

            return RetryingCaller(**AGAIN_WHEN_STALE).on(StaleSessionError)(self._update_once, session_id, change)

    def _update_once(self, session_id: str, change: _Change) -> SessionRecord:
        return self.save(changed(self.load(session_id), change))

    def delete(self, target: str | SessionRecord) -> None:
        """See SessionRepository.delete."""
        return self._write("delete", lambda repository: repository.delete(target), transaction=True)

    def import_document(
        self, session_id: str, payload: str, *, created_at: datetime | None = None, updated_at: datetime | None = None
    ) -> Literal["imported", "unchanged"]:
        """See SessionRepository.import_document."""
        return self._write(
            "import_document",
            lambda repository: repository.import_document(
                session_id, payload, created_at=created_at, updated_at=updated_at
            ),
        )

    def _archive_call(self, operation: Operation[T], *, transaction: bool = False) -> T:
        return self._write("archive", operation, transaction=transaction)

    def _read(self, name: str, operation: Operation[T]) -> T:
        with self._span(name):
            try:
                return self._connections.run(operation)
            except DBAPIError as error:
                return self._again(error, Repeatable(operation), self._connections.run)

    def _write(self, name: str, operation: Operation[T], *, transaction: bool = False) -> T:
        call = Repeatable(operation)
        once = self._connections.transact if transaction else self._connections.run
        with self._span(name):
            try:
                return once(call)
            except DBAPIError as error:
                return self._again(error, call, once)

    def _again(self, error: DBAPIError, call: Repeatable[T], once: Callable[[Operation[T]], T]) -> T:
        with translated(self._engine.url):
            if not call.again(error):
                raise error
            from stamina import RetryingCaller  # noqa: PLC0415

            return RetryingCaller(**AGAIN).on(call.again)(once, call)


def open_engine(engine: Engine, *, upgrade: bool) -> Engine:
    """Connect, and make sure that the tables are those of this release; the engine is disposed of when they are not."""
    try:
        with translated(engine.url):
            _require_file(engine, upgrade)
            with engine.connect() as connection:
                _prepare(connection, upgrade)
    except BaseException:
        engine.dispose()
        raise
    # Here and by one thread, not on the first load by several: the model is built when it is first used.
    SessionMetadata.model_rebuild()
    return engine


def options_of(realm: str | None, write_version: int | None, secret_guard: SecretGuard | None) -> dict[str, Any]:
    """Put together what every repository of a store is given. Raises WriteVersionError."""
    pinned = os.environ.get("REKINDLE_WRITE_VERSION", str(CURRENT)) if write_version is None else write_version
    return {"realm": realm, "write_version": require_writable(pinned), "secret_guard": secret_guard}


def _require_file(engine: Engine, upgrade: bool) -> None:
    """Connecting to a SQLite file that is not there would leave an empty one behind."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or upgrade or database in {None, "", ":memory:"}:
        return
    if not str(database).startswith("file:") and not Path(str(database)).exists():
        raise DatabaseRevisionError(redacted(engine.url), None, DATABASE_REVISION)


def _prepare(connection: Connection, upgrade: bool) -> None:
    if upgrade:
        # Alembic is imported by those who upgrade, not by every service that opens a store.
        from rekindle.database import upgrade as upgrade_tables  # noqa: PLC0415

        upgrade_tables(connection)
    require_revision(connection)


def archives(record: SessionRecord, options: dict[str, Any]) -> bool:
    """Whether a save has an original to keep, and so takes a transaction."""
    return record.schema_version < int(options["write_version"])
