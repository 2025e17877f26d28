"""The work of a bulk operation: objects in key order, a put for each line, a report in the end."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from infra.local.emulator.access import BULK_READS, BULK_WRITES, PermissionChecks
from infra.local.emulator.bulk_put.lines import BadLineError, Line, lines_of, put_of
from infra.local.emulator.bulk_put.operation import CANCELLING, BulkOperation
from infra.local.emulator.bulk_put.report import BulkReport
from infra.local.emulator.change_capture import without_change_records
from infra.local.emulator.export_files import S3Object
from infra.local.emulator.patching import Json, Ministack
from infra.local.emulator.settings import EmulatorSettings

log = logging.getLogger("local.bulk_put")

MOST_OBJECTS = 50_000
LARGEST_OBJECT = 5 * 1024**3
SMALLEST_WAIT = 0.02

KEY_FAULTS = ("Missing the key", "Type mismatch for key")
"""Validation errors that end an object. AWS has such errors (developer guide,
BulkPutItems.Format.ValidationErrors); which they are is not known here, so the local cloud takes
those that show an object of another table. Others cost their line alone."""


class FailedError(Exception):
    """An operation that fails: FailureCode and FailureMessage."""


class _CancelledError(Exception):
    """The time at which a cancelled operation stops has come."""


@dataclass(frozen=True)
class InputObject:
    """An object to be read: its key, its size in bytes, and its content's tag."""

    key: str
    size: int
    etag: str


class BulkLoader:
    """Runs operations, each on the thread that calls `run`, in its account and Region."""

    def __init__(
        self,
        ministack: Ministack,
        access: PermissionChecks,
        settings: EmulatorSettings,
        now: Callable[[], float] = time.time,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`now` returns epoch seconds; `wait` waits for seconds."""
        self._ministack = ministack
        self._access = access
        self._settings = settings
        self._now = now
        self._wait = wait

    def run(self, operation: BulkOperation) -> None:
        """Load the objects, and reach a terminal status whatever happens."""
        wanted = operation.request["OutputS3Configuration"]["OutputType"]
        report = BulkReport(tuple(wanted))
        status, failure = "COMPLETED", None
        try:
            with suppress(_CancelledError):
                self._load(operation, self._begin(operation), report)
            if operation.failed_items:
                status = "COMPLETED_WITH_ERRORS"
            self._write(operation, report.objects(_output_root(operation), operation.described()))
        except FailedError as failed:
            status, failure = "FAILED", (str(failed.args[0]), str(failed.args[1]))
        except Exception:
            log.exception("Bulk operation %s crashed", operation.arn)
            status, failure = "FAILED", ("InternalServerError", "Internal failure")
        operation.end(status, self._now(), failure)

    # -- S3 --------------------------------------------------------------------------------------

    def _begin(self, operation: BulkOperation) -> list[InputObject]:
        """Check both buckets, and list and measure the input."""
        source = operation.request["InputS3Configuration"]
        target = operation.request["OutputS3Configuration"]
        self._check_bucket(operation, source, BULK_READS)
        self._check_bucket(operation, target, BULK_WRITES)
        self._pace(operation, 0.0)  # TotalInputBytes is absent at first
        found = self._listed(source["S3Bucket"], source.get("S3KeyPrefix") or "")
        refuse_input(found, source)
        operation.total_bytes = sum(each.size for each in found)
        return found

    def _check_bucket(self, operation: BulkOperation, place: Json, actions: Sequence[str]) -> None:
        bucket, account = place["S3Bucket"], operation.account
        owner = self._ministack.s3._bucket_owner_account(bucket)
        if owner is None:
            raise FailedError("S3NoSuchBucket", f"The bucket {bucket} does not exist")
        if owner != (place.get("S3BucketOwner") or account):
            raise FailedError("S3AccessDenied", f"Access Denied: the bucket belongs to {owner}")
        path = f"{place.get('S3KeyPrefix') or ''}any"
        refused = self._access.bucket_refusal(operation.caller, account, bucket, actions, path)
        if refused:
            raise FailedError("S3AccessDenied", f"Access Denied: the caller may not {refused}")

    def _listed(self, bucket: str, prefix: str) -> list[InputObject]:
        """List a plain prefix, but for the empty objects that stand for folders."""
        with self._as_owner(bucket):
            stored = self._ministack.s3._buckets.get(bucket)["objects"]
            return [
                InputObject(key, int(stored[key]["size"]), str(stored[key]["etag"]))
                for key in sorted(stored)
                if key.startswith(prefix) and not key.endswith("/")
            ]

    def _read(self, operation: BulkOperation, each: InputObject) -> bytes:
        bucket = operation.request["InputS3Configuration"]["S3Bucket"]
        with self._as_owner(bucket):
            stored = self._ministack.s3._buckets.get(bucket)["objects"].get(each.key)
            body = self._ministack.s3._get_object_data(bucket, each.key)
        if stored is None or body is None or str(stored["etag"]) != each.etag:
            raise FailedError(
                "S3ObjectModified", f"The object {each.key} changed after the operation began"
            )
        return bytes(body)

    def _write(self, operation: BulkOperation, objects: Sequence[S3Object]) -> None:
        bucket = operation.request["OutputS3Configuration"]["S3Bucket"]
        with self._as_owner(bucket):
            for each in objects:
                status, _headers, _body = self._ministack.s3._put_object(
                    bucket, each.key, each.body, {}
                )
                if status >= 300:
                    raise FailedError("S3AccessDenied", f"{each.key} could not be written")

    def _as_owner(self, bucket: str) -> Any:
        responses = self._ministack.responses
        owner = self._ministack.s3._bucket_owner_account(bucket)
        return responses.request_scope(owner, responses.get_region())

    # -- lines -----------------------------------------------------------------------------------

    def _load(
        self, operation: BulkOperation, objects: Sequence[InputObject], report: BulkReport
    ) -> None:
        compression = operation.request["InputS3Configuration"].get("InputCompressionType")
        before = 0
        for each in objects:
            body = self._read(operation, each)
            line: Line | None = None
            try:
                for line in lines_of(body, compression or "NONE"):
                    operation.processed_bytes = before + int(each.size * line.share)
                    self._pace(operation, operation.processed_bytes)
                    self._put(operation, each.key, line, report)
            except BadLineError as fault:
                operation.processed_items += 1
                operation.failed_items += 1
                report.error(each.key, line.number if line else None, str(fault))
            before += each.size
            operation.processed_bytes = before
        self._pace(operation, before)

    def _put(self, operation: BulkOperation, key: str, line: Line, report: BulkReport) -> None:
        """Put the item of a line. Raise BadLineError for a fault that ends the object."""
        put = put_of(line)
        table = self._table(operation)
        request = put | {
            "TableName": operation.table,
            **({"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if len(put) > 1 else {}),
        }
        with self._change_records():
            status, _headers, body = self._ministack.dynamodb._put_item(request)
        if status == 200:
            operation.processed_items += 1
            operation.usage.update(self._sizes(table, put["Item"]))
            return
        answer = json.loads(body)
        if str(answer.get("__type")).endswith("ConditionalCheckFailedException"):
            operation.processed_items += 1
            report.condition(key, line.number, put["Item"], answer.get("Item"))
            return
        message = str(answer.get("message") or answer.get("Message"))
        if any(fault in message for fault in KEY_FAULTS):
            raise BadLineError(message)
        operation.processed_items += 1
        operation.failed_items += 1
        report.error(key, line.number, message, put["Item"])

    def _change_records(self) -> AbstractContextManager[None]:
        return nullcontext() if self._settings.bulk.changes else without_change_records()

    def _table(self, operation: BulkOperation) -> Json:
        """Return the table's record, if it is still the table that the operation began with."""
        table: Json | None = self._ministack.dynamodb._tables.get(operation.table)
        if table is None or table["TableId"] != operation.table_id:
            raise FailedError("TableNotFound", f"The table {operation.table} was deleted")
        return table

    def _sizes(self, table: Json, item: Json) -> Mapping[tuple[str, str], int]:
        """Return the bytes that an item takes in the table and in each index that has it."""
        dynamodb = self._ministack.dynamodb
        found = {("Table", ""): int(dynamodb._item_size_bytes(item))}
        for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
            for index in table.get(kind) or ():
                entry = dynamodb._index_write_view(table, index, item)
                if entry is not None:
                    found[kind, index["IndexName"]] = int(dynamodb._item_size_bytes(entry[1]))
        return found

    # -- time ------------------------------------------------------------------------------------

    def _pace(self, operation: BulkOperation, done: float) -> None:
        """Wait until `done` bytes may be done. The listing takes a tenth of the operation's time.

        Raises:
            _CancelledError: the operation has been cancelled, and its time to stop has come.
        """
        total = operation.total_bytes
        share = 0.1 if total is None else 0.1 + 0.9 * done / max(1, total)
        due = operation.started + self._settings.bulk_seconds * share
        while True:
            now = self._now()
            if operation.status == CANCELLING and now >= (operation.stop_at or now):
                raise _CancelledError
            if due - now < SMALLEST_WAIT:
                return
            self._wait(min(due - now, 0.1))


def refuse_input(found: Sequence[InputObject], source: Mapping[str, Any]) -> None:
    """Refuse no objects, too many, or one that is too large. The codes are the local cloud's own.

    50,000 objects an operation, 5 GB an object: developer guide, BulkPutItems.BestPractices.
    """
    where = f"s3://{source['S3Bucket']}/{source.get('S3KeyPrefix') or ''}"
    if not found:
        raise FailedError("S3NoSuchKey", f"No objects were found under {where}")
    if len(found) > MOST_OBJECTS:
        raise FailedError(
            "InputObjectCountExceeded",
            f"{len(found)} objects under {where}; {MOST_OBJECTS} at most",
        )
    large = next((each for each in found if each.size > LARGEST_OBJECT), None)
    if large:
        raise FailedError(
            "InputObjectSizeExceeded",
            f"{large.key} has {large.size} bytes; {LARGEST_OBJECT} at most",
        )


def _output_root(operation: BulkOperation) -> str:
    prefix = operation.request["OutputS3Configuration"].get("S3KeyPrefix") or ""
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    return f"{prefix}{operation.arn.rpartition('/')[2]}/"
