"""Engines: which databases there are, and that no password leaves them."""

import traceback

import pytest

from rekindle.engine import create_engine, redacted
from rekindle.errors import DatabaseUnavailableError, UnsupportedDatabaseError

PASSWORD = "s3cret%40x"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///agents.db", "sqlite:///agents.db"),
        (f"postgresql+psycopg://u:{PASSWORD}@db/x", "postgresql+psycopg://u:***@db/x"),
        (f"postgresql://db/x?user=u&password={PASSWORD}", "postgresql://db/x?password=%2A%2A%2A&user=u"),
        (f"not a url {PASSWORD}", "the given database URL"),
    ],
)
def test_a_url_is_shown_without_its_password(url, shown):
    """Wherever the password stands in a URL, it is not shown."""
    assert redacted(url) == shown
    assert "s3cret" not in redacted(url)


@pytest.mark.parametrize(
    "url", [f"oracle://u:{PASSWORD}@db/x", f"nosuch://u:{PASSWORD}@db/x", f"u:{PASSWORD}@db"], ids=str
)
def test_other_databases_are_refused_without_the_password(url):
    """A database that is not supported, or no URL at all, is a typed error that names no secret."""
    with pytest.raises(UnsupportedDatabaseError) as refused:
        create_engine(url)

    shown = "".join(traceback.format_exception(refused.value))
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite://", "pysqlite"),
        ("sqlite+aiosqlite://", "pysqlite"),
        ("postgresql://db/x", "psycopg"),
        ("mariadb+aiomysql://db/x", "pymysql"),
        ("mysql://db/x", "pymysql"),
    ],
)
def test_one_url_serves_both_colours(url, driver):
    """A URL without a driver, or with that of the other colour, gets the tested one."""
    engine = create_engine(url)

    assert engine.url.get_driver_name() == driver
    engine.dispose()


def test_a_missing_driver_is_named_with_the_extra_that_brings_it(monkeypatch):
    """An extra that was not installed is an error that says which to install."""
    import sys

    monkeypatch.setitem(sys.modules, "pymysql", None)

    with pytest.raises(DatabaseUnavailableError, match=r"rekindle\[mariadb\]"):
        create_engine("mariadb://db/x")
