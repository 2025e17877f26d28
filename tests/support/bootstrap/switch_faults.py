"""Faults in the way of a switch: death, lost answers, refusals, and a laptop that sleeps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bootstrap.core.errors import AccessDeniedError, Side, UnavailableError
from bootstrap.core.state import State
from bootstrap.core.write_deny import project_statements
from bootstrap.cutover.switch.switch import Switch
from bootstrap.journal.switch_records import SwitchMode, TargetDeny
from tests.support.bootstrap.fake_aws import LEDGER, SOURCE_ARN, TARGET_ARN, FakeAws, Seen
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.switch_world import (
    WriterWatch,
    a_switch,
    attempt_of,
    ready_to_switch,
)
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.errors import Killed, access_denied, connection_reset, throttled

CHANGES = (
    "PutResourcePolicy",
    "DeleteResourcePolicy",
    "TransactWriteItems",
    "put_probes",
    "disable_mapping",
    "set_source_expiry",
)
"""Calls that change something, besides updates of the ledger."""
SOURCE_CALLS = ("put_probes", "oldest_unreplicated", "consumed_writes", "open_shards")
HOUR = 3_600.0


@functools.cache
def _ready() -> FakeAws:
    world = ready_to_switch()
    world.dynamodb.check_shapes = False  # the other tests do
    return world


def ready() -> FakeAws:
    """A world of one's own in which a table is ready to be switched."""
    return _ready().copied()


@dataclass(frozen=True)
class Point:
    """A call of a switch that nothing disturbs: its number, its name and the step it is made in."""

    number: int
    name: str
    step: str
    changes: bool

    def __str__(self) -> str:
        return f"{self.step}, call {self.number}, {self.name}"


@functools.cache
def points(mode: SwitchMode = SwitchMode.FENCE) -> Sequence[Point]:
    """The calls of a switch, in order. They are the same in every world of `ready`."""
    world, found = ready(), list[Point]()
    run = a_switch(world, mode=mode)

    def note(number: int, name: str, after: bool) -> None:
        if after:  # a refusal has none
            found.append(Point(number, name, run.progress().step, change_at(world.seen[-1])))

    world.on_call = note
    run.run()
    return found


def change_at(seen: Seen) -> bool:
    """Tell whether a call changes something, besides the journal's single rows."""
    if seen.name == "UpdateItem":
        return bool(seen.detail["TableName"] == LEDGER)
    return seen.name in CHANGES


def firsts(mode: SwitchMode = SwitchMode.FENCE) -> Sequence[Point]:
    """The first call of each name in each step."""
    found: dict[tuple[str, str, bool], Point] = {}
    for each in points(mode):
        found.setdefault((each.step, each.name, each.changes), each)
    return list(found.values())


def kill(watch: WriterWatch, point: Point, after: bool) -> None:
    """Let the process die at a call: before it, or with its answer lost. It makes no other."""
    dead: list[Point] = []

    def die(call: int, called: str, after_it: bool) -> None:
        if dead or (call, after_it) == (point.number, after):
            dead.append(point)
            raise Killed(str(point))

    watch.then = die


def fail(
    watch: WriterWatch,
    name: str,
    number: int,
    error: Callable[[str], Exception],
    *,
    after: bool = False,
    seconds: float = 0.0,
) -> list[str]:
    """Let a call fail, and all of its name for so many seconds more. Return those that did."""
    failed: list[str] = []
    until: list[float] = []

    def answer(called: int, what: str, after_it: bool) -> None:
        if what != name or after_it is not after or called < number:
            return
        now = watch.world.clock()
        if not until:
            until.append(now + seconds)
        if now < until[0] or not failed:
            failed.append(what)
            raise error(name)

    watch.then = answer
    return failed


def lost(name: str) -> Exception:
    """What a caller sees of a call whose answer is lost."""
    if name[0].isupper():
        return connection_reset()
    return UnavailableError(_side(name), f"{name} does not answer", fix="-")


def refused_for_now(name: str) -> Exception:
    if name[0].isupper():
        return throttled(name)
    return UnavailableError(_side(name), f"{name} is throttled", fix="-")


def denied(name: str) -> Exception:
    if name[0].isupper():
        return access_denied(name)
    return AccessDeniedError(_side(name), f"{name} is denied", fix="-", code="AccessDenied")


def _side(name: str) -> Side:
    return Side.SOURCE if "source" in name or name in SOURCE_CALLS else Side.TARGET


class SuspendedClock(VirtualClock):
    """The clock of a laptop: what it sleeps through is missing from its seconds since the start."""

    def __init__(self, world: VirtualClock) -> None:
        super().__init__(world.now_micros())
        self._world = world
        self.slept = 0.0

    def __call__(self) -> float:
        return self._world()

    def now_micros(self) -> int:
        return self._world.now_micros()

    def monotonic(self) -> float:
        return self._world.monotonic() - self.slept

    def sleep(self, seconds: float) -> None:
        self._world.sleep(seconds)

    def advance(self, seconds: float) -> None:
        self._world.advance(seconds)


def suspend(
    watch: WriterWatch, point: Point, clock: SuspendedClock, meanwhile: Callable[[], None]
) -> list[Point]:
    """Freeze a process between its look at the lease and a call. Return the point once it was."""
    frozen: list[Point] = []

    def freeze(number: int, name: str, after: bool) -> None:
        if (number, after) == (point.number, False) and not frozen:
            frozen.append(point)
            watch.then = lambda number, name, after: None
            began = watch.world.clock()
            meanwhile()
            clock.slept += watch.world.clock() - began

    watch.then = freeze
    return frozen


def state_of(world: FakeAws) -> State:
    """The state in the journal."""
    with world.unwatched():
        row, _ = Process(world, pid=95).store.read("orders")
    assert row is not None
    return row.state


def settle(world: FakeAws) -> None:
    """Let the policies reach every caller."""
    world.clock.advance(400)


def check_nobody_loses(watch: WriterWatch, when: str, *, tidy: bool = True) -> State:
    """Check an end of a switch on which no process works any more; return the journal's state.

    Either table takes writes, or neither does; the consumer writes while the source may. `tidy`:
    an attempt that was taken back has left nothing.
    """
    world = watch.world
    settle(world)
    assert not watch.both_open, f"{when}: {watch.both_open[:3]}"
    source, target = watch.takes_writes()
    state, settings = state_of(world), world.ledger_settings()
    assert not (source and "closed" in settings), (
        f"{when}: the changes of the source are not applied"
    )
    if target:
        assert state is State.SWITCHED, when
    if state is State.REPLICATING and tidy:
        _check_replica(watch, when)
    return state


def _check_replica(watch: WriterWatch, when: str) -> None:
    """Check that an attempt has left nothing behind."""
    world = watch.world
    assert watch.takes_writes() == (True, False), when
    assert not project_statements(world.policies.of(SOURCE_ARN).last), f"{when}: a Deny is left"
    left = set(world.ledger_settings()) & {"armed", "mark", "closed", "primary"}
    assert not left, f"{when}: {left} left in the settings"
    with world.unwatched():
        row, _ = Process(world, pid=95).store.read("orders")
    assert row is not None
    deny = row.record(TargetDeny)
    assert deny is not None
    assert set(project_statements(world.policies.of(TARGET_ARN).last)) == {deny.nonce}, when
    assert not deny.earlier, when


def check_switched(watch: WriterWatch, when: str) -> None:
    """Check that the target is the primary, and the consumer closed for good."""
    assert check_nobody_loses(watch, when) is State.SWITCHED, when
    assert watch.takes_writes() == (False, True), when
    settings = watch.world.ledger_settings()
    assert settings["closed"]["S"] == attempt_of(watch.world).nonce, when
    assert "primary" in settings, when


def second_operator(world: FakeAws) -> Switch:
    """A process on another machine."""
    return a_switch(world, pid=200, host="server")
