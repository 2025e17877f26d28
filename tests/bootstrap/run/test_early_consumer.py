"""A consumer that is on while a bulk load fills the target: the load replaces what it applied."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bootstrap.core.errors import AccountError, BlockedError
from bootstrap.core.run_options import RunOptions
from bootstrap.core.state import State
from bootstrap.journal.load_records import EarlyConsumer
from bootstrap.journal.records import Enabled
from bootstrap.journal.verification_records import Verified
from tests.support.bootstrap.fake_aws import TARGET_ARN, FakeAws, outputs
from tests.support.bootstrap.killed_process import Process, journal_verified, replicated
from tests.support.bootstrap.plans import ADOPT, adoptable
from tests.support.bootstrap.status import look
from tests.support.remedies import commands_in, problem

pytestmark = pytest.mark.promise("C1")

BULK = outputs(load="bulk")


def verified(until: float) -> Verified:
    return Verified("round", until, until, until, 1.0, 3, 3, 3, 0, 0, 0, 0, 0, 0, until)


def process_of(world: FakeAws, pid: int) -> Process:
    return Process(world, pid, chosen=BULK)


def once(world: FakeAws, name: str, act: Callable[[], None]) -> None:
    """Act after the first call of this name."""
    done: list[str] = []

    def watch(number: int, called: str, after: bool) -> None:
        if called == name and after and not done:
            done.append(called)
            act()

    world.on_call = watch


def switch(world: FakeAws, on: bool) -> None:
    """As another hand does it."""
    world.mapping_enabled_at = world.clock() if on else None
    world.mapping_modified = world.clock()


@pytest.mark.parametrize("call", ["create_table", "start_bulk", "describe_bulk"])
def test_a_consumer_that_is_found_on_during_the_load_stops_the_run_and_leaves_a_loss(
    call: str,
) -> None:
    world = FakeAws()
    once(world, call, lambda: switch(world, True))
    with pytest.raises(BlockedError, match="switched on") as failure:
        process_of(world, 1).go()
    for words in commands_in(str(failure.value.fix)):
        assert problem(words) == "", " ".join(words)
    assert not world.times("enable_mapping")
    switch(world, False)
    with pytest.raises(AccountError, match="replaced") as ended:
        process_of(world, 2).go()
    assert "verify --repair" in str(ended.value.fix)
    assert len(world.bulk.operations) == 1
    shown = look(world, chosen=BULK)
    assert shown.state is State.DEGRADED
    assert any("a bulk load" in each for each in shown.warnings)
    journal_verified(world, verified(world.clock() + 1))
    process = process_of(world, 3)
    process.go()
    assert process.run.journal.row.state is State.REPLICATING


def test_a_consumer_that_was_on_between_two_looks_at_the_load_leaves_a_loss() -> None:
    world = FakeAws()

    def on_and_off() -> None:
        switch(world, True)
        switch(world, False)

    once(world, "start_bulk", on_and_off)
    process = process_of(world, 1)
    with pytest.raises(AccountError, match="replaced"):
        process.go()
    assert process.run.journal.row.state is State.DEGRADED


def test_a_consumer_that_is_found_on_after_the_load_is_never_taken_for_harmless() -> None:
    world = FakeAws()
    once(world, "protect", lambda: switch(world, True))
    process = process_of(world, 1)
    with pytest.raises(AccountError, match="replaced"):
        process.go()
    noted = process.run.journal.get(Enabled)
    assert noted is not None and not noted.by_us
    assert process.run.journal.row.state is State.DEGRADED


def test_a_consumer_that_is_found_on_beside_an_operation_is_not_reported_as_replicating() -> None:
    world = FakeAws()
    theirs: list[str] = []

    def both() -> None:
        switch(world, True)
        theirs.append(world.bulk.by_another(TARGET_ARN, world.clock(), "created-1"))

    once(world, "protect", both)
    with pytest.raises(AccountError, match="replaced"):
        process_of(world, 1).go()
    assert min(world.times("put_probes")) >= world.bulk.end(theirs[0])


def test_a_consumer_that_was_on_before_an_adopted_table_was_empty_leaves_a_loss() -> None:
    world = FakeAws()
    adoptable()(world)

    def on_and_off() -> None:
        switch(world, True)
        switch(world, False)

    def at(number: int, name: str, after: bool) -> None:
        times = [request.export_time for request, _ in world.exports.values()]
        if name == "describe_export" and not done and world.clock() > times[0] + 1:
            done.append(name)
            on_and_off()

    done: list[str] = []
    world.on_call = at
    process = Process(world, 1, chosen=outputs(**ADOPT))
    with pytest.raises(AccountError, match="replaced"):
        process.go()
    assert done and process.run.journal.get(EarlyConsumer) is not None


def test_a_consumer_that_this_run_switched_on_leaves_no_loss() -> None:
    world = replicated(chosen=BULK)
    process = Process(world, 2, chosen=BULK, options=RunOptions())
    process.go()
    assert process.run.journal.get(EarlyConsumer) is None
    assert process.run.journal.row.state is State.REPLICATING
