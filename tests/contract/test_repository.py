"""The verbs of a store: add, load, find, save, update, delete."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta

import pytest

from rekindle import Provider, SessionRecord
from rekindle.errors import (
    InvalidPayloadError,
    SecretMaterialError,
    SessionExistsError,
    SessionNotFoundError,
    StaleSessionError,
)

MISSING = [
    pytest.param(lambda store, _: store.load("absent"), id="load"),
    pytest.param(lambda store, _: store.stored("absent"), id="stored"),
    pytest.param(lambda store, _: store.update("absent", lambda metadata: metadata), id="update"),
    pytest.param(lambda store, _: store.delete("absent"), id="delete by id"),
    pytest.param(lambda store, record: store.save(replace(record, session_id="absent")), id="save"),
    pytest.param(lambda store, record: store.delete(replace(record, session_id="absent")), id="delete of a record"),
]


def test_add_returns_the_record_that_load_finds(store, new_metadata):
    """What add() gives back and what load() gives back are the same record, at lock version 1 and schema version 3."""
    before = datetime.now(UTC)

    added = store.add("session-1", new_metadata(comms_name="worker", keep_alive=True))
    loaded = store.load("session-1")

    assert loaded == added
    assert (added.session_id, added.lock_version, added.schema_version) == ("session-1", 1, 3)
    assert (added.is_outdated, added.changes) == (False, ())
    assert (added.metadata.comms_name, added.metadata.keep_alive) == ("worker", True)
    assert before - timedelta(seconds=1) <= added.created_at == added.updated_at <= datetime.now(UTC)
    assert added.created_at.utcoffset() == timedelta(0)


def test_add_refuses_an_id_that_is_taken(store, new_metadata, rows):
    """A second add() under the same id is SessionExistsError naming it, and the first row stays as it is."""
    store.add("session-1", new_metadata(model="first"))
    row = rows.read("session-1")

    with pytest.raises(SessionExistsError) as caught:
        store.add("session-1", new_metadata(model="second"))

    assert caught.value.session_id == "session-1"
    assert rows.read("session-1") == row


def test_add_refuses_an_id_taken_by_a_row_that_does_not_load(store, new_metadata, documents, rows):
    """What holds the id need not be readable: a newer row is SessionExistsError too, and untouched."""
    rows.insert("session-1", documents.newer, 4)
    row = rows.read("session-1")

    with pytest.raises(SessionExistsError):
        store.add("session-1", new_metadata())

    assert rows.read("session-1") == row


def test_find_answers_none_where_load_raises(store, new_metadata):
    """find() returns the record of a session that is there, and None for one that is not."""
    added = store.add("session-1", new_metadata())

    assert store.find("session-1") == added
    assert store.find("session-2") is None


@pytest.mark.parametrize("call", MISSING)
def test_a_missing_session_is_not_found(store, new_metadata, rows, call):
    """Every call that needs a session raises SessionNotFoundError, a LookupError naming the id, and writes nothing."""
    record = store.add("session-1", new_metadata())

    with pytest.raises(SessionNotFoundError) as caught:
        call(store, record)

    assert isinstance(caught.value, LookupError)
    assert caught.value.session_id == "absent"
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


def test_save_counts_the_lock_version_and_keeps_the_birthday(store, new_metadata):
    """save() returns the record to go on with: lock version up by one, created_at as it was, updated_at moved."""
    added = store.add("session-1", new_metadata(model="before"))
    added.metadata.model = "after"

    first = store.save(added)
    second = store.save(first)

    assert store.load("session-1") == second
    assert [added.lock_version, first.lock_version, second.lock_version] == [1, 2, 3]
    assert first.metadata.model == "after"
    assert added.created_at == first.created_at == second.created_at
    assert added.updated_at < first.updated_at < second.updated_at


def test_save_moves_the_columns_with_the_document(store, new_metadata, rows):
    """The columns that listings filter by say what the saved document says."""
    record = store.add("session-1", new_metadata())
    fields = {
        "model": "gpt-5", "provider": Provider.OPENAI, "realm_id": "prod", "instance_id": "i-1", "comms_name": "w",
    }  # fmt: skip

    store.save(replace(record, metadata=new_metadata(**fields)))
    row = rows.read("session-1")

    assert [row[name] for name in ("model", "provider", "realm", "instance_id", "comms_name")] == [
        "gpt-5", "openai", "prod", "i-1", "w",
    ]  # fmt: skip


def test_a_lost_race_is_stale_and_writes_nothing(store, new_metadata, rows):
    """save() of a record that somebody saved since raises StaleSessionError with both lock versions."""
    mine = store.add("session-1", new_metadata())
    store.save(store.save(store.load("session-1")))
    mine.metadata.model = "mine"
    row = rows.read("session-1")

    with pytest.raises(StaleSessionError) as caught:
        store.save(mine)

    assert (caught.value.session_id, caught.value.expected_lock_version, caught.value.found_lock_version) == (
        "session-1", 1, 3,
    )  # fmt: skip
    assert rows.read("session-1") == row
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


def test_a_record_ahead_of_the_row_is_stale_too(store, new_metadata, rows):
    """A lock version that the row has not reached, as after a restored backup, is no licence to overwrite it."""
    record = store.add("session-1", new_metadata())
    row = rows.read("session-1")

    with pytest.raises(StaleSessionError) as caught:
        store.save(replace(record, lock_version=7))

    assert (caught.value.expected_lock_version, caught.value.found_lock_version) == (7, 1)
    assert rows.read("session-1") == row


def test_the_record_is_frozen_and_its_metadata_is_not(store, new_metadata):
    """The numbers of a record cannot be changed by accident; the metadata in it is the caller's."""
    record = store.add("session-1", new_metadata())

    with pytest.raises(FrozenInstanceError):
        record.lock_version = 9
    record.metadata.tooling.shell = "enable"
    store.save(record)

    assert store.load("session-1").metadata.tooling.shell == "enable"


def test_update_changes_in_place_or_by_what_the_function_returns(store, new_metadata):
    """A function that returns None has changed the metadata in place; what another returns replaces it."""
    store.add("session-1", new_metadata())

    def rename(metadata):
        metadata.comms_name = "in place"

    in_place = store.update("session-1", rename)
    replaced = store.update("session-1", lambda metadata: metadata.model_copy(update={"comms_name": "returned"}))

    assert isinstance(in_place, SessionRecord)
    assert (in_place.metadata.comms_name, in_place.lock_version) == ("in place", 2)
    assert (replaced.metadata.comms_name, replaced.lock_version) == ("returned", 3)
    assert store.load("session-1") == replaced


def test_update_runs_the_function_again_on_what_the_winner_left(store, rival, new_metadata):
    """An update that loses the race is repeated on the row as the winner saved it: neither change is lost."""
    store.add("session-1", new_metadata(provider_params={"mine": 0, "theirs": 0}))
    seen = []

    def change(metadata):
        seen.append(metadata.provider_params["theirs"])
        if len(seen) < 3:
            record = rival.load("session-1")
            record.metadata.provider_params["theirs"] += 1
            rival.save(record)
        metadata.provider_params["mine"] += 1

    updated = store.update("session-1", change)

    assert seen == [0, 1, 2]
    assert updated.metadata.provider_params == {"mine": 1, "theirs": 2}
    assert updated.lock_version == 4
    assert store.load("session-1") == updated


def test_update_passes_on_what_the_function_raises(store, new_metadata, rows):
    """An exception in the function comes out as it is, after one call, and nothing is written."""
    store.add("session-1", new_metadata())
    row = rows.read("session-1")
    calls = []

    def fail(metadata):
        calls.append(metadata)
        raise KeyError("not there")

    with pytest.raises(KeyError, match="not there"):
        store.update("session-1", fail)

    assert len(calls) == 1
    assert rows.read("session-1") == row


def test_delete_takes_the_archive_and_the_quarantine_with_it(store, documents, rows):
    """delete() leaves nothing of a session behind, and everything of the others."""
    for session_id in ("session-1", "session-2"):
        rows.insert(session_id, documents.outdated, 1)
        rows.quarantine(session_id)
        store.save(store.load(session_id))

    store.delete("session-1")

    assert store.find("session-1") is None
    assert store.load("session-2").lock_version == 2
    assert rows.count() == {"sessions": 1, "archive": 1, "quarantine": 1}


def test_delete_of_a_record_is_a_compare_and_swap(store, new_metadata, rows):
    """A record that somebody saved since is not deleted; the current one is."""
    old = store.add("session-1", new_metadata())
    current = store.save(old)
    row = rows.read("session-1")

    with pytest.raises(StaleSessionError) as caught:
        store.delete(old)

    assert (caught.value.expected_lock_version, caught.value.found_lock_version) == (1, 2)
    assert rows.read("session-1") == row

    store.delete(current)

    assert rows.read("session-1") is None


def test_what_is_assigned_is_checked_as_strictly_as_what_is_loaded(store, new_metadata, rows):
    """Metadata that would not load is not saved: the error names the session and every field; nothing is written."""
    record = store.add("session-1", new_metadata())
    row = rows.read("session-1")
    record.metadata.max_tokens = "4096"
    record.metadata.keep_alive = 1

    with pytest.raises(InvalidPayloadError) as caught:
        store.save(record)

    assert caught.value.session_id == "session-1"
    assert [problem.path for problem in caught.value.problems] == ["max_tokens", "keep_alive"]
    assert rows.read("session-1") == row


def test_credentials_are_refused_by_path_and_never_shown(store, new_metadata, rows):
    """A document with credential material is not added, saved or imported; the error has the path, not the value."""
    secret = "sk-ant-" + "REDACTED0123456789"
    carrying = new_metadata(provider_params={"headers": [{"note": secret}]})
    record = store.add("session-1", new_metadata())
    row = rows.read("session-1")

    with pytest.raises(SecretMaterialError) as added:
        store.add("session-2", carrying)
    with pytest.raises(SecretMaterialError) as saved:
        store.save(replace(record, metadata=carrying))
    with pytest.raises(SecretMaterialError) as imported:
        store.import_document("session-3", carrying.model_dump_json(), created_at=None, updated_at=None)

    for session_id, caught in (("session-2", added), ("session-1", saved), ("session-3", imported)):
        assert (caught.value.session_id, caught.value.path) == (session_id, "provider_params.headers.0.note")
        assert secret not in str(caught.value) + repr(caught.value)
    assert rows.read("session-1") == row
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


@pytest.mark.parametrize("schema_version", [1, 3])
def test_a_row_that_carries_a_credential_already_still_loads(store, rows, schema_version):
    """It was written before there was a check: it loads and lists, is not written again, and can be cleaned."""
    number = '"schema_version":3,' if schema_version == 3 else ""
    payload = f'{{{number}"model":"m","max_tokens":1,"provider":"openai","tooling":{{}},"api_key":"0123456789abcdef"}}'
    rows.insert("session-1", payload, schema_version)
    row = rows.read("session-1")

    record = store.load("session-1")
    with pytest.raises(SecretMaterialError) as caught:
        store.save(record)

    assert list(store.list()) == [record]
    assert (caught.value.session_id, caught.value.path) == ("session-1", "api_key")
    assert rows.read("session-1") == row
    assert rows.count()["archive"] == 0
    del record.metadata.api_key
    assert store.save(record).lock_version == 2


def test_the_check_for_credentials_can_be_switched_off(open_store, new_metadata):
    """With secret_guard None the same document is accepted, by explicit choice."""
    store = open_store(secret_guard=None)
    params = {"api_key": "0123456789abcdef"}

    store.add("session-1", new_metadata(provider_params=params))

    assert store.load("session-1").metadata.provider_params == params
