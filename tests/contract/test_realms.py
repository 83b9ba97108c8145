"""A store opened for one realm sees, lists, saves and deletes only that realm's rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rekindle.errors import RealmMismatchError, SessionExistsError, SessionNotFoundError

NOT_FOUND = [
    pytest.param(lambda store, _: store.load("theirs"), id="load"),
    pytest.param(lambda store, _: store.stored("theirs"), id="stored"),
    pytest.param(lambda store, _: store.update("theirs", lambda _: None), id="update"),
    pytest.param(lambda store, _: store.delete("theirs"), id="delete by id"),
    pytest.param(lambda store, record: store.delete(record), id="delete of a record"),
]


@pytest.fixture
def ours(open_store):
    """A store for the realm `ours`."""
    return open_store(realm="ours")


@pytest.fixture
def theirs(store, new_metadata):
    """The record of a session in the realm `theirs`, added by a store for all realms."""
    return store.add("theirs", new_metadata(realm_id="theirs"))


@pytest.mark.parametrize("call", NOT_FOUND)
def test_another_realms_session_is_not_found(ours, theirs, rows, call):
    """Knowing the id, or even the record, is not enough: SessionNotFoundError, and the row stays as it is."""
    row = rows.read("theirs")

    with pytest.raises(SessionNotFoundError) as caught:
        call(ours, theirs)

    assert (caught.value.session_id, caught.value.realm) == ("theirs", "ours")
    assert rows.read("theirs") == row


@pytest.mark.parametrize("call", NOT_FOUND[:4])
def test_another_realms_bad_or_newer_row_is_not_found_either(ours, documents, rows, call):
    """Whether a row of another realm loads is none of this realm's business."""
    rows.insert("theirs", documents.newer, 4, realm="theirs")
    row = rows.read("theirs")

    with pytest.raises(SessionNotFoundError):
        call(ours, None)

    assert rows.read("theirs") == row


def test_a_session_without_a_realm_belongs_to_no_realm(ours, store, new_metadata):
    """A realm does not see the sessions that have none."""
    store.add("of nobody", new_metadata())

    assert ours.find("of nobody") is None
    assert ours.list().records == ()


def test_find_and_load_many_do_not_tell_of_another_realm(ours, store, theirs, new_metadata):
    """What is another realm's is None, and missing."""
    mine = ours.add("mine", new_metadata(realm_id="ours"))

    batch = ours.load_many(["theirs", "mine"])

    assert ours.find("theirs") is None
    assert (list(batch), batch.missing, batch.bad) == ([mine], ("theirs",), ())
    assert list(store.load_many(["theirs", "mine"])) == [theirs, mine]


@pytest.mark.usefixtures("theirs")
def test_listings_and_counts_are_of_one_realm(ours, store, new_metadata, documents, rows):
    """list, list_stored and the counts leave other realms out, bad rows included; filters do not lead out either."""
    mine = ours.add("mine", new_metadata(realm_id="ours"))
    rows.insert("their bad one", "{", 1, realm="theirs")
    rows.insert("our newer one", documents.newer, 4, realm="ours")

    page = ours.list()

    assert (list(page), [bad.session_id for bad in page.bad]) == ([mine], ["our newer one"])
    assert [row.session_id for row in ours.list_stored()[0]] == ["mine", "our newer one"]
    assert ours.list(realm="theirs").records == ()
    assert list(ours.list(realm="ours")) == [mine]
    assert ours.count_by_schema_version() == {3: 1, 4: 1}
    assert store.count_by_schema_version() == {1: 1, 3: 2, 4: 1}


def test_pages_of_one_realm_pass_over_the_others(ours, store, new_metadata):
    """Rows of other realms take no places on a page, and a cursor of one store works in the other."""
    for number in range(6):
        store.add(f"s{number}", new_metadata(realm_id="ours" if number % 2 else "theirs"))

    first = ours.list(limit=2)
    second = ours.list(limit=2, after=first.next_cursor)

    assert [[record.session_id for record in page] for page in (first, second)] == [["s5", "s3"], ["s1"]]
    assert [record.session_id for record in store.list(after=first.next_cursor)] == ["s2", "s1", "s0"]
    assert second.next_cursor is None


@pytest.mark.parametrize("realm_id", [None, "theirs", "Ours", "ours.", "OURS"])
def test_a_document_of_another_realm_is_refused(ours, new_metadata, rows, realm_id):
    """add, save and import take documents of the store's own realm alone; nothing is written."""
    record = ours.add("mine", new_metadata(realm_id="ours"))
    row = rows.read("mine")
    foreign = new_metadata(realm_id=realm_id)

    with pytest.raises(RealmMismatchError) as added:
        ours.add("new", foreign)
    with pytest.raises(RealmMismatchError) as saved:
        ours.save(replace(record, metadata=foreign))
    with pytest.raises(RealmMismatchError) as imported:
        ours.import_document("new", foreign.model_dump_json())

    for session_id, caught in (("new", added), ("mine", saved), ("new", imported)):
        assert (caught.value.session_id, caught.value.realm, caught.value.document_realm) == (
            session_id, "ours", realm_id,
        )  # fmt: skip
    assert rows.read("mine") == row
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


def test_a_forged_realm_does_not_reach_another_realms_row(ours, theirs, new_metadata, rows):
    """A record of another realm with its realm_id overwritten is not found: the row's own realm counts."""
    row = rows.read("theirs")

    with pytest.raises(SessionNotFoundError):
        ours.save(replace(theirs, metadata=new_metadata(realm_id="ours")))

    assert rows.read("theirs") == row


def test_a_forged_outdated_record_leaves_no_trace(ours, store, documents, rows, new_metadata):
    """The same for an outdated row: neither it nor its original gets anywhere."""
    rows.insert("theirs", documents.outdated, 1, realm="theirs")
    row = rows.read("theirs")
    record = replace(store.load("theirs"), metadata=new_metadata(realm_id="ours"))

    with pytest.raises(SessionNotFoundError):
        ours.save(record)

    assert rows.read("theirs") == row
    assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


def test_an_id_of_another_realm_is_taken(ours, theirs, new_metadata, rows):
    """Ids are unique over all realms: add and import say so, and nothing more, whatever is in the row."""
    row = rows.read("theirs")
    mine = new_metadata(realm_id="ours")

    with pytest.raises(SessionExistsError):
        ours.add("theirs", mine)
    with pytest.raises(SessionExistsError):
        ours.import_document("theirs", mine.model_dump_json())

    assert rows.read("theirs") == row


def test_an_import_does_not_recognise_another_realms_row(ours, new_metadata, rows):
    """A document that equals one stored under another realm's column is not reported as "unchanged"."""
    payload = new_metadata(realm_id="ours").model_dump_json()
    rows.insert("theirs", payload, 3, realm="theirs")
    row = rows.read("theirs")

    with pytest.raises(SessionExistsError):
        ours.import_document("theirs", payload)

    assert rows.read("theirs") == row


def test_a_failed_delete_leaves_the_archive_and_the_quarantine(ours, store, documents, rows):
    """A delete that finds no session in its realm removes nothing of another realm's, in any table."""
    rows.insert("theirs", documents.outdated, 1, realm="theirs")
    store.save(store.load("theirs"))
    rows.quarantine("theirs")

    with pytest.raises(SessionNotFoundError):
        ours.delete("theirs")

    assert [kept["payload"] for kept in rows.archived("theirs")] == [documents.outdated]
    assert rows.count() == {"sessions": 1, "archive": 1, "quarantine": 1}


def test_within_its_realm_a_store_does_everything(ours, store, new_metadata):
    """add, load, save, update and delete work as they do without a realm."""
    added = ours.add("mine", new_metadata(realm_id="ours"))
    saved = ours.save(added)
    updated = ours.update("mine", lambda metadata: metadata.model_copy(update={"keep_alive": True}))

    assert ours.load("mine") == store.load("mine") == updated
    assert [record.lock_version for record in (added, saved, updated)] == [1, 2, 3]

    ours.delete(updated)

    assert store.find("mine") is None


def test_an_outdated_row_belongs_to_the_realm_its_column_names(open_store, documents, rows):
    """`mob:office` is imported into, found in and saved to the realm `mob.office`."""
    office = open_store(realm="mob.office")

    office.import_document("session-1", documents.outdated)
    record = office.load("session-1")
    saved = office.save(record)

    assert (record.metadata.realm_id, record.schema_version) == ("mob.office", 1)
    assert office.load("session-1") == saved
    assert [kept["realm"] for kept in rows.archived("session-1")] == ["mob.office"]
