"""`rekindle schema floor`: which old steps are still needed."""

from __future__ import annotations

from dataclasses import asdict

import click

from rekindle.cli.command import WORK_REMAINS, Command, connected, finish, json_option, url_option
from rekindle.cli.output import table, write, write_json
from rekindle.floor import floor as steps_in_use


@click.command(cls=Command, examples=["rekindle schema floor --url sqlite:///agents.db"])
@url_option
@json_option
def floor(url: str, as_json: bool) -> None:
    """
    Say which steps between schema versions could be retired, and why not.

    Asks one database; a step goes when it may go from all. Exit code 3 while any step is needed.
    """
    with connected(url) as connection:
        found = steps_in_use(connection)
    if as_json:
        write_json([{**asdict(step), "can_be_retired": not step.reasons} for step in found])
    else:
        rows = [
            (f"{step.from_version} to {step.to_version}", "needed" if step.reasons else "can be retired", reason)
            for step in found
            for reason in step.reasons or ("no row, no original",)
        ]
        write(table(("step", "", "because"), rows, folding=("because",)))
    if any(step.reasons for step in found):
        finish(WORK_REMAINS)
