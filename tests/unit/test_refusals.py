"""Word for word, what the codec refuses, and that nothing slips past it by another way in."""

from __future__ import annotations

import json
import types

import pytest

from rekindle import AuthBindingRef, SessionMetadata, codec
from rekindle.errors import HistoryError, InvalidPayloadError, SecretMaterialError
from rekindle.schema.registry import registry
from rekindle.secret_guard import SecretFinding
from rekindle.upcasting import walk

MINIMAL = {"model": "m", "max_tokens": 1, "provider": "openai", "tooling": {}}
SURFACE = ("VERSION", "SUMMARY", "DOWNCAST", "upcast", "downcast", "SessionMetadata")
TOO_LONG = "is longer than 255 characters"


def metadata(**fields):
    return SessionMetadata.model_validate({**MINIMAL, **fields})


def problems(call, *arguments):
    with pytest.raises(InvalidPayloadError) as caught:
        call(*arguments)
    return [tuple(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"provider_params": {"\x00": 1}}, ("provider_params", "a key contains NUL")),
        ({"provider_params": ["", "\x00"]}, ("provider_params.1", "contains NUL")),
        ({"provider_params": {"a": float("inf")}}, ("provider_params.a", "is not a finite number")),
        ({"host_mode": 1}, ("host_mode", "the name belongs to an earlier schema version")),
        ({"comms_name": "x" * 256}, ("comms_name", TOO_LONG)),
        ({"model": "x" * 256}, ("model", TOO_LONG)),
        ({"model": "x" * 256, "comms_name": "y" * 255}, ("model", TOO_LONG)),
    ],
)
def test_what_is_not_stored_is_refused_in_words(fields, problem):
    """The path and the reason, for whoever has to mend it."""
    assert problems(codec.encode, metadata(**fields), 3, None) == [problem]


def test_a_promoted_value_may_be_as_long_as_an_index_takes():
    """255 characters go in."""
    assert codec.encode(metadata(comms_name="x" * 255), 3, None).comms_name == "x" * 255


def test_what_an_older_version_cannot_say_is_refused_in_words():
    """The reason names the version that was to be written."""
    session = metadata(mob_member_binding={"mob_id": "m", "role": "r", "member": "x"})

    assert problems(codec.encode, session, 2, None) == [("mob_member_binding", "cannot be said in schema version 2")]


def test_a_version_without_a_way_down_is_refused_in_words(monkeypatch):
    """A pin that the front doors would have refused writes nothing either."""
    no_way = types.SimpleNamespace(downcast=None)
    monkeypatch.setattr(codec, "VERSIONS", {**codec.VERSIONS, 3: no_way})

    assert problems(codec.encode, metadata(), 2, None) == [("", "schema version 2 cannot be written by this release")]


def test_a_key_that_occurs_twice_is_refused_in_words():
    """The problem is about the document as a whole."""
    payload = json.dumps(MINIMAL)[:-1] + ', "a": {"b": 1, "b": 2}}'

    assert problems(codec.adopt, payload, 3, None) == [("", "a key occurs twice in one object")]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_import_is_guarded_at_every_schema_version(number):
    """The guard sees the document, whether it is stored as it is or said anew."""
    document = {**MINIMAL, "schema_version": number, "later": "secret"}

    def guard(found):
        return SecretFinding("later", "a secret") if found["later"] == "secret" else None

    with pytest.raises(SecretMaterialError) as caught:
        codec.adopt(json.dumps(document), 3, guard)

    assert caught.value.path == "later"


@pytest.mark.parametrize("part", ["tooling", "auth_binding"])
def test_older_content_hides_in_no_part_of_a_current_row(part):
    """A current row with an older key in its tooling or its binding takes the long way, and loses the key."""
    older = {"tooling": {"subagents": True}, "auth_binding": {"realm": "r", "binding": "b", "realm_id": "q"}}
    document = {**MINIMAL, "schema_version": 3, part: older[part]}

    decoded = codec.decode(json.dumps(document), 3)

    assert [change.path.split(".")[0] for change in decoded.changes][:1] == [part]


@pytest.mark.parametrize("text", ["{", "\ud800"])
def test_a_text_that_is_no_json_is_equal_to_itself_alone(text):
    """Also a text that has no bytes in UTF-8."""
    assert codec.canonical(text) == text.encode(errors="surrogatepass")


def test_an_identity_shares_nothing_with_its_session():
    """What is done to the copy, at any depth, is not done to the session."""
    session = metadata(provider_params={"a": [1]}, auth_binding={"realm": "r", "binding": "b"})

    identity = session.llm_identity()
    identity.provider_params["a"].append(2)
    identity.auth_binding.realm = "q"

    assert session.provider_params == {"a": [1]}
    assert session.auth_binding == AuthBindingRef(realm="r", binding="b")


@pytest.mark.parametrize("number", [0, -1, True, 1.0, "3", None])
def test_a_column_that_is_no_schema_version_is_refused_in_words(number):
    """A column of SQLite holds whatever was put into it by hand."""
    assert problems(codec.decode, json.dumps(MINIMAL), number) == [("schema_version", "is not a positive integer")]


@pytest.mark.parametrize("text", ["{", "NaN", '{"a": Infinity}', '{"a": -Infinity}'])
def test_what_is_no_json_is_refused_in_words(text):
    """Numbers that are none are no JSON either."""
    ((path, reason),) = problems(codec.parse, text)

    assert path == ""
    assert reason.startswith("is not JSON (")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_is_read_has_the_number_it_was_stored_with(number):
    """The number of the row, and as changes a tuple, which is empty when there are none."""
    decoded = codec.decode(json.dumps({**MINIMAL, "schema_version": number}), number)

    assert (decoded.schema_version, decoded.changes) == (number, ())
    assert decoded.metadata == metadata()


def test_a_current_row_is_read_without_the_steps(monkeypatch):
    """A current row never becomes a dict; one with an unknown key does, since older content may hide in it."""
    walked = []
    monkeypatch.setattr(codec, "walk", lambda document: walked.append(document) or walk(document))
    for document in (MINIMAL, {**MINIMAL, "later": 1}):
        codec.decode(json.dumps({**document, "schema_version": 3}), 3)

    assert walked == [{**MINIMAL, "schema_version": 3, "later": 1}]


@pytest.mark.parametrize(("letter", "bytes_each"), [("x", 1), ("é", 2), ("😀", 4)])
def test_the_limit_of_a_payload_is_exact_and_in_bytes(monkeypatch, letter, bytes_each):
    """A document of exactly so many bytes is read, as text and as bytes, and one more byte is refused in words."""
    text = json.dumps(letter * 100, ensure_ascii=False)
    size = 100 * bytes_each + 2

    monkeypatch.setattr(codec, "MAX_PAYLOAD_BYTES", size)
    read = [codec.parse(text), codec.parse(text.encode())]
    monkeypatch.setattr(codec, "MAX_PAYLOAD_BYTES", size - 1)
    refused = [problems(codec.parse, text), problems(codec.parse, text.encode())]

    assert read == [letter * 100] * 2
    assert refused == [[("", f"is larger than {size - 1} bytes")]] * 2


def test_a_payload_of_so_many_letters_may_still_be_too_many_bytes(monkeypatch):
    """Where the letters are as many as bytes are allowed, the bytes are counted."""
    monkeypatch.setattr(codec, "MAX_PAYLOAD_BYTES", 102)

    assert problems(codec.parse, json.dumps("é" * 100, ensure_ascii=False)) == [("", "is larger than 102 bytes")]


def test_what_json_has_no_text_for_is_refused_in_words():
    """The problem is about the document as a whole, and names the kind of error alone."""
    ((path, reason),) = problems(codec.encode, metadata(provider_params="\ud800"), 3, None)

    assert path == ""
    assert reason == "cannot be written as JSON (PydanticSerializationError)"


def test_nul_is_found_among_texts_that_look_like_no_number():
    """All signs of what cannot be stored at once are no fewer than one."""
    session = metadata(provider_params=["\x00", "NaN", "Infinity"])

    assert problems(codec.encode, session, 3, None) == [("provider_params.0", "contains NUL")]


def test_each_step_down_is_taken():
    """Version 1 is two steps down, and the second of them does not exist."""
    assert problems(codec.encode, metadata(), 1, None) == [("", "schema version 1 cannot be written by this release")]


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        (None, "VERSIONS is empty; register the module of schema version 1"),
        (
            types.ModuleType("toy"),
            f"toy lacks {', '.join(SURFACE)}; every version has the same surface, see rekindle.schema.v1",
        ),
    ],
)
def test_a_history_with_a_hole_is_refused_in_words(module, problem):
    """Each problem says what to do about it."""
    with pytest.raises(HistoryError) as caught:
        registry({} if module is None else {1: module})

    assert caught.value.problems == (problem,)
