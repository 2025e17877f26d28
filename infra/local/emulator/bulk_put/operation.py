"""One bulk operation: its request, its state, and the description that answers show."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

IN_PROGRESS, CANCELLING = "IN_PROGRESS", "CANCELLING"
CANCELLED = ("Cancelled", "The operation was cancelled by CancelBulkOperation")
RUNNING = (IN_PROGRESS, CANCELLING)
SHOWN_OF_REQUEST = ("ClientToken", "InputS3Configuration", "OutputS3Configuration")


@dataclass
class BulkOperation:
    """A started operation. Only its own thread and a cancellation change it.

    `number` counts the operations of the process: a later one is a newer one. `caller` is the
    access key whose permissions on S3 count. Times are epoch seconds.
    """

    number: int
    arn: str
    request: Json
    table: str
    table_id: str
    account: str
    region: str
    caller: str
    started: float
    status: str = IN_PROGRESS
    ended: float | None = None
    failure: tuple[str, str] | None = None
    processed_items: int = 0
    failed_items: int = 0
    processed_bytes: int = 0
    total_bytes: int | None = None
    usage: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Bytes by ("Table", ""), (kind of index, name)."""
    stop_at: float | None = None
    """When a cancelled operation stops; it may write until then."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_running(self) -> bool:
        return self.status in RUNNING

    def end(self, status: str, at: float, failure: tuple[str, str] | None = None) -> None:
        """Reach a terminal status: CANCELLED if that was asked for and nothing failed."""
        with self.lock:
            if self.status == CANCELLING and status != "FAILED":
                status, failure = "CANCELLED", CANCELLED
            self.status, self.ended, self.failure = status, round(at, 3), failure

    def described(self) -> Json:
        """Return the BulkOperationDescription of now."""
        with self.lock:
            found = self.summary() | {
                "TableDetails": [
                    {"TableName": self.request["TableName"], "TableId": self.table_id}
                ],
                "ProcessedItemCount": self.processed_items,
                "FailedItemCount": self.failed_items,
                "ProcessedInputBytes": self.processed_bytes,
                "PerformanceTier": self.request.get("PerformanceTier") or "STANDARD",
                "BulkOperationUsage": [self._used()],
            }
            found |= {name: self.request[name] for name in SHOWN_OF_REQUEST if name in self.request}
            if self.total_bytes is not None:
                found["TotalInputBytes"] = self.total_bytes
            if "MaxWriteRequestUnits" in self.request:
                found["MaxWriteRequestUnits"] = self.request["MaxWriteRequestUnits"]
            if self.failure:
                found["FailureCode"], found["FailureMessage"] = self.failure
            return found

    def summary(self) -> Json:
        """Return the summary that ListBulkOperations shows."""
        found: Json = {
            "BulkOperationArn": self.arn,
            "BulkOperationStatus": self.status,
            "StartTime": self.started,
        }
        return found if self.ended is None else found | {"EndTime": self.ended}

    def _used(self) -> Json:
        used: Json = {
            "TableName": self.request["TableName"],
            "BulkPutBytes": sum(self.usage.values()),
            "Table": {"BulkPutBytes": self.usage["Table", ""]},
        }
        for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
            found = {name: size for (of, name), size in self.usage.items() if of == kind}
            if found:
                used[kind] = {name: {"BulkPutBytes": size} for name, size in found.items()}
        return used
