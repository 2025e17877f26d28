"""What a table's own stream left in quarantine is redriven directly, and only so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bootstrap.core.errors import UsageError
from bootstrap.quarantine.context import QuarantineContext
from bootstrap.quarantine.direct import DirectConsumer
from bootstrap.quarantine.parks import format_park_by_number
from bootstrap.quarantine.view import describe_object
from bootstrap.verify.quarantine_writer import NoteQuarantine
from replicator.change import Change, Version
from replicator.consumer.consumer import Consumer
from replicator.consumer.quarantine import QuarantineStore
from replicator.consumer.stream_records import record_order
from tests.support.bootstrap.quarantine_harness import FAILURES, OUTPUTS, QuarantineHarness
from tests.support.replicator.consumer_harness import (
    BUCKET,
    CONFIG,
    START,
    TABLE,
    change,
    failed,
    item,
)
from tests.support.replicator.stream_events import (
    FIRST,
    LABEL,
    SECOND,
    order,
    stream_event,
    stream_record,
)

pytestmark = pytest.mark.promise("C2", "C3")

STREAMS = {"buffer": {"S": "streams"}}


class StreamQuarantine(QuarantineHarness):
    def __init__(self) -> None:
        super().__init__()
        self.settings(**STREAMS)

    def container(self, **config: Any) -> Consumer:
        return super().container(**{"buffer": "streams", **config})

    def quarantine_context(self) -> QuarantineContext:
        config = replace(CONFIG, buffer="streams")
        return replace(
            super().quarantine_context(),
            table=replace(OUTPUTS, buffer="streams", stream_name="", stream_arn=""),
            consumer=lambda: DirectConsumer(
                config, dynamodb=self.dynamodb, s3=self.s3, runtime=self.runtime
            ),
        )

    def receive(self, *records: dict[str, Any], first: int = FIRST) -> None:
        assert failed(self.consumer.handle(stream_event(*records, first=first), 60_000)) is None

    def notes(self) -> NoteQuarantine:
        store = QuarantineStore(self.s3, BUCKET, "test", TABLE, 30, self.runtime, buffer="streams")
        return NoteQuarantine(store, TABLE, self.runtime)


@pytest.fixture
def world() -> StreamQuarantine:
    return StreamQuarantine()


def park(world: StreamQuarantine, *numbers: int) -> None:
    world.settings(**STREAMS, parks={"SS": [str(number) for number in numbers]})


def test_a_redrive_through_the_stream_is_refused_with_the_way_that_works(
    world: StreamQuarantine,
) -> None:
    park(world, FIRST)
    world.receive(stream_record(None, item("a")))
    with pytest.raises(UsageError, match="its own stream") as refused:
        world.redrive()
    assert "quarantine redrive --all --direct" in refused.value.fix
    assert len(world.open()) == 1


def test_a_parked_record_is_applied_directly(world: StreamQuarantine) -> None:
    park(world, FIRST)
    world.receive(stream_record(None, item("a", blob={"B": b"\x00\xff"})))
    rows = world.rows()
    outcome = world.redrive(direct=True)
    assert [how for _, how in outcome.ended] == ["1 applied"]
    assert world.target("a") == item("a", blob={"B": b"\x00\xff"})
    assert not world.open()
    # It says nothing about the records before it in its shard.
    new = set(world.rows()) - set(rows)
    assert not any(row.startswith((b"ended:", b"lane:")) for row in new)


def test_a_redriven_record_that_is_old_is_superseded(world: StreamQuarantine) -> None:
    park(world, FIRST)
    world.receive(stream_record(None, item("a", 1)), stream_record(item("a", 1), item("a", 2)))
    outcome = world.redrive(direct=True)
    assert [how for _, how in outcome.ended] == ["1 superseded"]
    assert world.value("a") == "2"


def test_an_event_that_lambda_could_not_deliver_is_applied_directly(
    world: StreamQuarantine,
) -> None:
    event = stream_event(stream_record(None, item("a")), stream_record(None, item("b")))
    body = {
        "requestContext": {"condition": "RetryAttemptsExhausted"},
        "DDBStreamBatchInfo": {"shardId": "shardId-1", "batchSize": 2},
        "payload": json.dumps(event),
    }
    name = "aws/lambda/uuid/shardId-1/2026/01/01/2026-01-01T00.00.00-x"
    world.s3.put_object(Bucket=FAILURES, Key=name, Body=json.dumps(body))
    (stored,) = world.kept()
    content = world.quarantine_context().store.content(stored)
    assert content is not None
    shown = describe_object(TABLE, stored, content, values=False)
    assert (shown["shardId"], shown["batchSize"]) == ("shardId-1", 2)
    assert [each["says"][0]["order"] for each in shown["records"]] == [
        order(FIRST),
        order(FIRST + 1),
    ]
    world.redrive(direct=True)
    assert (world.value("a"), world.value("b")) == ("1", "1")


def restored(second: float, kept: str) -> Change:
    made = change(item("a", 1), item("a", 2, blob={"B": b"\x01"}))
    made.version = Version(int(second * 1e6), "u", kept)
    return made


def test_a_backfills_note_is_read_as_it_was_made(world: StreamQuarantine) -> None:
    made = restored(SECOND + 0.5, order(FIRST))
    assert world.notes().ambiguous(made, "export-0", 7)
    (stored,) = world.kept()
    content = world.quarantine_context().store.content(stored)
    assert content is not None
    (read,) = content.contents(TABLE)
    assert isinstance(read, Change)
    assert (read.keys, read.old, read.new) == (made.keys, made.old, made.new)
    assert read.version == made.version


def test_a_backfills_note_stays_open_until_a_later_change_settles_it(
    world: StreamQuarantine,
) -> None:
    world.receive(stream_record(None, item("a", 5)))
    assert world.notes().ambiguous(restored(START / 1e6 + 0.5, order(FIRST)), "export-0", 7)
    (left,) = world.redrive(direct=True).left
    assert "which of the two came last" in left.why
    world.receive(stream_record(item("a", 5), item("a", 6), SECOND + 9), first=FIRST + 1)
    outcome = world.redrive(direct=True)
    assert [how for _, how in outcome.ended] == [
        "superseded: a later change of the key has been applied"
    ]
    assert world.value("a") == "6"


def test_the_label_and_the_number_of_a_record_give_its_place(world: StreamQuarantine) -> None:
    park(world, FIRST)
    world.receive(stream_record(None, item("a")))
    (stored,) = world.kept()
    content = world.quarantine_context().store.content(stored)
    assert content is not None
    assert (stored.shard, record_order(content.records[0])) == (LABEL, order(FIRST))


@pytest.mark.parametrize("bad", ["", "1", "a" * 30, "1" * 41, "\uff11" * 30])
def test_a_park_of_a_number_that_no_stream_has_is_refused(bad: str) -> None:
    with pytest.raises(UsageError, match="21 to 40 digits"):
        format_park_by_number(bad)
    assert format_park_by_number(str(FIRST)) == str(FIRST)
