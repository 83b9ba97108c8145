"""The public surface: what can be imported, and that both colours offer the same."""

import inspect

import pytest

import rekindle
from rekindle import AsyncSessionRepository, AsyncSessionStore, SessionRepository, SessionStore


def test_all_is_sorted_and_complete():
    """`__all__` names exactly what the package exports, in the order that the linter keeps."""
    exported = {name for name in vars(rekindle) if not name.startswith("_")}
    modules = {name for name, value in vars(rekindle).items() if inspect.ismodule(value)} - {"errors"}

    assert set(rekindle.__all__) >= exported - modules - {"Any", "TYPE_CHECKING", "import_module"}
    assert all(hasattr(rekindle, name) for name in rekindle.__all__)


def test_the_version_is_that_of_the_distribution():
    """The version is asked of the installed distribution, not kept twice."""
    from importlib.metadata import version

    assert rekindle.__version__ == version("rekindle")


def test_an_unknown_name_is_an_attribute_error():
    """The lazy imports do not swallow typing errors."""
    with pytest.raises(AttributeError, match="no attribute 'SessionStroe'"):
        _ = rekindle.SessionStroe


def methods(cls: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(member)
        for name, member in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("sync", "asynchronous"),
    [(SessionRepository, AsyncSessionRepository), (SessionStore, AsyncSessionStore), (SessionRepository, SessionStore)],
)
def test_both_colours_take_the_same(sync, asynchronous):
    """Every public method exists on both sides with the same parameters."""
    here, there = methods(sync), methods(asynchronous)

    assert set(here) <= set(there)
    assert all(here[name].parameters.keys() == there[name].parameters.keys() for name in here)


@pytest.mark.parametrize("cls", [AsyncSessionRepository, AsyncSessionStore])
def test_the_asynchronous_side_is_asynchronous(cls):
    """Each public method of an asynchronous class is a coroutine function."""
    assert all(inspect.iscoroutinefunction(getattr(cls, name)) for name in methods(cls))


@pytest.mark.parametrize("cls", [SessionRepository, SessionStore, AsyncSessionRepository, AsyncSessionStore])
def test_every_public_method_says_what_it_does(cls):
    """Each public method has a docstring."""
    assert all(inspect.getdoc(getattr(cls, name)) for name in methods(cls))
