"""ExportTableToPointInTime: real objects, as of ExportTime, in the account that owns the bucket."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any

from infra.local.emulator.access import EXPORT_WRITES, PermissionChecks
from infra.local.emulator.change_capture import ChangeCapture
from infra.local.emulator.change_history import ChangeHistory, as_of
from infra.local.emulator.export_files import (
    PARTITIONS,
    Line,
    S3Object,
    data_files,
    full_lines,
    incremental_lines,
    manifests,
    partitioned,
)
from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.point_in_time_recovery import PointInTimeRecovery
from infra.local.emulator.replication_metrics import TableOf
from infra.local.emulator.settings import EmulatorSettings

log = logging.getLogger("local.exports")

TOKEN_SECONDS = 8 * 3600  # "valid for 8 hours after the first request that uses it is completed"
SHOWN = (
    "S3Bucket",
    "S3BucketOwner",
    "S3Prefix",
    "S3SseAlgorithm",
    "S3SseKmsKeyId",
    "ClientToken",
)


class _RefusedError(Exception):
    """An export that may not start: the error code and message of the answer."""


class _FailedError(Exception):
    """An export that started and failed: FailureCode and FailureMessage."""


class ExportJobs:
    """Exports from the change history, in the background, with AWS's states and refusals."""

    def __init__(
        self,
        ministack: Ministack,
        capture: ChangeCapture,
        history: ChangeHistory,
        recovery: PointInTimeRecovery,
        access: PermissionChecks,
        settings: EmulatorSettings,
    ) -> None:
        self._skew = settings.scaled(60) * settings.chaos.export_skew
        self._random = settings.chaos.random()
        self._ministack = ministack
        self._capture = capture
        self._history = history
        self._recovery = recovery
        self._access = access
        self._settings = settings

    def install(self) -> None:
        """Replace ministack's functions."""
        self._ministack.replace("dynamodb", "_export_table_to_point_in_time", self.export)
        self._ministack.replace("dynamodb", "_describe_export", self.describe)
        self._ministack.replace("dynamodb", "_list_exports", self.list_exports)

    # -- operations ------------------------------------------------------------------------------

    def export(self, data: Json) -> Response:
        """Answer ExportTableToPointInTime; the same ClientToken is the same export."""
        try:
            description = self._known(data) or self._begin(data)
        except _RefusedError as refusal:
            return self._ministack.error(*refusal.args)
        return self._answer(description)

    def describe(self, data: Json) -> Response:
        """Answer DescribeExport."""
        arn = data.get("ExportArn", "")
        description = self._ministack.dynamodb._exports.get(arn)
        if description is None:
            return self._ministack.error("ExportNotFoundException", f"Export not found: {arn}")
        return self._answer(description)

    def list_exports(self, data: Json) -> Response:
        """Answer ListExports, newest first, at most 25 a page."""
        wanted = data.get("TableArn")
        exports: list[Json] = list(self._ministack.dynamodb._exports.values())
        found = [each for each in reversed(exports) if wanted in (None, each["TableArn"])]
        start, size = int(data.get("NextToken") or 0), min(int(data.get("MaxResults") or 25), 25)
        page = found[start : start + size]
        names = ("ExportArn", "ExportStatus", "ExportType")
        body: Json = {"ExportSummaries": [{name: each[name] for name in names} for each in page]}
        if start + size < len(found):
            body["NextToken"] = str(start + size)
        return self._ministack.ok(body)

    # -- starting --------------------------------------------------------------------------------

    def _known(self, data: Json) -> Json | None:
        token = data.get("ClientToken")
        if not token:
            return None
        for description in self._ministack.dynamodb._exports.values():
            if description["_request"].get("ClientToken") != token:
                continue
            if time.time() - description.get("EndTime", time.time()) > TOKEN_SECONDS:
                continue
            if description["_request"] != data:
                raise _RefusedError(
                    "ExportConflictException",
                    "There was a conflict when writing to the specified S3 bucket: the client "
                    "token is in use for an export with other parameters",
                )
            found: Json = description
            return found
        return None

    def _begin(self, data: Json) -> Json:
        dynamodb, responses = self._ministack.dynamodb, self._ministack.responses
        arn, bucket = data.get("TableArn", ""), data.get("S3Bucket")
        if arn.split(":")[4:5] != [responses.get_account_id()]:
            raise _RefusedError(
                "ValidationException",
                "This action is only supported by accounts that match the resource owner's "
                "account.",
            )
        name = dynamodb._table_name_from_arn(arn)
        if not name or name not in dynamodb._tables:
            raise _RefusedError("TableNotFoundException", f"Table not found: {arn}")
        if not bucket:
            raise _RefusedError("ValidationException", "S3Bucket is required")
        if data.get("ExportFormat") not in (None, "DYNAMODB_JSON"):
            raise _RefusedError("ValidationException", "Only DYNAMODB_JSON is exported here")
        table = self._recovery.table_of(name)
        now = time.time()
        description: Json = {
            "ExportArn": f"{arn}/export/{int(now * 1000):014d}-{uuid.uuid4().hex[:8]}",
            "ExportStatus": "IN_PROGRESS",
            "StartTime": round(now, 3),
            "TableArn": arn,
            "TableId": dynamodb._tables[name]["TableId"],
            "ExportFormat": "DYNAMODB_JSON",
            "ExportType": data.get("ExportType") or "FULL_EXPORT",
            "_request": data,
        }
        description |= {field: data[field] for field in SHOWN if data.get(field) is not None}
        description |= self._times(table, data, description["ExportType"])
        dynamodb._exports[description["ExportArn"]] = description
        caller = self._access.caller_key()
        run = self._ministack.concurrency.spawn_background
        run(self._run, table, description, caller, thread_name="local-export")
        return description

    def _times(self, table: TableOf, data: Json, kind: str) -> Json:
        window = self._recovery.window(table)
        if window is None:
            raise _RefusedError(
                "PointInTimeRecoveryUnavailableException",
                f"Point in time recovery is not enabled for table '{table.name}'",
            )
        earliest, latest = window
        if kind == "FULL_EXPORT":
            # "By default … from the latest restorable time", which is in the past.
            moments = {"ExportTime": float(data.get("ExportTime") or latest)}
        else:
            asked = data.get("IncrementalExportSpecification") or {}
            moments = {
                "ExportFromTime": float(asked.get("ExportFromTime") or 0),
                "ExportToTime": float(asked.get("ExportToTime") or latest),
            }
        for moment in moments.values():
            if not earliest <= moment <= latest:
                raise _RefusedError(
                    "InvalidExportTimeException",
                    f"The specified time {moment} is outside of the point in time recovery window: "
                    f"{earliest} to {latest}",
                )
        if kind == "FULL_EXPORT":
            return dict(moments)
        view = asked.get("ExportViewType") or "NEW_AND_OLD_IMAGES"
        return {"IncrementalExportSpecification": {**moments, "ExportViewType": view}}

    # -- running ---------------------------------------------------------------------------------

    def _run(self, table: TableOf, description: Json, caller: str) -> None:
        time.sleep(self._settings.export_seconds)
        try:
            entries, size = self._write(table, description, caller)
        except _FailedError as failure:
            code, message = failure.args
            description |= {
                "FailureCode": code,
                "FailureMessage": message,
                "ExportStatus": "FAILED",
            }
        except Exception:
            log.exception("Export %s crashed", description["ExportArn"])
            description |= {"FailureCode": "InternalServerError", "ExportStatus": "FAILED"}
        else:
            description |= {
                "ItemCount": sum(entry["itemCount"] for entry in entries),
                "BilledSizeBytes": size,
                "ExportManifest": f"{_root(description)}manifest-summary.json",
                "ExportStatus": "COMPLETED",
            }
        finally:
            description.setdefault("EndTime", round(time.time(), 3))

    def _write(self, table: TableOf, description: Json, caller: str) -> tuple[list[Json], int]:
        root = _root(description)
        self._check_bucket(table, description, caller)
        self._put(description, [S3Object(f"{root}_started", b"")])
        parts = self._parts(table, description)
        shared = root if description["ExportType"] == "FULL_EXPORT" else _shared_root(description)
        objects, entries = data_files(parts, shared)
        self._put(description, objects)
        size = sum(len(each.body) for each in objects)
        description["EndTime"] = round(time.time(), 3)
        self._put(description, manifests(root, description, entries, size))
        return entries, size

    def _parts(self, table: TableOf, description: Json) -> list[list[Line]]:
        stored = self._ministack.dynamodb._tables.get(table.name)
        names = tuple(name for name in (stored["pk_name"], stored["sk_name"]) if name)
        if description["ExportType"] == "FULL_EXPORT":
            return self._full_parts(table, stored, description["ExportTime"], names)
        window = description["IncrementalExportSpecification"]
        begin, end = (int(window[n] * 1e6) for n in ("ExportFromTime", "ExportToTime"))
        with self._capture.lock:
            steps = [s for s in self._history.after(table, begin - 1) if s.at < end]
        lines = incremental_lines(steps, names, window["ExportViewType"])
        return partitioned(lines, names[0])

    def _full_parts(
        self, table: TableOf, stored: Json, at: float, names: tuple[str, ...]
    ) -> list[list[Line]]:
        with self._capture.lock:
            items = [item for rows in stored["items"].values() for item in rows.values()]
            later = self._history.after(table, int((at - self._skew) * 1e6))
        parts = []
        for number in range(PARTITIONS):
            # "Time periods … can vary by one minute": S3DataExport.HowItWorks.html.
            moment = int((at + self._random.uniform(-self._skew, self._skew)) * 1e6)
            state = as_of(items, [step for step in later if step.at > moment], names)
            parts.append(partitioned(full_lines(state), names[0])[number])
        return parts

    def _check_bucket(self, table: TableOf, description: Json, caller: str) -> None:
        bucket = description["S3Bucket"]
        owner = self._ministack.s3._bucket_owner_account(bucket)
        if owner is None:
            raise _FailedError("S3NoSuchBucket", "The specified bucket does not exist")
        # Another account's bucket needs S3BucketOwner (S3DataExport_Requesting.html).
        if owner != description.get("S3BucketOwner", table.account_id):
            raise _FailedError("S3AccessDenied", f"Access Denied: the bucket belongs to {owner}")
        path = f"{_root(description)}data/any"
        denied = self._access.bucket_refusal(caller, table.account_id, bucket, EXPORT_WRITES, path)
        if denied:
            raise _FailedError("S3AccessDenied", f"Access Denied: the caller may not {denied}")

    def _put(self, description: Json, objects: Sequence[S3Object]) -> None:
        bucket = description["S3Bucket"]
        owner = self._ministack.s3._bucket_owner_account(bucket)
        with self._ministack.responses.request_scope(owner, self._ministack.responses.get_region()):
            for each in objects:
                status, _headers, body = self._ministack.s3._put_object(
                    bucket, each.key, each.body, {}
                )
                if status >= 300:
                    raise _FailedError("S3AccessDenied", body.decode(errors="replace")[:300])

    # -- answers ---------------------------------------------------------------------------------

    def _answer(self, description: Json) -> Response:
        shown = {name: value for name, value in description.items() if not name.startswith("_")}
        if shown["ExportStatus"] == "IN_PROGRESS":
            shown.pop("EndTime", None)
        return self._ministack.ok({"ExportDescription": shown})


def _shared_root(description: dict[str, Any]) -> str:
    prefix = description.get("S3Prefix")
    return f"{prefix}/AWSDynamoDB/" if prefix else "AWSDynamoDB/"


def _root(description: dict[str, Any]) -> str:
    return f"{_shared_root(description)}{description['ExportArn'].rsplit('/', 1)[1]}/"
