"""An application with an alembic history of its own in the same database."""

import re
import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic import command

from rekindle import SessionStore, database
from rekindle.orm import Base

INI = """
[alembic]
script_location = %(here)s/history
path_separator = os
sqlalchemy.url = {url}
"""

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "a1"
down_revision = None


def upgrade():
    op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO users (id) VALUES (1)")


def downgrade():
    op.drop_table("users")
"""


@pytest.fixture(scope="session")
def recipe(request):
    """The Python blocks of the how-to."""
    text = (request.config.rootpath / "docs" / "how-to" / "bring-your-own-alembic.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def application(empty_url, recipe, tmp_path):
    """An application that follows the how-to; called with the arguments of its own `alembic`."""
    directory = tmp_path / "application"
    versions = directory / "history" / "versions"
    versions.mkdir(parents=True)
    (directory / "alembic.ini").write_text(INI.format(url=empty_url.replace("%", "%%")))
    (versions / "a1_users.py").write_text(REVISION)
    (directory / "history" / "env.py").write_text(recipe[0])
    (directory / "history" / "script.py.mako").write_text("${upgrades}")

    def alembic(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=directory, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return f"{done.returncode} {done.stdout} {done.stderr}"

    return alembic


def test_both_histories_live_in_one_database(application, empty_url, connected):
    """Each goes up, is checked and goes down without the other's tables and rows being touched."""
    steps = [application("upgrade", "head")]
    SessionStore.open(empty_url, upgrade=True).close()
    steps.append(application("check"))
    with connected(empty_url) as connection:
        differences = database.differences(connection)
    with connected(empty_url) as connection:
        command.downgrade(database._config(connection=connection), "base")
        users = connection.exec_driver_sql("SELECT count(*) FROM users").scalar()
        tables = set(sa.inspect(connection).get_table_names())
    SessionStore.open(empty_url, upgrade=True).close()
    steps.append(application("downgrade", "base"))
    SessionStore.open(empty_url).close()

    assert [step[:2] for step in steps] == ["0 "] * 3, steps
    assert "No new upgrade operations detected" in steps[1]
    assert differences == []
    assert users == 1
    assert tables == {"users", "alembic_version", "rekindle_alembic_version"}


def test_the_how_to_upgrades_from_code(empty_url, recipe):
    """The second block of the how-to creates the tables on the application's own engine."""
    engine = sa.create_engine(empty_url)
    exec(recipe[1], {"engine": engine})
    engine.dispose()
    SessionStore.open(empty_url).close()


def test_the_names_are_those_of_all_tables(upgraded_url, connected):
    """What the how-to leaves out is what an upgrade makes."""
    with connected(upgraded_url) as connection:
        made = set(sa.inspect(connection).get_table_names())

    assert made == database.TABLES
    assert set(Base.metadata.tables) < database.TABLES
