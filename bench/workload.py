"""The operations, and the rows that they run on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import sqlalchemy as sa

from bench import plans
from bench.contenders import Contender
from bench.documents import CURRENT, REALMS
from bench.harness import CALLERS, Driver, Series, Work, measure
from bench.places import Place, filled
from rekindle import SessionMetadata

_OUTDATED = 256
_ROWS = 400
"""Rows in the tables of the operations on one row: some peers take milliseconds for each."""
_MANY = 500


class Sizes(NamedTuple):
    """Rows in the tables of the list and of the count."""

    listed: int
    counted: int


def _id(version: int, first: int, among: int, number: int) -> str:
    return f"s{version}-{first + number * 7919 % among:07d}"


def _document(_number: int) -> SessionMetadata:
    return SessionMetadata.model_validate(CURRENT)


def point_work(rows: int) -> list[Work]:
    """Make the operations on one row, current ones spread over this many."""

    def current(number: int) -> str:
        return _id(3, 0, rows, number)

    return [
        Work("create", "create", lambda number: (_document(number),)),
        Work("load, current", "load", lambda number: (current(number),)),
        Work(
            "save", "save", lambda number: (current(number),), holds=[_id(3, 0, rows, number) for number in range(rows)]
        ),
        Work("update", "update", lambda number: (current(number),)),
    ]


_OUTDATED_WORK = [
    Work("load, version 3 again", "load", lambda number: (_id(3, 0, _ROWS, number),), concurrent=False),
    Work("load, version 2", "load", lambda number: (_id(2, _ROWS + _OUTDATED, _OUTDATED, number),), concurrent=False),
    Work("load, version 1", "load", lambda number: (_id(1, _ROWS, _OUTDATED, number),), concurrent=False),
]


def _page(sizes: Sizes) -> list[Work]:
    return [
        Work("list, page of 100", "page", lambda number: (REALMS[number % len(REALMS)],), concurrent=False),
        Work(
            "load_many of 500", "load_many",
            lambda number: ([_id(3, 0, sizes.listed, number * _MANY + offset) for offset in range(_MANY)],),
            concurrent=False,
        ),
    ]  # fmt: skip


_COUNT = [Work("count_by_schema_version", "count", lambda _number: (), concurrent=False)]


def run(here: Place, contenders: Sequence[type[Contender]], chosen: Any, sizes: Sizes) -> tuple[list[Series], str]:
    """Measure everything on one engine; returns the figures and the plans of the count."""
    shared = [contender for contender in contenders if not contender.own_tables]
    found: list[Series] = []
    with asyncio.Runner() as runner, ThreadPoolExecutor(CALLERS) as threads:

        def section(
            name: str, url: sa.URL | None, who: list[type[Contender]], work: list[Work], fill: list[int] | None
        ) -> None:
            wanted = [one for one in work if not chosen.only or any(part in one.title for part in chosen.only)]
            if wanted:
                drivers = _opened(here, name, url, who, fill, runner, threads)
                found.extend(_measured(drivers, wanted, chosen))
                _close(drivers, runner)

        section("small", None, list(contenders), point_work(_ROWS), [3] * _ROWS)
        outdated = here.database("outdated")
        filled(outdated, [3] * _ROWS + [1] * _OUTDATED + [2] * _OUTDATED)
        section("outdated", outdated, [one for one in shared if "rekindle" in one.name], _OUTDATED_WORK, None)
        listed = here.database("listed")
        filled(listed, [3] * sizes.listed)
        lists = [contender for contender in contenders if hasattr(contender, "page")]
        section("listed", listed, lists, _page(sizes), [3] * sizes.listed)
        counted = here.database("counted")
        if not chosen.only or any(part in _COUNT[0].title for part in chosen.only):
            filled(counted, [3] * (sizes.counted * 9 // 10) + [2] * (sizes.counted // 10))
            section("counted", counted, shared, _COUNT, None)
            return found, plans.of_count(counted)
    return found, ""


def _opened(here, name, url, contenders, fill, runner, threads) -> list[Driver]:  # noqa: PLR0917 - one caller
    """Open everybody on tables of their own; those with the same tables share them where nobody writes."""
    drivers = []
    writes = url is None
    for number, kind in enumerate(contenders):
        own = url
        if fill is not None and (kind.own_tables or writes):
            own = here.database(f"{name}_{number}")
        try:
            if fill is not None and own is not url and not kind.own_tables:
                filled(own, fill)
            contender = kind(own)
            if kind.own_tables and fill is not None:
                contender.fill(fill)
            if kind.asynchronous and hasattr(contender, "start"):
                runner.run(contender.start())
        except Exception as error:  # noqa: BLE001 - a peer that breaks must not end the run
            print(f"{kind.name} on {here.engine}: left out, {type(error).__name__}: {error}", file=sys.stderr)
            continue
        drivers.append(Driver(contender, runner, threads))
    return drivers


def _measured(drivers, work, chosen):
    for one in work:
        for callers in (1, CALLERS) if one.concurrent else (1,):
            print(f"{one.title}, {callers} at once ...", file=sys.stderr)
            yield from measure(drivers, one, callers, chosen.rounds, chosen.seconds)


def _close(drivers, runner) -> None:
    for driver in drivers:
        if driver.contender.asynchronous:
            runner.run(driver.contender.close())
        else:
            driver.contender.close()
