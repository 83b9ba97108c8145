"""
AsyncSessionRepository: the same repository over an AsyncSession.

Each method runs its namesake of SessionRepository in the session's greenlet. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal, TypeVar, Unpack

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from rekindle.record import Batch, Filters, Page, SessionRecord, StoredDocument
from rekindle.repository import SessionRepository
from rekindle.schema import SessionMetadata

_T = TypeVar("_T")


class AsyncSessionRepository:
    """
    Agent sessions behind an AsyncSession (or AsyncConnection), in the transaction of whoever owns it.

    Takes the options of SessionRepository, and its methods say what these do. Not for two tasks at once, as the session
    is not.
    """

    def __init__(self, db: AsyncSession | AsyncConnection, **options: Any) -> None:
        self._db = db
        self._options = options

    async def _run(self, operation: Callable[[SessionRepository], _T]) -> _T:
        def in_greenlet(db: Session | Connection) -> _T:
            return operation(SessionRepository(db, **self._options))

        return await self._db.run_sync(in_greenlet)

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
        return await self._run(lambda repository: repository.load_many(session_ids))

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
        return await self._run(lambda repository: repository.save(record))

    async def update(
        self, session_id: str, change: Callable[[SessionMetadata], SessionMetadata | None]
    ) -> SessionRecord:
        """See SessionRepository.update. `change` runs on the event loop: it must not block."""
        return await self._run(lambda repository: repository.update(session_id, change))

    async def delete(self, target: str | SessionRecord) -> None:
        """See SessionRepository.delete."""
        return await self._run(lambda repository: repository.delete(target))

    async def import_document(
        self, session_id: str, payload: str, *, created_at: datetime | None = None, updated_at: datetime | None = None
    ) -> Literal["imported", "unchanged"]:
        """See SessionRepository.import_document."""
        return await self._run(
            lambda repository: repository.import_document(
                session_id, payload, created_at=created_at, updated_at=updated_at
            )
        )
