"""Upgrades that fail, are killed, or wait too long: what they leave behind, and what they say."""

import asyncio
import signal
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import InvalidRequestError

from rekindle import AsyncSessionStore, SessionStore, database, errors
from rekindle.revision import current_revision
from rekindle.tables import DATABASE_REVISION, VERSION_TABLE

IS_TRANSACTIONAL = {"sqlite": True, "postgresql": True, "mariadb": False}

CURRENT = DATABASE_REVISION
LATER = f"{int(CURRENT) + 1:04}"


def at_revision(connection):
    """Ask for the revision, and leave no transaction open."""
    found = current_revision(connection)
    connection.rollback()
    return found


def test_an_exception_in_a_revision_leaves_the_tables_as_they_were(
    upgraded_url, installed_later_release, catalogue, backend, try_open
):
    """On SQLite and PostgreSQL nothing of a failed revision is left; on MariaDB it can be run again."""
    before = catalogue(upgraded_url)
    installed_later_release.upgrading_by('later_table("later_a")', 'raise ZeroDivisionError("in the middle")')
    with pytest.raises(ZeroDivisionError):
        try_open(upgraded_url, upgrade=True)
    after = catalogue(upgraded_url)
    installed_later_release.upgrading_by('later_table("later_a")', 'later_table("later_b")')
    try_open(upgraded_url, upgrade=True)
    with SessionStore.open(upgraded_url) as store:
        kept = store.load("kept")

    assert f"{VERSION_TABLE} is at {DATABASE_REVISION}" in after
    assert set(before) <= set(after)
    if IS_TRANSACTIONAL[backend.name]:
        assert after == before
    assert kept.lock_version == 1


def test_an_exception_in_the_first_revision_leaves_nothing(
    installed_later_release, empty_url, connected, backend, try_open
):
    """A database that was empty is still one without tables of ours, and the next attempt creates them."""
    first = installed_later_release.directory / "migrations" / "versions" / "0001_create_the_tables.py"
    text = first.read_text()
    first.write_text(text.replace('        "session_metadata_quarantine",', "        1 / 0,"))
    with pytest.raises(ZeroDivisionError):
        try_open(empty_url, upgrade=True)
    with connected(empty_url) as connection:
        left = sa.inspect(connection).get_table_names()
    first.write_text(text)
    try_open(empty_url, upgrade=True)

    if IS_TRANSACTIONAL[backend.name]:
        assert left == []


def test_a_killed_upgrade_is_completed_by_the_next(upgraded_url, later_release, catalogue, start, backend):
    """A process that is killed in the middle of a revision leaves neither a lock nor what the next cannot complete."""
    before = catalogue(upgraded_url)
    upgrade = ("-m", "alembic", "-c", str(later_release.ini), "-x", f"url={upgraded_url}", "upgrade", "head")
    later_release.upgrading_by(
        'later_table("later_a")', 'print("in the middle", flush=True)', "sys.stdin.readline()", 'later_table("later_b")'
    )
    killed = start(*upgrade)
    said = killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    killed.wait(20)
    after = catalogue(upgraded_url)
    later_release.upgrading_by('later_table("later_a")', 'later_table("later_b")')
    again = start(*upgrade)
    output = again.communicate(timeout=60)
    completed = catalogue(upgraded_url)

    assert said == "in the middle\n"
    if IS_TRANSACTIONAL[backend.name]:
        assert after == before
    assert again.returncode == 0, output
    expected = {f"{VERSION_TABLE} is at {later_release.revision}", "session_metadata rows 1", "later_b rows 0"}
    assert expected <= set(completed)


@pytest.mark.timeout(60)
def test_a_cancelled_upgrade_is_completed_by_the_next(upgraded_url, installed_later_release, backend, run):
    """A task that is cancelled while a revision runs ends as cancelled, and holds nothing."""
    long = {
        "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000000) SELECT max(x) FROM n",
        "postgresql": "SELECT pg_sleep(30)",
        "mariadb": "SELECT SLEEP(30)",
    }[backend.name]
    installed_later_release.upgrading_by(f'op.execute("{long}")')

    async def cancel_in_the_middle() -> None:
        reached = asyncio.Event()

        @sa.event.listens_for(sa.Engine, "before_cursor_execute")
        def reach(_connection, _cursor, statement, *_):
            if statement == long:
                reached.set()

        opening = asyncio.ensure_future(AsyncSessionStore.open(upgraded_url, upgrade=True)._opening())
        await reached.wait()
        sa.event.remove(sa.Engine, "before_cursor_execute", reach)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    run(cancel_in_the_middle())
    installed_later_release.upgrading_by("pass")
    SessionStore.open(upgraded_url, upgrade=True).close()


def test_an_upgrade_that_holds_the_lock_too_long_is_named(empty_url, connected, monkeypatch, try_open):
    """Who waits in vain is told so, and what to do, by a type of its own."""
    with monkeypatch.context() as impatient, connected(empty_url) as holder:
        impatient.setattr(database, "LOCK_SECONDS", 0)
        level = "AUTOCOMMIT" if holder.dialect.name == "sqlite" else "READ COMMITTED"
        with (
            database.migration_lock(holder.execution_options(isolation_level=level)),
            pytest.raises(errors.DatabaseUnavailableError, match=r"locked for 0 seconds.*try again") as caught,
        ):
            try_open(empty_url, upgrade=True)
    try_open(empty_url, upgrade=True)

    assert caught.value.__cause__ is None


def test_a_thread_that_upgrades_too_long_is_named(empty_url, monkeypatch, try_open):
    """Waiting for another thread of the same process has an end, too."""
    with monkeypatch.context() as impatient, database._alone(None):
        impatient.setattr(database, "LOCK_SECONDS", 0)
        with pytest.raises(errors.DatabaseUnavailableError, match="wait for it to finish"):
            try_open(empty_url, upgrade=True)
        with pytest.raises(errors.DatabaseUnavailableError, match="wait for it to finish"):
            database.sql(empty_url)
    try_open(empty_url, upgrade=True)


def test_a_table_in_use_is_named(upgraded_url, installed_later_release, connected, monkeypatch, try_open):
    """A revision does not queue for long behind a transaction on the table, with all others queueing behind it."""
    monkeypatch.setattr(database, "LOCK_SECONDS", 1)
    installed_later_release.upgrading_by('op.add_column("session_metadata", sa.Column("later", sa.Integer()))')
    with connected(upgraded_url) as user:
        sqlite = user.dialect.name == "sqlite"
        expected = "locked" if sqlite else "in use for 1 seconds; end the long transactions"
        user.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "BEGIN")
        user.exec_driver_sql("SELECT * FROM session_metadata")
        began = time.monotonic()
        with pytest.raises(errors.DatabaseUnavailableError, match=expected):
            try_open(upgraded_url, upgrade=True)
        took = time.monotonic() - began
        user.exec_driver_sql("ROLLBACK")
    try_open(upgraded_url, upgrade=True)

    assert took < 15


@pytest.fixture
def connects():
    """Every connection that is made while the test runs."""
    made = []

    def connect(connection, _record):
        made.append(connection)

    sa.event.listen(sa.pool.Pool, "connect", connect)
    yield made
    sa.event.remove(sa.pool.Pool, "connect", connect)


def test_a_connection_lost_in_a_revision_is_named(upgraded_url, installed_later_release, backend, try_open, connects):
    """A server that goes away is DatabaseUnavailableError, and the next upgrade completes what was begun."""
    if backend.name == "sqlite":
        pytest.skip("there is no connection to lose")
    kill = {"postgresql": "SELECT pg_terminate_backend(pg_backend_pid())", "mariadb": "KILL CONNECTION_ID()"}
    installed_later_release.upgrading_by('later_table("later_a")', f'op.execute("{kill[backend.name]}")')
    connects.clear()
    with pytest.raises(errors.DatabaseUnavailableError, match="lost"):
        try_open(upgraded_url, upgrade=True)
    connected = len(connects)  # and not once more, to release a lock that went with the connection
    installed_later_release.upgrading_by('later_table("later_a")')
    try_open(upgraded_url, upgrade=True)

    assert connected == 1


def test_a_later_release_that_is_faster_is_named(empty_url, connected, monkeypatch, try_open):
    """Who finds, holding the lock at last, that the tables are ahead says so; alembic would not know the revision."""
    SessionStore.open(empty_url, upgrade=True).close()
    looked = []
    is_current = database._is_current

    def looked_too_early(connection: sa.Connection) -> bool:
        if looked:
            return is_current(connection)
        looked.append(connection)
        with connected(empty_url) as other:
            other.exec_driver_sql(f"UPDATE rekindle_alembic_version SET version_num = '{LATER}'")
        return False

    monkeypatch.setattr(database, "_is_current", looked_too_early)
    with pytest.raises(errors.DatabaseRevisionError) as caught:
        try_open(empty_url, upgrade=True)

    assert (caught.value.found, caught.value.expected, caught.value.is_ahead) == (LATER, CURRENT, True)


def test_an_open_transaction_is_refused(empty_url, connected):
    """An upgrade commits, so it does not run inside of somebody's transaction."""
    with connected(empty_url) as connection:
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(InvalidRequestError, match="commit or roll back before"):
            database.upgrade(connection)
        connection.rollback()
        database.upgrade(connection)
        found = at_revision(connection)

    assert found == CURRENT
