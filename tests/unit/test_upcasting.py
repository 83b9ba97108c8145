"""The walker, and the proof that its registry is a chain."""

from __future__ import annotations

from types import MappingProxyType, ModuleType

import pytest

from rekindle import upcast, upcasting
from rekindle.errors import HistoryError, InvalidPayloadError, NewerSchemaError, RekindleError, UpcastError
from rekindle.schema import CURRENT, VERSIONS, SessionMetadata
from rekindle.schema.registry import registry

MINIMAL = {"model": "m", "max_tokens": 1, "provider": "other", "tooling": {}}


def version(number: int, name: str | None = None, **surface: object) -> ModuleType:
    """A module with the surface of a schema version."""
    module = ModuleType(name or f"toy.v{number}")
    module.VERSION, module.SUMMARY, module.DOWNCAST, module.downcast = number, "A toy.", "none", None
    module.upcast, module.SessionMetadata = (lambda document: (document, [])), SessionMetadata
    vars(module).update(surface)
    return module


def refusal(versions: dict[int, ModuleType]) -> str:
    with pytest.raises(HistoryError) as caught:
        registry(versions)
    assert caught.value.problems
    return str(caught.value)


def test_a_chain_is_registered_in_order_and_frozen():
    """The registry is a read-only mapping, sorted by version, whatever the order it was written in."""
    one, two = version(1), version(2)

    built = registry({2: two, 1: one})

    assert list(built.items()) == [(1, one), (2, two)]
    assert isinstance(built, MappingProxyType)


def test_a_gap_is_refused():
    """A version that is left out is named, with both its neighbours."""
    assert "jumps from 1 to 3" in refusal({1: version(1), 3: version(3)})


def test_a_chain_that_does_not_begin_at_one_is_refused():
    """Rows without a number are at version 1, so there is one."""
    assert "begins at 2" in refusal({2: version(2)})


def test_an_empty_registry_is_refused():
    """A history has at least one version."""
    assert "is empty" in refusal({})


def test_a_module_that_is_registered_twice_is_refused():
    """One module cannot be two versions."""
    one = version(1)

    text = refusal({1: one, 2: one})

    assert "toy.v1 is registered 2 times" in text
    assert "toy.v1.VERSION is 1 and it is registered as 2" in text


def test_a_module_under_another_number_is_refused():
    """A step does not move a document to another version than its module says."""
    assert "toy.v1.VERSION is 7 and it is registered as 1" in refusal({1: version(1, VERSION=7)})


@pytest.mark.parametrize("name", ["VERSION", "SUMMARY", "DOWNCAST", "upcast", "downcast", "SessionMetadata"])
def test_a_module_without_the_surface_is_refused(name):
    """Every version module has the same names, and the one that is missing is named."""
    module = version(1)
    delattr(module, name)

    assert f"toy.v1 lacks {name}" in refusal({1: module})


async def coroutine(document):
    return document, []


@pytest.mark.parametrize(
    ("surface", "complaint"),
    [
        ({"SUMMARY": None}, "SUMMARY is not one line"),
        ({"SUMMARY": "two\nlines"}, "SUMMARY is not one line"),
        ({"upcast": None}, "upcast is not a plain function"),
        ({"upcast": coroutine}, "upcast is not a plain function"),
        ({"SessionMetadata": dict}, "SessionMetadata is not a pydantic model"),
        ({"SessionMetadata": None}, "SessionMetadata is not a pydantic model"),
        ({"DOWNCAST": "perhaps"}, "toy.v1.DOWNCAST is 'perhaps'; say exact, lossy or none"),
        ({"DOWNCAST": "exact"}, "none goes with downcast = None"),
        ({"downcast": coroutine}, "none goes with downcast = None"),
        ({"DOWNCAST": "exact", "downcast": coroutine}, "downcast is not a plain function"),
        ({"DOWNCAST": "lossy", "downcast": "x"}, "downcast is not a plain function"),
        ({"DOWNCAST": "exact", "downcast": lambda document: (document, ())}, "downcast has nowhere to go"),
    ],
)
def test_a_surface_of_the_wrong_kind_is_refused(surface, complaint):
    """What a version module holds is proven when the registry is built, not when a row needs it."""
    assert complaint in refusal({1: version(1, **surface)})


def test_everything_that_is_wrong_is_said_at_once():
    """Whoever mends a history sees all of it."""
    with pytest.raises(RekindleError) as caught:
        registry({2: version(2, VERSION=5), 4: version(4, DOWNCAST="x")})

    assert len(caught.value.problems) == 4


def test_the_plan_holds_every_step_in_order():
    """There is one plan, made on import, for every stored version."""
    assert [number for number, _ in upcasting.PLAN] == list(VERSIONS) == list(range(1, CURRENT + 1))


@pytest.mark.parametrize("document", [None, [], "x", 1, True])
def test_what_is_no_object_is_refused(document):
    """A document is a JSON object."""
    with pytest.raises(InvalidPayloadError) as caught:
        upcasting.walk(document)

    assert caught.value.problems == (("", "is not a JSON object"),)


@pytest.mark.parametrize("number", [0, -1, True, 1.0, "1", None])
def test_a_number_that_is_no_positive_integer_is_refused(number):
    """The number is an integer from 1 on, and nothing that only looks like one."""
    with pytest.raises(InvalidPayloadError) as caught:
        upcast({**MINIMAL, "schema_version": number})

    assert [problem.path for problem in caught.value.problems] == ["schema_version"]


def test_a_newer_document_is_refused_before_any_step_sees_it(monkeypatch):
    """Nothing of a later release is touched, and both numbers are in the error."""
    monkeypatch.setattr(upcasting, "PLAN", ((1, pytest.fail),))

    with pytest.raises(NewerSchemaError) as caught:
        upcast({**MINIMAL, "schema_version": CURRENT + 1})

    assert (caught.value.schema_version, caught.value.supported) == (CURRENT + 1, CURRENT)


def test_any_mapping_is_read():
    """A document need not be a dict, and what comes back is one."""
    result = upcast(MappingProxyType({**MINIMAL, "schema_version": CURRENT}))

    assert type(result.document) is dict
    assert result.from_version == CURRENT


def test_a_step_that_fails_is_named(monkeypatch):
    """A defect of a step is an error of its own, with the step and never a value in it."""

    def fails(document):
        raise KeyError(document["model"])

    monkeypatch.setattr(upcasting, "PLAN", ((1, fails),))

    with pytest.raises(UpcastError) as caught:
        upcast({**MINIMAL, "model": "sentinel"})

    assert (caught.value.from_version, caught.value.to_version, caught.value.reason) == (0, 1, "KeyError")
    assert "sentinel" not in str(caught.value)


def test_a_step_that_refuses_a_document_is_believed(monkeypatch):
    """An error about the document passes through as it is."""

    def refuses(document):
        raise InvalidPayloadError(())

    monkeypatch.setattr(upcasting, "PLAN", ((1, refuses),))

    with pytest.raises(InvalidPayloadError):
        upcast(MINIMAL)


def test_the_result_is_not_the_callers_even_where_no_step_has_anything_to_do(monkeypatch):
    """A step may give back what it was given; the walker does not write its number into that."""
    monkeypatch.setattr(upcasting, "PLAN", ((1, lambda document: (document, [])),))
    stored = {**MINIMAL, "schema_version": 1}

    result = upcasting.walk(stored)

    assert stored["schema_version"] == 1
    assert result.document["schema_version"] == CURRENT


def test_a_null_host_mode_says_nothing():
    """A null is as good as absent: the default holds, and the change names what was dropped."""
    result = upcast({**MINIMAL, "host_mode": None})

    assert result.document["keep_alive"] is False
    assert [(change.path, change.new) for change in result.changes] == [("host_mode", None)]


def test_values_of_an_unknown_key_beside_tool_names_are_left_alone():
    """Only lists of names are sorted, not what stands under `value` in a policy that has no names."""
    policy = {"type": "read_only", "value": ["b", "a"]}

    result = upcast({**MINIMAL, "schema_version": 3, "tooling": {"tool_access_policy": policy}})

    assert result.document["tooling"]["tool_access_policy"] == policy
    assert result.changes == ()
