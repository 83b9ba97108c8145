"""Rolling deploys: a process pinned to schema version 2 writes what processes of the previous release can read."""

from __future__ import annotations

import json

import pytest

from rekindle.errors import InvalidPayloadError, WriteVersionError

MOB_MEMBER = {"mob_id": "m", "role": "r", "member": "x"}
ENV_DEFAULT = {"realm": "env_default", "binding": "default"}

UNSAYABLE = [
    pytest.param({"mob_member_binding": MOB_MEMBER}, ["mob_member_binding"], id="a new field"),
    pytest.param(
        {"tooling": {"tool_access_policy": {"type": "read_only"}}}, ["tooling.tool_access_policy"], id="a new policy"
    ),
    pytest.param(
        {"tooling": {"application_tool_policy": {"kind": "inherit"}}},
        ["tooling.application_tool_policy"],
        id="a policy that is not the default",
    ),
    pytest.param(
        {"auth_binding": {"realm": "r", "binding": "b", "origin": "synthetic_env_default"}},
        ["auth_binding.origin"],
        id="an origin that the pair does not tell",
    ),
    pytest.param(
        {"auth_binding": {**ENV_DEFAULT, "origin": "configured"}}, ["auth_binding.origin"], id="an origin against it"
    ),
    pytest.param(
        {"mob_member_binding": MOB_MEMBER, "tooling": {"tool_access_policy": {"type": "inherit"}}},
        ["mob_member_binding", "tooling.tool_access_policy"],
        id="two at once",
    ),
]


@pytest.fixture
def pinned(open_store):
    """A store that writes schema version 2."""
    return open_store(write_version=2)


def test_a_pinned_store_writes_version_2(pinned, rows, new_metadata):
    """The column and the document say 2, and the document is spelled as that version was."""
    added = pinned.add("session-1", new_metadata(provider="openai"))
    row = rows.read("session-1")
    document = json.loads(row["payload"])

    assert (added.schema_version, added.is_outdated, row["schema_version"]) == (2, True, 2)
    assert (document["schema_version"], document["provider"]) == (2, "open_a_i")
    assert "application_tool_policy" not in document["tooling"]


def test_what_is_written_at_version_2_loads_in_both(pinned, store, new_metadata, as_json):
    """A row written by the pinned process reads the same in it and in one that is not pinned."""
    metadata = new_metadata(
        provider="openai", provider_params={"a": [1.0, None]}, unknown=1, auth_binding={**ENV_DEFAULT, "unknown": 2}
    )
    metadata.auth_binding.origin = "synthetic_env_default"
    pinned.add("session-1", metadata)

    assert as_json(pinned.load("session-1").metadata) == as_json(metadata)
    assert as_json(store.load("session-1").metadata) == as_json(metadata)


def test_saves_of_a_pinned_store_stay_at_version_2(pinned, rows, new_metadata):
    """Rewriting a row at its own version archives nothing."""
    saved = pinned.save(pinned.save(pinned.add("session-1", new_metadata())))

    assert (saved.schema_version, saved.lock_version) == (2, 3)
    assert pinned.load("session-1").schema_version == 2
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


def test_an_older_row_is_raised_to_the_pinned_version_and_archived(pinned, rows, documents):
    """A row of version 1 saved by the pinned process is at 2, its original in the archive."""
    rows.insert("session-1", documents.outdated, 1)

    saved = pinned.save(pinned.load("session-1"))

    assert (saved.schema_version, rows.read("session-1")["schema_version"]) == (2, 2)
    assert [(kept["schema_version"], kept["payload"]) for kept in rows.archived("session-1")] == [
        (1, documents.outdated)
    ]


def test_a_current_row_is_never_rewritten_at_version_2(pinned, store, rows, new_metadata):
    """What is stored at 3 stays at 3, by save and by update, with what only version 3 can say in it."""
    store.add("session-1", new_metadata(mob_member_binding=MOB_MEMBER))

    saved = pinned.save(pinned.load("session-1"))
    updated = pinned.update("session-1", lambda metadata: metadata.model_copy(update={"keep_alive": True}))
    row = rows.read("session-1")

    assert (saved.schema_version, updated.schema_version, row["schema_version"]) == (3, 3, 3)
    assert json.loads(row["payload"])["mob_member_binding"] == MOB_MEMBER
    assert store.load("session-1").metadata.keep_alive is True


def test_a_row_that_reached_version_3_meanwhile_stays_there(pinned, rows, documents, right_before_it_holds_the_row):
    """A backfill by a process of the new release, at the last moment before a pinned save: the save is at 3 as well."""
    rows.insert("session-1", documents.outdated, 1)
    record = pinned.load("session-1")
    payload = record.metadata.model_dump_json()

    def backfill():
        rows.edit("session-1", schema_version=3, payload=payload)

    with right_before_it_holds_the_row(backfill) as happened:
        saved = pinned.save(record)

    assert happened
    assert (saved.schema_version, saved.lock_version) == (3, 2)
    assert rows.read("session-1")["schema_version"] == 3


@pytest.mark.parametrize(("fields", "paths"), UNSAYABLE)
def test_what_version_2_cannot_say_is_refused_by_name(pinned, rows, new_metadata, fields, paths):
    """A lossy downcast is InvalidPayloadError naming each field, for add and for save; nothing is written."""
    record = pinned.add("session-1", new_metadata())
    row = rows.read("session-1")
    for name, value in new_metadata(**fields):
        setattr(record.metadata, name, value)

    with pytest.raises(InvalidPayloadError) as saved:
        pinned.save(record)
    with pytest.raises(InvalidPayloadError) as added:
        pinned.add("session-2", record.metadata)

    for session_id, caught in (("session-1", saved), ("session-2", added)):
        assert caught.value.session_id == session_id
        assert [problem.path for problem in caught.value.problems] == paths
    assert rows.read("session-1") == row
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


@pytest.mark.parametrize(("fields", "paths"), UNSAYABLE)
def test_a_current_document_is_imported_at_the_pinned_version_or_refused(pinned, rows, new_metadata, fields, paths):
    """An import of a document of version 3 is said at 2; one that 2 cannot say is refused."""
    assert pinned.import_document("session-1", new_metadata(provider="openai").model_dump_json()) == "imported"
    with pytest.raises(InvalidPayloadError) as caught:
        pinned.import_document("session-2", new_metadata(**fields).model_dump_json())

    assert [problem.path for problem in caught.value.problems] == paths
    assert rows.read("session-1")["schema_version"] == 2
    assert json.loads(rows.read("session-1")["payload"])["provider"] == "open_a_i"
    assert rows.read("session-2") is None


def test_an_import_at_the_pinned_version_is_recognised(pinned, rows, new_metadata):
    """The same document again, in the words of either version, is "unchanged"."""
    document = new_metadata(provider="openai").model_dump_json()
    pinned.import_document("session-1", document)
    row = rows.read("session-1")

    assert pinned.import_document("session-1", document) == "unchanged"
    assert pinned.import_document("session-1", row["payload"]) == "unchanged"
    assert rows.read("session-1") == row


def test_unpinning_raises_rows_on_their_next_save(pinned, store, rows, new_metadata):
    """Once the last old process is gone, a save brings the row to 3 and keeps what was written at 2."""
    pinned.add("session-1", new_metadata())
    written_at_2 = rows.read("session-1")["payload"]

    saved = store.save(store.load("session-1"))

    assert (saved.schema_version, saved.lock_version) == (3, 2)
    assert [(kept["schema_version"], kept["payload"]) for kept in rows.archived("session-1")] == [(2, written_at_2)]


def test_the_pin_can_come_from_the_environment(open_store, monkeypatch, new_metadata):
    """REKINDLE_WRITE_VERSION pins a store that is opened without an argument; the argument wins over it."""
    monkeypatch.setenv("REKINDLE_WRITE_VERSION", "2")

    pinned, unpinned = open_store(), open_store(write_version=3)

    assert pinned.add("session-1", new_metadata()).schema_version == 2
    assert unpinned.add("session-2", new_metadata()).schema_version == 3


def test_a_version_that_cannot_be_written_is_refused_at_once(open_store):
    """Only versions with exact downcasts can be pinned; nothing is opened otherwise."""
    for write_version in (1, 0, -1, 4):
        with pytest.raises(WriteVersionError) as caught:
            open_store(write_version=write_version)

        assert (caught.value.write_version, caught.value.lowest, caught.value.current) == (write_version, 2, 3)


def test_a_setting_that_is_no_writable_version_is_refused_at_once(open_store, monkeypatch):
    """A typo in the environment does not silently unpin a deploy."""
    for text in ("", "two", "1", "4", "2.0", "-2", "²"):
        monkeypatch.setenv("REKINDLE_WRITE_VERSION", text)

        with pytest.raises(WriteVersionError, match="REKINDLE_WRITE_VERSION to one of 2 to 3"):
            open_store()
