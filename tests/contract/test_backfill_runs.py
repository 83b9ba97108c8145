"""A run of the backfill is recorded, steered from another shell, and survives being killed."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from rekindle import backfill
from rekindle.backfill import Controls, Settings, runs
from rekindle.backfill.errors import BackfillRunNotFoundError, BackfillRunStateError
from rekindle.bulk import connected
from rekindle.orm import session_metadata_backfill

KILLS_ITSELF = """
import os, signal, sys
import sqlalchemy as sa
from rekindle import backfill
from rekindle.engine import create_engine

archived = []

def watch(connection, cursor, statement, *_):
    if statement.startswith("INSERT INTO session_metadata_archive"):
        archived.append(statement)
        if len(archived) == 3:  # the rows of the third batch are rewritten, and not committed
            os.kill(os.getpid(), signal.SIGKILL)

sa.event.listen(sa.Engine, "before_cursor_execute", watch)
backfill.run(create_engine(sys.argv[1]), backfill.Settings(batch_size=5))
"""


@pytest.fixture
def tell(engine):
    """Say a word to the one run there is, as another shell would."""

    def say(what):
        with connected(engine) as connection:
            (run,) = runs.recent(connection)
            return what(connection, run.run_id)

    return say


def once(act):
    """Do something at the first sign of progress."""
    told = []

    def on_progress(_progress):
        if not told:
            told.append(True)
            act()

    return Controls(on_progress=on_progress)


def read(engine):
    with connected(engine) as connection:
        return list(runs.recent(connection))


def test_a_run_is_recorded(engine, fill, rows):
    """Who, with which release, from where to where, how many rows, and how it ended."""
    fill(5)
    rows.insert("bad", '{"model": 7}', 1)
    report = backfill.run(engine, Settings(batch_size=2))
    (run,) = read(engine)

    assert (run.run_id, run.state, run.error_class, run.is_lost) == (report.run_id, "succeeded", None, False)
    assert (run.from_schema_version, run.to_schema_version, run.library_version) == (1, 3, "0.1.0")
    assert (run.converted, run.quarantined, run.left_to_client) == (5, 1, 0)
    assert run.started_by.partition("@")[2].startswith(f"{socket.gethostname()}:")
    assert run.started_at <= run.updated_at <= run.finished_at
    assert run.options["batch_size"] == 2


def test_it_is_paused_and_resumed(engine, fill, tell, rows):
    """Told to pause it stops behind its batch; resumed, it goes on with its settings and adds to its counts."""
    fill(6)
    report = backfill.run(engine, Settings(batch_size=2), once(lambda: tell(runs.pause)))
    (paused,) = read(engine)
    again = backfill.resume(engine, report.run_id[:6])
    (ended,) = read(engine)

    assert (report.state, report.reason, paused.state, paused.converted) == ("paused", "told to pause", "paused", 2)
    assert (again.run_id, again.done.converted, ended.state, ended.converted) == (report.run_id, 4, "succeeded", 6)
    assert rows.count()["archive"] == 6


def test_it_is_cancelled(engine, fill, tell):
    """Told to stop it stops behind its batch, for good; what is converted stays converted."""
    fill(6)
    report = backfill.run(engine, Settings(batch_size=2), once(lambda: tell(runs.cancel)))
    (run,) = read(engine)
    with pytest.raises(BackfillRunStateError):
        backfill.resume(engine, report.run_id)

    assert (report.state, run.state, run.converted, run.finished_at is None) == ("cancelled", "cancelled", 2, False)


def test_a_stop_from_within_leaves_it_to_be_resumed(engine, fill):
    """What SIGINT does: the batch is finished, and the run can be resumed."""
    fill(6)
    stop = threading.Event()
    report = backfill.run(engine, Settings(batch_size=2), Controls(stop, lambda _: stop.set()))
    again = backfill.resume(engine, report.run_id)

    assert (report.state, report.reason, report.done.converted) == ("paused", "interrupted", 2)
    assert (again.state, again.done.converted) == ("succeeded", 4)


def test_a_failed_run_says_so_and_is_resumed(engine, fill, right_before):
    """The record tells the class of what went wrong."""
    fill(4)

    def fail():
        raise ConnectionAbortedError("the machine went away")

    with right_before("INSERT INTO session_metadata_archive", fail), pytest.raises(ConnectionAbortedError):
        backfill.run(engine)
    (failed,) = read(engine)
    again = backfill.resume(engine, failed.run_id)

    assert (failed.state, failed.error_class) == ("failed", "ConnectionAbortedError")
    assert (again.state, again.done.converted) == ("succeeded", 4)


def test_a_killed_run_loses_its_batch_at_most(engine, fill, rows, database_url):
    """SIGKILL in the middle of a batch leaves every row whole; the run is known to be lost, and is resumed."""
    fill(20)
    process = subprocess.run([sys.executable, "-c", KILLS_ITSELF, database_url], timeout=60, check=False)
    (lost,) = read(engine)
    at_the_time = rows.count()
    again = backfill.resume(engine, lost.run_id)

    assert process.returncode == -signal.SIGKILL
    assert (lost.state, lost.is_lost) == ("running", True)
    assert (at_the_time["archive"], again.state, again.done.converted) == (10, "succeeded", 10)
    assert rows.count() == {"sessions": 20, "archive": 20, "quarantine": 0}


def test_a_lost_run_is_cancelled_at_once(engine, fill, tell):
    """Nobody is there any more to obey, so the word is the deed."""
    fill(2)
    backfill.run(engine, Settings(limit=1))
    with engine.begin() as connection:
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        lost = {"state": "running", "started_by": "someone@elsewhere:1", "updated_at": long_ago}
        connection.execute(session_metadata_backfill.update().values(lost))
    run = tell(runs.cancel)

    assert run.state == "cancelled"


def test_a_run_at_work_is_not_taken_over(engine, fill, tell):
    """Two shells cannot resume one run, and an unknown one is named."""
    fill(4)
    caught = []

    def take_over():
        with pytest.raises(BackfillRunStateError) as error:
            tell(runs.take_over)
        caught.append(error.value)

    backfill.run(engine, Settings(batch_size=2), once(take_over))
    with connected(engine) as connection, pytest.raises(BackfillRunNotFoundError):
        runs.find(connection, "ffff")

    assert (caught[0].state, caught[0].verb) == ("running", "resume")


def test_it_waits_while_a_file_exists(engine, fill, tmp_path):
    """The pause file holds it still, and is told as the reason; without it the run goes on."""
    fill(2)
    path = tmp_path / "pause"
    path.touch()
    seen = []

    class Stop(threading.Event):
        def wait(self, timeout=None):  # noqa: ARG002 - the signature is the library's
            path.unlink()
            return False

    controls = Controls(Stop(), lambda now: seen.append((now.waits_for, now.done.converted)))
    report = backfill.run(engine, Settings(pause_file=str(path)), controls)

    assert seen == [(f"{path} exists", 0), (None, 2)]
    assert report.state == "succeeded"


def test_a_terminal_can_stop_it(backend, database_url, fill, engine, tmp_path):
    """SIGTERM to the command: it ends with 3 and says how to go on; --json of the list says the same."""
    if backend.name != "sqlite":
        pytest.skip("the command is the same for all")
    fill(3)
    path = tmp_path / "pause"
    path.touch()
    command = [sys.executable, "-m", "rekindle", "backfill", "--url", database_url]
    process = subprocess.Popen(
        [*command, "--pause-file", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    reasons = sa.select(session_metadata_backfill.c.reason)
    with engine.connect() as connection:
        while connection.execute(reasons).scalar() is None and process.poll() is None:
            connection.rollback()
    process.send_signal(signal.SIGTERM)
    _, narration = process.communicate(timeout=60)
    listed = subprocess.run(
        [*command[:4], "list", *command[4:], "--json"], capture_output=True, text=True, check=True, timeout=60
    )

    assert process.returncode == 3
    assert "rekindle backfill resume" in narration
    assert [run["state"] for run in json.loads(listed.stdout)] == ["paused"]
