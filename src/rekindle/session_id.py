"""What a session id may be, the same on every database, and the cursor that points behind one."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime

from pydantic_core import from_json, to_json

from rekindle.errors import InvalidCursorError, InvalidSessionIdError

MAX_LENGTH = 255
"""In characters: what a key of every supported database can hold."""


def checked(session_id: object) -> str:
    """Return a session id that every database takes and compares byte for byte; raise InvalidSessionIdError."""
    if not isinstance(session_id, str):
        raise InvalidSessionIdError(session_id, "it is no text")
    if not 1 <= len(session_id) <= MAX_LENGTH:
        raise InvalidSessionIdError(session_id, f"it has {len(session_id)} characters")
    if "\x00" in session_id:
        raise InvalidSessionIdError(session_id, "it contains NUL")
    if not session_id.isascii() and any("\ud800" <= character <= "\udfff" for character in session_id):
        raise InvalidSessionIdError(session_id, "it contains half of a surrogate pair")
    return session_id


def cursor_behind(created_at: datetime, session_id: str) -> str:
    """Point behind a row in the order of listings. Opaque: what is in it may change in any release."""
    return urlsafe_b64encode(to_json([created_at.isoformat(), session_id])).decode()


def position_of(cursor: str) -> tuple[datetime, str]:
    """Read a cursor; raise InvalidCursorError."""
    try:
        created_at, session_id = from_json(urlsafe_b64decode(cursor.encode()))
        moment = datetime.fromisoformat(created_at)
        if moment.tzinfo is None:
            raise InvalidCursorError(cursor)
        return moment.astimezone(UTC), checked(session_id)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidCursorError(cursor) from error
