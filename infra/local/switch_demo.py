"""The demo's switch: an application writes into the source, and `bootstrap switch` moves it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from infra.local import setup
from infra.local.bootstrap_process import BootstrapProcess, typed
from infra.local.cloud import LocalAccount, LocalCloud
from infra.local.data.items import TableShape
from infra.local.results.switch_report import SwitchChoice, SwitchReport
from infra.local.workload.application import (
    FENCED,
    STOPPED,
    Application,
    ApplicationSettings,
    ApplicationWriter,
    make_writers,
)
from infra.local.workload.attempts import read_attempts
from infra.local.workload.place import Side, moving_command, write_place
from infra.local.workload.process import WritersError
from infra.local.workload.server_writes import read_server_writes
from infra.local.workload.witness import Contents, Evidence, contents, judge

WRITE_SECONDS = 3.0
"""For so long the application writes before the switch, and after it."""
STILL_SECONDS = 1.5
"""Writers that were stopped are still once none has written for so long."""
MOVE_SECONDS = 60.0
"""The longest time until every writer has written into the target."""
POLL_SECONDS = 0.2
SIDES: tuple[Side, ...] = ("source", "target")


def write_log(directory: Path) -> Path:
    """Return the file in which the local cloud logs every write."""
    return directory / "writes.jsonl"


@dataclass(frozen=True)
class SwitchDemoSettings:
    """The settings of one switch."""

    choice: SwitchChoice
    shape: TableShape
    target_table: str
    journal_table: str
    seed: int
    rate: float
    """Writes per second, all writers of the application together."""
    patience: float
    """Seconds that the command may take."""
    own_stream: bool = False
    """The buffer is the table's own stream."""


class SwitchDemo:
    """One switch, and its witness. The application is put on the stack, to be stopped with it."""

    def __init__(
        self,
        settings: SwitchDemoSettings,
        cloud: LocalCloud,
        bootstrap: BootstrapProcess,
        directory: Path,
        stack: ExitStack,
        say: Callable[[str, str], None],
    ) -> None:
        """`say` prints a line with a label."""
        self._settings = settings
        self._cloud = cloud
        self._bootstrap = bootstrap
        self._directory = directory
        self._stack = stack
        self._say = say
        self._tables: dict[Side, str] = {
            "source": settings.shape.name,
            "target": settings.target_table,
        }
        self._place = directory / "place"
        self._attempts = directory / "attempts.jsonl"

    def run(self) -> SwitchReport:
        """Let the application write, switch, and judge.

        Raises:
            BootstrapFailedError: the switch did not end with a commit.
            WritersError: the application ended early, or has not moved.
        """
        # Items expire again, also while both tables are closed.
        source = self._cloud.client("dynamodb", self._cloud.source)
        setup.set_time_to_live(source, self._settings.shape, on=True)
        began = time.monotonic()
        fenced = self._settings.choice == "on"
        writers = make_writers(self._cloud, self._tables, FENCED if fenced else STOPPED)
        application = self._start(writers)
        moving = frozenset(each.name for each in writers if each.habit == "moves")
        self._keep_writing(application, lambda: self._moved(moving, "source"))
        if not fenced:
            write_place(self._place, "stopped")
            self._await_stillness(application)
            self._say("Writers", "the application's have stopped")
        self._switch(application, fenced)
        recorded = self._recorded()
        self._keep_writing(application, lambda: self._moved(moving, "target"))
        application.stop()
        return SwitchReport(
            choice=self._settings.choice,
            scale=self._cloud.time_scale,
            verdict=judge(self._evidence(began, writers, moving, fenced)),
            closed=recorded["closes"],
            committed=recorded["committed_at"],
            own_stream=self._settings.own_stream,
        )

    def _start(self, writers: list[ApplicationWriter]) -> Application:
        write_place(self._place, "source")
        settings = ApplicationSettings(
            tables=self._tables,
            keys=[[each.name, each.type] for each in self._settings.shape.keys.attributes],
            writers=writers,
            place=str(self._place),
            attempts=str(self._attempts),
            rate=self._settings.rate,
            seed=self._settings.seed,
        )
        application = Application(settings, self._directory, self._cloud.environment())
        self._stack.callback(application.close)
        self._say(
            "Application",
            f"{len(writers)} writers with a user each, about {settings.rate:g} writes a second, "
            "until the end",
        )
        return application

    def _switch(self, application: Application, fenced: bool) -> None:
        """Run the operator's command, which moves the application by `--exec`."""
        move = moving_command(typed(self._place))
        option = "--fence" if fenced else "--writes-stopped"
        command = self._bootstrap.command("switch", option, "--exec", move)
        self._say("Switching", f"python {shlex.join(command)}")

        def watch() -> None:
            self._cloud.check()
            application.check()

        self._bootstrap.watch_command(command, watch, self._settings.patience)

    def _recorded(self) -> Mapping[str, float]:
        """Return the journal's record of the switch, with its times on the monotonic clock."""
        journal = self._cloud.client("dynamodb", self._cloud.target)
        key = {"pk": {"S": self._settings.shape.name}, "sk": {"S": "run"}}
        row = journal.get_item(
            TableName=self._settings.journal_table, Key=key, ConsistentRead=True
        )["Item"]
        record = json.loads(row["record:switch"]["S"])
        offset = time.time() - time.monotonic()
        return {name: record[name] - offset for name in ("closes", "committed_at")}

    def _keep_writing(self, application: Application, done: Callable[[], bool]) -> None:
        """Wait until every writer has written, and for a while more."""
        deadline = time.monotonic() + MOVE_SECONDS
        while not done():
            self._look(application)
            if time.monotonic() > deadline:
                raise WritersError(
                    f"The application's writers did not all write within {MOVE_SECONDS:.0f} s.\n"
                    f"Try: read {self._attempts}"
                )
        end = time.monotonic() + WRITE_SECONDS
        while time.monotonic() < end:
            self._look(application)

    def _await_stillness(self, application: Application) -> None:
        """Wait until no write into the source is under way any more."""
        while True:
            self._look(application)
            ends = [each.end for each in read_attempts(self._attempts) if each.side == "source"]
            if time.monotonic() - max(ends) > STILL_SECONDS:
                return

    def _look(self, application: Application) -> None:
        time.sleep(POLL_SECONDS)
        self._cloud.check()
        application.check()

    def _moved(self, moving: frozenset[str], side: Side) -> bool:
        """Return whether every moving writer has written on a side."""
        return moving <= {
            each.writer
            for each in read_attempts(self._attempts)
            if each.side == side and each.outcome == "acknowledged"
        }

    def _evidence(
        self,
        began: float,
        writers: list[ApplicationWriter],
        moving: frozenset[str],
        fenced: bool,
    ) -> Evidence:
        accounts: dict[Side, LocalAccount] = {
            "source": self._cloud.source,
            "target": self._cloud.target,
        }
        every = read_server_writes(write_log(self._directory))
        arns = {
            f"arn:aws:iam::{account.account_id}:user/{writer.name}"
            for account in accounts.values()
            for writer in writers
        }
        return Evidence(
            attempts=read_attempts(self._attempts),
            moving=moving,
            writes={
                side: [
                    write
                    for write in every
                    if write.at >= began
                    and (write.account, write.table)
                    == (accounts[side].account_id, self._tables[side])
                ]
                for side in SIDES
            },
            callers=frozenset(arns),
            contents=self._contents(accounts),
            fenced=fenced,
        )

    def _contents(self, accounts: Mapping[Side, LocalAccount]) -> Mapping[Side, Contents]:
        now = time.time()
        return {
            side: contents(
                self._cloud.client("dynamodb", accounts[side]),
                self._tables[side],
                self._settings.shape,
                now,
            )
            for side in SIDES
        }
