"""What a Meerkat store may be for an import to read it, and that reading leaves it as it was."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from rekindle.errors import ImportSourceError
from rekindle.importers import UnreadableSession, meerkat, sqlite_source

REAL_STORES = Path(__file__).resolve().parents[2].parent / "shared" / "meerkat" / "databases"

ONE, TWO = (f"01a00703-2762-7c22-8c30-00000000000{digit}" for digit in "12")

CREATE = "CREATE TABLE sessions (session_id PRIMARY KEY, created_at_ms, updated_at_ms, metadata_json, session_json)"

HEADS = CREATE.replace("sessions", "session_heads").replace("session_json", "head_json")


def insert(session_id):
    return f"""INSERT INTO sessions VALUES ('{session_id}', 0, 0, '{{"session_metadata": {{}}}}', '{{}}')"""


def connect(path, journal="wal"):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    return connection


def store(realm, journal="wal"):
    """A closed store with one session: a database and nothing beside it."""
    realm.mkdir(exist_ok=True)
    with closing(connect(realm / "sessions.sqlite3", journal)) as connection:
        connection.execute(CREATE)
        connection.execute(insert(ONE))
    return realm


def crash(path, *statements):
    """What a process that is killed after the statements leaves behind."""
    script = "import os, sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    script += "for statement in sys.argv[2:]: c.execute(statement).fetchall()\nos._exit(0)"
    subprocess.run([sys.executable, "-c", script, str(path), *statements], check=True)


def state(directory):
    """Every file with its bytes and its time; of a -shm, which a reader shares its locks in, only that it is there."""
    return {
        str(path.relative_to(directory)): path.name.endswith("-shm")
        or (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in directory.rglob("*")
        if path.is_file()
    }


def ids(path):
    return [entry.session_id for entry in meerkat.read(path)]


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory, monkeypatch):
    """Where copies are made; nothing may be left there."""
    directory = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    yield directory

    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("journal", ["wal", "delete", "persist"])
def test_a_closed_store_stays_as_it_is(tmp_path, journal):
    """Reading a database of any journal mode changes no byte and leaves no file beside it."""
    store(tmp_path, journal)
    before = state(tmp_path)

    found = ids(tmp_path)

    assert found == [ONE]
    assert state(tmp_path) == before


def test_a_live_store_is_read_where_it_is(tmp_path):
    """Rows that are in the WAL of a running program are seen, and its files stay as they are."""
    with closing(connect(store(tmp_path) / "sessions.sqlite3")) as writer:
        writer.execute(insert(TWO))
        before = state(tmp_path)

        found = ids(tmp_path)

        assert found == [ONE, TWO]
        assert state(tmp_path) == before
        assert set(before) == {f"sessions.sqlite3{suffix}" for suffix in ("", "-wal", "-shm")}


def test_a_store_is_seen_at_one_moment(tmp_path):
    """What a running program writes during an import is not in it, and the program is not held up."""
    with closing(connect(store(tmp_path) / "sessions.sqlite3")) as writer:
        writer.execute(HEADS)
        writer.execute(insert(TWO).replace("sessions", "session_heads"))
        entries = meerkat.read(tmp_path)
        writer.execute(insert(TWO.replace("2", "3")))

        found = [entry.session_id for entry in entries]

        assert found == [TWO, ONE]
        assert ids(tmp_path) == [TWO, ONE, TWO.replace("2", "3")]


@pytest.mark.parametrize("sidecars", [("-wal", "-shm"), ("-wal",), ("-shm",), ()])
def test_a_crashed_store_is_read_with_its_wal(tmp_path, sidecars):
    """Committed rows in a WAL left behind are seen if it is still there, with or without the -shm."""
    database = store(tmp_path) / "sessions.sqlite3"
    crash(database, insert(TWO))
    for suffix in {"-wal", "-shm"} - set(sidecars):
        database.with_name(database.name + suffix).unlink()
    before = state(tmp_path)

    found = ids(tmp_path)

    assert found == ([ONE, TWO] if "-wal" in sidecars else [ONE])
    assert state(tmp_path) == before


def test_an_interrupted_transaction_is_rolled_back_elsewhere(tmp_path):
    """A hot journal is taken into account without being played back into the source."""
    database = store(tmp_path, "delete") / "sessions.sqlite3"
    # A cache of one page makes SQLite write the transaction into the database before its end.
    crash(database, "PRAGMA cache_size = 1", "BEGIN", "UPDATE sessions SET session_id = 'torn'", "CREATE TABLE a (b)")
    before = state(tmp_path)

    found = ids(tmp_path)

    assert found == [ONE]
    assert state(tmp_path) == before
    assert "sessions.sqlite3-journal" in before
    assert b"torn" in database.read_bytes()


def test_a_locked_store_is_refused(tmp_path, monkeypatch):
    """A program that keeps everybody out is named as the reason, after a few seconds of patience."""
    monkeypatch.setattr(sqlite_source, "BUSY_TIMEOUT_SECONDS", 0.05)
    script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n"
    script += "c.execute('BEGIN EXCLUSIVE')\nprint(flush=True)\ninput()"
    command = [sys.executable, "-c", script, str(store(tmp_path, "delete") / "sessions.sqlite3")]
    # In a process of its own, as in life: locks of one process do not keep out the process itself.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()

        with pytest.raises(ImportSourceError, match="locked by another program"):
            meerkat.read(tmp_path)

        holder.communicate(b"\n")


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_an_empty_database_is_not_given_to_sqlite(tmp_path, suffix):
    """SQLite would delete what lies beside an empty database, even when it may only read."""
    (tmp_path / "sessions.sqlite3").touch()
    (tmp_path / f"sessions.sqlite3{suffix}").write_text("the last trace of the sessions")
    before = state(tmp_path)

    with pytest.raises(ImportSourceError, match="it is empty"):
        meerkat.read(tmp_path)

    assert state(tmp_path) == before


def test_a_copy_is_made_again_when_the_store_changes_meanwhile(tmp_path, monkeypatch):
    """A database that was written to while it was copied is copied once more."""
    database = store(tmp_path) / "sessions.sqlite3"
    copyfile, changes = shutil.copyfile, [TWO]

    def copy_slowly(source, target):
        copyfile(source, target)
        if changes:
            with closing(connect(database)) as writer:
                writer.execute(insert(changes.pop()))

    monkeypatch.setattr(shutil, "copyfile", copy_slowly)

    assert ids(tmp_path) == [ONE, TWO]


def test_a_store_that_keeps_changing_is_refused(tmp_path, monkeypatch):
    """After some attempts at a copy the import gives up, and says why."""
    database = store(tmp_path) / "sessions.sqlite3"
    monkeypatch.setattr(shutil, "copyfile", lambda _source, _target: os.truncate(database, database.stat().st_size - 1))

    with pytest.raises(ImportSourceError, match="keeps changing"):
        meerkat.read(tmp_path)


def test_no_room_for_a_copy_is_said(tmp_path, monkeypatch):
    """An error of the file system is an ImportSourceError like every other."""
    store(tmp_path)

    def fail(_source, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fail)

    with pytest.raises(ImportSourceError, match="No space left on device"):
        meerkat.read(tmp_path)


def damage(realm, *statements, name):
    """Overwrite the first page of a table or index of a database that is made by the statements."""
    database = store(realm, "delete") / "sessions.sqlite3"
    with closing(connect(database, "delete")) as connection:
        for statement in statements:
            connection.execute(statement)
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def test_a_damaged_row_is_named(tmp_path):
    """A row that SQLite cannot make sense of is named like every other bad row."""
    damage(tmp_path, name="sessions")

    expected = UnreadableSession(ONE, "sessions.sqlite3: sessions", "SQLite cannot read the row (SQLITE_CORRUPT)")

    assert list(meerkat.read(tmp_path)) == [expected]


def test_damage_is_an_error_and_not_an_end(tmp_path):
    """Where the sessions cannot even be listed the import stops with an error, after those that could be."""
    damage(tmp_path, HEADS, insert(TWO).replace("sessions", "session_heads"), name="sqlite_autoindex_sessions_1")
    entries = meerkat.read(tmp_path)

    assert next(entries).session_id == TWO
    with pytest.raises(ImportSourceError, match="SQLITE_CORRUPT"):
        next(entries)


def test_damage_of_what_tells_the_layout_is_refused(tmp_path):
    """A database of unknown layout is not read."""
    damage(tmp_path, "CREATE TABLE meerkat_schema (domain, version)", name="meerkat_schema")

    with pytest.raises(ImportSourceError, match="SQLITE_CORRUPT"):
        meerkat.read(tmp_path)


def test_an_abandoned_import_cleans_up(tmp_path, scratch):
    """The copy goes when the iterator does, whether or not a row was taken."""
    store(tmp_path)
    entries = meerkat.read(tmp_path)
    copies = list(scratch.iterdir())

    del entries

    assert len(copies) == 1
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("suffixes", [("-wal",), ("-shm",), ("-journal",), ("-wal", "-shm")])
def test_links_beside_a_database_are_refused(tmp_path, suffixes):
    """SQLite would follow a link in the place of a sidecar, to what is not in the realm."""
    realm = store(tmp_path / "realm")
    crash(realm / "sessions.sqlite3", insert(TWO))
    (realm / "sessions.sqlite3-journal").touch()
    for sidecar in (realm / f"sessions.sqlite3{suffix}" for suffix in suffixes):
        sidecar.rename(tmp_path / sidecar.name)
        sidecar.symlink_to(tmp_path / sidecar.name)
    before = state(tmp_path)

    with pytest.raises(ImportSourceError, match="not a regular file"):
        meerkat.read(realm)

    assert state(tmp_path) == before


def test_links_of_session_files_are_followed_inside_alone(tmp_path):
    """A session file that is a link counts when it stays in the directory, and is named when it does not."""
    realm, four = tmp_path / "realm", TWO.replace("2", "4")
    realm.mkdir()
    (realm / "kept").write_text('{"metadata": {"session_metadata": {}}}')
    (tmp_path / "outside").write_text('{"metadata": {"session_metadata": {}}}')
    (realm / f"{ONE}.jsonl").symlink_to(realm / "kept")
    (realm / f"{TWO}.jsonl").symlink_to(tmp_path / "outside")
    (realm / f"{four}.jsonl").symlink_to(realm / f"{four}.jsonl")

    entries = {entry.session_id: entry for entry in meerkat.read(realm)}

    assert entries[ONE].payload == "{}"
    assert entries[TWO] == UnreadableSession(TWO, f"{TWO}.jsonl", "a link that leads out of the directory")
    assert isinstance(entries[four], UnreadableSession)


def test_the_path_itself_may_be_a_link(tmp_path):
    """Whoever names a link means what it leads to."""
    (tmp_path / "link").symlink_to(store(tmp_path / "realm"))
    (tmp_path / "database").symlink_to(tmp_path / "realm" / "sessions.sqlite3")

    assert ids(tmp_path / "link") == ids(tmp_path / "database") == [ONE]


@pytest.mark.skipif(not REAL_STORES.is_dir(), reason="no databases of released Meerkat binaries on this machine")
@pytest.mark.parametrize(
    ("name", "origins"),
    [
        ("meerkat-0.7.21-bootstrap-only", []),
        ("meerkat-0.7.5-attempted-turn", ["sessions.sqlite3: sessions"]),
        ("meerkat-0.7.28-attempted-turn", ["sessions.sqlite3: session_heads"]),
    ],
)
def test_databases_of_released_binaries_are_read(tmp_path, name, origins):
    """Databases that Meerkat itself wrote are read, and stay as they are."""
    before = state(REAL_STORES / name)
    realm = tmp_path / name
    shutil.copytree(REAL_STORES / name, realm, copy_function=shutil.copyfile)
    copied = state(realm)

    entries = list(meerkat.read(realm))

    assert [entry.origin for entry in entries] == origins
    assert all(json.loads(entry.payload)["model"] == "claude-opus-4-8" for entry in entries)
    assert state(realm) == copied
    assert state(REAL_STORES / name) == before
