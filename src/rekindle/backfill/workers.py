"""
Who does the batches: this process, or several others.

Processes and not threads, because half of the time of a batch is spent in Python, where threads take turns.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import wait
from typing import Any

from sqlalchemy import Connection, Engine

from rekindle.backfill.batches import Job, Outcome, Stretch, run_batch
from rekindle.bulk import connected
from rekindle.engine import create_engine


class Inline(Executor):
    """Does what is submitted at once, where it is submitted."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function; the future is done when this returns."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)
        return future


class Crew:
    """Workers for one job; `places` says how many batches can be at work at once."""

    def __init__(self, executor: Executor, job: Job, connection: Connection | None, places: int) -> None:
        self.places = places
        self._executor = executor
        self._job = job
        self._connection = connection

    def submit(self, stretch: Stretch) -> Future[Outcome]:
        """Have a stretch done."""
        if self._connection is not None:
            return self._executor.submit(run_batch, self._connection, stretch, self._job)
        return self._executor.submit(_in_worker, stretch, self._job)


@contextmanager
def crew(engine: Engine, connection: Connection, job: Job, workers: int) -> Iterator[Crew]:
    """Hire workers: with one, this process does the work on the connection given."""
    if workers == 1:
        yield Crew(Inline(), job, connection, 1)
        return
    url = engine.url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("spawn")  # a forked process would share our connections
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(url,)) as executor:
        yield Crew(executor, job, None, workers)


_held = ExitStack()
_connection: Connection | None = None


def _begin(url: str) -> None:
    global _connection  # noqa: PLW0603 - one connection for the life of the process
    # Ctrl-C reaches the whole group of processes; ours is to finish the batch, and the coordinator's to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_coordinator, daemon=True).start()
    _connection = _held.enter_context(connected(create_engine(url)))


def _end_with_the_coordinator() -> None:
    """Nothing else would: a pool's worker waits for work forever when its coordinator was killed."""
    coordinator = multiprocessing.parent_process()
    if coordinator is not None:
        wait([coordinator.sentinel])
        os._exit(1)


def _in_worker(stretch: Stretch, job: Job) -> Outcome:
    if _connection is None:
        raise RuntimeError("the worker has no connection")
    return run_batch(_connection, stretch, job)
