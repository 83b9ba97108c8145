"""What holds for every command: help, output, failures and exit codes."""

from __future__ import annotations

import ast
import json
import os
import pty
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import rekindle.store
from rekindle import SessionMetadata, SessionStore
from rekindle.cli import root

DESIGNED = {
    "demo", "db upgrade", "db current", "db check", "db sql", "status", "list", "show", "delete",
    "import meerkat", "import jsonl", "export jsonl", "verify", "schema floor",
    "backfill", "backfill list", "backfill pause", "backfill resume", "backfill cancel",
    "quarantine list", "quarantine show", "quarantine retry",
}  # fmt: skip
ON_A_DATABASE = [
    "status",
    "list",
    "show one",
    "show one --original",
    "show one --stored",
    "delete one --yes",
    "export jsonl",
    "backfill",
    "verify",
    "quarantine retry",
    "schema floor",
]


def commands(group=root, path=()):
    """Every command and group, by the words that call it."""
    found = {path: group}
    for name, command in getattr(group, "commands", {}).items():
        found |= commands(command, (*path, name))
    return found


LEAVES = [
    " ".join(path)
    for path, command in commands().items()
    if not isinstance(command, click.Group) or command.invoke_without_command
]


@pytest.fixture
def path(_sqlite_template, tmp_path) -> Path:
    """A SQLite file with the tables, and one session in it."""
    path = tmp_path / "agents.db"
    shutil.copy(_sqlite_template, path)
    metadata = SessionMetadata(model="claude", max_tokens=1, provider="anthropic", tooling={})
    with SessionStore.open(f"sqlite:///{path}") as store:
        store.add("one", metadata)
    return path


@pytest.fixture
def url(path) -> str:
    return f"sqlite:///{path}"


def call(*arguments, **options):
    """Run a command in this process; whatever escapes it fails the test."""
    return CliRunner().invoke(root, [*arguments], **options)


def execute(path, *statements):
    """Do something to a database by hand."""
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def process(*arguments, **options):
    """Run a command in a process of its own, as people do."""
    return subprocess.run(
        [sys.executable, "-m", "rekindle", *arguments], capture_output=True, check=False, timeout=60, **options
    )


def on_a_terminal(*arguments, keys=b"", **environment):
    """Run a command on a terminal, and type; the exit code and what the terminal got."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(environment)
        os.execv(sys.executable, [sys.executable, "-m", "rekindle", *arguments])
    if keys:
        os.write(terminal, keys)
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


# help and usage


def test_the_commands_of_the_design_exist():
    """Nothing that the design names is missing."""
    assert set(LEAVES) >= DESIGNED


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(words):
    """--help explains, and shows a line to type that begins with the command's own words."""
    result = call(*words, "--help")

    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert f"  rekindle {' '.join(words)}".rstrip() in result.stdout


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_examples_are_valid_usage(words):
    """Each example names a command that exists, with options that it has."""
    for example in commands()[words].examples:
        for part in re.split(r"\|\|?", example.split(">")[0]):
            arguments = part.split()
            if arguments[0] != "rekindle":
                continue
            name = max((path for path in commands() if arguments[1 : len(path) + 1] == [*path]), key=len)
            command = commands()[name]

            command.make_context("example", arguments[len(name) + 1 :])


@pytest.mark.parametrize("command", LEAVES)
def test_every_command_takes_url_and_json(command):
    """All that work on somebody's database can be pointed at it; all of them speak JSON."""
    options = {option for parameter in commands()[tuple(command.split())].params for option in parameter.opts}

    assert "--json" in options
    assert command.split()[0] in {"demo", "schema"} or "--url" in options


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("lst", "list"), ("stauts", "status"), ("db upgrad", "upgrade"), ("import jsnl x", "jsonl")],
)
def test_a_mistyped_command_is_guessed(wrong, meant):
    """Wrong usage says what was meant."""
    result = call(*wrong.split())

    assert result.exit_code == 2
    assert f"Did you mean {meant!r}?" in result.stderr


def test_options_before_the_command_are_explained():
    """Who writes --url too early is told where it goes."""
    result = call("--url", "sqlite:///x.db", "status")

    assert result.exit_code == 2
    assert "--url goes behind the command" in result.stderr


def test_the_url_comes_from_the_environment(url):
    """REKINDLE_URL stands in for --url."""
    result = call("list", env={"REKINDLE_URL": url})

    assert "one" in result.stdout


def test_the_url_has_a_default(tmp_path, monkeypatch):
    """Without either it is rekindle.db in the working directory."""
    monkeypatch.chdir(tmp_path)

    assert call("db", "upgrade").exit_code == 0
    assert (tmp_path / "rekindle.db").exists()


# output


@pytest.mark.parametrize("command", ["demo", "db current", "db check", "db sql", "status", "list", "show one"])
def test_json_is_one_document(command, url):
    """With --json stdout is one JSON document, and stderr is empty."""
    where = [] if command == "demo" else ["--url", url]
    result = call(*command.split(), "--json", *where)

    assert isinstance(json.loads(result.stdout), dict)
    assert result.stderr == ""


def test_a_pipe_gets_plain_text(url):
    """Without a terminal there is no ANSI, nothing is wrapped and nothing cut off, however long it is."""
    metadata = SessionMetadata(model="m" * 250, max_tokens=1, provider="anthropic", tooling={})
    with SessionStore.open(url) as store:
        store.add("s" * 255, metadata)
    result = call("list", "--url", url)

    (line,) = [line for line in result.stdout.splitlines() if line.startswith("sss")]

    assert "s" * 255 in line
    assert "m" * 250 in line
    assert "\x1b" not in result.stdout
    assert not any(line.endswith(" ") for line in result.stdout.splitlines())


def test_a_terminal_gets_styles_unless_no_color(url):
    """NO_COLOR means no ANSI at all."""
    _, styled = on_a_terminal("status", "--url", url, TERM="xterm")
    _, plain = on_a_terminal("status", "--url", url, TERM="xterm", NO_COLOR="1")

    assert "\x1b[" in styled
    assert "\x1b[" not in plain


def test_a_narrow_terminal_gets_ids_in_one_piece(url):
    """What people copy is never broken into lines of its own."""
    metadata = SessionMetadata(model="m", max_tokens=1, provider="anthropic", tooling={})
    with SessionStore.open(url) as store:
        store.add("s" * 100, metadata)
    _, shown = on_a_terminal("list", "--url", url, TERM="xterm", COLUMNS="40")

    assert "s" * 100 in shown


def test_nothing_stored_steers_the_terminal(url):
    """Control characters in ids, models and documents are shown, not obeyed."""
    metadata = SessionMetadata(model="\x1b]0;x\x07[red]", max_tokens=1, provider="anthropic", tooling={})
    with SessionStore.open(url) as store:
        store.add("\x1b[2J\u202e", metadata)
    outputs = [call(*words, "--url", url).output for words in (["list"], ["list", "--json"], ["show", "\x1b[2J\u202e"])]

    assert all("\x1b" not in output and "\u202e" not in output for output in outputs)
    assert all("\\u001b" in output for output in outputs)
    assert "[red]" in outputs[0]


def test_any_encoding_will_do(url):
    """A stdout that cannot say every character gets escapes, and bars it can draw."""
    metadata = SessionMetadata(model="modèle", max_tokens=1, provider="anthropic", tooling={})
    with SessionStore.open(url) as store:
        store.add("é", metadata)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    listed, status = (process(command, "--url", url, env=environment) for command in ("list", "status"))

    assert (listed.returncode, status.returncode) == (0, 0)
    assert b"mod\\xe8le" in listed.stdout
    assert b"####" in status.stdout


def test_json_is_utf8_whatever_the_encoding(url):
    """JSON has an encoding of its own."""
    metadata = SessionMetadata(model="modèle", max_tokens=1, provider="anthropic", tooling={})
    with SessionStore.open(url) as store:
        store.add("two", metadata)
    result = process("show", "two", "--json", "--url", url, env={**os.environ, "PYTHONIOENCODING": "ascii"})

    assert json.loads(result.stdout)["metadata"]["model"] == "modèle"


# failures


@pytest.mark.parametrize("command", [*ON_A_DATABASE, "db check", "db current", "db upgrade", "import jsonl -"])
def test_a_file_that_is_no_database(command, tmp_path):
    """It is named, with what to do, in one line; and it is left as it is."""
    path = tmp_path / "notes.db"
    path.write_text("dear diary, this is no database " * 10)
    result = call(*command.split(), "--url", f"sqlite:///{path}")

    assert result.exit_code == 1
    assert result.stderr == f"error: sqlite:///{path}: is not a SQLite database; check the path\n"
    assert path.read_text() == "dear diary, this is no database " * 10


@pytest.mark.parametrize("command", [*ON_A_DATABASE, "import jsonl -"])
def test_a_file_that_is_missing(command, tmp_path):
    """The command that creates it is named, and no empty file is left behind."""
    path = tmp_path / "missing.db"
    result = call(*command.split(), "--url", f"sqlite:///{path}")

    assert result.exit_code == 1
    assert "run `rekindle db upgrade --url" in result.stderr
    assert not path.exists()


OF_OTHER_TABLES = {"backfill list", "quarantine list", "archive list"}


@pytest.mark.parametrize("command", [*sorted(set(ON_A_DATABASE) - OF_OTHER_TABLES), "import jsonl {lines}"])
def test_a_table_that_is_missing(command, path, url, tmp_path):
    """It is named, with the command that says what else is missing; no SQL is shown."""
    lines = tmp_path / "one.jsonl"
    lines.write_bytes(call("export", "jsonl", "--url", url).stdout_bytes)
    execute(path, "DROP TABLE session_metadata")
    result = call(*command.format(lines=lines).split(), "--url", url)

    assert result.exit_code == 1
    assert "the table session_metadata is missing; compare the tables with `rekindle db check" in result.stderr
    assert "SELECT" not in result.stderr


@pytest.mark.parametrize("command", ["status", "list", "show one", "db check", "export jsonl", "delete one --yes"])
def test_a_database_that_is_locked(command, path, url):
    """After the patience of the URL it is an error with a remedy."""
    execute(path, "PRAGMA journal_mode=DELETE")  # where a writer locks out readers too
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    result = call(*command.split(), "--url", f"{url}?timeout=0.2")
    holder.close()

    assert result.exit_code == 1
    assert "is locked by another process; wait for it to finish" in result.stderr
    assert call("show", "one", "--url", url).exit_code == 0


@pytest.mark.parametrize("command", ON_A_DATABASE)
def test_tables_of_a_later_release(command, path, url):
    """They are refused, by name of both revisions."""
    execute(path, "UPDATE rekindle_alembic_version SET version_num = '0999'")
    result = call(*command.split(), "--url", url)

    assert result.exit_code == 1
    assert "are at database revision 0999" in result.stderr
    assert "upgrade rekindle" in result.stderr


@pytest.mark.parametrize("url", ["postgresql://me:hunter2@localhost:1/x", "oracle://me:hunter2@h/x", "me:hunter2"])
@pytest.mark.parametrize("command", ["status", "status --json", "list", "db check", "db upgrade", "import jsonl -"])
def test_passwords_are_never_shown(url, command):
    """Neither of a server that is not there, nor in a URL that is none."""
    result = call(*command.split(), "--url", url)

    assert result.exit_code == 1
    assert "hunter2" not in result.output
    assert "error" in result.stderr


def test_errors_in_json(url):
    """With --json an error is an object: its class, its message, and its attributes."""
    result = call("show", "two", "--json", "--url", url)
    error = json.loads(result.stderr)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert error["error"] == "SessionNotFoundError"
    assert error["session_id"] == "two"
    assert "rekindle list" in error["message"]


def broken(*_arguments, **_options):
    raise ZeroDivisionError("the document says sk-secret")


def test_a_defect_is_no_traceback(url, monkeypatch):
    """What nobody foresaw is named by type and place alone: its message could quote a document."""
    monkeypatch.setattr(SessionStore, "list", broken)
    result = call("list", "--url", url)

    assert result.exit_code == 1
    assert re.fullmatch(r"error: unexpected ZeroDivisionError at sessions\.py:\d+; report it .*\n", result.stderr)


def test_a_traceback_for_who_asks(url, monkeypatch):
    """REKINDLE_TRACEBACK=1 lets it out."""
    monkeypatch.setattr(SessionStore, "list", broken)
    result = call("list", "--url", url, env={"REKINDLE_TRACEBACK": "1"})

    assert isinstance(result.exception, ZeroDivisionError)


def test_a_statement_that_fails_keeps_its_parameters(url, path):
    """SQLAlchemy's own errors come out without SQL and parameters."""
    execute(path, "ALTER TABLE session_metadata RENAME COLUMN payload TO document")
    result = call("show", "one", "--url", url)

    assert result.exit_code == 1
    assert "a statement failed (OperationalError); compare the tables" in result.stderr
    assert "SELECT" not in result.stderr


def test_an_interrupt_is_quiet(url, monkeypatch):
    """Ctrl-C ends a command with 130, and nothing is said about it."""

    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(rekindle.store.SessionStore, "list", interrupted)
    result = call("list", "--url", url)

    assert (result.exit_code, result.output) == (130, "")


@pytest.mark.parametrize("command", ["status", "list --json", "export jsonl", "show one"])
def test_a_reader_that_goes_away_is_no_matter(command, url):
    """A broken pipe is quiet, also when it is found only as the last buffer is written."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        result = subprocess.run(
            [sys.executable, "-m", "rekindle", *command.split(), "--url", url],
            stdout=gone,
            stderr=subprocess.PIPE,
            env=environment,
            check=False,
            timeout=60,
        )

    assert b"Error" not in result.stderr
    assert b"error" not in result.stderr
    assert result.returncode != 0


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import rekindle", {"click", "rich", "alembic", "stamina"}),
        ("from rekindle.cli import root; root(['list', '--url', URL], standalone_mode=False)", {"alembic"}),
        ("from rekindle.cli import root; root(['status', '--url', URL], standalone_mode=False)", {"alembic"}),
    ],
)
def test_nobody_pays_for_what_is_not_used(code, absent, url):
    """The library does not import the command line, and the command line not alembic unless it upgrades."""
    script = f"import sys; URL = {url!r}; {code}; print(','.join(sys.modules), file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert absent.isdisjoint(result.stderr.split(","))


def test_the_command_line_holds_no_sql():
    """What is asked of the database is said in the library."""
    trees = [ast.parse(path.read_text()) for path in Path(sys.modules["rekindle.cli"].__file__).parent.glob("*.py")]
    imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {name.name for node in imports if node.module.startswith("sqlalchemy") for name in node.names}

    assert names.isdisjoint({"select", "insert", "update", "delete", "text", "func", "literal_column"})


def test_the_documented_commands_exist():
    """Each heading of the reference is a command, and the commands of the design have one."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## `rekindle (.+)`$", text, re.MULTILINE)
    documented = {re.sub(r" \[?[A-Z]+\]?$", "", heading) for heading in headings}

    assert DESIGNED <= documented <= set(LEAVES)
