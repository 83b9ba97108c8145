"""`rekindle backfill`, `quarantine`, `verify`, `schema floor` and `status`, as they are typed."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from click.testing import CliRunner

from rekindle import SessionStore
from rekindle.cli import root
from rekindle.engine import create_engine
from rekindle.orm import session_metadata

OLD = '{"schema_version":2,"model":"gpt-5","max_tokens":1,"provider":"open_a_i","tooling":{}}'


@pytest.fixture
def url(_sqlite_template, tmp_path):
    """A SQLite file with three outdated sessions."""
    path = tmp_path / "agents.db"
    shutil.copy(_sqlite_template, path)
    with SessionStore.open(f"sqlite:///{path}") as store:
        for name in ("one", "two", "three"):
            store.import_document(name, OLD)
    return f"sqlite:///{path}"


@pytest.fixture
def call(url):
    """Run a command on it."""
    return lambda *words: CliRunner().invoke(root, [*words, "--url", url])


@pytest.fixture
def spoil(url):
    """Make the document of a session one that does not load."""

    def overwrite(session_id):
        engine = create_engine(url)
        with engine.connect() as connection:
            mine = session_metadata.c.session_id == session_id
            connection.execute(session_metadata.update().where(mine).values(payload='{"model": 7}'))
        engine.dispose()

    return overwrite


def test_it_converts_and_ensures(call):
    """3 before, 0 after, and the same from --ensure."""
    before = call("backfill", "--ensure", "3")
    done = call("backfill")
    after = call("backfill", "--ensure", "3")

    assert (before.exit_code, done.exit_code, after.exit_code) == (3, 0, 0)
    assert "3 rows are below schema version 3" in before.stderr
    assert re.search(r"converted +3 ", done.stdout)


def test_a_dry_run_tells_what_would_happen(call, spoil):
    """What would fail is named, and the exit code says so."""
    fine = call("backfill", "--dry-run")
    spoil("two")
    bad = call("backfill", "--dry-run", "--json")
    document = json.loads(bad.stdout)

    assert (fine.exit_code, bad.exit_code, document["run_id"]) == (0, 3, None)
    assert (document["converted"], document["quarantined"]) == (2, 1)
    assert [failure["session_id"] for failure in document["failures"]] == ["two"]


def test_a_limit_says_how_to_go_on(call):
    """The line can be typed as it stands."""
    stopped = call("backfill", "--limit", "2")
    again = re.search(r"`rekindle (backfill resume \w+) --url", stopped.stderr)[1]
    ended = call(*again.split())

    assert (stopped.exit_code, ended.exit_code) == (3, 0)
    assert call("backfill", "pause", again.split()[-1]).exit_code == 1


def test_the_quarantine_is_listed_shown_and_tried_again(call, spoil):
    """3 as long as a row is in it."""
    spoil("two")
    codes = [
        call(*words).exit_code
        for words in (["backfill"], ["quarantine", "list"], ["quarantine", "show", "two"], ["quarantine", "retry"])
    ]
    entry = json.loads(call("quarantine", "show", "two", "--json").stdout)

    assert codes == [3, 3, 0, 3]
    assert (entry["step"], entry["attempts"]) == ("validate", 2)
    assert call("quarantine", "show", "one").exit_code == 1


def test_verify_and_floor(call, spoil):
    """3 when something is wrong, or needed; 0 when all is well."""
    well = call("verify")
    spoil("two")
    bad = call("verify", "--json")
    listed = call("verify", "--list")
    floor = call("schema", "floor", "--json")

    assert (well.exit_code, bad.exit_code, floor.exit_code) == (0, 3, 3)
    assert json.loads(bad.stdout)["problems"]["unreadable"]["session_ids"] == ["two"]
    assert listed.stdout.startswith("unreadable\ttwo\tmodel: ")
    assert [step["can_be_retired"] for step in json.loads(floor.stdout)] == [False, False]


def test_status_tells_of_runs_and_for_prometheus(call, monkeypatch):
    """The write version in force and the latest runs are in every format."""
    call("backfill", "--limit", "2")
    monkeypatch.setenv("REKINDLE_WRITE_VERSION", "2")
    text, document = call("status").stdout, json.loads(call("status", "--json").stdout)
    metrics = call("status", "--prometheus").stdout.splitlines()

    assert "2 is written, as REKINDLE_WRITE_VERSION says" in text
    assert (document["write_version"], document["backfill"][0]["state"]) == (2, "paused")
    assert 'rekindle_rows{schema_version="2"} 1' in metrics
    assert 'rekindle_backfill_rows{outcome="converted"} 2' in metrics
    assert all(re.fullmatch(r"# (HELP|TYPE) .+|[a-z_]+(\{.*\})? \d+", line) for line in metrics)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["backfill", "--ensure", "9"], "none can be ensured above"),
        (["backfill", "--max-replica-lag", "3"], "use --max-rate or --pause-file"),
        (["backfill", "lst"], "Did you mean 'list'?"),
        (["status", "--json", "--prometheus"], "choose one"),
    ],
)
def test_wrong_usage_says_what_was_meant(call, words, meant):
    """In one line, with exit code 2."""
    result = call(*words)

    assert (result.exit_code, meant in result.stderr) == (2, True)
