"""
SessionStore and AsyncSessionStore: a repository with an engine of its own.

The embedded front door: it opens the database, checks that the tables fit, gives each call its transaction, and repeats
what is safe to repeat. What a call means is said, and decided, in repository.py.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Generator, Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from rekindle.engine import create_async_engine, create_engine, redacted, translated
from rekindle.errors import DatabaseRevisionError, StaleSessionError
from rekindle.orm import DATABASE_REVISION
from rekindle.record import Batch, Filters, Page, SessionRecord, StoredDocument, changed
from rekindle.repository import require_writable
from rekindle.revision import require_revision
from rekindle.schema import CURRENT, SessionMetadata
from rekindle.secret_guard import SecretGuard, find_secret
from rekindle.store_archive import AsyncStoreArchive, StoreArchive
from rekindle.transactions import (
    AGAIN,
    AGAIN_WHEN_STALE,
    HeldConnections,
    Operation,
    Repeatable,
    T,
    in_autocommit,
    in_transaction,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

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
        self._connections = HeldConnections(engine)
        self._options = options

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
        options = _options(realm, write_version, secret_guard)
        engine = create_engine(url, realm=realm)
        url = engine.url  # which shows no password to those who print the variables of a traceback
        try:
            with translated(engine.url):
                _require_file(engine, upgrade)
                with engine.connect() as connection:
                    _prepare(connection, upgrade)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, options)

    def close(self) -> None:
        """Close the connections. Not while other threads are still in a call."""
        self._connections.close()

    @property
    def archive(self) -> StoreArchive:
        """The originals of the sessions that were rewritten at a newer schema version."""
        return StoreArchive(self._run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self, session_id: str) -> SessionRecord:
        """See SessionRepository.load."""
        return self._run(lambda repository: repository.load(session_id))

    def find(self, session_id: str) -> SessionRecord | None:
        """See SessionRepository.find."""
        return self._run(lambda repository: repository.find(session_id))

    def stored(self, session_id: str) -> StoredDocument:
        """See SessionRepository.stored."""
        return self._run(lambda repository: repository.stored(session_id))

    def load_many(self, session_ids: Iterable[str]) -> Batch:
        """See SessionRepository.load_many."""
        wanted = list(session_ids)
        return self._run(lambda repository: repository.load_many(wanted))

    def list(self, *, limit: int = 100, after: str | None = None, **filters: Unpack[Filters]) -> Page:
        """See SessionRepository.list."""
        return self._run(lambda repository: repository.list(limit=limit, after=after, **filters))

    def list_stored(
        self, *, limit: int = 100, after: str | None = None
    ) -> tuple[tuple[StoredDocument, ...], str | None]:
        """See SessionRepository.list_stored."""
        return self._run(lambda repository: repository.list_stored(limit=limit, after=after))

    def count_by_schema_version(self) -> dict[int, int]:
        """See SessionRepository.count_by_schema_version."""
        return self._run(lambda repository: repository.count_by_schema_version())

    def add(self, session_id: str, metadata: SessionMetadata) -> SessionRecord:
        """See SessionRepository.add."""
        return self._run(lambda repository: repository.add(session_id, metadata))

    def save(self, record: SessionRecord) -> SessionRecord:
        """See SessionRepository.save."""
        return self._run(lambda repository: repository.save(record), transaction=_archives(record, self._options))

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
        return self._run(lambda repository: repository.delete(target), transaction=True)

    def import_document(
        self, session_id: str, payload: str, *, created_at: datetime | None = None, updated_at: datetime | None = None
    ) -> Literal["imported", "unchanged"]:
        """See SessionRepository.import_document."""
        return self._run(
            lambda repository: repository.import_document(
                session_id, payload, created_at=created_at, updated_at=updated_at
            )
        )

    def _run(self, operation: Operation[T], *, transaction: bool = False) -> T:
        once = self._connections.transact if transaction else self._connections.run
        call = Repeatable(operation)
        with translated(self._engine.url):
            try:
                return once(call, self._options)
            except DBAPIError as error:
                if not call.again(error):
                    raise
            from stamina import RetryingCaller  # noqa: PLC0415

            return RetryingCaller(**AGAIN).on(call.again)(once, call, self._options)


class AsyncSessionStore:
    """
    SessionStore for asyncio: the same calls, the same meaning.

    Open one per event loop and share it between tasks.
    """

    def __init__(self, engine: AsyncEngine, options: dict[str, Any]) -> None:
        self._engine = engine
        self._options = options

    @classmethod
    def open(
        cls,
        url: str | URL,
        *,
        realm: str | None = None,
        write_version: int | None = None,
        secret_guard: SecretGuard | None = find_secret,
        upgrade: bool = False,
    ) -> AsyncOpening:
        """See SessionStore.open; await the result, or enter it with `async with`."""
        return AsyncOpening(lambda: cls._open(url, _options(realm, write_version, secret_guard), upgrade))

    @classmethod
    async def _open(cls, url: str | URL, options: dict[str, Any], upgrade: bool) -> Self:
        engine = create_async_engine(url, realm=options["realm"])
        url = engine.url  # as above
        try:
            with translated(engine.url):
                _require_file(engine.sync_engine, upgrade)
                async with engine.connect() as connection:
                    await connection.run_sync(_prepare, upgrade)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine, options)

    async def close(self) -> None:
        """Close the connections. Not while other tasks are still in a call."""
        await self._engine.dispose()

    @property
    def archive(self) -> AsyncStoreArchive:
        """See SessionStore.archive."""
        return AsyncStoreArchive(self._run)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def load(self, session_id: str) -> SessionRecord:
        """See SessionRepository.load."""
        return await self._run(lambda repository: repository.load(session_id))

    async def find(self, session_id: str) -> SessionRecord | None:
        """See SessionRepository.find."""
        return await self._run(lambda repository: repository.find(session_id))

    async def stored(self, session_id: str) -> StoredDocument:
        """See SessionRepository.stored."""
        return await self._run(lambda repository: repository.stored(session_id))

    async def load_many(self, session_ids: Iterable[str]) -> Batch:
        """See SessionRepository.load_many."""
        wanted = list(session_ids)
        return await self._run(lambda repository: repository.load_many(wanted))

    async def list(self, *, limit: int = 100, after: str | None = None, **filters: Unpack[Filters]) -> Page:
        """See SessionRepository.list."""
        return await self._run(lambda repository: repository.list(limit=limit, after=after, **filters))

    async def list_stored(
        self, *, limit: int = 100, after: str | None = None
    ) -> tuple[tuple[StoredDocument, ...], str | None]:
        """See SessionRepository.list_stored."""
        return await self._run(lambda repository: repository.list_stored(limit=limit, after=after))

    async def count_by_schema_version(self) -> dict[int, int]:
        """See SessionRepository.count_by_schema_version."""
        return await self._run(lambda repository: repository.count_by_schema_version())

    async def add(self, session_id: str, metadata: SessionMetadata) -> SessionRecord:
        """See SessionRepository.add."""
        return await self._run(lambda repository: repository.add(session_id, metadata))

    async def save(self, record: SessionRecord) -> SessionRecord:
        """See SessionRepository.save."""
        return await self._run(lambda repository: repository.save(record), transaction=_archives(record, self._options))

    async def update(self, session_id: str, change: _Change) -> SessionRecord:
        """See SessionStore.update. `change` runs on the event loop: it must not block."""
        try:
            return await self._update_once(session_id, change)
        except StaleSessionError:
            from stamina import AsyncRetryingCaller  # noqa: PLC0415

            caller = AsyncRetryingCaller(**AGAIN_WHEN_STALE).on(StaleSessionError)
            return await caller(self._update_once, session_id, change)

    async def _update_once(self, session_id: str, change: _Change) -> SessionRecord:
        return await self.save(changed(await self.load(session_id), change))

    async def delete(self, target: str | SessionRecord) -> None:
        """See SessionRepository.delete."""
        return await self._run(lambda repository: repository.delete(target), transaction=True)

    async def import_document(
        self, session_id: str, payload: str, *, created_at: datetime | None = None, updated_at: datetime | None = None
    ) -> Literal["imported", "unchanged"]:
        """See SessionRepository.import_document."""
        return await self._run(
            lambda repository: repository.import_document(
                session_id, payload, created_at=created_at, updated_at=updated_at
            )
        )

    async def _run(self, operation: Operation[T], *, transaction: bool = False) -> T:
        call = Repeatable(operation)
        with translated(self._engine.url):
            try:
                return await self._once(call, transaction)
            except DBAPIError as error:
                if not call.again(error):
                    raise
            from stamina import AsyncRetryingCaller  # noqa: PLC0415

            return await AsyncRetryingCaller(**AGAIN).on(call.again)(self._once, call, transaction)

    async def _once(self, operation: Operation[T], transaction: bool) -> T:
        async with self._engine.connect() as connection:
            return await connection.run_sync(in_transaction if transaction else in_autocommit, operation, self._options)


class AsyncOpening:
    """What AsyncSessionStore.open() returns: await it for the store, or enter it to have the store closed too."""

    def __init__(self, opening: Callable[[], Awaitable[AsyncSessionStore]]) -> None:
        self._opening = opening
        self._store: AsyncSessionStore | None = None

    def __await__(self) -> Generator[Any, None, AsyncSessionStore]:
        return self._opening().__await__()

    async def __aenter__(self) -> AsyncSessionStore:
        self._store = await self._opening()
        return self._store

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._store is not None:
            await self._store.close()


def _options(realm: str | None, write_version: int | None, secret_guard: SecretGuard | None) -> dict[str, Any]:
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


def _archives(record: SessionRecord, options: dict[str, Any]) -> bool:
    return record.schema_version < int(options["write_version"])
