"""SQLAlchemy as people write it by hand: ORM, JSON column, pydantic; and Core on aiosqlite with prebuilt statements."""

# ruff: noqa: PLC0415 - a peer or driver is imported by whom it is measured for

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bench.contenders import PAGE, POOL, Contender, changed
from bench.contenders.floor import read, write
from bench.places import durable, rows
from rekindle import SessionMetadata
from rekindle.statements import statements

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg", "mariadb": "mariadb+aiomysql"}


class Base(DeclarativeBase):
    pass


class ByHand(Base):
    __tablename__ = "by_hand"
    __table_args__ = (sa.Index("ix_by_hand", "realm", "created_at"),)

    session_id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    version: Mapped[int] = mapped_column()
    payload: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    realm: Mapped[str] = mapped_column(sa.String(255))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - this is how SQLAlchemy is told


def row_of(session_id, metadata):
    now = datetime.now(UTC).replace(tzinfo=None)
    payload = metadata.model_dump(mode="json")
    return ByHand(session_id=session_id, payload=payload, realm=metadata.realm_id, created_at=now, updated_at=now)


def wanted(realm):
    return sa.select(ByHand).where(ByHand.realm == realm).order_by(ByHand.created_at.desc()).limit(PAGE)


def some(session_ids):
    return sa.select(ByHand).where(ByHand.session_id.in_(session_ids))


def validated(found):
    return [SessionMetadata.model_validate(row.payload) for row in found]


def fill(engine, versions):
    Base.metadata.create_all(engine)
    with Session(engine) as db:
        for row in rows(versions):
            metadata = SessionMetadata.model_validate_json(row[3])
            naive = row[-1].replace(tzinfo=None)
            db.add(
                ByHand(
                    session_id=row[0], payload=metadata.model_dump(mode="json"), realm=row[4], created_at=naive,
                    updated_at=naive,
                )
            )  # fmt: skip
        db.commit()


class Orm(Contender):
    name = "SQLAlchemy ORM by hand"
    family = "SQLAlchemy ORM by hand"
    differs = "no archive, no check for credentials; compare-and-swap by version_id_col; a save reads the row first"

    def __init__(self, url):
        super().__init__(url)
        self.engine = sa.create_engine(url, **POOL)
        if url.get_backend_name() == "sqlite":
            durable(self.engine)

    def fill(self, versions):
        fill(self.engine, versions)

    def create(self, metadata):
        with Session(self.engine) as db:
            db.add(row_of(self.next_id(), metadata))
            db.commit()

    def load(self, session_id):
        with Session(self.engine) as db:
            return SessionMetadata.model_validate(db.get_one(ByHand, session_id).payload)

    def hold(self, session_id):
        self.held[session_id] = self.load(session_id)

    def save(self, session_id):
        with Session(self.engine) as db:
            row = db.get_one(ByHand, session_id)
            row.payload = changed(self.held[session_id]).model_dump(mode="json")
            db.commit()

    def update(self, session_id):
        with Session(self.engine) as db:
            row = db.get_one(ByHand, session_id)
            row.payload = changed(SessionMetadata.model_validate(row.payload)).model_dump(mode="json")
            db.commit()

    def page(self, realm):
        with Session(self.engine) as db:
            assert len(validated(db.scalars(wanted(realm)))) == PAGE

    def load_many(self, session_ids):
        with Session(self.engine) as db:
            assert len(validated(db.scalars(some(session_ids)))) == len(session_ids)

    def close(self):
        self.engine.dispose()


class AsyncOrm(Contender):
    name = "SQLAlchemy ORM by hand, async"
    family = "SQLAlchemy ORM by hand"
    package = "greenlet"
    asynchronous = True
    differs = Orm.differs

    async def start(self):
        from sqlalchemy.ext.asyncio import create_async_engine

        self.engine = create_async_engine(self.url.set(drivername=_DRIVERS[self.url.get_backend_name()]), **POOL)
        if self.url.get_backend_name() == "sqlite":
            durable(self.engine.sync_engine)

    def session(self):
        from sqlalchemy.ext.asyncio import AsyncSession

        return AsyncSession(self.engine)

    def fill(self, versions):
        engine = sa.create_engine(self.url)
        if self.url.get_backend_name() == "sqlite":
            durable(engine)
        fill(engine, versions)
        engine.dispose()

    async def create(self, metadata):
        async with self.session() as db:
            db.add(row_of(self.next_id(), metadata))
            await db.commit()

    async def load(self, session_id):
        async with self.session() as db:
            return SessionMetadata.model_validate((await db.get_one(ByHand, session_id)).payload)

    async def hold(self, session_id):
        self.held[session_id] = await self.load(session_id)

    async def save(self, session_id):
        async with self.session() as db:
            row = await db.get_one(ByHand, session_id)
            row.payload = changed(self.held[session_id]).model_dump(mode="json")
            await db.commit()

    async def update(self, session_id):
        async with self.session() as db:
            row = await db.get_one(ByHand, session_id)
            row.payload = changed(SessionMetadata.model_validate(row.payload)).model_dump(mode="json")
            await db.commit()

    async def page(self, realm):
        async with self.session() as db:
            assert len(validated(await db.scalars(wanted(realm)))) == PAGE

    async def load_many(self, session_ids):
        async with self.session() as db:
            assert len(validated(await db.scalars(some(session_ids)))) == len(session_ids)

    async def close(self):
        await self.engine.dispose()


class AsyncCore(Contender):
    """What the aim for asynchronous SQLite is measured against."""

    name = "aiosqlite under SQLAlchemy Core"
    family = "aiosqlite under SQLAlchemy Core"
    package = "aiosqlite"
    engines = ("sqlite",)
    asynchronous = True
    own_tables = False
    differs = "prebuilt statements, AUTOCOMMIT, a connection from the pool for each call; does what the floor does"

    async def start(self):
        from sqlalchemy.ext.asyncio import create_async_engine

        url = self.url.set(drivername="sqlite+aiosqlite")
        self.engine = create_async_engine(url, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True, **POOL)
        durable(self.engine.sync_engine)
        self.sql = statements("sqlite", scoped=False)

    async def load(self, session_id):
        async with self.engine.connect() as connection:
            row = (await connection.execute(self.sql.load, {"_session_id": session_id})).one()
        return read(row.payload), row.lock_version

    async def hold(self, session_id):
        self.held[session_id] = await self.load(session_id)

    async def save(self, session_id):
        metadata, lock = self.held[session_id]
        changed(metadata)
        new = {
            "schema_version": 3, "lock_version": lock + 1, "payload": write(metadata).decode(),
            "realm": metadata.realm_id, "provider": metadata.provider.value, "model": metadata.model,
            "instance_id": metadata.instance_id, "comms_name": metadata.comms_name, "updated_at": datetime.now(UTC),
        }  # fmt: skip
        seen = {"_session_id": session_id, "_lock_version": lock, "_schema_version": 3}
        async with self.engine.connect() as connection:
            assert (await connection.execute(self.sql.save, new | seen)).rowcount == 1
        self.held[session_id] = metadata, lock + 1

    async def update(self, session_id):
        await self.hold(session_id)
        await self.save(session_id)

    async def close(self):
        await self.engine.dispose()
