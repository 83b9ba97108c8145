"""
The record of a run: who rewrites what, how far it is, and what it is told to do from another shell.

A word to a run is a state in its row, which the run reads between batches. A run that was killed cannot change its
state any more; whether somebody is still behind it is judged by the process, where it is of this machine, and else by
when the row was last written.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import uuid4

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, insert, select, update

from rekindle.backfill.batches import Outcome
from rekindle.backfill.errors import BackfillRunNotFoundError, BackfillRunStateError
from rekindle.rewriting import library_version
from rekindle.tables import session_metadata_backfill as t

SILENT_AFTER = timedelta(seconds=60)
"""A run writes its row at least every few seconds, also while it waits."""

ACTIVE = ("running", "pausing", "cancelling")
RESUMABLE = ("paused", "failed")


@dataclass(frozen=True)
class Run:
    """A run as its row tells it; the counts are those of its last sign of life."""

    run_id: str
    state: str
    reason: str | None
    started_by: str
    library_version: str
    from_schema_version: int | None
    to_schema_version: int
    realm: str | None
    settings: str
    converted: int
    left_to_client: int
    quarantined: int
    skipped: int
    error_class: str | None
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @cached_property
    def options(self) -> dict[str, Any]:
        """What the run was started with."""
        options: dict[str, Any] = from_json(self.settings)
        return options

    @property
    def is_lost(self) -> bool:
        """Whether the row says that the run is at work, and nobody is."""
        return self.state in ACTIVE and not self._is_alive()

    def _is_alive(self) -> bool:
        host, _, pid = self.started_by.rpartition("@")[2].rpartition(":")
        if host == socket.gethostname() and pid.isdecimal():
            try:
                os.kill(int(pid), 0)
            except ProcessLookupError:
                return False
            except PermissionError:
                return True
        return datetime.now(UTC) - self.updated_at < SILENT_AFTER


def begin(
    connection: Connection, *, lowest: int | None, to: int, realm: str | None, settings: Mapping[str, Any]
) -> Run:
    """Write down that a run begins."""
    now, none = datetime.now(UTC), dict.fromkeys(("reason", "error_class", "finished_at"))
    row: dict[str, Any] = {
        "run_id": uuid4().hex, "state": "running", "started_by": myself(), "library_version": library_version(),
        "from_schema_version": lowest, "to_schema_version": to, "realm": realm, "settings": to_json(settings).decode(),
        **dict.fromkeys(("converted", "left_to_client", "quarantined", "skipped"), 0),
        "started_at": now, "updated_at": now, **none,
    }  # fmt: skip
    connection.execute(insert(t), row)
    return Run(**row)


def myself() -> str:
    """Name this process to whoever looks for it: user, machine, number."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may know no name for its user
        user = str(os.getuid())
    return f"{user[:128]}@{socket.gethostname()}:{os.getpid()}"


def find(connection: Connection, run_id: str) -> Run:
    """Read a run by its id, or by a beginning of it that is of no other. Raises BackfillRunNotFoundError."""
    rows = connection.execute(select(t).where(t.c.run_id.startswith(run_id, autoescape=True)).limit(2)).all()
    if len(rows) != 1 or not run_id:
        raise BackfillRunNotFoundError(run_id)
    return Run(**rows[0]._asdict())


def recent(connection: Connection, limit: int = 20) -> Sequence[Run]:
    """Read the latest runs, newest first."""
    rows = connection.execute(select(t).order_by(t.c.started_at.desc(), t.c.run_id).limit(limit))
    return [Run(**row._asdict()) for row in rows]


def state(connection: Connection, run_id: str) -> str | None:
    """Read what a run is told to do; None when somebody has deleted its row."""
    found: str | None = connection.execute(select(t.c.state).where(t.c.run_id == run_id)).scalar()
    return found


def report(connection: Connection, run: Run, done: Outcome, reason: str | None = None) -> None:
    """Write how far a run is, on top of what it had done when it was taken over, and why it waits."""
    _set(connection, run.run_id, **_counts(run, done), reason=reason)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, and why."""

    state: str
    reason: str | None
    error: BaseException | None = None


def finish(connection: Connection, run: Run, done: Outcome, ending: Ending) -> None:
    """Write how a run ended."""
    now = datetime.now(UTC)
    _set(
        connection,
        run.run_id,
        **_counts(run, done),
        state=ending.state,
        reason=ending.reason,
        error_class=None if ending.error is None else type(ending.error).__name__[:64],
        updated_at=now,
        finished_at=None if ending.state == "paused" else now,
    )


def _counts(run: Run, done: Outcome) -> dict[str, Any]:
    return {
        "converted": run.converted + done.converted,
        "left_to_client": run.left_to_client + done.left_to_client,
        "quarantined": run.quarantined + done.quarantined,
        "skipped": run.skipped + done.known + done.taken,
    }


def _set(connection: Connection, run_id: str, was: tuple[str, ...] | None = None, **columns: Any) -> bool:
    mine = [t.c.run_id == run_id, *([] if was is None else [t.c.state.in_(was)])]
    statement = update(t).where(*mine).values({"updated_at": datetime.now(UTC), **columns})
    return connection.execute(statement).rowcount == 1


def pause(connection: Connection, run_id: str) -> Run:
    """Tell a run to stop behind its batch, to be resumed. Raises BackfillRunStateError when it is not at work."""
    return _tell(connection, find(connection, run_id), {"running": "pausing"}, "paused", "pause")


def cancel(connection: Connection, run_id: str) -> Run:
    """Tell a run to stop behind its batch, for good. Raises BackfillRunStateError when it has ended."""
    words = {"running": "cancelling", "pausing": "cancelling", "paused": "cancelled", "failed": "cancelled"}
    return _tell(connection, find(connection, run_id), words, "cancelled", "cancel")


def _tell(connection: Connection, run: Run, words: dict[str, str], when_lost: str, verb: str) -> Run:
    word = words.get(run.state)
    if run.is_lost:
        word = when_lost
    if word is None or not _set(connection, run.run_id, (run.state,), state=word):
        raise BackfillRunStateError(run.run_id, state(connection, run.run_id) or "deleted", verb)
    return find(connection, run.run_id)


def take_over(connection: Connection, run_id: str) -> Run:
    """Make a run that is paused, has failed or was killed one of this process. Raises BackfillRunStateError."""
    run = find(connection, run_id)
    if run.state not in RESUMABLE and not run.is_lost:
        raise BackfillRunStateError(run.run_id, run.state, "resume")
    mine = {"state": "running", "started_by": myself(), "reason": None, "error_class": None, "finished_at": None}
    if not _set(connection, run.run_id, (run.state,), **mine):
        raise BackfillRunStateError(run.run_id, state(connection, run.run_id) or "deleted", "resume")
    return find(connection, run.run_id)
