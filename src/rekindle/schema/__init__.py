"""
The history of the document: one module per schema version, all with the same surface.

Pure: nothing in here knows of a database. A new version is a new module and one line in `VERSIONS`; the modules of
released versions are never edited. `rekindle schema new` writes both, and `rekindle schema check` holds the history to
the snapshots.
"""

from __future__ import annotations

from rekindle.schema import v1, v2, v3
from rekindle.schema.parts import Change, Document, Step
from rekindle.schema.registry import registry
from rekindle.schema.v1 import PeerMeta, ToolCategoryOverride
from rekindle.schema.v2 import SkillKey
from rekindle.schema.v3 import (
    AuthBindingRef,
    MobMemberBinding,
    Provider,
    SessionLlmIdentity,
    SessionMetadata,
    SessionTooling,
)

VERSIONS = registry(
    {
        1: v1,
        2: v2,
        3: v3,
    }
)
CURRENT: int = max(VERSIONS)
SESSION_METADATA_SCHEMA_VERSION = CURRENT

__all__ = [
    "CURRENT",
    "SESSION_METADATA_SCHEMA_VERSION",
    "VERSIONS",
    "AuthBindingRef",
    "Change",
    "Document",
    "MobMemberBinding",
    "PeerMeta",
    "Provider",
    "SessionLlmIdentity",
    "SessionMetadata",
    "SessionTooling",
    "SkillKey",
    "Step",
    "ToolCategoryOverride",
]
