"""rekindle's two stores, on the floor's own table."""

from __future__ import annotations

from bench.contenders import PAGE, Contender, changed
from rekindle import AsyncSessionStore, SessionStore

_MORE = "checks on write as on load, looks for credentials, refuses newer rows, names what an upcast changed"


class Store(Contender):
    name = "rekindle SessionStore"
    family = "rekindle"
    own_tables = False
    differs = _MORE

    def __init__(self, url):
        super().__init__(url)
        self.store = SessionStore.open(url)

    def create(self, metadata):
        self.store.add(self.next_id(), metadata)

    def load(self, session_id):
        return self.store.load(session_id)

    def hold(self, session_id):
        self.held[session_id] = self.store.load(session_id)

    def save(self, session_id):
        record = self.held[session_id]
        changed(record.metadata)
        self.held[session_id] = self.store.save(record)

    def update(self, session_id):
        self.held[session_id] = self.store.update(session_id, changed)

    def page(self, realm):
        assert len(self.store.list(realm=realm, limit=PAGE)) == PAGE

    def load_many(self, session_ids):
        assert len(self.store.load_many(session_ids)) == len(session_ids)

    def count(self):
        return sum(self.store.count_by_schema_version().values())

    def close(self):
        self.store.close()


class AsyncStore(Contender):
    name = "rekindle AsyncSessionStore"
    family = "rekindle"
    asynchronous = True
    own_tables = False
    differs = _MORE

    async def start(self):
        self.store = await AsyncSessionStore.open(self.url)

    async def create(self, metadata):
        await self.store.add(self.next_id(), metadata)

    async def load(self, session_id):
        return await self.store.load(session_id)

    async def hold(self, session_id):
        self.held[session_id] = await self.store.load(session_id)

    async def save(self, session_id):
        record = self.held[session_id]
        changed(record.metadata)
        self.held[session_id] = await self.store.save(record)

    async def update(self, session_id):
        self.held[session_id] = await self.store.update(session_id, changed)

    async def page(self, realm):
        assert len(await self.store.list(realm=realm, limit=PAGE)) == PAGE

    async def load_many(self, session_ids):
        assert len(await self.store.load_many(session_ids)) == len(session_ids)

    async def count(self):
        return sum((await self.store.count_by_schema_version()).values())

    async def close(self):
        await self.store.close()
