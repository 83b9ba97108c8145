"""What a session id may be, the same on every database, and the cursor that points behind one."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime

from pydantic_core import from_json, to_json

from rekindle.errors import InvalidCursorError, InvalidSessionIdError
from rekindle.moments import text_of

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


def cursor_behind(created_at: object, session_id: str) -> str:
    """
    Point behind a row in the order of listings. Opaque: what is in it may change in any release.

    `created_at` is what the database sorts by: a moment, or what a row of SQLite has in its place.
    """
    place = created_at.isoformat() if isinstance(created_at, datetime) else [created_at]
    return urlsafe_b64encode(to_json([place, session_id])).decode()


def position_of(cursor: str, *, as_kept: bool) -> tuple[object, str]:
    """Read a cursor; `as_kept` for a database that sorts by what is kept, moment or not. Raises InvalidCursorError."""
    try:
        place, session_id = from_json(urlsafe_b64decode(cursor.encode()))
        if as_kept:
            (kept,) = place if isinstance(place, list) else [text_of(_moment(place))]
            if isinstance(kept, int):
                kept.to_bytes(8, signed=True)  # OverflowError for what SQLite has no integer for
            if isinstance(kept, str | int | float):
                return kept, checked(session_id)
            raise InvalidCursorError(cursor)
        return _moment(place), checked(session_id)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidCursorError(cursor) from error


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)
