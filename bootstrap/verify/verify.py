"""The `verify` command: rounds of comparing, judging and repairing, and their recorded result."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bootstrap.core.errors import BlockedError, LeaseHeldError, UsageError
from bootstrap.core.formatting import number
from bootstrap.core.journal_rows import Row
from bootstrap.core.poller import Poller
from bootstrap.core.ports import LedgerEntries
from bootstrap.core.refusals import REPAIR, VERIFY, refuse_in
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.verification_records import ReadProof, Verified
from bootstrap.run.other_operations import refuse_running_operations
from bootstrap.verify.compare.external_sort import KeySpool
from bootstrap.verify.compare.partitions import Difference
from bootstrap.verify.context import VerifyContext, VerifyOptions
from bootstrap.verify.export_rounds import ComparedPair, ExportRounds
from bootstrap.verify.judge.attributes import explain_differences
from bootstrap.verify.judge.classify import Judgement, Moments
from bootstrap.verify.judge.point_reads import PointReads
from bootstrap.verify.judge.report import (
    Judgements,
    Report,
    judge_all,
    open_report,
    report_differences,
)
from bootstrap.verify.repair import APPLIED, MOST_UNCONFIRMED, apply_repairs

MOST_ROUNDS = 10
READY = (State.REPLICATING, State.DEGRADED)


@dataclass(frozen=True)
class RetentionCheckedLedger:
    """A ledger whose retention is checked after each read."""

    ledger: LedgerEntries
    refuse_forgotten: Callable[[], None]

    def entries(self, keys: Sequence[bytes]) -> dict[bytes, dict[str, Any]]:
        found = self.ledger.entries(keys)
        self.refuse_forgotten()
        return found


@dataclass(frozen=True)
class VerifyResult:
    """The result of a verification, and the path of its report."""

    verified: Verified
    report: Path
    rounds: int
    dry_run: bool = False
    """A repair was only shown: `--dry-run`, or more than MOST_UNCONFIRMED without --yes."""
    read: int = 0
    """Number of keys read from the source."""


class Verification:
    """One table's verification in this process."""

    def __init__(self, context: VerifyContext, options: VerifyOptions) -> None:
        self._context = context
        self._options = options
        self._poller = Poller(
            context.clock, context.timing, context.lease.check, context.say, context.lease.now
        )
        self._export_rounds = ExportRounds(context, options, self._poller)
        self._repaired = 0
        self._reads = 0
        self._dry_run = False
        self._resources = contextlib.ExitStack()

    def run(self) -> VerifyResult:
        """Start a verification, or resume an interrupted one, and return its result.

        Raises:
            BlockedError, AccountError, UsageError: there is no result.
        """
        context, command = self._context, REPAIR if self._options.repair else VERIFY
        self.refuse_unready(command)  # a switch's lease is not taken over
        try:
            context.lease.acquire(self._options.take_over)
        except LeaseHeldError as error:
            raise LeaseHeldError(
                error.what,
                fix=suggest("wait for it; or, if it is stuck: ", Command("verify", "--take-over")),
            ) from error
        try:
            context.journal.refresh()
            self.refuse_unready(command)
            return self._rounds()
        except BaseException:
            self._export_rounds.warn_of_recovery()
            raise
        finally:
            self._resources.close()
            context.lease.release()

    def refuse_unready(self, command: str) -> None:
        """Raise BlockedError for a table that does not replicate. `command`: as typed."""
        table = self._context.table.source_table
        row, _ = self._context.store.read(table)
        state = (row or Row()).state
        refuse_in(state, command, table)
        if state not in READY:
            raise BlockedError(
                f"Table {table} is {state}; only a replicating table can be verified.",
                fix=suggest(Command("status"), ", which names the next command; then verify"),
            )
        context = self._context
        refuse_running_operations(
            context.loads,
            context.table.target_table,
            context.outputs.target_arn(context.table),
            command,
        )

    # -- rounds ----------------------------------------------------------------------------------

    def _rounds(self) -> VerifyResult:
        options = self._options
        report = options.report or self._default_report()
        judgements: Judgements | None = None
        first: Moments | None = None
        rounds = 0
        reported = self._keys()
        with open_report(report) as file:
            writer = Report(file, values=options.show_values)
            while True:
                rounds += 1
                last = self._export_rounds.next()
                judgements = self._judge(last, judgements, reported, writer)
                # A later round proves nothing about the keys that an earlier one reported.
                first = first or last.moments
                found = self._verified(last, judgements, first)
                if found.judged >= options.until_judged or rounds >= MOST_ROUNDS:
                    break
                if options.source_export:
                    raise UsageError(
                        f"These exports could judge {found.percentage} of the keys, less than "
                        "--until-judged requires.",
                        fix="the same without --source-export and --target-export",
                    )
                self._context.say(
                    f"{found.percentage} of the keys are judged; continuing with later exports"
                )
                self._record(found)
                last.comparison.results.remove()
        if found.judged < options.until_judged:
            self._context.say(
                f"{found.percentage} of the keys are judged after {rounds} rounds, less than "
                "--until-judged requires: --read-source judges keys that change often"
            )
        self._export_rounds.restore_recovery()
        self._record(found)
        self._resources.close()
        last.comparison.results.remove()
        return VerifyResult(found, report, rounds, self._dry_run, self._reads)

    def _judge(
        self, last: ComparedPair, before: Judgements | None, reported: KeySpool, writer: Report
    ) -> Judgements:
        """Judge one round. A key stays unjudged until some round can judge it."""
        context = self._context
        judgements = Judgements(self._keys())
        if before is not None:
            judgements.counts = before.counts
        refuse_forgotten = partial(self._export_rounds.refuse_forgotten, last.moments)
        ledger = RetentionCheckedLedger(context.ledger, refuse_forgotten)
        repairs = self._may_repair(last, ledger)
        differing = report_differences(
            context.opener(),
            last.comparison,
            ledger,
            last.moments,
            judgements,
            reported,
            values=self._options.show_values,
            read_to_repair=repairs and self._options.read_source,
            check=context.lease.check,
        )
        if repairs:
            self._export_rounds.begin_repair()
            versioned = ((*each, last.moments.repair_version) for each in differing)
            for each, judgement, outcome in apply_repairs(versioned, context.repairer()):
                context.lease.check()
                reported.add(each.difference.key)
                self._repaired += outcome == APPLIED
                writer.add(each, judgement, repair=outcome)
                refuse_forgotten()  # the guard depends on the entries of newer changes
        else:
            for each, judgement in differing:
                context.lease.check()
                reported.add(each.difference.key)
                writer.add(each, judgement)
        if judgements.repaired_before:
            context.say(
                f"{number(judgements.repaired_before)} keys were repaired earlier by these exports "
                "and are equal now"
            )
        if before is not None:
            now, judgements.unjudged = judgements.unjudged, self._keys()
            judgements.unjudged.add_common(now, before.unjudged)
            now.close()
            before.unjudged.close()
        if self._options.read_source and judgements.unjudged:
            self._read_source(last, judgements, reported, writer, repairs)
        return judgements

    def _read_source(
        self,
        last: ComparedPair,
        judgements: Judgements,
        reported: KeySpool,
        to: Report,
        repairs: bool,
    ) -> None:
        """Judges by single reads what this round's exports could not."""
        context, export_pair = self._context, self._export_rounds.export_pair()
        compared, fuzz = last.comparison, last.moments.fuzz
        self._reads += len(judgements.unjudged)
        context.say(f"Reading {number(len(judgements.unjudged))} keys from the source, one by one")

        def prove(needed: float) -> None:
            self._poller.wait(lambda: export_pair.until(needed, ReadProof))

        left = self._keys()
        reading = PointReads(
            context.source_items, context.target_items, context.ledger, prove, fuzz, left
        )
        unjudged = judgements.unjudged.among(compared.differences(), lambda each: each.key)
        some = ((_without_target(d), Judgement.CHANGED_SINCE) for d, known in unjudged if known)
        explained = explain_differences(context.opener(), compared, some, check=context.lease.check)
        keys = (each.key for each, _ in explained)
        found = judgements.counted(reading.differences(keys), reported)
        if repairs:
            # The version is the time of the read minus the fuzz.
            allowed = itertools.islice(found, None if self._options.yes else MOST_UNCONFIRMED)
            versioned = ((each, judgement, at - fuzz) for each, judgement, at in allowed)
            for each, judgement, outcome in apply_repairs(versioned, context.repairer()):
                self._repaired += outcome == APPLIED
                to.add(each, judgement, repair=outcome)
        for each, judgement, _ in found:
            to.add(each, judgement)
        judgements.unjudged.close()
        judgements.unjudged = left

    def _keys(self) -> KeySpool:
        """Make a set of key digests for this process; a resumed verification judges again."""
        return self._resources.enter_context(contextlib.closing(KeySpool(self._options.spool)))

    def _may_repair(self, last: ComparedPair, ledger: LedgerEntries) -> bool:
        """Return True if this round's differences are repaired, not only shown."""
        options = self._options
        if not options.repair:
            return False
        if options.dry_run:
            self._dry_run = True
        elif not options.yes:
            differing = (
                each
                for each, judgement in judge_all(last.comparison, ledger, last.moments)
                if judgement not in (Judgement.CHANGED_SINCE, Judgement.REPAIRED)
            )
            # One more than the limit decides it.
            count = sum(1 for _ in itertools.islice(differing, MOST_UNCONFIRMED + 1))
            self._dry_run = count > MOST_UNCONFIRMED
        return not self._dry_run

    def _verified(self, last: ComparedPair, judgements: Judgements, first: Moments) -> Verified:
        counts, moments = last.comparison.counts, last.moments
        unjudged, differing = len(judgements.unjudged), judgements.differences
        before = self._context.journal.get(Verified)
        found = Verified(
            round=self._export_rounds.finished(),
            at=self._context.journal.now(),
            source_time=moments.source / 1e6,
            target_time=moments.target / 1e6,
            sample=self._options.sample,
            source_items=counts.source,
            target_items=counts.target,
            equal=max(0, counts.equal + counts.differing - unjudged - differing),
            changed_since=unjudged,
            missing=judgements.counts["missing"],
            extra=judgements.counts["extra"],
            different=judgements.counts["different"],
            foreign=judgements.counts["foreign"],
            repaired=self._repaired,
            complete_until=before.complete_until if before is not None else 0,
        )
        if not found.complete:
            return found
        until = first.complete_until(all_judged=not unjudged) / 1e6
        return replace(found, complete_until=max(found.complete_until, until))

    def _record(self, found: Verified) -> None:
        # The ledger first: it is already true, and a crash in between only leaves it unrecorded.
        if found.complete_until:
            self._context.ledger.settle(round(found.complete_until * 1e6))
        what = (
            f"verified: {found.differences} differences, {found.repaired} repaired, "
            f"{found.changed_since} not judged"
        )
        self._context.journal.put(found, what)

    def _default_report(self) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._context.journal.now()))
        return self._options.spool.parent / f"{self._context.table.source_table}-{stamp}.jsonl"


def _without_target(difference: Difference) -> Difference:
    """Keep one side, which is enough to look up the key."""
    return difference if difference.source is None else replace(difference, target=None)
