"""Lambda's batches of a shard's records, and its reading of a function's answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.local.emulator.batches import (
    PAYLOAD_BYTES,
    BatchSource,
    event,
    failed_from,
    fitting,
    is_too_large,
    poller_of,
)

SOURCE = BatchSource(
    "arn:aws:kinesis:eu-west-1:1:stream/s", "shardId-000000000000", "eu-west-1", "role"
)


def record(number: int, size: int = 10, key: str = "k") -> dict[str, Any]:
    return {
        "SequenceNumber": str(number),
        "PartitionKey": key,
        "Data": "A" * size,
        "ApproximateArrivalTimestamp": 1700000000.123,
    }


BATCH = [record(9), record(10), record(11), record(100)]


@pytest.mark.parametrize(
    "answer", [None, "", {}, {"batchItemFailures": []}, {"batchItemFailures": None}]
)
def test_an_empty_answer_is_success(answer: Any) -> None:
    assert failed_from(answer, BATCH) is None


def test_the_lowest_failed_sequence_number_is_compared_as_a_number() -> None:
    failures = [{"itemIdentifier": "100"}, {"itemIdentifier": "11"}]
    assert failed_from({"batchItemFailures": failures}, BATCH) == 2
    failures = [{"itemIdentifier": "10"}, {"itemIdentifier": "9"}]
    assert failed_from({"batchItemFailures": failures}, BATCH) == 0


@pytest.mark.parametrize("identifier", ["", None, "12345", "not a number"])
def test_an_identifier_that_is_not_of_the_batch_fails_all_of_it(identifier: str | None) -> None:
    failures = [{"itemIdentifier": "11"}, {"itemIdentifier": identifier}]
    assert failed_from({"batchItemFailures": failures}, BATCH) == 0


def test_a_misspelt_identifier_fails_the_whole_batch() -> None:
    assert failed_from({"batchItemFailures": [{"itemIdentifer": "11"}]}, BATCH) == 0


def test_a_batch_ends_at_its_size() -> None:
    assert len(fitting(SOURCE, [record(n) for n in range(20)], 7)) == 7


def test_a_batch_ends_before_six_megabytes_of_event() -> None:
    records = [record(n, size=1_000_000) for n in range(10)]
    batch = fitting(SOURCE, records, 100)
    assert len(batch) == 6
    compact = json.dumps(event(SOURCE, batch), separators=(",", ":"))
    assert len(compact) <= PAYLOAD_BYTES
    assert len(json.dumps(event(SOURCE, records[:7]), separators=(",", ":"))) > PAYLOAD_BYTES


def test_a_record_that_no_invocation_can_take_comes_alone() -> None:
    large = record(1, size=PAYLOAD_BYTES)
    batch = fitting(SOURCE, [large, record(2)], 100)
    assert batch == [large]
    assert is_too_large(SOURCE, batch)
    assert not is_too_large(SOURCE, [record(2)])


def test_a_partition_key_keeps_its_poller_and_all_pollers_are_used() -> None:
    keys = [f"key-{n}" for n in range(200)]
    pollers = [poller_of(record(1, key=key), 10) for key in keys]
    assert pollers == [poller_of(record(2, key=key), 10) for key in keys]
    assert set(pollers) == set(range(10))
