"""Protocols of the services that the rooms call; `bootstrap.aws` implements them.

Moments are epoch seconds unless a name says otherwise. Every method may raise `AccessDeniedError`,
`UnavailableError` or `AccountError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from bootstrap.core.bulk_facts import BulkFacts, BulkFailures, BulkRequest
from bootstrap.core.errors import Side
from bootstrap.core.facts import (
    Backups,
    Capacity,
    Datapoint,
    Destinations,
    EventSource,
    ExportFacts,
    ExportRequest,
    ExportSpec,
    ImportFacts,
    ImportRequest,
    ItemRead,
    KeyFacts,
    Limits,
    OpenShards,
    PolicyRevision,
    ProbeEcho,
    ScaledCapacity,
    StreamRecord,
    Surroundings,
    TableFacts,
    TtlStatus,
)
from bootstrap.core.ledger_settings import LedgerSettings
from replicator.lane_rows import LaneRow
from replicator.late_write_rows import LateWritesRow
from replicator.probes import ProbeRecord
from replicator.stream import StreamFacts
from replicator.watchdog.probe_rounds import WatchdogState


class SourceAccount(Protocol):
    """The source account: control plane and metrics. No method reads or writes an item (C5)."""

    def table(self, name: str) -> TableFacts | None:
        """Describe a table; None if it does not exist."""

    def destinations(self, table: str) -> Destinations:
        """List the streams that a table's changes go to, or went to."""

    def stream(self, stream_name: str) -> StreamFacts:
        """Describe a stream."""

    def stream_policy(self, stream_arn: str) -> str | None:
        """Read a stream's resource policy; None if it has none."""

    def backups(self, table: str) -> Backups:
        """Describe a table's point-in-time recovery."""

    def enable_backups(self, table: str) -> None:
        """Switch point-in-time recovery on."""

    def disable_backups(self, table: str) -> None:
        """Switch point-in-time recovery off."""

    def tags(self, table_arn: str) -> Mapping[str, str]:
        """List a table's tags, without those that AWS sets."""

    def expiry(self, table: str) -> TtlStatus:
        """Describe a table's time to live."""

    def surroundings(self, table: str, table_arn: str) -> Surroundings:
        """Read the settings of a table that other APIs hold."""

    def policy(self, table_arn: str) -> PolicyRevision:
        """Read a table's resource policy."""

    def scaled_capacity(
        self, table: str, indexes: Sequence[str]
    ) -> Sequence[ScaledCapacity] | None:
        """List what scales a table and its indexes; None if that is unreadable."""

    def key(self, arn: str) -> KeyFacts:
        """Describe a KMS key."""

    def awss_own_key(self, arn: str) -> bool | None:
        """Tell whether AWS manages this key for DynamoDB; None if that is unknown."""

    def running_exports(self) -> int | None:
        """Count the exports in progress in the account and Region; None: unknown."""

    def export(self, request: ExportRequest) -> ExportFacts | None:
        """Start an export, or find the one with this token.

        None: DynamoDB does not accept the export time yet.
        """

    def describe_export(self, arn: str) -> ExportFacts | None:
        """Describe an export; None if it does not exist."""

    def find_export(
        self, table_arn: str, prefix: str, begun: tuple[float, float] | None = None
    ) -> ExportFacts | None:
        """Find the export with exactly this prefix.

        `begun`: the earliest and the latest moment at which it may have begun; None: any.
        """

    def open_shards(self, stream_name: str) -> OpenShards:
        """List the shards that records can enter."""

    def put_probes(self, stream_name: str, records: Sequence[ProbeRecord]) -> Sequence[ProbeRecord]:
        """Put up to 500 records; return those that Kinesis refused, or put into another shard."""

    def oldest_unreplicated(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        """Read AgeOfOldestUnreplicatedRecord (maximum, ms), for periods that begin in the span."""

    def consumed_writes(
        self, table: str, since: float, until: float, period: int, index: str = ""
    ) -> Sequence[Datapoint]:
        """Read ConsumedWriteCapacityUnits (sum), for periods that begin in the span.

        Of the table without its indexes, or of one global secondary index.
        """

    def expired_items(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        """Read TimeToLiveDeletedItemCount (sum), for periods that begin in the span."""

    def throttled_partitions(self, table: str, since: float, until: float, period: int) -> int:
        """Sum WriteKeyRangeThroughputThrottleEvents over the periods that begin in the span."""

    def failed_to_replicate(self, table: str, since: float, until: float, period: int) -> int:
        """Sum FailedToReplicateRecordCount over the periods that begin in the span."""


class TargetAccount(Protocol):
    """The target account: control plane."""

    def table(self, name: str) -> TableFacts | None:
        """Describe a table; None if it does not exist."""

    def destinations(self, table: str) -> Destinations:
        """List the streams that a table's changes go to, or went to."""

    def create_table(self, parameters: Mapping[str, Any]) -> TableFacts:
        """Make a table by CreateTable's parameters; return it, CREATING.

        A table of that name: `AccountError` with the code ResourceInUseException.
        """

    def import_table(self, request: ImportRequest) -> ImportFacts:
        """Start an import, or find the one with this token."""

    def describe_import(self, arn: str) -> ImportFacts | None:
        """Describe an import; None if it does not exist."""

    def find_import(self, table_arn: str, prefix: str) -> ImportFacts | None:
        """Find the newest import of exactly this prefix into this table."""

    def protect(self, table: str) -> None:
        """Switch deletion protection on."""

    def unprotect(self, table: str) -> None:
        """Switch deletion protection off."""

    def set_class(self, table: str, table_class: str) -> None:
        """Set the table class."""

    def set_stream(self, table: str, view: str) -> None:
        """Switch the table's DynamoDB stream on, with this view type."""

    def warm(self, table: str, reads: int, writes: int) -> None:
        """Raise the warm throughput (units a second). AWS never lowers it."""

    def warm_indexes(self, table: str, units: Mapping[str, tuple[int, int]]) -> None:
        """Raise the warm throughput of indexes: reads and writes a second by name."""

    def set_capacity(self, table: str, capacity: Capacity) -> None:
        """Set the capacity mode, and the units or maximums of the table and of its indexes.

        One call, with what differs; none, where nothing does.
        """

    def limits(self) -> Limits:
        """Read the account's limits for tables."""

    def key(self, arn: str) -> KeyFacts:
        """Describe a KMS key."""

    def running_imports(self) -> int | None:
        """Count the imports in progress in the account and Region; None: unknown."""

    def concurrency(self) -> int | None:
        """Read the account's concurrency for functions that reserve none; None if unknown."""

    def consumed_writes(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        """Read ConsumedWriteCapacityUnits (sum), for periods that begin in the span."""

    def tags(self, table_arn: str) -> Mapping[str, str]:
        """List a table's tags, without those that AWS sets."""

    def tag(self, table_arn: str, tags: Mapping[str, str]) -> None:
        """Add tags to a table."""

    def expiry(self, table: str) -> TtlStatus:
        """Describe a table's time to live."""

    def set_expiry(self, table: str, attribute: str, on: bool) -> None:
        """Switch time to live on or off. AWS takes one such change of a table in an hour."""

    def drop(self, table: str) -> None:
        """Delete a table."""

    def backups(self, table: str) -> Backups:
        """Describe a table's point-in-time recovery."""

    def enable_backups(self, table: str) -> None:
        """Switch point-in-time recovery on."""

    def mapping(self, uuid: str) -> EventSource | None:
        """Describe an event source mapping; None if it does not exist."""

    def enable_mapping(self, uuid: str) -> None:
        """Enable an event source mapping."""

    def disable_mapping(self, uuid: str) -> None:
        """Disable an event source mapping."""


class BulkLoads(Protocol):
    """Bulk loads of the target account, in its Region. They outlive their caller."""

    def start(self, request: BulkRequest) -> BulkFacts:
        """Start a bulk put, or find the one with this token, if its parameters are the same.

        Raises:
            AccountError: with AWS's code; IdempotentParameterMismatchException for a token that was
                used with other parameters, ResourceInUseException for a table that changes.
        """

    def describe(self, arn: str) -> BulkFacts | None:
        """Describe an operation; None if it does not exist."""

    def find(self, token: str, table_arn: str, since: float) -> BulkFacts | None:
        """Find a table's operation with this token among those that began at `since` or later.

        One that began within the last seconds may not be listed yet.
        """

    def on_table(self, table_arn: str, since: float | None = None) -> Sequence[BulkFacts]:
        """List the operations on a table, of any caller, that are not terminal.

        `since`: and those that ended then or later, whenever they began. None: no others. An
        operation whose table is not known counts as one on the table.
        """

    def cancel(self, arn: str) -> None:
        """Ask for the end of an operation, which may write until it is CANCELLED. A terminal one
        stays as it is.
        """

    def failures(self, facts: BulkFacts, key_names: Sequence[str], most: int) -> BulkFailures:
        """Read up to `most` refused items from the output objects of a terminal operation.

        `key_names`: the table's key attributes.
        """


class LedgerEntries(Protocol):
    """A reader of ledger entries."""

    def entries(self, keys: Sequence[bytes]) -> dict[bytes, dict[str, Any]]:
        """Read the ledger items of these key digests. Keys without an entry are left out."""


class Ledger(LedgerEntries, Protocol):
    """The ledger table: entries, the settings row, and the rows of probes and watchdog."""

    def settings(self) -> LedgerSettings:
        """Read the settings row."""

    def store_floor(self, floor: int, snapshot: str) -> LedgerSettings:
        """Store the floor (µs) unless a lower one is stored; return the settings afterwards.

        It is never raised.
        """

    def start_expiry(self) -> None:
        """Let new entries carry an expiry from now on."""

    def expect_consumer(self) -> None:
        """Record that the consumer has been switched on."""

    def set_table_stream(self, stream_arn: str, mapping: str) -> None:
        """Record that the table's own stream is the buffer, and which mapping reads it."""

    def set_paused(self, paused: bool) -> None:
        """Record whether the consumer is off on purpose."""

    def settle(self, until: int) -> None:
        """Record that no change made before this moment (µs) is missing in the target."""

    def note_through(self, until: int) -> None:
        """Record that everything made before this moment (µs) has ended in the table's stream."""

    def parks(self) -> frozenset[str]:
        """List the parked records as `shard:sequence number`; they are quarantined undecoded."""

    def park(self, place: str) -> None:
        """Add a record to the parked ones."""

    def unpark(self, place: str) -> None:
        """Take a record off the parked ones."""

    def book(self) -> WatchdogState:
        """Read the watchdog's row. Raises AccountError for a row that cannot be parsed."""

    def expect_source(self, table_id: str) -> None:
        """Let the watchdog take this table for the source, if it knows another one."""

    def forget_target(self) -> None:
        """Let the watchdog take the next target table that it sees for the first one."""

    def probes_through(self, probe: str, count: int) -> int:
        """Count the rows that the probe's `count` records have left."""

    def probe_echoes(self, probe: str, count: int) -> Sequence[ProbeEcho]:
        """Read the rows that the probe's `count` records have left."""

    # What a switch writes. Each is a conditional write, and False means that another attempt owns
    # the row: nothing was changed then. One that was carried out already is True.

    def arm(self, nonce: str) -> bool:
        """Let invocations be short, for the attempt `nonce`; unless any attempt is under way."""

    def set_mark(self, nonce: str, mark: int) -> bool:
        """Let changes newer than `mark` (µs) be noted; while `nonce` is armed."""

    def close(self, nonce: str) -> bool:
        """Let nothing be written to the target any more; while `nonce` is armed."""

    def open(self, nonce: str) -> bool:
        """Forget the attempt `nonce`, closed or not."""

    def take_gate(self, nonce: str) -> None:
        """Close the gate under `nonce`, also over another attempt: a promotion's, and final."""

    def set_primary(self, nonce: str, at: int) -> bool:
        """Record since when (µs) the target is the primary; while `nonce` has closed the gate."""

    def set_finished(self, nonce: str, at: int) -> bool:
        """Record when (µs) the switch `nonce` was finished: the watch on the old source ends."""

    def late_writes(self, nonce: str, shards: Iterable[str]) -> Sequence[LateWritesRow]:
        """Read what the consumer noted in these shards during the attempt `nonce`."""

    def lane_shards(self) -> Sequence[str]:
        """List the shards that the consumer has ever had a lane in."""

    def lanes(self, shards: Sequence[str]) -> Sequence[LaneRow]:
        """Read how far the lanes of these shards have come; those without a row are left out."""


class RecordWriter(Protocol):
    """A writer to a Kinesis data stream."""

    def put(self, records: Sequence[StreamRecord]) -> list[str]:
        """Put records; return one error code for each in order, empty for those accepted."""


class Snapshots(Protocol):
    """The snapshot bucket of a run."""

    def keys(self, prefix: str) -> Sequence[str]:
        """List the keys of all objects under a prefix, in order."""

    def remove(self, prefix: str) -> int:
        """Delete up to 1,000 objects under a prefix; return the number of objects found."""


class CrossAccountCheck(Protocol):
    """An object in the snapshot bucket, by which the accounts' rules are tried."""

    def write(self, key: str) -> None:
        """Put it as the exporter, encrypted as an export is."""

    def read(self, key: str) -> None:
        """Read it as the importer. Nothing happens if another process has removed it."""

    def remove(self, key: str) -> None:
        """List it and delete it as the importer, if it is there."""


class ItemReader(Protocol):
    """A reader of single items of one table."""

    def read(self, key: Mapping[str, Any]) -> ItemRead:
        """Read an item consistently."""


class ItemScanner(Protocol):
    """A scanner of one table."""

    def scan(self, most: int) -> Iterable[Mapping[str, Any]]:
        """Read up to `most` items, page by page. Binary values are bytes."""

    def empty(self) -> bool:
        """Tell whether the table has no item, by a strongly consistent scan for one."""


class OwnWrites(Protocol):
    """The writes in a target table that this program made, beside the consumer."""

    def units(self, table: str, since: int) -> float:
        """Sum the write units noted in the minutes that begin at `since` or later.

        `table`: the source table's name; `since`: whole minutes in epoch seconds.
        """


class ExportService(Protocol):
    """One table's exports in its own account."""

    name: str
    """The table's."""

    @property
    def side(self) -> Side:
        """The account's side of the pair."""

    def table(self) -> TableFacts | None:
        """Describe the table; None if it does not exist."""

    def backups(self) -> Backups:
        """Describe the table's point-in-time recovery."""

    def switch_backups(self, on: bool) -> None:
        """Switch point-in-time recovery on or off."""

    def start(self, table_arn: str, wanted: ExportSpec) -> ExportFacts | None:
        """Start an export, or find the one with this token.

        None: DynamoDB does not accept the export time yet.
        """

    def describe(self, arn: str) -> ExportFacts | None:
        """Describe an export; None if it does not exist."""

    def find(
        self, table_arn: str, prefix: str, begun: tuple[float, float] | None = None
    ) -> ExportFacts | None:
        """Find the export with exactly this prefix.

        `begun`: the earliest and the latest moment at which it may have begun; None: any.
        """


class ResourcePolicies(Protocol):
    """Resource policies of an account's tables. They are the user's: nothing is overwritten."""

    def read(self, table_arn: str) -> PolicyRevision:
        """Read a table's policy. A change of the last seconds may not be in it yet."""

    def replace(
        self, table_arn: str, known: PolicyRevision, document: str | None
    ) -> PolicyRevision:
        """Put `document`, or delete the policy (None), if it is still the one that was read.

        Raises:
            BlockedError: another caller changed it meanwhile.
            UnavailableError: AWS takes one change in about 15 seconds.
        """


class WriteCanary(Protocol):
    """A write that can never succeed: it tells whether a table's policy refuses other writers."""

    def refused(self, table: str) -> bool:
        """Tell whether the table refuses the caller's write. Nothing is written either way."""


class OldSource(Protocol):
    """Changes of a switch in the source account, beside the table's resource policy."""

    def set_expiry(self, table: str, attribute: str, on: bool) -> None:
        """Switch time to live on or off. AWS takes one such change of a table in an hour."""

    def stop_destination(self, table: str, stream_arn: str) -> None:
        """Stop sending the table's changes to the stream. What is in it stays."""
