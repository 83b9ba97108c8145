"""The lower bounds of the dependencies are what the suite was run on."""

import re
import tomllib
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_floor_is_the_lower_bounds():
    """Each dependency of the package and its extras stands in the floor with exactly its lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    bounds = {
        re.match(r"[a-z0-9-]+", line)[0]: re.search(r">=([\d.]+)", line)[1].split(".")
        for line in required
        if ">=" in line
    }
    pinned = dict(
        line.split("==") for line in (ROOT / "tests" / "floor.txt").read_text(encoding="utf-8").split() if "==" in line
    )

    assert {name: pinned[name].split(".")[: len(bound)] for name, bound in bounds.items()} == bounds
    assert all(set(version.split(".")[len(bounds[name]) :]) <= {"0"} for name, version in pinned.items())
