"""Opening a database that is not ready for this release: a named error, and nothing written."""

import traceback
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

from rekindle import AsyncSessionStore, SessionStore, errors
from rekindle.orm import DATABASE_REVISION

PASSWORD = "s3cret%@x"


def written(error):
    """All that somebody could see of an error."""
    return "".join([str(error), repr(error), *traceback.format_exception(error)])


@pytest.fixture
def at_revision(upgraded_url, connected):
    """Pretend that the tables are at another revision."""

    def at(revision: str) -> str:
        with connected(upgraded_url) as connection:
            connection.exec_driver_sql(f"UPDATE rekindle_alembic_version SET version_num = '{revision}'")
        return upgraded_url

    return at


def test_a_database_without_tables_is_named(empty_url, backend, try_open, catalogue):
    """No tables of ours: the error says so, and which command creates them; the attempt creates none."""
    if backend.server is None:
        Path(sa.make_url(empty_url).database).touch()
    with pytest.raises(errors.DatabaseRevisionError) as caught:
        try_open(empty_url)

    assert (caught.value.found, caught.value.expected, caught.value.is_ahead) == (None, DATABASE_REVISION, False)
    assert "hold no rekindle tables" in str(caught.value)
    assert "`rekindle db upgrade --url " in str(caught.value)
    assert catalogue(empty_url) == []


def test_tables_that_are_behind_are_named(at_revision, try_open, catalogue):
    """Older tables: the error names both revisions and the command, and leaves the tables alone."""
    url = at_revision("0000")
    before = catalogue(url)
    with pytest.raises(errors.DatabaseRevisionError) as caught:
        try_open(url)

    assert (caught.value.found, caught.value.expected, caught.value.is_ahead) == ("0000", DATABASE_REVISION, False)
    assert f"are at database revision 0000, this release works with {DATABASE_REVISION}" in str(caught.value)
    assert "`rekindle db upgrade --url " in str(caught.value)
    assert catalogue(url) == before


@pytest.mark.parametrize("upgrade", [False, True])
def test_tables_that_are_ahead_are_named(at_revision, try_open, catalogue, upgrade):
    """Tables of a later release: the error asks for that release, also where an upgrade was asked for."""
    url = at_revision("9999")
    before = catalogue(url)
    with pytest.raises(errors.DatabaseRevisionError) as caught:
        try_open(url, upgrade=upgrade)

    assert (caught.value.found, caught.value.expected, caught.value.is_ahead) == ("9999", DATABASE_REVISION, True)
    assert str(caught.value).endswith("upgrade rekindle in this process")
    assert catalogue(url) == before


def test_an_upgrade_of_current_tables_writes_nothing(upgraded_url, connected, try_open):
    """A service that always asks for an upgrade does not wait for those who hold the database."""
    with connected(upgraded_url) as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.dialect.name == "sqlite" else "BEGIN")
        connection.exec_driver_sql("DELETE FROM session_metadata")
        try_open(upgraded_url, upgrade=True)
        connection.exec_driver_sql("ROLLBACK")


def test_a_server_without_a_database_is_named(backend, request, try_open):
    """A URL of MariaDB that names no database says so."""
    if backend.name != "mariadb":
        pytest.skip("PostgreSQL and SQLite always connect to a database")
    url = request.getfixturevalue("_server").url.set(database=None).render_as_string(hide_password=False)
    for upgrade in (False, True):
        with pytest.raises(errors.DatabaseUnavailableError, match="no database on it; add the name"):
            try_open(url, upgrade=upgrade)


@pytest.mark.parametrize("upgrade", [False, True])
@pytest.mark.parametrize("database", ["postgresql+psycopg", "postgresql", "mariadb+pymysql", "mariadb"])
def test_a_server_that_is_not_there_is_named(database, upgrade, try_open_any):
    """Nobody listens: the error has the URL without its password, and so has all that is printed of it."""
    url = f"{database}://u:s3cret%40x@127.0.0.1:1/x"
    with pytest.raises(errors.DatabaseUnavailableError, match="cannot be reached") as caught:
        try_open_any(url, upgrade=upgrade)

    assert "u:***@127.0.0.1:1/x" in caught.value.url
    assert "s3cret" not in written(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "oracle://u:s3cret@127.0.0.1/x",
        "postgresql://u:s3cret@127.0.0.1:port/x",
        "postgresql://u:an@unescaped:s3cret@127.0.0.1/x",
        "u:s3cret@127.0.0.1",
        "",
    ],
)
def test_what_is_no_url_of_a_supported_database_is_named(url, try_open_any):
    """Another database, or no URL at all, is UnsupportedDatabaseError without the password."""
    with pytest.raises(errors.UnsupportedDatabaseError) as caught:
        try_open_any(url, upgrade=True)

    assert "s3cret" not in written(caught.value)


@pytest.fixture
def account(empty_url, backend, connected):
    """An account on the server with a password that has to be escaped in a URL; returns the URL with it."""
    if backend.server is None:
        pytest.skip("SQLite has no accounts")
    url, name = sa.make_url(empty_url), f"rekindle_{uuid.uuid4().hex[:12]}"
    if backend.name == "postgresql":
        make = [f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'", f"ALTER DATABASE {url.database} OWNER TO {name}"]
        drop = [f"ALTER DATABASE {url.database} OWNER TO CURRENT_USER", f"DROP OWNED BY {name}", f"DROP ROLE {name}"]
    else:
        make = [f"CREATE USER {name} IDENTIFIED BY '{PASSWORD}'", f"GRANT ALL ON {url.database}.* TO {name}"]
        drop = [f"DROP USER {name}"]
    with connected(empty_url) as connection:
        cursor = connection.connection.cursor()  # to which a percent sign is a percent sign
        for statement in make:
            cursor.execute(statement)
        yield url.set(username=name, password=PASSWORD)
        for statement in drop:
            cursor.execute(statement)


def test_a_password_may_hold_what_urls_and_ini_files_escape(account, alembic, run):
    """A percent sign, which ini files interpolate, and an at sign get through to the server, on every way in."""

    async def load(url: str) -> int:
        async with AsyncSessionStore.open(url) as store:
            return sum((await store.count_by_schema_version()).values())

    url = account.render_as_string(hide_password=False)
    by_option = alembic("-x", f"url={url}", "upgrade", "head")
    by_environment = alembic("check", REKINDLE_URL=url)
    SessionStore.open(url, upgrade=True).close()

    assert "%25%40" in url
    assert (by_option.returncode, by_environment.returncode) == (0, 0), by_option.stderr + by_environment.stderr
    assert run(load(url)) == 0
    assert PASSWORD not in by_option.stderr + by_option.stdout


def test_a_wrong_password_is_named(account, backend, try_open):
    """The server refuses: an error of our own, with neither the right nor the wrong password in it."""
    url = account.set(password="s3cret wrong").render_as_string(hide_password=False)
    if backend.name == "postgresql":
        try:
            SessionStore.open(url, upgrade=True).close()
        except errors.DatabaseUnavailableError:
            pass
        else:
            pytest.skip("this server trusts everybody who connects from here")
    with pytest.raises(errors.DatabaseUnavailableError, match="check the address, the credentials") as caught:
        try_open(url)

    assert "s3cret" not in written(caught.value)
