import io
import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rekindle.errors import ImportSourceError
from rekindle.importers import FoundSession, UnreadableSession, jsonl
from rekindle.importers.documents import MAX_BYTES

MOMENT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def written(tmp_path, *lines):
    path = tmp_path / "sessions.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return path


def line(session_id="one", **more):
    return json.dumps({"session_id": session_id, "metadata": {"model": "m"}, **more})


def only(path):
    (entry,) = jsonl.read(path)
    return entry


def test_a_line_is_a_session(tmp_path):
    """The document, the times and the number of the line come out of each line."""
    text = '{"session_id": "one", "metadata": {"b": 1.50, "a": [null, "é\\u00e9"], "n": 12345678901234567890123}, '
    text += '"created_at": "2026-03-01T13:00:00+01:00", "updated_at": "2026-03-01T12:00:00Z"}'

    payload = '{"b":1.5,"a":[null,"éé"],"n":12345678901234567890123}'

    assert only(written(tmp_path, text)) == FoundSession("one", payload, MOMENT, MOMENT, "line 1")


@pytest.mark.parametrize("more", [{}, {"created_at": None, "updated_at": None}])
def test_times_may_be_unknown(tmp_path, more):
    """A line that does not say when the session was written is no worse for it."""
    entry = only(written(tmp_path, line(**more)))

    assert (entry.created_at, entry.updated_at) == (None, None)


def test_lines_are_numbered_as_an_editor_numbers_them(tmp_path):
    """Blank lines are passed over and counted, and lines may end as on Windows."""
    path = written(tmp_path, line("one") + "\r", "", "  \r", line("four"), "")

    assert [(entry.session_id, entry.origin) for entry in jsonl.read(path)] == [("one", "line 1"), ("four", "line 4")]


def test_an_empty_file_has_no_sessions(tmp_path):
    """Nothing to import is no error."""
    assert list(jsonl.read(written(tmp_path))) == []


@pytest.mark.parametrize(
    ("bad", "session_id", "reason"),
    [
        ("{", None, "not JSON (character 2)"),
        (b'{"session_id": "\xff"}', None, "not UTF-8"),
        ("[]", None, "not an object"),
        ("[" * 100_000, None, "nested too deeply"),
        ('{"metadata": {}}', None, "no session_id"),
        ('{"session_id": 7, "metadata": {}}', None, "session_id is not text"),
        ('{"session_id": "\\udc00", "metadata": {}}', None, "half a surrogate pair"),
        ('{"session_id": "bad"}', "bad", "no metadata"),
        ('{"session_id": "bad", "metadata": "{}"}', "bad", "metadata is not an object"),
        ('{"session_id": "bad", "metadata": {"x": NaN}}', "bad", "NaN or an infinite number"),
        ('{"session_id": "bad", "metadata": {"x": -1e400}}', "bad", "NaN or an infinite number"),
        ('{"session_id": "bad", "metadata": {"x": "\\ud83d"}}', "bad", "half a surrogate pair"),
        (line("bad", created_at="yesterday"), "bad", "created_at is not an ISO 8601 timestamp"),
        (line("bad", created_at=1772366400), "bad", "created_at is not an ISO 8601 timestamp"),
        (line("bad", created_at="0001-01-01T00:00:00+14:00"), "bad", "created_at is not an ISO 8601 timestamp"),
        (line("bad", updated_at="2026-03-01T12:00:00"), "bad", "updated_at has no offset from UTC"),
    ],
    ids=str,
)
def test_a_bad_line_hides_no_other(tmp_path, bad, session_id, reason):
    """A line that is no session is named with its number and the reason, and the lines around it are found."""
    path = written(tmp_path, line("one"), bad, line("three"))

    first, second, third = jsonl.read(path)

    assert second == UnreadableSession(session_id, "line 2", reason)
    assert (first.session_id, third.session_id) == ("one", "three")


def test_a_line_too_large_is_passed_over(tmp_path):
    """A line beyond all measure is neither kept in memory nor parsed, and the next one is found."""
    path = tmp_path / "sessions.jsonl"
    with path.open("wb") as file:
        file.write(b" " * (MAX_BYTES + 1))
        file.seek(3 * MAX_BYTES)
        file.write(f"\n{line('two')}\n".encode())

    tracemalloc.start()
    first, second = jsonl.read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert first == UnreadableSession(None, "line 1", f"larger than {MAX_BYTES} bytes")
    assert second.session_id == "two"
    assert peak < 2.5 * MAX_BYTES


def test_memory_stays_flat(tmp_path):
    """A file is read line by line: it may be larger than the memory."""
    path = written(tmp_path, *(line(str(number), note="x" * 10_000) for number in range(1000)))

    tracemalloc.start()
    count = sum(1 for _ in jsonl.read(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 1000
    assert peak < 1_000_000


def _database(path):
    path.write_bytes(b"SQLite format 3\0" + b"\0" * 4080)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda _path: None, "it does not exist"),
        (Path.mkdir, "it is a directory"),
        (_database, "SQLite database; read it with `rekindle import meerkat`"),
    ],
    ids=["absent", "directory", "database"],
)
def test_an_unusable_file_is_refused_by_the_call(tmp_path, prepare, reason):
    """What cannot be read at all is an error before the first row, with what to do about it."""
    path = tmp_path / "sessions.jsonl"
    prepare(path)

    with pytest.raises(ImportSourceError, match=reason):
        jsonl.read(path)


def test_a_failing_disk_is_an_import_error(tmp_path, monkeypatch):
    """An error of the file system in the middle of a file is an ImportSourceError like every other."""

    class Failing(io.BytesIO):
        def readline(self, _size):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", lambda _path, _mode: Failing())

    with pytest.raises(ImportSourceError, match="Input/output error"):
        jsonl.read(tmp_path)
