"""
The frozen form of one schema version: `snapshots/v<N>.json` beside the modules.

A snapshot holds the JSON Schema of the version's model and the fingerprints of all that may not change once it is
released. Each is sealed, and names the seal of the one before, so that none can be edited or replaced by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Self

from rekindle.history.source import step_fingerprint


class Snapshot(NamedTuple):
    """What `snapshots/v<N>.json` says. A draft (`frozen` false) may still change."""

    schema_version: int
    summary: str
    frozen: bool
    downcast: str
    step: str
    """Fingerprint of the source of the step, see step_fingerprint()."""
    follows: str | None
    """Seal of the snapshot before."""
    document: Mapping[str, Any]
    """Normalised JSON Schema of the model."""
    seal: str

    @classmethod
    def of(cls, module: ModuleType, follows: str | None, *, frozen: bool) -> Self:
        """Take the snapshot of a version as its module is now."""
        content = {
            "schema_version": module.VERSION,
            "summary": module.SUMMARY,
            "frozen": frozen,
            "downcast": module.DOWNCAST,
            "step": step_fingerprint(module),
            "follows": follows,
            "document": normalised(module.SessionMetadata.model_json_schema()),
        }
        return cls(**content, seal=fingerprint(content))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a snapshot; raises ValueError when it is not what of() and write() made."""
        try:
            snapshot = cls(**json.loads(path.read_text(encoding="utf-8")))
        except TypeError as error:
            raise ValueError(str(error)) from None
        if snapshot.seal != fingerprint({key: value for key, value in snapshot._asdict().items() if key != "seal"}):
            raise ValueError("the seal does not fit")
        return snapshot

    def write(self, path: Path) -> None:
        """Write the snapshot for people and diffs: sorted by nothing but its own order, two spaces deep."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self._asdict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def fingerprint(content: Any) -> str:
    """Name a JSON value by its content: equal values, whatever their spelling, have equal fingerprints."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + sha256(text.encode()).hexdigest()


_WITHOUT_MEANING = {"title", "description", "examples", "deprecated", "discriminator", "$defs"}
_UNORDERED = {"anyOf", "enum", "required", "type"}
# A constant is an enumeration of one; alternatives that a constant tells apart need no rule against fitting two.
_RENAMED = {"const": "enum", "oneOf": "anyOf"}


def normalised(schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    Say a JSON Schema as pydantic wrote it so that only a change of meaning changes it.

    Definitions are put in where they are used, so that the name of a class has no part in it; titles and descriptions
    go; what has no order is sorted. Raises ValueError for a model that contains itself.
    """
    return _schema(schema, schema.get("$defs", {}), ())


def _schema(node: Mapping[str, Any], definitions: Mapping[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
    if (reference := node.get("$ref")) is not None:
        name = reference.removeprefix("#/$defs/")
        if name in within:
            raise ValueError(f"{name} contains itself, and a snapshot of it would have no end")
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _schema({**definitions[name], **beside}, definitions, (*within, name))
    if (discriminator := node.get("discriminator")) is not None:
        # Pydantic reads the key even where the alternative has a default for it, and its schema does not say so.
        plain = {key: value for key, value in node.items() if key != "discriminator"}
        schema = _schema(plain, definitions, within)
        for alternative in schema["anyOf"]:
            key = discriminator["propertyName"]
            alternative["required"] = sorted({*alternative.get("required", ()), key})
        return schema
    return {
        _RENAMED.get(key, key): _value(key, value, definitions, within)
        for key, value in sorted(node.items())
        if key not in _WITHOUT_MEANING
    }


def _value(key: str, value: Any, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    if key == "default":
        return value
    if key == "const":
        return [value]
    if key == "properties":
        return {name: _schema(child, definitions, within) for name, child in sorted(value.items())}
    if isinstance(value, dict):
        return _schema(value, definitions, within)
    if isinstance(value, list):
        children = [_schema(child, definitions, within) if isinstance(child, dict) else child for child in value]
        return sorted(children, key=fingerprint) if _RENAMED.get(key, key) in _UNORDERED else children
    return value
