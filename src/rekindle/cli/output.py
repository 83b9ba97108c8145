"""
How things look: aligned tables on stdout, narration on stderr, JSON for programs.

Plain wherever stdout is not a terminal: no ANSI sequences, and nothing wrapped or cut off.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from pydantic_core import to_jsonable_python
from rich.cells import cell_len
from rich.console import Console, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_WIDE = 100_000
"""Columns of a pipe: more than any cell needs."""

_GAP = 2
_READABLE = 30


def write(text: str) -> None:
    """Write text for people to stdout, whatever its encoding."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    _write(f"{text}\n".encode(encoding, "backslashreplace"))


def write_json(document: Any) -> None:
    """Write one JSON document to stdout."""
    _write(f"{pretty(document)}\n".encode())


def write_verbatim(text: str) -> None:
    """Write a stored text to stdout, byte for byte; only a terminal gets it harmless, and with an end of line."""
    _write(f"{printable(text)}\n".encode() if sys.stdout.isatty() else text.encode())


def _write(raw: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(raw)


def narrate(text: str) -> None:
    """Say something to the person in front of the terminal."""
    click.echo(printable(text), err=True)


def printable(text: str) -> str:
    """Escape, as JSON does, the characters that a terminal would obey instead of showing."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def pretty(document: Any) -> str:
    """Say a value as indented JSON, in which a terminal finds nothing to obey."""
    return printable(json.dumps(to_jsonable_python(document), ensure_ascii=False, indent=2))


def compact(document: Any) -> str:
    """Say a value as JSON on one line."""
    return json.dumps(to_jsonable_python(document), ensure_ascii=False)


def moment(when: datetime) -> str:
    """Say a time to the second."""
    return when.strftime("%Y-%m-%d %H:%M:%SZ")


def bar(share: float, width: int = 20) -> str:
    """Draw a share of one; whatever is there at all is to be seen."""
    block = "#" if _console().options.ascii_only else "█"
    return block * max(round(share * width), 1 if share else 0)


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Container[str] = (),
    folding: Container[str] = (),
    indent: int = 0,
) -> str:
    """
    Lay out rows under headers.

    The columns named in `right` hold numbers. On a narrow terminal the cells of those named in `folding` take several
    lines, as long as they can still be read. All others stay in one piece, to be copied.
    """
    columns = list(zip(headers, *rows, strict=True))
    layout = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    needed = indent - _GAP
    for header, *cells in columns:
        folds = header in folding
        justify: JustifyMethod = "right" if header in right else "left"
        layout.add_column(header, justify=justify, overflow="fold", no_wrap=not folds)
        width = max(map(cell_len, (header, *map(printable, cells))))
        needed += _GAP + (min(width, _READABLE) if folds else width)
    for row in zip(*(cells for _, *cells in columns), strict=True):
        layout.add_row(*(Text(printable(cell)) for cell in row))
    return _rendered(layout, indent, needed)


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Lay out names and values side by side."""
    layout = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=False)
    layout.add_column(no_wrap=True, style="bold")
    layout.add_column(overflow="fold")
    for name, value in pairs:
        layout.add_row(name, Text(printable(value)))
    return _rendered(layout)


def _rendered(renderable: RenderableType, indent: int = 0, needed: int = 0) -> str:
    console = _console()
    console.width = max(console.width, needed)
    with console.capture() as capture:
        console.print(Padding.indent(renderable, indent))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _console() -> Console:
    width = None if sys.stdout.isatty() else _WIDE
    # Rich would leave out the colours and keep the bold.
    styled = False if os.environ.get("NO_COLOR") else None
    return Console(highlight=False, markup=False, emoji=False, width=width, force_terminal=styled)


@contextmanager
def counting(what: str, *, quiet: bool = False) -> Iterator[Callable[[], object]]:
    """Count calls of what this yields, on stderr and in passing; only where it is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    columns = (TextColumn("{task.description} {task.completed:,.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda: progress.advance(task)
