"""What a service sees of rekindle at work, in log records with fields, on every database."""

import logging

import pytest

from rekindle.errors import NewerSchemaError, StaleSessionError

SECRET_SAUCE = "a-model-nobody-is-to-know"


@pytest.fixture
def said(caplog):
    """Collect what rekindle logs, each record as (level, message, the fields asked for)."""
    caplog.set_level(logging.DEBUG, logger="rekindle")

    def records(*fields):
        mine = [record for record in caplog.records if record.name == "rekindle"]
        return [(record.levelname, *(getattr(record, field) for field in fields)) for record in mine]

    return records


def test_an_upcast_on_load_is_told_without_values(store, rows, documents, said, caplog):
    """The record has the session, both schema versions and what was changed where; no value of the document."""
    rows.insert("old", documents.outdated.replace("gpt-4.1", SECRET_SAUCE), 1)

    store.load("old")

    (level, session_id, from_version, to_version, changes) = said(
        "session_id", "from_schema_version", "to_schema_version", "changes"
    )[0]
    assert (level, session_id, from_version, to_version) == ("DEBUG", "old", 1, 3)
    assert {"path": "provider", "reason": "spelled openai"} in changes
    assert all(set(change) == {"path", "reason"} for change in changes)
    assert not [record for record in caplog.records if SECRET_SAUCE in str(vars(record))]


def test_a_current_row_is_loaded_in_silence(store, new_metadata, said):
    """Nothing is logged where nothing happened."""
    store.save(store.add("s", new_metadata()))
    store.load("s")

    assert said() == []


def test_a_lost_race_is_told(store, new_metadata, said):
    """The record has both lock versions."""
    record = store.add("s", new_metadata())
    store.save(record)

    with pytest.raises(StaleSessionError):
        store.save(record)

    assert said("session_id", "expected_lock_version", "found_lock_version") == [("INFO", "s", 1, 2)]


def test_a_newer_row_is_told_wherever_it_is_met(store, rows, documents, new_metadata, said):
    """By a load, by a listing, and by a save that meets it in its way."""
    record = store.add("s", new_metadata())
    rows.edit("s", payload=documents.newer, schema_version=4)

    with pytest.raises(NewerSchemaError):
        store.load("s")
    store.list()
    with pytest.raises(NewerSchemaError):
        store.save(record)

    assert said("session_id", "schema_version", "supported") == [("WARNING", "s", 4, 3)] * 3
