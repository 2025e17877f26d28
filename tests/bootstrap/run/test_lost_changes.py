"""Changes that never got into the stream: noted, shown, repaired without a new snapshot (C7)."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.state import State
from bootstrap.journal.records import CaughtUp, Exported, Interrupted, Skipped
from bootstrap.status.backfill_suggestion import Gap
from bootstrap.status.json_members import as_json
from bootstrap.status.snapshot import StatusSnapshot
from replicator.stream import Destination
from replicator.watchdog.aws_readings import BOOK_KEY
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import Outage
from tests.support.bootstrap.fake_aws import COMMAND, LEDGER, STREAM_ARN, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.pauses import PAUSE, RESUME
from tests.support.bootstrap.status import health_reader, look, verify_as_of

pytestmark = pytest.mark.promise("C7")

OFF = [Destination(STREAM_ARN, "DISABLED", "MICROSECOND")]
ON = [Destination(STREAM_ARN, "ACTIVE", "MICROSECOND")]


def state_of(world: FakeAws) -> State:
    return shown(world).state


def shown(world: FakeAws, **source: Any) -> StatusSnapshot:
    return look(world, health_reader(source))


def named(world: FakeAws, **source: Any) -> Gap:
    made = shown(world, **source).gap
    assert made is not None
    return made


def settle(world: FakeAws, until: float) -> None:
    """As a verification does that leaves nothing missing of what was changed before."""
    verify_as_of(world, until)
    with world.unwatched():
        ledger = AwsLedger(Calls(Side.TARGET, "Role importer"), world.dynamodb, LEDGER)
        ledger.settle(round(until * 1e6))


def run(world: FakeAws, pid: int) -> Process:
    process = Process(world, pid=pid)
    process.go()
    return process


def degraded(world: FakeAws, pid: int) -> Process:
    """A run that replicates, and says that changes were lost: with the source's exit code."""
    process = Process(world, pid=pid)
    with pytest.raises(AccountError, match="replicates, but lacks changes") as failure:
        process.go()
    assert failure.value.exit_code == 3
    assert state_of(world) is State.DEGRADED
    return process


def exporting() -> tuple[FakeAws, Process, Exported]:
    """A run whose export has begun."""
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    exported = process.run.journal.get(Exported)
    assert exported is not None
    return world, process, exported


# -- records that DynamoDB gave up on ------------------------------------------------------------


def lossy() -> tuple[FakeAws, float]:
    """Two records were given up while the snapshot was taken."""
    world, process, exported = exporting()
    process.run.stop()
    world.lost_records = [(exported.export_time + 30.0, 2)]
    degraded(world, pid=2)
    return world, exported.export_time


def test_records_that_dynamodb_gave_up_on_make_a_degraded_replica_and_no_new_snapshot() -> None:
    world, export_time = lossy()
    assert state_of(world) is State.DEGRADED
    (warning,) = as_json(shown(world))["warnings"]
    assert "did not put 2 change records into the stream" in warning
    made = named(world, skipped=2)
    assert made.begin == export_time - 60, "before the catch-up, which knows nothing of them"
    assert COMMAND.format("backfill") in made.lines[1]
    assert len(world.exports) == 1


@pytest.mark.slow
def test_what_a_verification_has_put_in_is_forgotten_by_run_and_by_detectors() -> None:
    world, export_time = lossy()
    degraded(world, pid=3)
    settle(world, export_time + 20)
    degraded(world, pid=4)
    settle(world, world.clock() + 60)
    run(world, pid=5)
    assert state_of(world) is State.REPLICATING
    assert not as_json(shown(world))["warnings"]
    Process(world, pid=6, options=PAUSE).go()
    Process(world, pid=7, options=RESUME).go()
    assert state_of(world) is State.REPLICATING, "CloudWatch remembers them for a year"


@pytest.mark.slow
def test_what_was_lost_after_a_catch_up_is_found_by_the_next() -> None:
    world = replicated()
    world.clock.advance(90 * 86_400)
    world.lost_records = [(world.clock() - 40 * 86_400, 1)]
    process = degraded(world, pid=2)
    skipped = process.run.journal.get(Skipped)
    assert skipped is not None
    assert skipped.count == 1
    assert skipped.begin < world.clock() - 80 * 86_400


@pytest.mark.slow
def test_a_replica_of_a_year_counts_only_what_was_lost_since_it_last_caught_up() -> None:
    world = replicated()
    first = world.times("failed_to_replicate")
    process = run(world, pid=2)
    before = process.run.journal.get(CaughtUp)
    world.clock.advance(365 * 86_400)
    run(world, pid=3)
    asked = [seen.detail[0] for seen in world.seen if seen.name == "failed_to_replicate"]
    assert len(asked) > len(first)
    assert before is not None
    assert before.moment - 86_400 - 180 <= asked[-1] <= before.moment


# -- a destination that was off ------------------------------------------------------------------


def interrupted(world: FakeAws) -> tuple[Process, float]:
    """It goes off while the export runs. Returns when it was last seen on."""
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    process.run.tick()
    on = world.times("destinations")[-1]
    world.clock.advance(20)
    world.destinations = OFF
    with pytest.raises(AccountError, match=r"is DISABLED.*neither the stream nor the snapshot"):
        process.until(lambda: False)
    process.run.stop()
    return process, on


def test_a_destination_that_was_off_for_a_while_costs_a_backfill_and_no_new_snapshot() -> None:
    world = FakeAws()
    _, on = interrupted(world)
    failed = as_json(shown(world, destinations=OFF))
    assert (failed["state"], failed["next"]) == ("FAILED", COMMAND.format("run"))
    assert "names the backfill" in failed["failure"]["try"]
    world.clock.advance(100)
    world.destinations = ON
    again = world.clock()
    degraded(world, pid=2)
    assert len(world.exports) == 1

    snapshot = shown(world)
    assert as_json(snapshot)["safeToSwitch"] is False
    assert "the source's changes did not go into the consumer's stream" in snapshot.warnings[0]
    made = named(world)
    # Up to three minutes earlier: what it then had waiting is known from metrics that lag.
    assert on - 180 - 60 <= made.begin <= on - 60
    assert again + 60 <= made.end <= again + 90
    assert not made.open

    settle(world, made.end + 1)
    assert shown(world).gap is None
    run(world, pid=3)
    assert state_of(world) is State.REPLICATING
    assert as_json(shown(world))["safeToSwitch"] is True


def test_what_had_waited_when_the_destination_went_off_is_lost_as_well() -> None:
    world, process, _ = exporting()
    world.clock.advance(7200)
    process.run.tick()
    on = world.clock()
    world.ages = lambda begin: 1_800_000.0
    world.destinations = OFF
    with pytest.raises(AccountError):
        process.until(lambda: False)
    noted = process.run.journal.get(Interrupted)
    assert noted is not None
    assert on - 1800 - 200 <= noted.begin <= on - 1800


def test_a_process_that_never_saw_it_on_knows_of_the_snapshot_alone() -> None:
    world, process, exported = exporting()
    process.run.stop()
    world.destinations = OFF
    with pytest.raises(AccountError):
        run(world, pid=2)
    row, _ = process.store.read("orders")
    assert row is not None
    assert row.record(Interrupted) == Interrupted(exported.export_time)


@pytest.mark.slow
def test_a_destination_that_is_being_switched_on_again_is_waited_for() -> None:
    world = FakeAws()
    interrupted(world)
    world.destinations = [Destination(STREAM_ARN, "ENABLING", "MICROSECOND")]
    world.active_from = world.clock() + 300
    process = degraded(world, pid=2)
    noted = process.run.journal.get(Interrupted)
    assert noted is not None
    assert noted.end >= world.active_from


@pytest.mark.slow
@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDenied"])
def test_an_outage_is_noted_whatever_fails_while_it_is_looked_into(code: str) -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    process.run.tick()
    exported = process.run.journal.get(Exported)
    assert exported is not None

    def refuse(number: int, name: str, after: bool) -> None:
        if name == "oldest_unreplicated":
            raise AccountError(Side.SOURCE, "refused", fix="-", code=code)

    world.on_call = refuse
    world.destinations = OFF
    with pytest.raises(AccountError, match="is DISABLED"):
        process.until(lambda: False)
    world.on_call = lambda number, name, after: None
    process.run.stop()
    world.destinations = ON
    found = degraded(world, pid=2).run.journal.get(Interrupted)
    assert found is not None
    assert found.begin == exported.export_time


def remembered(world: FakeAws, book: WatchdogState) -> None:
    """As the watchdog does."""
    item = {"k": {"B": BOOK_KEY}, "book": {"S": book.as_text()}}
    with world.unwatched():
        world.dynamodb.put_item(TableName=LEDGER, Item=item)


@pytest.mark.slow
def test_an_outage_that_only_the_watchdog_saw_makes_the_next_run_degraded() -> None:
    world = replicated()
    off, on = world.clock() + 600, world.clock() + 1200
    world.clock.advance(86_400)
    remembered(world, WatchdogState(flowed=world.clock() - 60, outage=Outage(off, on)))
    degraded(world, pid=2)
    settle(world, on)
    run(world, pid=3)
    assert state_of(world) is State.REPLICATING


def test_what_the_watchdog_last_saw_arrive_narrows_what_a_run_finds_off() -> None:
    world = replicated()
    world.clock.advance(90 * 86_400)
    flowed = world.clock() - 300
    remembered(world, WatchdogState(flowed=flowed))
    world.destinations = OFF
    with pytest.raises(AccountError, match="is DISABLED"):
        run(world, pid=2)
    world.destinations = ON
    found = degraded(world, pid=3).run.journal.get(Interrupted)
    assert found is not None
    assert found.begin == flowed


# -- changes that waited for too long ------------------------------------------------------------


@pytest.mark.parametrize(("hours", "lost"), [(200, True), (160, False)])
def test_a_pause_of_longer_than_the_retention_has_lost_changes(hours: int, lost: bool) -> None:
    world = FakeAws()
    world.retention_hours = 168
    replicated(world)
    caught_up = Process(world, pid=9).store.read("orders")[0]
    assert caught_up is not None
    before = caught_up.record(CaughtUp)
    assert before is not None
    Process(world, pid=2, options=PAUSE).go()
    world.clock.advance(3600 * hours)
    resuming = Process(world, pid=3, options=RESUME)
    if not lost:
        resuming.go()
        assert state_of(world) is State.REPLICATING
        return
    with pytest.raises(AccountError, match="lacks changes"):
        resuming.go()
    found = shown(world)
    assert found.state is State.DEGRADED
    assert "waited for longer than the stream keeps them" in found.warnings[0]
    assert found.readings is not None
    assert found.readings.overrun is not None
    assert found.readings.overrun.end == pytest.approx(world.clock() - 168 * 3600, abs=900)
    made = found.gap
    assert made is not None
    assert made.begin == before.moment - 60
    settle(world, world.clock())
    run(world, pid=4)
    assert state_of(world) is State.REPLICATING


def importing(hours: int) -> FakeAws:
    """The import takes this long, and the stream keeps changes for 168 hours."""
    world = FakeAws()
    world.retention_hours = 168
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.imports))
    process.run.stop()
    world.clock.advance(3600 * hours)
    return world


def test_a_snapshot_of_longer_than_the_retention_has_lost_changes() -> None:
    world = importing(hours=169)
    degraded(world, pid=2)


def test_a_retention_that_is_raised_afterwards_brings_nothing_back() -> None:
    world = importing(hours=200)
    world.retention_hours = 8760
    degraded(world, pid=2)


def paused_for(world: FakeAws, hours: int, pid: int) -> None:
    Process(world, pid=pid, options=PAUSE).go()
    world.clock.advance(3600 * hours)


def test_each_pause_that_was_too_long_is_noted() -> None:
    world = FakeAws()
    world.retention_hours = 168
    replicated(world)
    for pid in (10, 20):
        paused_for(world, 200, pid)
        with pytest.raises(AccountError, match="lacks changes"):
            Process(world, pid=pid + 1, options=RESUME).go()
        settle(world, world.clock())
        run(world, pid=pid + 2)
        assert state_of(world) is State.REPLICATING
        world.clock.advance(7200)


def test_two_pauses_without_a_catch_up_between_them_are_one() -> None:
    world = FakeAws()
    world.retention_hours = 168
    replicated(world)
    world.consumer_works = False
    paused_for(world, 100, pid=2)
    resuming = Process(world, pid=3, options=RESUME)
    resuming.start()
    resuming.until(lambda: world.mapping_enabled_at is not None)
    resuming.run.stop()
    paused_for(world, 100, pid=4)
    world.consumer_works = True
    with pytest.raises(AccountError, match="lacks changes"):
        Process(world, pid=5, options=RESUME).go()


def test_a_consumer_that_could_be_switched_on_only_later_was_off_until_then() -> None:
    world = FakeAws()
    world.retention_hours = 168
    replicated(world)
    paused_for(world, 100, pid=2)

    def refuse(number: int, name: str, after: bool) -> None:
        if name == "enable_mapping":
            raise AccountError(Side.TARGET, "refused", fix="-", code="Refused")

    world.on_call = refuse
    with pytest.raises(AccountError, match="refused"):
        Process(world, pid=3, options=RESUME).go()
    world.on_call = lambda number, name, after: None
    world.clock.advance(3600 * 100)
    degraded(world, pid=4)


def test_a_row_of_the_watchdog_s_that_cannot_be_read_is_said_with_what_to_do() -> None:
    world = replicated()
    with world.unwatched():
        world.dynamodb.put_item(TableName=LEDGER, Item={"k": {"B": BOOK_KEY}, "book": {"S": "{}"}})
    with pytest.raises(AccountError, match="watchdog's row in table") as failure:
        run(world, pid=2)
    assert "pulumi up" in failure.value.fix


# -- and once it is put in -----------------------------------------------------------------------


def test_once_mended_the_next_command_is_the_run_that_takes_note_of_it() -> None:
    world, _ = lossy()
    assert shown(world).next is None
    settle(world, world.clock() + 60)
    found = shown(world)
    assert (found.state, found.next) == (State.DEGRADED, COMMAND.format("run"))
    assert not found.warnings
    Process(world, pid=5).go()
    Process(world, pid=6, options=PAUSE).go()
    assert not shown(world).warnings, "paused, and repaired all the same"


def test_a_run_beside_the_verification_does_not_keep_the_loss_alive() -> None:
    world, _ = lossy()
    world.clock.advance(600)
    until = world.clock()
    world.clock.advance(600)
    degraded(world, pid=3)
    settle(world, until)
    process = Process(world, pid=4)
    process.go()
    assert process.run.journal.get(Skipped) is None
    assert state_of(world) is State.REPLICATING


def test_what_was_lost_before_the_snapshot_of_another_export_is_in_that() -> None:
    world = FakeAws()
    interrupted(world)
    world.destinations = ON
    world.failures["export/0001"] = "InternalError"
    with pytest.raises(AccountError):
        run(world, pid=2)
    world.clock.advance(700)
    run(world, pid=3)
    assert state_of(world) is State.REPLICATING
    assert not shown(world).warnings


def test_the_snapshot_settles_what_was_lost_before_it() -> None:
    world = FakeAws()
    process = Process(world)
    process.go()
    exported = process.run.journal.get(Exported)
    assert exported is not None
    settled = int(world.ledger_settings()["settled"]["N"]) / 1e6
    assert settled == exported.export_time - 60
