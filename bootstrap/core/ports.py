"""What the bootstrap asks of the two accounts, and what it sees there.

The protocols are all that steps know of AWS. Moments are epoch seconds unless a name says
otherwise. Every method may raise `AccessDeniedError`, `UnavailableError` and `AccountError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from replicator.watchdog.probe_rounds import WatchdogState

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
class Destination:
    """A stream that a table's changes go to, or went to."""

    stream_arn: str
    status: str
    """ENABLING, ACTIVE, UPDATING, DISABLING, DISABLED or ENABLE_FAILED."""
    precision: str | None
    detail: str = ""


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
class StreamFacts:
    """What DescribeStreamSummary says."""

    retention_hours: int
    distribution: str = "USER_PARTITION_KEY"
    """AUTO ignores partition keys and explicit hash keys; AWS says so of on-demand streams only."""
    record_kib: int = 10_240
    """The largest record that it takes."""
    status: str = "ACTIVE"
    created: float = 0


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
class Shard:
    """An open shard and the first hash key that leads to it."""

    shard_id: str
    first_hash_key: str


@dataclass(frozen=True)
class OpenShards:
    """The shards that records can enter, and when AWS said so by its own clock."""

    shards: tuple[Shard, ...]
    at: float


@dataclass(frozen=True)
class ProbeRecord:
    """A record for the stream. `partition_key` chooses the lane within a shard."""

    hash_key: str
    partition_key: str
    data: bytes


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


class SourceAccount(Protocol):
    """The source account. Nothing here reads or writes an item (C5)."""

    def table(self, name: str) -> TableFacts | None: ...

    def destinations(self, table: str) -> Destinations: ...

    def stream(self, stream_name: str) -> StreamFacts: ...

    def backups(self, table: str) -> Backups: ...

    def enable_backups(self, table: str) -> None: ...

    def disable_backups(self, table: str) -> None: ...

    def tags(self, table_arn: str) -> Mapping[str, str]: ...

    def expiry(self, table: str) -> TtlStatus: ...

    def surroundings(self, table: str, table_arn: str) -> Surroundings: ...

    def key(self, arn: str) -> KeyFacts: ...

    def awss_own_key(self, arn: str) -> bool | None:
        """Whether it is the key that AWS manages for DynamoDB; None if it cannot be told."""

    def running_exports(self) -> int:
        """Exports under way in the account and Region."""

    def export(self, request: ExportRequest) -> ExportFacts | None:
        """Starts an export, or finds the one of this token. None: the time is not accepted yet."""

    def describe_export(self, arn: str) -> ExportFacts | None: ...

    def find_export(self, table_arn: str, prefix: str) -> ExportFacts | None:
        """The export under this very prefix."""

    def open_shards(self, stream_name: str) -> OpenShards: ...

    def put_probes(self, stream_name: str, records: Sequence[ProbeRecord]) -> Sequence[ProbeRecord]:
        """Puts up to 500 records; returns those that Kinesis did not take."""

    def oldest_unreplicated(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        """AgeOfOldestUnreplicatedRecord, maximum, in ms, for periods that begin in the span."""

    def consumed_writes(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        """ConsumedWriteCapacityUnits, sum, for periods that begin in the span."""

    def throttled_partitions(self, table: str, since: float, until: float, period: int) -> int:
        """WriteKeyRangeThroughputThrottleEvents, sum over periods that begin in the span."""

    def failed_to_replicate(self, table: str, since: float, until: float, period: int) -> int:
        """FailedToReplicateRecordCount, sum over periods that begin in the span."""


class TargetAccount(Protocol):
    """The target account: control plane."""

    def table(self, name: str) -> TableFacts | None: ...

    def import_table(self, request: ImportRequest) -> ImportFacts: ...

    def describe_import(self, arn: str) -> ImportFacts | None: ...

    def find_import(self, table_arn: str, prefix: str) -> ImportFacts | None:
        """The newest import of this very prefix into this table."""

    def protect(self, table: str) -> None:
        """Deletion protection on."""

    def unprotect(self, table: str) -> None:
        """Deletion protection off."""

    def set_class(self, table: str, table_class: str) -> None: ...

    def warm(self, table: str, reads: int, writes: int) -> None:
        """Raises the warm throughput (units a second). AWS never lowers it."""

    def limits(self) -> Limits: ...

    def key(self, arn: str) -> KeyFacts: ...

    def running_imports(self) -> int:
        """Imports under way in the account and Region."""

    def concurrency(self) -> int | None:
        """Invocations at once that the account has for functions without a share of their own."""

    def tags(self, table_arn: str) -> Mapping[str, str]: ...

    def tag(self, table_arn: str, tags: Mapping[str, str]) -> None: ...

    def expiry(self, table: str) -> TtlStatus: ...

    def set_expiry(self, table: str, attribute: str, on: bool) -> None:
        """Time to live on or off. AWS takes one such change of a table in an hour."""

    def drop(self, table: str) -> None:
        """Deletes a table."""

    def backups(self, table: str) -> Backups: ...

    def enable_backups(self, table: str) -> None: ...

    def mapping(self, uuid: str) -> EventSource | None: ...

    def enable_mapping(self, uuid: str) -> None: ...

    def disable_mapping(self, uuid: str) -> None: ...


class Ledger(Protocol):
    """The ledger table, as far as the bootstrap reads and writes it."""

    def settings(self) -> LedgerSettings: ...

    def store_floor(self, floor: int, snapshot: str) -> LedgerSettings:
        """Stores the floor unless a lower one stands; returns what stands then. Never raises it."""

    def start_expiry(self) -> None:
        """Entries carry an expiry from now on."""

    def expect_consumer(self) -> None:
        """Says in the settings row that the consumer has been switched on."""

    def set_paused(self, paused: bool) -> None:
        """Says in the settings row whether the consumer is off on purpose."""

    def settle(self, until: int) -> None:
        """Says in the settings row that no change of before this moment (µs) is missing."""

    def book(self) -> WatchdogState:
        """What the watchdog remembers. Raises AccountError for a row that is none of its."""

    def forget_target(self) -> None:
        """Has the watchdog take the target table that it sees next for the first one."""

    def probes_through(self, probe: str, count: int) -> int:
        """How many of the probe's `count` records have left their row."""


class Snapshots(Protocol):
    """The snapshot bucket, as far as the bootstrap itself has business there."""

    def remove(self, prefix: str) -> int:
        """Deletes up to 1,000 objects under a prefix; returns how many it found."""
