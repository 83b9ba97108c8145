"""
Versioned persistence for LLM-agent session metadata: every row ever written loads.

Where to begin: `SessionStore.open(url)`, or `SessionRepository` over a SQLAlchemy Session of yours.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rekindle import errors
    from rekindle.aio import AsyncSessionRepository
    from rekindle.async_store import AsyncSessionStore
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

# Each name is imported when it is first asked for: whoever wants upcast() alone does not import SQLAlchemy, and nobody
# an asyncio driver that is not used.
_HOMES = {
    "rekindle.aio": ("AsyncSessionRepository",),
    "rekindle.async_store": ("AsyncSessionStore",),
    "rekindle.identity": ("INHERIT", "LlmIdentityOverride", "ModelRegistry", "resolve_llm_identity_override"),
    "rekindle.record": ("SessionRecord",),
    "rekindle.repository": ("SessionRepository",),
    "rekindle.schema": (
        "SESSION_METADATA_SCHEMA_VERSION", "AuthBindingRef", "MobMemberBinding", "PeerMeta", "Provider",
        "SessionLlmIdentity", "SessionMetadata", "SessionTooling",
    ),
    "rekindle.store": ("SessionStore",),
    "rekindle.upcasting": ("upcast",),
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is asked for the first time; give `__version__`."""
    if name in _HOME_OF:
        found = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
        return found
    if name == "errors":
        return import_module("rekindle.errors")
    if name == "__version__":
        return import_module("rekindle.rewriting").library_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
