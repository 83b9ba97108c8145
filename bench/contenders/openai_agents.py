"""openai-agents: the document is an item of a session's history, and a save appends another item."""

# ruff: noqa: PLC0415 - a peer or driver is imported by whom it is measured for

from __future__ import annotations

import asyncio
import json

from bench.contenders import POOL, Contender
from bench.documents import CURRENT
from bench.places import durable, rows


class OpenAiAgents(Contender):
    name = "openai-agents SQLAlchemySession"
    family = "openai-agents"
    package = "agents.extensions.memory"
    engines = ("sqlite", "postgresql")
    asynchronous = True
    most = 100
    differs = "a dict, not validated; a save appends and compares nothing; cannot list sessions"

    async def start(self):
        from sqlalchemy.ext.asyncio import create_async_engine

        driver = {"sqlite": "sqlite+aiosqlite"}.get(self.url.get_backend_name(), "postgresql+asyncpg")
        self.engine = create_async_engine(self.url.set(drivername=driver), **POOL)
        if self.url.get_backend_name() == "sqlite":
            durable(self.engine.sync_engine)
        await self._session("first", create_tables=True).get_items()

    def _session(self, session_id, **options):
        from agents.extensions.memory import SQLAlchemySession

        return SQLAlchemySession(session_id, engine=self.engine, **options)

    def fill(self, versions):
        pending = [(row[0], json.loads(row[3])) for row in rows(versions)]

        async def create_all():
            await self.start()
            for session_id, document in pending:
                await self._session(session_id).add_items([document])
            await self.engine.dispose()

        asyncio.run(create_all())

    async def create(self, metadata):
        await self._session(self.next_id()).add_items([metadata.model_dump(mode="json")])

    async def load(self, session_id):
        (found,) = await self._session(session_id).get_items(limit=1)
        assert found["model"] == CURRENT["model"]
        return found

    async def hold(self, session_id):
        self.held[session_id] = await self.load(session_id)

    async def save(self, session_id):
        document = self.held[session_id]
        document["max_tokens"] += 1
        await self._session(session_id).add_items([document])

    async def update(self, session_id):
        await self.hold(session_id)
        await self.save(session_id)

    async def close(self):
        await self.engine.dispose()
