"""Facts that AWS states about tables, exports, imports and streams, and requests for them.

Moments are epoch seconds unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.core.delivery_settings import UNKNOWN, DeliverySettings
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
    """An export to start. Moments are whole epoch seconds: the API takes no finer ones.

    `window` None: a full export as of `time`. Otherwise an incremental one of [from, to).
    """

    token: str
    prefix: str
    time: int = 0
    window: tuple[int, int] | None = None


@dataclass(frozen=True)
class Lag:
    """ReplicationLag in seconds, which the consumer measures at each apply, over the newest period.

    No value means that nothing was applied, not that there is no lag.
    """

    begin: float
    seconds: float
    """The period's length."""
    p50: float
    p99: float


INCOMING_BYTES = "IncomingBytes"
"""Kinesis's metric of what enters a stream."""


@dataclass(frozen=True)
class Usage:
    """Metrics of both accounts. None: unreadable, or without a value."""

    lag: Lag | None = None
    stream_bytes: float | None = None
    """Bytes that entered the stream in the last day."""
    unread: frozenset[str] = frozenset()
    """Names of the metrics that could not be read: a missing value means nothing then."""


@dataclass(frozen=True)
class ConsumerActivity:
    """The consumer's latest invocations, by CloudWatch. None: unreadable."""

    seconds: float
    """The length of the span that is counted, which ends now."""
    invocations: float | None
    errors: float | None
    """Invocations that failed as a whole."""
    throttles: float | None
    """Invocations that Lambda refused to begin."""
    applied: float | None
    retried: float | None
    """Changes that the consumer took and gave back, because it could not apply them."""


@dataclass(frozen=True)
class Measure:
    """Progress of a step. Unknown is None; nothing is extrapolated."""

    items: int | None = None
    size_bytes: int | None = None
    of_items: int | None = None
    of_bytes: int | None = None
    since: float | None = None
    """The beginning, by AWS's clock."""
    unit: str = "items"
    before_items: int = 0
    """Of `items`, those that were done before `since`: they say nothing of the pace."""
    before_bytes: int = 0


Json = Mapping[str, Any]
ON_DEMAND = "PAY_PER_REQUEST"
"""The billing mode of a table without provisioned units."""


@dataclass(frozen=True)
class TableFacts:
    """DescribeTable's answer."""

    arn: str
    table_id: str
    """Changes when a table is re-created under its name."""
    status: str
    items: int
    """DynamoDB counts about every six hours: a hint, never a measure."""
    size_bytes: int
    deletion_protection: bool
    keys: Sequence[Json] = ()
    attributes: Sequence[Json] = ()
    global_indexes: Sequence[Json] = ()
    local_indexes: Sequence[Json] = ()
    vector_indexes: Sequence[str] = ()
    """Their names. Nothing here makes one: what they need is not documented well enough."""
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
    """Units a second that the table takes at once; 0 if AWS does not say."""
    table_class: str = "STANDARD"
    stream_view: str | None = None
    """StreamViewType of DynamoDB Streams, or None while that is off."""
    created: float = 0
    """Epoch seconds; 0: unknown."""
    replicas: Sequence[str] = ()
    """Regions of a global table's other replicas."""
    global_version: str = ""
    """Version of global tables that it is one of; empty for none, or if AWS does not say."""
    stream_arn: str = ""
    """LatestStreamArn: of its DynamoDB stream, which may be off by now; empty if it never had one.
    """

    @property
    def is_readable(self) -> bool:
        """True where reads of items are answered: not while it is made, deleted or archived."""
        return self.status in ("ACTIVE", "UPDATING")


def index_warm_writes(index: Json) -> int:
    """Return the writes a second that an index takes at once; 0 if AWS does not say."""
    return int(index.get("WarmThroughput", {}).get("WriteUnitsPerSecond", 0))


def index_warm_reads(index: Json) -> int:
    """Return the reads a second that an index takes at once; 0 if AWS does not say."""
    return int(index.get("WarmThroughput", {}).get("ReadUnitsPerSecond", 0))


@dataclass(frozen=True)
class CapacityUnits:
    """Units a second: provisioned ones, or on-demand maximums, where None is none."""

    reads: int | None = None
    writes: int | None = None


@dataclass(frozen=True)
class Capacity:
    """The capacity mode of a table, and the units of the table and of its indexes by name."""

    billing_mode: str
    """PAY_PER_REQUEST or PROVISIONED."""
    table: CapacityUnits = CapacityUnits()
    indexes: Mapping[str, CapacityUnits] = field(default_factory=dict)

    @classmethod
    def of(cls, table: TableFacts) -> Capacity:
        """Return the capacity that a table has."""
        on_demand = table.billing_mode == ON_DEMAND
        own = (
            CapacityUnits(table.max_reads, table.max_writes)
            if on_demand
            else CapacityUnits(table.read_capacity, table.write_capacity)
        )
        indexes = {
            str(each["IndexName"]): _index_units(each, on_demand) for each in table.global_indexes
        }
        return cls(table.billing_mode, own, indexes)


def _index_units(index: Json, on_demand: bool) -> CapacityUnits:
    if on_demand:
        # -1 means no maximum (API reference, OnDemandThroughput).
        found = index.get("OnDemandThroughput", {})
        reads, writes = found.get("MaxReadRequestUnits", -1), found.get("MaxWriteRequestUnits", -1)
        return CapacityUnits(*(int(each) if each >= 0 else None for each in (reads, writes)))
    found = index.get("ProvisionedThroughput", {})
    reads, writes = found.get("ReadCapacityUnits", 0), found.get("WriteCapacityUnits", 0)
    return CapacityUnits(int(reads), int(writes))


@dataclass(frozen=True)
class Destinations:
    """All destinations of a table, at a moment of AWS's clock."""

    all: tuple[Destination, ...]
    at: float

    def to(self, stream_arn: str) -> Destination | None:
        return next((each for each in self.all if each.stream_arn == stream_arn), None)

    def elsewhere(self, stream_arn: str) -> Destination | None:
        """Return another stream that receives the changes: a table has one destination."""
        return next(
            (each for each in self.all if each.stream_arn != stream_arn and not each.is_off), None
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
    """KeyState: Enabled, Disabled, PendingDeletion or another."""
    policy: str | None
    """Its key policy, JSON. None: it may not be read, so nothing that it allows is known."""
    refused: str = ""
    """AWS's error code, if the key could not be described: then nothing else is known."""


@dataclass(frozen=True)
class TtlStatus:
    """Time to live of a table."""

    enabled: bool
    """True while it is being switched on; False while it is being switched off."""
    attribute: str | None = None


@dataclass(frozen=True)
class Limits:
    """An account's limits in a Region (DescribeLimits), in units a second."""

    table_writes: int
    table_reads: int


@dataclass(frozen=True)
class Surroundings:
    """Settings of a table that other APIs hold. None: unreadable."""

    autoscaling: Sequence[str] | None = None
    """Dimensions that are scaled."""
    insights: bool | None = None
    policy: bool | None = None


@dataclass(frozen=True)
class ScaledCapacity:
    """A dimension of a table or an index that Application Auto Scaling sets, and its limits."""

    resource: str
    """table/NAME, or table/NAME/index/NAME."""
    dimension: str
    least: int
    most: int


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
    """DescribeExport's answer."""

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
    bucket: str = ""
    """S3Bucket; empty if the answer has none."""

    @property
    def over(self) -> bool:
        """True in the final states. A state that this version does not know is none."""
        return self.status in ("COMPLETED", "FAILED")

    @property
    def export_id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    @property
    def measure(self) -> Measure:
        """Measure its progress. DynamoDB states the size only at the end."""
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
    """DescribeImport's answer."""

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
    """The id of the table that it made; empty if AWS does not say."""

    @property
    def over(self) -> bool:
        """True in the final states. A state that this version does not know is none."""
        return self.status in ("COMPLETED", "FAILED", "CANCELLED")

    @property
    def log_stream(self) -> str:
        """The log stream of refused items: `<import id>/error` (developer guide, S3DataImport)."""
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
    """The arrival time at which AT_TIMESTAMP begins; None for the other positions."""
    result: str = ""
    """LastProcessingResult: Lambda's own report of its latest batch."""
    reason: str = ""
    """StateTransitionReason: who made the last change of state, or why Lambda did."""
    modified: float | None = None
    """LastModified: when it was last changed, or changed its state; None if AWS does not say."""
    delivery: DeliverySettings = UNKNOWN

    @property
    def running(self) -> bool:
        return self.state in ("Enabled", "Enabling")


@dataclass(frozen=True)
class OpenShards:
    """The shards that records can enter, at a moment of AWS's clock."""

    shards: tuple[Shard, ...]
    at: float


@dataclass(frozen=True)
class Datapoint:
    """A metric's value in the period that begins at `begin`."""

    begin: float
    value: float


@dataclass(frozen=True)
class ProbeEcho:
    """The consumer's row of one probe, and the lane that wrote it.

    `at`: when it was written (µs). `armed`, `closed`: the nonces that its invocation ran under.
    """

    at: int
    protocol: int = 0
    """What the consumer's code can do for a switch (`replicator.probes.PROTOCOL`); 0: nothing."""
    armed: str | None = None
    closed: str | None = None


@dataclass(frozen=True)
class PolicyRevision:
    """A table's resource policy. `document`: its JSON text, None where the table has none."""

    document: str | None
    revision: str
    """The same for the same content, and known without a policy too."""
