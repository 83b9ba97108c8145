"""
Undoing a wrong step: the rows that a backfill rewrote get their originals back.

A row goes back when nobody has saved it since: when it is at the lock version, and of the time, at which its original
was overwritten. All others are named and left alone. What is overwritten goes into the archive in its turn, and the row
gets the next lock version, so that what a client made of the wrong document is stale.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import groupby
from operator import attrgetter
from time import perf_counter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Select, bindparam, select
from sqlalchemy.exc import DBAPIError

from rekindle.archive import as_it_was, replaced
from rekindle.backfill.batches import COLUMNS, MissedError, boundary, locked, rewrite
from rekindle.backfill.conversion import Converted, reason
from rekindle.backfill.pace import BatchSize
from rekindle.bulk import capabilities, connected, gave_up, write_transaction
from rekindle.counting import ABOVE_ALL, versions_below
from rekindle.engine import translated
from rekindle.errors import NewerSchemaError, SchemaError
from rekindle.revision import require_revision
from rekindle.rewriting import archive_entry, seen_of
from rekindle.schema import CURRENT
from rekindle.tables import session_metadata as t
from rekindle.tables import session_metadata_archive as a
from rekindle.tables import session_metadata_quarantine as q

STRETCH = 1_000
"""Rows of the index that are looked through at once."""

ROUNDS = 6
"""How often rows that others hold are tried again, each time after a longer wait."""

LEFT = {
    "saved since": "somebody has saved it after it was rewritten",
    "rewritten since": "it is at a higher schema version by now",
    "other realm": "its original is of another realm than the one asked for",
    "unreadable": "its original does not load with the steps of this release",
    "in use": "another transaction holds it; run this again",
}
"""Why a row that was rewritten is left alone."""


class Left(NamedTuple):
    """A row that was rewritten and does not go back: why, in a word, and details without a value of the document."""

    session_id: str
    why: str
    detail: str


@dataclass(slots=True)
class Undone:
    """How many rows were looked at and put back, and how many left alone, by why."""

    looked_at: int = 0
    restored: int = 0
    left: Counter[str] = field(default_factory=Counter)
    stopped: bool = False


def undo(
    engine: Engine,
    schema_version: int,
    since: datetime,
    *,
    realm: str | None = None,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    on_left: Callable[[Left], object] = lambda _: None,
    on_batch: Callable[[Undone], object] = lambda _: None,
) -> Undone:
    """
    Give rows at a schema version the originals back that they were rewritten from at or after `since`.

    Of several rewrites since then the first counts: a row becomes what it was. Can be stopped behind any batch, run by
    any number of processes at once, and run again. Raises NewerSchemaError for a schema version of a later release,
    DatabaseRevisionError and DatabaseUnavailableError.
    """
    if since.tzinfo is None:
        raise ValueError("a naive datetime names no moment; use datetime.now(UTC)")
    if schema_version > CURRENT:
        raise NewerSchemaError(schema_version, CURRENT)
    with translated(engine.url), connected(engine) as connection:
        require_revision(connection)
        known = capabilities(connection.dialect.name)
        size = BatchSize(known.batch_seconds, known.smallest_batch, known.smallest_batch, known.largest_batch)
        scope = {"_since": since, "_below": schema_version, **({} if realm is None else {"_realm": realm})}
        undoing = _Undoing(
            connection, schema_version, scope, size, dry_run, stop or threading.Event(), on_left, on_batch
        )
        return undoing.go()


@dataclass(slots=True)
class _Undoing:
    connection: Connection
    schema_version: int
    scope: dict[str, Any]
    size: BatchSize
    dry_run: bool
    stop: threading.Event
    on_left: Callable[[Left], object]
    on_batch: Callable[[Undone], object]
    done: Undone = field(default_factory=Undone)
    _missed: list[str] = field(default_factory=list)

    def go(self) -> Undone:
        for version in versions_below(self.connection, ABOVE_ALL, above=self.schema_version - 1):
            self._walk(version)
        for round_ in range(ROUNDS):
            if not self._missed or self.stop.wait(0.1 * 2**round_):
                break
            self._again()
        for session_id in self._missed:
            self._leave(Left(session_id, "in use", LEFT["in use"]))
        self.done.stopped = self.stop.is_set()
        return self.done

    def _walk(self, version: int) -> None:
        """Take one stretch of the index after the other, most of which may hold nothing that was rewritten."""
        scoped = "_realm" in self.scope
        realm = {"_realm": self.scope["_realm"]} if scoped else {}
        after: str | None = ""
        while after is not None and not self.stop.is_set():
            place = {"_v": version, "_after": after}
            upto = self.connection.execute(boundary(scoped), {**realm, **place, "_skip": STRETCH - 1}).scalar()
            place |= {} if upto is None else {"_upto": upto}
            rows = self.connection.execute(rewritten(scoped, upto is not None), {**self.scope, **place}).all()
            self._take(rows)
            self.done.looked_at += STRETCH if upto is not None else len({row.session_id for row in rows})
            self.on_batch(self.done)
            after = upto

    def _again(self) -> None:
        ids, self._missed = self._missed, []
        for start in range(0, len(ids), STRETCH):
            place = {**self.scope, "_v": self.schema_version, "_ids": ids[start : start + STRETCH]}
            self._take(self.connection.execute(rewritten_of("_realm" in self.scope), place).all())

    def _take(self, rows: Sequence[Any]) -> None:
        ready: list[Converted] = []
        for _, of_row in groupby(rows, attrgetter("session_id")):
            found = self._decide(list(of_row))
            if isinstance(found, Left):
                self._leave(found)
            else:
                ready.append(found)
        if self.dry_run:
            self.done.restored += len(ready)
            return
        listed = {row.session_id for row in rows if row.failed_at_lock is not None}
        while ready and not self.stop.is_set():
            batch, ready = ready[: self.size.rows], ready[self.size.rows :]
            begun = perf_counter()
            self._write(batch, listed)
            self.size.finished(len(batch), perf_counter() - begun)

    def _decide(self, found: Sequence[Any]) -> Converted | Left:
        """Say what becomes of a row, given it with each of its originals since, oldest first."""
        row = found[0]
        if row.schema_version != self.schema_version:
            return Left(row.session_id, "rewritten since", f"it is at schema version {row.schema_version}")
        as_now = (row.lock_version, row.updated_at)
        original = next((each for each in found if (each.lock_before, each.time_before) == as_now), None)
        if original is None:
            return Left(row.session_id, "saved since", f"it is at lock version {row.lock_version}")
        try:
            encoded, metadata, _ = as_it_was(original.payload_before, original.schema_before, row.session_id)
        except SchemaError as error:
            return Left(row.session_id, "unreadable", reason(error))
        if self.scope.get("_realm", encoded.realm) != encoded.realm:
            return Left(row.session_id, "other realm", LEFT["other realm"])
        seen = seen_of(row)
        return Converted(seen, encoded._asdict(), archive_entry(seen, row, replaced(row, metadata)))

    def _leave(self, left: Left) -> None:
        self.done.left[left.why] += 1
        self.on_left(left)

    def _write(self, batch: Sequence[Converted], listed: set[str]) -> None:
        written: list[Converted] = []
        try:
            with write_transaction(self.connection):
                written = locked(self.connection, batch)
                rewrite(self.connection, written, listed, next_lock=True)
        except (DBAPIError, MissedError) as error:
            if isinstance(error, DBAPIError) and not gave_up(error):
                raise
            written = []
            self.size.timed_out()
        done = {each.seen["_session_id"] for each in written}
        self.done.restored += len(done)
        self._missed += [each.seen["_session_id"] for each in batch if each.seen["_session_id"] not in done]


# --- statements -----------------------------------------------------------------------------------------------------


@cache
def rewritten(scoped: bool, bounded: bool) -> Select[Any]:
    """Read a stretch of rows with each of the originals that they were rewritten from since, oldest first."""
    # Said of both tables, so that no plan goes through the whole archive for one stretch.
    ids = (t.c.session_id, a.c.session_id)
    place = [each > bindparam("_after") for each in ids]
    if bounded:
        place += [each <= bindparam("_upto") for each in ids]
    return _rewritten(scoped).where(*place)


@cache
def rewritten_of(scoped: bool) -> Select[Any]:
    """Read the same of rows by id."""
    return _rewritten(scoped).where(t.c.session_id.in_(bindparam("_ids", expanding=True)))


def _rewritten(scoped: bool) -> Select[Any]:
    before = (
        a.c.lock_version.label("lock_before"), a.c.schema_version.label("schema_before"),
        a.c.payload.label("payload_before"), a.c.updated_at.label("time_before"),
    )  # fmt: skip
    since = bindparam("_since", type_=a.c.archived_at.type)
    return (
        select(*COLUMNS, *before)
        .join(a, a.c.session_id == t.c.session_id)
        .outerjoin(q, q.c.session_id == t.c.session_id)
        .where(t.c.schema_version == bindparam("_v"), a.c.archived_at >= since)
        .where(a.c.schema_version < bindparam("_below"), *([t.c.realm == bindparam("_realm")] if scoped else []))
        .order_by(t.c.session_id, a.c.lock_version, a.c.schema_version)
    )
