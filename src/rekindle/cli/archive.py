"""`rekindle archive`: the originals of rewritten sessions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import Any

import click

from rekindle.archive import ArchiveEntry, ArchivePage
from rekindle.cli.command import Group, json_option, realm_option, url_option
from rekindle.cli.output import moment, narrate, table, write, write_json
from rekindle.cli.undoing import undo
from rekindle.repository import MAX_PAGE
from rekindle.schema import CURRENT
from rekindle.store import SessionStore

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return moment_before(value, datetime.now(UTC))
    except (ValueError, OverflowError):
        reason = "is neither a length of time such as 90d or 12h nor a date such as 2026-01-31"
        raise click.BadParameter(f"{value!r} {reason}") from None


def moment_before(text: str, now: datetime) -> datetime:
    """Say which moment `90d`, `12h` or an ISO date means; raise ValueError for anything else."""
    length = re.fullmatch(r"(\d+)([smhdw])", text, re.ASCII)
    if length is not None:
        return now - timedelta(**{_UNITS[length[2]]: int(length[1])})
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


@click.group(cls=Group, examples=["rekindle archive list session-1", "rekindle archive prune --older-than 90d"])
def archive() -> None:
    """
    Find, put back and throw away originals of sessions.

    A session that is saved at a newer schema version leaves its document in the archive, byte for byte. To read the
    latest one: `rekindle show ID --original`.
    """


@archive.command("list", examples=["rekindle archive list", "rekindle archive list session-1 --json"])
@click.argument("session_id", metavar="[ID]", required=False)
@click.option("--limit", type=click.IntRange(1, MAX_PAGE), default=100, show_default=True, help="Entries on a page.")
@click.option("--after", metavar="CURSOR", help="Go on behind the page that ended with this cursor.")
@url_option
@realm_option
@json_option
def list_(session_id: str | None, url: str, realm: str | None, *, limit: int, after: str | None, as_json: bool) -> None:
    """
    List what is in the archive, by session and oldest first.
    """
    with SessionStore.open(url, realm=realm) as store:
        page = store.archive.list(session_id, limit=limit, after=after)
    if as_json:
        write_json({"entries": [*map(as_document, page)], "next_cursor": page.next_cursor})
    else:
        _print_page(page)


def as_document(entry: ArchiveEntry) -> dict[str, Any]:
    """Make an entry a JSON object."""
    names = ("session_id", "lock_version", "schema_version", "realm", "payload_sha256", "library_version")
    return {
        **{name: getattr(entry, name) for name in names},
        "updated_at": entry.updated_at,
        "archived_at": entry.archived_at,
        "changes": [change._asdict() for change in entry.changes],
        "has_dropped": entry.has_dropped,
    }


def _print_page(page: ArchivePage) -> None:
    headers = ("session", "lock version", "schema version", "changes", "dropped a value", "archived")
    if len(page):
        write(table(headers, map(_line, page), right=headers[1:4], folding=headers[:1]))
    else:
        narrate("nothing is archived here")
    if page.next_cursor is not None:
        narrate(f"there are more; go on with --after {page.next_cursor}")


def _line(entry: ArchiveEntry) -> tuple[str, ...]:
    return (
        entry.session_id,
        str(entry.lock_version),
        str(entry.schema_version),
        str(len(entry.changes)),
        "yes" if entry.has_dropped else "no",
        moment(entry.archived_at),
    )


@archive.command(
    examples=[
        "rekindle archive restore session-1",
        "rekindle archive restore session-1 --lock-version 7",
        "rekindle archive restore --schema-version 3 --since 2026-01-31T09:00 --dry-run",
    ]
)
@click.argument("session_id", metavar="[ID]", required=False)
@click.option("--lock-version", type=int, metavar="N", help="The original that was overwritten at lock version N.")
@click.option(
    "--schema-version", type=int, metavar="N",
    help="With ID, the latest original of schema version N; without, the sessions that were rewritten to it.",
)  # fmt: skip
@click.option(
    "--since", metavar="AGE", callback=_moment, help="All that a backfill rewrote so long ago (12h), or since a date."
)
@click.option("--dry-run", is_flag=True, help="With --since: write nothing, and say what would happen.")
@url_option
@realm_option
@json_option
def restore(session_id: str | None, since: datetime | None, dry_run: bool, **options: Any) -> None:
    """
    Put originals back, byte for byte.

    With ID, without numbers, it is the one that `rekindle show ID --original` shows. With --schema-version and --since,
    the originals of all sessions that a backfill rewrote to this schema version, and nobody saved since; those that
    somebody did are named, and the exit code is 3. What a session holds now goes into the archive first, so a restore
    can be undone.
    """
    schema_version, lock_version = options["schema_version"], options.pop("lock_version")
    if session_id is not None:
        if since is not None or dry_run:
            raise click.UsageError("--since and --dry-run are about many sessions; leave them out, or the ID")
        _restore(session_id, lock_version, **options)
    elif since is None or schema_version is None or lock_version is not None:
        raise click.UsageError("name a session, or say --schema-version and --since for all that a backfill rewrote")
    elif schema_version > CURRENT:
        raise click.UsageError(f"this release knows schema versions up to {CURRENT}, and leaves those above alone")
    else:
        undo(since=since, dry_run=dry_run, **options)


def _restore(
    session_id: str, lock_version: int | None, *, url: str, realm: str | None, as_json: bool, schema_version: int | None
) -> None:
    with SessionStore.open(url, realm=realm) as store:
        record = store.archive.restore(session_id, lock_version=lock_version, schema_version=schema_version)
    numbers = {"schema_version": record.schema_version, "lock_version": record.lock_version}
    if as_json:
        write_json({"restored": session_id, **numbers})
        return
    narrate(f"session {session_id!r} is back at schema version {record.schema_version}")
    narrate(f"undo this with `rekindle archive restore {quote(session_id)} --lock-version {record.lock_version - 1}`")


@archive.command(
    examples=["rekindle archive prune --older-than 90d", "rekindle archive prune --older-than 2026-01-31 --json"]
)
@click.option(
    "--older-than",
    metavar="AGE",
    callback=_moment,
    required=True,
    help="Archived that long ago (90d, 12h), or before a date.",
)
@click.option("--including-dropped", is_flag=True, help="Also the only copies of values that a rewrite dropped.")
@url_option
@realm_option
@json_option
def prune(url: str, realm: str | None, as_json: bool, older_than: datetime, including_dropped: bool) -> None:
    """
    Remove old originals.

    One whose rewrite dropped a value is the only copy of that value: it stays, unless --including-dropped says so.
    """
    with SessionStore.open(url, realm=realm) as store:
        pruned = store.archive.prune(older_than, including_dropped=including_dropped)
    if as_json:
        write_json({"older_than": older_than, "pruned": pruned.pruned, "kept": pruned.kept})
        return
    narrate(f"removed {pruned.pruned:,} of those archived before {moment(older_than.astimezone(UTC))}")
    if pruned.kept:
        narrate(f"kept {pruned.kept:,}: the only copies of values that were dropped; --including-dropped removes them")
