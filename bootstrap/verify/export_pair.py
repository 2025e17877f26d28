"""The pair of exports that a verification compares, with the proof between them.

The order makes differences judgeable. The source's time Ts comes first. Then a proof shows that
every change made up to a moment past Ts is applied. The target's time Tt is later than that proof.
So the target at Tt should hold everything that the source held at Ts, and only keys changed in
between cannot be judged. The journal has each intention before its act.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from bootstrap.core.durations import Timing
from bootstrap.core.errors import AccessDeniedError, AccountError, BlockedError, Side
from bootstrap.core.export_search import begin_window, start_or_find, token_is_valid
from bootstrap.core.facts import Backups, ExportFacts, ExportSpec
from bootstrap.core.formatting import moment
from bootstrap.core.objects import ObjectReader
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.ports import ExportService
from bootstrap.core.stack_outputs import Outputs
from bootstrap.journal.journal import Journal
from bootstrap.journal.records import CaughtUp, Exported, Probing
from bootstrap.journal.verification_records import (
    ExportRecord,
    Proof,
    SourceExportRecord,
    TargetExportRecord,
)
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import catch_up
from bootstrap.verify.exports.manifest import Export, read_export, summary_key
from replicator.aws_commands import table_option


@dataclass
class ExportPair:
    """One round's exports and proof. `context` makes the context of one proof, fresh each time."""

    source: ExportService
    target: ExportService
    source_arn: str
    target_arn: str
    prefix: str
    journal: Journal
    timing: Timing
    step_context: Callable[[], StepContext]
    _proving: StepContext | None = field(default=None, init=False)

    def export_record(self, kind: type[ExportRecord]) -> ExportRecord | None:
        """Return this round's record of an export."""
        found = self.journal.get(kind)
        return found if found is not None and found.round == self.journal.run_id else None

    def proof(self) -> Proof | None:
        """Return this round's proof, if it covers all that the source's export can contain."""
        found, source = self.journal.get(Proof), self.export_record(SourceExportRecord)
        if found is None or source is None or found.round != self.journal.run_id:
            return None
        return found if found.moment >= source.export_time + self.timing.export_fuzz else None

    def advance(self) -> Outcome:
        """Do one act. Done: both exports are complete, and the proof is made."""
        source, target, proof = (
            self.export_record(SourceExportRecord),
            self.export_record(TargetExportRecord),
            self.proof(),
        )
        if source is None:
            return self._intend(SourceExportRecord, math.ceil(self.journal.now()))
        outcomes = [self._export(self.source, self.source_arn, SourceExportRecord)]
        if proof is None:
            outcomes.append(self.prove(source.export_time + self.timing.export_fuzz))
        elif target is None or target.export_time < proof.at + self.timing.export_fuzz:
            # One fuzz after the proof: an export's content may be a minute older than its time.
            attempt = 1 if target is None else target.attempt + 1
            return self._intend(
                TargetExportRecord, math.ceil(proof.at + self.timing.export_fuzz), attempt
            )
        else:
            outcomes.append(self._export(self.target, self.target_arn, TargetExportRecord))
        if any(isinstance(outcome, Acted) for outcome in outcomes):
            return Acted()
        pending = [outcome for outcome in outcomes if isinstance(outcome, Pending)]
        if not pending:
            return Done() if proof is not None else Acted()
        what = "; ".join(dict.fromkeys(each.what for each in pending))
        return Pending(what, min(each.poll for each in pending))

    # -- the proof -------------------------------------------------------------------------------

    def until(self, needed: float, kind: type[Proof]) -> Outcome:
        """Work towards a proof of this kind, of any round, that covers `needed`."""
        return Done() if self.proved(kind) >= needed else self.prove(needed, kind)

    def proved(self, kind: type[Proof]) -> float:
        """Return the epoch second up to which all changes are proved applied."""
        found = self.journal.get(kind)
        return 0.0 if found is None else found.moment

    def prove(self, needed: float, kind: type[Proof] = Proof) -> Outcome:
        """Work towards a proof that every change made up to `needed` is applied."""
        journal = self.journal
        if journal.now() < needed:
            return Pending(f"the clock to reach {moment(needed)}", self.timing.poll(10))
        if self._proving is None:
            exported = journal.get(Exported)
            if exported is None or exported.export_time < int(needed):
                # An earlier loss is in the source's export, and shows as a difference.
                record = Exported(token=journal.run_id, export_time=math.ceil(needed), done=True)
                journal.put(record, f"proving that changes up to {moment(needed)} are applied")
            if journal.get(Probing) is not None:
                journal.forget(Probing, "probes of an earlier proof do not count for this one")
            self._proving = self.step_context()
        outcome = catch_up.advance(self._proving)
        if not isinstance(outcome, Done):
            return outcome
        self._proving = None
        caught = journal.get(CaughtUp)
        if caught is None or caught.moment < needed:
            return Acted()
        journal.put(
            kind(journal.run_id, caught.moment, journal.now()),
            f"every change made up to {moment(caught.moment)} is applied",
        )
        return Acted()

    # -- an export -------------------------------------------------------------------------------

    def _intend(self, kind: type[ExportRecord], at: int, attempt: int = 1) -> Outcome:
        """Record token and time before the call, so that a resumed process repeats the same call or
        finds its export, and does not pay for a second one.
        """
        journal, side = self.journal, kind.key.removeprefix("verify-")
        record = kind(
            round=journal.run_id,
            attempt=attempt,
            token=f"{journal.run_id}-{kind.key}-{attempt}",
            export_time=at,
            prefix=f"verify/{self.prefix}/{journal.run_id}/{side}-{attempt}",
            intended_at=journal.now(),
        )
        journal.put(record, f"exporting the {side} as of {moment(at)} to {record.prefix}/")
        return Acted()

    def _export(self, account: ExportService, table_arn: str, kind: type[ExportRecord]) -> Outcome:
        record = self.export_record(kind)
        assert record is not None
        if record.done:
            return Done()
        return (
            self._follow(account, kind, record)
            if record.arn
            else self._begin(account, table_arn, kind, record)
        )

    def _begin(
        self, account: ExportService, table_arn: str, kind: type[ExportRecord], record: ExportRecord
    ) -> Outcome:
        backups = account.backups()
        refuse_without_recovery(account, backups)
        if (backups.earliest or 0) > record.export_time:
            # Recovery was switched on only now.
            return self._intend(kind, math.ceil(backups.earliest or 0), record.attempt + 1)
        if (backups.latest or 0) < record.export_time:
            return Pending(
                f"point-in-time recovery of the {account.side.name.lower()} to reach "
                f"{moment(record.export_time)}",
                self.timing.poll(10),
            )
        between = begin_window(record.intended_at)
        if token_is_valid(record.intended_at, self.journal.now()):
            wanted = ExportSpec(record.token, record.prefix, time=record.export_time)
            facts = start_or_find(
                lambda: account.start(table_arn, wanted),
                lambda: account.find(table_arn, record.prefix, between),
            )
        else:
            facts = account.find(table_arn, record.prefix, between)
            if facts is None:
                return self._intend(kind, math.ceil(self.journal.now()), record.attempt + 1)
        if facts is None:
            return Pending("DynamoDB to accept the export time", self.timing.poll(10))
        self.journal.put(
            dataclasses.replace(record, arn=facts.arn), f"export {facts.export_id} runs"
        )
        return Acted()

    def _follow(
        self, account: ExportService, kind: type[ExportRecord], record: ExportRecord
    ) -> Outcome:
        facts = account.describe(record.arn)
        if facts is None or facts.status == "FAILED":
            if record.failed_generation not in (0, self.journal.generation):
                return self._intend(kind, math.ceil(self.journal.now()), record.attempt + 1)
            self.journal.put(
                dataclasses.replace(record, failed_generation=self.journal.generation),
                "the export failed",
            )
            why = "DynamoDB no longer knows it" if facts is None else facts.failure
            raise AccountError(
                account.side,
                f"The export {record.arn} failed: {why or 'without a reason'}.",
                fix="fix the cause, then verify again: that starts another paid export",
            )
        if facts.status != "COMPLETED":
            what = f"the {account.side.name.lower()}'s export"
            return Pending(what, self.timing.poll(20), outlasts=True)
        self.journal.put(
            dataclasses.replace(record, done=True, size_bytes=facts.size_bytes),
            f"export {facts.export_id} is complete",
        )
        return Acted()


def read_export_of(facts: ExportFacts, outputs: Outputs, objects: ObjectReader) -> Export:
    """Read an export's manifests in the bucket that DescribeExport names, or in the stack's.

    Raises:
        AccessDeniedError: the role may not read another bucket; names the missing permissions.
    """
    bucket = facts.bucket or outputs.snapshot_bucket
    try:
        return read_export(objects, bucket, summary_key(facts.arn, facts.prefix or None))
    except AccessDeniedError as error:
        if bucket == outputs.snapshot_bucket:
            raise
        partition = facts.arn.split(":")[1]
        within = f"{bucket}/{facts.prefix}/*" if facts.prefix else f"{bucket}/AWSDynamoDB/*"
        role = outputs.target.role_arn or "the credentials of the target account"
        raise AccessDeniedError(
            error.side,
            f"The export {facts.arn} is in bucket {bucket}, which is not the stack's snapshot "
            f"bucket {outputs.snapshot_bucket}, and could not be read. {error.what}",
            fix=f"allow {role} s3:GetObject on arn:{partition}:s3:::{within}, in its IAM policy "
            f"and, if another account owns {bucket}, in the bucket's policy; and kms:Decrypt on "
            "the key of the bucket, if it has one; then run the same command",
            code=error.code,
        ) from error


def refuse_without_recovery(account: ExportService, backups: Backups) -> None:
    """Refuse a table without point-in-time recovery, which an export needs.

    Raises:
        BlockedError: it is off. The message has its cost, or the command that switches it on.
    """
    if backups.enabled:
        return
    if account.side is Side.SOURCE:
        raise BlockedError(
            f"Point-in-time recovery of the source table {account.name} is off, and an export "
            "needs it.",
            fix="aws dynamodb update-continuous-backups "
            f"{table_option(account.name)} --point-in-time-recovery-specification "
            "PointInTimeRecoveryEnabled=true",
        )
    facts = account.table()
    raise BlockedError(
        f"Point-in-time recovery of the target table {account.name} is off, and an export needs "
        f"it. {recovery_price(facts.size_bytes if facts else 0)}",
        fix="the same command with --enable-target-pitr, which switches it off again at the end",
    )


def recovery_price(size_bytes: int) -> str:
    """Describe the cost of point-in-time recovery: 0.20 USD per GB and month in us-east-1 (DynamoDB
    pricing page). Other Regions differ a little.
    """
    gigabytes = size_bytes / 1e9
    return (
        f"It costs about ${max(0.01, 0.2 * gigabytes):,.2f} a month for its {gigabytes:,.1f} GB "
        "while it is on."
    )
