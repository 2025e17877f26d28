"""A switch of the simulated table: the product's own code, beside the history and its consumer.

The stream, the ledger, the journal and the clock are the world's; what else the switch reads of
both accounts is `FakeAws`'s. DynamoDB's metrics follow from the history.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock
from uuid import UUID

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.core import write_deny
from bootstrap.core.errors import BootstrapError, Side
from bootstrap.core.journal_rows import Row, StepRecord
from bootstrap.core.state import State
from bootstrap.core.write_deny import WriteDeny, with_deny
from bootstrap.cutover.checks.check import Check
from bootstrap.cutover.context import SwitchOptions
from bootstrap.cutover.switch import before_commit
from bootstrap.cutover.switch.switch import Switch
from bootstrap.journal.journal import Journal
from bootstrap.journal.records import Wanted
from bootstrap.journal.switch_records import SwitchMode, TargetDeny
from bootstrap.run import probe_put
from bootstrap.status.health import Health, read_health
from replicator import probes
from replicator.probes import ProbeRecord
from replicator.stream import Shard
from tests.simulation.aws_faults import Fate
from tests.simulation.gate_witness import GateWitness
from tests.simulation.history import SECOND
from tests.simulation.names import JOURNAL_TABLE, QUARANTINE_BUCKET, SETTINGS_KEY, SOURCE_TABLE
from tests.simulation.plan import SwitchPlan
from tests.simulation.records import Part
from tests.simulation.scheduler import Task, TaskClock
from tests.simulation.world import World
from tests.support.bootstrap.fake_accounts import FakeSource
from tests.support.bootstrap.fake_aws import (
    CONSUMER,
    IMPORTER,
    SOURCE_ARN,
    TARGET_ARN,
    FakeAws,
    switch_outputs,
)
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.status import FixedHealth
from tests.support.bootstrap.switch_harness import switch_context

ARMED_BEFORE = 700.0
"""Seconds before the mark at which a fenced switch begins."""
MOST_COMMANDS = 40
LANES_PROBED = 16
"""Of a shard that is read in parallel. AWS has ten lanes, and here there are two."""
PROVED_BY = 160.0
"""Seconds from a promotion to the proof that nothing writes any more."""
METRIC_DELAY = 110.0
PERIOD = 60


class _Clock(TaskClock):
    """The world's clock, as `FakeAws` has it."""

    def __call__(self) -> float:
        return self.now_micros() / SECOND


class SimulatedSwitch:
    """All that operators do about a switch in one history."""

    def __init__(self, world: World) -> None:
        assert world.plan.switch is not None and world.witness.gate is not None
        self.world = world
        self.plan: SwitchPlan = world.plan.switch
        self.gate: GateWitness = world.witness.gate
        self.scheduler, self.chance = world.scheduler, world.chance
        self.fake = FakeAws(_Clock(world.scheduler))  # type: ignore[arg-type]
        self.fake.dynamodb = world.dynamodb
        self.fake.on_call = self._call
        self.fake.shards = tuple(
            Shard(f"shardId-{n:012d}", str(n)) for n in range(world.plan.shards)
        )
        self.fake.mapping_enabled_at = 0.0
        self.fake.target = dataclasses.replace(
            self.fake.source, arn=TARGET_ARN, table_id="target-1", deletion_protection=True
        )
        self.fake.ages, self.fake.writes = self._age, self._writes
        self.outputs = switch_outputs(
            parallelizationFactor=2 if world.plan.lanes_per_shard > 1 else 1
        )
        self._pids = 100
        self._prepare()

    def new_uuid(self) -> UUID:
        """One that the seed alone decides."""
        return UUID(int=self.chance.getrandbits(128))

    # What is there before ---------------------------------------------------------------------

    def _prepare(self) -> None:
        """A replica behind its Deny."""
        process = Process(self.fake, pid=96, chosen=self.outputs)
        process.lease.acquire()
        journal = process.run.journal
        journal.refresh()
        journal.begin("run")
        self._record(journal, TargetDeny("0123456789abcdef", self.fake.clock()))
        if self.world.expired:
            self._record(journal, Wanted(ttl_attribute="expires"))
        journal.enter(State.REPLICATING)
        process.lease.release()
        deny = WriteDeny("0123456789abcdef", TARGET_ARN, excepted=(CONSUMER, IMPORTER))
        self.fake.policies.set(TARGET_ARN, with_deny(None, deny))

    @staticmethod
    def _record(journal: Journal, record: StepRecord) -> None:
        journal.put(record, "as a run puts it")

    # The accounts, as the switch sees them ----------------------------------------------------

    def _call(self, number: int, name: str, after: bool) -> None:
        """Every call takes its time; before a change of a policy the laptop may sleep."""
        task = self.scheduler.current
        if task is None:
            return
        seconds = self.chance.choice((0.0, 0.01, 0.1, 1.0))
        if name == "PutResourcePolicy" and not after and self.chance.random() < 0.05:
            seconds = self.chance.choice((30.0, 300.0, 2_000.0))
        self.world.log(f"  {task.name}: {name} {'ended' if after else 'begins'}")
        self.scheduler.pause(seconds)

    def _shown(self, begin: float) -> bool:
        """CloudWatch has this period's datapoint."""
        late = hash((self.world.plan.seed, begin)) % 1000 / 1000 * METRIC_DELAY
        return self.fake.clock() >= begin + PERIOD + late

    def _age(self, begin: float) -> float | None:
        """AgeOfOldestUnreplicatedRecord of a period in which something was on its way."""
        if not self._shown(begin):
            return None
        low, high = begin * SECOND, (begin + PERIOD) * SECOND
        ages = [
            min(streamed, high) - change.made
            for change in self.world.history.changes
            if change.made < high
            and (streamed := self.world.streamed.get(change.number, high)) >= low
        ]
        return max(ages) / 1_000 if ages else None

    def _writes(self, begin: float) -> float:
        """ConsumedWriteCapacityUnits: what time to live deletes consumes none."""
        if not self._shown(begin):
            return 0.0
        return float(
            sum(
                begin * SECOND <= change.made < (begin + PERIOD) * SECOND
                for change in self.world.history.changes
                if change.number not in self.world.expired
            )
        )

    def _put_probes(
        self, source: FakeSource, stream_name: str, records: Sequence[ProbeRecord]
    ) -> Sequence[ProbeRecord]:
        source._before()
        with self.fake.around("put_probes"):
            self._put(records)
            return []

    def _health(self, row: Row, at: float) -> Health:
        """Every detector is fine, but for what quarantine holds."""
        bucket = self.world.s3.buckets[QUARANTINE_BUCKET]
        kept = sum(name.startswith("open/") for name in bucket)
        (table,) = self.outputs.tables
        return read_health(FixedHealth(quarantine=kept), table, row, at, None)

    def _checks(self) -> tuple[Check, ...]:
        """Of the conditions of a switch, the one that a process which sleeps may break."""
        standing = self.fake.policies.statements(SOURCE_ARN)
        return (Check("source-policy", not standing, "as it is now", self.fake.clock()),)

    # Processes --------------------------------------------------------------------------------

    def _run(self, command: str, *, take_over: bool = False, dies: bool = False) -> Task:
        """Start a process of the command line."""
        self._pids += 1
        pid = self._pids

        def work() -> None:
            mode = SwitchMode.FENCE if self.plan.fenced else SwitchMode.WRITES_STOPPED
            options = SwitchOptions(mode, max_lag=1e9, settings="keep")
            context = switch_context(
                self.fake, pid, options=options, chosen=self.outputs, health=self._health
            )
            self.fake.alive.add(pid)
            switch = Switch([context], run_command=lambda *_: 0)
            if command == "cancel":
                switch.cancel(take_over)
            else:
                switch.run(take_over)

        task = self.scheduler.spawn(f"{command} {pid}", work, watched=True)
        self.world.trouble.trusted.add(task)
        calls = self.chance.choice((20, 60, 150, 400))
        self.world.trouble.fates[task] = Fate(
            self.chance.randint(1, calls) if dies else None, self.chance.random() < 0.5
        )
        self.world.log(f"{task.name} begins")
        return task

    def _await(self, task: Task) -> None:
        self.scheduler.join([task])
        self.fake.alive.discard(int(task.name.split()[1]))
        self.world.log(f"{task.name}: {task.error!r}")
        if (
            task.error is not None
            and not task.killed
            and not isinstance(task.error, BootstrapError)
        ):
            raise task.error

    # The day ----------------------------------------------------------------------------------

    def play(self) -> None:
        """From the command to a table that has one writer."""
        self._sleep_until_it_is_time()
        meets = self.plan.interruption
        first = self._run("switch", dies=meets == "killed")
        if meets in ("second operator", "promotion"):
            self.scheduler.pause(self.chance.choice((30.0, 600.0, 750.0, 900.0, 1_000.0)))
            if meets == "promotion":
                self._promote()
            else:
                self._await(self._run("cancel", take_over=True))
        self._await(first)
        for _ in range(3):  # a switch that could not begin is typed again
            if self.gate.armed or self.gate.handed_on:
                break
            self.scheduler.pause(5.0)
            self._await(self._run("switch"))
        self._settle()
        if self.gate.handed_on:
            self.scheduler.pause(self.plan.stops_after)
            self.world.service.stop()

    def _sleep_until_it_is_time(self) -> None:
        change = self.world.history.changes[self.plan.change]
        mark = (change.stamp - self.plan.offset) / SECOND
        before = ARMED_BEFORE if self.plan.fenced else self.chance.choice((1.0, 10.0, 35.0))
        opens = max(lane.closed_until for lane in self.world.lanes()) / SECOND
        self.scheduler.pause(max(0.0, max(mark - before, opens) - self.fake.clock()))

    def _settle(self) -> None:
        """The operator types what it takes, until the table has one writer."""
        for _ in range(MOST_COMMANDS):
            state = self.state()
            if self.gate.promoted or state is State.REPLICATING:
                return
            if state is State.SWITCHED and "open-target" in self._after().get("done", ()):
                return
            self.scheduler.pause(self.chance.choice((1.0, 61.0, 400.0)))
            cancels = state is State.SWITCHING and self.chance.random() < 0.7
            self._await(self._run("cancel" if cancels else "switch"))

    def _promote(self) -> None:
        """What a promotion does to the gate, whatever the switch is doing; then probes."""
        change = self.chance.choice(self.world.history.changes).made / SECOND
        self.scheduler.pause(max(0.0, change - PROVED_BY - self.fake.clock()))
        calls = Calls(Side.TARGET, "Role importer")
        ledger = AwsLedger(calls, self.world.dynamodb, self.outputs.tables[0].ledger_table)
        while not self.gate.committed:
            with contextlib.suppress(BootstrapError):
                ledger.take_gate("promotion")
                self.gate.promoted = True
                break
            self.scheduler.pause(1.0)
        for _ in range(5):
            self._put(self._round())
            self.scheduler.pause(PROVED_BY / 4)

    def _round(self) -> Sequence[ProbeRecord]:
        factor = self.outputs.tables[0].parallelization_factor
        return probes.probe_records(self.new_uuid().hex, SOURCE_TABLE, self.fake.shards, factor)

    def _put(self, records: Sequence[ProbeRecord]) -> None:
        for record in records:
            body = json.loads(record.data)
            part = Part(record.data, probe=(body["probe"], body["n"]))
            self.world.service.put([part], record.partition_key, int(record.hash_key))

    # Looks ------------------------------------------------------------------------------------

    def state(self) -> State:
        """The table's state in the journal, as root reads it."""
        return State(self._row()["state"]["S"])

    def _after(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._row().get("record:after-switch", {"S": "{}"})["S"])
        return found

    def _row(self) -> dict[str, Any]:
        return self._item(JOURNAL_TABLE, {"pk": {"S": SOURCE_TABLE}, "sk": {"S": "run"}})

    def _item(self, table: str, key: dict[str, Any]) -> dict[str, Any]:
        for item in self.world.dynamodb.tables[table].items.values():
            if all(item.get(name) == value for name, value in key.items()):
                return dict(item)
        return {}

    def check_end(self) -> None:
        """Everything is over."""
        ledger = self.outputs.tables[0].ledger_table
        self.gate.check_end(self._item(ledger, SETTINGS_KEY), self._row())
        if self.plan.fenced:
            self.gate.check_policies(self.fake.policies)


@contextlib.contextmanager
def switchable(switch: SimulatedSwitch) -> Iterator[None]:
    """What the accounts of a history have of their own while it is played."""
    with (
        mock.patch.object(before_commit, "read_checks", lambda context: switch._checks()),
        mock.patch.object(
            FakeSource,
            "put_probes",
            lambda source, stream, records: switch._put_probes(source, stream, records),
        ),
        mock.patch.object(probes, "LANES_PROBED", LANES_PROBED),
        mock.patch.object(probe_put, "uuid", SimpleNamespace(uuid4=switch.new_uuid)),
        mock.patch.object(write_deny, "new_nonce", lambda: switch.new_uuid().hex[:16]),
    ):
        yield
