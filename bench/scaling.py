"""
What a load and a save cost in a huge table, beside the same in a small one.

    python -m bench.scaling [--engine sqlite] [--rows 10000000] [--directory /var/tmp] [--output bench/scaling.md]

Ids are random, in the table and in what is asked for. "Cold" is right after the operating system was told to forget
the file, each row for the first time, of SQLite alone; "warm" is five thousand rows from all over the table again and
again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, repeat
from pathlib import Path

import sqlalchemy as sa

from bench import machine
from bench.contenders.floor import Floor
from bench.contenders.ours import Store
from bench.harness import Driver, Effort, Lane, Series, measure
from bench.places import Place, filled, place

_SMALL = 10_000
_HOT = 5_000
_COLD = 200
_EFFORT = Effort(rounds=9, seconds=0.2, least=200)
_AIM = 1.5
_SCATTER = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""Odd, so that multiples of it modulo a power of two are all different; the golden ratio, so that they are all over."""


def scattered(number: int, _version: int = 3) -> str:
    """Make the n-th of a series of ids without order, as random ones are."""
    return f"{number * _SCATTER % 2**128:032x}"


def _random(rows: int, number: int) -> str:
    return scattered(number * 7_368_787 % rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", default="sqlite", choices=("sqlite", "postgresql", "mariadb"))
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--directory", type=Path, help="where the SQLite files are made: some 2.3 KB for each row")
    parser.add_argument("--output", type=Path, help="Markdown")
    chosen = parser.parse_args()
    load_before = machine.load()
    with (
        tempfile.TemporaryDirectory(prefix="rekindle-scaling-", dir=chosen.directory) as directory,
        place(chosen.engine, Path(directory) / chosen.engine) as here,
    ):
        lines = list(_report(here, chosen.rows))
    text = "\n".join([*_head(chosen.rows), "", machine.described(load_before), "", *lines]) + "\n"
    print(text)
    if chosen.output:
        chosen.output.write_text(text)


def _head(rows: int) -> Iterator[str]:
    yield "# Scaling"
    yield ""
    yield (
        f"A load and a save of one caller in a table of {rows:,} rows, beside the same in one of {_SMALL:,}: {rows:,}"
        f" documents of 1.2 KB under random ids. In turn, {_EFFORT.rounds} rounds of slices of {_EFFORT.seconds} s or"
        ' more. "Times" is the median of the ratios within the rounds, on the clock and by processor time; the aim is'
        f" {_AIM} for rows that memory has."
    )


def _report(here: Place, rows: int) -> Iterator[str]:
    urls = {}
    for size in (_SMALL, rows):
        print(f"filling {size:,} rows ...", file=sys.stderr)
        begin = time.perf_counter()
        urls[size] = here.database(f"rows_{size}")
        filled(urls[size], repeat(3, size), scattered)
        print(f"{time.perf_counter() - begin:.0f} s", file=sys.stderr)
    yield f"{here.settings()}. {', '.join(f'{size:,} rows: {_size(url)}' for size, url in urls.items())}."
    yield ""
    head = f"| operation | us at {_SMALL:,} rows | us at {rows:,} | times | processor us | processor us | times | |"
    yield from (head, "|---|---:|---:|---:|---:|---:|---:|---|")
    if here.engine == "sqlite":
        yield from _cold(urls)
    yield from _warm(urls)


def _warm(urls: dict[int, sa.URL]) -> Iterator[str]:
    with asyncio.Runner() as runner, ThreadPoolExecutor(1) as threads:
        lanes: dict[str, list[Lane]] = {"load": [], "save": []}
        # Each has rows of its own, so that nobody's save makes another's stale.
        for place, kind in enumerate((Floor, Store)):
            for size, url in urls.items():
                driver = Driver(kind(url), runner, threads)
                ids = [_random(size, place * _HOT + number) for number in range(_HOT)]
                for session_id in ids:
                    driver.contender.hold(session_id)
                for operation, mine in lanes.items():
                    mine.append(Lane(driver, operation, lambda number, ids=ids: (ids[number % _HOT],)))
        for operation, mine in lanes.items():
            print(f"warm {operation} ...", file=sys.stderr)
            for small, large in pairwise(measure(mine, operation, 1, _EFFORT)):
                if small.contender is large.contender:
                    judged = small.contender is Store
                    yield _compared(f"{small.label}, warm {operation}", small, large, judged=judged)
        for lane in lanes["load"]:
            lane.driver.contender.close()


def _compared(what: str, small: Series, large: Series, *, judged: bool) -> str:
    times, by_processor = small.times(large), small.times_by_processor(large)
    verdict = ("yes" if times <= _AIM else "**no**") if judged else ""
    return (
        f"| {what} | {1e6 / small.rate:,.0f} | {1e6 / large.rate:,.0f} | {times:.2f}"
        f" | {small.microseconds:,.0f} | {large.microseconds:,.0f} | {by_processor:.2f} | {verdict} |"
    )


def _cold(urls: dict[int, sa.URL]) -> Iterator[str]:
    for operation in ("load", "save"):
        print(f"cold {operation} ...", file=sys.stderr)
        series = {size: Series(Store, operation, f"{size}", 1) for size in urls}
        for turn in range(_EFFORT.rounds):
            for size, url in urls.items():
                begin, processor = _cold_slice(url, size, operation, turn)
                series[size].rates.append(_COLD / begin)
                series[size].processor.append(processor / _COLD * 1e6)
        yield _compared(f"{Store.name}, cold {operation}", *series.values(), judged=False)


def _cold_slice(url: sa.URL, size: int, operation: str, turn: int) -> tuple[float, float]:
    store = Store(url)
    ids = [_random(size, 1 + turn * _COLD + number) for number in range(_COLD)]
    if operation == "save":
        for session_id in ids:
            store.hold(session_id)
        store.store.load(scattered(0))
    _forget(Path(url.database))
    store.load(scattered(0))  # connects, and has the root of the index read
    method = getattr(store, operation)
    begin, processor = time.perf_counter(), time.process_time()
    for session_id in ids:
        method(session_id)
    spent = time.perf_counter() - begin, time.process_time() - processor
    store.close()
    return spent


def _forget(path: Path) -> None:
    """Have the operating system drop what it keeps of a file in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _size(url: sa.URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"{Path(url.database).stat().st_size / 1e9:.2f} GB"
    return "on a server"


if __name__ == "__main__":
    main()
