"""
A process of its own that counts in a session: `counting_process.py URL COLOUR SESSION_ID TIMES`.

It says "ready" once it has the store open, and begins when it is told anything.
"""

import asyncio
import sys

from rekindle import AsyncSessionStore, SessionMetadata, SessionStore


def count(metadata: SessionMetadata) -> None:
    """Add one."""
    metadata.provider_params["count"] += 1


def wait_for_the_start() -> None:
    """Have all processes begin together."""
    print("ready", flush=True)  # noqa: T201 - to the test that started this
    sys.stdin.readline()


def main(url: str, session_id: str, times: int) -> None:
    """Count with a SessionStore."""
    with SessionStore.open(url) as store:
        wait_for_the_start()
        for _ in range(times):
            store.update(session_id, count)


async def main_async(url: str, session_id: str, times: int) -> None:
    """Count with an AsyncSessionStore, in several tasks of one loop."""
    async with AsyncSessionStore.open(url) as store:
        wait_for_the_start()
        tasks = 5
        for _ in range(times // tasks):
            await asyncio.gather(*(store.update(session_id, count) for _ in range(tasks)))


if __name__ == "__main__":
    _, url, colour, session_id, times = sys.argv
    if colour == "sync":
        main(url, session_id, int(times))
    else:
        asyncio.run(main_async(url, session_id, int(times)))
