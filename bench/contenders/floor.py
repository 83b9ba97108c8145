"""The floor: the driver, the same statements on the same table, pydantic's validate_json and to_json; nothing else."""

# ruff: noqa: PLC0415 - a peer or driver is imported by whom it is measured for

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

from bench.contenders import PAGE, Contender, changed
from bench.places import COLUMNS
from rekindle import SessionMetadata

_ROW = "session_id, payload, schema_version, lock_version, created_at, updated_at"
_WRITTEN = (
    "schema_version", "lock_version", "payload", "realm", "provider", "model", "instance_id", "comms_name", "updated_at"
)  # fmt: skip
read = SessionMetadata.__pydantic_validator__.validate_json
write = SessionMetadata.__pydantic_serializer__.to_json


class Statements:
    def __init__(self, mark):
        self.mark = mark
        self.load = f"SELECT {_ROW} FROM session_metadata WHERE session_id = {mark}"
        self.create = f"INSERT INTO session_metadata ({', '.join(COLUMNS)}) VALUES ({', '.join([mark] * len(COLUMNS))})"
        self.save = (
            f"UPDATE session_metadata SET {', '.join(f'{name} = {mark}' for name in _WRITTEN)}"
            f" WHERE session_id = {mark} AND lock_version = {mark} AND schema_version = {mark}"
        )
        self.page = (
            f"SELECT {_ROW} FROM session_metadata WHERE realm = {mark}"
            f" ORDER BY created_at DESC, session_id DESC LIMIT {PAGE + 1}"
        )
        self.count = "SELECT count(*) FROM session_metadata"

    def load_many(self, count):
        return f"SELECT {_ROW} FROM session_metadata WHERE session_id IN ({', '.join([self.mark] * count)})"


def moment(as_text):
    now = datetime.now(UTC)
    return now.strftime("%Y-%m-%d %H:%M:%S.%f") if as_text else now.replace(tzinfo=None) if as_text is None else now


def created(session_id, metadata, now):
    return (
        session_id, 3, 1, write(metadata).decode(), metadata.realm_id, metadata.provider.value, metadata.model,
        metadata.instance_id, metadata.comms_name, now, now,
    )  # fmt: skip


def saved(session_id, metadata, lock, now):
    return (
        3, lock + 1, write(metadata).decode(), metadata.realm_id, metadata.provider.value, metadata.model,
        metadata.instance_id, metadata.comms_name, now, session_id, lock, 3,
    )  # fmt: skip


class Floor(Contender):
    name = "floor"
    family = "floor"
    own_tables = False
    differs = "count is a bare count(*)"

    def __init__(self, url):
        super().__init__(url)
        self.sql = Statements("?" if url.get_backend_name() == "sqlite" else "%s")
        self.text = {"sqlite": True, "postgresql": False}.get(url.get_backend_name())

    def connect(self) -> Any:
        url = self.url
        match url.get_backend_name():
            case "sqlite":
                connection = sqlite3.connect(url.database, isolation_level=None, timeout=15, check_same_thread=False)
                connection.execute("PRAGMA synchronous=FULL")
                return connection
            case "postgresql":
                import psycopg

                return psycopg.connect(
                    host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database,
                    autocommit=True,
                )  # fmt: skip
            case _:
                import pymysql

                return pymysql.connect(
                    host=url.host, port=url.port, user=url.username, password=url.password or "",
                    database=url.database, autocommit=True,
                )  # fmt: skip

    def run(self, sql, parameters, fetch):
        connection = self.idle.pop() if self.idle else self.connect()
        cursor = connection.cursor()
        cursor.execute(sql, parameters)
        result = cursor.fetchall() if fetch else cursor.rowcount
        cursor.close()
        self.idle.append(connection)
        return result

    def create(self, metadata):
        session_id = self.next_id()
        assert self.run(self.sql.create, created(session_id, metadata, moment(self.text)), fetch=False) == 1

    def load(self, session_id):
        row = self.run(self.sql.load, (session_id,), fetch=True)[0]
        return read(row[1]), row[3]

    def hold(self, session_id):
        self.held[session_id] = self.load(session_id)

    def save(self, session_id):
        metadata, lock = self.held[session_id]
        parameters = saved(session_id, changed(metadata), lock, moment(self.text))
        assert self.run(self.sql.save, parameters, fetch=False) == 1
        self.held[session_id] = metadata, lock + 1

    def update(self, session_id):
        self.hold(session_id)
        self.save(session_id)

    def page(self, realm):
        found = [read(row[1]) for row in self.run(self.sql.page, (realm,), fetch=True)[:PAGE]]
        assert len(found) == PAGE

    def load_many(self, session_ids):
        found = {
            row[0]: read(row[1]) for row in self.run(self.sql.load_many(len(session_ids)), session_ids, fetch=True)
        }
        assert len(found) == len(session_ids)

    def count(self):
        return self.run(self.sql.count, (), fetch=True)[0][0]

    def close(self):
        while self.idle:
            self.idle.pop().close()


class AsyncFloor(Floor):
    name = "floor, async driver"
    family = "floor"
    asynchronous = True
    differs = "psycopg, aiomysql, aiosqlite by hand"

    async def connect(self) -> Any:
        url = self.url
        match url.get_backend_name():
            case "sqlite":
                import aiosqlite

                connection = await aiosqlite.connect(url.database, isolation_level=None, timeout=15)
                await connection.execute("PRAGMA synchronous=FULL")
                return connection
            case "postgresql":
                import psycopg

                return await psycopg.AsyncConnection.connect(
                    host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database,
                    autocommit=True,
                )  # fmt: skip
            case _:
                import aiomysql

                return await aiomysql.connect(
                    host=url.host, port=url.port, user=url.username, password=url.password or "", db=url.database,
                    autocommit=True,
                )  # fmt: skip

    async def run(self, sql, parameters, fetch):
        connection = self.idle.pop() if self.idle else await self.connect()
        async with connection.cursor() as cursor:
            await cursor.execute(sql, parameters)
            result = await cursor.fetchall() if fetch else cursor.rowcount
        self.idle.append(connection)
        return result

    async def create(self, metadata):
        session_id = self.next_id()
        assert await self.run(self.sql.create, created(session_id, metadata, moment(self.text)), fetch=False) == 1

    async def load(self, session_id):
        row = (await self.run(self.sql.load, (session_id,), fetch=True))[0]
        return read(row[1]), row[3]

    async def hold(self, session_id):
        self.held[session_id] = await self.load(session_id)

    async def save(self, session_id):
        metadata, lock = self.held[session_id]
        parameters = saved(session_id, changed(metadata), lock, moment(self.text))
        assert await self.run(self.sql.save, parameters, fetch=False) == 1
        self.held[session_id] = metadata, lock + 1

    async def update(self, session_id):
        await self.hold(session_id)
        await self.save(session_id)

    async def page(self, realm):
        found = [read(row[1]) for row in (await self.run(self.sql.page, (realm,), fetch=True))[:PAGE]]
        assert len(found) == PAGE

    async def load_many(self, session_ids):
        rows = await self.run(self.sql.load_many(len(session_ids)), session_ids, fetch=True)
        assert len({row[0]: read(row[1]) for row in rows}) == len(session_ids)

    async def count(self):
        return (await self.run(self.sql.count, (), fetch=True))[0][0]

    async def close(self):
        while self.idle:
            closing = self.idle.pop().close()
            if closing is not None:
                await closing
