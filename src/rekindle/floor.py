"""
The floor: from which schema version on the old steps are still needed, and what keeps them.

The number in a row may lie: releases stamped 2 on documents of every shape, so that any outdated row may need any step.
A step can therefore be retired only when no row is outdated at all; and when no original, which `rekindle archive
restore` would put back, is from before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, literal, select

from rekindle.counting import Count, rows_by_schema_version
from rekindle.schema import CURRENT, VERSIONS
from rekindle.tables import session_metadata_archive as archive
from rekindle.tables import session_metadata_quarantine as quarantine


@dataclass(frozen=True, slots=True)
class StepInUse:
    """The step from one schema version to the next, and why it cannot be retired; no reasons, and it can."""

    from_version: int
    to_version: int
    reasons: tuple[str, ...]


def floor(connection: Connection) -> list[StepInUse]:
    """Say of each step whether it could be retired, and why not."""
    outdated = rows_by_schema_version(connection, CURRENT)
    listed = connection.execute(select(func.count()).select_from(quarantine)).scalar_one()
    by_rows = [f"{count} rows are at schema version {version}" for version, count in outdated.items()]
    if by_rows:
        by_rows.append("the number in a row may lie, so any of them may need it; run `rekindle backfill`")
    if listed:
        by_rows.append(f"{Count(listed)} rows are in the quarantine; see `rekindle quarantine list`")
    return [
        StepInUse(version, version + 1, (*by_rows, *_by_archive(connection, version)))
        for version in VERSIONS
        if version < CURRENT
    ]


def _by_archive(connection: Connection, version: int) -> list[str]:
    kept = select(literal(1)).select_from(archive).where(archive.c.schema_version <= version).limit(1)
    if connection.execute(kept).scalar() is None:
        return []
    return [f"the archive keeps originals of schema version {version} or below; see `rekindle archive prune`"]
