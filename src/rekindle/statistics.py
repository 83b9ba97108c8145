"""What a database holds, in numbers: for `rekindle status`, dashboards and alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, LargeBinary, Select, Table, cast, func, select

from rekindle.orm import session_metadata_archive as archive
from rekindle.orm import session_metadata_quarantine as quarantine
from rekindle.repository import SessionRepository
from rekindle.revision import current_revision
from rekindle.schema import CURRENT


@dataclass(frozen=True, slots=True)
class Statistics:
    """
    How many rows are at which schema version, set aside, and kept as originals.

    `archived_bytes` is the size of the archived documents in UTF-8. `database_revision` is None without tables.
    """

    rows_by_schema_version: Mapping[int, int]
    quarantined: int
    archived_rows: int
    archived_bytes: int
    database_revision: str | None

    @property
    def total(self) -> int:
        """All rows."""
        return sum(self.rows_by_schema_version.values())

    @property
    def outdated(self) -> int:
        """Rows stored below the current schema version: they load, and the next save rewrites them."""
        return sum(rows for version, rows in self.rows_by_schema_version.items() if version < CURRENT)

    @property
    def newer(self) -> int:
        """Rows stored above it, by a later release: this one refuses them."""
        return sum(rows for version, rows in self.rows_by_schema_version.items() if version > CURRENT)


def read(connection: Connection, realm: str | None = None) -> Statistics:
    """
    Count the rows of one realm, or of all of them.

    Every number is true at a moment of its own, unless the connection is in a transaction that repeats its reads.
    """
    size = func.coalesce(func.sum(_bytes(connection.dialect.name)), 0)
    archived = connection.execute(_of(archive, realm, select(func.count(), size).select_from(archive))).one()
    set_aside = connection.execute(_of(quarantine, realm, select(func.count()).select_from(quarantine)))
    return Statistics(
        rows_by_schema_version=SessionRepository(connection, realm=realm).count_by_schema_version(),
        quarantined=set_aside.scalar_one(),
        archived_rows=archived[0],
        archived_bytes=int(archived[1]),  # MariaDB sums into a decimal
        database_revision=current_revision(connection),
    )


def _of(table: Table, realm: str | None, statement: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return statement if realm is None else statement.where(table.c.realm == realm)


def _bytes(dialect: str) -> Any:
    # SQLite got octet_length() in 3.43, and its length() counts the characters of a text.
    if dialect == "sqlite":
        return func.length(cast(archive.c.payload, LargeBinary))
    return func.octet_length(archive.c.payload)
