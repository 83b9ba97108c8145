"""
What must hold of any bytes whatsoever, one function for each kind of reader.

A function takes what the fuzzer, or the corpus of its findings, hands it, and raises when a promise is broken: nothing
but a RekindleError may come out of the readers, what is accepted is written and read back the same, and a source is
left as it was. Time and memory are bounded by whoever calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rekindle import SessionMetadata, SessionStore, codec, upcast
from rekindle.errors import (
    ImportSourceError,
    InvalidCursorError,
    InvalidPayloadError,
    RekindleError,
    SecretMaterialError,
)
from rekindle.importers import FoundSession, jsonl, meerkat
from rekindle.importers.documents import UnreadableError, from_cell, from_envelope, from_map
from rekindle.schema import CURRENT
from rekindle.secret_guard import find_secret

ONE, TWO = (f"01a00703-2762-7c22-8c30-00000000000{digit}" for digit in "12")
SEPARATOR = b"\n\x00\n"
"""Between the files that make up one realm."""


def codec_of_rows(data: bytes) -> None:
    """The first byte is the row's schema version; the rest its payload."""
    number, payload = (data[0] if data else 0), data[1:]
    # Text of a driver is Unicode of any kind, lone surrogates included; a hand can put bytes into SQLite.
    for form in (payload, payload.decode(errors="surrogateescape")):
        with suppress(RekindleError):
            decoded = codec.decode(form, number % (CURRENT + 2))
            _is_written_and_read_back(decoded.metadata)
    _is_adopted(payload.decode(errors="surrogateescape"), number % CURRENT + 1)
    _is_upcast_untouched(payload)


def documents_in_sources(data: bytes) -> None:
    """Whatever stands where a source keeps a document is a document, or is unreadable for a reason."""
    for extract in (from_cell, from_map, from_envelope):
        with suppress(UnreadableError):
            assert isinstance(json.loads(extract(data, ONE).payload), dict)


def lines(data: bytes) -> None:
    """A file of lines."""
    with TemporaryDirectory() as directory:
        source = Path(directory, "sessions.jsonl")
        source.write_bytes(data)
        _is_imported(jsonl.read, source)


def realm_of_files(data: bytes) -> None:
    """A manifest, two session files and a sidecar; those that are absent are not written."""
    names = ["realm_manifest.json", *(f"sessions_jsonl/{name}" for name in (f"{ONE}.jsonl", f"{TWO}.meta", "x.meta"))]
    with TemporaryDirectory() as directory:
        realm = Path(directory)
        (realm / "sessions_jsonl").mkdir()
        for name, content in zip(names, data.split(SEPARATOR), strict=False):
            (realm / name).write_bytes(content)
        _is_imported(meerkat.read, realm)


def realm_of_a_database(data: bytes) -> None:
    """The bytes of a SQLite file."""
    with TemporaryDirectory() as directory:
        Path(directory, "sessions.sqlite3").write_bytes(data)
        _is_imported(meerkat.read, Path(directory))


def cursors(data: bytes) -> None:
    """A cursor of listings, as an HTTP client could send it."""
    cursor = data.decode(errors="surrogateescape")
    for list_page in (_store().list, _store().archive.list):
        with suppress(InvalidCursorError):
            list_page(after=cursor)


def secrets(data: bytes) -> None:
    """A document of any shape, and a text of any kind, are found clean or not, and the same when asked again."""
    text = data.decode(errors="surrogateescape")
    documents: list[Any] = [{"text": text, text: "value"}]
    with suppress(ValueError, RecursionError):
        documents.append(json.loads(text))
    for document in documents:
        assert find_secret(document) == find_secret(document)


HARNESSES: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (codec_of_rows, documents_in_sources, lines, realm_of_files, realm_of_a_database, cursors, secrets)
}


def _is_written_and_read_back(metadata: SessionMetadata) -> None:
    stored = _spelled(metadata)
    with suppress(SecretMaterialError):
        codec.encode(metadata, CURRENT, find_secret)
    for version in range(1, CURRENT + 1):
        try:
            encoded = codec.encode(metadata, version, None)
        except InvalidPayloadError:
            continue
        again = codec.decode(encoded.payload, encoded.schema_version)

        # An origin that is configured is left unsaid by older versions, and is the same for that.
        assert codec.encode(again.metadata, version, None) == encoded
        assert version < CURRENT or (_spelled(again.metadata) == stored and again.changes == ())


def _is_adopted(payload: str, write_version: int) -> None:
    try:
        encoded = codec.adopt(payload, write_version, find_secret)
    except RekindleError:
        return
    codec.decode(encoded.payload, encoded.schema_version)

    assert encoded.schema_version <= write_version


def _is_upcast_untouched(payload: bytes) -> None:
    try:
        document = codec.parse(payload)
    except InvalidPayloadError:
        return
    before = json.dumps(document)
    with suppress(RekindleError):
        upcast(document)

    assert json.dumps(document) == before


def _is_imported(read: Callable[[Path], Any], source: Path) -> None:
    before = _content(source)
    with suppress(ImportSourceError):
        for entry in read(source):
            if isinstance(entry, FoundSession):
                with suppress(RekindleError):
                    codec.adopt(entry.payload, CURRENT, find_secret)

    assert _content(source) == before


def _content(source: Path) -> dict[Path, bytes]:
    files = [source] if source.is_file() else source.rglob("*")
    return {path: path.read_bytes() for path in files if path.is_file()}


def _spelled(metadata: SessionMetadata) -> str:
    """Say metadata so that 1, 1.0 and true are different texts."""
    return json.dumps(metadata.model_dump(mode="json"), sort_keys=True)


@cache
def _store() -> SessionStore:
    return SessionStore.open("sqlite://", upgrade=True)
