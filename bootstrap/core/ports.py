"""What the bootstrap asks of the two accounts, and what it sees there.

The protocols are all that steps know of AWS. Moments are epoch seconds unless a name says
otherwise. Every method may raise `AccessDeniedError`, `UnavailableError` and `AccountError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from bootstrap.core.errors import Side
from bootstrap.core.facts import (
    Backups,
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
    LedgerSettings,
    Limits,
    OpenShards,
    Surroundings,
    TableFacts,
    TtlStatus,
)
from replicator.probes import ProbeRecord
from replicator.stream import StreamFacts
from replicator.watchdog.probe_rounds import WatchdogState


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


class ItemReader(Protocol):
    """Consistent reads of one table."""

    def read(self, key: Mapping[str, Any]) -> ItemRead: ...


class ExportService(Protocol):
    """One table's exports in its own account."""

    name: str

    @property
    def side(self) -> Side: ...

    def table(self) -> TableFacts | None: ...

    def backups(self) -> Backups: ...

    def switch_backups(self, on: bool) -> None: ...

    def start(self, table_arn: str, wanted: ExportSpec) -> ExportFacts | None: ...

    def describe(self, arn: str) -> ExportFacts | None: ...

    def find(self, table_arn: str, prefix: str) -> ExportFacts | None: ...
