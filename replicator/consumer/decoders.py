"""The decoder of each buffer's records."""

from __future__ import annotations

from typing import Any

from replicator.buffers import KINESIS, STREAMS
from replicator.consumer import kinesis_records, stream_records
from replicator.consumer.decode import Decoder

DECODERS: dict[str, Decoder] = {KINESIS: kinesis_records, STREAMS: stream_records}


def buffer_of(event: Any) -> str:
    """Return the buffer that an event of Lambda came from, by its first record."""
    try:
        return STREAMS if event["Records"][0]["eventSource"] == "aws:dynamodb" else KINESIS
    except (KeyError, TypeError, IndexError):
        return KINESIS
