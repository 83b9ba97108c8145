"""Whether a write arrived, judged from the row: every case there is."""

from __future__ import annotations

import inspect
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rekindle.attempts import Attempt, Deletion, Verdict
from rekindle.record import StoredDocument
from rekindle.store_archive import AsyncStoreArchive, StoreArchive

BORN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 2, 1, 12, 30, 0, 123456, tzinfo=UTC)
TICK = timedelta(microseconds=1)

SAVE = Attempt("s", 5, 2, "ours", BORN, NOW, "answer")
ADD = Attempt("s", 1, 2, "ours", BORN, BORN, "answer")
SAVED = StoredDocument("s", 2, 5, "ours", BORN, NOW)
ADDED = StoredDocument("s", 2, 1, "ours", BORN, BORN)

CASES = [
    pytest.param(SAVE, SAVED, Verdict.ARRIVED, id="saved"),
    pytest.param(SAVE, replace(SAVED, lock_version=4, payload="before"), Verdict.NOT_YET, id="as before"),
    pytest.param(SAVE, replace(SAVED, payload="theirs"), Verdict.NEVER, id="saved by somebody else"),
    pytest.param(SAVE, replace(SAVED, updated_at=NOW + TICK), Verdict.NEVER, id="the same, saved by somebody else"),
    pytest.param(SAVE, replace(SAVED, lock_version=6), Verdict.UNKNOWN, id="saved twice"),
    pytest.param(SAVE, replace(SAVED, schema_version=3, payload="x"), Verdict.ARRIVED, id="saved and backfilled"),
    pytest.param(SAVE, replace(SAVED, created_at=NOW), Verdict.NEVER, id="deleted and made anew"),
    pytest.param(SAVE, None, Verdict.NEVER, id="deleted"),
    pytest.param(ADD, ADDED, Verdict.ARRIVED, id="added"),
    pytest.param(ADD, None, Verdict.NOT_YET, id="not added"),
    pytest.param(ADD, replace(ADDED, created_at=NOW), Verdict.NEVER, id="added by somebody else"),
    pytest.param(ADD, replace(ADDED, payload="theirs"), Verdict.NEVER, id="added in the same microsecond"),
    pytest.param(ADD, replace(ADDED, lock_version=3, payload="x"), Verdict.ARRIVED, id="added and saved since"),
    pytest.param(Deletion("s", BORN), None, Verdict.ARRIVED, id="gone"),
    pytest.param(Deletion("s", BORN), SAVED, Verdict.NOT_YET, id="still there"),
    pytest.param(Deletion("s", BORN), replace(SAVED, created_at=NOW), Verdict.ARRIVED, id="gone, and made anew"),
    pytest.param(Deletion("s", None), None, Verdict.ARRIVED, id="gone by id"),
    pytest.param(Deletion("s", None), replace(SAVED, created_at=NOW), Verdict.NOT_YET, id="there by id"),
]


@pytest.mark.parametrize(("attempt", "row", "verdict"), CASES)
def test_the_row_tells_whether_a_write_arrived(attempt, row, verdict):
    """A row is known by its lock version and the time of the write, never by its document alone."""
    assert attempt.verdict(row) is verdict


def test_both_colours_of_the_archive_take_the_same():
    """Every public method exists on both sides with the same parameters, and is a coroutine on one."""
    sync, asynchronous = (
        {name: member for name, member in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")}
        for cls in (StoreArchive, AsyncStoreArchive)
    )

    assert sync.keys() == asynchronous.keys()
    for name in sync:
        assert (
            inspect.signature(sync[name]).parameters.keys() == inspect.signature(asynchronous[name]).parameters.keys()
        )
        assert inspect.iscoroutinefunction(asynchronous[name])
