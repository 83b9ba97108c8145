"""Databases that earlier releases left behind, and databases that a person made from the printed SQL."""

import hashlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from rekindle import SESSION_METADATA_SCHEMA_VERSION, SessionMetadata, SessionStore, database, errors, upcast
from rekindle.orm import DATABASE_REVISION
from rekindle.revision import current_revision

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FROZEN = sorted(path.stem for path in (GOLDEN / "databases").glob("*.sqlite"))
MULTI_STATEMENTS = 1 << 16
"""CLIENT.MULTI_STATEMENTS of the MariaDB protocol."""


@pytest.fixture
def execute_script(backend):
    """Run the statements of a script as the database's own client would."""

    def execute(url: str, script: str) -> None:
        if backend.server is None:
            connection = sqlite3.connect(sa.make_url(url).database)
            connection.executescript(script)
            connection.close()
            return
        options = {"client_flag": MULTI_STATEMENTS} if backend.name == "mariadb" else {}
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", connect_args=options)
        with engine.connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute(script)
            while cursor.nextset():  # where an error of a later statement comes out
                pass
        engine.dispose()

    return execute


@pytest.fixture
def thaw(backend, empty_url, execute_script):
    """Bring a frozen database back to life, and say where it is."""

    def thaw(revision: str) -> str:
        if backend.server is None:
            shutil.copy(GOLDEN / "databases" / f"{revision}.sqlite", sa.make_url(empty_url).database)
        else:
            dump = GOLDEN / "databases" / f"{revision}.{backend.name}.sql"
            execute_script(empty_url, dump.read_text(encoding="utf-8"))
        return empty_url

    return thaw


def golden(session_id):
    """The document that a frozen row was made from, and the metadata that reading it must give."""
    name = session_id.removeprefix("saved/")
    expected = json.loads((GOLDEN / f"{name}.expected.json").read_text(encoding="utf-8"))
    metadata = SessionMetadata.model_validate(upcast(expected["document"]).document)
    return (GOLDEN / f"{name}.json").read_text(encoding="utf-8"), metadata


@pytest.mark.parametrize("revision", FROZEN)
def test_an_old_database_is_upgraded_with_its_rows(thaw, connected, revision):
    """It is at the head and like a new one afterwards; every row is as it was, and loads to what was promised."""
    url = thaw(revision)
    with connected(url) as connection:
        before = connection.exec_driver_sql("SELECT * FROM session_metadata ORDER BY session_id").all()
        found = current_revision(connection)
    SessionStore.open(url, upgrade=True).close()
    with connected(url) as connection:
        after = connection.exec_driver_sql("SELECT * FROM session_metadata ORDER BY session_id").all()
        differences = database.differences(connection)
        head = current_revision(connection)
    with SessionStore.open(url) as store:
        loaded = {row.session_id: store.load(row.session_id).metadata for row in before}

    assert (found, head) == (revision, DATABASE_REVISION)
    assert differences == []
    assert [tuple(row) for row in after] == [tuple(row)[: len(row)] for row in before]
    assert loaded == {session_id: golden(session_id)[1] for session_id in loaded}


@pytest.mark.parametrize("revision", FROZEN)
def test_an_old_database_holds_every_schema_version_and_originals(thaw, connected, revision):
    """What is frozen is worth thawing: rows of each version, as other programs wrote them, and an archive."""
    with connected(thaw(revision)) as connection:
        rows = connection.exec_driver_sql("SELECT session_id, schema_version, payload FROM session_metadata").all()
        archive = connection.exec_driver_sql("SELECT session_id, schema_version, payload FROM session_metadata_archive")
        originals = archive.all()

    assert {row.schema_version for row in rows} >= {1, 2, 3}
    assert {row.schema_version for row in originals} >= {1, 2}
    stored = [row for row in rows if row.schema_version < 3] + originals
    assert [row.payload for row in stored] == [golden(row.session_id)[0] for row in stored]


@pytest.mark.parametrize("revision", FROZEN)
def test_rows_of_an_old_database_are_saved(thaw, revision):
    """Every one of its rows can be saved at the current schema version."""
    with SessionStore.open(thaw(revision), upgrade=True) as store:
        saved = [store.save(record).schema_version for record in store.list(limit=1000).records]

    assert set(saved) == {SESSION_METADATA_SCHEMA_VERSION}


@pytest.mark.parametrize("revision", [revision for revision in FROZEN if revision != DATABASE_REVISION])
def test_an_old_database_is_not_opened_as_it_is(thaw, revision, try_open):
    """Without an upgrade a store says what it found, and leaves it."""
    with pytest.raises(errors.DatabaseRevisionError) as caught:
        try_open(thaw(revision))

    assert (caught.value.found, caught.value.is_ahead) == (revision, False)


def test_every_released_revision_is_frozen(request):
    """For each revision that was released there is a database of each kind, and no golden file was ever edited."""
    released = json.loads((Path(__file__).parent / "released.json").read_text(encoding="utf-8"))
    root = request.config.rootpath
    found = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in released}
    revisions = [Path(name).name[:4] for name in released if name.startswith("migrations/")]
    frozen = {
        f"tests/golden/databases/{revision}.{kind}"
        for revision in revisions
        for kind in ("sqlite", "postgresql.sql", "mariadb.sql")
    }

    assert found == released
    assert frozen == {name for name in released if name.startswith("tests/")}


def test_the_printed_sql_makes_a_database_that_opens(empty_url, execute_script, connected, catalogue, make_database):
    """Where a person runs the DDL: the script works, records the revision, and makes the same tables as an upgrade."""
    other = make_database()
    execute_script(empty_url, database.sql(empty_url))
    SessionStore.open(empty_url).close()
    SessionStore.open(other, upgrade=True).close()
    with connected(empty_url) as connection:
        found, differences = current_revision(connection), database.differences(connection)

    assert (found, differences) == (DATABASE_REVISION, [])
    assert catalogue(empty_url) == catalogue(other)


def test_the_printed_sql_gives_sqlite_its_journal(tmp_path):
    """On SQLite it is one transaction, behind the switch to a WAL."""
    connection = sqlite3.connect(tmp_path / "printed.sqlite", isolation_level=None)
    script = database.sql("sqlite://")
    connection.executescript(script)
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()

    assert mode == "wal"
    assert script.index("PRAGMA journal_mode=WAL;") < script.index("BEGIN;") < script.index("CREATE TABLE")


@pytest.mark.parametrize(
    "url", ["oracle://u:s3cret@127.0.0.1/x", "nonsense", "postgresql://u:an@unescaped:s3cret@127.0.0.1/x"]
)
def test_sql_is_printed_only_for_databases_that_are_supported(url):
    """Anything else is UnsupportedDatabaseError, without a password."""
    with pytest.raises(errors.UnsupportedDatabaseError) as caught:
        database.sql(url)

    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
