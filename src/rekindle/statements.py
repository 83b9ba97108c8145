"""
The SQL, built once per dialect and scope, with parameters to bind.

Building a statement costs more than running it. Parameters of a WHERE clause start with an underscore, because those of
a SET or VALUES clause have the names of their columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache, partial
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Delete,
    Executable,
    Insert,
    Select,
    String,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    type_coerce,
    update,
)

from rekindle.tables import session_metadata as t
from rekindle.tables import session_metadata_archive as archive
from rekindle.tables import session_metadata_quarantine as quarantine

FILTERS = ("realm", "provider", "model", "instance_id", "comms_name")

_ID = t.c.session_id == bindparam("_session_id")
_LOCK = t.c.lock_version == bindparam("_lock_version")
_SCHEMA = t.c.schema_version == bindparam("_schema_version")
_REWRITTEN = ("schema_version", "lock_version", "payload", *FILTERS, "updated_at")

ARCHIVED: Select[Any] = (
    select(archive.c.payload)
    .where(archive.c.session_id == bindparam("_session_id"))
    .order_by(archive.c.lock_version, archive.c.schema_version)
)
FORGET: tuple[Delete, ...] = tuple(
    delete(table).where(table.c.session_id == bindparam("_session_id")) for table in (archive, quarantine)
)

# SQLite counts a whole table page by page and a GROUP BY entry by entry, at more than twice the time. So one schema
# version, the usual one, gets what is left of the whole when the others are counted. Which that is, is guessed from an
# index: the one whose hundredth id from the end comes last. A wrong guess costs time, and the numbers stay exact.
_COUNT_OF_SQLITE = text("""\
SELECT n, number FROM (
    WITH RECURSIVE version (n) AS (
        SELECT min(schema_version) FROM session_metadata
        UNION ALL
        SELECT (SELECT min(schema_version) FROM session_metadata WHERE schema_version > n) FROM version
        WHERE n IS NOT NULL
    ), usual (n) AS (
        SELECT n FROM version WHERE n IS NOT NULL ORDER BY (
            SELECT session_id FROM session_metadata WHERE schema_version = n ORDER BY session_id DESC LIMIT 1 OFFSET 99
        ) DESC LIMIT 1
    ), rest (n, number) AS (
        SELECT n, (SELECT count(*) FROM session_metadata WHERE schema_version = n) FROM version
        WHERE n <> (SELECT n FROM usual)
    )
    SELECT n, number FROM rest
    UNION ALL
    SELECT n, (SELECT count(*) FROM session_metadata) - (SELECT coalesce(sum(number), 0) FROM rest) FROM usual
) ORDER BY n
""")


class Statements:
    """What a repository says to the database; `scoped` ones see the rows of one realm only, bound as `_realm`."""

    def __init__(self, *, dialect: str, scoped: bool) -> None:
        realm: Sequence[ColumnElement[bool]] = (t.c.realm == bindparam("_realm"),) if scoped else ()
        self._realm = realm
        # SQLite keeps moments as text, and sorts what was put there by hand as the text that it is.
        as_kept = partial(type_coerce, type_=String) if dialect == "sqlite" else _as_it_is
        self._created_at: ColumnElement[Any] = as_kept(t.c.created_at)
        moments = (self._created_at.label("created_at"), as_kept(t.c.updated_at).label("updated_at"))
        self._row = (t.c.session_id, t.c.payload, t.c.schema_version, t.c.lock_version, *moments)
        self.insert: Insert = _insert(dialect)
        self.load: Select[Any] = select(*self._row).where(_ID, *realm)
        self.load_many: Select[Any] = select(*self._row).where(
            t.c.session_id.in_(bindparam("_session_ids", expanding=True)), *realm
        )
        # Read under a lock, because a repeatable read would show the snapshot and not what is overwritten.
        self.original: Select[Any] = (
            select(t.c.payload, t.c.realm, t.c.updated_at).where(_ID, _LOCK, _SCHEMA, *realm).with_for_update()
        )
        self.whole: Select[Any] = select(t).where(_ID, *realm)
        self.whole_locked: Select[Any] = self.whole.with_for_update()
        # The guard of every overwrite: a row is replaced only at the two versions that were seen, so never one that
        # somebody saved since, and never one of a later release.
        self.save: Update = (
            update(t).where(_ID, _LOCK, _SCHEMA, *realm).values({name: bindparam(name) for name in _REWRITTEN})
        )
        # A locking read, because a repeatable one would show the snapshot in which nobody has saved yet.
        self.versions: Select[Any] = (
            select(t.c.lock_version, t.c.schema_version).where(_ID, *realm).with_for_update(read=True)
        )
        self.delete: Delete = delete(t).where(_ID, *realm)
        self.delete_loaded: Delete = delete(t).where(_ID, _LOCK, _SCHEMA, *realm)
        self.count: Executable = _COUNT_OF_SQLITE if dialect == "sqlite" and not scoped else _count(*realm)

    @lru_cache(maxsize=128)  # noqa: B019 - statements live as long as the process
    def page(self, filters: frozenset[str], after: bool) -> Select[Any]:
        """List rows newest first, filtered by the columns named, from behind the cursor when there is one."""
        conditions = [t.c[name] == bindparam(name) for name in sorted(filters)]
        if after:
            # Written out, for MariaDB does not walk an index by comparing a row with a row.
            before = bindparam("_created_at", type_=self._created_at.type)
            conditions.append(self._created_at <= before)
            conditions.append(or_(self._created_at < before, t.c.session_id < bindparam("_session_id")))
        return (
            select(*self._row)
            .where(*self._realm, *conditions)
            .order_by(t.c.created_at.desc(), t.c.session_id.desc())
            .limit(bindparam("_limit"))
        )


def _as_it_is(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column


_ENTRY = tuple(column for column in archive.c if column is not archive.c.payload)
_KEY = (archive.c.session_id, archive.c.lock_version, archive.c.schema_version)


class ArchiveStatements:
    """What an archive says to the database; `scoped` ones see entries of one realm, of sessions of that realm."""

    def __init__(self, *, scoped: bool) -> None:
        visible: Sequence[ColumnElement[bool]] = ()
        if scoped:
            realm: BindParameter[str] = bindparam("_realm")
            owned = exists().where(t.c.session_id == archive.c.session_id, t.c.realm == realm)
            visible = (archive.c.realm == realm, owned)
        self._visible = visible
        self.remove: Delete = delete(archive).where(
            *(column == bindparam(f"_{column.name}") for column in _KEY), *visible
        )

    @lru_cache(maxsize=16)  # noqa: B019 - statements live as long as the process
    def entry(self, asked: frozenset[str]) -> Select[Any]:
        """Get the latest entry of a session with the numbers asked for, or else from below its schema version."""
        conditions = [archive.c[name] == bindparam(f"_{name}") for name in sorted(asked)]
        if not asked:
            conditions = [archive.c.schema_version < bindparam("_schema_version")]
        return (
            select(archive)
            .where(archive.c.session_id == bindparam("_session_id"), *conditions, *self._visible)
            .order_by(archive.c.lock_version.desc(), archive.c.schema_version.desc())
            .limit(1)
        )

    @lru_cache(maxsize=16)  # noqa: B019 - as above
    def page(self, *, of_session: bool, older: bool, after: bool) -> Select[Any]:
        """List entries in the order of their key, without their documents."""
        conditions: list[ColumnElement[bool]] = []
        if of_session:
            conditions.append(archive.c.session_id == bindparam("_session_id"))
        if older:
            conditions.append(archive.c.archived_at < bindparam("_older_than", type_=archive.c.archived_at.type))
        if after:
            conditions.append(_behind())
        return select(*_ENTRY).where(*conditions, *self._visible).order_by(*_KEY).limit(bindparam("_limit"))


def _behind() -> ColumnElement[bool]:
    # Written out, for MariaDB does not walk an index by comparing a row with a row.
    session_id: BindParameter[str] = bindparam("_after_session_id")
    lock: BindParameter[int] = bindparam("_after_lock_version")
    schema: BindParameter[int] = bindparam("_after_schema_version")
    at_lock = and_(archive.c.lock_version == lock, archive.c.schema_version > schema)
    at_session = and_(archive.c.session_id == session_id, or_(archive.c.lock_version > lock, at_lock))
    return and_(archive.c.session_id >= session_id, or_(archive.c.session_id > session_id, at_session))


@cache
def archive_statements(scoped: bool) -> ArchiveStatements:
    """Give the one set of statements for a scope."""
    return ArchiveStatements(scoped=scoped)


def _count(*conditions: ColumnElement[bool]) -> Select[Any]:
    version = t.c.schema_version
    return select(version, func.count()).where(*conditions).group_by(version).order_by(version)


def _insert(dialect: str) -> Insert:
    if dialect != "postgresql":
        return insert(t)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - for those who use it

    # There alone a duplicate key would take the caller's transaction with it.
    return postgresql.insert(t).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


@cache
def statements(dialect: str, scoped: bool) -> Statements:
    """Give the one set of statements for a dialect and scope."""
    return Statements(dialect=dialect, scoped=scoped)
