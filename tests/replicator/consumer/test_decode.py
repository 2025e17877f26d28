"""Everything that arrives becomes a change, a probe, or something that is kept with its reason."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.change import Change, Probe, Version
from replicator.consumer import decode, kinesis_records
from replicator.consumer.decode import EnvelopeError, Foreign, Record, Unusable
from replicator.consumer.outcome import Reason
from tests.support.replicator.consumer_harness import (
    SHARD,
    START,
    TABLE,
    aggregate,
    as_bytes,
    document,
    event,
    item,
)

pytestmark = pytest.mark.promise("C3", "C4")

RECORD = Record(SHARD, "1000", 0, "p", START / 1e6, False, b"")


def read(value: Any) -> decode.Content:
    return kinesis_records.content(replace(RECORD, data=as_bytes(value)), TABLE)


def read_change(value: Any) -> Change:
    found = read(value)
    assert isinstance(found, Change), found
    return found


def reason(value: Any) -> Reason:
    found = read(value)
    assert isinstance(found, Unusable), found
    return found.reason


def twice(data: bytes) -> str:
    return base64.b64encode(base64.b64encode(data)).decode()


@pytest.mark.parametrize(
    ("old", "new"), [(None, item("a")), (item("a"), item("a", 2)), (item("a"), None)]
)
def test_inserts_updates_and_deletes_carry_both_images(old: Any, new: Any) -> None:
    change = read_change(document(old, new))
    assert (change.old, change.new, change.keys) == (old, new, {"pk": {"S": "a"}})
    assert change.version == Version(START, "u")


def test_an_expiry_by_time_to_live_is_a_delete() -> None:
    expiry = document(item("a"), None)
    expiry["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert read_change(expiry).new is None


def test_without_a_precision_time_is_in_milliseconds() -> None:
    assert read_change(document(None, item("a"), START + 999, precision=None)).version == Version(
        START, "m"
    )
    said = document(None, item("a"), precision=None)
    said["dynamodb"]["ApproximateCreationDateTimePrecision"] = "MILLISECOND"
    assert read_change(said).version == Version(START, "m")


def test_a_real_capture_of_aws_is_read() -> None:
    capture = (
        '{"awsRegion":"us-east-2","eventID":"f89436e0-627d-4d37-9879-42f86249aa83",'
        '"eventName":"INSERT","userIdentity":null,"recordFormat":"application/json",'
        '"tableName":"orders","dynamodb":{"ApproximateCreationDateTime":1721011165891550,'
        '"Keys":{"d":{"S":"2024-01-23"},"n":{"B":"RWdJSWV3PT0="}},"NewImage":'
        '{"a":{"S":" \\"TZX\\""},"d":{"S":"2024-01-23"},"n":{"B":"RWdJSWV3PT0="}},"SizeBytes":137,'
        '"ApproximateCreationDateTimePrecision":"MICROSECOND"},"eventSource":"aws:dynamodb"}'
    )
    change = read_change(capture.encode())
    assert change.new == {
        "a": {"S": ' "TZX"'},
        "d": {"S": "2024-01-23"},
        "n": {"B": b"\x12\x02\x08\x7b"},
    }
    assert change.keys["n"] == {"B": b"\x12\x02\x08\x7b"}


def test_binary_is_decoded_twice_at_every_depth_and_in_sets_and_keys() -> None:
    raw = {
        "pk": {"B": twice(b"key")},
        "top": {"B": twice(b"\x00\xff")},
        "empty": {"B": ""},
        "set": {"BS": [twice(b"1"), twice(b"2")]},
        "deep": {"L": [{"M": {"x": {"L": [{"B": twice(b"deep")}, {"BS": [twice(b"3")]}]}}}]},
    }
    change = read_change(document(None, raw))
    assert change.keys == {"pk": {"B": b"key"}}
    assert change.new == {
        "pk": {"B": b"key"},
        "top": {"B": b"\x00\xff"},
        "empty": {"B": b""},
        "set": {"BS": [b"1", b"2"]},
        "deep": {"L": [{"M": {"x": {"L": [{"B": b"deep"}, {"BS": [b"3"]}]}}}]},
    }


@pytest.mark.parametrize(
    "bad",
    [
        base64.b64encode(b"\x00\x01\x02").decode(),  # encoded once
        "not base64",
        twice(b"ok") + "=",
        twice(b"ok")[:-1],
        twice(b"ok") + "\n",
        " " + twice(b"ok"),
        base64.urlsafe_b64encode(base64.urlsafe_b64encode(b"\xfb\xff\xfe") + b"-_").decode(),
        7,
        None,
    ],
)
@pytest.mark.parametrize("place", ["top", "nested", "set", "key", "old"])
def test_binary_that_is_not_base64_twice_is_never_passed_on(bad: Any, place: str) -> None:
    good = item("a")
    images = {
        "top": (None, item("a", b={"B": bad})),
        "nested": (None, item("a", b={"M": {"c": {"L": [{"B": bad}]}}})),
        "set": (None, item("a", b={"BS": [twice(b"x"), bad]})),
        "key": (None, {"pk": {"B": bad}}),
        "old": (item("a", b={"B": bad}), good),
    }
    found = reason(document(*images[place]))
    not_text = place == "set" and not isinstance(bad, str)
    assert found is (Reason.NOT_A_CHANGE if not_text else Reason.BINARY)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"\xff\xfe{}",
        as_bytes(document(None, item("a")))[:-20],
        b"[" * 100_000,
        b'{"n": ' + b"9" * 5_000 + b"}",
        b"\xf3\x89\x9a\xc2 not an aggregate, but long enough to be one",
    ],
)
def test_what_cannot_be_read_is_unreadable(data: bytes) -> None:
    assert reason(data) is Reason.UNREADABLE


def without(name: str, old: Any, new: Any) -> dict[str, Any]:
    made = document(old, new)
    del made["dynamodb"][name]
    return made


@pytest.mark.parametrize(
    "made",
    [
        without("NewImage", None, item("a")),
        without("OldImage", item("a"), None),
        without("OldImage", item("a"), item("a", 2)),
        without("NewImage", item("a"), item("a", 2)),
        document(None, item("a"), NewImage=None),
    ],
)
def test_a_missing_image_is_told_apart(made: Any) -> None:
    assert reason(made) is Reason.MISSING_IMAGE


NOT_CHANGES: list[Any] = [
    b"null",
    b"[]",
    b'"text"',
    {},
    {"tableName": TABLE},
    {"tableName": 7, "dynamodb": {}, "eventName": "INSERT"},
    {"tableName": TABLE, "eventName": "INSERT", "dynamodb": []},
    {"tableName": TABLE, "probe": "", "n": 1},
    {"tableName": TABLE, "probe": "p", "n": "1"},
    {"tableName": TABLE, "probe": "p"},
    {"tableName": TABLE, "probe": "p" * 201, "n": 1},
    {"tableName": TABLE, "probe": "é", "n": 1},
    {"tableName": TABLE, "probe": "p", "n": 2**31},
    document(None, item("a")) | {"eventName": "TRUNCATE"},
    document(None, item("a")) | {"eventName": None},
    document(None, item("a"), Keys=None),
    document(None, item("a"), Keys={}),
    document(None, item("a"), Keys={"pk": {"BOOL": True}}),
    document(None, item("a"), Keys={"pk": {"S": "b"}}),
    document(None, item("a"), Keys={"other": {"S": "a"}}),
    document(item("b"), item("a"), Keys={"pk": {"S": "a"}}),
    document(None, item("a"), OldImage=item("a")),
    document(None, item("a"), NewImage=[]),
    document(None, item("a"), ApproximateCreationDateTime=None),
    document(None, item("a"), ApproximateCreationDateTime=1.5),
    document(None, item("a"), ApproximateCreationDateTime=True),
    document(None, item("a"), ApproximateCreationDateTime=0),
    document(None, item("a"), ApproximateCreationDateTime=str(START)),
    document(None, item("a"), ApproximateCreationDateTimePrecision="NANOSECOND"),
    document(None, item("a"), ApproximateCreationDateTimePrecision=None),  # microseconds as milli
    document(None, item("a"), ApproximateCreationDateTime=START // 1000),  # milli as microseconds
    document(None, item("a"), ApproximateCreationDateTime=START + 3_600_000_001),  # not yet made
    document(None, item("a"), table="no table's name"),
    document(None, item("a"), table="t" * 256),
    {"probe": "p", "tableName": "no table's name", "n": 1},
    *(
        document(None, item("a", b=bad))
        for bad in [
            {"S": 1},
            {"N": 1},
            {"S": None},
            {"BOOL": "true"},
            {"NULL": False},
            {"X": "1"},
            {},
            {"S": "1", "N": "1"},
            "text",
            None,
            {"M": []},
            {"L": {}},
            {"L": ["text"]},
            {"L": [{"S": 1}]},
            {"SS": "a"},
            {"SS": [1]},
            {"NS": [1]},
        ]
    ),
]


def test_seconds_that_are_taken_for_milliseconds_are_no_change() -> None:
    seconds = document(
        None,
        item("a"),
        ApproximateCreationDateTime=START // 1_000_000,
        ApproximateCreationDateTimePrecision="MILLISECOND",
    )
    assert reason(seconds) is Reason.NOT_A_CHANGE


def test_a_clock_that_is_minutes_off_makes_no_change_unreadable() -> None:
    ahead = document(None, item("a"), ApproximateCreationDateTime=START + 600_000_000)
    assert read_change(ahead).version.micros == START + 600_000_000


@pytest.mark.parametrize("value", NOT_CHANGES, ids=range(len(NOT_CHANGES)))
def test_json_that_is_no_change_is_kept_as_such(value: Any) -> None:
    assert reason(value) is Reason.NOT_A_CHANGE


def test_keys_are_compared_with_images_by_value() -> None:
    spelled = document(None, {"pk": {"N": "1.0"}}, Keys={"pk": {"N": "1"}})
    assert read_change(spelled).keys == {"pk": {"N": "1"}}


def test_a_change_or_probe_of_another_table_is_foreign() -> None:
    assert read(document(None, item("a"), table="invoices")) == Foreign("invoices")
    assert read({"probe": "p", "tableName": "invoices", "n": 1}) == Foreign("invoices")


def test_a_probe_is_read() -> None:
    assert read({"probe": "p", "tableName": TABLE, "n": 3}) == Probe("p", 3)


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    ["tableName", "dynamodb", "eventName", "Keys", "NewImage", "S", "B", "pk"]
                ),
                inner,
                max_size=4,
            ),
        ),
    )
)
def test_no_json_makes_reading_raise(value: Any) -> None:
    read(json.dumps(value).encode())
    if isinstance(value, dict):
        read(document(None, item("a")) | value)
        read(document(None, item("a"), **value))


@settings(max_examples=200, deadline=None)
@given(st.binary(), st.booleans())
def test_no_bytes_make_unpacking_raise(data: bytes, aggregated: bool) -> None:
    packed = b"\xf3\x89\x9a\xc2" + data if aggregated else data
    found = kinesis_records.user_records(replace(RECORD, data=packed))
    assert isinstance(found, Unusable) or [each.data for each in found] == [packed]


def test_an_aggregate_is_unpacked_in_order() -> None:
    packed = aggregate(b"one", b"two", b"three")
    found = kinesis_records.user_records(replace(RECORD, data=packed))
    assert isinstance(found, list)
    assert [(each.sub_sequence, each.data, each.aggregated) for each in found] == [
        (0, b"one", True),
        (1, b"two", True),
        (2, b"three", True),
    ]
    assert {each.sequence_number for each in found} == {"1000"}


def test_an_aggregate_written_by_the_library_is_unpacked() -> None:
    from aws_kinesis_agg.aggregator import RecordAggregator

    library = RecordAggregator()
    library.add_user_record("p1", b"one")
    library.add_user_record("p2", b"two")
    packed = library.clear_and_get().get_contents()[2]
    found = kinesis_records.user_records(replace(RECORD, data=packed))
    assert isinstance(found, list)
    assert [(each.partition_key, each.data) for each in found] == [("p1", b"one"), ("p2", b"two")]


def broken_aggregate(index: int) -> bytes:
    import hashlib

    message = kinesis_records._aggregated_record()
    message.partition_key_table.append("p")
    for number in range(3):
        record = message.records.add()
        record.partition_key_index = index if number == 1 else 0
        record.data = b"secret"
    packed: bytes = message.SerializeToString()
    return b"\xf3\x89\x9a\xc2" + packed + hashlib.md5(packed, usedforsecurity=False).digest()


def test_an_aggregate_that_breaks_in_the_middle_is_kept_whole_and_printed_nowhere(
    capfd: pytest.CaptureFixture[str],
) -> None:
    found = kinesis_records.user_records(replace(RECORD, data=broken_aggregate(7)))
    assert isinstance(found, Unusable)
    assert found.reason is Reason.UNREADABLE
    assert "secret" not in "".join(capfd.readouterr())


def test_an_aggregate_that_was_changed_on_the_way_is_kept_whole() -> None:
    """Only the checksum tells: the message can be read, and says something else."""
    packed = aggregate(b"one", b"two").replace(b"two", b"2wo")
    found = kinesis_records.user_records(replace(RECORD, data=packed))
    assert isinstance(found, Unusable)
    assert found.reason is Reason.UNREADABLE


def test_an_aggregate_of_nothing_is_kept() -> None:
    assert isinstance(kinesis_records.user_records(replace(RECORD, data=aggregate())), Unusable)


def test_reading_an_aggregate_leaves_the_import_path_alone() -> None:
    import sys

    before = list(sys.path)
    aggregate(b"one")
    assert sys.path == before


def test_the_envelope_keeps_what_it_takes_to_report_and_to_find_the_record() -> None:
    (record,) = kinesis_records.envelope(event(b"data", first=77, arrival=12.5))
    assert record == Record(
        SHARD, "77", 0, "0AB18464EFEE6043E48DD4475DABA453", 12.5, False, b"data"
    )


@pytest.mark.parametrize("data", [None, 7, "not base64!", "QQ", "QQ==\n"])
def test_data_that_is_not_base64_is_kept_as_it_is(data: Any) -> None:
    made = event(b"x")
    made["Records"][0]["kinesis"]["data"] = data
    (record,) = kinesis_records.envelope(made)
    assert record.data == str(data).encode()


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        {},
        {"Records": None},
        {"Records": [{}]},
        {"Records": [{"kinesis": {}}]},
        {"Records": [{"kinesis": {"sequenceNumber": "x", "data": ""}}]},
        {"Records": ["x"]},
        "x",
    ],
)
def test_an_event_without_sequence_numbers_is_no_event(bad: Any) -> None:
    with pytest.raises(EnvelopeError):
        kinesis_records.envelope(bad)
