"""The event loops that the Automation API runs the program in, closed for it.

It closes a loop itself, unless a task of a refused program raises while it is cancelled: then
the loop stays open, until the garbage collector warns of it within some later test.
"""

from __future__ import annotations

import asyncio
import gc
import time

GRACE_SECONDS = 30
"""Between the end of a command and the end of the program that it ran."""

CANCEL_SECONDS = 1
"""For tasks to end once they are cancelled. One may wait for a call that nothing answers."""


class ProgramLoops:
    """The loops in which a stack's program has run since they were last closed."""

    def __init__(self) -> None:
        self._loops: list[asyncio.AbstractEventLoop] = []

    def add_running(self) -> None:
        """Add the loop that this is called from."""
        self._loops.append(asyncio.get_running_loop())

    def close(self) -> None:
        """End what is left in each loop, and close it. Waits for a program that still runs.

        Raises:
            TimeoutError: It did not end.
        """
        while self._loops:
            _close(self._loops.pop())


def open_loops() -> list[asyncio.BaseEventLoop]:
    """Return every open event loop of this process, in use or forgotten."""
    # By type(): isinstance() would ask a weak proxy for its class, which may have gone.
    found = [o for o in gc.get_objects() if issubclass(type(o), asyncio.BaseEventLoop)]
    return [loop for loop in found if not loop.is_closed()]


def _close(loop: asyncio.AbstractEventLoop) -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    while loop.is_running():
        if time.monotonic() > deadline:
            raise TimeoutError("the program still runs, and its command has ended")
        time.sleep(0.01)
    if loop.is_closed():
        return
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=CANCEL_SECONDS))
    loop.close()
