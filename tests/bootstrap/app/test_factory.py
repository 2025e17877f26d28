"""The factory of AWS clients: one session for each account, whatever a command needs of it."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.app import account_clients
from bootstrap.app.command_options import CommandOptions
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import this_process
from bootstrap.aws.sessions import Session
from bootstrap.core.errors import Side
from bootstrap.core.run_options import RunOptions
from tests.support.bootstrap.fake_aws import outputs


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Side, str | None, str | None]]:
    """The sessions that are made: account, profile and external id."""
    made: list[tuple[Side, str | None, str | None]] = []

    class Counted(Session):
        def __init__(self, side: Side, *account: Any, **credentials: Any) -> None:
            made.append((side, credentials["login"].profile, credentials["external_id"]))
            super().__init__(side, *account, **credentials)

    monkeypatch.setattr(account_clients, "Session", Counted)
    return made


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
