"""Parked records: those that the consumer quarantines whole, without reading them."""

from __future__ import annotations

import re

from bootstrap.core.errors import UsageError

TAKES_EFFECT = "The consumer goes by it within 30 seconds: it reads its settings no more often."


def format_park(shard: str, sequence: str) -> str:
    """`shard:sequence number`, as the settings row has it.

    Raises:
        UsageError: for what Kinesis would never call a shard or a record. A park that names no
            record does nothing, and says nothing either.
    """
    if not re.fullmatch(r"shardId-\d{12}", shard):
        raise UsageError(
            f"{shard!r} is no shard: Kinesis calls them shardId- and twelve digits.",
            fix="take shardId and sequenceNumber from the log line `A batch of one record`",
        )
    # API reference, GetShardIterator: StartingSequenceNumber.
    if not re.fullmatch(r"0|[1-9]\d{0,128}", sequence):
        raise UsageError(
            f"{sequence!r} is no sequence number: Kinesis makes them of digits alone.",
            fix="take shardId and sequenceNumber from the log line `A batch of one record`",
        )
    return f"{shard}:{sequence}"
