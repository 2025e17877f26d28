"""Facts that AWS states about both accounts, and requests to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replicator.canonical import digest
from replicator.stream import Destination, Shard


@dataclass(frozen=True)
class StreamRecord:
    """One Kinesis record to put."""

    data: bytes
    partition_key: str

    @property
    def size(self) -> int:
        return len(self.data) + len(self.partition_key.encode())


@dataclass(frozen=True)
class ItemRead:
    """An item (None: absence), and AWS's time of the answer in µs, rounded down to seconds."""

    item: Mapping[str, Any] | None
    at: int

    @property
    def image(self) -> bytes:
        return digest(self.item)


@dataclass(frozen=True)
class ExportSpec:
    """An export that is to be. Moments are whole epoch seconds: the API takes no finer ones.

    `window` None: a full export as of `time`. Otherwise an incremental one of [from, to).
    """

    token: str
    prefix: str
    time: int = 0
    window: tuple[int, int] | None = None


@dataclass(frozen=True)
class Lag:
    """ReplicationLag, as the consumer measured it at each apply, over the newest period with one.

    Seconds. No value at all is no lag: nothing was applied.
    """

    begin: float
    seconds: float
    """The period's length."""
    p50: float
    p99: float


@dataclass(frozen=True)
class Usage:
    """What the metrics of both accounts say. None: it could not be read, or there is none."""

    lag: Lag | None = None
    stream_bytes: float | None = None
    """What the stream took in the last day."""


@dataclass(frozen=True)
class Measure:
    """How far a step is. What is unknown is None, and nothing is extrapolated."""

    items: int | None = None
    size_bytes: int | None = None
    of_items: int | None = None
    of_bytes: int | None = None
    since: float | None = None
    """When it began, by AWS's clock."""
    unit: str = "items"


Json = Mapping[str, Any]


@dataclass(frozen=True)
class TableFacts:
    """What DescribeTable says about a table."""

    arn: str
    table_id: str
    """Changes when a table is deleted and made again under the same name."""
    status: str
    items: int
    """DynamoDB counts every six hours or so: a hint, never a measure."""
    size_bytes: int
    deletion_protection: bool
    keys: Sequence[Json] = ()
    attributes: Sequence[Json] = ()
    global_indexes: Sequence[Json] = ()
    local_indexes: Sequence[str] = ()
    encryption: str | None = None
    """KMS, or None for the key that DynamoDB owns."""
    key_arn: str | None = None
    """The KMS key, where encryption is KMS."""
    billing_mode: str = "PAY_PER_REQUEST"
    read_capacity: int = 0
    write_capacity: int = 0
    """Units a second; 0 on demand."""
    max_reads: int | None = None
    max_writes: int | None = None
    """On-demand maximums; None for none."""
    warm_reads: int = 0
    warm_writes: int = 0
    """Units a second that the table can take at once; 0 if AWS does not say."""
    table_class: str = "STANDARD"
    stream_view: str | None = None
    """StreamViewType of DynamoDB Streams, or None while that is off."""
    replicas: Sequence[str] = ()
    """Regions of a global table's other replicas."""


@dataclass(frozen=True)
class Destinations:
    """All destinations of a table, and when AWS said so by its own clock."""

    all: tuple[Destination, ...]
    at: float

    def to(self, stream_arn: str) -> Destination | None:
        return next((each for each in self.all if each.stream_arn == stream_arn), None)

    def elsewhere(self, stream_arn: str) -> Destination | None:
        """Another stream that the table's changes go to: a table has one destination."""
        busy = ("ENABLING", "ACTIVE", "UPDATING", "DISABLING")
        return next(
            (each for each in self.all if each.stream_arn != stream_arn and each.status in busy),
            None,
        )


@dataclass(frozen=True)
class Backups:
    """Point-in-time recovery of a table. The window is None while it is off."""

    enabled: bool
    earliest: float | None = None
    latest: float | None = None


@dataclass(frozen=True)
class KeyFacts:
    """A customer-managed key, as its account describes it."""

    arn: str
    state: str
    """KeyState: Enabled, Disabled, PendingDeletion and others."""
    policy: str
    """Its key policy, JSON."""
    refused: str = ""
    """AWS's error code, where the key could not be looked at: then nothing else is known."""


@dataclass(frozen=True)
class TtlStatus:
    """Time to live of a table."""

    enabled: bool
    """Also while it is being switched on; not while it is being switched off."""
    attribute: str | None = None


@dataclass(frozen=True)
class Limits:
    """What an account may have in a Region (DescribeLimits), in units a second."""

    table_writes: int
    table_reads: int


@dataclass(frozen=True)
class Surroundings:
    """Settings of a table that other APIs know. None: they could not be read."""

    autoscaling: Sequence[str] | None = None
    """Dimensions that are scaled."""
    insights: bool | None = None
    policy: bool | None = None


@dataclass(frozen=True)
class ExportRequest:
    """A full export, in DynamoDB JSON."""

    table_arn: str
    export_time: int
    """Whole seconds: the API takes no finer ones. Not optional here: without it DynamoDB takes the
    latest restorable time, which may lie before the buffer was active.
    """
    token: str
    bucket: str
    bucket_owner: str
    prefix: str
    key: str = ""
    """The bucket's customer-managed key; empty for S3's own."""


@dataclass(frozen=True)
class ExportFacts:
    """What DescribeExport says."""

    arn: str
    status: str
    """IN_PROGRESS, COMPLETED or FAILED."""
    prefix: str
    export_time: float | None = None
    items: int | None = None
    size_bytes: int | None = None
    started: float | None = None
    ended: float | None = None
    failure: str = ""

    @property
    def export_id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    @property
    def measure(self) -> Measure:
        """How far it is. DynamoDB tells its size only at the end."""
        return Measure(items=self.items, size_bytes=self.size_bytes, since=self.started)


@dataclass(frozen=True)
class ImportRequest:
    """An import of gzipped DynamoDB JSON into a new table."""

    token: str
    bucket: str
    bucket_owner: str
    prefix: str
    table: Json
    """TableCreationParameters."""


@dataclass(frozen=True)
class ImportFacts:
    """What DescribeImport says."""

    arn: str
    status: str
    """IN_PROGRESS, COMPLETED, CANCELLING, CANCELLED or FAILED."""
    prefix: str
    processed_items: int = 0
    imported_items: int = 0
    processed_bytes: int = 0
    errors: int = 0
    started: float | None = None
    ended: float | None = None
    failure_code: str = ""
    failure: str = ""
    log_group: str = ""
    table_id: str = ""
    """Of the table that it made; empty if AWS does not say."""

    @property
    def log_stream(self) -> str:
        """Where refused items are named: `<import id>/error` (developer guide, S3DataImport)."""
        return f"{self.arn.rsplit('/', 1)[-1]}/error"


@dataclass(frozen=True)
class EventSource:
    """The consumer's event source mapping."""

    uuid: str
    state: str
    """Creating, Enabling, Enabled, Disabling, Disabled, Updating or Deleting."""
    stream_arn: str
    starting_position: str
    starts_at: float | None = None
    """The arrival time that AT_TIMESTAMP begins with; None for the other positions."""

    @property
    def running(self) -> bool:
        return self.state in ("Enabled", "Enabling")


@dataclass(frozen=True)
class OpenShards:
    """The shards that records can enter, and when AWS said so by its own clock."""

    shards: tuple[Shard, ...]
    at: float


@dataclass(frozen=True)
class Datapoint:
    """A metric's value in the period that begins at `begin`."""

    begin: float
    value: float


@dataclass(frozen=True)
class LedgerSettings:
    """The settings row of a ledger, as far as the bootstrap owns it. Microseconds."""

    floor: int | None = None
    snapshot: str | None = None
    consume: bool = False
    """The consumer has been switched on: from then on it is a fault if it is off."""
    expire: bool = False
    paused: bool = False
    """The consumer is off on purpose: no detector complains of it."""
    settled: int | None = None
    """By a verification: no change of before this is missing in the target."""
