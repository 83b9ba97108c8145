"""What the README shows is what happens."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from rekindle import SessionStore

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_the_first_block_takes_an_old_row_to_a_current_one(tmp_path):
    """The block runs as it stands in an empty directory, and prints the moment that the library is about."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKS[0]], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "1 openai mob.office True",
        "  host_mode: True -> True (renamed to keep_alive)",
        "  tooling.subagents: True -> None (the category no longer exists)",
        "  tooling.builtins: True -> 'enable' (booleans became tri-state)",
        "  tooling.shell: False -> 'inherit' (booleans became tri-state)",
        "  provider: 'open_a_i' -> 'openai' (spelled openai)",
        "  realm_id: 'mob:office' -> 'mob.office' (made a slug)",
        "3 2",
    ]


def test_the_second_block_works_in_a_transaction_of_the_caller(tmp_path):
    """The repository saves in the caller's transaction, and the save is there after the commit."""
    url = f"sqlite:///{tmp_path}/agents.db"
    with SessionStore.open(url, upgrade=True) as store:
        store.import_document("session-1", '{"model": "m", "provider": "other", "max_tokens": 1, "tooling": {}}')
        engine = create_engine(url)

        exec(BLOCKS[1], {"engine": engine})

        engine.dispose()
        assert store.load("session-1").lock_version == 2


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)", README))))
def test_every_link_leads_somewhere(link):
    """Each relative link of the README names a file or folder of the repository."""
    assert (ROOT / link).exists()


def test_the_readme_is_about_a_hundred_lines():
    """A README is read in one go or not at all."""
    assert len(README.splitlines()) <= 120
