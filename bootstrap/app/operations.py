"""What the commands do once their command line is understood."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TextIO

from bootstrap.aws import usage as metrics
from bootstrap.aws.calls import Calls
from bootstrap.aws.items import AwsItems
from bootstrap.aws.journal_table import AwsJournal
from bootstrap.aws.ledger import AwsLedger
from bootstrap.aws.sessions import Session
from bootstrap.aws.snapshots import AwsSnapshots
from bootstrap.aws.source import AwsSource
from bootstrap.aws.target import AwsTarget
from bootstrap.core.durations import Timing
from bootstrap.core.errors import BootstrapError, LeaseLostError, Side
from bootstrap.core.facts import Usage
from bootstrap.core.journal_rows import Store
from bootstrap.core.ports import Ledger, Snapshots, SourceAccount, TargetAccount
from bootstrap.core.run_options import RunOptions
from bootstrap.core.stack_outputs import AccountOutputs, Outputs, TableOutputs
from bootstrap.core.suggestions import completed, telling
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Lease, Machine
from bootstrap.plan.plan import Plan
from bootstrap.run.runner import TableRunner, drive
from bootstrap.run.step_context import StepContext
from bootstrap.status.health_checks import HealthReader
from bootstrap.status.json_members import as_json
from bootstrap.status.page import page
from bootstrap.status.render import screen
from bootstrap.status.status import StatusContext, next_of_all, read_status
from replicator.runtime import Clock
from replicator.watchdog.aws_readings import LedgerRows, SourceSide, TargetSide, count_objects

SOURCE_SERVICES = ("dynamodb", "kinesis", "cloudwatch", "application-autoscaling", "kms")


class AccountClients:
    """Both accounts of a stack, deployed or not. `before` runs before each call."""

    def __init__(
        self,
        source: AccountOutputs,
        target: AccountOutputs,
        timing: Timing,
        *,
        source_profile: str | None,
        target_profile: str | None,
        external_id: str | None,
    ) -> None:
        self._accounts = source, target
        self._source = Session(
            Side.SOURCE,
            source,
            timing,
            profile=source_profile,
            external_id=external_id,
        )
        self._target = Session(
            Side.TARGET,
            target,
            timing,
            profile=target_profile,
            external_id=external_id,
        )

    def refuse_other_accounts(self) -> None:
        """Raises AccountError for credentials of other accounts than the stack names."""
        for session in (self._source, self._target):
            session.refuse_another_account()

    def source(self, before: Callable[[], None] | None = None) -> SourceAccount:
        calls = Calls(Side.SOURCE, _who(self._accounts[0]), before)
        clients = [self._source.client(name) for name in SOURCE_SERVICES]
        return AwsSource(calls, *clients)

    def target(
        self, consumer_region: str, before: Callable[[], None] | None = None
    ) -> TargetAccount:
        lambda_ = self._target.client("lambda", consumer_region)
        dynamodb, kms = self._target.client("dynamodb"), self._target.client("kms")
        return AwsTarget(self._target_calls(before), dynamodb, lambda_, kms)

    def _target_calls(self, before: Callable[[], None] | None) -> Calls:
        return Calls(Side.TARGET, _who(self._accounts[1]), before)


class Gateways(AccountClients):
    """Everything that a deployed stack has in both accounts."""

    def __init__(
        self,
        outputs: Outputs,
        timing: Timing,
        *,
        source_profile: str | None,
        target_profile: str | None,
        external_id: str | None,
    ) -> None:
        super().__init__(
            outputs.source,
            outputs.target,
            timing,
            source_profile=source_profile,
            target_profile=target_profile,
            external_id=external_id,
        )
        self._outputs = outputs

    def ledger(self, table: TableOutputs, before: Callable[[], None] | None = None) -> Ledger:
        calls = self._target_calls(before)
        return AwsLedger(calls, self._target.client("dynamodb"), table.ledger_table)

    def items(self, table: TableOutputs) -> AwsItems:
        """Single items of the target."""
        dynamodb = self._target.client("dynamodb")
        return AwsItems(self._target_calls(None), dynamodb, table.target_table)

    def snapshots(self, before: Callable[[], None] | None = None) -> Snapshots:
        calls = self._target_calls(before)
        return AwsSnapshots(calls, self._target.client("s3"), self._outputs.snapshot_bucket)

    def looks(self, table: TableOutputs) -> HealthReader:
        """The loss detectors' readings of a table."""
        source, target = self._source, self._target
        dynamodb = target.client("dynamodb")
        kept, given_up = target.client("s3"), target.client("s3", table.consumer_region)
        return HealthReader(
            SourceSide(source.client, table.source_table, table.stream_name),
            TargetSide(
                dynamodb=dynamodb,
                lambda_=target.client("lambda", table.consumer_region),
                table=table.target_table,
                mapping=table.mapping_uuid,
            ),
            LedgerRows(dynamodb, table.ledger_table),
            lambda: count_objects(kept, table.quarantine_bucket, "open/"),
            lambda: count_objects(given_up, table.on_failure_bucket),
        )

    def usage(self, table: TableOutputs, now: float) -> Usage:
        """What the metrics say of a table. `now`: epoch seconds."""
        calls = Calls(Side.SOURCE, _who(self._outputs.source))
        return metrics.usage(
            metrics.Metrics(calls, self._source.client("cloudwatch")),
            metrics.Metrics(
                self._target_calls(None),
                self._target.client("cloudwatch", table.consumer_region),
            ),
            stack=self._outputs.stack,
            table=table.source_table,
            stream=table.stream_name,
            now=now,
        )

    def journal(self) -> Store:
        """Without `before`: the lease itself is kept here."""
        calls = self._target_calls(None)
        return AwsJournal(calls, self._target.client("dynamodb"), self._outputs.journal_table)


def _who(account: AccountOutputs) -> str:
    return f"Role {account.role_arn}" if account.role_arn else "Whoever the credentials are of"


@dataclass(frozen=True)
class Process:
    """This process's place in the world."""

    clock: Clock
    machine: Machine
    timing: Timing
    out: TextIO = sys.stdout
    err: TextIO = sys.stderr


def run(
    outputs: Outputs,
    tables: Sequence[TableOutputs],
    gateways: Gateways,
    process: Process,
    command: Mapping[str, str],
    *,
    take_over: bool,
    as_lines: bool,
    orders: RunOptions | None = None,
) -> list[BootstrapError]:
    """Brings every table to where it is wanted; returns why the others are not there."""
    runs = [
        prepare(
            outputs, table, gateways, process, command[table.source_table], orders or RunOptions()
        )
        for table in tables
    ]
    errors: list[BootstrapError] = []
    started: list[TableRunner] = []
    try:
        for each in runs:
            try:
                with telling(each.command):
                    made = each.start(
                        take_over,
                        tell=partial(print, file=process.err, flush=True),
                        meanwhile=partial(_keep_leases, started),
                    )
                started.append(each)
            except BootstrapError as error:
                each.stop()
                errors.append(error)
                continue
            if made is not None and not as_lines:
                _announce(made, process.out)
        view = screen(
            process.out,
            process.clock,
            process.timing,
            several=len(tables) > 1,
            as_lines=as_lines,
        )
        try:
            for each, why in drive(started, process.clock, process.timing, view.show):
                why.fix = completed(why.fix, each.command)
                errors.append(why)
            view.finish([each.snapshot(final=True) for each in started])
        finally:
            view.close()
    finally:
        for each in started:
            each.stop()
    return errors


def _keep_leases(runs: Sequence[TableRunner]) -> None:
    for each in runs:
        with suppress(LeaseLostError):  # its next tick says so
            each.keep_lease()


def prepare(
    outputs: Outputs,
    table: TableOutputs,
    gateways: Gateways,
    process: Process,
    command: str,
    orders: RunOptions,
) -> TableRunner:
    """A run that every call to AWS asks first whether its lease still stands."""
    store = gateways.journal()
    lease = Lease(store, table.source_table, process.clock, process.machine)
    context = StepContext(
        outputs=outputs,
        table=table,
        source=gateways.source(lease.check),
        target=gateways.target(table.consumer_region, lease.check),
        ledger=gateways.ledger(table, lease.check),
        snapshots=gateways.snapshots(lease.check),
        journal=Journal(store, table.source_table, lease),
        timing=process.timing,
        clock=process.clock,
        orders=orders,
    )
    return TableRunner(context, store, lease, command)


def _announce(made: Plan, out: TextIO) -> None:
    print(f"{made.table}: the plan", file=out)
    for n, action in enumerate(made.actions, 1):
        print(f"  {n}. {action.step:10} {action.what}", file=out)
    for note in made.notes:
        print(f"  note: {note}", file=out)
    out.flush()


def status(
    tables: Sequence[TableOutputs],
    gateways: Gateways,
    process: Process,
    command: Mapping[str, str],
    *,
    as_json_text: bool,
    watch: bool = False,
) -> None:
    """Prints where each table stands, once or until it is interrupted. Changes nothing."""
    while True:
        _show(tables, gateways, process, command, as_json_text=as_json_text, watch=watch)
        if not watch:
            return
        process.clock.sleep(process.timing.poll(WATCH_SECONDS))


CLEAR = "\x1b[H\x1b[2J"
WATCH_SECONDS = 10.0


def _show(
    tables: Sequence[TableOutputs],
    gateways: Gateways,
    process: Process,
    command: Mapping[str, str],
    *,
    as_json_text: bool,
    watch: bool,
) -> None:
    store, source = gateways.journal(), gateways.source()
    shown = [
        read_status(
            StatusContext(
                table=table,
                store=store,
                source=source,
                target=gateways.target(table.consumer_region),
                ledger=gateways.ledger(table),
                machine=process.machine,
                command=command[table.source_table],
                health=gateways.looks(table),
                usage=partial(gateways.usage, table),
            )
        )
        for table in tables
    ]
    if watch and not as_json_text and process.out.isatty():
        process.out.write(CLEAR)
    if not as_json_text:
        bars = process.out.isatty()
        pages = [page(each, bars=bars) for each in shown]
        print("\n\n".join(pages), file=process.out, flush=True)
        return
    values = [as_json(each) for each in shown]
    value = values[0]
    if len(values) > 1:
        value = {"tables": values, "next": next_of_all(shown)}
    # Watched, a line per look: for scripts that follow it.
    print(json.dumps(value, indent=None if watch else 2), file=process.out, flush=True)
