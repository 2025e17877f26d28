"""The factory of AWS clients: one session for each account, whatever a command needs of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bootstrap.app import account_clients
from bootstrap.app.command_options import CommandOptions
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import this_process
from bootstrap.aws.sessions import Session
from bootstrap.core.errors import Side, UsageError
from bootstrap.core.run_options import RunOptions
from bootstrap.cutover.context import SwitchOptions
from bootstrap.journal.switch_records import SwitchMode
from bootstrap.journal.verification_records import row_name as verification_row
from bootstrap.verify.backfill import row_name as backfill_row
from tests.support.bootstrap.fake_aws import (
    COMMAND,
    SOURCE_SWITCH,
    TARGET_SWITCH,
    outputs,
    switch_outputs,
)


@pytest.fixture
def sessions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[tuple[Side, str | None, str | None]]:
    """The sessions that are made: account, profile and external id."""
    profiles = tmp_path / "config"
    profiles.write_text("[profile shop]\n[profile replica]\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profiles))
    made: list[tuple[Side, str | None, str | None]] = []

    class Counted(Session):
        def __init__(self, side: Side, *account: Any, **credentials: Any) -> None:
            made.append((side, credentials["login"].profile, credentials["external_id"]))
            super().__init__(side, *account, **credentials)

    monkeypatch.setattr(account_clients, "Session", Counted)
    return made


def switching(options: CommandOptions) -> AwsClients:
    return AwsClients(switch_outputs(), this_process(), options)


@pytest.mark.slow
def test_one_session_an_account_serves_every_context_of_a_command(
    sessions: list[tuple[Side, str | None, str | None]],
) -> None:
    (table,) = outputs().tables
    clients = AwsClients(outputs(), this_process(), CommandOptions("bootstrap verify"))
    clients.runner(table, "python -m bootstrap {}", RunOptions())
    clients.status_context(table, "python -m bootstrap {}")
    context = clients.quarantine_context(table)
    context.stream()
    context.consumer()
    verification = clients.verify_context(table, print)
    verification.step_context()
    verification.repairer()
    backfill = clients.backfill_context(table, print)
    backfill.notes()
    assert sessions == [(Side.SOURCE, None, None), (Side.TARGET, None, None)]


def test_each_session_has_the_credentials_of_its_account(
    sessions: list[tuple[Side, str | None, str | None]],
) -> None:
    options = CommandOptions(
        "bootstrap run", source_profile="shop", target_profile="replica", external_id="word"
    )
    AwsClients(outputs(), this_process(), options)
    assert sessions == [(Side.SOURCE, "shop", "word"), (Side.TARGET, "replica", "word")]


@pytest.mark.slow
def test_a_verification_its_steps_and_its_repairs_share_one_lease() -> None:
    (table,) = outputs().tables
    clients = AwsClients(outputs(), this_process(), CommandOptions("bootstrap verify"))
    verification = clients.verify_context(table, print)
    assert verification.step_context().journal is verification.journal


# -- the roles of a switch ------------------------------------------------------------------------


def test_a_switch_has_one_more_session_in_each_account_with_the_same_credentials(
    sessions: list[tuple[Side, str | None, str | None]],
) -> None:
    clients = switching(
        CommandOptions(
            "bootstrap switch", source_profile="shop", target_profile="replica", external_id="word"
        )
    )
    made = [clients._switch_session(side) for side in (*Side, *Side)]
    source, target = (Side.SOURCE, "shop", "word"), (Side.TARGET, "replica", "word")
    assert sessions == [source, target, source, target]
    roles = [each.account.role_arn for each in made if each is not None]
    assert roles == [SOURCE_SWITCH, TARGET_SWITCH] * 2


def test_the_roles_of_a_switch_get_no_session_in_a_stack_without_them(
    sessions: list[tuple[Side, str | None, str | None]],
) -> None:
    (table,) = outputs().tables
    clients = AwsClients(outputs(), this_process(), CommandOptions("bootstrap switch"))
    assert clients.policies(Side.TARGET) is None
    assert clients.old_source() is None
    with pytest.raises(UsageError, match="no role for a switch"):
        clients.switch_context(table, COMMAND, SwitchOptions(SwitchMode.FENCE))
    assert len(sessions) == 2


@pytest.mark.slow
def test_a_switch_works_under_the_leases_of_run_verification_and_backfill() -> None:
    (table,) = switch_outputs().tables
    context = switching(CommandOptions("bootstrap switch")).switch_context(
        table, COMMAND, SwitchOptions(SwitchMode.FENCE)
    )
    assert [lease._table for lease in context.leases] == [
        "orders",
        verification_row("orders"),
        backfill_row("orders"),
    ]
    assert context.journal._lease is context.leases[0]


@pytest.mark.slow
def test_with_writes_stopped_the_sources_policy_is_out_of_reach() -> None:
    (table,) = switch_outputs().tables
    clients = switching(CommandOptions("bootstrap switch"))
    fenced, stopped = (
        clients.switch_context(table, COMMAND, SwitchOptions(mode)) for mode in SwitchMode
    )
    assert fenced.source_policies is not None
    assert stopped.source_policies is None
    assert stopped.old_source is not None


@pytest.mark.slow
def test_every_call_through_a_switchs_roles_checks_the_lease_of_the_run_first() -> None:
    (table,) = switch_outputs().tables
    context = switching(CommandOptions("bootstrap switch")).switch_context(
        table, COMMAND, SwitchOptions(SwitchMode.FENCE)
    )
    run = context.leases[0]
    guarded = (
        context.target_policies,
        context.source_policies,
        context.canary,
        context.old_source,
        context.steps.target_policies,
    )
    for each in guarded:
        calls: Any = vars(each)["_calls"]
        assert calls._before.__self__ is run
        assert calls.role.endswith(":role/switch")


@pytest.mark.slow
def test_a_run_puts_the_deny_through_the_role_of_the_target_alone() -> None:
    (table,) = switch_outputs().tables
    clients = switching(CommandOptions("bootstrap run"))
    context = clients.runner(table, COMMAND, RunOptions()).context
    assert context.target_policies is not None
    (table,) = switch_outputs(denyOtherWriters=False).tables
    assert clients.runner(table, COMMAND, RunOptions()).context.target_policies is None


@pytest.mark.slow
def test_a_look_before_a_switch_needs_neither_roles_nor_leases(
    sessions: list[tuple[Side, str | None, str | None]],
) -> None:
    (table,) = outputs().tables
    clients = AwsClients(outputs(), this_process(), CommandOptions("bootstrap switch"))
    context = clients.switch_look(table, SwitchOptions(SwitchMode.FENCE))

    assert [side for side, *_ in sessions] == [Side.SOURCE, Side.TARGET]
    with pytest.raises(AssertionError):
        context.canary.refused("orders-replica")
    with pytest.raises(AssertionError):
        context.leases[0].acquire()
    context.leases[0].check()
    assert (context.source_policies, context.old_source) == (None, None)
