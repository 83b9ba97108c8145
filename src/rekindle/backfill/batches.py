"""
One batch of a bulk rewrite: read, decide, write.

Read and decided outside of any transaction, so that no row is locked while Python is at work. The write then locks the
rows that nobody else holds and leaves alone what has moved since; the guard in the statement holds without the locks,
as save()'s does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from time import perf_counter
from typing import Any, TypeVar

from sqlalchemy import Connection, Insert, Select, bindparam, delete, literal_column, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from rekindle.backfill.conversion import Converted, Failed, convert, failed
from rekindle.backfill.overwriting import overwrite
from rekindle.bulk import capabilities, gave_up, write_transaction
from rekindle.originals import keep
from rekindle.tables import session_metadata as t
from rekindle.tables import session_metadata_quarantine as q

_RELEASE = delete(q).where(q.c.session_id == bindparam("_session_id"))
_VERSIONS = select(t.c.session_id, t.c.lock_version, t.c.schema_version).where(
    t.c.session_id.in_(bindparam("_session_ids", expanding=True))
)
_LOCK = _VERSIONS.with_for_update(skip_locked=True)
COLUMNS = (
    t.c.session_id, t.c.schema_version, t.c.lock_version, t.c.payload, t.c.realm, t.c.updated_at,
    q.c.lock_version.label("failed_at_lock"), q.c.schema_version.label("failed_at_schema"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the index (schema_version, session_id): behind `after`, up to and with `upto`, `rows` at most."""

    schema_version: int
    after: str
    upto: str | None
    rows: int
    realm: str | None = None


@dataclass(slots=True)
class Outcome:
    """What became of the rows of a batch, or of many."""

    converted: int = 0
    left_to_client: int = 0
    """Saved or deleted by somebody between our read and our write: theirs counts."""
    taken: int = 0
    """Rewritten meanwhile by another worker."""
    locked: int = 0
    """Held by another transaction; they come back."""
    quarantined: int = 0
    known: int = 0
    """In the quarantine as they stand, since an earlier run; not tried again."""
    timed_out: int = 0
    transactions: int = 0
    seconds: float = 0.0
    """How long rows were locked, which is what others may notice."""
    failures: list[Failed] = field(default_factory=list)

    @property
    def looked_at(self) -> int:
        """All rows of it."""
        return self.converted + self.left_to_client + self.taken + self.locked + self.quarantined + self.known

    @property
    def settled(self) -> int:
        """Those that do not come back in this run."""
        return self.converted + self.left_to_client + self.taken + self.quarantined

    def add(self, other: Outcome) -> None:
        """Add the numbers of a batch, and keep its first failures as examples."""
        for each in fields(self):
            if each.name != "failures":
                setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        self.failures += other.failures[: max(0, 10 - len(self.failures))]


@dataclass(frozen=True, slots=True)
class Job:
    """What is done with each batch."""

    to_version: int
    dry_run: bool = False


def run_batch(connection: Connection, stretch: Stretch, job: Job) -> Outcome:
    """Read, convert and rewrite one stretch, in a transaction of its own."""
    parameters = {"_v": stretch.schema_version, "_after": stretch.after, "_rows": stretch.rows}
    if stretch.upto is not None:
        parameters["_upto"] = stretch.upto
    if stretch.realm is not None:
        parameters["_realm"] = stretch.realm
    statement = reading(stretch.upto is not None, stretch.realm is not None)
    rows = connection.execute(statement, parameters).all()
    fresh = [row for row in rows if not _is_known(row)]
    outcome = process(connection, fresh, job)
    outcome.known += len(rows) - len(fresh)
    return outcome


def process(connection: Connection, rows: Sequence[Any], job: Job) -> Outcome:
    """Convert these rows and write what came of it."""
    decided = [convert(row, job.to_version) for row in rows]
    if job.dry_run:
        failures = [each for each in decided if isinstance(each, Failed)]
        return Outcome(converted=len(decided) - len(failures), quarantined=len(failures), failures=failures)
    listed = {row.session_id for row in rows if row.failed_at_lock is not None}
    outcome = Outcome()
    if decided:
        by_key = dict(zip(_keys(decided), rows, strict=True))
        looks_first = capabilities(connection.dialect.name).locks_rows
        _Writer(connection, job, listed, by_key, outcome, looks_first).write(decided)
    return outcome


def _keys(decided: Sequence[Converted | Failed]) -> list[str]:
    return [each.seen["_session_id"] for each in decided]


def release(connection: Connection, session_ids: Sequence[str]) -> None:
    """Take sessions off the list of the quarantine."""
    connection.execute(_RELEASE, [{"_session_id": session_id} for session_id in session_ids])


def _is_known(row: Any) -> bool:
    return (row.failed_at_lock, row.failed_at_schema) == (row.lock_version, row.schema_version)


class MissedError(Exception):
    """The guard found a row changed although it was locked: the cluster does not share its locks."""


@dataclass(slots=True)
class _Writer:
    connection: Connection
    job: Job
    listed: set[str]
    rows: dict[str, Any]
    outcome: Outcome
    looks_first: bool

    def write(self, decided: Sequence[Converted | Failed]) -> None:
        """Write in one transaction; what the database will not take is halved until the row is found."""
        try:
            with write_transaction(self.connection):
                begun = perf_counter()
                ready = locked(self.connection, decided) if self._is_to_look(decided) else decided
                converted = [each for each in ready if isinstance(each, Converted)]
                rewrite(self.connection, converted, self.listed)
                self._quarantine([each for each in ready if isinstance(each, Failed)])
        except (DBAPIError, MissedError) as error:
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise
            if isinstance(error, MissedError) and not self._is_to_look(decided):
                self.looks_first = True
                self.write(decided)
            else:
                self._fewer(decided, error)
            return
        self.outcome.transactions += 1
        self.outcome.seconds += perf_counter() - begun
        self._count(ready)
        written = {id(each) for each in ready}
        self._explain([each for each in decided if id(each) not in written])

    def _is_to_look(self, decided: Sequence[Converted | Failed]) -> bool:
        """Where no single row can be locked, the guard says it all; an entry in the quarantine has none."""
        return self.looks_first or any(isinstance(each, Failed) for each in decided)

    def _quarantine(self, bad: Sequence[Failed]) -> None:
        if bad:
            self.connection.execute(entering(self.connection.dialect.name), [each.entry() for each in bad])

    def _fewer(self, decided: Sequence[Converted | Failed], error: Exception) -> None:
        timed_out = isinstance(error, DBAPIError) and gave_up(error)
        self.outcome.timed_out += timed_out
        if len(decided) > 1:
            half = len(decided) // 2
            self.write(decided[:half])
            self.write(decided[half:])
        elif timed_out or isinstance(error, MissedError):
            self.outcome.locked += 1
        elif isinstance(decided[0], Converted):
            self.write([failed(self.rows[_keys(decided)[0]], "store", error)])
        else:
            raise error

    def _count(self, ready: Sequence[Converted | Failed]) -> None:
        bad = [each for each in ready if isinstance(each, Failed)]
        self.outcome.converted += len(ready) - len(bad)
        self.outcome.quarantined += len(bad)
        self.outcome.failures += bad

    def _explain(self, left: Sequence[Converted | Failed]) -> None:
        """Say of each row that was left alone whose it is now."""
        now = _versions(self.connection, _VERSIONS, _keys(left)) if left else {}
        for each in left:
            lock_version, schema_version = _seen_at(each)
            found = now.get(each.seen["_session_id"])
            if found == (lock_version, schema_version):
                self.outcome.locked += 1
            elif found is not None and found[0] == lock_version:
                self.outcome.taken += 1
            else:
                self.outcome.left_to_client += 1


_Decided = TypeVar("_Decided", Converted, Failed, Converted | Failed)


def locked(connection: Connection, decided: Sequence[_Decided]) -> list[_Decided]:
    """Lock what nobody else holds, and keep what is still as it was seen."""
    locking = _LOCK if capabilities(connection.dialect.name).locks_rows else _VERSIONS
    held = _versions(connection, locking, _keys(decided))
    return [each for each in decided if held.get(each.seen["_session_id"]) == _seen_at(each)]


def rewrite(connection: Connection, ready: Sequence[Converted], listed: set[str], *, next_lock: bool = False) -> None:
    """Overwrite rows as they were seen, keep what they held, and take those of `listed` off the quarantine's list."""
    if not ready:
        return
    if overwrite(connection, ready, next_lock=next_lock) != len(ready):
        raise MissedError
    keep(connection, [each.original for each in ready])
    if resolved := [key for key in _keys(ready) if key in listed]:
        release(connection, resolved)


def _seen_at(each: Converted | Failed) -> tuple[int, int]:
    return each.seen["_lock_version"], each.seen["_schema_version"]


_IDS_AT_ONCE = 1_000


def _versions(connection: Connection, statement: Select[Any], ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for start in range(0, len(ids), _IDS_AT_ONCE):
        parameters = {"_session_ids": ids[start : start + _IDS_AT_ONCE]}
        found |= {row[0]: (row[1], row[2]) for row in connection.execute(statement, parameters)}
    return found


# --- statements -----------------------------------------------------------------------------------------------------


@cache
def reading(bounded: bool, scoped: bool) -> Select[Any]:
    """Read a stretch, each row with the versions at which the quarantine lists it."""
    return (
        select(*COLUMNS)
        .outerjoin(q, q.c.session_id == t.c.session_id)
        .where(*_stretch(scoped), *([t.c.session_id <= bindparam("_upto")] if bounded else []))
        .order_by(t.c.session_id)
        .limit(bindparam("_rows"))
    )


@cache
def boundary(scoped: bool) -> Select[Any]:
    """Find the last id of a stretch of `_skip` + 1 rows, from the index alone."""
    return select(t.c.session_id).where(*_stretch(scoped)).order_by(t.c.session_id).limit(1).offset(bindparam("_skip"))


def _stretch(scoped: bool) -> list[Any]:
    realm = [t.c.realm == bindparam("_realm")] if scoped else []
    return [t.c.schema_version == bindparam("_v"), t.c.session_id > bindparam("_after"), *realm]


@cache
def listed_rows(only: bool) -> Select[Any]:
    """Read rows of the quarantine behind an id, or one of them, with what the sessions hold now (NULL without one)."""
    place = q.c.session_id == bindparam("_only") if only else q.c.session_id > bindparam("_after")
    return (
        select(q.c.session_id.label("listed_id"), *COLUMNS)
        .outerjoin(t, q.c.session_id == t.c.session_id)
        .where(place)
        .order_by(q.c.session_id)
        .limit(bindparam("_rows"))
    )


_LATEST = (
    "schema_version",
    "lock_version",
    "realm",
    "step",
    "error_class",
    "message",
    "payload_sha256",
    "last_seen_at",
)


@cache
def entering(dialect: str) -> Insert:
    """Put a row into the quarantine, or count one attempt more."""
    again: Callable[[Any], dict[str, Any]] = lambda new: {  # noqa: E731 - three dialects, one meaning
        "attempts": q.c.attempts + literal_column("1"), **{name: new[name] for name in _LATEST}
    }  # fmt: skip
    if dialect in {"mysql", "mariadb"}:
        entry = mysql.insert(q)
        return entry.on_duplicate_key_update(again(entry.inserted))
    insert = postgresql.insert(q) if dialect == "postgresql" else sqlite.insert(q)
    return insert.on_conflict_do_update(index_elements=["session_id"], set_=again(insert.excluded))
