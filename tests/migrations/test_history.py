"""The revisions: one history, append-only, that ends at the tables of the code."""

import ast
import hashlib
import json
import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from rekindle import SessionStore, database
from rekindle.orm import Base
from rekindle.tables import DATABASE_REVISION, VERSION_TABLE


@pytest.fixture
def revisions(root):
    """The files of migrations/versions."""
    return sorted((root / "migrations" / "versions").glob("*.py"))


@pytest.fixture
def history(root):
    """The revisions as alembic sees them from the root of the checkout."""
    return ScriptDirectory.from_config(Config(root / "alembic.ini"))


def test_alembic_works_at_the_root_of_a_checkout(alembic, empty_url, connected, catalogue):
    """`alembic upgrade head`, `check` and `downgrade base` need nothing but REKINDLE_URL, and lead there and back."""
    upgrade = alembic("upgrade", "head", REKINDLE_URL=empty_url)
    made = catalogue(empty_url)
    check = alembic("check", REKINDLE_URL=empty_url)
    downgrade = alembic("downgrade", "base", REKINDLE_URL=empty_url)
    with connected(empty_url) as connection:
        left = sa.inspect(connection).get_table_names()
    SessionStore.open(empty_url, upgrade=True).close()

    assert (upgrade.returncode, check.returncode, downgrade.returncode) == (0, 0, 0), upgrade.stderr + check.stderr
    assert "No new upgrade operations detected" in check.stdout
    assert left == [VERSION_TABLE]
    assert catalogue(empty_url) == made


def test_the_command_line_takes_a_url(alembic, tmp_path):
    """`-x url=` names the database, and wins over REKINDLE_URL."""
    url, elsewhere = f"sqlite:///{tmp_path / 'here.sqlite'}", "sqlite:////not/there.sqlite"
    upgrade = alembic("-x", f"url={url}", "upgrade", "head", REKINDLE_URL=elsewhere)
    current = alembic("-x", f"url={url}", "current", REKINDLE_URL=elsewhere)

    assert upgrade.returncode == 0, upgrade.stderr
    assert current.stdout.strip() == f"{DATABASE_REVISION} (head)"


def test_the_command_line_names_what_is_wrong_in_one_line(alembic):
    """A server that is not there is one line without the password, not a traceback."""
    failed = alembic("-x", "url=postgresql://u:s3cret%40x@127.0.0.1:1/x", "upgrade", "head")

    assert failed.returncode != 0
    assert "FAILED: postgresql+psycopg://u:***@127.0.0.1:1/x: cannot be reached" in failed.stdout + failed.stderr
    assert "s3cret" not in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr


def test_upgrading_from_nothing_gives_the_tables_of_the_code(upgraded_url, connected):
    """Between the newest revision and the ORM models alembic finds no difference."""
    with connected(upgraded_url) as connection:
        found = database.differences(connection)

    assert found == []


def test_no_detail_of_the_tables_is_left_to_chance(make_database, connected, catalogue):
    """The revisions give what the ORM models would create, in every name, type, collation and index."""
    by_revisions, by_models = make_database(), make_database()
    SessionStore.open(by_revisions, upgrade=True).close()
    with connected(by_models) as connection:
        Base.metadata.create_all(connection)
    found = [line for line in catalogue(by_revisions) if VERSION_TABLE not in line]

    assert found == catalogue(by_models)


def test_names_in_the_database_follow_the_convention(upgraded_url, connected):
    """Keys and indexes have the names that the metadata gives them, so that a later revision can name them."""
    expected = {index.name for table in Base.metadata.tables.values() for index in table.indexes}
    expected |= {str(table.primary_key.name) for table in Base.metadata.tables.values()}
    found = set()
    with connected(upgraded_url) as connection:
        inspector = sa.inspect(connection)
        for table in Base.metadata.tables:
            found |= {index["name"] for index in inspector.get_indexes(table)}
            # MariaDB calls every primary key PRIMARY, whatever it is given.
            found.add(inspector.get_pk_constraint(table)["name"] or f"pk_{table}")

    assert found == expected


def test_differences_are_told(upgraded_url, connected):
    """What somebody changed by hand is named."""
    with connected(upgraded_url) as connection:
        connection.exec_driver_sql("DROP TABLE session_metadata_quarantine")
        connection.exec_driver_sql("ALTER TABLE session_metadata ADD COLUMN extra INTEGER")
        connection.exec_driver_sql("CREATE INDEX ix_by_hand ON session_metadata (model)")
        found = database.differences(connection)

    assert sorted(found) == [
        "add_table session_metadata_quarantine",
        "remove_column session_metadata extra",
        "remove_index ix_by_hand",
    ]


def test_there_is_one_head_and_the_code_knows_it(history):
    """The newest revision is the one that a store asks for."""
    assert history.get_heads() == [DATABASE_REVISION]


def test_revisions_are_numbered(revisions, history):
    """Revision ids are numbers with leading zeros, without a gap, so that later ones compare greater."""
    numbers = [script.revision for script in history.walk_revisions()][::-1]

    assert numbers == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.py", path.name) for path in revisions)
    assert [path.name[:4] for path in revisions] == numbers


def test_revisions_import_nothing_of_rekindle(revisions):
    """A released revision never moves, and the code does: it imports alembic, SQLAlchemy and the standard library."""
    imported = set()
    for path in revisions:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or ".").partition(".")[0])

    assert imported <= {"alembic", "sqlalchemy", "typing", "__future__", "collections"}


@pytest.fixture
def released(root):
    """The sha256 of each released revision, by the name of its file."""
    text = (root / "tests" / "migrations" / "released.json").read_text(encoding="utf-8")
    return {Path(name).name: digest for name, digest in json.loads(text).items() if name.startswith("migrations/")}


def test_released_revisions_are_never_edited(revisions, released):
    """History is append-only: somebody's database has been through these very files."""
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in revisions}

    assert {name: digests.get(name) for name in released} == released


def test_unreleased_revisions_come_last(revisions, released):
    """No revision is put in among those that are released."""
    assert [path.name for path in revisions][: len(released)] == sorted(released)


def test_a_new_revision_keeps_the_rules_by_itself(alembic, later_release, tmp_path):
    """`alembic revision --autogenerate` takes the next number, and imports nothing of rekindle."""
    later_release.file.unlink()
    url = f"sqlite:///{tmp_path / 'empty.sqlite'}"
    alembic("upgrade", "head", ini=later_release.ini, REKINDLE_URL=url)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE session_metadata_quarantine")
    engine.dispose()
    made = alembic("revision", "--autogenerate", "-m", "Bring it back", ini=later_release.ini, REKINDLE_URL=url)
    text = later_release.file.with_name(f"{later_release.revision}_bring_it_back.py").read_text()

    assert made.returncode == 0, made.stderr
    assert f'revision = "{later_release.revision}"\ndown_revision = "{DATABASE_REVISION}"' in text
    assert "sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6)" in text
    assert "from sqlalchemy.dialects import mysql\n" in text
    assert "rekindle.orm." not in text.split('"""')[2]
