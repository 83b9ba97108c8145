"""`rekindle import` and `rekindle export`."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rekindle.cli import exporting, root

GOOD = {"schema_version": 2, "model": "gpt-5", "max_tokens": 1, "provider": "open_a_i", "tooling": {}}
OLD = {"host_mode": True, "model": "claude", "max_tokens": 1, "provider": "anthropic", "tooling": {"shell": True}}
WHEN = {"created_at": "2025-11-04T09:30:00+00:00", "updated_at": "2026-01-02T03:04:05.000006+00:00"}


def call(*arguments, **options):
    return CliRunner().invoke(root, [*arguments], **options)


@pytest.fixture
def path(_sqlite_template, tmp_path) -> Path:
    return Path(shutil.copy(_sqlite_template, tmp_path / "agents.db"))


@pytest.fixture
def url(path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def lines(tmp_path):
    """Write a file of lines: texts as they are, pairs as sessions."""

    def write(*entries):
        file = tmp_path / "sessions.jsonl"
        texts = [
            entry if isinstance(entry, str) else json.dumps({"session_id": entry[0], "metadata": entry[1]})
            for entry in entries
        ]
        file.write_text("\n".join(texts), encoding="utf-8")
        return str(file)

    return write


def rows(path, columns="session_id"):
    db = sqlite3.connect(path)
    found = db.execute(f"SELECT {columns} FROM session_metadata ORDER BY session_id").fetchall()
    db.close()
    return found


def execute(path, statement, *parameters):
    db = sqlite3.connect(path)
    db.execute(statement, parameters)
    db.commit()
    db.close()


# import


def test_import_takes_documents_over_as_they_are(path, url, lines):
    """What goes in is what was stored, to be upcast on load."""
    result = call("import", "jsonl", lines(("a", OLD), ("b", GOOD)), "--url", url)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "imported   a  line 1",
        "imported   b  line 2",
        "imported 2, unchanged 0, refused 0",
    ]
    assert [(name, json.loads(payload)) for name, payload in rows(path, "session_id, payload")] == [
        ("a", OLD),
        ("b", GOOD),
    ]


def test_import_again_changes_nothing(path, url, lines):
    """The same file twice: every row is unchanged."""
    file = lines(("a", OLD), ("b", GOOD))
    call("import", "jsonl", file, "--url", url)
    before = rows(path, "*")
    result = call("import", "jsonl", file, "--url", url, "--json")

    assert json.loads(result.stdout) == {"imported": 0, "unchanged": 2, "refused": []}
    assert rows(path, "*") == before


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        *(({**GOOD, "schema_version": lie}, "is not a positive integer") for lie in (0, -1, "2", True, 2.5)),
        ({**GOOD, "schema_version": 99}, "is at schema version 99"),
        ({**GOOD, "provider_params": {"api_key": "sk-0123456789abcdefghij"}}, "looks like a credential"),
        ({**GOOD, "max_tokens": "1"}, "max_tokens"),
        ({}, "model: Field required"),
    ],
)
def test_import_refuses_what_would_not_load(path, url, lines, document, reason):
    """A refused row is named with its line and the reason; the others come in, and the exit code is 3."""
    file = lines(("good", GOOD), ("bad", document))
    text, in_json = call("import", "jsonl", file, "--url", url), call("import", "jsonl", file, "--url", url, "--json")
    (refused,) = json.loads(in_json.stdout)["refused"]
    (told,) = [line for line in text.stdout.splitlines() if line.startswith("refused    bad ")]

    assert (text.exit_code, in_json.exit_code) == (3, 3)
    assert "line 2" in told
    assert reason in told
    assert "imported 1, unchanged 0, refused 1" in text.stdout
    assert (refused["session_id"], refused["origin"]) == ("bad", "line 2")
    assert "sk-0123456789abcdefghij" not in text.output + in_json.output
    assert "rekindle show" not in text.output
    assert rows(path) == [("good",)]


@pytest.mark.parametrize("line", ["not JSON", "[]", '{"metadata": {}}', '{"session_id": 5}', '{"session_id": "x"}'])
def test_import_names_lines_that_cannot_be_read(path, url, lines, line):
    """A line that is no session is refused like a session that is no good."""
    result = call("import", "jsonl", lines(line, ("good", GOOD)), "--url", url)

    assert result.exit_code == 3
    assert "line 1" in result.stdout
    assert rows(path) == [("good",)]


def test_import_never_overwrites(path, url, lines):
    """Another document under an id that is taken is refused, in the words of an import."""
    call("import", "jsonl", lines(("a", OLD)), "--url", url)
    before = rows(path, "*")
    result = call("import", "jsonl", lines(("a", GOOD)), "--url", url)

    assert result.exit_code == 3
    assert "it is here already, with another document" in result.stdout
    assert rows(path, "*") == before


def test_import_into_a_realm(path, url, lines):
    """Only documents of that realm come in."""
    file = lines(("mine", {**GOOD, "realm_id": "prod"}), ("theirs", {**GOOD, "realm_id": "dev"}), ("none", GOOD))
    result = call("import", "jsonl", file, "--realm", "prod", "--url", url)

    assert result.exit_code == 3
    assert "imported 1, unchanged 0, refused 2" in result.stdout
    assert rows(path) == [("mine",)]


def test_import_from_stdin(path, url, lines):
    """A dash is stdin, of any kind."""
    command = [sys.executable, "-m", "rekindle", "import", "jsonl", "-", "--url", url]
    file = Path(lines(("a", OLD)))
    piped = subprocess.run(command, input=file.read_bytes(), capture_output=True, check=True, timeout=60)
    with file.open("rb") as stdin:
        redirected = subprocess.run(command, stdin=stdin, capture_output=True, check=True, timeout=60)

    assert piped.stdout.splitlines()[-1] == b"imported 1, unchanged 0, refused 0"
    assert redirected.stdout.splitlines()[-1] == b"imported 0, unchanged 1, refused 0"
    assert piped.stderr == b""
    assert rows(path) == [("a",)]


@pytest.mark.parametrize("kind", ["jsonl", "meerkat"])
def test_import_from_nowhere(url, kind, tmp_path):
    """A source that cannot be read is one error."""
    result = call("import", kind, str(tmp_path / "missing"), "--url", url)

    assert result.exit_code == 1
    assert result.stderr.startswith("error: cannot import from ")
    assert result.stderr.count("\n") == 1


def test_import_of_nothing_says_so(url, lines):
    """An empty source is done at once."""
    result = call("import", "jsonl", lines(), "--url", url)

    assert (result.exit_code, result.stderr) == (0, "the source holds no sessions\n")


def test_import_stops_when_the_database_is_gone(path, url, lines):
    """A database that is locked is no matter of one row: the run ends, saying how far it came."""
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    result = call("import", "jsonl", lines("not JSON", ("a", OLD)), "--url", f"{url}?timeout=0.2")
    holder.close()

    assert result.exit_code == 1
    assert "stopped: imported 0, unchanged 0, refused 1; run it again to go on" in result.stderr
    assert "is locked by another process" in result.stderr
    assert rows(path) == []


def test_import_meerkat(path, url, tmp_path):
    """A realm's sessions come in with the document that Meerkat stored."""
    session_id = "0198c0de-0000-7000-8000-000000000001"
    realm = tmp_path / "realm" / "sessions_jsonl"
    realm.mkdir(parents=True)
    session = {"version": 1, "id": session_id, "messages": [], "metadata": {"session_metadata": OLD}}
    (realm / f"{session_id}.jsonl").write_text(json.dumps(session), encoding="utf-8")
    result = call("import", "meerkat", str(realm.parent), "--url", url)

    assert result.stdout.splitlines()[-1] == "imported 1, unchanged 0, refused 0", result.output
    assert [(name, json.loads(payload)) for name, payload in rows(path, "session_id, payload")] == [(session_id, OLD)]


# export


@pytest.fixture
def filled(url, lines):
    """A database with sessions of two formats, one of them with times."""
    timed = json.dumps({"session_id": "timed", "metadata": OLD, **WHEN})
    call("import", "jsonl", lines(timed, ("plain", {**GOOD, "realm_id": "prod"})), "--url", url)
    return url


def test_export_writes_documents_as_stored(filled):
    """One line a session, with its times, at the schema version it is stored at."""
    result = call("export", "jsonl", "--url", filled)
    exported = {line["session_id"]: line for line in map(json.loads, result.stdout.splitlines())}

    assert exported["timed"] == {"session_id": "timed", "metadata": OLD, **WHEN}
    assert exported["plain"]["metadata"] == {**GOOD, "realm_id": "prod"}
    assert result.stderr == "exported 2, left out 0\n"


def test_export_and_import_reproduce_the_rows(filled, path, tmp_path, monkeypatch):
    """What comes out goes in again, over any number of pages."""
    monkeypatch.setattr(exporting, "_PAGE", 1)
    file, copy = tmp_path / "out.jsonl", tmp_path / "copy.db"
    call("export", "jsonl", str(file), "--url", filled)
    call("db", "upgrade", "--url", f"sqlite:///{copy}")
    result = call("import", "jsonl", str(file), "--url", f"sqlite:///{copy}")

    assert result.stdout.splitlines()[-1] == "imported 2, unchanged 0, refused 0"
    assert rows(copy, "*") == rows(path, "*")


def test_export_keeps_every_byte_it_can(path, filled):
    """Numbers keep their spelling, and a document on several lines becomes one."""
    payload = '{"model": "m",\r\n "max_tokens": 1, "provider": "other",\n"tooling": {}, "provider_params": [1.50, 1E2]}'
    execute(path, "UPDATE session_metadata SET payload = ?, schema_version = 1 WHERE session_id = 'timed'", payload)
    result = call("export", "jsonl", "--url", filled)

    assert payload.replace("\r\n", "  ").replace("\n", " ") in result.stdout
    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize("payload", ["not JSON", "", "{}", '{"schema_version": 99}'])
def test_export_leaves_bad_rows_out(path, filled, payload):
    """They are named on stderr, the others are written, and the exit code is 3."""
    execute(path, "UPDATE session_metadata SET payload = ? WHERE session_id = 'timed'", payload)
    result = call("export", "jsonl", "--url", filled)

    assert result.exit_code == 3
    assert [json.loads(line)["session_id"] for line in result.stdout.splitlines()] == ["plain"]
    assert "left out: session 'timed'" in result.stderr
    assert "exported 1, left out 1" in result.stderr


def test_export_of_a_realm(filled):
    """Only that realm's sessions are written."""
    result = call("export", "jsonl", "--realm", "prod", "--url", filled)

    assert [json.loads(line)["session_id"] for line in result.stdout.splitlines()] == ["plain"]


def test_export_reports_in_json(path, filled, tmp_path):
    """Where stdout carries the sessions the report is on stderr, else on stdout."""
    execute(path, "UPDATE session_metadata SET payload = '' WHERE session_id = 'timed'")
    piped = call("export", "jsonl", "--json", "--url", filled)
    to_file = call("export", "jsonl", str(tmp_path / "out.jsonl"), "--json", "--url", filled)

    for report in (json.loads(piped.stderr), json.loads(to_file.stdout)):
        assert report["exported"] == 1
        assert [bad["session_id"] for bad in report["bad"]] == ["timed"]


def test_export_replaces_a_file_only_when_it_is_complete(filled, tmp_path, monkeypatch):
    """A run that fails leaves the file of the last one, and nothing beside it."""
    directory = tmp_path / "out"
    directory.mkdir()
    file = directory / "sessions.jsonl"
    file.write_text("the last one")

    def fails(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "_line", fails)
    result = call("export", "jsonl", str(file), "--url", filled)

    assert result.exit_code == 1
    assert f"error: {file}: No space left on device" in result.stderr
    assert file.read_text() == "the last one"
    assert list(directory.iterdir()) == [file]


def test_export_to_nowhere(filled, tmp_path):
    """A directory that is not there is named as it was given."""
    result = call("export", "jsonl", f"{tmp_path}/missing/out.jsonl", "--url", filled)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {tmp_path}/missing/out.jsonl: ")


def test_export_writes_into_what_is_no_file(filled):
    """A device stays a device."""
    result = call("export", "jsonl", "/dev/null", "--url", filled)

    assert result.exit_code == 0
    assert Path("/dev/null").is_char_device()
