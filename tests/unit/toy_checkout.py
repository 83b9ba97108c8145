"""A package of schema versions of its own, in a temporary checkout, for tests that add to a history and break it."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from rekindle.history import History

REGISTRY = '''"""A toy history."""

from rekindle.schema.registry import registry
from toy import v1
from toy.v1 import SessionMetadata

VERSIONS = registry(
    {
        1: v1,
    }
)
'''

V1 = '''"""Schema version 1 of a toy."""

from __future__ import annotations

from rekindle.schema.parts import U32, Change, Document, Part, SchemaVersion, Text

VERSION = 1
SUMMARY = "A name, and how many."
DOWNCAST = "none"
downcast = None


def upcast(document: Document) -> tuple[Document, list[Change]]:
    """Give it a number."""
    return {"schema_version": VERSION, **document}, []


class SessionMetadata(Part):
    """A toy."""

    schema_version: SchemaVersion = VERSION
    name: Text
    count: U32 = 0
'''


class Checkout:
    """`toy` with its golden files, laid out like a checkout of ours."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.golden = root / "tests" / "golden"
        self.directory = root / "src" / "toy"
        self.directory.mkdir(parents=True)
        (root / "pyproject.toml").touch()
        self.write("__init__.py", REGISTRY)
        self.write("v1.py", V1)
        self.store(1, "full", {"name": "n", "count": 3}, {"schema_version": 1, "name": "n", "count": 3})

    def path(self, name: str) -> Path:
        return self.directory / name

    def write(self, name: str, text: str) -> None:
        self.path(name).write_text(text, encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file as an author would, in one place."""
        text = self.path(name).read_text(encoding="utf-8")
        assert text.count(old) == 1, (name, old)
        self.write(name, text.replace(old, new))

    def store(self, number: int, name: str, stored: Any, document: Any) -> None:
        """Add a golden document with what is expected of it; None stands for a refusal."""
        directory = self.golden / f"v{number}"
        directory.mkdir(parents=True, exist_ok=True)
        expected = {"status": "reject"} if document is None else {"status": "ok", "document": document, "changes": []}
        (directory / f"{name}.json").write_text(json.dumps(stored), encoding="utf-8")
        (directory / f"{name}.expected.json").write_text(json.dumps(expected), encoding="utf-8")

    def history(self) -> History:
        """Import the package as it is on disk now."""
        return History.of(self.package())

    def package(self) -> ModuleType:
        self.forget()
        importlib.invalidate_caches()
        return importlib.import_module("toy")

    @staticmethod
    def forget() -> None:
        for name in [name for name in sys.modules if name == "toy" or name.startswith("toy.")]:
            del sys.modules[name]
