"""What is planned, promoted and finished where the buffer is the table's own stream."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bootstrap.core.errors import BlockedError, Side
from bootstrap.core.journal_rows import Row, to_json
from bootstrap.cutover.checks.conditions import read_checks
from bootstrap.cutover.context import SwitchContext, SwitchOptions
from bootstrap.cutover.plan.actions import SwitchPart
from bootstrap.cutover.plan.dry_run import SwitchPlan, plan_switch
from bootstrap.cutover.plan.json_members import as_json
from bootstrap.cutover.plan.page import page
from bootstrap.cutover.promotion.report import page as report_page
from bootstrap.cutover.settings_changes import choose_settings
from bootstrap.cutover.switch.finish import finish_table
from bootstrap.journal.stream_records import TableStreamRecord
from bootstrap.journal.switch_records import AfterSwitch, SwitchMode
from bootstrap.status.health import Health
from replicator.lane_rows import LaneRow, index_key
from replicator.watchdog.readings import Backlog, Unread
from tests.support.bootstrap.fake_aws import COMMAND, LEDGER, FakeAws, Seen
from tests.support.bootstrap.fake_table_stream import LABEL, MAPPING, STREAM
from tests.support.bootstrap.promote_harness import Promoter
from tests.support.bootstrap.status import NOW, healthy
from tests.support.bootstrap.switch_conditions import looking
from tests.support.bootstrap.switch_world import (
    WriterWatch,
    a_switch,
    attempt_of,
    ready_to_switch,
    stream_outputs,
    with_own_stream,
)

pytestmark = pytest.mark.promise("C9", "C10")

COMMANDS = {"orders": COMMAND}
DAY = 86_400.0
OTHERS_WORDS = ("probe", "lane", "kinesis stream", "data stream", "putrecords")
"""Of the other buffer; its destinations are among the readers that a dry run lists."""


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return with_own_stream(ready_to_switch())


@pytest.fixture
def world(replica: FakeAws) -> FakeAws:
    return replica.copied()


def context(world: FakeAws, options: SwitchOptions | None = None) -> SwitchContext:
    return looking(world, options, stream_outputs())


def planned(world: FakeAws, mode: SwitchMode = SwitchMode.FENCE) -> SwitchPlan:
    return plan_switch([context(world, SwitchOptions(mode))])


# -- the dry run -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(SwitchMode))
def test_a_dry_run_says_nothing_of_the_other_buffer(world: FakeAws, mode: SwitchMode) -> None:
    plan = planned(world, mode)
    text = page(plan, COMMANDS)
    assert plan.ready, text
    found = [word for word in OTHERS_WORDS if word in text.lower()]
    assert not found, text
    (table,) = as_json(plan, COMMANDS)["tables"]
    assert (table["buffer"], table["probeRoundSeconds"]) == ("streams", None)
    assert table["consumerLagSeconds"] == 1.0


def test_the_stream_is_known_as_the_buffer_among_the_readers(world: FakeAws) -> None:
    found = planned(world).tables[0].readers
    readers = {each.kind: each for each in found if each.side is Side.SOURCE}
    assert f"{STREAM}. It is the buffer of this stack" in readers["dynamodb-stream"].detail
    assert readers["kinesis-destinations"].detail == "none"


@pytest.mark.parametrize("mode", list(SwitchMode))
def test_a_switch_makes_the_changes_that_its_dry_run_lists(
    world: FakeAws, mode: SwitchMode
) -> None:
    actions = planned(world, mode).tables[0].actions
    off = [each for each in actions if each.call == "UpdateEventSourceMapping"]
    assert [(each.part, each.resource.rpartition(":")[2]) for each in off] == [
        (SwitchPart.GATE, MAPPING)
    ]
    first = len(world.seen)
    a_switch(world, mode=mode).run()
    changes = ("put_probes", "enable_mapping", "disable_mapping", "delete_mapping")
    assert [each.name for each in made(world, first) if each.name in changes] == ["disable_mapping"]
    finishes = [each.call for each in actions if each.part is SwitchPart.FINISH]
    assert finishes == ["DeleteEventSourceMapping", "DeleteResourcePolicy", "UpdateTable"]


def made(world: FakeAws, first: int) -> list[Seen]:
    return world.seen[first:]


def test_writers_are_refused_for_half_a_minute_instead_of_the_metrics_three(world: FakeAws) -> None:
    refused = planned(world).refused
    assert [each.seconds for each in refused.parts] == [60, 30, 60, 1.0]
    stopped = planned(world, SwitchMode.WRITES_STOPPED).refused
    assert [each.seconds for each in stopped.parts] == [30, 60, 1.0]


def test_in_a_set_of_both_kinds_each_wait_is_that_of_the_slowest(world: FakeAws) -> None:
    plan = plan_switch([context(world), looking(world)])
    assert [each.seconds for each in plan.refused.parts][:3] == [60, 180, 60]
    text = page(plan, COMMANDS)
    assert "2 rounds of probes" in text and "as far behind as it was lately" in text


@pytest.mark.parametrize(
    ("backlog", "fulfilled"),
    [
        (Backlog(NOW, lag=2.0), True),
        (Backlog(NOW), True),
        (Backlog(NOW, lag=31.0), True),
        (Backlog(NOW, since=NOW - 40), False),
        (Unread("AccessDenied"), None),
        (None, None),
    ],
)
def test_what_is_known_to_wait_counts_and_what_cannot_be_read_is_unknown(
    world: FakeAws, backlog: Backlog | Unread | None, fulfilled: bool | None
) -> None:
    health = Health(healthy(NOW, backlog=backlog))
    found = dataclasses.replace(context(world), read_health=lambda row, at: health)
    world.clock.advance(NOW - world.clock())
    checks = {each.name: each for each in read_checks(found)}
    assert checks["lag"].fulfilled is fulfilled
    assert "probe" not in checks["lag"].evidence


@pytest.mark.parametrize(("by_us", "wanted"), [(1.0, None), (0.0, "NEW_AND_OLD_IMAGES")])
def test_a_stream_that_a_run_switched_on_is_no_setting_of_the_owners(
    world: FakeAws, by_us: float, wanted: str | None
) -> None:
    known = TableStreamRecord(by_us, STREAM, 1.0, MAPPING)
    row = Row(records={TableStreamRecord.key: to_json(known)})
    chosen = choose_settings(context(world), row)
    assert chosen is not None and chosen.stream == wanted


# -- the end, a day later --------------------------------------------------------------------------


def switched(world: FakeAws) -> FakeAws:
    a_switch(world).run()
    world.clock.advance(DAY + 60)
    return world


def finish(world: FakeAws, pid: int = 300) -> SwitchContext:
    found = a_switch(world, pid=pid).group.first
    finish_table(found, open_source=False)
    return found


def test_finish_takes_apart_what_a_run_made_of_the_stream(world: FakeAws) -> None:
    found = finish(switched(world))
    assert world.own_stream is not None
    assert not world.own_stream.mapping_there and not world.own_stream.on
    after = found.journal.get(AfterSwitch)
    assert after is not None and after.finished_at
    finish(world, pid=301)


def test_finish_leaves_a_stream_on_that_was_on_before(world: FakeAws) -> None:
    found = a_switch(world, pid=99).group.first
    with world.unwatched():
        found.leases[0].acquire(take_over=True)
        found.journal.refresh()
        found.journal.put(TableStreamRecord(0.0, STREAM, 1.0, MAPPING), "it was on before")
        found.leases[0].release()
    finish(switched(world))
    assert world.own_stream is not None
    assert world.own_stream.on and not world.own_stream.mapping_there


def test_finish_waits_a_day_and_refuses_a_source_that_was_written(world: FakeAws) -> None:
    a_switch(world).run()
    with pytest.raises(BlockedError, match="For a day"):
        finish(world)
    world.clock.advance(DAY + 60)
    committed = attempt_of(world).committed_at
    world.writes = lambda begin: 2.0 if begin > committed + 7_200 else 0.0
    with pytest.raises(BlockedError, match="has been written to since"):
        finish(world, pid=301)
    assert world.own_stream is not None and world.own_stream.mapping_there


# -- a promotion -----------------------------------------------------------------------------------


def promoted(world: FakeAws) -> dict[str, object]:
    report: dict[str, object] = Promoter(world, chosen=stream_outputs(), drain=60).go().report
    return report


def test_a_promotion_calls_nothing_of_the_source_and_has_the_mapping_off(world: FakeAws) -> None:
    first = len(world.seen)
    report = promoted(world)
    assert world.own_stream is not None and not world.own_stream.mapping_on
    assert report["open"] == []
    names = {each.name for each in made(world, first)}
    assert not names & {"describe_stream", "read_stream", "stream_iterator", "describe_source"}


def test_the_loss_window_knows_the_foremost_change_and_no_watermark(world: FakeAws) -> None:
    now = world.clock.now_micros()
    with world.unwatched():
        index = {"k": {"B": index_key(now)}, "shards": {"SS": [LABEL]}}
        world.dynamodb.put_item(TableName=LEDGER, Item=index)
        row = LaneRow(LABEL, "7", now - 4_000_000, now - 5_000_000, now - 3_600_000_000)
        world.dynamodb.put_item(TableName=LEDGER, Item=row.to_item())
    report = promoted(world)
    window = json.loads(json.dumps(report["lossWindow"]))
    assert window["buffer"] == "streams"
    assert window["lanesAreWatermarks"] is False
    assert window["newestFullRound"] is None
    (lane,) = window["lanes"]
    assert (lane["shard"], lane["closedShardOrStuckLane"]) == (LABEL, False)
    text = report_page(report)
    assert "has no watermark: changes made before that one may be missing" in text
    assert not [word for word in ("probe", "lane ", "No lane", "shard of") if word in text], text
    assert json.loads(json.dumps(report["drain"]))["ended"] == "still"
    assert "the consumer ended no newer change for" in text


def test_a_promotion_of_a_switch_that_died_with_the_consumer_off_is_done(world: FakeAws) -> None:
    watch = WriterWatch(world)

    def die(number: int, name: str, after: bool) -> None:
        if name == "disable_mapping" and after:
            raise SystemExit

    watch.then = die
    with pytest.raises(SystemExit):
        a_switch(world).run()
    watch.then = lambda number, name, after: None
    world.alive.clear()
    report = promoted(world)
    assert report["open"] == []
    assert world.own_stream is not None and not world.own_stream.mapping_on
