"""The operations, and the rows that they run on."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa

from bench import fairness, plans
from bench.contenders import CALLERS, Contender
from bench.documents import CURRENT, REALMS
from bench.harness import Driver, Effort, Lane, Series, measure
from bench.places import Place, filled
from rekindle import SessionMetadata

LOAD, SAVE, PAGE, LOAD_MANY = "load", "save", "list, page of 100", "load_many of 500"
BY_VERSION, COUNT = "load, by stored schema version", "count_by_schema_version"
_ROWS = 200
"""Rows of each schema version in the tables of the operations on one row: some peers take milliseconds to fill one."""
_MANY = 500
_LEAST = {PAGE: 10, LOAD_MANY: 10, COUNT: 3}
_LEAST_OF_ONE_ROW = 48


class Sizes(NamedTuple):
    """Rows in the tables of the list and of the count."""

    listed: int
    counted: int


@dataclass
class Results:
    """What one engine answered."""

    engine: str
    settings: str
    series: list[Series] = field(default_factory=list)
    traffic: list[str] = field(default_factory=list)
    plan: str = ""

    def named(self, operation: str, callers: int = 1, *, asynchronous: bool = False) -> list[Series]:
        return [
            one for one in self.series
            if (one.operation, one.callers, one.contender.asynchronous) == (operation, callers, asynchronous)
        ]  # fmt: skip


def _id(version: int, first: int, among: int, number: int) -> str:
    return f"s{version}-{first + number * 7919 % among:07d}"


_current = partial(_id, 3, 0)


class Bench:
    """All measurements on one engine; everybody is opened for one operation, on rows that no other operation saw."""

    def __init__(self, here: Place, contenders: Sequence[type[Contender]], chosen: Any, sizes: Sizes) -> None:
        self.here = here
        self.contenders = contenders
        self.chosen = chosen
        self.sizes = sizes
        self.found = Results(here.engine, here.settings())
        self._begin = time.perf_counter()

    def run(self) -> Results:
        with asyncio.Runner() as self._runner, ThreadPoolExecutor(CALLERS) as self._threads:
            parts = (
                partial(self._one_row, "create", lambda _number: (SessionMetadata.model_validate(CURRENT),)),
                partial(self._one_row, LOAD, lambda number: (_current(_ROWS, number),)),
                partial(self._one_row, SAVE, lambda number: (_current(_ROWS, number),), hold=True),
                partial(self._one_row, "update", lambda number: (_current(_ROWS, number),)),
                self._by_version,
                self._many_rows,
                self._count,
                self._traffic,
            )
            for part in parts:
                try:
                    part()
                except Exception:  # noqa: BLE001 - what was measured before is not to be lost
                    traceback.print_exc()
        return self.found

    def _say(self, what: str) -> None:
        print(f"{time.perf_counter() - self._begin:4.0f} s  {self.here.engine}: {what}", file=sys.stderr)

    def _wanted(self, operation: str) -> bool:
        return not self.chosen.only or any(part in operation for part in self.chosen.only)

    def _one_row(self, operation: str, argument: Callable[[int], tuple[Any, ...]], *, hold: bool = False) -> None:
        if not self._wanted(operation):
            return
        with self._open(self.contenders, operation, [3] * _ROWS) as drivers:
            if hold:
                for driver in drivers:
                    for number in range(_ROWS):
                        driver.run(driver.contender.hold, _current(_ROWS, number))
            lanes = [Lane(driver, operation, argument) for driver in drivers if hasattr(driver.contender, operation)]
            self._measure(lanes, operation, (1, CALLERS))

    def _by_version(self) -> None:
        if not self._wanted(BY_VERSION):
            return
        ours = [contender for contender in self.contenders if contender.family == "rekindle"]
        versions = [3] * _ROWS + [2] * _ROWS + [1] * _ROWS
        with self._open(ours, "by_version", versions) as drivers:
            lanes = []
            for driver in drivers:
                for version, first in ((3, 0), (2, _ROWS), (1, 2 * _ROWS)):
                    lane = Lane(driver, "load", lambda number, v=version, f=first: (_id(v, f, _ROWS, number),))
                    lane.label += f", version {version}"
                    lanes.append(lane)
            self._measure(lanes, BY_VERSION, (1,))

    def _many_rows(self) -> None:
        rows = self.sizes.listed
        some = {
            PAGE: ("page", lambda number: (REALMS[number % len(REALMS)],)),
            LOAD_MANY: (
                "load_many", lambda number: ([_current(rows, number * _MANY + offset) for offset in range(_MANY)],)
            ),
        }  # fmt: skip
        wanted = {operation: how for operation, how in some.items() if self._wanted(operation)}
        if not wanted:
            return
        shared = self._shared("listed", [3] * rows)
        lists = [contender for contender in self.contenders if hasattr(contender, "page")]
        with self._open(lists, "listed", [3] * rows, shared) as drivers:
            for operation, (method, argument) in wanted.items():
                lanes = [Lane(driver, method, argument) for driver in drivers if hasattr(driver.contender, method)]
                self._measure(lanes, operation, (1, CALLERS))

    def _count(self) -> None:
        if not self._wanted(COUNT):
            return
        outdated = self.sizes.counted // 20
        shared = self._shared("counted", [3] * (self.sizes.counted - outdated) + [2] * outdated)
        counts = [contender for contender in self.contenders if hasattr(contender, "count")]
        with self._open(counts, "counted", [], shared) as drivers:
            self._measure([Lane(driver, "count", lambda _number: ()) for driver in drivers], COUNT, (1,))
        self.found.plan = plans.of_count(shared)

    def _traffic(self) -> None:
        if self._wanted("traffic"):
            self.found.traffic = fairness.traffic(
                self.here.engine, lambda kind: self._opened(kind, f"traffic_{kind.__name__.lower()}", [3], None)
            )

    def _measure(self, lanes: Sequence[Lane], operation: str, callers: Iterable[int]) -> None:
        effort = Effort(self.chosen.rounds, self.chosen.seconds, _LEAST.get(operation, _LEAST_OF_ONE_ROW))
        for at_once in callers:
            self._say(f"{operation}, {at_once} at once")
            self.found.series += measure(lanes, operation, at_once, effort)

    def _shared(self, name: str, versions: list[int]) -> sa.URL:
        self._say(f"filling {len(versions):,} rows")
        url = self.here.database(name)
        filled(url, versions)
        return url

    @contextmanager
    def _open(self, kinds: Iterable[type[Contender]], name: str, versions: list[int], shared: sa.URL | None = None):
        """Open everybody on freshly filled tables of their own, or, where nobody writes, those that can on the same."""
        drivers: list[Driver] = []
        for number, kind in enumerate(kinds):
            try:
                drivers.append(self._opened(kind, f"{name}_{number}", versions, shared))
            except Exception as error:  # noqa: BLE001 - a peer that breaks must not end the run
                print(f"{kind.name}, {name}: left out, {type(error).__name__}: {error}", file=sys.stderr)
        try:
            yield drivers
        finally:
            for driver in drivers:
                driver.run(driver.contender.close)
            self.here.drop(keep=shared)

    def _opened(self, kind: type[Contender], name: str, versions: list[int], shared: sa.URL | None) -> Driver:
        own = shared if shared is not None and not kind.own_tables else self.here.database(name)
        if own is not shared and not kind.own_tables:
            filled(own, versions)
        driver = Driver(kind(own), self._runner, self._threads)
        if kind.own_tables:
            driver.contender.fill(versions)
        if kind.asynchronous and hasattr(driver.contender, "start"):
            driver.run(driver.contender.start)
        return driver
