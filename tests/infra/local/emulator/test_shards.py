"""Sequence numbers, positions and resharding, without a server."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from infra.local.emulator.mapping_positions import MappingProgress, ShardProgress
from infra.local.emulator.patching import Ministack
from infra.local.emulator.shards import (
    MAX_HASH_KEY,
    RecordTooLargeError,
    Shards,
    hash_range,
    open_shards,
    parents,
    sequence,
)

ARN = "arn:aws:kinesis:eu-west-1:1:stream/s"


def make() -> tuple[Shards, dict[str, Any]]:
    stream: dict[str, Any] = {
        "StreamName": "s",
        "StreamARN": ARN,
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": 24,
        "shards": {},
    }
    store = SimpleNamespace(get_scoped=lambda *names: stream)
    shards = Shards(Ministack("test", {"kinesis": SimpleNamespace(_streams=store)}))
    stream["shards"]["shardId-000000000000"] = {
        "records": [],
        "starting_hash_key": "0",
        "ending_hash_key": str(MAX_HASH_KEY),
        "starting_sequence_number": shards.next_sequence_number(),
        "parent_shard_id": None,
        "adjacent_parent_shard_id": None,
    }
    return shards, stream


def test_sequence_numbers_have_56_digits_and_grow() -> None:
    shards, _stream = make()
    numbers = [shards.next_sequence_number() for _ in range(1000)]
    assert {len(number) for number in numbers} == {56}
    assert [int(n) for n in numbers] == sorted({int(n) for n in numbers})


def test_a_position_outlasts_the_expiry_of_older_records() -> None:
    shards, stream = make()
    for n in range(10):
        shards.append(ARN, "k", str(n).encode())
    shard = stream["shards"]["shardId-000000000000"]
    position = sequence(shard["records"][4])
    shard["records"] = shard["records"][3:]
    assert [sequence(r) for r in shards.after(shard, position, 2)] == [
        sequence(r) for r in shard["records"][2:4]
    ]


def test_a_split_keeps_the_parents_records_and_shares_its_range() -> None:
    shards, stream = make()
    shards.append(ARN, "k", b"1")
    children = shards.split(stream, "shardId-000000000000", 2**127)
    parent = stream["shards"]["shardId-000000000000"]
    assert len(parent["records"]) == 1
    assert parent["closed"] > sequence(parent["records"][-1])
    assert [hash_range(stream["shards"][c]) for c in children] == [
        (0, 2**127 - 1),
        (2**127, MAX_HASH_KEY),
    ]
    shards.append(ARN, "k", b"2")
    assert len(parent["records"]) == 1


@pytest.mark.parametrize("target", [1, 2, 3, 4, 8])
def test_resizing_covers_every_hash_key_once_with_at_most_two_parents(target: int) -> None:
    shards, stream = make()
    shards.resize(stream, 4)
    shards.resize(stream, target)
    ranges = sorted(hash_range(stream["shards"][s]) for s in open_shards(stream))
    assert len(ranges) == target
    assert ranges[0][0] == 0
    assert ranges[-1][1] == MAX_HASH_KEY
    assert all(one[1] + 1 == other[0] for one, other in pairwise(ranges))
    assert all(len(tuple(parents(shard))) <= 2 for shard in stream["shards"].values())


def test_a_record_over_the_streams_limit_is_refused() -> None:
    shards, stream = make()
    with pytest.raises(RecordTooLargeError):
        shards.append(ARN, "k", b"x" * (1024 * 1024 + 1))
    stream["MaxRecordSizeInKiB"] = 2048
    shards.append(ARN, "k", b"x" * (1024 * 1024 + 1))


def test_children_are_read_only_after_their_parents() -> None:
    shards, stream = make()
    progress = MappingProgress({"StartingPosition": "TRIM_HORIZON"})
    progress.look(stream, shards)
    children = shards.split(stream, "shardId-000000000000", 2**127)
    progress.look(stream, shards)
    assert progress.ready(stream) == ["shardId-000000000000"]
    progress.shards["shardId-000000000000"].drained.add(0)
    assert progress.ready(stream) == children


def test_a_shard_that_appears_later_is_read_from_its_beginning_even_from_latest() -> None:
    shards, stream = make()
    progress = MappingProgress({"StartingPosition": "LATEST"})
    progress.look(stream, shards)
    assert progress.shards["shardId-000000000000"].positions[0] != ""
    children = shards.split(stream, "shardId-000000000000", 2**127)
    progress.look(stream, shards)
    assert [progress.shards[child].positions for child in children] == [[""], [""]]


def test_another_number_of_pollers_resumes_where_the_slowest_was() -> None:
    shard = ShardProgress(["5", "3", "9"], drained={2})
    shard.resize(2)
    assert shard.positions == ["3", "3"]
    assert not shard.drained
    shard.resize(2)
    assert shard.positions == ["3", "3"]
