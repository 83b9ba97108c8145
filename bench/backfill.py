"""
What a backfill costs: rows per second against the floor and against the loop that people write today, the memory it
needs, and what a live writer notices of it.

    python bench/backfill.py [--url URL] [--rows 100000] [--rounds 1] [--workers 1]

The tables at URL are made and EMPTIED: give it a database of its own. The floor is the driver's own executemany of the
same bytes into the same tables, with the same Python steps, in one transaction per batch and nothing checked. The loop
is ORM objects changed one by one, committed a thousand at a time; it keeps no originals and no promise.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import random
import statistics
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rekindle import SessionStore, backfill
from rekindle.backfill import Settings
from rekindle.backfill.batches import boundary, reading
from rekindle.backfill.conversion import convert
from rekindle.backfill.overwriting import overwriting
from rekindle.bulk import connected, write_transaction
from rekindle.engine import create_engine
from rekindle.originals import archive_insert
from rekindle.orm import Base, SessionMetadataRow, session_metadata
from rekindle.upcasting import upcast

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
DOCUMENTS = [(GOLDEN / "v2" / "s13_full.json").read_text(), (GOLDEN / "v1" / "s05_full.json").read_text()]
BATCH = 1_000


def refill(engine, rows):
    now = datetime.now(UTC)
    chance = random.Random(7)
    with connected(engine) as connection:
        for table in Base.metadata.sorted_tables:
            connection.execute(table.delete())
        for start in range(0, rows, 5_000):
            batch = [
                {
                    "session_id": str(uuid.UUID(int=chance.getrandbits(128))), "schema_version": 2 - number % 2,
                    "lock_version": 1, "payload": DOCUMENTS[number % 2], "realm": None, "provider": "openai",
                    "model": "m", "instance_id": None, "comms_name": None, "created_at": now, "updated_at": now,
                }
                for number in range(start, min(start + 5_000, rows))
            ]  # fmt: skip
            with write_transaction(connection):
                connection.execute(session_metadata.insert(), batch)
    if engine.dialect.name == "postgresql":
        with connected(engine) as connection:
            connection.exec_driver_sql("VACUUM ANALYZE session_metadata")
            connection.exec_driver_sql("VACUUM ANALYZE session_metadata_archive")
    elif engine.dialect.name != "sqlite":
        with connected(engine) as connection:
            connection.exec_driver_sql("ANALYZE TABLE session_metadata").all()


def ours(engine, workers):
    report = backfill.run(engine, Settings(workers=workers))
    assert report.remaining.is_none
    return report.done.converted


def compiled(statement, engine, names):
    """The text that the driver gets, and how to make its parameters of ours."""
    result = statement.compile(dialect=engine.dialect, column_keys=names)
    order = result.positiontup

    def parameters(row):
        values = {name: processors.get(name, same)(row[name]) for name in order or result.params}
        return tuple(values[name] for name in order) if order else values

    def same(value):
        return value

    processors = result._bind_processors  # noqa: SLF001 - what SQLAlchemy does to a value, without SQLAlchemy
    return str(result), parameters


def the_floor(engine, _workers):
    done = 0
    rewrite, archive = None, None
    with connected(engine) as connection:
        for version in (1, 2):
            after = ""
            while after is not None:
                place = {"_v": version, "_after": after}
                upto = connection.execute(boundary(False), {**place, "_skip": BATCH - 1}).scalar()
                bound = {} if upto is None else {"_upto": upto}
                rows = connection.execute(reading(upto is not None, False), {**place, **bound, "_rows": BATCH}).all()
                decided = [convert(row, 3) for row in rows]
                if decided and rewrite is None:
                    rewrite = compiled(overwriting(False), engine, None)
                    archive = compiled(archive_insert(engine.dialect.name), engine, list(decided[0].original))
                with write_transaction(connection):
                    cursor = connection.connection.cursor()
                    if decided:
                        cursor.executemany(rewrite[0], [rewrite[1]({**each.seen, **each.columns}) for each in decided])
                        cursor.executemany(archive[0], [archive[1](each.original) for each in decided])
                    cursor.close()
                done += len(rows)
                after = upto
    return done


def the_loop(engine, _workers):
    done = 0
    level = "SERIALIZABLE" if engine.dialect.name == "sqlite" else "READ COMMITTED"
    with Session(engine.execution_options(isolation_level=level)) as db:
        ids = db.scalars(sa.select(SessionMetadataRow.session_id)).all()
        for session_id in ids:
            row = db.get(SessionMetadataRow, session_id)
            row.payload = json.dumps(upcast(json.loads(row.payload)).document)
            row.schema_version = 3
            done += 1
            if done % 1_000 == 0:
                db.commit()
                db.expunge_all()
        db.commit()
    return done


def measured(engine, rows, contender, workers=1):
    refill(engine, rows)
    begun = time.perf_counter()
    assert contender(engine, workers) == rows
    return rows / (time.perf_counter() - begun)


def write_for_a_while(url, ids, stop, latencies):
    with SessionStore.open(url) as store:
        while not stop.is_set():
            session_id = random.choice(ids)
            record = store.load(session_id)
            begun = time.perf_counter()
            store.save(record)
            latencies.append(time.perf_counter() - begun)
            stop.wait(0.002)


def live(url, seconds, queue, ready):
    """A service beside the backfill, in a process of its own: save one row after the other."""
    engine = create_engine(url)
    with connected(engine) as connection:
        ids = connection.execute(sa.select(session_metadata.c.session_id).limit(5_000)).scalars().all()
    engine.dispose()
    stop, latencies = threading.Event(), []
    timer = threading.Timer(seconds, stop.set)
    ready.set()
    timer.start()
    write_for_a_while(url, ids, stop, latencies)
    queue.put(latencies)


def latency(url, seconds, beside=None):
    context = multiprocessing.get_context("spawn")
    queue, ready = context.Queue(), context.Event()
    process = context.Process(target=live, args=(url, seconds, queue, ready))
    process.start()
    ready.wait()
    if beside is not None:
        beside()
    latencies = queue.get()
    process.join()
    return statistics.quantiles(latencies, n=100)[98] * 1_000, len(latencies)


def backfill_for(url, seconds):
    engine = create_engine(url)
    controls = backfill.Controls()
    threading.Timer(seconds, controls.stop.set).start()
    backfill.run(engine, controls=controls)
    engine.dispose()


def peak_megabytes():
    # Not getrusage(): its maximum is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def memory_of(url, queue):
    engine = create_engine(url)
    before = peak_megabytes()
    backfill.run(engine)
    queue.put((before, peak_megabytes()))


def memory(url):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=memory_of, args=(url, queue))
    process.start()
    result = queue.get()
    process.join()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="sqlite:///bench-backfill.db")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10, help="of the live writer, each time")
    options = parser.parse_args()
    SessionStore.open(options.url, upgrade=True).close()
    engine = create_engine(options.url)
    contenders = {"backfill": ours, "the floor": the_floor, "the loop": the_loop}
    figures = {name: [] for name in contenders}
    for _ in range(options.rounds):  # interleaved, so that a slow moment of the machine hits everybody
        for name, contender in contenders.items():
            figures[name].append(measured(engine, options.rows, contender, options.workers))
    print(f"{platform.machine()}, Python {platform.python_version()}, {engine.dialect.name}, {options.rows:,} rows")
    mine = statistics.median(figures["backfill"])
    for name, found in figures.items():
        rate = statistics.median(found)
        print(f"{name:<10} {rate:>8,.0f} rows/s   {rate / mine:.2f} times the backfill's")
    refill(engine, options.rows)
    before, after = memory(options.url)
    print(f"memory     {after:.0f} MB at its peak, {before:.0f} MB before the first row")
    refill(engine, options.rows)
    quiet, saves = latency(options.url, options.seconds)
    beside, saves_beside = latency(options.url, options.seconds, lambda: backfill_for(options.url, options.seconds))
    print(f"live p99   {quiet:.1f} ms quiet ({saves} saves), {beside:.1f} ms beside a backfill ({saves_beside} saves)")
    engine.dispose()


if __name__ == "__main__":
    main()
