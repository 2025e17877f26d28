"""The write of a change record into its stream, as DynamoDB's replication makes it."""

from __future__ import annotations

import contextlib
import logging

from infra.local.emulator.change_capture import PendingRecord
from infra.local.emulator.replication_metrics import ReplicationMetrics
from infra.local.emulator.shards import RecordTooLargeError, Shards, StreamGoneError

log = logging.getLogger("local.changes")


class DirectStreamWriter:
    """Puts each record into the stream at once.

    "DynamoDB skips change data records that exceed your stream's maximum record size, and
    automatically continues": developer guide, kds_using-shards-and-metrics.html.
    """

    def __init__(self, shards: Shards, metrics: ReplicationMetrics) -> None:
        self._shards = shards
        self._metrics = metrics

    def write(self, pending: PendingRecord) -> None:
        table = pending.change.table
        try:
            self._shards.append(pending.stream_arn, pending.partition_key, pending.data)
        except RecordTooLargeError as error:
            self._metrics.failed(table, pending.change.at)
            log.warning("Skipped a change record of %s: %s", table.name, error)
        except StreamGoneError as error:
            self._metrics.failed(table, pending.change.at)
            log.warning("Could not replicate a change of %s: %s", table.name, error)
        else:
            self._metrics.replicated(table, pending.change.at)

    def held(self, pending: PendingRecord) -> None:
        """Count a record that has to wait, as when Kinesis throttles it and DynamoDB retries."""
        self._metrics.throttled(pending.change.table)

    def again(self, pending: PendingRecord) -> None:
        """Put a record once more, without counting it; drop one that does not fit."""
        with contextlib.suppress(RecordTooLargeError, StreamGoneError):
            self._shards.append(pending.stream_arn, pending.partition_key, pending.data)
