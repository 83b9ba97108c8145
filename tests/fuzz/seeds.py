"""Where fuzzing begins: documents, lines, files and databases that are read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from harnesses import ONE, SEPARATOR, TWO

from rekindle.session_id import cursor_behind

TESTS = Path(__file__).resolve().parents[1]
ROWS = TESTS.parents[1] / "shared" / "meerkat" / "rows"
"""Documents of released programs; there beside some checkouts."""

TABLES = {
    "sessions": "session_id TEXT PRIMARY KEY, created_at_ms, updated_at_ms, metadata_json TEXT, session_json BLOB",
    "session_heads": "session_id TEXT PRIMARY KEY, created_at_ms, updated_at_ms, metadata_json TEXT, head_json BLOB",
    "session_head_metadata_current": "session_id TEXT, metadata_key TEXT, exact_value_digest TEXT",
    "session_head_metadata_cells": "session_id TEXT, metadata_key TEXT, exact_value_digest TEXT, metadata_json BLOB",
    "runtime_session_snapshots": "runtime_id TEXT PRIMARY KEY, session_snapshot BLOB",
    "runtime_whole_blob_authority": "runtime_id TEXT PRIMARY KEY, session_id TEXT, blob_sha256 TEXT",
    "runtime_whole_blob_bodies": "blob_sha256 TEXT PRIMARY KEY, session_snapshot BLOB",
    "meerkat_schema": "domain TEXT PRIMARY KEY, version INTEGER",
}
DOCUMENT = '{"schema_version":2,"model":"m","max_tokens":1,"provider":"other","tooling":{}}'
CELL = (ONE, "session_metadata", "digest")


def seeds(harness: str) -> Iterator[bytes]:
    """Say what a harness is to begin with: what its findings taught, and valid input."""
    for finding in sorted((TESTS / "fuzz" / "corpus" / harness).glob("*")):
        yield finding.read_bytes()
    match harness:
        case "codec_of_rows":
            yield from (bytes([1 + index % 3]) + text for index, text in enumerate(_documents()))
        case "documents_in_sources":
            yield from map(_envelope, _documents())
        case "lines":
            yield from map(_line, _documents())
        case "realm_of_files":
            manifest = b'{"backend": "jsonl", "manifest_format": 2}'
            yield from (SEPARATOR.join([manifest, _envelope(text), _envelope(text)]) for text in _documents())
        case "realm_of_a_database":
            yield from (_database(rows, journal) for rows in _layouts() for journal in ("delete", "wal"))
        case "cursors":
            yield cursor_behind(datetime(2024, 2, 29, tzinfo=UTC), "session-1").encode()
            yield b"WyJhIiwxLDFd"
        case "secrets":
            yield from _documents()
            yield b'{"headers": "{\\"authorization\\": \\"Bearer abc.def1234567890\\"}", "url": "https://u:pass@h/"}'


def _documents() -> Iterator[bytes]:
    golden = [path for path in sorted(TESTS.glob("golden/v*/*.json")) if ".expected." not in path.name]
    for path in [*golden, *sorted(ROWS.glob("*.json"))]:
        yield path.read_bytes()


def _line(document: bytes) -> bytes:
    text = document.decode(errors="replace").replace("\n", " ")
    return f'{{"session_id":"s","created_at":"2024-02-29T12:00:00+01:00","metadata":{text}}}\n'.encode()


def _envelope(document: bytes) -> bytes:
    text = document.decode(errors="replace")
    moment = '{"secs_since_epoch":1786824042,"nanos_since_epoch":338000000}'
    return f'{{"id":"{ONE}","created_at":{moment},"metadata":{{"session_metadata":{text}}}}}'.encode()


def _layouts() -> list[dict[str, tuple[object, ...]]]:
    metadata, envelope = f'{{"session_metadata":{DOCUMENT}}}', _envelope(DOCUMENT.encode())
    row = (ONE, 1786824042338, 1786824042338)
    cell = {"session_head_metadata_current": CELL, "session_head_metadata_cells": (*CELL, DOCUMENT)}
    return [
        {"sessions": (*row, metadata, b"{}")},
        {"session_heads": (*row, "{}", envelope), "sessions": (TWO, 1, None, None, envelope)},
        {**cell, "meerkat_schema": ("session-store", 4)},
        {"runtime_session_snapshots": (f"rt:session:{ONE}", envelope)},
        {
            "runtime_whole_blob_authority": (f"rt:session:{ONE}", ONE, "digest"),
            "runtime_whole_blob_bodies": ("digest", envelope),
        },
    ]


def _database(rows: dict[str, tuple[object, ...]], journal: str) -> bytes:
    with TemporaryDirectory() as directory:
        path = Path(directory, "sessions.sqlite3")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA page_size = 512")  # so that little of the file is empty
            connection.execute(f"PRAGMA journal_mode = {journal}")
            for table, values in rows.items():
                connection.execute(f"CREATE TABLE {table} ({TABLES[table]})")
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
            connection.commit()
        return path.read_bytes()
