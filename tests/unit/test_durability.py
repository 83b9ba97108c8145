"""How SQLite is told to wait for the disk, and how that can be changed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from rekindle import SessionMetadata, SessionStore
from rekindle.engine import create_engine
from rekindle.errors import DatabaseUnavailableError


@pytest.mark.parametrize(
    ("query", "synchronous"),
    [("", 2), ("?synchronous=full", 2), ("?synchronous=normal", 1), ("?synchronous=NORMAL", 1)],
)
def test_the_url_of_a_sqlite_file_says_how_durable_a_save_is(tmp_path, query, synchronous):
    """FULL unless the URL says normal; the parameter does not reach the driver, which would not know it."""
    url = f"sqlite:///{tmp_path}/a.db{query}"
    metadata = SessionMetadata(model="m", max_tokens=1, provider="openai", tooling={})

    with SessionStore.open(url, upgrade=True) as store:
        store.add("session-1", metadata)
        assert store.load("session-1").lock_version == 1

    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA synchronous")).scalar_one() == synchronous
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar_one() == "wal"
    engine.dispose()


@pytest.mark.parametrize("level", ["off", "0", "extra"])
def test_other_levels_are_refused(tmp_path, level):
    """OFF can corrupt the file, and what SQLite does not know it silently ignores."""
    with pytest.raises(DatabaseUnavailableError, match="neither full nor normal"):
        SessionStore.open(f"sqlite:///{tmp_path}/a.db?synchronous={level}", upgrade=True)
