"""What an import of a Meerkat store refuses, and that it does so before the first session."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rekindle.errors import ImportSourceError
from rekindle.importers import meerkat

ONE = "01a00703-2762-7c22-8c30-000000000001"

CREATE = "CREATE TABLE sessions (session_id PRIMARY KEY, created_at_ms, updated_at_ms, metadata_json, session_json)"
INSERT = f"""INSERT INTO sessions VALUES ('{ONE}', 0, 0, '{{"session_metadata": {{}}}}', '{{}}')"""


def database(realm, *statements):
    realm.mkdir(exist_ok=True)
    with closing(sqlite3.connect(realm / "sessions.sqlite3", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return realm


def manifest(realm, **content):
    (database(realm, CREATE, INSERT) / "realm_manifest.json").write_text(json.dumps(content))


UNUSABLE = {
    "does not exist": shutil.rmtree,
    "is an empty realm": lambda _realm: None,
    "is a redb store": lambda realm: (realm / "sessions.redb").touch(),
    "which cannot be read from Python; export": lambda realm: manifest(realm, backend="redb"),
    "in memory alone": lambda realm: manifest(realm, backend="memory"),
    "names a store, or has a format": lambda realm: manifest(realm, backend="external:s3"),
    "or has a format": lambda realm: manifest(realm, backend="sqlite", manifest_format=3),
    "a format, that this release": lambda realm: manifest(realm, backend=["sqlite"]),
    "is empty; restore": lambda realm: (realm / "sessions.sqlite3").touch(),
    "is not a SQLite database": lambda realm: (realm / "sessions.sqlite3").write_text("text" * 1000),
    "none of the tables": lambda realm: database(realm, "CREATE TABLE users (id)"),
    "none of the tables in which": lambda realm: database(realm, "CREATE VIEW sessions AS SELECT 1 AS session_id"),
    "table sessions has no metadata_json": lambda realm: database(realm, "CREATE TABLE sessions (session_id)"),
    "session_head_metadata_cells has no exact_value_digest": lambda realm: database(
        realm, "CREATE TABLE session_head_metadata_current (session_id, metadata_key, exact_value_digest)"
    ),
    "session store is at schema 5": lambda realm: database(
        realm,
        CREATE,
        "CREATE TABLE meerkat_schema (domain, version)",
        "INSERT INTO meerkat_schema VALUES ('session-store', 5)",
    ),
}


@pytest.mark.parametrize("reason", UNUSABLE)
def test_an_unusable_source_is_refused_by_the_call(tmp_path, reason):
    """What cannot be read at all is an error before the first row, with what to do about it."""
    realm = tmp_path / "realm"
    realm.mkdir()
    UNUSABLE[reason](realm)

    with pytest.raises(ImportSourceError, match=reason) as caught:
        meerkat.read(realm)

    assert str(realm) in caught.value.source
    assert caught.value.remedy


@pytest.mark.parametrize(("name", "reason"), [("sessions.redb", "redb"), ("export.jsonl", "id of a Meerkat session")])
def test_a_file_of_another_kind_is_refused(tmp_path, name, reason):
    """A redb file, and lines that are not Meerkat's, are recognised by their names."""
    (tmp_path / name).write_text("{}")

    with pytest.raises(ImportSourceError, match=reason):
        meerkat.read(tmp_path / name)


def test_a_database_named_by_itself_has_sessions(tmp_path):
    """A database that is not Meerkat's is refused also when it is named without a realm."""
    database(tmp_path, "CREATE TABLE users (id)")

    with pytest.raises(ImportSourceError, match="none of the tables"):
        meerkat.read(tmp_path / "sessions.sqlite3")


def test_links_in_a_circle_are_refused(tmp_path):
    """A path that leads nowhere is an error with a reason."""
    (tmp_path / "circle").symlink_to(tmp_path / "circle")

    with pytest.raises(ImportSourceError, match="lead in a circle"):
        meerkat.read(tmp_path / "circle")


@pytest.mark.parametrize("method", ["is_dir", "iterdir"])
def test_an_error_of_the_file_system_is_an_import_error(tmp_path, monkeypatch, method):
    """A directory that may not be read is refused with the reason that the system gives."""

    def deny(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, method, deny)

    with pytest.raises(ImportSourceError, match="Permission denied"):
        meerkat.read(tmp_path)


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path):
    """A realm whose sessions_jsonl is no directory has no session files that could be listed."""
    (tmp_path / "sessions_jsonl").touch()

    with pytest.raises(ImportSourceError, match="Not a directory"):
        meerkat.read(tmp_path)


def test_a_damaged_manifest_says_nothing(tmp_path):
    """The stores of a realm are read also when its manifest cannot be."""
    (database(tmp_path, CREATE, INSERT) / "realm_manifest.json").write_text("{")

    assert [entry.session_id for entry in meerkat.read(tmp_path)] == [ONE]


@pytest.mark.parametrize("name", ["sessions.sqlite3", "sessions_jsonl", "realm_manifest.json", "runtime.sqlite3"])
def test_a_link_out_of_the_realm_is_refused(tmp_path, name):
    """A realm cannot make an import read what lies elsewhere."""
    realm = database(tmp_path / "realm", CREATE, INSERT)
    (tmp_path / "elsewhere").mkdir()
    (realm / name).unlink(missing_ok=True)
    (realm / name).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ImportSourceError, match="leads out of the realm"):
        meerkat.read(realm)
