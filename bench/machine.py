"""What the numbers were made on."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "rekindle", "pydantic", "pydantic-core", "SQLAlchemy", "psycopg", "PyMySQL", "aiomysql", "aiosqlite", "asyncpg",
    "agno", "langgraph-checkpoint-sqlite", "langgraph-checkpoint-postgres", "google-adk", "openai-agents",
)  # fmt: skip


def load() -> float:
    """How many processes wanted a core in the last minute."""
    return os.getloadavg()[0]


def described(load_before: float) -> str:
    """Name processor, system, Python and every package that was measured."""
    lines = [
        f"- {_processor()}, {os.cpu_count()} cores; load {load_before:.1f} before the run, {load():.1f} at its end",
        f"- {platform.system()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        f"- {', '.join(filter(None, map(_version, _PACKAGES)))}",
    ]
    return "\n".join(lines)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return None
