"""A run whose buffer is the table's own stream: made, watched, killed, paused, lost, abandoned."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bootstrap.aws.ledger import BOOK
from bootstrap.core.errors import AccountError, BlockedError, StillRunningError
from bootstrap.core.formatting import moment
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.state import State
from bootstrap.core.stream_policy import sid_of, with_reads
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Lease
from bootstrap.journal.records import Buffered, CaughtUp, Interrupted, Overran, Paused
from bootstrap.journal.stream_records import TableStreamRecord
from bootstrap.journal.verification_records import row_name
from bootstrap.run.steps import table_stream
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import Outage
from tests.support.bootstrap.fake_aws import CONSUMER, LEDGER, FakeAws, table_stream_outputs
from tests.support.bootstrap.fake_table_stream import MAPPING, FakeTableStream
from tests.support.bootstrap.kill_points import kill_at, quick
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.pauses import PAUSE, RESUME
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C3", "C6", "C10")

HOUR = 3_600.0
READS = (
    "GetItem",
    "GetResourcePolicy",
    "Query",
    "BatchGetItem",
    "describe_",
    "find_",
    "mapping",
    "read_",
    "stream_",
)


def fresh() -> FakeAws:
    world = quick()
    world.own_stream = FakeTableStream(fresh=True)
    return world


def own(world: FakeAws) -> FakeTableStream:
    assert world.own_stream is not None
    return world.own_stream


def process(world: FakeAws, pid: int = 1, options: RunOptions | None = None) -> Process:
    return Process(world, pid=pid, chosen=table_stream_outputs(), options=options)


def run(world: FakeAws, pid: int = 1, options: RunOptions | None = None) -> Process:
    made = process(world, pid, options)
    made.go()
    return made


def check(world: FakeAws, made: Process, when: str = "") -> None:
    stream = own(world)
    assert made.run.journal.row.state is State.REPLICATING, when
    assert (stream.streams, stream.made) == (1, 1), f"{when}: one stream, one mapping"
    assert (len(world.exports), len(world.imports)) == (1, 1), when
    ((request, _),) = world.exports.values()
    assert request.export_time >= stream.enabled_from + 120, when
    row = world.ledger_settings()
    assert row["buffer"] == {"S": "streams"}, when
    assert (row["stream"]["S"], row["mapping"]["S"]) == (stream.arn, MAPPING), when
    (statement,) = world.policies.statements(stream.arn)
    assert (statement["Sid"], statement["Principal"]) == (sid_of(CONSUMER), {"AWS": CONSUMER}), when
    assert world.ledger_settings()["expire"] == {"BOOL": True}, when


def test_a_run_switches_the_stream_on_lets_the_consumer_read_it_and_makes_its_mapping() -> None:
    world = fresh()
    made = run(world)
    check(world, made)
    acts = ("switch_stream_on", "create_mapping", "export", "import_table", "enable_mapping")
    assert world.order(*acts) == list(acts)
    assert world.times("put_probes") == []
    caught_up = made.run.journal.get(CaughtUp)
    assert caught_up is not None and caught_up.retention_hours == 24


def test_a_stream_that_is_on_already_is_used_and_stays_on_when_the_run_is_abandoned() -> None:
    world = fresh()
    stream = own(world)
    stream.on, stream.arn = True, f"{world.source.arn}/stream/2026-01-01T00:00:00.000"
    world.source = replace(world.source, stream_view="NEW_AND_OLD_IMAGES", stream_arn=stream.arn)
    run(world)
    assert world.times("switch_stream_on") == []
    run(world, 2, RunOptions(goal=Goal.ABANDON))
    assert world.times("switch_stream_off") == []
    assert not stream.mapping_there
    assert world.policies.statements(stream.arn) == []


def test_abandon_takes_mapping_and_policy_away_and_switches_off_what_the_run_switched_on() -> None:
    world = fresh()
    run(world)
    arn = own(world).arn
    world.policies.rewrite(
        arn,
        lambda text: (text or "").replace(
            '"Statement":[',
            '"Statement":[{"Sid":"Theirs","Effect":"Deny","Principal":"*",'
            f'"Action":"dynamodb:GetRecords","Resource":"{arn}"}},',
        ),
    )
    world.clock.advance(60)
    abandoned = run(world, 2, RunOptions(goal=Goal.ABANDON))
    assert abandoned.run.journal.row.state is State.ABANDONED
    assert world.order("disable_mapping", "delete_mapping", "switch_stream_off") == [
        "disable_mapping",
        "delete_mapping",
        "switch_stream_off",
    ]
    assert [each["Sid"] for each in world.policies.statements(arn)] == ["Theirs"]
    assert abandoned.run.journal.get(TableStreamRecord) is None


@functools.cache
def calls() -> list[str]:
    world = fresh()
    run(world)
    return [seen.name for seen in world.seen]


def moments() -> list[tuple[int, bool]]:
    """Before each call; and after each that changes something, its answer lost."""
    found = calls()
    before = [(n, False) for n in range(1, len(found) + 1)]
    return before + [(n, True) for n, name in enumerate(found, 1) if not name.startswith(READS)]


def some_moments() -> list[tuple[int, bool]]:
    """Before and after the calls that no other buffer has."""
    acts = ("switch_stream_on", "create_mapping", "PutResourcePolicy", "put_resource_policy")
    found = [n for n, name in enumerate(calls(), 1) if name in acts]
    return [(n, after) for n in found for after in (False, True)] + moments()[::100]


EVERY = pytest.param(moments, id="every", marks=(pytest.mark.slow, pytest.mark.matrix))


@pytest.mark.parametrize("chosen", [some_moments, EVERY])
def test_killed_at_any_call_the_next_run_has_one_stream_one_mapping_and_one_export(
    chosen: Callable[[], list[tuple[int, bool]]],
) -> None:
    for number, after in chosen():
        world = fresh()
        kill_at(world, number, after)
        with pytest.raises(Killed):
            run(world)
        world.on_call = lambda number, name, after: None
        check(world, run(world, 2), f"killed {'after' if after else 'before'} call {number}")


def test_changes_made_before_the_question_are_through_before_the_replica_counts_as_one() -> None:
    world = fresh()
    made = process(world)
    made.start()
    made.until(lambda: made.run.journal.row.state is State.EXPORTING)
    stream = own(world)
    for _ in range(5):
        stream.write(world.clock())
    world.consumer_works = False
    made.until(lambda: bool(world.times("enable_mapping")))
    for _ in range(40):
        outcome = made.run.tick()
        world.clock.sleep(getattr(outcome, "poll", 0))
    assert made.run.journal.row.state is State.CATCHING_UP
    world.consumer_works = True
    made.until(lambda: made.run.journal.row.state is State.REPLICATING)
    assert len(stream.applied) == 5


def test_without_waiting_the_run_ends_while_the_consumer_works_off_the_backlog() -> None:
    world = fresh()
    world.consumer_works = False
    first = process(world)
    first.start()
    first.until(lambda: first.run.journal.row.state is State.CATCHING_UP)
    own(world).write(world.clock())
    first.run.stop()
    world.alive.discard(1)
    with pytest.raises(StillRunningError, match="work through the stream"):
        run(world, 2, RunOptions(wait=False))


def test_a_pause_says_by_when_it_has_to_end_and_a_longer_one_is_a_gap() -> None:
    world = fresh()
    run(world)
    world.clock.advance(2 * HOUR)
    paused = run(world, 2, PAUSE)
    history = [each.text for each in paused.store.history("orders", paused.run.journal.run_id)]
    assert any("resume by" in text and "forgets changes" in text for text in history)
    world.clock.advance(25 * HOUR)
    resumed = process(world, 3, replace(RESUME, overwrite_target=True))
    with pytest.raises(AccountError):
        resumed.go()
    assert resumed.run.journal.get(Overran) is not None
    assert resumed.run.journal.row.state is State.DEGRADED


def test_a_stream_switched_off_during_the_run_is_reported_and_begun_anew_as_a_gap() -> None:
    world = fresh()
    first = process(world)
    first.start()
    first.until(lambda: first.run.journal.row.state is State.IMPORTING)
    stream = own(world)
    lost = stream.arn
    stream.on = False
    world.source = replace(world.source, stream_view=None)
    with pytest.raises(AccountError, match="was switched off after the export had begun") as caught:
        first.until(lambda: False)
    assert "backfill" in caught.value.fix
    assert first.run.journal.get(Interrupted) is not None
    first.run.stop()
    world.alive.discard(1)
    again = process(world, 2)
    with pytest.raises(AccountError, match="lacks changes"):
        again.go()
    assert again.run.journal.row.state is State.DEGRADED
    assert stream.arn != lost and stream.mapped == stream.arn
    interrupted = again.run.journal.get(Interrupted)
    assert interrupted is not None and interrupted.end >= stream.enabled_from
    assert world.ledger_settings()["stream"] == {"S": stream.arn}


def test_a_stream_of_another_view_type_blocks_the_run_before_anything_is_done() -> None:
    world = fresh()
    world.source = replace(world.source, stream_view="KEYS_ONLY", stream_arn="arn:theirs")
    with pytest.raises(BlockedError, match="view type KEYS_ONLY"):
        run(world)
    assert own(world).streams == 0


def test_a_mapping_deleted_by_another_hand_is_made_again() -> None:
    world = fresh()
    run(world)
    own(world).mapping_there = False
    again = run(world, 2)
    assert again.run.journal.row.state is State.REPLICATING
    assert own(world).made == 2
    assert own(world).mapping_on


def test_the_export_time_counts_from_the_first_observation_of_an_enabled_stream() -> None:
    world = fresh()
    made = process(world)
    made.start()
    made.until(lambda: made.run.journal.get(Buffered) is not None)
    buffered = made.run.journal.get(Buffered)
    assert buffered is not None and buffered.active_at >= own(world).enabled_from


def test_a_proof_in_a_journal_of_its_own_finds_the_stream_that_the_run_has_made() -> None:
    """A verification keeps its records apart from the run's."""
    world = fresh()
    made = run(world)
    context = made.run.context
    apart = Lease(made.store, row_name("orders"), world.clock, made.machine)
    apart.acquire()
    journal = Journal(made.store, row_name("orders"), apart)
    journal.refresh()
    found = table_stream.describe(replace(context, journal=journal))
    assert found.arn == own(world).arn


def test_a_mapping_that_was_changed_is_led_back_and_a_new_batch_size_reaches_it() -> None:
    world = fresh()
    run(world)
    stream = own(world)
    assert stream.updates == 0
    stream.delivery = replace(stream.delivery, batch_size=100, retries=3, on_failure_arn="")
    made = run(world, 2)
    assert stream.updates == 1
    assert (stream.delivery.batch_size, stream.delivery.retries) == (500, -1)
    history = made.store.history("orders", made.run.journal.run_id)
    told = [each.text for each in history if "BatchSize was 100" in each.text]
    assert len(told) == 1
    assert "MaximumRetryAttempts was 3, is to be -1" in told[0]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"parallel": 10}, "ParallelizationFactor is 10"),
        ({"tumbling_window": 30}, "TumblingWindowInSeconds is 30"),
        ({"filters": 1}, "FilterCriteria"),
    ],
)
def test_a_mapping_whose_batches_prove_nothing_is_refused(
    changed: dict[str, Any], named: str
) -> None:
    world = fresh()
    run(world)
    own(world).delivery = replace(own(world).delivery, **changed)
    with pytest.raises(BlockedError, match=named) as caught:
        run(world, 2)
    assert f"--uuid {MAPPING} --parallelization-factor 1" in str(caught.value.fix)
    own(world).delivery = replace(own(world).delivery, parallel=1, tumbling_window=0, filters=0)
    run(world, 3)


@pytest.mark.promise("C5")
@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_AND_OLD_IMAGES"])
def test_abandon_leaves_a_stream_on_that_its_owner_switched_on_after_a_run_that_only_meant_to(
    view: str,
) -> None:
    world = fresh()
    stream = own(world)
    first = process(world)
    first.start()
    first.until(lambda: first.run.journal.get(TableStreamRecord) is not None)
    first.run.stop()
    world.alive.discard(1)
    assert not world.times("switch_stream_on")
    world.clock.advance(HOUR)
    stream.on, stream.arn = True, f"{world.source.arn}/stream/2026-01-09T00:00:00.000"
    world.source = replace(world.source, stream_view=view, stream_arn=stream.arn)
    run(world, 2, RunOptions(goal=Goal.ABANDON))
    assert stream.on and not world.times("switch_stream_off")


def test_abandon_leaves_the_stream_and_the_right_of_another_stack_that_reads_it() -> None:
    world = fresh()
    run(world)
    arn, theirs = own(world).arn, "arn:aws:iam::333333333333:role/other-consumer"
    world.policies.rewrite(arn, lambda text: with_reads(text, arn, theirs))
    assert len(world.policies.statements(arn)) == 2, "each has a statement of its own"
    run(world, 2)
    assert len(world.policies.statements(arn)) == 2
    world.clock.advance(60)
    run(world, 3, RunOptions(goal=Goal.ABANDON))
    assert [each["Sid"] for each in world.policies.statements(arn)] == [sid_of(theirs)]
    assert own(world).on and not world.times("switch_stream_off")


def test_abandon_leaves_a_stream_on_whose_policy_cannot_be_read() -> None:
    world = fresh()
    run(world)
    world.policies.rewrite(own(world).arn, lambda text: "{")
    world.clock.advance(60)
    run(world, 2, RunOptions(goal=Goal.ABANDON))
    assert own(world).on and not world.times("switch_stream_off")


def test_a_pause_that_ends_just_under_a_day_after_its_begin_is_a_gap() -> None:
    """Lambda takes minutes to read, and the stream deletes at 24 hours."""
    world = fresh()
    run(world)
    world.clock.advance(2 * HOUR)
    run(world, 2, PAUSE)
    world.clock.advance(24 * HOUR - 400)
    resumed = process(world, 3, replace(RESUME, overwrite_target=True))
    with pytest.raises(AccountError):
        resumed.go()
    assert resumed.run.journal.get(Overran) is not None


def test_a_run_waits_for_a_table_that_is_changing_before_it_begins_another_stream() -> None:
    world = fresh()
    first = process(world)
    first.start()
    first.until(lambda: first.run.journal.row.state is State.IMPORTING)
    own(world).on = False
    world.source = replace(world.source, stream_view=None, status="UPDATING")
    with pytest.raises(AccountError):
        first.until(lambda: False)
    first.run.stop()
    world.alive.discard(1)
    again = process(world, 2)
    again.start()
    for _ in range(8):
        again.run.tick()
        world.clock.advance(5)
    assert own(world).streams == 1
    world.source = replace(world.source, status="ACTIVE")
    again.until(lambda: own(world).streams == 2)


def watched(world: FakeAws, **known: Any) -> None:
    """What the watchdog has noted a minute ago."""
    book = WatchdogState(ran=world.clock() - 60, **known)
    world.dynamodb.put_item(TableName=LEDGER, Item={**BOOK, "book": {"S": book.as_text()}})


def test_the_hour_of_a_pause_is_that_of_the_first_change_that_waits() -> None:
    world = fresh()
    run(world)
    world.clock.advance(12 * HOUR)
    behind = world.clock() - 5 * HOUR
    watched(world, through=behind)
    made = run(world, 2, PAUSE)
    paused = made.run.journal.get(Paused)
    assert paused is not None and paused.first == behind
    history = [each.text for each in made.store.history("orders", made.run.journal.run_id)]
    assert any(f"resume by {moment(behind + 22 * HOUR)}" in text for text in history)
    assert not any("is not known" in text for text in history)
    world.clock.advance(19 * HOUR)
    with pytest.raises(AccountError):
        run(world, 3, replace(RESUME, overwrite_target=True))


def test_a_pause_beside_a_silent_watchdog_says_that_its_hour_is_not_known() -> None:
    world = fresh()
    run(world)
    world.clock.advance(2 * HOUR)
    made = run(world, 2, PAUSE)
    history = [each.text for each in made.store.history("orders", made.run.journal.run_id)]
    assert any("how far the consumer was behind is not known" in text for text in history)


@pytest.mark.parametrize(
    ("known", "begin"),
    [
        ({"through": 80.0, "flowed": 90.0}, 80.0),
        ({"through": 95.0, "flowed": 90.0}, 90.0),
        ({"through": 95.0, "flowed": 95.0, "outage": Outage(70.0)}, 70.0),
        ({}, 0.0),
    ],
)
def test_the_gap_of_a_stream_lost_months_later_begins_at_the_latest_moment_that_is_proved(
    known: dict[str, Any], begin: float
) -> None:
    world = fresh()
    run(world)
    since = world.clock()
    world.clock.advance(90 * 24 * HOUR)
    now = world.clock()

    def at(hours: float) -> float:
        """So many hours of the last hundred."""
        return now - (100 - hours) * HOUR

    moved = {
        name: replace(each, begin=at(each.begin)) if isinstance(each, Outage) else at(each)
        for name, each in known.items()
    }
    watched(world, **moved)
    own(world).on = False
    world.source = replace(world.source, stream_view=None)
    with pytest.raises(AccountError, match="was switched off"):
        run(world, 2)
    again = process(world, 3)
    with pytest.raises(AccountError, match="lacks changes"):
        again.go()
    found = again.run.journal.get(Interrupted)
    assert found is not None
    assert found.begin == at(begin) if begin else found.begin <= since


def test_a_mapping_that_was_made_and_not_noted_is_deleted_with_its_lost_stream() -> None:
    world = fresh()
    kill_at(world, calls().index("create_mapping") + 1, True)
    with pytest.raises(Killed):
        run(world)
    world.on_call = lambda number, name, after: None
    stream = own(world)
    lost = stream.arn
    assert stream.mapped == lost and stream.mapping_there
    stream.on = False
    world.source = replace(world.source, stream_view=None)
    run(world, 2)
    assert world.times("delete_mapping")
    assert stream.mapped == stream.arn != lost


def test_a_replica_of_a_table_that_takes_a_hundred_changes_a_second_catches_up() -> None:
    world = fresh()
    made = process(world)
    made.start()
    made.until(lambda: bool(world.times("enable_mapping")))
    written = [world.clock()]

    def write() -> None:
        while written[0] < world.clock():
            own(world).write(written[0])
            written[0] += 0.01

    world.on_call = lambda number, name, after: write()
    made.until(lambda: made.run.journal.row.state is State.REPLICATING)
    caught_up = made.run.journal.get(CaughtUp)
    assert caught_up is not None and caught_up.round_trip < 120
    assert len(own(world).applied) > 2_000
