"""A stream must take what the source changes: a provisioned one as it is, one on demand in time."""

from __future__ import annotations

import datetime
import math
from pathlib import Path

import pytest
import yaml

from bootstrap.core.durations import Timing
from bootstrap.plan import plan
from bootstrap.plan.inspection import inspect
from bootstrap.plan.replication import of_file
from bootstrap.plan.workload import Workload
from replicator.stream import Shard, stream_in
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.plans import having, planned, source, writes
from tests.support.infra.recording_engine import CONFIG

KB = 1_000
SHARDS = tuple(Shard(f"shard-{n}", str(n)) for n in range(16))


def world(
    mode: str,
    shards: int,
    changes: float,
    item_bytes: int = KB,
    **more: object,
) -> FakeAws:
    made = FakeAws()
    having(stream_mode=mode, shards=SHARDS[:shards], **more)(made)
    source(items=1_000_000, size_bytes=item_bytes * 1_000_000)(made)
    writes(changes * -(-item_bytes // 1024))(made)
    return made


def behind_for_good(made: plan.Plan) -> list[str]:
    return [each.fix for each in made.blockers if "fall behind for good" in each.what]


@pytest.mark.parametrize(
    ("shards", "changes", "item_bytes", "blocks"),
    [
        (1, 200, KB, False),  # 0.85 MB a second
        (1, 240, KB, True),  # 1.02 MB a second
        (2, 440, KB, False),
        (2, 480, KB, True),
        (1, 950, 100, False),
        (1, 1_010, 100, True),  # small ones: 1,000 records a second
    ],
)
def test_a_provisioned_stream_that_takes_less_than_the_source_changes_blocks(
    shards: int, changes: float, item_bytes: int, blocks: bool
) -> None:
    made = planned(world("PROVISIONED", shards, changes, item_bytes))
    assert bool(behind_for_good(made)) is blocks
    assert (made.estimate.catch_up is None) is blocks
    if blocks:
        assert f"set shards to {shards + 1} in the stack configuration" in behind_for_good(made)[0]


def test_more_than_double_the_shards_takes_several_changes() -> None:
    (fix,) = behind_for_good(planned(world("PROVISIONED", 2, 2_000)))
    assert "set shards to 9 in the stack configuration (4 first" in fix


@pytest.mark.parametrize("changes", [2_000, 10_000])
def test_a_stream_on_demand_never_blocks_because_it_grows(changes: float) -> None:
    made = planned(world("ON_DEMAND", 4, changes))
    assert not behind_for_good(made)
    assert made.estimate.catch_up is not None
    (note,) = (each for each in made.notes if "on demand" in each)
    assert "takes 4 MB a second at first" in note
    assert "set shards" not in note
    assert f"--warm-throughput-mi-bps {math.ceil(changes * 4.25 / KB)}" in note


def test_a_stream_on_demand_that_is_split_or_warmed_already_needs_no_note() -> None:
    for made in (world("ON_DEMAND", 9, 2_000), world("ON_DEMAND", 4, 2_000, warm_mib=9.0)):
        assert not any("on demand" in note for note in planned(made).notes)


def test_more_than_a_stream_on_demand_grows_to_blocks() -> None:
    busy = world("ON_DEMAND", 4, 50_000)  # 212 MB a second
    assert not behind_for_good(planned(busy, consumerRegion="eu-west-1"))
    (fix,) = behind_for_good(planned(busy, consumerRegion="eu-central-1"))
    assert "raise the quota" in fix


def test_a_peak_that_a_provisioned_stream_delays_is_a_note_with_the_delay() -> None:
    made = world("PROVISIONED", 1, 0)
    first = int(made.clock()) // 60 * 60 - 600 * 60
    # Ten minutes of 1,000 changes a second, with room for 235: half an hour of work is left.
    made.writes = lambda begin: 60_000.0 if first <= begin < first + 600 else 0.0
    found = planned(made)
    assert not behind_for_good(found)
    (note,) = (each for each in found.notes if "late" in each)
    assert "up to 32 min 30 s late" in note
    assert "set shards to 5" in note


def test_deletions_by_time_to_live_fill_the_stream_too() -> None:
    made = world("PROVISIONED", 1, 200)
    assert not behind_for_good(planned(made))
    made.expired = lambda begin: 60 * 100.0
    found = planned(made)
    assert behind_for_good(found)
    assert found.estimate.changes_per_second == pytest.approx(300)


@pytest.mark.parametrize(
    ("stream", "blocks"),
    [
        ({"streamMode": "PROVISIONED", "shards": 2}, True),
        ({"streamMode": "PROVISIONED", "shards": 9}, False),
        ({}, False),
    ],
)
def test_the_configured_stream_is_checked_before_the_first_deployment(
    stream: dict[str, object], blocks: bool, tmp_path: Path
) -> None:
    values = {**CONFIG, "tables": [{"source": "orders", "target": "orders-replica", **stream}]}
    path = tmp_path / "Pulumi.dev.yaml"
    content = {f"dynamodb-replication:{key}": value for key, value in values.items()}
    path.write_text(yaml.safe_dump({"config": content}))
    (replication,) = of_file(path).tables
    made = world("ON_DEMAND", 4, 2_000)
    seen = inspect(
        FakeSource(made, lambda: None),
        FakeTarget(made, lambda: None),
        replication,
        Timing(),
        made.clock(),
    )
    found = plan.make(seen, replication)
    assert bool(behind_for_good(found)) is blocks
    assert any("4 MB a second at first" in each for each in found.notes) is (not stream)


def test_the_longest_delay_is_that_of_the_fullest_backlog() -> None:
    load = Workload(item_bytes=KB, minutes=(0, 30, 30, 0, 20, 0))
    assert load.longest_delay(10) == pytest.approx(2 * 20 * 60 / 10)
    assert load.longest_delay(30) == 0


def test_the_streams_mode_and_warm_throughput_are_read() -> None:
    summary = {
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": datetime.datetime.fromtimestamp(0, datetime.UTC),
        "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
        "WarmThroughput": {"TargetMiBps": 20, "CurrentMiBps": 10},
    }
    facts = stream_in({"StreamDescriptionSummary": summary})
    assert (facts.mode, facts.warm_mib) == ("ON_DEMAND", 10.0)
