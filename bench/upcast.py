"""
What upcasting costs: stored text of each schema version to a validated model, in one interleaved run.

    python bench/upcast.py [--rounds 41] [--seconds 0.05]

Contenders: rekindle's codec; functions written by hand, plain and without change reports, that read every golden
document as rekindle does; the same functions trusting the number in the row; and pyrmute with them as its steps, where
it is installed. That they give equal models is asserted first.
"""

from __future__ import annotations

import argparse
import platform
import re
import statistics
import sys
import time
from importlib.metadata import version
from operator import truediv
from pathlib import Path
from typing import NamedTuple

from pydantic_core import from_json

from rekindle.codec import decode
from rekindle.schema import VERSIONS, SessionMetadata

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
ROWS = {
    1: "s*_full.json",
    2: "s*_full.json",
    3: "native_*.json",
}  # the full document of every released shape, and what we write


# --- By hand --------------------------------------------------------------------------------------------------------

IS_SLUG = re.compile(r"[A-Za-z0-9._-]+").fullmatch
CATEGORIES = ("builtins", "shell", "comms", "mob", "memory", "schedule", "workgraph", "image_generation", "web_search")


def slug(value):
    if not isinstance(value, str) or not value or IS_SLUG(value):
        return value
    return re.sub(r"[^A-Za-z0-9._-]", "_", "".join(char.lower() if char.isascii() else "_" for char in value))


def hand_v1_to_v2(document):  # noqa: C901 - as one writes it by hand
    document = dict(document)
    if "host_mode" in document:
        document.setdefault("keep_alive", document.pop("host_mode"))
    tooling = dict(document["tooling"])
    tooling.pop("subagents", None)
    for category in CATEGORIES:
        value = tooling.get(category)
        if isinstance(value, bool):
            tooling[category] = "enable" if value else "inherit"
    if skills := tooling.get("active_skills"):
        tooling["active_skills"] = [skill for skill in skills if not isinstance(skill, str)] or None
    document["tooling"] = tooling
    ref = document.pop("connection_ref", None)
    if document.get("auth_binding") is None:
        document["auth_binding"] = ref
    if binding := document["auth_binding"]:
        binding = dict(binding)
        if "realm_id" in binding:
            binding["realm"] = binding.pop("realm_id")
        if "binding_id" in binding:
            binding["binding"] = binding.pop("binding_id")
        for key in ("realm", "binding", "profile"):
            if key in binding:
                binding[key] = slug(binding[key])
        document["auth_binding"] = binding
    return document


def hand_v2_to_v3(document):
    document = dict(document)
    if document["provider"] == "open_a_i":
        document["provider"] = "openai"
    if realm := document.get("realm_id"):
        document["realm_id"] = slug("mob." + realm[4:] if realm.startswith("mob:") else realm)
    if (binding := document.get("auth_binding")) and document.get("schema_version", 1) < 3:
        pair = (binding.get("realm"), binding.get("binding"))
        if pair == ("env_default", "default") and not binding.get("profile") and not binding.get("origin"):
            document["auth_binding"] = {**binding, "origin": "synthetic_env_default"}
    document["schema_version"] = 3
    return document


def by_hand(payload, number):
    """Reads every golden document as rekindle does: rows lie about their number, so it runs both functions on all."""
    if number == 3:
        return SessionMetadata.model_validate_json(payload)
    return SessionMetadata.model_validate(hand_v2_to_v3(hand_v1_to_v2(from_json(payload))))


def trusting(payload, number):
    """Believes the number, and so cannot read what releases stamped 2 on documents of every shape."""
    if number == 3:
        return SessionMetadata.model_validate_json(payload)
    document = from_json(payload)
    return SessionMetadata.model_validate(hand_v2_to_v3(hand_v1_to_v2(document) if number == 1 else document))


# --- The contenders -------------------------------------------------------------------------------------------------


def rekindle_from_text(payload, number):
    return decode(payload, number).metadata


def pyrmute_from_text():
    """The same functions as steps of pyrmute; None where pyrmute is not installed."""
    try:
        from pyrmute import ModelManager  # noqa: PLC0415 - an option, not a dependency
    except ImportError:
        print("pyrmute is not installed and sits this out: pip install pyrmute", file=sys.stderr)
        return None
    manager = ModelManager()
    for number, module in VERSIONS.items():
        manager.model("SessionMetadata", f"{number}.0.0")(module.SessionMetadata)
    manager.migration("SessionMetadata", "1.0.0", "2.0.0")(hand_v1_to_v2)
    manager.migration("SessionMetadata", "2.0.0", "3.0.0")(hand_v2_to_v3)

    def migrate(payload, number):
        return manager.migrate(from_json(payload), "SessionMetadata", f"{number}.0.0", "3.0.0")

    return migrate


def assert_same_answers():
    """By hand is a fair measure only if it does the same job on all the shapes."""
    for path in GOLDEN.glob("v*/*.json"):
        expectation = path.with_name(f"{path.stem}.expected.json")
        if expectation.exists() and from_json(expectation.read_bytes())["status"] == "ok":
            payload, number = path.read_bytes(), int(path.parent.name[1:])
            assert number == 3 or by_hand(payload, number) == decode(payload, number).metadata, path


class Series(NamedTuple):
    """Documents per second, one figure for each round."""

    number: int
    contender: str
    figures: list[float]

    @property
    def median(self):
        return statistics.median(self.figures)


def per_second(read, payloads, number, seconds):
    count, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds:
        for _ in range(10):
            for payload in payloads:
                read(payload, number)
        count += 10 * len(payloads)
    return count / spent


def measure(contenders, rounds, seconds):
    payloads = {
        number: [
            path.read_bytes() for path in sorted(GOLDEN.glob(f"v{number}/{pattern}")) if "expected" not in path.name
        ]
        for number, pattern in ROWS.items()
    }
    for number, texts in payloads.items():
        for text in texts:
            models = [read(text, number).model_dump() for read in contenders.values()]
            assert all(model == models[0] for model in models), text
    series = [Series(number, name, []) for number in ROWS for name in contenders]
    for _ in range(rounds):  # interleaved, so that a slow moment of the machine hits everybody
        for number, name, figures in series:
            figures.append(per_second(contenders[name], payloads[number], number, seconds))
    return series


def table(series):
    by_hand = {entry.number: entry for entry in series if entry.contender == "by hand"}
    yield "| stored version | reader | documents/s (median) | lowest | highest | time, by hand = 1 |"
    yield "|---|---|---:|---:|---:|---:|"
    for entry in series:
        ratio = statistics.median(map(truediv, by_hand[entry.number].figures, entry.figures))  # of each round's pair
        low, high = min(entry.figures), max(entry.figures)
        yield f"| {entry.number} | {entry.contender} | {entry.median:,.0f} | {low:,.0f} | {high:,.0f} | {ratio:.2f} |"


def machine():
    versions = ", ".join(f"{name} {version(name)}" for name in ("rekindle", "pydantic", "pydantic-core"))
    return f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}, {versions}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--seconds", type=float, default=0.05, help="per reader and round")
    options = parser.parse_args()
    contenders = {"by hand": by_hand, "by hand, number trusted": trusting, "rekindle": rekindle_from_text}
    assert_same_answers()
    if migrate := pyrmute_from_text():
        contenders["pyrmute"] = migrate
    print(machine())
    print()
    print("\n".join(table(measure(contenders, options.rounds, options.seconds))))


if __name__ == "__main__":
    main()
