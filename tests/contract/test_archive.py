"""The archive: what a rewrite leaves there, and how it is found, put back and thrown away."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
import sqlalchemy as sa

from rekindle import SessionRepository
from rekindle.archive import SessionArchive
from rekindle.errors import (
    ArchiveEntryNotFoundError,
    InvalidCursorError,
    InvalidPayloadError,
    NewerSchemaError,
    SessionNotFoundError,
    StaleSessionError,
)
from rekindle.orm import session_metadata_archive

DROPPING = (
    '{"model":"gpt-4.1","max_tokens":1,"provider":"openai","tooling":{"subagents":true},"realm_id":"ours"}'
)  # fmt: skip
PLAIN = '{"model":"gpt-4.1","max_tokens":1,"provider":"openai","tooling":{},"realm_id":"ours"}'
SKILLS = (
    '{"model":"gpt-4.1","max_tokens":1,"provider":"openai","tooling":{"active_skills":["a/path",'
    '{"source_uuid":"6f0c1f0e-7d4c-4d0a-9c35-0f1e2d3c4b5a","skill_name":"typed"}]}}'
)
SOON = timedelta(days=1)


@pytest.fixture
def archive_of(colour, runner):
    """Give the archive of a store, driven when it is asyncio's."""
    return lambda store: store.archive if colour == "sync" else type(store)(store.archive, runner)


@pytest.fixture
def archive(store, archive_of):
    return archive_of(store)


@pytest.fixture
def rewritten(store, rows):
    """Rows of earlier versions, each loaded and saved."""

    def rewrite(session_id, payload, **columns):
        rows.insert(session_id, payload, 1, **columns)
        return store.save(store.load(session_id))

    return rewrite


def test_the_original_is_kept_exactly(archive, rewritten, documents, rows):
    """original() returns the very bytes that the first save overwrote, with all that is known about the rewrite."""
    before = datetime.now(UTC)

    rewritten("session-1", documents.outdated)
    original = archive.original("session-1")

    assert original.payload == documents.outdated
    assert original.payload_sha256 == sha256(documents.outdated.encode()).hexdigest()
    assert (original.session_id, original.lock_version, original.schema_version) == ("session-1", 1, 1)
    assert {change.path for change in original.changes} == {
        "host_mode", "tooling.shell", "tooling.builtins", "provider", "realm_id",
    }  # fmt: skip
    assert original.library_version == "0.1.0"
    assert before - timedelta(seconds=1) <= original.archived_at <= datetime.now(UTC)
    assert len(rows.archived("session-1")) == 1


def test_a_session_that_was_never_rewritten_has_no_original(archive, store, new_metadata, documents, rows):
    """ArchiveEntryNotFoundError, a LookupError naming the session, for a current row and for an outdated one alike."""
    store.add("current", new_metadata())
    rows.insert("outdated", documents.outdated, 1)

    for session_id in ("current", "outdated"):
        with pytest.raises(ArchiveEntryNotFoundError) as caught:
            archive.original(session_id)

        assert isinstance(caught.value, LookupError)
        assert caught.value.session_id == session_id
    with pytest.raises(SessionNotFoundError):
        archive.original("absent")


def test_the_original_is_what_the_row_was_before_its_schema_version(archive, store, rows):
    """Of several rewrites the latest counts: what the row held when it was brought to the version it has now."""
    rows.insert("session-1", PLAIN, 1)
    store.save(store.load("session-1"))
    rows.edit("session-1", schema_version=2, payload=PLAIN.replace("gpt-4.1", "later"))
    store.save(store.load("session-1"))

    original = archive.original("session-1")

    assert (original.lock_version, original.schema_version) == (2, 2)
    assert '"later"' in original.payload


def test_list_walks_all_entries_in_the_order_of_their_key(archive, rewritten, store):
    """Pages follow each other by cursor, meet every entry once, and can be narrowed to one session."""
    for session_id in ("c", "a", "b", "é", "A"):
        rewritten(session_id, PLAIN)
    for _ in range(2):
        archive.restore("b")
        store.save(store.load("b"))

    pages = [archive.list(limit=2)]
    while pages[-1].next_cursor is not None:
        pages.append(archive.list(limit=2, after=pages[-1].next_cursor))
    met = [(entry.session_id, entry.lock_version) for page in pages for entry in page]

    assert met == [("A", 1), ("a", 1), *[("b", lock) for lock in range(1, 6)], ("c", 1), ("é", 1)]
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
    assert [entry.lock_version for entry in archive.list("b")] == [1, 2, 3, 4, 5]
    assert len(archive.list("absent")) == 0


def test_what_is_no_cursor_or_no_page_is_refused(archive):
    """A cursor that list() did not give out is InvalidCursorError, a limit out of bounds a ValueError."""
    numbers = (2**64, -(2**64), "1e999", "true")
    unheard_of = [urlsafe_b64encode(f'["a", {number}, 1]'.encode()).decode() for number in numbers]
    for cursor in ("", "x", "WyJhIl0=", "WzEsMiwzXQ==", *unheard_of):
        with pytest.raises(InvalidCursorError):
            archive.list(after=cursor)
    for limit in (0, 1001):
        with pytest.raises(ValueError, match="limit"):
            archive.list(limit=limit)


def test_restore_brings_the_bytes_back_and_the_row_loads(archive, store, rewritten, documents, rows):
    """The row is byte for byte what it was, at its schema version, under the next lock version, columns and all."""
    saved = rewritten("session-1", documents.outdated)
    store.save(replace(saved, metadata=saved.metadata.model_copy(update={"model": "other", "comms_name": "x"})))
    before = rows.read("session-1")

    restored = archive.restore("session-1")
    row = rows.read("session-1")

    assert (row["payload"], row["schema_version"], row["lock_version"]) == (documents.outdated, 1, 4)
    assert (row["model"], row["provider"], row["realm"]) == ("gpt-4.1", "openai", "mob.office")
    assert (row["comms_name"], row["created_at"]) == ("wörker", before["created_at"])
    assert row["updated_at"] > before["updated_at"]
    assert store.load("session-1") == restored
    assert (restored.is_outdated, restored.metadata.keep_alive) == (True, True)


def test_a_restore_can_be_undone(archive, store, rewritten, rows):
    """What a restore overwrites goes into the archive first, and comes back by its lock version."""
    rewritten("session-1", PLAIN)
    current = rows.read("session-1")

    archive.restore("session-1")
    undone = archive.restore("session-1", lock_version=2)
    row = rows.read("session-1")

    assert (row["payload"], row["schema_version"], row["lock_version"]) == (current["payload"], 3, 4)
    assert store.load("session-1") == undone
    assert [(kept["lock_version"], kept["schema_version"]) for kept in rows.archived("session-1")] == [
        (1, 1), (2, 3), (3, 1),
    ]  # fmt: skip


def test_a_restored_row_is_its_own_original(archive, store, rewritten):
    """Right after a restore no entry is from below the row's schema version; after the next save there is one again."""
    rewritten("session-1", PLAIN)
    archive.restore("session-1")

    with pytest.raises(ArchiveEntryNotFoundError):
        archive.original("session-1")
    store.save(store.load("session-1"))

    assert archive.original("session-1").payload == PLAIN
    assert archive.original("session-1").lock_version == 3


def test_restore_of_what_is_not_kept_changes_nothing(archive, rewritten, rows):
    """Numbers that no entry has are ArchiveEntryNotFoundError with these numbers; an absent session is not found."""
    rewritten("session-1", PLAIN)
    row = rows.read("session-1")

    with pytest.raises(ArchiveEntryNotFoundError) as caught:
        archive.restore("session-1", lock_version=1, schema_version=2)
    with pytest.raises(SessionNotFoundError):
        archive.restore("absent")

    assert (caught.value.lock_version, caught.value.schema_version) == (1, 2)
    assert rows.read("session-1") == row
    assert rows.count() == {"sessions": 1, "archive": 1, "quarantine": 0}


def test_restore_loses_the_race_against_a_save(archive, rewritten, rival, right_before, rows):
    """Somebody who saves between reading and writing wins: StaleSessionError, and nothing of the restore is there."""
    rewritten("session-1", PLAIN)

    def save():
        rival.update("session-1", lambda metadata: metadata.model_copy(update={"model": "the winner's"}))

    if rows._engine.dialect.name == "sqlite":
        interrupted = right_before("UPDATE session_metadata SET", save)
    else:
        interrupted = right_before("SELECT session_metadata.session_id", save)
    with interrupted as happened:
        if rows._engine.dialect.name == "sqlite":
            with pytest.raises(StaleSessionError) as caught:
                archive.restore("session-1")

            assert (caught.value.expected_lock_version, caught.value.found_lock_version) == (2, 3)
            assert rows.read("session-1")["model"] == "the winner's"
        else:  # the row is locked from the first read on, so the winner is seen, and what he saved is archived
            archive.restore("session-1")

            assert [kept["lock_version"] for kept in rows.archived("session-1")] == [1, 3]
    assert happened


def test_a_newer_row_is_not_restored_over(archive, rewritten, documents, rows):
    """NewerSchemaError, and the row of the later release stays."""
    rewritten("session-1", PLAIN)
    rows.edit("session-1", schema_version=4, payload=documents.newer)
    row = rows.read("session-1")

    with pytest.raises(NewerSchemaError) as caught:
        archive.restore("session-1")

    assert caught.value.session_id == "session-1"
    assert rows.read("session-1") == row
    assert len(rows.archived("session-1")) == 1


def test_the_statement_itself_spares_a_newer_row(engine, rewritten, right_before):
    """A row that becomes newer right before the overwrite is spared by the WHERE, whatever was read before."""
    rewritten("session-1", PLAIN)

    with engine.connect() as connection:

        def outpace():
            # On the same connection, so that no lock stands in the way.
            connection.exec_driver_sql("UPDATE session_metadata SET schema_version = 4")

        with right_before("UPDATE session_metadata SET schema_version=", outpace), pytest.raises(NewerSchemaError):
            SessionArchive(connection).restore("session-1")
        found = connection.execute(sa.text("SELECT lock_version, schema_version FROM session_metadata")).one()

    assert tuple(found) == (2, 4)


def test_an_original_that_does_not_load_is_not_put_back(archive, rewritten, rows, engine):
    """An archived document that a hand has damaged is InvalidPayloadError naming the session; one of a later release is
    NewerSchemaError: the row stays."""
    rewritten("session-1", PLAIN)
    row = rows.read("session-1")

    with engine.begin() as connection:
        connection.execute(session_metadata_archive.update().values(payload='{"model": "cut o'))
    with pytest.raises(InvalidPayloadError) as caught:
        archive.restore("session-1")
    with engine.begin() as connection:
        connection.execute(session_metadata_archive.update().values(schema_version=4))
    with pytest.raises(NewerSchemaError):
        archive.restore("session-1", lock_version=1)

    assert caught.value.session_id == "session-1"
    assert rows.read("session-1") == row


def test_a_damaged_row_can_be_repaired_by_a_restore(archive, store, rewritten, rows):
    """A row that does not load any more is overwritten with its original, and kept in the archive as it was."""
    rewritten("session-1", PLAIN)
    rows.edit("session-1", payload='{"model": "cut o')

    archive.restore("session-1")

    assert store.load("session-1").metadata.model == "gpt-4.1"
    assert rows.archived("session-1")[-1]["payload"] == '{"model": "cut o'
    assert archive.prune(datetime.now(UTC) + SOON).kept == 1


def test_a_backfill_in_between_does_not_cost_the_original(open_session, repository_over, backend, rows, engine):
    """In a caller's transaction that sees a snapshot, what a save archives is what it overwrites, not what was seen."""
    rows.insert("session-1", PLAIN, 1)
    rewritten = PLAIN.replace("{", '{"schema_version":2,', 1)

    with open_session() as db:
        repository = repository_over(db)
        record = repository.load("session-1")
        if backend.capabilities.writes_after_others_wrote:
            rows.edit("session-1", schema_version=2, payload=rewritten)
        repository.save(record)
        db.commit()

    kept = rows.archived("session-1")
    if backend.capabilities.writes_after_others_wrote:
        assert [(entry["schema_version"], entry["payload"]) for entry in kept] == [(2, rewritten)]
    else:
        assert [(entry["schema_version"], entry["payload"]) for entry in kept] == [(1, PLAIN)]


def test_prune_keeps_the_only_copy_of_a_dropped_value(archive, rewritten, rows):
    """Entries are removed and counted, but not those whose rewrite dropped a value, until that is asked for."""
    rewritten("dropping", DROPPING)
    rewritten("plain", PLAIN)
    rewritten("skills", SKILLS)

    first = archive.prune(datetime.now(UTC) + SOON)

    assert (first.pruned, first.kept) == (1, 2)
    assert rows.archived("plain") == []
    assert archive.original("dropping").payload == DROPPING
    assert archive.original("skills").payload == SKILLS

    second = archive.prune(datetime.now(UTC) + SOON, including_dropped=True)

    assert (second.pruned, second.kept) == (2, 0)
    assert rows.count() == {"sessions": 3, "archive": 0, "quarantine": 0}


def test_prune_goes_by_the_time_of_archiving(archive, rewritten, rows, engine):
    """Only what was archived before the given moment goes, however old the document itself is."""
    rewritten("old", PLAIN)
    rewritten("new", PLAIN)
    table = session_metadata_archive
    long_ago = datetime.now(UTC) - timedelta(days=100)
    with engine.begin() as connection:
        connection.execute(table.update().where(table.c.session_id == "old").values(archived_at=long_ago))

    pruned = archive.prune(datetime.now(UTC) - timedelta(days=90))

    assert (pruned.pruned, pruned.kept) == (1, 0)
    assert [entry.session_id for entry in archive.list()] == ["new"]
    with pytest.raises(ValueError, match="naive"):
        archive.prune(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


def test_prune_walks_in_small_transactions(store, rewritten, engine, monkeypatch):
    """More entries than fit into one transaction are pruned all the same, and counted over all of them."""
    for number in range(7):
        rewritten(f"session-{number}", DROPPING if number % 3 == 0 else PLAIN)
    later = datetime.now(UTC) + SOON
    with engine.connect() as connection:
        archive = SessionArchive(connection)
        pages = [archive.prune_page(later, limit=2)]
        while pages[-1].next_cursor is not None:
            pages.append(archive.prune_page(later, limit=2, after=pages[-1].next_cursor))
        connection.commit()

    assert [(page.pruned, page.kept) for page in pages] == [(1, 1), (1, 1), (2, 0), (0, 1)]


def test_the_archive_is_the_callers_to_commit(engine, rewritten, rows):
    """In a caller's transaction a restore and a prune roll back with it, also to a savepoint."""
    rewritten("session-1", PLAIN)
    row = rows.read("session-1")

    with engine.connect() as connection:
        archive = SessionArchive(connection)
        with connection.begin_nested() as savepoint:
            archive.restore("session-1")
            savepoint.rollback()
        assert SessionRepository(connection).stored("session-1").lock_version == 2
        archive.restore("session-1")
        archive.prune_page(datetime.now(UTC) + SOON)
        connection.rollback()

    assert rows.read("session-1") == row
    assert len(rows.archived("session-1")) == 1


def test_another_realms_archive_does_not_exist(open_store, archive_of, rewritten, rows):
    """A store of one realm lists, restores and prunes only what is archived in that realm, of sessions still in it."""
    ours = archive_of(open_store(realm="ours"))
    rewritten("ours", PLAIN, realm="ours")
    rewritten("moved away", PLAIN, realm="ours")
    rewritten("moved here", PLAIN.replace("ours", "theirs"), realm="theirs")
    rewritten("theirs", PLAIN.replace("ours", "theirs"), realm="theirs")
    rows.edit("moved away", realm="theirs")
    rows.edit("moved here", realm="ours", payload=rows.read("ours")["payload"])

    for session_id in ("theirs", "moved away"):
        with pytest.raises(SessionNotFoundError):
            ours.original(session_id)
        with pytest.raises(SessionNotFoundError):
            ours.restore(session_id)
    with pytest.raises(ArchiveEntryNotFoundError):
        ours.original("moved here")
    with pytest.raises(ArchiveEntryNotFoundError):
        ours.restore("moved here", lock_version=1)

    assert [entry.session_id for entry in ours.list()] == ["ours"]
    assert ours.prune(datetime.now(UTC) + SOON, including_dropped=True).pruned == 1
    assert rows.count()["archive"] == 3


def test_changes_are_readable_without_the_library(rewritten, rows):
    """In the table, changes are JSON: a list of objects with path, reason, old and new."""
    rewritten("session-1", DROPPING)

    (kept,) = rows.archived("session-1")

    assert json.loads(kept["changes"]) == [
        {"path": "tooling.subagents", "reason": "the category no longer exists", "old": True, "new": None}
    ]
