"""`promote` on the command line: what it asks, prints and writes, and its exit codes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bootstrap.app.process import Process as ThisProcess
from bootstrap.cli import promote
from bootstrap.cli.main import main
from bootstrap.core.errors import Side, UnavailableError
from bootstrap.core.stack_outputs import Outputs
from bootstrap.core.state import State
from bootstrap.core.write_deny import WriteDeny, with_deny
from bootstrap.cutover.promotion.context import PromoteContext
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON, TARGET_ARN, FakeAws, outputs
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.promote_harness import Promoter
from tests.support.bootstrap.switch_states import record, target_deny

pytestmark = pytest.mark.promise("C9")

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    found = replicated()
    found.policies.set(TARGET_ARN, with_deny(None, WriteDeny("attempt1", TARGET_ARN)))
    record(found, State.REPLICATING, target_deny(found))
    return found


@pytest.fixture
def world(replica: FakeAws) -> FakeAws:
    return replica.copied()


@dataclasses.dataclass
class Clients:
    """Clients of the world, in place of AWS's."""

    promoter: Promoter

    def promote_context(
        self, table: object, drain: float, say: Callable[[str], None], *, looks: bool = False
    ) -> PromoteContext:
        self.promoter.drain = drain
        return dataclasses.replace(self.promoter.context(looks=looks), say=say)


@pytest.fixture
def run(world: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(OUTPUTS_JSON))
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, chosen: Outputs | None = None) -> Result:
        promoter = Promoter(world) if chosen is None else Promoter(world, chosen=chosen)
        process = Process(world, pid=promoter.pid)
        world.alive.add(promoter.pid)
        monkeypatch.setattr(promote, "clients_of", lambda *_: Clients(promoter))
        made = ThisProcess(world.clock, process.machine, process.run.context.timing)
        monkeypatch.setattr(promote, "this_process", lambda: made)
        return CliRunner().invoke(main, ["promote", "--outputs", str(file), *arguments])

    return invoke


def state(world: FakeAws) -> State:
    row, _ = Process(world, pid=98).store.read("orders")
    assert row is not None
    return row.state


def test_it_prints_the_page_and_writes_both_files(run: Run, world: FakeAws, tmp_path: Path) -> None:
    result = run("--yes", "--drain", "0")
    assert result.exit_code == 0, result.output
    assert "# Promotion of orders" in result.stdout
    assert state(world) is State.PROMOTED
    [page] = (tmp_path / "build" / "promote").glob("orders-*Z.md")
    assert page.read_text() in result.stdout
    assert json.loads(page.with_suffix(".json").read_text())["open"] == []


def test_json_is_one_object_a_table(run: Run, tmp_path: Path) -> None:
    result = run("--yes", "--drain", "0", "--json", "--report", "mine.json")
    [line] = result.stdout.splitlines()
    assert json.loads(line) == json.loads((tmp_path / "mine.json").read_text())
    assert (tmp_path / "mine.md").exists()


def test_a_report_that_cannot_be_written_fails_no_promotion(run: Run, world: FakeAws) -> None:
    result = run("--yes", "--drain", "0", "--report", "/proc/none/report.json")
    assert result.exit_code == 0
    assert "the report could not be written" in result.stderr
    assert state(world) is State.PROMOTED


def test_without_yes_it_shows_what_is_known_and_asks(run: Run, world: FakeAws) -> None:
    result = run()
    assert result.exit_code == 2
    assert "Every change made in the source before" in result.stdout
    assert "The source may still be taking writes" in result.stdout
    assert result.stderr.rstrip().endswith("outputs.json --yes")
    assert state(world) is State.REPLICATING


def test_a_refusal_is_no_question(run: Run, world: FakeAws) -> None:
    record(world, State.ABANDONED)
    result = run()
    assert result.exit_code == 1
    assert "was given up" in result.stderr
    assert run("--yes").exit_code == 1


def test_an_open_item_alone_is_no_failure(run: Run, world: FakeAws) -> None:
    """A script moves the application on 0, and in a disaster the mapping is out of reach."""

    def fail(number: int, name: str, after: bool) -> None:
        if name == "mapping" and not after:
            raise UnavailableError(Side.TARGET, "lambda does not answer", fix="run again")

    world.on_call = fail
    result = run("--yes", "--drain", "0", "--json")
    assert result.exit_code == 0, result.output
    assert [each["name"] for each in json.loads(result.stdout)["open"]] == ["mapping"]


def test_a_target_that_still_refuses_its_writers_is_one(run: Run) -> None:
    result = run("--yes", "--drain", "0", "--json", chosen=outputs())
    assert result.exit_code == 4
    assert "aws dynamodb put-resource-policy" in result.stderr
    assert json.loads(result.stdout)["takesWrites"] is False


def test_a_report_is_of_one_table(run: Run, tmp_path: Path) -> None:
    [table] = OUTPUTS_JSON["tables"]
    two: dict[str, Any] = {**OUTPUTS_JSON, "tables": [table, {**table, "sourceTable": "other"}]}
    (tmp_path / "outputs.json").write_text(json.dumps(two))
    result = run("--yes", "--report", "mine.json")
    assert result.exit_code == 2
    assert "--report is for the report of one table" in result.stderr


@pytest.mark.parametrize("drain", ["2", "soon", "-1s"])
def test_a_drain_needs_a_unit(run: Run, world: FakeAws, drain: str) -> None:
    assert run("--yes", "--drain", drain).exit_code == 2
    assert state(world) is State.REPLICATING
