"""
The command line: `rekindle`.

One module per command or group of commands; `_COMMANDS` is the whole of the wiring. Data goes to stdout, everything
else to stderr. Exit codes: 0 done, 1 failed, 2 usage, 3 work remains or bad rows found.
"""

from __future__ import annotations

import click

from rekindle.cli import (
    archive,
    backfill,
    db,
    demo,
    exporting,
    floor,
    importing,
    quarantine,
    row_level_security,
    schema,
    sessions,
    status,
    verify,
)
from rekindle.cli.command import Group

# In the order of the help page.
_COMMANDS: tuple[click.Command, ...] = (
    demo.demo,
    db.db,
    status.status,
    sessions.list_,
    sessions.show,
    sessions.delete,
    backfill.backfill,
    verify.verify,
    quarantine.quarantine,
    archive.archive,
    importing.import_,
    exporting.export,
    schema.schema,
)


@click.group(
    cls=Group,
    examples=[
        "rekindle demo",
        "rekindle db upgrade --url sqlite:///agents.db",
        "rekindle status --url sqlite:///agents.db",
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="COMMAND [ARGS]...",
    options_metavar="",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 work remains or bad rows found.",
)
@click.version_option(package_name="rekindle", message="%(prog)s %(version)s")
def root() -> None:
    """
    Keep the metadata of LLM-agent sessions, so that every row ever written loads.

    Every command says more with --help; --url, --realm and --json go behind it.
    """


for _command in _COMMANDS:
    root.add_command(_command)
schema.schema.add_command(floor.floor)
db.db.add_command(row_level_security.row_level_security)


def main() -> None:
    """Run the command line."""
    root(prog_name="rekindle")
