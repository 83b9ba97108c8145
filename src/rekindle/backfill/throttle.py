"""
Reasons to wait: each throttle says why the backfill should hold still for a moment, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection, text

Throttle: TypeAlias = Callable[[Connection], str | None]

_LAG = text("SELECT max(extract(epoch FROM replay_lag)) FROM pg_stat_replication")
_LOCK_WAITS = {
    "postgresql": text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
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
    """Wait as long as a replica is this far behind. Only PostgreSQL's primary knows; raises on the others."""
    if connection.dialect.name != "postgresql":
        name = connection.dialect.name
        raise ValueError(f"{name} does not tell how far its replicas are behind; bound the rate instead")

    def throttle(connection: Connection) -> str | None:
        lag = connection.execute(_LAG).scalar()
        return f"a replica is {float(lag):.1f} s behind" if lag is not None and float(lag) > seconds else None

    return throttle


def lock_waits(connection: Connection, most: int) -> Throttle:
    """Wait as long as more than so many transactions wait for locks. SQLite has no such thing to ask for."""
    statement = _LOCK_WAITS.get(connection.dialect.name)

    def throttle(connection: Connection) -> str | None:
        waiting = 0 if statement is None else connection.execute(statement).scalar_one()
        return f"{waiting} transactions wait for locks" if waiting > most else None

    return throttle


def first_reason(throttles: tuple[Throttle, ...], connection: Connection) -> str | None:
    """Ask them in turn until one has a reason."""
    return next((reason for throttle in throttles if (reason := throttle(connection)) is not None), None)
