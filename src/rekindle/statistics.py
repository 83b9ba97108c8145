"""What a database holds, in numbers: for `rekindle status`, dashboards and alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, LargeBinary, Select, Table, cast, func, select

from rekindle.counting import EXACT_UP_TO, Count, estimated_rows, rows_by_schema_version
from rekindle.realms import of_realm
from rekindle.repository import SessionRepository
from rekindle.revision import current_revision
from rekindle.schema import CURRENT
from rekindle.tables import session_metadata_archive as archive
from rekindle.tables import session_metadata_quarantine as quarantine


@dataclass(frozen=True, slots=True)
class Statistics:
    """
    How many rows are at which schema version, set aside, and kept as originals.

    `archived_bytes` is the size of the archived documents in UTF-8. `database_revision` is None without tables. In a
    huge table rows are not counted but estimated: `estimated` has the schema versions of which the number is "about",
    and `archive_estimated` says so of the archive, whose bytes are then those that it takes on disk.
    """

    rows_by_schema_version: Mapping[int, int]
    quarantined: int
    archived_rows: int
    archived_bytes: int
    database_revision: str | None
    estimated: frozenset[int] = frozenset()
    archive_estimated: bool = False

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
    Count the rows of one realm, or of all of them; what would take long to count is estimated, of all realms only.

    Every number is true at a moment of its own, unless the connection is in a transaction that repeats its reads.
    """
    if realm is None:
        counts = rows_by_schema_version(connection)
    else:
        exact = SessionRepository(connection, realm=realm).count_by_schema_version()
        counts = {version: Count(rows) for version, rows in exact.items()}
    archived = _about_archive(connection) if realm is None else None
    rows, size = archived or _counted_archive(connection, realm)
    set_aside = connection.execute(_of(quarantine, realm, select(func.count()).select_from(quarantine)))
    return Statistics(
        rows_by_schema_version={version: count.rows for version, count in counts.items()},
        quarantined=set_aside.scalar_one(),
        archived_rows=rows,
        archived_bytes=size,
        database_revision=current_revision(connection),
        estimated=frozenset(version for version, count in counts.items() if not count.exact),
        archive_estimated=archived is not None,
    )


def _counted_archive(connection: Connection, realm: str | None) -> tuple[int, int]:
    size = func.coalesce(func.sum(_bytes(connection.dialect.name)), 0)
    rows, total = connection.execute(_of(archive, realm, select(func.count(), size).select_from(archive))).one()
    return int(rows), int(total)  # MariaDB sums into a decimal


_ON_DISK = {
    "postgresql": "SELECT pg_table_size('session_metadata_archive')",
    "mysql": "SELECT data_length FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name = 'session_metadata_archive'",
}
_ON_DISK["mariadb"] = _ON_DISK["mysql"]


def _about_archive(connection: Connection) -> tuple[int, int] | None:
    """Estimate the archive when it is too large to be read through, as its bytes would have to be."""
    on_disk = _ON_DISK.get(connection.dialect.name)
    if on_disk is None:
        return None
    rows = estimated_rows(connection, archive.name)
    if rows <= EXACT_UP_TO:
        return None
    return rows, int(connection.exec_driver_sql(on_disk).scalar_one())


def _of(table: Table, realm: str | None, statement: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return statement if realm is None else statement.where(*of_realm(table, realm))


def _bytes(dialect: str) -> Any:
    # SQLite got octet_length() in 3.43, and its length() counts the characters of a text.
    if dialect == "sqlite":
        return func.length(cast(archive.c.payload, LargeBinary))
    return func.octet_length(archive.c.payload)
