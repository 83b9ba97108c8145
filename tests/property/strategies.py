"""
Documents of every schema version, generated from the frozen snapshots, never from today's models.

hypothesis-jsonschema would be the tool for it; its last release, 0.23.1, builds on internals that Hypothesis no longer
has. The snapshots use a small part of JSON Schema, which fits on this page, and a keyword that is not understood here
is an error rather than a document that is wider than the schema.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import rekindle.schema

SNAPSHOTS = Path(rekindle.schema.__file__).parent / "snapshots"
VERSIONS = sorted(int(path.stem[1:]) for path in SNAPSHOTS.glob("v*.json"))
NEWEST = VERSIONS[-1]


@cache
def frozen_schema(number: int) -> dict[str, Any]:
    """The JSON Schema of a version's document, as it was frozen."""
    return json.loads((SNAPSHOTS / f"v{number}.json").read_text(encoding="utf-8"))["document"]


def known_keys(schema: dict[str, Any]) -> set[str]:
    """Every key that a schema gives a meaning to, at any depth."""
    children = [*schema.get("anyOf", ()), *schema.get("properties", {}).values()]
    children += [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    return set(schema.get("properties", ())).union(*map(known_keys, children))


EVERY_KEY = set().union(*(known_keys(frozen_schema(number)) for number in VERSIONS))

# --- Values ---------------------------------------------------------------------------------------------------------

_CHARACTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\x00")  # what every database takes
TEXT = st.text(_CHARACTERS, max_size=12) | st.sampled_from(["", " ", "é", "日本語", "🜂", "\\u0041", '"', "a" * 255])
INTEGERS = st.integers() | st.sampled_from([0, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40])
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([-0.0, 1e308, 5e-324, 0.1, 1.0, 1e22])
SCALARS = st.none() | st.booleans() | INTEGERS | FLOATS | TEXT
JSON = st.recursive(
    SCALARS | st.just([]) | st.just({}) | st.just([None, [None], {"": None}]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children, max_size=3),
    max_leaves=8,
)

# Keys that no version knows: another program's, or those of a release to come.
UNKNOWN = st.dictionaries(
    (
        st.text(_CHARACTERS, max_size=6)
        | st.sampled_from(["x", "future_field", "", "Ünbekannt", "model_config", "copy"])
    ).filter(lambda key: key not in EVERY_KEY),
    JSON,
    max_size=2,
)

_TELLING = ["env_default", "default", "mob.a", "MiXed_.-1"]  # what a rule looks for, and chance does not find

# Content that no frozen schema allows and that builds between releases wrote all the same.
IN_BETWEEN: list[dict[str, Any]] = [
    {"auth_binding": {"realm": "Not a slug", "binding": "b", "x": [1]}},
    {"auth_binding": {"realm": "r", "binding": "Ü/b", "profile": "p:q"}},
    {"auth_binding": {"realm_id": "R:1", "realm": "r", "binding_id": "b", "profile": None}},
    {"connection_ref": {"realm": "a b", "binding": "env", "x": {"y": None}}},
    {"connection_ref": {"realm_id": "env_default", "binding_id": "default"}, "auth_binding": None},
    {"host_mode": True, "keep_alive": False, "host_mode_owner": "session_service"},
    {"realm_id": "mob:Größe"},
    {"provider": "open_a_i"},
]

# --- JSON Schema ----------------------------------------------------------------------------------------------------

_UNDERSTOOD = {
    "additionalProperties",
    "anyOf",
    "default",
    "enum",
    "format",
    "items",
    "maximum",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
}


@cache
def documents(number: int) -> st.SearchStrategy[dict[str, Any]]:
    """Documents that are valid at a schema version, with unknown keys at every depth."""
    schema = frozen_schema(number)
    # The current model takes any number, because save() stamps it; what is stored has the version's own.
    numbered = {**schema, "properties": {**schema["properties"], "schema_version": {"enum": [number]}}}
    return _valid(numbered)


def _valid(schema: dict[str, Any]) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one for each kind of schema
    assert schema.keys() <= _UNDERSTOOD, schema.keys() - _UNDERSTOOD
    if "anyOf" in schema:
        return st.one_of(map(_valid, schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case None:
            return JSON
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            low, high = schema["minimum"], schema["maximum"]
            return st.integers(low, high) | st.sampled_from([low, high])
        case "string":
            return _text(schema)
        case "array":
            return st.lists(_valid(schema["items"]), max_size=4)
        case "object":
            return _object(schema)
    raise AssertionError(schema)


def _text(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        # JSON Schema searches, and its `$` is the end; Python's is also before a last line break.
        pattern = re.compile(schema["pattern"].replace("$", r"\Z"))
        generated = st.from_regex(pattern, alphabet=_CHARACTERS) | TEXT.filter(pattern.search)
        generated |= st.sampled_from(_TELLING).filter(pattern.search)
        return generated.filter(lambda text: len(text) < 256)
    if schema.get("format") == "uuid":
        forms = st.sampled_from([str, lambda uuid: uuid.hex, lambda uuid: uuid.urn, lambda uuid: f"{{{uuid}}}"])
        written = st.builds(lambda uuid, form: form(uuid), st.uuids(), forms)
        return written | st.uuids().map(lambda uuid: str(uuid).upper())
    assert "format" not in schema, schema
    return TEXT.filter(lambda text: len(text) >= schema.get("minLength", 0))


def _object(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    others = schema["additionalProperties"]
    if "properties" not in schema:
        return st.dictionaries(TEXT, _valid(others), max_size=3)
    assert others is True, schema
    required = set(schema.get("required", ()))
    members = {name: _valid(child) for name, child in schema["properties"].items()}
    # Not `optional=`, which leaves out nearly everything nearly always.
    known = st.fixed_dictionaries(
        {name: values if name in required else st.just(_ABSENT) | values for name, values in members.items()}
    )
    return st.builds(_without_absent, UNKNOWN, known)


_ABSENT = object()


def _without_absent(*parts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items() if value is not _ABSENT}


@st.composite
def hybrids(draw: st.DrawFn) -> dict[str, Any]:
    """Content of one version, perhaps with pieces of others mixed in, under any number."""
    document = draw(documents(draw(st.sampled_from(VERSIONS))))
    other = draw(documents(draw(st.sampled_from(VERSIONS))))
    for key in draw(st.sets(st.sampled_from(sorted(other)), max_size=4)):
        document[key] = other[key]
    if isinstance(other["tooling"], dict) and draw(st.booleans()):
        document["tooling"] = {**document["tooling"], **other["tooling"]}
    document |= draw(st.sampled_from([{}, {}, *IN_BETWEEN]))
    number = draw(st.sampled_from([None, *VERSIONS]))
    document.pop("schema_version", None)
    return document if number is None else {"schema_version": number, **document}
