"""
rekindle's own lines: `{"session_id": ..., "metadata": {...}, "created_at": ..., "updated_at": ...}`, one object a line.

The timestamps are ISO 8601 with an offset, and may be absent or null. Read line by line, so that a file of any length
takes the memory of its longest line.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from rekindle.errors import ImportSourceError
from rekindle.importers import FoundSession, UnreadableSession
from rekindle.importers.documents import MAX_BYTES, TOO_LARGE, Entry, UnreadableError, parse, serialize, started

_CHUNK = 64 * 1024
_SQLITE_MAGIC = b"SQLite format 3\0"


def read(path: Path) -> Iterator[Entry]:
    """
    Read the sessions in a file of lines, in their order; blank lines are passed over.

    Raises ImportSourceError, by the call itself, when the file cannot be read or is a database.
    """
    return started(_entries(path))


def _entries(path: Path) -> Iterator[Entry]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_lines(file), start=1):
                if number == 1 and line.startswith(_SQLITE_MAGIC):
                    raise ImportSourceError(
                        str(path), "it is a SQLite database", "read it with `rekindle import meerkat`"
                    )
                if len(line) > MAX_BYTES:
                    yield UnreadableSession(None, f"line {number}", TOO_LARGE)
                elif text := line.strip():
                    yield _entry(text, f"line {number}")
    except FileNotFoundError:
        raise ImportSourceError(str(path), "it does not exist", "check the path") from None
    except IsADirectoryError:
        remedy = "name a file; a directory of Meerkat's is read with `rekindle import meerkat`"
        raise ImportSourceError(str(path), "it is a directory", remedy) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ImportSourceError(str(path), reason, "make the file readable and try again") from error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Split into lines; of one that is too large only the beginning is kept, and says so by its length."""
    while line := file.readline(MAX_BYTES + 1):
        if len(line) > MAX_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(_CHUNK)) and not rest.endswith(b"\n"):
                pass
        yield line


def _entry(line: bytes, origin: str) -> Entry:
    session_id = None
    try:
        content = _content(line)
        session_id = _session_id(content)
        created_at, updated_at = (_timestamp(content, name) for name in ("created_at", "updated_at"))
        return FoundSession(session_id, _metadata(content), created_at, updated_at, origin)
    except UnreadableError as error:
        return UnreadableSession(session_id, origin, error.reason)


def _content(line: bytes) -> dict[str, Any]:
    content = parse(line)
    if not isinstance(content, dict):
        raise UnreadableError("not an object")
    return content


def _session_id(content: dict[str, Any]) -> str:
    session_id = content.get("session_id")
    if not isinstance(session_id, str):
        raise UnreadableError("no session_id" if session_id is None else "session_id is not text")
    serialize(session_id)
    return session_id


def _metadata(content: dict[str, Any]) -> str:
    metadata = content.get("metadata")
    if not isinstance(metadata, dict):
        raise UnreadableError("no metadata" if metadata is None else "metadata is not an object")
    return serialize(metadata)


def _timestamp(content: dict[str, Any], name: str) -> datetime | None:
    value = content.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise UnreadableError(f"{name} has no offset from UTC")
        return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise UnreadableError(f"{name} is not an ISO 8601 timestamp") from None
