"""Exports of one table to the snapshot bucket, in either account."""

from __future__ import annotations

import datetime
import re
from itertools import pairwise
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.paging import PAGE, count_running, pages, search_twice
from bootstrap.aws.tables import Tables, timestamp
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.facts import Backups, ExportFacts, ExportSpec, TableFacts


class TableExports:
    """Calls about exports, for either account under its own role."""

    def __init__(self, calls: Calls, dynamodb: Any) -> None:
        self._calls = calls
        self._dynamodb = dynamodb

    def start(self, **request: Any) -> ExportFacts | None:
        """Start an export, or find the one with this token.

        None: DynamoDB does not accept the export time yet.
        """
        try:
            answer = self._calls(
                "dynamodb",
                self._dynamodb.export_table_to_point_in_time,
                request["TableArn"],
                **request,
            )
        except AccountError as error:
            if error.code == "InvalidExportTimeException":
                return None
            raise
        return _facts(answer["ExportDescription"])

    def describe(self, arn: str) -> ExportFacts | None:
        """Describe an export; None if DynamoDB does not know it, as after 90 days."""
        try:
            answer = self._calls("dynamodb", self._dynamodb.describe_export, arn, ExportArn=arn)
        except AccountError as error:
            if error.code == "ExportNotFoundException":
                return None
            raise
        return _facts(answer["ExportDescription"])

    def find(
        self, table_arn: str, prefix: str, begun: tuple[float, float] | None = None
    ) -> ExportFacts | None:
        """Find the export with exactly this prefix; None: there is none.

        `begun`: the earliest and the latest moment at which it may have begun. Only exports of
        that time are described: an export's id begins with its time.

        Raises:
            BrokenListingError: the pages that AWS lists do not settle it.
        """
        return search_twice(lambda: self._search(table_arn, prefix, begun))

    def _search(
        self, table_arn: str, prefix: str, begun: tuple[float, float] | None
    ) -> ExportFacts | None:
        listing = pages(
            self._calls,
            "dynamodb",
            self._dynamodb.list_exports,
            table_arn,
            TableArn=table_arn,
            MaxResults=PAGE,
        )
        times: list[float] = []
        for answer in listing:
            for summary in answer.get("ExportSummaries", []):
                at = _begun_at(summary["ExportArn"])
                if at is not None and begun is not None:
                    times.append(at)
                    if not begun[0] <= at <= begun[1]:
                        continue
                facts = self.describe(summary["ExportArn"])
                if facts is not None and facts.prefix == prefix:
                    return facts
            if begun is not None and _rest_is_older(times, begun[0]):
                return None
        return None

    def count_running(self) -> int | None:
        """Count the exports in progress of the account and Region; None: unknown."""
        listing = pages(
            self._calls,
            "dynamodb",
            self._dynamodb.list_exports,
            "the account's exports",
            MaxResults=PAGE,
        )
        return count_running(listing, "ExportSummaries", "ExportStatus")


def _rest_is_older(times: list[float], since: float) -> bool:
    """Tell whether what a listing has left is older than `since`, by what it has shown.

    "In reverse alphanumeric order of ExportArn" (API reference, ListExports), hence newest first;
    one that shows another order is read to its end.
    """
    newest_first = all(later >= earlier for later, earlier in pairwise(times))
    return len(times) > 1 and newest_first and times[-1] < since


def _begun_at(arn: str) -> float | None:
    """Return the time in an export's id: milliseconds, 14 digits; None for another form."""
    found = re.match(r"(\d{13,14})-", arn.rsplit("/", 1)[-1])
    return int(found[1]) / 1000 if found else None


class AwsExports:
    """One table's exports, through the role of its own account: AWS accepts no other's."""

    def __init__(
        self, calls: Calls, dynamodb: Any, table: str, *, bucket: str, bucket_owner: str, key: str
    ) -> None:
        """`key`: the customer-managed key of the bucket; empty for S3's own."""
        self.name = table
        self._calls = calls
        self._dynamodb = dynamodb
        self._tables = Tables(calls, dynamodb)
        self._exports = TableExports(calls, dynamodb)
        self._bucket = bucket
        self._owner = bucket_owner
        self._encryption = encrypted(key)

    @property
    def side(self) -> Side:
        return self._calls.side

    def table(self) -> TableFacts | None:
        return self._tables.describe(self.name)

    def backups(self) -> Backups:
        return self._tables.backups(self.name)

    def switch_backups(self, on: bool) -> None:
        """Switch point-in-time recovery on or off. Off, its window is lost."""
        self._calls(
            "dynamodb",
            self._dynamodb.update_continuous_backups,
            self.name,
            TableName=self.name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": on},
        )

    def start(self, table_arn: str, wanted: ExportSpec) -> ExportFacts | None:
        """Start an export, or find the one with this token.

        None: DynamoDB does not accept the export time yet.
        """
        if wanted.window is None:
            times: dict[str, Any] = {
                "ExportTime": moment_of(wanted.time),
                "ExportType": "FULL_EXPORT",
            }
        else:
            begin, end = wanted.window
            times = {
                "ExportType": "INCREMENTAL_EXPORT",
                "IncrementalExportSpecification": {
                    "ExportFromTime": moment_of(begin),
                    "ExportToTime": moment_of(end),
                    "ExportViewType": "NEW_AND_OLD_IMAGES",
                },
            }
        return self._exports.start(
            TableArn=table_arn,
            ClientToken=wanted.token,
            S3Bucket=self._bucket,
            S3BucketOwner=self._owner,
            S3Prefix=wanted.prefix,
            ExportFormat="DYNAMODB_JSON",
            **self._encryption,
            **times,
        )

    def describe(self, arn: str) -> ExportFacts | None:
        return self._exports.describe(arn)

    def find(
        self, table_arn: str, prefix: str, begun: tuple[float, float] | None = None
    ) -> ExportFacts | None:
        return self._exports.find(table_arn, prefix, begun)


def encrypted(key: str) -> dict[str, Any]:
    """Return the parameters that encrypt objects with a key, or with S3's own for an empty one.

    It is always said: where an organisation denies uploads that do not say it, the bucket's own
    default does not count.
    """
    if not key:
        return {"S3SseAlgorithm": "AES256"}
    return {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": key}


def moment_of(at: float) -> datetime.datetime:
    """Convert epoch seconds to the type that boto3 takes for a time."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def _facts(found: dict[str, Any]) -> ExportFacts:
    return ExportFacts(
        arn=found["ExportArn"],
        status=found["ExportStatus"],
        prefix=found.get("S3Prefix", ""),
        export_time=timestamp(found.get("ExportTime")),
        items=found.get("ItemCount"),
        size_bytes=found.get("BilledSizeBytes"),
        started=timestamp(found.get("StartTime")),
        ended=timestamp(found.get("EndTime")),
        failure=": ".join(
            found[name] for name in ("FailureCode", "FailureMessage") if found.get(name)
        ),
        bucket=found.get("S3Bucket", ""),
    )
