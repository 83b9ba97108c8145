"""How many rows a batch takes, how long to wait, and how much failure is too much: arithmetic."""

import pytest

from rekindle.backfill.pace import LARGEST, BatchSize, Rate, Tolerance


def settled(size, seconds_per_row, overhead=0.0, batches=60):
    """Let it go through batches on a database of this speed."""
    for _ in range(batches):
        size.finished(size.rows, size.rows * seconds_per_row + overhead)
    return size.rows


@pytest.mark.parametrize(("seconds_per_row", "rows"), [(0.001, 500), (0.0002, 2_500), (0.00001, LARGEST), (2.0, 1)])
def test_it_settles_where_a_batch_takes_the_time_aimed_at(seconds_per_row, rows):
    """Whatever the database can do, within the bounds."""
    assert settled(BatchSize(0.5), seconds_per_row) == pytest.approx(rows, rel=0.05)


def test_it_grows_by_a_fifth_at_most():
    """One fast batch does not make a huge one."""
    size = BatchSize(0.5, rows=100)
    size.finished(100, 0.0001)

    assert size.rows == 120


def test_it_grows_from_one():
    """A fifth of one row is no row, so it grows by one at least."""
    size = BatchSize(0.5, rows=1)
    size.finished(1, 0.0001)

    assert size.rows == 2


def test_it_shrinks_as_far_as_it_must():
    """A database that has become slow is relieved at once."""
    size = BatchSize(0.5, rows=1_000)
    size.finished(1_000, 0.5)
    size.finished(1_000, 9.5)

    assert size.rows == 100


def test_it_halves_when_the_database_gives_up():
    """Down to a single row, and never to none."""
    size = BatchSize(0.5, rows=4, smallest=4)
    seen = []
    for _ in range(4):
        size.timed_out()
        seen.append(size.rows)

    assert seen == [2, 1, 1, 1]


def test_what_a_batch_costs_by_itself_does_not_make_it_shrink_forever():
    """Where the commit alone takes longer than aimed at, smaller batches are only slower."""
    size = BatchSize(0.02, rows=100, smallest=100)

    assert settled(size, 0.0001, overhead=0.05) == 100


def test_a_short_last_batch_says_nothing_about_larger_ones():
    """Three rows in no time are the end of the table, not a reason to grow."""
    size = BatchSize(0.5, rows=100)
    size.finished(3, 0.0001)

    assert size.rows == 100


def test_no_rows_and_no_time_are_survived():
    """An empty batch teaches nothing, and a clock that stands still is no division by zero."""
    size = BatchSize(0.5, rows=100)
    size.finished(0, 1.0)
    size.finished(100, 0.0)

    assert size.rows == 120


def test_a_size_that_was_asked_for_stays():
    """Until the database gives up on it."""
    size = BatchSize(0.5, rows=700, fixed=True)
    size.finished(700, 30.0)
    kept = size.rows
    size.timed_out()

    assert (kept, size.rows) == (700, 350)


def test_a_rate_is_an_average_since_the_beginning():
    """After 300 rows at 100 per second the next batch may begin three seconds after the first."""
    rate = Rate(100, begun=10.0)
    rate.finished(300)

    assert (rate.wait(10.5), rate.wait(13.0), rate.wait(20.0)) == (2.5, 0.0, 0.0)


def test_a_low_rate_makes_small_batches():
    """A second's worth of rows, and no bursts; without a rate there is no bound."""
    assert (Rate(30, 0.0).bound(500), Rate(0.5, 0.0).bound(500), Rate(None, 0.0).bound(500)) == (30, 1, 500)
    assert Rate(None, 0.0).wait(99.0) == 0.0


@pytest.mark.parametrize(
    ("failed", "looked_at", "too_many"),
    [(0, 0, False), (9, 99, False), (10, 100, False), (11, 100, True), (1_000, 100_000, False), (1_001, 9**9, True)],
)
def test_too_many_by_count_or_by_share(failed, looked_at, too_many):
    """A share counts once a hundred rows have been looked at."""
    assert Tolerance().is_exceeded(failed, looked_at) is too_many
