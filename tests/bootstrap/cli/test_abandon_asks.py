"""`abandon` on the command line: what it says, whom it asks, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bootstrap.cli import abandon
from bootstrap.cli import options as cli_options
from bootstrap.cli.main import main
from bootstrap.core.errors import BootstrapError
from bootstrap.core.run_options import Goal, RunOptions
from tests.support.bootstrap.fake_accounts import FakeTarget
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated

Run = Callable[..., Result]


class Asked:
    """Stands for AWS, and keeps the orders that were carried out."""

    def __init__(self, world: FakeAws) -> None:
        self.world = world
        self.orders: list[RunOptions] = []

    def journal(self) -> Any:
        return Process(self.world, pid=90).store

    def target(self, table: Any) -> FakeTarget:
        return FakeTarget(self.world, lambda: None)

    def carry_out(
        self, selection: Any, clients: Any, process: Any, options: RunOptions, **more: Any
    ) -> list[BootstrapError]:
        self.orders += [options for _ in selection.tables]
        return []


@pytest.fixture
def asked() -> Asked:
    return Asked(replicated())


@pytest.fixture
def run(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(OUTPUTS_JSON))
    monkeypatch.setattr(abandon, "clients_of", lambda *_: asked)
    monkeypatch.setattr(abandon, "run_all", asked.carry_out)

    def run(*options: str, answer: str | None = None) -> Result:
        monkeypatch.setattr(cli_options, "stdin_is_terminal", lambda: answer is not None)
        return CliRunner().invoke(main, ["abandon", "--outputs", str(path), *options], input=answer)

    return run


def test_where_nobody_can_answer_nothing_is_abandoned(asked: Asked, run: Run) -> None:
    ended = run("--drop-target", "--table", "orders")
    assert ended.exit_code == 2
    assert "Try: python -m bootstrap abandon --outputs " in ended.output
    assert " --table orders --drop-target --yes\n" in ended.output
    assert asked.orders == []


@pytest.mark.parametrize(("answer", "code", "count"), [("y\n", 0, 1), ("n\n", 1, 0), ("", 1, 0)])
def test_it_says_what_it_will_do_and_asks(
    asked: Asked, run: Run, answer: str, code: int, count: int
) -> None:
    ended = run("--drop-target", answer=answer)
    assert (ended.exit_code, len(asked.orders)) == (code, count)
    assert ended.output.index("delete the target table") < ended.output.index("Abandon orders?")


def test_yes_is_for_scripts_and_each_order_is_passed_on(asked: Asked, run: Run) -> None:
    assert run("--yes").exit_code == 0
    assert run("--yes", "--drop-target", "--disable-source-pitr", "--no-wait").exit_code == 0
    assert asked.orders == [
        RunOptions(goal=Goal.ABANDON),
        RunOptions(goal=Goal.ABANDON, drop_target=True, disable_source_pitr=True, wait=False),
    ]


def test_without_a_run_it_says_so_and_asks_nothing(asked: Asked, run: Run) -> None:
    asked.world = FakeAws()
    ended = run()
    assert ended.exit_code == 0
    assert "nothing to abandon" in ended.output
    assert asked.orders == []
