"""`rekindle schema`: the history of the document on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rekindle.cli import root
from rekindle.history import freeze, new

sys.path.insert(0, str(Path(__file__).parent))

from toy_checkout import Checkout


def call(*arguments):
    return CliRunner().invoke(root, ["schema", *arguments])


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The commands work on a toy history of one frozen version."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    made = Checkout(tmp_path)
    freeze(made.history())
    monkeypatch.setattr("rekindle.cli.schema.released", made.package())
    yield made
    made.forget()


def test_our_own_history_passes():
    """The released history is whole: exit code 0, and the verdicts on stdout."""
    result = call("check")

    assert result.exit_code == 0, result.output
    assert "3 against 2: full\n" in result.stdout
    assert "3 schema versions, nothing to mend\n" in result.stderr


def test_the_check_is_json_on_demand():
    """Programs get findings and verdicts in one document."""
    document = json.loads(call("check", "--json").stdout)

    assert document["findings"] == []
    assert [(each["newest"], each["older"], each["verdict"]) for each in document["verdicts"]] == [
        (3, 1, "backward"),
        (3, 2, "full"),
    ]


def test_a_broken_history_fails(checkout):
    """What was released and edited is named with its remedy, and the exit code is 1."""
    checkout.edit("v1.py", "and how many.", "and how much.")
    checkout.package()
    result = call("check")

    assert result.exit_code == 0, "the package that is loaded has not been edited"

    checkout.path("snapshots/v1.json").write_text("{}")
    result = call("check")

    assert result.exit_code == 1
    assert "v1.json was edited" in result.stdout
    assert "restore the file from version control" in result.stdout


def test_an_unfinished_version_is_work_that_remains(checkout, monkeypatch):
    """A draft that is not written yet gives exit code 3 and says what is left."""
    new(checkout.history())
    monkeypatch.setattr("rekindle.cli.schema.released", checkout.package())

    result = call("check")

    assert result.exit_code == 3
    assert "v2.py has no summary" in result.stdout
    assert "is not written yet" in result.stdout


def test_a_version_is_begun(checkout):
    """`new` prints the files that it wrote, and says on stderr what to do next."""
    result = call("new")

    assert result.exit_code == 0, result.output
    assert [Path(line).name for line in result.stdout.splitlines()] == ["v2.py", "__init__.py", "v2.json", "v2"]
    assert "`rekindle schema check`" in result.stderr


def test_golden_files_are_fingerprinted(checkout):
    """`freeze` adds what has no fingerprint yet."""
    checkout.store(1, "more", {"name": "m"}, {"name": "m"})

    result = call("freeze", "--json")

    assert result.exit_code == 0, result.output
    assert [Path(path).name for path in json.loads(result.stdout)] == ["more.expected.json", "more.json"]


def test_what_cannot_be_frozen_fails(checkout):
    """A history that is broken is not frozen over: exit code 1, and the finding on stderr."""
    (checkout.golden / "v1" / "full.json").write_text("{}")

    result = call("freeze")

    assert result.exit_code == 1
    assert "is not the file that SHA256SUMS lists" in result.stderr


def test_the_versions_are_listed():
    """One line for each version, with its state, downcast, golden documents and summary."""
    rows = json.loads(call("list", "--json").stdout)

    assert [(row["schema_version"], row["state"], row["downcast"]) for row in rows] == [
        (1, "frozen", "none"),
        (2, "frozen", "none"),
        (3, "frozen", "exact"),
    ]
    assert all(row["golden"] > 0 and row["summary"] for row in rows)
    assert [line.split()[0] for line in call("list").stdout.splitlines()] == ["version", "1", "2", "3"]


def test_golden_files_can_be_elsewhere(tmp_path):
    """With --golden the files of another directory are what is checked."""
    for number in (1, 2, 3):
        (tmp_path / f"v{number}").mkdir()

    result = call("check", "--golden", str(tmp_path))

    assert result.exit_code == 1
    assert result.stdout.count("has no golden documents") == 3


def test_an_unknown_option_is_wrong_usage():
    """Exit code 2, as everywhere."""
    assert call("check", "--nonsense").exit_code == 2
