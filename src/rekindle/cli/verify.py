"""`rekindle verify`: read every row and say what is wrong."""

from __future__ import annotations

import click

from rekindle import verify as verification
from rekindle.cli.command import WORK_REMAINS, Command, connected, finish, json_option, realm_option, url_option
from rekindle.cli.output import narrate, table, write, write_json
from rekindle.cli.progress import progress
from rekindle.verify import KINDS, Problem, Verified

_SHOWN = 10


@click.command(cls=Command, examples=["rekindle verify", "rekindle verify --sample 0.01 --json"])
@click.option(
    "--sample", type=click.FloatRange(0, 1, min_open=True), default=1.0, metavar="SHARE",
    help="Look at this share of the rows, chosen at random. [default: all]",
)  # fmt: skip
@click.option("--list", "listed", is_flag=True, help="Print every problem as it is found.")
@url_option
@realm_option
@json_option
def verify(url: str, realm: str | None, sample: float, listed: bool, as_json: bool) -> None:
    """
    Read every row and say what is wrong; nothing is changed.

    Whether the document loads, the columns say what it says, nothing in it looks like a credential, and the originals
    in the archive are what their digests say. Exit code 3 when anything is found.
    """
    with connected(url, realm) as connection, progress("verified", None, quiet=as_json or listed) as advance:
        found = verification.verify(
            connection,
            realm=realm,
            sample=sample,
            on_problem=_print if listed and not as_json else lambda _: None,
            on_page=lambda now: advance(now.rows + now.archived, ""),
        )
    if as_json:
        write_json(as_document(found))
    else:
        _tell(found)
    if found.problems:
        finish(WORK_REMAINS)


def as_document(found: Verified) -> dict[str, object]:
    """Make what was found a JSON object."""
    problems = {
        kind: {"count": count, "means": KINDS[kind], "session_ids": found.ids[kind]}
        for kind, count in found.problems.items()
    }
    return {"rows": found.rows, "newer": found.newer, "archived": found.archived, "problems": problems}


def _print(problem: Problem) -> None:
    write(f"{problem.kind}\t{problem.session_id}\t{problem.detail}")


def _tell(found: Verified) -> None:
    if found.problems:
        rows = []
        for kind, count in found.problems.items():
            named = found.ids[kind]
            more = ", ..." if count > _SHOWN or len(named) > _SHOWN else ""
            rows.append((kind, f"{count:,}", KINDS[kind], ", ".join(named[:_SHOWN]) + more))
        write(table(("problem", "rows", "means", "sessions"), rows, right=("rows",), folding=("means", "sessions")))
    newer = f", of which {found.newer:,} of a later release were not read" if found.newer else ""
    narrate(f"looked at {found.rows:,} rows{newer}, and {found.archived:,} originals")
