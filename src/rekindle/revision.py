"""
Which database revision the tables are at, asked without alembic: a service that only opens a store never imports it.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from rekindle.engine import redacted
from rekindle.errors import DatabaseRevisionError, DatabaseUnavailableError
from rekindle.tables import DATABASE_REVISION, VERSION_TABLE

_version_table = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32)))


def current_revision(connection: Connection) -> str | None:
    """Read the database revision, None when rekindle's tables were never created."""
    if connection.dialect.name in {"mysql", "mariadb"} and connection.dialect.default_schema_name is None:
        reason = "names a server, and no database on it"
        raise DatabaseUnavailableError(redacted(connection.engine.url), reason, "add the name of one to the URL")
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(_version_table.c.version_num)).scalar()


def require_revision(connection: Connection) -> None:
    """Raise DatabaseRevisionError unless the tables are exactly at the revision of this release."""
    found = current_revision(connection)
    if found != DATABASE_REVISION:
        raise DatabaseRevisionError(redacted(connection.engine.url), found, DATABASE_REVISION)
