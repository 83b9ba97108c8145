"""`rekindle demo`: the story it tells is true."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner

from rekindle import SESSION_METADATA_SCHEMA_VERSION as CURRENT
from rekindle import SessionStore, upcast
from rekindle.cli import demo, root


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Where the demo may leave nothing behind."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(root, ["demo", *arguments])


def test_it_is_over_in_a_minute_and_leaves_nothing(directory):
    """Quick, quiet, and without a trace."""
    start = time.monotonic()
    result = run()

    assert (result.exit_code, result.stderr) == (0, "")
    assert time.monotonic() - start < 60
    assert list(directory.iterdir()) == []


def test_it_tells_five_steps(directory):
    """Short sentences that fit on any terminal."""
    lines = run().stdout.splitlines()
    steps = [line for line in lines if line[:2] in {f"{number}." for number in range(1, 10)}]

    assert [step[0] for step in steps] == ["1", "2", "3", "4", "5"]
    assert max(map(len, steps)) <= 80
    assert all(line.isprintable() for line in lines)


def test_the_rows_are_of_three_eras():
    """No number, a number that lies about the spelling, and today's spelling: all outdated, all load."""
    documents = [document for _, document in demo._SESSIONS.values()]
    changes = [len(upcast(document).changes) for document in documents]

    assert [document.get("schema_version") for document in documents] == [None, 2, 2]
    assert [document["provider"] for document in documents] == ["open_a_i", "open_a_i", "openai"]
    assert changes[0] > changes[1] > changes[2]


def test_status_moves():
    """All rows are outdated before, one less after, and its original is in the archive."""
    told = json.loads(run("--json").stdout)

    assert (told["before"]["rows"], told["before"]["outdated"], told["before"]["archived_rows"]) == (3, 3, 0)
    assert (told["after"]["rows"], told["after"]["outdated"], told["after"]["archived_rows"]) == (3, 2, 1)
    assert told["after"]["rows_by_schema_version"][str(CURRENT)] == 1


def test_the_changes_are_those_of_the_resumed_session():
    """Each is shown as a load reports it."""
    told = json.loads(run("--json").stdout)
    text = run().stdout

    expected = upcast(demo._SESSIONS[told["resumed"]][1]).changes

    assert [change["path"] for change in told["changes"]] == [change.path for change in expected]
    assert all(f"   {change.path} " in text for change in expected)


def test_the_python_it_prints_works(tmp_path):
    """The lines can be copied into a program."""
    python = json.loads(run("--json").stdout)["python"]
    url = f"sqlite:///{tmp_path / 'agents.db'}"
    written, document = demo._SESSIONS["sales"]
    with SessionStore.open(url, upgrade=True) as store:
        store.import_document("sales", json.dumps(document), created_at=written, updated_at=written)
    namespace = {}
    exec(python, namespace)
    record = namespace["resume"](url, "sales")
    printed = run().stdout

    assert record.changes
    assert all(f"   {line}".rstrip() in printed for line in python.splitlines())
    with SessionStore.open(url) as store:
        assert store.load("sales").schema_version == CURRENT
