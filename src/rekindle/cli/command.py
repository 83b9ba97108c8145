"""What all commands have in common: how they are called, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, NoReturn

import click
from sqlalchemy import Connection, Engine

from rekindle.cli.failure import report
from rekindle.engine import create_engine, translated
from rekindle.store import SessionStore

FAILED = 1
WORK_REMAINS = 3
_INTERRUPTED = 130  # as shells count: 128 and the number of the signal

url_option = click.option(
    "--url",
    envvar="REKINDLE_URL",
    default="sqlite:///rekindle.db",
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="The database: SQLite, PostgreSQL or MariaDB.",
)
realm_option = click.option("--realm", metavar="REALM", help="Only this realm's sessions exist. [default: all]")
json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON document instead of text.")

_OPTIONS = ("--url", "--realm", "--json")


class _WithExamples(click.Command):
    """A command that cannot be made without an example for its help page."""

    def __init__(self, *args: Any, examples: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the examples as they are to be typed, never wrapped."""
        with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
            for line in self.examples:
                formatter.write(f"  {line}\n")
        super().format_epilog(ctx, formatter)


class Command(_WithExamples):
    """A command that ends as promised: its output flushed, a failure in one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong is reported here, in one place, and never as a traceback."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                # Here and not at exit, where a reader that has gone away could only be noticed too late.
                sys.stdout.flush()
        except (click.exceptions.Exit, click.ClickException, BrokenPipeError):
            raise  # click knows these
        except (KeyboardInterrupt, click.Abort):
            finish(_INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - the last one who can give it a name
            report(error, str(ctx.params.get("url", "")), as_json=bool(ctx.params.get("as_json")))
            finish(FAILED)


class Group(_WithExamples, click.Group):
    """A group of such commands, listed in the order in which they were added."""

    command_class = Command
    group_class = type

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Guess what a mistyped command was meant to be; click does so itself only since 8.5."""
        close = [] if args[0] in self.commands else get_close_matches(args[0], self.commands)
        if close:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Say what was meant by an option that belongs to the command behind the group."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name not in _OPTIONS:
                raise
            usage = f"{ctx.command_path} COMMAND {error.option_name}"
            raise click.UsageError(f"{error.option_name} goes behind the command: {usage}", ctx) from None

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Keep the order of the code, which begins with what a newcomer needs."""
        return list(self.commands)


def finish(code: int) -> NoReturn:
    """End the command with this exit code."""
    raise click.exceptions.Exit(code)


@contextmanager
def connected(url: str, realm: str | None = None) -> Iterator[Connection]:
    """Connect to tables that are at this release's revision; raises what opening a store raises."""
    SessionStore.open(url).close()
    engine = create_engine(url, realm=realm)
    try:
        with translated(engine.url), engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def engine_of(url: str, realm: str | None = None) -> Iterator[Engine]:
    """Make an engine on such tables, for what has its transactions to itself."""
    with connected(url):
        pass  # raises, with a remedy, what is wrong with the tables
    engine = create_engine(url, realm=realm)
    try:
        yield engine
    finally:
        engine.dispose()
