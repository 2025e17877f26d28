"""Worlds in which commands ran, and what they printed there."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from click.testing import CliRunner

from bootstrap.app.command_options import Selection
from bootstrap.aws.calls import Calls
from bootstrap.aws.own_writes import AwsOwnWrites
from bootstrap.cli import backfill as backfill_command
from bootstrap.cli import verify as verify_command
from bootstrap.cli.main import main
from bootstrap.core import errors
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.journal.verification_records import Verified
from tests.support.bootstrap.fake_aws import COMMAND, JOURNAL, FakeAws, outputs
from tests.support.bootstrap.killed_process import Process, journal_verified, replicated
from tests.support.verify.twin import Twin, item


@cache
def worlds() -> dict[str, FakeAws]:
    """Runs in every state that shows another part of what `status` knows."""
    found = {"new": FakeAws()}

    exporting = found["exporting"] = FakeAws()
    process = Process(exporting, pid=7)
    process.start()
    process.until(lambda: bool(exporting.exports))
    for _ in range(3):
        process.run.tick()
    exporting.clock.advance(40)

    probing = found["catching up"] = FakeAws()
    process = Process(probing, pid=7)
    process.start()
    process.until(lambda: bool(probing.probes))
    probing.clock.advance(60)
    process.run.tick()

    failed = found["failed"] = FakeAws()
    failed.failures["export/0001"] = "it broke"
    with contextlib.suppress(errors.BootstrapError):
        Process(failed).go()

    paused = found["paused"] = replicated()
    Process(paused, pid=101, options=RunOptions(goal=Goal.PAUSE)).go()
    notes = AwsOwnWrites(Calls(errors.Side.TARGET, "Role importer"), paused.dynamodb, JOURNAL)
    notes.add("orders", paused.clock(), 2.0)

    replica = found["verified"] = replicated()
    at = replica.clock()
    done: dict[str, Any] = {each.name: 1.0 for each in fields(Verified)}
    journal_verified(replica, Verified(**{**done, "round": "r", "at": at}))
    return found


@dataclass(frozen=True)
class VerifiedTwin:
    """A verification and a backfill that were run: their world, and what they printed."""

    twin: Twin
    documents: list[Any]
    several: Any
    report: list[Any]
    filled: Any


@cache
def verified() -> VerifiedTwin:
    """Verify tables that differ, then equal ones, and close a gap."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        twin = Twin(Path(folder))
        del twin.target.items["k1"]
        twin.target.items["k2"] = item("k2", v={"N": "2"})
        filling = twin.filling(200)
        clients = SimpleNamespace(
            verify_context=lambda *_: twin.context(), backfill_context=lambda *_: filling._context
        )
        (table,) = outputs().tables
        chosen = [table]

        def select(options: Any) -> Selection:
            return Selection(outputs(), tuple(chosen), {table.source_table: COMMAND})

        with (
            patch.multiple(verify_command, select=select, clients_of=lambda *_: clients),
            patch.multiple(backfill_command, select=select, clients_of=lambda *_: clients),
        ):
            files = ("--spool", "spool", "--report", "report.jsonl")
            verify = ("verify", "--json", "--workers", "1")
            documents = [printed(*verify, "--show-values", *files)]
            report = [json.loads(line) for line in Path("report.jsonl").read_text().splitlines()]
            twin.target.items.update(twin.source.items)
            documents.append(printed(*verify, *files))
            chosen.append(table)
            several = printed(*verify)
            chosen.pop()
            twin.world.clock.advance(24 * 3600)
            end = int(twin.world.clock())
            gap = ("--from", _time(end - 3600), "--to", _time(end))
            filled = printed("backfill", "--json", *gap, "--spool", "spool")
    return VerifiedTwin(twin, documents, several, report, filled)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def run(*arguments: str) -> str:
    """Run a command line; return what it printed."""
    result = CliRunner().invoke(main, [*arguments, "--outputs", "none.json"])
    assert result.exit_code in (0, 5), result.output
    return result.stdout


def printed(*arguments: str) -> Any:
    """Run a command line; return the JSON that it printed."""
    return json.loads(run(*arguments))
