"""
What is a realm's: the rows that somebody who is bound to one realm may know of.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, exists

from rekindle.tables import session_metadata as t


def of_realm(table: Table, realm: Any) -> list[ColumnElement[bool]]:
    """
    Say which rows of a table are a realm's, given as a value or a parameter.

    What the archive or the quarantine has of a session is its realm's only as long as the session is: of one that was
    moved it is neither the old realm's any more nor the new one's.
    """
    mine: list[ColumnElement[bool]] = [table.c.realm == realm]
    if table is not t:
        owned = exists().where(t.c.session_id == table.c.session_id, t.c.realm == realm)
        mine.append(owned.correlate(table))  # and not with the sessions that a statement may join
    return mine
