"""The LLM identity of a session, and what a turn may override in it."""

import pytest

from rekindle import (
    INHERIT,
    AuthBindingRef,
    LlmIdentityOverride,
    Provider,
    SessionLlmIdentity,
    SessionMetadata,
    SessionTooling,
    resolve_llm_identity_override,
)
from rekindle.errors import LlmOverrideError

BINDING = AuthBindingRef(realm="prod", binding="main")
CURRENT = SessionLlmIdentity(
    model="claude-opus-4-6", provider="anthropic", provider_params={"effort": "high"}, auth_binding=BINDING
)


class Catalogue:
    """A registry of three models, one of them on a server of ours."""

    def provider_of(self, model):
        return {
            "claude-opus-4-6": Provider.ANTHROPIC,
            "gpt-5.2": Provider.OPENAI,
            "llama": Provider.SELF_HOSTED,
            "lonely": Provider.SELF_HOSTED,
        }.get(model)

    def server_of(self, model):
        return {"llama": "gpu-1"}.get(model)


def resolve(current=CURRENT, **override):
    return resolve_llm_identity_override(current, LlmIdentityOverride(**override), Catalogue())


def metadata(**fields):
    return SessionMetadata(model="m", max_tokens=1, provider="other", tooling=SessionTooling(), **fields)


def test_the_identity_of_a_session_is_five_of_its_fields():
    """llm_identity() copies model, provider, server, params and binding."""
    session = metadata(provider_params=[1], auth_binding=BINDING, realm_id="prod")

    identity = session.llm_identity()

    assert identity == SessionLlmIdentity(model="m", provider="other", provider_params=[1], auth_binding=BINDING)


def test_the_identity_is_a_copy():
    """Changing an identity does not change the session that it was taken from, nor the one it was applied to."""
    session = metadata(provider_params={"a": [1]})
    identity = session.llm_identity()
    session.apply_llm_identity(identity)

    identity.provider_params["a"].append(2)

    assert session.provider_params == {"a": [1]}


def test_applying_an_identity_overwrites_five_fields_and_no_other():
    """None in the identity clears; every other field keeps its value."""
    session = metadata(
        provider_params=1, auth_binding=BINDING, realm_id="prod", self_hosted_server_id="gpu-1", keep_alive=True
    )

    session.apply_llm_identity(SessionLlmIdentity(model="gpt-5.2", provider="openai"))

    assert session == SessionMetadata(
        model="gpt-5.2", max_tokens=1, provider="openai", tooling=SessionTooling(), realm_id="prod", keep_alive=True
    )


def test_nothing_overridden_changes_nothing():
    """An override that inherits everything gives back the identity of the session."""
    assert resolve() == CURRENT
    assert LlmIdentityOverride().model is INHERIT


def test_a_provider_alone_is_refused():
    """A provider without a model means nothing on a session that has one."""
    with pytest.raises(LlmOverrideError, match="requires model") as refused:
        resolve(provider=Provider.OPENAI)

    assert refused.value.field == "provider"


def test_a_model_brings_its_provider():
    """The catalogue says who owns a model; credentials of the old provider are dropped."""
    identity = resolve(model="gpt-5.2")

    assert (identity.provider, identity.auth_binding) == (Provider.OPENAI, None)
    assert identity.provider_params == {"effort": "high"}


def test_a_model_of_the_same_provider_keeps_the_binding():
    """Without a change of provider the credentials still fit."""
    assert resolve(model="claude-next").auth_binding == BINDING


def test_an_explicit_binding_survives_a_change_of_provider():
    """Who names the credentials gets them."""
    other = AuthBindingRef(realm="prod", binding="openai")

    assert resolve(model="gpt-5.2", auth_binding=other).auth_binding == other


def test_ownership_in_the_catalogue_wins():
    """A model cannot be claimed for a provider that does not own it."""
    with pytest.raises(LlmOverrideError, match="registered for provider 'openai', not provider 'anthropic'"):
        resolve(model="gpt-5.2", provider=Provider.ANTHROPIC)


def test_a_model_outside_of_the_catalogue_passes():
    """What the catalogue does not know it does not forbid."""
    assert resolve(model="new-model", provider=Provider.GEMINI).provider is Provider.GEMINI


@pytest.mark.parametrize(("given", "expected"), [(None, None), ({"x": 1}, {"x": 1}), (INHERIT, {"effort": "high"})])
def test_params_are_inherited_set_or_cleared(given, expected):
    """INHERIT keeps the params, None clears them, a value replaces them."""
    assert resolve(provider_params=given).provider_params == expected


def test_the_binding_can_be_cleared():
    """None clears the credentials binding."""
    assert resolve(auth_binding=None).auth_binding is None


def test_a_self_hosted_model_brings_its_server():
    """The server of a self-hosted model is looked up in the catalogue."""
    assert resolve(model="llama").self_hosted_server_id == "gpu-1"


def test_a_self_hosted_model_without_a_server_is_refused():
    """A model that no server serves cannot answer."""
    with pytest.raises(LlmOverrideError, match="no server is configured"):
        resolve(model="lonely")


def test_leaving_the_self_hosted_provider_clears_the_server():
    """Only self-hosted models run on a server of ours."""
    current = SessionLlmIdentity(model="llama", provider="self_hosted", self_hosted_server_id="gpu-1")

    assert resolve(current, model="gpt-5.2").self_hosted_server_id is None


def test_a_self_hosted_session_keeps_its_server():
    """Without a new model the session stays where it is."""
    current = SessionLlmIdentity(model="llama", provider="self_hosted", self_hosted_server_id="gpu-7")

    assert resolve(current).self_hosted_server_id == "gpu-7"


@pytest.mark.parametrize(
    "override",
    [
        {"self_hosted_server_id": "gpu-1"},
        {"model": "llama", "self_hosted_server_id": "gpu-2"},
        {"model": "llama", "self_hosted_server_id": " "},
    ],
)
def test_a_server_must_be_the_one_that_serves_the_model(override):
    """A server named for another provider, another model, or not at all, is refused."""
    with pytest.raises(LlmOverrideError) as refused:
        resolve(**override)

    assert refused.value.field == "self_hosted_server_id"


@pytest.mark.parametrize(
    ("override", "default", "expected"),
    [("inherit", True, True), ("inherit", False, False), ("enable", False, True), ("disable", True, False)],
)
def test_a_tool_category_resolves_against_the_default_of_the_runtime(override, default, expected):
    """Inherit takes the default, the other two decide."""
    assert SessionTooling(shell=override).shell.resolve(default) is expected
