"""What goes wrong ends in FAILED with its reason and its fix, and the same command resumes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bootstrap.core.durations import Timing
from bootstrap.core.errors import (
    AccountError,
    BlockedError,
    LeaseHeldError,
    Side,
    UnavailableError,
)
from bootstrap.core.facts import TableFacts
from bootstrap.core.state import State
from bootstrap.run.drive import drive
from replicator.stream import Destination
from tests.support.bootstrap.failures import failure_of
from tests.support.bootstrap.fake_aws import STREAM_ARN, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.plans import local_index

pytestmark = pytest.mark.promise("C6")


def source_with(**changes: Any) -> FakeAws:
    world = FakeAws()
    world.source = dataclasses.replace(world.source, **changes)
    return world


def existing_target() -> FakeAws:
    world = FakeAws()
    world.target = TableFacts("arn", "theirs", "ACTIVE", 1, 1, False)
    return world


def streaming_elsewhere() -> FakeAws:
    world = FakeAws()
    world.destinations = [Destination("arn:other", "ACTIVE", "MICROSECOND")]
    return world


def forgetful() -> FakeAws:
    world = FakeAws()
    world.retention_hours = 24
    return world


def automatic() -> FakeAws:
    world = FakeAws()
    world.distribution = "AUTO"
    return world


def enabled_early() -> FakeAws:
    world = FakeAws()
    world.mapping_enabled_at = world.clock()
    return world


def without_mapping() -> FakeAws:
    world = FakeAws()
    world.mapping_exists = False
    return world


@pytest.mark.parametrize(
    ("world", "what"),
    [
        (existing_target(), "orders-replica exists already"),
        (streaming_elsewhere(), "streams its changes to arn:other"),
        (forgetful(), "forgets changes after 24 hours"),
        (automatic(), "shards by AUTO"),
        (enabled_early(), "switched on already"),
        (without_mapping(), "is gone"),
        (source_with(local_indexes=[local_index("by-date")]), "local secondary indexes"),
    ],
)
def test_a_blocked_plan_says_why_and_does_nothing(world: FakeAws, what: str) -> None:
    failure = failure_of(world)
    assert isinstance(failure, BlockedError)
    assert failure.exit_code == 1
    assert what in failure.what
    assert not {"export", "enable_source_backups", "import_table", "enable_mapping"} & {
        seen.name for seen in world.seen
    }


def test_several_blockers_are_named_together() -> None:
    world = existing_target()
    world.retention_hours = 24
    failure = failure_of(world)
    assert "orders-replica exists already" in failure.what
    assert "forgets changes" in failure.what


def test_a_blocked_run_leaves_no_lease_behind() -> None:
    world = existing_target()
    failure_of(world)
    assert not isinstance(failure_of(world, pid=2), LeaseHeldError)


@pytest.mark.slow
def test_a_failed_export_is_reported_and_the_next_run_makes_another() -> None:
    world = FakeAws()
    world.failures["export/0001"] = "S3AccessDenied the bucket refused"
    failure = failure_of(world)
    assert failure.exit_code == Side.SOURCE.value
    assert "S3AccessDenied the bucket refused" in failure.what
    Process(world, pid=2).go()
    tokens = {request.token for request, _ in world.exports.values()}
    assert len(tokens) == 2
    assert len(world.imports) == 1


def test_a_failed_import_is_reported_with_its_counts_and_no_table_is_deleted() -> None:
    world = FakeAws()
    world.failures["import/0001"] = "ItemValidationError"
    failure = failure_of(world)
    assert failure.exit_code == Side.TARGET.value
    assert "ItemValidationError" in failure.what
    assert "1 of 3 items" in failure.what
    assert world.target is not None
    again = failure_of(world, pid=2)
    assert "ItemValidationError" in again.what
    assert len(world.imports) == 1, "the table is there: another import is the operator's decision"


def test_a_failed_import_is_made_again_once_its_table_is_gone() -> None:
    world = FakeAws()
    world.failures["import/0001"] = "ItemValidationError"
    failure_of(world)
    world.target = None
    Process(world, pid=2).go()
    assert len(world.imports) == 2
    assert len(world.exports) == 1, "the snapshot is still good"


def test_a_target_table_that_someone_made_meanwhile_is_not_touched() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    world.target = TableFacts("arn", "theirs", "ACTIVE", 1, 1, False)
    with pytest.raises(BlockedError, match="exists already"):
        process.until(lambda: False)
    assert not world.times("protect")


def test_a_consumer_that_someone_switched_on_stops_the_run_before_the_import() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    world.mapping_enabled_at = world.clock()
    with pytest.raises(BlockedError, match="--no-enabled"):
        process.until(lambda: False)
    assert not world.imports


def test_a_source_table_that_was_made_again_is_not_the_one_that_was_exported() -> None:
    world = replicated()
    world.source = dataclasses.replace(world.source, table_id="source-2")
    assert "deleted and created again" in failure_of(world, pid=2).what
    assert "resume --adopt-source" in failure_of(world, pid=3).fix


def test_a_target_table_that_was_made_again_is_not_the_replica() -> None:
    world = replicated()
    assert world.target is not None
    world.target = dataclasses.replace(world.target, table_id="theirs")
    assert "another table" in failure_of(world, pid=2).what


REPLACE_MAPPING = (
    "pulumi state unprotect --yes --stack local 'urn:pulumi:local::dynamodb-replication::"
    "replication:index:Consumer$aws:lambda/eventSourceMapping:EventSourceMapping::"
    "replicate-orders-consumer-mapping' && pulumi up --refresh --stack local"
)


def test_a_mapping_that_starts_at_latest_is_refused() -> None:
    world = FakeAws()
    world.mapping_position = "LATEST"
    failure = failure_of(world)
    assert "LATEST" in failure.what
    assert REPLACE_MAPPING in failure.suggestion.text()
    assert not world.times("enable_mapping")


def test_a_mapping_of_another_stream_is_refused_with_the_commands_that_replace_it() -> None:
    world = FakeAws()
    world.mapping_stream = "arn:x"
    failure = failure_of(world)
    assert "reads arn:x" in failure.what
    assert failure.suggestion.text() == REPLACE_MAPPING


def test_a_mapping_made_again_after_the_snapshot_is_not_switched_on() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.imports))
    world.mapping_position, world.mapping_starts_at = "AT_TIMESTAMP", world.clock()
    with pytest.raises(BlockedError, match="in between would be skipped") as raised:
        process.until(lambda: False)
    assert REPLACE_MAPPING in raised.value.suggestion.text()
    assert not world.times("enable_mapping")
    world.mapping_starts_at = 1.0
    process.run.stop()
    Process(world, pid=2).go()
    assert world.times("enable_mapping")


def test_trouble_that_passes_is_waited_out() -> None:
    world = FakeAws()
    began = world.clock()
    refused: list[float] = []

    def throttle(number: int, name: str, after: bool) -> None:
        if name == "destinations" and world.clock() < began + 400:
            refused.append(world.clock())
            raise UnavailableError(Side.SOURCE, "throttled", fix="wait")

    process = Process(world)
    process.start()
    process.until(lambda: process.run.journal.row.state is State.BUFFERING)
    world.on_call = throttle
    assert not drive([process.run], world.clock, Timing(), process.shown.extend)
    assert len(refused) > 1, "the fault was not injected"
    assert process.run.journal.row.state is State.REPLICATING


def test_trouble_that_stays_ends_the_run_after_a_quarter_of_an_hour() -> None:
    world = FakeAws()

    def throttle(number: int, name: str, after: bool) -> None:
        if name == "destinations" and number > 20:
            raise UnavailableError(Side.SOURCE, "throttled", fix="wait")

    world.on_call = throttle
    began = world.clock()
    failure = failure_of(world)
    assert isinstance(failure, UnavailableError)
    assert 900 <= world.clock() - began <= 1_200


def test_the_journal_says_in_which_step_a_run_failed_and_that_ends_with_the_next_run() -> None:
    world = FakeAws()
    denied = AccountError(Side.SOURCE, "no", fix="grant it", code="AccessDeniedException")

    def deny(number: int, name: str, after: bool) -> None:
        if name == "export":
            raise denied

    world.on_call = deny
    process = Process(world)
    with pytest.raises(AccountError):
        process.go()
    row = process.run.journal.row
    assert row.state is State.FAILED
    assert row.failure is not None
    assert (row.failure.step, row.failure.fix) == ("export", "grant it")
    world.on_call = lambda number, name, after: None
    second = Process(world, pid=2)
    second.go()
    assert second.run.journal.row.failure is None
    assert len(world.exports) == 1


def test_the_run_refuses_an_export_as_of_another_time_than_it_asked_for() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    ((arn, (request, began)),) = world.exports.items()
    world.exports[arn] = (
        dataclasses.replace(request, export_time=request.export_time - 600),
        began,
    )
    with pytest.raises(BlockedError, match="the buffer may not have been active"):
        process.until(lambda: False)


def test_the_stream_of_the_source_is_named_in_what_is_refused() -> None:
    world = FakeAws()
    world.destinations = [Destination(STREAM_ARN, "ENABLE_FAILED", "MICROSECOND", "no permission")]
    failure = failure_of(world)
    assert "ENABLE_FAILED no permission" in failure.what
