"""
Take a document of any schema version to the current one.

Rows lie about their number: releases stamped 2 on documents of every shape. So the number decides only whether this
release may touch the document at all; every step runs on every document and finds by content what it has to do.
Pure: no I/O, no clock, and the argument is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rekindle.errors import InvalidPayloadError, NewerSchemaError, Problem, SchemaError, UpcastError
from rekindle.schema import CURRENT, VERSIONS, Change, Document, SessionMetadata, Step

PLAN: tuple[tuple[int, Step], ...] = tuple((version, module.upcast) for version, module in VERSIONS.items())
"""Made once, and the same for every stored version: the number may lie, so no step is left out on its word."""


class Upcast(NamedTuple):
    """
    A document at the current schema version, and how it got there.

    `from_version` is the number that was stored, 1 when there was none. `changes` names every stored value that was
    altered or dropped, by its path in the stored document.
    """

    document: Document
    from_version: int
    changes: tuple[Change, ...]


_upcast: Callable[[tuple[Document, int, tuple[Change, ...]]], Upcast] = partial(tuple.__new__, Upcast)


def upcast(document: Mapping[str, Any]) -> Upcast:
    """
    Take a parsed document to the current schema version, validated.

    Raises NewerSchemaError for a document of a later release, InvalidPayloadError for one that is not session
    metadata, UpcastError when a step fails.
    """
    result = walk(document)
    validate(result.document)
    return result


def walk(document: object) -> Upcast:
    """Take a parsed document through every step, without validating what comes out."""
    if type(document) is not dict:
        if not isinstance(document, Mapping):
            raise InvalidPayloadError((Problem("", "is not a JSON object"),))
        document = dict(document)
    stored = stored_version(document)
    found: list[Change] = []
    current: Document = document
    for version, step in PLAN:
        try:
            current, changes = step(current)
        except SchemaError:
            raise
        except Exception as error:
            raise UpcastError(version - 1, version, type(error).__name__) from error
        if changes:
            found += changes
    if current is document:  # a step that finds nothing to do returns what it was given, which is the caller's
        current = current.copy()
    current["schema_version"] = CURRENT
    return _upcast((current, stored, tuple(found)))


def stored_version(document: Mapping[str, Any]) -> int:
    """Read the number in a document, 1 when there is none; refuse what is no number, and what is newer."""
    number = document.get("schema_version", 1)
    if type(number) is not int or number < 1:
        raise InvalidPayloadError((Problem("schema_version", "is not a positive integer"),))
    if number > CURRENT:
        raise NewerSchemaError(number, CURRENT)
    return number


def validate(document: Document) -> SessionMetadata:
    """Make the current model of a document that is at the current schema version."""
    try:
        # What model_validate() ends in; its own options cost as much as one of the steps.
        metadata: SessionMetadata = SessionMetadata.__pydantic_validator__.validate_python(document)
    except ValidationError as error:
        raise InvalidPayloadError(problems(error, document)) from None
    return metadata


def problems(error: ValidationError, document: Document) -> tuple[Problem, ...]:
    """Name what pydantic found, where it is in the document, and without the values it found."""
    found = error.errors(include_url=False, include_input=False)
    return tuple(Problem(_path(detail["loc"], document), _reason(detail)) for detail in found)


def _path(loc: tuple[int | str, ...], document: Any) -> str:
    """Leave out the tags of unions, which pydantic puts among the keys."""
    path: list[str] = []
    for depth, part in enumerate(loc):
        if isinstance(document, dict):
            present = part in document
        else:
            present = isinstance(document, list) and isinstance(part, int)
        if present:
            document = document[part]
        if present or depth == len(loc) - 1:
            path.append(str(part))
    return ".".join(path)


def _reason(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "union_tag_invalid":
            return f"is none of {detail['ctx']['expected_tags']}"
        case "uuid_parsing":
            return "is not a UUID"
        case _:
            return detail["msg"]
