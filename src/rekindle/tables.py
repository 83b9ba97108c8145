"""
The tables.

Every primary key but that of the backfill's runs, which belong to no session, begins with session_id, the key by which
an engine may shard, and nothing draws on a sequence. There is no foreign key: rows of one session are written in one
transaction, and an archive may outlive what it archived.
Nothing here reads or writes a document; the payload is text, so the bytes that went in come out on every database.
SQLAlchemy's ORM is not needed for any of it, and a dialect only where it is spoken: orm.py has the mapped classes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

from rekindle.moments import moment_of, text_of

DATABASE_REVISION = "0002"
"""The revision of migrations/ that these tables are at; a test holds the two together."""

VERSION_TABLE = "rekindle_alembic_version"

_MARIADB = ("mysql", "mariadb")


class Key(TypeDecorator[str]):
    """A string that compares byte for byte everywhere: case, accents and trailing spaces count."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The default collation of MariaDB ignores case, and its plain _bin ones ignore trailing spaces."""
        length = self.impl_instance.length  # type: ignore[attr-defined] # SQLAlchemy types it as any type
        if dialect.name in _MARIADB:
            from sqlalchemy.dialects import mysql  # noqa: PLC0415 - for those who use it

            return mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin")
        return String(length, collation="C" if dialect.name == "postgresql" else None)


class LongText(TypeDecorator[str]):
    """A text of any length that a payload may have."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """A TEXT of MariaDB ends at 64 KB."""
        if dialect.name in _MARIADB:
            from sqlalchemy.dialects import mysql  # noqa: PLC0415 - for those who use it

            return mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin")
        return Text()


class UtcDateTime(TypeDecorator[datetime]):
    """
    An aware datetime in UTC to the microsecond, on databases that know time zones and on those that do not.

    SQLite has no type for it, and holds whatever was put there by hand: what is no moment is read, and written back,
    as it stands, so that one such row does not make a page of others unreadable.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """MariaDB cuts off fractions of a second unless told how many digits to keep."""
        if dialect.name in _MARIADB:
            from sqlalchemy.dialects import mysql  # noqa: PLC0415 - for those who use it

            return mysql.DATETIME(fsp=6)
        return DateTime(timezone=True)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """Refuse naive datetimes: nobody can say which moment they mean."""
        return {"sqlite": _as_text, "postgresql": _in_utc}.get(dialect.name, _without_zone)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Databases without time zones were given UTC."""
        return _moment_or_what_stands_there


def _in_utc(value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise ValueError("a naive datetime names no moment; use datetime.now(UTC)")
    return None if value is None else value.astimezone(UTC)


def _without_zone(value: datetime | None) -> datetime | None:
    moment = _in_utc(value)
    return None if moment is None else moment.replace(tzinfo=None)


def _as_text(value: object) -> object:
    if not isinstance(value, datetime):
        return value
    _in_utc(value)
    return text_of(value)


def _moment_or_what_stands_there(value: object) -> object:
    moment = moment_of(value)
    return value if moment is None else moment


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _session_id() -> Column[str]:
    return Column("session_id", Key(255), primary_key=True)


session_metadata = Table(
    "session_metadata",
    metadata,
    _session_id(),
    Column("schema_version", Integer, nullable=False),
    Column("lock_version", Integer, nullable=False),
    Column("payload", LongText, nullable=False),
    Column("realm", Key(255)),
    Column("provider", Key(32), nullable=False),
    Column("model", Key(255), nullable=False),
    Column("instance_id", Key(255)),
    Column("comms_name", Key(255)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    # Listings are ordered by created_at, which no save moves: a row stays on its page, and a save that leaves
    # schema_version alone touches no index.
    Index(None, "schema_version", "session_id"),
    Index(None, "created_at", "session_id"),
    Index(None, "realm", "created_at", "session_id"),
)

session_metadata_archive = Table(
    "session_metadata_archive",
    metadata,
    _session_id(),
    Column("lock_version", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, primary_key=True, autoincrement=False),
    Column("payload", LongText, nullable=False),
    Column("payload_sha256", Key(64), nullable=False),
    Column("changes", LongText, nullable=False),
    Column("realm", Key(255)),
    Column("library_version", Key(64), nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("archived_at", UtcDateTime, nullable=False),
)

session_metadata_quarantine = Table(
    "session_metadata_quarantine",
    metadata,
    _session_id(),
    Column("schema_version", Integer, nullable=False),
    Column("lock_version", Integer, nullable=False),
    Column("realm", Key(255)),
    Column("step", Key(32), nullable=False),
    Column("error_class", Key(64), nullable=False),
    Column("message", LongText, nullable=False),
    Column("payload_sha256", Key(64), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
)

session_metadata_backfill = Table(
    "session_metadata_backfill",
    metadata,
    Column("run_id", Key(32), primary_key=True),
    Column("state", Key(16), nullable=False),
    Column("reason", LongText),
    Column("started_by", Key(255), nullable=False),
    Column("library_version", Key(64), nullable=False),
    Column("from_schema_version", Integer),
    Column("to_schema_version", Integer, nullable=False),
    Column("realm", Key(255)),
    Column("settings", LongText, nullable=False),
    Column("converted", BigInteger, nullable=False),
    Column("left_to_client", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("error_class", Key(64)),
    Column("started_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
)
