"""The consumer's metrics (EMF on stdout) and log lines.

Neither ever holds content of an item: digests of keys, counts, codes and reasons only.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections import Counter
from typing import Any

from replicator.aws import Kind, classify
from replicator.consumer.decode import Record
from replicator.names import (
    CHANGES_APPLIED,
    CHANGES_FOREIGN,
    CHANGES_QUARANTINED,
    CHANGES_RECEIVED,
    CHANGES_RETRIED,
    CHANGES_SUPERSEDED,
    DELETIONS_LEFT_TO_TTL,
    ENDED_AGE,
    LATE_WRITES,
    NAMESPACE,
    ORDER_CONTRADICTED,
    QUARANTINE_REFUSED,
    REPLICATION_LAG,
    TARGET_THROTTLES,
)

_VALUES_PER_LINE = 100  # EMF: no metric takes more values than this at once


class InvocationStats:
    """Counts of one invocation; `report_error` may be called from several threads."""

    def __init__(self, logger: Any) -> None:
        self.counts: Counter[str] = Counter()
        self.lags: list[float] = []
        self.ended_age: float | None = None
        """The age in seconds of the first record of a batch that has ended, of a table's stream."""
        self._logger = logger
        self._troubles: Counter[tuple[str, str]] = Counter()
        self._first: dict[str, Any] = {}
        self._lock = threading.Lock()

    def report_error(self, operation: str, code: str, message: str) -> None:
        """Log the first failed call of its kind at once; count the others."""
        with self._lock:
            self._troubles[operation, code] += 1
            first = self._troubles[operation, code] == 1
            if classify(code) is Kind.THROTTLED:
                self.counts[TARGET_THROTTLES] += 1
        if not first:
            return
        if message:
            self._logger.error(f"{operation} failed: {code}: {message}\n{_advice(code)}")
        else:
            self._logger.warning(f"{operation} failed: {code}; trying again")

    def foreign(self, table: str, first: Record, records: int) -> None:
        """Log one table's records in this invocation; table names are no content of items."""
        self._logger.warning(
            "Records of another table are in this table's stream; they are ignored.\n"
            "Try: bootstrap status, which names the command that takes this stream off the other "
            "table.",
            extra=_place(first) | {"foreignTable": table, "records": records},
        )

    def quarantined(self, record: Record, reason: str) -> None:
        self._logger.warning("Quarantined a record", extra=_place(record) | {"reason": reason})

    def single(self, shard_id: str, sequence_number: str) -> None:
        """Log a record before it is decoded, to name what to park if it kills the function."""
        self._logger.info(
            "A batch of one record",
            extra={"shardId": shard_id, "sequenceNumber": sequence_number},
        )

    def crashed(self, error: Exception) -> None:
        """Log a bug, by type and place only: its message may quote an item."""
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        self._logger.error(
            f"The consumer failed on a bug of its own: {type(error).__name__}. The batch failed.\n"
            "Try: if a batch of one record does this, park that record and report its type.",
            extra={"where": where},
        )

    def failed(self, what: str, **numbers: Any) -> None:
        self._logger.error(what, extra=numbers)

    def waits(self, record: Record, why: str) -> None:
        """Note the record from which Lambda redelivers: the one to look at, or to park."""
        self._first = _place(record) | {"why": why}

    def ended(self) -> None:
        troubles = {f"{operation} {code}": n for (operation, code), n in self._troubles.items()}
        if troubles or self.counts[CHANGES_RETRIED] or self.counts[CHANGES_QUARANTINED]:
            counts = {"counts": dict(self.counts), "troubles": troubles}
            self._logger.info("Ended", extra=counts | self._first)


def _place(record: Record) -> dict[str, Any]:
    return {"shardId": record.shard_id, "sequenceNumber": record.sequence_number}


def _advice(code: str) -> str:
    if "AccessDenied" in code or "NotAuthorized" in code:
        return "Try: deploy the stack again; the consumer's role lacks what the message names."
    if "ResourceNotFound" in code or "NoSuchBucket" in code:
        return "Try: see that the target, ledger and quarantine of this stack still exist."
    return "Try: fix what the message names; the stream keeps the changes meanwhile."


class EmfEmitter:
    """Writes an invocation's stats as embedded metrics."""

    def __init__(self, dimensions: dict[str, str]) -> None:
        from aws_lambda_powertools.metrics import EphemeralMetrics

        self._metrics = EphemeralMetrics(namespace=NAMESPACE)
        self._metrics.service = ""  # would add a dimension that no alarm knows
        self._dimensions = dimensions

    def emit(self, stats: InvocationStats) -> None:
        counts = {name: [float(stats.counts[name])] for name in _COUNTED}
        # A metric costs as soon as it is emitted: these are only when there is something.
        for rare in _RARE:
            if stats.counts[rare]:
                counts[rare] = [float(stats.counts[rare])]
        metrics = {name: _metric("Count", values) for name, values in counts.items()}
        if stats.ended_age is not None:
            metrics[ENDED_AGE] = _metric("Seconds", [stats.ended_age])
        for start in range(0, max(1, len(stats.lags)), _VALUES_PER_LINE):
            lags = stats.lags[start : start + _VALUES_PER_LINE]
            if lags:
                metrics[REPLICATION_LAG] = _metric("Milliseconds", lags)
            line = self._metrics.serialize_metric_set(
                metrics=metrics, dimensions=self._dimensions, metadata={}
            )
            sys.stdout.write(json.dumps(line) + "\n")
            metrics = {}


_COUNTED = (
    CHANGES_RECEIVED,
    CHANGES_APPLIED,
    CHANGES_SUPERSEDED,
    CHANGES_QUARANTINED,
    CHANGES_RETRIED,
    TARGET_THROTTLES,
)


_RARE = (
    QUARANTINE_REFUSED,
    ORDER_CONTRADICTED,
    CHANGES_FOREIGN,
    LATE_WRITES,
    DELETIONS_LEFT_TO_TTL,
)


def _metric(unit: str, values: list[float]) -> dict[str, Any]:
    return {"Unit": unit, "StorageResolution": 60, "Value": values}
