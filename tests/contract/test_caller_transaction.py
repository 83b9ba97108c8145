"""A repository in the caller's Session: its transaction, its savepoints, its commit."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from rekindle.errors import NewerSchemaError, SessionExistsError, SessionNotFoundError, StaleSessionError

EMPTY = {"sessions": 0, "archive": 0, "quarantine": 0}


def test_nothing_is_committed_by_the_repository(repository_scope, rows, new_metadata):
    """Others see what was written when the caller commits, and not before."""
    with repository_scope() as (db, repository):
        repository.add("session-1", new_metadata())
        before = rows.count()
        db.commit()

        assert before == EMPTY
        assert rows.count() == {"sessions": 1, "archive": 0, "quarantine": 0}


def test_every_write_rolls_back_with_the_caller(repository_scope, store, rows, documents, new_metadata):
    """add, save with its archive, update, delete and import: after a rollback all is as it was."""
    for session_id in ("saved", "updated", "deleted"):
        rows.insert(session_id, documents.outdated, 1)
        rows.quarantine(session_id)
    before = [rows.read(session_id) for session_id in ("saved", "updated", "deleted")]

    with repository_scope() as (db, repository):
        repository.add("added", new_metadata())
        repository.save(repository.load("saved"))
        repository.update("updated", lambda metadata: metadata.model_copy(update={"keep_alive": False}))
        repository.delete("deleted")
        repository.import_document("imported", documents.outdated)
        seen = [repository.find(session_id) for session_id in ("added", "saved", "updated", "deleted", "imported")]
        db.rollback()

    assert [record and record.lock_version for record in seen] == [1, 2, 2, None, 1]
    assert [rows.read(session_id) for session_id in ("saved", "updated", "deleted")] == before
    assert rows.count() == {"sessions": 3, "archive": 0, "quarantine": 3}
    assert (store.find("added"), store.find("imported")) == (None, None)


def test_leaving_without_a_commit_is_a_rollback(repository_scope, rows, new_metadata):
    """A session that is closed takes what was not committed with it."""
    with repository_scope() as (_, repository):
        repository.add("session-1", new_metadata())

    assert rows.count() == EMPTY


def test_a_commit_keeps_row_and_archive_together(repository_scope, store, rows, documents):
    """What the caller commits is there: the row at the current version, the original in the archive."""
    rows.insert("session-1", documents.outdated, 1)

    with repository_scope() as (db, repository):
        saved = repository.save(repository.load("session-1"))
        db.commit()

    assert store.load("session-1") == saved
    assert [kept["payload"] for kept in rows.archived("session-1")] == [documents.outdated]


def test_the_repository_shares_the_transaction_with_the_callers_own_statements(repository_scope, rows, new_metadata):
    """The caller's own writes and those of the repository stand or fall together, and see each other."""
    with repository_scope() as (db, repository):
        repository.add("session-1", new_metadata())
        found = db.execute(sa.text("SELECT COUNT(*) FROM session_metadata")).scalar_one()
        db.execute(sa.text("UPDATE session_metadata SET lock_version = 7"))
        lock_version = repository.load("session-1").lock_version
        db.rollback()

    assert (found, lock_version) == (1, 7)
    assert rows.count() == EMPTY


def test_two_repositories_in_one_session_see_each_other(open_session, repository_over, new_metadata):
    """Realms share a transaction when the caller wants it so."""
    with open_session() as db:
        ours = repository_over(db, realm="ours")
        all_realms = repository_over(db)
        ours.add("mine", new_metadata(realm_id="ours"))
        all_realms.add("theirs", new_metadata(realm_id="theirs"))

        assert all_realms.find("mine") is not None
        assert ours.find("theirs") is None


def test_a_connection_does_as_well_as_a_session(open_session, repository_over, rows, new_metadata):
    """A repository over a Connection works in the transaction of that connection."""
    with open_session() as db:
        repository = repository_over(db.connection())
        repository.add("session-1", new_metadata())
        loaded = repository.load("session-1")
        db.rollback()

    assert loaded.lock_version == 1
    assert rows.count() == EMPTY


def test_a_savepoint_takes_its_writes_with_it(repository_scope, store, documents, rows, new_metadata):
    """Rolling back to a savepoint undoes what was written since, archive included, and nothing before."""
    rows.insert("outdated", documents.outdated, 1)

    with repository_scope() as (db, repository):
        repository.add("before", new_metadata())
        savepoint = db.begin_nested()
        repository.add("within", new_metadata())
        repository.save(repository.load("outdated"))
        savepoint.rollback()
        repository.add("after", new_metadata())
        db.commit()

    assert [record.session_id for record in store.list()] == ["after", "before", "outdated"]
    assert store.load("outdated").lock_version == 1
    assert rows.count() == {"sessions": 3, "archive": 0, "quarantine": 0}


def test_a_released_savepoint_is_still_the_callers_to_roll_back(repository_scope, rows, new_metadata):
    """Releasing a savepoint commits nothing."""
    with repository_scope() as (db, repository):
        savepoint = db.begin_nested()
        repository.add("session-1", new_metadata())
        savepoint.commit()
        db.rollback()

    assert rows.count() == EMPTY


@pytest.mark.parametrize("nested", [False, True], ids=["in the transaction", "in a savepoint"])
def test_a_taken_id_does_not_spoil_the_transaction(repository_scope, store, new_metadata, nested):
    """After SessionExistsError, from add and from import, the caller goes on and commits what came before and after."""
    store.add("taken", new_metadata(model="first"))

    with repository_scope() as (db, repository):
        repository.add("before", new_metadata())
        savepoint = db.begin_nested() if nested else None
        with pytest.raises(SessionExistsError):
            repository.add("taken", new_metadata(model="second"))
        with pytest.raises(SessionExistsError):
            repository.import_document("taken", new_metadata(model="third").model_dump_json())
        repository.add("after", new_metadata())
        if savepoint is not None:
            savepoint.commit()
        db.commit()

    assert [record.session_id for record in store.list()] == ["after", "before", "taken"]
    assert store.load("taken").metadata.model == "first"


def test_a_failed_statement_of_the_callers_own_spoils_it_where_the_engine_says_so(
    repository_scope, capabilities, new_metadata
):
    """The repository does not hide that a transaction is aborted: its next call fails there, and works elsewhere."""
    with repository_scope() as (db, repository):
        repository.add("session-1", new_metadata())
        with pytest.raises(sa.exc.DBAPIError):
            db.execute(sa.text("SELECT * FROM no_such_table"))

        if capabilities.aborts_transaction_on_error:
            with pytest.raises(sa.exc.DBAPIError):
                repository.find("session-1")
        else:
            assert repository.find("session-1") is not None


@pytest.mark.parametrize(
    ("error", "act"),
    [
        (StaleSessionError, lambda repository, old: repository.save(old)),
        (StaleSessionError, lambda repository, old: repository.delete(old)),
        (SessionNotFoundError, lambda repository, _: repository.load("absent")),
        (SessionNotFoundError, lambda repository, _: repository.delete("absent")),
        (NewerSchemaError, lambda repository, _: repository.load("newer")),
    ],
    ids=["stale save", "stale delete", "missing", "delete of a missing one", "newer"],
)
def test_our_errors_leave_the_transaction_usable(repository_scope, store, rows, documents, new_metadata, error, act):
    """Whatever a repository refuses, the caller's transaction goes on and can be committed."""
    rows.insert("newer", documents.newer, 4)
    old = store.add("session-1", new_metadata())
    store.save(old)

    with repository_scope() as (db, repository):
        repository.add("before", new_metadata())
        with pytest.raises(error):
            act(repository, old)
        repository.add("after", new_metadata())
        db.commit()

    assert store.load_many(["before", "after", "session-1"]).missing == ()
    assert store.load("session-1").lock_version == 2


def test_a_race_lost_within_the_transaction_is_stale(repository_scope, capabilities, rival, new_metadata):
    """Somebody saves between this transaction's load and its save: StaleSessionError with the number found there."""
    if not capabilities.writes_after_others_wrote:
        pytest.skip("a transaction that has read cannot write once another one has written")
    rival.add("session-1", new_metadata())

    with repository_scope() as (_, repository):
        mine = repository.load("session-1")
        rival.save(rival.save(rival.load("session-1")))
        with pytest.raises(StaleSessionError) as caught:
            repository.save(mine)

        assert (caught.value.expected_lock_version, caught.value.found_lock_version) == (1, 3)
    assert rival.load("session-1").lock_version == 3


def test_update_in_a_transaction_is_one_attempt(repository_scope, capabilities, rival, new_metadata):
    """A repository does not repeat what was lost: the caller owns the transaction, and decides."""
    if not capabilities.writes_after_others_wrote:
        pytest.skip("a transaction that has read cannot write once another one has written")
    rival.add("session-1", new_metadata())
    calls = []

    def change(metadata):
        calls.append(metadata)
        rival.save(rival.load("session-1"))

    with repository_scope() as (_, repository), pytest.raises(StaleSessionError):
        repository.update("session-1", change)

    assert len(calls) == 1
    assert rival.load("session-1").lock_version == 2


def test_an_original_that_the_snapshot_does_not_show_is_archived_all_the_same(
    repository_scope, capabilities, rival, rows, documents
):
    """
    A transaction that began before an outdated row came saves it, by a record that was loaded outside.

    What it overwrites is what it archives, whatever its snapshot shows.
    """
    if not capabilities.writes_after_others_wrote:
        pytest.skip("a transaction that has read cannot write once another one has written")

    with repository_scope() as (db, repository):
        before = repository.find("session-1")
        rival.import_document("session-1", documents.outdated)
        repository.save(rival.load("session-1"))
        db.commit()

    assert before is None
    assert rival.load("session-1").lock_version == 2
    assert [kept["payload"] for kept in rows.archived("session-1")] == [documents.outdated]
