"""
One run of the backfill, from what it is told to what it reports.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

from sqlalchemy import Connection, Engine

from rekindle.backfill import runs
from rekindle.backfill.batches import Job, Outcome
from rekindle.backfill.company import Company
from rekindle.backfill.completeness import Remaining, remaining
from rekindle.backfill.pace import BatchSize, Rate, Tolerance
from rekindle.backfill.runs import Run
from rekindle.backfill.throttle import Throttle, lock_waits, pause_file, replica_lag
from rekindle.backfill.walk import Progress, Walk
from rekindle.backfill.workers import crew
from rekindle.bulk import capabilities, connected
from rekindle.counting import versions_below
from rekindle.engine import translated
from rekindle.repository import require_writable
from rekindle.revision import require_revision
from rekindle.schema import CURRENT


@dataclass(frozen=True, slots=True)
class Settings:
    """
    How a backfill is to go about it.

    `to_version` None is REKINDLE_WRITE_VERSION, else the current schema version. `limit` is in rows. `batch_size` None
    adapts to the database. `workers` above 1 are processes of their own, which connect by the engine's URL.
    `max_failures` and `max_failure_share` are how many rows may fail before it looks like a fault of a step.
    """

    to_version: int | None = None
    realm: str | None = None
    limit: int | None = None
    batch_size: int | None = None
    max_rate: float | None = None
    workers: int = 1
    dry_run: bool = False
    pause_file: str | None = None
    max_replica_lag: float | None = None
    max_lock_waits: int | None = None
    max_failures: int = 1_000
    max_failure_share: float = 0.1


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended: its record (None of a dry run), its state and why, what was done, and what remains."""

    run_id: str | None
    state: str
    reason: str | None
    to_version: int
    done: Outcome
    remaining: Remaining
    seconds: float


@dataclass(slots=True)
class Controls:
    """How a run is watched and stopped from within this process: set `stop`, and it ends behind its batch."""

    stop: threading.Event = field(default_factory=threading.Event)
    on_progress: Callable[[Progress], object] = lambda _: None


def run(engine: Engine, settings: Settings | None = None, controls: Controls | None = None) -> Report:
    """
    Rewrite outdated rows until none is left that can be, or a limit, a stop or a word from another shell ends it.

    Raises TooManyFailuresError, ReplicaLagUnknownError, DatabaseRevisionError, DatabaseUnavailableError and
    WriteVersionError; the record of
    the run then says `failed`, and it can be resumed.
    """
    settings = settings or Settings()
    to = version_to_write(settings.to_version)
    with translated(engine.url), connected(engine) as connection:
        require_revision(connection)
        session = _Session(engine, connection, settings, controls or Controls(), to)
        if settings.dry_run:
            return session.go()
        lowest = next(versions_below(connection, to), None)
        record = runs.begin(connection, lowest=lowest, to=to, realm=settings.realm, settings=asdict(settings))
        return session.go_recorded(record)


def resume(engine: Engine, run_id: str, controls: Controls | None = None) -> Report:
    """Go on, in this process, with a run that was paused, has failed or was killed. Raises what run() raises."""
    with translated(engine.url), connected(engine) as connection:
        require_revision(connection)
        record = runs.take_over(connection, run_id)
        settings = Settings(**record.options)
        session = _Session(engine, connection, settings, controls or Controls(), record.to_schema_version)
        return session.go_recorded(record)


def version_to_write(asked: int | None = None) -> int:
    """Say which schema version is written: the one asked for, REKINDLE_WRITE_VERSION, or else the current one."""
    pinned: int | str = os.environ.get("REKINDLE_WRITE_VERSION", str(CURRENT)) if asked is None else asked
    return require_writable(pinned)


@dataclass(slots=True)
class _Session:
    """What one run works with."""

    engine: Engine
    connection: Connection
    settings: Settings
    controls: Controls
    to: int
    record: Run | None = None
    done: Outcome = field(default_factory=Outcome)

    def go_recorded(self, record: Run) -> Report:
        self.record = record
        try:
            report = self.go()
        except BaseException as error:
            if not self.connection.invalidated:
                self.connection.rollback()
                runs.finish(self.connection, record, self.done, runs.Ending("failed", None, error))
            raise
        runs.finish(self.connection, record, self.done, runs.Ending(report.state, report.reason))
        return report

    def go(self) -> Report:
        begun = monotonic()
        settings, connection = self.settings, self.connection
        with crew(self.engine, connection, Job(self.to, dry_run=settings.dry_run), settings.workers) as workers:
            walk = Walk(
                connection, workers, self.to, _batch_size(connection, settings),
                rate=Rate(settings.max_rate, begun),
                tolerance=Tolerance(settings.max_failures, settings.max_failure_share),
                run=self.record, realm=settings.realm, limit=settings.limit,
                throttles=_throttles(connection, settings), company=self._company(),
                stop=self.controls.stop, on_progress=self.controls.on_progress, done=self.done,
            )  # fmt: skip
            state, reason = walk.go()
        left = remaining(connection, self.to, settings.realm)
        run_id = None if self.record is None else self.record.run_id
        return Report(run_id, state, reason, self.to, self.done, left, monotonic() - begun)

    def _company(self) -> Company | None:
        return None if self.settings.dry_run else Company(self.connection, self.settings.workers)


def _batch_size(connection: Connection, settings: Settings) -> BatchSize:
    known = capabilities(connection.dialect.name)
    if settings.batch_size is not None:
        return BatchSize(known.batch_seconds, settings.batch_size, fixed=True)
    smallest, largest = known.smallest_batch, known.largest_batch
    return BatchSize(known.batch_seconds, smallest, smallest=smallest, largest=largest)


def _throttles(connection: Connection, settings: Settings) -> tuple[Throttle, ...]:
    throttles = []
    if settings.pause_file is not None:
        throttles.append(pause_file(Path(settings.pause_file)))
    if settings.max_replica_lag is not None:
        throttles.append(replica_lag(connection, settings.max_replica_lag))
    if settings.max_lock_waits is not None:
        throttles.append(lock_waits(connection, settings.max_lock_waits))
    return tuple(throttles)
