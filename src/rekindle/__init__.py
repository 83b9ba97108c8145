"""
Versioned persistence for LLM-agent session metadata: every row ever written loads.

Where to begin: `SessionStore.open(url)`, or `SessionRepository` over a SQLAlchemy Session of yours.
"""

from typing import TYPE_CHECKING, Any

from rekindle import errors
from rekindle.identity import INHERIT, LlmIdentityOverride, ModelRegistry, resolve_llm_identity_override
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


def __getattr__(name: str) -> Any:
    """Import what is for asyncio when it is first asked for."""
    if name == "AsyncSessionRepository":
        from rekindle.aio import AsyncSessionRepository  # noqa: PLC0415

        return AsyncSessionRepository
    if name == "AsyncSessionStore":
        from rekindle.async_store import AsyncSessionStore  # noqa: PLC0415

        return AsyncSessionStore
    if name == "__version__":
        from rekindle.rewriting import library_version  # noqa: PLC0415

        return library_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
