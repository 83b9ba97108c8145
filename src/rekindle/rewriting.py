"""
What every rewrite of a row has in common: what it was seen as, the original that it leaves, and why it may miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Row

from rekindle.errors import NewerSchemaError, SessionNotFoundError, StaleSessionError
from rekindle.observability import newer_row_refused, stale_save
from rekindle.schema import CURRENT, Change

MAX_CHANGES_BYTES = 64 * 1024
"""Of the report in an archive entry, which has to fit into one statement with the payload."""

_LONG_VALUE_BYTES = 1024


@cache
def library_version() -> str:
    """Name the release that writes."""
    return version("rekindle")


def seen_of(row: Any) -> dict[str, Any]:
    """Name the key and the versions that a compare-and-swap is about."""
    return {
        "_session_id": row.session_id, "_lock_version": row.lock_version, "_schema_version": row.schema_version,
    }  # fmt: skip


def archive_entry(seen: dict[str, Any], original: Row[*tuple[Any, ...]], changes: Sequence[Change]) -> dict[str, Any]:
    """Give the archive's row for an original with its payload, realm and updated_at; `seen` is the key it was at."""
    return {
        "session_id": seen["_session_id"],
        "lock_version": seen["_lock_version"],
        "schema_version": seen["_schema_version"],
        "payload": original.payload,
        "payload_sha256": sha256(original.payload.encode()).hexdigest(),
        "changes": _changes(changes),
        "realm": original.realm,
        "library_version": library_version(),
        "updated_at": original.updated_at,
        "archived_at": datetime.now(UTC),
    }


def _changes(changes: Sequence[Change]) -> str:
    """Write down what an upcast changed; of very long values only that they were there, for the payload has them."""
    report = _spelled(changes)
    if len(report) > MAX_CHANGES_BYTES:
        report = _spelled(
            [change._replace(old=_shortened(change.old), new=_shortened(change.new)) for change in changes]
        )
    return report.decode()


def _spelled(changes: Sequence[Change]) -> bytes:
    # Not _asdict(), which takes twice as long, for an old row has ten of them.
    return to_json([{"path": path, "reason": reason, "old": old, "new": new} for path, reason, old, new in changes])


def _shortened(value: Any) -> Any:
    return value if value is None or len(to_json(value)) <= _LONG_VALUE_BYTES else "(long: see the payload)"


def why_missed(row: Row[*tuple[Any, ...]] | None, session_id: str, lock_version: int, realm: str | None) -> int:
    """
    Say why a compare-and-swap at `lock_version` missed; `row` has the two versions that are there now.

    Returns the schema version that a backfill has written meanwhile, which is no reason to give up.
    """
    if row is None:
        raise SessionNotFoundError(session_id, realm)
    if row.schema_version > CURRENT:
        raise newer_row_refused(NewerSchemaError(row.schema_version, CURRENT, session_id))
    if row.lock_version != lock_version:
        raise stale_save(StaleSessionError(session_id, lock_version, row.lock_version))
    found: int = row.schema_version
    return found
