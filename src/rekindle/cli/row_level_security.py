"""`rekindle db row-level-security`: have PostgreSQL keep the realms apart."""

from __future__ import annotations

from dataclasses import asdict

import click

from rekindle import row_level_security as rls
from rekindle.cli.command import Command, connected, json_option, url_option
from rekindle.cli.output import narrate, write_json
from rekindle.engine import redacted


@click.command(
    "row-level-security",
    cls=Command,
    examples=[
        "rekindle db row-level-security enable --url postgresql+psycopg://owner@localhost/agents",
        "rekindle db row-level-security show --url postgresql+psycopg://agent@localhost/agents",
    ],
)
@click.argument("action", type=click.Choice(["enable", "disable", "show"]))
@click.option("--force", is_flag=True, help="With enable: bind the owner of the tables too.")
@url_option
@json_option
def row_level_security(action: str, url: str, force: bool, as_json: bool) -> None:
    """
    Have PostgreSQL itself keep the realms apart.

    Roles that are bound see and write only the rows of the realm that their store is opened with, and none without.
    Superusers and roles with BYPASSRLS are exempt, and so is the owner of the tables without --force. A backfill over
    all realms needs a role that is exempt.
    """
    with connected(url) as connection, connection.execution_options(isolation_level="READ COMMITTED").begin():
        if action == "enable":
            found = rls.enable(connection, force=force)
        elif action == "disable":
            found = rls.disable(connection)
        else:
            found = rls.state(connection)
    if as_json:
        write_json({"url": redacted(url), **asdict(found)})
        return
    narrate(f"row-level security is {'on' if found.enabled else 'off'} for the tables in {redacted(url)}")
    if found.enabled:
        narrate(f"the role {found.role!r} is {'bound by it' if found.binding else 'exempt from it'}")
