"""The status in the text format of Prometheus, for the textfile collector of its node exporter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from rekindle.backfill import version_to_write
from rekindle.backfill.runs import Run
from rekindle.schema import CURRENT
from rekindle.statistics import Statistics


def metrics(statistics: Statistics, latest: Sequence[Run], realm: str | None) -> Iterator[str]:
    """Yield the lines; of an estimated number, the estimate."""
    of = {} if realm is None else {"realm": realm}
    by_version = dict(sorted(statistics.rows_by_schema_version.items()))
    yield from _family("rekindle_rows", "Sessions by stored schema version.")
    for version, rows in by_version.items():
        yield _sample("rekindle_rows", rows, {**of, "schema_version": str(version)})
    numbers = {
        "rekindle_outdated_rows": ("Sessions below the current schema version.", statistics.outdated),
        "rekindle_newer_rows": ("Sessions of a later release, which this one refuses.", statistics.newer),
        "rekindle_quarantined_rows": ("Sessions that could not be converted.", statistics.quarantined),
        "rekindle_archived_rows": ("Originals in the archive.", statistics.archived_rows),
        "rekindle_archived_bytes": ("Size of the originals in the archive.", statistics.archived_bytes),
        "rekindle_schema_version": ("The schema version that this release knows.", CURRENT),
        "rekindle_write_version": ("The schema version that is written.", version_to_write()),
    }
    for name, (meaning, number) in numbers.items():
        yield from _family(name, meaning)
        yield _sample(name, number, of)
    if latest:
        yield from _of_run(latest[0])


def _of_run(run: Run) -> Iterator[str]:
    name = "rekindle_backfill_rows"
    yield from _family(name, "Rows of the latest run of the backfill, by what became of them.")
    for what in ("converted", "left_to_client", "quarantined", "skipped"):
        yield _sample(name, getattr(run, what), {"outcome": what})
    name = "rekindle_backfill_state"
    yield from _family(name, "The state of the latest run of the backfill: 1 for the one it is in.")
    yield _sample(name, 1, {"state": "lost" if run.is_lost else run.state})


def _family(name: str, meaning: str) -> tuple[str, str]:
    return f"# HELP {name} {meaning}", f"# TYPE {name} gauge"


def _sample(name: str, number: int, labels: Mapping[str, str]) -> str:
    # The format escapes in a label what JSON escapes in a string.
    inside = ",".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in labels.items())
    return f"{name}{{{inside}}} {number}" if inside else f"{name} {number}"
