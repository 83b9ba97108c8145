"""
Runs the revisions: online under a lock, or offline as SQL.

Whoever starts alembic may hand over a connection or a URL in `config.attributes`; at the command line the URL comes
from `-x url=`, REKINDLE_URL, or is that of the embedded database.
"""

import os
from typing import Any, Literal, cast

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import MigrationScript
from alembic.util import CommandError
from sqlalchemy import Connection, make_url

from rekindle.database import OPTIONS, include_name, migration_lock
from rekindle.engine import create_engine, transaction_level, translated
from rekindle.errors import RekindleError
from rekindle.tables import Key, LongText, UtcDateTime

_attributes = context.config.attributes


def _url() -> str:
    arguments = context.get_x_argument(as_dictionary=True)
    fallback = os.environ.get("REKINDLE_URL", "sqlite:///rekindle.db")
    return cast("str", _attributes.get("url") or arguments.get("url") or fallback)


def _number(_context: object, _revision: object, scripts: list[MigrationScript]) -> None:
    """Give a new revision the next number instead of random digits."""
    for script in scripts:
        script.rev_id = f"{int(cast('str | None', context.get_head_revision()) or 0) + 1:04}"


def _rendered(kind: str, item: Any, autogenerate: AutogenContext) -> str | Literal[False]:
    """Write our own types as what they are made of: a revision imports nothing of rekindle."""
    if kind != "type" or not isinstance(item, Key | LongText | UtcDateTime):
        return False
    autogenerate.imports.add("from sqlalchemy.dialects import mysql")
    match item:
        case UtcDateTime():
            return 'sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")'
        case LongText():
            text = 'mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin")'
            return f'sa.Text().with_variant({text}, "mysql", "mariadb")'
    length = item.impl_instance.length  # type: ignore[attr-defined] # SQLAlchemy types it as any type
    on_postgresql = f'sa.String({length}, collation="C")'
    on_mariadb = f'mysql.VARCHAR({length}, charset="utf8mb4", collation="utf8mb4_nopad_bin")'
    return (
        f'sa.String({length}).with_variant({on_postgresql}, "postgresql")'
        f'.with_variant({on_mariadb}, "mysql", "mariadb")'
    )


def _offline() -> None:
    dialect = make_url(_url()).get_dialect().name
    sqlite = dialect == "sqlite"
    # Of SQLite alembic thinks it could not roll back a CREATE TABLE.
    options = {**OPTIONS, "transactional_ddl": True} if sqlite else OPTIONS
    context.configure(dialect_name=dialect, literal_binds=True, **options)
    if sqlite:
        context.execute("PRAGMA journal_mode=WAL")
    with context.begin_transaction():
        context.run_migrations()


def _online(connection: Connection) -> None:
    sqlite = connection.dialect.name == "sqlite"
    # On SQLite the lock is the transaction, begun and ended in so many words.
    level = "AUTOCOMMIT" if sqlite else transaction_level(connection.dialect)
    connection = connection.execution_options(isolation_level=level)
    with migration_lock(connection):
        context.configure(
            connection=connection,
            include_name=include_name,
            process_revision_directives=_number,
            render_item=_rendered,
            render_as_batch=sqlite,
            **OPTIONS,
        )
        with context.begin_transaction():
            context.run_migrations()


def _at_the_command_line() -> None:
    try:
        engine = create_engine(_url())
        with translated(engine.url), engine.connect() as connection:
            _online(connection)
        engine.dispose()
    except RekindleError as error:
        raise CommandError(str(error)) from error


if context.is_offline_mode():
    _offline()
elif "connection" in _attributes:
    _online(_attributes["connection"])
else:
    _at_the_command_line()
