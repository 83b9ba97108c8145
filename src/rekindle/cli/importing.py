"""`rekindle import`: sessions out of other stores."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from rekindle.cli.command import WORK_REMAINS, Group, finish, json_option, realm_option, url_option
from rekindle.cli.output import counting, narrate, printable, write, write_json
from rekindle.errors import DatabaseUnavailableError, RekindleError, SchemaError, SessionExistsError
from rekindle.importers import FoundSession, UnreadableSession, jsonl, meerkat
from rekindle.store import SessionStore

_STDIN = Path("/dev/stdin")


@dataclass(frozen=True, slots=True)
class _Refused:
    session_id: str | None
    origin: str
    error: str
    reason: str


@dataclass(slots=True)
class _Outcome:
    imported: int = 0
    unchanged: int = 0
    refused: list[_Refused] = field(default_factory=list)

    def __str__(self) -> str:
        return f"imported {self.imported:,}, unchanged {self.unchanged:,}, refused {len(self.refused):,}"


@click.group(
    "import",
    cls=Group,
    examples=["rekindle import meerkat ~/.meerkat/realms/dev", "rekindle import jsonl sessions.jsonl"],
)
def import_() -> None:
    """
    Take over sessions that another program stored.

    Each one comes in whole or not at all, as it was stored: it is upcast on load. What is here already is left alone,
    so an import that was cut short is simply run again. What is refused is listed, and the exit code is 3.
    """


@import_.command("meerkat", examples=["rekindle import meerkat ~/.meerkat/realms/dev --url sqlite:///agents.db"])
@click.argument("path", type=click.Path(path_type=Path))
@url_option
@realm_option
@json_option
def import_meerkat(path: Path, url: str, realm: str | None, as_json: bool) -> None:
    """
    Import the sessions of a Meerkat realm, which is only read.

    PATH is a realm directory, a directory of session files, a sessions.sqlite3 or one session file.
    """
    _import(meerkat.read, path, url, realm, as_json)


@import_.command(
    "jsonl",
    examples=[
        "rekindle import jsonl sessions.jsonl --url sqlite:///agents.db",
        "rekindle export jsonl | rekindle import jsonl - --url sqlite:///copy.db",
    ],
)
@click.argument("file", type=click.Path(path_type=Path))
@url_option
@realm_option
@json_option
def import_jsonl(file: Path, url: str, realm: str | None, as_json: bool) -> None:
    """
    Import lines of {"session_id": ..., "metadata": {...}}, as `rekindle export jsonl` writes them.

    "created_at" and "updated_at" are taken over when they are there. FILE may be - for stdin.
    """
    _import(jsonl.read, _STDIN if str(file) == "-" else file, url, realm, as_json)


_Entries = Iterator[FoundSession | UnreadableSession]


def _import(read: Callable[[Path], _Entries], path: Path, url: str, realm: str | None, as_json: bool) -> None:
    outcome = _Outcome()
    with SessionStore.open(url, realm=realm) as store:
        entries = read(path)
        try:
            _take_over(store, entries, outcome, as_json)
        except Exception:
            narrate(f"stopped: {outcome}; run it again to go on")
            raise
    if as_json:
        write_json(asdict(outcome))
    else:
        write(str(outcome))
        if outcome == _Outcome():
            narrate("the source holds no sessions")
    if outcome.refused:
        finish(WORK_REMAINS)


def _take_over(store: SessionStore, entries: _Entries, outcome: _Outcome, as_json: bool) -> None:
    # A line for each session is progress enough; the JSON document comes at the end.
    with counting("sessions read:", quiet=not as_json) as counted:
        for entry in entries:
            done = _take_over_one(store, entry, outcome)
            if not as_json:
                reason = f": {outcome.refused[-1].reason}" if done == "refused" else ""
                write(printable(f"{done:<9}  {entry.session_id or '-'}  {entry.origin}{reason}"))
                sys.stdout.flush()
            counted()


def _take_over_one(store: SessionStore, entry: FoundSession | UnreadableSession, outcome: _Outcome) -> str:
    if isinstance(entry, UnreadableSession):
        outcome.refused.append(_Refused(entry.session_id, entry.origin, "UnreadableSession", entry.reason))
        return "refused"
    try:
        done = store.import_document(
            entry.session_id, entry.payload, created_at=entry.created_at, updated_at=entry.updated_at
        )
    except DatabaseUnavailableError:
        raise
    except RekindleError as error:
        outcome.refused.append(_Refused(entry.session_id, entry.origin, type(error).__name__, _reason(error)))
        return "refused"
    setattr(outcome, done, getattr(outcome, done) + 1)
    return done


def _reason(error: RekindleError) -> str:
    """Say why in the words of an import: the remedies in the messages are those of a program, or of a row."""
    if isinstance(error, SessionExistsError):
        return "it is here already, with another document; keep that, or delete it and import again"
    if isinstance(error, SchemaError):
        error.session_id = None
    return str(error)
