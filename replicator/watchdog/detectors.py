"""The loss detectors (C7): each a way to lose changes, with its gauge, meaning and first action.

The alarms on the watchdog's gauges and the generated documents take their texts from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from replicator import names
from replicator.buffers import KINESIS, STREAMS


class Level(StrEnum):
    FINE = "fine"
    WARNING = "warning"
    """Nothing is lost yet."""
    LOSS = "loss"
    """Changes are lost, or will be before anything else reports it."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Detector:
    """One way to lose changes. `metric` is the gauge that its alarm watches."""

    metric: str
    level: Level
    """The level of its findings."""
    means: str
    first: str
    """The first action, as commands where there are any."""


MAPPING = Detector(
    names.MAPPING_AS_INTENDED,
    Level.WARNING,
    "The consumer's event source mapping is off or deleted, and not by bootstrap pause: changes "
    "wait in the stream, and are lost once they are older than its retention. Or its settings let "
    "Lambda give changes up.",
    "`bootstrap status`; if the mapping is there, `bootstrap run` switches it on again.",
)
FUNCTION = Detector(
    names.FUNCTION_HEALTHY,
    Level.WARNING,
    "Lambda itself reports that it cannot run the consumer: the function's state or last update, "
    "or what the event source mapping says of its calls (in two rounds in a row). Changes wait in "
    "the stream, and are lost once they are older than its retention.",
    "if it names a permission or a concurrency of 0: pulumi up --refresh restores both; if calls "
    "of the function fail: its log says why.",
)
DESTINATION = Detector(
    names.DESTINATION_ACTIVE,
    Level.LOSS,
    "The source table's changes no longer go to this stack's stream. The replica loses every "
    "change made meanwhile.",
    "if `bootstrap status` says that the source table is another one, follow its advice. Else find "
    "who disabled or redirected it (CloudTrail: DisableKinesisStreamingDestination), enable "
    "it again, then run the backfill that `bootstrap status` names: lost changes are not "
    "delivered again. status reports the loss until verify --repair has repaired all keys.",
)
PRECISION = Detector(
    names.DESTINATION_PRECISE,
    Level.WARNING,
    "Change records no longer carry microseconds. Many changes of one key get the same "
    "timestamp, and some end in quarantine (ambiguous-order).",
    "set the destination's ApproximateCreationDateTimePrecision back to MICROSECOND.",
)
FOREIGN = Detector(
    names.FOREIGN_RECORDS,
    Level.LOSS,
    "Another table's changes are in this stream: its streaming destination is this table's "
    "stream. The consumer ignores them. They take the stream's capacity from this table's own "
    "changes.",
    "take the stream off the other table: `bootstrap status` names the table and the whole "
    "command.",
)
STREAM = Detector(
    names.STREAM_HEALTHY,
    Level.WARNING,
    "The stream is deleted or not active; or its retention or record size is below the stack's; "
    "or it distributes records by itself, so that probes prove nothing.",
    "pulumi up --refresh, which restores its settings (an adopted stream's owner restores them); "
    "if its retention was lower for a while, verify the tables.",
)
SOURCE = Detector(
    names.SOURCE_TABLE_CHANGED,
    Level.LOSS,
    "The source table was deleted, or created again under its name: the replica is of another "
    "table. Or AWS says that it cannot be used: its KMS key is out of reach (after seven days of "
    "that DynamoDB archives it), or another state that is not ACTIVE.",
    "`bootstrap pause`, and stop the readers of the replica. If the new table holds the same data "
    "(restored from a backup): pulumi up --refresh, which gives it its stream (if the destination "
    "is another owner's, they enable it), "
    "`bootstrap resume --adopt-source`, `bootstrap verify --repair` until it ends with no "
    "difference, and `bootstrap run --adopt-source`. Any other table needs a new stack and a new "
    "snapshot.",
)
ANOTHER_STREAMED_SOURCE = (
    "`bootstrap pause`, and stop the readers of the replica: the consumer has read the stream of "
    "the table that is gone. Another table needs a new stack and a new snapshot."
)
"""The first action about a source table in the place of one whose own stream was the buffer."""
TARGET = Detector(
    names.TARGET_TABLE_CHANGED,
    Level.LOSS,
    "The target table was deleted, or created again under its name: all changes applied before "
    "are gone. Or AWS says that it cannot be used: its KMS key is out of reach (after seven days "
    "of that DynamoDB archives it), or another state that is not ACTIVE.",
    "`bootstrap pause`, then take a new snapshot with a new stack.",
)
QUARANTINE = Detector(
    names.QUARANTINE_OBJECTS,
    Level.LOSS,
    "Records are in quarantine: their changes are not in the target.",
    "`bootstrap quarantine list`, then show, and redrive or discard each.",
)
FAILURES = Detector(
    names.ON_FAILURE_OBJECTS,
    Level.LOSS,
    "Lambda could not deliver whole batches (too large) and stored them in the on-failure "
    "bucket: their changes are not in the target.",
    "`bootstrap quarantine list`, then redrive --direct.",
)
UNDELIVERED = Detector(
    names.DELIVERIES_FAILED,
    Level.LOSS,
    "Lambda gave batches up and could not put them into the on-failure bucket either "
    "(DestinationDeliveryFailures: the consumer's role lacks a right, or the bucket is gone or "
    "refuses). Their changes are in no bucket, and the replica lacks them.",
    "find out why the bucket refuses (pulumi up --refresh restores role and bucket); then run the "
    "backfill that `bootstrap status` names, or verify --repair; the gauge counts them until a "
    "verification of all keys has left nothing to repair.",
)
SKIPPED = Detector(
    names.RECORDS_NEVER_REPLICATED,
    Level.LOSS,
    "DynamoDB gave up on change records since the snapshot (FailedToReplicateRecordCount: larger "
    "than the stream takes, or refused). The replica lacks them, and DynamoDB never sends them "
    "again.",
    "run the backfill that `bootstrap status` names, or verify --repair; the gauge counts them "
    "until a verification of all keys has left nothing to repair.",
)
BUFFER = Detector(
    names.BUFFER_USED,
    Level.WARNING,
    "Changes have waited for a large part of the stream's retention; after all of it they are "
    "lost.",
    "`bootstrap status`: resume the consumer if it is paused; else find why it is behind (its "
    "log, errors, throttles).",
)
PROBES = Detector(
    names.PROBE_AGE,
    Level.WARNING,
    "No round of probes has been processed for a while. The consumer is behind or stuck on at "
    "least one shard.",
    "check the consumer's log; if it reports 'A batch of one record' repeatedly, park that "
    "record: `bootstrap park SHARD SEQUENCE`.",
)
HEARTBEAT = Detector(
    names.WATCHDOG_RAN,
    Level.UNKNOWN,
    "The watchdog has recorded no round for a while: its schedule is off, or its function fails. "
    "Lost changes and a stalled consumer would go unnoticed.",
    "pulumi up --refresh switches its schedule on again; if that changes nothing, its function "
    "fails, and its log says why.",
)
UNREPLICATED = Detector(
    names.UNREPLICATED_AGE,
    Level.WARNING,
    "DynamoDB cannot put its changes into the stream. After 168 hours it gives up for good.",
    "check the stream's write throttles and its key; then ask AWS Support.",
)
TABLE_STREAM = Detector(
    names.TABLE_STREAM_OURS,
    Level.LOSS,
    "The source table's own stream is off, or is another one: it was switched off, and perhaps on "
    "again. The replica loses every change made meanwhile, and the consumer reads nothing new.",
    "find who switched it off (CloudTrail: UpdateTable), then `bootstrap run`, which switches it "
    "on and has the consumer read the new stream; then run the backfill that `bootstrap status` "
    "names: lost changes are not delivered again. status reports the loss until verify --repair "
    "has repaired all keys.",
)
UNREAD = Detector(
    names.UNREAD_AGE,
    Level.WARNING,
    "Changes wait in the table's stream, which forgets them after 24 hours: the consumer is off, "
    "behind or stuck on at least one shard.",
    "`bootstrap status`, which says until when it keeps them: resume the consumer if it is paused. "
    "If it is behind, its log, errors and throttles say why; if the log reports 'A batch of one "
    "record' repeatedly, park that record: `bootstrap park SEQUENCE`.",
)
SOURCE_WRITTEN = Detector(
    names.SOURCE_WRITTEN,
    Level.LOSS,
    "The old source was written to after the target had become the primary, or this tool's Deny is "
    "gone from its policy. The target lacks what was written there.",
    "find the writer (CloudTrail's data events name it), and move it to the target. Compare what "
    "it wrote by hand: nothing of the old source is applied to the primary.",
)
SWITCH_UNFINISHED = Detector(
    names.SWITCH_UNFINISHED,
    Level.WARNING,
    "A switch was begun and has neither been committed nor cancelled for a long time: its process "
    "may have died. Both tables may refuse writers.",
    "`bootstrap status`, which says what is closed, and which command opens it.",
)

ALL = (
    SOURCE_WRITTEN,
    SWITCH_UNFINISHED,
    DESTINATION,
    TABLE_STREAM,
    SOURCE,
    SKIPPED,
    UNDELIVERED,
    QUARANTINE,
    FAILURES,
    TARGET,
    FOREIGN,
    STREAM,
    PRECISION,
    MAPPING,
    FUNCTION,
    BUFFER,
    PROBES,
    UNREAD,
    HEARTBEAT,
    UNREPLICATED,
)

_OF_ONE_BUFFER = {
    **dict.fromkeys(
        (DESTINATION, SKIPPED, FOREIGN, STREAM, PRECISION, PROBES, UNREPLICATED), KINESIS
    ),
    **dict.fromkeys((TABLE_STREAM, UNREAD), STREAMS),
}


def of_buffer(buffer: str) -> tuple[Detector, ...]:
    """Return the detectors of a table with this buffer, in the order of `ALL`."""
    return tuple(each for each in ALL if _OF_ONE_BUFFER.get(each, buffer) == buffer)
