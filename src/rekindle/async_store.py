"""
AsyncSessionStore: SessionStore for asyncio.

The same calls of the same repository, made from an event loop; what differs is how they are waited for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, Unpack

from sqlalchemy import URL, Engine, StaticPool
from sqlalchemy.exc import DBAPIError

from rekindle.engine import create_async_engine, create_engine, is_sqlite, translated
from rekindle.errors import StaleSessionError
from rekindle.observability import spans
from rekindle.off_loop import Greenlets, OffLoop, Threads
from rekindle.record import Batch, Filters, Page, SessionRecord, StoredDocument, changed
from rekindle.schema import SessionMetadata
from rekindle.secret_guard import SecretGuard, find_secret
from rekindle.store import archives, open_engine, options_of
from rekindle.store_archive import AsyncStoreArchive
from rekindle.transactions import AGAIN, AGAIN_WHEN_STALE, HeldConnections, Operation, Repeatable, T

_Change = Callable[[SessionMetadata], SessionMetadata | None]


class AsyncSessionStore:
    """
    SessionStore for asyncio: the same calls, the same meaning.

    Open one per event loop and share it between tasks. On SQLite a call that has begun is finished, also when its task
    is cancelled; whether it was, the row tells.
    """

    def __init__(self, engine: Engine, options: dict[str, Any], off_loop: OffLoop) -> None:
        self._engine = engine
        self._options = options
        self._off_loop = off_loop
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
    ) -> AsyncOpening:
        """See SessionStore.open; await the result, or enter it with `async with`."""
        return AsyncOpening(lambda: cls._open(url, options_of(realm, write_version, secret_guard), upgrade))

    @classmethod
    async def _open(cls, url: str | URL, options: dict[str, Any], upgrade: bool) -> Self:
        off_loop: OffLoop
        if is_sqlite(url):
            engine = create_engine(url)
            off_loop = Threads(in_memory=isinstance(engine.pool, StaticPool))
        else:
            engine = create_async_engine(url, realm=options["realm"]).sync_engine
            off_loop = Greenlets()
        url = engine.url  # as in SessionStore.open
        try:
            await off_loop.write(partial(open_engine, engine, upgrade=upgrade))
        except BaseException:
            await off_loop.close()
            raise
        return cls(engine, options, off_loop)

    async def close(self) -> None:
        """Close the connections. Not while other tasks are still in a call."""
        await self._off_loop.write(self._connections.close)
        await self._off_loop.close()

    @property
    def archive(self) -> AsyncStoreArchive:
        """See SessionStore.archive."""
        return AsyncStoreArchive(self._archive_call)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def load(self, session_id: str) -> SessionRecord:
        """See SessionRepository.load."""
        return await self._read("load", lambda repository: repository.load(session_id))

    async def find(self, session_id: str) -> SessionRecord | None:
        """See SessionRepository.find."""
        return await self._read("find", lambda repository: repository.find(session_id))

    async def stored(self, session_id: str) -> StoredDocument:
        """See SessionRepository.stored."""
        return await self._read("stored", lambda repository: repository.stored(session_id))

    async def load_many(self, session_ids: Iterable[str]) -> Batch:
        """See SessionRepository.load_many."""
        wanted = list(session_ids)
        return await self._read("load_many", lambda repository: repository.load_many(wanted))

    async def list(self, *, limit: int = 100, after: str | None = None, **filters: Unpack[Filters]) -> Page:
        """See SessionRepository.list."""
        return await self._read("list", lambda repository: repository.list(limit=limit, after=after, **filters))

    async def list_stored(
        self, *, limit: int = 100, after: str | None = None
    ) -> tuple[tuple[StoredDocument, ...], str | None]:
        """See SessionRepository.list_stored."""
        return await self._read("list_stored", lambda repository: repository.list_stored(limit=limit, after=after))

    async def count_by_schema_version(self) -> dict[int, int]:
        """See SessionRepository.count_by_schema_version."""
        return await self._read("count_by_schema_version", lambda repository: repository.count_by_schema_version())

    async def add(self, session_id: str, metadata: SessionMetadata) -> SessionRecord:
        """See SessionRepository.add."""
        return await self._write("add", lambda repository: repository.add(session_id, metadata))

    async def save(self, record: SessionRecord) -> SessionRecord:
        """See SessionRepository.save."""
        transaction = archives(record, self._options)
        return await self._write("save", lambda repository: repository.save(record), transaction=transaction)

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
        return await self._write("delete", lambda repository: repository.delete(target), transaction=True)

    async def import_document(
        self, session_id: str, payload: str, *, created_at: datetime | None = None, updated_at: datetime | None = None
    ) -> Literal["imported", "unchanged"]:
        """See SessionRepository.import_document."""
        return await self._write(
            "import_document",
            lambda repository: repository.import_document(
                session_id, payload, created_at=created_at, updated_at=updated_at
            ),
        )

    async def _archive_call(self, operation: Operation[T], *, transaction: bool = False) -> T:
        return await self._write("archive", operation, transaction=transaction)

    async def _read(self, name: str, operation: Operation[T]) -> T:
        with self._span(name):
            try:
                return await self._off_loop.read(self._connections.run, operation)
            except DBAPIError as error:
                return await self._again(error, Repeatable(operation), self._connections.run)

    async def _write(self, name: str, operation: Operation[T], *, transaction: bool = False) -> T:
        call = Repeatable(operation)
        once = self._connections.transact if transaction else self._connections.run
        with self._span(name):
            try:
                return await self._off_loop.write(once, call)
            except DBAPIError as error:
                return await self._again(error, call, once)

    async def _again(self, error: DBAPIError, call: Repeatable[T], once: Callable[[Operation[T]], T]) -> T:
        with translated(self._engine.url):
            if not call.again(error):
                raise error
            from stamina import AsyncRetryingCaller  # noqa: PLC0415

            return await AsyncRetryingCaller(**AGAIN).on(call.again)(self._off_loop.write, once, call)


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
