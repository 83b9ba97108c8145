"""
Realms, as a law: whatever a store of one realm is asked, nothing of another realm is seen or touched.

Two realms compete for the same few ids, and an operator moves sessions between them.
"""

# ruff: noqa: ARG005 - all calls are given the same

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from inspect import isfunction, signature

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rekindle import SessionMetadata, SessionRecord, SessionStore, backfill, quarantine, statistics, verify
from rekindle.archive import ArchivedDocument, ArchivePage
from rekindle.backfill import Report, Settings, Undone
from rekindle.bulk import connected
from rekindle.cli import root
from rekindle.errors import RekindleError
from rekindle.orm import Base, session_metadata, session_metadata_archive, session_metadata_quarantine
from rekindle.record import Batch, Page, StoredDocument
from rekindle.statistics import Statistics
from rekindle.store_archive import StoreArchive
from rekindle.verify import Verified

REALMS = ("ours", "theirs")
IDS = ["old-ours", "new-ours", "old-theirs", "new-theirs", "free"]
LONG_AGO = datetime(2024, 2, 29, tzinfo=UTC)
LATER = datetime.now(UTC) + timedelta(days=1)


def document(realm, **more):
    fields = {"model": "m", "max_tokens": 1, "provider": "openai", "tooling": {}, "realm_id": realm, **more}
    return {name: value for name, value in fields.items() if value is not None}


def metadata(realm):
    return SessionMetadata.model_validate(document(realm))


class Ids(set):
    """Of sessions."""


class World:
    """A store for each realm, one for all, and the tables."""

    def __init__(self, engine, stores, archives, everything, rows):
        self.engine, self.stores, self.archives, self.everything, self.rows = engine, stores, archives, everything, rows

    def record(self, session_id):
        """Find a session as somebody who is bound to no realm; an impostor holds such a record."""
        found = self.everything.find(session_id)
        if found is None:
            now = datetime.now(UTC)
            found = SessionRecord(session_id, metadata("ours"), 3, 1, now, now)
        return found

    def read(self, call, *arguments, **options):
        """Call something that takes a connection."""
        with connected(self.engine) as connection:
            return call(connection, *arguments, **options)

    def export(self, realm):
        """The ids of the sessions that the command line writes out."""
        url = self.engine.url.render_as_string(hide_password=False)
        result = CliRunner().invoke(root, ["export", "jsonl", "--url", url, "--realm", realm])
        assert result.exit_code in {0, 3}, result.output
        return Ids(json.loads(line)["session_id"] for line in result.stdout.splitlines())

    def cursor(self):
        """A cursor behind the latest session of all realms."""
        return self.everything.list(limit=1).next_cursor

    def content(self):
        """Every row of the tables, with the name of its table and the session's id in front."""
        tables = (session_metadata, session_metadata_archive, session_metadata_quarantine)
        with self.engine.connect() as connection:
            return {(table.name, *row) for table in tables for row in connection.execute(sa.select(table))}

    def owned(self, realm):
        with self.engine.connect() as connection:
            mine = sa.select(session_metadata.c.session_id).where(session_metadata.c.realm == realm)
            return set(connection.execute(mine).scalars())

    def begin(self):
        """Have one session in each realm, both rewritten and listed as bad, and one outdated session in each."""
        with self.engine.begin() as connection:
            for table in Base.metadata.sorted_tables:
                connection.execute(table.delete())
        for realm in REALMS:
            for session_id in (f"old-{realm}", f"new-{realm}"):
                self.everything.import_document(session_id, json.dumps(document(realm, host_mode=True)))
                self.rows.quarantine(session_id, realm=realm)
            self.everything.save(self.everything.load(f"new-{realm}"))


# Each call of a store, for the realm `r`, an id `s` and a realm `o` that may be another's.
CALLS = {
    "load": lambda w, r, s, o: w.stores[r].load(s),
    "find": lambda w, r, s, o: w.stores[r].find(s),
    "stored": lambda w, r, s, o: w.stores[r].stored(s),
    "load_many": lambda w, r, s, o: w.stores[r].load_many(IDS),
    "list": lambda w, r, s, o: w.stores[r].list(realm=o),
    "list behind a cursor": lambda w, r, s, o: w.stores[r].list(after=w.cursor()),
    "list_stored": lambda w, r, s, o: w.stores[r].list_stored()[0],
    "list_stored behind a cursor": lambda w, r, s, o: Ids(
        row.session_id for row in w.stores[r].list_stored(after=w.cursor())[0]
    ),
    "count_by_schema_version": lambda w, r, s, o: w.stores[r].count_by_schema_version(),
    "add": lambda w, r, s, o: w.stores[r].add(s, metadata(o)),
    "save": lambda w, r, s, o: w.stores[r].save(w.record(s)),
    "save with a realm": lambda w, r, s, o: w.stores[r].save(with_realm(w.record(s), o)),
    "update": lambda w, r, s, o: w.stores[r].update(s, lambda m: m.model_copy(update={"realm_id": o})),
    "delete": lambda w, r, s, o: w.stores[r].delete(s),
    "delete a record": lambda w, r, s, o: w.stores[r].delete(w.record(s)),
    "import_document": lambda w, r, s, o: w.stores[r].import_document(s, json.dumps(document(o, host_mode=True))),
    "archive.list": lambda w, r, s, o: w.archives[r].list(),
    "archive.original": lambda w, r, s, o: w.archives[r].original(s),
    "archive.restore": lambda w, r, s, o: w.archives[r].restore(s, lock_version=1),
    "archive.prune": lambda w, r, s, o: w.archives[r].prune(LATER, including_dropped=True),
    "export": lambda w, r, s, o: w.export(r),
    "backfill.undo": lambda w, r, s, o: backfill.undo(w.engine, 3, since=LONG_AGO, realm=r),
    "backfill.run": lambda w, r, s, o: backfill.run(w.engine, Settings(realm=r)),
    "quarantine.entries": lambda w, r, s, o: Ids(entry.session_id for entry in w.read(quarantine.entries, realm=r)),
    "quarantine.entry": lambda w, r, s, o: w.read(quarantine.entry, s, realm=r),
    "quarantine.retry": lambda w, r, s, o: quarantine.retry(w.engine, realm=r),
    "quarantine.retry of one": lambda w, r, s, o: quarantine.retry(w.engine, s, realm=r),
    "verify.verify": lambda w, r, s, o: w.read(verify.verify, realm=r),
    "statistics.read": lambda w, r, s, o: w.read(statistics.read, realm=r),
}
# What others do meanwhile.
OTHERS = {
    "import outdated": lambda w, r, s, o: w.everything.import_document(s, json.dumps(document(o, host_mode=True))),
    "save": lambda w, r, s, o: w.everything.save(w.everything.load(s)),
    "move": lambda w, r, s, o: w.everything.update(s, lambda m: m.model_copy(update={"realm_id": o})),
    "set aside": lambda w, r, s, o: w.rows.quarantine(s, realm=r),
}

STEP = st.tuples(
    st.sampled_from([*((True, name) for name in CALLS), *((False, name) for name in OTHERS)]),
    st.sampled_from(REALMS),
    st.sampled_from(IDS),
    st.sampled_from([*REALMS, None]),
)


def with_realm(record, realm):
    record.metadata.realm_id = realm
    return record


@pytest.fixture
def world(open_store, engine, rows, colour, runner):
    def archive(store):
        return store.archive if colour == "sync" else type(store)(store.archive, runner)

    stores = {realm: open_store(realm=realm) for realm in REALMS}
    return World(engine, stores, {realm: archive(store) for realm, store in stores.items()}, open_store(), rows)


def test_every_public_call_is_among_them():
    """A call that a store learns must be put to this test, too."""
    calls = {name for name, member in vars(SessionStore).items() if isfunction(member) and not name.startswith("_")}
    archive = {name for name, member in vars(StoreArchive).items() if isfunction(member) and not name.startswith("_")}

    beside = {
        f"{module.__name__.removeprefix('rekindle.')}.{name}"
        for module in (quarantine, verify, statistics)
        for name, member in vars(module).items()
        if isfunction(member)
        and not name.startswith("_")
        and signature(member).parameters.get("realm") is not None
        and member.__module__ == module.__name__
    }

    assert calls - {"close"} | {f"archive.{name}" for name in archive} | beside <= CALLS.keys()


@given(steps=st.lists(STEP, min_size=15, max_size=30))
@example(  # moved while its original stays behind: neither realm may find it
    steps=[
        ((False, "move"), "ours", "new-ours", "theirs"),
        ((True, "archive.restore"), "theirs", "new-ours", None),
        ((True, "archive.restore"), "ours", "new-ours", None),
        ((True, "archive.list"), "theirs", "new-ours", None),
        ((True, "quarantine.entries"), "ours", "new-ours", None),
        ((True, "quarantine.entry"), "ours", "new-ours", None),
        ((True, "verify.verify"), "ours", "new-ours", None),
        ((True, "statistics.read"), "ours", "new-ours", None),
        ((True, "archive.prune"), "theirs", "new-ours", None),
        ((True, "archive.prune"), "ours", "new-ours", None),
    ]
)
@settings(
    max_examples=18,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_call_sees_or_touches_another_realm(world, steps):
    """After any steps, each call changes nothing that is not its realm's, and returns nothing that is not."""
    world.begin()

    for (scoped, name), realm, session_id, other in steps:
        if not scoped:
            with suppress(RekindleError, sa.exc.IntegrityError):
                OTHERS[name](world, realm, session_id, other)
            continue
        before, owned = world.content(), world.owned(realm)
        taken = {row[1] for row in before if row[0] == "session_metadata"}
        result = None
        with suppress(RekindleError):
            result = CALLS[name](world, realm, session_id, other)
        after = world.content()

        assert {row for row in before - after if row[1] not in owned} == set()
        assert {row for row in after - before if row[1] not in owned and row[1] in taken} == set()
        check(result, realm, owned)


def check(result, realm, owned):
    """Whatever a call returns is about sessions of the realm."""
    match result:
        case SessionRecord():
            assert result.metadata.realm_id == realm
        case StoredDocument():
            assert result.session_id in owned
        case Page() | Batch():
            assert {record.metadata.realm_id for record in result} <= {realm}
            assert all(error.session_id in owned for error in result.bad)
        case tuple():
            assert {row.session_id for row in result} == owned
        case ArchivePage():
            assert {entry.realm for entry in result} <= {realm}
            assert {entry.session_id for entry in result} <= owned
        case ArchivedDocument() | quarantine.Entry():
            assert (result.session_id in owned, result.realm) == (True, realm)
        case Ids():
            assert result <= owned
        case _:
            check_numbers(result, owned)


def check_numbers(result, owned):
    """What is counted is the realm's, too."""
    match result:
        case dict():
            assert sum(result.values()) == len(owned)
        case Report():
            assert max(result.done.looked_at, result.remaining.outdated) <= len(owned)
        case Undone():
            assert result.looked_at <= len(owned)
        case Verified():
            assert result.rows == len(owned)
            assert {session_id for ids in result.ids.values() for session_id in ids} <= owned
        case Statistics():
            assert result.total == len(owned)
            assert result.quarantined <= len(owned)
