"""
Proves, when the registry is built, that the modules of the schema versions are one chain.

A program with a hole in its history must not come up: it would find out on the first row that falls into it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from inspect import iscoroutinefunction
from itertools import pairwise
from types import MappingProxyType, ModuleType

from pydantic import BaseModel

from rekindle.errors import HistoryError

_SURFACE = ("VERSION", "SUMMARY", "DOWNCAST", "upcast", "downcast", "SessionMetadata")


def registry(versions: Mapping[int, ModuleType]) -> MappingProxyType[int, ModuleType]:
    """Freeze the modules by schema version, or raise HistoryError with everything that is wrong with them."""
    wrong = [*_not_a_chain(versions), *(text for item in versions.items() for text in _not_a_version(*item))]
    if wrong:
        raise HistoryError(tuple(wrong))
    return MappingProxyType(dict(sorted(versions.items())))


def _not_a_chain(versions: Mapping[int, ModuleType]) -> Iterator[str]:
    if not versions:
        yield "VERSIONS is empty; register the module of schema version 1"
        return
    numbers = sorted(versions)
    if numbers[0] != 1:
        yield f"VERSIONS begins at {numbers[0]}; register the module of schema version 1, rows without a number need it"
    for below, above in pairwise(numbers):
        if above != below + 1:
            yield f"VERSIONS jumps from {below} to {above}; register the modules between them, or renumber {above}"
    for name, count in Counter(module.__name__ for module in versions.values()).items():
        if count > 1:
            yield f"{name} is registered {count} times; give each schema version a module of its own"


def _not_a_version(number: int, module: ModuleType) -> Iterator[str]:
    where = module.__name__
    if missing := [name for name in _SURFACE if not hasattr(module, name)]:
        yield f"{where} lacks {', '.join(missing)}; every version has the same surface, see rekindle.schema.v1"
        return
    if number != module.VERSION:
        yield f"{where}.VERSION is {module.VERSION!r} and it is registered as {number}; make the two agree"
    if not isinstance(module.SUMMARY, str) or "\n" in module.SUMMARY:
        yield f"{where}.SUMMARY is not one line of text; say in a sentence what the version is"
    if not callable(module.upcast) or iscoroutinefunction(module.upcast):
        yield f"{where}.upcast is not a plain function; a step takes a document and returns (document, changes)"
    if not isinstance(module.SessionMetadata, type) or not issubclass(module.SessionMetadata, BaseModel):
        yield f"{where}.SessionMetadata is not a pydantic model; it is the document at this schema version"
    yield from _wrong_downcast(number, module)


def _wrong_downcast(number: int, module: ModuleType) -> Iterator[str]:
    where = module.__name__
    if module.DOWNCAST not in {"exact", "lossy", "none"}:
        yield f"{where}.DOWNCAST is {module.DOWNCAST!r}; say exact, lossy or none"
    elif (module.DOWNCAST == "none") != (module.downcast is None):
        yield f"{where}.DOWNCAST is {module.DOWNCAST} and downcast says otherwise; none goes with downcast = None"
    elif module.downcast is not None and (not callable(module.downcast) or iscoroutinefunction(module.downcast)):
        yield f"{where}.downcast is not a plain function; it takes a document and returns (document, unsayable paths)"
    elif number == 1 and module.downcast is not None:
        yield f"{where}.downcast has nowhere to go; set DOWNCAST to none and downcast to None in schema version 1"
