import json
import sqlite3
import tracemalloc
from contextlib import closing
from datetime import UTC, datetime

import pytest

from rekindle.importers import FoundSession, UnreadableSession, meerkat
from rekindle.importers.documents import MAX_BYTES, UnreadableError, serialize

ONE, TWO, THREE = (f"01a00703-2762-7c22-8c30-00000000000{digit}" for digit in "123")
MILLISECONDS, MOMENT = 1786824042338, datetime(2026, 8, 15, 20, 0, 42, 338000, tzinfo=UTC)
SYSTEM_TIME = {"secs_since_epoch": 1786824042, "nanos_since_epoch": 338000000}

TABLES = {
    "sessions": "session_id TEXT PRIMARY KEY, created_at_ms, updated_at_ms, metadata_json TEXT, session_json BLOB",
    "session_heads": "session_id TEXT PRIMARY KEY, created_at_ms, updated_at_ms, metadata_json TEXT, head_json BLOB",
    "session_head_metadata_current": "session_id TEXT, metadata_key TEXT, exact_value_digest TEXT",
    "session_head_metadata_cells": "session_id TEXT, metadata_key TEXT, exact_value_digest TEXT, metadata_json BLOB",
    "runtime_session_snapshots": "runtime_id TEXT PRIMARY KEY, session_snapshot BLOB",
    "runtime_whole_blob_authority": "runtime_id TEXT PRIMARY KEY, session_id TEXT, blob_sha256 TEXT",
    "runtime_whole_blob_bodies": "blob_sha256 TEXT PRIMARY KEY, session_snapshot BLOB",
}


def document(model):
    return {"schema_version": 2, "model": model}


def metadata_map(model):
    return json.dumps({"session_labels": {}, "session_metadata": document(model)})


def envelope(session_id, model, **changed):
    whole = {"version": 2, "id": session_id, "messages": [], "created_at": SYSTEM_TIME, "updated_at": SYSTEM_TIME}
    return json.dumps({**whole, "metadata": json.loads(metadata_map(model)), **changed})


def session_row(session_id, metadata_json, session_json="{}"):
    return "sessions", (session_id, MILLISECONDS, MILLISECONDS, metadata_json, session_json)


def head_row(session_id, metadata_json, head_json="{}"):
    return "session_heads", (session_id, MILLISECONDS, MILLISECONDS, metadata_json, head_json)


def cell_rows(session_id, text):
    key = (session_id, "session_metadata", "digest")
    return ("session_head_metadata_current", key), ("session_head_metadata_cells", (*key, text))


def snapshot_row(session_id, model, prefix="rt:session:"):
    return "runtime_session_snapshots", (f"{prefix}{session_id}", envelope(session_id, model).encode())


def fill(connection, *rows):
    for table, values in rows:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({TABLES[table]})")
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
    connection.commit()


def store(realm, *rows, name="sessions.sqlite3"):
    with closing(sqlite3.connect(realm / name)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        fill(connection, *rows)
    return realm


def session_files(directory, **texts):
    directory.mkdir(exist_ok=True)
    for name, text in texts.items():
        (directory / name).write_text(text)
    return directory


def models(path):
    return {
        entry.session_id: json.loads(entry.payload)["model"] if isinstance(entry, FoundSession) else entry.reason
        for entry in meerkat.read(path)
    }


@pytest.mark.parametrize("stored_as", [str, str.encode], ids=["TEXT", "BLOB"])
@pytest.mark.parametrize("row", [session_row, head_row])
def test_rows_of_both_eras_are_found_with_their_times(tmp_path, row, stored_as):
    """A row of `sessions` or `session_heads` is read whether its JSON is stored as text or as a blob."""
    store(tmp_path, row(ONE, stored_as(metadata_map("m1"))))

    payload = '{"schema_version":2,"model":"m1"}'
    origin = f"sessions.sqlite3: {row(ONE, '')[0]}"

    assert [FoundSession(ONE, payload, MOMENT, MOMENT, origin)] == list(meerkat.read(tmp_path))


@pytest.mark.parametrize("row", [session_row, head_row])
@pytest.mark.parametrize("metadata_json", ["{}", "no JSON", None])
def test_the_second_place_in_a_row_is_tried(tmp_path, row, metadata_json):
    """Where metadata_json has no readable document, the one inside the whole session or head is taken."""
    store(tmp_path, row(ONE, metadata_json, envelope(ONE, "inside").encode()))

    assert models(tmp_path) == {ONE: "inside"}


def test_a_head_makes_the_session_row_an_archive(tmp_path):
    """The row of a session that has a head is never read, not even when the head has no document."""
    store(
        tmp_path,
        *(session_row(session_id, metadata_map("archived")) for session_id in (ONE, TWO, THREE)),
        head_row(ONE, metadata_map("head")),
        head_row(TWO, "{}", envelope(TWO, "head", metadata={})),
    )

    assert models(tmp_path) == {ONE: "head", TWO: "no session_metadata", THREE: "archived"}


def test_a_cell_is_taken_as_the_very_text_that_is_stored(tmp_path):
    """Since 0.8.11 heads are empty and the cell that `current` points to is the document, to the last blank."""
    text = '{ "model": "m1",  "temperature": 1.50e0, "name": "\\u00e9" }'
    other = ("session_head_metadata_cells", (ONE, "session_metadata", "an older digest", b"{}"))
    store(tmp_path, head_row(ONE, "{}"), other, *cell_rows(ONE, text.encode()))

    found = FoundSession(ONE, text, MOMENT, MOMENT, "sessions.sqlite3: session_head_metadata_cells")

    assert [found] == list(meerkat.read(tmp_path))


def test_a_cell_goes_before_the_head(tmp_path):
    """What a head still says from before its cells were made is out of date."""
    store(tmp_path, head_row(ONE, metadata_map("head")), *cell_rows(ONE, json.dumps(document("cell"))))

    assert models(tmp_path) == {ONE: "cell"}


def test_a_pointer_to_no_cell_is_named(tmp_path):
    """A session whose cell is missing, with no document elsewhere, is reported as such."""
    store(tmp_path, head_row(ONE, "{}"), cell_rows(ONE, "")[0], cell_rows(TWO, json.dumps(document("cell")))[1])

    assert models(tmp_path) == {ONE: "nothing is stored"}


def test_copies_are_the_last_resort(tmp_path):
    """Snapshots, whole blobs first, count only for sessions that have no document in the other places."""
    store(
        tmp_path,
        session_row(ONE, metadata_map("row")),
        session_row(TWO, "{}"),
        snapshot_row(ONE, "copy"),
        snapshot_row(TWO, "copy"),
        snapshot_row(THREE, "copy"),
        ("runtime_whole_blob_authority", (f"rt:session:{THREE}", THREE, "sum")),
        ("runtime_whole_blob_bodies", ("sum", envelope(THREE, "blob"))),
    )

    assert models(tmp_path) == {ONE: "row", TWO: "copy", THREE: "blob"}


def test_early_runtimes_are_named_like_their_session(tmp_path):
    """A snapshot under the bare id is found, once, and one of a runtime without a session is named."""
    store(
        tmp_path,
        snapshot_row(ONE, "early", prefix=""),
        snapshot_row(TWO, "early", prefix=""),
        snapshot_row(TWO, "late"),
        snapshot_row("gateway", "none", prefix=""),
    )

    unreadable = UnreadableSession(None, "sessions.sqlite3: runtime_session_snapshots", "names no session")

    assert models(tmp_path) == {ONE: "early", TWO: "late", None: "names no session"}
    assert unreadable in list(meerkat.read(tmp_path))
    assert len(list(meerkat.read(tmp_path))) == 3


BAD = {
    "not JSON (character 2)": "{",
    "not UTF-8": b'{"session_metadata": {"model": "\xff"}}',
    "half a surrogate pair": '{"session_metadata": {"model": "\\ud800"}}',
    "NaN or an infinite number": '{"session_metadata": {"model": [1e999, NaN]}}',
    "a number with too many digits": f'{{"session_metadata": {{"model": {"9" * 5000}}}}}',
    "nested too deeply": f'{{"session_metadata": {"[" * 100_000}',
    "session_metadata is not an object": '{"session_metadata": null}',
    "the metadata map is not an object": "[]",
    "no session_metadata": '{"session_labels": {}}',
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_row_hides_no_other(tmp_path, reason):
    """A row that cannot be read is named with the reason, and the rows around it are found."""
    good = (session_row(session_id, metadata_map("good")) for session_id in (ONE, THREE))
    store(tmp_path, *good, session_row(TWO, BAD[reason]))

    assert {ONE: "good", TWO: reason, THREE: "good"} == models(tmp_path)


def test_a_value_too_large_is_not_even_loaded(tmp_path):
    """A value beyond all measure costs neither memory nor the sessions around it."""
    store(tmp_path, session_row(ONE, "{}"), session_row(TWO, metadata_map("good")))
    with closing(sqlite3.connect(tmp_path / "sessions.sqlite3")) as connection:
        connection.execute("UPDATE sessions SET session_json = zeroblob(?) WHERE session_id = ?", (MAX_BYTES + 1, ONE))
        connection.commit()

    tracemalloc.start()
    found = models(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found == {ONE: f"larger than {MAX_BYTES} bytes", TWO: "good"}
    assert peak < MAX_BYTES / 8


def test_what_is_no_text_is_no_document(tmp_path):
    """A number in a JSON column spoils its own session and no other."""
    store(tmp_path, session_row(ONE, "{}", 17), session_row(TWO, None, None), session_row(THREE, metadata_map("good")))

    assert models(tmp_path) == {ONE: "neither text nor a blob", TWO: "nothing is stored", THREE: "good"}


def test_a_session_id_is_text(tmp_path):
    """A key that is a blob, or not UTF-8, is named without an id."""
    store(tmp_path, session_row(ONE.encode(), metadata_map("lost")), session_row(TWO, metadata_map("good")))
    with closing(sqlite3.connect(tmp_path / "sessions.sqlite3")) as connection:
        connection.execute("INSERT INTO sessions (session_id) VALUES (CAST(x'ff' AS TEXT))")
        connection.commit()

    entries = list(meerkat.read(tmp_path))

    assert entries.count(UnreadableSession(None, "sessions.sqlite3: sessions", "names no session")) == 2
    assert [entry.session_id for entry in entries if isinstance(entry, FoundSession)] == [TWO]


def test_cutting_out_changes_no_value(tmp_path):
    """Key order, integers of any size, floats and characters are those of the stored document."""
    values = '"z":1,"a":123456789012345678901234567890,"f":0.699999988079071,"s":"é\U0001f600","n":null,"e":{}'
    store(tmp_path, session_row(ONE, f'{{"session_metadata": {{{values}}}, "other": NaN}}'))

    assert [f"{{{values}}}"] == [entry.payload for entry in meerkat.read(tmp_path)]


def test_a_document_too_deep_to_be_said_again_is_unreadable():
    """A document just below the depth at which parsing ends is refused like one above it."""
    document = []
    for _ in range(100_000):
        document = [document]

    with pytest.raises(UnreadableError, match="nested too deeply"):
        serialize(document)


def test_another_sessions_document_is_not_taken(tmp_path):
    """A document that carries the id of another session is never guessed to be meant for this one."""
    store(tmp_path, session_row(ONE, "{}", envelope(TWO, "foreign")))

    assert models(tmp_path) == {ONE: "the document of another session"}


@pytest.mark.parametrize("created_at", [None, "yesterday", 10**18, 1.5])
def test_a_time_that_is_none_is_left_out(tmp_path, created_at):
    """A column that is no number of milliseconds in the calendar does not cost the session."""
    store(tmp_path, ("sessions", (ONE, created_at, MILLISECONDS, metadata_map("m"), "{}")))

    assert [(entry.created_at, entry.updated_at) for entry in meerkat.read(tmp_path)] == [(None, MOMENT)]


@pytest.mark.parametrize("system_time", [None, 5, {}, {"secs_since_epoch": True, "nanos_since_epoch": 0}])
def test_an_envelope_says_when(tmp_path, system_time):
    """A copy has its times inside, and what is no SystemTime is left out."""
    snapshot = envelope(ONE, "m", created_at=system_time)
    store(tmp_path, ("runtime_session_snapshots", (f"rt:session:{ONE}", snapshot)))

    assert [(entry.created_at, entry.updated_at) for entry in meerkat.read(tmp_path)] == [(None, MOMENT)]


def test_session_files_are_read_with_their_sidecars(tmp_path):
    """A pretty-printed file is one document; its sidecar counts only when the file is missing or has none."""
    session_files(
        tmp_path / "sessions_jsonl",
        **{
            f"{ONE}.jsonl": json.dumps(json.loads(envelope(ONE, "file")), indent=2),
            f"{ONE}.meta": envelope(ONE, "sidecar"),
            f"{TWO}.jsonl": "cut off",
            f"{TWO}.meta": envelope(TWO, "sidecar"),
            f"{THREE}.meta": envelope(THREE, "sidecar"),
            "session_index.redb": "",
            f"{ONE}.jsonl.tmp": "",
        },
    )

    payload = '{"schema_version":2,"model":"file"}'

    assert FoundSession(ONE, payload, MOMENT, MOMENT, f"sessions_jsonl/{ONE}.jsonl") in list(meerkat.read(tmp_path))
    assert models(tmp_path) == {ONE: "file", TWO: "sidecar", THREE: "sidecar"}
    assert len(list(meerkat.read(tmp_path))) == 3


def test_bad_files_hide_no_other(tmp_path):
    """Files that are no session, or too large, or a directory, are named, and the others are found."""
    session_files(tmp_path, **{f"{ONE}.jsonl": envelope(ONE, "good"), "notes.jsonl": "", f"{TWO}.meta": "[]"})
    with (tmp_path / f"{THREE}.jsonl").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    four = ONE.replace("1", "4")
    (tmp_path / f"{four}.jsonl").mkdir()

    expected = {
        ONE: "good",
        TWO: "the session is not an object",
        THREE: f"larger than {MAX_BYTES} bytes",
        four: "not a regular file",
        None: "the name of the file is not a session id",
    }

    assert expected == models(tmp_path)


def test_one_session_file_is_a_source(tmp_path):
    """A single file can be imported by its path, and its neighbours stay out."""
    session_files(tmp_path, **{f"{name}.jsonl": envelope(name, "m") for name in (ONE, TWO)})

    assert models(tmp_path / f"{TWO}.jsonl") == {TWO: "m"}


@pytest.mark.parametrize(("backend", "model"), [("sqlite", "row"), ("jsonl", "file")])
def test_the_manifest_says_which_store_counts(tmp_path, backend, model):
    """A session in both stores of a realm comes once, from the store that the realm is pinned to."""
    (tmp_path / "realm_manifest.json").write_text(json.dumps({"realm_id": "r", "backend": backend}))
    store(tmp_path, session_row(ONE, metadata_map("row")), session_row("../escape", metadata_map("row")))
    session_files(tmp_path / "sessions_jsonl", **{f"{ONE}.jsonl": envelope(ONE, "file")})
    (tmp_path / "escape.jsonl").write_text(envelope("../escape", "escaped"))

    assert {ONE: model, "../escape": "row"} == models(tmp_path)
    assert len(list(meerkat.read(tmp_path))) == 2


def test_copies_beside_session_files_are_the_last_resort(tmp_path):
    """The companion database of a realm of session files fills in what the files lack."""
    (tmp_path / "realm_manifest.json").write_text('{"backend": "jsonl", "manifest_format": 2}')
    session_files(tmp_path / "sessions_jsonl", **{f"{ONE}.jsonl": envelope(ONE, "file"), f"{TWO}.jsonl": ""})
    store(tmp_path, *(snapshot_row(name, "copy") for name in (ONE, TWO, THREE)), name="runtime.sqlite3")

    assert models(tmp_path) == {ONE: "file", TWO: "copy", THREE: "copy"}


def test_a_store_without_sessions_yields_nothing(tmp_path):
    """Known tables with no rows, or a directory with no files, are no error."""
    store(tmp_path, session_row(ONE, "{}"))
    with closing(sqlite3.connect(tmp_path / "sessions.sqlite3")) as connection:
        connection.execute("DELETE FROM sessions")
        connection.commit()
    session_files(tmp_path / "sessions_jsonl")

    assert models(tmp_path) == {}
