"""`rekindle demo`: the point of it, in under a minute and without a trace."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from rekindle.cli.command import Command, connected, json_option
from rekindle.cli.output import compact, table, write, write_json
from rekindle.cli.sessions import as_documents, changes_table
from rekindle.cli.status import as_document, versions
from rekindle.record import SessionRecord
from rekindle.schema import CURRENT
from rekindle.statistics import Statistics, read
from rekindle.store import SessionStore

_INTRODUCTION = """\
What an agent session needs to be resumed is kept in a row. Programs change how
they write it, and the old rows stay. rekindle loads them all."""

_IMPORTS = "from rekindle import SessionRecord, SessionStore\n\n"

# What one program stored in three seasons. The formats are real, the sessions are made up.
_OLDEST: dict[str, Any] = {
    "comms_name": "sales/checker/ada",
    "host_mode": True,
    "instance_id": "eu-1",
    "max_tokens": 8192,
    "model": "gpt-4.1",
    "peer_meta": {"description": "checks orders", "labels": {"team": "finance"}},
    "provider": "open_a_i",
    "realm_id": "mob:sales",
    "tooling": {
        "active_skills": ["sales/vat"],
        "builtins": True,
        "comms": True,
        "memory": False,
        "mob": True,
        "shell": True,
        "subagents": False,
    },
}
_MIDDLE: dict[str, Any] = {
    "auth_binding": {"binding": "shared-openai", "realm": "travel"},
    "comms_name": None,
    "keep_alive": False,
    "max_tokens": 16384,
    "model": "gpt-5",
    "provider": "open_a_i",
    "provider_params": {"reasoning_effort": "low"},
    "realm_id": "travel",
    "schema_version": 2,
    "structured_output_retries": 2,
    "tooling": {
        "active_skills": [{"skill_name": "book-train", "source_uuid": "5b0c9a53-2f0e-4b7e-9c55-8d3f0a6a1e27"}],
        "builtins": "enable",
        "comms": "inherit",
        "image_generation": "disable",
        "memory": "inherit",
        "mob": "inherit",
        "schedule": "enable",
        "shell": "disable",
        "web_search": "enable",
        "workgraph": "inherit",
    },
}
_NEWEST: dict[str, Any] = {
    **_MIDDLE,
    "comms_name": "support/triage/kim",
    "keep_alive": True,
    "mob_member_binding": {"member": "kim", "mob_id": "support", "role": "triage"},
    "model": "gpt-5.4",
    "provider": "openai",
    "provider_params": {"provider_tag": {"provider": "open_ai", "reasoning_effort": "high"}},
    "realm_id": "mob.support",
    "tooling": {
        "application_tool_policy": {"kind": "unmanaged"},
        "builtins": "enable",
        "shell": "disable",
        "tool_access_policy": {"type": "deny_list", "value": ["delete_ticket", "refund"]},
    },
}
_SESSIONS: Mapping[str, tuple[datetime, dict[str, Any]]] = {
    "sales": (datetime(2025, 11, 4, 9, 30, tzinfo=UTC), _OLDEST),
    "travel": (datetime(2026, 4, 20, 14, 5, tzinfo=UTC), _MIDDLE),
    "support": (datetime(2026, 10, 12, 8, 15, tzinfo=UTC), _NEWEST),
}
_RESUMED = "sales"

_TOLD = ("schema_version", "provider", "realm_id", "tooling.shell")
"""The fields by which the formats can be told apart at a glance."""


@dataclass(frozen=True, slots=True)
class _Story:
    before: Statistics
    resumed: SessionRecord
    after: Statistics
    python: str


@click.command(cls=Command, examples=["rekindle demo"])
@json_option
def demo(as_json: bool) -> None:
    """
    Resume an old session, on a throw-away database.

    Three sessions in three formats go in, one is resumed in today's format and saved. Nothing is left behind.
    """
    with TemporaryDirectory(prefix="rekindle-demo-") as directory:
        story = _play(f"sqlite:///{Path(directory, 'agents.db')}")
    if as_json:
        write_json(_as_document(story))
    else:
        _tell(story)


def _play(url: str) -> _Story:
    with SessionStore.open(url, upgrade=True) as store:
        for session_id, (written, document) in _SESSIONS.items():
            store.import_document(session_id, json.dumps(document), created_at=written, updated_at=written)
    before = _statistics(url)
    record = resume(url, _RESUMED)
    return _Story(before, record, _statistics(url), _IMPORTS + inspect.getsource(resume).strip())


# The demo prints these lines as they stand.
def resume(url: str, session_id: str) -> SessionRecord:
    """Resume a session, whichever release stored it."""
    with SessionStore.open(url) as store:
        record = store.load(session_id)  # in today's format, in memory
        store.save(record)  # now in the row; its original is archived
    return record  # record.changes says what loading had to change


def _statistics(url: str) -> Statistics:
    with connected(url) as connection:
        return read(connection)


def _tell(story: _Story) -> None:
    write(_INTRODUCTION)
    _step("1. Three sessions, stored by three releases of a program, go into a SQLite file.")
    write(table(("session", "stored", *_TOLD), map(_as_stored, _SESSIONS), indent=3))
    _step(f"2. Status: all three are outdated, since this release writes schema version {CURRENT}.")
    write(versions(story.before, indent=3))
    _step(f"3. The oldest, {_RESUMED!r}, is resumed. What loading had to change is reported.")
    write(changes_table(story.resumed.changes, indent=3))
    _step("4. It is saved. Status has moved, and the original is kept in the archive.")
    write(versions(story.after, indent=3))
    _step("5. The Python that resumed and saved it:")
    write("\n".join(f"   {line}".rstrip() for line in story.python.splitlines()))
    _step("The file is gone again. For one of your own:")
    write("   rekindle db upgrade --url sqlite:///agents.db")


def _step(text: str) -> None:
    write(f"\n{text}\n")


def _as_stored(session_id: str) -> tuple[str, ...]:
    written, document = _SESSIONS[session_id]
    flat = {**document, **{f"tooling.{name}": value for name, value in document["tooling"].items()}}
    told = (flat.get(name, "-") for name in _TOLD)
    return session_id, f"{written:%Y-%m-%d}", *(each if isinstance(each, str) else compact(each) for each in told)


def _as_document(story: _Story) -> dict[str, Any]:
    return {
        "sessions": {session_id: document for session_id, (_, document) in _SESSIONS.items()},
        "before": as_document(story.before),
        "resumed": _RESUMED,
        "changes": as_documents(story.resumed.changes),
        "after": as_document(story.after),
        "python": story.python,
    }
