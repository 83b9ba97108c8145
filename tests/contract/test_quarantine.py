"""The quarantine: rows that cannot be converted are listed with the reason, stay as they are, and hide no other."""

from __future__ import annotations

from hashlib import sha256

import pytest

from rekindle import backfill, errors, quarantine
from rekindle.bulk import connected

BAD = '{"model": "gpt-4.1", "max_tokens": "s3cr3t value", "provider": "open_a_i", "tooling": {}}'
GOOD = '{"model": "gpt-4.1", "max_tokens": 1, "provider": "open_a_i", "tooling": {}}'


@pytest.fixture
def listed(engine):
    """Read the quarantine."""

    def read(**options):
        with connected(engine) as connection:
            return list(quarantine.entries(connection, **options))

    return read


@pytest.mark.parametrize(
    ("payload", "step"),
    [(BAD, "validate"), ("no json", "validate"), ('{"schema_version": 9}', "read"), ("[]", "validate")],
)
def test_a_row_that_fails_is_listed_and_kept(engine, rows, listed, payload, step):
    """The entry has everything but a value of the document; the row is the same byte for byte; the others go on."""
    rows.insert("bad", payload, 1, lock_version=4, realm="prod")
    rows.insert("good", GOOD, 1)
    before = rows.read("bad")
    report = backfill.run(engine)
    (entry,) = listed()

    assert (report.done.converted, report.done.quarantined, report.remaining.quarantined) == (1, 1, 1)
    assert rows.read("bad") == before
    assert (entry.session_id, entry.schema_version, entry.lock_version, entry.realm) == ("bad", 1, 4, "prod")
    assert (entry.step, entry.attempts) == (step, 1)
    assert entry.payload_sha256 == sha256(payload.encode()).hexdigest()
    assert "s3cr3t" not in entry.message


def test_a_step_that_raises_is_named(engine, rows, documents, listed, monkeypatch):
    """A defect of a step is listed under the step, by the class of its error alone."""

    def wrong(_document):
        raise ZeroDivisionError("s3cr3t")

    monkeypatch.setattr("rekindle.upcasting.PLAN", ((3, wrong),))
    rows.insert("session-1", documents.outdated, 1)
    backfill.run(engine)
    (entry,) = listed()

    assert (entry.step, entry.error_class) == ("2 to 3", "UpcastError")
    assert entry.message == "the step raised ZeroDivisionError"


def test_a_listed_row_is_passed_over_until_it_changes(engine, rows, listed):
    """A later run counts it and does not try again; once somebody has edited the row, it does."""
    rows.insert("bad", BAD, 1)
    backfill.run(engine)
    again = backfill.run(engine)
    (entry,) = listed()
    rows.edit("bad", payload=GOOD, lock_version=2)
    third = backfill.run(engine)

    assert (again.done.known, again.done.quarantined, entry.attempts) == (1, 0, 1)
    assert (third.done.converted, listed(), third.remaining.is_none) == (1, [], True)


def test_retry_counts_attempts(engine, rows, listed):
    """What fails again stays, with one attempt more and the time it was first seen."""
    rows.insert("bad", BAD, 1)
    backfill.run(engine)
    (first,) = listed()
    result = quarantine.retry(engine)
    (second,) = listed()

    assert (result.converted, result.failed, second.attempts) == (0, 1, 2)
    assert second.first_seen_at == first.first_seen_at < second.last_seen_at


def test_retry_after_a_fixed_release(engine, rows, documents, listed, monkeypatch):
    """With steps that work the rows are converted, archived, and off the list."""

    def wrong(_document):
        raise KeyError("host_mode")

    with monkeypatch.context() as release:
        release.setattr("rekindle.upcasting.PLAN", ((2, wrong),))
        for number in range(3):
            rows.insert(f"session-{number}", documents.outdated, 1)
        backfill.run(engine)
    one = quarantine.retry(engine, "session-1")
    left = [entry.session_id for entry in listed()]
    others = quarantine.retry(engine)

    assert (one.converted, left, others.converted) == (1, ["session-0", "session-2"], 2)
    assert (listed(), rows.count()["archive"]) == ([], 3)
    assert [rows.read(f"session-{number}")["lock_version"] for number in range(3)] == [1, 1, 1]


def test_retry_takes_off_what_is_settled(engine, rows, documents, listed):
    """A row that is gone, or current by now, leaves the list without being touched."""
    rows.quarantine("gone")
    rows.insert("current", documents.newer, 4)
    rows.quarantine("current")
    result = quarantine.retry(engine)

    assert (result.resolved, result.converted, listed()) == (2, 0, [])
    assert rows.read("current")["payload"] == documents.newer


def test_retry_of_a_session_that_is_not_listed(engine, rows, documents):
    """It is named as not found."""
    rows.insert("session-1", documents.outdated, 1)
    with pytest.raises(errors.SessionNotFoundError):
        quarantine.retry(engine, "session-1")


def test_pages_and_realms(engine, rows, listed):
    """Entries are listed by id, from behind one, and of one realm."""
    for number in range(4):
        rows.insert(f"bad-{number}", BAD, 1, realm=f"realm-{number % 2}")
    backfill.run(engine)

    assert [entry.session_id for entry in listed(limit=2, after="bad-0")] == ["bad-1", "bad-2"]
    assert [entry.session_id for entry in listed(realm="realm-1")] == ["bad-1", "bad-3"]
