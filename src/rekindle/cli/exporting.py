"""`rekindle export`: sessions as lines of JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copymode
from typing import BinaryIO

import click

from rekindle import codec
from rekindle.cli.command import WORK_REMAINS, Group, finish, json_option, realm_option, url_option
from rekindle.cli.failure import described
from rekindle.cli.output import compact, counting, narrate, write_json
from rekindle.errors import SchemaError
from rekindle.record import StoredDocument, times
from rekindle.store import SessionStore

_PAGE = 500


@click.group(cls=Group, examples=["rekindle export jsonl sessions.jsonl --realm prod"])
def export() -> None:
    """
    Write sessions out, as they are stored.
    """


@export.command(
    "jsonl", examples=["rekindle export jsonl > sessions.jsonl", "rekindle export jsonl sessions.jsonl --realm prod"]
)
@click.argument("file", type=click.Path(dir_okay=False), default="-")
@url_option
@realm_option
@json_option
def export_jsonl(file: str, url: str, realm: str | None, as_json: bool) -> None:
    """
    Write one line of {"session_id", "metadata", "created_at", "updated_at"} per session.

    The metadata is the document as it is stored, at whatever schema version: nothing is lost, and `rekindle import
    jsonl` reproduces the row. FILE is stdout unless given, and complete or not there at all. Rows that do not load are
    named on stderr and left out, and the exit code is 3.
    """
    bad: list[SchemaError] = []
    with SessionStore.open(url, realm=realm) as store, _opened(file) as lines:
        written = _write_lines(store, lines, bad, quiet=file == "-" and sys.stdout.isatty())
    _report(file, written, bad, as_json)
    if bad:
        finish(WORK_REMAINS)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    target = Path(file)
    if file == "-":
        yield sys.stdout.buffer
    elif target.exists() and not target.is_file():
        with target.open("wb") as lines:  # a device or a pipe, which no file may replace
            yield lines
    else:
        with _replacing(target.resolve()) as lines:
            yield lines


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """Write through a neighbour that takes the name, and the permissions, once everything is in it."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with partial.open("wb") as lines:
            if target.exists():
                copymode(target, partial)
            yield lines
        partial.replace(target)
    except OSError as error:
        error.filename = str(target)  # and not the neighbour, of which nobody knows
        raise
    finally:
        partial.unlink(missing_ok=True)


def _write_lines(store: SessionStore, lines: BinaryIO, bad: list[SchemaError], *, quiet: bool) -> int:
    written = 0
    with counting("sessions written:", quiet=quiet) as counted:
        for stored in _rows(store):
            try:
                codec.decode(stored.payload, stored.schema_version)
                line = _line(stored)
            except SchemaError as error:
                error.session_id = stored.session_id
                bad.append(error)
            else:
                lines.write(line)
                written += 1
                counted()
    return written


def _rows(store: SessionStore) -> Iterator[StoredDocument]:
    page, cursor = store.list_stored(limit=_PAGE)
    yield from page
    while cursor is not None:
        page, cursor = store.list_stored(limit=_PAGE, after=cursor)
        yield from page


def _line(stored: StoredDocument) -> bytes:
    """
    Put the stored text itself into the line.

    Parsed and written again, numbers would change their spelling. In JSON an end of line is only ever white space.
    """
    payload = stored.payload.replace("\r", " ").replace("\n", " ")
    created_at, updated_at = times(stored.created_at, stored.updated_at)
    moments = f'"created_at":"{created_at.isoformat()}","updated_at":"{updated_at.isoformat()}"'
    session_id = json.dumps(stored.session_id, ensure_ascii=False)
    return f'{{"session_id":{session_id},"metadata":{payload},{moments}}}\n'.encode()


def _report(file: str, written: int, bad: list[SchemaError], as_json: bool) -> None:
    if as_json:
        report = {"exported": written, "bad": [described(error) for error in bad]}
        # Where stdout carries the sessions, the report must not get between them.
        if file == "-":
            narrate(compact(report))
        else:
            write_json(report)
        return
    for error in bad:
        narrate(f"left out: {error}")
    narrate(f"exported {written:,}, left out {len(bad):,}")
