"""Notes of the records of a stream that have not ended, and the age of what has."""

from __future__ import annotations

import pytest

from replicator.consumer.metrics import InvocationStats
from replicator.unended_row import FORGOTTEN_SECONDS, NOTED_SECONDS, UNENDED_KEY, created_in
from tests.support.fakes import errors
from tests.support.fakes.errors import Faults
from tests.support.replicator.consumer_harness import LEDGER, START, FailWrites, item
from tests.support.replicator.stream_events import FIRST, SECOND, order, stream_record
from tests.support.replicator.stream_harness import BUFFER, StreamHarness

pytestmark = pytest.mark.promise("C3", "C7", "C10")

RECORDS = [stream_record(None, item(key)) for key in ("a", "b", "c")]


@pytest.fixture
def world() -> StreamHarness:
    made = StreamHarness()
    made.clock.advance(2 * NOTED_SECONDS)
    return made


def noted(world: StreamHarness) -> dict[str, int]:
    found = world.dynamodb.get_item(
        TableName=LEDGER, Key={"k": {"B": UNENDED_KEY}}, ConsistentRead=True
    )
    return created_in(found.get("Item", {}))


def test_the_first_record_that_has_not_ended_is_noted_until_it_has(world: StreamHarness) -> None:
    world.dynamodb.faults = FailWrites("b")
    assert world.deliver(*RECORDS) == 1
    assert noted(world) == {order(FIRST + 1): SECOND}
    world.dynamodb.faults = Faults()
    assert world.deliver(*RECORDS[1:], first=FIRST + 1) is None
    assert noted(world) == {}


def test_the_notes_of_other_shards_stay(world: StreamHarness) -> None:
    world.dynamodb.faults = FailWrites("a")
    world.deliver(RECORDS[0], first=FIRST)
    world.deliver(RECORDS[0], first=FIRST + 50)
    assert len(noted(world)) == 2
    world.dynamodb.faults = Faults()
    world.deliver(RECORDS[0], first=FIRST + 50)
    assert noted(world) == {order(FIRST): SECOND}


def test_a_record_counts_as_failed_until_its_note_is_gone(world: StreamHarness) -> None:
    world.dynamodb.faults = FailWrites("a")
    assert world.deliver(*RECORDS) == 0
    world.dynamodb.faults = world.faults
    world.faults.fail(errors.access_denied("UpdateItem"), operation="UpdateItem", times=10_000)
    assert world.deliver(*RECORDS) == 0
    assert world.value("c") == "1"
    world.dynamodb.faults = Faults()
    assert world.deliver(*RECORDS) is None
    assert noted(world) == {}


def test_a_record_that_fails_within_its_first_minute_costs_no_note() -> None:
    world = StreamHarness()
    world.dynamodb.faults = FailWrites("a")
    assert world.deliver(stream_record(None, item("a"), world.clock.now_micros() // 10**6)) == 0
    assert noted(world) == {}


def test_a_note_of_a_record_that_the_stream_has_forgotten_is_dropped_in_the_end(
    world: StreamHarness,
) -> None:
    world.dynamodb.faults = FailWrites("a")
    world.deliver(RECORDS[0])
    world.dynamodb.faults = Faults()
    world.deliver(RECORDS[1], first=FIRST + 9)
    assert noted(world)
    world.clock.advance(FORGOTTEN_SECONDS)
    world.deliver(RECORDS[2], first=FIRST + 10)
    assert noted(world) == {}


@pytest.mark.parametrize("fails", [True, False])
def test_only_a_batch_that_ended_has_the_age_of_its_first_record(
    world: StreamHarness, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    kept: list[InvocationStats] = []
    monkeypatch.setattr(world.meter, "emit", kept.append)
    if fails:
        world.dynamodb.faults = FailWrites("b")
    young = world.clock.now_micros() // 10**6
    world.deliver(RECORDS[0], stream_record(None, item("b"), young))
    [stats] = kept
    if fails:
        assert stats.ended_age is None
    else:
        assert stats.ended_age == pytest.approx(world.clock.now_micros() / 1e6 - START / 1e6, abs=2)


def test_a_ledger_of_the_other_buffer_ends_nothing(
    world: StreamHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.settings(**{**BUFFER, "buffer": {"S": "kinesis"}})
    kept: list[InvocationStats] = []
    monkeypatch.setattr(world.meter, "emit", kept.append)
    assert world.deliver(*RECORDS) == 0
    assert kept[0].ended_age is None
