"""The consumer's controls from outside: floor and parks, and the probes it answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fakes import errors
from tests.support.fakes.errors import Call, Faults
from tests.support.replicator.consumer_harness import (
    LEDGER,
    SHARD,
    START,
    ConsumerHarness,
    FailWrites,
    Watch,
    aggregate,
    document,
    item,
    probe,
    spread,
)

pytestmark = pytest.mark.promise("C2", "C3")


@pytest.fixture
def world() -> ConsumerHarness:
    return ConsumerHarness()


# Floor and parks.


def test_what_is_older_than_the_floor_is_in_the_snapshot_already(world: ConsumerHarness) -> None:
    world.settings(floor={"N": str(START)})
    watch = Watch(world.dynamodb)
    assert world.handle(document(None, item("old"), START - 1)) is None
    assert "TransactWriteItems" not in watch.operations
    assert world.meter.last == {"ChangesReceived": 1, "ChangesSuperseded": 1}
    world.handle(document(None, item("new"), START))
    assert world.value("new") == "1"


def test_a_parked_record_is_kept_without_being_decoded(
    world: ConsumerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.settings(parks={"SS": [f"{SHARD}:1001", "shardId-000000000009:1000"]})
    killer = aggregate(document(None, item("killer")))
    from replicator.consumer import kinesis_records

    for name in ("user_records", "content"):
        original = getattr(kinesis_records, name)

        def guarded(record: Any, *more: Any, original: Any = original) -> Any:
            assert record.sequence_number != "1001"
            return original(record, *more)

        monkeypatch.setattr(kinesis_records, name, guarded)
    assert world.handle(document(None, item("a")), killer) is None
    assert list(world.quarantine()) == [f"open/parked/{SHARD}/1001-0.json"]
    assert world.value("a") == "1"


def test_parked_records_do_not_trip_the_breaker(world: ConsumerHarness) -> None:
    world.settings(parks={"SS": [f"{SHARD}:{n}" for n in range(1000, 1020)]})
    assert world.handle(*spread([1] * 20)) is None
    assert len(world.quarantine()) == 20


def test_settings_are_not_older_than_thirty_seconds(world: ConsumerHarness) -> None:
    world.handle(document(None, item("a")))
    world.settings(parks={"SS": [f"{SHARD}:1000"]})
    world.handle(document(None, item("b")))
    assert world.reasons() == ["parked"]


def test_settings_age_while_the_container_is_frozen(
    world: ConsumerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate or a park is not missed by a container whose monotonic clock stood still."""
    world.handle(document(None, item("a")))
    stood_still = world.clock.monotonic()
    world.settings(parks={"SS": [f"{SHARD}:1000"]})
    monkeypatch.setattr(world.clock, "monotonic", lambda: stood_still)
    world.handle(document(None, item("b")))
    assert world.reasons() == ["parked"]


def test_settings_age_from_when_they_were_asked_for(world: ConsumerHarness) -> None:
    class Slow(Faults):
        def after(self, call: Call) -> None:
            if call.operation == "GetItem" and call.request["TableName"] == LEDGER:
                world.clock.advance(5)

    world.dynamodb.faults = Slow()
    world.handle(document(None, item("a")))
    world.dynamodb.faults = Faults()
    row = {"k": {"B": b"settings"}, "parks": {"SS": [f"{SHARD}:1000"]}}
    world.dynamodb.put_item(TableName=LEDGER, Item=row)
    world.clock.advance(26)
    world.handle(document(None, item("b")))
    assert world.reasons() == ["parked"]


@pytest.mark.parametrize("row", [{"floor": {"S": "yesterday"}}, {"parks": {"S": "x"}}])
def test_settings_that_cannot_be_understood_stop_the_lane(world: ConsumerHarness, row: Any) -> None:
    world.settings(**row)
    assert world.handle(*spread([1]), millis=20_000) == "1000"
    assert world.value("k0") is None


def test_while_settings_cannot_be_read_nothing_is_applied(world: ConsumerHarness) -> None:
    world.handle(*spread([1]))
    world.clock.advance(31)
    world.faults.fail(errors.access_denied("GetItem"), operation="GetItem", times=1_000)
    assert world.handle(*spread([1, 2]), first=3000, millis=20_000) == "3000"
    world.dynamodb.faults = Faults()
    assert world.value("k1") is None


def test_entries_expire_once_the_settings_say_so(world: ConsumerHarness) -> None:
    world.handle(document(None, item("a")), arrival=START / 1e6)
    world.settings(expire={"BOOL": True})
    world.handle(document(None, item("b")), arrival=START / 1e6)
    rows = world.dynamodb.scan(TableName=LEDGER)["Items"]
    assert sum("x" in row for row in rows if len(row["k"]["B"]) == 16) == 1


# Probes.


def test_a_probe_is_answered_when_everything_before_it_has_ended(world: ConsumerHarness) -> None:
    assert world.handle(document(None, item("a")), b"garbage", probe(3), first=1000) is None
    (row,) = [row for row in world.rows() if row.startswith(b"probe:")]
    assert row == b"probe:probe-1:3"
    found = world.dynamodb.get_item(TableName=LEDGER, Key={"k": {"B": row}})["Item"]
    assert found["at"] == {"N": str(world.clock.now_micros())}
    assert found["x"] == {"N": str(world.clock.now_micros() // 1_000_000 + 86_400)}


def test_a_probe_is_written_after_the_changes_before_it(world: ConsumerHarness) -> None:
    watch = Watch(world.dynamodb, world.s3)
    world.handle(*spread([1]), b"garbage", probe())
    assert watch.operations[-1] == "PutItem"


@pytest.mark.parametrize("broken", ["write", "quarantine"])
def test_a_probe_is_not_answered_while_a_record_before_it_has_not_ended(
    world: ConsumerHarness, broken: str
) -> None:
    before = {
        "write": document(None, item("bad")),
        "quarantine": b"garbage",
    }[broken]
    if broken == "quarantine":
        world.s3_faults.fail(errors.access_denied("PutObject"), times=1_000)
    world.dynamodb.faults = FailWrites("bad")
    assert world.handle(probe(1), before, probe(2), millis=20_000) == "1001"
    assert [row for row in world.rows() if b"probe" in row] == [b"probe:probe-1:1"]


def test_a_probe_is_answered_though_a_record_after_it_fails(world: ConsumerHarness) -> None:
    world.dynamodb.faults = FailWrites("bad")
    assert world.handle(probe(), document(None, item("bad")), millis=20_000) == "1001"
    assert b"probe:probe-1:0" in world.rows()


def test_a_probe_whose_row_cannot_be_written_comes_again(world: ConsumerHarness) -> None:
    world.faults.fail(errors.throttled("PutItem"), operation="PutItem", times=1_000)
    assert world.handle(*spread([1]), probe(), probe(1), millis=20_000) == "1001"


def test_every_number_of_a_probe_has_its_own_row(world: ConsumerHarness) -> None:
    assert world.handle(*(probe(n) for n in range(128))) is None
    assert len([row for row in world.rows() if b"probe" in row]) == 128


def test_probes_are_not_changes(world: ConsumerHarness) -> None:
    world.handle(probe())
    assert world.meter.last == {}


def test_a_probe_of_another_table_is_not_answered(world: ConsumerHarness) -> None:
    assert world.handle(probe(table="invoices")) is None
    assert not [row for row in world.rows() if row.startswith(b"probe")]
