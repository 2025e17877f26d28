"""The loss detectors (C7): each a way to lose changes, with its gauge, meaning and first action.

The alarms on the watchdog's gauges and the generated documents take their texts from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from replicator import names


class Level(StrEnum):
    FINE = "fine"
    WARNING = "warning"
    """Nothing is lost yet."""
    LOSS = "loss"
    """Changes are lost, or will be before anybody notices otherwise."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Detector:
    """One way to lose changes. `metric` is the gauge that an alarm stands on."""

    metric: str
    level: Level
    """What it is when it strikes."""
    means: str
    first: str
    """What to do first."""


MAPPING = Detector(
    names.MAPPING_AS_INTENDED,
    Level.WARNING,
    "The consumer's event source mapping is off or gone although nobody paused it: changes wait in "
    "the stream, and are lost once it forgets them.",
    "`bootstrap status`; if the mapping is there, `bootstrap run` switches it on again.",
)
DESTINATION = Detector(
    names.DESTINATION_ACTIVE,
    Level.LOSS,
    "The source table's changes no longer go to this stack's stream: each one made meanwhile is "
    "lost to the replica.",
    "see who disabled or redirected it (CloudTrail: DisableKinesisStreamingDestination), enable it "
    "again, then run the backfill that `bootstrap status` names: what was lost does not come back "
    "by itself. status goes on telling of it until verify --repair has mended all keys.",
)
PRECISION = Detector(
    names.DESTINATION_PRECISE,
    Level.WARNING,
    "Change records no longer carry microseconds: many changes of one key get the same timestamp, "
    "and end in quarantine (ambiguous-order).",
    "set the destination's ApproximateCreationDateTimePrecision back to MICROSECOND.",
)
FOREIGN = Detector(
    names.FOREIGN_RECORDS,
    Level.LOSS,
    "Another table's changes are in this stream: its streaming destination is this table's stream. "
    "The consumer ignores them. They take the stream's capacity from this table's own changes.",
    "take the stream off the other table: `bootstrap status` names the table and the whole "
    "command.",
)
STREAM = Detector(
    names.STREAM_HEALTHY,
    Level.WARNING,
    "The stream is gone or not active, keeps changes for less long or takes smaller records than "
    "the stack says, or deals records out by itself, so that probes prove nothing.",
    "pulumi up --refresh, which puts its settings back; if its retention was lower for a while, "
    "verify the tables.",
)
SOURCE = Detector(
    names.SOURCE_TABLE_CHANGED,
    Level.LOSS,
    "The source table was deleted, or made again under its name: the replica is of another table.",
    "stop what reads the replica, and find out who did it; a new source needs a new stack and a "
    "new snapshot.",
)
TARGET = Detector(
    names.TARGET_TABLE_CHANGED,
    Level.LOSS,
    "The target table was deleted, or made again under its name: what was applied before is gone.",
    "`bootstrap pause`, then take a new snapshot with a new stack.",
)
QUARANTINE = Detector(
    names.QUARANTINE_OBJECTS,
    Level.LOSS,
    "Records lie in quarantine: their changes are not in the target.",
    "`bootstrap quarantine list`, then show, and redrive or discard each.",
)
FAILURES = Detector(
    names.ON_FAILURE_OBJECTS,
    Level.LOSS,
    "Lambda gave up on whole batches (too large for it) and put them into the on-failure bucket: "
    "their changes are not in the target.",
    "`bootstrap quarantine list`, then redrive --direct.",
)
SKIPPED = Detector(
    names.RECORDS_NEVER_REPLICATED,
    Level.LOSS,
    "DynamoDB gave up on change records since the snapshot (FailedToReplicateRecordCount: larger "
    "than the stream takes, or refused): the replica lacks them, and they do not come again.",
    "run the backfill that `bootstrap status` names, or verify --repair; the gauge counts until a "
    "verification of all keys has left nothing to mend.",
)
BUFFER = Detector(
    names.BUFFER_USED,
    Level.WARNING,
    "Changes have waited for a good part of the stream's retention; at all of it they are lost.",
    "`bootstrap status`: resume the consumer if it is paused, else see why it is behind (its log, "
    "errors, throttles).",
)
PROBES = Detector(
    names.PROBE_AGE,
    Level.WARNING,
    "No round of probes has come through for a while: the consumer is behind or stuck, in at least "
    "one lane.",
    "see the consumer's log; a batch of one record that fails again and again names what to park.",
)
UNREPLICATED = Detector(
    names.UNREPLICATED_AGE,
    Level.WARNING,
    "DynamoDB does not get its changes into the stream. After 168 hours it gives up for good.",
    "see the stream's write throttles and its key; then AWS Support.",
)

ALL = (
    DESTINATION,
    SOURCE,
    SKIPPED,
    QUARANTINE,
    FAILURES,
    TARGET,
    FOREIGN,
    STREAM,
    PRECISION,
    MAPPING,
    BUFFER,
    PROBES,
    UNREPLICATED,
)
