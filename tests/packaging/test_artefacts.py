"""What is in the wheel and in the sdist."""

import zipfile
from pathlib import PurePosixPath

import pytest

from rekindle.schema import VERSIONS


@pytest.fixture(scope="session")
def names(wheel):
    """The files of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_carries_the_migrations(names, files, unpacked_sdist):
    """`rekindle db upgrade` finds env.py, the template and every revision inside of the package."""
    migrations = files(unpacked_sdist, "migrations")
    expected = {name.replace("migrations/", "rekindle/_migrations/", 1) for name in migrations}

    assert expected >= {"rekindle/_migrations/env.py", "rekindle/_migrations/script.py.mako"}
    assert {name for name in names if name.startswith("rekindle/_migrations/")} == expected


def test_the_wheel_carries_the_package(names, files, unpacked_sdist):
    """Every module, the marker of typing and every other file of the package."""
    expected = {name.removeprefix("src/") for name in files(unpacked_sdist, "src/rekindle")}
    found = {name for name in names if name.startswith("rekindle/") and "/_migrations/" not in name}

    assert "rekindle/py.typed" in expected
    assert found == expected


def test_the_wheel_carries_the_snapshots(names):
    """The frozen JSON Schema of every schema version."""
    snapshots = {PurePosixPath(name).stem for name in names if name.endswith(".json")}

    assert {f"v{version}" for version in VERSIONS} <= snapshots


def test_the_wheel_carries_nothing_else(names):
    """Neither tests nor caches end up in somebody's site-packages."""
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"rekindle"}
    assert not {name for name in names if "__pycache__" in name or name.endswith(".pyc")}


@pytest.mark.parametrize("directory", ["migrations", "src", "tests"])
def test_the_sdist_carries_what_it_takes_to_test_a_release(unpacked_sdist, checkout, files, directory):
    """The sources, the migrations, and the tests with the golden files."""
    ignored = (".db", ".db-wal", ".db-shm")

    assert {name for name in checkout[directory] if not name.endswith(ignored)} <= files(unpacked_sdist, directory)


@pytest.mark.parametrize("name", ["alembic.ini", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile"])
def test_the_sdist_carries_the_top_level(unpacked_sdist, name):
    """What a person meets first in a checkout."""
    assert (unpacked_sdist / name).is_file()
