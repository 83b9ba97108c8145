"""
Runs the revisions: online under a lock, or offline as SQL.

Whoever starts alembic may hand over a connection or a URL in `config.attributes`; at the command line the URL comes
from `-x url=`, REKINDLE_URL, or is that of the embedded database.
"""

import os
from typing import cast

from alembic import context
from sqlalchemy import Connection, make_url

from rekindle.database import OPTIONS, include_name, migration_lock
from rekindle.engine import create_engine, transaction_level

_attributes = context.config.attributes


def _url() -> str:
    arguments = context.get_x_argument(as_dictionary=True)
    fallback = os.environ.get("REKINDLE_URL", "sqlite:///rekindle.db")
    return cast("str", _attributes.get("url") or arguments.get("url") or fallback)


def _offline() -> None:
    dialect = make_url(_url()).get_dialect().name
    context.configure(dialect_name=dialect, literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


def _online(connection: Connection) -> None:
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite:
        connection = connection.execution_options(isolation_level=transaction_level(connection.dialect))
    with migration_lock(connection):
        # On SQLite the lock is the transaction; alembic must not open another.
        options = {**OPTIONS, "transactional_ddl": False} if sqlite else OPTIONS
        context.configure(connection=connection, include_name=include_name, render_as_batch=sqlite, **options)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    _offline()
elif "connection" in _attributes:
    _online(_attributes["connection"])
else:
    engine = create_engine(_url())
    with engine.connect() as own:
        _online(own)
    engine.dispose()
