"""
Whether a write arrived whose answer was lost.

Pure. A row says which write it comes from: by its lock version, and by the time of that write, to the microsecond.
The document alone would not do, because two processes may well save the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from rekindle.record import StoredDocument


class Verdict(Enum):
    """What the row tells about a write."""

    ARRIVED = auto()
    NOT_YET = auto()
    """It has not arrived. It still may, when the server has not noticed yet that its client is gone."""
    NEVER = auto()
    """It has not arrived, and its compare-and-swap cannot succeed any more."""
    UNKNOWN = auto()
    """Somebody else has written since, and what was there before can no longer be seen."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A write as it was sent: the row that it leaves, and what the caller is answered when it has arrived."""

    session_id: str
    lock_version: int
    schema_version: int
    payload: str
    created_at: datetime
    updated_at: datetime
    answer: Any

    def verdict(self, row: StoredDocument | None) -> Verdict:
        """Judge by the row that is there now."""
        if row is None:
            # Creating it may still arrive; a swap finds nothing that it could replace.
            return Verdict.NOT_YET if self.lock_version == 1 else Verdict.NEVER
        if row.created_at != self.created_at:
            return Verdict.NEVER  # it is another session of the same name
        if row.lock_version < self.lock_version:
            return Verdict.NOT_YET
        if row.lock_version > self.lock_version:
            # A save keeps the birthday of the row, so who created it can be seen for ever.
            return Verdict.ARRIVED if self.lock_version == 1 else Verdict.UNKNOWN
        # A backfill moves neither the lock version nor the time, so that the row may be at a newer schema version.
        same = row.schema_version > self.schema_version or row.payload == self.payload
        return Verdict.ARRIVED if row.updated_at == self.updated_at and same else Verdict.NEVER


@dataclass(frozen=True, slots=True)
class Deletion:
    """A delete as it was sent; `created_at` is None when it was by id, and meant whatever holds the id."""

    session_id: str
    created_at: datetime | None
    answer: None = None

    def verdict(self, row: StoredDocument | None) -> Verdict:
        """Judge by the row that is there now: gone is gone, whoever was faster."""
        if row is None or (self.created_at is not None and row.created_at != self.created_at):
            return Verdict.ARRIVED
        return Verdict.NOT_YET
