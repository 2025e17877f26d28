"""A switch begins only where each of its conditions is known to be fulfilled."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import PolicyRevision
from bootstrap.core.state import State
from bootstrap.core.write_deny import BULK_ACTION, WRITE_ACTIONS, WriteDeny, with_deny
from bootstrap.cutover.checks.check import Check
from bootstrap.cutover.checks.conditions import judge_checks, read_checks, refuse_unfulfilled
from bootstrap.cutover.context import SwitchOptions
from bootstrap.journal.records import Buffered, Skipped
from bootstrap.journal.switch_records import (
    SourceDeny,
    Switching,
    SwitchMode,
    SwitchStep,
    TargetDeny,
)
from replicator.watchdog.lambda_states import MappingState
from replicator.watchdog.readings import Probed, Unread
from tests.support.bootstrap.fake_aws import SOURCE_ARN, FakeAws, switch_outputs
from tests.support.bootstrap.fake_aws import outputs as plain_outputs
from tests.support.bootstrap.killed_process import Process, journal_verified, replicated
from tests.support.bootstrap.status import NOW
from tests.support.bootstrap.switch_conditions import (
    NONCE,
    PUT_AT,
    SOURCE,
    TARGET,
    deny_document,
    health,
    looking,
    ready,
    row,
    verified,
)

pytestmark = [pytest.mark.promise("C9"), pytest.mark.promise("C10")]

WRITES_STOPPED = SwitchOptions(SwitchMode.WRITES_STOPPED)
USERS = {"Sid": "Theirs", "Effect": "Allow", "Principal": "*", "Action": ["dynamodb:GetItem"]}


def policy(document: str | None) -> PolicyRevision:
    return PolicyRevision(document, "1")


def with_user_statement(count: int = 1) -> str:
    return json.dumps({"Statement": [{**USERS, "Sid": f"Theirs{n}"} for n in range(count)]})


def judged(options: SwitchOptions | None = None, outputs: Any = None, **changes: Any) -> list[Any]:
    context = looking(FakeAws(), options, outputs)
    return list(judge_checks(context, ready(**changes)))


def unfulfilled(checks: list[Check]) -> dict[str, bool | None]:
    return {each.name: each.fulfilled for each in checks if each.fulfilled is not True}


STALE = with_deny(None, WriteDeny("stale", SOURCE_ARN))
HELD = ("process 7 on laptop holds the lease of a verification",)
OPEN: list[tuple[str, bool | None, dict[str, Any]]] = [
    ("state", False, {"row": row(state=State.PAUSED)}),
    ("state", False, {"row": row(state=State.SWITCHED)}),
    ("leases", False, {"holders": HELD}),
    ("identity", False, {"row": row(Buffered(0, "s", "source-0"))}),
    ("identity", False, {"source": None, "source_policy": policy(None)}),
    ("identity", None, {"row": row(Buffered(0, "s", ""))}),
    ("identity", False, {"target": dataclasses.replace(TARGET, status="UPDATING")}),
    ("target-kind", False, {"target": dataclasses.replace(TARGET, replicas=["eu-north-1"])}),
    ("source-kind", False, {"source": dataclasses.replace(SOURCE, replicas=["eu-north-1"])}),
    (
        "source-kind",
        False,
        {"source": dataclasses.replace(SOURCE, global_version="2017.11.29")},
    ),
    ("target-deny", False, {"target_policy": policy(None)}),
    ("target-deny", False, {"target_policy": policy(deny_document("another"))}),
    ("target-deny", False, {"target_policy": policy(deny_document(Resource=f"{SOURCE_ARN}x"))}),
    ("target-deny", False, {"target_policy": policy(deny_document(Condition={}))}),
    ("target-deny", None, {"target_policy": Unread("denied")}),
    ("target-deny", None, {"target_policy": policy("{")}),
    ("target-deny", False, {"row": row(TargetDeny(NONCE))}),
    ("target-deny", False, {"row": row(TargetDeny(NONCE, NOW - 599))}),
    ("verification", False, {"verified": None}),
    ("verification", False, {"verified": verified(different=1)}),
    ("verification", False, {"verified": verified(missing=1, repaired=1)}),
    ("verification", None, {"verified": verified(changed_since=1, complete_until=0)}),
    ("verification", None, {"verified": verified(sample=0.5)}),
    ("verification", False, {"verified": verified(NOW - 8 * 86_400)}),
    ("verified-since-deny", False, {"verified": verified(PUT_AT + 600)}),
    ("verified-since-deny", False, {"row": row(TargetDeny(NONCE, NOW - 3_700))}),
    ("detectors", False, {"health": health(mapping=MappingState("Disabled"))}),
    ("detectors", None, {"health": health(mapping=Unread("denied"))}),
    ("detectors", False, {"health": health(skipped=1)}),
    ("lag", False, {"health": health(probed=Probed(NOW - 60, None, 31.0))}),
    ("lag", None, {"health": health(probed=Unread("denied"))}),
    ("lag", None, {"health": health(probed=Probed(None, None))}),
    ("lag", None, {"health": health(probed=Probed(NOW - 700, None, 1.0, ran=NOW))}),
    ("lag", False, {"health": health(probed=Probed(NOW - 400, NOW - 100, 1.0))}),
    ("quarantine", False, {"health": health(quarantine=1)}),
    ("quarantine", False, {"health": health(failures=1)}),
    ("quarantine", None, {"health": health(quarantine=Unread("denied"))}),
    ("source-policy", False, {"source_policy": policy(STALE)}),
    ("source-policy", None, {"source_policy": Unread("denied")}),
    ("source-policy", False, {"source_policy": policy(with_user_statement(300))}),
]


def test_every_condition_of_a_ready_table_is_fulfilled_with_its_evidence() -> None:
    checks = judged()

    assert unfulfilled(checks) == {}
    assert all(each.evidence and each.at <= NOW and each.remedy is None for each in checks)
    refuse_unfulfilled(checks)


@pytest.mark.parametrize(
    ("bulk", "target", "source"),
    [
        (True, "", "it refuses bulk puts too, but not one that runs already"),
        (False, "it does not refuse bulk puts: AWS takes no Deny", "it does not refuse bulk puts"),
        (None, "the next `run` tries", "is known once it is put"),
    ],
)
def test_what_the_denies_do_to_bulk_puts_is_part_of_their_evidence(
    bulk: bool | None, target: str, source: str
) -> None:
    known = row(TargetDeny(NONCE, PUT_AT, bulk=bulk))
    actions = [*WRITE_ACTIONS, *([BULK_ACTION] if bulk else [])]
    found = {
        each.name: each
        for each in judged(row=known, target_policy=policy(deny_document(Action=actions)))
    }
    assert (found["target-deny"].fulfilled, found["source-policy"].fulfilled) == (True, True)
    assert target in found["target-deny"].evidence
    assert ("bulk" in found["target-deny"].evidence) is (bulk is not True)
    assert source in found["source-policy"].evidence
    assert "no role looks for those that run" in found["source-policy"].evidence


def test_a_target_deny_that_has_lost_the_bulk_load_was_changed() -> None:
    found = judged(
        row=row(TargetDeny(NONCE, PUT_AT, bulk=True)),
        target_policy=policy(deny_document(Action=list(WRITE_ACTIONS))),
    )
    assert unfulfilled(found)["target-deny"] is False


@pytest.mark.parametrize(
    ("name", "expected", "changes"), OPEN, ids=[f"{n}-{each[0]}" for n, each in enumerate(OPEN)]
)
def test_condition_that_is_not_known_to_hold_stops_the_switch(
    name: str, expected: bool | None, changes: dict[str, Any]
) -> None:
    checks = judged(**changes)

    found = {each.name: each for each in checks}
    assert found[name].fulfilled is expected
    assert found[name].remedy is not None
    with pytest.raises(BlockedError, match=f"{name}: ") as refused:
        refuse_unfulfilled(checks)
    assert str(refused.value).count("\nTry: ") == 1


def test_one_cause_is_reported_by_its_own_condition_alone() -> None:
    alone = ("state", "leases", "lag", "source-kind", "source-policy", "target-kind", "stack-deny")
    for name, _, changes in OPEN:
        if name in alone and "health" not in changes:
            assert set(unfulfilled(judged(**changes))) == {name}


def test_every_condition_has_a_case_in_which_it_is_open() -> None:
    covered = {name for name, _, _ in OPEN} | {"roles", "stack-deny"}

    assert covered == {each.name for each in judged()}


def test_deny_of_the_stack_stops_the_switch() -> None:
    found = judged(outputs=switch_outputs(stackOwnsTargetDeny=True))

    assert unfulfilled(found) == {"stack-deny": False}


def test_stack_without_roles_cannot_switch() -> None:
    assert unfulfilled(judged(outputs=plain_outputs())) == {"roles": False}


def test_writes_stopped_by_the_operator_need_nothing_in_the_source() -> None:
    found = judged(
        WRITES_STOPPED,
        source=dataclasses.replace(SOURCE, replicas=["eu-north-1"]),
        source_policy=None,
    )

    assert unfulfilled(found) == {}


def test_statement_of_an_earlier_attempt_is_taken_out_by_cancelling_it() -> None:
    (check,) = [
        each
        for each in judged(row=row(SourceDeny("stale")), source_policy=policy(STALE))
        if each.name == "source-policy"
    ]

    assert check.remedy is not None
    assert check.remedy.text() == "python -m bootstrap switch --cancel"


def test_loss_that_no_verification_covers_stops_the_switch() -> None:
    lost = dataclasses.replace(
        health(), losses=dataclasses.replace(health().losses, skipped=Skipped(2, 1.0, 2.0))
    )

    assert unfulfilled(judged(health=lost)) == {"detectors": False}


def test_policy_of_the_user_stays_and_is_counted() -> None:
    (check,) = [
        each
        for each in judged(source_policy=policy(with_user_statement()))
        if each.name == "source-policy"
    ]

    assert check.fulfilled
    assert "of 20,480" in check.evidence


def test_aws_may_write_a_list_of_one_as_its_element() -> None:
    document = json.loads(deny_document())
    document["Statement"] = document["Statement"][0]
    document["Statement"]["Principal"] = {"AWS": "*"}

    assert unfulfilled(judged(target_policy=policy(json.dumps(document)))) == {}


def test_preparation_of_this_process_is_no_other_switch() -> None:
    attempt = Switching("n", "fence", ("orders",), NOW, 1_200.0)
    context = looking(FakeAws())
    there = row(attempt, state=State.SWITCHING)

    def state_of() -> bool | None:
        return judge_checks(context, ready(row=there))[0].fulfilled

    assert state_of() is False
    context.leases[0].generation = there.generation
    assert state_of() is True
    later = dataclasses.replace(attempt, step=SwitchStep.ARM)
    there = row(later, state=State.SWITCHING)
    assert state_of() is False


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return replicated()


def test_reading_the_conditions_changes_nothing_and_takes_no_lease(replica: FakeAws) -> None:
    world = replica.copied()
    journal_verified(world, verified(world.clock() - 60))
    first = len(world.seen)

    checks = {each.name: each for each in read_checks(looking(world))}

    assert checks["state"].fulfilled
    assert checks["identity"].fulfilled
    assert checks["leases"].fulfilled
    assert {each.name for each in world.seen[first:]} == {
        *("GetItem", "describe_source", "describe_target", "GetResourcePolicy"),
    }


def test_living_process_of_another_machine_is_named(replica: FakeAws) -> None:
    world = replica.copied()
    other = Process(world, pid=5, host="server")
    other.start()

    found = {each.name: each for each in read_checks(looking(world))}

    assert found["leases"].fulfilled is False
    assert "process 5 on server holds the lease of the run" in found["leases"].evidence


def test_keys_that_changed_since_the_exports_of_a_verification_do_not_stop_the_switch() -> None:
    checks = judged(verified=verified(changed_since=2))
    assert unfulfilled(checks) == {}
    (found,) = [each for each in checks if each.name == "verification"]
    assert "2 keys were replaced by changes since" in found.evidence
