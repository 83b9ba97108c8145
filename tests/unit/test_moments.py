"""Moments of every database, and what a hand has put in their place."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.moments import moment_of, text_of

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read(moment):
    """Every moment comes back to the microsecond."""
    assert moment_of(text_of(moment)) == moment


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2, max_size=2))
def test_texts_sort_as_the_moments_do(moments):
    """Listings are ordered by the text."""
    assert sorted(map(text_of, moments)) == list(map(text_of, sorted(moments)))


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024-01-01 00:00:00.000000", NEW_YEAR),
        ("2024-01-01 00:00:00", NEW_YEAR),
        ("2024-01-01", NEW_YEAR),
        ("2024-01-01T00:00:00Z", NEW_YEAR),
        ("2024-01-01T02:00:00+02:00", NEW_YEAR),
        ("2024-01-01 00:00:00.000+00", NEW_YEAR),
        (NEW_YEAR.replace(tzinfo=None), NEW_YEAR),
        (NEW_YEAR.astimezone(timezone(timedelta(hours=2))), NEW_YEAR),
        ("yesterday", None),
        ("", None),
        ("2024-02-30 00:00:00.000000", None),
        ("twenty-six characters long", None),
        (17, None),
        (b"2024-01-01", None),
        (None, None),
    ],
)
def test_a_moment_is_read_in_utc_or_is_none(value, moment):
    """Aware and in UTC, however it is spelled; None for what is no moment."""
    found = moment_of(value)

    assert found == moment
    assert found is None or found.tzinfo is UTC
