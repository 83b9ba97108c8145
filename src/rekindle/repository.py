"""
SessionRepository: collection-like access to agent sessions, in the caller's transaction.

All the logic there is. Here, and only here, the history of the documents meets the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack

from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from rekindle import codec
from rekindle.attempts import Attempt, Deletion
from rekindle.errors import (
    InvalidPayloadError,
    NewerSchemaError,
    Problem,
    RealmMismatchError,
    SchemaError,
    SecretMaterialError,
    SessionExistsError,
    SessionNotFoundError,
    WriteVersionError,
)
from rekindle.execution import Execution, ThroughCore
from rekindle.moments import moment_of
from rekindle.observability import newer_row_refused, upcast_on_load
from rekindle.originals import keep
from rekindle.record import Batch, Filters, Page, SessionRecord, StoredDocument, changed, times
from rekindle.rewriting import archive_entry, why_missed
from rekindle.schema import CURRENT, VERSIONS, SessionMetadata
from rekindle.secret_guard import SecretGuard, find_secret
from rekindle.session_id import checked, cursor_behind, position_of
from rekindle.statements import ARCHIVED, FORGET, Statements, statements

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MAX_PAGE = 1_000
_Row: TypeAlias = Row[*tuple[Any, ...]]

LOAD_MANY_CHUNK = 500
"""Ids in one statement: more would gain nothing, and engines bound the number of parameters."""


class SessionRepository:
    """
    Agent sessions behind a SQLAlchemy Session (or Connection), in the transaction of whoever owns it.

    Nothing is committed here, and what is written rolls back with the caller. Not to be shared between threads, as the
    Session is not. With `realm`, only the rows of that realm exist. `write_version` pins the schema version that save()
    writes while older releases still run. `secret_guard` None switches the check for credentials off.
    """

    def __init__(
        self,
        db: Session | Connection,
        *,
        realm: str | None = None,
        write_version: int = CURRENT,
        secret_guard: SecretGuard | None = find_secret,
    ) -> None:
        require_writable(write_version)
        self.db = db
        self.realm = realm
        # A store has a shorter way to the database than a caller's transaction may take.
        self.execution: Execution = ThroughCore(db)
        # Where a store writes down what was sent, to find out whether it arrived when the answer is lost.
        self.attempts: list[Attempt | Deletion] | None = None
        self._scope: dict[str, Any] = {} if realm is None else {"_realm": realm}
        self._write_version = write_version
        self._guard = secret_guard

    # reading

    def load(self, session_id: str) -> SessionRecord:
        """
        Load a session, upcast in memory; nothing is written.

        Raises SessionNotFoundError, and NewerSchemaError, UpcastError or InvalidPayloadError for a row that does not
        load.
        """
        record = self.find(session_id)
        if record is None:
            raise SessionNotFoundError(session_id, self.realm)
        return record

    def find(self, session_id: str) -> SessionRecord | None:
        """Load a session, or return None when there is none; a row that does not load raises as in load()."""
        row = self._row(session_id)
        return None if row is None else _record(row)

    def stored(self, session_id: str) -> StoredDocument:
        """Return a row as it stands, its document unread. Raises SessionNotFoundError."""
        row = self._row(session_id)
        if row is None:
            raise SessionNotFoundError(session_id, self.realm)
        return _stored(row)

    def load_many(self, session_ids: Iterable[str]) -> Batch:
        """Load the sessions with these ids, duplicates once; what is missing or does not load is named, not raised."""
        wanted = list(dict.fromkeys(map(checked, session_ids)))
        rows: dict[str, Sequence[Any]] = {}
        for start in range(0, len(wanted), LOAD_MANY_CHUNK):
            chunk = wanted[start : start + LOAD_MANY_CHUNK]
            found = self.execution.rows(self._sql.load_many, {**self._scope, "_session_ids": chunk})
            rows |= {row[0]: row for row in found}
        records, bad = _decoded([rows[session_id] for session_id in wanted if session_id in rows])
        missing = tuple(session_id for session_id in wanted if session_id not in rows)
        return Batch({record.session_id: record for record in records}, bad, missing)

    def list(self, *, limit: int = 100, after: str | None = None, **filters: Unpack[Filters]) -> Page:
        """
        List sessions, newest first, by keyset: `after` is the `next_cursor` of the page before.

        A session stays in its place whatever is saved meanwhile, so a walk over all pages meets each exactly once.
        `limit` is at most 1,000 rows, those that do not load included. Raises InvalidCursorError.
        """
        rows, next_cursor = self._page(filters, limit, after)
        records, bad = _decoded(rows)
        return Page(records, bad, next_cursor)

    def list_stored(
        self, *, limit: int = 100, after: str | None = None
    ) -> tuple[tuple[StoredDocument, ...], str | None]:
        """List rows as they stand, in the order of list(); the second value is the next cursor."""
        rows, next_cursor = self._page(Filters(), limit, after)
        return tuple(map(_stored, rows)), next_cursor

    def count_by_schema_version(self) -> dict[int, int]:
        """Count rows per stored schema version, exactly, at one moment; those of all realms from indexes alone."""
        return {row[0]: row[1] for row in self._execute(self._sql.count)}

    # writing

    def add(self, session_id: str, metadata: SessionMetadata) -> SessionRecord:
        """
        Create a session. Raises SessionExistsError, InvalidPayloadError, SecretMaterialError or RealmMismatchError.

        `metadata` is stamped with the current schema version.
        """
        encoded = self._encode(checked(session_id), metadata, self._write_version)
        now = datetime.now(UTC)
        record = SessionRecord(session_id, metadata, encoded.schema_version, 1, now, now)
        self._insert(session_id, encoded, created_at=now, updated_at=now, answer=record)
        return record

    def save(self, record: SessionRecord) -> SessionRecord:
        """
        Rewrite a session at the current schema version, and keep the original of an outdated row in the archive.

        A compare-and-swap on `record.lock_version`: raises StaleSessionError when somebody saved since,
        NewerSchemaError when a later release did, SessionNotFoundError when the row is gone; nothing is written then.
        For an outdated row it takes two statements: outside of a transaction a crash could leave the archive without
        the original. Returns the record to go on with.
        """
        session_id, stored = checked(record.session_id), record.schema_version
        while True:
            # A row stays at the version it has reached, even when this process is pinned below it.
            encoded = self._encode(session_id, record.metadata, max(stored, self._write_version))
            original = self._original(record, stored) if stored < encoded.schema_version else None
            saved = self._replace(record, stored, encoded)
            if saved is not None:
                break
            stored = self._seen_since(session_id, record.lock_version)
        if original is not None:
            self._archive(record, stored, original)
        return saved

    def update(self, session_id: str, change: Callable[[SessionMetadata], SessionMetadata | None]) -> SessionRecord:
        """
        Load, apply `change` to the metadata (in place, or returning a new one), save.

        One attempt, in the caller's transaction: a lost race is StaleSessionError here. The stores repeat it.
        """
        return self.save(changed(self.load(session_id), change))

    def delete(self, target: str | SessionRecord) -> None:
        """
        Delete a session with its archive and quarantine entries, in three statements.

        By id it goes whatever it holds, also when it is newer than this release. A record is deleted only as it was
        loaded: raises StaleSessionError or NewerSchemaError otherwise. Raises SessionNotFoundError.
        """
        if isinstance(target, str):
            session_id, created_at = checked(target), None
            deleted = self._execute(self._sql.delete, _session_id=session_id).rowcount
            if deleted == 0:
                raise SessionNotFoundError(session_id, self.realm)
        else:
            session_id, created_at, stored = checked(target.session_id), target.created_at, target.schema_version
            while self._execute(self._sql.delete_loaded, **_seen(target, stored)).rowcount == 0:
                stored = self._seen_since(session_id, target.lock_version)
        # Not before: what is lost up to here was never committed, and the row need not have been there at all.
        self._sending(Deletion(session_id, created_at))
        for statement in FORGET:
            self.execution.connection.execute(statement, {"_session_id": session_id})

    def import_document(
        self, session_id: str, payload: str, *, created_at: datetime | None = None, updated_at: datetime | None = None
    ) -> Literal["imported", "unchanged"]:
        """
        Take over a document that another program stored, as it is: upcast on load, archived by the first save.

        A session that is here already is left alone: "unchanged" when it holds, or was saved from, the same document;
        otherwise SessionExistsError. Raises what add() raises, and the errors of load() for a document that does not.
        """
        try:
            encoded = codec.adopt(payload, self._write_version, self._guard)
        except (SchemaError, SecretMaterialError) as error:
            error.session_id = session_id
            raise
        self._require_realm(checked(session_id), encoded.realm)
        if any(moment is not None and moment.tzinfo is None for moment in (created_at, updated_at)):
            raise ValueError("a naive datetime names no moment; use datetime.now(UTC)")
        created = created_at or updated_at or datetime.now(UTC)
        try:
            self._insert(session_id, encoded, created_at=created, updated_at=updated_at or created, answer="imported")
        except SessionExistsError:
            if not self._holds(session_id, {codec.canonical(payload), codec.canonical(encoded.payload)}):
                raise
            return "unchanged"
        return "imported"

    # the parts of it

    @cached_property
    def _dialect(self) -> str:
        return self.execution.connection.dialect.name

    @cached_property
    def _sql(self) -> Statements:
        return statements(self._dialect, self.realm is not None)

    def _row(self, session_id: str) -> Sequence[Any] | None:
        rows = self.execution.rows(self._sql.load, {"_session_id": checked(session_id), **self._scope})
        return rows[0] if rows else None

    def _execute(self, statement: Any, **parameters: Any) -> Any:
        return self.execution.connection.execute(statement, {**self._scope, **parameters})

    def _sending(self, attempt: Attempt | Deletion) -> None:
        if self.attempts is not None:
            self.attempts.append(attempt)

    def _page(self, filters: Filters, limit: int, after: str | None) -> tuple[Sequence[Sequence[Any]], str | None]:
        if not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"limit is {limit}; a page has 1 to {MAX_PAGE} rows")
        given: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
        statement = self._sql.page(frozenset(given), after is not None)
        position: dict[str, Any] = {}
        if after is not None:
            position["_created_at"], position["_session_id"] = position_of(after, as_kept=self._dialect == "sqlite")
        # One row more than asked for says whether there is a next page.
        rows = self.execution.rows(statement, {**self._scope, **given, **position, "_limit": limit + 1})
        if len(rows) <= limit:
            return rows, None
        session_id, created_at = rows[limit - 1][0], rows[limit - 1][4]
        place = created_at if self._dialect == "sqlite" else moment_of(created_at)
        return rows[:limit], cursor_behind(place, session_id)

    def _encode(self, session_id: str, metadata: SessionMetadata, write_version: int) -> codec.Encoded:
        try:
            encoded = codec.encode(metadata, write_version, self._guard)
        except (SchemaError, SecretMaterialError) as error:
            error.session_id = session_id
            raise
        self._require_realm(session_id, encoded.realm)
        return encoded

    def _require_realm(self, session_id: str, realm: str | None) -> None:
        if self.realm is not None and realm != self.realm:
            raise RealmMismatchError(session_id, self.realm, realm)

    def _insert(
        self, session_id: str, encoded: codec.Encoded, *, created_at: datetime, updated_at: datetime, answer: Any
    ) -> None:
        row = {
            "session_id": session_id, "lock_version": 1, "created_at": created_at, "updated_at": updated_at,
            **encoded._asdict(),
        }  # fmt: skip
        self._sending(Attempt(session_id, 1, encoded.schema_version, encoded.payload, created_at, updated_at, answer))
        try:
            inserted = self.execution.write(self._sql.insert, row)
        except IntegrityError:
            inserted = 0
        if inserted == 0:
            raise SessionExistsError(session_id)

    def _replace(self, record: SessionRecord, stored: int, encoded: codec.Encoded) -> SessionRecord | None:
        session_id, lock_version, schema_version = record.session_id, record.lock_version + 1, encoded.schema_version
        born, now = record.created_at, datetime.now(UTC)
        saved = SessionRecord(session_id, record.metadata, schema_version, lock_version, born, now)
        self._sending(Attempt(session_id, lock_version, schema_version, encoded.payload, born, now, saved))
        new = {"lock_version": lock_version, "updated_at": now, **encoded._asdict()}
        written = self.execution.write(self._sql.save, {**self._scope, **_seen(record, stored), **new})
        return saved if written else None

    def _seen_since(self, session_id: str, lock_version: int) -> int:
        """Find out why a compare-and-swap missed; return the schema version that a backfill has written meanwhile."""
        row = self._execute(self._sql.versions, _session_id=session_id).one_or_none()
        return why_missed(row, session_id, lock_version, self.realm)

    def _original(self, record: SessionRecord, stored: int) -> _Row | None:
        # Read before it is overwritten; the swap that follows proves that this is what it overwrote.
        row: _Row | None = self._execute(self._sql.original, **_seen(record, stored)).one_or_none()
        return row

    def _archive(self, record: SessionRecord, stored: int, original: _Row) -> None:
        changes = codec.decode(original.payload, stored).changes
        keep(self.execution.connection, [archive_entry(_seen(record, stored), original, changes)])

    def _holds(self, session_id: str, documents: set[bytes]) -> bool:
        """Whether a session holds, or was saved from, one of these documents in canonical form."""
        row = self._row(session_id)
        if row is None:  # it is of another realm
            return False
        kept = self.execution.connection.execute(ARCHIVED, {"_session_id": session_id}).scalars()
        return any(codec.canonical(text) in documents for text in (row[1], *kept))


def require_writable(write_version: int | str) -> int:
    """Give the number, or raise WriteVersionError unless exact downcasts lead down to it from the current one."""
    lowest = CURRENT
    while lowest > 1 and VERSIONS[lowest].downcast is not None:
        lowest -= 1
    if not (str(write_version).isdecimal() and lowest <= int(write_version) <= CURRENT):
        raise WriteVersionError(write_version, lowest, CURRENT)
    return int(write_version)


def _seen(record: SessionRecord, stored: int) -> dict[str, Any]:
    return {"_session_id": record.session_id, "_lock_version": record.lock_version, "_schema_version": stored}


def _record(row: Sequence[Any]) -> SessionRecord:
    session_id, payload, schema_version, lock_version, created_at, updated_at = row
    try:
        metadata, _, changes = codec.decode(payload, schema_version)
        born, saved = times(created_at, updated_at)
        if type(lock_version) is not int:  # put into a column of SQLite by hand
            raise InvalidPayloadError((Problem("lock_version", "is not an integer"),))
    except SchemaError as error:
        error.session_id = session_id
        if isinstance(error, NewerSchemaError):
            newer_row_refused(error)
        raise
    if changes or schema_version < CURRENT:
        upcast_on_load(session_id, schema_version, changes)
    return SessionRecord(session_id, metadata, schema_version, lock_version, born, saved, changes)


def _stored(row: Sequence[Any]) -> StoredDocument:
    session_id, payload, schema_version, lock_version, created_at, updated_at = row
    if isinstance(payload, bytes):  # put into a column of SQLite by hand
        payload = payload.decode(errors="replace")
    moments = moment_of(created_at), moment_of(updated_at)
    return StoredDocument(session_id, schema_version, lock_version, payload, *moments)


def _decoded(rows: Iterable[Sequence[Any]]) -> tuple[tuple[SessionRecord, ...], tuple[SchemaError, ...]]:
    records: list[SessionRecord] = []
    bad: list[SchemaError] = []
    for row in rows:
        try:
            records.append(_record(row))
        except SchemaError as error:
            bad.append(error)
    return tuple(records), tuple(bad)
