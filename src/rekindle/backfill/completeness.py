"""
Whether anything is left for a backfill to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal, select

from rekindle.backfill.errors import BackfillIncompleteError
from rekindle.schema import CURRENT
from rekindle.tables import session_metadata as t
from rekindle.tables import session_metadata_quarantine as q

COUNTED = 1_000
"""Rows that are left are counted up to here; it takes no more to know that there are some."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left: rows below a schema version, counted up to COUNTED, and rows in the quarantine."""

    outdated: int
    quarantined: int

    @property
    def at_least(self) -> bool:
        """Whether there are more outdated rows than were counted."""
        return self.outdated > COUNTED

    @property
    def is_none(self) -> bool:
        """Whether nothing is left."""
        return not (self.outdated or self.quarantined)


def remaining(connection: Connection, below: int = CURRENT, realm: str | None = None) -> Remaining:
    """Count what is left below a schema version, and in the quarantine."""
    parameters = {"_below": below, "_rows": COUNTED + 1, **({} if realm is None else {"_realm": realm})}
    outdated = connection.execute(_outdated(realm is not None), parameters).scalar_one()
    listed: Select[Any] = select(func.count()).select_from(q)
    listed = listed if realm is None else listed.where(q.c.realm == realm)
    return Remaining(int(outdated), int(connection.execute(listed).scalar_one()))


def ensure(connection: Connection, schema_version: int = CURRENT) -> None:
    """
    Raise BackfillIncompleteError while a row is below this schema version, or in the quarantine.

    For start-up code, and for your own alembic revisions: `ensure(op.get_bind(), 3)`.
    """
    left = remaining(connection, schema_version)
    if not left.is_none:
        raise BackfillIncompleteError(
            schema_version, min(left.outdated, COUNTED), left.quarantined, at_least=left.at_least
        )


def _outdated(scoped: bool) -> Select[Any]:
    rows = select(literal(1).label("one")).select_from(t).where(t.c.schema_version < bindparam("_below"))
    rows = rows.where(t.c.realm == bindparam("_realm")) if scoped else rows
    return select(func.count()).select_from(rows.limit(bindparam("_rows")).subquery())
