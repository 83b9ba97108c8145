"""
Who is measured: one small module each.

A contender keeps the same document under the same ids. Methods of an asynchronous one are coroutines. `differs` says in
a few words what it does more or less of per call than the floor, which does the statement, and reads or writes JSON.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

import sqlalchemy as sa

from rekindle import SessionMetadata

PAGE = 100
CALLERS = 8
POOL = {"pool_size": CALLERS}
"""So that nobody's engine opens and closes connections while eight are calling."""


class Contender:
    """What the harness asks of everybody; what a contender lacks it does not define."""

    name: ClassVar[str]
    family: ClassVar[str]
    """Its name and colour in the plot, shared by both colours of a library."""
    package: ClassVar[str | None] = None
    engines: ClassVar[tuple[str, ...]] = ("sqlite", "postgresql", "mariadb")
    asynchronous: ClassVar[bool] = False
    own_tables: ClassVar[bool] = True
    differs: ClassVar[str] = ""
    most: ClassVar[int] = 4000
    """Operations in one round at most: appenders grow with each."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self.held: dict[str, Any] = {}
        self.idle: deque[Any] = deque()
        self.created = 0

    def next_id(self) -> str:
        """Name a session that is not there yet."""
        self.created += 1
        return f"{self.name}-{self.created}"


def changed(metadata: SessionMetadata) -> SessionMetadata:
    """Change what a save has to write."""
    metadata.max_tokens += 1
    return metadata
