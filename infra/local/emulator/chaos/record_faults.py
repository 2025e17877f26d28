"""Change records that arrive twice, late, on another shard, or beside unreadable ones."""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from random import Random

from infra.local.emulator.change_capture import PendingRecord, StreamWriter
from infra.local.emulator.chaos.rates import Chaos

log = logging.getLogger("local.chaos")


class ChaosStreamWriter:
    """Wraps the real stream writer.

    `again` puts a record a second time, which DynamoDB's metrics do not count; `held` counts one
    that has to wait. The caller holds the write lock: random numbers are drawn in order.
    """

    def __init__(
        self,
        chaos: Chaos,
        writer: StreamWriter,
        again: Callable[[PendingRecord], None],
        held: Callable[[PendingRecord], None],
        count: Callable[[str], None],
    ) -> None:
        self._chaos = chaos
        self._writer = writer
        self._again = again
        self._hold = held
        self._count = count
        self._random = chaos.random()
        self._held: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    def write(self, pending: PendingRecord) -> None:
        """Write the record now, later, twice, to another shard, or followed by a broken one."""
        chaos, random = self._chaos, self._random
        if random.random() < chaos.scatter:
            self._count("Scattered")
            pending = replace(pending, partition_key=f"{random.getrandbits(128):032X}")
        if random.random() < chaos.duplicate:
            self._count("Duplicated")
            copy = pending
            self._later(lambda: self._again(copy))
        if random.random() < chaos.poison:
            self._count("Poisoned")
            self._again(replace(pending, data=broken(pending.data, random)))
        if random.random() < chaos.delay:
            self._count("Delayed")
            self._hold(pending)
            late = pending
            self._later(lambda: self._writer.write(late))
        else:
            self._writer.write(pending)

    def _later(self, act: Callable[[], None]) -> None:
        due = time.monotonic() + self._random.uniform(0, self._chaos.delay_seconds)
        with self._changed:
            heapq.heappush(self._held, (due, next(self._numbers), act))
            self._changed.notify()

    def run(self) -> None:
        """Write delayed records when they are due, forever."""
        while True:
            with self._changed:
                while not self._held or self._held[0][0] > time.monotonic():
                    wait = self._held[0][0] - time.monotonic() if self._held else None
                    self._changed.wait(wait)
                _due, _number, act = heapq.heappop(self._held)
            try:
                act()
            except Exception:
                log.exception("A change record that was held back could not be delivered")


def broken(data: bytes, random: Random) -> bytes:
    """Return data that resembles the change record and is not one."""
    kind = random.randrange(4)
    if kind == 0:
        return data[: len(data) // 2]
    if kind == 1:
        return b"\xff\xfe not JSON"
    record = json.loads(data)
    if kind == 2:
        record["dynamodb"].pop("NewImage", None)
        record["dynamodb"].pop("OldImage", None)
    else:
        record["eventName"] = "UPSERT"
    return json.dumps(record).encode()
