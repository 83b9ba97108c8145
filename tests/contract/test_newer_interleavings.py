"""
A later release writes at every moment that there is: right before each statement that one of our operations sends.

Where an operation holds the row already, the later release has to wait, and writes when that is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from rekindle import backfill, quarantine
from rekindle.errors import NewerSchemaError, RekindleError, SessionExistsError
from rekindle.orm import session_metadata

BAD = '{"model": "gpt-4.1", "max_tokens": "many", "provider": "open_a_i", "tooling": {}}'
GOOD = BAD.replace('"many"', "1")
NO_PATIENCE = {
    "sqlite": "PRAGMA busy_timeout = 0",
    "postgresql": "SET lock_timeout = '10ms'",
    "mariadb": "SET innodb_lock_wait_timeout = 0",
}
LONG_AGO = datetime(2024, 2, 29, tzinfo=UTC)
ADDED = {
    "session_id": "session-1", "lock_version": 1, "realm": None, "provider": "openai", "model": "m",
    "instance_id": None, "comms_name": None, "created_at": LONG_AGO, "updated_at": LONG_AGO,
}  # fmt: skip
MANY = 40
"""Statements: more than any operation sends."""


class LaterRelease:
    """Writes version 4 over whatever is there, without a guard, and remembers what that was."""

    def __init__(self, url, backend, payload, *, saves):
        # Without a pool, from which another test would get a connection that has no patience.
        self._engine, self._saves = sa.create_engine(url, poolclass=sa.NullPool), saves
        self._new = {"schema_version": 4, "payload": payload}
        self._patience = NO_PATIENCE[backend.name]
        self.overwrote: dict[str, Any] | None = None
        self.row: dict[str, Any] | None = None

    def write(self):
        """Save, backfill or add the session; one that somebody holds is left for later."""
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql(self._patience)
                connection.commit()
                with connection.begin():
                    self._write(connection)
        except sa.exc.OperationalError:
            self.overwrote = self.row = None

    def _write(self, connection):
        mine = session_metadata.c.session_id == ADDED["session_id"]
        found = connection.execute(sa.select(session_metadata).where(mine).with_for_update()).one_or_none()
        if found is None:
            self.row = ADDED | self._new
            connection.execute(session_metadata.insert(), self.row)
        else:
            self.overwrote = dict(found._mapping)
            self.row = self.overwrote | self._new
            self.row["lock_version"] += self._saves
            connection.execute(session_metadata.update().where(mine).values(self.row))


@dataclass(frozen=True)
class Operation:
    """What is put into the tables, what is then called, how it is refused, and what it archives when it is not."""

    prepare: Callable[..., Any]
    call: Callable[..., Any]
    refused: type[RekindleError] | None = NewerSchemaError
    archives: int = 1


def free(world):
    return world.new_metadata()


def outdated(world):
    world.rows.insert("session-1", world.documents.outdated, 1)
    return world.rival.load("session-1")


def current(world):
    return world.rival.add("session-1", world.new_metadata())


def saved(world):
    world.rival.save(outdated(world))


def backfilled(world):
    outdated(world)
    backfill.run(world.engine)


def bad(world):
    world.rows.insert("session-1", BAD, 1)


def listed(world):
    outdated(world)
    world.rows.quarantine("session-1")


OF_STORES = {
    "save of an outdated row": Operation(outdated, lambda store, record: store.save(record)),
    "save of a current row": Operation(current, lambda store, record: store.save(record), archives=0),
    "update": Operation(outdated, lambda store, _: store.update("session-1", lambda _: None)),
    "delete of a record": Operation(outdated, lambda store, record: store.delete(record), archives=0),
    "add": Operation(free, lambda store, metadata: store.add("session-1", metadata), SessionExistsError, 0),
    "import": Operation(free, lambda store, _: store.import_document("session-1", GOOD), SessionExistsError, 0),
    "import of a session that is here": Operation(
        outdated, lambda store, _: store.import_document("session-1", GOOD), SessionExistsError, 0
    ),
    "restore": Operation(saved, lambda store, _: archive_of(store).restore("session-1")),
}
OF_ENGINES = {
    "backfill": Operation(outdated, lambda engine, _: backfill.run(engine), None),
    "backfill of a bad row": Operation(bad, lambda engine, _: backfill.run(engine), None, 0),
    "undo": Operation(backfilled, lambda engine, _: backfill.undo(engine, 3, since=LONG_AGO), None),
    "quarantine retry": Operation(listed, lambda engine, _: quarantine.retry(engine), None),
    "quarantine retry of one": Operation(listed, lambda engine, _: quarantine.retry(engine, "session-1"), None),
}


def archive_of(store):
    """The archive of a store of either colour."""
    return store.archive if not hasattr(store, "target") else type(store)(store.archive, store._runner)


@pytest.fixture
def world(rows, rival, documents, new_metadata, engine):
    """What an operation is prepared with."""

    return SimpleNamespace(rows=rows, rival=rival, documents=documents, new_metadata=new_metadata, engine=engine)


@pytest.fixture(params=[True, False], ids=["saves", "backfills"])
def at_every_moment(request, database_url, backend, world, right_before_statement):
    """Have an operation interrupted by a later release right before its first statement, its second, and so on."""

    def interrupt(operation, target):
        for number in range(1, MANY):
            if world.rows.read("session-1"):
                world.rival.delete("session-1")
            argument = operation.prepare(world)
            before, kept = world.rows.read("session-1"), world.rows.archived("session-1")
            later = LaterRelease(database_url, backend, world.documents.newer, saves=request.param)
            error = None
            with right_before_statement(number, later.write) as happened:
                try:
                    operation.call(target, argument)
                except RekindleError as refused:
                    error = refused
            if later.row is None:
                later.write()

            check(world, operation, later, before, kept, error)
            if not happened:
                assert error is None or type(error) is SessionExistsError
                return number - 1
        raise AssertionError("there is no end of its statements")

    return interrupt


def check(world, operation, later, before, kept, error):
    """The newer row stands as it was written, and what was done before it is done in whole or not at all."""
    was_done = later.overwrote != before
    payloads = [entry["payload"] for entry in world.rows.archived("session-1")]
    originals = [before["payload"]] * operation.archives if was_done and before else []
    was_deleted = was_done and later.overwrote is None

    assert world.rows.read("session-1") == later.row
    assert payloads == ([] if was_deleted else [*(entry["payload"] for entry in kept), *originals])
    assert error is None or (type(error) is operation.refused and not was_done)
    assert not originals or world.rows.count()["quarantine"] == 0


@pytest.mark.parametrize("operation", OF_STORES.values(), ids=OF_STORES.keys())
def test_no_call_of_a_store_overwrites_a_newer_row(at_every_moment, store, operation):
    """Whenever the later release writes, its row stays as it is, and the call is refused or was done before it."""
    moments = at_every_moment(operation, store)

    assert moments >= 1


@pytest.mark.parametrize("operation", OF_ENGINES.values(), ids=OF_ENGINES.keys())
def test_no_bulk_rewrite_overwrites_a_newer_row(at_every_moment, engine, operation):
    """Nor does a backfill, or a retry, whether its row converts or not."""
    moments = at_every_moment(operation, engine)

    assert moments >= 3
