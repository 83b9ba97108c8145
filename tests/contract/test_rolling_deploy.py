"""Rolling deploys: programs of two releases, pinned to two schema versions, work on the same sessions at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rekindle import SessionStore, backfill, codec
from rekindle.backfill import Settings

SESSIONS = 20
MOB_MEMBER = {"mob_id": "m", "role": "r", "member": "x"}


@pytest.fixture
def times(backend):
    """How often each program saves: the servers answer more slowly."""
    return 1_500 if backend.name == "sqlite" else 300


@pytest.fixture
def programs(database_url):
    """Run programs of several releases together, each given by its name and its write version; what they say."""

    def run(versions, times):
        script = Path(__file__).with_name("incrementing_process.py")
        processes = {
            name: subprocess.Popen(
                [
                    sys.executable,
                    "-W",
                    "error",
                    str(script),
                    database_url,
                    *map(str, (version, name, SESSIONS, times, version)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name, version in versions.items()
        }
        try:
            for _half in range(2):
                for process in processes.values():
                    process.stdout.readline()
                for process in processes.values():
                    process.stdin.write("go\n")
                    process.stdin.flush()
            said = {name: process.communicate(timeout=240) for name, process in processes.items()}
        finally:
            for process in processes.values():
                process.kill()
                process.communicate()
        assert [process.returncode for process in processes.values()] == [0] * len(processes), said
        return {name: json.loads(stdout) for name, (stdout, _) in said.items()}

    return run


@pytest.fixture
def pinned(database_url):
    """What a program of the previous release has: a store that writes schema version 2."""
    with SessionStore.open(database_url, write_version=2) as store:
        yield store


def version_1(number):
    """A document of schema version 1, every one of them different."""
    tooling = {"shell": number % 2 == 0}
    document = {"model": f"m-{number}", "max_tokens": 1, "provider": "open_a_i", "tooling": tooling}
    return json.dumps({**document, "provider_params": {}, "later": {"number": number}})


def test_an_old_and_a_new_program_lose_nothing_to_each_other(programs, rows, rival, times):
    """Two processes save the same 20 sessions: all counts and unknown keys are there, each original is kept once."""
    originals = {f"session-{number:02}": version_1(number) for number in range(SESSIONS)}
    for session_id, payload in originals.items():
        rows.insert(session_id, payload, 1)

    said = programs({"first": 2}, 40) | programs({"old": 2, "new": 3}, times)
    totals = {name: sum(program["counted"].values()) for name, program in said.items()}

    assert totals == {"first": 40, "old": times, "new": times}
    assert [set(half) for half in said["first"]["written"]] == [{"2"}, {"2"}]
    assert [set(half) for half in said["new"]["written"]] == [{"3"}, {"3"}]
    # By half-time the new program has been everywhere, so from there on the old one writes 3 as well.
    assert set(said["old"]["written"][1]) == {"3"}
    for number, (session_id, original) in enumerate(originals.items()):
        record = rival.load(session_id)
        counts = {name: n for name, program in said.items() if (n := program["counted"].get(session_id))}
        marks = {f"of_{name}": {"count": n} for name, n in counts.items()}
        kept = rows.archived(session_id)

        assert record.metadata.provider_params == counts
        assert record.metadata.__pydantic_extra__ == {"later": {"number": number}, **marks}
        assert record.metadata.tooling.__pydantic_extra__ == marks
        assert (record.schema_version, record.lock_version) == (3, 1 + sum(counts.values()))
        assert (kept[0]["schema_version"], kept[0]["payload"]) == (1, original)
        # From 1 to 3 at once, or by way of 2: what a row was rewritten from is kept, each once.
        assert [entry["schema_version"] for entry in kept] == ([1, 2] if "first" in counts else kept_by_way_of(kept))
        assert all(codec.decode(entry["payload"], entry["schema_version"]) for entry in kept)


def kept_by_way_of(kept):
    """The versions kept of a row that either program may have been the first to save."""
    return [1] if len(kept) == 1 else [1, 2]


def test_a_pinned_backfill_writes_no_further_than_the_pin(engine, pinned, rows, documents, monkeypatch, new_metadata):
    """Told by REKINDLE_WRITE_VERSION or by its settings, it takes rows to 2, archives them, and leaves rows at 3 be."""
    rows.insert("by-setting", documents.outdated, 1)
    rows.insert("current", new_metadata(mob_member_binding=MOB_MEMBER).model_dump_json(), 3)
    before = rows.read("current")

    first = backfill.run(engine, Settings(to_version=2))
    rows.insert("by-environment", documents.outdated, 1)
    monkeypatch.setenv("REKINDLE_WRITE_VERSION", "2")
    second = backfill.run(engine)

    assert [(report.to_version, report.done.converted) for report in (first, second)] == [(2, 1), (2, 1)]
    assert rows.read("current") == before
    for session_id in ("by-setting", "by-environment"):
        row, (kept,) = rows.read(session_id), rows.archived(session_id)

        assert (row["schema_version"], json.loads(row["payload"])["provider"]) == (2, "open_a_i")
        assert kept["payload"] == documents.outdated
        assert pinned.load(session_id).metadata.realm_id == "mob.office"


def test_a_backfill_after_the_pin_takes_every_row_the_rest_of_the_way(engine, pinned, rows, new_metadata):
    """Once no old program runs, what was written at 2 becomes 3, and its original is kept."""
    pinned.add("session-1", new_metadata(provider="openai", later=1))
    written_at_2 = rows.read("session-1")["payload"]

    report = backfill.run(engine)

    assert (report.to_version, report.done.converted, report.remaining.is_none) == (3, 1, True)
    assert pinned.load("session-1").schema_version == 3
    assert [(kept["schema_version"], kept["payload"]) for kept in rows.archived("session-1")] == [(2, written_at_2)]


def test_a_row_that_version_2_cannot_say_goes_to_the_quarantine_of_a_pinned_backfill(engine, rows, new_metadata):
    """A document with a field of version 3, under an older number, is neither cut to fit nor touched, but listed."""
    document = json.loads(new_metadata(mob_member_binding=MOB_MEMBER).model_dump_json())
    payload = json.dumps({**document, "schema_version": 1})
    rows.insert("session-1", payload, 1)

    report = backfill.run(engine, Settings(to_version=2, max_failure_share=1.0))

    assert (report.done.converted, report.remaining.quarantined) == (0, 1)
    assert rows.read("session-1")["payload"] == payload
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 1}


def test_what_the_old_program_adds_and_imports_the_new_one_resumes(pinned, rival, rows, new_metadata):
    """Sessions made at 2 by the pinned program load, save and load again in both programs, whichever saved last."""
    pinned.add("added", new_metadata(provider="openai"))
    pinned.import_document("imported", new_metadata(provider="openai", later=[None]).model_dump_json())
    before = {session_id: rows.read(session_id)["schema_version"] for session_id in ("added", "imported")}

    for session_id in before:
        rival.update(session_id, lambda metadata: setattr(metadata, "comms_name", "new"))
        pinned.update(session_id, lambda metadata: setattr(metadata, "keep_alive", True))

    assert before == {"added": 2, "imported": 2}
    for session_id in before:
        record = rival.load(session_id)

        assert (record.schema_version, record.lock_version) == (3, 3)
        assert (record.metadata.comms_name, record.metadata.keep_alive) == ("new", True)
        assert [kept["schema_version"] for kept in rows.archived(session_id)] == [2]
