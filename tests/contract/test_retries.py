"""
Lost connections: what is safe is repeated, and what may have arrived is read back.

A proxy between the store and the real server cuts the connection at a chosen statement, on the way there or on the way
back. SQLite has no connection to lose.
"""

from __future__ import annotations

import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random

import pytest
import sqlalchemy as sa
import stamina

from rekindle import AsyncSessionStore, SessionStore
from rekindle.errors import DatabaseUnavailableError, OutcomeUnknownError, SessionNotFoundError, StaleSessionError

BEFORE = "on the way there"
AFTER = "on the way back"
ABANDONED = "while the server is at it"


class Proxy:
    """Passes on what is said between clients and a server, until it is told to cut a connection."""

    def __init__(self, host, port):
        self._upstream = (host, port)
        self._rule = None
        self._pairs = []
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, words, way, then=lambda: None):
        """Cut the connection on which the next statement with these words is sent; `then` happens right before."""
        self._rule = (words, way, then)

    @property
    def ports(self):
        """The ports by which the server knows its clients."""
        return [server.getsockname()[1] for _, server in self._pairs if server.fileno() != -1]

    def close(self):
        _close(self._listener)
        self.cut_all()

    def cut_all(self):
        while self._pairs:
            _close(*self._pairs.pop())

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream)
                pair = (client, server)
                self._pairs.append(pair)
                swallow = threading.Event()
                threading.Thread(target=self._requests, args=(*pair, swallow), daemon=True).start()
                threading.Thread(target=self._replies, args=(*pair, swallow), daemon=True).start()

    def _requests(self, client, server, swallow):
        with suppress(OSError):
            while data := client.recv(1 << 20):
                rule = self._rule
                if rule is None or rule[0] not in data:
                    server.sendall(data)
                    continue
                self._rule = None
                self.cuts += 1
                _, way, then = rule
                if way == BEFORE:
                    then()
                    break
                swallow.then = then
                swallow.set()
                server.sendall(data)
                if way == ABANDONED:
                    _close(client)
                return
        _close(client, server)

    def _replies(self, client, server, swallow):
        with suppress(OSError):
            while data := server.recv(1 << 20):
                if swallow.is_set():  # the server has done it, and nobody will know
                    swallow.then()
                    break
                client.sendall(data)
        _close(client, server)


def _close(*sockets):
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@pytest.fixture
def proxy(backend, database_url):
    if backend.server is None:
        pytest.skip("a file has no connection to lose")
    url = sa.make_url(database_url)
    proxy = Proxy(url.host, url.port)
    yield proxy
    proxy.close()


@pytest.fixture
def remote_url(backend, database_url, proxy):
    """Where the database is by way of the proxy, which has to be able to read along."""
    url = sa.make_url(database_url).set(host="127.0.0.1", port=proxy.port)
    return url.update_query_dict({"sslmode": "disable"} if backend.name == "postgresql" else {})


@pytest.fixture
def remote(store, colour, runner, remote_url):
    """A store whose connections go through the proxy."""
    if colour == "sync":
        with SessionStore.open(remote_url) as remote:
            yield remote
    else:

        async def opened():
            return await AsyncSessionStore.open(remote_url)

        remote = type(store)(runner.run(opened()), runner)
        yield remote
        remote.close()


@pytest.fixture
def archive_of(colour, runner):
    return lambda store: store.archive if colour == "sync" else type(store)(store.archive, runner)


@pytest.fixture
def session(rows, store, documents, new_metadata):
    """Three sessions: one current, one outdated, one that was outdated and has been saved."""
    store.add("current", new_metadata(provider_params={"n": 0}))
    for session_id in ("outdated", "rewritten"):
        rows.insert(session_id, documents.outdated, 1)
    store.save(store.load("rewritten"))


def count_up(metadata):
    metadata.provider_params["n"] += 1


WRITES = [
    pytest.param(b"INSERT INTO session_metadata ", "add", id="add"),
    pytest.param(b"UPDATE session_metadata ", "save", id="save"),
    pytest.param(b"UPDATE session_metadata ", "update", id="update"),
    pytest.param(b"COMMIT", "save outdated", id="save of an outdated row"),
    pytest.param(b"UPDATE session_metadata ", "save outdated", id="save of an outdated row, at its update"),
    pytest.param(
        b"INSERT INTO session_metadata_archive", "save outdated", id="save of an outdated row, at its archive"
    ),
    pytest.param(b"COMMIT", "delete", id="delete by id"),
    pytest.param(b"DELETE FROM session_metadata ", "delete", id="delete by id, at its first statement"),
    pytest.param(b"DELETE FROM session_metadata_archive", "delete record", id="delete of a record, at its archive"),
    pytest.param(b"COMMIT", "delete record", id="delete of a record"),
    pytest.param(b"INSERT INTO session_metadata ", "import", id="import"),
    pytest.param(b"COMMIT", "restore", id="restore"),
]


class Verbs:
    """Each write, and the one state that it may lead to however often it was tried."""

    def __init__(self, store, archive, new_metadata, documents, rows):
        self.store, self.archive, self.new_metadata = store, archive, new_metadata
        self.documents, self.rows = documents, rows

    def add(self):
        added = self.store.add("new", self.new_metadata())
        assert self.store.load("new") == added

    def save(self):
        record = self.store.load("current")
        count_up(record.metadata)
        saved = self.store.save(record)
        assert (saved.lock_version, saved.metadata.provider_params) == (2, {"n": 1})
        assert self.store.load("current") == saved

    def update(self):
        updated = self.store.update("current", count_up)
        assert (updated.lock_version, updated.metadata.provider_params) == (2, {"n": 1})
        assert self.store.load("current") == updated

    def save_outdated(self):
        saved = self.store.save(self.store.load("outdated"))
        assert (saved.lock_version, saved.schema_version) == (2, 3)
        assert self.store.load("outdated") == saved
        assert [kept["payload"] for kept in self.rows.archived("outdated")] == [self.documents.outdated]

    def delete(self):
        self.store.delete("rewritten")
        assert self.store.find("rewritten") is None
        assert self.rows.count() == {"sessions": 2, "archive": 0, "quarantine": 0}

    def delete_record(self):
        self.store.delete(self.store.load("rewritten"))
        assert self.rows.count() == {"sessions": 2, "archive": 0, "quarantine": 0}

    def import_(self):
        assert self.store.import_document("new", self.documents.outdated) == "imported"
        assert self.rows.read("new")["payload"] == self.documents.outdated

    def restore(self):
        restored = self.archive.restore("rewritten")
        assert (restored.lock_version, restored.schema_version) == (3, 1)
        assert self.store.load("rewritten") == restored
        assert [kept["lock_version"] for kept in self.rows.archived("rewritten")] == [1, 2]


@pytest.fixture
def verbs(request, session, remote, archive_of):
    others = (request.getfixturevalue(name) for name in ("new_metadata", "documents", "rows"))
    made = Verbs(remote, archive_of(remote), *others)
    names = {"save outdated": "save_outdated", "delete record": "delete_record", "import": "import_"}
    return lambda verb: getattr(made, names.get(verb, verb))()


@pytest.mark.parametrize("way", [BEFORE, AFTER])
@pytest.mark.parametrize(("words", "verb"), WRITES)
def test_a_write_takes_effect_once_whatever_was_lost(verbs, proxy, words, verb, way):
    """Cut on the way there it is made again, cut on the way back it is found to have arrived: once, and answered."""
    proxy.cut(words, way)

    verbs(verb)

    assert proxy.cuts == 1


@pytest.mark.parametrize("way", [BEFORE, AFTER])
def test_a_session_that_never_was_is_not_taken_for_deleted(session, remote, rows, proxy, way):
    """A delete that is repeated finds nothing, and says so: no earlier try can have come as far as to commit."""
    proxy.cut(b"DELETE FROM session_metadata ", way)

    with pytest.raises(SessionNotFoundError):
        remote.delete("never was")

    assert proxy.cuts == 1
    assert rows.count()["sessions"] == 3


@pytest.mark.parametrize("way", [BEFORE, AFTER])
def test_a_read_is_repeated(session, remote, proxy, way):
    """A read that was cut off is answered all the same."""
    for read in (
        lambda: remote.load("current").lock_version == 1,
        lambda: len(remote.list()) == 3,
        lambda: len(remote.load_many(["current", "outdated"])) == 2,
        lambda: sum(remote.count_by_schema_version().values()) == 3,
    ):
        proxy.cut(b"SELECT", way)

        assert read()
    assert proxy.cuts == 4


@pytest.mark.parametrize("verb", sorted({each.values[1] for each in WRITES}))
def test_connections_that_the_server_dropped_while_idle_are_replaced(verbs, proxy, remote, engine, verb):
    """A server that was restarted, or drops who is idle, is noticed by no caller, of reads or of writes."""
    with ThreadPoolExecutor(3) as threads:
        if isinstance(remote, SessionStore):
            list(threads.map(remote.load, ["current"] * 12))
        else:
            remote.load("current")
    dropped = drop(engine, proxy.ports)

    verbs(verb)

    assert dropped


def drop(engine, ports):
    """Have the server end the sessions of the clients at these ports; their number."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            mine = sa.text("SELECT pid FROM pg_stat_activity WHERE client_port = ANY(:ports)")
            found = connection.execute(mine, {"ports": ports}).scalars().all()
            for pid in found:
                # Waits until it is gone.
                connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        else:
            everybody = connection.execute(sa.text("SELECT id, host FROM information_schema.processlist")).all()
            found = [id_ for id_, host in everybody if host.rpartition(":")[2] in map(str, ports)]
            for id_ in found:
                connection.execute(sa.text(f"KILL CONNECTION {id_}"))
        connection.commit()
    return len(found)


def test_the_same_document_saved_by_somebody_else_is_not_taken_for_ours(session, remote, rival, proxy):
    """Two who count from 0 both save 1: whoever did not arrive must learn it, or an increment would be lost."""
    proxy.cut(b"UPDATE session_metadata ", BEFORE, lambda: rival.update("current", count_up))

    updated = remote.update("current", count_up)

    assert proxy.cuts == 1
    assert updated.metadata.provider_params == {"n": 2}
    assert (remote.load("current"), updated.lock_version) == (updated, 3)


def test_a_save_that_did_not_arrive_in_time_is_stale(session, remote, rival, proxy):
    """When somebody else saved first, it is known that the lost save cannot have been: StaleSessionError."""
    record = remote.load("current")
    proxy.cut(b"UPDATE session_metadata ", BEFORE, lambda: rival.update("current", count_up))

    with pytest.raises(StaleSessionError) as caught:
        remote.save(record)

    assert (caught.value.expected_lock_version, caught.value.found_lock_version) == (1, 2)


def test_what_cannot_be_told_is_not_guessed(session, remote, rival, proxy):
    """A save that arrived and has another on top has left no trace: OutcomeUnknownError, and no repetition."""
    calls = []

    def change(metadata):
        calls.append(metadata)
        count_up(metadata)

    proxy.cut(b"UPDATE session_metadata ", AFTER, lambda: rival.update("current", count_up))

    with pytest.raises(OutcomeUnknownError) as caught:
        remote.update("current", change)

    assert caught.value.session_id == "current"
    assert len(calls) == 1
    assert remote.load("current").metadata.provider_params == {"n": 2}


def test_a_save_that_arrives_late_is_counted_once(session, remote, proxy, engine):
    """A server that goes on with a statement whose client is gone may finish it before the second try: it is ours."""
    with engine.connect() as holder, ThreadPoolExecutor(1) as thread:
        holder.execute(sa.text("SELECT 1 FROM session_metadata WHERE session_id = 'current' FOR UPDATE"))
        proxy.cut(b"UPDATE session_metadata ", ABANDONED)

        def update():
            return remote.update("current", count_up)

        updating = thread.submit(update)
        while not proxy.cuts or waiting(engine) < 2:
            assert not updating.done()
        holder.rollback()
        updated = updating.result(timeout=30)

    assert (updated.lock_version, updated.metadata.provider_params) == (2, {"n": 1})
    assert remote.load("current") == updated


def waiting(engine):
    """How many updates the server is at in the test's database; the row is locked, so they wait."""
    statements = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock'",
        # Not innodb_trx, which shows old news to who asks all the time.
        "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() "
        "AND info LIKE 'UPDATE session_metadata %'",
    }
    with engine.connect() as connection:
        return connection.execute(sa.text(statements[engine.dialect.name])).scalar_one()


def test_a_server_that_stays_away_is_named_without_the_password(session, remote, proxy):
    """After all tries DatabaseUnavailableError says where and what to do, for reads and for writes."""
    record = remote.load("current")
    proxy.close()

    with stamina.set_testing(True, attempts=3):
        for call in (lambda: remote.load("current"), lambda: remote.save(record), lambda: remote.delete(record)):
            with pytest.raises(DatabaseUnavailableError) as caught:
                call()

            assert str(proxy.port) in caught.value.url
            assert "check" in str(caught.value)


def test_a_deadlock_is_repeated(session, remote, engine, right_before, rows):
    """The server undoes one of two transactions that wait for each other; the store's is simply made again."""
    with engine.connect() as rival, ThreadPoolExecutor(1) as thread:
        if engine.dialect.name == "postgresql":
            rival.execute(sa.text("SET deadlock_timeout = '30s'"))  # the other one notices first, and gives way
            rival.commit()
        for number in range(50):  # MariaDB undoes the transaction that has done less
            rival.execute(sa.text(f"INSERT INTO session_metadata_archive VALUES ({filler(number)})"))
        rival.execute(sa.text(f"INSERT INTO session_metadata_archive VALUES ({filler(0, 'outdated')})"))
        lock = sa.text("SELECT 1 FROM session_metadata WHERE session_id = 'outdated' FOR UPDATE")
        waiting = []

        def wait_for_each_other():
            waiting.append(thread.submit(rival.execute, lock))
            waiting[0].add_done_callback(lambda _: rival.rollback())

        with right_before("INSERT INTO session_metadata_archive", wait_for_each_other):
            saved = remote.save(remote.load("outdated"))

    assert waiting
    assert waiting[0].exception() is None
    assert remote.load("outdated") == saved
    assert [kept["lock_version"] for kept in rows.archived("outdated")] == [1]


def filler(number, session_id="filler"):
    return f"'{session_id}', {number + 1}, 1, '', '', '[]', NULL, '', '2024-01-01', '2024-01-01'"


FAIL_ONCE = """
    CREATE SEQUENCE tries;
    CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('tries') = 1 THEN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER fail_once BEFORE UPDATE ON session_metadata FOR EACH ROW EXECUTE FUNCTION fail_once();
"""
"""A sequence is not rolled back, so the second try is told from the first."""


@pytest.fixture
def fails_to_serialize_once(backend, engine):
    """PostgreSQL answers the next update of a session with a serialization failure."""
    if backend.name != "postgresql":
        pytest.skip("no other engine has such failures beside its deadlocks")
    with engine.begin() as connection:
        connection.exec_driver_sql(FAIL_ONCE)
    yield
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP FUNCTION fail_once CASCADE; DROP SEQUENCE tries")


@pytest.mark.usefixtures("fails_to_serialize_once")
@pytest.mark.parametrize("schema_version", [1, 3])
def test_a_serialization_failure_is_repeated(store, rows, documents, new_metadata, schema_version):
    """The server has undone the whole transaction: the save is made again, and the original archived once."""
    payload = documents.outdated if schema_version == 1 else new_metadata().model_dump_json()
    rows.insert("session-1", payload, schema_version)

    saved = store.save(store.load("session-1"))

    assert (saved.lock_version, store.load("session-1")) == (2, saved)
    assert [kept["payload"] for kept in rows.archived("session-1")] == [payload] * (schema_version == 1)


def test_counting_through_a_bad_network_counts_right(store, remote_url, proxy, new_metadata, colour):
    """Of many increments through a network that keeps breaking, each that was acknowledged is there exactly once."""
    if colour == "async":
        pytest.skip("threads are what makes it interesting")
    store.add("session-1", new_metadata(provider_params={"n": 0}))
    random = Random(7)
    done, unknown = [], []

    def disturb():
        proxy.cut(random.choice([b"UPDATE", b"SELECT"]), random.choice([BEFORE, AFTER]))

    def count(_):
        for _ in range(10):
            disturb()
            try:
                remote.update("session-1", count_up)
                done.append(1)
            except OutcomeUnknownError:
                unknown.append(1)

    with SessionStore.open(remote_url) as remote, ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))

    counted = store.load("session-1").metadata.provider_params["n"]
    assert len(done) + len(unknown) == 40
    assert len(done) <= counted <= 40
    assert proxy.cuts > 10


def test_a_call_that_is_made_again_is_told(remote, proxy, session, caplog):
    """One record with the class of the driver's error, and nothing of what was sent."""
    caplog.set_level(logging.INFO, logger="rekindle")
    record = remote.load("current")
    proxy.cut(b"UPDATE session_metadata ", BEFORE)

    remote.save(record)

    (told,) = [record for record in caplog.records if record.name == "rekindle"]
    assert (told.levelname, told.connection_lost) == ("WARNING", True)
    assert told.error_class in told.getMessage()
