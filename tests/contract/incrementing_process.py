"""
A program of one release: `incrementing_process.py URL WRITE_VERSION NAME SESSIONS TIMES SEED`.

It counts in the sessions 0 to SESSIONS - 1, under a key of its own, in an order of its own, and marks each with a key
that no release knows. It says "ready" once it has the store open, and again halfway, and goes on when it is told
anything: so no program is done before another has begun. It ends by saying how often it counted in each session, and
which schema versions it wrote in each half, as JSON. A session whose schema version it sees going down, or whose marks
are gone, is an error.
"""

import json
import random
import sys
from collections import Counter

from rekindle import SessionMetadata, SessionStore


def main(url: str, write_version: int, name: str, sessions: int, times: int, seed: int) -> None:
    """Count `times` times."""
    shuffled = random.Random(seed)
    counted: Counter[str] = Counter()
    written: list[Counter[int]] = [Counter(), Counter()]
    highest: Counter[str] = Counter()

    def increment(metadata: SessionMetadata) -> None:
        mine = metadata.provider_params.get(name, 0)
        if mine != counted[session_id]:
            raise AssertionError(f"{name} counted to {counted[session_id]} in {session_id} and finds {mine}")
        metadata.provider_params[name] = mine + 1
        for part in (metadata, metadata.tooling):
            if mine and getattr(part, f"of_{name}", None) != {"count": mine}:
                raise AssertionError(f"{session_id} has lost the mark of {name}")
            setattr(part, f"of_{name}", {"count": mine + 1})

    with SessionStore.open(url, write_version=write_version) as store:
        for turn in range(times):
            if turn in {0, times // 2}:
                print("ready", flush=True)  # noqa: T201 - to the test that started this
                sys.stdin.readline()
            session_id = f"session-{shuffled.randrange(sessions):02}"
            record = store.update(session_id, increment)
            counted[session_id] += 1
            if record.schema_version < max(write_version, highest[session_id]):
                raise AssertionError(f"{session_id} went from {highest[session_id]} to {record.schema_version}")
            highest[session_id] = record.schema_version
            written[turn >= times // 2][record.schema_version] += 1
    print(json.dumps({"counted": counted, "written": written}))  # noqa: T201 - the same


if __name__ == "__main__":
    _, url, write_version, name, sessions, times, seed = sys.argv
    main(url, int(write_version), name, int(sessions), int(times), int(seed))
