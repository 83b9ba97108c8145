"""What a caller says reaches the database as a value, never as SQL."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest

from rekindle import backfill, quarantine, statistics, verify
from rekindle.backfill import Settings
from rekindle.bulk import connected
from rekindle.errors import RekindleError

MARK = "DR0P"
HOSTILE = f"'; {MARK} TABLE session_metadata; --"
LATER = datetime(2999, 1, 1, tzinfo=UTC)
FILTERS = dict.fromkeys(("provider", "model", "instance_id", "comms_name"), HOSTILE)


@pytest.fixture
def archive_of(colour, runner):
    return lambda store: store.archive if colour == "sync" else type(store)(store.archive, runner)


def test_no_call_of_a_store_formats_what_it_is_given_into_sql(
    open_store, archive_of, rows, documents, new_metadata, statements_sent
):
    """An id, a realm, a filter, a document and a cursor made of SQL are found in no statement that is sent."""
    rows.insert(HOSTILE, documents.outdated, 1)
    rows.insert(f"{HOSTILE} 2", documents.outdated, 1)

    with statements_sent() as sent:
        for store in (open_store(), open_store(realm=HOSTILE)):
            store.list(realm=HOSTILE, **FILTERS)
            store.list(after=store.list(limit=1).next_cursor)
            store.load_many([HOSTILE, MARK])
            archive = archive_of(store)
            archive.list(HOSTILE)
            for call in (
                lambda store=store: store.add(MARK, new_metadata(model=HOSTILE, comms_name=HOSTILE)),
                lambda store=store: store.update(HOSTILE, lambda _: None),
                lambda archive=archive: archive.original(HOSTILE),
                lambda archive=archive: archive.restore(HOSTILE, lock_version=1),
                lambda archive=archive: archive.prune(LATER),
                lambda store=store: store.import_document(HOSTILE, documents.outdated.replace("gpt", HOSTILE)),
                lambda store=store: store.delete(store.load(HOSTILE)),
                lambda store=store: store.delete(HOSTILE),
            ):
                with suppress(RekindleError):
                    call()

    assert len(sent) > 30
    assert [statement for statement in sent if MARK in statement] == []


def test_nothing_in_bulk_formats_what_it_is_given_into_sql(engine, rows, documents, statements_sent):
    """Nor do a backfill, a retry, a verify and statistics for a realm that is made of SQL."""
    for number in range(3):
        rows.insert(f"{HOSTILE} {number}", documents.outdated if number else "{}", 1, realm=HOSTILE)

    with statements_sent() as sent:
        report = backfill.run(engine, Settings(realm=HOSTILE, batch_size=1))
        quarantine.retry(engine, f"{HOSTILE} 0", realm=HOSTILE)
        with connected(engine) as connection:
            listed = quarantine.entries(connection, realm=HOSTILE, after=HOSTILE)
            verify.verify(connection, realm=HOSTILE)
            found = statistics.read(connection, HOSTILE)

    assert (report.done.converted, report.done.quarantined, len(listed), found.total) == (2, 1, 1, 1)
    assert [statement for statement in sent if MARK in statement] == []
