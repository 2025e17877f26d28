"""`promote` on both accounts in memory: from every state, without a call to the source."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from bootstrap.core.errors import (
    BlockedError,
    LeaseHeldError,
    LeaseLostError,
    Side,
    UnavailableError,
)
from bootstrap.core.facts import TtlStatus
from bootstrap.core.state import State
from bootstrap.core.write_deny import WriteDeny, with_deny
from bootstrap.cutover.promotion.items import deny_stands
from bootstrap.cutover.promotion.promote import Promotion, PromotionResult
from bootstrap.cutover.promotion.report import page
from bootstrap.journal.records import Configured, Imported, Paused, Wanted
from bootstrap.journal.switch_records import Promoted, Switching, SwitchStep, TargetDeny
from tests.support.bootstrap.fake_aws import (
    CONSUMER,
    IMPORTER,
    TARGET_ARN,
    FakeAws,
    outputs,
)
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.promote_harness import Promoter
from tests.support.bootstrap.switch_states import (
    record,
    switched,
    switching,
    target_deny,
)

pytestmark = pytest.mark.promise("C9", "C10")

NONCE = "attempt1"
TARGETS = {
    *("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "TransactWriteItems"),
    *("GetResourcePolicy", "PutResourcePolicy", "write_canary"),
    *("describe_target", "target_expiry", "set_expiry", "mapping", "disable_mapping"),
}
"""Calls in the target account."""


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return replicated()


@pytest.fixture
def world(replica: FakeAws) -> FakeAws:
    found = replica.copied()
    found.seen.clear()
    return found


def denied(world: FakeAws, *, excepted: tuple[str, ...] = (CONSUMER, IMPORTER)) -> None:
    """The target's Deny on other writers stands, as a run puts it."""
    deny = WriteDeny(NONCE, TARGET_ARN, excepted=excepted)
    world.policies.set(TARGET_ARN, with_deny(None, deny))
    record(world, State.REPLICATING, target_deny(world))


def promoted(world: FakeAws) -> Promoted:
    row, _ = Process(world, pid=98).store.read("orders")
    assert row is not None and row.state is State.PROMOTED
    found = row.record(Promoted)
    assert found is not None
    return found


def check(world: FakeAws, result: PromotionResult) -> None:
    """All that a promotion promises, as the world shows it."""
    found, settings = promoted(world), world.ledger_settings()
    assert settings["closed"] == {"S": found.nonce}
    assert not {"armed", "mark"} & set(settings)
    assert int(settings["primary"]["N"]) / 1e6 >= found.closed_at
    [statement] = world.policies.statements(TARGET_ARN)
    assert statement["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": sorted((CONSUMER, IMPORTER))}
    }
    assert not world.policies.refuses(TARGET_ARN, "arn:aws:iam::222222222222:role/application")
    assert world.policies.refuses(TARGET_ARN, CONSUMER)
    assert world.mapping_enabled_at is None
    assert result.takes_writes
    assert result.open == ()


# The whole


def test_a_promoted_target_takes_writes_of_all_but_this_stack(world: FakeAws) -> None:
    denied(world)
    check(world, Promoter(world).go())


def test_no_call_goes_to_the_source(world: FakeAws) -> None:
    """The journal, the ledger and the target are all that it touches."""
    denied(world)
    world.seen.clear()
    Promoter(world, drain=30).go()
    names = {each.name for each in world.seen}
    assert names <= TARGETS, names - TARGETS
    assert {"UpdateItem", "PutResourcePolicy", "write_canary"} <= names
    policies = {each.detail for each in world.seen if each.name.endswith("ResourcePolicy")}
    assert policies == {TARGET_ARN}


def test_writers_come_in_only_once_no_invocation_can_be_running(world: FakeAws) -> None:
    denied(world)
    Promoter(world).go()
    [closed, *_] = [
        each.at
        for each in world.seen
        if each.name == "UpdateItem" and "closed" in json.dumps(each.detail, default=str)
    ]
    [rewritten] = world.times("PutResourcePolicy")
    assert rewritten - closed >= 150


@pytest.mark.parametrize("state", [State.DEGRADED, State.CATCHING_UP, State.FAILED])
def test_any_state_with_a_complete_copy_is_promoted(world: FakeAws, state: State) -> None:
    denied(world)
    record(world, state)
    result = Promoter(world).go()
    check(world, result)
    assert result.report["stateBefore"] == state


def test_a_paused_replica_says_since_when_it_has_been_without_changes(world: FakeAws) -> None:
    denied(world)
    paused = Paused(world.clock() - 50)
    record(world, State.PAUSED, paused)
    result = Promoter(world, drain=120).go()
    check(world, result)
    assert result.report["drain"]["ended"] == "consumer-off"
    assert "has been paused since" in page(result.report)


# Refusals


def test_without_a_run_there_is_nothing_to_promote() -> None:
    world = FakeAws()
    with pytest.raises(BlockedError, match="no run has begun"):
        Promoter(world).go()
    row, _ = Process(world).store.read("orders")
    assert row is None, "a refusal writes nothing"


def test_before_the_import_is_complete_it_says_what_is_there() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.imports))
    world.alive.clear()
    with pytest.raises(BlockedError, match=r"no complete copy.*Its snapshot as of .* is complete"):
        Promoter(world).go()


@pytest.mark.parametrize("state", [State.ABANDONING, State.ABANDONED])
def test_a_replica_that_was_given_up_is_refused(world: FakeAws, state: State) -> None:
    record(world, state)
    with pytest.raises(BlockedError, match="was given up"):
        Promoter(world).go()


def test_a_switched_table_is_refused(world: FakeAws) -> None:
    switched(world)
    with pytest.raises(BlockedError, match="is the primary already"):
        Promoter(world).go(take_over=True)


def test_a_target_that_was_made_again_is_refused(world: FakeAws) -> None:
    assert world.target is not None
    world.target = dataclasses.replace(world.target, table_id="another")
    with pytest.raises(BlockedError, match="another one than was imported"):
        Promoter(world).go()
    world.target = None
    with pytest.raises(BlockedError, match="does not exist"):
        Promoter(world).go()
    assert "closed" not in world.ledger_settings()


def test_a_live_process_blocks_it_unless_it_is_replaced(world: FakeAws) -> None:
    denied(world)
    other = record(world, State.REPLICATING, holds=True)
    with pytest.raises(LeaseHeldError, match="--take-over"):
        Promoter(world).go()
    check(world, Promoter(world).go(take_over=True))
    with pytest.raises(LeaseLostError):
        other.run.journal.refresh()


def test_a_look_changes_nothing(world: FakeAws) -> None:
    world.seen.clear()
    Promotion(Promoter(world).context(looks=True)).look()
    assert {each.name for each in world.seen} <= {"GetItem", "BatchGetItem"}


# An unfinished switch


@pytest.mark.parametrize("step", list(SwitchStep)[:-1])
def test_an_unfinished_switch_is_void(world: FakeAws, step: SwitchStep) -> None:
    denied(world)
    made = switching(world, step)
    result = Promoter(world, drain=120).go()
    check(world, result)
    row, _ = Process(world, pid=98).store.read("orders")
    assert row is not None
    attempt = row.record(Switching)
    assert attempt is not None and attempt.cancelled
    assert promoted(world).nonce != made.nonce
    if step.order >= SwitchStep.GATE.order:
        assert result.report["drain"]["ended"] == "gate-closed"


def test_a_sealed_source_is_said_to_be_closed(world: FakeAws) -> None:
    denied(world)
    switching(world, SwitchStep.SEAL)
    result = Promoter(world).go()
    assert "without an end" in page(result.report)


# The Deny


def test_a_users_statements_stay(world: FakeAws) -> None:
    theirs = {"Sid": "Theirs", "Effect": "Allow", "Principal": "*", "Action": "dynamodb:GetItem"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [theirs]})
    world.policies.set(TARGET_ARN, with_deny(document, WriteDeny(NONCE, TARGET_ARN)))
    record(world, State.REPLICATING, target_deny(world))
    Promoter(world).go()
    assert world.policies.statements(TARGET_ARN)[0] == theirs
    assert len(world.policies.statements(TARGET_ARN)) == 2


def test_a_policy_that_changes_meanwhile_is_read_anew(world: FakeAws) -> None:
    denied(world)
    changed: list[str] = []

    def change(number: int, name: str, after: bool) -> None:
        if name == "PutResourcePolicy" and not after and not changed:
            changed.append(name)
            deny = WriteDeny("other", TARGET_ARN)
            world.policies.set(TARGET_ARN, with_deny(None, deny))

    world.on_call = change
    check(world, Promoter(world).go())
    assert changed


def test_a_deny_that_no_role_can_rewrite_is_said_with_the_command(world: FakeAws) -> None:
    denied(world)
    result = Promoter(world, chosen=outputs()).go()
    assert not result.takes_writes
    assert [item.name for item, _ in result.open] == ["target-deny", "target-open"]
    error = result.open[0][1]
    assert "STILL REFUSES ITS WRITERS" in error.what
    command = f"aws dynamodb put-resource-policy --region eu-west-1 --resource-arn {TARGET_ARN}"
    assert command in error.fix
    assert "**It still refuses its writers.**" in page(result.report)
    assert world.ledger_settings()["closed"] == {"S": promoted(world).nonce}
    check(world, Promoter(world).go())  # once the stack has the role


def test_without_a_role_and_without_a_deny_the_gate_is_enough(world: FakeAws) -> None:
    result = Promoter(world, chosen=outputs()).go()
    assert (result.takes_writes, result.open) == (True, ())
    assert world.policies.statements(TARGET_ARN) == []
    assert "has put no Deny" in page(result.report)


def test_writers_that_are_refused_all_the_same_are_an_open_item(world: FakeAws) -> None:
    """A Deny of another owner."""
    denied(world)
    theirs = {"Effect": "Deny", "Principal": "*", "Action": ["dynamodb:DeleteItem"], "Sid": "X"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [theirs]})
    world.policies.set(TARGET_ARN, with_deny(document, WriteDeny(NONCE, TARGET_ARN)))
    result = Promoter(world).go()
    assert not result.takes_writes
    assert [item.name for item, _ in result.open] == ["target-open"]
    assert promoted(world).open_at == 0
    fix = result.open[0][1].fix
    assert "promote --yes" in fix
    assert f"aws dynamodb get-resource-policy --region eu-west-1 --resource-arn {TARGET_ARN}" in fix


# What is open


def test_a_region_that_does_not_answer_leaves_an_open_item(world: FakeAws) -> None:
    denied(world)
    world.on_call = unreachable("mapping")
    result = Promoter(world).go()
    assert result.takes_writes
    assert [item.name for item, _ in result.open] == ["mapping"]
    assert promoted(world).failed[0].startswith("mapping: ")
    assert "mapping" not in promoted(world).done
    world.on_call = lambda number, name, after: None
    check(world, Promoter(world).go())
    assert promoted(world).failed == ()


def test_time_to_live_is_switched_on_where_the_source_had_it(world: FakeAws) -> None:
    denied(world)
    record(world, State.REPLICATING, Wanted(ttl_attribute="until"))
    check(world, Promoter(world).go())
    assert world.expiries["orders-replica"] == TtlStatus(True, "until")


def test_time_to_live_stays_off_where_the_operator_said_never(world: FakeAws) -> None:
    denied(world)
    record(world, State.REPLICATING, Wanted(ttl_attribute="until"), Configured(1, ttl="never"))
    Promoter(world).go()
    assert not world.times("set_expiry")


def test_another_attribute_of_the_target_is_left_open_with_the_commands(world: FakeAws) -> None:
    denied(world)
    world.expiries["orders-replica"] = TtlStatus(True, "other")
    record(world, State.REPLICATING, Wanted(ttl_attribute="until"))
    result = Promoter(world).go()
    [(item, error)] = result.open
    assert item.name == "target-expiry"
    assert "Enabled=false,AttributeName=other" in error.fix
    assert result.takes_writes


# The report


def test_the_report_is_in_the_journal_and_the_same_when_it_continues(world: FakeAws) -> None:
    denied(world)
    first = Promoter(world, quarantine=3).go()
    assert first.report["lossWindow"]["openQuarantineObjects"] == 3
    again = Promoter(world, quarantine=99).go()
    assert again.report["lossWindow"] == first.report["lossWindow"]
    assert json.loads(promoted(world).report)["nonce"] == first.report["nonce"]


def test_the_page_says_that_the_source_may_be_alive(world: FakeAws) -> None:
    text = page(Promoter(world).go().report)
    assert "The source may still be taking writes" in text
    assert "Going back is a new stack with the sides swapped" in text


def test_an_imported_table_that_never_consumed_says_so(world: FakeAws) -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: _imported(process))
    world.alive.clear()
    text = page(Promoter(world).go().report)
    assert "The consumer has never been on" in text


def _imported(process: Process) -> bool:
    found = process.run.journal.get(Imported)
    return found is not None and found.done


def unreachable(*names: str) -> Any:
    def fail(number: int, name: str, after: bool) -> None:
        if name in names and not after:
            raise UnavailableError(Side.TARGET, f"{name}: no answer", fix="run again")

    return fail


def test_a_deny_is_known_by_the_journal_or_the_stack(world: FakeAws) -> None:
    context = Promoter(world, chosen=outputs()).context(looks=True)
    context.lease.acquire()
    context.journal.refresh()
    assert not deny_stands(context)
    context.journal.put(TargetDeny(NONCE), "intended")
    assert deny_stands(context)
    owned = Promoter(world, chosen=outputs(stackOwnsTargetDeny=True)).context(looks=True)
    assert deny_stands(owned)
