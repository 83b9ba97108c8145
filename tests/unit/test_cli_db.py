"""`rekindle db`: the tables and their revision."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from rekindle.cli import root
from rekindle.orm import DATABASE_REVISION


def call(*arguments):
    return CliRunner().invoke(root, ["db", *arguments])


@pytest.fixture
def path(_sqlite_template, tmp_path) -> Path:
    """A SQLite file with the tables."""
    path = tmp_path / "agents.db"
    shutil.copy(_sqlite_template, path)
    return path


@pytest.fixture
def url(path) -> str:
    return f"sqlite:///{path}"


def execute(path, statement):
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


def test_upgrade_creates_the_tables(tmp_path):
    """On a file that is not there yet, and a second time there is nothing to do."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    first, second = call("upgrade", "--url", url), call("upgrade", "--url", url)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "were created" in first.stderr
    assert "already" in second.stderr
    assert first.stdout == second.stdout == ""


def test_upgrade_in_json(tmp_path):
    """It says from where to where."""
    result = call("upgrade", "--json", "--url", f"sqlite:///{tmp_path / 'new.db'}")

    assert json.loads(result.stdout)["found"] is None
    assert json.loads(result.stdout)["revision"] == DATABASE_REVISION


def test_upgrade_refuses_tables_of_a_later_release(path, url):
    """It never touches them."""
    execute(path, "UPDATE rekindle_alembic_version SET version_num = '0999'")
    result = call("upgrade", "--url", url)

    assert result.exit_code == 1
    assert "upgrade rekindle in this process" in result.stderr


def test_upgrade_needs_a_directory(tmp_path):
    """A directory that does not exist is not created."""
    result = call("upgrade", "--url", f"sqlite:///{tmp_path}/missing/agents.db")

    assert result.exit_code == 1
    assert "check that the directory exists" in result.stderr


def test_current_prints_the_revision(url):
    """The revision alone is on stdout."""
    result = call("current", "--url", url)

    assert (result.exit_code, result.stdout) == (0, f"{DATABASE_REVISION}\n")


def test_current_without_tables(tmp_path):
    """It answers none, says what to run, and leaves no file behind."""
    path = tmp_path / "missing.db"
    result = call("current", "--url", f"sqlite:///{path}")

    assert (result.exit_code, result.stdout) == (0, "none\n")
    assert "rekindle db upgrade --url" in result.stderr
    assert not path.exists()


def test_check_agrees(url):
    """Exit code 0 on the tables of this release."""
    result = call("check", "--url", url)

    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize("create", [True, False])
def test_check_finds_tables_behind(tmp_path, create):
    """Exit code 3, with the command to run, on an empty database as on a missing one."""
    path = tmp_path / "empty.db"
    if create:
        path.touch()
    result = call("check", "--url", f"sqlite:///{path}")

    assert result.exit_code == 3
    assert "run `rekindle db upgrade --url" in result.stderr
    assert path.exists() is create


def test_check_finds_tables_ahead(path, url):
    """Exit code 1: an upgrade would not help."""
    execute(path, "UPDATE rekindle_alembic_version SET version_num = '0999'")
    result = call("check", "--url", url)

    assert result.exit_code == 1
    assert "0999" in result.stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER TABLE session_metadata ADD COLUMN extra INTEGER", "extra"),
        ("DROP INDEX ix_session_metadata_created_at_session_id", "ix_session_metadata_created_at_session_id"),
        ("DROP TABLE session_metadata_quarantine", "session_metadata_quarantine"),
    ],
)
def test_check_finds_tables_that_differ(path, url, change, named):
    """Exit code 1, and what differs on stdout."""
    execute(path, change)
    result, in_json = call("check", "--url", url), call("check", "--url", url, "--json")

    assert (result.exit_code, in_json.exit_code) == (1, 1)
    assert named in result.stdout
    assert named in json.loads(in_json.stdout)["differences"][0]
    assert json.loads(in_json.stdout)["ok"] is False


@pytest.mark.parametrize("url", ["sqlite:///x.db", "postgresql://nowhere/x", "mariadb://nowhere/x"])
def test_sql_prints_the_ddl(url, tmp_path, monkeypatch):
    """For each dialect, with no connection and no file made."""
    monkeypatch.chdir(tmp_path)
    result = call("sql", "--url", url)

    assert result.exit_code == 0
    assert re.search(r"CREATE TABLE (IF NOT EXISTS )?session_metadata \(", result.stdout)
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_sql_creates_the_tables(tmp_path):
    """What it prints is all that an upgrade would do."""
    db = sqlite3.connect(tmp_path / "by_hand.db", isolation_level=None)
    db.executescript(call("sql", "--url", "sqlite://").stdout)
    db.close()

    assert call("check", "--url", f"sqlite:///{tmp_path / 'by_hand.db'}").exit_code == 0


def test_sql_refuses_other_databases():
    """The URL is named without its password."""
    result = call("sql", "--url", "oracle://me:hunter2@h/x")

    assert result.exit_code == 1
    assert "oracle is not supported" in result.stderr
    assert "hunter2" not in result.output
