"""
Meerkat's directories of session files: `<uuid>.jsonl`, each one JSON document, and not lines.

Until 0.7.0 each had a sidecar `<uuid>.meta` that repeats the metadata. It is the fallback.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from rekindle.errors import ImportSourceError
from rekindle.importers import UnreadableSession
from rekindle.importers.documents import MAX_BYTES, Source, UnreadableError, from_envelope
from rekindle.importers.meerkat_tables import is_session_id

SUFFIXES = (".jsonl", ".meta")


class SessionFiles:
    """
    A directory of session files, as a place to find sessions; of one session alone when `only` is given.

    `boundary` is the directory which links must not lead out of; paths are named relative to it.
    """

    def __init__(self, directory: Path, boundary: Path, only: str | None = None) -> None:
        self._directory = directory
        self._boundary = boundary
        self._only = only
        self.origin = directory.name

    def entries(self) -> Iterator[str | UnreadableSession]:
        """Name every session, in the order of the directory: to sort the names would be to keep them all."""
        if self._only is not None:
            yield self._only
            return
        try:
            with os.scandir(self._directory) as found:
                for entry in found:
                    yield from self._entry(Path(entry.name))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ImportSourceError(str(self._directory), reason, "make it readable and try again") from error

    def holds(self, session_id: str) -> bool:
        """Whether there is a file for this session."""
        return any(self._paths(session_id))

    def sources(self, session_id: str) -> Iterator[Source]:
        """The session file, then its sidecar."""
        for path in self._paths(session_id):
            yield Source(self._origin(path.name), partial(self._fetch, path), from_envelope)

    def times(self, _session_id: str) -> tuple[datetime | None, datetime | None]:
        """Nothing: a file says when inside its document."""
        return None, None

    def _entry(self, name: Path) -> Iterator[str | UnreadableSession]:
        if name.suffix not in SUFFIXES:
            return
        if not is_session_id(name.stem):
            printable = name.name.encode(errors="replace").decode()
            yield UnreadableSession(None, self._origin(printable), "the name of the file is not a session id")
        elif [path.name for path in self._paths(name.stem)][:1] == [name.name]:
            yield name.stem  # and not once more for the sidecar of a session file

    def _paths(self, session_id: str) -> list[Path]:
        # An id can come from a database and be anything; only of a real one is a path made.
        if not is_session_id(session_id) or self._only not in {None, session_id}:
            return []
        paths = (self._directory / f"{session_id}{suffix}" for suffix in SUFFIXES)
        return [path for path in paths if os.path.lexists(path)]

    def _origin(self, name: str) -> str:
        return str(self._directory.relative_to(self._boundary) / name)

    def _fetch(self, path: Path) -> bytes:
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(self._boundary):
                raise UnreadableError("a link that leads out of the directory")
            if not real.is_file():
                raise UnreadableError("not a regular file")
            with real.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except (OSError, RuntimeError) as error:
            # pathlib says RuntimeError of links that lead in a circle.
            raise UnreadableError(getattr(error, "strerror", None) or type(error).__name__) from error
