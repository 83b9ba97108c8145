"""What fuzzing once found stays found: the suite replays it, without the fuzzer."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # harnesses.py, which is no package either when it is fuzzed

from harnesses import HARNESSES

FINDINGS = sorted(Path(__file__).with_name("corpus").glob("*/*"))


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda path: f"{path.parent.name}: {path.name}")
def test_what_was_found_does_not_come_back(finding):
    """Each input that once broke a promise keeps them all."""
    HARNESSES[finding.parent.name](finding.read_bytes())
