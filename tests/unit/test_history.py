"""Adding to a history, and what keeps a released one as it is."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from rekindle import schema
from rekindle.errors import HistoryError
from rekindle.history import BROKEN, UNFROZEN, UNWRITTEN, History, check, freeze, new, read_snapshots, verdicts
from rekindle.schema.parts import Change

sys.path.insert(0, str(Path(__file__).parent))

from toy_checkout import Checkout


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A toy history of one frozen version."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    made = Checkout(tmp_path)
    freeze(made.history())
    yield made
    made.forget()


def found(checkout: Checkout) -> list[tuple[str, str, str]]:
    """The findings, with paths from the top of the checkout."""
    findings = check(checkout.history())
    assert all(finding.remedy for finding in findings)
    return [(str(path.relative_to(checkout.root)), problem, state) for path, problem, _, state in findings]


def add_version(checkout: Checkout, number: int) -> None:
    """What an author does: scaffold, write the step, the summary and a golden document, freeze."""
    new(checkout.history())
    name = f"v{number}.py"
    checkout.edit(name, 'SUMMARY = ""', f'SUMMARY = "Field {number}."')
    step = f'    return {{"field_{number}": {number}, **document}}, []'
    checkout.edit(name, "    raise NotImplementedError", step)
    checkout.write(name, checkout.path(name).read_text() + f"    field_{number}: int = {number}\n")
    stored = {"schema_version": number, "name": "n"}
    checkout.store(number, "minimal", stored, stored)
    freeze(checkout.history())


def test_our_own_history_is_whole():
    """Nothing that was released has been edited, and no version lacks anything: `rekindle schema check`, here too."""
    assert [f"{finding.path} {finding.problem}; {finding.remedy}" for finding in check(History.of(schema))] == []


def test_a_chain_of_five_is_built_without_touching_an_earlier_version(checkout):
    """Four new versions leave every earlier module, snapshot and golden file as it was, and the chain is one."""
    before: dict[str, bytes] = {}
    for number in range(2, 6):
        add_version(checkout, number)
        files = [path for path in checkout.root.rglob("*") if path.is_file() and path.name != "__init__.py"]
        now = {str(path): path.read_bytes() for path in files}
        assert before.items() <= now.items()
        before = now

    package = checkout.package()
    document = {"name": "n"}
    for module in package.VERSIONS.values():
        document, _ = module.upcast(document)

    assert found(checkout) == []
    assert list(package.VERSIONS) == [1, 2, 3, 4, 5]
    assert package.SessionMetadata is package.VERSIONS[5].SessionMetadata
    assert document == {"schema_version": 1, "name": "n", "field_2": 2, "field_3": 3, "field_4": 4, "field_5": 5}
    assert package.SessionMetadata.model_validate(document).field_5 == 5


def test_a_document_that_was_newer_once_is_nothing_to_complain_of(checkout):
    """A golden document from beyond the newest version stays, and stays right, when that version comes."""
    checkout.store(1, "newer", {"name": "n", "schema_version": 2}, None)
    expectation = checkout.golden / "v1" / "newer.expected.json"
    expectation.write_text(json.dumps({"status": "reject", "error": "newer", "paths": []}))
    freeze(checkout.history())

    add_version(checkout, 2)

    assert found(checkout) == []


def test_a_new_version_lacks_only_what_its_author_has_to_write(checkout):
    """After `new` the check asks for the step, the summary, golden documents and the freeze, and for nothing else."""
    new(checkout.history())

    assert {(path, state) for path, _, state in found(checkout)} == {
        ("src/toy/snapshots/v2.json", UNFROZEN),
        ("src/toy/v2.py", UNWRITTEN),
        ("tests/golden/v2", UNWRITTEN),
    }
    assert len(found(checkout)) == 4


def test_a_new_version_is_begun_only_on_a_whole_history(checkout):
    """Two drafts at once, or a draft on top of a broken history, are refused, and nothing is written."""
    new(checkout.history())
    before = sorted(checkout.root.rglob("*"))

    with pytest.raises(HistoryError, match="is a draft"):
        new(checkout.history())

    assert sorted(checkout.root.rglob("*")) == before


def test_an_unfinished_version_is_not_frozen(checkout):
    """Freezing refuses what is still to be written, names it, and leaves the draft a draft."""
    new(checkout.history())

    with pytest.raises(HistoryError, match="is not written yet"):
        freeze(checkout.history())

    assert not read_snapshots(checkout.history())[0][2].frozen


def test_freezing_again_writes_nothing(checkout):
    """What is frozen stays as it is."""
    assert freeze(checkout.history()) == []


@pytest.mark.parametrize(
    ("name", "old", "new_text", "problem"),
    [
        ("v1.py", "    count: U32 = 0", "    count: U32 = 0\n    colour: Text = ''", "the model has changed"),
        ("v1.py", "    count: U32 = 0", "    count: U32 = 1", "the model has changed"),
        ("v1.py", "    name: Text", "    name: Text | None", "the model has changed"),
        ("v1.py", "**document}, []", "**document, 'extra': 1}, []", "the step, or something that it uses, has changed"),
        ("v1.py", "and how many.", "and how much.", "the summary has changed"),
    ],
)
def test_an_edit_of_a_frozen_version_is_found(checkout, name, old, new_text, problem):
    """A change of the model, the step or the summary without a new version names the module and says what changed."""
    checkout.edit(name, old, new_text)

    assert [(path, problem in text, state) for path, text, state in found(checkout)] == [
        (f"src/toy/{name}", True, BROKEN)
    ]


def test_the_remedy_for_an_edit_of_the_newest_model_is_a_new_version(checkout):
    """Whoever changes the model next year is told the command."""
    checkout.edit("v1.py", "    count: U32 = 0", "    count: U32 = 0\n    colour: Text = ''")

    (finding,) = check(checkout.history())

    assert "`rekindle schema new`" in finding.remedy
    assert "colour" in finding.problem


def test_what_does_not_change_what_a_step_does_is_free(checkout):
    """Comments, docstrings, formatting, annotations and imports of other things do not count as an edit."""
    checkout.edit("v1.py", '    """Give it a number."""\n', '    """Give a number to it."""\n    # For it has none.\n')
    checkout.edit(
        "v1.py", '{"schema_version": VERSION, **document}, []', "{'schema_version': VERSION,\n  **document,}, []"
    )
    checkout.edit("v1.py", "def upcast(document: Document) -> tuple[Document, list[Change]]:", "def upcast(document):")
    checkout.edit("v1.py", "import U32, Change,", "import U32, U64, Change,")

    assert found(checkout) == []


def test_an_edit_of_a_helper_in_another_module_is_an_edit_of_the_step(checkout):
    """A step is what it does: a helper that it imports from an earlier version is part of it."""
    checkout.write("names.py", "def shout(name):\n    return name.upper()\n\n\ndef unused():\n    return 1\n")
    checkout.edit("v1.py", "\nVERSION = 1", "from toy.names import shout\n\nVERSION = 1")
    checkout.edit(
        "v1.py", "**document}, []", "**document, 'name': shout(document['name']) if 'name' in document else None}, []"
    )
    checkout.store(1, "full", {"name": "n"}, {"name": "N"})
    shutil.rmtree(checkout.golden)
    checkout.store(1, "full", {"name": "n"}, {"name": "N"})
    freeze(checkout.history(), unreleased=True)
    assert found(checkout) == []

    checkout.edit("names.py", "return 1", "return 2")
    assert found(checkout) == []
    checkout.edit("names.py", "name.upper()", "name.upper() + ''")

    assert [(path, state) for path, _, state in found(checkout)] == [("src/toy/v1.py", BROKEN)]


@pytest.mark.parametrize(
    "edit", [lambda text: text.replace("how many", "how much"), lambda text: text + "}", lambda _: "[]"]
)
def test_an_edited_snapshot_is_found(checkout, edit):
    """A snapshot is sealed: whatever is changed in it, it is the snapshot that is named."""
    path = checkout.path("snapshots/v1.json")
    path.write_text(edit(path.read_text()))

    ((where, problem, state),) = found(checkout)

    assert (where, state) == ("src/toy/snapshots/v1.json", BROKEN)
    assert "was edited" in problem


def test_a_snapshot_that_was_made_anew_does_not_fit_the_next(checkout):
    """Each snapshot names the seal of the one before, so that none is replaced by itself."""
    add_version(checkout, 2)
    checkout.path("snapshots/v1.json").unlink()
    checkout.edit("v1.py", "and how many.", "and how much.")

    freeze(checkout.history())

    assert [(path, problem) for path, problem, _ in found(checkout)] == [
        ("src/toy/snapshots/v2.json", "does not follow the snapshot of version 1")
    ]


def test_a_missing_snapshot_is_found(checkout):
    """Every version has a snapshot; the newest is yet to be frozen, an older one has been lost."""
    add_version(checkout, 2)
    checkout.path("snapshots/v1.json").unlink()
    checkout.path("snapshots/v2.json").unlink()

    assert [(path, state) for path, problem, state in found(checkout) if problem == "is missing"] == [
        ("src/toy/snapshots/v1.json", BROKEN),
        ("src/toy/snapshots/v2.json", UNFROZEN),
    ]


def test_a_version_that_is_not_registered_is_found(checkout):
    """A module or a snapshot without its line in VERSIONS is a version that no row is taken to."""
    add_version(checkout, 2)
    checkout.edit("__init__.py", "        2: v2,\n", "")
    checkout.edit("__init__.py", "import v1, v2", "import v1")

    assert sorted((path, state) for path, _, state in found(checkout)) == [
        ("src/toy/snapshots/v2.json", BROKEN),
        ("src/toy/v2.py", BROKEN),
    ]


def test_a_version_that_is_registered_twice_is_found(checkout):
    """Of two equal keys in VERSIONS Python keeps the last without a word; the check does not."""
    checkout.edit("__init__.py", "        1: v1,\n", "        1: v1,\n        1: v1,\n")

    assert found(checkout) == [("src/toy/__init__.py", "registers 1 twice", BROKEN)]


def test_a_golden_file_that_was_edited_removed_or_added_is_found(checkout):
    """Golden files are append-only, and what is appended is fingerprinted by `freeze`."""
    checkout.store(1, "later", {"name": "x"}, {"name": "x"})
    assert {state for _, _, state in found(checkout)} == {UNFROZEN}
    freeze(checkout.history())
    assert found(checkout) == []

    (checkout.golden / "v1" / "later.json").unlink()
    (checkout.golden / "v1" / "later.expected.json").unlink()
    (checkout.golden / "v1" / "full.json").write_text(json.dumps({"name": "n", "count": 3, "more": 1}))

    assert [(Path(path).name, problem) for path, problem, _ in found(checkout)][:3] == [
        ("full.json", "is not the file that SHA256SUMS lists"),
        ("later.expected.json", "has been removed"),
        ("later.json", "has been removed"),
    ]


def test_half_a_golden_is_found(checkout):
    """A document without an expectation proves nothing."""
    (checkout.golden / "v1" / "half.json").write_text("{}")

    assert "has no other half" in {problem for _, problem, _ in found(checkout)}


def test_a_version_without_golden_documents_is_found(checkout):
    """A refused document is not enough: some document of every version must be read."""
    shutil.rmtree(checkout.golden / "v1")
    checkout.store(1, "reject", {}, None)

    assert "version 1 has no golden documents" in {problem for _, problem, _ in found(checkout)}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("document['seen'] = True; return document, []", "changes the document that it is given"),
        ("document.get('tags', []).append(1); return document, []", "changes the document that it is given"),
        ("import itertools; return {**document, 'n': next(COUNTER)}, []", "answers differently the second time"),
        ("return document, [Change('x', 'why', next(COUNTER), None)]", "answers differently the second time"),
        ("return {**document, 'schema_version': 1 + document['schema_version']}, []", "changes schema_version"),
        ("return document['absent'], []", "the step fails with KeyError"),
    ],
)
def test_a_step_that_is_not_pure_is_found(checkout, body, problem):
    """Steps run on documents that refuse to change, and twice; the step that misbehaves is named."""
    new(checkout.history())
    checkout.edit("v2.py", "    raise NotImplementedError", f"    {body}")
    checkout.edit("v2.py", "VERSION = 2", "VERSION = 2\nCOUNTER = iter(range(10**9))")
    checkout.store(2, "tagged", {"schema_version": 2, "name": "n", "tags": []}, {"schema_version": 2, "name": "n"})

    (finding,) = [finding for finding in check(checkout.history()) if "seen on" in finding.problem]

    assert problem in finding.problem
    assert finding.path == checkout.path("v2.py")
    assert finding.state == BROKEN


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("document.pop('name', None); return document, ()", "the downcast changes the document that it is given"),
        ("return {**document, 'n': next(COUNTER)}, ()", "the downcast answers differently the second time"),
    ],
)
def test_a_downcast_that_is_not_pure_is_found(checkout, body, problem):
    """What is said of steps up is said of steps down."""
    new(checkout.history())
    checkout.edit("v2.py", "    raise NotImplementedError", "    return document, []")
    checkout.edit("v2.py", 'DOWNCAST = "none"\ndowncast = None', 'DOWNCAST = "exact"\nCOUNTER = iter(range(10**9))')
    checkout.write("v2.py", checkout.path("v2.py").read_text() + f"\n\ndef downcast(document):\n    {body}\n")

    assert problem in {text.partition(", seen on")[0] for _, text, _ in found(checkout)}


def test_a_golden_document_that_reads_otherwise_is_found(checkout):
    """What was read yesterday is read today, and what was refused is refused."""
    checkout.store(1, "wrong", {"name": "a"}, {"name": "b"})
    checkout.store(1, "good", {"name": 1}, {"name": "a"})
    checkout.store(1, "bad", {"name": "a"}, None)
    checkout.store(1, "newer", {"name": "a", "schema_version": 9}, {"name": "a"})
    checkout.store(1, "refused", {"name": 1}, None)
    checkout.store(1, "array", [], None)

    complaints = {Path(path).stem: problem for path, problem, _ in found(checkout) if "listed" not in problem}

    assert complaints == {
        "wrong": "reads as another document",
        "good": "is refused",
        "bad": "is accepted",
        "newer": "is not a document of a known schema version",
    }


def test_without_a_checkout_the_code_is_checked_and_nothing_is_written(checkout):
    """An installed package has no golden files: the rest is checked, and `new` and `freeze` say where they run."""
    installed = History(checkout.package(), None)

    assert check(installed) == []
    with pytest.raises(HistoryError, match="run this in a checkout"):
        new(installed)
    with pytest.raises(HistoryError, match="run this in a checkout"):
        freeze(installed)


def test_a_registry_that_cannot_be_edited_is_refused_by_name(checkout):
    """`new` edits three lines that it can find, or nothing at all."""
    checkout.edit("__init__.py", "        1: v1,", "        **{1: v1},")

    with pytest.raises(HistoryError, match="not laid out as expected"):
        new(checkout.history())

    assert not checkout.path("v2.py").exists()


def test_models_that_stay_are_left_where_they_are(checkout):
    """Only SessionMetadata is imported from the new module; its parts still come from the module that defines them."""
    checkout.write("v1.py", checkout.path("v1.py").read_text() + "\n\nclass Extra(Part):\n    pass\n")
    checkout.edit(
        "__init__.py", "from toy.v1 import SessionMetadata", "from toy.v1 import (\n    Extra,\n    SessionMetadata,\n)"
    )

    new(checkout.history())

    text = checkout.path("__init__.py").read_text()
    assert "from toy.v1 import (\n    Extra,\n)\nfrom toy.v2 import SessionMetadata\n" in text
    assert "from toy import v1, v2\n" in text
    assert "        1: v1,\n        2: v2,\n" in text


def test_our_newest_version_is_judged_against_each_older_one():
    """The verdicts come from the snapshots and the downcasts, with the fields that matter in the reasons."""
    against_1, against_2 = verdicts(read_snapshots(History.of(schema))[0])

    assert (against_1.older, against_1.verdict) == (1, "backward")
    assert "host_mode has no meaning any more" in against_1.backward
    assert "tooling.shell: boolean is not accepted" in against_1.backward
    assert against_1.forward == ("the downcast to 1 is none",)
    assert (against_2.older, against_2.verdict) == (2, "full")
    assert [reason.split(" cannot")[0] for reason in against_2.forward] == [
        "auth_binding.origin",
        "mob_member_binding",
        "tooling.application_tool_policy",
        "tooling.tool_access_policy",
    ]


def test_changes_are_named_tuples():
    """The constructor that the steps use makes what Change() makes."""
    from rekindle.schema.parts import change

    made = change(("path", "reason", 1, 2))

    assert made == Change("path", "reason", 1, 2)
    assert type(made) is Change
