"""
Killed at any moment: what was acknowledged is there, and nothing is there by half.

REKINDLE_KILLS says how often, 30 times unless set.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from rekindle import SessionStore
from rekindle.orm import session_metadata as sessions
from rekindle.orm import session_metadata_archive as archive

KILLS = int(os.environ.get("REKINDLE_KILLS", "30"))
WRITER = Path(__file__).with_name("killed_writer.py")
PAYLOAD = (
    '{"model": "gpt-4.1",  "tooling": {"shell": false, "builtins": true}, "max_tokens": 4096,\n'
    f' "provider": "open_a_i", "host_mode": true, "provider_params": {{"padding": "{"x" * 9000}"}}}}\n'
)
"""Larger than a page of any of the databases, so that a write of it can be cut in the middle."""


class Writer:
    """A process that writes, and the end of it."""

    def __init__(self, process, random):
        self._process, self._random, self._buffer = process, random, b""

    def round(self, name):
        """Let a child write under this name, and kill it at a random moment; what it acknowledged, line by line."""
        self._process.stdin.write(f"{name}\n".encode())
        pid, lines = None, []
        enough, patience = self._random.randrange(0, 25), self._random.uniform(0, 0.004)
        while not lines or lines[-1] != "gone":
            line = self._line(patience if pid and len(lines) >= enough else None)
            if line is None or (pid and len(lines) >= enough and self._random.random() < 0.3):
                os.kill(pid, signal.SIGKILL)
                pid, enough = None, sys.maxsize
            if line is None:
                continue
            if line.startswith("pid "):
                pid = int(line.removeprefix("pid "))
            else:
                lines.append(line)
        return [tuple(line.split()) for line in lines[:-1]]

    def _line(self, seconds):
        """Read a line; None when there is none in time."""
        while b"\n" not in self._buffer:
            if not select.select([self._process.stdout], [], [], seconds)[0]:
                return None
            self._buffer += os.read(self._process.stdout.fileno(), 65536)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


@pytest.fixture
def writer(database_url):
    random = Random(20261123)
    command = [sys.executable, str(WRITER), database_url, PAYLOAD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        yield Writer(process, random)
        process.stdin.close()


def states(engine, name):
    """What became of the sessions of a round, each with its archive, seen at one moment."""
    joined = sa.outerjoin(sessions, archive, sessions.c.session_id == archive.c.session_id)
    columns = (
        sessions.c.session_id, sessions.c.lock_version, sessions.c.schema_version, sessions.c.payload,
        archive.c.lock_version, archive.c.schema_version, archive.c.payload, archive.c.payload_sha256,
    )  # fmt: skip
    statement = sa.select(*columns).select_from(joined).where(sessions.c.session_id.startswith(f"{name}-"))
    with engine.connect() as connection:
        return {row[0]: tuple(row[1:]) for row in connection.execute(statement)}


IMPORTED = (1, 1, PAYLOAD, None, None, None, None)
ORIGINAL = (1, 1, PAYLOAD, sha256(PAYLOAD.encode()).hexdigest())


@pytest.mark.timeout(3600 if KILLS > 30 else 300)
def test_what_was_acknowledged_survives_any_kill(engine, database_url, writer, new_metadata):
    """After each of many kills every acknowledged write is there, row and archive agree, and all rows load."""
    happened = Counter()
    with SessionStore.open(database_url) as store:
        store.add("counter", new_metadata(provider_params={"n": 0}))
    counted = 0

    for number in range(KILLS):
        name = f"r{number}"
        acknowledged = writer.round(name)
        found = states(engine, name)

        for what, which in acknowledged:
            happened[what] += 1
            if what == "imported":
                assert which in found, f"{which} was acknowledged and is lost"
            elif what == "saved":
                assert found[which][0] == 2, f"the save of {which} was acknowledged and is lost"
            else:
                counted = int(which)
        for session_id, state in found.items():
            if state != IMPORTED:
                assert state[:2] == (2, 3), f"{session_id} is in a state that nobody wrote"
                assert state[3:] == ORIGINAL, f"{session_id} was rewritten, and its original is not in the archive"
        with SessionStore.open(database_url) as store:
            assert len(store.load_many(found)) == len(found)
            counter = store.load("counter")
            n = counter.metadata.provider_params["n"]
            # One may have been under way in this round, and one of the round before may have been late.
            assert counted <= n <= counted + 2
            assert counter.lock_version == n + 1
        happened["written and never acknowledged"] += len(found) - sum(each[0] == "imported" for each in acknowledged)
        happened["written and never acknowledged"] += n - counted
        counted = n

    print(f"{KILLS} kills on {engine.dialect.name}: {dict(happened)}")  # noqa: T201 - shown by pytest -s
    assert happened["saved"] > KILLS
    with engine.connect() as connection:
        orphans = archive.c.session_id.not_in(sa.select(sessions.c.session_id))
        assert connection.execute(sa.select(sa.func.count()).where(orphans)).scalar_one() == 0
        if engine.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_sqlite_writes_ahead_and_waits_for_the_disk(backend, store, colour):
    """An acknowledged save is on the disk: journal mode WAL, synchronous FULL, on every connection."""
    if backend.server is not None:
        pytest.skip("a server sees to that itself")
    pragmas = (sa.text("PRAGMA journal_mode"), sa.text("PRAGMA synchronous"))

    with (store if colour == "sync" else store.target)._engine.connect() as connection:
        found = [connection.execute(pragma).scalar_one() for pragma in pragmas]

    assert found == ["wal", 2]
