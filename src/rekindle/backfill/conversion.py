"""
From a row as it was read to the row as it is to be written, or to the reason why not.

Decided before anything is written, and without the database: the same decode and encode as load() and save().
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from rekindle import codec
from rekindle.errors import InvalidPayloadError, SchemaError, UpcastError
from rekindle.rewriting import archive_entry, seen_of


@dataclass(frozen=True, slots=True)
class Converted:
    """A row that can be rewritten: the key and versions it was seen at, its new columns, and its original."""

    seen: dict[str, Any]
    columns: dict[str, Any]
    original: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """A row that cannot, and why: the step, the class of the error, and a message without a value of the document."""

    seen: dict[str, Any]
    realm: str | None
    step: str
    error_class: str
    message: str
    payload_sha256: str

    def entry(self) -> dict[str, Any]:
        """Give the columns of its entry in the quarantine."""
        now = datetime.now(UTC)
        return {
            **{name.removeprefix("_"): value for name, value in self.seen.items()},
            "realm": self.realm, "step": self.step, "error_class": self.error_class, "message": self.message,
            "payload_sha256": self.payload_sha256, "attempts": 1, "first_seen_at": now, "last_seen_at": now,
        }  # fmt: skip


def convert(row: Any, to_version: int) -> Converted | Failed:
    """
    Take a row with session_id, both versions, payload, realm and updated_at to a schema version.

    What looks like a credential is no reason to refuse: it is in the row already, and a row that is left behind would
    one day not load at all. `rekindle verify` names it, and save() refuses it as ever.
    """
    seen = seen_of(row)
    step = "read"
    try:
        metadata, _, changes = codec.decode(row.payload, row.schema_version)
        step = "write"
        encoded = codec.encode_validated(metadata, to_version, guard=None)
        return Converted(seen, encoded._asdict(), archive_entry(seen, row, changes))
    except Exception as error:  # noqa: BLE001 - one bad row must not hide the others, whatever is wrong with it
        return failed(row, step, error)


def failed(row: Any, step: str, error: Exception) -> Failed:
    """Say why a row could not be rewritten."""
    digest = sha256(row.payload.encode(errors="surrogatepass")).hexdigest()
    what = type(error).__name__[:64]
    return Failed(seen_of(row), row.realm, _step(step, error), what, reason(error), digest)


def _step(step: str, error: Exception) -> str:
    if isinstance(error, UpcastError):
        return f"{error.from_version} to {error.to_version}"
    return "validate" if isinstance(error, InvalidPayloadError) and step == "read" else step


def reason(error: Exception) -> str:
    """Say what is wrong without the row's name and its values; of an error that is not ours, the class alone."""
    if isinstance(error, InvalidPayloadError):
        return "; ".join(f"{path or 'document'}: {what}" for path, what in error.problems[:20])
    if isinstance(error, UpcastError):
        return f"the step raised {error.reason}"
    return str(error) if isinstance(error, SchemaError) else f"raised {type(error).__name__}"
