"""
Where Meerkat's SQLite databases keep session metadata, layout by layout.

| layout                            | releases         | the document is in                                          |
|-----------------------------------|------------------|-------------------------------------------------------------|
| sessions                          | 0.4.7 to 0.7.24  | metadata_json, or session_json below metadata               |
| session_heads                     | 0.7.25 to 0.8.10 | metadata_json, or head_json below metadata                  |
| session_head_metadata_current     | since 0.8.11     | the cell of session_head_metadata_cells that it points to   |
| runtime_whole_blob_authority      | since 0.8.11     | the body of runtime_whole_blob_bodies that it points to     |
| runtime_session_snapshots         | all              | session_snapshot below metadata: a copy, older or newer     |

A release adds its tables to those it finds, so that a database has several of them. Where a session has a head, its row
in `sessions` is a frozen archive that Meerkat itself never reads again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from rekindle.errors import ImportSourceError
from rekindle.importers import UnreadableSession
from rekindle.importers.documents import (
    TOO_LARGE,
    Document,
    Source,
    UnreadableError,
    from_cell,
    from_envelope,
    from_map,
    from_milliseconds,
)
from rekindle.importers.sqlite_source import READ_ERRORS, failure

_LATEST_LEDGER_VERSION = 4
"""Of the domain `session-store`: the highest that a release up to 0.8.26 writes."""

_UPGRADE = "upgrade rekindle, or export the sessions with the Meerkat release that wrote them"


def is_session_id(text: str) -> bool:
    """Tell whether this is a session id in the one form in which Meerkat writes it."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _session_of_runtime(runtime_id: str) -> str | None:
    session_id = runtime_id.removeprefix("rt:session:")
    return None if session_id == runtime_id else session_id


def _session_of_early_runtime(runtime_id: str) -> str | None:
    """Early releases named the runtime of a session like the session itself."""
    return runtime_id if is_session_id(runtime_id) else _session_of_runtime(runtime_id)


@dataclass(frozen=True, slots=True)
class _Layout:
    """
    How to find the sessions in some tables, whose columns are listed for recognising them.

    `ids` selects the type and the key of each row, `holds` tells whether there is one for the session `:id`, and each
    of `documents` selects one value of it, the first being the preferred one.
    """

    name: str
    columns: dict[str, frozenset[str]]
    ids: str
    holds: str
    documents: tuple[tuple[str, Callable[[bytes, str], Document]], ...]
    times: str | None = None
    session_of: Callable[[str], str | None] = str


_CELLS = _Layout(
    name="session_head_metadata_cells",
    columns={
        "session_head_metadata_current": frozenset({"session_id", "metadata_key", "exact_value_digest"}),
        "session_head_metadata_cells": frozenset({"session_id", "metadata_key", "exact_value_digest", "metadata_json"}),
    },
    ids="""
        SELECT typeof(session_id), session_id FROM session_head_metadata_current
        WHERE metadata_key = 'session_metadata' ORDER BY session_id
    """,
    holds="""
        SELECT 1 FROM session_head_metadata_current
        WHERE session_id = :id AND metadata_key = 'session_metadata'
    """,
    documents=(
        (
            """
            SELECT cell.metadata_json FROM session_head_metadata_current AS current
            LEFT JOIN session_head_metadata_cells AS cell USING (session_id, metadata_key, exact_value_digest)
            WHERE current.session_id = :id AND current.metadata_key = 'session_metadata'
            """,
            from_cell,
        ),
    ),
)

_HEADS = _Layout(
    name="session_heads",
    columns={"session_heads": frozenset({"session_id", "metadata_json", "head_json"})},
    ids="SELECT typeof(session_id), session_id FROM session_heads ORDER BY session_id",
    holds="SELECT 1 FROM session_heads WHERE session_id = :id",
    documents=(
        ("SELECT metadata_json FROM session_heads WHERE session_id = :id", from_map),
        ("SELECT head_json FROM session_heads WHERE session_id = :id", from_envelope),
    ),
    times="SELECT created_at_ms, updated_at_ms FROM session_heads WHERE session_id = :id",
)

_SESSIONS = _Layout(
    name="sessions",
    columns={"sessions": frozenset({"session_id", "metadata_json", "session_json"})},
    ids="SELECT typeof(session_id), session_id FROM sessions ORDER BY session_id",
    holds="SELECT 1 FROM sessions WHERE session_id = :id",
    documents=(
        ("SELECT metadata_json FROM sessions WHERE session_id = :id", from_map),
        ("SELECT session_json FROM sessions WHERE session_id = :id", from_envelope),
    ),
    times="SELECT created_at_ms, updated_at_ms FROM sessions WHERE session_id = :id",
)

_SESSIONS_WITHOUT_HEAD = replace(
    _SESSIONS,
    holds="""
        SELECT 1 FROM sessions WHERE session_id = :id
        AND NOT EXISTS (SELECT 1 FROM session_heads WHERE session_id = :id)
    """,
)

_WHOLE_BLOBS = _Layout(
    name="runtime_whole_blob_bodies",
    columns={
        "runtime_whole_blob_authority": frozenset({"runtime_id", "blob_sha256"}),
        "runtime_whole_blob_bodies": frozenset({"blob_sha256", "session_snapshot"}),
    },
    ids="SELECT typeof(runtime_id), runtime_id FROM runtime_whole_blob_authority ORDER BY runtime_id",
    holds="SELECT 1 FROM runtime_whole_blob_authority WHERE runtime_id = 'rt:session:' || :id",
    documents=(
        (
            """
            SELECT body.session_snapshot FROM runtime_whole_blob_authority AS authority
            LEFT JOIN runtime_whole_blob_bodies AS body USING (blob_sha256)
            WHERE authority.runtime_id = 'rt:session:' || :id
            """,
            from_envelope,
        ),
    ),
    session_of=_session_of_runtime,
)

_SNAPSHOTS = _Layout(
    name="runtime_session_snapshots",
    columns={"runtime_session_snapshots": frozenset({"runtime_id", "session_snapshot"})},
    ids="""
        SELECT typeof(runtime_id), runtime_id FROM runtime_session_snapshots AS snapshot
        WHERE NOT EXISTS (
            SELECT 1 FROM runtime_session_snapshots AS other
            WHERE other.runtime_id = 'rt:session:' || snapshot.runtime_id
        )
        ORDER BY runtime_id
    """,
    holds="SELECT 1 FROM runtime_session_snapshots WHERE runtime_id IN ('rt:session:' || :id, :id)",
    documents=(
        (
            """
            SELECT session_snapshot FROM runtime_session_snapshots
            WHERE runtime_id IN ('rt:session:' || :id, :id) ORDER BY runtime_id = :id
            """,
            from_envelope,
        ),
    ),
    session_of=_session_of_early_runtime,
)

_LAYOUTS = (_CELLS, _HEADS, _SESSIONS, _WHOLE_BLOBS, _SNAPSHOTS)


class Table:
    """One layout in one open database, as a place to find sessions."""

    def __init__(self, connection: sqlite3.Connection, layout: _Layout, database: Path) -> None:
        self._connection = connection
        self._layout = layout
        self._database = database
        self.origin = f"{database.name}: {layout.name}"

    def entries(self) -> Iterator[str | UnreadableSession]:
        """Name every session, in a fixed order."""
        try:
            for kind, key in self._connection.execute(self._layout.ids):
                session_id = self._session_id(kind, key)
                yield UnreadableSession(None, self.origin, "names no session") if session_id is None else session_id
        except READ_ERRORS as error:
            raise failure(self._database, error) from error

    def holds(self, session_id: str) -> bool:
        """Whether there is a row for this session; one that cannot be read is one."""
        try:
            return self._row(self._layout.holds, session_id) is not None
        except UnreadableError:
            return True

    def sources(self, session_id: str) -> Iterator[Source]:
        """Where in the row to look, the preferred place first."""
        for statement, extract in self._layout.documents:
            yield Source(self.origin, partial(self._document, statement, session_id), extract)

    def times(self, session_id: str) -> tuple[datetime | None, datetime | None]:
        """When the session was created and last updated, for all that the columns say, if there are any."""
        if self._layout.times is None:
            return None, None
        try:
            created_at, updated_at = self._row(self._layout.times, session_id) or (None, None)
        except UnreadableError:
            return None, None
        return from_milliseconds(created_at), from_milliseconds(updated_at)

    def _session_id(self, kind: bytes, key: Any) -> str | None:
        # A key stored as a blob is no key: Meerkat looks for text, and SQLite tells the two apart.
        if kind != b"text":
            return None
        try:
            return self._layout.session_of(key.decode())
        except UnicodeDecodeError:
            return None

    def _document(self, statement: str, session_id: str) -> bytes:
        (value,) = self._row(statement, session_id) or (None,)
        if not isinstance(value, bytes):
            raise UnreadableError("nothing is stored" if value is None else "neither text nor a blob")
        return value

    def _row(self, statement: str, session_id: str) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._connection.execute(statement, {"id": session_id}).fetchone()
        except sqlite3.DataError:
            raise UnreadableError(TOO_LARGE) from None
        except READ_ERRORS as error:
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            raise UnreadableError(f"SQLite cannot read the row ({name})") from error
        return row


def tables(connection: sqlite3.Connection, database: Path) -> list[Table]:
    """
    Find the layouts that are in a database, in the order in which they are to be asked; possibly none.

    Raises ImportSourceError when they are not as a known release makes them: whatever changed may have changed which
    of several rows is the one to read.
    """
    try:
        _refuse_later_ledger(connection, database)
        found = [layout for layout in _LAYOUTS if _is_present(connection, layout, database)]
    except READ_ERRORS as error:
        raise failure(database, error) from error
    if _HEADS in found:
        found = [_SESSIONS_WITHOUT_HEAD if layout is _SESSIONS else layout for layout in found]
    return [Table(connection, layout, database) for layout in found]


def _is_present(connection: sqlite3.Connection, layout: _Layout, database: Path) -> bool:
    columns = {table: _columns(connection, table) for table in layout.columns}
    if not any(columns.values()):
        return False
    for table, needed in layout.columns.items():
        if missing := needed - columns[table]:
            reason = f"its table {table} has no {min(missing)}, which no known release of Meerkat leaves out"
            raise ImportSourceError(str(database), reason, _UPGRADE)
    return True


def _refuse_later_ledger(connection: sqlite3.Connection, database: Path) -> None:
    """Since 0.8.4 a database says itself which migrations it has seen."""
    if not _columns(connection, "meerkat_schema") >= {"domain", "version"}:
        return
    row = connection.execute("SELECT version FROM meerkat_schema WHERE domain = 'session-store'").fetchone()
    if row is not None and isinstance(row[0], int) and row[0] > _LATEST_LEDGER_VERSION:
        reason = f"its session store is at schema {row[0]}, this release reads up to {_LATEST_LEDGER_VERSION}"
        raise ImportSourceError(str(database), reason, _UPGRADE)


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    # Of tables alone: a view by one of these names is nothing that Meerkat made.
    statement = """
        SELECT info.name FROM sqlite_master AS master JOIN pragma_table_info(master.name) AS info
        WHERE master.type = 'table' AND master.name = :table
    """
    return {name.decode(errors="replace") for (name,) in connection.execute(statement, {"table": table})}
