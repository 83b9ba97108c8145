"""The progress of a long command: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys

import pytest

from rekindle import SessionStore

IMPATIENT = "import rekindle.cli.progress as p; p.LINE_SECONDS = 0.3; from rekindle.cli import main; main()"
OLD = '{"schema_version":2,"model":"gpt-5","max_tokens":1,"provider":"open_a_i","tooling":{}}'
COLOUR = re.compile(r"\x1b\[(?:[34]\d|9\d|38;)")


@pytest.fixture(scope="module")
def command(_sqlite_template, tmp_path_factory):
    """The command that checks 1,500 outdated sessions, at a rate at which a bar can be seen to move."""
    path = tmp_path_factory.mktemp("progress") / "agents.db"
    shutil.copy(_sqlite_template, path)
    with SessionStore.open(f"sqlite:///{path}?synchronous=normal") as store:
        for number in range(1_500):
            store.import_document(f"session-{number:04}", OLD)
    return ["backfill", "--dry-run", "--max-rate", "1000", "--batch-size", "100", "--url", f"sqlite:///{path}"]


def on_a_terminal(words, **environment):
    """Run a command on a terminal of its own; return what is to be seen there."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update({"COLUMNS": "100", **environment})
        os.execv(sys.executable, [sys.executable, "-c", IMPATIENT, *words])
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
    os.waitpid(pid, 0)
    return shown.decode()


def test_a_terminal_shows_a_bar(command):
    """It grows, with how many of how many, rows per second and the time left; and gives way to the report."""
    shown = on_a_terminal(command, TERM="xterm-256color", NO_COLOR="")
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    frames = re.findall(r"checked (━*)[^\r]*? ([\d,]+) of 1,500 +([\d,]+)/s 0:00:0\d batches of 100", plain)
    lengths = [bar.count("━") for bar, *_ in frames]
    last = shown.rfind("\x1b[2K")

    assert len(frames) >= 3
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]
    assert 300 < int(frames[-1][2].replace(",", "")) < 2_000
    assert COLOUR.search(shown)
    assert "would convert" in shown[last:]


def test_no_color_is_respected(command):
    """The bar is there, and has no colour."""
    shown = on_a_terminal(command, TERM="xterm-256color", NO_COLOR="1")

    assert "━" in shown
    assert not COLOUR.search(shown)


def test_a_terminal_that_cannot_move_gets_lines(command):
    """A dumb one shows no bar, and is told all the same."""
    shown = on_a_terminal(command, TERM="dumb")

    assert re.search(r"^checked: [\d,]+ of 1,500, [\d,]+/s", shown, re.MULTILINE)
    assert "would convert" in shown
    assert "━" not in shown


def test_a_pipe_gets_plain_lines(command):
    """A line now and then on stderr, and nothing but the report on stdout."""
    words = [sys.executable, "-c", IMPATIENT, *command]
    result = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)

    assert len(result.stderr.splitlines()) >= 2
    assert all(
        re.fullmatch(r"checked: [\d,]+ of 1,500, [\d,]+/s, batches of 100", x) for x in result.stderr.splitlines()
    )
    assert result.stdout.startswith("would convert")
    assert "\x1b" not in result.stdout + result.stderr
