"""
The quarantine: which rows could not be converted, and why.

A list beside the rows, which stay as they are, byte for byte. The backfill passes over a row that is listed as it
stands; `retry` tries it again, after a release that knows better, and takes what is no longer true off the list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select

from rekindle.backfill.batches import Job, listed_rows, process, release
from rekindle.bulk import connected, write_transaction
from rekindle.engine import translated
from rekindle.errors import SessionNotFoundError
from rekindle.realms import of_realm
from rekindle.revision import require_revision
from rekindle.schema import CURRENT
from rekindle.tables import session_metadata_quarantine as q

AT_ONCE = 200
"""Entries tried again in one transaction."""


@dataclass(frozen=True, slots=True)
class Entry:
    """
    Why a row could not be converted: the versions it was at, the step, the error, and how often it was tried.

    Neither the document nor a value of it is in here; `payload_sha256` tells whether it is still the same.
    """

    session_id: str
    schema_version: int
    lock_version: int
    realm: str | None
    step: str
    error_class: str
    message: str
    payload_sha256: str
    attempts: int
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(slots=True)
class Retried:
    """What became of entries that were tried again: `resolved` ones were saved or deleted since by somebody else."""

    converted: int = 0
    resolved: int = 0
    failed: int = 0
    locked: int = 0


def entries(connection: Connection, *, realm: str | None = None, limit: int = 100, after: str = "") -> Sequence[Entry]:
    """List a page of entries by session id, behind one."""
    statement = select(q).where(q.c.session_id > after).order_by(q.c.session_id).limit(limit)
    if realm is not None:
        statement = statement.where(*of_realm(q, realm))
    return [Entry(**row._asdict()) for row in connection.execute(statement)]


def entry(connection: Connection, session_id: str, realm: str | None = None) -> Entry | None:
    """Find the entry of a session, None when it is not in the quarantine."""
    statement = select(q).where(q.c.session_id == bindparam("_session_id"))
    if realm is not None:
        statement = statement.where(*of_realm(q, realm))
    row = connection.execute(statement, {"_session_id": session_id}).one_or_none()
    return None if row is None else Entry(**row._asdict())


def retry(engine: Engine, session_id: str | None = None, *, realm: str | None = None, to: int = CURRENT) -> Retried:
    """
    Try one entry, or all of them, again: what converts now is rewritten and taken off the list.

    Raises SessionNotFoundError when the session asked for is not in the quarantine.
    """
    result = Retried()
    with translated(engine.url), connected(engine) as connection:
        require_revision(connection)
        if session_id is not None and entry(connection, session_id, realm) is None:
            raise SessionNotFoundError(session_id, realm)
        for rows in _pages(connection, session_id):
            _retry_page(connection, [row for row in rows if realm is None or row.realm == realm], to, result)
    return result


def _pages(connection: Connection, session_id: str | None) -> Iterator[Sequence[Any]]:
    statement = listed_rows(session_id is not None)
    after = ""
    while True:
        place = {"_after": after} if session_id is None else {"_only": session_id}
        rows = connection.execute(statement, {**place, "_rows": AT_ONCE}).all()
        if rows:
            yield rows
        if session_id is not None or len(rows) < AT_ONCE:
            return
        after = rows[-1].listed_id


def _retry_page(connection: Connection, rows: Sequence[Any], to: int, result: Retried) -> None:
    """A row that is not there any more, or was brought to the version by its client, only leaves the list."""
    pending = [row for row in rows if row.session_id is not None and row.schema_version < to]
    settled = {row.listed_id for row in rows} - {row.session_id for row in pending}
    if settled:
        with write_transaction(connection):
            release(connection, sorted(settled))
    outcome = process(connection, pending, Job(to))
    result.converted += outcome.converted
    result.resolved += len(settled)
    result.failed += outcome.quarantined
    result.locked += outcome.locked + outcome.taken + outcome.left_to_client
