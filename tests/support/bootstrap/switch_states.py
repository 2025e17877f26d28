"""A table in the states of a switch: its journal and its consumer's settings as one leaves them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.core.errors import Side
from bootstrap.core.journal_rows import StepRecord
from bootstrap.core.state import State
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Lease
from bootstrap.journal.switch_records import (
    Promoted,
    Switching,
    SwitchMode,
    SwitchStep,
    TargetDeny,
)
from tests.support.bootstrap.fake_aws import LEDGER, FakeAws
from tests.support.bootstrap.killed_process import Process

NONCE = "nonce1"
PID = 96


def ledger_of(world: FakeAws) -> AwsLedger:
    return AwsLedger(Calls(Side.TARGET, "Role importer"), world.dynamodb, LEDGER)


def record(
    world: FakeAws,
    state: State,
    *records: StepRecord,
    holds: bool = False,
    table: str = "orders",
) -> Process:
    """Enter a state, with these records. `holds`: the process lives on, and so does its lease."""
    process = Process(world, pid=PID)
    with world.unwatched():
        lease = Lease(process.store, table, world.clock, process.machine)
        lease.acquire(take_over=True)
        journal = Journal(process.store, table, lease)
        journal.refresh()
        journal.works_in(state)
        journal.enter(state)
        for each in records:
            journal.put(each, "as a switch does")
        if holds:
            world.alive.add(PID)
        else:
            lease.release()
    return process


def attempt(world: FakeAws, step: SwitchStep, **changes: Any) -> Switching:
    """An attempt that began a quarter of an hour ago, as far as this step."""
    now = int(world.clock())
    at = step.order
    times: dict[str, Any] = {
        "armed_at": now - 800 if at >= SwitchStep.ARM.order else 0,
        "closes": now - 200 if at >= SwitchStep.ARM.order else 0,
        "mark": now - 140 if at >= SwitchStep.ARM.order else 0,
        "reopens": now + 2_200 if at >= SwitchStep.ARM.order else 0,
        "sealed_at": now - 90 if at >= SwitchStep.SEAL.order else 0,
        "gate_at": now - 60 if at >= SwitchStep.GATE.order else 0,
        "committed_at": now - 10 if at >= SwitchStep.COMMIT.order else 0,
    }
    values = {
        "nonce": NONCE,
        "mode": SwitchMode.FENCE,
        "tables": ("orders",),
        "begun": now - 900,
        "timeout": 1_200.0,
        "step": step,
        **times,
        **changes,
    }
    return Switching(**values)


def target_deny(world: FakeAws) -> TargetDeny:
    return TargetDeny(NONCE, at=world.clock() - 86_400)


def switching(
    world: FakeAws, step: SwitchStep = SwitchStep.DRAIN, *, holds: bool = False, **changes: Any
) -> Switching:
    """An uncommitted attempt, as far as `step`, in the journal and in the settings row."""
    made = attempt(world, step, **changes)
    record(world, State.SWITCHING, target_deny(world), made, holds=holds)
    with world.unwatched():
        ledger = ledger_of(world)
        if step.order >= SwitchStep.ARM.order:
            assert ledger.arm(made.nonce)
        if step.order >= SwitchStep.CLOSE.order:
            assert ledger.set_mark(made.nonce, made.mark * 1_000_000)
        if step.order >= SwitchStep.GATE.order:
            assert ledger.close(made.nonce)
    return made


def switched(world: FakeAws, *more: StepRecord, **changes: Any) -> Switching:
    """A committed switch; `more`: what came after the commit."""
    made = attempt(world, SwitchStep.COMMIT, **changes)
    record(world, State.SWITCHED, target_deny(world), made, *more)
    with world.unwatched():
        ledger = ledger_of(world)
        assert ledger.arm(made.nonce)
        assert ledger.close(made.nonce)
        assert ledger.set_primary(made.nonce, int(made.committed_at * 1e6))
    return made


def promoted(world: FakeAws, **changes: Any) -> Promoted:
    """A promotion of ten minutes ago."""
    now = world.clock()
    values: dict[str, Any] = {"nonce": NONCE, "at": now - 600, "closed_at": now - 500}
    made = Promoted(**{**values, **changes})
    record(world, State.PROMOTED, target_deny(world), made)
    with world.unwatched():
        ledger = ledger_of(world)
        ledger.take_gate(made.nonce)
        assert ledger.set_primary(made.nonce, int(made.closed_at * 1e6))
    return made


ENTER: Mapping[State, Callable[[FakeAws], object]] = {
    State.REPLICATING: lambda world: None,
    State.SWITCHING: switching,
    State.SWITCHED: switched,
    State.PROMOTED: promoted,
}
"""Brings a replica into the state."""
