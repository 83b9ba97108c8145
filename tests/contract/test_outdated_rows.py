"""Rows of earlier schema versions: upcast on load, archived by the first save, never changed by reading."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from rekindle import Provider
from rekindle.errors import StaleSessionError

VERSION_2 = (
    '{"schema_version":2,"model":"gpt-5","max_tokens":1,"provider":"open_a_i","tooling":{},'
    '"auth_binding":{"realm":"env_default","binding":"default"}}'
)
OLD_UNDER_THE_CURRENT_NUMBER = (
    '{"schema_version":3,"model":"gpt-5","max_tokens":1,"provider":"anthropic","tooling":{},"host_mode":true}'
)

READS = [
    pytest.param(lambda store: store.load("session-1"), id="load"),
    pytest.param(lambda store: store.find("session-1"), id="find"),
    pytest.param(lambda store: store.stored("session-1"), id="stored"),
    pytest.param(lambda store: store.load_many(["session-1", "absent"]), id="load_many"),
    pytest.param(lambda store: store.list(), id="list"),
    pytest.param(lambda store: store.list_stored(), id="list_stored"),
    pytest.param(lambda store: store.count_by_schema_version(), id="count_by_schema_version"),
]


@pytest.mark.parametrize("read", READS)
def test_reading_never_writes(store, documents, rows, statements_sent, read):
    """A read sends nothing but SELECT, and leaves every column of an outdated row as it was."""
    rows.insert("session-1", documents.outdated, 1)
    row = rows.read("session-1")

    with statements_sent() as sent:
        read(store)

    assert {statement.split()[0] for statement in sent} == {"SELECT"}
    assert not [statement for statement in sent if " FOR " in statement]
    assert rows.read("session-1") == row
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


def test_load_upcasts_and_reports_what_it_altered(store, documents, rows):
    """An outdated row loads as a current document; each stored value that was altered is a change with its old path."""
    rows.insert("session-1", documents.outdated, 1)

    record = store.load("session-1")

    assert (record.schema_version, record.is_outdated, record.lock_version) == (1, True, 1)
    assert (record.metadata.schema_version, record.metadata.provider) == (3, Provider.OPENAI)
    assert (record.metadata.keep_alive, record.metadata.realm_id) == (True, "mob.office")
    assert (record.metadata.tooling.builtins, record.metadata.tooling.shell) == ("enable", "inherit")
    assert {change.path: (change.old, change.new) for change in record.changes} == {
        "host_mode": (True, True),
        "tooling.shell": (False, "inherit"),
        "tooling.builtins": (True, "enable"),
        "provider": ("open_a_i", "openai"),
        "realm_id": ("mob:office", "mob.office"),
    }


def test_times_of_a_row_survive_load_and_save(store, documents, rows):
    """created_at comes back to the microsecond, in UTC, and a save leaves it alone while it moves updated_at."""
    rows.insert("session-1", documents.outdated, 1)
    long_ago = datetime(2024, 2, 29, 12, 30, 45, 123456, UTC)

    loaded = store.load("session-1")
    saved = store.save(loaded)

    assert (loaded.created_at, loaded.updated_at) == (long_ago, long_ago)
    assert loaded.created_at.utcoffset() == timedelta(0)
    assert (store.load("session-1").created_at, saved.created_at) == (long_ago, long_ago)
    assert store.load("session-1").updated_at == saved.updated_at > long_ago


def test_save_stamps_the_current_version(store, documents, rows):
    """The first save of an outdated row leaves a row, and a document, at schema version 3; nothing is outdated then."""
    rows.insert("session-1", documents.outdated, 1)

    saved = store.save(store.load("session-1"))
    loaded = store.load("session-1")
    row = rows.read("session-1")

    assert (saved.schema_version, saved.lock_version, saved.is_outdated, saved.changes) == (3, 2, False, ())
    assert loaded == saved
    assert (row["schema_version"], json.loads(row["payload"])["schema_version"]) == (3, 3)
    assert (row["realm"], row["provider"], row["comms_name"]) == ("mob.office", "openai", "wörker")


def test_save_archives_the_original_byte_for_byte(store, documents, rows):
    """The first save keeps the exact text that was stored, with its numbers, its digest and what the upcast altered."""
    rows.insert("session-1", documents.outdated, 1, realm="mob:office", lock_version=6)
    before = datetime.now(UTC)

    store.save(store.load("session-1"))
    (kept,) = rows.archived("session-1")

    assert kept["payload"] == documents.outdated
    assert (kept["lock_version"], kept["schema_version"], kept["realm"]) == (6, 1, "mob:office")
    assert kept["payload_sha256"] == sha256(documents.outdated.encode()).hexdigest()
    assert kept["updated_at"] == datetime(2024, 2, 29, 12, 30, 45, 123456, UTC)
    assert before - timedelta(seconds=1) <= kept["archived_at"] <= datetime.now(UTC)
    assert kept["library_version"] == "0.1.0"
    assert [change["path"] for change in json.loads(kept["changes"])] == [
        "host_mode", "tooling.shell", "tooling.builtins", "provider", "realm_id",
    ]  # fmt: skip


def test_only_the_first_save_archives(store, documents, rows):
    """A row that is current already has nothing to keep."""
    rows.insert("session-1", documents.outdated, 1)

    store.save(store.save(store.load("session-1")))
    store.update("session-1", lambda metadata: metadata)

    assert [kept["payload"] for kept in rows.archived("session-1")] == [documents.outdated]


def test_a_new_session_has_nothing_in_the_archive(store, new_metadata, rows):
    """add() and the saves after it write no archive."""
    store.save(store.add("session-1", new_metadata()))

    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


def test_the_archive_is_in_the_transaction_of_the_save(store, documents, rows, right_before):
    """When the archive cannot be written, the row is not rewritten either."""
    rows.insert("session-1", documents.outdated, 1)
    record = store.load("session-1")
    row = rows.read("session-1")

    def fail():
        raise ConnectionAbortedError("the machine went away")

    with right_before("INSERT INTO session_metadata_archive", fail) as happened, pytest.raises(ConnectionAbortedError):
        store.save(record)

    assert happened
    assert rows.read("session-1") == row
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}
    assert store.save(record).lock_version == 2


def test_a_lost_race_leaves_no_original_in_the_archive(store, rival, documents, rows):
    """The loser's save of an outdated row is StaleSessionError; the archive has the winner's entry alone."""
    rows.insert("session-1", documents.outdated, 1)
    mine = store.load("session-1")
    rival.save(rival.load("session-1"))
    row = rows.read("session-1")

    with pytest.raises(StaleSessionError) as caught:
        store.save(mine)

    assert (caught.value.expected_lock_version, caught.value.found_lock_version) == (1, 2)
    assert rows.read("session-1") == row
    assert [(kept["lock_version"], kept["payload"]) for kept in rows.archived("session-1")] == [(1, documents.outdated)]


def test_a_row_of_version_2_loads_as_version_3(store, rows):
    """The step from 2 to 3 runs on load: spelling of the provider, and the origin that only the pair told."""
    rows.insert("session-1", VERSION_2, 2)

    record = store.load("session-1")
    store.save(record)

    assert (record.schema_version, record.metadata.provider) == (2, Provider.OPENAI)
    assert record.metadata.auth_binding.origin == "synthetic_env_default"
    assert [change.path for change in record.changes] == ["provider"]
    assert [(kept["schema_version"], kept["payload"]) for kept in rows.archived("session-1")] == [(2, VERSION_2)]
    assert store.load("session-1").metadata == record.metadata


def test_old_content_under_the_current_number_is_upcast(store, rows):
    """Rows lie about their number: what a row stamped 3 says in words of version 1 is understood, and reported."""
    rows.insert("session-1", OLD_UNDER_THE_CURRENT_NUMBER, 3)

    record = store.load("session-1")

    assert (record.schema_version, record.metadata.keep_alive) == (3, True)
    assert [(change.path, change.old) for change in record.changes] == [("host_mode", True)]


def test_changed_metadata_of_an_outdated_row_is_what_is_saved(store, documents, rows):
    """The save that brings a row to the current version also writes the caller's change."""
    rows.insert("session-1", documents.outdated, 1)

    def rename(metadata):
        metadata.comms_name = "renamed"

    updated = store.update("session-1", rename)

    assert (updated.schema_version, updated.lock_version, updated.changes) == (3, 2, ())
    assert (updated.metadata.comms_name, updated.metadata.keep_alive) == ("renamed", True)
    assert store.load("session-1") == updated


def test_a_backfill_does_not_make_a_client_stale(store, documents, rows):
    """
    A row is rewritten at the current version, at the same lock version, between load and save: the save succeeds.
    """
    rows.insert("session-1", documents.outdated, 1)
    mine = store.load("session-1")
    rows.edit("session-1", schema_version=3, payload=mine.metadata.model_dump_json())
    row = rows.read("session-1")
    mine.metadata.comms_name = "mine"

    saved = store.save(mine)

    assert (row["lock_version"], row["updated_at"]) == (1, datetime(2024, 2, 29, 12, 30, 45, 123456, UTC))
    assert (saved.schema_version, saved.lock_version) == (3, 2)
    assert store.load("session-1").metadata.comms_name == "mine"


def test_a_backfill_at_the_last_moment_before_a_save_is_no_lost_race(
    store, documents, rows, right_before_it_holds_the_row
):
    """
    The same a moment later: the save has begun when the row is rewritten under it.

    It succeeds, and archives nothing: what it overwrites is current, and the original is the backfill's to keep.
    """
    rows.insert("session-1", documents.outdated, 1)
    mine = store.load("session-1")
    payload = mine.metadata.model_dump_json()
    mine.metadata.comms_name = "mine"

    def backfill():
        rows.edit("session-1", schema_version=3, payload=payload)

    with right_before_it_holds_the_row(backfill) as happened:
        saved = store.save(mine)

    assert happened
    assert saved.lock_version == 2
    assert store.load("session-1").metadata.comms_name == "mine"
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


def test_a_backfill_does_not_make_a_delete_stale(store, documents, rows):
    """A record loaded before the backfill still deletes its session after it."""
    rows.insert("session-1", documents.outdated, 1)
    mine = store.load("session-1")
    rows.edit("session-1", schema_version=3, payload=mine.metadata.model_dump_json())

    store.delete(mine)

    assert rows.read("session-1") is None
