"""
The backfill: rewrite all outdated rows at the schema version that this release writes.

Live writers do not notice: lock_version and updated_at stay, and a row that somebody saves meanwhile is theirs. Each
batch is a transaction of its own, so that it can be stopped, or killed, at any moment and started again; any number of
runs may be at work at once. An operators' tool, and therefore synchronous only: it has an engine, and its transactions,
to itself.
"""

from rekindle.backfill.completeness import COUNTED, Remaining, ensure, remaining
from rekindle.backfill.running import Controls, Report, Settings, resume, run, version_to_write
from rekindle.backfill.undoing import LEFT, Left, Undone, undo
from rekindle.backfill.walk import Progress

__all__ = [
    "COUNTED",
    "LEFT",
    "Controls",
    "Left",
    "Progress",
    "Remaining",
    "Report",
    "Settings",
    "Undone",
    "ensure",
    "remaining",
    "resume",
    "run",
    "undo",
    "version_to_write",
]
