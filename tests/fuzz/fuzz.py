"""
Fuzz one harness with atheris: `python tests/fuzz/fuzz.py HARNESS [--seconds N]`.

The inputs that reach something new are kept in `.fuzz/HARNESS` and are where the next run begins. One that breaks a
promise stops the run and is written to `.fuzz/`; with its fix it goes into `tests/fuzz/corpus/HARNESS`, which the test
suite replays without atheris.
"""

from __future__ import annotations

import argparse
import json
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import atheris

with atheris.instrument_imports(include=["rekindle"]):
    from harnesses import HARNESSES
    from seeds import seeds

OUTPUT = Path(".fuzz")
MAX_BYTES = {"realm_of_a_database": 65536}
DICTIONARY = Path(__file__).with_name("tokens.dict")
TOKENS: list[str] = [json.loads(line) for line in DICTIONARY.read_text().splitlines()]
LEAVES: list[Any] = [
    None, True, False, 0, -1, 1.0, -0.0, 2**32, 2**64, 10**30, 1e308, float("inf"), float("nan"), "", "\x00", "\ud800",
    "🔥", "a" * 256, "2024-02-29T12:30:45+00:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", *TOKENS,
]  # fmt: skip


def mutated_json(data: bytes, max_size: int, random: Random) -> bytes:
    """Change one place of the document in the data, so that what comes out is JSON still."""
    start = max(data.find(b"{"), 0)
    try:
        document = json.loads(data[start:])
    except (ValueError, RecursionError):
        return atheris.Mutate(data, max_size)
    changed = _changed(document, random)
    return (data[:start] + json.dumps(changed, ensure_ascii=random.random() < 0.5).encode(errors="replace"))[:max_size]


def mutated_cursor(data: bytes, max_size: int, random: Random) -> bytes:
    """Write another cursor, or change the bytes of this one."""
    if random.random() < 0.5:
        return atheris.Mutate(data, max_size)
    parts = [random.choice(LEAVES) for _ in range(random.choice([2, 2, 3, 3, 1]))]
    parts[0] = random.choice([parts[0], parts[:1]])
    return urlsafe_b64encode(json.dumps(parts).encode())[:max_size]


def _changed(value: Any, random: Random) -> Any:
    if not isinstance(value, dict | list) or not value or random.random() < 0.2:
        return random.choice([random.choice(LEAVES), [value], {random.choice(TOKENS): value}, {}, []])
    key = random.choice(list(value) if isinstance(value, dict) else range(len(value)))
    match random.randrange(4 if isinstance(value, dict) else 2):
        case 0:
            del value[key]
        case 1:
            value[key] = _changed(value[key], random)
        case 2:
            value[random.choice(TOKENS)] = value[key]
        case 3:
            value[random.choice(TOKENS)] = random.choice(LEAVES)
    return value


def _mutator(harness: str) -> Callable[[bytes, int, int], bytes] | None:
    mutate = {"realm_of_a_database": None, "realm_of_files": None, "cursors": mutated_cursor}.get(harness, mutated_json)
    if mutate is None:
        return None

    def custom(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        return atheris.Mutate(data, max_size) if random.random() < 0.5 else mutate(data, max_size, random)

    return custom


def main() -> None:
    """Run until the time is over, or something is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("harness", choices=HARNESSES)
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    corpus = OUTPUT / asked.harness
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(asked.harness)):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup(
        [
            sys.argv[0],
            str(corpus),
            f"-max_total_time={asked.seconds}",
            f"-max_len={MAX_BYTES.get(asked.harness, 8192)}",
            f"-dict={DICTIONARY}",
            f"-artifact_prefix={OUTPUT}/{asked.harness}-",
            "-timeout=10",
            "-rss_limit_mb=1024",
            "-print_final_stats=1",
        ],
        HARNESSES[asked.harness],
        custom_mutator=_mutator(asked.harness),
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
