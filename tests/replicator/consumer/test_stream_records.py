"""What a DynamoDB stream's mapping delivers becomes a change, or is kept with its reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from replicator.change import Change, Version
from replicator.consumer import stream_records
from replicator.consumer.decode import Content, EnvelopeError, Foreign, Unusable
from replicator.consumer.outcome import Reason
from tests.support.replicator.consumer_harness import TABLE, document, event, item
from tests.support.replicator.stream_events import (
    FIRST,
    LABEL,
    SECOND,
    arn,
    order,
    stream_event,
    stream_record,
)

pytestmark = pytest.mark.promise("C3", "C4")


def read(record: dict[str, Any]) -> Content:
    (found,) = stream_records.envelope(stream_event(record))
    return stream_records.content(found, TABLE)


def reason(record: dict[str, Any]) -> Reason:
    found = read(record)
    assert isinstance(found, Unusable), found
    return found.reason


AWS_SAMPLE = """
{"Records":[{"eventID":"1","eventVersion":"1.0","dynamodb":{
"ApproximateCreationDateTime": 1479499740,
"Keys":{"Id":{"N":"101"}},"NewImage":{"Message":{"S":"New item!"},"Id":{"N":"101"}},
"StreamViewType":"NEW_AND_OLD_IMAGES","SequenceNumber":"111","SizeBytes":26},
"awsRegion":"us-west-2","eventName":"INSERT",
"eventSourceARN":"arn:aws:dynamodb:us-east-1:111122223333:table/EventSourceTable/stream/2015-06-27T00:48:05.899",
"eventSource":"aws:dynamodb"}]}
"""
"""The record of the guide's example, with a real stream's label and a time."""


def test_the_sample_of_the_developer_guide_is_read() -> None:
    (record,) = stream_records.envelope(json.loads(AWS_SAMPLE))
    change = stream_records.content(record, "EventSourceTable")
    assert isinstance(change, Change)
    assert change.new == {"Message": {"S": "New item!"}, "Id": {"N": "101"}}
    assert change.old is None
    label = "2015-06-27T00:48:05.899"
    assert change.version == Version(1_479_499_740_000_000, "s", f"{label}#{'111':0>40}")
    assert record.arrival == 1_479_499_740


@pytest.mark.parametrize(
    ("old", "new"), [(None, item("a")), (item("a"), item("a", 2)), (item("a"), None)]
)
def test_inserts_updates_and_deletes_carry_both_images_and_their_number(old: Any, new: Any) -> None:
    change = read(stream_record(old, new))
    assert isinstance(change, Change)
    assert (change.old, change.new, change.keys) == (old, new, {"pk": {"S": "a"}})
    assert change.version == Version(SECOND * 1_000_000, "s", order(FIRST))
    assert not change.expired


def test_binary_is_decoded_once_at_every_depth() -> None:
    image = {
        "pk": {"B": b"key"},
        "top": {"B": b"\x00\xff"},
        "set": {"BS": [b"1", b"2"]},
        "deep": {"L": [{"M": {"x": {"B": b"deep"}}}]},
    }
    change = read(stream_record(None, image))
    assert isinstance(change, Change)
    assert change.new == image
    assert change.keys == {"pk": {"B": b"key"}}


def test_binary_that_is_not_base64_is_kept_whole() -> None:
    record = stream_record(None, item("a", b={"B": b"x"}))
    record["dynamodb"]["NewImage"]["b"] = {"B": "not base64"}
    assert reason(record) is Reason.BINARY


def test_an_expiry_by_time_to_live_is_told_from_other_deletions() -> None:
    change = read(stream_record(item("a"), None, expired=True))
    assert isinstance(change, Change)
    assert change.expired


@pytest.mark.parametrize("moment", [None, "1", 0, -1, 1.5, True, SECOND * 1000, SECOND * 1_000_000])
def test_a_time_that_is_no_second_is_refused(moment: Any) -> None:
    record = stream_record(None, item("a"))
    record["dynamodb"]["ApproximateCreationDateTime"] = moment
    assert reason(record) is Reason.NOT_A_CHANGE


def test_a_stream_of_another_view_lacks_images() -> None:
    record = stream_record(item("a"), item("a", 2))
    del record["dynamodb"]["OldImage"]
    assert reason(record) is Reason.MISSING_IMAGE


def test_a_record_of_another_table_is_foreign() -> None:
    assert read(stream_record(None, item("a"), source=arn("others"))) == Foreign("others")


def test_half_a_character_is_kept_whole() -> None:
    record = stream_record(None, item("a", half={"S": "\ud83d"}))
    assert reason(record) is Reason.UNREADABLE


def test_a_record_of_a_later_stream_comes_after_all_of_an_earlier_one() -> None:
    later = read(stream_record(None, item("a"), source=arn(label="2026-02-01T00:00:00.000")))
    assert isinstance(later, Change)
    assert later.version.order > order(10**39)


@pytest.mark.parametrize(
    "bad",
    [
        None,
        {},
        {"Records": [{}]},
        event(document(None, item("a"))),
        {"Records": [stream_record(None, item("a"))]},  # without a number
        stream_event(stream_record(None, item("a")), first=10**40),
        stream_event(stream_record(None, item("a"), source="arn:aws:dynamodb:x")),
        stream_event(stream_record(None, item("a"), source=arn(label="x"))),
    ],
)
def test_an_event_of_anything_else_is_refused(bad: Any) -> None:
    with pytest.raises(EnvelopeError):
        stream_records.envelope(bad)


def test_a_batch_of_one_is_named_without_being_read() -> None:
    assert stream_records.single(stream_event(stream_record(None, item("a")))) == (
        LABEL,
        str(FIRST),
    )
    assert stream_records.single({"Records": []}) is None
