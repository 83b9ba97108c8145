"""agno: one upsert, one select; the document is the session_data of an AgentSession, its user_id the realm."""

# ruff: noqa: PLC0415 - a peer or driver is imported by whom it is measured for

from __future__ import annotations

import json
from time import time

import sqlalchemy as sa

from bench.contenders import PAGE, POOL, Contender
from bench.documents import CURRENT, REALMS
from bench.places import durable, rows


def session(session_id, document, realm):
    from agno.session import AgentSession

    return AgentSession(
        session_id=session_id, agent_id="bench", user_id=realm, session_data=document, created_at=int(time())
    )


def plain(session_id):
    return session(session_id, json.loads(json.dumps(CURRENT)), REALMS[3])


class Agno(Contender):
    name = "agno SqliteDb, PostgresDb"
    family = "agno"
    package = "agno"
    engines = ("sqlite", "postgresql")
    differs = "a dict, not validated; an upsert without compare-and-swap; its page also counts all that match"

    def __init__(self, url):
        super().__init__(url)
        self.engine = sa.create_engine(url, **POOL)
        if url.get_backend_name() == "sqlite":
            from agno.db.sqlite import SqliteDb

            durable(self.engine)
            self.db = SqliteDb(db_engine=self.engine, session_table="bench")
        else:
            from agno.db.postgres import PostgresDb

            self.db = PostgresDb(db_engine=self.engine, session_table="bench", db_schema="public")

    def fill(self, versions):
        pending = [session(row[0], json.loads(row[3]), row[4]) for row in rows(versions)]
        self.db.upsert_session(pending[0])
        for start in range(0, len(pending), 1000):
            self.db.upsert_sessions(pending[start : start + 1000])

    def create(self, metadata):
        self.db.upsert_session(session(self.next_id(), metadata.model_dump(mode="json"), metadata.realm_id))

    def load(self, session_id):
        found = self.db.get_session(session_id)
        assert found.session_data["model"] == CURRENT["model"]
        return found

    def hold(self, session_id):
        self.held[session_id] = self.load(session_id)

    def save(self, session_id):
        found = self.held[session_id]
        found.session_data["max_tokens"] += 1
        assert self.db.upsert_session(found) is not None

    def update(self, session_id):
        self.hold(session_id)
        self.save(session_id)

    def page(self, realm):
        found = self.db.get_sessions(user_id=realm, limit=PAGE, page=1, sort_by="created_at", sort_order="desc")
        assert len(found) == PAGE

    def close(self):
        self.engine.dispose()


class AsyncAgno(Contender):
    name = "agno AsyncSqliteDb, AsyncPostgresDb"
    family = "agno"
    package = "agno"
    engines = ("sqlite", "postgresql")
    asynchronous = True
    differs = Agno.differs

    async def start(self):
        from sqlalchemy.ext.asyncio import create_async_engine

        if self.url.get_backend_name() == "sqlite":
            from agno.db.sqlite import AsyncSqliteDb

            self.engine = create_async_engine(self.url.set(drivername="sqlite+aiosqlite"), **POOL)
            durable(self.engine.sync_engine)
            self.db = AsyncSqliteDb(db_engine=self.engine, session_table="bench")
        else:
            from agno.db.postgres import AsyncPostgresDb

            self.engine = create_async_engine(self.url.set(drivername="postgresql+asyncpg"), **POOL)
            self.db = AsyncPostgresDb(db_engine=self.engine, session_table="bench", db_schema="public")

    def fill(self, versions):
        other = Agno(
            self.url.set(drivername={"sqlite": "sqlite"}.get(self.url.get_backend_name(), "postgresql+psycopg"))
        )
        other.fill(versions)
        other.close()

    async def create(self, metadata):
        document = metadata.model_dump(mode="json")
        await self.db.upsert_session(session(self.next_id(), document, metadata.realm_id))

    async def load(self, session_id):
        found = await self.db.get_session(session_id)
        assert found.session_data["model"] == CURRENT["model"]
        return found

    async def hold(self, session_id):
        self.held[session_id] = await self.load(session_id)

    async def save(self, session_id):
        found = self.held[session_id]
        found.session_data["max_tokens"] += 1
        assert await self.db.upsert_session(found) is not None

    async def update(self, session_id):
        await self.hold(session_id)
        await self.save(session_id)

    async def page(self, realm):
        found = await self.db.get_sessions(user_id=realm, limit=PAGE, page=1, sort_by="created_at", sort_order="desc")
        assert len(found) == PAGE

    async def close(self):
        await self.engine.dispose()
