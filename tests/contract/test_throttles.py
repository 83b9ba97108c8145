"""What holds a backfill still holds it still, and lets it go on: asked of the real thing."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
import sqlalchemy as sa

from rekindle import backfill
from rekindle.backfill import Controls, Settings, company
from rekindle.backfill.company import IN_COMPANY
from rekindle.backfill.errors import ReplicaLagUnknownError
from rekindle.orm import session_metadata

WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0",
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx"
    " WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%%wanted%%'",
}
LAGGING = "SELECT interval '7 seconds' AS replay_lag UNION ALL SELECT interval '1 second' UNION ALL SELECT NULL"


@pytest.fixture
def with_replica(backend, engine, database_url):
    """An engine whose session sees another pg_stat_replication: that of a primary with a replica 7 seconds behind."""
    if backend.name != "postgresql":
        pytest.skip("only PostgreSQL tells how far its replicas are behind")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA primary_with_replica")
        connection.exec_driver_sql(f"CREATE VIEW primary_with_replica.pg_stat_replication AS {LAGGING}")
    # Named in the path, the catalogue no longer comes first.
    path = {"options": "-c search_path=primary_with_replica,pg_catalog,public"}
    shadowed = sa.create_engine(database_url, connect_args=path)
    yield shadowed
    shadowed.dispose()
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA primary_with_replica CASCADE")


@pytest.fixture
def somebody_waits(documents, backend, engine, database_url, rows, capabilities):
    """One transaction holds a row and another waits for it; yields how to end both."""
    if not capabilities.locks_single_rows:
        pytest.skip("the engine has no locks on rows")
    rows.insert("wanted", documents.version_2.replace("2", "3", 1).replace("open_a_i", "openai"), 3)
    wanted = session_metadata.update().where(session_metadata.c.session_id == "wanted").values(model="theirs")
    others = sa.create_engine(database_url)
    holder = others.connect()
    holder.execute(wanted)

    def wait():
        with others.begin() as waiting:
            waiting.execute(wanted)

    thread = threading.Thread(target=wait)
    thread.start()
    for _ in range(100):
        time.sleep(0.2)  # MariaDB looks again only when nobody has asked for a tenth of a second
        with engine.connect() as connection:  # a transaction would see what it saw at first
            if connection.exec_driver_sql(WAITING[backend.name]).scalar():
                break

    def release():
        holder.rollback()
        thread.join()

    yield release
    release()
    holder.close()
    others.dispose()


def held_until(act):
    """Controls that note why the run waits, and act at the second time that it does."""
    seen = []

    def on_progress(now):
        seen.append((now.waits_for, now.done.converted))
        if sum(reason is not None for reason, _ in seen) == 2:
            act()

    return Controls(on_progress=on_progress), seen


def test_it_waits_while_a_replica_lags(with_replica, engine, fill):
    """By the worst of the replicas, one of which knows nothing; and goes on when it has caught up."""
    fill(3)

    def catch_up():
        view = "CREATE OR REPLACE VIEW primary_with_replica.pg_stat_replication AS"
        with engine.begin() as connection:
            connection.exec_driver_sql(f"{view} SELECT interval '1 second' AS replay_lag")

    controls, seen = held_until(catch_up)
    report = backfill.run(with_replica, Settings(max_replica_lag=5), controls)

    assert seen[:2] == [("a replica is 7.0 s behind", 0)] * 2
    assert (report.state, report.done.converted) == ("succeeded", 3)


def test_a_lag_within_the_bound_is_none(with_replica, fill):
    """Seven seconds are less than ten."""
    fill(3)
    seen = []
    backfill.run(
        with_replica, Settings(max_replica_lag=10), Controls(on_progress=lambda now: seen.append(now.waits_for))
    )

    assert set(seen) == {None}


def test_who_cannot_know_the_lag_says_so(backend, engine, database_url, fill):
    """Another engine, or a role that is not told: never a throttle that silently does nothing."""
    fill(1)
    if backend.name != "postgresql":
        with pytest.raises(ReplicaLagUnknownError):
            backfill.run(engine, Settings(max_replica_lag=5))
        return
    role = f"rekindle_test_{uuid.uuid4().hex[:12]}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    blind = sa.create_engine(sa.make_url(database_url).set(username=role))
    try:
        with pytest.raises(ReplicaLagUnknownError, match="pg_read_all_stats"):
            backfill.run(blind, Settings(max_replica_lag=5))
    finally:
        blind.dispose()
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_it_waits_while_transactions_wait_for_locks(somebody_waits, engine, fill):
    """One waits for the lock of another: the run holds still until neither does."""
    fill(3)
    controls, seen = held_until(somebody_waits)
    report = backfill.run(engine, Settings(max_lock_waits=0), controls)

    assert [reason.startswith("transactions waiting for locks: ") for reason, _ in seen[:2]] == [True, True]
    assert [converted for _, converted in seen[:2]] == [0, 0]
    assert (report.state, report.done.converted) == ("succeeded", 3)


def test_as_many_waits_as_allowed_are_no_reason(somebody_waits, engine, fill):
    """The bound is how many may wait."""
    fill(3)
    seen = []
    backfill.run(engine, Settings(max_lock_waits=50), Controls(on_progress=lambda now: seen.append(now.waits_for)))

    assert set(seen) == {None}


def test_the_rate_is_kept(engine, fill):
    """120 rows at 100 a second take more than a second, however fast the database is; the first 20 are free."""
    fill(120)
    begun = time.monotonic()
    report = backfill.run(engine, Settings(max_rate=100, batch_size=20))
    seconds = time.monotonic() - begun

    assert report.done.converted == 120
    assert 1.0 <= seconds < 5


@pytest.fixture
def somebody_writes(rival):
    """Several writes, because one behind a batch could be that of the run's own record."""

    def write(session_id):
        for _ in range(3):
            rival.update(session_id, lambda metadata: metadata)

    return write


def test_another_writer_is_made_way_for(engine, fill, somebody_writes, monkeypatch):
    """Small batches while somebody else writes, with a rest behind each."""
    monkeypatch.setattr(company, "SECONDS", 0)
    fill(500)
    sizes, rests = [], []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            rests.append(timeout)
            return False

    def write_at_first(now):
        sizes.append(now.batch_size)
        if len(sizes) < 4:
            somebody_writes("session-00499")

    report = backfill.run(engine, Settings(), Controls(Stop(), write_at_first))

    assert report.state == "succeeded"
    assert [size == IN_COMPANY for size in sizes[:5]] == [False, True, True, True, False]
    assert len(rests) == 3
    assert all(0 < rest < 1 for rest in rests)


def test_it_is_made_way_for_a_while(engine, fill, somebody_writes):
    """Between two small batches nobody need have written; so they stay small for a second."""
    fill(500)
    sizes = []

    def write_once(now):
        sizes.append(now.batch_size)
        if len(sizes) == 1:
            somebody_writes("session-00499")

    backfill.run(engine, Settings(), Controls(on_progress=write_once))

    assert [size == IN_COMPANY for size in sizes[:6]] == [False, True, True, True, True, True]


@pytest.mark.parametrize("workers", [1, 2])
def test_nobody_takes_itself_for_somebody_else(engine, fill, monkeypatch, workers):
    """Its record counted, and what workers have committed and not told of; a server may analyse a table meanwhile."""
    monkeypatch.setattr(company, "SECONDS", 0)
    fill(3_000)
    sizes = []

    backfill.run(engine, Settings(workers=workers), Controls(on_progress=lambda now: sizes.append(now.batch_size)))

    assert sizes.count(IN_COMPANY) <= 1


def test_a_size_that_was_asked_for_is_kept(engine, fill, somebody_writes):
    """Whoever else writes."""
    fill(300)
    sizes = []

    def write(now):
        sizes.append(now.batch_size)
        if len(sizes) < 4:
            somebody_writes("session-00299")

    backfill.run(engine, Settings(batch_size=50), Controls(on_progress=write))

    assert set(sizes) == {50}


def test_a_dry_run_makes_way_for_nobody(engine, fill, somebody_writes):
    """It does not write, so it is in nobody's way."""
    fill(30)
    sizes = []

    def write(now):
        sizes.append(now.batch_size)
        somebody_writes("session-00029")

    backfill.run(engine, Settings(dry_run=True, max_rate=20), Controls(on_progress=write))

    assert IN_COMPANY not in sizes
