"""A task that is cancelled in the midst of a call: the store goes on, and the row is as before or as after."""

import asyncio
from functools import partial

import pytest


@pytest.fixture
def asynchronous(store, colour):
    if colour == "sync":
        pytest.skip("a thread cannot be cancelled")
    return store.target


def cancelled_after(call, steps):
    """Begin a call as a task, cancel it so many turns of the loop later, and wait until it has ended."""

    async def run():
        task = asyncio.ensure_future(call())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return run


@pytest.mark.parametrize("steps", range(6))
def test_a_cancelled_load_leaves_the_store_usable(asynchronous, runner, new_metadata, steps):
    """However far it had come, the next calls find connections that answer to them alone."""

    async def body():
        record = await asynchronous.add("s", new_metadata())
        for _ in range(20):
            await cancelled_after(partial(asynchronous.load, "s"), steps)()
        return record, await asyncio.gather(*(asynchronous.load("s") for _ in range(20)))

    record, loaded = runner.run(body())

    assert loaded == [record] * 20


@pytest.mark.parametrize("steps", range(6))
def test_a_cancelled_save_has_happened_or_has_not(asynchronous, runner, new_metadata, steps):
    """The row is one of the two, and says which; the next save goes through."""

    async def body():
        record = await asynchronous.add("s", new_metadata())
        seen = []
        for number in range(1, 6):
            record.metadata.max_tokens = number
            await cancelled_after(partial(asynchronous.save, record), steps)()
            found = await asynchronous.update("s", lambda _: None)
            seen.append((found.lock_version - record.lock_version, found.metadata.max_tokens == number))
            record = found
        return seen

    assert set(runner.run(body())) <= {(1, False), (2, True)}
