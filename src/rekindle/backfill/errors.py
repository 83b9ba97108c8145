"""
What can go wrong with what goes through whole tables; part of the tree in rekindle.errors.
"""

from __future__ import annotations

from rekindle.errors import RekindleError


class BackfillRunNotFoundError(RekindleError, LookupError):
    """No run of the backfill has this id, or several begin with it."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def __str__(self) -> str:
        return f"no one run of the backfill is {self.run_id!r}; list the runs with `rekindle backfill list`"


class BackfillRunStateError(RekindleError):
    """A run cannot be paused, resumed or cancelled in the state it is in."""

    def __init__(self, run_id: str, state: str, verb: str) -> None:
        super().__init__(run_id, state, verb)
        self.run_id = run_id
        self.state = state
        self.verb = verb

    def __str__(self) -> str:
        remedies = {"resume": "pause it first, or start another run with `rekindle backfill`"}
        remedy = remedies.get(self.verb, "see what the runs do with `rekindle backfill list`")
        if self.state in {"succeeded", "cancelled"}:
            remedy = "start another run with `rekindle backfill`"
        return f"run {self.run_id} is {self.state}, and cannot {self.verb}; {remedy}"


class TooManyFailuresError(RekindleError):
    """So many rows failed that a step must be wrong, and not the rows; the run has stopped."""

    def __init__(self, failed: int, looked_at: int, example: str) -> None:
        super().__init__(failed, looked_at, example)
        self.failed = failed
        self.looked_at = looked_at
        self.example = example

    def __str__(self) -> str:
        return (
            f"{self.failed:,} of {self.looked_at:,} rows cannot be converted (such as {self.example}), which looks "
            "like a fault of a step and not of the rows; nothing of them was changed. See them with `rekindle "
            "quarantine list`; if it is the rows, go on with a higher --max-failures and --max-failure-share"
        )


class BackfillIncompleteError(RekindleError):
    """Rows below a schema version, or in the quarantine, are left. `outdated` counts up to a bound."""

    def __init__(self, schema_version: int, outdated: int, quarantined: int, at_least: bool) -> None:
        super().__init__(schema_version, outdated, quarantined, at_least)
        self.schema_version = schema_version
        self.outdated = outdated
        self.quarantined = quarantined
        self.at_least = at_least

    def __str__(self) -> str:
        more = "more than " if self.at_least else ""
        return (
            f"{more}{self.outdated:,} rows are below schema version {self.schema_version}, and {self.quarantined:,} "
            "are in the quarantine; run `rekindle backfill`, then `rekindle quarantine list`"
        )


class ReplicaLagUnknownError(RekindleError):
    """The database does not tell how far its replicas are behind, so the run cannot heed it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason}; grant the role that membership on PostgreSQL, or use --max-rate or --pause-file"
