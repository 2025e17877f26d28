"""The application that a switch moves: its writers, each with an identity of its own.

`python -m infra.local.workload.application SETTINGS` writes until its standard input ends. Most of
its writers write where the place file says. Some stay at the source and some are at the target from
the beginning, as parts of an application that were forgotten or moved too early: only they show
that a table is open which should be closed.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.cloud import LocalAccount, LocalCloud
from infra.local.data.compare import fingerprint
from infra.local.data.items import KeyAttribute, KeySchema
from infra.local.workload.application_plan import ApplicationPlan
from infra.local.workload.attempts import AttemptLog, Outcome, WriteAttempt
from infra.local.workload.calls import CallExecutor
from infra.local.workload.place import Side, read_place
from infra.local.workload.plan import Write, WriteStep
from infra.local.workload.process import WorkloadProcess, run_threads
from infra.local.workload.writers import WritePace

MODULE = "infra.local.workload.application"
RETRY_SECONDS = 0.05
"""The pause of the application after a write that failed; SDKs do not repeat one that is refused.
"""
SIDES: tuple[Side, ...] = ("source", "target")

Habit = Literal["moves", "stays", "is early"]
FENCED: tuple[Habit, ...] = ("moves", "moves", "moves", "moves", "stays", "is early")
STOPPED: tuple[Habit, ...] = ("moves", "moves", "moves", "moves", "is early")
"""Where writes are stopped before the switch, no writer stays at the source: that is the promise.
"""


@dataclass(frozen=True)
class AccessKey:
    """An access key of a writer's user in one account."""

    key_id: str
    secret: str
    region: str


@dataclass(frozen=True)
class ApplicationWriter:
    """One writer, and its users in both accounts."""

    name: str
    habit: Habit
    users: dict[Side, AccessKey]


@dataclass(frozen=True)
class ApplicationSettings:
    """The settings of the application's process. Files are paths."""

    tables: dict[Side, str]
    keys: list[list[str]]
    """Name and type of each key attribute."""
    writers: list[ApplicationWriter]
    place: str
    attempts: str
    rate: float
    """Writes per second, all writers together."""
    seed: int

    @classmethod
    def read(cls, text: str) -> ApplicationSettings:
        """Read settings from JSON."""
        values: dict[str, Any] = json.loads(text)
        writers = [
            ApplicationWriter(
                each["name"],
                each["habit"],
                {side: AccessKey(**key) for side, key in each["users"].items()},
            )
            for each in values.pop("writers")
        ]
        return cls(**values, writers=writers)


class Application(WorkloadProcess):
    """The running process, as the demo sees it."""

    def __init__(
        self, settings: ApplicationSettings, directory: Path, environment: Mapping[str, str]
    ) -> None:
        Path(settings.attempts).unlink(missing_ok=True)
        log = directory / "application.log"
        super().__init__(MODULE, asdict(settings), log, environment)


class ApplicationThreads:
    """The writers, each with its plan, in this process."""

    def __init__(self, settings: ApplicationSettings) -> None:
        self._settings = settings
        self._log = AttemptLog(Path(settings.attempts))
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        # One session, as each of its own would load the service's model again.
        session = boto3.session.Session()
        self._threads = [
            threading.Thread(
                target=self._write,
                args=(
                    writer,
                    {
                        side: CallExecutor(_client(session, writer.users[side]), table)
                        for side, table in settings.tables.items()
                    },
                ),
                daemon=True,
            )
            for writer in settings.writers
        ]

    def run(self) -> None:
        """Write until standard input ends. Raise the error of a writer."""
        run_threads(self._threads, self._stop, self._failures, self._log.flush)

    def _write(self, writer: ApplicationWriter, executors: Mapping[Side, CallExecutor]) -> None:
        try:
            self._write_on(writer, executors)
        except BaseException as error:
            self._failures.append(error)

    def _write_on(self, writer: ApplicationWriter, executors: Mapping[Side, CallExecutor]) -> None:
        keys = KeySchema(*(KeyAttribute(*each) for each in self._settings.keys))
        plan = ApplicationPlan(writer.name, keys, Random(f"{self._settings.seed}/{writer.name}"))
        pace = WritePace(self._settings.rate / len(self._settings.writers))
        left: WriteStep | None = None
        while not self._stop.is_set():
            side = self._side(writer)
            if side is None:
                self._stop.wait(RETRY_SECONDS)
                continue
            step = left or plan.next(side)
            left = self._attempt(writer, plan, side, executors[side], step)
            if left is not None:
                self._stop.wait(RETRY_SECONDS)
            pace.wait(len(step.writes), self._stop)

    def _side(self, writer: ApplicationWriter) -> Side | None:
        if writer.habit == "moves":
            return read_place(Path(self._settings.place))
        return "source" if writer.habit == "stays" else "target"

    def _attempt(
        self,
        writer: ApplicationWriter,
        plan: ApplicationPlan,
        side: Side,
        executor: CallExecutor,
        step: WriteStep,
    ) -> WriteStep | None:
        """Make a step; return what is left of it to try again, there or elsewhere."""
        start = time.monotonic()
        failure: Outcome = "refused"
        try:
            outcome = executor.run(step)
            failed: Sequence[Write] = (*outcome.refused, *outcome.unsent)
        except (BotoCoreError, ClientError):
            failure, failed = "unknown", step.writes
        end = time.monotonic()
        self._log.add(
            WriteAttempt(
                writer=writer.name,
                side=side,
                key=fingerprint(write.key).hex(),
                count=plan.count_of(write),
                content="" if write.after is None else fingerprint(write.after).hex(),
                start=start,
                end=end,
                outcome=failure if write in failed else "acknowledged",
            )
            for write in step.writes
        )
        left = tuple(write for write in step.writes if write in failed)
        return WriteStep(step.kind, step.way, left) if left else None


def make_writers(
    cloud: LocalCloud, tables: Mapping[Side, str], habits: Sequence[Habit] = FENCED
) -> list[ApplicationWriter]:
    """Make a user for each writer in each account, which may do everything with its table."""
    accounts = {"source": cloud.source, "target": cloud.target}
    writers = []
    for number, habit in enumerate(habits):
        name = f"{tables['source']}-application-{number}"
        users = {side: _make_user(cloud, accounts[side], name, tables[side]) for side in SIDES}
        writers.append(ApplicationWriter(name, habit, users))
    return writers


def _make_user(cloud: LocalCloud, account: LocalAccount, name: str, table: str) -> AccessKey:
    iam = cloud.client("iam", account)
    arn = f"arn:aws:dynamodb:{account.region}:{account.account_id}:table/{table}"
    statement = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": arn}
    iam.create_user(UserName=name)
    iam.put_user_policy(
        UserName=name,
        PolicyName="table",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return AccessKey(made["AccessKeyId"], made["SecretAccessKey"], account.region)


def _client(session: boto3.session.Session, user: AccessKey) -> Any:
    """Return a client as applications have one; botocore retries nothing that is refused."""
    return session.client(
        "dynamodb",
        aws_access_key_id=user.key_id,
        aws_secret_access_key=user.secret,
        region_name=user.region,
        config=Config(retries={"total_max_attempts": 8, "mode": "standard"}),
    )


def main(arguments: Sequence[str]) -> None:
    """Run the application's process."""
    ApplicationThreads(ApplicationSettings.read(arguments[0])).run()


if __name__ == "__main__":
    main(sys.argv[1:])
