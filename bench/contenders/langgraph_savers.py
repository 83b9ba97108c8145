"""LangGraph's checkpointers: the document is the one channel of a checkpoint, and a save appends another checkpoint."""

# ruff: noqa: PLC0415 - a peer or driver is imported by whom it is measured for

from __future__ import annotations

import json
import sqlite3

from bench.contenders import PAGE, Contender
from bench.documents import CURRENT
from bench.places import rows


def where(session_id):
    return {"configurable": {"thread_id": session_id, "checkpoint_ns": ""}}


def put_arguments(session_id, document, realm, version=1):
    from langgraph.checkpoint.base import empty_checkpoint

    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"session": document}
    checkpoint["channel_versions"] = {"session": str(version)}
    metadata = {"source": "update", "step": 1, "realm": realm}
    return where(session_id), checkpoint, metadata, checkpoint["channel_versions"]


def document_of(found):
    document = found.checkpoint["channel_values"]["session"]
    assert document["model"] == CURRENT["model"]
    return document


class SqliteSaver(Contender):
    name = "LangGraph SqliteSaver"
    family = "LangGraph"
    package = "langgraph.checkpoint.sqlite"
    engines = ("sqlite",)
    differs = "a dict in msgpack, not validated; a save appends and compares nothing; one connection behind a lock"

    def __init__(self, url):
        super().__init__(url)
        from langgraph.checkpoint.sqlite import SqliteSaver as Saver

        self.connection = sqlite3.connect(url.database, check_same_thread=False)
        self.connection.execute("PRAGMA synchronous=FULL")
        self.saver = Saver(self.connection)
        self.saver.setup()  # which also turns WAL on

    def fill(self, versions):
        for row in rows(versions):
            self.saver.put(*put_arguments(row[0], json.loads(row[3]), row[4]))

    def create(self, metadata):
        self.saver.put(*put_arguments(self.next_id(), metadata.model_dump(mode="json"), metadata.realm_id))

    def load(self, session_id):
        return document_of(self.saver.get_tuple(where(session_id)))

    def hold(self, session_id):
        self.held[session_id] = self.load(session_id)

    def save(self, session_id):
        document = self.held[session_id]
        document["max_tokens"] += 1
        self.saver.put(*put_arguments(session_id, document, document["realm_id"], document["max_tokens"]))

    def update(self, session_id):
        self.hold(session_id)
        self.save(session_id)

    def page(self, realm):
        assert len(list(self.saver.list(None, filter={"realm": realm}, limit=PAGE))) == PAGE

    def close(self):
        self.connection.close()


class PostgresSaver(SqliteSaver):
    name = "LangGraph PostgresSaver"
    family = "LangGraph"
    package = "langgraph.checkpoint.postgres"
    engines = ("postgresql",)
    differs = "jsonb and msgpack, not validated; a save appends and compares nothing; one connection behind a lock"

    def __init__(self, url):
        Contender.__init__(self, url)
        from langgraph.checkpoint.postgres import PostgresSaver as Saver

        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.opened = Saver.from_conn_string(plain)
        self.saver = self.opened.__enter__()
        self.saver.setup()

    def close(self):
        self.opened.__exit__(None, None, None)


class AsyncSqliteSaver(Contender):
    name = "LangGraph AsyncSqliteSaver"
    family = "LangGraph"
    package = "langgraph.checkpoint.sqlite"
    engines = ("sqlite",)
    asynchronous = True
    differs = SqliteSaver.differs

    async def start(self):
        import aiosqlite
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver as Saver

        self.connection = await aiosqlite.connect(self.url.database)
        await self.connection.execute("PRAGMA synchronous=FULL")
        self.saver = Saver(self.connection)
        await self.saver.setup()

    def fill(self, versions):
        other = SqliteSaver(self.url)
        other.fill(versions)
        other.close()

    async def create(self, metadata):
        document = metadata.model_dump(mode="json")
        await self.saver.aput(*put_arguments(self.next_id(), document, metadata.realm_id))

    async def load(self, session_id):
        return document_of(await self.saver.aget_tuple(where(session_id)))

    async def hold(self, session_id):
        self.held[session_id] = await self.load(session_id)

    async def save(self, session_id):
        document = self.held[session_id]
        document["max_tokens"] += 1
        await self.saver.aput(*put_arguments(session_id, document, document["realm_id"], document["max_tokens"]))

    async def update(self, session_id):
        await self.hold(session_id)
        await self.save(session_id)

    async def page(self, realm):
        found = [one async for one in self.saver.alist(None, filter={"realm": realm}, limit=PAGE)]
        assert len(found) == PAGE

    async def close(self):
        await self.connection.close()
