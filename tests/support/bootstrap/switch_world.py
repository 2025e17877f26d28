"""A `FakeAws` in which a table is ready to be switched, and a watch over who takes writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bootstrap.core.stack_outputs import Outputs
from bootstrap.core.table_stream_facts import VIEW
from bootstrap.core.write_deny import WriteDeny, with_deny
from bootstrap.cutover.context import SwitchOptions
from bootstrap.cutover.switch.switch import Switch
from bootstrap.journal.stream_records import TableStreamRecord
from bootstrap.journal.switch_records import Switching, SwitchMode, TargetDeny
from replicator.buffers import STREAMS
from tests.support.bootstrap.fake_aws import (
    CONSUMER,
    IMPORTER,
    SOURCE_ARN,
    TARGET_ARN,
    FakeAws,
    switch_outputs,
)
from tests.support.bootstrap.fake_table_stream import MAPPING, STREAM, FakeTableStream
from tests.support.bootstrap.killed_process import Process, journal_verified, replicated
from tests.support.bootstrap.switch_conditions import verified
from tests.support.bootstrap.switch_harness import switch_context
from tests.support.fakes.clock import VirtualClock

APPLICATION = "arn:aws:iam::111111111111:role/application"
NONCE = "0123456789abcdef"
DAY = 86_400.0


def ready_to_switch() -> FakeAws:
    """A replica behind its Deny for a day, and verified since."""
    world = replicated(FakeAws(WatchedClock()))
    process = Process(world, pid=96)
    with world.unwatched():
        process.lease.acquire()
        process.run.journal.refresh()
        process.run.journal.put(TargetDeny(NONCE, world.clock()), "as a run puts it")
        process.lease.release()
    deny = WriteDeny(NONCE, TARGET_ARN, excepted=(CONSUMER, IMPORTER))
    world.policies.set(TARGET_ARN, with_deny(None, deny))
    world.clock.advance(DAY)
    journal_verified(world, verified(world.clock() - 3_600))
    world.clock.advance(600)
    return world


class WatchedClock(VirtualClock):
    """A clock that calls a listener at each of its moves."""

    def __init__(self) -> None:
        super().__init__()
        self.on_advance: Callable[[], None] = lambda: None

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self.on_advance()


def look_nowhere(number: int, name: str, after: bool) -> None:
    """Do nothing at a call."""


class WriterWatch:
    """Looks at both tables' policies around each call, and at each move of the clock.

    A change of a policy reaches one caller at once and another late: two tables are both open if
    any callers of both could write.
    """

    def __init__(self, world: FakeAws) -> None:
        self.world = world
        self.both_open: list[str] = []
        self.refused_since: float | None = None
        self.refused: list[tuple[float, float]] = []
        """Spans in which neither took writes."""
        self.then: Callable[[int, str, bool], None] = look_nowhere
        """What else happens around each call."""

        def look(number: int, name: str, after: bool) -> None:
            self.look(f"{'after' if after else 'before'} {name}, call {number}")
            self.then(number, name, after)

        world.on_call = look
        if isinstance(world.clock, WatchedClock):
            world.clock.on_advance = lambda: self.look("as time passes")

    def look(self, when: str) -> None:
        now = self.world.clock()
        source, target = self.takes_writes()
        policies = self.world.policies
        if all(policies.may_take(arn, APPLICATION) for arn in (SOURCE_ARN, TARGET_ARN)):
            self.both_open.append(f"{when}, at {now:.0f}")
        if not source and not target:
            self.refused_since = now if self.refused_since is None else self.refused_since
        elif self.refused_since is not None:
            self.refused.append((self.refused_since, now))
            self.refused_since = None

    def takes_writes(self) -> tuple[bool, bool]:
        """Tell whether the source, and the target, take an application's writes now."""
        policies = self.world.policies
        return (
            not policies.refuses(SOURCE_ARN, APPLICATION),
            not policies.refuses(TARGET_ARN, APPLICATION),
        )


STREAM_MEMBERS: Mapping[str, Any] = {
    "buffer": STREAMS,
    "mappingSettings": {"batchSize": 500, "batchWindowSeconds": 0},
}
"""Members of the outputs of a table whose buffer is its own stream."""


def outputs_of(world: FakeAws) -> Outputs:
    """The outputs of the stack with the table, by the buffer that it has in this world."""
    return switch_outputs() if world.own_stream is None else stream_outputs()


def stream_outputs() -> Outputs:
    """The outputs of a stack whose table's buffer is its own stream."""
    return switch_outputs(**STREAM_MEMBERS)


def with_own_stream(world: FakeAws, *, alone: bool = True) -> FakeAws:
    """Make a table's own stream its buffer, as a run does, with some changes that were applied.

    `alone`: no other table of the world has a Kinesis data stream.
    """
    stream = world.own_stream = FakeTableStream()
    world.source = replace(world.source, stream_view=VIEW, stream_arn=STREAM)
    if alone:
        world.mapping_enabled_at, world.destinations = None, []
    process = Process(world, pid=96, chosen=stream_outputs())
    with world.unwatched():
        process.lease.acquire(take_over=True)
        process.run.journal.refresh()
        known = TableStreamRecord(1.0, STREAM, 1.0, MAPPING)
        process.run.journal.put(known, "as a run records it")
        process.run.context.ledger.set_table_stream(STREAM, MAPPING)
        process.lease.release()
        for shard in stream.shards:
            stream.write(world.clock() - 100, shard)
        stream.consume(world)
    return world


Command = Callable[[str, Mapping[str, str], Callable[[], None]], int]


def succeeds(command: str, variables: Mapping[str, str], meanwhile: Callable[[], None]) -> int:
    """An operator's command that ends well."""
    meanwhile()
    return 0


def a_switch(
    world: FakeAws,
    pid: int = 100,
    *,
    host: str = "laptop",
    mode: SwitchMode = SwitchMode.FENCE,
    run_command: Command = succeeds,
    clock: VirtualClock | None = None,
    **options: Any,
) -> Switch:
    """Make one process's switch of the table. `options`: those of `SwitchOptions`."""
    world.alive.add(pid)
    context = switch_context(
        world,
        pid,
        host=host,
        options=SwitchOptions(mode, **options),
        chosen=outputs_of(world),
        clock=clock,
    )
    return Switch([context], run_command=run_command)


def attempt_of(world: FakeAws) -> Switching:
    """Read the attempt that the journal holds."""
    process = Process(world, pid=95)
    with world.unwatched():
        row, _ = process.store.read("orders")
    found = row.record(Switching) if row is not None else None
    assert found is not None
    return found
