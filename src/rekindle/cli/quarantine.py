"""`rekindle quarantine`: the rows that could not be converted."""

from __future__ import annotations

from dataclasses import asdict
from shlex import quote

import click

from rekindle import quarantine as quarantines
from rekindle.backfill import version_to_write
from rekindle.cli.command import (
    WORK_REMAINS,
    Group,
    connected,
    engine_of,
    finish,
    json_option,
    realm_option,
    url_option,
)
from rekindle.cli.output import facts, moment, narrate, table, write, write_json
from rekindle.errors import SessionNotFoundError
from rekindle.repository import MAX_PAGE


@click.group(cls=Group, examples=["rekindle quarantine list", "rekindle quarantine retry"])
def quarantine() -> None:
    """
    See the rows that could not be converted, and try them again.

    The rows themselves stay as they are, byte for byte: `rekindle show ID --stored`.
    """


@quarantine.command("list", examples=["rekindle quarantine list --limit 1000 --json"])
@click.option("--limit", type=click.IntRange(1, MAX_PAGE), default=100, show_default=True, help="Entries on a page.")
@click.option("--after", metavar="ID", default="", help="Go on behind this session.")
@url_option
@realm_option
@json_option
def list_(url: str, realm: str | None, limit: int, after: str, as_json: bool) -> None:
    """
    List the quarantine by session id. Exit code 3 when there is anything in it.
    """
    with connected(url, realm) as connection:
        found = quarantines.entries(connection, realm=realm, limit=limit, after=after)
    if as_json:
        write_json([asdict(entry) for entry in found])
    elif found:
        headers = ("session", "schema version", "step", "error", "attempts", "message")
        rows = [
            (each.session_id, str(each.schema_version), each.step, each.error_class, str(each.attempts), each.message)
            for each in found
        ]
        write(table(headers, rows, right=("schema version", "attempts"), folding=("message",)))
    if found:
        finish(WORK_REMAINS)


@quarantine.command(examples=["rekindle quarantine show session-1"])
@click.argument("session_id", metavar="ID")
@url_option
@realm_option
@json_option
def show(session_id: str, url: str, realm: str | None, as_json: bool) -> None:
    """
    Show why a session is in the quarantine.
    """
    with connected(url, realm) as connection:
        found = quarantines.entry(connection, session_id, realm)
    if found is None:
        raise SessionNotFoundError(session_id, realm)
    if as_json:
        write_json(asdict(found))
        return
    about = {**asdict(found), "first_seen_at": moment(found.first_seen_at), "last_seen_at": moment(found.last_seen_at)}
    write(facts((name.replace("_", " "), str(value)) for name, value in about.items() if value is not None))
    narrate(f"the document, byte for byte: `rekindle show {quote(session_id)} --stored`")


@quarantine.command(examples=["rekindle quarantine retry", "rekindle quarantine retry session-1"])
@click.argument("session_id", metavar="[ID]", required=False)
@url_option
@realm_option
@json_option
def retry(session_id: str | None, url: str, realm: str | None, as_json: bool) -> None:
    """
    Try again, with the steps of this release. Exit code 3 while any remain.
    """
    with engine_of(url, realm) as engine:
        result = quarantines.retry(engine, session_id, realm=realm, to=version_to_write())
    if as_json:
        write_json(asdict(result))
    else:
        counts = ("converted", "resolved", "failed", "locked")
        meanings = ("now current", "saved or deleted by somebody since", "still in the quarantine", "in use, try again")
        rows = zip(counts, meanings, strict=True)
        write(facts((name, f"{getattr(result, name):,}: {meaning}") for name, meaning in rows))
    if result.failed or result.locked:
        finish(WORK_REMAINS)
