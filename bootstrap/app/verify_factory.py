"""The desk of a table's verification, on AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bootstrap.app.operations import Process
from bootstrap.app.quarantine_factory import GUARD_CLIENT, THREADS
from bootstrap.aws.calls import Calls
from bootstrap.aws.export_objects import S3Opener
from bootstrap.aws.exports import AwsExports
from bootstrap.aws.items import AwsItems
from bootstrap.aws.journal_table import AwsJournal
from bootstrap.aws.ledger import AwsLedger
from bootstrap.aws.sessions import Session
from bootstrap.cli.options import gateways
from bootstrap.core.errors import Side
from bootstrap.core.poller import Poller
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Lease
from bootstrap.journal.verification_records import row_name
from bootstrap.run.step_context import StepContext
from bootstrap.verify.backfill import BackfillContext as FillingDesk
from bootstrap.verify.backfill import row_name as backfill_row
from bootstrap.verify.context import VerifyContext
from bootstrap.verify.quarantine_writer import NoteQuarantine
from bootstrap.verify.repair import Repairer
from replicator.consumer.ledger import LedgerWriter
from replicator.consumer.quarantine import QuarantineStore
from replicator.runtime import Runtime, ThreadExecutor


class VerifyFactory:
    """Makes the desks. Nothing here reaches AWS; a role is assumed with its first call."""

    def __init__(
        self,
        outputs: Outputs,
        process: Process,
        given: Mapping[str, Any],
        say: Callable[[str], None],
    ) -> None:
        self._outputs, self._process, self._say = outputs, process, say
        self._gateways = gateways(outputs, process, given)
        self._external_id: str | None = given["external_id"]
        self._profiles: dict[Side, str | None] = {
            Side.SOURCE: given["source_profile"],
            Side.TARGET: given["target_profile"],
        }
        accounts = {Side.SOURCE: outputs.source, Side.TARGET: outputs.target}
        self._sessions = {
            side: Session(
                side,
                account,
                process.timing,
                profile=self._profiles[side],
                external_id=self._external_id,
            )
            for side, account in accounts.items()
        }

    def desk(self, table: TableOutputs) -> VerifyContext:
        process, outputs = self._process, self._outputs
        target = self._sessions[Side.TARGET].client("dynamodb")
        store = AwsJournal(self._calls(Side.TARGET, None), target, outputs.journal_table)
        name = row_name(table.source_table)
        lease = Lease(store, name, process.clock, process.machine)
        journal = Journal(store, name, lease)
        return VerifyContext(
            outputs=outputs,
            table=table,
            source=self._exports(Side.SOURCE, table.source_table, lease),
            target=self._exports(Side.TARGET, table.target_table, lease),
            source_items=self._items(Side.SOURCE, table.source_table, lease),
            target_items=self._items(Side.TARGET, table.target_table, lease),
            ledger=AwsLedger(self._calls(Side.TARGET, lease), target, table.ledger_table),
            store=store,
            journal=journal,
            lease=lease,
            opener=S3Opener(
                Side.TARGET,
                outputs.target,
                process.timing,
                profile=self._profiles[Side.TARGET],
                external_id=self._external_id,
            ),
            step_context=partial(self._context, table, journal, lease),
            repairer=partial(self._mender, table, lease),
            timing=process.timing,
            clock=process.clock,
            say=self._say,
        )

    def filling(self, table: TableOutputs) -> FillingDesk:
        """The desk of a table's backfill."""
        process, outputs = self._process, self._outputs
        target = self._sessions[Side.TARGET].client("dynamodb")
        store = AwsJournal(self._calls(Side.TARGET, None), target, outputs.journal_table)
        name = backfill_row(table.source_table)
        lease = Lease(store, name, process.clock, process.machine)
        verifying = self.desk(table)
        return FillingDesk(
            outputs=outputs,
            table=table,
            source=self._exports(Side.SOURCE, table.source_table, lease),
            ledger=AwsLedger(self._calls(Side.TARGET, lease), target, table.ledger_table),
            journal=Journal(store, name, lease),
            lease=lease,
            opener=verifying.opener,
            repairer=partial(self._mender, table, lease),
            notes=partial(self._notes, table),
            timing=process.timing,
            poller=Poller(process.clock, process.timing, lease.check, self._say, lease.now),
            say=self._say,
        )

    def _notes(self, table: TableOutputs) -> NoteQuarantine:
        effects = Runtime()
        store = QuarantineStore(
            self._sessions[Side.TARGET].client("s3", config=GUARD_CLIENT),
            table.quarantine_bucket,
            self._outputs.stack,
            table.source_table,
            table.ledger_retention_days,
            effects,
        )
        return NoteQuarantine(store, table.source_table, effects)

    def _context(self, table: TableOutputs, journal: Journal, lease: Lease) -> StepContext:
        made = self._gateways
        return StepContext(
            outputs=self._outputs,
            table=table,
            source=made.source(lease.check),
            target=made.target(table.consumer_region, lease.check),
            ledger=made.ledger(table, lease.check),
            snapshots=made.snapshots(lease.check),
            journal=journal,
            timing=self._process.timing,
            clock=self._process.clock,
        )

    def _mender(self, table: TableOutputs, lease: Lease) -> Repairer:
        effects = Runtime(executor=ThreadExecutor(THREADS))
        guard = LedgerWriter(
            self._sessions[Side.TARGET].client("dynamodb", config=GUARD_CLIENT),
            target_table=table.target_table,
            ledger_table=table.ledger_table,
            effects=effects,
            retention_days=table.ledger_retention_days,
        )
        ledger = self._gateways.ledger(table, lease.check)
        return Repairer(guard, effects, lambda: ledger.settings().expire)

    def _exports(self, side: Side, table: str, lease: Lease) -> AwsExports:
        return AwsExports(
            self._calls(side, lease),
            self._sessions[side].client("dynamodb"),
            table,
            bucket=self._outputs.snapshot_bucket,
            bucket_owner=self._outputs.target.account_id,
            key=self._outputs.snapshot_key_arn,
        )

    def _items(self, side: Side, table: str, lease: Lease) -> AwsItems:
        return AwsItems(self._calls(side, lease), self._sessions[side].client("dynamodb"), table)

    def _calls(self, side: Side, lease: Lease | None) -> Calls:
        account = self._outputs.source if side is Side.SOURCE else self._outputs.target
        return Calls(side, f"Role {account.role_arn}", lease.check if lease else None)
