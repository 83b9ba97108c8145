"""`rekindle status`: what the database holds."""

from __future__ import annotations

from typing import Any

import click

from rekindle.cli.command import Command, connected, json_option, realm_option, url_option
from rekindle.cli.output import bar, facts, table, write, write_json
from rekindle.engine import redacted
from rekindle.orm import DATABASE_REVISION
from rekindle.schema import CURRENT
from rekindle.statistics import Statistics, read


@click.command(
    cls=Command, examples=["rekindle status --url sqlite:///agents.db", "rekindle status --json | jq .outdated"]
)
@url_option
@realm_option
@json_option
def status(url: str, realm: str | None, as_json: bool) -> None:
    """
    Count rows per schema version, and what is kept.

    Outdated rows, those of a later release, quarantined ones, and the originals in the archive.
    """
    with connected(url, realm) as connection:
        statistics = read(connection, realm)
    if as_json:
        write_json({"url": redacted(url), "realm": realm, **as_document(statistics)})
        return
    write(facts(_database(url, realm, statistics)))
    if statistics.total:
        write(f"\n{versions(statistics)}")
    write(f"\n{facts(_totals(statistics))}")


def versions(statistics: Statistics, indent: int = 0) -> str:
    """Lay out the rows per schema version, the newest first."""
    rows = []
    for version, count in sorted(statistics.rows_by_schema_version.items(), reverse=True):
        share = count / statistics.total
        rows.append((str(version), f"{count:,}", f"{share:.1%}", _state(version), bar(share)))
    headers = ("schema version", "rows", "share", "", "")
    return table(headers, rows, right=headers[:3], indent=indent)


def as_document(statistics: Statistics) -> dict[str, Any]:
    """Make the statistics a JSON object."""
    return {
        "schema_version": CURRENT,
        "database_revision": {"found": statistics.database_revision, "expected": DATABASE_REVISION},
        "rows": statistics.total,
        "rows_by_schema_version": dict(statistics.rows_by_schema_version),
        "outdated": statistics.outdated,
        "newer": statistics.newer,
        "quarantined": statistics.quarantined,
        "archived_rows": statistics.archived_rows,
        "archived_bytes": statistics.archived_bytes,
    }


def _state(version: int) -> str:
    if version == CURRENT:
        return "current"
    return "outdated" if version < CURRENT else "newer"


def _database(url: str, realm: str | None, statistics: Statistics) -> list[tuple[str, str]]:
    return [
        ("database", redacted(url)),
        *([] if realm is None else [("realm", realm)]),
        ("database revision", f"{statistics.database_revision}, the one this release works with"),
        ("schema version", f"{CURRENT}, the one this release writes"),
    ]


def _totals(statistics: Statistics) -> list[tuple[str, str]]:
    def counted(count: int, meaning: str) -> str:
        return f"{count:,}: {meaning}" if count else "0"

    return [
        ("rows", f"{statistics.total:,}"),
        ("outdated", counted(statistics.outdated, "upcast whenever they are loaded, rewritten when next saved")),
        ("newer", counted(statistics.newer, "written by a later release; upgrade rekindle to read them")),
        ("quarantined", counted(statistics.quarantined, "they could not be upcast, and are kept as they are")),
        ("archived originals", f"{statistics.archived_rows:,} ({statistics.archived_bytes:,} bytes)"),
    ]
