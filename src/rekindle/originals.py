"""
How an original gets into the archive: in the transaction that overwrites it, and in no other way.

A row is overwritten once at each pair of lock version and schema version, so its key in the archive is free. It is
taken when an earlier session of the same id left its originals behind, having been deleted past the library, or by a
role that did not see them. When it has the same bytes the entry is this rewrite's from now on; otherwise the older
original makes way: to below zero, where no lock version ever is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from rekindle.execution import write_many
from rekindle.tables import session_metadata_archive as archive

_KEPT = (
    select(archive.c.lock_version, archive.c.schema_version, archive.c.payload_sha256)
    .where(archive.c.session_id == bindparam("_session_id"))
    .with_for_update()  # or a repeatable read would not show what is in the way
)
_ENTRY = update(archive).where(
    archive.c.session_id == bindparam("_session_id"),
    archive.c.lock_version == bindparam("_lock_version"),
    archive.c.schema_version == bindparam("_schema_version"),
)


def keep(connection: Connection, entries: Sequence[Mapping[str, Any]]) -> None:
    """Put originals into the archive, whatever is there already: nothing is overwritten, and nothing is in the way."""
    with suppress(IntegrityError):  # of MariaDB alone
        if _inserted(connection, entries) == len(entries):
            return
    for entry in entries:
        _keep_beside(connection, entry)


def _keep_beside(connection: Connection, entry: Mapping[str, Any]) -> None:
    session_id, lock, schema = (entry[name] for name in ("session_id", "lock_version", "schema_version"))
    rows = connection.execute(_KEPT, {"_session_id": session_id})
    kept: dict[tuple[int, int], str] = {(row[0], row[1]): row[2] for row in rows}
    key = {"_session_id": session_id, "_lock_version": lock, "_schema_version": schema}
    there = kept.get((lock, schema))
    if there == entry["payload_sha256"]:
        connection.execute(_ENTRY.values(dict(entry)), key)
        return
    free = min(0, 0, *(other for other, _ in kept)) - 1
    if there is not None:
        connection.execute(_ENTRY.values(lock_version=free), key)
    # What row-level security hides from this role it can only step around.
    while _inserted(connection, [{**entry, "lock_version": lock}]) == 0:
        lock, free = free, free - 1


def _inserted(connection: Connection, entries: Sequence[Mapping[str, Any]]) -> int:
    statement = archive_insert(connection.dialect.name)
    if len(entries) > 1:
        return write_many(connection, statement, entries)
    return connection.execute(statement, entries[0]).rowcount


@cache
def archive_insert(dialect: str) -> Insert:
    """Add to the archive; a taken key is an error on MariaDB, whose INSERT IGNORE would cut off what is too long."""
    if dialect in {"mysql", "mariadb"}:
        return insert(archive)
    from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - for those who use them

    statement = postgresql.insert(archive) if dialect == "postgresql" else sqlite.insert(archive)
    return statement.on_conflict_do_nothing().execution_options(preserve_rowcount=True)
