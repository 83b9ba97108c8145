"""
Who else writes to the database, and how to make way for them.

A live writer notices how much we write at once: it waits for the one lock of SQLite, or for its turn at the server's
disk and processors. While nobody is there, large batches are cheaper.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

SECONDS = 1.0
"""For so long after somebody's write there may be another: between two batches nobody need have written."""

IN_COMPANY = 10
"""Rows of a batch while somebody else writes."""

_REST = 2.0
"""How long to leave the database to them behind each, in terms of the time that rows were locked."""


class _Counter(NamedTuple):
    """A number that the database moves on with each transaction that writes."""

    statement: TextClause
    steps: int
    """By how much."""
    counts_ours: bool


_MARIADB = _Counter(
    text("SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'Innodb_max_trx_id'"),
    steps=2,
    counts_ours=True,
)
_COUNTERS = {
    "sqlite": _Counter(text("PRAGMA data_version"), steps=1, counts_ours=False),
    "postgresql": _Counter(text("SELECT txid_snapshot_xmax(txid_current_snapshot())"), steps=1, counts_ours=True),
    "mysql": _MARIADB,
    "mariadb": _MARIADB,
}
_WRITE_BACK = text("PRAGMA wal_checkpoint(PASSIVE)")


class Company:
    """
    Looks whether somebody else has written lately: to this file of SQLite, or to this server.

    Several workers on SQLite would take each other for somebody else, so there only a single one looks.
    """

    def __init__(self, connection: Connection, workers: int) -> None:
        self._connection = connection
        self._counter = _COUNTERS[connection.dialect.name]
        # The record of the run, and what workers have committed and not yet told of.
        self._unaccounted = 1 if workers == 1 else 1 + workers
        self._looks = workers == 1 or self._counter.counts_ours
        self._seen = self._now()
        self._until = 0.0
        self._is_there = False

    def bound(self, rows: int) -> int:
        """Keep a batch small while somebody is there."""
        return min(rows, IN_COMPANY) if self._is_there else rows

    def make_way(self, transactions: int, held: float, stop: threading.Event) -> None:
        """
        Look once more, `transactions` of ours after the last time, and rest when somebody is there.

        `held` says for how many seconds those kept rows locked.
        """
        self._is_there = self._wrote(transactions)
        if not self._is_there:
            return
        if self._connection.dialect.name == "sqlite":
            # Whoever's commit makes the WAL full has to write it back; a live writer's is not to be the one.
            self._connection.execute(_WRITE_BACK).all()
        stop.wait(held * _REST)

    def _wrote(self, transactions: int) -> bool:
        before, self._seen = self._seen, self._now()
        if before is None or self._seen is None:
            return False
        others = (self._seen - before) / self._counter.steps
        if self._counter.counts_ours:
            others -= transactions + self._unaccounted
        if others > 0:
            self._until = monotonic() + SECONDS
        return others > 0 or monotonic() < self._until

    def _now(self) -> int | None:
        found = self._connection.execute(self._counter.statement).scalar() if self._looks else None
        return None if found is None else int(found)
