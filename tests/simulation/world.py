"""One history from its seed to its end: source, AWS, operator, and the consumer under test."""

from __future__ import annotations

import dataclasses
import random
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tests.simulation import history
from tests.simulation.aws_faults import Trouble
from tests.simulation.gate_witness import GateWitness
from tests.simulation.history import (
    DAY,
    HOUR,
    MILLISECOND,
    MINUTE,
    SECOND,
    History,
    Image,
    SourceChange,
)
from tests.simulation.invariant_checker import Witness
from tests.simulation.names import (
    ENDED,
    FAILURES_BUCKET,
    JOURNAL_TABLE,
    LATE_WRITES,
    LEDGER_TABLE,
    PROBE,
    QUARANTINE_BUCKET,
    SETTINGS_KEY,
    SHARD_INDEX,
    SHARD_ROWS,
    TARGET_TABLE,
)
from tests.simulation.plan import Plan
from tests.simulation.records import (
    Part,
    aggregate,
    change_part,
    foreign_part,
    nameless_part,
    probe_part,
    stream_change_part,
    stream_foreign_part,
    stream_unusable_part,
    unusable_part,
)
from tests.simulation.scheduler import Scheduler, Task, TaskClock, TaskExecutor
from tests.simulation.service import Handler, Lane, Service
from tests.support.bootstrap.fake_aws import DatedDynamoDB
from tests.support.fakes.clock import START_MICROS, VirtualClock
from tests.support.fakes.s3 import FakeS3

INDEX = "by_g"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a consumer works: what its environment and its clients are."""

    dynamodb: Any
    s3: Any
    clock: Any
    random: random.Random
    executor: Any
    retention_days: int
    burst: int
    adopted_stream: bool
    buffer: str
    tripped: Callable[[], None]
    """Called when the consumer keeps a batch out of quarantine."""


class Build(Protocol):
    """Makes a consumer, as a new container does."""

    def __call__(self, place: Place) -> Handler: ...


class People(Protocol):
    """Who looks after the stack."""

    def start(self) -> None: ...

    def mend(self) -> None: ...

    def stop(self) -> None: ...

    def open_changes(self) -> list[SourceChange]: ...


@dataclasses.dataclass(frozen=True)
class Arrival:
    """What enters the stream at a moment (microseconds since 1970)."""

    moment: int
    parts: tuple[Part, ...]
    partition_key: str
    shard: int
    aggregated: bool = False
    lethal: bool = False


class World:
    """Everything of one history. `trace` takes a line for each thing that happens."""

    def __init__(self, plan: Plan, build: Build, trace: list[str] | None = None) -> None:
        self.plan = plan
        self.trace = trace
        self.chance = random.Random(f"world {plan.seed}")
        self.clock = VirtualClock()
        self.scheduler = Scheduler(self.clock, self.chance)
        self.trouble = Trouble(plan.faults, self.scheduler, self.chance, self.log)
        self.dynamodb = DatedDynamoDB(self.clock, faults=self.trouble, check_shapes=False)
        self.s3 = FakeS3(self.clock, faults=self.trouble, check_shapes=False)
        self.trouble.clients = {"dynamodb": self.dynamodb, "s3": self.s3}
        self.history, self.gaps = self._history()
        self.witness = Witness(self.history, TARGET_TABLE, plan.strict, self.log)
        if plan.reads_table_stream:
            self.witness.numbers, self.witness.now = set(), self.clock
        self.redriven = 0
        self.direct = 0
        self.service = Service(
            plan,
            self.scheduler,
            self.chance,
            self.trouble,
            self.witness,
            lambda: build(self.place()),
            self.log,
        )
        self.parts: dict[bytes, SourceChange] = {}
        self.expired: frozenset[int] = frozenset()
        """The numbers of the deletions that time to live made."""
        self.streamed: dict[int, int] = {}
        """When each change, by number, entered the stream for the first time (microseconds)."""
        if plan.switch is not None:
            self._expire(plan.switch.expired)
            self.witness.gate = GateWitness(
                self.witness,
                [lane.name for lane in self.service.lanes.values()],
                self.expired,
                self.clock.now_micros,
            )
        self._director: Task | None = None
        self._busy = 0
        self._create()

    @property
    def _made(self) -> tuple[Callable[..., Part], Callable[..., Part], Callable[..., Part]]:
        """What makes changes, broken records, and records of another table."""
        if self.plan.reads_table_stream:
            return stream_change_part, stream_unusable_part, stream_foreign_part
        return change_part, unusable_part, foreign_part

    def log(self, line: str) -> None:
        if self.trace is not None:
            moment = (self.clock.now_micros() - START_MICROS) / 1_000_000
            self.trace.append(f"{moment:16.6f} {line}")

    def _expire(self, share: float) -> None:
        """Let time to live make some deletions. Drawn apart, like records of other tables."""
        chance = random.Random(f"expired {self.plan.seed}")
        self.expired = frozenset(
            change.number
            for change in self.history.changes
            if change.new is None and chance.random() < share
        )

    # Setting the scene ----------------------------------------------------------------------

    def _history(self) -> tuple[History, list[int]]:
        """The source's history; for a black-out, in parts that lie days apart."""
        taste, start = self.plan.taste, START_MICROS + HOUR
        if self.plan.expiry != "blackout":
            found = history.draw(self.chance, taste, start)
            switch = self.plan.switch
            if switch is None:
                return found, []
            stamp = found.changes[switch.change].stamp // MILLISECOND * MILLISECOND
            mark = (stamp - switch.offset) // MINUTE * MINUTE + MINUTE - SECOND
            return history.moved(found, (mark + switch.offset - stamp) % MINUTE), []
        gaps = [self.chance.randint(9, 12) * DAY, self.chance.randint(12, 60) * DAY]
        first = self.chance.randint(1, taste.changes - 3)
        jumps = {first: gaps[0]}
        second = self.chance.randint(first + 2, taste.changes)
        jumps[second] = gaps[1]
        return history.draw(self.chance, taste, start, jumps), [first, second]

    def place(self) -> Place:
        return Place(
            self.dynamodb,
            self.s3,
            TaskClock(self.scheduler),
            random.Random(self.chance.random()),
            TaskExecutor(self.scheduler, self.plan.width),
            self.plan.retention_days,
            self.plan.burst,
            self.plan.adopted,
            self.plan.buffer,
            self.service.tripped,
        )

    def _create(self) -> None:
        plan, types = self.plan, self.history.schema.types
        self.s3.create_bucket(Bucket=QUARANTINE_BUCKET)
        self.s3.create_bucket(Bucket=FAILURES_BUCKET)
        self._create_table(LEDGER_TABLE, {"k": "B"})
        if plan.switch is not None:
            self._create_table(JOURNAL_TABLE, {"pk": "S", "sk": "S"})
        indexed = plan.taste.rejects > 0
        self._create_table(TARGET_TABLE, types, {"g": "S"} if indexed else {})
        settings: Image = dict(SETTINGS_KEY)
        if plan.reads_table_stream:
            settings["buffer"] = {"S": plan.buffer}
        if plan.expiry != "none":
            if plan.expiry == "blackout" or self.chance.random() < 0.5:
                settings["expire"] = {"BOOL": True}
            self.dynamodb.update_time_to_live(
                TableName=LEDGER_TABLE,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": "x"},
            )
        if plan.snapshot:
            settings["floor"] = {"N": str(self._import_snapshot() - 5 * MINUTE)}
        self.dynamodb.put_item(TableName=LEDGER_TABLE, Item=settings)
        if plan.expiry == "blackout":
            self._close_lanes()
        if plan.rest:
            self._rest()
        self.dynamodb.watchers.append(self._table_changed)

    def _create_table(
        self, name: str, keys: dict[str, str], index: dict[str, str] | None = None
    ) -> None:
        more: dict[str, Any] = {}
        if index:
            more["GlobalSecondaryIndexes"] = [
                {"IndexName": INDEX, "KeySchema": _schema(index), "Projection": {}}
            ]
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=_schema(keys),
            AttributeDefinitions=[
                {"AttributeName": attribute, "AttributeType": kind}
                for attribute, kind in {**keys, **(index or {})}.items()
            ],
            **more,
        )

    def _import_snapshot(self) -> int:
        """Fills the target as of an export time, give or take a minute per key; returns the time.

        No consumer works before the import is done.
        """
        exported = self.chance.choice(self.history.changes).made + self.chance.randint(
            -MINUTE, MINUTE
        )
        for number, life in enumerate(self.history.lives):
            seen = exported + self.chance.randint(-MINUTE, MINUTE)
            position = sum(change.made <= seen for change in life.changes)
            image = life.image(position)
            if image is not None:
                self.dynamodb.put_item(TableName=TARGET_TABLE, Item=image)
            self.witness.begin(number, image)
            self.log(f"snapshot: key {number} is as after change {position}")
        for lane in self.service.lanes.values():
            lane.closed_until = exported + self.chance.randint(6, 60) * MINUTE
        return exported

    def _close_lanes(self) -> None:
        """No consumer reads the stream for days, and then the lanes open one by one.

        It begins and ends in quiet: no change that is still on its way is older than one that has
        been applied within a day of its arrival.
        """
        first, second = self.gaps
        changes = self.history.changes
        begin = changes[first].made - HOUR
        settled = changes[second - 1].made + 27 * HOUR
        end = changes[second].made - 2 * HOUR if second < len(changes) else settled + 40 * DAY
        for lane in self.service.lanes.values():
            lane.closed_from = begin
            lane.closed_until = self.chance.randint(settled, max(settled, end))

    def _rest(self) -> None:
        """No consumer reads the table's stream for more than half a day."""
        begin = self.chance.choice(self.history.changes).made
        for lane in self.service.lanes.values():
            lane.closed_from, lane.closed_until = begin, begin + 13 * HOUR

    # What enters the stream -----------------------------------------------------------------

    def _arrivals(self) -> list[Arrival]:
        plan, arrivals = self.plan, list[Arrival]()
        late = 0
        for change in self.history.changes:
            expired = change.number in self.expired
            part = self._made[0](self.chance, self.history.schema, change, expired)
            self.parts[part.data] = change
            copies = 1 + (self.chance.random() < plan.duplicates)
            copies += copies > 1 and self.chance.random() < 0.2
            for _ in range(copies):
                moment = change.made + self._delay()
                if plan.strict or plan.reads_table_stream:
                    moment = late = max(moment, late)
                arrivals.append(self._arrival(moment, part, change))
            if self.chance.random() < plan.unusable:
                broken = self._made[1](self.chance, self.history.schema, change)
                arrivals.append(self._arrival(change.made + self._delay(), broken, change))
        arrivals.extend(self._foreign())
        if plan.lethal:
            change = self.chance.choice(self.history.changes)
            poison = Part(b"a record that ends whoever reads it")
            arrival = self._arrival(change.made + self._delay(), poison, change)
            arrivals.append(dataclasses.replace(arrival, lethal=True))
        arrivals.extend(self._probes())
        arrivals.sort(key=lambda arrival: arrival.moment)
        return self._packed(arrivals)

    def _delay(self) -> int:
        weights = [weight for _, _, weight in self.plan.delays]
        low, high, _ = self.chance.choices(self.plan.delays, weights)[0]
        return self.chance.randint(low, high)

    def _arrival(self, moment: int, part: Part, change: SourceChange) -> Arrival:
        """AWS does not say how keys are spread over shards, nor that they stay where they are."""
        if self.plan.sticky:
            return Arrival(moment, (part,), f"key {change.key}", change.key % self.plan.shards)
        key = f"partition {self.chance.randrange(100)}"
        return Arrival(moment, (part,), key, self.chance.randrange(self.plan.shards))

    def _foreign(self) -> list[Arrival]:
        """Records of other tables beside ours. Drawn apart, so that the rest stays as it was."""
        chance = random.Random(f"foreign world {self.plan.seed}")
        arrivals = []
        for change in self.history.changes:
            parts = [
                self._made[2](chance, self.history.schema, change)
                for _ in range(int(self.plan.foreign + chance.random()))
            ]
            if self.plan.adopted and chance.random() < self.plan.unusable:
                parts.append(nameless_part(chance))
            for part in parts:
                moment = change.made + chance.randint(0, SECOND)
                shard = chance.randrange(self.plan.shards)
                key = f"key {change.key}" if self.plan.sticky else f"partition {shard}"
                arrivals.append(Arrival(moment, (part,), key, shard))
        return arrivals

    def _probes(self) -> list[Arrival]:
        """Rounds of probes, one for each lane."""
        arrivals = []
        for turn in range(self.plan.probes):
            moment = self.chance.choice(self.history.changes).made + self._delay()
            for number, (shard, lane) in enumerate(self.service.lanes):
                key = next(
                    key
                    for key in map("probe {}".format, range(1000))
                    if self.service.lane_number(key) == lane
                )
                part = probe_part(f"round-{turn}", number)
                arrivals.append(Arrival(moment, (part,), key, shard))
        return arrivals

    def _packed(self, arrivals: list[Arrival]) -> list[Arrival]:
        """Some records come packed with the ones that follow them in their shard."""
        if self.plan.aggregated == 0.0:
            return arrivals
        packed: list[Arrival] = []
        for arrival in arrivals:
            last = packed[-1] if packed else None
            if (
                last is not None
                and (last.shard, last.partition_key) == (arrival.shard, arrival.partition_key)
                and not (last.lethal or arrival.lethal)
                and arrival.moment - last.moment < HOUR
                and self.chance.random() < self.plan.aggregated
            ):
                # The earlier one waits for the later: it is the packing that delays it.
                packed[-1] = dataclasses.replace(
                    arrival, parts=last.parts + arrival.parts, aggregated=True
                )
            else:
                packed.append(arrival)
        return packed

    def _feed(self, arrivals: Sequence[Arrival]) -> None:
        for number, arrival in enumerate(arrivals):
            now = self.clock.now_micros()
            if arrival.moment > now:
                self.scheduler.pause((arrival.moment - now) / SECOND)
            if self.plan.split and arrival.shard == 0 and 2 * number >= len(arrivals):
                arrival = dataclasses.replace(arrival, shard=self._child(arrival))
            for part in arrival.parts:
                if part.change is not None:
                    self.streamed.setdefault(part.change.number, self.clock.now_micros())
            record = self.service.put(
                arrival.parts,
                arrival.partition_key,
                arrival.shard,
                data=aggregate(arrival.parts) if arrival.aggregated else None,
                lethal=arrival.lethal,
            )
            for part in record.parts:
                if part.change is not None:
                    self.parts[part.data] = part.change

    def _child(self, arrival: Arrival) -> int:
        """The shard that takes a key's changes once its own is split."""
        return self.plan.shards + zlib.crc32(arrival.partition_key.encode()) % 2

    # What the world sees --------------------------------------------------------------------

    def _table_changed(self, table: str, old: Image | None, new: Image | None) -> None:
        if table == TARGET_TABLE:
            self.witness.item_changed(old, new)
            return
        gate = self.witness.gate
        if table == JOURNAL_TABLE:
            if gate is not None and new is not None and new["sk"] == {"S": "run"}:
                gate.journal_written(new)
            return
        name = new["k"]["B"] if new is not None else b""
        if new is None:
            return
        if new["k"] == SETTINGS_KEY["k"] and gate is not None:
            gate.settings_written(new)
        elif name.startswith(SHARD_INDEX):
            self.witness.indexed |= set(new["shards"]["SS"])
        elif name.startswith(SHARD_ROWS):
            self.witness.shard_row_written(name)
            if gate is not None and name.startswith(LATE_WRITES):
                gate.late_writes_written(new)
        elif name.startswith(ENDED):
            records = [lane.records for lane in self.service.lanes.values()]
            self.witness.ended_row_written(name, records)
        elif name.startswith(PROBE):
            identity, _, number = name[len(PROBE) :].decode().rpartition(":")
            lane = self.service.lane_of((identity, int(number)))
            self.witness.probe_written(name, lane.records)
            if gate is not None:
                gate.probe_written(new, lane.name)

    # Running --------------------------------------------------------------------------------

    def run(self, people: People) -> None:
        """Plays the history. Raises ViolationError when a promise is broken."""
        self.s3.watchers.append(self.witness.object_kept)
        self.service.on_idle = self._wake_director
        arrivals = self._arrivals()
        self.start(lambda: self._feed(arrivals), "feeder")
        self.service.start()
        people.start()
        self._director = self.scheduler.spawn("director", lambda: self._direct(people))
        self.scheduler.run()
        self.witness.check_end(people.open_changes())

    def start(self, work: Callable[[], None], name: str) -> None:
        """A task that has to end before the history does."""
        self._busy += 1

        def body() -> None:
            work()
            self._busy -= 1
            self._wake_director()

        self.trouble.spared.add(self.scheduler.spawn(name, body))

    def _wake_director(self) -> None:
        if self._director is not None and not self._director.done:
            self.scheduler.wake(self._director)

    def _wait_for_quiet(self) -> None:
        while self._busy or not self.service.drained:
            self.scheduler.block()

    def _direct(self, people: People) -> None:
        self._wait_for_quiet()
        if self.plan.heal:
            people.mend()
            self._wait_for_quiet()
        people.stop()
        self.service.close()

    def lanes(self) -> list[Lane]:
        return list(self.service.lanes.values())


def _schema(keys: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": "RANGE" if number else "HASH"}
        for number, name in enumerate(keys)
    ]
