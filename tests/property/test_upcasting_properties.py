"""Laws of the chain, for documents generated from the frozen schema of every version."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from diffing import unreported
from hypothesis import example, given
from strategies import NEWEST, VERSIONS, documents, hybrids

import rekindle
from rekindle import schema
from rekindle.errors import InvalidPayloadError, Problem
from rekindle.history.trial import frozen, take
from rekindle.upcasting import PLAN, Upcast, validate, walk


def spelled(value: Any) -> str:
    """JSON text, in which 1, 1.0 and true differ, and so do 0.0 and -0.0."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def stepwise(document: dict[str, Any]) -> dict[str, Any]:
    """What becomes of a document that is stored at every version on its way."""
    for number, step in PLAN:
        document = {**step(document)[0], "schema_version": number}
    return document


every_version = pytest.mark.parametrize("number", VERSIONS)


@every_version
def test_every_valid_document_lands_in_a_valid_current_one(number):
    """A document that was valid at its version can be read today, and is valid at every version on the way."""

    @given(documents(number))
    def law(stored: dict[str, Any]) -> None:
        result = rekindle.upcast(stored)

        assert result.document["schema_version"] == NEWEST
        document = {**stored, "schema_version": stored.get("schema_version", 1)}
        for target in range(number + 1, NEWEST + 1):
            document = {**schema.VERSIONS[target].upcast(document)[0], "schema_version": target}
            schema.VERSIONS[target].SessionMetadata.model_validate(document)

    law()


@every_version
def test_stepwise_equals_direct(number):
    """Storing a document at every version on its way gives what one read gives."""

    @given(documents(number))
    def law(stored: dict[str, Any]) -> None:
        assert spelled(stepwise(stored)) == spelled(walk(stored).document)

    law()


@given(hybrids())
def test_reading_again_changes_nothing(stored):
    """The chain is idempotent, on hybrids too: its result holds nothing that it would change."""
    once = walk(stored).document

    again = walk(once)

    assert spelled(again.document) == spelled(once)
    assert again.changes == ()


# A pair that meant something else before version 3, which chance seldom finds.
PAIR = {"realm": "env_default", "binding": "default"}


@given(documents(NEWEST))
@example({"model": "m", "max_tokens": 1, "provider": "other", "tooling": {}, "auth_binding": PAIR})
def test_current_content_means_what_it_says(stored):
    """What is valid at the current version, and says so, is read as the model reads it, with defaults alone added."""
    stored = {**stored, "schema_version": NEWEST}  # without a number it is of version 1, where the pair means another

    assert validate(walk(stored).document) == schema.SessionMetadata.model_validate(stored)


@given(hybrids())
def test_hybrids_are_read_whatever_their_number(stored):
    """Newer content under an older number and older content under a newer one are read, or refused by name."""
    result = walk(stored)
    complaints = refusal(stored)

    assert result.from_version == stored.get("schema_version", 1)
    assert complaints is None or all(path for path, _ in complaints)  # content of two versions that contradicts itself


def refusal(stored: dict[str, Any]) -> tuple[Problem, ...] | None:
    try:
        rekindle.upcast(stored)
    except InvalidPayloadError as error:
        return error.problems
    return None


@every_version
def test_content_of_any_version_is_read_under_any_number(number):
    """The number of a row decides nothing about whether its content can be read."""

    @given(documents(number))
    def law(stored: dict[str, Any]) -> None:
        for claimed in VERSIONS:
            rekindle.upcast({**stored, "schema_version": claimed})

    law()


@given(hybrids())
def test_the_input_is_left_untouched(stored):
    """No step changes what it is given: not a key, and not a value inside of a value."""
    before = copy.deepcopy(stored)

    walk(stored)

    assert spelled(stored) == spelled(before)
    assert spelled(take(schema.VERSIONS, frozen(stored))) == spelled(walk(stored).document)


@given(hybrids())
def test_nothing_is_altered_without_a_change_that_names_it(stored):
    """Every stored value is in the result, under its key or the one it moved to, or a change names it."""
    result: Upcast = walk(stored)

    assert unreported(stored, result) == []


@given(hybrids())
def test_every_change_names_something_that_was_stored(stored):
    """The path of a change leads to a value in the stored document, and `old` is that value."""
    for change in walk(stored).changes:
        value: Any = stored
        for part in change.path.split("."):
            value = value[int(part) if isinstance(value, list) else part]

        assert spelled(value) == spelled(change.old)
