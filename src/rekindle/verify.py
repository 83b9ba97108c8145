"""
Verify: read every row, or a sample, and say what is wrong. Nothing is written.

Goes through the tables in pages by their keys, so that memory stays flat and no transaction stays open.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic_core import from_json
from sqlalchemy import Connection, Select, bindparam, exists, select

from rekindle import codec
from rekindle.backfill.conversion import reason
from rekindle.errors import NewerSchemaError, SchemaError
from rekindle.realms import of_realm
from rekindle.schema import CURRENT, SessionMetadata
from rekindle.secret_guard import SecretGuard, find_secret
from rekindle.statements import FILTERS
from rekindle.tables import session_metadata as t
from rekindle.tables import session_metadata_archive as a
from rekindle.tables import session_metadata_quarantine as q

PAGE = 500
NAMED = 1_000
"""Ids that are kept of each kind of problem; all are counted."""

KINDS = {
    "unreadable": "the document does not load",
    "columns": "a column says something else than the document",
    "secret": "the document carries what looks like a credential",
    "archive digest": "an original in the archive is not what its digest says",
    "archive orphan": "an original in the archive is of a session that is not there",
    "quarantine stale": "the quarantine lists a row that is not there, or has been saved since",
}
"""What can be wrong, and what it means. A newer row is counted, and is no problem of the row."""


class Problem(NamedTuple):
    """One thing wrong: its kind, the session, and details without a value of the document."""

    kind: str
    session_id: str
    detail: str


@dataclass(slots=True)
class Verified:
    """What was looked at and what was found; `ids` names the first sessions of each kind."""

    rows: int = 0
    newer: int = 0
    archived: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    ids: dict[str, list[str]] = field(default_factory=dict)

    def note(self, problem: Problem) -> None:
        """Count a problem."""
        self.problems[problem.kind] += 1
        named = self.ids.setdefault(problem.kind, [])
        if len(named) < NAMED and (not named or named[-1] != problem.session_id):
            named.append(problem.session_id)


def verify(
    connection: Connection,
    *,
    realm: str | None = None,
    sample: float = 1.0,
    secret_guard: SecretGuard | None = find_secret,
    on_problem: Callable[[Problem], object] = lambda _: None,
    on_page: Callable[[Verified], object] = lambda _: None,
) -> Verified:
    """
    Look at all rows, or at a share of them chosen at random, and at what the archive and the quarantine keep.

    `on_problem` gets every problem as it is found. On a connection in AUTOCOMMIT each page is read by itself, so that
    the database need not keep old versions of rows alive for as long as it takes.
    """
    found = Verified()

    def noted(problems: Iterator[Problem]) -> None:
        for problem in problems:
            found.note(problem)
            on_problem(problem)
        on_page(found)

    for rows in _pages(connection, rows_page, realm, sample):
        noted(problem for row in rows for problem in _of_row(row, secret_guard, found))
    for rows in _pages(connection, archive_page, realm, sample):
        found.archived += len(rows)
        noted(problem for row in rows for problem in _of_original(row))
    for rows in _pages(connection, quarantine_page, realm, 1.0):
        noted(problem for row in rows for problem in _of_entry(row))
    return found


def _pages(
    connection: Connection, page: Callable[[bool, bool], Select[Any]], realm: str | None, share: float
) -> Iterator[Sequence[Any]]:
    """Yield pages by key; of a sample, whole rows at random, so that the payloads of the others are read past."""
    scope: dict[str, Any] = {} if realm is None else {"_realm": realm}
    place: dict[str, Any] = {}
    while True:
        rows = connection.execute(page(realm is not None, bool(place)), {**scope, **place}).all()
        yield rows if share >= 1 else [row for row in rows if random.random() < share]  # noqa: S311 - no secret
        if len(rows) < PAGE:
            return
        last = rows[-1]._asdict()
        place = {f"_{name}": last[name] for name in ("session_id", "lock_version", "schema_version")}


def _of_row(row: Any, guard: SecretGuard | None, found: Verified) -> Iterator[Problem]:
    found.rows += 1
    try:
        metadata = codec.decode(row.payload, row.schema_version).metadata
    except NewerSchemaError:
        found.newer += 1
        return
    except Exception as error:  # noqa: BLE001 - one bad row never hides the others
        detail = reason(error) if isinstance(error, SchemaError) else type(error).__name__
        yield Problem("unreadable", row.session_id, detail)
        return
    if wrong := _wrong_columns(row, metadata):
        yield Problem("columns", row.session_id, ", ".join(wrong))
    finding = None if guard is None else guard(from_json(row.payload, allow_inf_nan=True))
    if finding is not None:
        yield Problem("secret", row.session_id, f"{finding.kind} at {finding.path}")


_FIELDS = {name: "realm_id" if name == "realm" else name for name in FILTERS}


def _wrong_columns(row: Any, metadata: SessionMetadata) -> list[str]:
    """Name the columns that differ; those of an outdated row may also say what its document said in its own time."""
    stored: dict[str, Any] = from_json(row.payload) if row.schema_version < CURRENT else {}
    wrong = []
    for column, name in _FIELDS.items():
        value = getattr(row, column)
        now = getattr(metadata, name)
        if value != getattr(now, "value", now) and (name not in stored or value != stored[name]):
            wrong.append(column)
    return wrong


def _of_original(row: Any) -> Iterator[Problem]:
    where = f"lock version {row.lock_version}, schema version {row.schema_version}"
    if sha256(row.payload.encode(errors="surrogatepass")).hexdigest() != row.payload_sha256:
        yield Problem("archive digest", row.session_id, where)
    if not row.is_there:
        yield Problem("archive orphan", row.session_id, where)


def _of_entry(row: Any) -> Iterator[Problem]:
    if (row.lock_now, row.schema_now) != (row.lock_version, row.schema_version):
        yield Problem("quarantine stale", row.session_id, "take it off the list with `rekindle quarantine retry`")


# --- statements -----------------------------------------------------------------------------------------------------


@cache
def rows_page(scoped: bool, after: bool) -> Select[Any]:
    """Read sessions by id."""
    columns = (t.c.session_id, t.c.lock_version, t.c.schema_version, t.c.payload, *(t.c[name] for name in FILTERS))
    behind = [t.c.session_id > bindparam("_session_id")] if after else []
    return select(*columns).where(*_of_realm(t, scoped), *behind).order_by(t.c.session_id).limit(PAGE)


@cache
def archive_page(scoped: bool, after: bool) -> Select[Any]:
    """Read originals by key, and whether their sessions are there."""
    key = (a.c.session_id, a.c.lock_version, a.c.schema_version)
    there = exists().where(t.c.session_id == a.c.session_id).label("is_there")
    behind = []
    if after:
        session_id, lock, schema = (bindparam(f"_{column.name}", type_=column.type) for column in key)
        # Written out, for MariaDB does not walk an index by comparing a row with a row.
        same = (a.c.session_id > session_id) | (a.c.lock_version > lock)
        behind = [a.c.session_id >= session_id, same | ((a.c.lock_version == lock) & (a.c.schema_version > schema))]
    return (
        select(*key, a.c.payload, a.c.payload_sha256, there)
        .where(*_of_realm(a, scoped), *behind)
        .order_by(*key)
        .limit(PAGE)
    )


@cache
def quarantine_page(scoped: bool, after: bool) -> Select[Any]:
    """Read the quarantine by id, with the versions that the rows have now."""
    behind = [q.c.session_id > bindparam("_session_id")] if after else []
    now = (t.c.lock_version.label("lock_now"), t.c.schema_version.label("schema_now"))
    return (
        select(q.c.session_id, q.c.lock_version, q.c.schema_version, *now)
        .outerjoin(t, t.c.session_id == q.c.session_id)
        .where(*_of_realm(q, scoped), *behind)
        .order_by(q.c.session_id)
        .limit(PAGE)
    )


def _of_realm(table: Any, scoped: bool) -> list[Any]:
    return of_realm(table, bindparam("_realm")) if scoped else []
