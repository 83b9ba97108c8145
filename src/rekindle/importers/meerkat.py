"""
Meerkat's session stores, from 0.3.0 on: directories of session files, and SQLite databases of every layout.

A session can be in several places of one realm. They are asked in the order in which Meerkat itself prefers them, and
the first readable document counts: a copy kept for recovery is taken only for a session that has none elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from rekindle.errors import ImportSourceError
from rekindle.importers import FoundSession, UnreadableSession
from rekindle.importers.documents import (
    MAX_BYTES,
    NO_METADATA,
    Document,
    Entry,
    Source,
    UnreadableError,
    parse,
    started,
)
from rekindle.importers.meerkat_files import SUFFIXES, SessionFiles
from rekindle.importers.meerkat_tables import is_session_id, tables
from rekindle.importers.sqlite_source import opened

_LATEST_MANIFEST_FORMAT = 2
_EXPORT = "export the sessions with the Meerkat release that wrote them"


class _Place(Protocol):
    """One table or directory in which sessions may be; a realm has several, in the order of preference."""

    origin: str

    def entries(self) -> Iterator[str | UnreadableSession]: ...

    def holds(self, session_id: str) -> bool: ...

    def sources(self, session_id: str) -> Iterator[Source]: ...

    def times(self, session_id: str, /) -> tuple[datetime | None, datetime | None]: ...


def read(path: Path) -> Iterator[Entry]:
    """
    Read the sessions in a realm directory, a directory of session files, a database, or one session file.

    Nothing there changes, and everything in a database is seen at one moment. Each session comes once. Raises
    ImportSourceError, by the call itself, when there is no store that can be read.
    """
    return started(_entries(path))


def _entries(path: Path) -> Iterator[Entry]:
    with ExitStack() as stack:
        try:
            places = _places(path, stack)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ImportSourceError(str(path), reason, "check the path and who may read it") from error
        for index, place in enumerate(places):
            for entry in place.entries():
                if isinstance(entry, UnreadableSession):
                    yield entry
                elif not any(earlier.holds(entry) for earlier in places[:index]):
                    yield _look_up(entry, places[index:])


def _look_up(session_id: str, places: Sequence[_Place]) -> Entry:
    holding = [place for place in places if place.holds(session_id)]
    failures = []
    for source in (source for place in holding for source in place.sources(session_id)):
        try:
            document = source.extract(source.fetch(), session_id)
        except UnreadableError as error:
            failures.append(UnreadableSession(session_id, source.origin, error.reason))
        else:
            return _found(session_id, document, source.origin, holding)
    # A damaged document says more about what to do than that another copy has none.
    damaged = [failure for failure in failures if failure.reason != NO_METADATA]
    gone = UnreadableSession(session_id, places[0].origin, "removed while it was read")
    return [*damaged, *failures, gone][0]


def _found(session_id: str, document: Document, origin: str, holding: Sequence[_Place]) -> FoundSession:
    times = [(document.created_at, document.updated_at), *(place.times(session_id) for place in holding)]
    created_at = next((moment for moment, _ in times if moment is not None), None)
    updated_at = next((moment for _, moment in times if moment is not None), None)
    return FoundSession(session_id, document.payload, created_at, updated_at, origin)


def _places(path: Path, stack: ExitStack) -> Sequence[_Place]:
    real = _resolved(path)
    if real.is_dir():
        return _realm(real, stack)
    if real.suffix == ".redb":
        raise _redb(real)
    if real.suffix in SUFFIXES:
        if is_session_id(real.stem):
            return [SessionFiles(real.parent, real.parent, only=real.stem)]
        remedy = "name the directory it is in; rekindle's own lines are read with `rekindle import jsonl`"
        raise ImportSourceError(str(path), "its name is not the id of a Meerkat session", remedy)
    if found := _in_database(real, real.parent, stack):
        return found
    raise _no_tables(path)


def _realm(root: Path, stack: ExitStack) -> Sequence[_Place]:
    backend = _backend(root)
    database = root / "sessions.sqlite3"
    rows, files = _in_database(database, root, stack), _in_files(root / "sessions_jsonl", root)
    # What a realm of session files keeps for recovery; with the sqlite backend it is in the database itself.
    copies = _in_database(root / "runtime.sqlite3", root, stack)
    if places := [*files, *rows, *copies] if backend == "jsonl" else [*rows, *files, *copies]:
        return places
    if database.exists():
        raise _no_tables(database)
    if (root / "sessions.redb").exists():
        raise _redb(root)
    if any(is_session_id(path.stem) and path.suffix in SUFFIXES for path in root.iterdir()):
        return [SessionFiles(root, root)]
    remedy = "name the directory of one realm, which has a realm_manifest.json"
    raise ImportSourceError(str(root), "it is an empty realm, without sessions.sqlite3 or sessions_jsonl", remedy)


def _in_database(path: Path, root: Path, stack: ExitStack) -> Sequence[_Place]:
    if not os.path.lexists(path):
        return []
    return tables(stack.enter_context(opened(_inside(root, path))), path)


def _in_files(path: Path, root: Path) -> Sequence[_Place]:
    if not os.path.lexists(path):
        return []
    return [SessionFiles(_inside(root, path), root)]


def _backend(root: Path) -> str | None:
    """What the manifest says that the realm keeps its sessions in; raises when that cannot be read."""
    manifest = _manifest(root)
    backend, manifest_format = manifest.get("backend"), manifest.get("manifest_format", 1)
    if backend == "redb":
        raise _redb(root)
    if backend == "memory":
        remedy = "there is nothing to import; name another realm"
        raise ImportSourceError(str(root), "the realm keeps its sessions in memory alone", remedy)
    if backend not in (None, "sqlite", "jsonl") or manifest_format not in range(1, _LATEST_MANIFEST_FORMAT + 1):
        reason = "its realm_manifest.json names a store, or has a format, that this release does not know"
        raise ImportSourceError(str(root), reason, f"upgrade rekindle, or {_EXPORT}")
    return backend


def _manifest(root: Path) -> dict[str, Any]:
    """Read the manifest; one that is absent or damaged says nothing, and the stores speak for themselves."""
    path = root / "realm_manifest.json"
    if not os.path.lexists(path):
        return {}
    try:
        with _inside(root, path).open("rb") as file:
            manifest = parse(file.read(MAX_BYTES + 1))
    except (OSError, UnreadableError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _inside(root: Path, path: Path) -> Path:
    real = _resolved(path)
    if not real.is_relative_to(root):
        remedy = "name the directory that it leads to, if that is what to import"
        raise ImportSourceError(str(path), "it is a link that leads out of the realm", remedy)
    return real


def _resolved(path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except FileNotFoundError:
        raise ImportSourceError(str(path), "it does not exist", "check the path") from None
    except RuntimeError as error:
        raise ImportSourceError(str(path), "its links lead in a circle", "check the path") from error


def _redb(path: Path) -> ImportSourceError:
    return ImportSourceError(str(path), "it is a redb store, which cannot be read from Python", _EXPORT)


def _no_tables(path: Path) -> ImportSourceError:
    remedy = "name a realm directory of Meerkat's or its sessions.sqlite3"
    return ImportSourceError(str(path), "it has none of the tables in which Meerkat keeps sessions", remedy)
