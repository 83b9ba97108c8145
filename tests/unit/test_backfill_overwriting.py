"""How many rows go into one statement: arithmetic."""

import pytest

from rekindle.backfill.conversion import Converted
from rekindle.backfill.overwriting import _CHARACTERS, _bounded

HALF = _CHARACTERS // 2


@pytest.mark.parametrize(
    ("sizes", "statements"),
    [
        ([1], [[1]]),
        ([1, 2, 3], [[1, 2, 3]]),
        ([HALF, HALF], [[HALF, HALF]]),
        ([HALF, HALF, 1], [[HALF, HALF], [1]]),
        ([_CHARACTERS * 9], [[_CHARACTERS * 9]]),
        ([1, _CHARACTERS, 1, 1], [[1], [_CHARACTERS], [1, 1]]),
    ],
)
def test_rows_are_bounded_by_the_size_of_their_documents(sizes, statements):
    """In order, none left out, none twice; one that is too large goes alone."""
    ready = [Converted({}, {"payload": "x" * size}, {}) for size in sizes]

    assert [[len(each.columns["payload"]) for each in some] for some in _bounded(ready)] == statements
