"""`rekindle status`: what the database holds."""

from __future__ import annotations

from typing import Any

import click

from rekindle.backfill import runs, version_to_write
from rekindle.cli.backfill import as_document as run_document
from rekindle.cli.backfill import runs_table
from rekindle.cli.command import Command, connected, json_option, realm_option, url_option
from rekindle.cli.output import bar, facts, table, write, write_json
from rekindle.cli.prometheus import metrics
from rekindle.counting import Count
from rekindle.engine import redacted
from rekindle.schema import CURRENT
from rekindle.statistics import Statistics, read
from rekindle.tables import DATABASE_REVISION


@click.command(
    cls=Command,
    examples=[
        "rekindle status --url sqlite:///agents.db",
        "rekindle status --json | jq .outdated",
        "rekindle status --prometheus > rekindle.prom.$$ && mv rekindle.prom.$$ rekindle.prom",
    ],
)
@click.option("--prometheus", is_flag=True, help="Write metrics for a textfile collector instead of text.")
@url_option
@realm_option
@json_option
def status(url: str, realm: str | None, prometheus: bool, as_json: bool) -> None:
    """
    Count rows per schema version, and what is kept.

    Outdated rows, those of a later release, quarantined ones, the originals in the archive, and the latest runs of the
    backfill. In a huge table rows are not counted but estimated: then a number is "about".
    """
    if prometheus and as_json:
        raise click.UsageError("--prometheus and --json are two formats; choose one")
    with connected(url, realm) as connection:
        statistics, latest = read(connection, realm), runs.recent(connection, limit=5)
    if prometheus:
        write("\n".join(metrics(statistics, latest, realm)))
        return
    if as_json:
        document = {"write_version": version_to_write(), "backfill": [*map(run_document, latest)]}
        write_json({"url": redacted(url), "realm": realm, **as_document(statistics), **document})
        return
    write(facts(_database(url, realm, statistics)))
    if statistics.total:
        write(f"\n{versions(statistics)}")
    write(f"\n{facts(_totals(statistics))}")
    if latest:
        write(f"\n{runs_table(latest)}")


def versions(statistics: Statistics, indent: int = 0) -> str:
    """Lay out the rows per schema version, the newest first."""
    rows = []
    for version, count in sorted(statistics.rows_by_schema_version.items(), reverse=True):
        share = count / statistics.total
        shown = str(Count(count, exact=version not in statistics.estimated))
        rows.append((str(version), shown, f"{share:.1%}", _state(version), bar(share)))
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
        "estimated": sorted(statistics.estimated),
        "archive_estimated": statistics.archive_estimated,
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
        ("schema version", _written()),
    ]


def _written() -> str:
    version = version_to_write()
    if version == CURRENT:
        return f"{CURRENT}, the one this release writes"
    return f"{version} is written, as REKINDLE_WRITE_VERSION says; this release knows {CURRENT}"


def _totals(statistics: Statistics) -> list[tuple[str, str]]:
    estimated = statistics.estimated

    def counted(count: int, meaning: str, about: bool = False) -> str:
        return f"{Count(count, exact=not about)}: {meaning}" if count else "0"

    archived = Count(statistics.archived_rows, exact=not statistics.archive_estimated)
    on_disk = " on disk" if statistics.archive_estimated else ""
    outdated = "upcast whenever they are loaded, rewritten when next saved or by `rekindle backfill`"
    newer = "written by a later release; upgrade rekindle to read them"
    return [
        ("rows", str(Count(statistics.total, exact=not estimated))),
        ("outdated", counted(statistics.outdated, outdated, any(version < CURRENT for version in estimated))),
        ("newer", counted(statistics.newer, newer, any(version > CURRENT for version in estimated))),
        ("quarantined", counted(statistics.quarantined, "they could not be upcast, and are kept as they are")),
        ("archived originals", f"{archived} ({statistics.archived_bytes:,} bytes{on_disk})"),
    ]
