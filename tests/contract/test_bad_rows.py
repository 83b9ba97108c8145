"""Rows that no release would have written: named with the reason, left as they are, and never in the way of others."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from rekindle.cli import root
from rekindle.errors import InvalidPayloadError, NewerSchemaError

GOOD = '"model":"m","max_tokens":1,"provider":"anthropic","tooling":{}'


def _good(part, other):
    return f"{{{GOOD.replace(part, other)}}}"


BAD = {
    "empty": ("", 3, [""]),
    "not JSON": ("not json", 3, [""]),
    "truncated": ('{"model":"m","max_tok', 3, [""]),
    "something behind the document": (f"{{{GOOD}}}}}", 1, [""]),
    "null": ("null", 3, [""]),
    "an array": ("[]", 1, [""]),
    "a text": ('"text"', 2, [""]),
    "required fields missing": ("{}", 1, ["model", "max_tokens", "provider", "tooling"]),
    "the same, said to be current": ("{}", 3, ["model", "max_tokens", "provider", "tooling"]),
    "one field missing": ('{"model":"m","provider":"anthropic","tooling":{}}', 1, ["max_tokens"]),
    "a number as text": (_good("1", '"1"'), 3, ["max_tokens"]),
    "a number as a float": (_good("1", "1.0"), 3, ["max_tokens"]),
    "a number as a boolean": (_good("1", "true"), 3, ["max_tokens"]),
    "a number too large": (_good("1", "4294967296"), 3, ["max_tokens"]),
    "unknown provider": (_good("anthropic", "skynet"), 1, ["provider"]),
    "a provider in another case": (_good("anthropic", "Anthropic"), 3, ["provider"]),
    "a boolean as text": (f'{{{GOOD},"keep_alive":"yes"}}', 2, ["keep_alive"]),
    "tooling no object": (_good("{}", "[]"), 3, ["tooling"]),
    "a fourth state": (_good("{}", '{"shell":"maybe"}'), 3, ["tooling.shell"]),
    "version 0 in the document": (f'{{{GOOD},"schema_version":0}}', 1, ["schema_version"]),
    "a negative version": (f'{{{GOOD},"schema_version":-1}}', 3, ["schema_version"]),
    "a version as text": (f'{{{GOOD},"schema_version":"3"}}', 3, ["schema_version"]),
    "a version as a float": (f'{{{GOOD},"schema_version":3.0}}', 3, ["schema_version"]),
    "a version as a boolean": (f'{{{GOOD},"schema_version":true}}', 1, ["schema_version"]),
    "a version of null": (f'{{{GOOD},"schema_version":null}}', 1, ["schema_version"]),
    "version 0 in the column": (f"{{{GOOD}}}", 0, ["schema_version"]),
    "a negative version in the column": (f"{{{GOOD}}}", -5, ["schema_version"]),
}
"""What is wrong: the payload, the number in the column, and the places that the error names."""


def test_a_bad_row_is_named_with_its_problems(store, rows):
    """load, find and update raise InvalidPayloadError with the id and each place; not a byte of the row moves."""
    for session_id, (payload, schema_version, paths) in BAD.items():
        rows.insert(session_id, payload, schema_version)
        row = rows.read(session_id)
        raised = []
        for call in (store.load, store.find, lambda session_id: store.update(session_id, lambda _: None)):
            with pytest.raises(InvalidPayloadError) as caught:
                call(session_id)
            raised.append((caught.value.session_id, [problem.path for problem in caught.value.problems]))

        assert raised == [(session_id, paths)] * 3
        assert rows.read(session_id) == row


def test_bad_rows_hide_none_of_the_others(store, rows, new_metadata):
    """A table full of bad rows lists and loads its good ones, and names each bad one once, with its id."""
    for session_id, (payload, schema_version, _) in BAD.items():
        rows.insert(session_id, payload, schema_version)
    for number in range(3):
        store.add(f"good {number}", new_metadata())

    page = store.list()
    batch = store.load_many([*BAD, "good 0", "good 1", "good 2"])

    assert [record.session_id for record in page] == ["good 2", "good 1", "good 0"]
    assert sorted(error.session_id for error in page.bad) == sorted(BAD)
    assert [record.session_id for record in batch] == ["good 0", "good 1", "good 2"]
    assert [error.session_id for error in batch.bad] == list(BAD)


def test_bad_rows_are_left_out_of_an_export_and_named(rows, rival, new_metadata, database_url):
    """The good ones are written, each bad one is named with its reason, and no row moves."""
    for session_id, (payload, schema_version, _) in BAD.items():
        rows.insert(session_id, payload, schema_version)
    for number in range(3):
        rival.add(f"good {number}", new_metadata())
    before = [rows.read(session_id) for session_id in BAD]

    result = CliRunner().invoke(root, ["export", "jsonl", "--url", database_url, "--json"])
    report = json.loads(result.stderr)

    assert result.exit_code == 3
    assert [json.loads(line)["session_id"] for line in result.stdout.splitlines()] == ["good 2", "good 1", "good 0"]
    assert sorted(bad["session_id"] for bad in report["bad"]) == sorted(BAD)
    assert {bad["error"] for bad in report["bad"]} == {"InvalidPayloadError"}
    assert [rows.read(session_id) for session_id in BAD] == before


# A column of SQLite takes whatever is put into it by hand.
BY_HAND = [
    pytest.param("created_at", "'yesterday'", id="a time in words"),
    pytest.param("updated_at", "''", id="a time that is empty"),
    pytest.param("created_at", "17", id="a time that is a number"),
    pytest.param("updated_at", "'2024-02-30 00:00:00'", id="a time that no calendar has"),
    pytest.param("payload", "CAST(x'ff' AS TEXT)", id="a payload that is no UTF-8"),
    pytest.param("lock_version", "'one'", id="a lock version in words"),
    pytest.param("lock_version", "x'00'", id="a lock version that is a blob"),
]


@pytest.mark.parametrize(("column", "value"), BY_HAND)
def test_a_column_that_a_hand_has_spoilt_is_named(backend, store, engine, new_metadata, column, value):
    """load is InvalidPayloadError with the id and the column; list returns the good rows and names the bad one."""
    if backend.name != "sqlite":
        pytest.skip("the columns of a server have a type")
    good, _ = store.add("good", new_metadata()), store.add("bad", new_metadata())
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE session_metadata SET {column} = {value} WHERE session_id = 'bad'"))

    with pytest.raises(InvalidPayloadError) as caught:
        store.load("bad")
    page, batch = store.list(), store.load_many(["bad", "good"])

    assert caught.value.session_id == "bad"
    assert [problem.path for problem in caught.value.problems] == ["" if column == "payload" else column]
    for found in (page, batch):
        assert list(found) == [good]
        assert [error.session_id for error in found.bad] == ["bad"]


@pytest.mark.parametrize(("payload", "schema_version"), [("not json", 3), ("", 1), ("{}", 0)])
def test_a_bad_row_can_be_shown_and_deleted(store, rows, payload, schema_version):
    """An operator sees the exact text, and may remove it by id."""
    rows.insert("session-1", payload, schema_version)

    stored = store.stored("session-1")
    store.delete("session-1")

    assert (stored.payload, stored.schema_version, stored.lock_version) == (payload, schema_version, 1)
    assert rows.count() == {"sessions": 0, "archive": 0, "quarantine": 0}


def test_an_error_about_a_document_never_shows_its_values(store, rows):
    """What is wrong is said by place and type; the values may be anybody's."""
    value = "a value of somebody"
    rows.insert("session-1", _good('"anthropic"', f'"{value}","keep_alive":"{value}"'), 3)

    with pytest.raises(InvalidPayloadError) as caught:
        store.load("session-1")

    assert value not in f"{caught.value}{caught.value!r}{caught.value.problems}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("number", "column", "is_outdated"),
    [(1, 2, True), (2, 1, True), (3, 1, True), (3, 2, True), (1, 3, False), (2, 3, False)],
)
def test_a_number_in_the_document_that_the_column_contradicts_does_not_matter(store, rows, number, column, is_outdated):
    """Content decides how a row is read, the column whether it is outdated; after a save both say 3."""
    rows.insert("session-1", f'{{{GOOD},"schema_version":{number},"host_mode":true}}', column)

    record = store.load("session-1")
    saved = store.save(record)

    assert (record.schema_version, record.is_outdated) == (column, is_outdated)
    assert (record.metadata.keep_alive, record.metadata.schema_version) == (True, 3)
    assert [change.path for change in record.changes] == ["host_mode"]
    assert store.load("session-1") == saved
    assert rows.read("session-1")["schema_version"] == 3


@pytest.mark.parametrize(("number", "column"), [(4, 3), (4, 1), (3, 4), (2**31, 3), (2**64, 2)])
def test_whichever_number_is_newer_decides(store, rows, number, column):
    """A row is newer when its column or its document says so."""
    rows.insert("session-1", f'{{{GOOD},"schema_version":{number}}}', column)
    row = rows.read("session-1")

    with pytest.raises(NewerSchemaError) as caught:
        store.load("session-1")

    assert (caught.value.session_id, caught.value.schema_version) == ("session-1", max(number, column))
    assert rows.read("session-1") == row


def test_a_quarantined_row_loads_once_it_is_mended(store, rows, documents):
    """The quarantine is a list, not a lock: what loads is served, whatever the list says."""
    rows.insert("session-1", documents.outdated, 1)
    rows.quarantine("session-1")

    record = store.load("session-1")
    saved = store.save(record)

    assert (record.is_outdated, saved.lock_version) == (True, 2)
