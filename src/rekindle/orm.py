"""
The tables as classes of SQLAlchemy's ORM, for queries of your own.

Write through a repository: it keeps the columns and the document together. rekindle itself goes by the tables alone, so
that whoever does not use the ORM does not import it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import DeclarativeBase, Mapped

from rekindle import tables
from rekindle.tables import (
    DATABASE_REVISION,
    session_metadata,
    session_metadata_archive,
    session_metadata_backfill,
    session_metadata_quarantine,
)

__all__ = [
    "DATABASE_REVISION",
    "Base",
    "SessionMetadataArchiveRow",
    "SessionMetadataBackfillRow",
    "SessionMetadataQuarantineRow",
    "SessionMetadataRow",
    "session_metadata",
    "session_metadata_archive",
    "session_metadata_backfill",
    "session_metadata_quarantine",
]


class Base(DeclarativeBase):
    """Base of rekindle's classes, with a MetaData of their own."""

    metadata = tables.metadata


class SessionMetadataRow(Base):
    """One session: its document as text, the numbers that guard it, and the values that listings filter by."""

    __table__ = session_metadata

    if TYPE_CHECKING:
        session_id: Mapped[str]
        schema_version: Mapped[int]
        lock_version: Mapped[int]
        payload: Mapped[str]
        realm: Mapped[str | None]
        provider: Mapped[str]
        model: Mapped[str]
        instance_id: Mapped[str | None]
        comms_name: Mapped[str | None]
        created_at: Mapped[datetime]
        updated_at: Mapped[datetime]


class SessionMetadataArchiveRow(Base):
    """
    The original of a row, kept when it was first rewritten at a newer schema version.

    At one lock version a row is archived once per schema version, because a backfill leaves the lock version alone.
    """

    __table__ = session_metadata_archive

    if TYPE_CHECKING:
        session_id: Mapped[str]
        lock_version: Mapped[int]
        schema_version: Mapped[int]
        payload: Mapped[str]
        payload_sha256: Mapped[str]
        changes: Mapped[str]
        realm: Mapped[str | None]
        library_version: Mapped[str]
        updated_at: Mapped[datetime]
        archived_at: Mapped[datetime]


class SessionMetadataQuarantineRow(Base):
    """A row that cannot be upcast or validated, and why. The row itself stays where it is, byte for byte."""

    __table__ = session_metadata_quarantine

    if TYPE_CHECKING:
        session_id: Mapped[str]
        schema_version: Mapped[int]
        lock_version: Mapped[int]
        realm: Mapped[str | None]
        step: Mapped[str]
        error_class: Mapped[str]
        message: Mapped[str]
        payload_sha256: Mapped[str]
        attempts: Mapped[int]
        first_seen_at: Mapped[datetime]
        last_seen_at: Mapped[datetime]


class SessionMetadataBackfillRow(Base):
    """One run of the backfill: who rewrites what to which schema version, how far it is, and what it is told to do."""

    __table__ = session_metadata_backfill

    if TYPE_CHECKING:
        run_id: Mapped[str]
        state: Mapped[str]
        reason: Mapped[str | None]
        started_by: Mapped[str]
        library_version: Mapped[str]
        from_schema_version: Mapped[int | None]
        to_schema_version: Mapped[int]
        realm: Mapped[str | None]
        settings: Mapped[str]
        converted: Mapped[int]
        left_to_client: Mapped[int]
        quarantined: Mapped[int]
        skipped: Mapped[int]
        error_class: Mapped[str | None]
        started_at: Mapped[datetime]
        updated_at: Mapped[datetime]
        finished_at: Mapped[datetime | None]
