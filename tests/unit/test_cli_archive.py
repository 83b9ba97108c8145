"""`rekindle archive`, and `rekindle show --original` of a session that was rewritten."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from rekindle import SessionStore
from rekindle.cli import root
from rekindle.cli.archive import moment_before

OLD = '{"model":"gpt-4.1",  "max_tokens":1,"provider":"open_a_i","tooling":{"subagents":true},"realm_id":"ours"}\n'
PLAIN = '{"model":"gpt-4.1","max_tokens":1,"provider":"openai","tooling":{}}'
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def call(*arguments):
    return CliRunner().invoke(root, [*arguments])


@pytest.fixture
def path(_sqlite_template, tmp_path):
    path = tmp_path / "agents.db"
    shutil.copy(_sqlite_template, path)
    with SessionStore.open(f"sqlite:///{path}") as store:
        for session_id, payload in (("dropping", OLD), ("plain", PLAIN), ("outdated", PLAIN)):
            store.import_document(session_id, payload)
        store.save(store.load("dropping"))
        store.save(store.load("plain"))
    return path


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


def test_show_original_prints_what_the_rewrite_overwrote(url):
    """The exact bytes from the archive when the session was rewritten, and else those of the row."""
    rewritten = call("show", "dropping", "--original", "--url", url)
    outdated = call("show", "outdated", "--original", "--url", url)

    assert (rewritten.exit_code, rewritten.stdout) == (0, OLD)
    assert (outdated.exit_code, outdated.stdout) == (0, PLAIN)


def test_show_original_as_json_has_the_numbers_of_the_original(url):
    """The schema and lock version are those the document had."""
    shown = json.loads(call("show", "dropping", "--original", "--json", "--url", url).stdout)

    assert (shown["schema_version"], shown["lock_version"], shown["payload"]) == (1, 1, OLD)


def test_list_says_what_is_archived(url):
    """Text for people, JSON with digest and changes for programs, and a cursor where there is more."""
    text = call("archive", "list", "--url", url)
    one = call("archive", "list", "dropping", "--json", "--url", url)
    page = call("archive", "list", "--limit", "1", "--url", url)
    nothing = call("archive", "list", "outdated", "--url", url)
    (entry,) = json.loads(one.stdout)["entries"]
    rest = call("archive", "list", "--after", page.stderr.split()[-1], "--url", url)

    assert "dropping" in text.stdout
    assert "plain" in text.stdout
    assert (entry["schema_version"], entry["realm"], entry["has_dropped"]) == (1, "ours", True)
    assert {change["path"] for change in entry["changes"]} == {"provider", "tooling.subagents"}
    assert "dropping" not in rest.stdout
    assert "plain" in rest.stdout
    assert (nothing.exit_code, nothing.stdout) == (0, "")


def test_restore_and_its_undoing(url):
    """restore puts the original back and says how to undo it; undoing brings the rewritten document again."""
    with SessionStore.open(url) as store:
        rewritten = store.stored("dropping").payload

    restored = call("archive", "restore", "dropping", "--url", url)
    with SessionStore.open(url) as store:
        assert store.stored("dropping").payload == OLD
    undone = call("archive", "restore", "dropping", "--lock-version", "2", "--json", "--url", url)
    with SessionStore.open(url) as store:
        row = store.stored("dropping")

    assert restored.exit_code == 0
    assert "--lock-version 2" in restored.stderr
    assert json.loads(undone.stdout) == {"restored": "dropping", "schema_version": 3, "lock_version": 4}
    assert (row.payload, row.schema_version) == (rewritten, 3)


def test_restore_without_an_original_fails_with_a_remedy(url):
    """Exit code 1, and one line that says where to look."""
    failed = call("archive", "restore", "outdated", "--url", url)

    assert failed.exit_code == 1
    assert "rekindle archive list outdated" in failed.stderr


def test_prune_counts_what_it_removed_and_what_it_kept(url, path):
    """Old entries go, the only copies of dropped values stay until --including-dropped."""
    db = sqlite3.connect(path)
    db.execute("UPDATE session_metadata_archive SET archived_at = '2024-01-01 00:00:00.000000'")
    db.commit()
    db.close()

    young = call("archive", "prune", "--older-than", "2023-12-31", "--json", "--url", url)
    old = call("archive", "prune", "--older-than", "90d", "--url", url)
    all_ = call("archive", "prune", "--older-than", "90d", "--including-dropped", "--json", "--url", url)

    assert json.loads(young.stdout)["pruned"] == json.loads(young.stdout)["kept"] == 0
    assert "removed 1 of" in old.stderr
    assert "kept 1" in old.stderr
    assert (json.loads(all_.stdout)["pruned"], json.loads(all_.stdout)["kept"]) == (1, 0)


def test_prune_is_about_one_realm_when_told(url):
    """With --realm, the entries of other realms and of none stay."""
    soon = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()

    pruned = call("archive", "prune", "--older-than", soon, "--realm", "other", "--json", "--url", url)

    assert json.loads(pruned.stdout)["pruned"] == json.loads(pruned.stdout)["kept"] == 0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90d", NOW - timedelta(days=90)),
        ("12h", NOW - timedelta(hours=12)),
        ("30m", NOW - timedelta(minutes=30)),
        ("5s", NOW - timedelta(seconds=5)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_an_age_is_a_length_of_time_or_a_date(text, moment):
    """A length of time counts back from now; a date without a zone is in UTC."""
    assert moment_before(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "90 days", "1.5d", "yesterday", "99999999999d", "٣d"])
def test_what_is_no_age_is_wrong_usage(url, text):
    """Exit code 2, and the message shows what would do."""
    failed = call("archive", "prune", "--older-than", text, "--url", url)

    assert failed.exit_code == 2
    assert "90d" in failed.stderr


def test_what_a_backfill_rewrote_is_put_back(url):
    """Those that somebody saved since are named on stdout, and are the reason for exit code 3."""
    with SessionStore.open(url) as store:
        for number in range(4):
            store.import_document(f"session-{number}", PLAIN)
    call("backfill", "--url", url)
    with SessionStore.open(url) as store:
        store.update("session-2", lambda metadata: metadata.model_copy(update={"comms_name": "mine"}))
    many = ("archive", "restore", "--schema-version", "3", "--since", "1h", "--url", url)
    dry, done, again = call(*many, "--dry-run"), call(*many), call(*many, "--json")
    document = json.loads(again.stdout)

    saved = [f"{name}\tsaved since\tit is at lock version 2" for name in ("dropping", "plain", "session-2")]
    assert [dry.exit_code, done.exit_code, again.exit_code] == [3, 3, 3]
    assert dry.stdout.splitlines() == done.stdout.splitlines() == saved
    assert "would put 4 originals back" in dry.stderr
    assert "put 4 originals back" in done.stderr
    assert "left alone 3 (saved since)" in done.stderr
    assert (document["restored"], document["left"]) == (0, {"saved since": 3})
    assert [each["session_id"] for each in document["left_sessions"]] == ["dropping", "plain", "session-2"]
    assert call("show", "session-1", "--original", "--url", url).stdout == PLAIN


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ([], "name a session, or say --schema-version and --since"),
        (["--since", "1h"], "name a session, or say --schema-version and --since"),
        (["--schema-version", "3", "--since", "1h", "--lock-version", "1"], "name a session, or say"),
        (["--schema-version", "4", "--since", "1h"], "knows schema versions up to 3"),
        (["plain", "--since", "1h"], "leave them out, or the ID"),
        (["--schema-version", "3", "--since", "yesterday"], "neither a length of time"),
    ],
)
def test_restore_says_what_was_meant(url, words, meant):
    """One session, or all that a backfill rewrote since a moment: which it is must be clear."""
    result = call("archive", "restore", *words, "--url", url)

    assert (result.exit_code, meant in result.stderr) == (2, True)


def test_a_damaged_row_is_shown_beside_its_original(url, path):
    """The remedy that the error names shows what the row holds, --original what it held before it was rewritten."""
    with sqlite3.connect(path) as connection:
        connection.execute("""UPDATE session_metadata SET payload = '{"model": "cut o' WHERE session_id = 'dropping'""")
    connection.close()
    failed = call("show", "dropping", "--url", url)
    remedy = re.search(r"see it with `rekindle (show dropping --\w+)`", failed.stderr)[1]

    assert failed.exit_code == 1
    assert call(*remedy.split(), "--url", url).stdout == '{"model": "cut o'
    assert call("show", "dropping", "--original", "--url", url).stdout == OLD
    assert json.loads(call("show", "dropping", "--stored", "--json", "--url", url).stdout)["lock_version"] == 2
    assert call("show", "dropping", "--original", "--stored", "--url", url).exit_code == 2
