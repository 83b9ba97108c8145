"""
SessionArchive: the originals of rewritten rows, in the caller's transaction.

A document goes into the archive in the transaction that overwrites it; that is done where rows are written. Here it is
looked up, put back, and in the end thrown away.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Row

from rekindle import codec
from rekindle.attempts import Attempt, Deletion
from rekindle.errors import (
    ArchiveEntryNotFoundError,
    InvalidCursorError,
    NewerSchemaError,
    RealmMismatchError,
    SchemaError,
    SessionNotFoundError,
)
from rekindle.observability import newer_row_refused
from rekindle.originals import keep
from rekindle.record import SessionRecord
from rekindle.repository import MAX_PAGE, SessionRepository
from rekindle.rewriting import archive_entry, seen_of, why_missed
from rekindle.schema import CURRENT, Change, SessionMetadata
from rekindle.session_id import checked
from rekindle.statements import archive_statements, statements

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

PRUNE_AT_ONCE = 500
"""Entries looked at in one transaction: a prune must not hold anybody up."""

_LARGEST = 2**31 - 1
"""What a column of lock or schema versions holds; a driver may not even take a number beyond 64 bits."""

_Row: TypeAlias = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """
    What the archive knows of one original, without the document.

    `lock_version` and `schema_version` are those of the row when it was overwritten, `updated_at` when it had been
    saved. A lock version below zero is of an earlier session of the same id, which was deleted past the library.
    `changes` is what the rewrite altered, `library_version` the release that did it.
    """

    session_id: str
    lock_version: int
    schema_version: int
    payload_sha256: str
    changes: tuple[Change, ...]
    realm: str | None
    library_version: str
    updated_at: datetime
    archived_at: datetime

    @property
    def has_dropped(self) -> bool:
        """Whether the rewrite dropped a value, of which this is then the only copy."""
        return any(map(_dropped, self.changes))


@dataclass(frozen=True, slots=True)
class ArchivedDocument(ArchiveEntry):
    """One original, byte for byte in `payload`."""

    payload: str


@dataclass(frozen=True, slots=True)
class ArchivePage:
    """One page of a listing of the archive; `next_cursor` continues after it, None at the end."""

    entries: tuple[ArchiveEntry, ...]
    next_cursor: str | None

    def __iter__(self) -> Iterator[ArchiveEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many old entries were removed, and how many kept for what only they still hold."""

    pruned: int = 0
    kept: int = 0
    next_cursor: str | None = None

    def __add__(self, page: Pruned) -> Pruned:
        return Pruned(self.pruned + page.pruned, self.kept + page.kept, page.next_cursor)


class SessionArchive:
    """
    The archive behind a SQLAlchemy Session (or Connection), in the transaction of whoever owns it.

    Nothing is committed here. With `realm`, only the entries of that realm exist, of sessions that are in it now. Over
    an AsyncSession: `await db.run_sync(lambda db: SessionArchive(db).restore(session_id))`.
    """

    def __init__(self, db: Session | Connection, *, realm: str | None = None) -> None:
        self._db = db
        self._realm = realm
        self._scope: dict[str, Any] = {} if realm is None else {"_realm": realm}
        self._attempts: list[Attempt | Deletion] | None = None

    @classmethod
    def beside(cls, repository: SessionRepository) -> Self:
        """Open the archive of the sessions that a repository sees."""
        archive = cls(repository.db, realm=repository.realm)
        archive._attempts = repository.attempts
        return archive

    def list(self, session_id: str | None = None, *, limit: int = 100, after: str | None = None) -> ArchivePage:
        """
        List entries of one session, or of all, by session id and oldest first; `after` is the cursor of a page before.

        Raises InvalidCursorError. A session that is not there has no entries.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"limit is {limit}; a page has 1 to {MAX_PAGE} entries")
        given = {} if session_id is None else {"_session_id": checked(session_id)}
        rows, next_cursor = self._page(given, limit, after)
        return ArchivePage(tuple(map(_entry, rows)), next_cursor)

    def original(self, session_id: str) -> ArchivedDocument:
        """
        Return the document that a session had before it was brought to the schema version it has now.

        That is the latest entry from a lower schema version than the row's. Raises SessionNotFoundError, and
        ArchiveEntryNotFoundError when the row was never rewritten, or is at its original again: then the row itself
        holds it, see SessionRepository.stored.
        """
        row = self._execute(self._sql.whole, _session_id=checked(session_id)).one_or_none()
        if row is None:
            raise SessionNotFoundError(session_id, self._realm)
        return self._archived(row, {})

    def restore(
        self, session_id: str, *, lock_version: int | None = None, schema_version: int | None = None
    ) -> SessionRecord:
        """
        Put an original back, byte for byte: that of original(), or the latest with the numbers given.

        The row gets the schema version of the original and the next lock version. What it held goes into the archive,
        so that this can be undone by restoring what was there at the lock version before. A compare-and-swap: raises
        StaleSessionError when somebody saved meanwhile, NewerSchemaError when the row or the original is of a later
        release, SessionNotFoundError, ArchiveEntryNotFoundError, and the errors of load() when the original does not
        load; nothing is written then. Returns the session as it now loads. Takes two writes: outside of a transaction
        a crash could leave the archive without what was overwritten.
        """
        numbers = {"lock_version": lock_version, "schema_version": schema_version}
        asked = {name: number for name, number in numbers.items() if number is not None}
        while True:
            row = self._execute(self._sql.whole_locked, _session_id=checked(session_id)).one_or_none()
            if row is None:
                raise SessionNotFoundError(session_id, self._realm)
            if row.schema_version > CURRENT:
                raise newer_row_refused(NewerSchemaError(row.schema_version, CURRENT, session_id))
            document = self._archived(row, asked)
            restored = self._put_back(row, document)
            if restored is not None:
                break
            versions = self._execute(self._sql.versions, _session_id=session_id).one_or_none()
            why_missed(versions, session_id, row.lock_version, self._realm)
        changes = replaced(row, restored.metadata)
        keep(self._connection(), [archive_entry(seen_of(row), row, changes)])
        return restored

    def prune_page(
        self,
        older_than: datetime,
        *,
        including_dropped: bool = False,
        limit: int = PRUNE_AT_ONCE,
        after: str | None = None,
    ) -> Pruned:
        """
        Remove those of the next `limit` entries archived before `older_than` that hold nothing which is nowhere else.

        An entry whose rewrite dropped a value is the only copy of that value, and is kept unless `including_dropped`.
        Go on with `next_cursor`. The stores' `archive.prune` does that, with a transaction for each page.
        """
        if older_than.tzinfo is None:
            raise ValueError("a naive datetime names no moment; use datetime.now(UTC)")
        rows, next_cursor = self._page({"_older_than": older_than}, limit, after)
        pruned = kept = 0
        for row in rows:
            if not including_dropped and _entry(row).has_dropped:
                kept += 1
            else:
                pruned += self._execute(self._archive_sql.remove, **seen_of(row)).rowcount
        return Pruned(pruned, kept, next_cursor)

    # the parts of it

    def _connection(self) -> Connection:
        return self._db if isinstance(self._db, Connection) else self._db.connection()

    def _execute(self, statement: Any, **parameters: Any) -> Any:
        return self._connection().execute(statement, {**self._scope, **parameters})

    @cached_property
    def _sql(self) -> Any:
        return statements(self._connection().dialect.name, self._realm is not None)

    @cached_property
    def _archive_sql(self) -> Any:
        return archive_statements(self._realm is not None)

    def _page(self, given: dict[str, Any], limit: int, after: str | None) -> tuple[Sequence[_Row], str | None]:
        statement = self._archive_sql.page(
            of_session="_session_id" in given, older="_older_than" in given, after=after is not None
        )
        position = {} if after is None else _position(after)
        rows = self._execute(statement, **given, **position, _limit=limit + 1).all()
        return rows[:limit], _cursor(rows[limit - 1]) if len(rows) > limit else None

    def _archived(self, row: _Row, asked: dict[str, int]) -> ArchivedDocument:
        numbers = {f"_{name}": number for name, number in asked.items()} or {"_schema_version": row.schema_version}
        statement = self._archive_sql.entry(frozenset(asked))
        found = self._execute(statement, _session_id=row.session_id, **numbers).one_or_none()
        if found is None:
            raise ArchiveEntryNotFoundError(row.session_id, **asked)
        return ArchivedDocument(payload=found.payload, **_known(found))

    def _put_back(self, row: _Row, document: ArchivedDocument) -> SessionRecord | None:
        encoded, metadata, changes = as_it_was(document.payload, document.schema_version, row.session_id)
        if self._realm is not None and encoded.realm != self._realm:
            raise RealmMismatchError(row.session_id, self._realm, encoded.realm)
        lock_version, now = row.lock_version + 1, datetime.now(UTC)
        restored = SessionRecord(
            row.session_id, metadata, encoded.schema_version, lock_version, row.created_at, now, changes
        )
        if self._attempts is not None:
            attempt = (encoded.schema_version, encoded.payload, row.created_at, now, restored)
            self._attempts.append(Attempt(row.session_id, lock_version, *attempt))
        new = {"lock_version": lock_version, "updated_at": now, **encoded._asdict()}
        return restored if self._execute(self._sql.save, **seen_of(row), **new).rowcount else None


def as_it_was(
    payload: str, schema_version: int, session_id: str
) -> tuple[codec.Encoded, SessionMetadata, tuple[Change, ...]]:
    """Take an original as it is, and the values of the columns from what it says. Raises the errors of load()."""
    try:
        metadata, _, changes = codec.decode(payload, schema_version)
    except SchemaError as error:
        error.session_id = session_id
        raise
    encoded = codec.Encoded(
        payload=payload,
        schema_version=schema_version,
        realm=metadata.realm_id,
        provider=metadata.provider.value,
        model=metadata.model,
        instance_id=metadata.instance_id,
        comms_name=metadata.comms_name,
    )
    return encoded, metadata, changes


def replaced(row: _Row, restored: SessionMetadata) -> tuple[Change, ...]:
    """Say what a restore altered and dropped, so that a prune knows what only the archive still holds."""
    try:
        overwritten = codec.decode(row.payload, row.schema_version).metadata
    except SchemaError:
        return (Change("", "replaced by a restore; it did not load", row.payload, None),)
    old, new = overwritten.model_dump(mode="json"), restored.model_dump(mode="json")
    return tuple(
        Change(key, "replaced by a restore", value, new.get(key)) for key, value in old.items() if new.get(key) != value
    )


def _dropped(change: Change) -> bool:
    if isinstance(change.old, list | dict) and type(change.new) is type(change.old):
        return len(change.new) < len(change.old)
    return change.new is None and change.old is not None


def _known(row: _Row) -> dict[str, Any]:
    known = row._asdict()
    known.pop("payload", None)
    known["changes"] = tuple(Change(**change) for change in from_json(row.changes))
    return known


def _entry(row: _Row) -> ArchiveEntry:
    return ArchiveEntry(**_known(row))


def _cursor(row: _Row) -> str:
    return urlsafe_b64encode(to_json([*seen_of(row).values()])).decode()


def _position(cursor: str) -> dict[str, Any]:
    try:
        session_id, lock_version, schema_version = from_json(urlsafe_b64decode(cursor.encode()))
        if not all(type(number) is int and 0 <= number <= _LARGEST for number in (lock_version, schema_version)):
            raise InvalidCursorError(cursor)
        return {
            "_after_session_id": checked(session_id),
            "_after_lock_version": lock_version,
            "_after_schema_version": schema_version,
        }
    except (ValueError, TypeError) as error:
        raise InvalidCursorError(cursor) from error
