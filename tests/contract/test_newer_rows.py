"""Rows of a later release: refused by every call that needs to understand them, and never overwritten."""

from __future__ import annotations

import pytest

from rekindle.errors import NewerSchemaError, SchemaError


@pytest.fixture(params=["save", "delete of a record", "update"])
def touch(request):
    """A call that would overwrite the row."""
    return {
        "save": lambda store, record: store.save(record),
        "delete of a record": lambda store, record: store.delete(record),
        "update": lambda store, _: store.update("session-1", lambda _: None),
    }[request.param]


@pytest.fixture
def untouched(rows):
    """Assert that the newer row is there, byte for byte, and nothing beside it."""
    seen = {}

    def check():
        row = rows.read("session-1")
        assert seen.setdefault("row", row) == row
        assert row["schema_version"] == 4
        assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}

    return check


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda store: store.load("session-1"), id="load"),
        pytest.param(lambda store: store.find("session-1"), id="find"),
        pytest.param(lambda store: store.update("session-1", lambda _: None), id="update"),
    ],
)
def test_a_newer_row_is_refused(store, documents, rows, untouched, call):
    """Reading a row of a later release is NewerSchemaError with both versions and the id; the row stays as it is."""
    rows.insert("session-1", documents.newer, 4)
    untouched()

    with pytest.raises(NewerSchemaError) as caught:
        call(store)

    assert (caught.value.session_id, caught.value.schema_version, caught.value.supported) == ("session-1", 4, 3)
    assert isinstance(caught.value, SchemaError)
    untouched()


def test_a_row_that_became_newer_since_it_was_loaded_is_not_overwritten(store, documents, rows, untouched, touch):
    """A later release saved the row meanwhile, counting its lock version: the answer is NewerSchemaError, not stale."""
    rows.insert("session-1", documents.outdated, 1)
    record = store.load("session-1")
    rows.edit("session-1", schema_version=4, payload=documents.newer, lock_version=2)
    untouched()

    with pytest.raises(NewerSchemaError) as caught:
        touch(store, record)

    assert (caught.value.session_id, caught.value.schema_version, caught.value.supported) == ("session-1", 4, 3)
    untouched()


def test_a_newer_row_at_the_same_lock_version_is_not_overwritten(store, documents, rows, untouched, touch):
    """A later release's backfill leaves the lock version alone; the schema version in the statement is the guard."""
    rows.insert("session-1", documents.outdated, 1)
    record = store.load("session-1")
    rows.edit("session-1", schema_version=4, payload=documents.newer)
    untouched()

    with pytest.raises(NewerSchemaError):
        touch(store, record)

    untouched()


@pytest.mark.parametrize("loaded_at", [1, 3])
def test_a_row_that_becomes_newer_right_before_it_is_written_is_not_overwritten(
    store, new_metadata, documents, rows, right_before_it_holds_the_row, untouched, touch, loaded_at
):
    """No moment is late enough: the row becomes newer when all is checked, right before it is locked or written."""
    payload = documents.outdated if loaded_at == 1 else new_metadata().model_dump_json()
    rows.insert("session-1", payload, loaded_at)
    record = store.load("session-1")

    def later_release_backfills():
        rows.edit("session-1", schema_version=4, payload=documents.newer)
        untouched()

    with right_before_it_holds_the_row(later_release_backfills) as happened, pytest.raises(NewerSchemaError) as caught:
        touch(store, record)

    assert happened
    assert (caught.value.session_id, caught.value.schema_version) == ("session-1", 4)
    untouched()


def test_an_import_does_not_overwrite_a_newer_row(store, documents, rows, untouched):
    """The id is taken, whatever the document in the row says."""
    rows.insert("session-1", documents.newer, 4)
    untouched()

    with pytest.raises(Exception, match="already exists") as caught:
        store.import_document("session-1", documents.outdated)

    assert type(caught.value).__name__ == "SessionExistsError"
    untouched()


def test_a_newer_document_is_not_imported(store, documents, rows):
    """What this release cannot read it does not take in."""
    with pytest.raises(NewerSchemaError) as caught:
        store.import_document("session-1", documents.newer)

    assert (caught.value.session_id, caught.value.schema_version) == ("session-1", 4)
    assert rows.count() == {"sessions": 0, "archive": 0, "quarantine": 0}


def test_a_newer_number_in_the_document_counts_too(store, documents, rows):
    """A column that says 2 beside a document that says 4 is a newer row."""
    rows.insert("session-1", documents.newer, 2)
    row = rows.read("session-1")

    with pytest.raises(NewerSchemaError) as caught:
        store.load("session-1")

    assert caught.value.schema_version == 4
    assert rows.read("session-1") == row


def test_a_newer_row_can_be_shown_and_counted(store, documents, rows):
    """Its text, as it stands, and its number are open to every release."""
    rows.insert("session-1", documents.newer, 4)

    stored = store.stored("session-1")

    assert (stored.schema_version, stored.payload) == (4, documents.newer)
    assert store.count_by_schema_version() == {4: 1}
    assert store.list_stored() == ((stored,), None)


def test_a_newer_row_is_named_by_lists_and_hides_nothing(store, documents, rows, new_metadata):
    """list() and load_many() return the readable sessions and name the newer one."""
    rows.insert("session-1", documents.newer, 4)
    readable = store.add("session-2", new_metadata())

    page = store.list()
    batch = store.load_many(["session-1", "session-2"])

    for found in (page, batch):
        assert list(found) == [readable]
        assert [(type(bad), bad.session_id) for bad in found.bad] == [(NewerSchemaError, "session-1")]


def test_delete_by_id_removes_a_newer_row(store, documents, rows):
    """An id says what is meant: the newer row goes, and with it what the archive and the quarantine have of it."""
    rows.insert("session-1", documents.outdated, 1)
    store.save(store.load("session-1"))
    rows.quarantine("session-1")
    rows.edit("session-1", schema_version=4, payload=documents.newer)

    store.delete("session-1")

    assert rows.count() == {"sessions": 0, "archive": 0, "quarantine": 0}
