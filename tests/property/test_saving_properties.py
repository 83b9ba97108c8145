"""Laws of what goes through the codec: load, save, load again, and the way down to version 2 and back."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import EVERY_KEY, JSON, NEWEST, UNKNOWN, documents

from rekindle import SessionMetadata, codec
from rekindle.errors import InvalidPayloadError
from rekindle.schema import v2, v3
from rekindle.upcasting import walk


def spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def saved(stored: dict[str, Any]) -> dict[str, Any]:
    """The document after load and save."""
    metadata = codec.decode(json.dumps(stored), stored.get("schema_version", 1)).metadata
    return json.loads(codec.encode(metadata, NEWEST, None).payload)


def unknown_values(value: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], str]:
    """What stands under keys that no version knows, by path; what is below such a key belongs to it."""
    if path and path[-1] == "provider_params":
        return {}
    found = {}
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(key, str) and key not in EVERY_KEY and path[-1:] != ("labels",):
            found[*path, key] = spelled(child)
        else:
            found |= unknown_values(child, (*path, key))
    return found


current_documents = documents(NEWEST).filter(lambda document: not walk(document).changes)


@given(current_documents)
def test_saving_what_was_loaded_loses_nothing(stored):
    """Load and save keep every stored value; only nulls, defaults and the spelling of a UUID may differ."""
    kept = saved(stored)

    assert codec.decode(json.dumps(kept), NEWEST).metadata == codec.decode(json.dumps(stored), NEWEST).metadata
    assert spelled(saved(kept)) == spelled(kept)
    assert unknown_values(kept) == unknown_values(stored)


@given(st.sampled_from([1, 2]).flatmap(documents))
def test_unknown_keys_survive_from_every_version(stored):
    """What another program put into an old document is in the saved one, value for value, at every depth."""
    moved = {
        ("auth_binding", *path[1:]) if path[0] == "connection_ref" else path: value
        for path, value in unknown_values(stored).items()
    }
    dropped = "tooling", "active_skills"

    kept = unknown_values(saved(stored))

    assert {path: value for path, value in kept.items() if path[:2] != dropped} == {
        path: value for path, value in moved.items() if path[:2] != dropped
    }


@given(stored=st.sampled_from([1, 2, NEWEST]).flatmap(documents), params=JSON)
def test_provider_params_survive_verbatim(stored, params):
    """Numbers at the edge, nested nulls, empty containers and any text come back as they went in."""
    kept = saved({**stored, "provider_params": params})

    assert spelled(kept.get("provider_params")) == spelled(params)


@given(documents(2))
def test_a_downcast_takes_an_upcast_back(stored):
    """The step to 3 is exact: on the canonical form of version 2 the way there and back changes nothing."""
    canonical = canonical_version_2(stored)

    up, changes = v3.upcast(canonical)
    down, unsayable = v3.downcast(up)

    assert unsayable == ()
    assert spelled(down) == spelled(canonical)
    assert [change.path for change in changes] == ["provider"] * (canonical["provider"] == "open_a_i")


def canonical_version_2(stored: dict[str, Any]) -> dict[str, Any]:
    """As the docstring of v3.downcast() describes it, written down a second time."""
    document = v2.upcast({"schema_version": 2, **stored})[0]
    document = {"structured_output_retries": 2, "keep_alive": False, "comms_name": None, **document}
    if document["provider"] == "openai":
        document["provider"] = "open_a_i"
    if document.get("realm_id") is not None and not v2.is_slug(document["realm_id"]):
        document["realm_id"] = "a-slug"
    categories = [name for name in v2.SessionTooling.model_fields if name != "active_skills"]
    document["tooling"] = {**dict.fromkeys(categories, "inherit"), **document["tooling"]}
    return document


@given(documents(NEWEST))
def test_what_version_2_can_say_comes_back_whole(stored):
    """A document that is written for version 2 is read as the very same metadata; any other is refused by name."""
    metadata = SessionMetadata.model_validate(walk(stored).document)
    assume(
        metadata.auth_binding is None or metadata.auth_binding.origin != "configured"
    )  # version 2 says it by silence

    try:
        written = codec.encode(metadata, 2, None)
    except InvalidPayloadError as error:
        paths = {path for path, _ in error.problems}
        assert paths <= {
            "auth_binding.origin",
            "mob_member_binding",
            "tooling.application_tool_policy",
            "tooling.tool_access_policy",
        }
    else:
        assert json.loads(written.payload)["schema_version"] == written.schema_version == 2
        assert codec.decode(written.payload, 2).metadata == metadata


@given(stored=current_documents, extra=UNKNOWN)
def test_unknown_keys_survive_beside_known_ones_in_the_llm_identity(stored, extra):
    """Taking the identity of another session leaves unknown keys, and all but the five fields, alone."""
    metadata = SessionMetadata.model_validate(walk({**stored, **extra}).document)
    before = codec.encode(metadata, NEWEST, None).payload

    metadata.apply_llm_identity(metadata.llm_identity())

    assert codec.encode(metadata, NEWEST, None).payload == before
