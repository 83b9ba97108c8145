"""`rekindle list`, `show` and `delete`: the sessions one by one."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from rekindle.cli.command import FAILED, WORK_REMAINS, Command, finish, json_option, realm_option, url_option
from rekindle.cli.failure import described
from rekindle.cli.output import compact, facts, moment, narrate, pretty, table, write, write_json, write_verbatim
from rekindle.errors import ArchiveEntryNotFoundError
from rekindle.record import Filters, Page, SessionRecord, StoredDocument
from rekindle.repository import MAX_PAGE
from rekindle.schema import CURRENT, Change, Provider
from rekindle.store import SessionStore


@click.command(
    "list", cls=Command, examples=["rekindle list --realm prod --provider openai", "rekindle list --limit 1000 --json"]
)
@click.option("--provider", type=click.Choice([each.value for each in Provider]), help="Only this provider's.")
@click.option("--model", metavar="MODEL", help="Only this model's.")
@click.option("--instance", "instance_id", metavar="ID", help="Only those with this instance_id.")
@click.option("--comms-name", metavar="NAME", help="Only those with this comms_name.")
@click.option("--limit", type=click.IntRange(1, MAX_PAGE), default=100, show_default=True, help="Rows on a page.")
@click.option("--after", metavar="CURSOR", help="Go on behind the page that ended with this cursor.")
@url_option
@realm_option
@json_option
def list_(url: str, realm: str | None, limit: int, after: str | None, as_json: bool, **filters: str | None) -> None:
    """
    List sessions, newest first.

    Rows that do not load are named on stderr, and the exit code is 3.
    """
    with SessionStore.open(url, realm=realm) as store:
        page = store.list(limit=limit, after=after, **_filters(filters))
    if as_json:
        records = [as_document(record) for record in page]
        write_json({"records": records, "bad": [*map(described, page.bad)], "next_cursor": page.next_cursor})
    else:
        _print_page(page)
    if page.bad:
        finish(WORK_REMAINS)


def _filters(given: dict[str, str | None]) -> Filters:
    return Filters(
        provider=given["provider"],
        model=given["model"],
        instance_id=given["instance_id"],
        comms_name=given["comms_name"],
    )


def _print_page(page: Page) -> None:
    headers = ("session", "realm", "provider", "model", "schema version", "updated")
    if page.records:
        write(table(headers, map(_line, page), right=headers[4:5]))
    elif not page.bad:
        narrate("no sessions found")
    for error in page.bad:
        narrate(f"bad row: {error}")
    if page.next_cursor is not None:
        narrate(f"there are more; go on with --after {page.next_cursor}")


def _line(record: SessionRecord) -> tuple[str, ...]:
    metadata = record.metadata
    return (
        record.session_id,
        metadata.realm_id or "-",
        metadata.provider.value,
        metadata.model,
        str(record.schema_version),
        moment(record.updated_at),
    )


@click.command(cls=Command, examples=["rekindle show session-1", "rekindle show session-1 --original > session-1.json"])
@click.argument("session_id", metavar="ID")
@click.option("--original", is_flag=True, help="The document before it was rewritten, byte for byte.")
@click.option("--stored", is_flag=True, help="The document as the row holds it, byte for byte.")
@url_option
@realm_option
@json_option
def show(session_id: str, url: str, realm: str | None, *, original: bool, stored: bool, as_json: bool) -> None:
    """
    Show a session as it loads, and what was changed.

    With --original, the document from the archive when the session was rewritten at a newer schema version, and else
    the stored one. With --stored, what the row holds now, for when it does not load.
    """
    if original and stored:
        raise click.UsageError("--original is what the row held once, and --stored what it holds now; choose one")
    read = _original if original else SessionStore.stored if stored else SessionStore.load
    with SessionStore.open(url, realm=realm) as store:
        found = read(store, session_id)
    if isinstance(found, StoredDocument):
        _show_stored(found, as_json)
    elif as_json:
        write_json({**as_document(found), "changes": as_documents(found.changes)})
    else:
        _show_record(found)


def _original(store: SessionStore, session_id: str) -> StoredDocument:
    row = store.stored(session_id)
    try:
        kept = store.archive.original(session_id)
    except ArchiveEntryNotFoundError:
        return row  # it is its own original
    return replace(
        row,
        schema_version=kept.schema_version,
        lock_version=kept.lock_version,
        payload=kept.payload,
        updated_at=kept.updated_at,
    )


def as_document(record: SessionRecord) -> dict[str, Any]:
    """Make a record a JSON object."""
    return {**_about(record), "is_outdated": record.is_outdated, "metadata": record.metadata.model_dump(mode="json")}


def as_documents(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    """Make changes JSON objects."""
    return [change._asdict() for change in changes]


def changes_table(changes: tuple[Change, ...], indent: int = 0) -> str:
    """Lay out what an upcast changed."""
    rows = [
        (change.path, compact(change.old), "dropped" if change.new is None else compact(change.new), change.reason)
        for change in changes
    ]
    return table(("path", "old", "new", "reason"), rows, folding=("old", "new", "reason"), indent=indent)


def _about(row: SessionRecord | StoredDocument) -> dict[str, Any]:
    return {
        "session_id": row.session_id,
        "schema_version": row.schema_version,
        "lock_version": row.lock_version,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _show_stored(stored: StoredDocument, as_json: bool) -> None:
    if as_json:
        write_json({**_about(stored), "payload": stored.payload})
    else:
        write_verbatim(stored.payload)


def _show_record(record: SessionRecord) -> None:
    outdated = f", shown as {CURRENT}" if record.is_outdated else ""
    about = [
        ("session", record.session_id),
        ("schema version", f"{record.schema_version}{outdated}"),
        ("lock version", str(record.lock_version)),
        ("created", moment(record.created_at)),
        ("updated", moment(record.updated_at)),
    ]
    write(f"{facts(about)}\n\n{pretty(record.metadata.model_dump(mode='json'))}")
    if record.changes:
        write(f"\nchanged on load, not in the row:\n\n{changes_table(record.changes)}")


@click.command(cls=Command, examples=["rekindle delete session-1 --yes"])
@click.argument("session_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@url_option
@realm_option
@json_option
def delete(session_id: str, url: str, realm: str | None, yes: bool, as_json: bool) -> None:
    """
    Delete a session and its originals in the archive.

    There is no way back, so on a terminal it asks first. A session that does not load is deleted just the same.
    """
    with SessionStore.open(url, realm=realm) as store:
        if not yes and sys.stdin.isatty():
            row = store.stored(session_id)
            when = f"last updated {moment(row.updated_at)}" if row.updated_at else "last updated nobody knows when"
            question = f"Delete session {session_id!r}, {when}, and its originals?"
            if not click.confirm(question, err=True):
                narrate("nothing was deleted")
                finish(FAILED)
        store.delete(session_id)
    if as_json:
        write_json({"deleted": session_id})
    else:
        narrate(f"deleted session {session_id!r}")
