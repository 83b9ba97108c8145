"""
Schema version 1: rows without a number, or with 1.

Everything that was written before rows carried a number: boolean or tri-state tooling, `host_mode` or `keep_alive`,
skills as strings, credentials under `connection_ref`, providers spelled as a Rust enum, realms such as `mob:office`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, JsonValue

from rekindle.schema.parts import U32, U64, Bool, Change, Document, NonBlank, NonEmpty, Part, Text, is_none

VERSION = 1
SUMMARY = "Rows without a number: boolean tooling, host_mode, string skills, connection_ref, open_a_i, mob: realms."
DOWNCAST = "none"
downcast = None


def upcast(document: Document) -> tuple[Document, list[Change]]:
    """Give a document from before the number its number."""
    if "schema_version" not in document:
        document = document.copy()
        document["schema_version"] = VERSION
    return document, []


class Provider(StrEnum):
    """Spelled by a derive rule that took `OpenAI` apart."""

    ANTHROPIC = "anthropic"
    OPENAI = "open_a_i"
    GEMINI = "gemini"
    SELF_HOSTED = "self_hosted"
    OTHER = "other"


class ToolCategoryOverride(StrEnum):
    """Whether a session overrides what the runtime does about a category of tools."""

    INHERIT = "inherit"
    ENABLE = "enable"
    DISABLE = "disable"

    def resolve(self, runtime_default: bool) -> bool:
        """Whether the category is on, given what the runtime does by itself."""
        return runtime_default if self is ToolCategoryOverride.INHERIT else self is ToolCategoryOverride.ENABLE


class PeerMeta(Part):
    """How the session presents itself to its peers."""

    description: Text | None = Field(default=None, exclude_if=is_none)
    labels: dict[Text, Text] = Field(default_factory=dict, exclude_if=lambda labels: not labels)


class ConnectionRef(Part):
    """Where the credentials are, before it was called `auth_binding`."""

    realm_id: NonEmpty
    binding_id: NonEmpty
    profile: NonEmpty | None = None


class SessionTooling(Part):
    """Booleans until 0.5.0 of the writer, tri-state from 0.5.1."""

    builtins: Bool | ToolCategoryOverride = ToolCategoryOverride.INHERIT
    shell: Bool | ToolCategoryOverride = ToolCategoryOverride.INHERIT
    comms: Bool | ToolCategoryOverride = ToolCategoryOverride.INHERIT
    subagents: Bool | None = None
    mob: Bool | ToolCategoryOverride = ToolCategoryOverride.INHERIT
    memory: Bool | ToolCategoryOverride = ToolCategoryOverride.INHERIT
    active_skills: list[Text] | None = None


class SessionMetadata(Part):
    """The document at schema version 1."""

    schema_version: Literal[1] = 1
    model: NonBlank
    max_tokens: U32
    structured_output_retries: U32 = 2
    provider: Provider
    self_hosted_server_id: Text | None = None
    provider_params: JsonValue | None = None
    tooling: SessionTooling
    host_mode: Bool | None = None
    keep_alive: Bool = False
    comms_name: Text | None = None
    peer_meta: PeerMeta | None = None
    realm_id: NonEmpty | None = None
    instance_id: Text | None = None
    backend: Text | None = None
    config_generation: U64 | None = None
    connection_ref: ConnectionRef | None = None
