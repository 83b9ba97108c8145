"""`rekindle archive restore --since`: put back what a backfill rewrote by a wrong step."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rekindle import backfill
from rekindle.backfill import Left, Undone
from rekindle.cli.command import WORK_REMAINS, engine_of, finish
from rekindle.cli.output import moment, narrate, write, write_json
from rekindle.cli.progress import progress
from rekindle.cli.stopping import stopping
from rekindle.counting import ABOVE_ALL, rows_by_schema_version

NAMED = 1_000
"""Sessions that are named in JSON, and below the bar of a terminal. A pipe gets all of them, as they are found."""


def undo(*, url: str, realm: str | None, as_json: bool, schema_version: int, since: datetime, dry_run: bool) -> None:
    """Put back, and tell what was left alone."""
    named: list[Left] = []
    streaming = not (as_json or sys.stdout.isatty())

    def leave(left: Left) -> None:
        if streaming:
            write("\t".join(left))
        elif len(named) < NAMED:
            named.append(left)

    with engine_of(url) as engine:
        with engine.connect() as connection:
            counts = rows_by_schema_version(connection, ABOVE_ALL)
        total = sum(count.rows for version, count in counts.items() if version >= schema_version)
        what = "checked" if dry_run else "looked at"
        with stopping() as stop, progress(what, None if realm else total, quiet=as_json) as advance:
            done = backfill.undo(
                engine, schema_version, since, realm=realm, dry_run=dry_run, stop=stop, on_left=leave,
                on_batch=lambda now: advance(now.looked_at, f"{now.restored:,} put back"),
            )  # fmt: skip
    if as_json:
        write_json({"schema_version": schema_version, "since": since, "dry_run": dry_run, **_document(done, named)})
    else:
        for left in named:
            write("\t".join(left))
        _tell(done, since, dry_run)
    if done.left or done.stopped:
        finish(WORK_REMAINS)


def _document(done: Undone, named: Iterable[Left]) -> dict[str, Any]:
    return {
        "restored": done.restored,
        "left": dict(done.left),
        "stopped": done.stopped,
        "left_sessions": [each._asdict() for each in named],
    }


def _tell(done: Undone, since: datetime, dry_run: bool) -> None:
    would = "would put" if dry_run else "put"
    narrate(f"{would} {done.restored:,} originals back, of sessions rewritten since {moment(since.astimezone(UTC))}")
    for why, count in done.left.items():
        narrate(f"left alone {count:,} ({why}): {backfill.LEFT[why]}")
    if sys.stdout.isatty() and done.left.total() > NAMED:
        narrate(f"only the first {NAMED:,} are shown; a pipe or a file gets all of them")
    if done.stopped:
        narrate("stopped; the same command goes on")
    elif done.left:
        narrate("look at one with `rekindle archive list ID`, and put it back with `rekindle archive restore ID`")
