"""A store against a model of it: whatever is called in whatever order, both agree."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from rekindle import SessionMetadata, SessionStore
from rekindle.errors import (
    NewerSchemaError,
    SessionExistsError,
    SessionNotFoundError,
    StaleSessionError,
)

IDS = ("a", "A", "a ", "é", "🔥")
"""Few, and alike: sessions have to meet."""

PARAMS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["p", "é", ""]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


class Model:
    """What a session is expected to be."""

    def __init__(self, params, *, schema_version=3, text=None):
        self.params = params
        self.schema_version = schema_version
        self.lock_version = 1
        self.originals = []
        self.text = text

    def rewritten(self, params):
        """Take note of a save."""
        if self.schema_version < 3:
            self.originals.append(self.text)
        self.params = params
        self.schema_version = 3
        self.lock_version += 1


def metadata_with(params):
    return SessionMetadata.model_validate(
        {"model": "m", "max_tokens": 1, "provider": "openai", "tooling": {}, "provider_params": params}
    )


def outdated_with(params):
    return json.dumps(
        {"provider_params": params, "model": "m", "max_tokens": 1, "provider": "open_a_i", "tooling": {"shell": False}}
    )


def same(text):
    """Spell a document so that texts of equal content are equal."""
    return json.dumps(json.loads(text), sort_keys=True)


class StoreMachine(RuleBasedStateMachine):
    """Calls of one store, on a few ids, with rows that other releases and a backfill write in between."""

    records = Bundle("records")
    ids = st.sampled_from(IDS)

    def __init__(self, store, rows, newer):
        super().__init__()
        self.store, self.rows, self.newer = store, rows, newer
        self.model = {}
        # How often a session was made under each id: lock versions begin at 1 each time, so that a record of an earlier
        # session can pass for one of its successor. No promise covers that, and no rule tries it.
        self.births = {}

    def teardown(self):
        for session_id in list(self.model):
            self.store.delete(session_id)
        assert self.rows.count() == {"sessions": 0, "archive": 0, "quarantine": 0}

    def born(self, session_id, model):
        self.model[session_id] = model
        self.births[session_id] = self.births.get(session_id, 0) + 1

    def held(self, record):
        """Return a record together with the birth of the session it is of."""
        return record, self.births[record.session_id]

    def verdict_on(self, record, birth):
        """Say what has to become of a compare-and-swap with this record; None when it succeeds."""
        assume(self.births[record.session_id] == birth)
        model = self.model.get(record.session_id)
        if model is None:
            return SessionNotFoundError
        if model.schema_version > 3:
            return NewerSchemaError
        return None if model.lock_version == record.lock_version else StaleSessionError

    # calls of the store

    @rule(target=records, session_id=ids, params=PARAMS)
    def add(self, session_id, params):
        if session_id in self.model:
            with pytest.raises(SessionExistsError):
                self.store.add(session_id, metadata_with(params))
            return multiple()
        record = self.store.add(session_id, metadata_with(params))
        self.born(session_id, Model(params))
        return self.held(record)

    @rule(session_id=ids, params=PARAMS)
    def import_document(self, session_id, params):
        text = outdated_with(params)
        model = self.model.get(session_id)
        if model is None:
            assert self.store.import_document(session_id, text) == "imported"
            self.born(session_id, Model(params, schema_version=1, text=text))
        elif same(text) in map(same, filter(None, [model.text, *model.originals])):
            assert self.store.import_document(session_id, text) == "unchanged"
        else:
            with pytest.raises(SessionExistsError):
                self.store.import_document(session_id, text)

    @rule(target=records, session_id=ids)
    def load(self, session_id):
        model = self.model.get(session_id)
        if model is None:
            assert self.store.find(session_id) is None
        elif model.schema_version > 3:
            with pytest.raises(NewerSchemaError):
                self.store.load(session_id)
        else:
            return self.held(self.store.load(session_id))
        return multiple()

    @rule(target=records, held=consumes(records), params=PARAMS)
    def save(self, held, params):
        record, birth = held
        mine = replace(record, metadata=metadata_with(params))
        error = self.verdict_on(record, birth)
        if error is not None:
            with pytest.raises(error):
                self.store.save(mine)
            return held
        saved = self.store.save(mine)
        self.model[record.session_id].rewritten(params)
        return self.held(saved)

    @rule(target=records, session_id=ids, params=PARAMS)
    def update(self, session_id, params):
        def change(metadata):
            metadata.provider_params = params

        model = self.model.get(session_id)
        if model is None or model.schema_version > 3:
            with pytest.raises(SessionNotFoundError if model is None else NewerSchemaError):
                self.store.update(session_id, change)
            return multiple()
        updated = self.store.update(session_id, change)
        model.rewritten(params)
        return self.held(updated)

    @rule(session_id=ids)
    def delete(self, session_id):
        if session_id not in self.model:
            with pytest.raises(SessionNotFoundError):
                self.store.delete(session_id)
            return
        self.store.delete(session_id)
        del self.model[session_id]

    @rule(held=records)
    def delete_record(self, held):
        record, birth = held
        error = self.verdict_on(record, birth)
        if error is not None:
            with pytest.raises(error):
                self.store.delete(record)
            return
        self.store.delete(record)
        del self.model[record.session_id]

    # what others do to the table

    @rule(session_id=ids)
    def later_release_takes_over(self, session_id):
        model = self.model.get(session_id)
        if model is not None:
            self.rows.edit(session_id, schema_version=4, payload=self.newer, lock_version=model.lock_version)
            model.schema_version, model.text = 4, self.newer

    @rule(session_id=ids)
    def backfill(self, session_id):
        model = self.model.get(session_id)
        if model is not None and model.schema_version < 3:
            self.rows.edit(session_id, schema_version=3, payload=metadata_with(model.params).model_dump_json())
            model.schema_version, model.text = 3, None

    # what holds at any time

    @invariant()
    def every_session_is_as_expected(self):
        batch = self.store.load_many(IDS)
        readable = {session_id: model for session_id, model in self.model.items() if model.schema_version < 4}

        assert set(batch.missing) == set(IDS) - self.model.keys()
        assert {error.session_id for error in batch.bad} == self.model.keys() - readable.keys()
        assert set(batch.by_id) == readable.keys()
        for session_id, model in readable.items():
            record = batch.by_id[session_id]
            assert (record.lock_version, record.schema_version) == (model.lock_version, model.schema_version)
            assert json.dumps(record.metadata.provider_params) == json.dumps(model.params)

    @invariant()
    def pages_meet_every_session_once(self):
        found, after = [], None
        for _ in IDS:
            page = self.store.list(limit=2, after=after)
            found += [each.session_id for each in (*page.records, *page.bad)]
            after = page.next_cursor
            if after is None:
                break

        assert (sorted(found), after) == (sorted(self.model), None)

    @invariant()
    def rows_are_counted_where_they_are(self):
        expected = {}
        for model in self.model.values():
            expected[model.schema_version] = expected.get(model.schema_version, 0) + 1

        assert self.store.count_by_schema_version() == expected

    @invariant()
    def no_original_is_lost(self):
        for session_id in IDS:
            model = self.model.get(session_id)
            originals = [] if model is None else model.originals
            assert [kept["payload"] for kept in self.rows.archived(session_id)] == originals


def test_a_store_agrees_with_its_model(store, rows, documents):
    """Any sequence of calls leaves the tables, and what the store says of them, as a dict of sessions would be."""
    run_state_machine_as_test(
        lambda: StoreMachine(store, rows, documents.newer),
        settings=settings(
            max_examples=10 if isinstance(store, SessionStore) else 5,
            stateful_step_count=25,
            derandomize=True,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
