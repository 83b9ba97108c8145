"""
How many rows there are at which schema version, without going through a huge table.

Exact as long as that is cheap; above it the planner's estimate, and the word for that is "about".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal, select

from rekindle.tables import session_metadata as t

EXACT_UP_TO = 100_000
ABOVE_ALL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Count:
    """A number of rows, and whether it is exact."""

    rows: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{self.rows:,}" if self.exact else f"about {self.rows:,}"


def rows_by_schema_version(connection: Connection, below: int = ABOVE_ALL) -> dict[int, Count]:
    """Count the rows of each stored schema version below one, lowest first; versions are found by the index."""
    found = {version: _bounded(connection, version) for version in versions_below(connection, below)}
    huge = {version: _estimated(connection, version) for version, count in found.items() if not count.exact}
    if not huge:
        return found
    # MariaDB never estimates more than half of the table for one version, so the estimates share what is left of it.
    total = _estimated(connection, None)
    if below == ABOVE_ALL and total:
        left = total - sum(count.rows for count in found.values() if count.exact)
        share = max(left, 0) / (sum(huge.values()) or 1)
        huge = {version: round(rows * share) for version, rows in huge.items()}
    return {version: Count(max(huge[version], count.rows), False) if version in huge else count
            for version, count in found.items()}  # fmt: skip


def _bounded(connection: Connection, version: int) -> Count:
    # SQLite's planner knows no numbers, and its files are not that large.
    exact = connection.dialect.name == "sqlite"
    rows = connection.execute(_count(bounded=not exact), {"_v": version, "_rows": EXACT_UP_TO + 1}).scalar_one()
    return Count(rows, exact or rows <= EXACT_UP_TO)


@cache
def _count(*, bounded: bool) -> Select[Any]:
    rows = select(literal(1).label("one")).select_from(t).where(t.c.schema_version == bindparam("_v"))
    return select(func.count()).select_from((rows.limit(bindparam("_rows")) if bounded else rows).subquery())


def _estimated(connection: Connection, version: int | None) -> int:
    return estimated_rows(connection, t.name, "" if version is None else f"schema_version = {version:d}")


def estimated_rows(connection: Connection, table: str, condition: str = "") -> int:
    """Ask the planner of PostgreSQL or MariaDB how many rows it expects; table and condition are ours, and trusted."""
    query = f"SELECT 1 FROM {table}{f' WHERE {condition}' if condition else ''}"  # noqa: S608 - see above
    if connection.dialect.name == "postgresql":
        plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {query}").scalar_one()
        plan = json.loads(plan) if isinstance(plan, str) else plan
        return int(plan[0]["Plan"]["Plan Rows"])
    return int(connection.exec_driver_sql(f"EXPLAIN {query}").one().rows or 0)


def versions_below(connection: Connection, to_version: int, above: int | None = None) -> Iterator[int]:
    """Yield the stored schema versions below one, and above another, lowest first: one look into the index each."""
    version = above
    while True:
        statement = _LOWEST if version is None else _NEXT
        version = connection.execute(statement, {"_v": version} if version is not None else {}).scalar()
        if version is None or version >= to_version:
            return
        yield version


_LOWEST = select(t.c.schema_version).order_by(t.c.schema_version).limit(1)
_NEXT = _LOWEST.where(t.c.schema_version > bindparam("_v"))
