"""Many seeds on all cores."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from tests.simulation.plan import plan
from tests.simulation.run import Summary, play
from tests.support.collector import collect_seldom

CHUNK = 50
FEW, MANY = 100, 2_000
"""Histories that the fast tests play, and those that `make test` plays.

Of the faults planted in the consumer, the one that shows most rarely breaks a promise in one
history of 200 with its buffer; each buffer has half of them.
"""
SWITCH_SEEDS = 10_000
"""`make test` plays the histories with a switch of so many seeds: one in twenty has one, and a
fault planted in the switch breaks a promise in one of 130 of them."""

Choice = Callable[[int], bool]
"""Tells whether a seed is played."""


def every(seed: int) -> bool:
    """Choose every seed."""
    return True


def has_switch(seed: int) -> bool:
    """Choose the seeds whose history has a switch."""
    return plan(seed).switch is not None


def play_range(first: int, last: int, choice: Choice = every) -> Summary:
    """The chosen seeds from `first` up to but not including `last`."""
    summary = Summary()
    for seed in filter(choice, range(first, last)):
        summary.add(play(seed))
    return summary


def play_many(
    first: int, count: int | None, seconds: float | None = None, choice: Choice = every
) -> Iterator[Summary]:
    """What has been played so far, again and again, until `count` seeds or `seconds` are through.

    Stops at the first failure.
    """
    started = time.monotonic()
    cores = os.cpu_count() or 1
    total, following = Summary(), first
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, spawn, initializer=collect_seldom) as pool:
        running: set[Future[Summary]] = set()
        while True:
            over = seconds is not None and time.monotonic() - started > seconds
            while len(running) < 2 * cores and not over and not total.failures:
                until = following + CHUNK
                if count is not None:
                    until = min(until, first + count)
                if until == following:
                    break
                running.add(pool.submit(play_range, following, until, choice))
                following = until
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                total.merge(future.result())
            yield total
