"""Batches of a DynamoDB stream: order, reports, rows of what has ended, and 24 hours."""

from __future__ import annotations

import base64
import json

import pytest

from replicator.change import ORDER_ZERO, Version
from replicator.consumer.consumer import BatchFailedError
from replicator.consumer.writer import ABSENT, Attempt
from replicator.ended_rows import ended_key
from replicator.lane_rows import LaneRow, lane_key
from replicator.names import CHANGES_FOREIGN, ORDER_CONTRADICTED, QUARANTINE_REFUSED
from replicator.settings import ConfigurationError, ConsumerConfig
from tests.support.fakes import errors
from tests.support.replicator.consumer_harness import (
    LEDGER,
    START,
    FailWrites,
    change,
    document,
    event,
    failed,
    item,
)
from tests.support.replicator.environment import ENVIRONMENT
from tests.support.replicator.stream_events import (
    FIRST,
    LABEL,
    SECOND,
    arn,
    order,
    stream_event,
    stream_record,
)
from tests.support.replicator.stream_harness import BUFFER, StreamHarness

pytestmark = pytest.mark.promise("C1", "C3", "C4")


@pytest.fixture
def world() -> StreamHarness:
    return StreamHarness()


def test_the_highest_number_wins_within_one_second(world: StreamHarness) -> None:
    steps = [
        stream_record(None, item("a", 1)),
        stream_record(item("a", 1), item("a", 2)),
        stream_record(item("a", 2), item("a", 1)),
    ]
    assert world.deliver(*steps) is None
    assert world.value("a") == "1"
    assert world.deliver(*steps) is None
    assert world.value("a") == "1"
    assert world.quarantine() == {}


def test_a_late_duplicate_does_not_resurrect_a_deleted_item(world: StreamHarness) -> None:
    insert = stream_record(None, item("a"))
    world.deliver(insert, stream_record(item("a"), None))
    assert world.deliver(insert) is None
    assert world.target("a") is None


def test_the_row_of_the_last_record_says_that_all_before_it_has_ended(world: StreamHarness) -> None:
    world.settings(**BUFFER, armed={"S": "n1"})
    assert world.deliver(stream_record(None, item("a")), stream_record(None, item("b"))) is None
    assert world.ended(FIRST) is None
    row = world.ended(FIRST + 1)
    assert row is not None
    assert (row.order, row.armed, row.closed) == (order(FIRST + 1), "n1", None)
    stored = world.dynamodb.get_item(
        TableName=LEDGER, Key={"k": {"B": ended_key(row.order)}}, ConsistentRead=True
    )["Item"]
    assert int(stored["x"]["N"]) == row.at // 1_000_000 + 72 * 3600


def test_a_row_is_written_for_no_more_than_what_has_ended(world: StreamHarness) -> None:
    world.dynamodb.faults = FailWrites("b")
    records = [stream_record(None, item(key)) for key in ("a", "b", "c")]
    assert world.deliver(*records) == 1
    assert world.ended(FIRST) is not None
    assert world.ended(FIRST + 1) is None
    assert world.ended(FIRST + 2) is None


def test_a_record_counts_as_failed_until_its_row_is_written(world: StreamHarness) -> None:
    world.faults.fail(errors.access_denied("PutItem"), operation="PutItem", times=10_000)
    records = [stream_record(None, item("a")), stream_record(None, item("b"))]
    assert world.deliver(*records) == 1
    assert (world.value("a"), world.value("b")) == ("1", "1")


def test_a_ledger_of_the_other_buffer_is_refused_both_ways(world: StreamHarness) -> None:
    world.settings()  # a row that names no buffer is of a Kinesis stream
    assert world.deliver(stream_record(None, item("a"))) == 0
    assert "buffer kinesis" in world.output.getvalue()
    world.settings(**BUFFER)
    kinesis = world.container(buffer="kinesis")
    assert failed(kinesis.handle(event(document(None, item("a"))), 60_000)) == "1000"
    assert world.target("a") is None
    assert world.deliver(stream_record(None, item("a"))) is None


def test_an_event_of_the_other_buffer_fails_the_invocation(world: StreamHarness) -> None:
    with pytest.raises(BatchFailedError, match="DynamoDB stream"):
        world.consumer.handle(event(document(None, item("a"))), 60_000)


def test_an_unknown_buffer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="BUFFER"):
        ConsumerConfig.from_environment({**ENVIRONMENT, "BUFFER": "sqs"})
    assert ConsumerConfig.from_environment(ENVIRONMENT).buffer == "kinesis"
    there = {**ENVIRONMENT, "BUFFER": "streams"}
    assert ConsumerConfig.from_environment(there).buffer == "streams"


def test_a_lower_number_in_a_later_second_is_retried_and_counted(world: StreamHarness) -> None:
    world.deliver(stream_record(None, item("a", 1)), first=FIRST + 50)
    late = stream_record(item("a", 1), item("a", 2), SECOND + 1)
    assert world.deliver(late) == 0
    assert world.value("a") == "1"
    assert world.meter.last[ORDER_CONTRADICTED] == 1
    assert world.quarantine() == {}


def test_a_lower_number_in_a_later_second_is_kept_before_the_stream_forgets_it(
    world: StreamHarness,
) -> None:
    world.deliver(stream_record(None, item("a", 1)), first=FIRST + 50)
    world.clock.advance(12 * 3600 + 5)
    late = stream_record(item("a", 1), item("a", 2), SECOND + 1)
    assert world.deliver(late) is None
    assert world.reasons() == ["ambiguous-order"]
    assert world.value("a") == "1"


def test_a_burst_goes_to_quarantine_once_the_stream_is_about_to_forget_it(
    world: StreamHarness,
) -> None:
    burst = [stream_record(item(f"k{n}"), item(f"k{n}", 2), OldImage=None) for n in range(20)]
    assert world.deliver(*burst) == 0
    assert world.meter.last[QUARANTINE_REFUSED] == 20
    world.clock.advance(12 * 3600 - 60)
    assert world.deliver(*burst) == 0
    world.clock.advance(60)
    assert world.deliver(*burst) is None
    assert world.reasons() == ["missing-image"] * 20


def test_a_quarantined_record_is_whole_and_named_by_label_and_number(world: StreamHarness) -> None:
    bad = stream_record(item("a"), item("a", 2), OldImage=None)
    world.deliver(bad)
    ((key, kept),) = world.quarantine().items()
    assert key == f"open/missing-image/{LABEL}/{FIRST}-0.json"
    assert kept["buffer"] == "streams"
    assert json.loads(base64.b64decode(kept["data"])) == stream_event(bad)["Records"][0]


def test_a_record_is_parked_by_its_number_alone(world: StreamHarness) -> None:
    world.settings(**BUFFER, parks={"SS": [str(FIRST + 1)]})
    assert world.deliver(stream_record(None, item("a")), stream_record(None, item("b"))) is None
    assert world.reasons() == ["parked"]
    assert (world.value("a"), world.value("b")) == ("1", None)


def test_records_of_another_table_delay_nothing(world: StreamHarness) -> None:
    others = stream_record(None, item("a", 9), source=arn("others"))
    assert world.deliver(others, stream_record(None, item("a"))) is None
    assert world.value("a") == "1"
    assert world.meter.last[CHANGES_FOREIGN] == 1
    assert b"foreign:others" in world.rows()


def test_a_change_in_the_second_of_the_floor_is_not_taken_for_the_snapshots(
    world: StreamHarness,
) -> None:
    world.settings(**BUFFER, floor={"N": str(START + 500_000)})
    world.deliver(
        stream_record(None, item("a"), SECOND - 1), stream_record(None, item("b"), SECOND)
    )
    assert (world.value("a"), world.value("b")) == (None, "1")


def test_a_change_in_the_second_of_the_mark_is_noted_as_late(world: StreamHarness) -> None:
    world.settings(**BUFFER, armed={"S": "n1"}, mark={"N": str(START + 500_000)})
    world.deliver(stream_record(None, item("a"), SECOND - 1))
    assert not any(key.startswith(b"late:") for key in world.rows())
    world.deliver(stream_record(None, item("b"), SECOND), first=FIRST + 1)
    assert b"late:n1:" + LABEL.encode() in world.rows()


def test_the_stream_is_one_lane_of_its_label(world: StreamHarness) -> None:
    world.deliver(stream_record(None, item("a")), first=FIRST + 9)
    world.clock.advance(11)
    world.deliver(stream_record(None, item("b")), first=FIRST)  # another shard's
    stored = world.dynamodb.get_item(
        TableName=LEDGER, Key={"k": {"B": lane_key(LABEL)}}, ConsistentRead=True
    )["Item"]
    row = LaneRow.from_item(stored)
    assert (row.shard_id, row.sequence_number) == (LABEL, str(FIRST + 9))


def test_what_a_restored_item_contains_is_superseded_and_what_follows_it_applied(
    world: StreamHarness,
) -> None:
    restored = change(item("a", 2), item("a", 2))
    restored.version = Version(START + 5_500_000, "u", ORDER_ZERO)
    world.consumer.parts.writer.apply([Attempt(restored, ABSENT)], world.context())
    waiting = stream_record(None, item("a", 1), SECOND + 4)
    same = stream_record(item("a", 1), item("a", 2), SECOND + 5)
    after = stream_record(item("a", 2), item("a", 3), SECOND + 5)
    assert world.deliver(waiting) is None
    assert world.value("a") == "2"
    assert world.deliver(same, after, first=FIRST + 1) is None
    assert world.value("a") == "3"
    assert world.reasons() == ["ambiguous-order"]  # it follows in the same second: noted, applied
