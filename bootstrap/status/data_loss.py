"""Known losses: changes missing in the target, and those restored since.

A run records the losses that it sees, and the watchdog those between runs. A record outlives the
cause of its loss: only a later snapshot or a complete verification shows the changes restored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from bootstrap.core.durations import EXPORT_FUZZ
from bootstrap.core.formatting import instant
from bootstrap.core.journal_rows import StepRecord
from bootstrap.journal.load_records import EarlyConsumer
from bootstrap.journal.records import (
    ExpiryMismatch,
    Exported,
    Imported,
    Interrupted,
    Overran,
    Skipped,
)
from bootstrap.journal.switch_records import GateGap
from bootstrap.journal.verification_records import Verified
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import Outage

R = TypeVar("R", bound=StepRecord)

_CLOSING = (
    "once the table is REPLICATING, `python -m bootstrap status` names the backfill, or "
    "`python -m bootstrap verify --repair` restores them; `python -m bootstrap run` then records "
    "that"
)


class LossRecords(Protocol):
    """A reader of one journal row's records."""

    def __call__(self, kind: type[R]) -> R | None: ...


@dataclass(frozen=True)
class KnownLosses:
    """Losses by cause; None or 0 where there is none."""

    refused: int = 0
    """Items that an import left out, and that the operator accepted as missing."""
    skipped: Skipped | None = None
    outage: Outage | None = None
    """Changes did not enter the stream."""
    overrun: Outage | None = None
    """Changes waited for longer than the stream keeps them."""
    given_up: Outage | None = None
    """Lambda gave batches up and could put them nowhere."""
    expired: ExpiryMismatch | None = None
    """The target deleted items by another time to live than the source's."""
    left_out: GateGap | None = None
    """A cancelled switch left deletions by time to live out."""
    replaced: EarlyConsumer | None = None
    """A bulk load may have replaced what a consumer had applied that was on before its end."""

    @property
    def any(self) -> bool:
        return bool(self.refused) or self.unasked

    @property
    def unasked(self) -> bool:
        """True if a loss remains that the operator has not accepted."""
        return self.unsent or self.expired is not None or self.replaced is not None

    @property
    def unsent(self) -> bool:
        """True if changes did not get from the source's stream into the target."""
        lost = (self.skipped, self.outage, self.overrun, self.given_up, self.left_out)
        return any(each is not None for each in lost)

    def unresolved(self, exported: Exported | None, verified: Verified | None) -> KnownLosses:
        """Leave out the losses that a later snapshot or verification covers."""
        taken = exported.export_time if exported is not None and exported.done else 0.0
        complete = verified.complete_until if verified is not None else 0.0
        known = max(complete, taken - EXPORT_FUZZ)
        return replace(
            self,
            refused=self.refused if complete <= taken else 0,
            skipped=self.skipped if self.skipped and self.skipped.end > known else None,
            outage=_unless_covered(self.outage, known),
            overrun=_unless_covered(self.overrun, known),
            given_up=_unless_covered(self.given_up, known),
            left_out=self.left_out if self.left_out and self.left_out.end > known else None,
            replaced=self.replaced if self.replaced and self.replaced.at >= complete else None,
            # A snapshot is older than what the target has deleted since.
            expired=self.expired if self.expired and not 0 < self.expired.end <= complete else None,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """One text for each loss, with the commands that end it."""
        texts = []
        if self.refused:
            texts.append(
                f"the import is {self.refused} items short of its export, and the replica lacks "
                "them: `python -m bootstrap verify --repair` restores them, and "
                "`python -m bootstrap run` then records that"
            )
        if self.skipped:
            texts.append(
                f"DynamoDB did not put {self.skipped.count} change records into the stream "
                "(FailedToReplicateRecordCount: larger than it takes, or refused), and the replica "
                f"lacks them: {_CLOSING}"
            )
        if self.outage:
            texts.append(
                "the source's changes did not go into the consumer's stream at some time "
                f"{_between(self.outage)}, and the replica lacks them: {_CLOSING}"
            )
        if self.overrun:
            texts.append(
                f"changes made at some time {_between(self.overrun)} waited for longer than the "
                f"stream keeps them, and the replica may lack some: {_CLOSING}"
            )
        if self.given_up:
            texts.append(
                "Lambda gave batches up and could not put them into the on-failure bucket, and "
                f"the replica lacks changes made at some time {_between(self.given_up)}: {_CLOSING}"
            )
        if self.left_out:
            texts.append(
                "a switch that was cancelled left deletions by time to live out, between "
                f"{instant(self.left_out.begin)} and {instant(self.left_out.end)}, and the replica "
                f"may hold items that the source has expired: {_CLOSING}"
            )
        if self.expired:
            end = self.expired.end
            until = f"until {instant(end)}" if end else "and still does"
            texts.append(
                f"the target expired items by another attribute than the source {until}, and may "
                "lack items that the source keeps: `python -m bootstrap verify --repair`, begun "
                "after that, restores them, and `python -m bootstrap run` then records that"
            )
        if self.replaced:
            texts.append(
                f"the consumer was found on, or changed, before a bulk load was done "
                f"({instant(self.replaced.at)}), and the load may have replaced changes by the "
                "snapshot's older items: `python -m bootstrap verify --repair` restores them, and "
                "`python -m bootstrap run` then records that"
            )
        return tuple(texts)


def collect(records: LossRecords, watchdog: WatchdogState) -> KnownLosses:
    """Combine the losses that runs and the watchdog have recorded."""
    imported, off, late = records(Imported), records(Interrupted), records(Overran)
    return KnownLosses(
        refused=imported.refused if imported is not None else 0,
        skipped=records(Skipped),
        outage=_span(watchdog.outage, Outage(off.begin, off.end or None) if off else None),
        overrun=_span(watchdog.overrun, Outage(late.begin, late.end) if late else None),
        given_up=watchdog.given_up,
        expired=records(ExpiryMismatch),
        left_out=records(GateGap),
        replaced=records(EarlyConsumer),
    )


def _span(one: Outage | None, other: Outage | None) -> Outage | None:
    """Return one outage that covers both."""
    if one is None or other is None:
        return one or other
    open_ = one.end is None or other.end is None
    return Outage(
        min(one.begin, other.begin),
        None if open_ else max(each.end or 0.0 for each in (one, other)),
    )


def _unless_covered(outage: Outage | None, complete: float) -> Outage | None:
    return outage if outage is None or outage.end is None or outage.end > complete else None


def _between(outage: Outage) -> str:
    until = f"and {instant(outage.end)}" if outage.end is not None else "and now"
    return f"between {instant(outage.begin)} {until}"
