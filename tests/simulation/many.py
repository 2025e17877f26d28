"""Many seeds on all cores."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from tests.simulation.run import Summary, play
from tests.support.collector import collect_seldom

CHUNK = 50
FEW, MANY = 200, 10_000
"""Histories that the fast tests play, and those that `make test` plays."""


def play_range(first: int, last: int) -> Summary:
    """The seeds from `first` up to but not including `last`."""
    summary = Summary()
    for seed in range(first, last):
        summary.add(play(seed))
    return summary


def play_many(first: int, count: int | None, seconds: float | None = None) -> Iterator[Summary]:
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
                running.add(pool.submit(play_range, following, until))
                following = until
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                total.merge(future.result())
            yield total
