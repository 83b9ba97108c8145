"""Where the time of a load and of a save goes: the same work with one more layer around it each time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import cycle

from bench.contenders import changed
from bench.contenders.floor import Floor, read, write
from bench.contenders.ours import Store
from bench.places import Place, filled, numbered
from rekindle import SessionRepository, codec
from rekindle.engine import create_engine
from rekindle.secret_guard import find_secret
from rekindle.statements import statements

_CALLS = 1_000


def table(here: Place, rounds: int) -> str:
    """Take the processor time of the layers of a load, and of the checks before a write, without that of others."""
    url = here.database("layers")
    versions = [3] * 400 + [2] * 200 + [1] * 200
    filled(url, versions)
    current, version_2, version_1 = (
        cycle([numbered(number, one) for number, one in enumerate(versions) if one == version]) for version in (3, 2, 1)
    )
    floor, store = Floor(url), Store(url)
    engine = create_engine(url)
    connection = engine.connect()
    repository = SessionRepository(connection)
    sql = statements("sqlite", scoped=False).load
    driver_sql = str(sql.compile(engine))
    row = floor.run(floor.sql.load, (next(current),), fetch=True)[0]
    metadata = read(row[1])
    document = codec.parse(row[1])
    text = write(metadata)
    parts = {
        "load": {
            "driver": lambda: floor.run(floor.sql.load, (next(current),), fetch=True),
            "driver, validate_json: the floor": lambda: floor.load(next(current)),
            "SQLAlchemy exec_driver_sql, validate_json": lambda: read(
                connection.exec_driver_sql(driver_sql, (next(current),)).one()[1]
            ),
            "SQLAlchemy Core, prebuilt, validate_json": lambda: read(
                connection.execute(sql, {"_session_id": next(current)}).one()[1]
            ),
            "SessionRepository on a Connection": lambda: repository.load(next(current)),
            "SessionStore": lambda: store.load(next(current)),
            "SessionStore, row of version 2": lambda: store.load(next(version_2)),
            "SessionStore, row of version 1": lambda: store.load(next(version_1)),
        },
        "what a save checks": {
            "to_json: the floor": lambda: write(metadata),
            "validate_json": lambda: read(text),
            "from_json": lambda: codec.parse(text),
            "find_secret": lambda: find_secret(document),
            "codec.encode without secret guard": lambda: codec.encode(metadata, 3, None),
            "codec.encode": lambda: codec.encode(changed(metadata), 3, find_secret),
        },
    }
    lines = ["## Layers", ""]
    for title, layers in parts.items():
        lines += [f"| {title}, one caller, SQLite | processor us, lowest round | median |", "|---|---:|---:|"]
        lines += [f"| {name} | {least:.1f} | {middle:.1f} |" for name, least, middle in _timed(layers, rounds)]
        lines.append("")
    connection.close()
    engine.dispose()
    floor.close()
    store.close()
    return "\n".join(lines).rstrip()


def _timed(layers: dict[str, Callable[[], object]], rounds: int):
    taken: dict[str, list[float]] = {name: [] for name in layers}
    for call in layers.values():
        call()
    for _ in range(max(rounds, 15)):
        for name, call in layers.items():
            begin = time.thread_time()
            for _ in range(_CALLS):
                call()
            taken[name].append((time.thread_time() - begin) / _CALLS * 1e6)
    return [(name, min(figures), statistics.median(figures)) for name, figures in taken.items()]
