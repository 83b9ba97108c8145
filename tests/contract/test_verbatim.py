"""What goes in comes out: values, unknown keys and session ids, to the bit, on every database."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rekindle.errors import InvalidSessionIdError

VALUES = [
    1e308, -1e308, 5e-324, 2.2250738585072014e-308, 0.1, 1 / 3, 1.0, 0.0, -0.0, 1e16, 1e22, 123456789.12345679,
    0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64 - 1, 2**64, 2**200, -(10**100),
    True, False, "", " ", "null", "1", "true", "\\", "\\\\", "\\u0041", '"', "'", "''", "`", "%", "%%", "%s", "%(x)s",
    ":x", "?", "$1", "{}", "{x}", "<script>&amp;", "a\tb", "a\nb", "a\r\nb", "\x01\x1f", "\x7f", "\x85", "\u2028",
    "\u200b", "\ufeff", "\ufffd", "\uffff", "é", "e\u0301", "ß", "İ", "日本語", "שלום", "🔥", "👩‍👩‍👧", "\U0010ffff",
    [], {}, [[]], [{}], {"": ""}, {"": None}, {"a": None}, [None], {"a": {"b": {"c": [None, {"d": None}]}}},
    {"a b": 1, "a.b": 2, "a/b": 3, "ключ": 4, "🔥": 5, "A": 6, "a": 7, "é": 8, "e\u0301": 9, "a ": 10, "%": 11},
    {"z": 1, "a": 2, "m": {"z": 1, "a": 2}},
    [1, 1.0, True, "1", None, [1], {"1": 1}],
]  # fmt: skip

IDS = [
    "a", "A", "á", "a\u0301", "à", "ä", "ae", "æ", "a ", "a  ", " a", "a\t", "a\n", "a\u00a0", "a\u200b", "\ufeffa",
    "a%", "%", "%%", "%s", "%(id)s", "a_", "_", "a'", "a''", 'a"', "a`", "a\\", "a\\'", "\\", "\\\\", "?", ":id", "$1",
    "{}", ";--", "/*", "'; DROP TABLE session_metadata; --", "ß", "ss", "SS", "ẞ", "i", "I", "İ", "\u0131", "ﬁ", "fi",
    "\u03c3", "\u03c2", "k", "\u212a", "1", "01", "1.0", "1e0", "0x1", "null", "NULL", "None", "true", "é", "e\u0301",
    "🔥", "🔥\ufe0f", "👩‍👩‍👧", "\U0010ffff", "\uffff", "日本語", "שלום", "\x01", "\x7f", "\r", "a" * 254, "a" * 255,
    "A" * 255, "🔥" * 255, "🔥" * 254 + "a",
]  # fmt: skip


def test_provider_params_are_kept_verbatim(store, new_metadata):
    """Any JSON value survives add, load, save and load: its type, its sign, its digits, its nulls, its spelling."""
    for number, value in enumerate(VALUES):
        added = store.add(f"s{number}", new_metadata(provider_params=value))
        once = store.load(f"s{number}")
        store.save(once)
        twice = store.load(f"s{number}")

        found = [json.dumps(record.metadata.provider_params) for record in (added, once, twice)]
        assert found == [json.dumps(value)] * 3


def test_provider_params_of_an_outdated_row_are_kept_verbatim(store, rows, documents):
    """An upcast does not touch them, nor does the save that writes it down."""
    for number, value in enumerate(VALUES):
        rows.insert(f"s{number}", json.dumps({**json.loads(documents.outdated), "provider_params": value}), 1)

        store.save(store.load(f"s{number}"))

        assert json.dumps(store.load(f"s{number}").metadata.provider_params) == json.dumps(value)


def test_unknown_keys_survive_at_every_depth(store, new_metadata, rows):
    """A key that this release does not know keeps its place and its value, through load and save."""
    unknown = {"from": "a later release", "n": [1, 1.0, -0.0, 2**64, None, {"deep": {}}], "é": "🔥"}
    fields = {
        "unknown": unknown,
        "nothing": None,
        "tooling": {"shell": "enable", "unknown": unknown},
        "peer_meta": {"description": "d", "labels": {"a": "b"}, "unknown": unknown},
        "auth_binding": {"realm": "r", "binding": "b", "unknown": unknown},
        "mob_member_binding": {"mob_id": "m", "role": "r", "member": "x", "unknown": unknown},
    }
    fields["tooling"]["active_skills"] = [
        {"source_uuid": "00000000-0000-4000-8000-000000000000", "skill_name": "s", "unknown": unknown}
    ]
    fields["tooling"]["tool_access_policy"] = {"type": "allow_list", "value": ["a"], "unknown": unknown}
    fields["tooling"]["application_tool_policy"] = {"kind": "inherit", "unknown": unknown}

    store.add("session-1", new_metadata(**fields))
    store.save(store.load("session-1"))
    document = json.loads(rows.read("session-1")["payload"])
    found = [
        document,
        document["tooling"],
        document["tooling"]["active_skills"][0],
        document["tooling"]["tool_access_policy"],
        document["tooling"]["application_tool_policy"],
        document["peer_meta"],
        document["auth_binding"],
        document["mob_member_binding"],
    ]

    assert [json.dumps(part["unknown"]) for part in found] == [json.dumps(unknown)] * 8
    assert document["nothing"] is None
    assert store.load("session-1").changes == ()


def test_unknown_keys_of_an_outdated_row_survive_the_upcast(store, rows, documents):
    """What version 1 did not know either is still there after two steps and a save."""
    document = json.loads(documents.outdated)
    document["unknown"] = {"a": [None, -0.0]}
    document["tooling"]["unknown"] = True
    document["connection_ref"] = {"realm_id": "r", "binding_id": "b", "unknown": [2**64]}
    rows.insert("session-1", json.dumps(document), 1)

    store.save(store.load("session-1"))
    saved = store.load("session-1").metadata

    assert json.dumps(saved.__pydantic_extra__) == '{"unknown": {"a": [null, -0.0]}}'
    assert saved.tooling.__pydantic_extra__ == {"unknown": True}
    assert saved.auth_binding.__pydantic_extra__ == {"unknown": [18446744073709551616]}


@pytest.mark.parametrize("field", ["config_generation", "max_tokens", "structured_output_retries"])
def test_the_largest_integers_of_the_document_are_kept(store, new_metadata, field):
    """The upper bounds of u32 and u64 come back as they went in."""
    largest = {"config_generation": 2**64 - 1}.get(field, 2**32 - 1)

    store.add("session-1", new_metadata(**{field: largest}))

    assert getattr(store.load("session-1").metadata, field) == largest


def test_promoted_columns_hold_any_text(store, new_metadata, rows):
    """Columns that listings filter by are as exact as the document, up to 255 characters of four bytes each."""
    text = "🔥'\"\\%_ " + "é" * 248
    store.add("session-1", new_metadata(model=text, instance_id=text, comms_name=text))
    row = rows.read("session-1")

    assert [row["model"], row["instance_id"], row["comms_name"]] == [text] * 3
    assert len(text) == 255
    assert [record.session_id for record in store.list(model=text, instance_id=text, comms_name=text)] == ["session-1"]
    assert store.list(model=text.upper()).records == ()


def test_ids_compare_byte_for_byte(store, new_metadata):
    """Case, accents, spaces, quotes, normal forms: each id is a session of its own, in every call."""
    for number, session_id in enumerate(IDS):
        store.add(session_id, new_metadata(max_tokens=number))

    batch = store.load_many(IDS)

    assert [store.load(session_id).metadata.max_tokens for session_id in IDS] == list(range(len(IDS)))
    assert [(record.session_id, record.metadata.max_tokens) for record in batch] == [
        (session_id, number) for number, session_id in enumerate(IDS)
    ]
    assert [record.session_id for record in store.list(limit=1000)] == IDS[::-1]


def test_near_misses_of_an_id_are_not_found(store, new_metadata):
    """With one of them stored, none of the others is there; load_many agrees."""
    stored = ["a", "é", "ss", "i", "1", "🔥"]
    for session_id in stored:
        store.add(session_id, new_metadata())
    others = [session_id for session_id in IDS if session_id not in stored]

    assert [store.find(session_id) for session_id in others] == [None] * len(others)
    assert store.load_many(others).missing == tuple(others)


def test_writes_reach_exactly_the_id_they_name(store, new_metadata):
    """save, update and delete of one id leave all its look-alikes alone."""
    for session_id in IDS:
        store.add(session_id, new_metadata())

    for session_id in ("a", "e\u0301", "A" * 255):
        store.delete(session_id)
    for session_id in ("a ", "é", "%"):
        store.update(session_id, lambda _: None)
    store.save(store.load("🔥" * 255))

    left = {record.session_id: record.lock_version for record in store.list(limit=1000)}
    assert left == {session_id: 1 for session_id in IDS if session_id not in {"a", "e\u0301", "A" * 255}} | {
        "a ": 2, "é": 2, "%": 2, "🔥" * 255: 2,
    }  # fmt: skip


def test_the_archive_compares_ids_byte_for_byte_too(store, rows, documents):
    """Deleting one session removes the archive of no look-alike."""
    for session_id in ("a", "A", "a ", "á"):
        rows.insert(session_id, documents.outdated, 1)
        store.save(store.load(session_id))

    store.delete("a")

    assert [len(rows.archived(session_id)) for session_id in ("a", "A", "a ", "á")] == [0, 1, 1, 1]


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda store, session_id, _: store.load(session_id), id="load"),
        pytest.param(lambda store, session_id, _: store.find(session_id), id="find"),
        pytest.param(lambda store, session_id, _: store.stored(session_id), id="stored"),
        pytest.param(lambda store, session_id, _: store.load_many(["b", session_id]), id="load_many"),
        pytest.param(lambda store, session_id, metadata: store.add(session_id, metadata), id="add"),
        pytest.param(lambda store, session_id, _: store.update(session_id, lambda _: None), id="update"),
    ],
)
def test_what_one_database_would_refuse_as_an_id_is_refused_everywhere(store, new_metadata, rows, call):
    """Too long, too short, NUL, half a surrogate pair, no text: InvalidSessionIdError, which is a ValueError."""
    too_long = ["a" * 256, "🔥" * 256]

    for session_id in ("", *too_long, "a\x00b", "\x00", "\ud800", "a\udfffb", None, 7, b"a"):
        with pytest.raises(InvalidSessionIdError) as caught:
            call(store, session_id, new_metadata())

        assert isinstance(caught.value, ValueError)
    assert rows.count() == {"sessions": 0, "archive": 0, "quarantine": 0}


def test_the_id_in_a_record_is_checked_too(store, new_metadata):
    """A record whose id was replaced by one that no session can have is refused by save and delete."""
    record = replace(store.add("a", new_metadata()), session_id="\ud800")

    with pytest.raises(InvalidSessionIdError):
        store.save(record)
    with pytest.raises(InvalidSessionIdError):
        store.delete(record)
