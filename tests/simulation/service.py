"""Lambda's side: lanes of a stream, pollers that invoke the consumer, and the checkpoints.

A poller takes the next records of its lane, invokes, and continues after what the report leaves
(the lowest failed sequence number is the checkpoint). Batches are of any size, as bisection and
arrival make them. A second invocation may work on the same records at the same time.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tests.simulation.aws_faults import Fate, Trouble
from tests.simulation.invariant_checker import ViolationError, Witness
from tests.simulation.names import STREAM_LABEL
from tests.simulation.plan import Plan
from tests.simulation.records import Part, StreamRecord, event, numbered, stream_event
from tests.simulation.scheduler import Scheduler, StuckError, Task

MOST_INVOCATIONS = 1_500
INVOCATION_SECONDS = 120.0
"""The function's time limit, on which a switch counts."""


class Handler(Protocol):
    def handle(self, event: Any, remaining_millis: float) -> Any: ...


@dataclasses.dataclass(eq=False)
class Lane:
    """Records that are handed out in order. Closed between two moments, in microseconds."""

    name: str
    records: list[StreamRecord] = dataclasses.field(default_factory=list)
    position: int = 0
    attempts: int = 0
    closed_from: int = 0
    closed_until: int = 0
    idle: Task | None = None
    parent: Lane | None = None
    """Where a shard was split: its records come before those of its children."""


@dataclasses.dataclass
class Counts:
    invocations: int = 0
    overlaps: int = 0
    partial: int = 0
    records: int = 0


class Service:
    """The stream and its event source mapping."""

    def __init__(
        self,
        plan: Plan,
        scheduler: Scheduler,
        chance: random.Random,
        trouble: Trouble,
        witness: Witness,
        build: Callable[[], Handler],
        log: Callable[[str], None],
    ) -> None:
        self.plan = plan
        self.scheduler = scheduler
        self.chance = chance
        self.trouble = trouble
        self.witness = witness
        self.log = log
        self.counts = Counts()
        self.closing = False
        self.stopped = False
        self.working = 0
        self.parked_at: dict[str, float] = {}
        self.on_idle: Callable[[], None] = lambda: None
        self.lanes = {
            (shard, number): Lane(f"{self._shard(shard)}/{number}")
            for shard in range(plan.shards)
            for number in range(plan.lanes_per_shard)
        }
        self._read_in_order()
        self._build = build
        self._free: list[Handler] = []
        self._handled: dict[Task, list[StreamRecord]] = {}
        self._busy = 0
        self._deliveries = 0
        # AWS's numbers have 56 digits; a length that changes on the way is rare, and legal.
        self._next = [
            10 ** chance.randint(3, 55) - chance.randint(0, 12) for _ in range(plan.shards)
        ]
        if plan.reads_table_stream:  # 21 to 40 digits
            self._next = [10 ** chance.randint(21, 38) - chance.randint(0, 12)]

    def _read_in_order(self) -> None:
        """Give a table's stream the children of its first shard, if that is split."""
        if self.plan.split:
            for shard in (self.plan.shards, self.plan.shards + 1):
                self.lanes[shard, 0] = Lane(f"{self._shard(shard)}/0", parent=self.lanes[0, 0])

    def _shard(self, number: int) -> str:
        return f"shardId-{number:012d}"

    # The stream -----------------------------------------------------------------------------

    def put(
        self,
        parts: Sequence[Part],
        partition_key: str,
        shard: int,
        *,
        data: bytes | None = None,
        lethal: bool = False,
    ) -> StreamRecord:
        """A record enters the stream now. `data`: the parts aggregated, if they are."""
        sequence = self._sequence(shard)
        if self.plan.reads_table_stream:
            parts = [numbered(part, sequence) for part in parts]
        self._deliveries += 1
        record = StreamRecord(
            delivery=self._deliveries,
            shard=STREAM_LABEL if self.plan.reads_table_stream else self._shard(shard),
            sequence=sequence,
            arrival=self.scheduler.clock(),
            partition_key=partition_key,
            parts=tuple(parts),
            data=parts[0].data if data is None else data,
            lethal=lethal,
        )
        self.counts.records += 1
        lane = self.lanes[shard, self.lane_number(partition_key)]
        lane.records.append(record)
        self.witness.arrived(record)
        self.log(f"arrived in {lane.name} at {record.place}: {record.label}")
        if lane.idle is not None:
            idle, lane.idle = lane.idle, None
            self.scheduler.wake(idle)
        return record

    def _sequence(self, shard: int) -> str:
        """The next number of a shard; of a table's stream, where they grow into the children."""
        counter = 0 if self.plan.reads_table_stream else shard
        self._next[counter] += self.chance.choice((1, 1, 1, 2, 7))
        return str(self._next[counter])

    def lane_number(self, partition_key: str) -> int:
        """Which of a shard's lanes: with a parallelization factor records go by partition key."""
        return zlib.crc32(partition_key.encode()) % self.plan.lanes_per_shard

    def lane_of(self, probe: tuple[str, int]) -> Lane:
        for lane in self.lanes.values():
            for record in lane.records:
                if any(part.probe == probe for part in record.parts):
                    return lane
        raise ViolationError(f"C3: probe {probe} was confirmed and never sent.")

    def open_shards(self) -> list[int]:
        """The shards that are being read."""
        now = self.scheduler.clock.now_micros()
        closed = {
            shard
            for (shard, _), lane in self.lanes.items()
            if lane.closed_from <= now < lane.closed_until
        }
        return [shard for shard in range(self.plan.shards) if shard not in closed]

    def stop(self) -> None:
        """The mapping is disabled: no record is handed out any more."""
        self.stopped = True
        self.close()
        self.on_idle()

    @property
    def drained(self) -> bool:
        if self.stopped:
            return self.working == 0 and self._busy == 0
        return self.working == 0 and all(
            lane.position == len(lane.records) for lane in self.lanes.values()
        )

    # Pollers --------------------------------------------------------------------------------

    def start(self) -> None:
        for lane in self.lanes.values():
            self.scheduler.spawn(f"poller {lane.name}", functools.partial(self._poll, lane))

    def close(self) -> None:
        self.closing = True
        for lane in self.lanes.values():
            if lane.idle is not None:
                self.scheduler.wake(lane.idle)

    def _poll(self, lane: Lane) -> None:
        while not self.stopped:
            if lane.position == len(lane.records):
                if self.closing:
                    return
                lane.idle = self.scheduler.current
                self.on_idle()
                self.scheduler.block()
                continue
            if lane.parent is not None and lane.parent.position < len(lane.parent.records):
                self.scheduler.pause(1.0)
                continue
            now = self.scheduler.clock.now_micros()
            if lane.closed_from <= now < lane.closed_until:
                self.scheduler.pause((lane.closed_until - now) / 1_000_000)
            self.scheduler.pause(self.chance.choice((0.0, 0.05, 1.0, 5.0)))
            self._next_batch(lane)
        self.on_idle()

    def _next_batch(self, lane: Lane) -> None:
        start = lane.position
        records = lane.records[start : start + self.chance.randint(1, self.plan.batch)]
        if self.chance.random() < self.plan.overlap:
            self.working += 1
            self.scheduler.spawn(f"second {lane.name}", lambda: self._second(lane, start))
        ended = self._deliver(lane, records)
        if ended == len(records):
            lane.attempts = 0
        else:
            lane.attempts += 1
            self.witness.repeated = True
            self.scheduler.pause(min(60.0, 0.1 * 2 ** min(lane.attempts, 12)))
        lane.position = start + ended

    def _second(self, lane: Lane, start: int) -> None:
        """Another worker that holds the lane to be its own, for a batch or two."""
        self.scheduler.pause(self.chance.choice((0.0, 0.0, 0.02, 0.5)))
        for _ in range(self.chance.randint(1, 2)):
            records = lane.records[start : start + self.chance.randint(1, self.plan.batch)]
            if records:
                start += self._deliver(lane, records)
        self.working -= 1
        self.on_idle()

    def _deliver(self, lane: Lane, records: list[StreamRecord]) -> int:
        """How many of the records, from the first, need not come again."""
        report = self._invoke(lane, records)
        if report is None:
            return 0
        ended = _checkpoint(records, report)
        self.counts.partial += ended < len(records)
        self.log(f"{lane.name}: {ended} of {len(records)} ended")
        self.witness.acknowledged(records[:ended], whole=ended == len(records))
        return ended

    # Invocations ----------------------------------------------------------------------------

    def _invoke(self, lane: Lane, records: list[StreamRecord]) -> dict[str, Any] | None:
        """The consumer's report; None if the invocation died."""
        self.counts.invocations += 1
        if self.counts.invocations > MOST_INVOCATIONS:
            raise StuckError(f"Lane {lane.name} gets no further than {lane.records[lane.position]}")
        seconds = self.chance.choice((15.0, 20.0, 60.0, 900.0))
        if self.plan.switch is not None:
            seconds = min(seconds, INVOCATION_SECONDS)
        index = self.chance.randrange(len(self._free) + 1) if self._free else 0
        container = self._free.pop(index - 1) if index else self._build()
        name = f"invocation {self.counts.invocations}"
        self.log(f"{name} of {lane.name}: {', '.join(record.label for record in records)}")
        task = self.scheduler.spawn(
            name, lambda: container.handle(self._event(records), seconds * 1000), watched=True
        )
        self.trouble.fates[task] = self._fate(records)
        self._handled[task] = records
        self._busy += 1
        self.counts.overlaps += self._busy > 1
        on_time = self.scheduler.join([task], timeout=seconds)
        self._busy -= 1
        if not on_time:
            self.log(f"{name}: out of time")
            self.scheduler.kill(task)
        if task.killed:
            return None
        if task.error is not None:
            raise task.error
        self._free.append(container)
        report: dict[str, Any] = task.result
        return report

    def _event(self, records: Sequence[StreamRecord]) -> dict[str, Any]:
        return stream_event(records) if self.plan.reads_table_stream else event(records)

    def tripped(self) -> None:
        """The consumer says that too many records are at fault: it keeps the batch at hand out of
        quarantine, for the sake of some of its own.
        """
        task = self.trouble.root()
        records = self._handled.get(task) if task is not None else None
        if records is None:
            return
        gate = self.witness.gate
        self.witness.waits(records)
        if self.witness.closing or (gate is not None and gate.closing):
            return  # every change that is new to the ledger is a late write
        if not any(part.at_fault for record in records for part in record.parts):
            raise ViolationError(f"C3: {records[0].place} waits for bad records, and there is none")

    def _fate(self, records: Sequence[StreamRecord]) -> Fate:
        now = self.scheduler.clock()
        for record in records:
            known = self.parked_at.get(record.place)
            # The consumer may go by settings that it read 30 seconds ago.
            if record.lethal and (known is None or now - known < 31):
                return Fate(1, after_the_work=False)
        if self.trouble.left > 0 and self.chance.random() < self.plan.kill:
            self.trouble.left -= 1
            return Fate(self.chance.randint(1, 6), self.chance.random() < 0.5)
        return Fate(None, False)


def _checkpoint(records: Sequence[StreamRecord], report: Any) -> int:
    """How Lambda reads a report: the records before the lowest failed number are through."""
    if not report or not report.get("batchItemFailures"):
        return len(records)
    numbers = [str(failure.get("itemIdentifier") or "") for failure in report["batchItemFailures"]]
    known = {record.sequence: index for index, record in enumerate(records)}
    if any(number not in known for number in numbers):
        return 0
    return known[min(numbers, key=int)]
