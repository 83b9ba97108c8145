"""Undoing a wrong step: what a backfill rewrote by it goes back, and what somebody has saved since does not."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from rekindle import backfill, upcasting
from rekindle.errors import NewerSchemaError, StaleSessionError
from rekindle.orm import session_metadata, session_metadata_archive
from rekindle.schema import v3

THEN = datetime(2024, 2, 29, tzinfo=UTC)
LOCKING = "SELECT session_metadata.session_id, session_metadata.lock_version, session_metadata.schema_version"
A_MOMENT = timedelta(seconds=1)


def document(number):
    """A document of schema version 2, different for every row."""
    return (
        f'{{"schema_version": 2,  "model":"m{number}","max_tokens":4096,"provider":"open_a_i","tooling":{{}},'
        '"realm_id":"ours"}\n'
    )


def original(row):
    return document(int(row["session_id"].removeprefix("session-")))


def halving(stored):
    """The wrong step: it halves max_tokens."""
    result, changes = v3.upcast(stored)
    return {**result, "max_tokens": result["max_tokens"] // 2}, changes


@pytest.fixture
def wrong_release(monkeypatch):
    """While the body runs, the release with the wrong step is the one that is installed."""

    def released():
        context = monkeypatch.context()
        patch = context.__enter__()
        patch.setattr(upcasting, "PLAN", (*upcasting.PLAN[:-1], (3, halving)))
        return lambda: context.__exit__(None, None, None)

    return released


@pytest.fixture
def fill(engine):
    """Put so many rows of schema version 2 into the table."""

    def put(count):
        batch = [
            {
                "session_id": f"session-{number:05}", "schema_version": 2, "lock_version": 7,
                "payload": document(number), "realm": "ours", "provider": "openai", "model": f"m{number}",
                "instance_id": None, "comms_name": None, "created_at": THEN, "updated_at": THEN,
            }
            for number in range(count)
        ]  # fmt: skip
        with engine.begin() as connection:
            connection.execute(session_metadata.insert(), batch)

    return put


@pytest.fixture
def spoiled(engine, fill, wrong_release):
    """Put in rows and have them rewritten by the wrong step; returns the moment before."""

    def spoil(count):
        fill(count)
        since = datetime.now(UTC) - A_MOMENT
        fixed = wrong_release()
        backfill.run(engine)
        fixed()
        return since

    return spoil


@pytest.fixture
def table(engine):
    """Read all rows."""

    def read():
        with engine.connect() as connection:
            rows = connection.execute(sa.select(session_metadata).order_by(session_metadata.c.session_id))
            return [dict(row._mapping) for row in rows]

    return read


@pytest.fixture
def before_the_write(backend, right_before):
    """Do something between a batch's reading and its writing."""
    words = "BEGIN IMMEDIATE" if backend.name == "sqlite" else LOCKING
    return lambda act: right_before(words, act)


def as_they_were(rows):
    return all((row["payload"], row["schema_version"]) == (original(row), 2) for row in rows)


def test_a_wrong_step_is_undone_and_a_fixed_one_runs(backend, engine, fill, wrong_release, table, rival):
    """Of 10,000 rows each ends right: put back at once or, when somebody saved it, by hand; then by the fixed step."""
    many = 10_000
    fill(many)
    since = datetime.now(UTC) - A_MOMENT
    fix = wrong_release()
    backfill.run(engine)
    seen = rival.load("session-00000").metadata.max_tokens
    saved = [f"session-{number:05}" for number in range(0, many, 100)]
    for session_id in saved:
        rival.update(session_id, lambda metadata: metadata.model_copy(update={"comms_name": "theirs"}))
    fix()
    left = []
    undone = backfill.undo(engine, 3, since, on_left=left.append)
    back = [row for row in table() if row["session_id"] not in saved]
    again = backfill.undo(engine, 3, since)
    for session_id in saved:
        rival.archive.restore(session_id)
        rival.update(session_id, lambda metadata: metadata.model_copy(update={"comms_name": "theirs"}))
    report = backfill.run(engine)
    after = table()

    assert seen == 2048
    assert (undone.restored, undone.left, undone.stopped) == (many - len(saved), {"saved since": len(saved)}, False)
    assert [(each.session_id, each.why) for each in left] == [(session_id, "saved since") for session_id in saved]
    assert as_they_were(back)
    assert {(row["lock_version"], row["updated_at"]) for row in back} == {(8, THEN)}
    assert (again.restored, report.done.converted, report.remaining.is_none) == (0, many - len(saved), True)
    assert {json.loads(row["payload"])["max_tokens"] for row in after} == {4096}
    assert [row["session_id"] for row in after if row["comms_name"] == "theirs"] == saved


def test_what_is_overwritten_is_kept(engine, spoiled, rows):
    """The archive has the original, what the wrong step made of it, and the original again when that is rewritten."""
    since = spoiled(1)
    wrong = rows.read("session-00000")["payload"]
    backfill.undo(engine, 3, since)
    backfill.run(engine)
    kept = rows.archived("session-00000")

    assert [(each["lock_version"], each["schema_version"], each["payload"]) for each in kept] == [
        (7, 2, document(0)), (7, 3, wrong), (8, 2, document(0)),
    ]  # fmt: skip
    assert json.loads(kept[1]["changes"])[0] == {
        "path": "max_tokens", "reason": "replaced by a restore", "old": 2048, "new": 4096,
    }  # fmt: skip


def test_it_can_be_undone_again(engine, spoiled, wrong_release, table):
    """When the fixed step is wrong as well, the same command puts the same bytes back."""
    since = spoiled(3)
    backfill.undo(engine, 3, since)
    fix = wrong_release()
    backfill.run(engine)
    fix()
    undone = backfill.undo(engine, 3, since)

    assert (undone.restored, as_they_were(table())) == (3, True)
    assert {row["lock_version"] for row in table()} == {9}


def test_a_client_that_loaded_the_wrong_document_is_stale(engine, spoiled, store):
    """Its save would bring the fault back; update() repeats the change on what is right."""
    since = spoiled(2)
    loaded = store.load("session-00000")
    backfill.undo(engine, 3, since)
    with pytest.raises(StaleSessionError):
        store.save(loaded)
    updated = store.update("session-00000", lambda metadata: metadata.model_copy(update={"comms_name": "mine"}))

    assert (loaded.metadata.max_tokens, updated.metadata.max_tokens, updated.metadata.comms_name) == (
        2048,
        4096,
        "mine",
    )


def test_the_first_of_several_rewrites_counts(engine, fill, wrong_release, rows, monkeypatch):
    """A row that was rewritten twice since then becomes what it was, and not what it was in between."""
    rows.insert("session-00000", document(0).replace('"schema_version": 2,', ""), 1)
    monkeypatch.setenv("REKINDLE_WRITE_VERSION", "2")
    backfill.run(engine)
    monkeypatch.delenv("REKINDLE_WRITE_VERSION")
    backfill.run(engine)
    backfill.undo(engine, 3, THEN)

    assert rows.read("session-00000")["payload"] == document(0).replace('"schema_version": 2,', "")
    assert rows.read("session-00000")["schema_version"] == 1


def test_only_what_was_rewritten_since(engine, spoiled, fill, table):
    """A backfill of before is none of its business, and neither is a row that was never rewritten."""
    spoiled(3)
    undone = backfill.undo(engine, 3, datetime.now(UTC) + A_MOMENT)

    assert (undone.restored, undone.left) == (0, {})
    assert {row["schema_version"] for row in table()} == {3}


@pytest.mark.parametrize("what", ["save", "newer", "delete"])
def test_somebody_is_faster(engine, spoiled, rival, rows, documents, before_the_write, what):
    """What happens to a row between the reading and the writing stands, and is said."""
    since, left = spoiled(3), []
    acts = {
        "save": lambda: rival.update("session-00001", lambda metadata: metadata.model_copy(update={"model": "theirs"})),
        "newer": lambda: rows.edit("session-00001", payload=documents.newer, schema_version=4),
        "delete": lambda: rival.delete("session-00001"),
    }
    with before_the_write(acts[what]) as happened:
        undone = backfill.undo(engine, 3, since, on_left=left.append)
    row = rows.read("session-00001")

    assert happened
    assert undone.restored == 2
    assert [each.why for each in left] == {"save": ["saved since"], "newer": ["rewritten since"], "delete": []}[what]
    assert {"save": row and row["model"], "newer": row and row["payload"], "delete": row}[what] == {
        "save": "theirs", "newer": documents.newer, "delete": None,
    }[what]  # fmt: skip


def test_a_newer_row_is_named_and_left_alone(engine, spoiled, rows, documents):
    """A later release has rewritten it since; and rows of its schema version cannot be asked for."""
    since, left = spoiled(2), []
    rows.edit("session-00001", payload=documents.newer, schema_version=4)
    undone = backfill.undo(engine, 3, since, on_left=left.append)
    with pytest.raises(NewerSchemaError):
        backfill.undo(engine, 4, since)

    assert (undone.restored, rows.read("session-00001")["payload"]) == (1, documents.newer)
    assert left == [("session-00001", "rewritten since", "it is at schema version 4")]


def test_another_session_of_the_same_id_is_not_overwritten(engine, spoiled, rows):
    """Deleted by hand and made anew, at the lock version of then: the time tells that it is not the same row."""
    since = spoiled(1)
    rows.delete("session-00000")
    rows.insert("session-00000", document(1), 3, lock_version=7)
    undone = backfill.undo(engine, 3, since)

    assert (undone.restored, undone.left) == (0, {"saved since": 1})
    assert rows.read("session-00000")["payload"] == document(1)


def test_an_original_that_does_not_load_stays_where_it_is(engine, spoiled, rows, monkeypatch):
    """It is named with the reason, and all others go back."""
    since, left = spoiled(2), []
    mine = session_metadata_archive.c.session_id == "session-00001"
    with engine.begin() as connection:
        connection.execute(session_metadata_archive.update().where(mine).values(payload='{"model": 7}'))
    before = rows.read("session-00001")
    undone = backfill.undo(engine, 3, since, on_left=left.append)

    assert (undone.restored, undone.left, rows.read("session-00001")) == (1, {"unreadable": 1}, before)
    assert left[0].detail.startswith("model: ")


def test_a_dry_run_writes_nothing(engine, spoiled, table, statements_sent):
    """It counts and names, and sends nothing but SELECT."""
    since = spoiled(4)
    before = table()
    with statements_sent() as sent:
        undone = backfill.undo(engine, 3, since, dry_run=True)

    assert (undone.restored, table()) == (4, before)
    assert {statement.split()[0] for statement in sent} <= {"SELECT", "PRAGMA", "DESCRIBE"}


def test_one_realm_only(engine, spoiled, rows, table):
    """Rows of other realms do not exist, and a row does not go back into another realm."""
    since = spoiled(3)
    rows.edit("session-00001", realm="theirs")
    ours = backfill.undo(engine, 3, since, realm="ours")
    theirs = backfill.undo(engine, 3, since, realm="theirs")

    assert (ours.restored, ours.left) == (2, {})
    assert (theirs.restored, theirs.left) == (0, {"other realm": 1})
    assert rows.read("session-00001")["schema_version"] == 3


def test_it_is_stopped_and_goes_on(engine, spoiled, table, monkeypatch):
    """The batch is finished, and the next call does the rest."""
    monkeypatch.setattr(backfill.undoing, "STRETCH", 2)
    since = spoiled(5)
    stop = threading.Event()
    first = backfill.undo(engine, 3, since, stop=stop, on_batch=lambda _: stop.set())
    second = backfill.undo(engine, 3, since)

    assert (first.restored, first.stopped, second.restored, second.stopped) == (2, True, 3, False)
    assert as_they_were(table())


def test_several_at_once_put_each_row_back_once(engine, spoiled, table, rows, monkeypatch):
    """Nobody waits for anybody, and no row moves twice."""
    monkeypatch.setattr(backfill.undoing, "STRETCH", 20)
    since, done = spoiled(200), []
    threads = [threading.Thread(target=lambda: done.append(backfill.undo(engine, 3, since))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [sum(each.restored for each in done), sum(each.left.total() for each in done)] == [200, 0]
    assert as_they_were(table())
    assert {row["lock_version"] for row in table()} == {8}
    assert rows.count()["archive"] == 400


def test_a_row_that_stays_locked_is_named(engine, spoiled, capabilities, database_url, table):
    """It is passed over without waiting, tried again, and said to be in use; the next call puts it back."""
    if not capabilities.skips_locked_rows:
        pytest.skip("the engine has no locks on rows")
    since, left = spoiled(3), []
    other = sa.create_engine(database_url)

    class Stop(threading.Event):
        def wait(self, timeout=None):  # noqa: ARG002 - the signature is the library's
            return False

    with other.connect() as holder:
        held = session_metadata.c.session_id == "session-00002"
        holder.execute(sa.select(session_metadata).where(held).with_for_update())
        undone = backfill.undo(engine, 3, since, stop=Stop(), on_left=left.append)
        holder.rollback()
    other.dispose()
    again = backfill.undo(engine, 3, since)

    assert (undone.restored, [(each.session_id, each.why) for each in left]) == (2, [("session-00002", "in use")])
    assert (again.restored, as_they_were(table())) == (1, True)


def test_a_batch_that_failed_leaves_nothing(engine, spoiled, right_before, table, rows):
    """When what is overwritten cannot be kept, it is not overwritten."""
    since = spoiled(3)
    before = table()

    def fail():
        raise ConnectionAbortedError("the machine went away")

    with right_before("INSERT INTO session_metadata_archive", fail), pytest.raises(ConnectionAbortedError):
        backfill.undo(engine, 3, since)

    assert (table(), rows.count()["archive"]) == (before, 3)


def test_what_was_said_of_the_wrong_document_is_no_longer_listed(engine, spoiled, rows):
    """An entry of the quarantine is about what the row held, and goes with it."""
    since = spoiled(2)
    rows.quarantine("session-00001")
    backfill.undo(engine, 3, since)

    assert rows.count()["quarantine"] == 0


def test_a_naive_time_is_refused(engine):
    """Nobody can say which moment it means."""
    with pytest.raises(ValueError, match="naive"):
        backfill.undo(engine, 3, datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused
