"""`resume` looks for writes of another writer in the target before the consumer is on again.

An application may have moved to the target during the pause. A resumed consumer would replace its
newer items with the source's older ones, and a verification would then call both tables equal.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.own_writes import AwsOwnWrites, MeteredClient
from bootstrap.core.errors import (
    AccessDeniedError,
    AccountError,
    BlockedError,
    Side,
)
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.state import State
from bootstrap.journal.records import Paused
from bootstrap.status.json_members import as_json
from bootstrap.status.page import page
from replicator.call_context import CallContext
from replicator.canonical import digest, key_digest
from replicator.change import MICROSECOND, Change, Entry, Version
from replicator.consumer.ledger import LedgerWriter
from replicator.consumer.ledger_entry import to_item
from replicator.consumer.writer import Attempt
from replicator.runtime import Deadline, Runtime
from tests.support.bootstrap.fake_aws import COMMAND, JOURNAL, LEDGER, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.pauses import PAUSE, RESUME, paused
from tests.support.bootstrap.status import look
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C2", "C10")

HOUR, MINUTE = 3_600.0, 60
OVERWRITE = RunOptions(goal=Goal.RESUME, overwrite_target=True)


def waiting() -> FakeAws:
    """A table that has been paused for hours."""
    world = paused()
    world.clock.advance(2 * HOUR)
    return world


def resume(world: FakeAws, options: RunOptions = RESUME, pid: int = 3) -> Process:
    process = Process(world, pid=pid, options=options)
    process.go()
    return process


def record(world: FakeAws) -> Paused:
    process = Process(world, pid=98)
    with world.unwatched():
        row, _ = process.store.read("orders")
    assert row is not None
    found = row.record(Paused)
    assert found is not None
    return found


def at(moment: float, units: float = 1.0) -> Callable[[float], float]:
    """Write units in the minute that holds a moment, and in no other."""
    return lambda begin: units if begin <= moment < begin + MINUTE else 0.0


def test_a_pause_ends_once_no_invocation_can_be_running() -> None:
    world = paused()
    found = record(world)
    assert found.quiet_from % MINUTE == 0
    assert found.off_at + 120 <= found.quiet_from <= world.clock()


def test_after_a_pause_the_next_command_is_the_operators_decision() -> None:
    shown = look(waiting())
    assert as_json(shown)["next"] is None
    assert COMMAND.format("resume") in as_json(shown)["decision"]
    assert "moved to the target" in as_json(shown)["decision"]
    assert "next          your decision: if the application still writes" in page(shown)


def test_run_names_the_decision_and_not_only_resume() -> None:
    world = waiting()
    with pytest.raises(BlockedError, match="paused since") as caught:
        Process(world, pid=3).go()
    assert "if it has moved to the target" in caught.value.fix


def test_an_untouched_target_is_resumed() -> None:
    world = waiting()
    process = resume(world)
    assert process.run.journal.row.state is State.REPLICATING
    assert world.times("target_writes"), "it has looked"


@pytest.mark.parametrize("seconds", [1, 59, 600, 7_100])
def test_a_single_write_by_another_writer_refuses(seconds: float) -> None:
    world = waiting()
    world.target_writes = at(record(world).quiet_from + seconds)
    with pytest.raises(BlockedError, match="written to during the pause: 1 write unit") as caught:
        resume(world)
    assert "python -m bootstrap resume --overwrite-target" in caught.value.fix
    assert world.mapping_enabled_at is None
    assert not record(world).resumed


def test_a_write_just_before_the_question_is_seen_although_metrics_are_late() -> None:
    world = waiting()
    world.target_writes = at(world.clock())
    with pytest.raises(BlockedError, match="written to during the pause"):
        resume(world)


def test_a_write_soon_after_a_short_pause_is_seen() -> None:
    world = paused()
    world.target_writes = at(world.clock())
    with pytest.raises(BlockedError, match="written to during the pause"):
        resume(world)


def test_the_consumers_own_last_writes_are_not_another_writers() -> None:
    world = waiting()
    world.target_writes = lambda begin: 500.0 if begin < record(world).quiet_from else 0.0
    resume(world)


@pytest.mark.parametrize("wait", [True, False])
def test_nothing_is_begun_before_the_metrics_have_settled(wait: bool) -> None:
    world = waiting()
    asked = world.clock()
    process = Process(world, pid=3, options=RunOptions(goal=Goal.RESUME, wait=wait))
    process.start()
    assert world.times("target_writes")[0] >= asked + 180
    assert not world.times("enable_mapping")[1:]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AccessDeniedError(Side.TARGET, "may not read metrics", fix="grant it", code="X"), 4),
        (AccountError(Side.TARGET, "metrics failed", fix="try later", code="X"), 4),
    ],
)
def test_metrics_that_cannot_be_read_refuse(error: AccountError, code: int) -> None:
    world = waiting()

    def refuse(number: int, name: str, after: bool) -> None:
        if name == "target_writes":
            raise error

    world.on_call = refuse
    with pytest.raises(type(error)) as caught:
        resume(world)
    assert caught.value.exit_code == code
    assert error.what == caught.value.what
    assert "resume --overwrite-target" in caught.value.fix
    assert world.mapping_enabled_at is None


def test_the_operator_may_insist() -> None:
    world = waiting()
    world.target_writes = lambda begin: 10.0
    assert resume(world, OVERWRITE).run.journal.row.state is State.REPLICATING
    assert not world.times("target_writes")


def test_a_resume_killed_before_the_consumer_is_on_looks_again() -> None:
    world = waiting()

    def kill(number: int, name: str, after: bool) -> None:
        if name == "enable_mapping":
            raise Killed(name)

    world.on_call = kill
    with pytest.raises(Killed):
        resume(world)
    world.on_call = lambda number, name, after: None
    world.clock.advance(HOUR)
    world.target_writes = at(world.clock())
    for options in (RESUME, RunOptions()):
        with pytest.raises(BlockedError, match="written to during the pause"):
            resume(world, options, pid=4)
    assert world.mapping_enabled_at is None


def test_a_consumer_that_is_on_already_needs_no_look() -> None:
    world = waiting()
    world.target_writes = lambda begin: 10.0
    world.mapping_enabled_at = world.clock()
    resume(world)


def test_writes_of_this_program_are_subtracted() -> None:
    world = waiting()
    begin = record(world).quiet_from + 600
    notes = AwsOwnWrites(Calls(Side.TARGET, "Role importer"), world.dynamodb, JOURNAL)
    with world.unwatched():
        notes.add("orders", begin + 3, 60.0)
        notes.add("orders", begin + 40, 40.0)
        notes.add("another", begin, 500.0)
    world.target_writes = at(begin, 101.0)
    with pytest.raises(BlockedError, match=r"1 write unit"):
        resume(world)
    world.target_writes = at(begin, 100.0)
    resume(world, pid=4)


def test_what_this_program_wrote_before_the_pause_hides_no_other_writer() -> None:
    world = waiting()
    quiet = record(world).quiet_from
    notes = AwsOwnWrites(Calls(Side.TARGET, "Role importer"), world.dynamodb, JOURNAL)
    with world.unwatched():
        notes.add("orders", quiet - 1, 100.0)
        notes.add("orders", quiet + 1, 100.0)  # perhaps written before, and answered after
    world.target_writes = at(quiet + 600, 50.0)
    with pytest.raises(BlockedError, match="50 write units"):
        resume(world)


def test_the_guard_in_this_process_notes_what_it_writes_to_the_target_alone() -> None:
    world = FakeAws()
    world._create("orders-replica", "pk:S")
    notes = AwsOwnWrites(Calls(Side.TARGET, "Role importer"), world.dynamodb, JOURNAL)
    client = MeteredClient(world.dynamodb, notes, source="orders", target="orders-replica")
    runtime = Runtime(clock=world.clock)
    writer = LedgerWriter(
        client, target_table="orders-replica", ledger_table=LEDGER, runtime=runtime
    )
    new = {"pk": {"S": "a"}, "v": {"S": "x" * 1_500}}
    version = Version(1_000_000, MICROSECOND)
    change = Change({"pk": new["pk"]}, None, new, version, 1.0)
    context = CallContext(Deadline(runtime, 60_000), lambda *ignored: None)
    writer.apply([Attempt(change)], context)
    assert notes.units("orders", 0) == 4.0, "two KB in a transaction"


def test_a_pause_of_an_older_version_counts_from_its_begin() -> None:
    world = waiting()
    _rewrite(world, replace(record(world), off_at=0, quiet_from=0))
    resume_error = at(record(world).at + 90)
    world.target_writes = resume_error
    with pytest.raises(BlockedError, match="When the consumer stopped is not recorded"):
        resume(world)
    world.target_writes = lambda begin: 0.0
    resume(world, pid=4)


def test_a_pause_that_cloudwatch_no_longer_remembers_refuses() -> None:
    world = waiting()
    world.clock.advance(460 * 24 * HOUR)
    with pytest.raises(BlockedError, match="CloudWatch no longer has the metrics"):
        resume(world)


def test_keys_of_another_writer_are_named_and_no_content() -> None:
    world = waiting()
    world.target_writes = at(record(world).quiet_from + 600)
    assert world.target is not None
    world.target = replace(world.target, keys=[{"AttributeName": "pk", "KeyType": "HASH"}])
    for name, applied in (("as applied", "v"), ("it's changed", "other"), ("imported", None)):
        item = {"pk": {"S": name}, "v": {"S": "secret"}}
        world.target_items.append(item)
        if applied is None:
            continue
        image = item if applied == "v" else {**item, "v": {"S": applied}}
        entry = Entry(Version(1, MICROSECOND), image=digest(image), previous=digest(None))
        with world.unwatched():
            key = key_digest({"pk": item["pk"]})
            world.dynamodb.put_item(TableName=LEDGER, Item=to_item(key, entry))
    with pytest.raises(BlockedError, match=r"3 items of the target were scanned; 1 ") as caught:
        resume(world)
    typed = shlex.quote(json.dumps({"pk": {"S": "it's changed"}}))
    assert f"python -m bootstrap explain {typed}" in caught.value.fix
    assert "secret" not in str(caught.value)
    assert "it's changed" not in caught.value.what
    assert "as applied" not in str(caught.value)


def test_without_the_right_to_scan_it_still_refuses_and_says_why_no_key_is_named() -> None:
    world = waiting()
    world.target_writes = at(record(world).quiet_from + 600)

    def refuse(number: int, name: str, after: bool) -> None:
        if name == "scan_target":
            raise AccessDeniedError(Side.TARGET, "Role importer may not Scan", fix="-", code="X")

    world.on_call = refuse
    with pytest.raises(BlockedError, match=r"No key is named.*may not Scan"):
        resume(world)


def test_a_pause_killed_while_the_last_invocation_may_run_is_completed_by_pause() -> None:
    world = replicated()

    def kill(number: int, name: str, after: bool) -> None:
        if name == "disable_mapping":
            raise Killed(name)

    world.on_call = kill
    with pytest.raises(Killed):
        Process(world, pid=2, options=PAUSE).go()
    world.on_call = lambda number, name, after: None
    assert as_json(look(world))["next"] == COMMAND.format("pause")
    Process(world, pid=5, options=PAUSE).go()
    assert record(world).quiet_from <= world.clock()


def _rewrite(world: FakeAws, paused: Paused) -> None:
    process = Process(world, pid=97)
    with world.unwatched():
        lease = process.run._lease
        lease.acquire(take_over=True)
        process.run.journal.refresh()
        process.run.journal.put(paused, "as an older version left it")
        lease.release()
