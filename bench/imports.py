"""What importing rekindle adds to importing SQLAlchemy and pydantic, in processes of their own, in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys

_BASE = "import sqlalchemy, pydantic"
_ORM = "import sqlalchemy.orm, pydantic"
_OURS = "import sqlalchemy, pydantic, rekindle"
_UNWANTED = (
    "alembic",
    "click",
    "rich",
    "stamina",
    "aiosqlite",
    "asyncpg",
    "aiomysql",
    "psycopg",
    "pymysql",
    "greenlet",
)


def _milliseconds(statement: str) -> float:
    code = f"import time\nbegin = time.perf_counter()\n{statement}\nprint(time.perf_counter() - begin)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout) * 1e3


def table(rounds: int) -> str:
    """Time the imports; name what ought not to be imported and is."""
    figures: dict[str, list[float]] = {statement: [] for statement in (_BASE, _ORM, _OURS)}
    for _ in range(max(rounds, 7)):
        for statement, taken in figures.items():
            taken.append(_milliseconds(statement))
    code = f"import rekindle, sys\nprint(*(name for name in {_UNWANTED!r} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    base = statistics.median(figures[_BASE])
    lines = ["## Import", "", "| statement | ms (median) | fastest | over the first |", "|---|---:|---:|---:|"]
    for statement, taken in figures.items():
        middle = statistics.median(taken)
        lines.append(f"| `{statement}` | {middle:.0f} | {min(taken):.0f} | {middle / base - 1:+.0%} |")
    return "\n".join([*lines, "", f"Imported although nobody asked for it: {loaded or 'nothing'}."])
