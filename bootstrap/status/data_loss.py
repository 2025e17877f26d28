"""What is known to be missing in the target, and what has been put in since. Pure.

A run notes what it sees itself, and the watchdog what it sees between the runs. Neither note goes
when its cause does: what was lost does not come back by itself. A later snapshot holds it, and a
verification that leaves nothing to mend has put it in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from bootstrap.core.formatting import instant
from bootstrap.core.journal_rows import StepRecord
from bootstrap.core.timing import EXPORT_FUZZ
from bootstrap.journal.records import Exported, Imported, Interrupted, Overran, Skipped
from bootstrap.journal.verification_records import Verified
from replicator.watchdog.detectors import Outage
from replicator.watchdog.probe_rounds import WatchdogState

R = TypeVar("R", bound=StepRecord)

_CLOSING = (
    "once it replicates, python -m bootstrap status names the backfill, or "
    "python -m bootstrap verify --repair puts it in; python -m bootstrap run then takes note of it"
)


class LossRecords(Protocol):
    """A journal's row, asked for one of its records."""

    def __call__(self, kind: type[R]) -> R | None: ...


@dataclass(frozen=True)
class KnownLosses:
    """Each of them None or 0 where there is none."""

    refused: int = 0
    """Items that an import left out, and that the operator accepted to be missing."""
    skipped: Skipped | None = None
    outage: Outage | None = None
    """Changes did not go into the stream."""
    overrun: Outage | None = None
    """Changes waited for longer than the stream keeps them."""

    @property
    def any(self) -> bool:
        return bool(self.refused) or self.unasked

    @property
    def unasked(self) -> bool:
        """Whether something is missing that nobody has chosen to go on without."""
        return any(each is not None for each in (self.skipped, self.outage, self.overrun))

    def left(self, exported: Exported | None, verified: Verified | None) -> KnownLosses:
        """Without what a snapshot or a verification of afterwards holds."""
        taken = exported.export_time if exported is not None and exported.done else 0.0
        complete = verified.complete_until if verified is not None else 0.0
        known = max(complete, taken - EXPORT_FUZZ)
        return replace(
            self,
            refused=self.refused if complete <= taken else 0,
            skipped=self.skipped if self.skipped and self.skipped.end > known else None,
            outage=_unless(self.outage, known),
            overrun=_unless(self.overrun, known),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """For people, each with the commands that end it."""
        said = []
        if self.refused:
            said.append(
                f"the import is {self.refused} items short of its export, and the replica goes on "
                "without them: python -m bootstrap verify --repair puts them in, and "
                "python -m bootstrap run then takes note of it"
            )
        if self.skipped:
            said.append(
                f"DynamoDB did not put {self.skipped.count} change records into the stream "
                "(FailedToReplicateRecordCount: larger than it takes, or refused), and the replica "
                f"lacks them: {_CLOSING}"
            )
        if self.outage:
            said.append(
                f"the stream's destination was off at some time {_between(self.outage)}, and the "
                f"replica lacks what was changed meanwhile: {_CLOSING}"
            )
        if self.overrun:
            said.append(
                f"changes made at some time {_between(self.overrun)} waited for longer than the "
                f"stream keeps them, and the replica may lack some: {_CLOSING}"
            )
        return tuple(said)


def known(records: LossRecords, book: WatchdogState) -> KnownLosses:
    """What a run and the watchdog have noted."""
    imported, off, late = records(Imported), records(Interrupted), records(Overran)
    return KnownLosses(
        refused=imported.refused if imported is not None else 0,
        skipped=records(Skipped),
        outage=_one(book.outage, Outage(off.begin, off.end or None) if off else None),
        overrun=_one(book.overrun, Outage(late.begin, late.end) if late else None),
    )


def _one(one: Outage | None, other: Outage | None) -> Outage | None:
    """Both, as one that holds both."""
    if one is None or other is None:
        return one or other
    open_ = one.end is None or other.end is None
    return Outage(
        min(one.begin, other.begin),
        None if open_ else max(each.end or 0.0 for each in (one, other)),
    )


def _unless(over: Outage | None, complete: float) -> Outage | None:
    return over if over is None or over.end is None or over.end > complete else None


def _between(over: Outage) -> str:
    until = f"and {instant(over.end)}" if over.end is not None else "and now"
    return f"between {instant(over.begin)} {until}"
