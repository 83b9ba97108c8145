"""What importing rekindle adds to importing SQLAlchemy and pydantic, in processes of their own, in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import NamedTuple

_BASE = "import sqlalchemy; from pydantic import BaseModel"
_STATEMENTS = (
    _BASE,
    f"{_BASE}; import rekindle",
    f"{_BASE}; import rekindle; from rekindle import SessionStore",
)
_UNTIL_USED = (
    "aiomysql", "aiosqlite", "alembic", "asyncio", "asyncpg", "click", "greenlet", "psycopg", "pymysql", "rich",
    "stamina",
)  # fmt: skip
_LEAST_ROUNDS = 11


class Imports(NamedTuple):
    """The Markdown, and by how much of the base the last statement is slower."""

    table: str
    adds: float


def measured(rounds: int) -> Imports:
    """Take the processor time of the imports; name what ought not to be imported until it is used, and is."""
    figures: dict[str, list[float]] = {statement: [] for statement in _STATEMENTS}
    for _ in range(max(rounds, _LEAST_ROUNDS)):
        for statement, taken in figures.items():
            taken.append(_milliseconds(statement))
    lines = ["## Import", "", "| statement | processor ms (median) | lowest | adds |", "|---|---:|---:|---:|"]
    for statement, taken in figures.items():
        added = statistics.median(mine / base - 1 for mine, base in zip(taken, figures[_BASE], strict=True))
        lines.append(f"| `{statement}` | {statistics.median(taken):.0f} | {min(taken):.0f} | {added:+.0%} |")
    asked = _loaded(_STATEMENTS[-1]) - _loaded(_BASE)
    unasked = ", ".join(sorted(asked & set(_UNTIL_USED))) or "none"
    lines += ["", f"Of {', '.join(_UNTIL_USED)}, rekindle imports before they are used: {unasked}."]
    return Imports("\n".join(lines), added)


def _milliseconds(statement: str) -> float:
    code = f"import time\nbegin = time.process_time()\n{statement}\nprint(time.process_time() - begin)"
    return float(_output(code)) * 1e3


def _loaded(statement: str) -> set[str]:
    return set(_output(f"{statement}\nimport sys\nprint(*sys.modules)").split())


def _output(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
