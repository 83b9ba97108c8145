"""The archive of a store: SessionArchive with a transaction for each call, in both colours."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Protocol

from rekindle.archive import ArchivedDocument, ArchivePage, Pruned, SessionArchive
from rekindle.record import SessionRecord
from rekindle.transactions import Operation, T


class _Run(Protocol):
    def __call__(self, operation: Operation[T], *, transaction: bool = False) -> T: ...


class _AsyncRun(Protocol):
    def __call__(self, operation: Operation[T], *, transaction: bool = False) -> Awaitable[T]: ...


class StoreArchive:
    """`store.archive`: the originals of the sessions that were rewritten at a newer schema version."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def list(self, session_id: str | None = None, *, limit: int = 100, after: str | None = None) -> ArchivePage:
        """See SessionArchive.list."""
        return self._run(lambda db: SessionArchive.beside(db).list(session_id, limit=limit, after=after))

    def original(self, session_id: str) -> ArchivedDocument:
        """See SessionArchive.original."""
        return self._run(lambda db: SessionArchive.beside(db).original(session_id))

    def restore(
        self, session_id: str, *, lock_version: int | None = None, schema_version: int | None = None
    ) -> SessionRecord:
        """See SessionArchive.restore."""
        return self._run(
            lambda db: SessionArchive.beside(db).restore(
                session_id, lock_version=lock_version, schema_version=schema_version
            ),
            transaction=True,
        )

    def prune(self, older_than: datetime, *, including_dropped: bool = False) -> Pruned:
        """
        Remove what was archived before `older_than` and holds nothing that is nowhere else.

        In many small transactions, so it can be stopped at any moment and started again. See SessionArchive.prune_page.
        """
        total = self._prune_page(older_than, including_dropped, None)
        while total.next_cursor is not None:
            total += self._prune_page(older_than, including_dropped, total.next_cursor)
        return total

    def _prune_page(self, older_than: datetime, including_dropped: bool, after: str | None) -> Pruned:
        return self._run(
            lambda db: SessionArchive.beside(db).prune_page(
                older_than, including_dropped=including_dropped, after=after
            ),
            transaction=True,
        )


class AsyncStoreArchive:
    """StoreArchive for asyncio: the same calls, the same meaning."""

    def __init__(self, run: _AsyncRun) -> None:
        self._run = run

    async def list(self, session_id: str | None = None, *, limit: int = 100, after: str | None = None) -> ArchivePage:
        """See SessionArchive.list."""
        return await self._run(lambda db: SessionArchive.beside(db).list(session_id, limit=limit, after=after))

    async def original(self, session_id: str) -> ArchivedDocument:
        """See SessionArchive.original."""
        return await self._run(lambda db: SessionArchive.beside(db).original(session_id))

    async def restore(
        self, session_id: str, *, lock_version: int | None = None, schema_version: int | None = None
    ) -> SessionRecord:
        """See SessionArchive.restore."""
        return await self._run(
            lambda db: SessionArchive.beside(db).restore(
                session_id, lock_version=lock_version, schema_version=schema_version
            ),
            transaction=True,
        )

    async def prune(self, older_than: datetime, *, including_dropped: bool = False) -> Pruned:
        """See StoreArchive.prune."""
        total = await self._prune_page(older_than, including_dropped, None)
        while total.next_cursor is not None:
            total += await self._prune_page(older_than, including_dropped, total.next_cursor)
        return total

    async def _prune_page(self, older_than: datetime, including_dropped: bool, after: str | None) -> Pruned:
        return await self._run(
            lambda db: SessionArchive.beside(db).prune_page(
                older_than, including_dropped=including_dropped, after=after
            ),
            transaction=True,
        )
