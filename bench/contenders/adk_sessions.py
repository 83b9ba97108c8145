"""google-adk: the document is one key of a session's state, and a save is an event that carries it."""

# ruff: noqa: PLC0415 - a peer or driver is imported by whom it is measured for

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

from bench.contenders import POOL, Contender
from bench.documents import CURRENT
from bench.places import durable, rows

_APP, _USER = "bench", "somebody"


class Adk(Contender):
    name = "google-adk DatabaseSessionService"
    family = "google-adk"
    package = "google.adk.sessions"
    engines = ("sqlite", "postgresql")
    asynchronous = True
    most = 100
    differs = (
        "a dict, not validated; a save appends an event; a load reads the state of app and user too, and all events;"
        " lists all sessions or none"
    )

    async def start(self):
        from google.adk.sessions import DatabaseSessionService
        from sqlalchemy.ext.asyncio import create_async_engine

        driver = {"sqlite": "sqlite+aiosqlite"}.get(self.url.get_backend_name(), "postgresql+asyncpg")
        self.engine = create_async_engine(self.url.set(drivername=driver), **POOL)
        if self.url.get_backend_name() == "sqlite":
            durable(self.engine.sync_engine)
        self.service = DatabaseSessionService(db_engine=self.engine)

    def fill(self, versions):
        """Create the sessions before the loop of the measurement starts."""
        pending = [(row[0], json.loads(row[3])) for row in rows(versions)]

        async def create_all():
            await self.start()
            for session_id, document in pending:
                await self._create(session_id, document)
            await self.engine.dispose()

        asyncio.run(create_all())

    async def _create(self, session_id, document):
        return await self.service.create_session(
            app_name=_APP, user_id=_USER, session_id=session_id, state={"session": document}
        )

    async def create(self, metadata):
        await self._create(self.next_id(), metadata.model_dump(mode="json"))

    async def load(self, session_id):
        found = await self.service.get_session(app_name=_APP, user_id=_USER, session_id=session_id)
        assert found.state["session"]["model"] == CURRENT["model"]
        return found

    async def hold(self, session_id):
        self.held[session_id] = await self.load(session_id)

    async def save(self, session_id):
        from google.adk.events import Event, EventActions

        found = self.held[session_id]
        document = {**found.state["session"], "max_tokens": found.state["session"]["max_tokens"] + 1}
        actions = EventActions(state_delta={"session": document})
        await self.service.append_event(found, Event(invocation_id=uuid4().hex, author="bench", actions=actions))

    async def update(self, session_id):
        await self.hold(session_id)
        await self.save(session_id)

    async def close(self):
        await self.engine.dispose()
