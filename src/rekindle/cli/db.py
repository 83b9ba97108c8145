"""`rekindle db`: the tables and their revision."""

from __future__ import annotations

import click

from rekindle.cli.command import FAILED, WORK_REMAINS, Group, connected, finish, json_option, url_option
from rekindle.cli.failure import described
from rekindle.cli.output import narrate, write, write_json
from rekindle.engine import redacted
from rekindle.errors import DatabaseRevisionError
from rekindle.store import SessionStore
from rekindle.tables import DATABASE_REVISION

# Alembic is imported by the commands that need it, so that all others start without.


@click.group(
    cls=Group, examples=["rekindle db upgrade --url sqlite:///agents.db", "rekindle db check --url sqlite:///agents.db"]
)
def db() -> None:
    """
    Create, upgrade and check the tables.

    This is the history that `alembic` runs in a checkout. Documents in the rows are never touched by it.
    """


@db.command(examples=["rekindle db upgrade --url postgresql+psycopg://localhost/agents"])
@url_option
@json_option
def upgrade(url: str, as_json: bool) -> None:
    """
    Create the tables, or bring them to this release's revision.

    Safe to run from any number of processes at once, and again: it does nothing when there is nothing to do.
    """
    error = _mismatch(url)
    found = DATABASE_REVISION if error is None else error.found
    SessionStore.open(url, upgrade=True).close()
    if as_json:
        write_json({"url": redacted(url), "found": found, "revision": DATABASE_REVISION})
    elif found == DATABASE_REVISION:
        narrate(f"the tables in {redacted(url)} are at database revision {found} already")
    else:
        before = "were created" if found is None else f"were upgraded from {found}"
        narrate(f"the tables in {redacted(url)} {before}, now at database revision {DATABASE_REVISION}")


@db.command(examples=["rekindle db current --url sqlite:///agents.db"])
@url_option
@json_option
def current(url: str, as_json: bool) -> None:
    """
    Print the database revision of the tables, `none` when there are no tables.
    """
    error = _mismatch(url)
    found = DATABASE_REVISION if error is None else error.found
    if as_json:
        write_json({"url": redacted(url), "found": found, "expected": DATABASE_REVISION})
        return
    write(found or "none")
    if error is not None:
        narrate(str(error))


@db.command(examples=["rekindle db check --url sqlite:///agents.db || rekindle db upgrade --url sqlite:///agents.db"])
@url_option
@json_option
def check(url: str, as_json: bool) -> None:
    """
    Compare the tables with those of this release.

    Exit code 0 when they agree, 3 when `rekindle db upgrade` has something to do, and 1 when they are of a later
    release, or were changed by hand.
    """
    error = _mismatch(url)
    differences = [] if error else _differences(url)
    if as_json:
        failure = described(error) if error else {}
        write_json({"url": redacted(url), "ok": not (error or differences), "differences": differences, **failure})
    elif error:
        narrate(str(error))
    elif differences:
        write("\n".join(differences))
        narrate(f"the tables in {redacted(url)} are not those of this release; what is listed would make them so")
    else:
        narrate(f"the tables in {redacted(url)} are those of this release, database revision {DATABASE_REVISION}")
    if error or differences:
        finish(WORK_REMAINS if error and not error.is_ahead else FAILED)


@db.command(examples=["rekindle db sql --url postgresql+psycopg://localhost/agents > tables.sql"])
@url_option
@json_option
def sql(url: str, as_json: bool) -> None:
    """
    Print the SQL that creates the tables; nothing is connected to.
    """
    from rekindle import database  # noqa: PLC0415

    statements = database.sql(url)
    if as_json:
        write_json({"url": redacted(url), "revision": DATABASE_REVISION, "sql": statements})
    else:
        write(statements.strip())


def _mismatch(url: str) -> DatabaseRevisionError | None:
    """Ask a store, which neither upgrades nor leaves an empty file where there was none."""
    try:
        SessionStore.open(url).close()
    except DatabaseRevisionError as error:
        return error
    return None


def _differences(url: str) -> list[str]:
    from rekindle import database  # noqa: PLC0415

    with connected(url) as connection:
        return database.differences(connection)
