"""
Rounds in turn: everybody does a slice of the same work, then everybody again, so a slow moment hits all of them.

Every other round goes backwards, so that nobody always follows the same neighbour. Beside the time on the clock a slice
has the processor time of the whole process: on a machine that does other things as well it is the steadier of the two.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.contenders import Contender

_LONGEST = 1.5
"""Seconds that a slice may take to reach its least number of calls."""


@dataclass
class Series:
    """What one contender reached in one operation, a figure for each round."""

    contender: type[Contender]
    operation: str
    label: str
    callers: int
    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Microseconds per call, of all threads of this process; a server's share is not in it."""

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def microseconds(self) -> float:
        return statistics.median(self.processor)

    def times(self, other: Series) -> float:
        """How many times as fast as another: the median of the ratios within the rounds."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.rates, other.rates, strict=True))

    def times_by_processor(self, other: Series) -> float:
        """Compare the processor times instead."""
        return statistics.median(theirs / mine for mine, theirs in zip(self.processor, other.processor, strict=True))


class Effort(NamedTuple):
    """How much of everything: a slice takes these seconds, or longer until it has its least number of calls."""

    rounds: int
    seconds: float
    least: int


class Spent(NamedTuple):
    """What some calls took."""

    seconds: float
    processor: float


class Driver:
    """Calls the methods of one contender, from one caller or from eight at once."""

    def __init__(self, contender: Contender, runner: asyncio.Runner, threads: ThreadPoolExecutor) -> None:
        self.contender = contender
        self._runner = runner
        self._threads = threads

    def run(self, method: Callable[..., Any], *given: Any) -> Any:
        """Call a method of either colour."""
        return self._runner.run(method(*given)) if self.contender.asynchronous else method(*given)

    def spend(self, method: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], callers: int) -> Spent:
        """Time some calls, spread over the callers."""
        shares = [arguments[caller::callers] for caller in range(callers)]
        if self.contender.asynchronous:
            return self._runner.run(_timed_tasks(method, shares))
        watch = _Watch()
        if callers == 1:
            _calls(method, arguments)
        else:
            list(self._threads.map(lambda share: _calls(method, share), shares))
        return watch.read()


class _Watch:
    def __init__(self) -> None:
        self._processor = time.process_time()
        self._begin = time.perf_counter()

    def read(self) -> Spent:
        return Spent(time.perf_counter() - self._begin, time.process_time() - self._processor)


def _calls(method: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> None:
    for given in arguments:
        method(*given)


async def _task(method: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> None:
    for given in arguments:
        await method(*given)


async def _timed_tasks(method: Callable[..., Any], shares: Sequence[Sequence[tuple[Any, ...]]]) -> Spent:
    watch = _Watch()
    await asyncio.gather(*(_task(method, share) for share in shares))
    return watch.read()


class Lane:
    """One contender in one operation: what it is called with the n-th time, and what came of it."""

    def __init__(self, driver: Driver, operation: str, argument: Callable[[int], tuple[Any, ...]]) -> None:
        self.driver = driver
        self.label = driver.contender.name
        self.method = getattr(driver.contender, operation)
        self._argument = argument
        self._next = 0
        self.count = 0

    def calibrate(self, callers: int, effort: Effort) -> None:
        """Find out how many calls make a slice; this warms up what is to be prepared or connected."""
        self._spend(callers * 8, callers)
        trial = max(callers * 4, min(effort.least, 32))
        seconds = self._spend(trial, callers).seconds / trial
        fitting = max(effort.seconds / seconds, min(effort.least, _LONGEST / seconds))
        self.count = max(1, min(self.driver.contender.most, int(fitting)) // callers) * callers

    def slice(self, callers: int, series: Series) -> None:
        spent = self._spend(self.count, callers)
        series.rates.append(self.count / spent.seconds)
        series.processor.append(spent.processor / self.count * 1e6)

    def _spend(self, count: int, callers: int) -> Spent:
        arguments = [self._argument(number) for number in range(self._next, self._next + count)]
        self._next += count
        return self.driver.spend(self.method, arguments, callers)


def measure(lanes: Sequence[Lane], operation: str, callers: int, effort: Effort) -> list[Series]:
    """Measure one operation; a contender that fails is reported and left out."""
    gc.collect()
    gc.freeze()  # what the peers have imported is not to be walked in anybody's slice
    found = {lane: Series(type(lane.driver.contender), operation, lane.label, callers) for lane in lanes}

    def attempt(step: Callable[[Lane], None]) -> Callable[[Lane], None]:
        def attempted(lane: Lane) -> None:
            try:
                step(lane)
            except Exception as error:  # noqa: BLE001 - a peer that breaks must not end the run
                reason = (str(error).splitlines() or [""])[0]
                print(f"{lane.label}, {operation}: left out, {type(error).__name__}: {reason}", file=sys.stderr)
                del found[lane]

        return attempted

    for lane in lanes:
        attempt(lambda lane: lane.calibrate(callers, effort))(lane)
    for number in range(effort.rounds):
        for lane in list(found)[:: -1 if number % 2 else 1]:
            attempt(lambda lane: lane.slice(callers, found[lane]))(lane)
    return list(found.values())
