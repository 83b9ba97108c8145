"""
Whether the history that was released is still the one in the code, and what to do where it is not.

Nothing here repairs anything: a finding names the file and the remedy.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rekindle.history.compatibility import obstacles, unknown
from rekindle.history.golden import SUMS, drift, goldens, without_other_half
from rekindle.history.snapshot import Snapshot
from rekindle.history.source import source
from rekindle.history.trial import Misbehaviour, complaints, take
from rekindle.history.versions import History

BROKEN = "broken"
UNWRITTEN = "unwritten"
"""The author of the newest version has yet to write it."""
UNFROZEN = "unfrozen"
"""`rekindle schema freeze` is yet to be run."""


class Finding(NamedTuple):
    """One thing that is wrong with the history."""

    path: Path
    problem: str
    remedy: str
    state: str = BROKEN


_FREEZE = "run `rekindle schema freeze`"
_RESTORE = "restore the file from version control; a released version is never edited, make the change in a new one"


def check(history: History) -> list[Finding]:
    """Find all that is wrong with a history."""
    snapshots, findings = read_snapshots(history)
    findings += [*_registered(history), *_chained(history, snapshots)]
    for number in history.versions:
        findings += _summarised(history, number)
        if number in snapshots:
            findings += _as_frozen(history, number, snapshots[number])
        if (directory := history.golden_path(number)) is not None:
            findings += _kept(history, number, directory)
    return [*findings, *_watched(history)]


def read_snapshots(history: History) -> tuple[dict[int, Snapshot], list[Finding]]:
    """Read the snapshots of the registered versions, and say which are missing, edited or nobody's."""
    snapshots: dict[int, Snapshot] = {}
    findings: list[Finding] = []
    for number in history.versions:
        path = history.snapshot_path(number)
        try:
            snapshots[number] = Snapshot.read(path)
        except FileNotFoundError:
            if number == history.newest:
                findings.append(Finding(path, "is missing", _FREEZE, UNFROZEN))
            else:
                findings.append(Finding(path, "is missing", _RESTORE))
        except ValueError as error:
            findings.append(Finding(path, f"was edited ({error})", _RESTORE))
    for path in sorted(history.snapshot_path(1).parent.glob("v*.json")):
        if path not in map(history.snapshot_path, history.versions):
            remedy = f"register {path.stem} in {history.directory / '__init__.py'}, or remove what was never released"
            findings.append(Finding(path, "is the snapshot of a version that is not registered", remedy))
    return snapshots, findings


def _registered(history: History) -> Iterator[Finding]:
    registry = history.directory / "__init__.py"
    modules = {history.module_path(number).resolve() for number in history.versions}
    for path in sorted(history.directory.glob("v*.py")):
        if re.fullmatch(r"v\d+", path.stem) and path.resolve() not in modules:
            yield Finding(
                path, "is not registered", f"add the line `{path.stem[1:]}: {path.stem},` to VERSIONS in {registry}"
            )
    for node in ast.walk(ast.parse(source(history.package.__name__))):
        if isinstance(node, ast.Dict):
            keys = [key.value for key in node.keys if isinstance(key, ast.Constant) and type(key.value) is int]
            for key in sorted({key for key in keys if keys.count(key) > 1}):
                yield Finding(registry, f"registers {key} twice", "leave one module for each schema version")


def _chained(history: History, snapshots: Mapping[int, Snapshot]) -> Iterator[Finding]:
    """The history in the snapshots is the chain: each follows the one before, and is of the version it says."""
    for number, snapshot in snapshots.items():
        path = history.snapshot_path(number)
        if snapshot.schema_version != number:
            yield Finding(path, f"is the snapshot of version {snapshot.schema_version}", _RESTORE)
        before = snapshots.get(number - 1)
        if snapshot.follows != (before.seal if before else None) and (before or number == 1):
            yield Finding(path, f"does not follow the snapshot of version {number - 1}", f"{_RESTORE}; look at both")


def _summarised(history: History, number: int) -> Iterator[Finding]:
    if not history.versions[number].SUMMARY.strip():
        remedy = "say in one sentence what the version is in SUMMARY"
        yield Finding(history.module_path(number), "has no summary", remedy, UNWRITTEN)


def _as_frozen(history: History, number: int, snapshot: Snapshot) -> Iterator[Finding]:
    """What the snapshot froze is what the module says."""
    path, newest = history.snapshot_path(number), number == history.newest
    if not snapshot.frozen:
        yield Finding(path, "is a draft", f"when the version is finished, {_FREEZE}", UNFROZEN if newest else BROKEN)
        return
    now = Snapshot.of(history.versions[number], snapshot.follows, frozen=True)
    take_back = f"take the edit back{', run `rekindle schema new`' if newest else ''} and make it in a new version"
    for problem in _differences(snapshot, now):
        yield Finding(history.module_path(number), f"{problem} since version {number} was frozen", take_back)


def _differences(frozen: Snapshot, now: Snapshot) -> Iterator[str]:
    if now.document != frozen.document:
        reasons = [*obstacles(now.document, frozen.document), *obstacles(frozen.document, now.document)]
        reasons += [*unknown(now.document, frozen.document), *unknown(frozen.document, now.document)]
        yield f"the model has changed ({'; '.join(reasons[:3]) or 'a default, or a rule on a value'})"
    if now.step != frozen.step:
        yield "the step, or something that it uses, has changed"
    if now.downcast != frozen.downcast:
        yield f"DOWNCAST has changed from {frozen.downcast} to {now.downcast}"
    if now.summary != frozen.summary:
        yield "the summary has changed"


def _watched(history: History) -> Iterator[Finding]:
    """The steps are pure, and the golden documents give what they gave; each step is accused once."""
    accused: set[int] = set()
    for path, run in _runs(history):
        try:
            for complaint in run():
                yield Finding(
                    path, complaint, "rows like it would read otherwise than before: mend the newest step or model"
                )
        except Misbehaviour as error:
            if error.number not in accused:
                accused.add(error.number)
                problem = f"{error.what}, seen on {path.name}"
                remedy = "write it" if error.unwritten else "a step gives new values, and the same ones each time"
                yield Finding(
                    history.module_path(error.number), problem, remedy, UNWRITTEN if error.unwritten else BROKEN
                )


def _runs(history: History) -> Iterator[tuple[Path, Callable[[], Iterable[str]]]]:
    """Pair what is to be tried with the file it is from; the empty document comes first, golden files or not."""
    yield Path("the empty document"), partial(_nothing_to_expect, history)
    for number in history.versions:
        if (directory := history.golden_path(number)) is not None:
            for golden in goldens(directory):
                yield golden.path, partial(complaints, history.versions, golden)


def _nothing_to_expect(history: History) -> tuple[str, ...]:
    take(history.versions, {})
    return ()


def _kept(history: History, number: int, directory: Path) -> Iterator[Finding]:
    """The golden files of a version are there, and are what they were."""
    found = drift(directory)
    if not any(golden.expected["status"] == "ok" for golden in goldens(directory)):
        remedy = "store documents of this version there (full, minimal, odd), each NAME.json with NAME.expected.json"
        state = UNWRITTEN if number == history.newest else BROKEN
        yield Finding(directory, f"version {number} has no golden documents", remedy, state)
    for name in found.edited:
        yield Finding(directory / name, f"is not the file that {SUMS} lists", _RESTORE)
    for name in found.missing:
        yield Finding(directory / name, "has been removed", _RESTORE)
    for name in found.unlisted:
        yield Finding(directory / name, f"is not listed in {SUMS}", _FREEZE, UNFROZEN)
    for name in without_other_half(directory):
        yield Finding(directory / name, "has no other half", "NAME.json goes with NAME.expected.json", UNWRITTEN)
