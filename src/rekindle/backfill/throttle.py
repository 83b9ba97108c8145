"""
Reasons to wait: each throttle says why the backfill should hold still for a moment, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection, text

from rekindle.backfill.errors import ReplicaLagUnknownError

Throttle: TypeAlias = Callable[[Connection], str | None]

_LAG = text("SELECT max(extract(epoch FROM replay_lag)) FROM pg_stat_replication")
_MAY_SEE_LAG = text("SELECT pg_has_role('pg_read_all_stats', 'USAGE')")
_LOCK_WAITS = {
    "postgresql": text(
        # Not by wait_event_type, which only some roles see of others.
        "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE NOT granted AND datname = current_database()"
    ),
    "mysql": text("SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"),
}
_LOCK_WAITS["mariadb"] = _LOCK_WAITS["mysql"]


def pause_file(path: Path) -> Throttle:
    """Wait as long as a file exists: the one switch that needs neither a database nor this program."""

    def throttle(_connection: Connection) -> str | None:
        return f"{path} exists" if path.exists() else None

    return throttle


def replica_lag(connection: Connection, seconds: float) -> Throttle:
    """
    Wait as long as a replica is this far behind.

    Only PostgreSQL's primary knows, and tells only some roles: raises ReplicaLagUnknownError for all others.
    """
    if connection.dialect.name != "postgresql":
        raise ReplicaLagUnknownError(f"{connection.dialect.name} does not tell how far its replicas are behind")
    if not connection.execute(_MAY_SEE_LAG).scalar():
        raise ReplicaLagUnknownError("PostgreSQL tells only members of pg_read_all_stats how far replicas are behind")

    def throttle(connection: Connection) -> str | None:
        lag = connection.execute(_LAG).scalar()
        return f"a replica is {float(lag):.1f} s behind" if lag is not None and float(lag) > seconds else None

    return throttle


def lock_waits(connection: Connection, most: int) -> Throttle:
    """Wait as long as more than so many transactions wait for locks. SQLite has no such thing to ask for."""
    statement = _LOCK_WAITS.get(connection.dialect.name)

    def throttle(connection: Connection) -> str | None:
        waiting = 0 if statement is None else connection.execute(statement).scalar_one()
        return f"transactions waiting for locks: {waiting}" if waiting > most else None

    return throttle


def first_reason(throttles: tuple[Throttle, ...], connection: Connection) -> str | None:
    """Ask them in turn until one has a reason."""
    return next((reason for throttle in throttles if (reason := throttle(connection)) is not None), None)
