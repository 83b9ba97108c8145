"""
The history of the document as files, and what keeps it as it was released.

`check` compares the modules with their snapshots and golden files, `new` begins a schema version, `freeze` ends it.
Only the command line and the tests import this: a program that stores sessions does not need it.
"""

from rekindle.history.checking import BROKEN, UNFROZEN, UNWRITTEN, Finding, check, read_snapshots
from rekindle.history.compatibility import Verdict, verdicts
from rekindle.history.golden import goldens
from rekindle.history.snapshot import Snapshot
from rekindle.history.versions import History
from rekindle.history.writing import freeze, new

__all__ = [
    "BROKEN",
    "UNFROZEN",
    "UNWRITTEN",
    "Finding",
    "History",
    "Snapshot",
    "Verdict",
    "check",
    "freeze",
    "goldens",
    "new",
    "read_snapshots",
    "verdicts",
]
