"""
What the documents of all schema versions are made of.

Frozen like the versions themselves: a version that needs another rule defines its own part.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, Strict, StringConstraints

Document: TypeAlias = dict[str, Any]
"""A document as parsed from JSON, at any schema version."""

U32 = Annotated[int, Strict(), Field(ge=0, le=2**32 - 1)]
U64 = Annotated[int, Strict(), Field(ge=0, le=2**64 - 1)]
Bool = Annotated[bool, Strict()]
Text = Annotated[str, Strict()]
NonEmpty = Annotated[str, Strict(), StringConstraints(min_length=1)]
NonBlank = Annotated[str, Strict(), StringConstraints(pattern=r"\S")]
Slug = Annotated[str, Strict(), StringConstraints(pattern=r"^[A-Za-z0-9._-]+$")]
SchemaVersion = Annotated[int, Strict(), Field(ge=1, le=2**32 - 1)]


class Part(BaseModel):
    """
    Base of every model of a document.

    Scalars are strict, so an integer stays an integer and `"4096"` is no number. Keys that a version does not know are
    kept, with their values, at every depth: they may belong to a later release or to another program. Built when first
    used: a service has no use for the models of past versions, nor for those of the parts by themselves.
    """

    model_config = ConfigDict(extra="allow", ser_json_inf_nan="constants", defer_build=True)


def is_none(value: object) -> bool:
    """For `exclude_if`: an optional field that is not set is not written."""
    return value is None


class Change(NamedTuple):
    """
    A stored value that an upcast altered or dropped. Adding a default is no change.

    `path` is dotted, in the document as it was stored; `new` is None for a value that was dropped.
    """

    path: str
    reason: str
    old: Any
    new: Any


change: Callable[[tuple[str, str, Any, Any]], Change] = partial(tuple.__new__, Change)
"""What the steps make changes with: NamedTuple's own constructor takes twice as long, and old rows have ten of them."""


Step: TypeAlias = Callable[[Document], tuple[Document, list[Change]]]
"""
Takes a document to the version of the step's module.

Pure and total over JSON objects: the argument is untouched, and comes back itself where there is nothing to do; nothing
is raised about content that validation will name; the number in the document is left to the walker. A step looks at the
content, because the number may lie, and finds nothing to do in content that is already at its version or above.
"""
