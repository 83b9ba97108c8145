"""Where the history of a package of schema versions is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Self


@dataclass(frozen=True, slots=True)
class History:
    """
    A package with VERSIONS in it, its snapshots, and its golden files.

    `golden` is None where only the package is installed: golden files stay in the checkout.
    """

    package: ModuleType
    golden: Path | None

    @classmethod
    def of(cls, package: ModuleType, golden: Path | None = None) -> Self:
        """Find the golden files of a package in a checkout with the usual layout, unless it is said where they are."""
        if golden is None:
            for parent in cls(package, None).directory.parents:
                if (parent / "tests" / "golden").is_dir() and (parent / "pyproject.toml").is_file():
                    return cls(package, parent / "tests" / "golden")
        return cls(package, golden)

    @property
    def directory(self) -> Path:
        """Where the modules are."""
        return Path(str(self.package.__file__)).resolve().parent

    @property
    def versions(self) -> Mapping[int, ModuleType]:
        """The modules by schema version, in order."""
        versions: Mapping[int, ModuleType] = self.package.VERSIONS
        return versions

    @property
    def newest(self) -> int:
        """The schema version that documents are taken to."""
        return max(self.versions)

    def module_path(self, number: int) -> Path:
        """Where a version is defined."""
        return Path(str(self.versions[number].__file__))

    def snapshot_path(self, number: int) -> Path:
        """Where a version is frozen."""
        return self.directory / "snapshots" / f"v{number}.json"

    def golden_path(self, number: int) -> Path | None:
        """Where the stored documents of a version are, if here."""
        return None if self.golden is None else self.golden / f"v{number}"
