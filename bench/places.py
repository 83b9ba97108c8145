"""Throw-away databases, and the rows in them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.documents import DOCUMENTS, REALMS, text
from rekindle.database import upgrade

SERVERS = {
    "postgresql": os.environ.get("REKINDLE_BENCH_POSTGRESQL_URL", "postgresql+psycopg://root@127.0.0.1:5432/postgres"),
    "mariadb": os.environ.get("REKINDLE_BENCH_MARIADB_URL", "mariadb+pymysql://root@127.0.0.1:3306/"),
}
COLUMNS = (
    "session_id", "schema_version", "lock_version", "payload", "realm", "provider", "model", "instance_id",
    "comms_name", "created_at", "updated_at",
)  # fmt: skip
_BORN = datetime(2025, 1, 1, tzinfo=UTC)
_BATCH = 5_000
_SUFFIXES = ("", "-wal", "-shm")


@dataclass
class Place:
    """One of the engines, where databases can be made; all are gone when the run is over."""

    engine: str
    directory: Path
    made: list[sa.URL] = field(default_factory=list)

    def database(self, name: str) -> sa.URL:
        """Make an empty database."""
        if self.engine == "sqlite":
            url = sa.URL.create("sqlite", database=str(self.directory / f"{name}.sqlite"))
            self.made.append(url)
            return url
        name = f"rekindle_bench_{os.getpid()}_{name}"
        url = sa.make_url(SERVERS[self.engine]).set(database=name)
        self._server(f"DROP DATABASE IF EXISTS {name}")
        self._server(f"CREATE DATABASE {name}")
        self.made.append(url)
        return url

    def _server(self, command: str) -> Any:
        engine = sa.create_engine(SERVERS[self.engine], isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            answer = connection.exec_driver_sql(command)
            value = answer.scalar() if answer.returns_rows else None
        engine.dispose()
        return value

    def settings(self) -> str:
        """Say what the engine promises of a commit."""
        match self.engine:
            case "sqlite":
                return (
                    f"SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL for everybody, on {_disk(self.directory)}"
                )
            case "postgresql":
                words = ("server_version", "fsync", "synchronous_commit")
                version, *values = (self._server(f"SHOW {word}") for word in words)
                return f"PostgreSQL {version}, {', '.join(map('{} {}'.format, words[1:], values))}"
            case _:
                version, flush = self._server("SELECT VERSION()"), "innodb_flush_log_at_trx_commit"
                return f"MariaDB {version}, {flush} {self._server(f'SELECT @@{flush}')}"

    def drop(self, keep: sa.URL | None = None) -> None:
        """Leave nothing behind, but for the one that is to be kept."""
        force = " WITH (FORCE)" if self.engine == "postgresql" else ""
        kept = [url for url in self.made if url == keep]
        for url in self.made:
            if url in kept:
                continue
            if self.engine == "sqlite":
                for suffix in _SUFFIXES:
                    Path(f"{url.database}{suffix}").unlink(missing_ok=True)
            else:
                with suppress(sa.exc.SQLAlchemyError):
                    self._server(f"DROP DATABASE IF EXISTS {url.database}{force}")
        self.made = kept


@contextmanager
def place(engine: str, directory: Path) -> Iterator[Place]:
    """Open an engine for the time of a benchmark; raises SQLAlchemyError when there is none."""
    directory.mkdir(parents=True)
    here = Place(engine, directory)
    if engine in SERVERS:
        here._server("SELECT 1")  # noqa: SLF001
    try:
        yield here
    finally:
        here.drop()
        shutil.rmtree(directory, ignore_errors=True)


def _disk(directory: Path) -> str:
    """Name the file system that a directory is on, and how long it takes to sync a page to it."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        mounts = []
    above = [(len(point), kind) for point, kind in mounts if directory.resolve().is_relative_to(point)]
    kind = max(above, default=(0, "a file system without a name"))[1]
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        taken = []
        for _ in range(100):
            file.write(b"x" * 4096)
            begin = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - begin)
    return f"{kind} ({statistics.median(taken) * 1e3:.2f} ms for an fsync, median of 100)"


def durable(engine: sa.Engine) -> None:
    """What every contender on SQLite gets: WAL, and a sync to the disk before a commit returns."""

    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()


def numbered(number: int, version: int) -> str:
    """Make an id that says both, as in `s3-0000041`."""
    return f"s{version}-{number:07d}"


def rows(versions: Iterable[int], name: Callable[[int, int], str] = numbered) -> Iterator[tuple[Any, ...]]:
    """Make one row per schema version asked for."""
    texts = {(version, realm): text(version, realm) for version in DOCUMENTS for realm in REALMS}
    for number, version in enumerate(versions):
        realm, document = REALMS[number % len(REALMS)], DOCUMENTS[version]
        born = _BORN + timedelta(seconds=number)
        yield (
            name(number, version), version, 1, texts[version, realm], realm, document["provider"],
            document["model"], document["instance_id"], document["comms_name"], born, born,
        )  # fmt: skip


def filled(url: sa.URL, versions: Iterable[int], name: Callable[[int, int], str] = numbered) -> None:
    """Create rekindle's tables, and fill them past every interface."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    dialect = engine.dialect.name
    with engine.connect() as connection:
        upgrade(connection)
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        if dialect == "sqlite":
            # Nobody needs these rows after a crash; what is measured opens the file as everybody does.
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-2000000"):
                raw.execute(f"PRAGMA {pragma}")
        if dialect != "postgresql":  # where a COPY is a transaction
            raw.cursor().execute("BEGIN")
        pending = rows(versions, name)
        while batch := list(islice(pending, _BATCH)):
            _insert(dialect, raw, batch)
        raw.commit()
    with engine.connect() as connection:
        if dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA analysis_limit=1000")  # or it would read all of the indexes
        connection.exec_driver_sql(
            {"sqlite": "ANALYZE", "postgresql": "VACUUM ANALYZE"}.get(dialect, "ANALYZE TABLE session_metadata")
        )
        if dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    engine.dispose()


def _insert(dialect: str, raw: Any, batch: list[tuple[Any, ...]]) -> None:
    names = ", ".join(COLUMNS)
    if dialect == "postgresql":
        with raw.cursor() as cursor, cursor.copy(f"COPY session_metadata ({names}) FROM STDIN") as copy:
            for row in batch:
                copy.write_row(row)
        return
    if dialect == "sqlite":
        batch = [(*row[:-2], *(moment.strftime("%Y-%m-%d %H:%M:%S.%f") for moment in row[-2:])) for row in batch]
    mark = "?" if dialect == "sqlite" else "%s"
    cursor = raw.cursor()
    cursor.executemany(f"INSERT INTO session_metadata ({names}) VALUES ({', '.join([mark] * len(COLUMNS))})", batch)
    cursor.close()
