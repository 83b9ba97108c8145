"""
What went wrong, in one line on stderr.

No line carries a value of a document, a parameter of a statement or a password: errors of the library's own are made
that way, and of all others only the type is named.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from traceback import extract_tb
from typing import Any

from pydantic_core import to_json
from sqlalchemy.exc import SQLAlchemyError

from rekindle.cli.output import narrate
from rekindle.engine import redacted
from rekindle.errors import DatabaseUnavailableError, RekindleError

# How SQLite, PostgreSQL and MariaDB say it; the rest of their messages may quote values.
_MISSING_TABLE = re.compile(r"""(?:no such table: |relation "|Table ')([\w.]+)""")

_PACKAGE = Path(__file__).parents[1]


def report(error: Exception, url: str, *, as_json: bool) -> None:
    """Name a failure on stderr; with REKINDLE_TRACEBACK=1 in the environment, raise it for whoever hunts a defect."""
    if os.environ.get("REKINDLE_TRACEBACK") == "1":
        raise error
    failure = described(_named(error, url))
    narrate(to_json(failure, fallback=repr).decode() if as_json else f"error: {failure['message']}")


def described(error: Exception) -> dict[str, Any]:
    """Make an error a JSON object: its class, its message, and the attributes that are its interface."""
    attributes = {name: _plain(value) for name, value in vars(error).items() if not name.startswith("_")}
    return {"error": type(error).__name__, "message": _message(error), **attributes}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [each._asdict() if hasattr(each, "_asdict") else each for each in value]
    return value


def _named(error: Exception, url: str) -> Exception:
    """Give what SQLAlchemy raised, and nobody translated, a name and a remedy."""
    if not isinstance(error, SQLAlchemyError):
        return error
    missing = _MISSING_TABLE.search(str(getattr(error, "orig", "")))
    reason = f"the table {missing[1]} is missing" if missing else f"a statement failed ({type(error).__name__})"
    remedy = f"compare the tables with `rekindle db check --url {redacted(url)}`"
    return DatabaseUnavailableError(redacted(url), reason, remedy)


def _message(error: Exception) -> str:
    if isinstance(error, RekindleError):
        return str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or type(error).__name__}; check the path, its permissions and the space left"
    ours = [frame for frame in extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(_PACKAGE)]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "an unknown place"
    return f"unexpected {type(error).__name__} at {where}; report it with what REKINDLE_TRACEBACK=1 shows"
