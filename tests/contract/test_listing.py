"""Many sessions at once: list, list_stored, load_many, count_by_schema_version."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest

from rekindle.errors import InvalidCursorError, InvalidPayloadError, InvalidSessionIdError, NewerSchemaError

LONG_AGO = datetime(2024, 2, 29, 12, 30, 45, 123456, UTC)
ONE_MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def walk(store):
    """Read all pages of a listing; the ids on each, readable or not."""

    def pages(limit, **filters):
        found, after = [], None
        for _ in range(50):
            page = store.list(limit=limit, after=after, **filters)
            found.append([record.session_id for record in page] + [bad.session_id for bad in page.bad])
            after = page.next_cursor
            if after is None:
                return found
        pytest.fail(f"no end after 50 pages: {found[-2:]}")

    return pages


@pytest.fixture
def some_rows(rows, new_metadata):
    """Five sessions, a microsecond apart: s0 is the oldest."""
    payload = new_metadata().model_dump_json()
    for number in range(5):
        rows.insert(f"s{number}", payload, 3, created_at=LONG_AGO + number * ONE_MICROSECOND)


def test_an_empty_table_lists_nothing(store):
    """No session is an empty page without a cursor, an empty batch and an empty count."""
    page = store.list()

    assert (page.records, page.bad, page.next_cursor, len(page)) == ((), (), None, 0)
    assert store.list_stored() == ((), None)
    assert store.load_many([]).by_id == {}
    assert store.count_by_schema_version() == {}


def test_a_listing_is_newest_first(walk, some_rows):
    """Sessions come by created_at, down to the microsecond, the newest first."""
    assert walk(100) == [["s4", "s3", "s2", "s1", "s0"]]


@pytest.mark.parametrize(
    ("limit", "pages"),
    [
        (1, [["s4"], ["s3"], ["s2"], ["s1"], ["s0"]]),
        (2, [["s4", "s3"], ["s2", "s1"], ["s0"]]),
        (4, [["s4", "s3", "s2", "s1"], ["s0"]]),
        (5, [["s4", "s3", "s2", "s1", "s0"]]),
    ],
)
def test_pages_are_full_until_the_last_and_end_where_the_sessions_end(walk, some_rows, limit, pages):
    """Each page has `limit` rows but the last; no empty page follows a last one that is just full."""
    assert walk(limit) == pages


def test_sessions_of_one_moment_are_told_apart_by_id(walk, rows, new_metadata):
    """Rows with one created_at are on pages exactly once each, by id, byte for byte, from the last to the first."""
    payload = new_metadata().model_dump_json()
    ids = ["a", "A", "á", "z", "Z", "a ", "~", "é", "🔥", "\uffff", "a%"]
    for session_id in ids:
        rows.insert(session_id, payload, 3)

    assert walk(1) == [["🔥"], ["\uffff"], ["é"], ["á"], ["~"], ["z"], ["a%"], ["a "], ["a"], ["Z"], ["A"]]
    assert sorted(chain(*walk(3))) == sorted(ids)


def test_a_walk_meets_each_session_once_whatever_is_saved_meanwhile(store, walk, some_rows, new_metadata):
    """Between pages sessions are saved, added and deleted: those that stay are met exactly once, in their places."""
    first = store.list(limit=2)
    for session_id in ("s4", "s2", "s0"):
        store.update(session_id, lambda _: None)
    store.add("added meanwhile", new_metadata())
    second = store.list(limit=2, after=first.next_cursor)
    store.delete("s1")
    store.delete("s4")
    store.update("s3", lambda _: None)
    third = store.list(limit=2, after=second.next_cursor)

    assert [[record.session_id for record in page] for page in (first, second, third)] == [
        ["s4", "s3"], ["s2", "s1"], ["s0"],
    ]  # fmt: skip
    assert third.next_cursor is None
    assert [record.lock_version for record in (*second, *third)] == [2, 1, 2]
    assert walk(100) == [["added meanwhile", "s3", "s2", "s0"]]


def test_a_cursor_outlives_the_row_it_points_behind(store, some_rows):
    """The last row of a page may be gone when the next page is asked for."""
    first = store.list(limit=2)
    store.delete("s3")

    assert [record.session_id for record in store.list(after=first.next_cursor)] == ["s2", "s1", "s0"]


FILTERED = [
    ({}, ["plain", "prod", "other case"]),
    ({"realm": "prod"}, ["prod"]),
    ({"realm": "Prod"}, ["other case"]),
    ({"realm": "absent"}, []),
    ({"realm": None}, ["plain", "prod", "other case"]),
    ({"provider": "openai"}, ["prod", "other case"]),
    ({"model": "gpt-5"}, ["prod"]),
    ({"model": "gpt-5 "}, ["other case"]),
    ({"instance_id": "i%"}, ["prod"]),
    ({"comms_name": "wörker"}, ["prod"]),
    ({"comms_name": "worker"}, ["other case"]),
    ({"provider": "openai", "realm": "prod", "model": "gpt-5"}, ["prod"]),
    ({"provider": "anthropic", "realm": "prod"}, []),
]


def test_filters_narrow_a_listing_byte_for_byte(store, walk, new_metadata):
    """Each filter compares exactly, several apply together, None is no filter; pages are of what is left."""
    store.add(
        "other case",
        new_metadata(realm_id="Prod", provider="openai", model="gpt-5 ", instance_id="i1", comms_name="worker"),
    )
    store.add(
        "prod",
        new_metadata(realm_id="prod", provider="openai", model="gpt-5", instance_id="i%", comms_name="wörker"),
    )
    store.add("plain", new_metadata())

    for filters, ids in FILTERED:
        assert (filters, list(chain(*walk(1, **filters)))) == (filters, ids)
        assert (filters, list(chain(*walk(100, **filters)))) == (filters, ids)


def test_bad_rows_are_named_and_take_their_places(store, walk, some_rows, rows, documents):
    """Rows that do not load count as rows of their page; the page names them and has the good ones."""
    rows.edit("s3", payload="{")
    rows.edit("s1", payload=documents.newer, schema_version=4)

    page = store.list()

    assert [record.session_id for record in page] == ["s4", "s2", "s0"]
    assert [(type(bad), bad.session_id) for bad in page.bad] == [(InvalidPayloadError, "s3"), (NewerSchemaError, "s1")]
    assert walk(2) == [["s4", "s3"], ["s2", "s1"], ["s0"]]


def test_a_page_of_nothing_but_bad_rows_leads_on(store, some_rows, rows):
    """A page without a readable session is not the end of the listing."""
    rows.edit("s4", payload="{")
    rows.edit("s3", payload="[]")

    first = store.list(limit=2)
    second = store.list(limit=2, after=first.next_cursor)

    assert (first.records, [bad.session_id for bad in first.bad]) == ((), ["s4", "s3"])
    assert [record.session_id for record in second] == ["s2", "s1"]


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_one_to_a_thousand_rows(store, limit):
    """Any other limit is refused; nothing is cut silently."""
    with pytest.raises(ValueError, match="1 to 1000"):
        store.list(limit=limit)

    assert store.list(limit=1000).records == ()


def _encoded(text):
    return urlsafe_b64encode(text).decode()


NO_CURSORS = {
    "empty": "",
    "an id": "s3",
    "punctuation": "%%%",
    "not ASCII": "ünïcode",
    "half a surrogate pair": "\ud800",
    "an object": _encoded(b"{}"),
    "no id": _encoded(b'["2024-01-01T00:00:00+00:00"]'),
    "no moment": _encoded(b'["yesterday","s3"]'),
    "no time zone": _encoded(b'["2024-01-01T00:00:00","s3"]'),
    "a number for an id": _encoded(b'["2024-01-01T00:00:00+00:00",3]'),
    "NUL in the id": _encoded(b'["2024-01-01T00:00:00+00:00","\\u0000"]'),
    "past the end of time": _encoded(b'["9999-12-31T23:59:59-14:00","s3"]'),
}


def test_what_is_no_cursor_is_refused(store, some_rows):
    """A text that list() never gave out is InvalidCursorError, a ValueError, and not a page of something."""
    for cursor in NO_CURSORS.values():
        with pytest.raises(InvalidCursorError) as caught:
            store.list(after=cursor)

        assert isinstance(caught.value, ValueError)
        assert caught.value.cursor == cursor


def test_list_stored_shows_rows_as_they_stand(store, some_rows, rows, documents):
    """The text and the numbers of every row, readable or not, in the order and on the pages of list()."""
    rows.edit("s3", payload="{", lock_version=5)
    rows.edit("s2", payload=documents.newer, schema_version=4)

    rows, cursor = store.list_stored(limit=3)
    rest, end = store.list_stored(limit=3, after=cursor)

    assert [(row.session_id, row.schema_version, row.lock_version) for row in rows] == [
        ("s4", 3, 1), ("s3", 3, 5), ("s2", 4, 1),
    ]  # fmt: skip
    assert [rows[1].payload, rows[2].payload] == ["{", documents.newer]
    assert ([row.session_id for row in rest], end) == (["s1", "s0"], None)


def test_load_many_answers_in_the_order_asked(store, some_rows, rows):
    """Sessions come in the order of the ids, each once; the missing and the unreadable are named beside them."""
    rows.edit("s2", payload="{")

    batch = store.load_many(["s3", "absent", "s0", "s3", "s2", "s4", "absent"])

    assert [record.session_id for record in batch] == ["s3", "s0", "s4"]
    assert list(batch.by_id) == ["s3", "s0", "s4"]
    assert batch.by_id["s0"] == store.load("s0")
    assert batch.missing == ("absent",)
    assert [(type(bad), bad.session_id) for bad in batch.bad] == [(InvalidPayloadError, "s2")]
    assert len(batch) == 3


def test_load_many_takes_any_iterable(store, some_rows):
    """The ids may come from a generator, which is read once."""
    batch = store.load_many(f"s{number}" for number in (1, 7))

    assert (list(batch.by_id), batch.missing) == (["s1"], ("s7",))


def test_load_many_takes_more_ids_than_a_statement(store, engine, new_metadata):
    """1,203 ids are no different from three: all that exist come, in order, and only the others are missing."""
    from rekindle.orm import session_metadata

    ids = [f"session-{number:04}" for number in range(1200)]
    same = {
        "schema_version": 3, "lock_version": 1, "payload": new_metadata().model_dump_json(), "provider": "anthropic",
        "model": "m", "created_at": LONG_AGO, "updated_at": LONG_AGO,
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(session_metadata.insert(), [{"session_id": session_id, **same} for session_id in ids])
    asked = [*ids[::-1], "absent-1", "absent-2", ids[0]]

    batch = store.load_many(asked)

    assert list(batch.by_id) == ids[::-1]
    assert (batch.missing, batch.bad) == (("absent-1", "absent-2"), ())
    assert all(session_id == record.session_id for session_id, record in batch.by_id.items())


def test_load_many_refuses_what_is_no_id(store):
    """An id that no session can have is an error of the caller, not a missing session."""
    with pytest.raises(InvalidSessionIdError):
        store.load_many(["s1", ""])


def test_rows_are_counted_per_stored_version(store, some_rows, rows):
    """The count goes by the column: outdated, current, newer and unreadable rows alike."""
    rows.edit("s0", schema_version=1)
    rows.edit("s1", schema_version=4)
    rows.edit("s2", payload="{")

    assert store.count_by_schema_version() == {1: 1, 3: 3, 4: 1}


@pytest.mark.parametrize(
    "versions",
    [
        pytest.param([3] * 250, id="all current"),
        pytest.param([3] * 240 + [2, 1] * 5, id="a few outdated"),
        pytest.param([3] * 150 + [2] * 110, id="the rarer one is at the end of the ids"),
        pytest.param([1, 2, 3] * 50, id="as many of each"),
        pytest.param([2] * 230 + [3] * 20, id="hardly any current"),
        pytest.param([0, -1, 2**31 - 1, 3], id="numbers of nobody"),
    ],
)
def test_the_count_is_exact_however_versions_are_spread(store, rows, versions):
    """On SQLite one version is not counted but what is left of the whole, whichever that is."""
    rows.insert_versions(*versions)

    assert store.count_by_schema_version() == Counter(versions)


def test_a_count_of_a_realm_is_of_that_realm(open_store, rows):
    """The rows of the others are in none of its numbers."""
    rows.insert_versions(*[1, 2] * 60, realm="ours")
    rows.insert("theirs", "{}", 3, realm="theirs")

    assert open_store(realm="ours").count_by_schema_version() == {1: 60, 2: 60}
    assert open_store(realm="theirs").count_by_schema_version() == {3: 1}
    assert open_store(realm="nobody's").count_by_schema_version() == {}


def test_what_is_no_number_is_counted_under_what_it_is(store, some_rows, engine):
    """A column of SQLite takes any value, and a count says so."""
    if engine.dialect.name != "sqlite":
        pytest.skip("this column takes numbers only")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE session_metadata SET schema_version = 'three' WHERE session_id = 's0'")

    assert store.count_by_schema_version() == {3: 4, "three": 1}
