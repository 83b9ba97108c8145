"""
Schema version 3: provider spelled `openai`, slug realms, binding origin, mob member binding, the two tool policies.

The models here are the current document; `rekindle` exports them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue

from rekindle.schema import v2
from rekindle.schema.parts import (
    U32,
    U64,
    Bool,
    Change,
    Document,
    NonBlank,
    Part,
    SchemaVersion,
    Slug,
    Text,
    change,
    is_none,
)
from rekindle.schema.v1 import PeerMeta, ToolCategoryOverride
from rekindle.schema.v2 import SkillKey, is_slug, slugify

VERSION = 3
SUMMARY = "Provider openai, realm_id a slug, auth_binding.origin, mob_member_binding and the two tool policies."
DOWNCAST = "exact"

_CATEGORY_DEFAULTS: Document = dict.fromkeys(
    ("builtins", "shell", "comms", "mob", "memory", "schedule", "workgraph", "image_generation", "web_search"),
    "inherit",
)
_UNMANAGED: Document = {"kind": "unmanaged"}
_OF_NAMES = ("allow_list", "deny_list", "allow_names", "deny_names")
_SPELLED_OPENAI = Change("provider", "spelled openai", "open_a_i", "openai")


def upcast(document: Document) -> tuple[Document, list[Change]]:
    """Take a document of version 2, or of 3 with older content in it, to version 3, its defaults written out."""
    changes: list[Change] = []
    number = document["schema_version"]
    document = document.copy()
    document.setdefault("structured_output_retries", 2)
    document.setdefault("keep_alive", False)
    document.setdefault("comms_name", None)
    if document.get("provider") == "open_a_i":
        document["provider"] = "openai"
        changes.append(_SPELLED_OPENAI)
    realm = document.get("realm_id")
    if isinstance(realm, str) and realm and not is_slug(realm):
        slug = document["realm_id"] = slugify(f"mob.{realm[4:]}" if realm.startswith("mob:") else realm)
        changes.append(change(("realm_id", "made a slug", realm, slug)))
    binding = document.get("auth_binding")
    # From version 3 on only the origin decides, so a pair without one says "configured" there.
    if binding and number < VERSION and isinstance(binding, dict) and _is_env_default(binding):
        document["auth_binding"] = {**binding, "origin": "synthetic_env_default"}
    tooling = document.get("tooling")
    if isinstance(tooling, dict):
        document["tooling"] = _with_policies(tooling, changes)
    return document, changes


def _is_env_default(binding: Document) -> bool:
    return (
        binding.get("realm") == "env_default"
        and binding.get("binding") == "default"
        and binding.get("profile") is None
        and binding.get("origin") is None
    )


def _with_policies(tooling: Document, changes: list[Change]) -> Document:
    tooling = {**_CATEGORY_DEFAULTS, **tooling}
    if "application_tool_policy" not in tooling:
        tooling["application_tool_policy"] = _UNMANAGED.copy()
    policy = tooling.get("tool_access_policy")
    if isinstance(policy, dict):
        tooling["tool_access_policy"] = _with_sorted_names(policy, changes)
    return tooling


def _with_sorted_names(policy: Document, changes: list[Change]) -> Document:
    """Name lists are sets; releases before 0.8.15 of the writer wrote them in hash order."""
    value = policy.get("value")
    if policy.get("type") == "constraints" and isinstance(value, list):
        edited = value.copy()
        for index, constraint in enumerate(value):
            if isinstance(constraint, dict) and (ordered := _sorted_names(constraint)) is not None:
                edited[index] = {**constraint, "value": ordered}
                path = f"tooling.tool_access_policy.value.{index}.value"
                changes.append(change((path, "names sorted, each once", constraint["value"], ordered)))
        return {**policy, "value": edited}
    if (ordered := _sorted_names(policy)) is None:
        return policy
    changes.append(change(("tooling.tool_access_policy.value", "names sorted, each once", value, ordered)))
    return {**policy, "value": ordered}


def _sorted_names(policy: Document) -> list[str] | None:
    """Give the names in order, each once; None where they are, or where there are none."""
    names = policy.get("value")
    if not isinstance(names, list) or policy.get("type") not in _OF_NAMES or set(map(type, names)) != {str}:
        return None
    ordered = sorted(set(names))
    return None if ordered == names else ordered


def downcast(document: Document) -> tuple[Document, tuple[str, ...]]:
    """
    Say a document of version 3 in version 2.

    The second value names the paths that version 2 cannot say; the document is worth nothing unless it is empty.

    Exact: `downcast(upcast(x)[0]) == (x, ())` for every valid x of version 2 in canonical form, which is: no content of
    version 1; the three defaults and all nine categories written out; the provider spelled `open_a_i`; a slug for a
    realm; and no key that version 3 gave a meaning to. What version 2 says by silence, an `auth_binding.origin` of
    `configured` and an unmanaged application_tool_policy, is left out on the way down.
    """
    document = {**document, "schema_version": v2.VERSION}
    unsayable: list[str] = []
    if document.get("provider") == "openai":
        document["provider"] = "open_a_i"
    if document.pop("mob_member_binding", None) is not None:
        unsayable.append("mob_member_binding")
    if isinstance(binding := document.get("auth_binding"), dict):
        document["auth_binding"] = _without_origin(binding, unsayable)
    if isinstance(tooling := document.get("tooling"), dict):
        document["tooling"] = tooling = tooling.copy()
        if tooling.pop("tool_access_policy", None) is not None:
            unsayable.append("tooling.tool_access_policy")
        if tooling.pop("application_tool_policy", _UNMANAGED) != _UNMANAGED:
            unsayable.append("tooling.application_tool_policy")
    return document, tuple(unsayable)


def _without_origin(binding: Document, unsayable: list[str]) -> Document:
    plain = {key: value for key, value in binding.items() if key != "origin"}
    synthetic = binding.get("origin") == "synthetic_env_default"
    # Version 2 knows the origin by the pair alone: it must say what the origin says.
    if synthetic != _is_env_default(plain):
        unsayable.append("auth_binding.origin")
    return plain


class Provider(StrEnum):
    """Who serves the model."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    GEMINI = "gemini"
    SELF_HOSTED = "self_hosted"
    OTHER = "other"


class AuthBindingRef(Part):
    """
    Where the credentials are; never the credentials.

    `origin` None means configured; `synthetic_env_default` stands for "whatever the environment holds".
    """

    realm: Slug
    binding: Slug
    profile: Slug | None = Field(default=None, exclude_if=is_none)
    origin: Literal["configured", "synthetic_env_default"] | None = Field(default=None, exclude_if=is_none)


class MobMemberBinding(Part):
    """Which member of which mob the session is."""

    mob_id: Text
    role: Text
    member: Text


def _as_set(names: list[str]) -> list[str]:
    return sorted(set(names))


_Names = Annotated[list[Text], AfterValidator(_as_set)]


class InheritToolAccess(Part):
    """The session restricts nothing itself."""

    type: Literal["inherit"] = "inherit"


class ReadOnlyToolAccess(Part):
    """Only tools that change nothing."""

    type: Literal["read_only"] = "read_only"


class ToolAllowList(Part):
    """Only the tools named."""

    type: Literal["allow_list"] = "allow_list"
    value: _Names


class ToolDenyList(Part):
    """All tools but those named."""

    type: Literal["deny_list"] = "deny_list"
    value: _Names


class AllowNames(Part):
    """One constraint of several: only the tools named."""

    type: Literal["allow_names"] = "allow_names"
    value: _Names


class DenyNames(Part):
    """One constraint of several: all tools but those named."""

    type: Literal["deny_names"] = "deny_names"
    value: _Names


_Constraint = Annotated[AllowNames | DenyNames | ReadOnlyToolAccess, Field(discriminator="type")]


class ToolConstraints(Part):
    """Several constraints, all of which hold."""

    type: Literal["constraints"] = "constraints"
    value: list[_Constraint]


ToolAccessPolicy = Annotated[
    InheritToolAccess | ReadOnlyToolAccess | ToolAllowList | ToolDenyList | ToolConstraints,
    Field(discriminator="type"),
]


class UnmanagedTools(Part):
    """The application has no say in the consequences of tools."""

    kind: Literal["unmanaged"] = "unmanaged"


class InheritedToolPolicy(Part):
    """The application's policy is that of the runtime."""

    kind: Literal["inherit"] = "inherit"


class ProvidedToolPolicy(Part):
    """The application's policy is looked up at a provider of policies."""

    kind: Literal["provider"] = "provider"
    provider_id: Text
    policy_id: Text


ApplicationToolPolicy = Annotated[
    UnmanagedTools | InheritedToolPolicy | ProvidedToolPolicy, Field(discriminator="kind")
]


class SessionTooling(Part):
    """What the session says about each category of tools, and which tools it may use at all."""

    builtins: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    shell: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    comms: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    mob: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    memory: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    schedule: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    workgraph: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    image_generation: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    web_search: ToolCategoryOverride = ToolCategoryOverride.INHERIT
    active_skills: list[SkillKey] | None = Field(default=None, exclude_if=is_none)
    tool_access_policy: ToolAccessPolicy | None = Field(default=None, exclude_if=is_none)
    application_tool_policy: ApplicationToolPolicy = Field(default_factory=UnmanagedTools)


class SessionLlmIdentity(Part):
    """The five fields that decide which model answers, and with whose credentials."""

    model: NonBlank
    provider: Provider
    self_hosted_server_id: Text | None = Field(default=None, exclude_if=is_none)
    provider_params: JsonValue | None = Field(default=None, exclude_if=is_none)
    auth_binding: AuthBindingRef | None = Field(default=None, exclude_if=is_none)


class SessionMetadata(Part):
    """
    Metadata required to reliably resume a session across interfaces.

    `schema_version` is stamped by save(); setting it has no effect. `provider_params` is opaque and kept verbatim.
    `auth_binding` says where the credentials are, never what they are.
    """

    schema_version: SchemaVersion = VERSION
    model: NonBlank
    max_tokens: U32
    structured_output_retries: U32 = 2
    provider: Provider
    self_hosted_server_id: Text | None = Field(default=None, exclude_if=is_none)
    provider_params: JsonValue | None = Field(default=None, exclude_if=is_none)
    tooling: SessionTooling
    keep_alive: Bool = False
    comms_name: Text | None = None
    peer_meta: PeerMeta | None = Field(default=None, exclude_if=is_none)
    realm_id: Slug | None = Field(default=None, exclude_if=is_none)
    instance_id: Text | None = Field(default=None, exclude_if=is_none)
    backend: Text | None = Field(default=None, exclude_if=is_none)
    config_generation: U64 | None = Field(default=None, exclude_if=is_none)
    auth_binding: AuthBindingRef | None = Field(default=None, exclude_if=is_none)
    mob_member_binding: MobMemberBinding | None = Field(default=None, exclude_if=is_none)

    def llm_identity(self) -> SessionLlmIdentity:
        """Copy the five fields that decide which model answers."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in SessionLlmIdentity.model_fields}
        return SessionLlmIdentity.model_construct(**fields).model_copy(deep=True)

    def apply_llm_identity(self, identity: SessionLlmIdentity) -> Self:
        """Overwrite exactly the fields of `identity`, None included, and return self; nothing else is touched."""
        for name, value in identity.model_copy(deep=True):
            if name in SessionLlmIdentity.model_fields:
                setattr(self, name, value)
        return self
