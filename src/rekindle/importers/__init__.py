"""Reading other programs' stores, strictly read-only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class FoundSession:
    """
    One session in a source: the document as stored there, and when it was written.

    `payload` is the JSON text of the document, of any schema version and not validated. The timestamps are aware and
    in UTC, None where the source does not say. `origin` says where in the source it was found.
    """

    session_id: str
    payload: str
    created_at: datetime | None
    updated_at: datetime | None
    origin: str


@dataclass(frozen=True, slots=True)
class UnreadableSession:
    """
    An entry in a source that holds no readable document; imports name it and go on.

    `reason` never carries a value of the document.
    """

    session_id: str | None
    origin: str
    reason: str
