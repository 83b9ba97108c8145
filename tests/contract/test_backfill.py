"""The backfill: every outdated row becomes current, and nobody who works with the rows meanwhile notices."""

from __future__ import annotations

import json
import threading

import pytest
import sqlalchemy as sa

from rekindle import SessionStore, backfill, errors
from rekindle.backfill import Controls, Settings
from rekindle.backfill.errors import BackfillIncompleteError, TooManyFailuresError
from rekindle.orm import session_metadata

CREDENTIAL = "sk-proj-" + "Zx81kQ0vLw93mTb7Yd52" * 2
LOCKING = "SELECT session_metadata.session_id, session_metadata.lock_version, session_metadata.schema_version"


@pytest.fixture
def before_the_write(backend, right_before):
    """Do something between a batch's reading and its writing."""
    words = "BEGIN IMMEDIATE" if backend.name == "sqlite" else LOCKING
    return lambda act: right_before(words, act)


@pytest.fixture
def at_versions(engine):
    """Count the rows of each pair of schema version and lock version."""

    def read():
        pair = (session_metadata.c.schema_version, session_metadata.c.lock_version)
        with engine.connect() as connection:
            found = connection.execute(sa.select(*pair, sa.func.count()).group_by(*pair)).all()
        return {(row[0], row[1]): row[2] for row in found}

    return read


def test_rows_become_current_and_nothing_else_moves(engine, documents, rows):
    """Payload, schema version and columns are those of save(); lock version and times stay; the original is kept."""
    rows.insert("session-1", documents.outdated, 1, lock_version=7)
    before = rows.read("session-1")
    report = backfill.run(engine)
    row = rows.read("session-1")
    (kept,) = rows.archived("session-1")

    assert (report.state, report.done.converted, report.remaining.is_none) == ("succeeded", 1, True)
    assert (row["schema_version"], json.loads(row["payload"])["schema_version"]) == (3, 3)
    assert (row["realm"], row["provider"], row["comms_name"]) == ("mob.office", "openai", "wörker")
    assert [row[name] == before[name] for name in ("lock_version", "created_at", "updated_at")] == [True] * 3
    assert (kept["payload"], kept["lock_version"], kept["schema_version"]) == (documents.outdated, 7, 1)
    assert json.loads(kept["changes"])[0]["path"] == "host_mode"


def test_it_writes_what_save_writes(engine, documents, rows, rival):
    """The same document in two rows, one saved and one backfilled, is the same text afterwards."""
    rows.insert("saved", documents.outdated, 1)
    rows.insert("backfilled", documents.outdated, 1)
    rival.save(rival.load("saved"))
    backfill.run(engine)

    assert rows.read("saved")["payload"] == rows.read("backfilled")["payload"]


def test_a_second_run_finds_nothing_to_do(engine, fill, rows):
    """Every row is done once, and once is enough."""
    fill(7)
    first, second = backfill.run(engine, Settings(batch_size=3)), backfill.run(engine)

    assert (first.done.converted, second.done.looked_at) == (7, 0)
    assert rows.count() == {"sessions": 7, "archive": 7, "quarantine": 0}


def test_a_client_that_loaded_before_saves_after(engine, documents, rows, store):
    """For a client that has the row in its hands, nothing has happened."""
    rows.insert("session-1", documents.outdated, 1)
    record = store.load("session-1")
    backfill.run(engine)
    saved = store.save(record)

    assert (saved.lock_version, saved.schema_version) == (2, 3)


def test_a_save_in_between_is_left_to_the_client(engine, fill, rival, before_the_write, rows):
    """What a client saves between our reading and our writing is what stays."""
    fill(3)

    def save():
        rival.update("session-00001", lambda metadata: metadata.model_copy(update={"model": "theirs"}))

    with before_the_write(save) as happened:
        report = backfill.run(engine)

    assert happened
    assert (report.state, report.done.converted, report.done.left_to_client) == ("succeeded", 2, 1)
    assert (rows.read("session-00001")["model"], rows.read("session-00001")["lock_version"]) == ("theirs", 2)


def test_a_delete_in_between_stays_deleted(engine, fill, rival, before_the_write, rows):
    """A session that its client deleted meanwhile does not come back, and leaves no original."""
    fill(3)
    with before_the_write(lambda: rival.delete("session-00001")):
        report = backfill.run(engine)

    assert (report.done.converted, report.done.left_to_client) == (2, 1)
    assert rows.count() == {"sessions": 2, "archive": 2, "quarantine": 0}


def test_newer_rows_survive(engine, fill, documents, rows, before_the_write):
    """Neither a row that is newer, nor one that becomes newer at the last moment, is overwritten."""
    fill(2)
    rows.insert("newer", documents.newer, 4)
    with before_the_write(lambda: rows.edit("session-00001", payload=documents.newer, schema_version=4)):
        report = backfill.run(engine)

    assert report.done.converted == 1
    assert [rows.read(name)["payload"] for name in ("newer", "session-00001")] == [documents.newer] * 2


def test_a_locked_row_comes_back(engine, fill, capabilities, database_url, at_versions):
    """A row that another transaction holds is passed over without waiting, and done when it is free."""
    if not capabilities.skips_locked_rows:
        pytest.skip("the engine has no locks on rows")
    fill(4)
    other = sa.create_engine(database_url)
    holder = other.connect()
    held = session_metadata.c.session_id == "session-00002"
    holder.execute(sa.select(session_metadata).where(held).with_for_update())
    seen = []

    class Stop(threading.Event):
        def wait(self, timeout=None):  # noqa: ARG002 - the signature is the library's
            seen.append(at_versions())
            holder.rollback()
            return False

    try:
        report = backfill.run(engine, Settings(), Controls(Stop()))
    finally:
        holder.close()
        other.dispose()

    assert seen[0] == {(3, 1): 3, (2, 1): 1}
    assert (report.state, report.done.converted, report.done.timed_out) == ("succeeded", 4, 0)


def test_rows_that_stay_locked_are_work_that_remains(engine, fill, capabilities, database_url):
    """The run ends in time, says how many rows are held, and can be resumed."""
    if not capabilities.skips_locked_rows:
        pytest.skip("the engine has no locks on rows")
    fill(2)
    other = sa.create_engine(database_url)

    class Stop(threading.Event):
        def wait(self, timeout=None):  # noqa: ARG002 - the signature is the library's
            return False

    with other.connect() as holder:
        holder.execute(sa.select(session_metadata).limit(1).with_for_update())
        report = backfill.run(engine, Settings(), Controls(Stop()))
        holder.rollback()
    again = backfill.resume(engine, report.run_id)
    other.dispose()

    assert (report.state, report.reason) == ("paused", "rows held by other transactions: 1")
    assert (again.state, again.done.converted) == ("succeeded", 1)


def test_runs_and_workers_at_once_do_every_row_once(engine, fill, database_url, rows, at_versions):
    """Two runs, one of them with two processes: each row has one original, and no row was done twice."""
    fill(300)
    reports = []

    def run(workers):
        reports.append(backfill.run(engine, Settings(batch_size=20, workers=workers)))

    threads = [threading.Thread(target=run, args=(workers,)) for workers in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(report.done.converted for report in reports) == 300
    assert rows.count() == {"sessions": 300, "archive": 300, "quarantine": 0}
    assert at_versions() == {(3, 1): 300}


def test_another_worker_is_leapt_over(engine, fill, before_the_write, rows):
    """Who finds its rows done by somebody else goes on elsewhere, and leaves nothing out."""
    fill(60)
    with before_the_write(lambda: backfill.run(engine, Settings(batch_size=10, limit=10))) as happened:
        report = backfill.run(engine, Settings(batch_size=10))

    assert happened
    assert (report.done.taken, report.done.converted, report.remaining.is_none) == (10, 50, True)
    assert rows.count()["archive"] == 60


def test_a_dry_run_writes_nothing(engine, fill, rows, statements_sent, at_versions):
    """It says what would be converted and what would fail, and sends nothing but SELECT."""
    fill(5)
    rows.insert("bad", '{"model": 7}', 1)
    with statements_sent() as sent:
        report = backfill.run(engine, Settings(dry_run=True, batch_size=2))

    assert (report.run_id, report.done.converted, report.done.quarantined) == (None, 5, 1)
    assert {statement.split()[0] for statement in sent} <= {"SELECT", "PRAGMA", "DESCRIBE"}
    assert rows.count() == {"sessions": 6, "archive": 0, "quarantine": 0}


def test_a_limit_is_kept(engine, fill, at_versions):
    """After so many rows it stops, and says that it can go on."""
    fill(10)
    report = backfill.run(engine, Settings(limit=4, batch_size=3))

    assert (report.state, report.reason) == ("paused", "the limit of 4 rows is reached")
    assert at_versions() == {(3, 1): 4, (2, 1): 6}


def test_one_realm_only(engine, documents, rows):
    """Rows of other realms are not touched."""
    rows.insert("ours", documents.outdated, 1, realm="mob:office")
    rows.insert("theirs", documents.outdated, 1, realm="other")
    report = backfill.run(engine, Settings(realm="mob:office"))

    assert (report.done.converted, rows.read("theirs")["schema_version"]) == (1, 1)


def test_the_pinned_version_is_written(engine, monkeypatch, at_versions, rows, documents):
    """While REKINDLE_WRITE_VERSION holds it back it writes no further, and later goes on from there."""
    rows.insert("oldest", documents.outdated, 1)
    monkeypatch.setenv("REKINDLE_WRITE_VERSION", "2")
    first, held_back = backfill.run(engine), at_versions()
    monkeypatch.delenv("REKINDLE_WRITE_VERSION")
    backfill.run(engine)

    assert (first.state, held_back, at_versions()) == ("succeeded", {(2, 1): 1}, {(3, 1): 1})
    assert [kept["schema_version"] for kept in rows.archived("oldest")] == [1, 2]


def test_a_credential_in_a_row_does_not_hold_it_back(engine, fill, rows, documents):
    """It is there already; a row left behind would one day not load at all."""
    fill(1, payload=f'{documents.version_2[:-1]},"provider_params":{{"api_key":"{CREDENTIAL}"}}}}')
    report = backfill.run(engine)

    assert report.done.converted == 1
    assert CREDENTIAL in rows.read("session-00000")["payload"]


def test_a_row_that_the_database_refuses_is_found(engine, backend, fill, rows):
    """What a batch fails for is narrowed down to the row; the others are written."""
    if backend.name != "sqlite":
        pytest.skip("one engine is enough, and there a trigger says no most easily")
    fill(9)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE UPDATE ON session_metadata WHEN new.session_id = 'session-00004' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    report = backfill.run(engine)

    assert (report.done.converted, report.done.quarantined) == (8, 1)
    assert [(each.seen["_session_id"], each.step) for each in report.done.failures] == [("session-00004", "store")]
    assert rows.count() == {"sessions": 9, "archive": 8, "quarantine": 1}


def test_too_many_failures_are_a_fault_of_the_step(engine, fill, rows):
    """The run stops with an error; what failed is listed, and nothing of it was changed."""
    fill(40, payload='{"model": 7}')
    with pytest.raises(TooManyFailuresError) as caught:
        backfill.run(engine, Settings(batch_size=10, max_failures=15))

    assert (caught.value.failed, rows.count()["archive"]) == (20, 0)
    assert "session-0000" in str(caught.value)


def test_ensure(engine, fill, rows, documents):
    """It passes when no row is below and none in the quarantine, and says otherwise what is left."""
    fill(2)
    rows.insert("newer", documents.newer, 4)
    with engine.connect() as connection:
        backfill.ensure(connection, 2)
        with pytest.raises(BackfillIncompleteError) as caught:
            backfill.ensure(connection, 3)
    backfill.run(engine)
    with engine.connect() as connection:
        backfill.ensure(connection, 3)

    assert (caught.value.outdated, caught.value.quarantined) == (2, 0)


def test_tables_of_another_revision_are_refused(backend, tmp_path):
    """Nothing is begun on tables that this release does not know."""
    if backend.name != "sqlite":
        pytest.skip("the check is the same for all")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(errors.DatabaseRevisionError):
        backfill.run(engine)
    engine.dispose()


def test_originals_can_be_restored_and_done_again(engine, database_url, fill, rows):
    """A restored row is outdated again, and the next run keeps the restored state as another original."""
    fill(1)
    backfill.run(engine)
    with SessionStore.open(database_url) as store:
        store.archive.restore("session-00000")
    report = backfill.run(engine)

    assert report.done.converted == 1
    assert [(kept["lock_version"], kept["schema_version"]) for kept in rows.archived("session-00000")] == [
        (1, 2), (1, 3), (2, 2),
    ]  # fmt: skip


def test_no_original_is_left_of_a_batch_that_failed(engine, fill, right_before, rows, at_versions):
    """When the archive cannot be written the rows are not either."""
    fill(3)

    def fail():
        raise ConnectionAbortedError("the machine went away")

    with right_before("INSERT INTO session_metadata_archive", fail), pytest.raises(ConnectionAbortedError):
        backfill.run(engine)

    assert rows.count() == {"sessions": 3, "archive": 0, "quarantine": 0}
    assert at_versions() == {(2, 1): 3}


def test_what_is_written_is_exact_whatever_is_in_it(engine, rows, rival, documents):
    """In one batch: short and long, empty and missing, quotes, percent signs, backslashes, and every alphabet."""
    names = ["plain", "%s %(x)s 100%", 'it\'s \\ "quoted" \\n', "wörker 日本 😀", "  spaces  ", "x" * 255]
    long = "y" * 300_000
    for number, name in enumerate(names):
        extra = {"comms_name": name, "provider_params": {"text": long if number % 2 else "", "n": [1, 1.0, None]}}
        document = json.dumps({**json.loads(documents.version_2), **extra}, ensure_ascii=number % 2 == 0)
        for prefix in ("saved", "backfilled"):
            rows.insert(f"{prefix}-{number} é% ", document, 2)
        rival.save(rival.load(f"saved-{number} é% "))
    rows.insert("backfilled without", documents.version_2, 2, comms_name="stale")
    report = backfill.run(engine, Settings(batch_size=50))
    both = [[rows.read(f"{prefix}-{number} é% ") for prefix in ("saved", "backfilled")] for number in range(len(names))]

    assert (report.done.converted, report.done.timed_out) == (len(names) + 1, 0)
    assert [ours["comms_name"] for _, ours in both] == names
    assert all(saved["payload"] == ours["payload"] for saved, ours in both)
    assert rows.read("backfilled without")["comms_name"] is None
