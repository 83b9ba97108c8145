"""
Writes sessions until it is killed, for test_crashes.py; not a test.

    python killed_writer.py URL PAYLOAD

Each line on stdin names a round and starts a child that writes; on stdout come its pid, what was acknowledged, and
`gone` when it has been killed. The children are forked from a process that has imported everything, so that a round
takes milliseconds.
"""

from __future__ import annotations

import os
import sys
from itertools import count

from rekindle import SessionStore


def write(url: str, payload: str, round_: str) -> None:
    """Write until killed, and say so after each write."""
    with SessionStore.open(url) as store:
        for number in count():
            session_id = f"{round_}-{number}"
            store.import_document(session_id, payload)
            say(f"imported {session_id}")
            store.save(store.load(session_id))
            say(f"saved {session_id}")
            counted = store.update("counter", increment)
            say(f"counted {counted.metadata.provider_params['n']}")


def increment(metadata) -> None:
    metadata.provider_params["n"] += 1


def say(line: str) -> None:
    """In one write, so that no line is ever half there."""
    os.write(1, f"{line}\n".encode())


def main() -> None:
    _, url, payload = sys.argv
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            write(url, payload, line.strip())
        say(f"pid {pid}")
        os.waitpid(pid, 0)
        say("gone")


main()
