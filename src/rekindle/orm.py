"""
The tables.

Every primary key but that of the backfill's runs, which belong to no session, begins with session_id, the key by which
an engine may shard, and nothing draws on a sequence. There is no foreign key: rows of one session are written in one
transaction, and an archive may outlive what it archived.
Nothing here reads or writes a document; the payload is text, so the bytes that went in come out on every database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Index, MetaData, String, Table, Text, TypeDecorator
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

DATABASE_REVISION = "0002"
"""The revision of migrations/ that these tables are at; a test holds the two together."""

VERSION_TABLE = "rekindle_alembic_version"

_MARIADB = ("mysql", "mariadb")


def _text_key(length: int) -> TypeEngine[str]:
    """Make a string that compares byte for byte everywhere: case, accents and trailing spaces count."""
    return (
        String(length)
        .with_variant(String(length, collation="C"), "postgresql")
        # The default collation of MariaDB ignores case, and its plain _bin ones ignore trailing spaces.
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), *_MARIADB)
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC to the microsecond, on databases that know time zones and on those that do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """MariaDB cuts off fractions of a second unless told how many digits to keep."""
        if dialect.name in _MARIADB:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive datetimes: nobody can say which moment they mean."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime names no moment; use datetime.now(UTC)")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Databases without time zones were given UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_SESSION_ID = _text_key(255)
_FILTER = _text_key(255)
_PAYLOAD = Text().with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), *_MARIADB)


class Base(DeclarativeBase):
    """Base of rekindle's tables, with a MetaData of their own."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class SessionMetadataRow(Base):
    """
    One session: its document as text, the numbers that guard it, and the values that listings filter by.

    For queries of your own. Write through a repository: it keeps the columns and the document together.
    """

    __tablename__ = "session_metadata"

    session_id: Mapped[str] = mapped_column(_SESSION_ID, primary_key=True)
    schema_version: Mapped[int]
    lock_version: Mapped[int]
    payload: Mapped[str] = mapped_column(_PAYLOAD)
    realm: Mapped[str | None] = mapped_column(_FILTER)
    provider: Mapped[str] = mapped_column(_text_key(32))
    model: Mapped[str] = mapped_column(_FILTER)
    instance_id: Mapped[str | None] = mapped_column(_FILTER)
    comms_name: Mapped[str | None] = mapped_column(_FILTER)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    # Listings are ordered by created_at, which no save moves: a row stays on its page, and a save that leaves
    # schema_version alone touches no index.
    __table_args__ = (
        Index(None, "schema_version", "session_id"),
        Index(None, "created_at", "session_id"),
        Index(None, "realm", "created_at", "session_id"),
    )


class SessionMetadataArchiveRow(Base):
    """
    The original of a row, kept when it was first rewritten at a newer schema version.

    At one lock version a row is archived once per schema version, because a backfill leaves the lock version alone.
    """

    __tablename__ = "session_metadata_archive"

    session_id: Mapped[str] = mapped_column(_SESSION_ID, primary_key=True)
    lock_version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    schema_version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    payload: Mapped[str] = mapped_column(_PAYLOAD)
    payload_sha256: Mapped[str] = mapped_column(_text_key(64))
    changes: Mapped[str] = mapped_column(_PAYLOAD)
    realm: Mapped[str | None] = mapped_column(_FILTER)
    library_version: Mapped[str] = mapped_column(_text_key(64))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    archived_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SessionMetadataQuarantineRow(Base):
    """A row that cannot be upcast or validated, and why. The row itself stays where it is, byte for byte."""

    __tablename__ = "session_metadata_quarantine"

    session_id: Mapped[str] = mapped_column(_SESSION_ID, primary_key=True)
    schema_version: Mapped[int]
    lock_version: Mapped[int]
    realm: Mapped[str | None] = mapped_column(_FILTER)
    step: Mapped[str] = mapped_column(_text_key(32))
    error_class: Mapped[str] = mapped_column(_text_key(64))
    message: Mapped[str] = mapped_column(_PAYLOAD)
    payload_sha256: Mapped[str] = mapped_column(_text_key(64))
    attempts: Mapped[int]
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SessionMetadataBackfillRow(Base):
    """One run of the backfill: who rewrites what to which schema version, how far it is, and what it is told to do."""

    __tablename__ = "session_metadata_backfill"

    run_id: Mapped[str] = mapped_column(_text_key(32), primary_key=True)
    state: Mapped[str] = mapped_column(_text_key(16))
    reason: Mapped[str | None] = mapped_column(_PAYLOAD)
    started_by: Mapped[str] = mapped_column(_text_key(255))
    library_version: Mapped[str] = mapped_column(_text_key(64))
    from_schema_version: Mapped[int | None]
    to_schema_version: Mapped[int]
    realm: Mapped[str | None] = mapped_column(_FILTER)
    settings: Mapped[str] = mapped_column(_PAYLOAD)
    converted: Mapped[int] = mapped_column(BigInteger)
    left_to_client: Mapped[int] = mapped_column(BigInteger)
    quarantined: Mapped[int] = mapped_column(BigInteger)
    skipped: Mapped[int] = mapped_column(BigInteger)
    error_class: Mapped[str | None] = mapped_column(_text_key(64))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def _table(row: type[Base]) -> Table:
    table = row.__table__
    if not isinstance(table, Table):  # a mapped selectable has none, and ours are all tables
        raise TypeError(row)
    return table


session_metadata = _table(SessionMetadataRow)
session_metadata_archive = _table(SessionMetadataArchiveRow)
session_metadata_quarantine = _table(SessionMetadataQuarantineRow)
session_metadata_backfill = _table(SessionMetadataBackfillRow)
