"""The rounds of a verification: each a pair of exports, new or existing, and its comparison."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from bootstrap.core.errors import BlockedError, UsageError
from bootstrap.core.facts import ExportFacts
from bootstrap.core.formatting import duration, number
from bootstrap.core.poller import Poller
from bootstrap.core.ports import ExportService
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.verification_records import (
    GivenProof,
    RecoverySwitched,
    Repairing,
    SourceExportRecord,
    TargetExportRecord,
    Verified,
)
from bootstrap.run.goals import new_run_id
from bootstrap.verify.compare import spool as spools
from bootstrap.verify.compare.comparison import Comparison
from bootstrap.verify.compare.comparison import ComparisonProgress as Compared
from bootstrap.verify.compare.spool import JUDGEMENT_BYTES, check_space
from bootstrap.verify.context import VerifyContext, VerifyOptions
from bootstrap.verify.engines.choice import choose_engine
from bootstrap.verify.engines.engine import ComparisonTask
from bootstrap.verify.export_pair import (
    ExportPair,
    read_export_of,
    recovery_price,
    refuse_without_recovery,
)
from bootstrap.verify.exports.manifest import Export
from bootstrap.verify.judge.classify import MARGIN, Moments


@dataclass(frozen=True)
class ComparedPair:
    """A compared pair of exports, with the times that judging needs."""

    comparison: Comparison
    moments: Moments


class ExportRounds:
    """One table's rounds in this process, resumed from where the last process stopped."""

    def __init__(self, context: VerifyContext, options: VerifyOptions, poller: Poller) -> None:
        self._context = context
        self._options = options
        self._poller = poller

    def next(self) -> ComparedPair:
        """Complete and compare the next pair of exports."""
        options = self._options
        if options.source_export is None or options.target_export is None:
            return self._taken_round()
        return self._given_round(options.source_export, options.target_export)

    def finished(self) -> str:
        """Return the finished round. Existing exports leave a round in progress unfinished."""
        journal = self._context.journal
        if self._options.source_export is None:
            return journal.run_id
        done = journal.get(Verified)
        return done.round if done is not None else ""

    # -- new exports -----------------------------------------------------------------------------

    def _taken_round(self) -> ComparedPair:
        context, journal = self._context, self._context.journal
        done = journal.get(Verified)
        over = not journal.run_id or (done is not None and done.round == journal.run_id)
        begun = self.export_pair().export_record(SourceExportRecord)
        if not over and begun is not None and self._forgotten(begun.export_time):
            over = True
            context.say(f"Verification {journal.run_id} is too old to be judged: starting another.")
        if over or self._options.fresh:
            self._options = dataclasses.replace(self._options, fresh=False)
            refuse_without_recovery(context.source, context.source.backups())
            if not self._options.enable_target_recovery:
                refuse_without_recovery(context.target, context.target.backups())
            # Before anything is paid for: the spool of the interrupted one is of no use.
            before = (journal.get(SourceExportRecord), journal.get(TargetExportRecord))
            spools.clear_spool(self._options.spool, *(each.arn if each else "" for each in before))
            journal.begin(new_run_id(journal.now()))
        else:
            self._context.say(f"Resuming verification {journal.run_id}.")
        export_pair = self.export_pair()
        begun = export_pair.export_record(TargetExportRecord)
        if begun is None or not begun.arn:
            self._ensure_target_recovery()
        self._poller.wait(export_pair.advance)
        source, target, proof = (
            export_pair.export_record(SourceExportRecord),
            export_pair.export_record(TargetExportRecord),
            export_pair.proof(),
        )
        assert source is not None and target is not None and proof is not None
        moments = self._moments(source.export_time, target.export_time, proof.moment)
        moments = dataclasses.replace(
            moments, applied_by_target=moments.applied_by_now, repairing=self._repairing()
        )
        return self._compared(
            self._read(ExportFacts(source.arn, "COMPLETED", source.prefix)),
            self._read(ExportFacts(target.arn, "COMPLETED", target.prefix)),
            moments,
        )

    def _repairing(self) -> bool:
        begun = self._context.journal.get(Repairing)
        return begun is not None and begun.round == self._context.journal.run_id

    def begin_repair(self) -> None:
        """Record the intention, so that after a crash repaired keys do not look foreign."""
        # With existing exports, no key that has an entry is judged.
        if self._options.source_export is None and not self._repairing():
            journal = self._context.journal
            journal.put(Repairing(journal.run_id), "repairing differences")

    def export_pair(self) -> ExportPair:
        """Make the pair that takes this round's exports and proofs."""
        context = self._context
        table = context.target.table()
        if table is None:
            raise BlockedError(
                f"There is no target table {context.table.target_table}.",
                fix=suggest(Command("status")),
            )
        return ExportPair(
            source=context.source,
            target=context.target,
            source_arn=context.table.source_table_arn,
            target_arn=table.arn,
            prefix=context.table.snapshot_prefix,
            journal=context.journal,
            timing=context.timing,
            step_context=context.step_context,
        )

    def _ensure_target_recovery(self) -> None:
        context = self._context
        backups = context.target.backups()
        if backups.enabled:
            return
        if not self._options.enable_target_recovery:
            # It was switched off meanwhile, perhaps by this verification after its export.
            refuse_without_recovery(context.target, backups)
        facts = context.target.table()
        self._context.say(
            f"Switching on point-in-time recovery of the target table {context.target.name}, until "
            f"this verification is over. {recovery_price(facts.size_bytes if facts else 0)}"
        )
        # The intention first: a process that resumes this must know to switch it off.
        context.journal.put(
            RecoverySwitched(context.journal.now()), "switching on the target's recovery"
        )
        context.target.switch_backups(True)

    def restore_recovery(self) -> None:
        """Switch the target's recovery off again, if this verification switched it on."""
        context = self._context
        if context.journal.get(RecoverySwitched) is None:
            return
        context.target.switch_backups(False)
        context.journal.forget(RecoverySwitched, "the target's recovery is off again")
        self._context.say("Point-in-time recovery of the target table is off again.")

    def warn_of_recovery(self) -> None:
        """Warn that a verification without a result leaves the target's recovery on."""
        if self._context.journal.get(RecoverySwitched) is not None:
            self._context.say(
                f"Point-in-time recovery of the target table {self._context.target.name} stays on "
                "until a verification completes: verify again, or switch it off yourself."
            )

    # -- existing exports ------------------------------------------------------------------------

    def _given_round(self, source_arn: str, target_arn: str) -> ComparedPair:
        context = self._context
        source = self._complete(context.source, source_arn)
        target = self._complete(context.target, target_arn)
        ours, theirs = self._read(source), self._read(target)
        if ours.time is None or theirs.time is None:
            raise UsageError(
                "An incremental export does not hold the whole table.",
                fix="name two full exports; or name none, and verify makes them",
            )
        self._refuse_unjudgeable(ours.time, theirs.time)
        export_pair = self.export_pair()
        needed = ours.time / 1e6 + context.timing.export_fuzz
        since = context.journal.now()
        self._poller.wait(lambda: export_pair.until(max(needed, since), GivenProof))
        caught = export_pair.proved(GivenProof)
        moments = self._moments(ours.time / 1e6, theirs.time / 1e6, caught)
        return self._compared(ours, theirs, moments)

    def _complete(self, account: ExportService, arn: str) -> ExportFacts:
        facts = account.describe(arn)
        if facts is None or facts.status != "COMPLETED":
            raise UsageError(
                f"The export {arn} is {facts.status if facts else 'unknown'} in the "
                f"{account.side.account}.",
                fix=f"aws dynamodb list-exports --table-arn {arn.partition('/export/')[0]}, with "
                f"credentials of the {account.side.account}, and name one that is COMPLETED",
            )
        if arn.split("/export/")[0].rsplit("/", 1)[-1] != account.name:
            raise UsageError(
                f"The export {arn} is not of table {account.name}.",
                fix=f"name exports of {self._context.table.source_table} and of its replica",
            )
        return facts

    def _refuse_unjudgeable(self, source: int, target: int) -> None:
        if target < source:
            raise UsageError(
                "The target's export is older than the source's: changes in between would look "
                "like differences.",
                fix="name an export of the target that is later than the source's",
            )
        age = self._context.journal.now() - source / 1e6
        if self._forgotten(source / 1e6):
            kept = self._context.table.ledger_retention_days * 86_400
            raise UsageError(
                f"The source's export is {duration(age)} old, but the ledger keeps a key's entry "
                f"for {duration(kept)}: it could not show which keys changed since.",
                fix="name a later export; or name none, and verify makes them",
            )

    def refuse_forgotten(self, moments: Moments) -> None:
        """Refuse exports that are older than the ledger's entries.

        A missing entry means "not changed since" only while no entry has expired.

        Raises:
            BlockedError: entries that judging needs may have expired.
        """
        if self._forgotten(moments.source / 1e6):
            raise BlockedError(
                "The verification took too long: ledger entries of changes since the source's "
                "export may have expired.",
                fix=suggest(Command("verify", "--fresh"), " with more --workers, or with --sample"),
            )

    def _forgotten(self, since: float) -> bool:
        """Return True if entries of changes made after this epoch second may have expired."""
        kept = self._context.table.ledger_retention_days * 86_400
        return self._context.journal.now() - since > kept

    # -- comparing -------------------------------------------------------------------------------

    def _moments(self, source: float, target: float, applied: float) -> Moments:
        scale = self._context.timing.scale
        return Moments(
            source=round(source * 1e6),
            target=round(target * 1e6),
            applied_by_target=None,
            applied_by_now=int(applied * 1e6),
            fuzz=round(self._context.timing.export_fuzz * 1e6),
            margin=round(MARGIN * scale),
        )

    def _read(self, facts: ExportFacts) -> Export:
        return read_export_of(facts, self._context.outputs, self._context.opener())

    def _compared(self, source: Export, target: Export, moments: Moments) -> ComparedPair:
        context, options = self._context, self._options
        facts = context.source.table()
        assert facts is not None
        key = tuple(str(each["AttributeName"]) for each in facts.keys)
        comparison = choose_engine(context, options).compare(
            ComparisonTask(source, target, key, options.sample, options.spool),
            self._compared_so_far,
        )
        self.refuse_forgotten(moments)
        check_space(comparison.directory, comparison.counts.differing * JUDGEMENT_BYTES)
        return ComparedPair(comparison, moments)

    def _compared_so_far(self, progress: Compared) -> None:
        self._context.lease.check()
        if progress.files < progress.of_files:
            text = (
                f"digested {number(progress.items)} of {number(progress.of_items)} items, "
                f"{progress.files} of {progress.of_files} files"
            )
        else:
            text = f"compared {progress.partitions} of {progress.of_partitions} partitions"
        self._poller.say(text, same="comparing")
