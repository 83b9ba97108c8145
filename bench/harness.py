"""Rounds in turn: everybody does a slice of the same work, then everybody again, so a slow moment hits all of them."""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bench.contenders import Contender

CALLERS = 8


@dataclass
class Series:
    """Operations per second of one contender, one figure for each round."""

    contender: str
    operation: str
    callers: int
    asynchronous: bool
    differs: str
    figures: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.figures)

    def ratio(self, other: Series) -> float:
        """The median over the rounds of this one's figure by the other's in the same round."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.figures, other.figures, strict=True))

    @property
    def spread(self) -> str:
        return f"{min(self.figures):,.0f} - {max(self.figures):,.0f}"


class Driver:
    """Calls the methods of one contender, from one caller or from eight at once."""

    def __init__(self, contender: Contender, runner: asyncio.Runner, threads: ThreadPoolExecutor) -> None:
        self.contender = contender
        self._runner = runner
        self._threads = threads

    def prepare(self, session_ids: Sequence[str]) -> None:
        if self.contender.asynchronous:
            self._runner.run(_one_after_another(self.contender.hold, session_ids))
        else:
            for session_id in session_ids:
                self.contender.hold(session_id)

    def seconds(self, operation: str, arguments: Sequence[tuple[Any, ...]], callers: int) -> float:
        """Time some calls."""
        method = getattr(self.contender, operation)
        shares = [arguments[caller::callers] for caller in range(callers)]
        if self.contender.asynchronous:
            return self._runner.run(_timed_tasks(method, shares))
        begin = time.perf_counter()
        if callers == 1:
            _calls(method, arguments)
        else:
            list(self._threads.map(lambda share: _calls(method, share), shares))
        return time.perf_counter() - begin


def _calls(method: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> None:
    for given in arguments:
        method(*given)


async def _one_after_another(method: Callable[..., Any], session_ids: Sequence[str]) -> None:
    for session_id in session_ids:
        await method(session_id)


async def _task(method: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> None:
    for given in arguments:
        await method(*given)


async def _timed_tasks(method: Callable[..., Any], shares: Sequence[Sequence[tuple[Any, ...]]]) -> float:
    begin = time.perf_counter()
    await asyncio.gather(*(_task(method, share) for share in shares))
    return time.perf_counter() - begin


@dataclass(frozen=True)
class Work:
    """An operation, and what it is called with the n-th time."""

    title: str
    operation: str
    argument: Callable[[int], tuple[Any, ...]]
    holds: Sequence[str] = ()
    concurrent: bool = True


def measure(drivers: Sequence[Driver], work: Work, callers: int, rounds: int, seconds: float) -> list[Series]:
    """Measure one operation; a contender that fails is reported and left out."""
    gc.collect()
    gc.freeze()  # what the peers have imported is not to be walked in anybody's slice
    counts: dict[str, int] = {}
    found: dict[str, Series] = {}
    taken: dict[str, int] = {}
    for driver in drivers:
        contender = driver.contender
        if not hasattr(contender, work.operation):
            continue
        try:
            if work.holds:
                driver.prepare(work.holds)
            trial = [work.argument(number) for number in range(callers * 2)]
            driver.seconds(work.operation, trial, callers)
            spent = driver.seconds(work.operation, trial, callers)
        except Exception as error:  # noqa: BLE001 - a peer that breaks must not end the run
            print(
                f"{contender.name}, {work.title}: left out, {type(error).__name__}: {str(error).splitlines()[0]}",
                file=sys.stderr,
            )
            continue
        fitting = int(seconds / spent * len(trial))
        counts[contender.name] = max(callers, min(contender.most, fitting) // callers * callers)
        taken[contender.name] = 0
        found[contender.name] = Series(contender.name, work.title, callers, contender.asynchronous, contender.differs)
    for _ in range(rounds):
        for driver in drivers:
            name = driver.contender.name
            if name in found:
                count = counts[name]
                first = taken[name] = taken[name] + count
                arguments = [work.argument(number) for number in range(first, first + count)]
                found[name].figures.append(count / driver.seconds(work.operation, arguments, callers))
    return list(found.values())
