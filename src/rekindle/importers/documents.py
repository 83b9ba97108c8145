"""
From the bytes that a source holds to the session-metadata document in them.

Lenient about everything around the document, which is not ours to judge, and strict about the document itself: what
no database could store, or JSON cannot say, is an UnreadableError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from rekindle.importers import FoundSession, UnreadableSession

Entry: TypeAlias = FoundSession | UnreadableSession

MAX_BYTES = 64 * 1024 * 1024
"""Of one JSON value in a source. A whole session with its messages stays far below; parsing takes ten times as much."""

NO_METADATA = "no session_metadata"
TOO_LARGE = f"larger than {MAX_BYTES} bytes"

_KEY = "session_metadata"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnreadableError(Exception):
    """There is no readable document in this place. `reason` never carries a value of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Document(NamedTuple):
    """The JSON text of a document, and what was written beside it about when."""

    payload: str
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Source(NamedTuple):
    """
    A place where the document of one session may be, not yet looked into.

    `fetch` raises UnreadableError when what is there cannot be had. `extract` is one of the from_... functions here.
    """

    origin: str
    fetch: Callable[[], bytes]
    extract: Callable[[bytes, str], Document]


def started(entries: Iterator[Entry]) -> Iterator[Entry]:
    """Take the first entry now, so that the call refuses a source that cannot be read, and not the loop over it."""
    first = next(entries, None)
    return iter(()) if first is None else chain((first,), entries)


def from_cell(raw: bytes, _session_id: str) -> Document:
    """Take the document that is stored on its own, as the very text that is stored."""
    serialize(_as_object(parse(raw), _KEY))
    return Document(raw.decode())


def from_map(raw: bytes, _session_id: str) -> Document:
    """Cut the document out of a session's metadata map."""
    return Document(_cut(parse(raw)))


def from_envelope(raw: bytes, session_id: str) -> Document:
    """Cut the document out of a whole session, a head, a snapshot or a sidecar: all say id and metadata alike."""
    envelope = _as_object(parse(raw), "the session")
    if envelope.get("id", session_id) != session_id:
        raise UnreadableError("the document of another session")
    return Document(
        _cut(envelope.get("metadata", {})),
        _from_system_time(envelope.get("created_at")),
        _from_system_time(envelope.get("updated_at")),
    )


def parse(raw: bytes) -> Any:
    """Parse JSON, but for what would exhaust memory or the stack."""
    if len(raw) > MAX_BYTES:
        raise UnreadableError(TOO_LARGE)
    try:
        return json.loads(raw.decode())
    except RecursionError:
        raise UnreadableError("nested too deeply") from None
    except json.JSONDecodeError as error:
        # The place and not the parser's words, which may quote what stands there.
        raise UnreadableError(f"not JSON (character {error.pos + 1})") from None
    except UnicodeDecodeError:
        raise UnreadableError("not UTF-8") from None
    except ValueError:
        # The interpreter's limit on the digits of an integer, the one other way for a text to be no value.
        raise UnreadableError("a number with too many digits") from None


def serialize(document: Any) -> str:
    """
    Say a parsed document as JSON text: compact, keys in their order, no character escaped that need not be.

    What the parser let pass and JSON cannot say is refused here and not while parsing, so that a NaN among the
    messages of a session does not cost its metadata.
    """
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except RecursionError:
        raise UnreadableError("nested too deeply") from None
    except UnicodeEncodeError:
        raise UnreadableError("half a surrogate pair") from None
    except ValueError:
        raise UnreadableError("NaN or an infinite number") from None
    return text


def from_milliseconds(value: Any) -> datetime | None:
    """Read a column of milliseconds since the epoch; None for whatever is not one."""
    return _since_epoch(milliseconds=value) if _is_integer(value) else None


def _from_system_time(value: Any) -> datetime | None:
    """Read what Rust's serde writes for a SystemTime."""
    if not isinstance(value, dict):
        return None
    seconds: Any = value.get("secs_since_epoch")
    nanoseconds: Any = value.get("nanos_since_epoch")
    if not (_is_integer(seconds) and _is_integer(nanoseconds)):
        return None
    return _since_epoch(seconds=seconds, microseconds=nanoseconds // 1000)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _since_epoch(**elapsed: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(**elapsed)
    except OverflowError:
        return None


def _cut(metadata: Any) -> str:
    if _KEY not in _as_object(metadata, "the metadata map"):
        raise UnreadableError(NO_METADATA)
    return serialize(_as_object(metadata[_KEY], _KEY))


def _as_object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableError(f"{what} is not an object")
    return value
