"""
Which model answers the next turn: the session's LLM identity, and what a turn may override in it.

Pure. The rules are those of the platform whose sessions these are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol, TypeAlias

from pydantic import JsonValue

from rekindle.errors import LlmOverrideError
from rekindle.schema import AuthBindingRef, Provider, SessionLlmIdentity


class Inherit(Enum):
    """The type of INHERIT."""

    INHERIT = "inherit"


INHERIT: Final = Inherit.INHERIT
"""Keep what the session has. For a field that can be cleared, None clears it."""

_Inherit: TypeAlias = Literal[Inherit.INHERIT]


class ModelRegistry(Protocol):
    """The catalogue of models that the platform runs with."""

    def provider_of(self, model: str) -> Provider | None:
        """Name the provider that owns the model, None for a model that is not in the catalogue."""

    def server_of(self, model: str) -> str | None:
        """Name the self-hosted server that serves the model, None when none is configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmIdentityOverride:
    """What one turn asks for. `model`, `provider` and `self_hosted_server_id` cannot be cleared, only replaced."""

    model: str | _Inherit = INHERIT
    provider: Provider | _Inherit = INHERIT
    self_hosted_server_id: str | _Inherit = INHERIT
    provider_params: JsonValue | _Inherit = INHERIT
    auth_binding: AuthBindingRef | _Inherit | None = INHERIT


def resolve_llm_identity_override(
    current: SessionLlmIdentity, override: LlmIdentityOverride, registry: ModelRegistry
) -> SessionLlmIdentity:
    """
    Say which identity the session has once `override` is applied; `current` is untouched.

    Raises LlmOverrideError for a provider without a model, a model that the catalogue gives to another provider, a
    self-hosted model without a server, and a server that does not serve the model.
    """
    if override.provider is not INHERIT and override.model is INHERIT:
        raise LlmOverrideError(
            "provider", "provider override requires model on an existing session", "name the model as well"
        )
    model = current.model if override.model is INHERIT else override.model
    provider = _provider(current, override, registry, model)
    if override.auth_binding is not INHERIT:
        auth_binding = override.auth_binding
    else:
        # Credentials of one provider are none of another's.
        auth_binding = current.auth_binding if provider is current.provider else None
    return SessionLlmIdentity(
        model=model,
        provider=provider,
        self_hosted_server_id=_server(current, override, registry, model, provider),
        provider_params=current.provider_params if override.provider_params is INHERIT else override.provider_params,
        auth_binding=auth_binding,
    ).model_copy(deep=True)


def _provider(
    current: SessionLlmIdentity, override: LlmIdentityOverride, registry: ModelRegistry, model: str
) -> Provider:
    if override.model is INHERIT:
        return current.provider
    owner = registry.provider_of(model)
    if override.provider is INHERIT:
        return owner or current.provider
    if owner is not None and owner is not override.provider:
        raise LlmOverrideError(
            "provider",
            f"model {model!r} is registered for provider {owner.value!r}, not provider {override.provider.value!r}",
            "explicit provider overrides must match catalogue ownership: leave the provider out",
        )
    return override.provider


def _server(
    current: SessionLlmIdentity,
    override: LlmIdentityOverride,
    registry: ModelRegistry,
    model: str,
    provider: Provider,
) -> str | None:
    asked = override.self_hosted_server_id
    if provider is not Provider.SELF_HOSTED:
        if asked is not INHERIT:
            raise LlmOverrideError(
                "self_hosted_server_id",
                f"a server was named for provider {provider.value!r}",
                "only self_hosted models run on a server of yours: leave it out, or name a self-hosted model",
            )
        return None
    configured = registry.server_of(model)
    if override.model is not INHERIT and configured is None:
        raise LlmOverrideError(
            "model", f"no server is configured for the self-hosted model {model!r}", "add it to the model catalogue"
        )
    inherited = configured if override.model is not INHERIT else current.self_hosted_server_id or configured
    if asked is not INHERIT and (not asked.strip() or asked != inherited):
        raise LlmOverrideError(
            "self_hosted_server_id",
            f"the server named for model {model!r} is not the one that is configured for it",
            "leave it out, or change the model catalogue",
        )
    return inherited
