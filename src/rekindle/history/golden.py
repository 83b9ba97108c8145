"""
The stored documents of past versions, and the fingerprints that keep them as they are.

A directory `v<N>` holds documents, each with its expectation, and `SHA256SUMS`, in the format of sha256sum(1). A line
in it is never changed: somebody has such a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

SUMS = "SHA256SUMS"


class Golden(NamedTuple):
    """A stored document and what reading it must give."""

    path: Path
    stored: Any
    expected: dict[str, Any]


class Drift(NamedTuple):
    """Where a golden directory and its fingerprints disagree, by file name."""

    edited: list[str]
    missing: list[str]
    unlisted: list[str]


def goldens(directory: Path) -> Iterator[Golden]:
    """Read the documents of a directory; one without an expectation is left out."""
    for path in sorted(directory.glob("*.json")):
        expectation = path.with_name(f"{path.stem}.expected.json")
        if expectation.exists():
            yield Golden(path, _read(path), _read(expectation))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def drift(directory: Path) -> Drift:
    """Compare a directory with its fingerprints."""
    listed, present = read_sums(directory), sums(directory)
    return Drift(
        edited=sorted(name for name in listed.keys() & present.keys() if listed[name] != present[name]),
        missing=sorted(listed.keys() - present.keys()),
        unlisted=sorted(present.keys() - listed.keys()),
    )


def without_other_half(directory: Path) -> list[str]:
    """Name the documents without an expectation, and the expectations without a document."""
    names = {path.name for path in directory.glob("*.json")}
    stored = {name for name in names if not name.endswith(".expected.json")}
    lonely = {name for name in stored if f"{name.removesuffix('.json')}.expected.json" not in names}
    return sorted(
        lonely | {name for name in names - stored if f"{name.removesuffix('.expected.json')}.json" not in stored}
    )


def sums(directory: Path) -> dict[str, str]:
    """Fingerprint the files of a directory as they are."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(directory.glob("*.json"))}


def read_sums(directory: Path) -> dict[str, str]:
    """Read the fingerprints of a directory, none where there are none."""
    path = directory / SUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def add_sums(directory: Path) -> list[str]:
    """Fingerprint the files that have no fingerprint yet, and say which; the others stay as they are."""
    listed, present = read_sums(directory), sums(directory)
    added = sorted(present.keys() - listed.keys())
    lines = (f"{digest}  {name}\n" for name, digest in sorted({**present, **listed}.items()))
    if added or not (directory / SUMS).exists():
        (directory / SUMS).write_text("".join(lines), encoding="utf-8")
    return added
