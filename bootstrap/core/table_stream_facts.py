"""Facts that AWS states about a table's own stream, and the request for a mapping of it.

Moments are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

VIEW = "NEW_AND_OLD_IMAGES"
"""The view type whose records hold both images of an item, which the consumer needs."""
KEPT_HOURS = 24
"""How long a table's stream keeps a record (developer guide, Streams.html)."""


def label_of(stream_arn: str) -> str:
    """Return a stream's label, the last part of its ARN."""
    return stream_arn.rpartition("/")[2]


@dataclass(frozen=True)
class StreamShard:
    """A shard of a table's stream."""

    shard_id: str
    parent: str = ""
    """Empty: it has none, or one that the stream has forgotten."""
    closed: bool = False
    """True: no record enters it any more."""


@dataclass(frozen=True)
class TableStreamFacts:
    """DescribeStream's answer, all pages of it."""

    arn: str
    status: str
    """ENABLING, ENABLED, DISABLING or DISABLED."""
    view: str
    shards: Sequence[StreamShard]
    at: float
    """The moment of the answer's first page by AWS's clock, in whole seconds."""

    @property
    def label(self) -> str:
        return label_of(self.arn)


@dataclass(frozen=True)
class RecordPlace:
    """A record's place in its stream. Nothing of the item is kept."""

    number: str
    """Its sequence number: 21 to 40 digits."""
    created: int
    """ApproximateCreationDateTime: "rounded down to the closest second" (API reference)."""
    expired: bool = False
    """True: the table's time to live deleted the item."""


@dataclass(frozen=True)
class StreamPage:
    """The records that one call read, in their order."""

    places: Sequence[RecordPlace]
    following: str | None
    """The iterator of the next page; None: the shard is closed and has no more records."""


@dataclass(frozen=True)
class MappingRequest:
    """An event source mapping of a table's stream, which is born disabled."""

    stream_arn: str
    function_arn: str
    batch_size: int
    batch_window: int
    """Seconds."""
    on_failure_arn: str
    """The bucket for events that Lambda could not deliver."""
