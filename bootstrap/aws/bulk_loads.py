"""Bulk loads of the target account: operations on a table that exists, and what they refused."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bootstrap.aws.bulk_output import UnreadableLineError, failure_of, lines
from bootstrap.aws.calls import Calls
from bootstrap.aws.paging import PAGE, pages, search_twice
from bootstrap.aws.s3_objects import S3Objects
from bootstrap.aws.snapshots import AwsSnapshots
from bootstrap.aws.tables import timestamp
from bootstrap.core.bulk_facts import (
    TERMINAL,
    BulkFacts,
    BulkFailure,
    BulkFailures,
    BulkRequest,
)
from bootstrap.core.errors import AccessDeniedError, AccountError, UnavailableError
from bootstrap.core.objects import MissingObjectError

OUTPUT_TYPES = ("ERROR",)
"""Lines of an export have no conditions that could fail."""
MANIFEST = "manifest"
"""In the names of the output objects that list no items (developer guide, BulkPutItems.Output)."""


class AwsBulkLoads:
    """`BulkLoads` through the importer role. `s3` is a client in the bucket's Region."""

    def __init__(self, calls: Calls, dynamodb: Any, s3: Any) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._s3 = s3

    def start(self, request: BulkRequest) -> BulkFacts:
        answer = self._calls(
            "dynamodb",
            self._dynamodb.start_bulk_put_items,
            request.table_arn,
            **_parameters(request),
        )
        return _facts(answer["BulkOperationDescription"])

    def describe(self, arn: str) -> BulkFacts | None:
        found = self._described(arn)
        return None if found is None else _facts(found)

    def find(self, token: str, table_arn: str, since: float) -> BulkFacts | None:
        def search() -> BulkFacts | None:
            # A summary has no token. Moments of answers may be whole seconds.
            for summary in self._summaries(since):
                arn = summary["BulkOperationArn"]
                if _begun(summary) >= math.floor(since) and not _is_of_another(arn, table_arn):
                    found = self.describe(arn)
                    if found is not None and found.token == token:
                        return found
            return None

        return search_twice(search)

    def on_table(self, table_arn: str, since: float | None = None) -> Sequence[BulkFacts]:
        def search() -> list[BulkFacts]:
            found = []
            for summary in self._summaries():
                later = since is not None and _ended(summary) >= math.floor(since)
                if summary["BulkOperationStatus"] in TERMINAL and not later:
                    continue
                facts = self._of_table(summary, table_arn)
                if facts is not None and (later or not facts.terminal):
                    found.append(facts)
            return found

        return search_twice(search)

    def cancel(self, arn: str) -> None:
        try:
            self._calls("dynamodb", self._dynamodb.cancel_bulk_operation, arn, BulkOperationArn=arn)
        except (AccessDeniedError, UnavailableError):
            raise
        except AccountError:
            # AWS does not say how it answers for one that has ended.
            found = self.describe(arn)
            if found is None or not found.terminal:
                raise

    def failures(self, facts: BulkFacts, key_names: Sequence[str], most: int) -> BulkFailures:
        if not facts.output_bucket:
            return BulkFailures(unreadable=1)
        first: list[BulkFailure] = []
        unreadable = 0
        for line in self._output_lines(facts):
            try:
                if line is None:
                    raise UnreadableLineError
                failure = failure_of(line, key_names)
            except UnreadableLineError:
                unreadable += 1
                continue
            if len(first) >= most:
                return BulkFailures(tuple(first), more=True, unreadable=unreadable)
            first.append(failure)
        return BulkFailures(tuple(first), unreadable=unreadable)

    # -- operations ------------------------------------------------------------------------------

    def _described(self, arn: str) -> dict[str, Any] | None:
        try:
            answer = self._calls(
                "dynamodb", self._dynamodb.describe_bulk_operation, arn, BulkOperationArn=arn
            )
        except AccountError as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise
        found: dict[str, Any] = answer["BulkOperationDescription"]
        return found

    def _summaries(self, since: float | None = None) -> Iterator[dict[str, Any]]:
        """List operations, newest first; with `since`, up to the first page of older ones.

        Newest first is documented (API reference, ListBulkOperations), and so are 90 days.
        """
        listing = pages(
            self._calls,
            "dynamodb",
            self._dynamodb.list_bulk_operations,
            "the account's bulk operations",
            MaxResults=PAGE,
        )
        for answer in listing:
            found = answer.get("BulkOperationsSummaryList", [])
            yield from found
            if since is not None and found and max(map(_begun, found)) < math.floor(since):
                return

    def _of_table(self, summary: Mapping[str, Any], table_arn: str) -> BulkFacts | None:
        """Describe a listed operation; None if it is on another table.

        The list is the account's, and the role may describe the operations on its own tables only,
        so another table's is recognized by its ARN. One that is listed and cannot be described
        counts as one on the table: unknown is not safe.
        """
        arn = summary["BulkOperationArn"]
        if _is_of_another(arn, table_arn):
            return None
        try:
            found = self._described(arn)
        except AccessDeniedError:
            if _named_table(arn):
                raise  # the table's own: the right to it is missing
            return _facts(summary)
        if found is None:
            return _facts(summary)
        name = table_arn.rpartition(":table/")[2]
        tables = [each.get("TableName") or "" for each in found.get("TableDetails", [])]
        if tables and not any(each in ("", table_arn, name) for each in tables):
            return None
        return _facts(found)

    # -- output ----------------------------------------------------------------------------------

    def _output_lines(self, facts: BulkFacts) -> Iterator[bytes | None]:
        """Yield the lines of the output objects; None for an object that cannot be read on."""
        listing = AwsSnapshots(self._calls, self._s3, facts.output_bucket)
        reader = S3Objects(self._calls, self._s3)
        for key in listing.keys(facts.output_prefix):
            if MANIFEST in key.rpartition("/")[2].lower():
                continue
            try:
                yield from lines(reader.stream(facts.output_bucket, key))
            except (UnreadableLineError, MissingObjectError):
                yield None


def _parameters(request: BulkRequest) -> dict[str, Any]:
    """Return the parameters of a start: of one request always the same, as its token demands."""
    output: dict[str, Any] = {
        "S3Bucket": request.bucket,
        "S3BucketOwner": request.bucket_owner,
        "S3KeyPrefix": request.output_prefix,
        "OutputType": list(OUTPUT_TYPES),
    }
    if request.key_arn:
        output |= {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": request.key_arn}
    parameters: dict[str, Any] = {
        "TableName": request.table_arn,
        "ClientToken": request.token,
        "InputS3Configuration": {
            "S3Bucket": request.bucket,
            "S3BucketOwner": request.bucket_owner,
            "S3KeyPrefix": request.prefix,
            "InputFormat": "DYNAMODB_JSON",
            "InputCompressionType": "GZIP",
        },
        "OutputS3Configuration": output,
    }
    if request.tier:
        parameters["PerformanceTier"] = request.tier
    if request.max_write_request_units is not None:
        parameters["MaxWriteRequestUnits"] = request.max_write_request_units
    return parameters


def _facts(found: Mapping[str, Any]) -> BulkFacts:
    """Return the facts of a description, or of a summary."""
    table: Mapping[str, Any] = next(iter(found.get("TableDetails", [])), {})
    source = found.get("InputS3Configuration", {})
    output = found.get("OutputS3Configuration", {})
    total = found.get("TotalInputBytes")
    return BulkFacts(
        arn=found["BulkOperationArn"],
        status=found["BulkOperationStatus"],
        table_arn=table.get("TableName", ""),
        table_id=table.get("TableId", ""),
        token=found.get("ClientToken", ""),
        prefix=source.get("S3KeyPrefix", ""),
        processed_items=int(found.get("ProcessedItemCount", 0)),
        failed_items=int(found.get("FailedItemCount", 0)),
        processed_bytes=int(found.get("ProcessedInputBytes", 0)),
        total_bytes=None if total is None else int(total),
        started=timestamp(found.get("StartTime")),
        ended=timestamp(found.get("EndTime")),
        failure_code=found.get("FailureCode", ""),
        failure=found.get("FailureMessage", ""),
        output_bucket=output.get("S3Bucket", ""),
        output_prefix=output.get("S3KeyPrefix", ""),
        counted="ProcessedItemCount" in found,
    )


def _named_table(arn: str) -> str:
    """Return the table's name in an operation's ARN; empty if it has none.

    The form `<table ARN>/bulk-operation/<id>` is assumed: AWS documents none.
    """
    found = re.search(r":table/([^/:]+)/", arn)
    return found[1] if found else ""


def _is_of_another(arn: str, table_arn: str) -> bool:
    """Tell whether an operation's ARN names another table; one that names none may be the table's.

    The list is of one account and Region, so the name tells.
    """
    return _named_table(arn) not in ("", table_arn.rpartition(":table/")[2])


def _ended(summary: Mapping[str, Any]) -> float:
    """Return when a listed operation ended; one without a time may write still."""
    ended = timestamp(summary.get("EndTime"))
    return math.inf if ended is None else ended


def _begun(summary: Mapping[str, Any]) -> float:
    """Return when a listed operation began; one without a time may be the newest."""
    begun = timestamp(summary.get("StartTime"))
    return math.inf if begun is None else begun
