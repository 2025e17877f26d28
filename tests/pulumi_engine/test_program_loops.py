"""Loops are closed whatever is left in them."""

from __future__ import annotations

import asyncio

import pytest

from tests.pulumi_engine.program_loops import ProgramLoops, open_loops


def test_a_loop_whose_task_raises_while_it_is_cancelled_is_closed() -> None:
    before, loops = open_loops(), ProgramLoops()
    ended: list[str] = []

    async def refused(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)
            raise ConnectionError("the resource monitor has shut down")

    async def program() -> None:
        loops.add_running()
        tasks.extend(asyncio.get_running_loop().create_task(refused(name)) for name in "ab")
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(program())
    assert open_loops() == [*before, loop]
    loops.close()
    assert (open_loops(), sorted(ended)) == (before, ["a", "b"])
    for task in tasks:
        with pytest.raises(ConnectionError):
            task.result()
    loops.close()


def test_a_loop_that_was_closed_already_stays_so() -> None:
    loops = ProgramLoops()

    async def program() -> None:
        loops.add_running()

    asyncio.run(program())
    loops.close()
