"""
Versioned persistence for LLM-agent session metadata: every row ever written loads.

Where to begin: `SessionStore.open(url)`, or `SessionRepository` over a SQLAlchemy Session of yours.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rekindle import errors
from rekindle.record import SessionRecord
from rekindle.repository import SessionRepository
from rekindle.schema import (
    SESSION_METADATA_SCHEMA_VERSION,
    AuthBindingRef,
    MobMemberBinding,
    PeerMeta,
    Provider,
    SessionLlmIdentity,
    SessionMetadata,
    SessionTooling,
)
from rekindle.store import SessionStore
from rekindle.upcasting import upcast

if TYPE_CHECKING:
    from rekindle.aio import AsyncSessionRepository
    from rekindle.async_store import AsyncSessionStore
    from rekindle.identity import INHERIT, LlmIdentityOverride, ModelRegistry, resolve_llm_identity_override

__all__ = [
    "INHERIT",
    "SESSION_METADATA_SCHEMA_VERSION",
    "AsyncSessionRepository",
    "AsyncSessionStore",
    "AuthBindingRef",
    "LlmIdentityOverride",
    "MobMemberBinding",
    "ModelRegistry",
    "PeerMeta",
    "Provider",
    "SessionLlmIdentity",
    "SessionMetadata",
    "SessionRecord",
    "SessionRepository",
    "SessionStore",
    "SessionTooling",
    "errors",
    "resolve_llm_identity_override",
    "upcast",
]


# What not every program needs is imported when it is first asked for: importing rekindle is to cost next to nothing
# beside importing SQLAlchemy and pydantic.
_LAZY = {
    "AsyncSessionRepository": "rekindle.aio",
    "AsyncSessionStore": "rekindle.async_store",
    "INHERIT": "rekindle.identity",
    "LlmIdentityOverride": "rekindle.identity",
    "ModelRegistry": "rekindle.identity",
    "resolve_llm_identity_override": "rekindle.identity",
}


def __getattr__(name: str) -> Any:
    """Import what is lazy; give `__version__`."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name == "__version__":
        from rekindle.rewriting import library_version  # noqa: PLC0415

        return library_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
