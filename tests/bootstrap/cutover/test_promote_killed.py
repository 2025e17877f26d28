"""`promote` dies at each of its calls, or loses an answer, and is run again."""

from __future__ import annotations

import functools

import pytest

from bootstrap.core.errors import Side, UnavailableError
from bootstrap.core.state import State
from bootstrap.core.write_deny import WriteDeny, with_deny
from bootstrap.cutover.promotion.promote import PromotionResult
from bootstrap.journal.records import Wanted
from bootstrap.journal.switch_records import Promoted, Switching, SwitchStep
from tests.support.bootstrap.fake_aws import CONSUMER, IMPORTER, TARGET_ARN, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.promote_harness import Promoter, kill_from
from tests.support.bootstrap.switch_faults import SuspendedClock
from tests.support.bootstrap.switch_states import record, switching, target_deny
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C6", "C9")

ITEMS = {"target-deny", "target-open", "mapping", "target-expiry"}
APPLICATION = "arn:aws:iam::222222222222:role/application"


@functools.cache
def sealed() -> FakeAws:
    """A replica whose switch has died with both tables closed."""
    world = replicated()
    world.dynamodb.check_shapes = False  # the other tests do
    deny = WriteDeny("attempt1", TARGET_ARN, excepted=(CONSUMER, IMPORTER))
    world.policies.set(TARGET_ARN, with_deny(None, deny))
    record(world, State.REPLICATING, target_deny(world), Wanted(ttl_attribute="until"))
    switching(world, SwitchStep.GATE)
    world.seen.clear()
    return world


@functools.cache
def calls() -> list[str]:
    world = sealed().copied()
    began = world.calls
    Promoter(world).go()
    assert world.calls - began == len(world.seen)
    return [each.name for each in world.seen]


def both_closed(world: FakeAws) -> None:
    """Nothing of the stack writes, or no other writer does."""
    found = record_of(world)
    lets_in = not world.policies.refuses(TARGET_ARN, APPLICATION)
    if found is not None:  # what it has not done is known to be open
        names = {each.partition(":")[0] for each in found.failed}
        assert names | set(found.done) == ITEMS
    if lets_in:
        assert found is not None
        assert world.ledger_settings()["closed"] == {"S": found.nonce}
        assert world.clock() >= found.closed_at + 150


def record_of(world: FakeAws) -> Promoted | None:
    with world.unwatched():
        row, _ = Process(world, pid=98).store.read("orders")
    assert row is not None
    return row.record(Promoted)


def ended(world: FakeAws, result: PromotionResult) -> None:
    found, settings = record_of(world), world.ledger_settings()
    assert found is not None
    assert result.open == () and result.takes_writes
    assert settings["closed"] == {"S": found.nonce}
    assert int(settings["primary"]["N"]) / 1e6 >= found.closed_at
    assert "armed" not in settings
    assert not world.policies.refuses(TARGET_ARN, APPLICATION)
    assert world.policies.refuses(TARGET_ARN, CONSUMER)
    assert world.mapping_enabled_at is None
    assert world.expiries["orders-replica"].attribute == "until"
    with world.unwatched():
        row, _ = Process(world, pid=98).store.read("orders")
    assert row is not None and row.state is State.PROMOTED
    attempt = row.record(Switching)
    assert attempt is not None and attempt.cancelled
    assert set(found.done) == ITEMS
    assert found.failed == ()


@pytest.mark.slow
@pytest.mark.parametrize("after_the_work", [False, True], ids=["before", "after"])
def test_killed_at_any_call_it_continues(after_the_work: bool) -> None:
    for number, name in enumerate(calls(), 1):
        world = sealed().copied()
        kill_from(world, world.calls + number, after_the_work)
        with pytest.raises(Killed):
            Promoter(world, pid=201).go()
        world.on_call = lambda number, name, after: None
        both_closed(world)
        first = record_of(world)
        result = Promoter(world, pid=202).go()
        ended(world, result)
        if first is not None:
            now = record_of(world)
            assert now is not None and now.nonce == first.nonce, f"at {name}, call {number}"


@pytest.mark.slow
def test_killed_elsewhere_the_next_machine_waits_for_the_lease_or_takes_it_over() -> None:
    world = sealed().copied()
    kill_from(world, world.calls + len(calls()) // 2, True)
    with pytest.raises(Killed):
        Promoter(world, pid=201, host="elsewhere").go()
    world.on_call = lambda number, name, after: None
    ended(world, Promoter(world, pid=202).go(take_over=True))


@pytest.mark.slow
def test_a_lost_answer_of_any_call_is_no_failure() -> None:
    """The call was carried out, or it was not: either way it is asked again."""
    for number, name in enumerate(calls(), 1):
        world = sealed().copied()
        at = world.calls + number

        def lose(call: int, name: str, after: bool, at: int = at) -> None:
            if (call, after) == (at, True):
                raise UnavailableError(Side.TARGET, f"{name}: no answer", fix="again", code="Lost")

        world.on_call = lose
        result = Promoter(world).go()
        world.on_call = lambda number, name, after: None
        ended(world, result)
        both_closed(world)
        assert name


def test_a_gate_whose_closing_was_asleep_counts_from_when_it_was_closed() -> None:
    world = sealed().copied()
    clock, woke = SuspendedClock(world.clock), list[float]()

    def sleep(number: int, name: str, after: bool) -> None:
        changed = "" if after or name != "UpdateItem" else world.seen[-1].detail["UpdateExpression"]
        if changed.startswith("SET #closed") and not woke:
            world.clock.advance(400)
            clock.slept += 400
            woke.append(world.clock())

    world.on_call = sleep
    Promoter(world, clock=clock).go()
    found = record_of(world)
    assert found is not None
    assert found.closed_at >= int(woke[0])
