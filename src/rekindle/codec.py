"""
Between the model and what a row holds: (schema version, payload text).

Pure. The payload stays text until pydantic reads it, so that a current row costs no dict. Whatever one of the databases
would refuse is refused here, for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from rekindle.errors import InvalidPayloadError, NewerSchemaError, Problem, SecretMaterialError
from rekindle.schema import CURRENT, VERSIONS, Change, Document, SessionMetadata
from rekindle.secret_guard import SecretGuard
from rekindle.upcasting import problems, validate, walk

MAX_PAYLOAD_BYTES = 7 * 1024 * 1024
"""Under half of MariaDB's default max_allowed_packet: a driver may have to escape every byte of a payload."""

MAX_PROMOTED_LENGTH = 255
"""In characters: what an index key of every supported database can hold."""

_PROMOTED = ("realm_id", "provider", "model", "instance_id", "comms_name")


class Decoded(NamedTuple):
    """What a payload says: the model, the number it was stored with, and what the upcast altered."""

    metadata: SessionMetadata
    schema_version: int
    changes: tuple[Change, ...]


_decoded: Callable[[tuple[SessionMetadata, int, tuple[Change, ...]]], Decoded] = partial(tuple.__new__, Decoded)
"""NamedTuple's own constructor takes twice as long, and every load goes by here."""


class Encoded(NamedTuple):
    """What a row holds, by the names of its columns: the payload, its schema version, and the values promoted."""

    payload: str
    schema_version: int
    realm: str | None
    provider: str
    model: str
    instance_id: str | None
    comms_name: str | None


def decode(payload: str | bytes, schema_version: int) -> Decoded:
    """
    Read what a row holds; `schema_version` is the row's column.

    Raises NewerSchemaError, InvalidPayloadError or UpcastError, none of them with a session id: the caller knows it.
    """
    # A column of SQLite holds whatever was put into it by hand.
    if type(schema_version) is not int or schema_version < 1:
        raise InvalidPayloadError((Problem("schema_version", "is not a positive integer"),))
    if schema_version > CURRENT:
        raise NewerSchemaError(schema_version, CURRENT)
    if schema_version == CURRENT:
        _refuse_large(payload)
        try:
            # What model_validate_json() ends in; its own options cost a tenth of it.
            metadata = SessionMetadata.__pydantic_validator__.validate_json(payload)
        except ValidationError:
            pass  # the long way round finds out whether it is older content, or says what is wrong
        else:
            if metadata.schema_version == CURRENT and not _has_unknown_keys(metadata):
                return _decoded((metadata, CURRENT, ()))
    document, stored, changes = walk(parse(payload))
    return _decoded((validate(document), stored, changes))


def _has_unknown_keys(metadata: SessionMetadata) -> bool:
    """Older content that is valid at the current version can only hide among keys that the model does not know."""
    binding = metadata.auth_binding
    return bool(
        metadata.__pydantic_extra__
        or metadata.tooling.__pydantic_extra__
        or (binding is not None and binding.__pydantic_extra__)
    )


def parse(payload: str | bytes) -> Any:
    """Parse JSON as every database would take it; a payload that is too large or too deep is refused unparsed."""
    _refuse_large(payload)
    try:
        return from_json(payload, allow_inf_nan=False)
    except (ValueError, TypeError) as error:  # TypeError is what it has for text that is no Unicode
        raise InvalidPayloadError((Problem("", f"is not JSON ({error})"),)) from None


def _refuse_large(payload: str | bytes) -> None:
    # The length in characters settles it for nearly all; only between the two bounds do the bytes need counting.
    size = len(payload)
    if isinstance(payload, str) and MAX_PAYLOAD_BYTES // 4 < size <= MAX_PAYLOAD_BYTES:
        size = len(payload.encode(errors="surrogatepass"))
    if size > MAX_PAYLOAD_BYTES:
        raise InvalidPayloadError((Problem("", f"is larger than {MAX_PAYLOAD_BYTES} bytes"),))


def canonical(payload: str) -> bytes:
    """
    Say a document so that two texts of equal content are equal.

    The order of keys does not count; 1, 1.0 and true stay apart. A text that is no JSON is equal to itself alone.
    """
    try:
        document = parse(payload)
    except InvalidPayloadError:
        return payload.encode(errors="surrogatepass")
    return json.dumps(document, sort_keys=True).encode()


def encode(metadata: SessionMetadata, write_version: int, guard: SecretGuard | None) -> Encoded:
    """
    Say a document at `write_version`, checked as strictly as it would be on load, and stamp the model.

    The model is the caller's to change, so nothing about it is taken on trust. Raises InvalidPayloadError, also for
    what `write_version` cannot say, and SecretMaterialError.
    """
    metadata.schema_version = CURRENT
    # Said twice: a key that is there twice, or a spelling that is not ours, must not get past the checks.
    return encode_validated(_validated(_serialized(metadata)), write_version, guard)


def encode_validated(metadata: SessionMetadata, write_version: int, guard: SecretGuard | None) -> Encoded:
    """
    Say a document that has just been validated and nobody has had in hand since; the rest of encode().

    Only for a guard, an unknown key, an odd text or an older schema version is the text parsed again.
    """
    text = _serialized(metadata)
    _refuse_large(text)
    # Only looks like it, inside of a string or in its own right: a walk tells them apart.
    is_odd = b"\\u0000" in text or b"NaN" in text or b"Infinity" in text
    has_unknown_keys = _has_unknown_keys(metadata)
    if guard is not None or is_odd or has_unknown_keys or write_version < CURRENT:
        document: Document = from_json(text)
        if is_odd:
            _refuse_unstorable(document)
        _refuse_secrets(document, guard)
        if has_unknown_keys:
            _refuse_older_names(document)
        if write_version < CURRENT:
            for version in range(CURRENT, write_version, -1):
                document = _downcast(document, version)
            text = to_json(document)
    return _promoted(metadata, text.decode(), write_version)


def _serialized(metadata: SessionMetadata) -> bytes:
    try:
        # A wrong type in the model is an error of validation, which comes next, and no warning before it.
        return metadata.__pydantic_serializer__.to_json(metadata, warnings=False)
    except (PydanticSerializationError, RecursionError, ValueError) as error:
        raise InvalidPayloadError((Problem("", f"cannot be written as JSON ({type(error).__name__})"),)) from None


def _validated(text: bytes) -> SessionMetadata:
    try:
        metadata: SessionMetadata = SessionMetadata.__pydantic_validator__.validate_json(text)
    except ValidationError as error:
        raise InvalidPayloadError(problems(error, parse(text))) from None
    return metadata


def adopt(payload: str, write_version: int, guard: SecretGuard | None) -> Encoded:
    """
    Take over a document that another program or release stored.

    Up to `write_version` the text stays as it is, to be upcast on load and archived by the first save; above, it is
    said anew. Raises what decode and encode raise.
    """
    document = parse(payload)
    _refuse_ambiguous(payload)
    upcast = walk(document)
    metadata = validate(upcast.document)
    if upcast.from_version > write_version or (upcast.from_version == CURRENT and not upcast.changes):
        return encode_validated(metadata, write_version, guard)
    _refuse_unstorable(document)
    _refuse_secrets(document, guard)
    # Older content under the current number goes in below it, or the first load would take the number's word.
    return _promoted(metadata, payload, min(upcast.from_version, CURRENT - 1))


def _refuse_older_names(document: Document) -> None:
    """Refuse an unknown key that on load would be read as what it meant in an earlier schema version."""
    if changes := walk(document).changes:
        reason = "the name belongs to an earlier schema version"
        raise InvalidPayloadError(tuple(Problem(change.path, reason) for change in changes))


def _downcast(document: Document, version: int) -> Document:
    downcast = VERSIONS[version].downcast
    if downcast is None:
        raise InvalidPayloadError((Problem("", f"schema version {version - 1} cannot be written by this release"),))
    document, unsayable = downcast(document)
    if unsayable:
        reason = f"cannot be said in schema version {version - 1}"
        raise InvalidPayloadError(tuple(Problem(path, reason) for path in unsayable))
    return document


def _promoted(metadata: SessionMetadata, payload: str, schema_version: int) -> Encoded:
    """Put a payload beside the values that listings filter by."""
    promoted = metadata.realm_id, metadata.provider.value, metadata.model, metadata.instance_id, metadata.comms_name
    values = zip(_PROMOTED, promoted, strict=True)
    if long := [name for name, value in values if value is not None and len(value) > MAX_PROMOTED_LENGTH]:
        reason = f"is longer than {MAX_PROMOTED_LENGTH} characters"
        raise InvalidPayloadError(tuple(Problem(name, reason) for name in long))
    return Encoded(payload, schema_version, *promoted)


def _refuse_ambiguous(payload: str) -> None:
    """Refuse a key that occurs twice: parsers differ about which counts, and no check would see the other."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise InvalidPayloadError((Problem("", "a key occurs twice in one object"),))
        return found

    json.loads(payload, object_pairs_hook=members)


def _refuse_secrets(document: Document, guard: SecretGuard | None) -> None:
    """Raise SecretMaterialError when the guard finds something; None stands for no guard."""
    if guard is not None and (finding := guard(document)) is not None:
        raise SecretMaterialError(finding.path, finding.kind)


def _refuse_unstorable(document: Document) -> None:
    """Refuse the values that one of the databases, or the JSON standard, would not take."""
    pending: list[tuple[str, Any]] = [("", document)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            if any("\x00" in key for key in value):
                raise InvalidPayloadError((Problem(path, "a key contains NUL"),))
            pending.extend((f"{path}.{key}" if path else key, child) for key, child in value.items())
        elif isinstance(value, list):
            pending.extend((f"{path}.{index}", child) for index, child in enumerate(value))
        elif isinstance(value, str) and "\x00" in value:
            raise InvalidPayloadError((Problem(path, "contains NUL"),))
        elif isinstance(value, float) and not isfinite(value):
            raise InvalidPayloadError((Problem(path, "is not a finite number"),))
