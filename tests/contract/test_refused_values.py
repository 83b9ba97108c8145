"""What one database would take and another refuse is refused everywhere; what all can take is accepted everywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf, nan

import pytest

from rekindle.codec import MAX_PAYLOAD_BYTES
from rekindle.errors import InvalidPayloadError

EMPTY = {"sessions": 0, "archive": 0, "quarantine": 0}


def _nested(levels, value=None):
    for _ in range(levels):
        value = [value]
    return value


REFUSED = {
    "NUL in a value": ({"provider_params": "a\x00b"}, "provider_params"),
    "NUL in a key": ({"provider_params": [{"k": {"\x00": 1}}]}, "provider_params.0.k"),
    "NUL under an unknown key": ({"unknown": {"a": ["\x00"]}}, "unknown.a.0"),
    "NUL in an unknown key": ({"un\x00known": 1}, ""),
    "NUL in a field": ({"model": "m\x00"}, "model"),
    "NUL in a nullable field": ({"comms_name": "\x00"}, "comms_name"),
    "NUL in a label": ({"peer_meta": {"labels": {"a": "\x00"}}}, "peer_meta.labels.a"),
    "NaN": ({"provider_params": {"a": nan}}, "provider_params.a"),
    "infinity": ({"provider_params": [inf]}, "provider_params.0"),
    "minus infinity": ({"provider_params": -inf}, "provider_params"),
    "NaN under an unknown key": ({"unknown": [nan]}, "unknown.0"),
    "half a surrogate pair": ({"provider_params": "\ud800"}, None),
    "half a surrogate pair in a key": ({"provider_params": {"\udfff": 1}}, None),
    "half a surrogate pair in a field": ({"comms_name": "a\ud800"}, None),
    "an integer of 4,301 digits": ({"provider_params": [10**4300]}, None),
    "a negative one, under an unknown key": ({"unknown": -(10**5000)}, None),
    "10,000 levels": ({"provider_params": _nested(10_000)}, None),
    "10,000 levels under an unknown key": ({"unknown": _nested(10_000)}, None),
    "too large": ({"provider_params": "x" * MAX_PAYLOAD_BYTES}, ""),
    "too large in bytes alone": ({"provider_params": "é" * (MAX_PAYLOAD_BYTES // 2)}, ""),
    "too long for a column": ({"comms_name": "x" * 256}, "comms_name"),
    "too long a model": ({"model": "x" * 256}, "model"),
    "too long in characters of four bytes": ({"instance_id": "🔥" * 256}, "instance_id"),
    "too long a realm": ({"realm_id": "r" * 256}, "realm_id"),
}
"""What is assigned, and the place that the error names; None where the serializer cannot tell."""

REFUSED_TEXT = {
    "NUL in a value": r'"a\u0000b"',
    "NUL in a key": r'{"\u0000": 1}',
    "NaN": "NaN",
    "infinity": "[Infinity]",
    "minus infinity": "-Infinity",
    "a number that is infinite when read": "1e999",
    "a number that is minus infinite when read": "[-1e999]",
    "half a surrogate pair": r'"\ud800"',
    "half a surrogate pair in a key": r'{"\udfff": 1}',
    "half a surrogate pair, not escaped": '"\ud800"',
    "10,000 levels": "[" * 10_000 + "]" * 10_000,
    "10,000 levels of objects": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "too large": '"' + "x" * MAX_PAYLOAD_BYTES + '"',
    "a control character": '"\x01"',
    "a key twice": '{"a": 1, "a": 2}',
    "an integer that Python would not print": "9" * 5000,
}


def test_a_value_that_one_database_would_refuse_is_not_written(store, new_metadata, rows):
    """add and save answer InvalidPayloadError, with the session and the place; nothing is written."""
    record = store.add("session-1", new_metadata())
    row = rows.read("session-1")

    for case, (fields, path) in REFUSED.items():
        metadata = new_metadata()
        for name, value in fields.items():
            setattr(metadata, name, value)
        with pytest.raises(InvalidPayloadError) as added:
            store.add(case, metadata)
        with pytest.raises(InvalidPayloadError) as saved:
            store.save(replace(record, metadata=metadata))
        paths = [[problem.path for problem in caught.value.problems] for caught in (added, saved)]

        assert [caught.value.session_id for caught in (added, saved)] == [case, "session-1"]
        assert path is None or (case, paths) == (case, [[path], [path]])
    assert rows.read("session-1") == row
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


@pytest.mark.parametrize("number", [1, 3])
def test_a_document_that_one_database_would_refuse_is_not_imported(store, rows, number):
    """import_document answers InvalidPayloadError for the same values, at every schema version."""
    for case, value in REFUSED_TEXT.items():
        payload = (
            f'{{"schema_version":{number},"model":"m","max_tokens":1,"provider":"anthropic","tooling":{{}},'
            f'"provider_params":{value}}}'
        )
        with pytest.raises(InvalidPayloadError) as caught:
            store.import_document(case, payload)

        assert caught.value.session_id == case
    assert rows.count() == EMPTY


def test_the_longest_integer_is_accepted(store, new_metadata):
    """
    Up to 4,300 digits, which is as far as Python goes by itself, in add, save and import.

    A digit less below zero: the parser of pydantic 2.12 counts the sign.
    """
    longest = 10**4300 - 1
    metadata = new_metadata(provider_params=[longest, -(longest // 10)], unknown=longest)

    store.save(store.add("session-1", metadata))
    store.import_document("session-2", metadata.model_dump_json())

    assert store.load("session-1").metadata == store.load("session-2").metadata == metadata


def test_what_only_looks_refusable_is_accepted(store, new_metadata):
    """Text about NUL, NaN and surrogates is text."""
    params = ["\\u0000", "\\\\u0000", "NaN", "Infinity", "-Infinity", "\\ud800", "\\x00", {"NaN": "\\u0000"}]

    store.add("session-1", new_metadata(provider_params=params))

    assert store.load("session-1").metadata.provider_params == params


def test_nesting_within_reason_is_accepted(store, new_metadata):
    """100 levels are no problem for any engine, in add, save and import."""
    metadata = new_metadata(provider_params=_nested(100), unknown=_nested(100))

    store.save(store.add("session-1", metadata))
    store.import_document("session-2", metadata.model_dump_json())

    assert store.load("session-1").metadata == store.load("session-2").metadata == metadata


def test_a_payload_of_six_megabytes_is_accepted(store, new_metadata):
    """A large document survives add, load and save on every database."""
    text = "0123456789abcde " * (6 * 1024 * 1024 // 16)
    store.add("session-1", new_metadata(provider_params={"note": text}))

    saved = store.save(store.load("session-1"))

    assert saved.lock_version == 2
    assert store.load("session-1").metadata.provider_params == {"note": text}


def test_an_outdated_payload_of_six_megabytes_is_archived(store, rows, documents):
    """Its first save writes two such texts, and both arrive whole."""
    text = "0123456789abcdé " * (5 * 1024 * 1024 // 16)
    payload = json.dumps({**json.loads(documents.outdated), "provider_params": {"note": text}}, ensure_ascii=False)
    rows.insert("session-1", payload, 1)

    store.save(store.load("session-1"))

    assert rows.archived("session-1")[0]["payload"] == payload
    assert store.load("session-1").metadata.provider_params == {"note": text}


def test_the_largest_payload_is_accepted_whatever_is_in_it(store, new_metadata, rows):
    """Right at the limit nothing is refused, also when a driver has to escape every character of every column."""
    columns = {"model": "'" * 255, "instance_id": "'" * 255, "comms_name": "'" * 255}
    base = len(new_metadata(provider_params="", **columns).model_dump_json())
    text = "\\" * ((MAX_PAYLOAD_BYTES - base) // 2)

    store.add("session-1", new_metadata(provider_params=text, **columns))

    assert MAX_PAYLOAD_BYTES - 2 < len(rows.read("session-1")["payload"]) <= MAX_PAYLOAD_BYTES
    assert store.load("session-1").metadata.provider_params == text


def test_a_large_row_is_archived_whatever_the_upcast_altered(store, rows, documents):
    """A row whose bulk is in a value that the upcast moves can be saved: its changes repeat that value twice."""
    ref = {"realm_id": "r", "binding_id": "b", "note": "x" * 5_592_600}
    payload = json.dumps({**json.loads(documents.outdated), "connection_ref": ref})
    rows.insert("session-1", payload, 1)

    store.save(store.load("session-1"))

    assert rows.archived("session-1")[0]["payload"] == payload


def test_a_row_that_is_larger_than_we_would_write_is_bad_and_deletable(store, rows):
    """A payload beyond the limit, written by something else, is named like any bad row."""
    rows.insert("session-1", '{"note": "' + "x" * MAX_PAYLOAD_BYTES + '"}', 1)

    with pytest.raises(InvalidPayloadError):
        store.load("session-1")
    store.delete("session-1")

    assert store.list().bad == ()
