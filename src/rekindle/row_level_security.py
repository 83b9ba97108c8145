"""
Row-level security: PostgreSQL itself keeps the realms apart, in addition to the WHERE of every statement.

Opt-in, and no part of the tables' history: whether it is wanted is a question of the roles of one installation. A
session acts for the realm in its setting `rekindle.realm`, which a store opened with a realm sets on each of its
connections; without the setting it sees no session at all. The setting is no secret, and whoever can send SQL of their
own can change it: this guards against a forgotten WHERE, not against a hostile role.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from rekindle.engine import REALM_SETTING, redacted
from rekindle.errors import DatabaseUnavailableError
from rekindle.tables import metadata

TABLES = tuple(table.name for table in metadata.sorted_tables if "realm" in table.c)
"""All of ours. A backfill belongs to the realm that it goes through, and one that goes through all of them to none."""

POLICY = "rekindle_realm"

# For reading and writing alike: a policy without WITH CHECK checks new rows by its USING.
_ENABLE = (
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE {table} {force} ROW LEVEL SECURITY",
    "DROP POLICY IF EXISTS {policy} ON {table}",
    "CREATE POLICY {policy} ON {table} USING (realm = current_setting('{setting}', true))",
)
_DISABLE = (
    "DROP POLICY IF EXISTS {policy} ON {table}",
    "ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
)
_STATE = text("""
    SELECT current_user AS role,
           bool_and(relrowsecurity) AS enabled,
           bool_and(relforcerowsecurity) AS forced,
           bool_and(row_security_active(oid)) AS binding
    FROM pg_class WHERE oid = ANY (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) AS name)
""")


@dataclass(frozen=True, slots=True)
class RowLevelSecurity:
    """What holds for the tables; `binding` is whether it holds for the connected role, whose name is `role`."""

    enabled: bool
    forced: bool
    binding: bool
    role: str


def enable(connection: Connection, *, force: bool = False) -> RowLevelSecurity:
    """
    Let every role see and write only the rows of the realm that its session is set to.

    Superusers and roles with BYPASSRLS are exempt, and the owner of the tables is unless `force`. In the caller's
    transaction; may be repeated. Raises DatabaseUnavailableError on other databases than PostgreSQL.
    """
    return _run(connection, _ENABLE, force="FORCE" if force else "NO FORCE")


def disable(connection: Connection) -> RowLevelSecurity:
    """Undo enable(), in the caller's transaction; may be repeated."""
    return _run(connection, _DISABLE)


def state(connection: Connection) -> RowLevelSecurity:
    """Say what holds now."""
    return _run(connection, ())


def _run(connection: Connection, statements: tuple[str, ...], **options: str) -> RowLevelSecurity:
    if connection.dialect.name != "postgresql":
        remedy = "use PostgreSQL for it; a store that is opened with a realm keeps to it on every database"
        raise DatabaseUnavailableError(redacted(connection.engine.url), "knows no row-level security", remedy)
    for table in TABLES:
        for statement in statements:
            # Names are constants of this module; DDL takes no parameters.
            ddl = statement.format(table=table, policy=POLICY, setting=REALM_SETTING, **options)
            connection.execute(text(ddl))
    found = connection.execute(_STATE, {"tables": list(TABLES)}).one()
    return RowLevelSecurity(found.enabled, found.forced, found.binding, found.role)
