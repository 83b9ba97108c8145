"""Between the model and what a row holds."""

import json

import pytest

from rekindle import PeerMeta, SessionMetadata, SessionTooling, codec
from rekindle.errors import InvalidPayloadError, NewerSchemaError, SecretMaterialError
from rekindle.secret_guard import SecretFinding

OLD = '{"model":"m","max_tokens":1,"provider":"open_a_i","tooling":{"shell":true}}'


def metadata(**fields):
    return SessionMetadata(model="m", max_tokens=1, provider="openai", tooling=SessionTooling(), **fields)


def written(session, write_version=3):
    return json.loads(codec.encode(session, write_version, None).payload)


def test_a_minimal_document_is_written_with_its_defaults():
    """Defaults are written out, optional fields that are not set are not, comms_name is written as null."""
    assert written(metadata()) == {
        "schema_version": 3,
        "model": "m",
        "max_tokens": 1,
        "structured_output_retries": 2,
        "provider": "openai",
        "tooling": {
            "builtins": "inherit",
            "shell": "inherit",
            "comms": "inherit",
            "mob": "inherit",
            "memory": "inherit",
            "schedule": "inherit",
            "workgraph": "inherit",
            "image_generation": "inherit",
            "web_search": "inherit",
            "application_tool_policy": {"kind": "unmanaged"},
        },
        "keep_alive": False,
        "comms_name": None,
    }


def test_what_listings_filter_by_stands_beside_the_payload():
    """The promoted values are those of the document."""
    encoded = codec.encode(metadata(realm_id="prod", instance_id="i-1", comms_name="a/b/c"), 3, None)

    assert (encoded.realm, encoded.provider, encoded.model) == ("prod", "openai", "m")
    assert (encoded.instance_id, encoded.comms_name, encoded.schema_version) == ("i-1", "a/b/c", 3)


def test_unknown_keys_survive_at_every_depth():
    """What a later release or another program put into a document is still in it after a load and a save."""
    document = written(metadata(peer_meta=PeerMeta(labels={"a": "b"})))
    document["unknown"] = None
    document["tooling"]["later"] = {"nested": [None, 1.0, 2**63]}
    document["peer_meta"]["x"] = "é😀"
    document["tooling"]["application_tool_policy"]["y"] = []

    decoded = codec.decode(json.dumps(document), 3)

    assert json.dumps(written(decoded.metadata), sort_keys=True) == json.dumps(document, sort_keys=True)


@pytest.mark.parametrize(
    "params", [1e308, -0.0, 2**63, -(2**70), {"a": {"b": None}}, [], {}, [[None]], "é😀", "", False, 0.699999988079071]
)
def test_provider_params_survive_verbatim(params):
    """Any JSON value comes back as it was, of the same type."""
    decoded = codec.decode(codec.encode(metadata(provider_params=params), 3, None).payload, 3)

    assert repr(decoded.metadata.provider_params) == repr(params)


def test_a_model_that_was_made_invalid_is_not_written():
    """The model is the caller's to change; what is wrong with it is found before it is written."""
    session = metadata()
    session.max_tokens = "4096"
    session.tooling.shell = "maybe"

    with pytest.raises(InvalidPayloadError) as refused:
        codec.encode(session, 3, None)

    assert {problem.path for problem in refused.value.problems} == {"max_tokens", "tooling.shell"}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"provider_params": float("nan")}, "provider_params"),
        ({"provider_params": [float("inf")]}, "provider_params.0"),
        ({"provider_params": {"a": "x\x00y"}}, "provider_params.a"),
        ({"provider_params": {"\x00": 1}}, "provider_params"),
        ({"later": "\x00"}, "later"),
        ({"instance_id": "x" * 256}, "instance_id"),
        ({"host_mode": True}, "host_mode"),
        ({"connection_ref": None}, "connection_ref"),
    ],
    ids=["nan", "inf", "nul", "nul-key", "nul-in-unknown", "too-long", "host-mode", "connection-ref"],
)
def test_what_not_every_database_would_keep_is_refused(fields, path):
    """NUL, numbers that are none, values too long to index, and names that mean something in an older version."""
    with pytest.raises(InvalidPayloadError) as refused:
        codec.encode(metadata(**fields), 3, None)

    assert [problem.path for problem in refused.value.problems] == [path]


def test_a_backslash_before_u0000_is_no_nul():
    """Text that only looks like the escape of NUL is kept."""
    assert written(metadata(provider_params="\\u0000 and NaN"))["provider_params"] == "\\u0000 and NaN"


def test_half_a_surrogate_pair_is_refused():
    """No database stores it, and JSON has no text for it."""
    with pytest.raises(InvalidPayloadError):
        codec.encode(metadata(provider_params="\ud800"), 3, None)


@pytest.mark.parametrize("payload", ["", "{", "[]", "null", '"text"', "{} {}", "NaN", '{"a": "\\ud800"}', "[" * 10_000])
def test_what_is_no_document_is_invalid(payload):
    """Text that is not JSON, not an object, or nested beyond reason raises the one error for it."""
    with pytest.raises(InvalidPayloadError):
        codec.decode(payload, 1)


def test_a_payload_too_large_is_refused_unparsed(monkeypatch):
    """Both ways, at every schema version, and counted in bytes."""
    huge = "é" * (codec.MAX_PAYLOAD_BYTES // 2 + 1)
    payload = json.dumps({**json.loads(metadata().model_dump_json()), "provider_params": huge}, ensure_ascii=False)

    with monkeypatch.context() as unparsed:
        unparsed.setattr(codec, "from_json", None)
        unparsed.setattr(codec.SessionMetadata, "model_validate_json", None)
        for number in (1, 2, 3):
            with pytest.raises(InvalidPayloadError, match="larger than"):
                codec.decode(payload, number)
    with pytest.raises(InvalidPayloadError, match="larger than"):
        codec.encode(metadata(provider_params=huge), 3, None)


@pytest.mark.parametrize("version", [4, 2**31])
def test_the_column_alone_refuses_a_newer_row(version):
    """A row of a later release is not even parsed."""
    with pytest.raises(NewerSchemaError) as refused:
        codec.decode("not json", version)

    assert (refused.value.schema_version, refused.value.supported) == (version, 3)


def test_a_newer_number_in_the_payload_is_refused_under_any_column():
    """A column that lies below the payload does not let a newer document in."""
    with pytest.raises(NewerSchemaError):
        codec.decode('{"schema_version":4}', 3)


@pytest.mark.parametrize("version", [0, -1])
def test_a_column_that_is_no_version_is_invalid(version):
    """A hand-edited column is not guessed at."""
    with pytest.raises(InvalidPayloadError):
        codec.decode(OLD, version)


@pytest.mark.parametrize("column", [1, 2, 3])
def test_the_content_decides_whatever_the_column_says(column):
    """A document of version 1 loads under every number that is not newer."""
    decoded = codec.decode(OLD, column)

    assert decoded.metadata.provider == "openai"
    assert decoded.metadata.tooling.shell == "enable"
    assert {change.path for change in decoded.changes} == {"provider", "tooling.shell"}


def test_older_content_that_is_valid_at_the_current_version_is_still_found():
    """host_mode is an unknown key to the current model, and must not be mistaken for one."""
    document = json.dumps(written(metadata()) | {"host_mode": True})
    document = document.replace('"keep_alive": false, ', "")

    decoded = codec.decode(document, 3)

    assert decoded.metadata.keep_alive is True
    assert [change.path for change in decoded.changes] == ["host_mode"]


def test_a_guard_sees_the_whole_document_and_its_finding_is_raised():
    """The guard is the caller's; what it finds is named by path."""
    seen = []

    def guard(document):
        seen.append(document)
        return SecretFinding("later.x", "a test")

    with pytest.raises(SecretMaterialError) as refused:
        codec.encode(metadata(later={"x": 1}), 3, guard)

    assert (refused.value.path, refused.value.kind) == ("later.x", "a test")
    assert seen[0]["later"] == {"x": 1}


def test_a_guard_sees_what_has_nothing_odd_about_it():
    """Whatever else is a reason to look through a document, or none."""
    seen = []

    codec.encode(metadata(), 3, seen.append)

    assert [document["model"] for document in seen] == [metadata().model]


def test_the_number_is_stamped():
    """Whatever it was set to; on the model as well."""
    session = metadata(schema_version=1)

    encoded = codec.encode(session, 3, None)

    assert (json.loads(encoded.payload)["schema_version"], encoded.schema_version, session.schema_version) == (3, 3, 3)


def test_a_document_of_another_program_is_adopted_as_it_is():
    """The text of an older document is kept to the byte."""
    encoded = codec.adopt(OLD, 3, None)

    assert (encoded.payload, encoded.schema_version, encoded.provider) == (OLD, 1, "openai")


def test_a_current_document_is_adopted_in_the_current_spelling():
    """There is no step that would take it to the current version later, so its defaults are written now."""
    encoded = codec.adopt('{"schema_version":3,"model":"m","max_tokens":1,"provider":"openai","tooling":{}}', 3, None)

    assert (json.loads(encoded.payload), encoded.schema_version) == (written(metadata()), 3)


def test_older_content_under_the_current_number_is_adopted_below_it():
    """It stays as it is, to be archived by the first save; the column says that it is outdated."""
    lying = '{"schema_version":3,"model":"m","max_tokens":1,"provider":"open_a_i","tooling":{}}'

    encoded = codec.adopt(lying, 3, None)

    assert (encoded.payload, encoded.schema_version) == (lying, 2)


@pytest.mark.parametrize("text", ["1e400", '"\\u0000"'])
def test_a_value_that_cannot_be_stored_is_not_adopted(text):
    """An import refuses what a save would refuse."""
    with pytest.raises(InvalidPayloadError):
        codec.adopt(OLD[:-1] + f',"provider_params":{text}}}', 3, None)


def test_a_key_that_occurs_twice_is_not_adopted():
    """The text would be kept with a value in it that nothing has checked."""
    with pytest.raises(InvalidPayloadError, match="occurs twice"):
        codec.adopt(OLD[:-1] + ',"provider_params":{"a":1,"a":2}}', 3, None)


def test_a_pinned_version_is_written_in_its_own_words():
    """Version 2 spells the provider as it did, and has no tool policy."""
    document = written(metadata(), write_version=2)

    assert document["schema_version"] == 2
    assert document["provider"] == "open_a_i"
    assert "application_tool_policy" not in document["tooling"]


def test_what_a_pinned_version_cannot_say_is_refused_by_name():
    """Nothing is dropped in silence."""
    session = metadata(mob_member_binding={"mob_id": "m", "role": "r", "member": "x"})
    session.tooling.tool_access_policy = {"type": "read_only"}

    with pytest.raises(InvalidPayloadError) as refused:
        codec.encode(session, 2, None)

    assert {problem.path for problem in refused.value.problems} == {"mob_member_binding", "tooling.tool_access_policy"}


def test_canonical_forms_tell_types_apart_and_not_the_order_of_keys():
    """1, 1.0 and true are three values; two orders of the same keys are one."""
    assert len({codec.canonical(f'{{"a":{value}}}') for value in ("1", "1.0", "true")}) == 3
    assert codec.canonical('{"a":1,"b":2}') == codec.canonical('{"b":2,"a":1}')
