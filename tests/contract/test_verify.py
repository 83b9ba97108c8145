"""Verify: everything that is wrong is named by kind and session, and nothing is changed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from rekindle import backfill, verify
from rekindle.bulk import connected
from rekindle.orm import session_metadata_archive

CREDENTIAL = "sk-proj-" + "Zx81kQ0vLw93mTb7Yd52" * 2
CURRENT = '{"schema_version":3,"model":"gpt-5","max_tokens":1,"provider":"openai","tooling":{}%s}'


@pytest.fixture
def verified(engine):
    """Verify the database, and keep every problem that is told."""

    def run(**options):
        told = []
        with connected(engine) as connection:
            found = verify.verify(connection, on_problem=told.append, **options)
        return found, told

    return run


def put(rows, session_id, more="", **columns):
    rows.insert(session_id, CURRENT % more, 3, **{"model": "gpt-5", **columns})


def test_what_is_right_is_no_problem(engine, rows, documents, new_metadata, rival, verified):
    """Rows of every age, saved, backfilled and imported, with their originals, are all in order."""
    rows.insert("backfilled", documents.outdated, 1, realm="mob:office", comms_name="wörker")
    backfill.run(engine)
    rows.insert("outdated", documents.outdated, 1, realm="mob:office", provider="open_a_i", comms_name="wörker")
    rival.import_document("imported", documents.outdated)
    rival.add("new", new_metadata())
    found, told = verified()

    assert (found.rows, found.archived, found.newer, told) == (4, 1, 0, [])


def test_everything_wrong_is_named(engine, rows, documents, verified):
    """Each kind of problem, with the session and without a value of its document; one bad row hides no other."""
    put(rows, "columns", model="another", realm="elsewhere")
    put(rows, "secret", f',"provider_params":{{"api_key":"{CREDENTIAL}"}}')
    rows.insert("unreadable", '{"model": "gpt-5", "max_tokens": "s3cr3t"}', 1)
    rows.insert("newer", documents.newer, 4)
    rows.insert("archived", documents.outdated, 1)
    rows.insert("orphan", documents.outdated, 1)
    backfill.run(engine)
    rows.delete("orphan")
    rows.quarantine("stale")
    with engine.begin() as connection:
        mine = session_metadata_archive.c.session_id == "archived"
        connection.execute(sa.update(session_metadata_archive).where(mine).values(payload="{}"))
    found, told = verified()

    assert {(problem.kind, problem.session_id) for problem in told} == {
        ("columns", "columns"), ("secret", "secret"), ("unreadable", "unreadable"), ("archive digest", "archived"),
        ("archive orphan", "orphan"), ("quarantine stale", "stale"),
    }  # fmt: skip
    assert [problem.detail for problem in told if problem.kind == "columns"] == ["realm, model"]
    assert (found.newer, found.ids["columns"], found.problems["columns"]) == (1, ["columns"], 1)
    assert not [problem for problem in told if "s3cr3t" in problem.detail or CREDENTIAL in problem.detail]


def test_it_writes_nothing(rows, documents, verified, statements_sent):
    """Nothing but reading statements is sent."""
    rows.insert("unreadable", "{}", 1)
    rows.insert("outdated", documents.outdated, 1)
    with statements_sent() as sent:
        verified()

    assert {statement.split()[0] for statement in sent} == {"SELECT"}


def test_pages_leave_nothing_out(engine, rows, documents, verified, monkeypatch):
    """Rows and originals on many pages are each looked at once."""
    monkeypatch.setattr(verify, "PAGE", 2)
    for statement in (verify.rows_page, verify.archive_page, verify.quarantine_page):
        statement.cache_clear()
    for number in range(7):
        rows.insert(f"session-{number}", documents.outdated, 1, realm="mob:office", comms_name="wörker")
        rows.insert(f"bad-{number}", "{}", 1)
    backfill.run(engine)
    with engine.begin() as connection:
        again = sa.select(session_metadata_archive).where(session_metadata_archive.c.session_id == "session-3")
        row = connection.execute(again).one()._asdict()
        for lock, schema in ((1, 2), (2, 1), (2, 2)):
            connection.execute(
                session_metadata_archive.insert(), {**row, "lock_version": lock, "schema_version": schema}
            )
    found, _ = verified()
    for statement in (verify.rows_page, verify.archive_page, verify.quarantine_page):
        statement.cache_clear()

    assert (found.rows, found.archived, found.problems) == (14, 10, {"unreadable": 7})


def test_a_sample_and_a_realm(rows, verified, monkeypatch):
    """A share of the rows is looked at, and of one realm its own."""
    for number in range(10):
        put(rows, f"session-{number}", ',"realm_id":"a"' if number % 2 else "", realm="a" if number % 2 else None)
    shares = iter([0.9, 0.1] * 5)
    monkeypatch.setattr("rekindle.verify.random.random", lambda: next(shares))
    sampled, _ = verified(sample=0.5)
    of_realm, _ = verified(realm="a")

    assert (sampled.rows, of_realm.rows) == (5, 5)


def test_the_check_for_credentials_can_be_left_out(rows, verified):
    """Whoever keeps them on purpose is not told every time."""
    put(rows, "secret", f',"provider_params":{{"api_key":"{CREDENTIAL}"}}')
    found, _ = verified(secret_guard=None)

    assert not found.problems
