"""
What a backfill costs: rows per second against the floor and against the loop that people write today, the memory it
needs, and what a live writer notices of it.

    python -m bench.backfill [--engine sqlite] [--rows 100000] [--workers 2] [--seconds 10] [--output FILE]

In throw-away databases, one on each engine. All contenders work on the one table, in which half of the rows are at
schema version 1 and half at 2. First a live writer is measured, alone and beside a backfill; then the loop and the
floor take their samples, both versions alike; the backfill does what is left, in a process of its own whose memory is
watched: two fifths of the table by itself, the rest with several workers.

The floor is the driver's own executemany of the same bytes into the same tables, with the same Python steps, in one
transaction per batch and nothing checked. The loop is ORM objects changed one by one, committed a thousand at a time;
it keeps no originals and no promise. It is slow, so it does 20,000 rows at most, and the floor 200,000.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import random
import statistics
import tempfile
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bench.places import place
from rekindle import SessionStore, backfill, codec
from rekindle.backfill import Settings
from rekindle.backfill.batches import boundary, reading
from rekindle.backfill.conversion import convert
from rekindle.backfill.overwriting import overwriting
from rekindle.bulk import connected, write_transaction
from rekindle.counting import rows_by_schema_version
from rekindle.engine import create_engine
from rekindle.originals import archive_insert
from rekindle.orm import Base, SessionMetadataRow, session_metadata
from rekindle.upcasting import upcast

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
DOCUMENTS = [(GOLDEN / "v2" / "s13_full.json").read_text(), (GOLDEN / "v1" / "s05_full.json").read_text()]
BATCH = 1_000
ENGINES = ("sqlite", "postgresql", "mariadb")


def refill(engine, rows):
    now = datetime.now(UTC)
    adopted = [codec.adopt(document, 3, None)._asdict() for document in DOCUMENTS]
    chance = random.Random(7)
    with connected(engine) as connection:
        for table in Base.metadata.sorted_tables:
            connection.execute(table.delete())
        for start in range(0, rows, 5_000):
            batch = [
                {
                    "session_id": str(uuid.UUID(int=chance.getrandbits(128))), **adopted[number % 2],
                    "lock_version": 1, "created_at": now, "updated_at": now,
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


def the_floor(engine, rows):
    rewrite, archive = None, None
    with connected(engine) as connection:
        for version in (1, 2):
            after, left = "", rows // 2
            while left > 0:
                place, size = {"_v": version, "_after": after}, min(BATCH, left)
                upto = connection.execute(boundary(False), {**place, "_skip": size - 1}).scalar_one()
                found = connection.execute(reading(True, False), {**place, "_upto": upto, "_rows": size}).all()
                decided = [convert(row, 3) for row in found]
                if rewrite is None:
                    rewrite = compiled(overwriting(False), engine, None)
                    archive = compiled(archive_insert(engine.dialect.name), engine, list(decided[0].original))
                with write_transaction(connection):
                    cursor = connection.connection.cursor()
                    cursor.executemany(rewrite[0], [rewrite[1]({**each.seen, **each.columns}) for each in decided])
                    cursor.executemany(archive[0], [archive[1](each.original) for each in decided])
                    cursor.close()
                left -= size
                after = upto


def the_loop(engine, rows):
    level = "SERIALIZABLE" if engine.dialect.name == "sqlite" else "READ COMMITTED"
    outdated = [
        sa.select(SessionMetadataRow.session_id).where(SessionMetadataRow.schema_version == version).limit(rows // 2)
        for version in (1, 2)
    ]
    with Session(engine.execution_options(isolation_level=level)) as db:
        ids = [session_id for statement in outdated for session_id in db.scalars(statement)]
        for done, session_id in enumerate(ids, 1):
            row = db.get(SessionMetadataRow, session_id)
            row.payload = json.dumps(upcast(json.loads(row.payload)).document)
            row.schema_version = 3
            if done % 1_000 == 0:
                db.commit()
                db.expunge_all()
        db.commit()


def timed(contender, engine, rows):
    begun = time.perf_counter()
    contender(engine, rows)
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
        # From all over the table: the first rows of the index are where a backfill begins.
        behind = session_metadata.c.session_id > sa.bindparam("_somewhere")
        one = sa.select(session_metadata.c.session_id).where(behind).order_by(session_metadata.c.session_id).limit(1)
        found = [connection.execute(one, {"_somewhere": str(uuid.uuid4())}).scalar() for _ in range(2_000)]
        ids = [session_id for session_id in found if session_id is not None]
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


def watched(url, settings, queue):
    engine = create_engine(url)
    before = peak_megabytes()
    report = backfill.run(engine, settings)
    assert report.remaining.is_none or settings.limit == report.done.converted
    queue.put((report.done.converted, report.done.converted / report.seconds, before, peak_megabytes()))


def ours(url, settings):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=watched, args=(url, settings, queue))
    process.start()
    result = queue.get()
    process.join()
    return result


def measure(url, options):
    SessionStore.open(url, upgrade=True).close()
    engine = create_engine(url)
    refill(engine, options.rows)
    quiet = latency(url, options.seconds)
    beside = latency(url, options.seconds, lambda: backfill_for(url, options.seconds))
    with connected(engine) as connection:
        left = sum(count.rows for count in rows_by_schema_version(connection, 3).values())
    if left < 0.8 * options.rows:  # the table is so small that the live writer's backfill has done too much of it
        refill(engine, options.rows)
    samples = {
        "the loop": (the_loop, min(20_000, options.rows // 10)),
        "the floor": (the_floor, min(200_000, options.rows // 5)),
    }
    rates = {name: (rows, timed(contender, engine, rows)) for name, (contender, rows) in samples.items()}
    alone, mine, before, after = ours(url, Settings(limit=2 * options.rows // 5))
    together, theirs, _, _ = ours(url, Settings(workers=options.workers))
    yield f"### {engine.dialect.name}, {options.rows:,} rows"
    yield f"\n{platform.machine()}, {multiprocessing.cpu_count()} cores, Python {platform.python_version()}\n"
    yield "| | rows | rows/s | takes, of the backfill's time |\n|---|---:|---:|---:|"
    yield f"| backfill | {alone:,} | {mine:,.0f} | 1.00 |"
    yield f"| backfill, {options.workers} workers | {together:,} | {theirs:,.0f} | {mine / theirs:.2f} |"
    for name in ("the floor", "the loop"):
        rows, rate = rates[name]
        yield f"| {name} | {rows:,} | {rate:,.0f} | {mine / rate:.2f} |"
    yield "\n| | alone | beside a backfill | |\n|---|---:|---:|---:|"
    yield f"| a save, p99 | {quiet[0]:.1f} ms | {beside[0]:.1f} ms | {beside[0] / quiet[0]:.1f} times |"
    yield f"| saves in {options.seconds:.0f} s | {quiet[1]:,} | {beside[1]:,} | |"
    yield f"\nMemory of the backfill at its peak: {after:.0f} MB, of which {before:.0f} MB before the first row.\n"
    engine.dispose()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", action="append", choices=ENGINES, help="all by default")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10, help="of the live writer, each time")
    parser.add_argument("--directory", type=Path, help="where the SQLite file is made; a disk, for honest writes")
    parser.add_argument("--output", type=Path, help="append the tables to this file of Markdown")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rekindle-bench-", dir=options.directory) as directory:
        for name in options.engine or ENGINES:
            with place(name, Path(directory) / name) as here:
                url = here.database("backfill").render_as_string(hide_password=False)
                text = "\n".join(measure(url, options))
            print(text)
            if options.output:
                with options.output.open("a", encoding="utf-8") as file:
                    file.write(f"{text}\n")


if __name__ == "__main__":
    main()
