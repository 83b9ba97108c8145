"""
What an upcast did to a document, found out by comparing the two, with no help from the steps.

It knows the two renamings, and nothing else about the rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rekindle.upcasting import Upcast

Path = tuple[str | int, ...]

WHOLE = {"host_mode", "connection_ref"}
MOVED: dict[Path, Path] = {  # the longest that fits holds
    ("host_mode",): ("keep_alive",),
    ("connection_ref",): ("auth_binding",),
    ("connection_ref", "realm_id"): ("auth_binding", "realm"),
    ("connection_ref", "binding_id"): ("auth_binding", "binding"),
    ("auth_binding", "realm_id"): ("auth_binding", "realm"),
    ("auth_binding", "binding_id"): ("auth_binding", "binding"),
}


def unreported(stored: dict[str, Any], result: Upcast) -> list[str]:
    """
    Paths of stored values that are not in the result as they were, and that no change names.

    A change that moves a whole object does not excuse the loss of a value inside of it: that must have arrived at its
    new place, or have a change of its own.
    """
    moves = {change.path for change in result.changes if change.path in WHOLE and change.new is not None}
    others = {change.path for change in result.changes} - moves
    missing = []
    for path, value in _leaves({key: value for key, value in stored.items() if key != "schema_version"}):
        dotted = ".".join(map(str, path))
        arrived = _is_named(dotted, moves) and _holds(result.document, _moved(path), value)
        # A null where something moves to said that there is nothing; no value is lost.
        filled = value is None and path in MOVED.values()
        if not (_holds(result.document, path, value) or arrived or filled or _is_named(dotted, others)):
            missing.append(dotted)
    return missing


def _is_named(dotted: str, names: set[str]) -> bool:
    return any(dotted == name or dotted.startswith(f"{name}.") for name in names)


def _moved(path: Path) -> Path:
    for length in range(len(path), 0, -1):
        if path[:length] in MOVED:
            return MOVED[path[:length]] + path[length:]
    return path


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Scalars and empty containers, with where they are."""
    if value and isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(child, (*path, key))
    else:
        yield path, value


def _holds(document: Any, path: Path, value: Any) -> bool:
    """The value is there, exactly; of an empty object it is enough that an object is there, with defaults in it."""
    for part in path:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return False
    return (value == {} and isinstance(document, dict)) or json.dumps(document) == json.dumps(value)
