"""An original always finds its place in the archive, also when an earlier session of the same id has left its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rekindle import backfill

THEN = datetime(2024, 2, 29, tzinfo=UTC)
OLD = '{"model":"old","max_tokens":1,"provider":"openai","tooling":{}}'
NEW = '{"model":"new","max_tokens":1,"provider":"openai","tooling":{}}'


@pytest.fixture
def left_behind(store, rows):
    """A session of schema version 1 that was rewritten, and then deleted past the library."""

    def leave(session_id, payload=OLD):
        rows.insert(session_id, payload, 1)
        store.save(store.load(session_id))
        rows.delete(session_id)

    return leave


@pytest.fixture
def archive(store, colour, runner):
    return store.archive if colour == "sync" else type(store)(store.archive, runner)


def kept(rows, session_id="session-1"):
    return [(each["lock_version"], each["schema_version"], each["payload"]) for each in rows.archived(session_id)]


def test_a_save_keeps_both(store, left_behind, rows, archive):
    """The new session's original is found by its numbers, and the old one is still there."""
    left_behind("session-1")
    rows.insert("session-1", NEW, 1)
    saved = store.save(store.load("session-1"))

    assert saved.lock_version == 2
    assert kept(rows) == [(-1, 1, OLD), (1, 1, NEW)]
    assert archive.original("session-1").payload == NEW


def test_each_of_several_earlier_ones_is_kept(store, left_behind, rows):
    """However often it happens."""
    left_behind("session-1")
    left_behind("session-1", NEW)
    rows.insert("session-1", OLD.replace("old", "newest"), 1)
    store.save(store.load("session-1"))

    assert kept(rows) == [(-2, 1, NEW), (-1, 1, OLD), (1, 1, OLD.replace("old", "newest"))]


def test_the_same_bytes_are_kept_once(store, left_behind, rows):
    """There is nothing to lose; the entry tells of the latest rewrite."""
    left_behind("session-1")
    rows.insert("session-1", OLD, 1, updated_at=THEN)
    store.save(store.load("session-1"))

    assert kept(rows) == [(1, 1, OLD)]
    assert rows.archived("session-1")[0]["updated_at"] == THEN


def test_a_backfill_keeps_both(engine, left_behind, rows):
    """The batch does not fail for it, and all other rows are done as ever."""
    left_behind("session-1")
    left_behind("session-2", NEW)
    for session_id in ("session-0", "session-1", "session-2", "session-3"):
        rows.insert(session_id, NEW, 1)
    report = backfill.run(engine)

    assert (report.state, report.done.converted, report.done.quarantined) == ("succeeded", 4, 0)
    assert kept(rows) == [(-1, 1, OLD), (1, 1, NEW)]
    assert [kept(rows, f"session-{number}") for number in (0, 2, 3)] == [[(1, 1, NEW)]] * 3


def test_what_was_backfilled_goes_back(engine, left_behind, rows):
    """Undoing finds the original of the row that is there, whether it stepped into the place of another or not."""
    since = datetime.now(UTC) - timedelta(seconds=1)
    left_behind("different")
    left_behind("same", NEW)
    for session_id in ("different", "same"):
        rows.insert(session_id, NEW, 1, updated_at=THEN)
    backfill.run(engine)
    undone = backfill.undo(engine, 3, since)

    assert (undone.restored, undone.left) == (2, {})
    assert [rows.read(session_id)["payload"] for session_id in ("different", "same")] == [NEW, NEW]


def test_a_restore_keeps_both(store, left_behind, rows, archive):
    """What a restore overwrites steps beside what an earlier session left at the same numbers."""
    left_behind("session-1")
    rows.insert("session-1", NEW, 1)
    store.save(store.load("session-1"))
    current = rows.read("session-1")["payload"]
    archive.restore("session-1")
    rows.delete("session-1")
    rows.insert("session-1", current.replace("new", "newest"), 3, lock_version=2)
    archive.restore("session-1", lock_version=1)

    assert [each[:2] for each in kept(rows)] == [(-2, 3), (-1, 1), (1, 1), (2, 3)]
    assert kept(rows)[-1][2] == current.replace("new", "newest")


def test_in_a_callers_transaction_it_rolls_back(open_session, repository_over, left_behind, rows):
    """What made way is where it was, when the save is not committed."""
    left_behind("session-1")
    rows.insert("session-1", NEW, 1)
    with open_session() as db:
        repository = repository_over(db)
        repository.save(repository.load("session-1"))
        db.rollback()

    assert kept(rows) == [(1, 1, OLD)]
