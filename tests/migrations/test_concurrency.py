"""Processes, threads and tasks that upgrade at once: one creates the tables, and all go on."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rekindle import AsyncSessionStore, SessionStore, database

ROUNDS = 5

# Reads URLs, and answers each with a line: what is measured begins after the imports.
OPENER = """
import asyncio, sys, traceback
from rekindle import AsyncSessionStore, SessionStore, database

def sync(url):
    SessionStore.open(url, upgrade=True).close()

async def opened(url):
    async with AsyncSessionStore.open(url, upgrade=True):
        pass

async def twice(url):
    await asyncio.gather(opened(url), opened(url))

print("imported", flush=True)
for line in sys.stdin:
    try:
        if sys.argv[1] == "sync":
            sync(line.strip())
        else:
            asyncio.run(twice(line.strip()))
        print("opened", flush=True)
    except Exception:
        print(traceback.format_exc().replace("\\n", " | "), flush=True)
"""


def test_processes_upgrade_at_once(make_database, start, connected):
    """Services of both kinds that start together on an empty database all open it, round after round."""
    urls = [make_database() for _ in range(ROUNDS)]
    processes = [start("-c", OPENER, colour) for colour in ("sync", "async") * 2]
    answers = [process.stdout.readline() for process in processes]
    for url in urls:
        for process in processes:
            process.stdin.write(url + "\n")
            process.stdin.flush()
        answers += [process.stdout.readline() for process in processes]
    left = []
    for url in urls:
        with connected(url) as connection:
            left += database.differences(connection)

    assert answers == ["imported\n"] * 4 + ["opened\n"] * 4 * ROUNDS
    assert left == []


def test_command_lines_upgrade_at_once(empty_url, start, connected):
    """So do four `alembic upgrade head`."""
    processes = [start("-m", "alembic", "-x", f"url={empty_url}", "upgrade", "head") for _ in range(4)]
    outputs = [process.communicate(timeout=120) for process in processes]
    with connected(empty_url) as connection:
        left = database.differences(connection)

    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert left == []


def test_threads_upgrade_different_databases_at_once(make_database):
    """Alembic keeps its context in globals, and still no thread works on the database of another."""
    urls = [make_database() for _ in range(8)]

    def add(url: str) -> int:
        with SessionStore.open(url, upgrade=True) as store:
            return sum(store.count_by_schema_version().values())

    with ThreadPoolExecutor(len(urls)) as pool:
        counts = list(pool.map(add, urls))

    assert counts == [0] * len(urls)


def test_threads_upgrade_one_database_at_once(empty_url):
    """Threads of one process wait for each other, too."""

    def add(_number: int) -> None:
        SessionStore.open(empty_url, upgrade=True).close()

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(add, range(6)))

    assert len(done) == 6


@pytest.mark.timeout(60)
@pytest.mark.parametrize("databases", [1, 4])
def test_tasks_upgrade_at_once(make_database, databases, run):
    """Tasks of one event loop neither block it nor each other, on one database and on several."""
    urls = [make_database() for _ in range(databases)] * (4 // databases)

    async def opened(url: str) -> str:
        async with AsyncSessionStore.open(url, upgrade=True):
            return "opened"

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*map(opened, urls))

    assert run(all_at_once()) == ["opened"] * 4


@pytest.mark.timeout(60)
def test_a_task_that_waits_leaves_the_event_loop_to_others(empty_url, connected, run):
    """While one upgrade waits for the lock, other tasks go on, and it can be given up."""

    async def open_and_give_up() -> int:
        opening = asyncio.ensure_future(AsyncSessionStore.open(f"{empty_url}", upgrade=True)._opening())
        turns = 0
        while turns < 100 and not opening.done():
            await asyncio.sleep(0.001)
            turns += 1
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        return turns

    with connected(empty_url) as holder, in_migration(holder):
        turns = run(open_and_give_up())
    SessionStore.open(empty_url, upgrade=True).close()

    assert turns == 100


def in_migration(connection):
    """Hold the lock of an upgrade the way env.py does."""
    level = "AUTOCOMMIT" if connection.dialect.name == "sqlite" else "READ COMMITTED"
    return database.migration_lock(connection.execution_options(isolation_level=level))


@pytest.mark.timeout(60)
def test_waiting_does_not_stop_an_index_from_being_built(upgraded_url, connected, backend, monkeypatch):
    """CREATE INDEX CONCURRENTLY waits for every statement that runs, so those who wait for it must run none."""
    if backend.name != "postgresql":
        pytest.skip("only PostgreSQL has CREATE INDEX CONCURRENTLY")
    waits = threading.Event()
    pause = database._pause

    def paused(connection: object) -> None:
        waits.set()
        pause(connection)

    def wait() -> None:
        with connected(upgraded_url) as connection, in_migration(connection):
            pass

    monkeypatch.setattr(database, "_pause", paused)
    with connected(upgraded_url) as other, connected(upgraded_url) as builder, ThreadPoolExecutor(1) as pool:
        with in_migration(other):
            waiting = pool.submit(wait)
            arrived = waits.wait(20)
            builder.exec_driver_sql("CREATE INDEX CONCURRENTLY ix_later ON session_metadata (model)")
        waiting.result(20)

    assert arrived


def test_the_lock_is_of_one_database(make_database, connected):
    """An upgrade of one database does not wait for that of another on the same server."""
    one, other = make_database(), make_database()
    with connected(one) as connection, in_migration(connection):
        SessionStore.open(other, upgrade=True).close()


def test_the_connection_is_given_back_as_it_was(empty_url, connected, backend):
    """After an upgrade no transaction is open, no lock is held, and the time-outs are those from before."""
    asked = {
        "sqlite": "PRAGMA busy_timeout",
        "postgresql": "SELECT current_setting('lock_timeout'), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())",
        "mariadb": f"SELECT @@session.lock_wait_timeout, IS_USED_LOCK({database._MARIADB_NAME})",
    }[backend.name]
    with connected(empty_url) as connection:
        before = tuple(connection.exec_driver_sql(asked).one())
        connection.rollback()
        database.upgrade(connection)
        open_afterwards = connection.in_transaction()
        after = tuple(connection.exec_driver_sql(asked).one())

    assert not open_afterwards
    assert after == before
