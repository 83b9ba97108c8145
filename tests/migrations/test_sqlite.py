"""What is peculiar to SQLite: files that must not appear, the journal, durability, and databases in memory."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from rekindle import AsyncSessionStore, SessionStore, database, errors
from rekindle.engine import create_engine


@pytest.fixture
def path(tmp_path):
    """Where a database may be, in a directory of its own."""
    directory = tmp_path / "a directory"
    directory.mkdir()
    return directory / "agents.sqlite"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


def contents(directory):
    """Every file of a directory, byte for byte."""
    return {entry.name: entry.read_bytes() for entry in directory.iterdir()}


def test_a_missing_file_stays_missing(url, path, try_open_any):
    """Opening without an upgrade creates no file."""
    with pytest.raises(errors.DatabaseRevisionError, match="rekindle db upgrade"):
        try_open_any(url)

    assert contents(path.parent) == {}


def test_an_empty_file_stays_empty(url, path, try_open_any):
    """Nor does it fill one."""
    path.touch()
    with pytest.raises(errors.DatabaseRevisionError):
        try_open_any(url)

    assert contents(path.parent) == {"agents.sqlite": b""}


def test_the_database_of_an_application_is_not_touched(url, path, try_open_any):
    """Nor does it change the journal of a database that has tables of somebody else."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (name TEXT)")
    connection.close()
    before = contents(path.parent)
    with pytest.raises(errors.DatabaseRevisionError):
        try_open_any(url)

    assert contents(path.parent) == before


@pytest.mark.parametrize("upgrade", [False, True])
def test_a_file_that_is_no_database_is_named(url, path, try_open_any, upgrade):
    """A text file is DatabaseUnavailableError, and stays what it is."""
    text = b"Dear diary, " * 100
    path.write_bytes(text)
    with pytest.raises(errors.DatabaseUnavailableError, match="is not a SQLite database; check the path"):
        try_open_any(url, upgrade=upgrade)

    assert contents(path.parent) == {"agents.sqlite": text}


@pytest.mark.parametrize("upgrade", [False, True])
def test_a_directory_is_named(tmp_path, try_open_any, upgrade):
    """So is a directory in the place of the file."""
    with pytest.raises(errors.DatabaseUnavailableError, match="cannot be opened"):
        try_open_any(f"sqlite:///{tmp_path}", upgrade=upgrade)


def test_a_directory_that_is_not_there_is_named(tmp_path, try_open_any):
    """And a file in a directory that does not exist; the directory is not created."""
    with pytest.raises(errors.DatabaseUnavailableError, match="check that the directory exists"):
        try_open_any(f"sqlite:///{tmp_path}/nowhere/agents.sqlite", upgrade=True)

    assert not (tmp_path / "nowhere").exists()


def test_a_database_that_is_only_readable_is_named(url, path, try_open_any):
    """An upgrade of a file that SQLite may not write says so."""
    path.touch()
    read_only = f"sqlite:///file:{path}?mode=ro&uri=true"
    with pytest.raises(errors.DatabaseUnavailableError, match="cannot be written to"):
        try_open_any(read_only, upgrade=True)

    assert contents(path.parent) == {"agents.sqlite": b""}


def test_the_journal_is_a_wal(url, path, try_open_any):
    """After an upgrade readers and the writer do not wait for each other, in every process and from now on."""
    try_open_any(url, upgrade=True)
    connection = sqlite3.connect(path)
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()

    assert mode == "wal"


def test_an_upgrade_waits_for_a_writer_of_another_journal(url, path, try_open_any, monkeypatch):
    """SQLite refuses at once to switch the journal while somebody writes; an upgrade tries again."""
    waited = []
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("CREATE TABLE users (name TEXT)")
    writer.execute("BEGIN IMMEDIATE")

    def pause(_connection: object) -> None:
        waited.append(writer.in_transaction)
        if writer.in_transaction:
            writer.execute("COMMIT")

    monkeypatch.setattr(database, "_pause", pause)
    try_open_any(url, upgrade=True)
    writer.close()

    assert waited[0] is True


def test_writes_are_durable(url, try_open_any):
    """Every connection of a store syncs each commit to the disk, the journal being what it is."""
    try_open_any(url, upgrade=True)
    engine = create_engine(url)
    with engine.connect() as connection, engine.connect() as second:
        found = [each.exec_driver_sql("PRAGMA synchronous").scalar() for each in (connection, second)]
    engine.dispose()

    assert found == [2, 2]


def test_an_upgrade_excludes_writers_from_its_beginning(url, path):
    """The lock is BEGIN IMMEDIATE: while it is held others read, and none writes."""
    SessionStore.open(url, upgrade=True).close()
    engine = create_engine(url)
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    with engine.connect() as connection, database.migration_lock(connection):
        rows = other.execute("SELECT count(*) FROM session_metadata").fetchone()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    engine.dispose()

    assert rows == (0,)


@pytest.mark.parametrize("memory", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_works(memory, old_document):
    """It is created by the upgrade, and is the same in all threads."""
    with SessionStore.open(memory, upgrade=True) as store, ThreadPoolExecutor(1) as pool:
        pool.submit(store.import_document, "session-1", old_document, created_at=None, updated_at=None).result()
        counts = store.count_by_schema_version()

    assert sum(counts.values()) == 1


def test_a_database_in_memory_works_with_asyncio(old_document, run):
    """It is created by the upgrade, and is the same in all tasks."""

    async def add() -> int:
        async with AsyncSessionStore.open("sqlite://", upgrade=True) as store:
            await asyncio.gather(
                *(
                    store.import_document(f"session-{number}", old_document, created_at=None, updated_at=None)
                    for number in range(3)
                )
            )
            return sum((await store.count_by_schema_version()).values())

    assert run(add()) == 3


@pytest.fixture
def old_document():
    return '{"model": "m", "max_tokens": 1, "provider": "other", "tooling": {}}'


def test_a_database_in_memory_without_an_upgrade_is_named(try_open_any):
    """It is always empty, and never has the tables."""
    with pytest.raises(errors.DatabaseRevisionError):
        try_open_any("sqlite://")


def begun_by_the_application(engine):
    """Have SQLAlchemy begin transactions by itself, as its documentation recommends for savepoints."""

    @sa.event.listens_for(engine, "connect")
    def connect(connection: object, _record: object) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


@pytest.mark.parametrize("prepared", [begun_by_the_application, lambda engine: engine], ids=["begun", "plain"])
def test_the_connection_may_be_of_any_engine(url, path, prepared):
    """`database.upgrade` takes the connection of an application, whatever that does about transactions."""
    engine = prepared(sa.create_engine(url))
    with engine.connect() as connection:
        database.upgrade(connection)
        in_transaction = connection.in_transaction(), connection.connection.driver_connection.in_transaction
    engine.dispose()
    SessionStore.open(url).close()
    connection = sqlite3.connect(path)
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()

    assert in_transaction == (False, False)
    assert mode == "wal"


def test_the_connection_may_be_of_any_asynchronous_engine(url, run):
    """So it does with `await connection.run_sync(database.upgrade)`."""

    async def upgrade() -> None:
        engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))
        begun_by_the_application(engine.sync_engine)
        async with engine.connect() as connection:
            await connection.run_sync(database.upgrade)
        await engine.dispose()

    run(upgrade())
    SessionStore.open(url).close()


@pytest.fixture
def upgraded(url):
    """A database with the tables of this release."""
    SessionStore.open(url, upgrade=True).close()
    return url


def test_rows_that_refer_to_ours_survive_a_rebuilt_table(upgraded, installed_later_release):
    """A revision that rebuilds a table does not cascade into tables of the application, foreign keys on or off."""
    engine = sa.create_engine(upgraded)
    sa.event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA foreign_keys=ON"))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE notes (session_id REFERENCES session_metadata (session_id) ON DELETE CASCADE)"
        )
        connection.exec_driver_sql(
            "INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, provider, model, "
            "created_at, updated_at) VALUES ('s', 1, 1, '{}', 'other', 'm', '2025-01-01', '2025-01-01')"
        )
        connection.exec_driver_sql("INSERT INTO notes VALUES ('s')")
    installed_later_release.upgrading_by(
        'with op.batch_alter_table("session_metadata") as table:',
        '    table.alter_column("model", type_=sa.String(300))',
    )
    with engine.connect() as connection:
        database.upgrade(connection)
        notes = connection.exec_driver_sql("SELECT count(*) FROM notes").scalar()
        enforced = connection.exec_driver_sql("PRAGMA foreign_keys").scalar()
    engine.dispose()

    assert (notes, enforced) == (1, 1)
