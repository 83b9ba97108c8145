"""
Freezes a database as this release leaves it behind: one SQLite file, and the same rows as SQL for the servers.

    python tests/golden/databases/make_database.py

Run once per database revision, by the release that brings it, and never again: what is here already is not overwritten.
Append only, like all golden files: somebody has such a database. The files are named after the database revision.

A session id names the document that the row was made from: `v1/s01_full` is tests/golden/v1/s01_full.json, stored as
it was found. The sessions below `saved/` were loaded and saved again, so that their originals are in the archive.
"""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import create_engine, insert, select
from sqlalchemy.dialects import mysql, postgresql

from rekindle import SessionStore
from rekindle.database import sql
from rekindle.orm import DATABASE_REVISION, Base

HERE = Path(__file__).resolve().parent
FIRST = datetime(2025, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
SAVED = ("v1/s01_full", "v1/s04_full", "v2/s09_full", "v3/native_full")
DIALECTS = {"postgresql": postgresql.dialect(paramstyle="named"), "mariadb": mysql.dialect(paramstyle="named")}


def documents():
    """The full documents of each schema version, by name."""
    for path in sorted(HERE.parent.glob("v*/*.json")):
        if path.stem.endswith("_full"):
            yield f"{path.parent.name}/{path.stem}", path.read_text(encoding="utf-8")


def fill(url):
    """Import every document, and save some of them."""
    with SessionStore.open(url, upgrade=True) as store:
        for number, (name, text) in enumerate(documents()):
            moment = FIRST + timedelta(hours=number)
            store.import_document(name, text, created_at=moment, updated_at=moment + timedelta(minutes=1))
            if name in SAVED:
                store.import_document(f"saved/{name}", text, created_at=moment, updated_at=moment)
                store.save(store.load(f"saved/{name}"))


def dump(url, server):
    """The DDL of this release and the rows, for a database server."""
    engine = create_engine(url)
    statements = [sql(f"{server}://")]
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            for row in connection.execute(select(table).order_by(*table.primary_key)):
                statement = insert(table).values(row._asdict())
                statements.append(
                    str(statement.compile(dialect=DIALECTS[server], compile_kwargs={"literal_binds": True})) + ";\n"
                )
    engine.dispose()
    return "".join(statements)


def main():
    """Write the files of the current database revision."""
    target = HERE / f"{DATABASE_REVISION}.sqlite"
    url = f"sqlite:///{target}"
    if target.exists():
        raise SystemExit(f"{target.name} is there already, and golden files are append-only")
    fill(url)
    for server in DIALECTS:
        (HERE / f"{DATABASE_REVISION}.{server}.sql").write_text(dump(url, server), encoding="utf-8")
    connection = sqlite3.connect(target)
    connection.execute("VACUUM")
    connection.close()


if __name__ == "__main__":
    main()
