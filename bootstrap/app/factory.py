"""The one factory of a deployed stack's clients, and of the contexts made of them."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bootstrap.app.account_clients import AccountClients, Before
from bootstrap.app.command_options import CommandOptions
from bootstrap.app.no_canary import NoCanary
from bootstrap.app.process import Process
from bootstrap.aws import usage as metrics
from bootstrap.aws.cross_account_check import AwsCrossAccountCheck
from bootstrap.aws.export_objects import S3Opener
from bootstrap.aws.exports import AwsExports
from bootstrap.aws.glue import ONE_ATTEMPT, AwsJobRuns
from bootstrap.aws.items import AwsItems
from bootstrap.aws.journal_table import AwsJournal
from bootstrap.aws.ledger import AwsLedger
from bootstrap.aws.own_writes import AwsOwnWrites, MeteredClient
from bootstrap.aws.quarantine import AwsBucket
from bootstrap.aws.sessions import single_attempt
from bootstrap.aws.snapshots import AwsSnapshots
from bootstrap.aws.stream import AwsStream
from bootstrap.core import pulumi_commands
from bootstrap.core.errors import BlockedError, BootstrapError, Side, UsageError
from bootstrap.core.facts import ConsumerActivity, Usage
from bootstrap.core.journal_rows import Row, Store
from bootstrap.core.poller import Poller
from bootstrap.core.ports import BulkLoads, CrossAccountCheck, Snapshots
from bootstrap.core.run_options import RunOptions
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.context import SwitchContext, SwitchOptions
from bootstrap.cutover.promotion.context import PromoteContext
from bootstrap.cutover.promotion.loss_window import Count
from bootstrap.explain.keys import key_types
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Lease, UnheldLease
from bootstrap.journal.switch_records import SwitchMode
from bootstrap.journal.verification_records import Verified, last_verification
from bootstrap.journal.verification_records import row_name as verification_row
from bootstrap.plan.prices import PRICES
from bootstrap.quarantine.context import QuarantineContext
from bootstrap.quarantine.direct import DirectConsumer
from bootstrap.quarantine.store import QuarantineStoreReader
from bootstrap.run.runner import TableRunner
from bootstrap.run.step_context import StepContext
from bootstrap.status.bulk_operations import read_operations
from bootstrap.status.health import Health, read_health
from bootstrap.status.health_checks import HealthReader
from bootstrap.status.key_health import Keys, read_keys
from bootstrap.status.status import StatusContext
from bootstrap.status.target_expiry import read_expiries
from bootstrap.verify.backfill import BackfillContext
from bootstrap.verify.backfill import row_name as backfill_row
from bootstrap.verify.context import VerifyContext
from bootstrap.verify.engines.glue import GlueJob
from bootstrap.verify.quarantine_writer import NoteQuarantine
from bootstrap.verify.repair import Repairer
from bootstrap.verify.spark.bucket_place import BucketPlace
from replicator.aws import CONNECT_SECONDS, READ_SECONDS
from replicator.consumer.ledger import LedgerWriter
from replicator.consumer.quarantine import QuarantineStore
from replicator.runtime import Runtime, SystemClock, ThreadExecutor
from replicator.settings import ConsumerConfig
from replicator.watchdog.aws_readings import (
    LedgerRows,
    SourceSide,
    TargetSide,
    UnreadableError,
    count_objects,
)
from replicator.watchdog.backlog import ReceptionReader
from replicator.watchdog.readings import Unread
from replicator.watchdog.source_writes import SourceWritesReader

THREADS = 8

# The guard retries by its own rules, and isolates what DynamoDB does not take: as in the Lambda.
GUARD_CLIENT = single_attempt(
    connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS, connections=THREADS
)

# In the source's Region, which may be what has failed: a promotion does not wait for it.
FAR_CLIENT = single_attempt(connect_seconds=3, read_seconds=10, connections=1)


class AwsClients(AccountClients):
    """Everything of a deployed stack, in both accounts, for one command."""

    def __init__(self, outputs: Outputs, process: Process, options: CommandOptions) -> None:
        super().__init__(outputs.source, outputs.target, process, options)
        self._outputs = outputs

    # -- single clients --------------------------------------------------------------------------

    def ledger(self, table: TableOutputs, before: Before | None = None) -> AwsLedger:
        """Return a table's ledger."""
        dynamodb = self._target.client("dynamodb")
        return AwsLedger(self._calls(Side.TARGET, before), dynamodb, table.ledger_table)

    def snapshots(self, before: Before | None = None) -> Snapshots:
        """Return the bucket of exports."""
        s3 = self._target.client("s3")
        return AwsSnapshots(self._calls(Side.TARGET, before), s3, self._outputs.snapshot_bucket)

    def cross_account_check(self, before: Before | None = None) -> CrossAccountCheck:
        """Return the object by which the calls that cross accounts are tried."""
        outputs = self._outputs
        return AwsCrossAccountCheck(
            self._calls(Side.SOURCE, before, owner=Side.TARGET),
            self._source.client("s3", outputs.target.region),
            self._calls(Side.TARGET, before),
            self._target.client("s3"),
            bucket=outputs.snapshot_bucket,
            owner=outputs.target.account_id,
            key_arn=outputs.snapshot_key_arn,
        )

    def journal(self) -> Store:
        """Return the journal table. It takes no `before`, because it holds the lease itself."""
        dynamodb = self._target.client("dynamodb")
        return AwsJournal(self._calls(Side.TARGET), dynamodb, self._outputs.journal_table)

    def items(self, side: Side, table: str, before: Before | None = None) -> AwsItems:
        """Return a reader of single items of a table."""
        return AwsItems(self._calls(side, before), self._session(side).client("dynamodb"), table)

    def target_items(self, table: TableOutputs) -> AwsItems:
        """Return a reader of single items of the target table."""
        return self.items(Side.TARGET, table.target_table)

    def health(self, table: TableOutputs) -> HealthReader:
        """Return the reader of a table's loss detectors."""
        source, target = self._source, self._target
        dynamodb = target.client("dynamodb")
        cloudwatch = target.client("cloudwatch", table.consumer_region)
        s3, on_failure_s3 = target.client("s3"), target.client("s3", table.consumer_region)
        return HealthReader(
            SourceSide(source.client, table.source_table, table.stream_name),
            TargetSide(
                dynamodb=dynamodb,
                lambda_=target.client("lambda", table.consumer_region),
                table=table.target_table,
                mapping=table.mapping_uuid,
                function=table.function_name,
                cloudwatch=cloudwatch,
            ),
            LedgerRows(dynamodb, table.ledger_table),
            lambda: count_objects(s3, table.quarantine_bucket, "open/"),
            lambda: count_objects(on_failure_s3, table.on_failure_bucket),
            SourceWritesReader(source.client, table.source_table, table.source_table_arn),
            ReceptionReader(
                lambda: source.client("cloudwatch"),
                cloudwatch,
                table=table.source_table,
                function=table.function_name,
                dimensions=self._outputs.metric_dimensions(table),
            )
            if table.reads_table_stream
            else None,
        )

    def usage(self, table: TableOutputs, now: float) -> Usage:
        """Read a table's metrics. `now`: epoch seconds."""
        return metrics.usage(
            metrics.Metrics(self._calls(Side.SOURCE), self._source.client("cloudwatch")),
            metrics.Metrics(
                self._calls(Side.TARGET),
                self._target.client("cloudwatch", table.consumer_region),
            ),
            dimensions=self._outputs.metric_dimensions(table),
            stream=table.stream_name,
            now=now,
        )

    def activity(self, table: TableOutputs, now: float) -> ConsumerActivity:
        """Read what a table's consumer did up to a moment, in epoch seconds."""
        cloudwatch = self._target.client("cloudwatch", table.consumer_region)
        return metrics.Metrics(self._calls(Side.TARGET), cloudwatch).activity(
            table.function_name, self._outputs.metric_dimensions(table), now
        )

    # -- contexts --------------------------------------------------------------------------------

    def status_context(self, table: TableOutputs, command: str) -> StatusContext:
        """Put together what `status` reads. `command`: the template of its command lines."""
        return StatusContext(
            table=table,
            store=self.journal(),
            source=self.source(),
            target=self.target(table.consumer_region),
            ledger=self.ledger(table),
            machine=self._process.machine,
            command=command,
            health=self.health(table),
            usage=partial(self.usage, table),
            activity=partial(self.activity, table),
            policies=self.seen_policies,
            loads=self._loads(table),
            target_arn=self._outputs.target_arn(table),
            keys=self._keys(table),
        )

    def step_context(
        self, table: TableOutputs, journal: Journal, lease: Lease, options: RunOptions | None = None
    ) -> StepContext:
        """Put together what steps work with. Every call to AWS checks the lease first."""
        return StepContext(
            outputs=self._outputs,
            table=table,
            source=self.source(lease.check),
            target=self.target(table.consumer_region, lease.check),
            target_items=self.item_scan(table.target_table, lease.check),
            ledger=self.ledger(table, lease.check),
            own_writes=self._own_writes(lease.check),
            snapshots=self.snapshots(lease.check),
            verified=partial(self._verified, table),
            journal=journal,
            timing=self._process.timing,
            clock=self._process.clock,
            options=options or RunOptions(),
            loads=self._loads(table, lease.check),
            table_stream=self.table_stream(table.consumer_region, lease.check)
            if table.reads_table_stream
            else None,
            cross_account_check=self.cross_account_check(lease.check)
            if options and options.cross_account_check
            else None,
            target_policies=self.policies(Side.TARGET, lease.check)
            if self._outputs.denies_other_writers(table)
            else None,
        )

    def runner(self, table: TableOutputs, command: str, options: RunOptions) -> TableRunner:
        """Make a run of one table. `command`: the template of command lines about it."""
        store = self.journal()
        lease = self._lease(store, table.source_table)
        journal = Journal(store, table.source_table, lease)
        return TableRunner(
            self.step_context(table, journal, lease, options),
            store,
            lease,
            command,
            read_health=self._read_health(table),
        )

    def switch_context(
        self, table: TableOutputs, command: str, options: SwitchOptions
    ) -> SwitchContext:
        """Put together what switches a table. `command`: the template of command lines about it.

        Every call to AWS checks the lease of the run first.

        Raises:
            UsageError: for a stack without the role that it needs in the target account.
        """
        store, source_table = self.journal(), table.source_table
        names = (source_table, verification_row(source_table), backfill_row(source_table))
        leases = tuple(self._lease(store, name) for name in names)
        run = leases[0]
        policies = self.policies(Side.TARGET, run.check)
        canary = self.canary(partial(self._key_types, run.check), run.check)
        if policies is None or canary is None:
            raise self._no_switch_role(command)
        fences = options.mode is SwitchMode.FENCE
        return SwitchContext(
            steps=self.step_context(table, Journal(store, source_table, run), run),
            store=store,
            leases=leases,
            target_policies=policies,
            source_policies=self.policies(Side.SOURCE, run.check) if fences else None,
            canary=canary,
            old_source=self.old_source(run.check),
            read_health=self._read_health(table),
            options=options,
        )

    def promote_context(
        self,
        table: TableOutputs,
        drain: float,
        say: Callable[[str], None],
        *,
        looks: bool = False,
    ) -> PromoteContext:
        """Put together what promotes a table: nothing that reaches the source account.

        `drain`: the longest wait in seconds; `say` reports progress; `looks`: without a lease.
        """
        store = self.journal()
        lease = self._lease(store, table.source_table)
        before = None if looks else lease.check
        s3 = self._target.client("s3")
        far_s3 = self._target.client("s3", table.consumer_region, FAR_CLIENT)
        return PromoteContext(
            outputs=self._outputs,
            table=table,
            store=store,
            lease=lease,
            journal=Journal(store, table.source_table, lease),
            ledger=self.ledger(table, before),
            target=self.target(table.consumer_region, before, FAR_CLIENT),
            policies=self.policies(Side.TARGET, before),
            canary=self.canary(partial(self._key_types, before), before),
            quarantine=partial(self._counted, s3, table.quarantine_bucket, "open/"),
            undelivered=partial(self._counted, far_s3, table.on_failure_bucket),
            verified=partial(self._verified, table),
            timing=self._process.timing,
            clock=self._process.clock,
            drain=drain,
            say=say,
        )

    def switch_look(self, table: TableOutputs, options: SwitchOptions) -> SwitchContext:
        """Put together what looks at a table before a switch.

        It takes no lease, and none of the roles that change something: exporter and importer see
        enough, and the stack may have no others yet.
        """
        store, source_table = self.journal(), table.source_table
        clock, machine = self._process.clock, self._process.machine
        names = (source_table, verification_row(source_table), backfill_row(source_table))
        leases = tuple(UnheldLease(store, name, clock, machine) for name in names)
        run = leases[0]
        return SwitchContext(
            steps=self.step_context(table, Journal(store, source_table, run), run),
            store=store,
            leases=leases,
            target_policies=self.seen_policies(Side.TARGET),
            source_policies=None,
            canary=NoCanary(),
            old_source=None,
            read_health=self._read_health(table),
            options=options,
        )

    def quarantine_context(self, table: TableOutputs) -> QuarantineContext:
        """Put together what resolves a table's quarantine."""
        calls = self._calls(Side.TARGET)
        return QuarantineContext(
            table=table,
            store=QuarantineStoreReader(
                AwsBucket(
                    calls,
                    self._target.client("s3"),
                    table.quarantine_bucket,
                    self._outputs.keys.target,
                ),
                AwsBucket(
                    calls, self._target.client("s3", table.consumer_region), table.on_failure_bucket
                ),
            ),
            ledger=self.ledger(table),
            state=partial(self._state, table),
            stream=partial(self._stream, table),
            consumer=partial(self._consumer, table),
            clock=SystemClock(),
            executor=ThreadExecutor(THREADS),
            who=f"{getpass.getuser()}@{socket.gethostname()}",
        )

    def verify_context(self, table: TableOutputs, say: Callable[[str], None]) -> VerifyContext:
        """Put together what verifies a table, under a lease of its own. `say` reports progress."""
        process, store = self._process, self.journal()
        name = verification_row(table.source_table)
        lease = self._lease(store, name)
        journal = Journal(store, name, lease)
        return VerifyContext(
            outputs=self._outputs,
            table=table,
            source=self._exports(Side.SOURCE, table.source_table, lease),
            target=self._exports(Side.TARGET, table.target_table, lease),
            source_items=self.items(Side.SOURCE, table.source_table, lease.check),
            target_items=self.items(Side.TARGET, table.target_table, lease.check),
            ledger=self.ledger(table, lease.check),
            store=store,
            journal=journal,
            lease=lease,
            opener=self._opener(),
            step_context=partial(self.step_context, table, journal, lease),
            repairer=partial(self._repairer, table, lease),
            timing=process.timing,
            clock=process.clock,
            say=say,
            glue=self.glue_job(lease.check),
            loads=self._loads(table),
        )

    def glue_job(self, before: Before | None = None) -> GlueJob | None:
        """Return the job of verifications on Glue, in the target's Region, if the stack has one."""
        outputs = self._outputs
        job = outputs.verification.job
        if job is None:
            return None
        calls, name = self._calls(Side.TARGET, before), outputs.snapshot_bucket
        bucket = AwsBucket(calls, self._target.client("s3"), name, outputs.snapshot_key_arn)
        starter = self._target.client("glue", config=ONE_ATTEMPT)
        return GlueJob(
            runs=AwsJobRuns(calls, self._target.client("glue"), starter, job.name),
            outputs=job,
            bucket=name,
            place=partial(BucketPlace, lambda: bucket, name),
            dpu_hour=PRICES.glue_dpu_hour,
        )

    def backfill_context(self, table: TableOutputs, say: Callable[[str], None]) -> BackfillContext:
        """Put together what backfills a table, under a lease of its own. `say` reports progress."""
        process, store = self._process, self.journal()
        name = backfill_row(table.source_table)
        lease = self._lease(store, name)
        return BackfillContext(
            outputs=self._outputs,
            table=table,
            source=self._exports(Side.SOURCE, table.source_table, lease),
            ledger=self.ledger(table, lease.check),
            journal=Journal(store, name, lease),
            lease=lease,
            opener=self._opener(),
            repairer=partial(self._repairer, table, lease),
            notes=partial(self._quarantine_writer, table),
            timing=process.timing,
            poller=Poller(process.clock, process.timing, lease.check, say, lease.now),
            say=say,
        )

    # -- parts of contexts -----------------------------------------------------------------------

    def _lease(self, store: Store, name: str) -> Lease:
        return Lease(store, name, self._process.clock, self._process.machine)

    def _stream(self, table: TableOutputs) -> AwsStream:
        kinesis = self._source.client("kinesis")
        return AwsStream(self._calls(Side.SOURCE), kinesis, table.stream_name)

    def _consumer(self, table: TableOutputs) -> DirectConsumer:
        config = ConsumerConfig(
            stack=self._outputs.stack,
            source_table=table.source_table,
            target_table=table.target_table,
            target_region=self._outputs.target.region,
            ledger_table=table.ledger_table,
            quarantine_bucket=table.quarantine_bucket,
            ledger_retention_days=table.ledger_retention_days,
            quarantine_key=self._outputs.keys.target,
            buffer=table.buffer,
        )
        return DirectConsumer(
            config,
            dynamodb=self._guard_client(table),
            s3=self._target.client("s3", config=GUARD_CLIENT),
            runtime=Runtime(executor=ThreadExecutor(THREADS)),
        )

    def _exports(self, side: Side, table: str, lease: Lease) -> AwsExports:
        return AwsExports(
            self._calls(side, lease.check),
            self._session(side).client("dynamodb"),
            table,
            bucket=self._outputs.snapshot_bucket,
            bucket_owner=self._outputs.target.account_id,
            key=self._outputs.snapshot_key_arn,
        )

    def _opener(self) -> S3Opener:
        """Return what opens exports in worker processes, which get the log-in of this one."""
        return S3Opener(
            Side.TARGET,
            self._outputs.target,
            self._process.timing,
            login=self._logins.of(self._credentials.target_profile),
            external_id=self._credentials.external_id,
        )

    def _repairer(self, table: TableOutputs, lease: Lease) -> Repairer:
        runtime = Runtime(executor=ThreadExecutor(THREADS))
        guard = LedgerWriter(
            self._guard_client(table),
            target_table=table.target_table,
            ledger_table=table.ledger_table,
            runtime=runtime,
            retention_days=table.ledger_retention_days,
        )
        ledger = self.ledger(table, lease.check)
        numbered = ledger if table.reads_table_stream else None
        return Repairer(guard, runtime, ledger.settings, numbered)

    def _loads(self, table: TableOutputs, before: Before | None = None) -> BulkLoads | None:
        """Return the bulk operations, where the roles may ask for them."""
        return self.bulk_loads(before) if table.load.is_bulk else None

    def _read_health(self, table: TableOutputs) -> Callable[[Row, float], Health]:
        """Return what reads both accounts' loss detectors now."""
        return lambda row, at: read_health(
            self.health(table),
            table,
            row,
            at,
            self._verified(table),
            partial(self.activity, table),
            read_expiries(self.source(), self.target(table.consumer_region), table),
            read_operations(self._loads(table), self._outputs.target_arn(table)),
            self._keys(table),
        )

    def _keys(self, table: TableOutputs) -> Keys | None:
        """Return what reads the keys that the stack file names."""
        source, target = self.source(), self.target(table.consumer_region)
        return read_keys(source, target, self._outputs, table)

    def _key_types(self, before: Before | None, table: str) -> Mapping[str, str]:
        facts = self.target(self._outputs.target.region, before).table(table)
        if facts is None:
            raise BlockedError(
                f"Table {table} does not exist in the target account.",
                fix=suggest(Command("status"), ", which says what became of the replica"),
            )
        return key_types(facts)

    def _no_switch_role(self, command: str) -> UsageError:
        error = UsageError(
            f"The stack {self._outputs.stack} has no role for a switch in the target account.",
            fix="`switch: true` in the stack configuration, then "
            + pulumi_commands.up(self._outputs.stack),
        )
        error.about(command)
        return error

    def _counted(self, s3: Any, bucket: str, prefix: str = "") -> Count:
        """Count the objects under a prefix; say why not, where that fails."""
        try:
            return count_objects(s3, bucket, prefix)
        except UnreadableError as error:
            return Unread(str(error))
        except BootstrapError as error:
            return Unread(error.what)

    def _state(self, table: TableOutputs) -> State:
        row, _ = self.journal().read(table.source_table)
        return (row or Row()).state

    def _verified(self, table: TableOutputs) -> Verified | None:
        return last_verification(self.journal(), table.source_table).verified

    def _own_writes(self, before: Before | None = None) -> AwsOwnWrites:
        dynamodb = self._target.client("dynamodb")
        return AwsOwnWrites(self._calls(Side.TARGET, before), dynamodb, self._outputs.journal_table)

    def _guard_client(self, table: TableOutputs) -> MeteredClient:
        """Return the client of a guard in this process, which notes what it writes."""
        return MeteredClient(
            self._target.client("dynamodb", config=GUARD_CLIENT),
            self._own_writes(),
            source=table.source_table,
            target=table.target_table,
        )

    def _quarantine_writer(self, table: TableOutputs) -> NoteQuarantine:
        runtime = Runtime()
        store = QuarantineStore(
            self._target.client("s3", config=GUARD_CLIENT),
            table.quarantine_bucket,
            self._outputs.stack,
            table.source_table,
            table.ledger_retention_days,
            runtime,
            buffer=table.buffer,
        )
        return NoteQuarantine(store, table.source_table, runtime)
