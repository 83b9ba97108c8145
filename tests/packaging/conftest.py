"""What a release is made of: the sdist, the wheel built from it, and an environment with the wheel installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _run(*command: str, cwd: Path, **settings: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**_environment(), **settings}, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _environment() -> dict[str, str]:
    hidden = {"PYTHONPATH", "REKINDLE_URL", "REKINDLE_WRITE_VERSION"}
    return {key: value for key, value in os.environ.items() if key not in hidden}


def _files(root: Path, directory: str) -> set[str]:
    found = (path.relative_to(root) for path in (root / directory).rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


@pytest.fixture(scope="session")
def files() -> Callable[[Path, str], set[str]]:
    """List the files below a directory, by their names from the root."""
    return _files


@pytest.fixture(scope="session")
def checkout() -> dict[str, set[str]]:
    """The files of the checkout as they were before the build: somebody may be working in it."""
    return {directory: _files(ROOT, directory) for directory in ("migrations", "src", "tests")}


@pytest.fixture(scope="session")
def dist(tmp_path_factory, checkout) -> Path:
    """A directory with the sdist of this checkout, unpacked too, and the wheel that was built from the sdist."""
    directory = tmp_path_factory.mktemp("dist")
    builder = {}
    if importlib.util.find_spec("hatchling") is None:
        backend = tmp_path_factory.mktemp("hatchling")
        _run(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(backend), "hatchling", cwd=directory)
        builder["PYTHONPATH"] = str(backend)
    build = (sys.executable, "-m", "hatchling", "build", "--directory", str(directory), "--target")
    _run(*build, "sdist", cwd=ROOT, **builder)
    (sdist,) = directory.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(directory / "unpacked", filter="data")
    (unpacked,) = (directory / "unpacked").iterdir()
    _run(*build, "wheel", cwd=unpacked, **builder)
    return directory


@pytest.fixture(scope="session")
def wheel(dist) -> Path:
    """The wheel."""
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def unpacked_sdist(dist) -> Path:
    """The content of the sdist."""
    (found,) = (dist / "unpacked").iterdir()
    return found


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and with the dependencies of the one that runs the tests."""

    directory: Path

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.directory / "bin" / "python"

    def run(self, *command: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, in a directory where nothing of the checkout is near."""
        return subprocess.run(
            [str(self.directory / "bin" / command[0]), *command[1:]],
            cwd=cwd, env={**_environment(), **settings}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory) -> Installed:
    """The wheel, installed; its dependencies are those that are here, so that nothing is downloaded."""
    directory = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", "--without-pip", str(directory), cwd=directory)
    (packages,) = directory.glob("lib/python*/site-packages")
    # A path in a .pth file is searched, but the .pth files there are not read: no editable rekindle comes with it.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = str(directory / "bin" / "python")
    _run(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", str(wheel),
        cwd=directory,
    )  # fmt: skip
    return Installed(directory)


@pytest.fixture
def empty_directory(tmp_path) -> Path:
    """Somewhere to run commands that is not the checkout."""
    directory = tmp_path / "empty"
    directory.mkdir()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def empty_url(backend, request, tmp_path) -> Iterator[str]:
    """Where an empty database is."""
    name = f"rekindle_test_{datetime.now(UTC):%Y%m%d%H%M%S}_{uuid.uuid4().hex[:12]}"
    if backend.server is None:
        yield f"sqlite:///{tmp_path / name}.sqlite"
        return
    server = request.getfixturevalue("_server")
    with server.connect() as connection:
        connection.exec_driver_sql(backend.server.create.format(name=name))
        try:
            yield server.url.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.exec_driver_sql(backend.server.drop.format(name=name))


@pytest.fixture
def rekindle(installed, empty_directory) -> Callable[..., Any]:
    """Run the installed `rekindle` in an empty directory."""

    def rekindle(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return installed.run("rekindle", *arguments, cwd=empty_directory, **settings)

    return rekindle
