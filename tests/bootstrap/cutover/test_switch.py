"""A switch ends with the target open and the source closed, or the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.facts import TtlStatus
from bootstrap.core.journal_rows import RowWrite
from bootstrap.core.state import State
from bootstrap.core.write_deny import BULK_ACTION
from bootstrap.cutover.switch.switch import Switch
from bootstrap.journal.switch_records import AfterSwitch, SourceDeny, SwitchMode
from replicator.late_write_rows import LateWritesRow
from tests.support.bootstrap.fake_aws import LEDGER, SOURCE_ARN, TARGET_ARN, FakeAws
from tests.support.bootstrap.switch_world import (
    WriterWatch,
    a_switch,
    attempt_of,
    ready_to_switch,
)

pytestmark = pytest.mark.promise("C9")


@pytest.fixture
def world() -> FakeAws:
    return ready_to_switch()


def state(run: Switch) -> State:
    return run.group.first.journal.row.state


def test_a_fenced_switch_closes_the_source_and_then_opens_the_target(world: FakeAws) -> None:
    watch = WriterWatch(world)
    assert watch.takes_writes() == (True, False)
    run = a_switch(world)
    run.run()
    assert state(run) is State.SWITCHED
    assert watch.takes_writes() == (False, True)
    assert not watch.both_open
    after = run.group.first.journal.get(AfterSwitch)
    assert after is not None
    assert not after.failed
    assert world.mapping_enabled_at is None


@pytest.mark.parametrize("takes", [True, False])
def test_both_tables_denies_name_the_bulk_load_where_aws_takes_it_and_hold_without_it(
    world: FakeAws, takes: bool
) -> None:
    world.policies.takes_bulk = takes
    watch = WriterWatch(world)
    run = a_switch(world)
    run.run()
    assert state(run) is State.SWITCHED
    assert watch.takes_writes() == (False, True)
    assert not watch.both_open
    denied = [
        BULK_ACTION in each["Action"]
        for arn in (SOURCE_ARN, TARGET_ARN)
        for each in world.policies.statements(arn)
    ]
    assert denied == [takes, takes]
    source = run.group.first.journal.get(SourceDeny)
    assert source is not None and source.bulk is takes


def test_writers_are_refused_for_the_fixed_waits_and_little_more(world: FakeAws) -> None:
    watch = WriterWatch(world)
    a_switch(world).run()
    attempt = attempt_of(world)
    refused = attempt.committed_at - attempt.closes
    assert 300 <= refused < 320
    ((begin, end),) = watch.refused
    assert end - begin >= refused


def test_with_writes_stopped_the_source_is_never_touched(world: FakeAws) -> None:
    run = a_switch(world, mode=SwitchMode.WRITES_STOPPED)
    run.run()
    assert state(run) is State.SWITCHED
    assert not world.policies.of(SOURCE_ARN).changes


def test_a_commit_whose_answer_never_came_is_not_taken_back(world: FakeAws) -> None:
    run = a_switch(world)
    store, write_all = run.group.first.store, run.group.first.store.write_all
    commits: list[RowWrite] = []

    def lost(writes: Sequence[RowWrite]) -> bool:
        done = write_all(writes)
        if writes[0].change.state is State.SWITCHED and not commits:
            commits.extend(writes)
            raise AccountError(Side.TARGET, "no answer", fix="-")
        return done

    store.write_all = lost  # type: ignore[method-assign]
    watch = WriterWatch(world)
    run.run()
    assert commits
    assert state(run) is State.SWITCHED
    assert watch.takes_writes() == (False, True)


def test_the_target_gets_the_sources_settings_and_what_disturbs_a_replica_only_after_the_commit(
    world: FakeAws,
) -> None:
    world.source = replace(
        world.source, billing_mode="PROVISIONED", read_capacity=7, write_capacity=9
    )
    world.source_expiry = TtlStatus(True, "expires")
    world.source_tags = {"team": "orders"}
    a_switch(world).run()
    assert world.target is not None
    assert (world.target.billing_mode, world.target.write_capacity) == ("PROVISIONED", 9)
    assert world.expiries["orders-replica"] == TtlStatus(True, "expires")
    assert world.source_expiry.enabled is False
    assert world.target_tags["team"] == "orders"
    attempt = attempt_of(world)
    assert min(world.times("set_capacity")) > attempt.committed_at
    assert world.times("set_expiry")[-1] > attempt.committed_at
    assert max(world.times("tag")) < attempt.closes


def test_deletions_by_ttl_behind_the_gate_are_reported_and_do_not_cancel(world: FakeAws) -> None:
    def note_deletion(number: int, name: str, after: bool) -> None:
        settings = world.ledger_settings()
        if "closed" in settings and not noted:
            noted.append(settings["closed"]["S"])
            row = LateWritesRow(noted[0], "shard-0", int(world.clock() * 1e6), deletions=3)
            with world.unwatched():
                world.dynamodb.put_item(TableName=LEDGER, Item=row.to_item())

    noted: list[str] = []
    world.on_call = note_deletion
    run = a_switch(world)
    run.run()
    assert noted == [attempt_of(world).nonce]
    assert attempt_of(world).left_to_ttl == 3
    assert run.progress().left_to_ttl == 3


def test_a_switch_whose_gate_a_promotion_has_taken_does_not_wait_for_its_lanes(
    world: FakeAws,
) -> None:
    def promote(number: int, name: str, after: bool) -> None:
        if name == "put_probes" and after and not taken:
            taken.append(number)
            with world.unwatched():
                run.group.first.steps.ledger.take_gate("promotion")

    taken: list[int] = []
    run = a_switch(world)
    world.on_call = promote
    with pytest.raises(BlockedError, match="a promotion, owns the consumer's gate"):
        run.run()
    assert taken
    assert WriterWatch(world).takes_writes() == (True, False)
