"""The Deny on the target's other writers: put by `run`, watched, and taken off by `abandon`."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from bootstrap.core.errors import AccountError, BlockedError, Side, UnavailableError
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.stack_outputs import Outputs
from bootstrap.core.state import State
from bootstrap.core.write_deny import (
    BULK_ACTION,
    POLICY_BYTES,
    WRITE_ACTIONS,
    WriteDeny,
    project_statements,
    with_deny,
)
from bootstrap.journal.records import CaughtUp
from bootstrap.journal.switch_records import Promoted, Switching, SwitchMode, TargetDeny
from bootstrap.plan.abandon_preview import undoing
from tests.support.bootstrap.fake_aws import (
    CONSUMER,
    IMPORTER,
    TARGET_ARN,
    TARGET_SWITCH,
    FakeAws,
    outputs,
    switch_outputs,
)
from tests.support.bootstrap.kill_points import check, finish, kill_at, quick
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.pauses import PAUSE, RESUME
from tests.support.bootstrap.plans import ADOPT, adoptable
from tests.support.bootstrap.switch_faults import SuspendedClock
from tests.support.bootstrap.switch_harness import holding, switch_context
from tests.support.fakes.errors import Killed, client_error

pytestmark = pytest.mark.promise("C9")

ABANDON = RunOptions(goal=Goal.ABANDON)
WHOLLY = RunOptions(goal=Goal.ABANDON, drop_target=True)
WRITER = "arn:aws:iam::222222222222:role/application"
USERS = {
    "Sid": "Readers",
    "Effect": "Allow",
    "Principal": {"AWS": WRITER},
    "Action": "dynamodb:GetItem",
    "Resource": TARGET_ARN,
}
STACKS = {
    "Sid": "OthersDoNotWrite",
    "Effect": "Deny",
    "Principal": "*",
    "Action": list(WRITE_ACTIONS),
    "Resource": [TARGET_ARN],
    "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [CONSUMER, IMPORTER]}},
}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def go(
    world: FakeAws, pid: int = 100, options: RunOptions | None = None, chosen: Outputs | None = None
) -> Process:
    process = Process(world, pid=pid, options=options, chosen=chosen or switch_outputs())
    process.go()
    return process


def denied(world: FakeAws | None = None) -> FakeAws:
    """A world whose replica has the Deny, seen by all its callers."""
    world = world or quick()
    go(world)
    world.clock.advance(600)
    return world


def noted(world: FakeAws) -> TargetDeny | None:
    with world.unwatched():
        row, _ = Process(world, pid=96).store.read("orders")
    assert row is not None
    return row.record(TargetDeny)


def live(world: FakeAws) -> dict[str, dict[str, Any]]:
    return project_statements(world.policies.of(TARGET_ARN).last)


def puts(world: FakeAws) -> int:
    return len(world.times("PutResourcePolicy"))


# -- a run ----------------------------------------------------------------------------------------


def test_from_the_import_on_nobody_writes_to_the_target_but_consumer_and_importer() -> None:
    world = quick()
    go(world)
    assert world.order("import_table", "PutResourcePolicy", "protect", "enable_mapping") == [
        "import_table",
        "PutResourcePolicy",
        "protect",
        "enable_mapping",
    ]
    world.clock.advance(600)
    refused = [
        each
        for each in (WRITER, TARGET_SWITCH, CONSUMER, IMPORTER)
        if world.policies.refuses(TARGET_ARN, each)
    ]
    assert refused == [WRITER, TARGET_SWITCH]


def test_the_deny_is_recorded_before_it_is_put_and_its_time_after_it() -> None:
    world = quick()
    seen: list[TargetDeny | None] = []

    def watch(number: int, name: str, after: bool) -> None:
        if name == "PutResourcePolicy":
            seen.append(noted(world))

    world.on_call = watch
    go(world)
    (put_at,) = world.times("PutResourcePolicy")
    record = noted(world)
    assert record is not None
    assert seen == [dataclasses.replace(record, at=0, bulk=None)] * 2
    assert put_at - 2 <= record.at <= put_at + 2
    assert set(live(world)) == {record.nonce}


@pytest.mark.promise("C10")
def test_a_put_that_was_asleep_counts_from_when_it_was_made() -> None:
    world = quick()
    clock, woke = SuspendedClock(world.clock), list[float]()

    def sleep(number: int, name: str, after: bool) -> None:
        if name == "PutResourcePolicy" and not woke:
            world.clock.advance(7_200)
            clock.slept += 7_200
            woke.append(world.clock())

    world.on_call = sleep
    Process(world, chosen=switch_outputs(), clock=clock).go()
    found = noted(world)
    assert found is not None
    assert found.at >= int(woke[0])


def test_a_deny_that_stands_is_left_alone_by_every_later_run() -> None:
    world = denied()
    record = noted(world)
    go(world, pid=2)
    assert (noted(world), puts(world)) == (record, 1)


def test_a_replica_without_it_gets_it_with_the_next_run_and_stays_a_replica() -> None:
    world = quick()
    go(world, chosen=outputs())
    assert live(world) == {}
    states: list[State] = []
    process = Process(world, pid=2, chosen=switch_outputs())

    def watch(number: int, name: str, after: bool) -> None:
        states.append(process.run.journal.row.state)

    world.on_call = watch
    process.go()
    assert len(live(world)) == 1
    assert set(states[states.index(State.REPLICATING) :]) == {State.REPLICATING}
    assert process.run.journal.get(CaughtUp) is not None


@pytest.mark.parametrize(
    "stack",
    [outputs(), outputs(denyOtherWriters=True), switch_outputs(denyOtherWriters=False)],
    ids=["neither", "no role", "a role for other tables"],
)
def test_a_stack_without_a_role_for_the_table_touches_no_policy(stack: Outputs) -> None:
    world = quick()
    go(world, chosen=stack)
    go(world, pid=2, chosen=stack, options=ABANDON)
    assert world.order("GetResourcePolicy", "PutResourcePolicy") == []


def test_the_users_statements_stay_as_they_are() -> None:
    world = quick()
    world.policies.set(TARGET_ARN, document(USERS))
    go(world)
    assert world.policies.statements(TARGET_ARN)[0] == USERS
    record = noted(world)
    assert record is not None
    assert record.original == document(USERS)


@pytest.mark.parametrize("users", [(), (USERS,)])
def test_a_deny_that_was_taken_off_is_put_again_and_counts_from_then(users: Any) -> None:
    world = denied()
    first = noted(world)
    world.policies.set(TARGET_ARN, document(*users) if users else None)
    resumed = world.clock()
    go(world, pid=2)
    again = noted(world)
    assert first is not None
    assert again is not None
    assert (again.at >= resumed - 2, again.nonce != first.nonce) == (True, True)
    assert set(live(world)) == {again.nonce}
    assert again.original == first.original


@pytest.mark.parametrize(
    "other",
    [
        WriteDeny("0ther", TARGET_ARN, excepted=(CONSUMER, IMPORTER)),
        WriteDeny("N", TARGET_ARN, excepted=(CONSUMER, IMPORTER, WRITER)),
        WriteDeny("N", TARGET_ARN, excepted=(CONSUMER, IMPORTER), ends=1),
        WriteDeny("N", TARGET_ARN, only=(CONSUMER, IMPORTER)),
        WriteDeny("N", f"{TARGET_ARN}-2", excepted=(CONSUMER, IMPORTER)),
    ],
    ids=["another nonce", "one more role", "an end", "the other way about", "another table"],
)
def test_a_deny_of_another_form_is_replaced_and_counts_from_then(other: WriteDeny) -> None:
    world = denied()
    first = noted(world)
    assert first is not None
    if other.nonce == "N":
        other = dataclasses.replace(other, nonce=first.nonce)
    world.policies.set(TARGET_ARN, with_deny(None, other))
    resumed = world.clock()
    go(world, pid=2)
    again = noted(world)
    assert again is not None
    assert again.at >= resumed - 2
    assert list(live(world)) == [again.nonce]
    assert world.policies.of(TARGET_ARN).changes[-1][0] >= resumed


def test_a_read_that_shows_an_older_policy_does_not_break_the_deny() -> None:
    """As after a cancelled switch, which has just put the Deny under another nonce."""
    world = denied()
    first = noted(world)
    assert first is not None
    context = holding(switch_context(world, pid=3))
    renewed = dataclasses.replace(first, nonce="renewed")
    context.journal.put(renewed, "renewing")
    deny = WriteDeny("renewed", TARGET_ARN, excepted=(CONSUMER, IMPORTER))
    policies = context.target_policies
    policies.replace(TARGET_ARN, policies.read(TARGET_ARN), with_deny(None, deny))
    for lease in context.leases:
        lease.release()
    world.policies.read_seconds = 20
    go(world, pid=4)
    assert (noted(world), puts(world)) == (renewed, 2)


def test_a_form_in_which_aws_may_show_it_is_the_same() -> None:
    world = denied()
    (statement,) = world.policies.statements(TARGET_ARN)
    roles = statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    shown = {
        **statement,
        "Principal": {"AWS": "*"},
        "Action": statement["Action"][::-1],
        "Resource": [TARGET_ARN],
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": roles[::-1]}},
    }
    world.policies.set(TARGET_ARN, document(shown))
    go(world, pid=2)
    assert puts(world) == 1


def test_a_policy_that_is_changed_meanwhile_is_read_again_and_nothing_of_it_is_lost() -> None:
    world = quick()

    def watch(number: int, name: str, after: bool) -> None:
        if name == "PutResourcePolicy" and not after and puts(world) == 1:
            world.policies.set(TARGET_ARN, document(USERS))

    world.on_call = watch
    go(world)
    assert USERS in world.policies.statements(TARGET_ARN)
    assert (len(live(world)), puts(world)) == (1, 2)


def test_a_deny_that_another_program_keeps_taking_off_ends_the_run() -> None:
    world = quick()

    def watch(number: int, name: str, after: bool) -> None:
        if name == "PutResourcePolicy" and after:
            world.policies.set(TARGET_ARN, document(USERS))

    world.on_call = watch
    with pytest.raises(BlockedError, match="does not stay"):
        go(world)
    assert (puts(world), world.mapping_enabled_at) == (3, None)


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (document({**USERS, "Sid": "x" * (POLICY_BYTES - 500)}), "DynamoDB takes"),
        (document(USERS, USERS), "two statements named Readers"),
        ('{"Version": "2012-10-17", "Statement": "all"}', "no objects"),
    ],
    ids=["too large", "the same name twice", "not readable"],
)
def test_a_policy_that_cannot_take_it_stops_the_run_before_the_consumer_is_on(
    policy: str, why: str
) -> None:
    assert len(policy.encode()) <= POLICY_BYTES
    world = quick()
    world.policies.set(TARGET_ARN, policy)
    with pytest.raises(BlockedError, match=why) as caught:
        go(world)
    assert "aws dynamodb get-resource-policy --resource-arn" in caught.value.fix
    assert (world.mapping_enabled_at, puts(world)) == (None, 0)
    world.policies.set(TARGET_ARN, document(USERS))
    go(world, pid=2)
    assert len(live(world)) == 1


def test_without_the_consumers_role_in_the_outputs_nothing_is_denied() -> None:
    world = quick()
    with pytest.raises(BlockedError, match="consumer's role"):
        go(world, chosen=switch_outputs(consumerRoleArn=None))
    assert puts(world) == 0


@pytest.mark.parametrize(
    "record",
    [
        Switching("n", SwitchMode.FENCE, ("orders",), 1.0, 1200.0),
        Switching("n", SwitchMode.FENCE, ("orders",), 1.0, 1200.0, committed_at=2.0),
        Promoted("n", 1.0),
    ],
    ids=["under way", "committed", "promoted"],
)
def test_the_deny_of_a_switch_is_not_the_runs_to_replace(record: Any) -> None:
    """Whatever lets the run begin: this Deny would stop the application."""
    world = denied()
    context = holding(switch_context(world, pid=3))
    context.journal.put(record, "by a switch")
    opened = with_deny(None, WriteDeny("n", TARGET_ARN, only=(CONSUMER, IMPORTER)))
    world.policies.set(TARGET_ARN, opened)
    for lease in context.leases:
        lease.release()
    with pytest.raises(BlockedError):
        go(world, pid=4)
    assert (world.policies.of(TARGET_ARN).last, puts(world)) == (opened, 1)


def test_a_cancelled_switch_leaves_the_deny_to_the_run_again() -> None:
    world = denied()
    context = holding(switch_context(world, pid=3))
    cancelled = Switching("n", SwitchMode.FENCE, ("orders",), 1.0, 1200.0, cancelled_at=2.0)
    context.journal.put(cancelled, "by a switch")
    for lease in context.leases:
        lease.release()
    world.policies.set(TARGET_ARN, None)
    go(world, pid=4)
    assert len(live(world)) == 1


# -- bulk puts ------------------------------------------------------------------------------------


def refused(world: FakeAws, bulk: bool = True) -> FakeAws:
    """The same world, in which AWS takes no policy with the bulk load."""
    world.policies.takes_bulk = not bulk
    return world


def actions(world: FakeAws) -> list[str]:
    ((_, statement),) = live(world).items()
    found: list[str] = statement["Action"]
    return found


def older(world: FakeAws) -> TargetDeny:
    """As an older program left it: the Deny and its record know no bulk load."""
    found = noted(world)
    assert found is not None
    before = dataclasses.replace(found, bulk=None)
    context = holding(switch_context(world, pid=3))
    context.journal.put(before, "as it was")
    for lease in context.leases:
        lease.release()
    deny = WriteDeny(found.nonce, TARGET_ARN, excepted=(CONSUMER, IMPORTER), bulk=False)
    world.policies.set(TARGET_ARN, with_deny(None, deny))
    return before


def test_a_bulk_put_into_the_target_is_denied_where_aws_takes_its_name() -> None:
    world = denied()
    record = noted(world)
    assert record is not None
    assert (BULK_ACTION in actions(world), record.bulk, puts(world)) == (True, True, 1)


def test_where_aws_refuses_its_name_the_other_writers_are_denied_and_the_journal_says_so() -> None:
    world = denied(refused(quick()))
    record = noted(world)
    assert record is not None
    assert actions(world) == list(WRITE_ACTIONS)
    assert (record.bulk, record.at > 0, puts(world)) == (False, True, 2)
    go(world, pid=2)
    assert (noted(world), puts(world)) == (record, 2), "it is not tried again with each run"


@pytest.mark.parametrize("takes", [True, False])
def test_the_deny_of_an_older_program_gets_the_bulk_load_in_place_and_is_not_broken(
    takes: bool,
) -> None:
    world = denied()
    before = older(world)
    process = go(refused(world, not takes), pid=4)
    assert noted(world) == dataclasses.replace(before, bulk=takes)
    assert (BULK_ACTION in actions(world)) is takes
    assert list(live(world)) == [before.nonce]
    assert process.run.journal.row.state is State.REPLICATING


def test_a_read_that_shows_the_deny_without_the_bulk_load_for_a_while_does_not_break_it() -> None:
    world = denied()
    before = older(world)
    world.policies.read_seconds = 20
    go(world, pid=4)
    go(world, pid=5)
    assert noted(world) == dataclasses.replace(before, bulk=True)
    assert list(live(world)) == [before.nonce]


def test_a_deny_that_has_lost_the_bulk_load_was_changed_and_counts_anew() -> None:
    world = denied()
    first = noted(world)
    assert first is not None
    deny = WriteDeny(first.nonce, TARGET_ARN, excepted=(CONSUMER, IMPORTER), bulk=False)
    world.policies.set(TARGET_ARN, with_deny(None, deny))
    resumed = world.clock()
    go(world, pid=2)
    again = noted(world)
    assert again is not None
    assert (again.at >= resumed - 2, again.nonce != first.nonce, again.bulk) == (True, True, True)


def test_a_refusal_that_is_not_about_the_bulk_load_is_the_runs_failure() -> None:
    world = quick()

    def refuse(number: int, name: str, after: bool) -> None:
        if name == "PutResourcePolicy" and not after:
            raise client_error(name, "ValidationException", "Invalid principal")

    world.on_call = refuse
    with pytest.raises(AccountError, match="Invalid principal"):
        go(world)
    assert (live(world), puts(world)) == ({}, 2)


# -- from the stack to the tool -------------------------------------------------------------------


@pytest.mark.parametrize("others", [(), (USERS,)])
@pytest.mark.parametrize("single", [True, False])
def test_the_denys_older_form_is_replaced_in_one_put(others: Any, single: bool) -> None:
    world = quick()
    resource = TARGET_ARN if single else [TARGET_ARN]
    world.policies.set(TARGET_ARN, document({**STACKS, "Resource": resource}, *others))
    go(world)
    assert world.order("PutResourcePolicy", "DeleteResourcePolicy") == ["PutResourcePolicy"]
    first, *left = [each["Sid"] for each in world.policies.statements(TARGET_ARN)]
    assert ([first, *left][:-1]) == [each["Sid"] for each in others]
    texts = [text for _, text in world.policies.of(TARGET_ARN).changes]
    assert all(text is not None and "dynamodb:PutItem" in text for text in texts)
    assert len(live(world)) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"Sid": "Mine"},
        {"Action": ["dynamodb:PutItem"]},
        {"Resource": f"{TARGET_ARN}-2"},
        {"Condition": {"ArnNotEquals": {"aws:SourceArn": [CONSUMER]}}},
    ],
    ids=["name", "actions", "table", "condition"],
)
def test_a_users_own_deny_is_not_taken_for_it(changed: dict[str, Any]) -> None:
    world = quick()
    users = {**STACKS, **changed}
    world.policies.set(TARGET_ARN, document(users))
    go(world)
    assert users in world.policies.statements(TARGET_ARN)


def test_what_the_stack_owns_is_left_to_the_stack() -> None:
    world = quick()
    world.policies.set(TARGET_ARN, document(STACKS))
    owned = switch_outputs(stackOwnsTargetDeny=True)
    process = go(world, chosen=owned)
    assert process.run.journal.row.state is State.REPLICATING
    assert world.order("GetResourcePolicy", "PutResourcePolicy") == []
    go(world, pid=2, options=ABANDON, chosen=owned)
    assert world.policies.statements(TARGET_ARN) == [STACKS]


# -- crashes and lost answers ---------------------------------------------------------------------


def imported() -> FakeAws:
    """A world in which a run has died after its import, before it looked at a policy."""
    world = quick()

    def watch(number: int, name: str, after: bool) -> None:
        if name == "GetResourcePolicy":
            raise Killed(name)

    world.on_call = watch
    with pytest.raises(Killed):
        go(world)
    world.on_call = lambda number, name, after: None
    return world


@pytest.mark.slow
@pytest.mark.promise("C6")
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_about_it_the_next_run_puts_it_once(after: bool) -> None:
    base = imported()
    whole = base.copied()
    go(whole, pid=2)
    names = [seen.name for seen in whole.seen]
    for number in range(base.calls + 1, names.index("protect") + 2):
        if after and names[number - 1] == "GetResourcePolicy":
            continue  # it changes nothing
        world = base.copied()
        kill_at(world, number, after)
        with pytest.raises(Killed):
            go(world, pid=2)
        when = f"killed {'after' if after else 'before'} call {number}"
        check(world, finish(world, 3, switch_outputs()), when)
        record = noted(world)
        assert record is not None, when
        assert record.at, when
        assert set(live(world)) == {record.nonce}, when
        assert len(world.policies.of(TARGET_ARN).changes) == 1, when


@pytest.mark.promise("C6")
@pytest.mark.parametrize("times", [1, 2])
def test_a_put_whose_answer_is_lost_is_found_in_the_policy(times: int) -> None:
    world = quick()

    def lose(number: int, name: str, after: bool) -> None:
        if name == "PutResourcePolicy" and after and puts(world) <= times:
            raise UnavailableError(Side.TARGET, "the answer was lost", fix="-", code="Lost")

    world.on_call = lose
    go(world)
    record = noted(world)
    assert record is not None
    assert (len(world.policies.of(TARGET_ARN).changes), set(live(world))) == (1, {record.nonce})


# -- pause, resume, abandon -----------------------------------------------------------------------


def test_a_pause_and_its_end_leave_it() -> None:
    world = denied()
    record = noted(world)
    go(world, pid=2, options=PAUSE)
    world.clock.advance(7_200)
    go(world, pid=3, options=RESUME)
    assert (noted(world), puts(world)) == (record, 1)


@pytest.mark.parametrize("users", [(), (USERS,)])
def test_abandon_takes_it_off_and_leaves_the_users_policy(users: Any) -> None:
    world = quick()
    if users:
        world.policies.set(TARGET_ARN, document(*users))
    denied(world)
    go(world, pid=2, options=ABANDON)
    assert world.policies.statements(TARGET_ARN) == list(users)
    assert noted(world) is None
    world.clock.advance(600)
    assert not world.policies.refuses(TARGET_ARN, WRITER)


def test_abandon_takes_it_off_before_the_table_goes() -> None:
    world = denied()
    go(world, pid=2, options=WHOLLY)
    assert world.target is None
    acts = world.order("DeleteResourcePolicy", "disable_mapping", "drop")
    assert acts == ["disable_mapping", "DeleteResourcePolicy", "drop"]


def test_abandon_leaves_what_it_may_not_change_and_says_so() -> None:
    world = denied()
    record = noted(world)
    assert record is not None
    with world.unwatched():
        row, _ = Process(world, pid=95).store.read("orders")
    assert row is not None
    (table,) = outputs().tables

    def preview(may_open: bool) -> tuple[str, str]:
        text = str(
            undoing(
                table,
                row,
                world.target,
                outputs(),
                drop_target=False,
                disable_source_pitr=False,
                may_open=may_open,
            )
        )
        does, leaves = text.split("and leave")
        return does, leaves

    assert "take the Deny on other writers out of the resource policy" in preview(True)[0]
    assert f"statement DynamoDbReplication{record.nonce}" in preview(False)[1]
    go(world, pid=2, options=ABANDON, chosen=outputs())
    assert set(live(world)) == {record.nonce}


@pytest.mark.slow
@pytest.mark.promise("C6")
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("options", [ABANDON, WHOLLY], ids=["the table stays", "it goes"])
def test_abandon_killed_at_any_call_takes_it_off(after: bool, options: RunOptions) -> None:
    whole = denied()
    first = whole.calls
    struck = 0
    counted = whole.copied()
    go(counted, pid=2, options=options)
    for number in range(first + 1, counted.calls + 1):
        world = whole.copied()
        kill_at(world, number, after)
        try:
            go(world, pid=2, options=options)
        except Killed:
            struck += 1
            world.on_call = lambda number, name, after: None
            if not abandoned(world):
                go(world, pid=3, options=options)
        assert world.policies.statements(TARGET_ARN) == [], number
        assert (world.target is None) == options.drop_target, number
    assert struck > 10


def abandoned(world: FakeAws) -> bool:
    with world.unwatched():
        row, _ = Process(world, pid=94).store.read("orders")
    return row is not None and row.state is State.ABANDONED


@pytest.mark.parametrize("adopts", [False, True])
def test_a_bulk_load_begins_only_once_other_writers_are_kept_off_for_as_long_as_a_policy_spreads(
    adopts: bool,
) -> None:
    world = FakeAws()
    if adopts:
        adoptable()(world)
    chosen = switch_outputs(**(ADOPT if adopts else {"load": "bulk"}))
    process = Process(world, 1, chosen=chosen)
    process.go()
    (put,) = world.times("PutResourcePolicy")
    deny = process.run.journal.get(TargetDeny)
    assert deny is not None and deny.at >= put
    spread = process.run.context.timing.policy_spread
    assert min(world.times("start_bulk")) >= put + spread
    if adopts:
        assert max(world.times("scan_target")) >= put + spread


def test_a_deny_that_another_program_takes_out_during_the_load_is_put_again() -> None:
    world = FakeAws()
    done: list[str] = []

    def watch(number: int, name: str, after: bool) -> None:
        if name == "start_bulk" and after and not done:
            done.append(name)
            world.policies.set(TARGET_ARN, None)

    world.on_call = watch
    Process(world, 1, chosen=switch_outputs(load="bulk")).go()
    first, second = world.times("PutResourcePolicy")
    (operation,) = world.bulk.operations
    assert first < min(world.times("start_bulk")) < second < world.bulk.end(operation)


def test_a_table_of_a_failed_load_that_is_made_anew_gets_the_deny_of_its_own() -> None:
    world = FakeAws()
    world.bulk.refused_items["0001"] = 2
    chosen = switch_outputs(load="bulk")
    with pytest.raises(AccountError):
        Process(world, 1, chosen=chosen).go()
    again = RunOptions(discard_failed_load=True)
    Process(world, 2, chosen=chosen, options=again).go()
    assert world.order("create_table", "PutResourcePolicy", "start_bulk") == [
        *("create_table", "PutResourcePolicy", "start_bulk") * 2
    ]
