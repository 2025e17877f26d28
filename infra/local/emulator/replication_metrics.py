"""CloudWatch metrics of DynamoDB: its replication to Kinesis, and the write units of each table.

Metrics, dimensions and meaning: developer guide, kds_using-shards-and-metrics.html and
metrics-dimensions.html.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from infra.local.emulator.patching import Ministack
from infra.local.emulator.settings import EmulatorSettings


@dataclass(frozen=True)
class TableOf:
    """A table's name, account and Region."""

    account_id: str
    region: str
    name: str


WRITE_UNIT_BYTES = 1024
REPLICATION = {"DelegatedOperation": "KinesisDataStream"}


@dataclass
class _Period:
    waiting: dict[int, int] = field(default_factory=dict)  # creation time µs -> records
    oldest_ms: float | None = None
    failed: int = 0
    throttled: int = 0


class ReplicationMetrics:
    """Counts replication per table and publishes it once a period.

    AgeOfOldestUnreplicatedRecord has a datapoint only in a period that had records to replicate,
    the counters only where they are not zero.
    """

    def __init__(self, ministack: Ministack, settings: EmulatorSettings) -> None:
        self._ministack = ministack
        self._period = settings.metric_period
        self._lock = threading.Lock()
        self._periods: dict[TableOf, _Period] = {}
        self._units: dict[TableOf, int] = {}
        self._late: list[tuple[TableOf, int, float]] = []

    def waiting(self, table: TableOf, created_us: int) -> None:
        """Count a record of this creation time (µs) that is to be replicated."""
        with self._lock:
            period = self._periods.setdefault(table, _Period())
            period.waiting[created_us] = period.waiting.get(created_us, 0) + 1

    def replicated(self, table: TableOf, created_us: int) -> None:
        """Count a record that has entered the stream."""
        age_ms = max(0.0, time.time() * 1000 - created_us / 1000)
        with self._lock:
            period = self._periods.setdefault(table, _Period())
            period.oldest_ms = max(age_ms, period.oldest_ms or 0.0)
            self._done(period, created_us)

    def failed(self, table: TableOf, created_us: int | None = None) -> None:
        """Count a record that was skipped for good."""
        with self._lock:
            period = self._periods.setdefault(table, _Period())
            period.failed += 1
            self._done(period, created_us)

    def throttled(self, table: TableOf) -> None:
        """Count a record that Kinesis throttled and that DynamoDB will put again."""
        with self._lock:
            self._periods.setdefault(table, _Period()).throttled += 1

    @staticmethod
    def _done(period: _Period, created_us: int | None) -> None:
        if created_us is None:
            return
        left = period.waiting.get(created_us, 0) - 1
        if left > 0:
            period.waiting[created_us] = left
        else:
            period.waiting.pop(created_us, None)

    def written(self, table: TableOf, size_bytes: int, *, transactional: bool) -> None:
        """Count the write units of one item: one for each KB, and twice as many in a transaction.

        `size_bytes`: the larger of the item before and after. Deletions by time to live consume
        none.
        """
        units = max(1, -(-size_bytes // WRITE_UNIT_BYTES)) * (2 if transactional else 1)
        with self._lock:
            self._units[table] = self._units.get(table, 0) + units

    def run(self) -> None:
        """Publish once a period, forever; a datapoint carries the start of its period."""
        while True:
            begin = time.time() // self._period * self._period
            time.sleep(begin + self._period - time.time())
            self.publish(begin, time.time())

    def publish(self, begin: float, now: float) -> None:
        """Publish the period that began at `begin` (seconds) and start the next count."""
        with self._lock:
            periods = list(self._periods.items())
            snapshot = []
            for table, period in periods:
                oldest = period.oldest_ms
                if period.waiting:
                    oldest = max(oldest or 0.0, now * 1000 - min(period.waiting) / 1000)
                snapshot.append((table, oldest, period.failed, period.throttled))
                period.oldest_ms, period.failed, period.throttled = None, 0, 0
            # A datapoint of consumed units arrives a period late, as on AWS some minutes late.
            late, self._late = self._late, [(*each, begin) for each in self._units.items()]
            self._units = {}
        for table, units, at in late:
            self._put(table, "ConsumedWriteCapacityUnits", units, "Count", at, {})
        for table, oldest, failed, throttled in snapshot:
            if oldest is not None:
                self._put(table, "AgeOfOldestUnreplicatedRecord", oldest, "Milliseconds", begin)
            if failed:
                self._put(table, "FailedToReplicateRecordCount", failed, "Count", begin)
            if throttled:
                self._put(table, "ThrottledPutRecordCount", throttled, "Count", begin)

    def _put(
        self,
        table: TableOf,
        name: str,
        value: float,
        unit: str,
        at: float,
        further: Mapping[str, str] = REPLICATION,
    ) -> None:
        dimensions = {"TableName": table.name, **further}
        with self._ministack.responses.request_scope(table.account_id, table.region):
            put_metric(self._ministack, "AWS/DynamoDB", name, value, unit, dimensions, at)


def put_metric(
    ministack: Ministack,
    namespace: str,
    name: str,
    value: float,
    unit: str,
    dimensions: Mapping[str, str],
    at: float,
) -> None:
    """Store one datapoint of the current account and Region."""
    cloudwatch = ministack.cloudwatch
    bucket = cloudwatch._metric_bucket((namespace, name, cloudwatch._dims_key(dict(dimensions))))
    bucket.append(
        {"Timestamp": at, "Value": float(value), "Unit": unit, "Dimensions": dict(dimensions)}
    )


def start(run: Callable[[], None], name: str) -> None:
    """Run in the background until the process ends."""
    threading.Thread(target=run, name=name, daemon=True).start()
