"""The two commands that add to a history. Neither edits what is there, except where the newest version is a draft."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from string import Template

from rekindle.errors import HistoryError
from rekindle.history.checking import UNFROZEN, Finding, check, read_snapshots
from rekindle.history.golden import add_sums
from rekindle.history.snapshot import Snapshot
from rekindle.history.versions import History


def new(history: History) -> list[Path]:
    """
    Begin the next schema version: module, registration, draft snapshot and golden directory.

    Returns what was written. Raises HistoryError, with nothing written, when the history is not whole.
    """
    golden = _in_a_checkout(history)
    _refuse(check(history))
    previous, number = history.newest, history.newest + 1
    package = history.package.__name__
    registry = history.directory / "__init__.py"
    registered = _registered(registry.read_text(encoding="utf-8"), package, previous)
    module = history.directory / f"v{number}.py"
    if module.exists():
        raise HistoryError((f"{module} exists already; register it, or remove it",))
    template = Template(Path(__file__).with_name("version.py.template").read_text(encoding="utf-8"))
    module.write_text(template.substitute(package=package, previous=previous, number=number), encoding="utf-8")
    registry.write_text(registered, encoding="utf-8")
    directory = golden / f"v{number}"
    directory.mkdir()
    add_sums(directory)
    importlib.invalidate_caches()
    follows = Snapshot.read(history.snapshot_path(previous)).seal
    snapshot = history.snapshot_path(number)
    Snapshot.of(importlib.import_module(f"{package}.v{number}"), follows, frozen=False).write(snapshot)
    return [module, registry, snapshot, directory]


def freeze(history: History, *, unreleased: bool = False) -> list[Path]:
    """
    Freeze the newest version as it is now, and fingerprint the golden files that have no fingerprint yet.

    What is frozen already stays as it is, unless `unreleased` says that no release has had the newest version: then it
    becomes a draft again first. Returns what was written; raises HistoryError, with nothing frozen, when there is
    something that freezing would not mend.
    """
    golden = _in_a_checkout(history)
    if unreleased and history.newest in (snapshots := read_snapshots(history)[0]):
        follows = snapshots[history.newest].follows
        draft = Snapshot.of(history.versions[history.newest], follows, frozen=False)
        draft.write(history.snapshot_path(history.newest))
    absent = {
        history.snapshot_path(number) for number in history.versions if not history.snapshot_path(number).exists()
    }
    _refuse([finding for finding in check(history) if finding.state != UNFROZEN and finding.path not in absent])
    written = _freeze_snapshots(history)
    for number in history.versions:
        directory = golden / f"v{number}"
        written += [directory / name for name in add_sums(directory)]
    return written


def _freeze_snapshots(history: History) -> list[Path]:
    written: list[Path] = []
    snapshots, _ = read_snapshots(history)
    follows = None
    for number, module in history.versions.items():
        snapshot = snapshots.get(number)
        if snapshot is None or not snapshot.frozen:
            snapshot = Snapshot.of(module, follows, frozen=True)
            snapshot.write(history.snapshot_path(number))
            written.append(history.snapshot_path(number))
        follows = snapshot.seal
    return written


def _in_a_checkout(history: History) -> Path:
    if history.golden is None:
        where = f"{history.directory} is not in a checkout with tests/golden"
        raise HistoryError((f"{where}; run this in a checkout of the project, or say --golden",))
    return history.golden


def _refuse(findings: list[Finding]) -> None:
    if findings:
        raise HistoryError(tuple(f"{finding.path} {finding.problem}; {finding.remedy}" for finding in findings))


def _registered(text: str, package: str, previous: int) -> str:
    """Register the next version: import the module, add its line to VERSIONS, take the current document from it."""
    number = previous + 1
    ours, flags = re.escape(package), re.MULTILINE
    text, imported = re.subn(rf"^from {ours} import (?:v\d+, )*v{previous}$", rf"\g<0>, v{number}", text, flags=flags)
    text, listed = re.subn(rf"^( *){previous}: v{previous},$", rf"\g<0>\n\g<1>{number}: v{number},", text, flags=flags)
    models = re.compile(
        rf"^from {ours}\.v{previous} import (?:\([^)]*\bSessionMetadata\b[^)]*\)|.*\bSessionMetadata\b.*)$", flags
    )
    text, moved = models.subn(lambda match: _moved(match, package, number), text)
    if (imported, listed, moved) != (1, 1, 1):
        wanted = f"one line that imports v1 to v{previous}, a line `{previous}: v{previous},` in VERSIONS"
        problem = f"{package}/__init__.py is not laid out as expected"
        raise HistoryError((f"{problem}; it needs {wanted}, and SessionMetadata from {package}.v{previous}",))
    return text


def _moved(match: re.Match[str], package: str, number: int) -> str:
    """Leave the models that stay what they are where they are, and import SessionMetadata from the new module."""
    current = f"from {package}.v{number} import SessionMetadata"
    names = re.findall(r"\w+", match[0].partition(" import ")[2])
    if names == ["SessionMetadata"]:
        return current
    stay = re.sub(r"\n *SessionMetadata,|, SessionMetadata\b|\bSessionMetadata, ", "", match[0])
    return f"{stay}\n{current}"
