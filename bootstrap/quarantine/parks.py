"""Parks: records that the consumer quarantines whole, without decoding them."""

from __future__ import annotations

import re

from bootstrap.core.errors import UsageError

TAKES_EFFECT = "It takes effect within 30 seconds, when the consumer next reads its settings."


def format_park_by_number(sequence: str) -> str:
    """Format a record of a table's own stream, whose events name no shard.

    Raises:
        UsageError: a DynamoDB stream has no such sequence numbers.
    """
    # API reference, streams_StreamRecord: SequenceNumber, 21 to 40 digits.
    if not re.fullmatch(r"[0-9]{21,40}", sequence):
        raise UsageError(
            f"{sequence!r} is no sequence number of a table's stream: those have 21 to 40 digits.",
            fix="take sequenceNumber from the log line `A batch of one record`",
        )
    return sequence


def format_park(shard: str, sequence: str) -> str:
    """Format `shard:sequence number` as in the settings row.

    Raises:
        UsageError: Kinesis has no such shard or sequence numbers. A park that matches no record
            would have no effect, without any message.
    """
    if not re.fullmatch(r"shardId-[0-9]{12}", shard):
        raise UsageError(
            f"{shard!r} is no shard id: those are shardId- and twelve digits.",
            fix="take shardId and sequenceNumber from the log line `A batch of one record`",
        )
    # API reference, GetShardIterator: StartingSequenceNumber.
    if not re.fullmatch(r"0|[1-9][0-9]{0,128}", sequence):
        raise UsageError(
            f"{sequence!r} is no sequence number: those are digits only.",
            fix="take shardId and sequenceNumber from the log line `A batch of one record`",
        )
    return f"{shard}:{sequence}"
