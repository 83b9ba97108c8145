"""
What the steps do to stored documents, watched closely: on input that cannot be changed, and twice.

It stands in for what a production run does not pay for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, NoReturn

from pydantic import ValidationError

from rekindle.history.golden import Golden


class Misbehaviour(Exception):  # noqa: N818 - it is raised and caught in here, and is no error of a caller
    """What a step did that a step does not do."""

    def __init__(self, number: int, what: str, *, unwritten: bool = False) -> None:
        super().__init__(number, what)
        self.number = number
        self.what = what
        self.unwritten = unwritten


class _MutatedError(Exception):
    pass


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise _MutatedError


class _FrozenDict(dict[str, Any]):
    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse


class _FrozenList(list[Any]):
    __setitem__ = __delitem__ = __iadd__ = __imul__ = append = clear = extend = insert = _refuse
    pop = remove = reverse = sort = _refuse


def frozen(value: Any) -> Any:
    """Copy a JSON value into one that refuses to be changed, at any depth."""
    if isinstance(value, dict):
        return _FrozenDict((key, frozen(child)) for key, child in value.items())
    if isinstance(value, list):
        return _FrozenList(map(frozen, value))
    return value


def take(versions: Mapping[int, ModuleType], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Take a document through all steps; raises Misbehaviour at the first that is not what a step should be."""
    current = dict(stored)
    for number, module in versions.items():
        current = _watched(number, module, current)
    return {**current, "schema_version": max(versions)}


def _watched(number: int, module: ModuleType, document: dict[str, Any]) -> dict[str, Any]:
    result, _ = _twice(number, "step", module.upcast, document)
    if result.get("schema_version", 1) != document.get("schema_version", 1):
        raise Misbehaviour(number, "the step changes schema_version, which is the walker's")
    if module.downcast is not None:
        _twice(number, "downcast", module.downcast, {**result, "schema_version": number})
    return dict(result)


def _twice(number: int, name: str, function: Callable[[Any], Any], document: dict[str, Any]) -> tuple[Any, Any]:
    """Run a function on a document that cannot be changed, and see that it says the same thing again."""
    try:
        answer: tuple[Any, Any] = function(frozen(document))
        again = function(frozen(document))
    except NotImplementedError:
        raise Misbehaviour(number, f"the {name} is not written yet", unwritten=True) from None
    except _MutatedError:
        raise Misbehaviour(number, f"the {name} changes the document that it is given") from None
    except Exception as error:
        raise Misbehaviour(number, f"the {name} fails with {type(error).__name__}") from error
    if _spelled(answer) != _spelled(again):
        raise Misbehaviour(number, f"the {name} answers differently the second time")
    return answer


def _spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def complaints(versions: Mapping[int, ModuleType], golden: Golden) -> Iterator[str]:
    """Say where a golden document no longer gives what is expected of it. Raises Misbehaviour."""
    model = versions[max(versions)].SessionMetadata
    number = golden.stored.get("schema_version", 1) if isinstance(golden.stored, dict) else None
    if type(number) is not int or not 1 <= number <= max(versions):
        if golden.expected["status"] == "ok":
            yield "is not a document of a known schema version"
        return
    if golden.expected.get("error") == "newer":  # it was when it was written, and has become known since
        return
    try:
        metadata = model.model_validate(take(versions, golden.stored))
    except ValidationError:
        if golden.expected["status"] == "ok":
            yield "is refused"
        return
    if golden.expected["status"] != "ok":
        yield "is accepted"
    # As models, for which a key that is absent and one that is null are the same.
    elif metadata != model.model_validate(take(versions, golden.expected["document"])):
        yield "reads as another document"
