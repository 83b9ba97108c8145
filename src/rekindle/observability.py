"""
What a service can see of rekindle at work: log records with fields, and OpenTelemetry where its API is installed.

The logger is `rekindle`. Each record has its numbers and ids as attributes, for handlers that write fields. Neither
records nor spans nor counters carry a value of a document. Without the OpenTelemetry API nothing of it is imported;
with it, and without an SDK, spans and counters go nowhere, as is its own rule.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from rekindle.errors import NewerSchemaError, StaleSessionError
from rekindle.schema import CURRENT, Change

logger = logging.getLogger("rekindle")

_NOTHING: AbstractContextManager[Any] = nullcontext()


def upcast_on_load(session_id: str, schema_version: int, changes: Sequence[Change]) -> None:
    """A row was loaded that is stored below the current schema version, or with content from below it."""
    _count("rekindle.upcasts", "Rows upcast when they were loaded", {"rekindle.from_schema_version": schema_version})
    if logger.isEnabledFor(logging.DEBUG):
        fields = {
            "session_id": session_id,
            "from_schema_version": schema_version,
            "to_schema_version": CURRENT,
            "changes": [{"path": change.path, "reason": change.reason} for change in changes],
        }
        logger.debug(
            "session %r was upcast from schema version %d to %d, %d changes",
            session_id, schema_version, CURRENT, len(changes), extra=fields,
        )  # fmt: skip


def stale_save(error: StaleSessionError) -> StaleSessionError:
    """A save lost its race. Returns the error, to be raised."""
    _count("rekindle.stale_saves", "Saves that lost the race for their row", {})
    fields = {
        "session_id": error.session_id,
        "expected_lock_version": error.expected_lock_version,
        "found_lock_version": error.found_lock_version,
    }
    logger.info(
        "a save of session %r was based on lock version %d and found %d",
        error.session_id, error.expected_lock_version, error.found_lock_version, extra=fields,
    )  # fmt: skip
    return error


def newer_row_refused(error: NewerSchemaError) -> NewerSchemaError:
    """A row of a later release was met, and neither read nor overwritten. Returns the error, to be raised."""
    attributes = {"rekindle.schema_version": error.schema_version}
    _count("rekindle.newer_rows_refused", "Rows of a later release that were refused", attributes)
    fields = {
        "session_id": error.session_id, "schema_version": error.schema_version, "supported": error.supported,
    }  # fmt: skip
    logger.warning(
        "session %r is at schema version %d, this release reads up to %d",
        error.session_id, error.schema_version, error.supported, extra=fields,
    )  # fmt: skip
    return error


def tried_again(error: Exception, *, connection_lost: bool) -> None:
    """The database rolled a call back, or was lost in the midst of it, and the call is made again."""
    cause = type(getattr(error, "orig", None) or error).__name__
    _count("rekindle.retries", "Calls made again", {"error.type": cause})
    logger.warning(
        "the connection was lost (%s); trying again" if connection_lost else "rolled back (%s); trying again",
        cause, extra={"error_class": cause, "connection_lost": connection_lost},
    )  # fmt: skip


def spans(system: str) -> Callable[[str], AbstractContextManager[Any]]:
    """
    Make what opens a span around each call of a store on a database system.

    It does nothing without the API, nor where no SDK has been configured by now: to look at each call whether one has
    been since would take a thirtieth of a load from SQLite.
    """
    try:
        import opentelemetry.trace as trace  # noqa: PLC0415, PLR0402 - only where it is installed, and a store is opened
    except ImportError:
        return lambda _: _NOTHING
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return lambda _: _NOTHING
    tracer = trace.get_tracer("rekindle")
    attributes = {"db.system.name": {"mysql": "mariadb"}.get(system, system)}
    return lambda name: tracer.start_as_current_span(
        f"rekindle.{name}", kind=trace.SpanKind.CLIENT, attributes=attributes
    )


@cache
def _counter(name: str, description: str) -> Any:
    try:
        import opentelemetry.metrics as metrics  # noqa: PLC0415, PLR0402 - only where it is installed, and there is something to count
    except ImportError:
        return None
    return metrics.get_meter("rekindle").create_counter(name, description=description)


def _count(name: str, description: str, attributes: dict[str, Any]) -> None:
    counter = _counter(name, description)
    if counter is not None:
        counter.add(1, attributes)
