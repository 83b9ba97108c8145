"""Which old steps are still needed, and how many rows there are: asked of the tables, cheaply."""

from __future__ import annotations

from rekindle import backfill, counting, statistics
from rekindle.bulk import connected
from rekindle.floor import floor
from rekindle.orm import session_metadata_archive


def steps(engine):
    with connected(engine) as connection:
        return {(step.from_version, step.to_version): step.reasons for step in floor(connection)}


def test_any_outdated_row_keeps_every_step(engine, rows):
    """The number in a row may lie, so a row at 2 may need the step from 1 as well."""
    rows.insert("session-1", '{"schema_version": 2}', 2)
    found = steps(engine)

    assert set(found) == {(1, 2), (2, 3)}
    assert all("1 rows are at schema version 2" in reasons for reasons in found.values())


def test_the_quarantine_and_the_archive_keep_steps(engine, rows, documents):
    """What restore would put back needs its steps; when the archive is pruned too, none is needed."""
    rows.insert("session-1", documents.outdated, 1)
    backfill.run(engine)
    kept_by_archive = steps(engine)
    with engine.begin() as connection:
        connection.execute(session_metadata_archive.delete())
    free = steps(engine)
    rows.quarantine("bad")
    kept_by_quarantine = steps(engine)

    assert [len(reasons) for reasons in kept_by_archive.values()] == [1, 1]
    assert free == {(1, 2): (), (2, 3): ()}
    assert [len(reasons) for reasons in kept_by_quarantine.values()] == [1, 1]


def test_rows_are_counted_exactly_while_that_is_cheap(engine, rows, documents):
    """Each stored version with its rows, found by the index."""
    for number in range(3):
        rows.insert(f"old-{number}", documents.outdated, 1)
    rows.insert("newer", documents.newer, 4)
    with connected(engine) as connection:
        counts = counting.rows_by_schema_version(connection)
        below = counting.rows_by_schema_version(connection, below=3)

    assert {version: str(count) for version, count in counts.items()} == {1: "3", 4: "1"}
    assert list(below) == [1]


def test_a_huge_table_is_estimated(engine, backend, rows, documents, monkeypatch):
    """Beyond what is counted a number is "about"; on SQLite, whose planner knows none, it stays exact."""
    for number in range(30):
        rows.insert(f"old-{number:02}", documents.outdated, 1)
    rows.insert("newer", documents.newer, 4)
    monkeypatch.setattr(counting, "EXACT_UP_TO", 10)
    monkeypatch.setattr(statistics, "EXACT_UP_TO", -1)
    with connected(engine) as connection:
        if backend.name != "sqlite":
            word = "ANALYZE" if backend.name == "postgresql" else "ANALYZE TABLE"
            connection.exec_driver_sql(f"{word} session_metadata")
        found = statistics.read(connection)

    assert found.estimated == (frozenset() if backend.name == "sqlite" else {1})
    assert found.rows_by_schema_version[4] == 1
    assert 11 <= found.rows_by_schema_version[1] <= 60
    assert found.archive_estimated is (backend.name != "sqlite")
