"""
How many rows a batch takes, and how long to wait between batches.

Pure: no clock, no database; the caller says what time it is and how long a batch took.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

SMALLEST, LARGEST = 1, 5_000
_GROWTH = 1.2
_NEWEST = 0.5
"""The weight of the latest batch in the average: a slow moment counts at once, a single fast one does not."""


@dataclass(slots=True)
class BatchSize:
    """
    A batch size that aims at a duration per batch.

    Follows a moving average of the time per row, so that documents of different sizes settle by themselves. Grows by a
    fifth per batch at most, shrinks as far as it must, and halves when the database gave up on a lock or a statement.
    Being slow never makes it smaller than `smallest`: a batch costs something by itself, and where that alone takes
    longer than the target, smaller batches would only be slower still. `fixed` keeps the size that was asked for, until
    the database gives up on it.
    """

    target_seconds: float
    rows: int = 100
    smallest: int = SMALLEST
    largest: int = LARGEST
    fixed: bool = False
    _seconds_per_row: float | None = None

    def __post_init__(self) -> None:
        self.rows = self._clamped(self.rows)

    def finished(self, rows: int, seconds: float) -> None:
        """Take note of a batch that went through."""
        if rows <= 0 or self.fixed:
            return
        latest = seconds / rows
        before = self._seconds_per_row
        self._seconds_per_row = latest if before is None else _NEWEST * latest + (1 - _NEWEST) * before
        wanted = self.target_seconds / self._seconds_per_row if self._seconds_per_row > 0 else float(self.largest)
        # A batch that was cut short by the end of the table says nothing about larger ones.
        ceiling = max(self.rows * _GROWTH, self.rows + 1) if rows >= self.rows else self.rows
        self.rows = self._clamped(max(min(wanted, ceiling), self.smallest))

    def timed_out(self) -> None:
        """Take note of a batch that the database gave up on."""
        self.rows = self._clamped(self.rows / 2)

    def _clamped(self, rows: float) -> int:
        return max(SMALLEST, min(self.largest, int(rows)))


@dataclass(slots=True)
class Rate:
    """At most so many rows per second, on average since `begun`. None is no bound."""

    rows_per_second: float | None
    begun: float
    rows: int = 0

    def finished(self, rows: int) -> None:
        """Take note of rows that were looked at."""
        self.rows += rows

    def wait(self, now: float) -> float:
        """Say how many seconds to wait before the next batch."""
        if self.rows_per_second is None:
            return 0.0
        return max(0.0, self.begun + self.rows / self.rows_per_second - now)

    def bound(self, rows: int) -> int:
        """Keep a batch to what one second allows, so that a low rate is a steady one and not a row of bursts."""
        if self.rows_per_second is None:
            return rows
        return max(SMALLEST, min(rows, int(self.rows_per_second)))


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many rows may fail before it is the step that must be wrong, and not the rows."""

    rows: int = 1_000
    share: float = 0.1

    AT_LEAST: ClassVar[int] = 100
    """Rows to have been looked at before a share of them says anything."""

    def is_exceeded(self, failed: int, looked_at: int) -> bool:
        """Whether to stop: too many by count, or too many of those looked at."""
        return failed > self.rows or (looked_at >= self.AT_LEAST and failed > self.share * looked_at)
