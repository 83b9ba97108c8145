"""What a repository gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from rekindle.errors import InvalidPayloadError, Problem, SchemaError
from rekindle.moments import moment_of
from rekindle.schema import CURRENT, Change, SessionMetadata


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """
    A session as it was loaded.

    The record is frozen; the metadata in it is the caller's to change, in place or by `dataclasses.replace`.
    `schema_version` is the one stored, `lock_version` the token that save() compares, `changes` what the upcast
    altered in memory. Times are aware and in UTC.
    """

    session_id: str
    metadata: SessionMetadata
    schema_version: int
    lock_version: int
    created_at: datetime
    updated_at: datetime
    changes: tuple[Change, ...] = ()

    @property
    def is_outdated(self) -> bool:
        """Whether the row is stored below the current schema version."""
        return self.schema_version < CURRENT


def times(created_at: object, updated_at: object) -> tuple[datetime, datetime]:
    """Read the times of a row; raise InvalidPayloadError where a hand-edited row of SQLite has something else."""
    born, saved = moment_of(created_at), moment_of(updated_at)
    if born is None or saved is None:
        raise InvalidPayloadError((Problem("created_at" if born is None else "updated_at", "is no moment"),))
    return born, saved


def changed(record: SessionRecord, change: Callable[[SessionMetadata], SessionMetadata | None]) -> SessionRecord:
    """Apply `change` to the metadata of a record: in place, or by what it returns."""
    metadata = change(record.metadata)
    return record if metadata is None else replace(record, metadata=metadata)


class Filters(TypedDict, total=False):
    """What a listing can be narrowed by: equality, byte for byte. None stands for any value."""

    realm: str | None
    provider: str | None
    model: str | None
    instance_id: str | None
    comms_name: str | None


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """
    A row as it stands, its document unread: what an operator looks at when it does not load.

    A time is None where a hand-edited row of SQLite has something else in its place.
    """

    session_id: str
    schema_version: int
    lock_version: int
    payload: str
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """
    One page of a listing, newest session first; iterating yields its records.

    `bad` names the rows of the page that do not load. `next_cursor` continues after the page, None at the end.
    """

    records: tuple[SessionRecord, ...]
    bad: tuple[SchemaError, ...]
    next_cursor: str | None

    def __iter__(self) -> Iterator[SessionRecord]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Sessions loaded by id, in the order asked for; iterating yields the records.

    `bad` names the rows that do not load, `missing` the ids that no row has.
    """

    by_id: Mapping[str, SessionRecord]
    bad: tuple[SchemaError, ...]
    missing: tuple[str, ...]

    def __iter__(self) -> Iterator[SessionRecord]:
        return iter(self.by_id.values())

    def __len__(self) -> int:
        return len(self.by_id)
