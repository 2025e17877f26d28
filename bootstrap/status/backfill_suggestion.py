"""The period of changes that a loss detector reports lost, and the command that restores them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bootstrap.core.durations import EXPORT_FUZZ
from bootstrap.core.formatting import instant
from bootstrap.journal.records import CaughtUp, Exported, Skipped
from bootstrap.journal.switch_records import GateGap
from bootstrap.status.inputs import StatusInputs
from bootstrap.status.left_out_deletions import LEFT_OUT
from bootstrap.status.next_command import BACKFILL, BY_SWITCH, RUN, STATUS
from replicator.watchdog.detectors import (
    BUFFER,
    DESTINATION,
    SKIPPED,
    TABLE_STREAM,
    UNDELIVERED,
    Detector,
    Level,
)
from replicator.watchdog.finding import Finding

EXPORTED_SECONDS = 35 * 86_400.0
"""The longest window of point-in-time recovery, in which an export may lie (DynamoDB Developer
Guide, "Point-in-time backups")."""
VERIFY = "verify"
ENTRY = (DESTINATION, TABLE_STREAM)
"""Those that say that changes enter no stream of ours."""


@dataclass(frozen=True)
class Gap:
    """Changes made from `begin` to `end` (epoch seconds) that may be missing in the target."""

    begin: float
    end: float
    detectors: tuple[Detector, ...]
    open: bool
    """The gap still grows. Its end is unknown until changes enter the stream again."""
    command: str

    @property
    def lines(self) -> tuple[str, str]:
        """The gap and the suggestion, as text."""
        why = ", ".join(each.metric for each in self.detectors)
        first = last = ""
        if self.open and TABLE_STREAM in self.detectors:
            last = "; `status` then names the backfill"
        elif self.open:
            first = "enable the streaming destination again, then "
            last = ", which then names the backfill"
        return (
            f"changes from {instant(self.begin)} on may be missing ({why})",
            f"Try: {first}{self.command}{last}",
        )

    @property
    def json(self) -> dict[str, Any]:
        return {
            "from": instant(self.begin),
            "to": instant(self.end),
            "detectors": [each.metric for each in self.detectors],
            "open": self.open,
            "try": self.command,
        }


def find_gap(inputs: StatusInputs) -> Gap | None:
    """Return the gap behind the detectors that fired, if an export of the source can close it.

    It begins at the last moment up to which every change is known to be in the target: a detector
    reports that something was lost, not when. For an outage the watchdog has recorded both ends.
    No export reaches across two tables: a source that was made again has none.
    """
    row, at = inputs.row, inputs.at
    last = inputs.verification.verified if inputs.verification is not None else None
    exported, caught_up = row.record(Exported), row.record(CaughtUp)
    lost = [each for each in inputs.findings if _reports_loss(each)]
    fired = tuple(each.detector for each in lost)
    refused = row.state in BY_SWITCH  # a backfill is, there
    if not fired or caught_up is None or inputs.source_replaced or refused:
        return None
    is_open = any(each.detector in ENTRY and not each.value for each in lost)
    complete = [float(exported.export_time)] if exported else []
    if last is not None:
        complete.append(last.complete_until)
    begins, ends = [], []
    if SKIPPED in fired:
        # The catch-up covers only what was in the stream. A loss counted by then is older.
        skipped = row.record(Skipped)
        known = [skipped.begin] if skipped else []
        begins.append(max([min([caught_up.moment, *known]), *complete]))
        ends.append(at)
    readings = inputs.readings
    if UNDELIVERED in fired:
        # The catch-up says nothing of them: probes come through behind a batch that was given up.
        missing = readings.given_up if readings is not None else None
        begins.append(max([missing.begin, *complete] if missing else complete, default=0.0))
        ends.append(at if missing is None or missing.end is None else missing.end + EXPORT_FUZZ)
    left_out = row.record(GateGap)
    if LEFT_OUT in fired and left_out is not None:
        # The catch-up says nothing of them: the consumer passed them by.
        begins.append(max([left_out.begin, *complete]))
        ends.append(left_out.end + EXPORT_FUZZ)
    off, late = (readings.outage, readings.overrun) if readings is not None else (None, None)
    for detector, outage in ((DESTINATION, off), (TABLE_STREAM, off), (BUFFER, late)):
        if detector in fired:
            # The catch-up says nothing of changes that never entered the stream, or have left it.
            moments = [caught_up.moment if outage is None else outage.begin, *complete]
            begins.append(max(moments))
            end = outage.end if outage is not None and not is_open else None
            ends.append(at if end is None else end + EXPORT_FUZZ)
    # An export's time is fuzzy. A wider period is harmless: an applied change is superseded.
    begin, end = min(begins) - EXPORT_FUZZ, min(max(ends), at)
    times = f"--from {instant(begin)} --to {instant(end)}"
    # While the gap grows, a command with an end would leave out what is lost until it stops.
    command = inputs.command.format(BACKFILL) + f" {times}"
    if begin < at - EXPORTED_SECONDS:
        # Point-in-time recovery no longer reaches back to it.
        command = inputs.command.format(VERIFY) + " --repair"
    if is_open:
        # A run switches a table's own stream on again; a destination is the stack's.
        command = inputs.command.format(RUN if TABLE_STREAM in fired else STATUS)
    return Gap(begin, end, fired, is_open, command)


def _reports_loss(finding: Finding) -> bool:
    if finding.detector is BUFFER and (finding.value or 0) >= 1:
        return True  # the stream has begun to drop changes that wait
    kinds = (*ENTRY, SKIPPED, UNDELIVERED, BUFFER, LEFT_OUT)
    return finding.detector in kinds and finding.level is Level.LOSS
