"""
What a reader of one schema version makes of documents of another, from the snapshots and the steps.

A verdict is *backward* when the newer version reads the older one's documents, *forward* when programs of the older
version read what the newer one is made to write for them, *full* when it is both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from rekindle.history.snapshot import Snapshot

Schema = Mapping[str, Any]


class Verdict(NamedTuple):
    """The newest version against an older one."""

    newest: int
    older: int
    verdict: str
    backward: tuple[str, ...]
    """What the steps have to make good: why a document of the older version is none of the newest as it stands."""
    forward: tuple[str, ...]
    """What stands in the way of writing for the older version, or is refused when it is written."""


def verdicts(snapshots: Mapping[int, Snapshot]) -> tuple[Verdict, ...]:
    """Judge the newest version against each older one."""
    if not snapshots:
        return ()
    *older, newest = sorted(snapshots)
    return tuple(_verdict(snapshots, newest, version) for version in older)


def _verdict(snapshots: Mapping[int, Snapshot], newest: int, older: int) -> Verdict:
    new, old = snapshots[newest].document, snapshots[older].document
    needed = [*obstacles(new, old), *(f"{path} has no meaning any more" for path in unknown(new, old))]
    blocked = [
        f"the downcast to {version - 1} is {snapshots[version].downcast}"
        for version in range(newest, older, -1)
        if snapshots[version].downcast != "exact"
    ]
    refused = [f"{path} cannot be said in {older}: a document that sets it is refused" for path in unknown(old, new)]
    return Verdict(newest, older, "backward" if blocked else "full", tuple(needed), tuple(blocked or refused))


def unknown(reader: Schema, writer: Schema, path: str = "") -> Iterator[str]:
    """Name the keys that the writer gives a meaning to and the reader does not."""
    for name, child in writer.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        known = reader.get("properties", {}).get(name)
        if known is None:
            yield where
            continue
        for theirs in _objects(child):
            candidates = [list(unknown(ours, theirs, where)) for ours in _objects(known)]
            yield from min(candidates, key=len, default=[])


def _objects(schema: Schema) -> list[Schema]:
    return [option for option in schema.get("anyOf", [schema]) if "properties" in option]


def obstacles(reader: Schema, writer: Schema, path: str = "") -> Iterator[str]:
    """
    Say why a document that is valid for the writer may be none for the reader.

    On the safe side: two different patterns are an obstacle, although one may allow all that the other does.
    """
    if not reader.keys() - {"default"}:
        return
    for theirs in writer.get("anyOf", [writer]):
        candidates = [list(_within(ours, theirs, path)) for ours in reader.get("anyOf", [reader])]
        if all(candidates):
            yield from min(candidates, key=lambda found: (found[0].endswith("is not accepted"), len(found)))


def _within(reader: Schema, writer: Schema, path: str) -> Iterator[str]:
    where = path or "the document"
    if "enum" in reader:
        if "enum" not in writer:
            yield f"{where}: {writer.get('type', 'any value')} is not accepted"
        yield from (
            f"{where}: {value!r} is not accepted" for value in writer.get("enum", ()) if value not in reader["enum"]
        )
        return
    if "type" in reader and reader["type"] != writer.get("type"):
        yield f"{where}: {writer.get('type', 'any value')} is not accepted"
        return
    for limit, is_tighter in _LIMITS.items():
        if limit in reader and is_tighter(reader[limit], writer.get(limit)):
            yield f"{where}: {limit} is {reader[limit]}"
    if "items" in reader:
        yield from obstacles(reader["items"], writer.get("items", {}), f"{path}[]")
    yield from _object_within(reader, writer, path)


_LIMITS: Mapping[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda ours, theirs: theirs is None or theirs < ours,
    "maximum": lambda ours, theirs: theirs is None or theirs > ours,
    "minLength": lambda ours, theirs: theirs is None or theirs < ours,
    "maxLength": lambda ours, theirs: theirs is None or theirs > ours,
    "pattern": lambda ours, theirs: ours != theirs,
    "format": lambda ours, theirs: ours != theirs,
}


def _object_within(reader: Schema, writer: Schema, path: str) -> Iterator[str]:
    for name in reader.get("required", ()):
        if name not in writer.get("required", ()):
            yield f"{path}.{name} may be missing".removeprefix(".")
    for name, ours in reader.get("properties", {}).items():
        # A key that the writer does not know may hold anything there; such a document is nobody's but its author's.
        if (theirs := writer.get("properties", {}).get(name)) is not None and (path or name != "schema_version"):
            yield from obstacles(ours, theirs, f"{path}.{name}".removeprefix("."))
    if isinstance(ours := reader.get("additionalProperties"), dict):
        theirs = writer.get("additionalProperties", {})
        yield from obstacles(ours, theirs if isinstance(theirs, dict) else {}, f"{path}.*")
