"""The installed wheel, used from an empty directory."""

import json
import sqlite3

import pytest

from rekindle.orm import DATABASE_REVISION

LIGHT = """
import json, sys
import rekindle
print(json.dumps([rekindle.__file__, rekindle.__version__, sorted(sys.modules)]))
"""

HEAVY = {
    "aiomysql", "aiosqlite", "alembic", "asyncmy", "click", "greenlet", "mako", "psycopg", "pymysql", "rich",
    "sqlalchemy.ext.asyncio", "sqlite3", "stamina",
}  # fmt: skip
"""Not paid for by those who import the library and do not use it yet."""

BOTH_STORES = """
import asyncio, sys
from rekindle import AsyncSessionStore, SessionStore

async def load(url):
    async with AsyncSessionStore.open(url, upgrade=True) as store:
        return (await store.load("s")).lock_version

with SessionStore.open(sys.argv[1]) as store:
    store.import_document("s", sys.argv[2])
    print(store.save(store.load("s")).lock_version)
print(asyncio.run(load(sys.argv[1])))
"""

DOCUMENT = '{"model": "m", "max_tokens": 1, "provider": "other", "tooling": {}}'


@pytest.fixture
def run_python(installed, empty_directory):
    """Run Python code in an empty directory with the wheel installed."""

    def run(code: str, *arguments: str) -> str:
        done = installed.run("python", "-W", "error", "-c", code, *arguments, cwd=empty_directory)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_an_import_is_light(run_python, installed, wheel):
    """`import rekindle` gets the installed package, and neither alembic, the command line nor a driver."""
    file, version, modules = json.loads(run_python(LIGHT))

    assert file.startswith(str(installed.directory))
    assert version == wheel.name.split("-")[1]
    assert HEAVY.isdisjoint(modules)


def test_opening_a_store_leaves_alembic_alone(run_python, tmp_path):
    """A service that never upgrades never loads alembic, nor a synchronous one what asyncio needs."""
    url = f"sqlite:///{tmp_path / 'agents.sqlite'}"
    run_python(f"from rekindle import SessionStore; SessionStore.open({url!r}, upgrade=True).close()")
    code = f"from rekindle import SessionStore; SessionStore.open({url!r}).close(); import sys; print(*sys.modules)"
    modules = run_python(code).split()

    assert {"alembic", "mako", "click", "rich", "stamina", "sqlalchemy.ext.asyncio"}.isdisjoint(modules)


def test_db_commands_work_from_an_empty_directory(rekindle, run_python, empty_url, empty_directory):
    """Check asks for an upgrade, upgrade creates the tables, check agrees, and both stores open them."""
    before = rekindle("db", "check", "--url", empty_url)
    upgrade = rekindle("db", "upgrade", "--url", empty_url)
    check = rekindle("db", "check", REKINDLE_URL=empty_url)
    lock_versions = run_python(BOTH_STORES, empty_url, DOCUMENT)

    assert (before.returncode, upgrade.returncode, check.returncode) == (3, 0, 0), upgrade.stderr + check.stderr
    assert lock_versions == "2\n2\n"
    assert list(empty_directory.iterdir()) == []


def test_the_printed_sql_works_from_an_empty_directory(rekindle, tmp_path):
    """`rekindle db sql` prints, on stdout alone, what makes the tables of this release."""
    path = tmp_path / "printed.sqlite"
    printed = rekindle("db", "sql", "--url", f"sqlite:///{path}")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(printed.stdout)
    connection.close()
    check = rekindle("db", "check", "--url", f"sqlite:///{path}")

    assert printed.returncode == 0, printed.stderr
    assert check.returncode == 0, check.stderr


def test_the_default_database_is_in_the_current_directory(rekindle, empty_directory):
    """Without a URL it is rekindle.db, here."""
    upgrade = rekindle("db", "upgrade")
    current = rekindle("db", "current")

    assert upgrade.returncode == 0, upgrade.stderr
    assert current.stdout.strip() == DATABASE_REVISION
    assert (empty_directory / "rekindle.db").exists()
