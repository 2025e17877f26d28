"""`verify`: takes two exports, compares them, judges what differs, and remembers what came out."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bootstrap.accounts import ExportFacts
from bootstrap.context import Context
from bootstrap.errors import BlockedError, LeaseHeldError, UsageError
from bootstrap.executor import new_run_id
from bootstrap.journal import Journal, Row, Store
from bootstrap.lease import Lease
from bootstrap.outputs import Outputs, TableOutputs
from bootstrap.states import State
from bootstrap.timing import Clock, Timing
from bootstrap.verify import spool as spools
from bootstrap.verify.attributes import BATCH, explain
from bootstrap.verify.comparison import Comparison, compare
from bootstrap.verify.comparison import Progress as Compared
from bootstrap.verify.judging import FUZZ, MARGIN, Judgement, Moments
from bootstrap.verify.manifest import Export, read_export, summary_key
from bootstrap.verify.objects import Opener
from bootstrap.verify.reading import Items, Reading
from bootstrap.verify.records import (
    GivenProof,
    ReadProof,
    RecoverySwitched,
    SourceTaken,
    TargetTaken,
    Verified,
)
from bootstrap.verify.repair import APPLIED, MOST_UNASKED, Mender, mended
from bootstrap.verify.spool import Spool
from bootstrap.verify.taking import Exports, Taking, recovery_price, refuse_without_recovery
from bootstrap.verify.verdict import (
    Entries,
    Report,
    Verdict,
    batch_of,
    judged,
    open_report,
    told,
)
from bootstrap.verify.waiting import Patience
from bootstrap.wording import duration, number, size

MOST_ROUNDS = 10
READY = (State.REPLICATING, State.DEGRADED)

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """What the operator asked for."""

    spool: Path
    report: Path | None = None
    source_export: str | None = None
    target_export: str | None = None
    sample: float = 1.0
    until_judged: float = 0.0
    enable_target_recovery: bool = False
    show_values: bool = False
    fresh: bool = False
    take_over: bool = False
    read_source: bool = False
    repair: bool = False
    dry_run: bool = False
    yes: bool = False
    workers: int | None = None


@dataclass(frozen=True)
class Found:
    """What came out, and where it is written down."""

    verified: Verified
    report: Path
    rounds: int
    dry_run: bool = False
    """Repair was asked for, and is only shown: `--dry-run`, or too many to mend unasked."""
    read: int = 0
    """Keys that were read from the source."""


@dataclass(frozen=True)
class Desk:
    """One table's verification: what it works with in both accounts."""

    outputs: Outputs
    table: TableOutputs
    source: Exports
    target: Exports
    source_items: Items
    target_items: Items
    ledger: Entries
    store: Store
    journal: Journal
    lease: Lease
    opener: Opener
    context: Callable[[], Context]
    """Of one proof that everything is applied; over this verification's own journal."""
    mender: Callable[[], Mender]
    timing: Timing
    clock: Clock
    say: Callable[[str], None]


@dataclass(frozen=True)
class Round:
    """A pair of exports, compared, with what judging its differences needs."""

    comparison: Comparison
    moments: Moments
    size_bytes: int | None


class Verification:
    """A verification of one table in this process."""

    def __init__(self, desk: Desk, options: Options) -> None:
        self._desk = desk
        self._options = options
        self._patience = Patience(desk.lease, desk.clock, desk.timing, desk.say)
        self._repaired = 0
        self._reads = 0
        self._dry_run = False

    def run(self) -> Found:
        """From wherever the last one was stopped to its result.

        Raises:
            BlockedError, AccountError, UsageError: why there is none.
        """
        desk = self._desk
        try:
            desk.lease.acquire(self._options.take_over)
        except LeaseHeldError as error:
            raise LeaseHeldError(
                error.what,
                fix="wait for it; or, if it is stuck: python -m bootstrap verify --take-over",
            ) from error
        try:
            desk.journal.refresh()
            self.refuse_unready()
            return self._rounds()
        finally:
            desk.lease.release()

    def refuse_unready(self) -> None:
        """Raises BlockedError for a table that does not replicate."""
        table = self._desk.table.source_table
        row, _ = self._desk.store.read(table)
        state = (row or Row()).state
        if state not in READY:
            raise BlockedError(
                f"Table {table} is {state}: a verification compares what is replicating.",
                fix="python -m bootstrap status, which says how to go on; then verify",
            )

    # -- rounds ----------------------------------------------------------------------------------

    def _rounds(self) -> Found:
        options = self._options
        report = options.report or self._default_report()
        verdict, rounds, last = Verdict(), 0, None
        reported: set[bytes] = set()
        with open_report(report) as file:
            writer = Report(file, values=options.show_values)
            while True:
                rounds += 1
                last = self._round()
                verdict = self._judge(last, verdict, reported, writer, first=rounds == 1)
                found = self._verified(last, verdict)
                if found.judged >= options.until_judged or rounds >= MOST_ROUNDS:
                    break
                if options.source_export:
                    raise UsageError(
                        f"{found.judged:.1%} of the keys could be judged by these exports, and "
                        "--until-judged asks for more.",
                        fix="the same without --source-export and --target-export",
                    )
                self._desk.say(f"{found.judged:.1%} of the keys are judged: later exports follow")
                self._note(found)
                last.comparison.spool.remove()
        self._restore_recovery()
        self._note(found)
        last.comparison.spool.remove()
        return Found(found, report, rounds, self._dry_run, self._reads)

    def _round(self) -> Round:
        options = self._options
        if options.source_export is None or options.target_export is None:
            return self._taken_round()
        return self._given_round(options.source_export, options.target_export)

    def _judge(
        self, last: Round, before: Verdict, reported: set[bytes], writer: Report, *, first: bool
    ) -> Verdict:
        """Judges one round. A key is unjudged as long as no round could judge it."""
        desk = self._desk
        verdict = Verdict(counts=before.counts)
        mends = self._mends(last)
        values = mends or self._options.show_values
        differing = told(
            desk.opener(),
            last.comparison,
            desk.ledger,
            last.moments,
            verdict,
            values=values,
            batch=batch_of(last.comparison, last.size_bytes) if values else BATCH,
            wanted=lambda key: key not in reported,
        )
        if mends:
            version = last.moments.source - last.moments.margin
            versioned = ((*each, version) for each in differing)
            for each, judgement, outcome in mended(versioned, desk.mender()):
                desk.lease.check()
                reported.add(each.difference.key)
                self._repaired += outcome == APPLIED
                writer.add(each, judgement, repair=outcome)
        else:
            for each, judgement in differing:
                desk.lease.check()
                reported.add(each.difference.key)
                writer.add(each, judgement)
        if not first:
            verdict.unjudged &= before.unjudged
        if self._options.read_source and verdict.unjudged:
            self._read_source(last.comparison, verdict, reported, writer, mends)
        return verdict

    def _read_source(
        self, compared: Comparison, verdict: Verdict, reported: set[bytes], to: Report, mends: bool
    ) -> None:
        """Judges by single reads what this round's exports could not."""
        desk, taking = self._desk, self._taking()
        self._reads += len(verdict.unjudged)
        desk.say(f"Reading {number(len(verdict.unjudged))} keys from the source, one by one")

        def prove(needed: float) -> None:
            self._patience.wait(lambda: taking.until(needed, ReadProof))

        fuzz = round(FUZZ * desk.timing.scale)
        reading = Reading(desk.source_items, desk.target_items, desk.ledger, prove, fuzz)
        unjudged = (d for d in compared.differences() if d.key in verdict.unjudged)
        sides = (compared.source, compared.target)
        keys = explain(desk.opener(), *sides, compared.spool.plan.key, unjudged)
        found = verdict.counted(reading.differences(each.key for each in keys), reported)
        if mends:
            # Each with the time of its read less the fuzz; the first ones where nobody said --yes.
            some = itertools.islice(found, None if self._options.yes else MOST_UNASKED)
            versioned = ((each, judgement, at - fuzz) for each, judgement, at in some)
            for each, judgement, outcome in mended(versioned, desk.mender()):
                self._repaired += outcome == APPLIED
                to.add(each, judgement, repair=outcome)
        for each, judgement, _ in found:
            to.add(each, judgement)
        verdict.unjudged = reading.unjudged

    def _mends(self, last: Round) -> bool:
        """Whether this round's differences are mended, and not only shown."""
        options = self._options
        if not options.repair:
            return False
        if options.dry_run:
            self._dry_run = True
        elif not options.yes:
            differing = (
                each
                for each, judgement in judged(last.comparison, self._desk.ledger, last.moments)
                if judgement is not Judgement.CHANGED_SINCE
            )
            # One more than allowed is enough to know.
            count = sum(1 for _ in itertools.islice(differing, MOST_UNASKED + 1))
            self._dry_run = count > MOST_UNASKED
        return not self._dry_run

    def _verified(self, last: Round, verdict: Verdict) -> Verified:
        counts, moments = last.comparison.counts, last.moments
        unjudged, differing = len(verdict.unjudged), verdict.differences
        return Verified(
            round=self._finished_round(),
            at=self._desk.journal.now(),
            source_time=moments.source / 1e6,
            target_time=moments.target / 1e6,
            sample=self._options.sample,
            source_items=counts.source,
            target_items=counts.target,
            equal=max(0, counts.equal + counts.differing - unjudged - differing),
            changed_since=unjudged,
            missing=verdict.counts["missing"],
            extra=verdict.counts["extra"],
            different=verdict.counts["different"],
            foreign=verdict.counts["foreign"],
            repaired=self._repaired,
        )

    def _finished_round(self) -> str:
        """The round that is over now. Exports that were there before end none that is going on."""
        journal = self._desk.journal
        if self._options.source_export is None:
            return journal.run_id
        done = journal.get(Verified)
        return done.round if done is not None else ""

    def _note(self, found: Verified) -> None:
        what = (
            f"verified: {found.differences} differences, {found.repaired} repaired, "
            f"{found.changed_since} not judged"
        )
        self._desk.journal.put(found, what)

    def _default_report(self) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._desk.journal.now()))
        return self._options.spool.parent / f"{self._desk.table.source_table}-{stamp}.jsonl"

    # -- taking the exports ----------------------------------------------------------------------

    def _taken_round(self) -> Round:
        desk, journal = self._desk, self._desk.journal
        done = journal.get(Verified)
        over = not journal.run_id or (done is not None and done.round == journal.run_id)
        if over or self._options.fresh:
            self._options = dataclasses.replace(self._options, fresh=False)
            refuse_without_recovery(desk.source, desk.source.backups())
            if not self._options.enable_target_recovery:
                refuse_without_recovery(desk.target, desk.target.backups())
            journal.begin(new_run_id(journal.now()))
        else:
            self._desk.say(f"Going on with verification {journal.run_id}.")
        taking = self._taking()
        begun = taking.taken(TargetTaken)
        if begun is None or not begun.arn:
            self._ensure_target_recovery()
        self._patience.wait(taking.advance)
        source, target, proof = taking.taken(SourceTaken), taking.taken(TargetTaken), taking.proof()
        assert source is not None and target is not None and proof is not None
        moments = self._moments(source.export_time, target.export_time, proof.moment)
        moments = dataclasses.replace(moments, applied_by_target=moments.applied_by_now)
        return self._compared(
            self._read(source.arn, source.prefix),
            self._read(target.arn, target.prefix),
            moments,
            source.size_bytes,
        )

    def _taking(self) -> Taking:
        desk = self._desk
        table = desk.target.table()
        if table is None:
            raise BlockedError(
                f"There is no target table {desk.table.target_table}.",
                fix="python -m bootstrap status",
            )
        return Taking(
            source=desk.source,
            target=desk.target,
            source_arn=desk.table.source_table_arn,
            target_arn=table.arn,
            prefix=desk.table.snapshot_prefix,
            journal=desk.journal,
            timing=desk.timing,
            context=desk.context,
        )

    def _ensure_target_recovery(self) -> None:
        desk = self._desk
        backups = desk.target.backups()
        if backups.enabled:
            return
        if not self._options.enable_target_recovery:
            # Somebody has switched it off, maybe this very verification after its export.
            refuse_without_recovery(desk.target, backups)
        facts = desk.target.table()
        self._desk.say(
            f"Switching on point-in-time recovery of the target table {desk.target.name}, until "
            f"this verification is over. {recovery_price(facts.size_bytes if facts else 0)}"
        )
        # The intention first: whoever goes on with this has to know whom to switch it off for.
        desk.journal.put(RecoverySwitched(desk.journal.now()), "switching on the target's recovery")
        desk.target.switch_backups(True)

    def _restore_recovery(self) -> None:
        desk = self._desk
        if desk.journal.get(RecoverySwitched) is None:
            return
        desk.target.switch_backups(False)
        desk.journal.forget(RecoverySwitched, "the target's recovery is off again")
        self._desk.say("Point-in-time recovery of the target table is off again.")

    # -- exports that are there ------------------------------------------------------------------

    def _given_round(self, source_arn: str, target_arn: str) -> Round:
        desk = self._desk
        source = self._complete(desk.source, source_arn)
        target = self._complete(desk.target, target_arn)
        ours, theirs = self._read(source_arn, source.prefix), self._read(target_arn, target.prefix)
        if ours.time is None or theirs.time is None:
            raise UsageError(
                "An incremental export does not hold the whole table.",
                fix="name two full exports, or none, and they are taken",
            )
        self._refuse_unjudgeable(ours.time, theirs.time)
        taking = self._taking()
        needed = ours.time / 1e6 + taking.fuzz
        since = desk.journal.now()
        self._patience.wait(lambda: taking.until(max(needed, since), GivenProof))
        caught = taking.proved(GivenProof)
        moments = self._moments(ours.time / 1e6, theirs.time / 1e6, caught)
        return self._compared(ours, theirs, moments, source.size_bytes)

    def _complete(self, account: Exports, arn: str) -> ExportFacts:
        facts = account.describe(arn)
        if facts is None or facts.status != "COMPLETED":
            raise UsageError(
                f"The export {arn} is {facts.status if facts else 'unknown'} in the "
                f"{account.side.account}.",
                fix="aws dynamodb list-exports, and name one that is COMPLETED",
            )
        if arn.split("/export/")[0].rsplit("/", 1)[-1] != account.name:
            raise UsageError(
                f"The export {arn} is not of table {account.name}.",
                fix=f"name exports of {self._desk.table.source_table} and of its replica",
            )
        return facts

    def _refuse_unjudgeable(self, source: int, target: int) -> None:
        if target < source:
            raise UsageError(
                "The target's export is from before the source's: what was changed in between "
                "would look like a difference.",
                fix="name an export of the target that is later than the source's",
            )
        age = self._desk.journal.now() - source / 1e6
        kept = self._desk.table.ledger_retention_days * 86_400
        if age > kept:
            raise UsageError(
                f"The source's export is {duration(age)} old, and the ledger forgets what it knows "
                f"of a key after {duration(kept)}: it could not say what was changed since.",
                fix="name a later export, or none, and they are taken",
            )

    # -- comparing -------------------------------------------------------------------------------

    def _moments(self, source: float, target: float, applied: float) -> Moments:
        scale = self._desk.timing.scale
        return Moments(
            source=round(source * 1e6),
            target=round(target * 1e6),
            applied_by_target=None,
            applied_by_now=int(applied * 1e6),
            fuzz=round(FUZZ * scale),
            margin=round(MARGIN * scale),
        )

    def _read(self, arn: str, prefix: str) -> Export:
        bucket = self._desk.outputs.snapshot_bucket
        return read_export(self._desk.opener(), bucket, summary_key(arn, prefix or None))

    def _compared(
        self, source: Export, target: Export, moments: Moments, size_bytes: int | None
    ) -> Round:
        desk, options = self._desk, self._options
        facts = desk.source.table()
        assert facts is not None
        key = tuple(str(each["AttributeName"]) for each in facts.keys)
        plan = spools.plan(source, target, key, options.sample)
        needed = size(spools.size(source, target, options.sample))
        self._desk.say(f"Comparing in {options.spool}, which takes {needed}.")
        spool = Spool.open(options.spool, source, target, plan)
        comparison = compare(
            source,
            target,
            spool,
            desk.opener,
            workers=options.workers,
            on_progress=self._compared_so_far,
        )
        return Round(comparison, moments, size_bytes)

    def _compared_so_far(self, progress: Compared) -> None:
        self._desk.lease.check()
        if progress.files < progress.of_files:
            text = (
                f"digested {number(progress.items)} of {number(progress.of_items)} items, "
                f"{progress.files} of {progress.of_files} files"
            )
        else:
            text = f"compared {progress.partitions} of {progress.of_partitions} partitions"
        self._patience.say(text, same="comparing")
