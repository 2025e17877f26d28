"""A run that dies at each of its calls, and is started again."""

from __future__ import annotations

import functools

from bootstrap.core.stack_outputs import Outputs
from bootstrap.core.state import State
from tests.support.bootstrap.fake_aws import FakeAws, outputs
from tests.support.bootstrap.killed_process import Process
from tests.support.fakes.errors import Killed


def quick() -> FakeAws:
    """A world in which waits are short: every call of a run, without hundreds of polls."""
    world = FakeAws()
    world.restorable_lag, world.export_seconds, world.import_seconds = 60, 25, 25
    world.dynamodb.check_shapes = False  # the other tests do
    return world


@functools.cache
def calls_of_a_run() -> list[str]:
    world = quick()
    Process(world).go()
    return [seen.name for seen in world.seen]


def quick_bulk() -> FakeAws:
    """The same of a run that loads in bulk."""
    world = quick()
    world.bulk.seconds, world.create_seconds = 25, 5
    return world


@functools.cache
def calls_of_a_bulk_run() -> list[str]:
    world = quick_bulk()
    Process(world, chosen=outputs(load="bulk")).go()
    return [seen.name for seen in world.seen]


def check_bulk(world: FakeAws, process: Process, when: str) -> None:
    assert process.run.journal.row.state is State.REPLICATING, when
    assert len(world.exports) == 1, f"{when}: one export is paid for once"
    assert len(world.created_tables) == 1, f"{when}: one table is made"
    assert len(world.bulk.operations) == 1, f"{when}: one bulk load is paid for once"
    enabled = world.times("enable_mapping")
    assert min(enabled) >= max(map(world.bulk.end, world.bulk.operations)), when
    assert world.ledger_settings()["expire"] == {"BOOL": True}, when


def kill_at(world: FakeAws, number: int, after_the_work: bool) -> None:
    """Kill the process at this call of the world's: before it, or with its answer lost."""

    def watch(call: int, name: str, after: bool) -> None:
        if (call, after) == (number, after_the_work):
            raise Killed(f"at {name}, call {number}")

    world.on_call = watch


def finish(world: FakeAws, pid: int, chosen: Outputs | None = None) -> Process:
    world.on_call = lambda number, name, after: None
    process = Process(world, pid=pid, chosen=chosen)
    process.go()
    return process


def check(world: FakeAws, process: Process, when: str) -> None:
    assert process.run.journal.row.state is State.REPLICATING, when
    assert len(world.exports) == 1, f"{when}: one export is paid for once"
    assert len(world.imports) == 1, f"{when}: one import is paid for once"
    assert world.ledger_settings()["expire"] == {"BOOL": True}, when
    ((request, _),) = world.exports.values()
    assert request.export_time >= world.active_from + 120, when
