"""
What the floor and rekindle send for one call: a comparison of the two is worth nothing unless it is the same.

SQLite tells every statement that it runs, libpq every message; MariaDB counts the questions of a connection.
"""

from __future__ import annotations

import gc
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.contenders import Contender
from bench.contenders.floor import AsyncFloor, Floor
from bench.contenders.ours import AsyncStore, Store
from bench.harness import Driver

_Sent = Callable[[Callable[[], None]], str]
_CALLS = 20
_ID = "s3-0000000"


def traffic(engine: str, opened: Callable[[type[Contender]], Driver]) -> list[str]:
    """Say what a load, a save and an update send, on average, once everything is connected and prepared."""
    lines = []
    # The asynchronous drivers of the others keep their connections to themselves.
    for kind in (Floor, Store, AsyncFloor, AsyncStore) if engine == "postgresql" else (Floor, Store):
        with _watched(engine) as sent:
            driver = opened(kind)
            lines += [f"| {kind.name} | {one} | {_of(driver, one, sent)} |" for one in ("load", "save", "update")]
            driver.run(driver.contender.close)
    return lines


def _of(driver: Driver, operation: str, sent: _Sent) -> str:
    method = getattr(driver.contender, operation)

    def calls() -> None:
        driver.spend(method, [(_ID,)] * _CALLS, 1)

    driver.run(driver.contender.hold, _ID)
    calls()
    return sent(calls)


def _listed(heard: Iterable[str]) -> str:
    return ", ".join(f"{word} {times / _CALLS:g}" for word, times in sorted(Counter(heard).items()))


@contextmanager
def _watched(engine: str) -> Iterator[_Sent]:
    with {"sqlite": _sqlite, "postgresql": _postgresql, "mariadb": _mariadb}[engine]() as sent:
        yield sent


@contextmanager
def _sqlite():
    before = _alive(sqlite3.Connection)

    def sent(calls: Callable[[], None]) -> str:
        heard: list[str] = []
        mine = [one for one in _alive(sqlite3.Connection) if one not in before]
        for connection in mine:
            connection.set_trace_callback(heard.append)
        calls()
        for connection in mine:
            connection.set_trace_callback(None)
        asked = ("journal_mode", "synchronous")
        settings = {f"{word} {one.execute(f'PRAGMA {word}').fetchone()[0]}" for one in mine for word in asked}
        return f"{_listed(statement.split()[0] for statement in heard)}; {', '.join(sorted(settings))}"

    yield sent


@contextmanager
def _postgresql():
    import psycopg  # noqa: PLC0415 - a driver is imported by whom it is measured for

    both = (psycopg.Connection, psycopg.AsyncConnection)
    before = _alive(both)

    def sent(calls: Callable[[], None]) -> str:
        with tempfile.TemporaryFile("w+") as trace:
            mine = [one for one in _alive(both) if one not in before]
            for connection in mine:
                connection.pgconn.trace(trace.fileno())
            calls()
            for connection in mine:
                connection.pgconn.untrace()
            trace.seek(0)
            fields = [line.split("\t") for line in trace]
        # Of the messages of a client ("F"), these are what a server works on; a Sync or Query makes a round trip.
        return _listed(one[3].split()[0] for one in fields if len(one) > 3 and one[1] == "F")

    yield sent


@contextmanager
def _mariadb():
    import pymysql  # noqa: PLC0415 - as above

    before = _alive(pymysql.connections.Connection)

    def questions() -> int:
        asked = 0
        for connection in _alive(pymysql.connections.Connection):
            if connection not in before and connection.open:
                with connection.cursor() as cursor:
                    cursor.execute("SHOW SESSION STATUS LIKE 'Questions'")
                    asked += int(cursor.fetchone()[1]) - 1
        return asked

    def sent(calls: Callable[[], None]) -> str:
        begin = questions()
        calls()
        return f"questions {(questions() - begin - 1) / _CALLS:g}"

    yield sent


def _alive(kind: type | tuple[type, ...]) -> list[Any]:
    return [one for one in gc.get_objects() if isinstance(one, kind)]
