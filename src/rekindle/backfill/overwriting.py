"""
Overwriting many rows at once, each only as it was seen.

On MariaDB the driver would send one statement for each row, while all of them are locked; there the rows go as a table
of values that is joined, so that a batch is one statement and is locked for a fifth of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from sqlalchemy import Connection, Update, bindparam, literal_column, update

from rekindle.backfill.conversion import Converted
from rekindle.execution import write_many
from rekindle.statements import FILTERS
from rekindle.tables import session_metadata as t

_SEEN = ("_session_id", "_lock_version", "_schema_version")
_NEW = ("schema_version", "payload", *FILTERS)
_CHARACTERS = 250_000
"""Of payloads in one statement, which MariaDB bounds."""


def overwrite(connection: Connection, ready: Sequence[Converted], *, next_lock: bool) -> int:
    """Give rows their new columns, and the next lock version if asked to; return how many were still as seen."""
    if connection.dialect.name in {"mysql", "mariadb"}:
        return sum(_joined(connection, each, next_lock) for each in _bounded(ready))
    return write_many(connection, overwriting(next_lock), [{**each.seen, **each.columns} for each in ready])


@cache
def overwriting(next_lock: bool) -> Update:
    """Overwrite one row, at the versions that were seen: so never one saved since, and never one of a later release."""
    seen = [t.c[name.removeprefix("_")] == bindparam(name) for name in _SEEN]
    statement = update(t).where(*seen).values({name: bindparam(name) for name in _NEW})
    return statement.values(lock_version=t.c.lock_version + literal_column("1")) if next_lock else statement


def _joined(connection: Connection, ready: Sequence[Converted], next_lock: bool) -> int:
    values: list[object] = []
    for each in ready:
        values += [each.seen[name] for name in _SEEN]
        values += [each.columns[name] for name in _NEW]
    return connection.exec_driver_sql(_joining(len(ready), next_lock), tuple(values)).rowcount


@cache
def _joining(rows: int, next_lock: bool) -> str:
    names = (*_SEEN, *_NEW)
    first = "SELECT " + ", ".join(f"%s AS {name}" for name in names)
    others = " UNION ALL SELECT " + ", ".join(["%s"] * len(names))
    new = [f"t.{name} = new.{name}" for name in _NEW] + ["t.lock_version = t.lock_version + 1"] * next_lock
    # The order and the index are forced, for in a small table the planner would rather read, and lock, all of it.
    return (
        f"UPDATE ({first}{others * (rows - 1)}) AS new "  # noqa: S608 - the names are ours, and the values bound
        f"STRAIGHT_JOIN {t.name} AS t FORCE INDEX (PRIMARY) "
        "ON t.session_id = CONVERT(new._session_id USING utf8mb4) COLLATE utf8mb4_nopad_bin "
        "AND t.lock_version = new._lock_version AND t.schema_version = new._schema_version "
        f"SET {', '.join(new)}"
    )


def _bounded(ready: Sequence[Converted]) -> Iterator[Sequence[Converted]]:
    begun = characters = 0
    for place, each in enumerate(ready):
        characters += len(each.columns["payload"])
        if characters > _CHARACTERS and place > begun:
            yield ready[begun:place]
            begun, characters = place, len(each.columns["payload"])
    yield ready[begun:]
