"""How far a long command is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from rekindle.cli.output import narrate

LINE_SECONDS = 10.0

Advance: TypeAlias = Callable[[int, str], object]
"""Takes how many are done by now, and what there is to say."""


class _Done(ProgressColumn):
    """How many of how many."""

    def render(self, task: Task) -> Text:
        """Show the numbers as all output does."""
        return Text(_of(int(task.completed), None if task.total is None else int(task.total)))


class _Rate(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        """Show the speed once there is one."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


@contextmanager
def progress(what: str, total: int | None, *, quiet: bool = False) -> Iterator[Advance]:
    """Show how many of `total` are done while the body runs."""
    if quiet:
        yield lambda _done, _note: None
    elif sys.stderr.isatty() and not (console := Console(stderr=True)).is_dumb_terminal:
        columns = (
            TextColumn("{task.description}"), BarColumn(), _Done(), _Rate(), TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        with Progress(*columns, console=console, transient=True) as shown:
            task = shown.add_task(what, total=total, note="")
            yield lambda done, note: shown.update(task, completed=done, note=note)
    else:
        yield _lines(what, total)


def _of(done: int, total: int | None) -> str:
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"


def _lines(what: str, total: int | None) -> Advance:
    begun = told = monotonic()

    def advance(done: int, note: str) -> None:
        nonlocal told
        now = monotonic()
        if now - told < LINE_SECONDS:
            return
        told = now
        narrate(f"{what}: {_of(done, total)}, {done / (now - begun):,.0f}/s{f', {note}' if note else ''}")

    return advance
