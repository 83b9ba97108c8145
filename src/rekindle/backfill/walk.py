"""
The walk of a backfill over the table: which stretch is next, who does it, and when to stop.

The coordinator looks at the index alone and hands out stretches that do not overlap. What two coordinators on two
machines hand out does: the one who finds rows rewritten by the other leaps ahead, and comes back for what it left out.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from time import monotonic

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from rekindle.backfill import runs
from rekindle.backfill.batches import Outcome, Stretch, boundary
from rekindle.backfill.company import Company
from rekindle.backfill.errors import TooManyFailuresError
from rekindle.backfill.pace import BatchSize, Rate, Tolerance
from rekindle.backfill.runs import Run
from rekindle.backfill.throttle import Throttle, first_reason
from rekindle.backfill.workers import Crew
from rekindle.bulk import gave_up
from rekindle.counting import versions_below

FRUITLESS = 6
"""Passes that convert nothing, while others hold the rows that are left, before the walk gives up on them."""

_LEAP = 32
"""Batches to leap over at most: the index is counted through, which is cheap for so many."""

_REPORT_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a backfill is: what it has done, how large its batches are, and why it waits when it does."""

    done: Outcome
    batch_size: int
    waits_for: str | None = None


@dataclass(slots=True)
class Walk:
    """One run of a backfill; `go` walks until there is nothing left, or something says stop."""

    connection: Connection
    crew: Crew
    to_version: int
    size: BatchSize
    rate: Rate
    tolerance: Tolerance
    run: Run | None
    """None of a dry run, which writes nothing, its own record included."""
    realm: str | None = None
    limit: int | None = None
    throttles: tuple[Throttle, ...] = ()
    company: Company | None = None
    """None of a dry run, which is in nobody's way."""
    stop: threading.Event = field(default_factory=threading.Event)
    on_progress: Callable[[Progress], object] = lambda _: None
    done: Outcome = field(default_factory=Outcome)
    _ended: tuple[str, str | None] | None = None
    _at_work: dict[Future[Outcome], int] = field(default_factory=dict)
    _in_pass: Outcome = field(default_factory=Outcome)
    _leap: bool = False
    _reported: float = 0.0

    def go(self) -> tuple[str, str | None]:
        """Walk until the end; return the state that the run is in then, and why."""
        fruitless = 0
        while True:
            self._in_pass = Outcome()
            leapt = self._pass()
            if self._ended is not None:
                return self._ended
            left = self._in_pass.locked + self._in_pass.left_to_client
            if self.run is None or not (left or leapt):
                return "succeeded", None
            fruitless = 0 if self._in_pass.converted or leapt else fruitless + 1
            if fruitless >= FRUITLESS:
                return "paused", f"rows held by other transactions: {self._in_pass.locked:,}"
            if fruitless:
                self.stop.wait(0.1 * 2**fruitless)

    def _pass(self) -> bool:
        """Go once through all schema versions below; return whether something was leapt over."""
        leapt = False
        for version in versions_below(self.connection, self.to_version):
            after: str | None = ""
            while after is not None and self._may_go_on():
                rows = self._rows()
                upto = self._boundary(version, after, rows)
                self._submit(Stretch(version, after, upto, rows, self.realm))
                after = upto
                if self._leap and after is not None:
                    self._leap, leapt = False, True
                    after = self._boundary(version, after, rows * random.randint(1, _LEAP)) or after  # noqa: S311
            if self._ended is not None:
                break
        while self._at_work:
            self._collect()
        return leapt

    def _rows(self) -> int:
        rows = self.rate.bound(self._batch_size())
        return rows if self.limit is None else min(rows, self._within_limit())

    def _batch_size(self) -> int:
        if self.company is None or self.size.fixed:
            return self.size.rows
        return self.company.bound(self.size.rows)

    def _within_limit(self) -> int:
        tried = self.done.settled + sum(self._at_work.values())
        return max(0, (self.limit or 0) - tried)

    def _boundary(self, version: int, after: str, rows: int) -> str | None:
        parameters = {"_v": version, "_after": after, "_skip": rows - 1}
        if self.realm is not None:
            parameters["_realm"] = self.realm
        found: str | None = self.connection.execute(boundary(self.realm is not None), parameters).scalar()
        return found

    def _submit(self, stretch: Stretch) -> None:
        self._at_work[self.crew.submit(stretch)] = stretch.rows
        while len(self._at_work) >= self.crew.places:
            self._collect()

    def _collect(self) -> None:
        finished, _ = wait(self._at_work, return_when=FIRST_COMPLETED)
        collected = Outcome()
        for future in finished:
            del self._at_work[future]
            outcome = future.result()
            self._take(outcome)
            collected.add(outcome)
        self._tell()
        if self.company is not None:
            self.company.make_way(collected.transactions, collected.seconds, self.stop)
        if self.run is not None and self.tolerance.is_exceeded(self.done.quarantined, self.done.settled):
            failure = self.done.failures[0]
            example = f"{failure.seen['_session_id']!r}: {failure.message}"
            raise TooManyFailuresError(self.done.quarantined, self.done.settled, example)

    def _take(self, outcome: Outcome) -> None:
        self.done.add(outcome)
        self._in_pass.add(outcome)
        self.rate.finished(outcome.looked_at)
        if outcome.timed_out:
            self.size.timed_out()
        else:
            self.size.finished(outcome.looked_at, outcome.seconds)
        self._leap = self._leap or outcome.taken * 2 > outcome.looked_at

    # stopping, waiting, and saying so

    def _may_go_on(self) -> bool:
        """Wait for what there is to wait for; return False when the walk is to end, and remember why."""
        while self._ended is None:
            self._ended = self._told()
            if self._ended is not None:
                return False
            seconds, reason = self.rate.wait(monotonic()), first_reason(self.throttles, self.connection)
            if reason is None and seconds <= 0:
                return True
            self._tell(reason)
            self.stop.wait(_LOOK_AGAIN_SECONDS if reason else min(seconds, _LOOK_AGAIN_SECONDS))
        return False

    def _told(self) -> tuple[str, str | None] | None:
        if self.stop.is_set():
            return "paused", "interrupted"
        if self.run is not None:
            word = runs.state(self.connection, self.run.run_id)
            if word in {"pausing", "paused"}:
                return "paused", "told to pause"
            if word != "running":
                return "cancelled", "told to stop"
        if self.limit is not None and self._within_limit() == 0:
            return "paused", f"the limit of {self.limit:,} rows is reached"
        return None

    def _tell(self, reason: str | None = None) -> None:
        self.on_progress(Progress(self.done, self._batch_size(), reason))
        if self.run is None or monotonic() - self._reported < _REPORT_SECONDS:
            return
        self._reported = monotonic()
        try:
            runs.report(self.connection, self.run, self.done, reason)
        except DBAPIError as error:
            if not gave_up(error):  # the next one tells the same and more
                raise
