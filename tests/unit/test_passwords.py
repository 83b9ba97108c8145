"""The password of a database: sent to its server, and shown nowhere."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from traceback import TracebackException

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from rekindle import AsyncSessionStore, SessionStore
from rekindle.cli import root
from rekindle.errors import DatabaseUnavailableError

PASSWORD = "s3cret-Zx81"
SSL_OR_ENCRYPTION = {80877103, 80877104}
CLEAR_TEXT = b"R\x00\x00\x00\x08\x00\x00\x00\x03"


class RefusingServer:
    """As much of PostgreSQL as it takes to be told the password in clear text, and to refuse it, quoting it."""

    def __init__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.told = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _serve(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as said:
                self._refuse(connection, said)

    def _refuse(self, connection, said):
        while int.from_bytes(self._message(said)[:4]) in SSL_OR_ENCRYPTION:
            connection.sendall(b"N")
        connection.sendall(CLEAR_TEXT)
        said.read(1)
        self.told.append(self._message(said).rstrip(b"\0").decode())
        fields = b'SFATAL\0C28P01\0Mpassword authentication failed for user "u"\0\0'
        connection.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)

    @staticmethod
    def _message(said):
        return said.read(int.from_bytes(said.read(4)) - 4)


@pytest.fixture
def server():
    server = RefusingServer()
    yield server
    server.close()


@pytest.fixture(params=["sync", "async"])
def open_(request):
    """Open a store, and close it."""

    async def asynchronous(url):
        await (await AsyncSessionStore.open(url)).close()

    if request.param == "sync":
        return lambda url: SessionStore.open(url).close()
    return lambda url: asyncio.run(asynchronous(url))


def told(error):
    """All that a log, or a tool that prints the variables of every frame, would make of an error."""
    traceback = TracebackException.from_exception(error, capture_locals=True)
    here = [frame for frame in traceback.stack if frame.filename == __file__]
    for frame in here:
        frame.locals = None  # where the URL comes from is the caller's business
    return "".join(traceback.format()) + repr(error) + str(vars(error))


def test_a_password_that_postgresql_refuses_is_shown_nowhere(server, open_, caplog):
    """The error names the server and what to do; neither it, its causes, their frames nor a log have the password."""
    caplog.set_level(logging.DEBUG)
    url = f"postgresql://u:{PASSWORD}@127.0.0.1:{server.port}/x"

    with pytest.raises(DatabaseUnavailableError, match="check the address, the credentials") as caught:
        open_(url)

    assert set(server.told) == {PASSWORD}
    assert f"u:***@127.0.0.1:{server.port}/x" in caught.value.url
    assert "password authentication failed" in told(caught.value)
    assert PASSWORD not in told(caught.value) + caplog.text


@pytest.mark.parametrize("url", ["postgresql://u:{}@127.0.0.1:1/x", "mariadb://u:{}@127.0.0.1:1/x"])
def test_a_password_for_a_server_that_is_not_there_is_shown_nowhere(open_, url):
    """Nor do the frames of a driver that could not connect."""
    with pytest.raises(DatabaseUnavailableError) as caught:
        open_(url.format(PASSWORD))

    assert PASSWORD not in told(caught.value)


@pytest.mark.parametrize("command", ["status", "db upgrade", "export jsonl", "db sql", "backfill", "verify", "list"])
@pytest.mark.parametrize("option", ["--json", "--help", None])
def test_no_command_shows_the_password(server, command, option):
    """Not as text, not as JSON, and not in the help, where the URL comes from the environment."""
    url = f"postgresql://u:{PASSWORD}@127.0.0.1:{server.port}/x"
    arguments = [*command.split(), *([option] if option else [])]

    result = CliRunner(env={"REKINDLE_URL": url}).invoke(root, arguments)

    assert result.output
    assert PASSWORD not in result.output


def test_what_stands_for_a_database_shows_no_password():
    """A store, its engine and the URL of that: whatever is printed while somebody looks for something."""
    engine = sa.create_engine(f"postgresql+psycopg://u:{PASSWORD}@db/x")
    store = SessionStore(engine, {})

    assert PASSWORD not in f"{store!r}{engine!r}{engine.url!r}{engine.url}"
    store.close()
