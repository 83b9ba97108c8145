"""
How a call that is written once, and synchronously, is made from an event loop.

Over a driver for asyncio it runs in a greenlet, where waiting for the server gives way to other tasks. SQLite has no
socket to wait on, and every asynchronous driver for it is a thread; here it is one that runs the whole call, so that
going there and back is paid for once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from rekindle.engine import POOL_SIZE

T = TypeVar("T")


class OffLoop(Protocol):
    """Runs the calls of one event loop."""

    async def read(self, call: Callable[..., T], *arguments: Any) -> T:
        """Make a call that only reads."""

    async def write(self, call: Callable[..., T], *arguments: Any) -> T:
        """Make a call that may write."""

    async def close(self) -> None:
        """Let go of what was held."""


class Greenlets:
    """For drivers of asyncio: as many calls at once as there are connections."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(POOL_SIZE)

    async def read(self, call: Callable[..., T], *arguments: Any) -> T:
        """See OffLoop.read; a task that is cancelled takes the call with it."""
        # Here and not above: only those who use it need the greenlet package.
        from sqlalchemy.util import greenlet_spawn  # noqa: PLC0415

        async with self._places:
            return await greenlet_spawn(call, *arguments)

    write = read

    async def close(self) -> None:
        """There is nothing to let go of."""


class Threads:
    """
    For SQLite: one thread reads and one writes, so that no read waits for a write that waits for its turn.

    A call that has begun is finished, also when nobody waits for it any more. A database in memory is one connection,
    and has one thread.
    """

    def __init__(self, *, in_memory: bool) -> None:
        loop = asyncio.get_running_loop()
        self._writer = _Thread(loop, "rekindle-writer")
        self._reader = self._writer if in_memory else _Thread(loop, "rekindle-reader")

    async def read(self, call: Callable[..., T], *arguments: Any) -> T:
        """See OffLoop.read."""
        answer: T = await self._reader.submit(call, arguments)
        return answer

    async def write(self, call: Callable[..., T], *arguments: Any) -> T:
        """See OffLoop.write."""
        answer: T = await self._writer.submit(call, arguments)
        return answer

    async def close(self) -> None:
        """End the threads, behind what they were given."""
        self._reader.end()
        self._writer.end()


class _Thread:
    """
    Makes calls in the order of their submission, and hands all that is done by then to the loop at once.

    Waking the loop costs as much as a read: several tasks that wait share it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._calls: SimpleQueue[tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._is_waking = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        self._calls.put((future, call, arguments))
        return future

    def end(self) -> None:
        self._calls.put(None)

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call, arguments = item
            if future.cancelled():  # before it was begun: nobody is to find it done
                continue
            try:
                self._done.append((future, call(*arguments), None))
            except BaseException as error:  # noqa: BLE001 - it is raised where the call is awaited
                self._done.append((future, None, error))
            if not self._is_waking:
                self._is_waking = True
                with suppress(RuntimeError):  # the loop is closed, and nobody waits
                    self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # First, so that whatever is done from here on is either seen below or wakes the loop again.
        self._is_waking = False
        while self._done:
            future, answer, error = self._done.popleft()
            if future.cancelled():
                continue
            if error is None:
                future.set_result(answer)
            else:
                future.set_exception(error)
