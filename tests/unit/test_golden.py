"""Every stored document in tests/golden, and the whole Meerkat folder when it is there, read as promised."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import rekindle
from rekindle import SESSION_METADATA_SCHEMA_VERSION as CURRENT
from rekindle.errors import InvalidPayloadError, NewerSchemaError, SchemaError

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
MEERKAT = Path(__file__).resolve().parents[2].parent / "shared" / "meerkat"
ERRORS: dict[str, type[SchemaError]] = {"invalid": InvalidPayloadError, "newer": NewerSchemaError}

OPTIONAL = {
    "": {
        "auth_binding",
        "backend",
        "comms_name",
        "config_generation",
        "instance_id",
        "mob_member_binding",
        "peer_meta",
        "provider_params",
        "realm_id",
        "self_hosted_server_id",
    },
    "tooling": {"active_skills", "tool_access_policy"},
    "auth_binding": {"origin", "profile"},
    "peer_meta": {"description"},
}


class Golden(NamedTuple):
    """A stored document and what reading it must give."""

    stored: Any
    expected: dict[str, Any]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def golden(name: str) -> Golden:
    return Golden(read(GOLDEN / f"{name}.json"), read(GOLDEN / f"{name}.expected.json"))


def names() -> list[str]:
    stored = [path for path in GOLDEN.glob("v*/*.json") if not path.name.endswith(".expected.json")]
    return sorted(f"{path.parent.name}/{path.stem}" for path in stored)


ACCEPTED = [name for name in names() if "/reject_" not in name]
REJECTED = [name for name in names() if "/reject_" in name]


def without_nulls(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the optional keys that hold null; unknown keys and provider_params stay as they are."""
    pruned = {key: value for key, value in document.items() if value is not None or key not in OPTIONAL[""]}
    for part, optional in OPTIONAL.items():
        if isinstance(pruned.get(part), dict):
            pruned[part] = {k: v for k, v in pruned[part].items() if v is not None or k not in optional}
    return pruned


def spelled(value: Any) -> str:
    """JSON text, in which 1, 1.0 and true differ, and so do 0.0 and -0.0."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False)


def at_current(document: dict[str, Any]) -> dict[str, Any]:
    """An expected document as this release has it: the very same, unless a later schema version has come since."""
    return document if document["schema_version"] == CURRENT else rekindle.upcast(document).document


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_golden_gives_its_document(name):
    """The stored document becomes the expected one, down to the spelling of numbers, and comms_name is always there."""
    stored, expected = golden(name)

    upcast = rekindle.upcast(stored)

    assert spelled(without_nulls(upcast.document)) == spelled(without_nulls(at_current(expected["document"])))
    assert "comms_name" in upcast.document
    assert upcast.from_version == stored.get("schema_version", 1)


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_golden_reports_exactly_what_it_alters(name):
    """The changes name every path whose stored value is altered or dropped, and no other."""
    stored, expected = golden(name)

    paths = sorted({change.path for change in rekindle.upcast(stored).changes})
    later = expected["document"]["schema_version"] != CURRENT

    assert paths == expected["changes"] or (later and set(paths) > set(expected["changes"]))


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_golden_is_left_untouched_by_reading(name):
    """Upcasting works on a copy: the caller's document is afterwards what it was."""
    stored = golden(name).stored
    before = copy.deepcopy(stored)

    rekindle.upcast(stored)

    assert spelled(stored) == spelled(before)


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_golden_has_nothing_left_to_change(name):
    """Upcasting the result again gives an equal document and no changes."""
    once = rekindle.upcast(golden(name).stored).document

    again = rekindle.upcast(once)

    assert spelled(again.document) == spelled(once)
    assert list(again.changes) == []


@pytest.mark.parametrize("name", REJECTED)
def test_a_rejected_golden_is_refused_by_name(name):
    """A document that cannot be read is refused with the right error, which names the paths, and stays as it is."""
    stored, expected = golden(name)
    if expected["error"] == "newer" and stored["schema_version"] <= CURRENT:
        pytest.skip("newer when it was written, known to this release")
    before = copy.deepcopy(stored)

    with pytest.raises(ERRORS[expected["error"]]) as caught:
        rekindle.upcast(stored)

    named = {path for path, _ in getattr(caught.value, "problems", ())}

    assert named >= set(expected["paths"])
    assert spelled(stored) == spelled(before)


def test_every_golden_has_its_expectation_and_every_expectation_its_golden():
    """No file in the golden directories is without its other half, and each is in the directory of its number."""
    expected = GOLDEN.glob("v*/*.expected.json")
    halves = sorted(f"{path.parent.name}/{path.name.removesuffix('.expected.json')}" for path in expected)

    assert halves == names()
    for name in ACCEPTED:
        assert name.startswith(f"v{golden(name).stored.get('schema_version', 1)}/"), name


def test_the_goldens_cover_every_released_shape():
    """There is a full document of each shape from S01 to S21."""
    full = {match[1] for name in ACCEPTED if (match := re.fullmatch(r"v\d+/s(\d\d)_full", name))}

    assert full == {f"{number:02}" for number in range(1, 22)}


def stripped(value: Any) -> Any:
    """The value without the keys that hold null at any depth, provider_params excepted."""
    if isinstance(value, list):
        return [stripped(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: item for key, item in value.items() if item is not None}
    return {key: item if key == "provider_params" else stripped(item) for key, item in kept.items()}


def complaint(stored: Any, expected: dict[str, Any]) -> str | None:
    """What is wrong with how a row is read, if anything."""
    try:
        upcast = rekindle.upcast(stored)
    except SchemaError as error:
        wanted = ERRORS.get(expected.get("error", ""))
        return None if wanted is not None and isinstance(error, wanted) else f"refused: {error}"
    if expected["status"] != "ok":
        return "accepted"
    if missing := set(expected["reported_paths"]) - {change.path for change in upcast.changes}:
        return f"not reported: {sorted(missing)}"
    if spelled(stripped(upcast.document)) != spelled(stripped(at_current(expected["document"]))):
        return f"reads as {spelled(upcast.document)}"
    return None


def test_every_meerkat_row_reads_as_promised():
    """Each row that a released Meerkat wrote gives its expected document, reports and refusals."""
    if not MEERKAT.is_dir():
        pytest.skip(f"no rows of released Meerkats at {MEERKAT}")
    rows = sorted((MEERKAT / "rows").glob("*.json"))

    complaints = {row.name: complaint(read(row), read(MEERKAT / "expected" / row.name)) for row in rows}

    assert len(rows) >= 142
    assert {name: text for name, text in complaints.items() if text is not None} == {}
