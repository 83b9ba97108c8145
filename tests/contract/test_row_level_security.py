"""Row-level security on PostgreSQL: a role without a bypass sees only the realm that its session is set to."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from rekindle import AsyncSessionStore, SessionStore, backfill, quarantine, statistics
from rekindle import row_level_security as rls
from rekindle.backfill import Settings
from rekindle.bulk import connected
from rekindle.cli import root
from rekindle.database import differences
from rekindle.engine import create_engine
from rekindle.errors import (
    DatabaseUnavailableError,
    RealmMismatchError,
    SessionExistsError,
    SessionNotFoundError,
)

OLD = '{"model":"gpt-4.1","max_tokens":1,"provider":"openai","tooling":{},"realm_id":"ours"}'


@pytest.fixture
def on_postgresql(backend):
    if backend.name != "postgresql":
        pytest.skip("only PostgreSQL has row-level security")


@pytest.fixture
def secured(on_postgresql, engine):
    """Row-level security is on, for all but the owner."""
    with engine.begin() as connection:
        rls.enable(connection)
    yield engine
    with engine.begin() as connection:
        rls.disable(connection)


@pytest.fixture
def role(on_postgresql, engine):
    """The name of a role that may use the tables, owns nothing and bypasses nothing."""
    name = f"rekindle_test_{uuid.uuid4().hex[:12]}"
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE ROLE {name} LOGIN NOSUPERUSER NOBYPASSRLS"))
        connection.execute(sa.text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}"))
        connection.execute(sa.text(f"GRANT INSERT, UPDATE, DELETE ON {', '.join(rls.TABLES)} TO {name}"))
    yield name
    with engine.begin() as connection:
        connection.execute(sa.text(f"REASSIGN OWNED BY {name} TO CURRENT_USER"))
        connection.execute(sa.text(f"DROP OWNED BY {name}"))
        connection.execute(sa.text(f"DROP ROLE {name}"))


@pytest.fixture
def role_url(role, database_url):
    return sa.make_url(database_url).set(username=role)


@pytest.fixture
def open_as_role(role_url, colour, runner, store):
    """Open a store as the role without a bypass."""
    opened = []

    def open_(**options):
        async def asynchronous():
            return await AsyncSessionStore.open(role_url, **options)

        if colour == "sync":
            opened.append(SessionStore.open(role_url, **options))
        else:
            opened.append(type(store)(runner.run(asynchronous()), runner))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


@pytest.fixture
def archive_of(colour, runner):
    return lambda store: store.archive if colour == "sync" else type(store)(store.archive, runner)


@pytest.fixture
def theirs(store, rows, engine):
    """A session of another realm, with something in the archive and in the quarantine, and a backfill of that realm."""
    rows.insert("theirs", OLD.replace("ours", "theirs"), 1, realm="theirs")
    store.save(store.load("theirs"))
    rows.quarantine("theirs", realm="theirs")
    backfill.run(engine, Settings(realm="theirs"))
    return rows.read("theirs")


@pytest.fixture
def as_role(role_url):
    """Run SQL of one's own as the role, with the session set to a realm or to none."""

    def run(statement, realm=None):
        engine = sa.create_engine(role_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            if realm is not None:
                connection.execute(sa.text("SELECT set_config('rekindle.realm', :realm, true)"), {"realm": realm})
            result = connection.execute(sa.text(statement))
            return result.scalar_one() if result.returns_rows else result.rowcount

    return run


@pytest.mark.usefixtures("secured", "theirs")
def test_a_store_of_a_realm_works_as_ever(open_as_role, archive_of, new_metadata, rows):
    """Every verb does what it did, for the role and the realm that the store is opened with."""
    ours = open_as_role(realm="ours")
    rows.insert("outdated", OLD, 1, realm="ours")

    added = ours.add("session-1", new_metadata(realm_id="ours"))
    saved = ours.save(ours.load("outdated"))
    updated = ours.update("session-1", lambda _: None)
    restored = archive_of(ours).restore("outdated")

    assert (added.lock_version, saved.schema_version, updated.lock_version, restored.schema_version) == (1, 3, 2, 1)
    assert sorted(record.session_id for record in ours.list()) == ["outdated", "session-1"]
    assert ours.import_document("imported", OLD) == "imported"
    assert ours.import_document("imported", OLD) == "unchanged"
    for session_id in ("outdated", "session-1", "imported"):
        ours.delete(session_id)
    assert rows.count() == {"sessions": 1, "archive": 1, "quarantine": 1}


@pytest.mark.usefixtures("secured")
def test_another_realm_is_out_of_reach_through_the_store(open_as_role, theirs, new_metadata, rows, store):
    """Its ids are taken and not found, its rows stay as they are."""
    ours = open_as_role(realm="ours")
    record = store.load("theirs")

    with pytest.raises(SessionExistsError):
        ours.add("theirs", new_metadata(realm_id="ours"))
    with pytest.raises(SessionExistsError):
        ours.import_document("theirs", OLD)
    for call in (ours.load, ours.delete, ours.stored):
        with pytest.raises(SessionNotFoundError):
            call("theirs")
    with pytest.raises(SessionNotFoundError):
        ours.save(replace(record, metadata=new_metadata(realm_id="ours")))
    with pytest.raises(RealmMismatchError):
        ours.add("new", new_metadata(realm_id="theirs"))

    assert rows.read("theirs") == theirs


@pytest.mark.parametrize("table", rls.TABLES)
def test_a_forgotten_where_reaches_only_the_own_realm(secured, as_role, theirs, engine, table):
    """SQL without any condition sees, changes and removes nothing of another realm, in all four tables."""

    def content():
        with engine.connect() as connection:
            return connection.execute(sa.text(f"SELECT * FROM {table}")).all()

    before = content()

    assert as_role(f"SELECT count(*) FROM {table}") == 0
    assert as_role(f"SELECT count(*) FROM {table}", realm="ours") == 0
    assert as_role(f"UPDATE {table} SET realm = 'ours'", realm="ours") == 0
    assert as_role(f"DELETE FROM {table}", realm="ours") == 0
    assert as_role(f"DELETE FROM {table}") == 0
    assert as_role(f"SELECT count(*) FROM {table}", realm="theirs") == 1
    assert content() == before
    assert len(before) == 1


def test_a_row_cannot_be_given_to_another_realm(secured, as_role, theirs, rows):
    """What a session may write is checked by the same rule as what it may see."""
    with pytest.raises(sa.exc.ProgrammingError, match="row-level security"):
        as_role("UPDATE session_metadata SET realm = 'ours'", realm="theirs")

    assert rows.read("theirs") == theirs


def test_a_store_without_a_realm_sees_nothing_and_says_why_it_cannot_write(secured, open_as_role, theirs, new_metadata):
    """A forgotten realm is no way around: nothing is found, and a write is refused with the remedy."""
    everything = open_as_role()

    with pytest.raises(DatabaseUnavailableError, match="open the store with the realm"):
        everything.add("session-1", new_metadata(realm_id="ours"))

    assert len(everything.list()) == 0
    assert everything.find("theirs") is None


def test_every_connection_of_a_store_is_set_to_its_realm(secured, open_as_role, new_metadata, engine, role):
    """Also the one that replaces a connection that was lost."""
    ours = open_as_role(realm="ours")
    ours.add("session-1", new_metadata(realm_id="ours"))

    with engine.begin() as connection:
        mine = sa.text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = :role")
        ended = connection.execute(mine, {"role": role}).all()

    assert ended
    assert ours.load("session-1").lock_version == 1


def test_a_realm_is_backfilled_by_a_role_that_is_bound_to_it(secured, role_url, theirs, rows):
    """Its rows are rewritten, listed and counted as ever; of the run, and of its rows, no other realm knows."""
    rows.insert("outdated", OLD, 1, realm="ours")
    rows.insert("bad", "{}", 1, realm="ours")
    engine = create_engine(role_url, realm="ours")

    report = backfill.run(engine, Settings(realm="ours"))
    retried = quarantine.retry(engine, realm="ours")
    with connected(engine) as connection:
        (run,) = connection.execute(sa.text("SELECT run_id, realm FROM session_metadata_backfill")).all()
        seen = statistics.read(connection, "ours")
    engine.dispose()

    assert (report.state, report.done.converted, report.done.quarantined) == ("succeeded", 1, 1)
    assert retried.failed == 1
    assert (run.run_id, run.realm) == (report.run_id, "ours")
    assert (seen.total, seen.quarantined, seen.archived_rows) == (2, 1, 1)
    assert rows.read("theirs") == theirs


def test_a_backfill_of_all_realms_is_refused_to_a_role_that_is_bound(secured, role_url, theirs, rows):
    """It would find nothing to do and say that it has succeeded."""
    engine = create_engine(role_url)

    with pytest.raises(DatabaseUnavailableError, match="open the store with the realm"):
        backfill.run(engine)
    engine.dispose()

    assert rows.read("theirs") == theirs


def test_the_owner_is_exempt_unless_forced(secured, as_role, theirs, role, engine):
    """An application that connects as the owner of the tables is bound by `force`."""
    with engine.begin() as connection:
        for table in rls.TABLES:
            connection.execute(sa.text(f"ALTER TABLE {table} OWNER TO {role}"))

    assert as_role("SELECT count(*) FROM session_metadata") == 1
    with engine.begin() as connection:
        rls.enable(connection, force=True)
    assert as_role("SELECT count(*) FROM session_metadata") == 0
    assert as_role("SELECT count(*) FROM session_metadata", realm="theirs") == 1
    with engine.begin() as connection:
        rls.enable(connection)
    assert as_role("SELECT count(*) FROM session_metadata") == 1


def test_it_is_no_difference_to_the_tables(secured, engine):
    """`alembic check` and `rekindle db check` have nothing to say about policies."""
    with engine.connect() as connection:
        assert differences(connection) == []


def test_it_can_be_switched_off_again(secured, as_role, theirs):
    """disable() leaves nothing behind, and both may be repeated."""
    with secured.begin() as connection:
        rls.enable(connection)
        rls.disable(connection)
        found = rls.disable(connection)
        policies = connection.execute(sa.text("SELECT count(*) FROM pg_policies")).scalar_one()

    assert (found.enabled, found.forced, found.binding, policies) == (False, False, False, 0)
    assert as_role("SELECT count(*) FROM session_metadata") == 1


def test_the_command_says_whom_it_binds(secured, role, role_url, database_url):
    """enable, disable and show tell what holds, and whether it holds for the role that asks."""

    def call(action, url, *options):
        arguments = ["db", "row-level-security", action, "--url", url.render_as_string(False), *options]
        return CliRunner().invoke(root, arguments)

    url = sa.make_url(database_url)
    assert "exempt" in call("enable", url).stderr
    assert f"the role '{role}' is bound by it" in call("show", role_url).stderr
    assert '"binding": true' in call("show", role_url, "--json").stdout
    assert call("disable", role_url).exit_code == 1
    assert "is off" in call("disable", url).stderr


@pytest.mark.parametrize("command", [["verify"], ["quarantine", "retry"], ["status"]], ids=" ".join)
def test_a_command_for_a_realm_works_as_a_role_that_is_bound(secured, role_url, theirs, rows, command):
    """--realm is told to PostgreSQL as well: the realm's rows are found, and no others."""
    rows.insert("outdated", OLD, 1, realm="ours")
    rows.quarantine("outdated", realm="ours")
    options = ["--url", role_url.render_as_string(False), "--realm", "ours", "--json"]

    result = CliRunner().invoke(root, [*command, *options])
    found = json.loads(result.stdout)

    assert {"rows": 1, "converted": 1, "total": 1}.items() & found.items(), found
    assert "theirs" not in result.stdout


def test_other_databases_say_that_they_have_none(backend, engine):
    """DatabaseUnavailableError, with what does hold everywhere."""
    if backend.name == "postgresql":
        pytest.skip("it has")
    with engine.connect() as connection, pytest.raises(DatabaseUnavailableError, match="opened with a realm"):
        rls.enable(connection)


def test_an_original_that_the_role_does_not_see_is_not_in_its_way(open_as_role, secured, rows, documents):
    """What a session that was moved away left in its old realm stays there, and the new session's is kept beside it."""
    rows.insert("session-1", OLD, 1, realm="theirs")
    ours = open_as_role(realm="ours")
    rows.edit("session-1", realm="ours")
    ours.save(ours.load("session-1"))
    with secured.begin() as connection:
        connection.execute(sa.text("UPDATE session_metadata_archive SET realm = 'theirs', payload = '{}'"))
    ours.delete("session-1")
    ours.import_document("session-1", OLD)
    ours.save(ours.load("session-1"))

    assert [(kept["realm"], kept["lock_version"], kept["payload"]) for kept in rows.archived("session-1")] == [
        ("ours", -1, OLD), ("theirs", 1, "{}"),
    ]  # fmt: skip
