"""Several writers of one session at once: on real connections, from threads, tasks and processes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rekindle import SessionRecord
from rekindle.errors import SessionExistsError, SessionNotFoundError, StaleSessionError

WRITERS = 8
PROCESSES = 4
TIMES = 15


@pytest.fixture
def in_processes(database_url, colour):
    """Run the counting process several times at once; their exit codes and what they complained about."""

    def run(session_id):
        script = Path(__file__).with_name("counting_process.py")
        command = [sys.executable, "-W", "error", str(script), database_url, colour, session_id, str(TIMES)]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]
        try:
            ready = [process.stdout.readline() for process in processes]
            for process in processes:
                process.stdin.write("go\n")
                process.stdin.flush()
            complaints = [process.communicate(timeout=120)[1] for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.communicate()
        assert ready == ["ready\n"] * PROCESSES
        return [process.returncode for process in processes], complaints

    return run


def test_of_many_savers_exactly_one_wins_each_round(store, new_metadata, all_at_once):
    """All save the same record: one returns, each other is StaleSessionError with both numbers; nothing is mixed."""
    store.add("session-1", new_metadata())

    for turn in range(1, 6):
        loaded = store.load("session-1")
        mine = [
            replace(loaded, metadata=new_metadata(model=f"writer {number}", max_tokens=number))
            for number in range(WRITERS)
        ]
        outcomes = all_at_once(*(lambda store, record=record: store.save(record) for record in mine))
        winners = [outcome for outcome in outcomes if isinstance(outcome, SessionRecord)]
        losers = [outcome for outcome in outcomes if isinstance(outcome, StaleSessionError)]
        left = store.load("session-1")

        assert (len(winners), len(losers)) == (1, WRITERS - 1), outcomes
        assert {(loser.expected_lock_version, loser.found_lock_version) for loser in losers} == {(turn, turn + 1)}
        assert left == winners[0]
        assert left.metadata.model == f"writer {left.metadata.max_tokens}"


def test_of_many_adders_of_one_id_exactly_one_wins(store, new_metadata, all_at_once, rows):
    """One add() makes the session, the others find it there."""
    for turn in range(5):
        session_id = f"session-{turn}"
        outcomes = all_at_once(
            *(
                lambda store, session_id=session_id, number=number: store.add(
                    session_id, new_metadata(max_tokens=number)
                )
                for number in range(WRITERS)
            )
        )
        winners = [outcome for outcome in outcomes if isinstance(outcome, SessionRecord)]
        losers = [outcome for outcome in outcomes if isinstance(outcome, SessionExistsError)]

        assert (len(winners), len(losers)) == (1, WRITERS - 1), outcomes
        assert {loser.session_id for loser in losers} == {session_id}
        assert store.load(session_id) == winners[0]
    assert rows.count()["sessions"] == 5


def test_of_many_importers_one_imports_and_the_others_find_it_unchanged(store, documents, all_at_once, rows):
    """The same document from all sides goes in once."""
    outcomes = all_at_once(*[lambda store: store.import_document("session-1", documents.outdated)] * WRITERS)

    assert sorted(outcomes, key=str) == ["imported"] + ["unchanged"] * (WRITERS - 1)
    assert rows.read("session-1")["payload"] == documents.outdated


def test_the_first_save_of_an_outdated_row_archives_once_whoever_wins(store, documents, all_at_once, rows):
    """Many raise the same row to the current version: one wins, and the archive has the original exactly once."""
    for turn in range(5):
        session_id = f"session-{turn}"
        rows.insert(session_id, documents.outdated, 1)
        record = store.load(session_id)
        outcomes = all_at_once(*[lambda store, record=record: store.save(record)] * WRITERS)
        winners = [outcome for outcome in outcomes if isinstance(outcome, SessionRecord)]
        losers = [outcome for outcome in outcomes if isinstance(outcome, StaleSessionError)]

        assert (len(winners), len(losers)) == (1, WRITERS - 1), outcomes
        assert {(loser.expected_lock_version, loser.found_lock_version) for loser in losers} == {(1, 2)}
        assert [(kept["lock_version"], kept["payload"]) for kept in rows.archived(session_id)] == [
            (1, documents.outdated)
        ]


def test_of_many_deleters_exactly_one_deletes(store, new_metadata, all_at_once):
    """delete() of one id from all sides succeeds once; the others find no session."""
    store.add("session-1", new_metadata())

    outcomes = all_at_once(*[lambda store: store.delete("session-1")] * WRITERS)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["SessionNotFoundError"] * (
        WRITERS - 1
    )


def test_a_save_and_a_delete_of_the_same_record_do_not_both_win(store, new_metadata, all_at_once, rows):
    """Either the session is saved and stays, or it is deleted and the save finds nothing."""
    for turn in range(5):
        record = store.add(f"session-{turn}", new_metadata())
        saved, deleted = all_at_once(
            lambda store, record=record: store.save(record), lambda store, record=record: store.delete(record)
        )
        stays = rows.read(record.session_id) is not None

        assert isinstance(saved, SessionRecord if stays else SessionNotFoundError)
        assert isinstance(deleted, StaleSessionError) if stays else deleted is None


def test_no_update_of_many_threads_or_tasks_is_lost(store, new_metadata, all_at_once):
    """Each update() of a counter counts, however often it has to be repeated."""
    store.add("session-1", new_metadata(provider_params={"count": 0}))

    def count(metadata):
        metadata.provider_params["count"] += 1

    outcomes = all_at_once(*[lambda store: store.update("session-1", count)] * WRITERS)
    record = store.load("session-1")

    assert sorted(outcome.lock_version for outcome in outcomes) == list(range(2, WRITERS + 2))
    assert (record.metadata.provider_params, record.lock_version) == ({"count": WRITERS}, WRITERS + 1)


def test_no_update_of_many_processes_is_lost(store, new_metadata, in_processes):
    """Four processes count to 15 each: the counter is at 60, after exactly 60 saves."""
    store.add("session-1", new_metadata(provider_params={"count": 0}))

    codes, complaints = in_processes("session-1")
    record = store.load("session-1")

    assert codes == [0] * PROCESSES, complaints
    assert not [complaint for complaint in complaints if "Warning" in complaint]
    assert (record.metadata.provider_params, record.lock_version) == ({"count": 60}, 61)


def test_a_save_by_somebody_else_at_the_last_moment_wins(store, rival, documents, rows, right_before_it_holds_the_row):
    """Between this save's checks and its write somebody saves an outdated row: stale, and one original is kept."""
    rows.insert("session-1", documents.outdated, 1)
    mine = store.load("session-1")
    mine.metadata.comms_name = "mine"

    def save():
        rival.update("session-1", lambda metadata: metadata.model_copy(update={"comms_name": "theirs"}))

    with right_before_it_holds_the_row(save) as happened, pytest.raises(StaleSessionError) as caught:
        store.save(mine)

    assert happened
    assert (caught.value.expected_lock_version, caught.value.found_lock_version) == (1, 2)
    assert store.load("session-1").metadata.comms_name == "theirs"
    assert [kept["payload"] for kept in rows.archived("session-1")] == [documents.outdated]


def test_a_session_deleted_at_the_last_moment_is_not_brought_back(
    store, rival, documents, rows, right_before_it_holds_the_row
):
    """A save that finds its row gone is SessionNotFoundError: no row, and no archive without one."""
    rows.insert("session-1", documents.outdated, 1)
    mine = store.load("session-1")

    with (
        right_before_it_holds_the_row(lambda: rival.delete("session-1")) as happened,
        pytest.raises(SessionNotFoundError),
    ):
        store.save(mine)

    assert happened
    assert rows.count() == {"sessions": 0, "archive": 0, "quarantine": 0}


def test_update_repeats_after_a_race_lost_at_the_last_moment(store, rival, new_metadata, right_before_it_holds_the_row):
    """The save inside of update() is outrun: the change is applied to what the winner left, once."""
    store.add("session-1", new_metadata(provider_params=["created"]))
    seen = []

    def append(metadata):
        seen.append(list(metadata.provider_params))
        metadata.provider_params.append("mine")

    def outrun():
        rival.update("session-1", lambda metadata: metadata.provider_params.append("theirs"))

    with right_before_it_holds_the_row(outrun) as happened:
        updated = store.update("session-1", append)

    assert happened
    assert seen == [["created"], ["created", "theirs"]]
    assert updated.metadata.provider_params == ["created", "theirs", "mine"]
    assert updated.lock_version == 3


def test_more_callers_than_connections_wait_for_each_other(store, all_at_once, new_metadata):
    """Whoever finds no connection idle, and none that may be opened, gets the next one that is put back."""
    record = store.add("s", new_metadata())

    assert all_at_once(*[lambda store: store.load("s")] * 60) == [record] * 60
