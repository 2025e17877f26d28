"""Caught up: probes through, and nothing left to hand over. Never one of them alone."""

from __future__ import annotations

import itertools
import json

import pytest

from bootstrap.core.errors import AccountError
from bootstrap.core.facts import OpenShards
from bootstrap.core.state import State
from bootstrap.journal.records import CaughtUp
from replicator.probes import LANES_PROBED, ProbeRecord, probe_records
from replicator.stream import Shard
from tests.support.bootstrap.fake_aws import FakeAws, outputs
from tests.support.bootstrap.killed_process import Process

pytestmark = pytest.mark.promise("C1", "C10")


def catching_up(world: FakeAws) -> Process:
    process = Process(world)
    process.start()
    process.until(lambda: process.run.journal.row.state is State.CATCHING_UP)
    return process


def go_on(process: Process, seconds: float) -> State:
    end = process.world.clock() + seconds
    process.until(lambda: process.world.clock() >= end, ticks=10_000)
    return process.run.journal.row.state


@pytest.mark.slow
def test_probes_that_do_not_come_through_are_not_caught_up_whatever_the_metric_says() -> None:
    world = FakeAws()
    world.consumer_works = False
    world.ages = lambda begin: 5.0
    process = catching_up(world)
    assert go_on(process, 3_600) is State.CATCHING_UP
    world.consumer_works = True
    process.until(lambda: False)
    assert process.run.journal.row.state is State.REPLICATING


def test_one_probe_missing_is_not_caught_up() -> None:
    world = FakeAws()
    process = catching_up(world)
    process.until(lambda: bool(world.probes))
    world.probes.pop()
    assert go_on(process, 1_800) is State.CATCHING_UP


@pytest.mark.slow
def test_lanes_that_come_through_days_apart_are_asked_again_all_at_once() -> None:
    """The rows of those that were first have expired by the time the last one has its own."""
    world = FakeAws()
    process = catching_up(world)
    process.until(lambda: bool(world.probes))
    (last, _) = world.probes.pop()
    first = json.loads(last.data)["probe"]
    assert go_on(process, 3_600) is State.CATCHING_UP
    process.until(lambda: False, ticks=50_000)
    assert process.run.journal.row.state is State.REPLICATING
    caught_up = process.run.journal.get(CaughtUp)
    assert caught_up is not None
    assert caught_up.probe != first
    assert caught_up.round_trip < 600


@pytest.mark.slow
def test_old_changes_that_dynamodb_still_holds_are_not_caught_up_whatever_probes_say() -> None:
    world = FakeAws()
    world.ages = lambda begin: 60_000.0
    process = catching_up(world)
    assert go_on(process, 3_600) is State.CATCHING_UP
    world.ages = lambda begin: 40.0
    process.until(lambda: False)
    assert process.run.journal.row.state is State.REPLICATING


def test_a_datapoint_from_before_the_moment_proves_nothing() -> None:
    world = FakeAws()
    process = catching_up(world)
    moment = process.run.context.memory.moment
    assert moment is not None
    world.ages = lambda begin: 5.0 if begin <= moment else None
    world.writes = lambda begin: 10.0
    assert go_on(process, 1_800) is State.CATCHING_UP


def test_no_datapoint_is_not_enough_while_the_source_is_written() -> None:
    world = FakeAws()
    world.writes = lambda begin: 10.0
    process = catching_up(world)
    assert go_on(process, 1_800) is State.CATCHING_UP


def test_no_datapoint_and_no_writes_is_an_idle_source() -> None:
    world = FakeAws()
    process = catching_up(world)
    assert go_on(process, 1_800) is State.REPLICATING


@pytest.mark.slow
def test_an_idle_source_is_believed_only_once_its_metrics_would_have_arrived() -> None:
    world = FakeAws()
    process = catching_up(world)
    began = world.clock()
    process.until(lambda: bool(world.probes))
    assert world.clock() - began >= 180


def test_probes_are_put_after_the_handover_they_are_to_follow() -> None:
    world = FakeAws()
    world.ages = lambda begin: 5.0
    process = catching_up(world)
    process.until(lambda: False)
    assert world.times("put_probes")[0] >= max(
        at for at in world.times("oldest_unreplicated") if at <= world.times("put_probes")[-1]
    )
    caught_up = process.run.journal.get(CaughtUp)
    assert caught_up is not None
    assert caught_up.moment < world.times("put_probes")[0]


@pytest.mark.slow
def test_a_round_that_took_the_backlogs_time_is_followed_by_a_fresh_one() -> None:
    world = FakeAws()
    world.backlog_seconds = 1_800
    process = catching_up(world)
    process.until(lambda: False, ticks=20_000)
    assert len(world.times("put_probes")) == 2
    caught_up = process.run.journal.get(CaughtUp)
    assert caught_up is not None
    assert caught_up.round_trip < 600


def test_probes_that_kinesis_rejects_are_put_again() -> None:
    world = FakeAws()
    world.rejected_probes = 1
    Process(world).go()
    puts = [seen.detail for seen in world.seen if seen.name == "put_probes"]
    assert [len(batch) for batch in puts] == [2, 1]
    assert puts[1][0] == puts[0][0], "the very record that was rejected"


def put_batches(world: FakeAws) -> list[list[ProbeRecord]]:
    return [seen.detail for seen in world.seen if seen.name == "put_probes"]


def throttling(world: FakeAws, until: float) -> None:
    """Kinesis takes one probe a call, and none of the others before a moment."""

    def refuse(number: int, name: str, after: bool) -> None:
        if name == "put_probes" and not after:
            world.rejected_probes = 1 if world.clock() < until else 0

    world.on_call = refuse


def test_a_throttled_stream_is_waited_for_and_what_it_took_stays_put() -> None:
    world = FakeAws()
    process = catching_up(world)
    throttling(world, until=world.clock() + 600)
    waits: list[str] = []

    def caught_up() -> bool:
        shown = process.run.snapshot()
        waits.append(shown.waiting.what if shown.waiting else "")
        return process.run.journal.get(CaughtUp) is not None

    process.until(caught_up, ticks=2_000)
    assert "stream orders-stream to take the probes, which it throttles" in waits
    first, *again = put_batches(world)
    assert len(first) == 2
    assert {len(batch) for batch in again if batch[0].data == first[0].data} == {1}
    assert {batch[0].data for batch in again} == {first[0].data}, "one round, put on"
    times = world.times("put_probes")
    gaps = [late - early for early, late in itertools.pairwise(times)]
    assert len(set(gaps)) > 3, "jitter"
    assert max(gaps) <= 35, "within a lease"
    assert len(gaps) < 60, "the waits grow"


def test_a_stream_that_takes_no_probe_at_all_is_called_throttled() -> None:
    world = FakeAws()
    process = catching_up(world)
    throttling(world, until=float("inf"))
    with pytest.raises(AccountError) as raised:
        process.until(lambda: False, ticks=2_000)
    assert "Stream orders-stream is throttled" in raised.value.what
    assert "raise its capacity" in raised.value.fix
    assert "right" not in raised.value.what
    world.on_call = lambda number, name, after: None
    process.until(lambda: False, ticks=2_000)
    assert process.run.journal.row.state is State.REPLICATING


def test_a_split_while_a_throttled_round_is_put_on_starts_another_for_every_shard() -> None:
    world = FakeAws()
    process = catching_up(world)
    throttling(world, until=float("inf"))
    process.until(lambda: len(put_batches(world)) == 3)
    world.on_call = lambda number, name, after: None
    world.rejected_probes = 0
    world.shards = (*world.shards, Shard("shard-2", "7"))
    process.until(lambda: False)
    caught_up = process.run.journal.get(CaughtUp)
    assert caught_up is not None
    assert caught_up.probes == 3


def test_a_reshard_while_probes_are_put_starts_another_round() -> None:
    world = FakeAws()
    process = catching_up(world)

    def split(number: int, name: str, after: bool) -> None:
        if name == "put_probes" and after:
            world.shards = (*world.shards, Shard("shard-2", "7"))
            world.on_call = lambda number, name, after: None

    world.on_call = split
    process.until(lambda: False)
    last = [seen.detail for seen in world.seen if seen.name == "put_probes"][-1]
    assert len(last) == 3
    caught_up = process.run.journal.get(CaughtUp)
    assert caught_up is not None
    assert caught_up.probes == 3


def test_each_open_shard_gets_one_probe_by_its_first_hash_key() -> None:
    shards = OpenShards((Shard("a", "0"), Shard("b", "99")), 0).shards
    batch = probe_records("id", "orders", shards, factor=1)
    assert [record.hash_key for record in batch] == ["0", "99"]
    assert [json.loads(record.data) for record in batch] == [
        {"probe": "id", "tableName": "orders", "n": 0},
        {"probe": "id", "tableName": "orders", "n": 1},
    ]


def test_shards_that_are_read_in_parallel_get_many_partition_keys_each() -> None:
    batch = probe_records("id", "orders", [Shard("a", "0"), Shard("b", "99")], factor=2)
    in_a = {record.partition_key for record in batch if record.hash_key == "0"}
    assert len(batch) == 2 * LANES_PROBED
    assert len(in_a) == LANES_PROBED
    assert len({json.loads(record.data)["n"] for record in batch}) == len(batch)


def test_more_probes_than_a_call_takes_are_put_in_several() -> None:
    world = FakeAws()
    world.shards = tuple(Shard(f"shard-{n}", str(n)) for n in range(5))
    Process(world, chosen=outputs(parallelizationFactor=4)).go()
    puts: list[list[ProbeRecord]] = [
        seen.detail for seen in world.seen if seen.name == "put_probes"
    ]
    assert [len(batch) for batch in puts] == [500, 140]
