"""The order of events, which may not change (C1: nothing falls between snapshot and buffer)."""

from __future__ import annotations

import pytest

from bootstrap.core.errors import AccountError, BlockedError
from bootstrap.core.facts import ExportRequest
from bootstrap.core.state import State
from bootstrap.journal.records import Interrupted
from bootstrap.run.steps import enable
from replicator.stream import Destination
from tests.support.bootstrap.fake_aws import STREAM_ARN, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated

pytestmark = pytest.mark.promise("C1")


def export_of(world: FakeAws) -> tuple[ExportRequest, float]:
    (only,) = world.exports.values()
    return only


def test_a_run_buffers_exports_imports_configures_enables_and_catches_up_in_this_order() -> None:
    world = replicated()
    assert world.order(
        "export", "import_table", "protect", "enable_mapping", "put_probes", "failed_to_replicate"
    ) == [
        "export",
        "import_table",
        "protect",
        "enable_mapping",
        "put_probes",
        "failed_to_replicate",
    ]


def test_the_states_are_journaled_in_order_with_the_time_of_each() -> None:
    world = FakeAws()
    process = Process(world)
    process.go()
    history = process.run.snapshot(final=True).history
    assert [state for state, _ in history] == [
        State.PLANNED,
        State.BUFFERING,
        State.EXPORTING,
        State.IMPORTING,
        State.CONFIGURING,
        State.CATCHING_UP,
        State.REPLICATING,
    ]
    assert [at for _, at in history] == sorted(at for _, at in history)


def test_the_export_time_is_two_minutes_or_more_after_the_buffer_was_seen_active() -> None:
    world = replicated()
    request, _ = export_of(world)
    assert request.export_time >= world.active_from + 120
    assert request.export_time < world.active_from + 140, "and not needlessly later"


def test_the_export_time_holds_its_margin_though_awss_date_has_no_fraction() -> None:
    world = FakeAws()
    world.clock.advance(0.9)
    world.active_from = world.clock()
    observed = world.clock()
    request, _ = export_of(replicated(world))
    assert request.export_time >= observed + 120


def test_the_export_is_not_called_before_recovery_reaches_its_time() -> None:
    world = replicated()
    request, called_at = export_of(world)
    assert called_at - world.restorable_lag >= request.export_time


def test_recovery_is_switched_on_when_it_is_off_and_its_window_reaches_the_export_time() -> None:
    world = FakeAws()
    world.active_from = world.clock() - 10_000
    replicated(world)
    assert len(world.times("enable_source_backups")) == 1
    request, _ = export_of(world)
    assert world.recovery_since is not None
    assert request.export_time >= world.recovery_since


def test_recovery_that_is_on_is_left_alone() -> None:
    world = FakeAws()
    world.recovery_since = world.clock() - 86_400
    replicated(world)
    assert not world.times("enable_source_backups")


def test_a_recovery_window_that_opens_late_makes_the_export_time_later() -> None:
    world = FakeAws()
    world.active_from = world.clock()
    world.recovery_since = world.clock() + 500
    request, _ = export_of(replicated(world))
    assert request.export_time >= world.recovery_since


def test_the_observation_is_made_anew_by_a_process_that_resumes_before_the_export() -> None:
    """Between two processes the destination may have been off; no look would have seen it."""
    world = FakeAws()
    first = Process(world, pid=1)
    first.start()
    first.until(lambda: len(world.times("source_backups")) > 3)
    world.alive.discard(1)
    world.clock.advance(3_600)
    resumed = world.clock()
    Process(world, pid=2).go()
    request, _ = export_of(world)
    assert request.export_time >= resumed + 120


def test_the_observation_is_made_anew_by_a_process_that_slept_before_the_export() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: len(world.times("source_backups")) > 3)
    world.clock.advance(3_600)
    woke = world.clock()
    process.until(lambda: bool(world.exports))
    request, _ = export_of(world)
    assert request.export_time >= woke + 120


def test_a_destination_that_stops_before_the_export_is_observed_again() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: len(world.times("source_backups")) > 3)
    world.destinations = [Destination(STREAM_ARN, "DISABLING", "MICROSECOND")]
    process.run.tick()
    assert process.run.journal.row.state is State.BUFFERING
    world.destinations = [Destination(STREAM_ARN, "ENABLING", "MICROSECOND")]
    world.active_from = world.clock() + 100
    process.until(lambda: bool(world.exports))
    request, _ = export_of(world)
    assert request.export_time >= world.active_from + 120


def test_a_destination_that_stops_after_the_export_began_fails_the_run_loudly() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    world.destinations = [Destination(STREAM_ARN, "DISABLED", "MICROSECOND")]
    with pytest.raises(AccountError, match=r"is DISABLED.*neither the stream nor the snapshot"):
        process.until(lambda: False)
    assert process.run.journal.row.state is State.FAILED
    assert process.run.journal.get(Interrupted) is not None


def test_milliseconds_are_refused() -> None:
    world = FakeAws()
    world.destinations = [Destination(STREAM_ARN, "ACTIVE", "MILLISECOND")]
    with pytest.raises(BlockedError, match="precision MILLISECOND"):
        Process(world).go()
    assert not world.exports


def test_the_export_goes_to_a_prefix_that_names_the_run() -> None:
    world = FakeAws()
    process = Process(world)
    process.go()
    request, _ = export_of(world)
    assert request.prefix.startswith("orders/")
    assert process.run.journal.run_id in request.prefix.split("/")
    assert request.bucket_owner == "222222222222"


def test_the_import_reads_the_data_folder_of_that_export() -> None:
    world = replicated()
    ((arn, (export, _)),) = world.exports.items()
    ((request, _),) = world.imports.values()
    assert request.prefix == f"{export.prefix}/AWSDynamoDB/{arn.rsplit('/', 1)[1]}/data/"


def test_the_mapping_is_enabled_only_when_import_and_settings_are_complete() -> None:
    world = FakeAws()
    seen: list[bool] = []

    def watch(number: int, name: str, after: bool) -> None:
        if name == "enable_mapping" and not after:
            complete = world.target is not None and world.target.status == "ACTIVE"
            seen.append(complete and "floor" in world.ledger_settings())

    world.on_call = watch
    replicated(world)
    assert seen == [True]


def test_a_consumer_that_is_off_is_a_fault_from_the_catch_up_on_and_not_before() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: "consume" in world.ledger_settings())
    assert world.mapping_enabled_at is not None
    assert not world.probes
    process.until(lambda: bool(world.probes))
    assert world.ledger_settings()["consume"] == {"BOOL": True}


def test_entries_expire_only_once_the_replica_has_caught_up() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.probes))
    assert "expire" not in world.ledger_settings()
    process.until(lambda: False)
    assert world.ledger_settings()["expire"] == {"BOOL": True}
    assert process.run.journal.row.state is State.REPLICATING


def test_a_finished_run_that_runs_again_puts_fresh_probes_and_nothing_else() -> None:
    world = replicated()
    before = len(world.seen)
    Process(world, pid=2).go()
    again = {seen.name for seen in world.seen[before:]}
    assert "put_probes" in again
    assert again.isdisjoint({"export", "import_table", "enable_mapping", "protect"})


def test_a_consumer_that_was_switched_off_is_switched_on_by_the_next_run() -> None:
    world = replicated()
    world.mapping_enabled_at = None
    Process(world, pid=2).go()
    assert len(world.times("enable_mapping")) == 2


def test_the_step_that_enables_does_not_trust_the_order_of_the_steps() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    with pytest.raises(AssertionError, match="come first"):
        enable.advance(process.run.context)
    assert world.mapping_enabled_at is None
