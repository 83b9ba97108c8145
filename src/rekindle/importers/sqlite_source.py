"""
Opening a SQLite database that belongs to another program: nothing in it or beside it changes.

What decides is where SQLite would put a file. Reading a WAL database needs its `-wal` and `-shm`, and SQLite creates
them even when opened read-only; so it is read in place only when both are there, which is the case while its program
runs or after that has crashed, and from a copy otherwise. A rollback-journal database needs no file to be read, and is
read in place under SQLite's own lock.
"""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from rekindle.errors import ImportSourceError
from rekindle.importers.documents import MAX_BYTES

BUSY_TIMEOUT_SECONDS = 5.0
COPY_ATTEMPTS = 5

READ_ERRORS = (sqlite3.Error, UnicodeDecodeError, MemoryError)
"""The latter two are of damage as well: a name that SQLite's message quotes is no UTF-8, a length is beyond reason."""

_MAGIC = b"SQLite format 3\0"
_ROLLBACK_JOURNAL = b"\1\1"
_LOCKED = ("it is locked by another program", "stop that program, or try again later")
_SAYINGS = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_NOTADB: ("it is not a SQLite database", "name a realm directory or its sessions.sqlite3"),
}


@contextmanager
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    """
    Open a database for reading, inside one transaction: all tables are seen at one moment.

    Text comes as bytes, so that a value that is not UTF-8 spoils its own row and no other. As long as it is open, a
    live program can write to its WAL database but not shrink the WAL. Raises ImportSourceError.
    """
    with ExitStack() as stack:
        try:
            connection = _open(database.resolve(strict=True), stack)
        except READ_ERRORS as error:
            raise failure(database, error) from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            remedy = "make it readable, see that the directory for temporary files has room for a copy, and try again"
            raise ImportSourceError(str(database), reason, remedy) from error
        yield connection


def failure(source: Path, error: Exception) -> ImportSourceError:
    """Say what SQLite could not do with a database, and what to do about it."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    unknown = (f"SQLite cannot read it ({name})", "check it with `PRAGMA integrity_check`, or restore a backup")
    return ImportSourceError(str(source), *_SAYINGS.get(_primary_code(error), unknown))


def _primary_code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _open(path: Path, stack: ExitStack) -> sqlite3.Connection:
    if path.stat().st_size == 0:
        # Not left to SQLite, which deletes a -wal beside an empty database, also when opened read-only.
        raise ImportSourceError(str(path), "it is empty", "restore it from a backup")
    for _ in range(COPY_ATTEMPTS):
        _state(path)  # refuses sidecars that are links, which SQLite would follow
        if _is_readable_in_place(path):
            try:
                return _connect(path, "ro", stack)
            except sqlite3.OperationalError as error:
                # What a crash left behind has to be rolled back or recovered first, which is done to a copy.
                if _primary_code(error) not in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
                    raise
        connection = _open_copy(path, stack)
        if connection is not None:
            return connection
    remedy = "stop the program that writes to it, or try again later"
    raise ImportSourceError(str(path), "it keeps changing while it is copied", remedy)


def _is_readable_in_place(path: Path) -> bool:
    sidecars = [_beside(path, suffix).exists() for suffix in ("-wal", "-shm")]
    if any(sidecars):
        # Without a look into the file: closing it would drop every lock that another connection of this process,
        # if there is one, holds on it. POSIX gives locks to processes and not to descriptors.
        return all(sidecars)
    with path.open("rb") as file:
        header = file.read(20)
    # What is no database is left to SQLite to refuse, which needs no copy of it either.
    return not header.startswith(_MAGIC) or header.endswith(_ROLLBACK_JOURNAL)


def _open_copy(path: Path, stack: ExitStack) -> sqlite3.Connection | None:
    """Copy a database with what belongs to it and open the copy; None when it changed meanwhile."""
    connection = None
    with ExitStack() as attempt:
        copy = Path(attempt.enter_context(TemporaryDirectory(prefix="rekindle-import-"))) / path.name
        before = _state(path)
        with suppress(FileNotFoundError):  # a file that has gone shows in the state
            for suffix in before.keys() - {"-shm"}:
                shutil.copyfile(_beside(path, suffix), _beside(copy, suffix))
        if _state(path) == before:
            # A journal left by a crash is rolled back on opening, which a read-only connection must not do.
            connection = _connect(copy, "rw" if "-journal" in before else "ro", attempt)
            stack.enter_context(attempt.pop_all())
    return connection


def _state(path: Path) -> dict[str, tuple[int, int]]:
    """By suffix, what changes whenever a database or a file that belongs to it does."""
    state = {}
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = _beside(path, suffix)
        try:
            found = file.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode):
            raise ImportSourceError(str(file), "it is not a regular file", "put the file itself in its place")
        state[suffix] = (found.st_size, found.st_mtime_ns)
    return state


def _connect(path: Path, mode: str, stack: ExitStack) -> sqlite3.Connection:
    with ExitStack() as attempt:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            # One thread at a time, but the one that closes an abandoned iterator need not be the one that opened it.
            check_same_thread=False,
        )
        attempt.enter_context(closing(connection))
        connection.text_factory = bytes
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES)
        # The schema is not ours, and could name functions to be called.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        stack.enter_context(attempt.pop_all())
    return connection


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
