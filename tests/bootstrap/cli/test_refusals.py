"""Every command in every state of a switch, typed: it runs or is refused, as the table says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from bootstrap.app import account_clients
from bootstrap.cli import options as cli_options
from bootstrap.cli.main import main
from bootstrap.core.errors import BlockedError, BootstrapError, Side
from bootstrap.core.refusals import PROMOTE, RULES, SWITCH, CommandRule
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command
from tests.support.bootstrap.fake_aws import JOURNAL, LEDGER, OUTPUTS_JSON, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.switch_states import ENTER, ledger_of, switching
from tests.support.fakes.errors import client_error
from tests.support.fakes.s3 import FakeS3

pytestmark = pytest.mark.promise("C9")

TYPED: dict[str, tuple[str, ...]] = {
    "plan": ("plan",),
    "parity": ("parity",),
    "run": ("run",),
    "status": ("status",),
    "pause": ("pause",),
    "resume": ("resume",),
    "abandon": ("abandon", "--drop-target", "--yes"),
    "explain": ("explain", "pk=a"),
    "quarantine list": ("quarantine", "list"),
    "quarantine show": ("quarantine", "show", "open/rejected/shard/1-0.json"),
    "quarantine redrive": ("quarantine", "redrive", "--all"),
    "quarantine redrive --direct": ("quarantine", "redrive", "--all", "--direct"),
    "quarantine discard": ("quarantine", "discard", "--all", "--yes"),
    "park": ("park", "shardId-000000000000", "1"),
    "unpark": ("unpark", "shardId-000000000000", "1"),
    "verify": ("verify",),
    "verify --repair": ("verify", "--repair"),
    "backfill": ("backfill", "--from", "2026-01-01T00:00Z", "--to", "2026-01-01T01:00Z"),
}
"""Each command as typed. Those of the switch itself are in tests/bootstrap/cutover."""
TAKES_OVER = ("run", "pause", "resume", "abandon", "verify", "verify --repair", "backfill")


class _Denied:
    """A service that refuses whatever `known` has not: a refused command does not come so far."""

    def __init__(self, known: Any = None) -> None:
        self._known = known

    def __getattr__(self, operation: str) -> Any:
        if hasattr(self._known, operation):
            return getattr(self._known, operation)

        def deny(**request: Any) -> Any:
            raise client_error(operation, "AccessDeniedException", "not in this test")

        return deny


class _FakeSession:
    """Both accounts' sessions: ledger, journal and buckets of the target can be reached."""

    world: FakeAws
    s3: FakeS3

    def __init__(self, side: Any, account: Any, *args: Any, **options: Any) -> None:
        self.side, self.account = side, account

    def client(self, service: str, *args: Any, **options: Any) -> Any:
        known = {"dynamodb": self.world.dynamodb, "s3": self.s3}
        return _Denied(known.get(service) if self.side is Side.TARGET else None)

    def refuse_another_account(self) -> None:
        return


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return replicated()


@pytest.fixture
def world(replica: FakeAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeAws:
    made = replica.copied()
    s3 = FakeS3(made.clock)
    for bucket in ("orders-quarantine", "orders-on-failure", "snapshots"):
        s3.create_bucket(Bucket=bucket)
    monkeypatch.setattr(_FakeSession, "world", made, raising=False)
    monkeypatch.setattr(_FakeSession, "s3", s3, raising=False)
    monkeypatch.setattr(account_clients, "Session", _FakeSession)
    monkeypatch.setattr(cli_options, "stdin_is_terminal", lambda: False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs.json").write_text(json.dumps(OUTPUTS_JSON))
    return made


def typed(command: str, *more: str) -> Result:
    return CliRunner().invoke(main, [*TYPED[command], *more, "--outputs", "outputs.json"])


def contents(world: FakeAws) -> dict[str, Any]:
    return {name: world.dynamodb.tables[name].items.copy() for name in (JOURNAL, LEDGER)}


def assert_refused(ended: Result, state: State, rule: CommandRule) -> None:
    assert ended.exit_code == BlockedError.exit_code, ended.output
    assert f"Table orders is {state}, and `" in ended.output
    assert rule.because in ended.output
    assert "\nTry: " in ended.output
    if rule.fix is None or any(isinstance(part, Command) for part in rule.fix.parts):
        assert " --outputs outputs.json" in ended.output.split("\nTry: ")[1]


@pytest.mark.parametrize("state", ENTER)
@pytest.mark.parametrize("command", TYPED)
def test_command_runs_or_is_refused_as_the_table_says(
    world: FakeAws, command: str, state: State
) -> None:
    ENTER[state](world)
    before = contents(world)
    ended = typed(command)
    rule = RULES.get(state, {}).get(command)
    if rule is None or rule.runs:
        assert "is refused" not in ended.output
        assert "This is a bug" not in ended.output
        return
    assert_refused(ended, state, rule)
    assert contents(world) == before, "a refused command writes nothing"


@pytest.mark.parametrize("command", TAKES_OVER)
def test_a_live_switch_is_not_taken_over(world: FakeAws, command: str) -> None:
    switching(world, holds=True)
    before = contents(world)
    ended = typed(command, "--take-over")
    assert_refused(ended, State.SWITCHING, RULES[State.SWITCHING][command])
    assert contents(world) == before


@pytest.mark.parametrize("command", ["quarantine redrive", "quarantine redrive --direct", "park"])
@pytest.mark.parametrize("member", ["armed", "closed", "primary"])
def test_a_command_without_a_lease_obeys_the_consumers_settings_too(
    world: FakeAws, command: str, member: str
) -> None:
    ledger = ledger_of(world)
    assert ledger.arm("n")
    if member != "armed":
        assert ledger.close("n")
    if member == "primary":
        assert ledger.set_primary("n", 1)
    state = State.SWITCHED if member == "primary" else State.SWITCHING
    before = contents(world)
    ended = typed(command)
    if RULES[state][command].runs:
        assert ended.exit_code == 0, ended.output
        assert contents(world) != before
    else:
        assert_refused(ended, state, RULES[state][command])
        assert contents(world) == before


def test_a_switch_that_begins_while_a_run_takes_its_lease_ends_the_run(world: FakeAws) -> None:
    process = Process(world, pid=5, options=RunOptions(goal=Goal.PAUSE))

    def begin_switch(number: int, name: str, after: bool) -> None:
        if name == "UpdateItem" and not after and not begun:
            begun.append(name)
            switching(world)

    begun: list[str] = []
    world.on_call = begin_switch
    with pytest.raises(BootstrapError):
        process.go()
    world.on_call = lambda number, name, after: None
    row, _ = process.store.read("orders")
    assert begun
    assert row is not None
    assert row.state is State.SWITCHING


def _leaves(command: click.Command, name: str = "") -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield name
        return
    for each, child in command.commands.items():
        yield from _leaves(child, f"{name} {each}".strip())


def test_the_table_has_every_command_of_the_command_line() -> None:
    for rules in RULES.values():
        assert set(_leaves(main)) <= set(rules)
        own = {name for name in rules if name.split()[0] not in (SWITCH, PROMOTE)}
        assert own == set(TYPED)
