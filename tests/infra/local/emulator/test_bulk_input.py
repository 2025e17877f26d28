"""The input of a bulk put and the settings of LOCAL_BULK, without a running cloud."""

from __future__ import annotations

import gzip

import pytest

from infra.local.emulator.bulk_put.lines import BadLineError, Line, lines_of, put_of
from infra.local.emulator.bulk_put.loader import (
    LARGEST_OBJECT,
    MOST_OBJECTS,
    FailedError,
    InputObject,
    refuse_input,
)
from infra.local.emulator.bulk_put.options import BulkOptions, parse
from infra.local.emulator.settings import EmulatorSettings

SOURCE = {"S3Bucket": "bucket", "S3KeyPrefix": "data/"}


def objects(count: int, size: int = 1) -> list[InputObject]:
    return [InputObject(f"data/{number}", size, "tag") for number in range(count)]


def test_an_operation_reads_50000_objects_and_no_more() -> None:
    refuse_input(objects(MOST_OBJECTS), SOURCE)
    with pytest.raises(FailedError) as failed:
        refuse_input(objects(MOST_OBJECTS + 1), SOURCE)
    assert failed.value.args[0] == "InputObjectCountExceeded"
    assert "50001 objects under s3://bucket/data/" in failed.value.args[1]


def test_an_object_has_five_gigabytes_at_most() -> None:
    refuse_input(objects(2, LARGEST_OBJECT), SOURCE)
    with pytest.raises(FailedError, match="data/0"):
        refuse_input(objects(1, LARGEST_OBJECT + 1), SOURCE)


def test_lines_tell_how_far_the_object_is_read() -> None:
    lines = list(lines_of(gzip.compress(b"one\n\ntwo\n"), "GZIP"))
    assert [(line.number, line.text) for line in lines] == [(1, b"one"), (3, b"two")]
    assert [round(line.share, 2) for line in lines] == [0.44, 1.0]


def test_an_object_that_ends_early_is_bad_as_a_whole() -> None:
    with pytest.raises(BadLineError, match="GZIP"):
        list(lines_of(gzip.compress(b"x" * 5000)[:-9], "GZIP"))


@pytest.mark.parametrize(
    "text", [b"{", b"[]", b'{"Item": 1}', b'{"Item": {}, "Other": 1}', b"\xff"]
)
def test_a_fault_of_a_line_says_nothing_of_its_content(text: bytes) -> None:
    with pytest.raises(BadLineError) as bad:
        put_of(Line(1, text, 1.0))
    assert "Other" not in str(bad.value)


def test_the_settings_of_bulk_puts_are_read() -> None:
    assert parse("") == BulkOptions()
    assert parse("seconds=2.5, changes=on, operations=3") == BulkOptions(2.5, True, 3)
    assert parse("policies=on") == BulkOptions(policies=True)
    environment = {"REPLICATION_TIME_SCALE": "0.01", "LOCAL_BULK": ""}
    assert EmulatorSettings.from_environment(environment).bulk_seconds == 0.6
    environment["LOCAL_BULK"] = "seconds=9"
    assert EmulatorSettings.from_environment(environment).bulk_seconds == 9


@pytest.mark.parametrize(
    "text", ["seconds=soon", "seconds=-1", "changes=maybe", "operations=0", "speed=1", "seconds"]
)
def test_settings_that_are_wrong_are_named_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s){text.partition('=')[0]}.*\nTry: LOCAL_BULK="):
        parse(text)
