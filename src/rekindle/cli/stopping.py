"""How a long command is stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rekindle.cli.output import narrate


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Have SIGINT and SIGTERM stop the run behind its batch; a second one ends it at once, which is safe as well."""
    stop = threading.Event()

    def handle(number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        narrate(f"{signal.Signals(number).name}: finishing the batch; once more ends it at once")
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
