"""`rekindle status`, `list`, `show` and `delete`."""

from __future__ import annotations

import json
import os
import pty
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from rekindle import SESSION_METADATA_SCHEMA_VERSION as CURRENT
from rekindle import SessionMetadata, SessionStore
from rekindle.cli import root
from rekindle.orm import DATABASE_REVISION, SessionMetadataQuarantineRow
from rekindle.statistics import read

OLD = {
    "host_mode": True, "max_tokens": 8, "model": "gpt-4.1", "provider": "open_a_i", "realm_id": "mob:sales",
    "comms_name": "ada", "tooling": {"builtins": True, "subagents": False, "active_skills": ["a/b"]},
}  # fmt: skip
LIES = ["0", "-1", '"2"', "true", "2.5", "99"]


def call(*arguments, **options):
    return CliRunner().invoke(root, [*arguments], **options)


def execute(path, statement, *parameters):
    db = sqlite3.connect(path)
    db.execute(statement, parameters)
    db.commit()
    db.close()


def fill(store):
    """One current session, and one of the oldest format in another realm."""
    metadata = SessionMetadata(model="claude", max_tokens=1, provider="anthropic", tooling={}, instance_id="i")
    store.add("new", metadata)
    store.import_document("old", json.dumps(OLD), created_at=None, updated_at=None)


@pytest.fixture
def path(_sqlite_template, tmp_path) -> Path:
    path = tmp_path / "agents.db"
    shutil.copy(_sqlite_template, path)
    with SessionStore.open(f"sqlite:///{path}") as store:
        fill(store)
    return path


@pytest.fixture
def url(path) -> str:
    return f"sqlite:///{path}"


def contents(path):
    db = sqlite3.connect(path)
    rows = db.execute("SELECT * FROM session_metadata ORDER BY session_id").fetchall()
    db.close()
    return rows


# status


def test_status_counts_on_every_database(database_url):
    """Rows per schema version, and the originals that a save has archived with their size in bytes."""
    document = json.dumps({**OLD, "model": "modèle"}, ensure_ascii=False)
    with SessionStore.open(database_url) as store:
        fill(store)
        store.import_document("saved", document, created_at=None, updated_at=None)
        store.save(store.load("saved"))
    status = json.loads(call("status", "--json", "--url", database_url).stdout)

    assert status["rows_by_schema_version"] == {"1": 1, str(CURRENT): 2}
    assert (status["rows"], status["outdated"], status["newer"], status["quarantined"]) == (3, 1, 0, 0)
    assert (status["archived_rows"], status["archived_bytes"]) == (1, len(document.encode()))
    assert status["database_revision"] == {"found": DATABASE_REVISION, "expected": DATABASE_REVISION}


def test_statistics_of_a_realm(engine, database_url):
    """Rows, quarantine and archive are those of the realm alone; an entry of a session that was moved is not."""
    with SessionStore.open(database_url) as store:
        fill(store)
        for name in ("sales", "other"):
            store.import_document(name, json.dumps({**OLD, "realm_id": name}), created_at=None, updated_at=None)
            store.save(store.load(name))
    now = sa.func.current_timestamp()
    with engine.begin() as connection:
        for session_id, realm in (("sales", "sales"), ("a", "sales")):
            connection.execute(
                sa.insert(SessionMetadataQuarantineRow).values(
                    session_id=session_id, schema_version=1, lock_version=1, realm=realm, step="", error_class="",
                    message="", payload_sha256="", attempts=1, first_seen_at=now, last_seen_at=now,
                )
            )  # fmt: skip
    with engine.connect() as connection:
        everything, sales = read(connection), read(connection, "sales")

    assert (everything.total, everything.quarantined, everything.archived_rows) == (4, 2, 2)
    assert (sales.total, sales.quarantined, sales.archived_rows) == (1, 1, 1)
    assert 0 < sales.archived_bytes < everything.archived_bytes


def test_status_shows_shares(path, url):
    """Each schema version has a line with its share, its state and a bar."""
    execute(path, "UPDATE session_metadata SET schema_version = 99 WHERE session_id = 'new'")
    lines = [line.split() for line in call("status", "--url", url).stdout.splitlines()]

    assert ["99", "1", "50.0%", "newer", "█" * 10] in lines
    assert ["1", "1", "50.0%", "outdated", "█" * 10] in lines


def test_status_of_nothing(url):
    """An empty realm is a status, not an error."""
    result = call("status", "--realm", "nowhere", "--url", url)

    assert result.exit_code == 0
    assert "rows                0\n" in result.stdout


# list


def test_list_is_a_table(url):
    """One line a session, the newest first, at the schema version that is stored."""
    lines = [line.split() for line in call("list", "--url", url).stdout.splitlines()]

    assert lines[0] == ["session", "realm", "provider", "model", "schema", "version", "updated"]
    assert [line[:5] for line in lines[1:]] == [
        ["old", "mob.sales", "openai", "gpt-4.1", "1"],
        ["new", "-", "anthropic", "claude", str(CURRENT)],
    ]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--provider", "openai"], ["old"]),
        (["--model", "claude"], ["new"]),
        (["--instance", "i"], ["new"]),
        (["--comms-name", "ada"], ["old"]),
        (["--realm", "mob.sales"], ["old"]),
        (["--realm", "nowhere"], []),
        (["--provider", "openai", "--model", "claude"], []),
    ],
)
def test_list_filters(url, options, found):
    """Every option narrows the listing."""
    listed = json.loads(call("list", "--json", "--url", url, *options).stdout)["records"]

    assert [record["session_id"] for record in listed] == found


def test_list_pages(url):
    """The cursor of a page leads to the next, on stderr for people and in the document for programs."""
    text = call("list", "--limit", "1", "--url", url)
    first = json.loads(call("list", "--limit", "1", "--json", "--url", url).stdout)
    second = json.loads(call("list", "--after", first["next_cursor"], "--json", "--url", url).stdout)

    assert f"--after {first['next_cursor']}" in text.stderr
    assert [record["session_id"] for page in (first, second) for record in page["records"]] == ["old", "new"]
    assert second["next_cursor"] is None


def test_list_of_nothing_says_so(url):
    """An empty table is no table."""
    result = call("list", "--realm", "nowhere", "--url", url)

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no sessions found\n")


@pytest.mark.parametrize("lie", LIES)
def test_list_names_bad_rows(path, url, lie):
    """One row that does not load hides no other: it is named with a remedy, and the exit code is 3."""
    execute(path, "UPDATE session_metadata SET payload = ? WHERE session_id = 'old'", f'{{"schema_version": {lie}}}')
    before = contents(path)
    text, in_json = call("list", "--url", url), call("list", "--json", "--url", url)

    assert (text.exit_code, in_json.exit_code) == (3, 3)
    assert "new" in text.stdout
    assert text.stderr.startswith("bad row: session 'old' ")
    assert "--stored" in text.stderr or "upgrade rekindle" in text.stderr
    assert [bad["session_id"] for bad in json.loads(in_json.stdout)["bad"]] == ["old"]
    assert contents(path) == before


@pytest.mark.parametrize(("column", "code"), [(0, 3), (-1, 3), (99, 3), ("2", 0), (True, 0), (2.5, 3)])
def test_list_doubts_the_column(path, url, column, code):
    """The number beside the document is not believed either; what SQLite makes a number of is one."""
    execute(path, "UPDATE session_metadata SET schema_version = ? WHERE session_id = 'old'", column)
    result = call("list", "--url", url)

    assert result.exit_code == code
    assert ("bad row: session 'old'" in result.stderr) is (code == 3)


def test_list_refuses_a_cursor_of_its_own_making(url):
    """A cursor that no page gave out is an error."""
    result = call("list", "--after", "nonsense", "--url", url)

    assert result.exit_code == 1
    assert "start again without `after`" in result.stderr


# show


def test_show_upcasts_and_names_every_change(url):
    """The document as it loads, and for each change the path, the old and the new value and the reason."""
    result = call("show", "old", "--url", url)

    assert '"provider": "openai"' in result.stdout
    assert '"keep_alive": true' in result.stdout
    assert f"1, shown as {CURRENT}" in result.stdout
    assert 'provider               "open_a_i"   "openai"     spelled openai' in result.stdout
    assert 'tooling.active_skills  ["a/b"]      dropped' in result.stdout


def test_show_in_json(url):
    """The same for programs."""
    shown = json.loads(call("show", "old", "--json", "--url", url).stdout)

    assert shown["schema_version"] == 1
    assert shown["is_outdated"] is True
    assert shown["metadata"]["realm_id"] == "mob.sales"
    assert {"path": "realm_id", "reason": "made a slug", "old": "mob:sales", "new": "mob.sales"} in shown["changes"]


def test_show_changes_nothing_that_is_current(url):
    """A current session has no changes to show."""
    assert "changed on load" not in call("show", "new", "--url", url).stdout


def test_show_the_original(url):
    """The stored text, byte for byte."""
    assert call("show", "old", "--original", "--url", url).stdout_bytes == json.dumps(OLD).encode()


@pytest.mark.parametrize("payload", ["", "not JSON \x1b[31m", "[]", "{}", '{"schema_version": 99}', "\n"])
def test_show_a_row_that_does_not_load(path, url, payload):
    """It is an error with a remedy, and the original is still to be seen."""
    execute(path, "UPDATE session_metadata SET payload = ? WHERE session_id = 'old'", payload)
    shown, original = call("show", "old", "--url", url), call("show", "old", "--original", "--url", url)
    in_json = json.loads(call("show", "old", "--original", "--json", "--url", url).stdout)

    assert shown.exit_code == 1
    assert "rekindle show old --stored" in shown.stderr or "upgrade rekindle" in shown.stderr
    assert (original.exit_code, original.stdout_bytes) == (0, payload.encode())
    assert in_json["payload"] == payload


@pytest.mark.parametrize("command", ["show old", "show old --original", "delete old --yes"])
def test_another_realm_is_not_found(path, url, command):
    """A session of another realm does not exist."""
    result = call(*command.split(), "--realm", "prod", "--url", url)

    assert result.exit_code == 1
    assert "no session 'old' in realm 'prod'" in result.stderr
    assert len(contents(path)) == 2


@pytest.mark.parametrize("session_id", ["", "x" * 256, "\udcff"])
def test_impossible_ids(url, session_id):
    """What cannot be an id is an error that says so."""
    result = call("show", session_id, "--url", url)

    assert result.exit_code == 1
    assert "is not a session id" in result.stderr


# delete


def test_delete(path, url):
    """The session is gone, and where no terminal is nobody is asked."""
    result = call("delete", "old", "--url", url)

    assert (result.exit_code, result.stdout) == (0, "")
    assert [row[0] for row in contents(path)] == ["new"]


def test_delete_in_json(url):
    """It says what was deleted."""
    assert json.loads(call("delete", "old", "--json", "--url", url).stdout) == {"deleted": "old"}


def test_delete_what_does_not_load(path, url):
    """A session of a later release, or one that is damaged, can be deleted by its id."""
    execute(path, "UPDATE session_metadata SET payload = 'broken', schema_version = 99 WHERE session_id = 'old'")

    assert call("delete", "old", "--url", url).exit_code == 0
    assert [row[0] for row in contents(path)] == ["new"]


@pytest.mark.parametrize(
    ("arguments", "answer", "code", "left"),
    [
        ([], b"n\n", 1, ["new", "old"]),
        ([], b"\n", 1, ["new", "old"]),
        ([], b"\x04", 130, ["new", "old"]),
        ([], b"y\n", 0, ["new"]),
        (["--yes"], b"", 0, ["new"]),
    ],
)
def test_delete_asks_on_a_terminal(path, arguments, answer, code, left):
    """Only a yes deletes, typed or given."""
    command = [sys.executable, "-m", "rekindle", "delete", "old", "--url", f"sqlite:///{path}", *arguments]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, command)
    os.write(terminal, answer)
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert status == code
    assert (b"Delete session 'old'" in shown) is not bool(arguments)
    assert [row[0] for row in contents(path)] == left
