"""
Schema version 2: tri-state tooling, `keep_alive`, `auth_binding`, typed skills.

The step is also what cleans up after releases that stamped 2 on documents of every earlier shape.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import JsonValue, Strict, StringConstraints

from rekindle.schema.parts import U32, U64, Bool, Change, Document, NonBlank, NonEmpty, Part, Slug, Text, change
from rekindle.schema.v1 import PeerMeta, ToolCategoryOverride

VERSION = 2
SUMMARY = "Tri-state tooling, keep_alive, auth_binding {realm, binding, profile?} and typed skills."
DOWNCAST = "none"  # a disabled category, a typed skill and keep_alive have no equal in version 1
downcast = None

is_slug = re.compile(r"[A-Za-z0-9._-]+\Z").match
_HYPHENATED = "-".join(f"[0-9a-fA-F]{{{digits}}}" for digits in (8, 4, 4, 4, 12))
_IS_UUID = re.compile(rf"(?:[0-9a-fA-F]{{32}}|{_HYPHENATED}|urn:uuid:{_HYPHENATED}|\{{{_HYPHENATED}\}})\Z").match
_UUID_LENGTH = 36
_NOT_SLUG = re.compile(r"[^A-Za-z0-9._-]")
_ASCII_LOWER = str.maketrans({upper: chr(upper + 32) for upper in range(ord("A"), ord("Z") + 1)})
_OLD_BINDING_KEYS = {"realm_id": "realm", "binding_id": "binding"}
_SLUG_KEYS = ("realm", "binding", "profile")
_STORED_AS = {key: key for key in _SLUG_KEYS}
_CATEGORIES = ("builtins", "shell", "comms", "mob", "memory", "schedule", "workgraph", "image_generation", "web_search")


def _tri_state_changes(old: bool, new: str) -> dict[str, Change]:
    """Made once for all documents: a row of version 1 has up to five of them."""
    return {name: Change(f"tooling.{name}", "booleans became tri-state", old, new) for name in _CATEGORIES}


_ENABLED = _tri_state_changes(True, "enable")
# False was the resolved value, not an intent: nobody can tell "disabled" from "nobody asked".
_INHERITED = _tri_state_changes(False, "inherit")


def slugify(value: str) -> str:
    """
    Make a slug of a value that is none, by the rule of the platform that first had to.

    ASCII letters are lower-cased and each other character becomes an underscore; a slug stays as it is, case included.
    """
    return value if is_slug(value) else _NOT_SLUG.sub("_", value.translate(_ASCII_LOWER))


def upcast(document: Document) -> tuple[Document, list[Change]]:
    """Take a document of any shape of version 1, or of version 2 with older content in it, to version 2."""
    document = document.copy()
    changes: list[Change] = []
    if "host_mode" in document:
        _move_host_mode(document, changes)
    tooling = document.get("tooling")
    if isinstance(tooling, dict):
        document["tooling"] = _tri_state(tooling, changes)
    if "connection_ref" in document:
        _move_connection_ref(document, changes)
    elif isinstance(binding := document.get("auth_binding"), dict):
        document["auth_binding"] = _binding(binding, "auth_binding", changes)
    return document, changes


def _move_host_mode(document: Document, changes: list[Change]) -> None:
    host_mode = document.pop("host_mode")
    if host_mode is None:
        changes.append(change(("host_mode", "replaced by keep_alive", None, None)))
    elif "keep_alive" in document:
        changes.append(change(("host_mode", "keep_alive is present and says the same thing newer", host_mode, None)))
    else:
        document["keep_alive"] = host_mode
        changes.append(change(("host_mode", "renamed to keep_alive", host_mode, host_mode)))


def _tri_state(tooling: Document, changes: list[Change]) -> Document:
    tooling = tooling.copy()
    if "subagents" in tooling:
        changes.append(change(("tooling.subagents", "the category no longer exists", tooling.pop("subagents"), None)))
    for category, value in tooling.items():
        if value is True:
            made = _ENABLED.get(category)
        elif value is False:
            made = _INHERITED.get(category)
        else:
            continue
        if made is not None:
            tooling[category] = made.new
            changes.append(made)
    skills = tooling.get("active_skills")
    if isinstance(skills, list) and skills:
        kept = _typed_skills(skills, changes)
        if kept is None:
            del tooling["active_skills"]
        else:
            tooling["active_skills"] = kept
    return tooling


def _typed_skills(skills: list[Any], changes: list[Change]) -> list[Any] | None:
    kept: list[Any] = []
    for index, skill in enumerate(skills):
        if isinstance(skill, str):
            continue
        source = skill.get("source_uuid") if isinstance(skill, dict) else None
        # A text that is as long as the canonical form, and in lower case, is that form or no UUID at all.
        if isinstance(source, str) and (len(source) != _UUID_LENGTH or source != source.lower()) and _IS_UUID(source):
            canonical = str(UUID(source))
            path = f"tooling.active_skills.{index}.source_uuid"
            changes.append(change((path, "UUIDs are written hyphenated and in lower case", source, canonical)))
            skill = {**skill, "source_uuid": canonical}  # noqa: PLW2901
        kept.append(skill)
    if len(kept) == len(skills):
        return kept
    reason = "skills named by a path were dropped: no typed key can be derived from it"
    changes.append(change(("tooling.active_skills", reason, skills, kept or None)))
    return kept or None


def _move_connection_ref(document: Document, changes: list[Change]) -> None:
    ref = document.pop("connection_ref")
    binding = document.get("auth_binding")
    if binding is not None:
        changes.append(change(("connection_ref", "auth_binding is present and replaces it", ref, None)))
        if isinstance(binding, dict):
            document["auth_binding"] = _binding(binding, "auth_binding", changes)
        return
    if ref is None:
        changes.append(change(("connection_ref", "replaced by auth_binding", None, None)))
        return
    moved = len(changes)
    document["auth_binding"] = _binding(ref, "connection_ref", changes) if isinstance(ref, dict) else ref
    changes.insert(moved, change(("connection_ref", "renamed to auth_binding", ref, document["auth_binding"])))


def _binding(binding: Document, path: str, changes: list[Change]) -> Document:
    stored_as = _STORED_AS
    if "realm_id" in binding or "binding_id" in binding:
        binding = binding.copy()
        stored_as = _STORED_AS.copy()
        for old, new in _OLD_BINDING_KEYS.items():
            if old in binding:
                _rename_in_binding(binding, old, new, path, changes)
                stored_as[new] = old
    for key in _SLUG_KEYS:
        value = binding.get(key)
        if value and isinstance(value, str) and not is_slug(value):
            slug = slugify(value)
            binding = {**binding, key: slug}
            changes.append(change((f"{path}.{stored_as[key]}", "made a slug", value, slug)))
    return binding


def _rename_in_binding(binding: Document, old: str, new: str, path: str, changes: list[Change]) -> None:
    if new in binding and binding[new] != binding[old]:
        # The platform's own migration let the old name win; rows it rewrote agree with that.
        changes.append(change((f"{path}.{new}", f"{old} is present and wins", binding[new], binding[old])))
    value = binding[new] = binding.pop(old)
    if path == "auth_binding":  # for a connection_ref the change that moves it names the renaming too
        changes.append(change((f"{path}.{old}", f"renamed to {new}", value, value)))


class SkillKey(Part):
    """A skill by its source and name."""

    source_uuid: UUID
    skill_name: Annotated[str, Strict(), StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class AuthBinding(Part):
    """Where the credentials are; never the credentials."""

    realm: Slug
    binding: Slug
    profile: Slug | None = None


class SessionTooling(Part):
    """All categories tri-state; those that a release did not know yet are absent, which means inherit."""

    builtins: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    shell: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    comms: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    mob: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    memory: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    schedule: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    workgraph: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    image_generation: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    web_search: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    active_skills: list[SkillKey] | None = None


class SessionMetadata(Part):
    """The document at schema version 2."""

    schema_version: Literal[2]
    model: NonBlank
    max_tokens: U32
    structured_output_retries: U32 = 2
    # Releases that wrote the number 2 spelled it both ways.
    provider: Literal["anthropic", "open_a_i", "openai", "gemini", "self_hosted", "other"]
    self_hosted_server_id: Text | None = None
    provider_params: JsonValue | None = None
    tooling: SessionTooling
    keep_alive: Bool = False
    comms_name: Text | None = None
    peer_meta: PeerMeta | None = None
    realm_id: NonEmpty | None = None
    instance_id: Text | None = None
    backend: Text | None = None
    config_generation: U64 | None = None
    auth_binding: AuthBinding | None = None
