"""import_document: what another program stored comes in as it is, and an id is never overwritten."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from rekindle.errors import InvalidPayloadError, InvalidSessionIdError, SessionExistsError

CREATED = datetime(2023, 1, 2, 3, 4, 5, 678901, UTC)
UPDATED = datetime(2023, 6, 7, 8, 9, 10, 111213, UTC)


def test_an_outdated_document_goes_in_byte_for_byte(store, documents, rows):
    """The text is stored as it came, under its own version and times; the columns say what the upcast of it says."""
    result = store.import_document("session-1", documents.outdated, created_at=CREATED, updated_at=UPDATED)
    row = rows.read("session-1")

    assert result == "imported"
    assert row["payload"] == documents.outdated
    assert (row["schema_version"], row["lock_version"]) == (1, 1)
    assert (row["created_at"], row["updated_at"]) == (CREATED, UPDATED)
    assert (row["realm"], row["provider"], row["model"], row["comms_name"]) == (
        "mob.office", "openai", "gpt-4.1", "wörker",
    )  # fmt: skip


def test_an_imported_document_loads_and_is_archived_by_the_first_save(store, documents, rows):
    """From there on it is an outdated row like any other."""
    store.import_document("session-1", documents.outdated, created_at=CREATED, updated_at=UPDATED)

    record = store.load("session-1")
    store.save(record)

    assert (record.schema_version, record.metadata.keep_alive, len(record.changes)) == (1, True, 5)
    assert [kept["payload"] for kept in rows.archived("session-1")] == [documents.outdated]


def test_a_current_document_is_imported_as_current(store, new_metadata):
    """A document of this version needs no upcast: nothing is outdated, nothing changed."""
    metadata = new_metadata(provider_params={"a": [1.0, -0.0]})

    assert store.import_document("session-1", metadata.model_dump_json()) == "imported"
    assert store.load("session-1").metadata == metadata
    assert (store.load("session-1").is_outdated, store.load("session-1").changes) == (False, ())


@pytest.mark.parametrize(
    ("times", "created", "updated"),
    [
        ({"created_at": CREATED}, CREATED, CREATED),
        ({"updated_at": UPDATED}, UPDATED, UPDATED),
        ({"created_at": CREATED.astimezone(timezone(timedelta(hours=-7)))}, CREATED, CREATED),
    ],
)
def test_one_time_stands_in_for_the_other(store, documents, times, created, updated):
    """Of the two times one is enough, in any time zone."""
    store.import_document("session-1", documents.outdated, **times)

    record = store.load("session-1")

    assert (record.created_at, record.updated_at) == (created, updated)
    assert record.created_at.utcoffset() == timedelta(0)


def test_without_times_an_import_is_dated_now(store, documents):
    """A document that nobody knows the age of is as old as its import."""
    before = datetime.now(UTC)

    store.import_document("session-1", documents.outdated)
    record = store.load("session-1")

    assert before - timedelta(seconds=1) <= record.created_at == record.updated_at <= datetime.now(UTC)


def test_a_second_import_of_the_same_document_changes_nothing(store, documents, rows):
    """Same content, also in another spelling, is "unchanged": not a byte moves."""
    store.import_document("session-1", documents.outdated, created_at=CREATED, updated_at=UPDATED)
    row = rows.read("session-1")
    respelled = json.dumps(json.loads(documents.outdated), sort_keys=True, indent=2)

    assert store.import_document("session-1", documents.outdated) == "unchanged"
    assert store.import_document("session-1", respelled, created_at=UPDATED) == "unchanged"
    assert rows.read("session-1") == row


def test_a_document_is_recognised_after_it_was_saved(store, documents, rows):
    """The archive knows what the session was made from: importing that again is "unchanged", the save is kept."""
    store.import_document("session-1", documents.outdated)
    store.update("session-1", lambda metadata: metadata.model_copy(update={"comms_name": "renamed"}))
    row = rows.read("session-1")

    assert store.import_document("session-1", documents.outdated) == "unchanged"
    assert rows.read("session-1") == row


def test_a_current_document_is_recognised(store, new_metadata, rows):
    """What add() stored and what an import brings may be the same document."""
    metadata = new_metadata(comms_name="worker")
    store.add("session-1", metadata)
    row = rows.read("session-1")

    assert store.import_document("session-1", metadata.model_dump_json(indent=1)) == "unchanged"
    assert rows.read("session-1") == row


NEARLY_EQUAL = [
    (1, 2), (1, 1.0), (1, True), (0.0, -0.0), (None, False), ("a", "A"), ("é", "e\u0301"), ([], {}), ("1", 1),
]  # fmt: skip


def test_nearly_the_same_document_is_not_the_same(store, new_metadata, rows):
    """An id that holds another document is SessionExistsError; 1, 1.0 and true are three documents."""
    for stored, offered in NEARLY_EQUAL:
        session_id = repr((stored, offered))
        store.add(session_id, new_metadata(provider_params={"p": stored}))
        row = rows.read(session_id)

        with pytest.raises(SessionExistsError) as caught:
            store.import_document(session_id, new_metadata(provider_params={"p": offered}).model_dump_json())

        assert caught.value.session_id == session_id
        assert rows.read(session_id) == row


def test_an_import_leaves_a_row_that_is_not_json_alone(store, documents, rows):
    """An unreadable row is no document at all, so not the one that is offered: the id is taken."""
    rows.insert("session-1", "not json", 3)
    row = rows.read("session-1")

    with pytest.raises(SessionExistsError):
        store.import_document("session-1", documents.outdated)

    assert rows.read("session-1") == row


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param("", id="empty"),
        pytest.param("not json", id="not JSON"),
        pytest.param('{"model": "m"', id="truncated"),
        pytest.param("[]", id="no object"),
        pytest.param('{"model": "m"}', id="fields missing"),
        pytest.param('{"model":"m","model":"n","max_tokens":1,"provider":"openai","tooling":{}}', id="a key twice"),
    ],
)
def test_what_does_not_load_is_not_imported(store, rows, payload):
    """InvalidPayloadError naming the session, and no row."""
    with pytest.raises(InvalidPayloadError) as caught:
        store.import_document("session-1", payload)

    assert caught.value.session_id == "session-1"
    assert rows.count() == {"sessions": 0, "archive": 0, "quarantine": 0}


def test_an_import_under_an_impossible_id_is_refused(store, documents, rows):
    """The rules for ids are those of add()."""
    with pytest.raises(InvalidSessionIdError):
        store.import_document("", documents.outdated)

    assert rows.count() == {"sessions": 0, "archive": 0, "quarantine": 0}


def test_a_time_without_a_zone_is_refused(store, documents, rows):
    """Nobody can say which moment a naive datetime means."""
    with pytest.raises(ValueError, match="naive"):
        store.import_document("session-1", documents.outdated, created_at=datetime(2024, 1, 1))  # noqa: DTZ001 - the point

    assert rows.count() == {"sessions": 0, "archive": 0, "quarantine": 0}


def test_a_current_number_over_older_content_is_imported_as_outdated(store, rows):
    """A document stamped 3 that speaks of version 1 keeps its bytes, and the first save archives them."""
    lying = '{"schema_version": 3, "model": "m", "max_tokens": 1, "provider": "open_a_i", "tooling": {"shell": true}}'

    store.import_document("session-1", lying)
    record = store.load("session-1")
    store.save(record)

    assert (record.is_outdated, [change.path for change in record.changes]) == (True, ["tooling.shell", "provider"])
    assert [kept["payload"] for kept in rows.archived("session-1")] == [lying]
    assert rows.read("session-1")["schema_version"] == 3
