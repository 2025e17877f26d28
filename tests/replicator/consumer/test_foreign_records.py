"""Records of another table in this table's stream: counted and shown, never in the way of ours."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.foreign_rows import INDEX_KEY, foreign_key
from tests.support.fakes import errors
from tests.support.replicator.consumer_harness import (
    LEDGER,
    SHARD,
    ConsumerHarness,
    aggregate,
    document,
    item,
    probe,
)


@pytest.fixture
def world() -> ConsumerHarness:
    return ConsumerHarness()


def foreign(name: str = "x", table: str = "invoices") -> dict[str, Any]:
    return document(None, item(name), table=table)


def row(world: ConsumerHarness, table: str = "invoices") -> dict[str, Any] | None:
    found: dict[str, Any] | None = world.dynamodb.get_item(
        TableName=LEDGER, Key={"k": {"B": foreign_key(table)}}, ConsistentRead=True
    ).get("Item")
    return found


def indexed(world: ConsumerHarness) -> set[str]:
    found = world.dynamodb.get_item(TableName=LEDGER, Key={"k": {"B": INDEX_KEY}})
    return set(found.get("Item", {"tables": {"SS": []}})["tables"]["SS"])


MIXES: dict[str, tuple[Any, ...]] = {
    "first": (foreign(), document(None, item("a"))),
    "last": (document(None, item("a")), foreign()),
    "around": (*[foreign()] * 40, document(None, item("a")), *[foreign()] * 40),
    "in one aggregate": (aggregate(foreign(), document(None, item("a")), foreign()),),
    "aggregated apart": (aggregate(foreign(), foreign()), document(None, item("a"))),
    "of several tables": (foreign(), foreign(table="audit"), document(None, item("a"))),
    "a probe of another stack": (probe(table="invoices"), document(None, item("a"))),
    "of another format": ({"tableName": "invoices"}, document(None, item("a"))),
    "with half a character": (
        document(None, item("x", note={"S": "\ud800"}), table="invoices"),
        document(None, item("a")),
    ),
}


@pytest.mark.parametrize("documents", MIXES.values(), ids=MIXES)
def test_a_foreign_record_is_neither_applied_nor_retried_nor_quarantined(
    world: ConsumerHarness, documents: tuple[Any, ...]
) -> None:
    assert world.handle(*documents) is None
    assert world.value("a") == "1"
    assert world.target("x") is None
    assert world.quarantine() == {}
    assert world.meter.last["ChangesApplied"] == 1


def test_foreign_records_are_counted_apart_from_changes(world: ConsumerHarness) -> None:
    assert (
        world.handle(foreign(), aggregate(foreign(), foreign()), document(None, item("a"))) is None
    )
    assert world.meter.last == {"ChangesReceived": 1, "ChangesApplied": 1, "ChangesForeign": 3}


def test_whole_batches_of_foreign_records_end_at_once(world: ConsumerHarness) -> None:
    for first in (1000, 2000, 3000):
        assert world.handle(*[foreign()] * 100, first=first) is None
    assert world.handle(document(None, item("a")), first=4000) is None
    assert world.value("a") == "1"


def test_foreign_records_do_not_hide_a_burst_of_bad_ones(world: ConsumerHarness) -> None:
    bad = [b"garbage %d" % n for n in range(11)]
    assert world.handle(*bad, *[foreign()] * 1000) == "1000"
    assert world.quarantine() == {}


def test_the_log_names_table_shard_and_sequence_number_once_an_invocation(
    world: ConsumerHarness,
) -> None:
    world.handle(document(None, item("a")), *[foreign()] * 20, first=7000)
    [entry] = [entry for entry in world.log if getattr(entry, "foreignTable", "") == "invoices"]
    assert (entry.shardId, entry.sequenceNumber, entry.records) == (SHARD, "7001", 20)


def test_a_row_names_the_other_table_with_count_time_and_shard(world: ConsumerHarness) -> None:
    world.handle(foreign(), foreign(), first=7000)
    found = row(world)
    assert found is not None
    assert found["n"] == {"N": "2"}
    assert found["at"] == {"N": str(world.clock.now_micros())}
    assert (found["shard"], found["sequence"]) == ({"S": SHARD}, {"S": "7001"})
    assert indexed(world) == {"invoices"}


def test_the_row_is_written_at_most_every_ten_seconds(world: ConsumerHarness) -> None:
    writes: list[bytes] = []
    put = world.dynamodb.put_item

    def put_item(**request: Any) -> Any:
        writes.append(bytes(request["Item"]["k"]["B"]))
        return put(**request)

    world.dynamodb.put_item = put_item  # type: ignore[method-assign]
    for n in range(30):
        world.handle(foreign(), first=1000 + n)
        world.clock.advance(1)
    assert writes.count(foreign_key("invoices")) == 3
    assert writes.count(INDEX_KEY) == 1
    world.clock.advance(10)
    world.handle(document(None, item("a")), first=5000)
    found = row(world)
    assert found is not None and found["n"] == {"N": "30"}, "what was held back is written later"


def test_two_containers_add_to_one_count(world: ConsumerHarness) -> None:
    world.handle(foreign(), first=1000)
    world.consumer = world.container()
    world.handle(foreign(), foreign(table="audit"), first=2000)
    found = row(world)
    assert found is not None and found["n"] == {"N": "2"}
    assert indexed(world) == {"invoices", "audit"}


def test_a_row_that_cannot_be_written_delays_nothing_and_is_not_forgotten(
    world: ConsumerHarness,
) -> None:
    world.faults.fail(errors.access_denied("PutItem"), operation="PutItem", times=3)
    begun = world.clock.monotonic()
    assert world.handle(foreign(), document(None, item("a"))) is None
    assert world.value("a") == "1"
    assert world.clock.monotonic() - begun < 2
    assert row(world) is None
    world.clock.advance(10)
    assert world.handle(document(None, item("b")), first=2000) is None
    found = row(world)
    assert found is not None and found["n"] == {"N": "1"}


def test_many_tables_at_once_are_written_a_few_an_invocation(world: ConsumerHarness) -> None:
    tables = [f"table-{n:02d}" for n in range(25)]
    for turn in range(3):
        assert (
            world.handle(*[foreign(table=each) for each in tables], first=1000 * turn + 1) is None
        )
    assert indexed(world) == set(tables)


def test_a_record_without_a_table_name_is_unreadable_not_foreign(world: ConsumerHarness) -> None:
    nameless = foreign()
    del nameless["tableName"]
    assert world.handle(nameless) is None
    assert world.reasons() == ["not-a-change"]
    assert row(world) is None


def test_a_probe_behind_foreign_records_is_answered(world: ConsumerHarness) -> None:
    assert world.handle(foreign(), probe(), foreign()) is None
    assert b"probe:probe-1:0" in world.rows()


@pytest.mark.parametrize("documents", MIXES.values(), ids=MIXES)
def test_foreign_records_of_an_adopted_stream_are_only_counted(
    world: ConsumerHarness, documents: tuple[Any, ...]
) -> None:
    world.consumer = world.container(adopted_stream=True)
    assert world.handle(*[foreign()] * 400, *documents) is None
    assert world.value("a") == "1"
    assert world.target("x") is None
    assert world.quarantine() == {}
    assert world.meter.last["ChangesForeign"] > 400
    assert world.meter.last["ChangesReceived"] == 1
    assert indexed(world) == set()
    assert row(world) is None
    assert not [each for each in world.log if "another table" in each.getMessage()]
