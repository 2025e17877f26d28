"""The target account on AWS: imports, the new table, the consumer's mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.capacity_changes import capacity_changes
from bootstrap.aws.consumer_mappings import mapping_in
from bootstrap.aws.keys import KeyReader
from bootstrap.aws.paging import PAGE, count_running, pages, search_twice
from bootstrap.aws.table_metrics import TableMetrics
from bootstrap.aws.tables import MISSING, Tables, facts_of, timestamp, unless
from bootstrap.core.errors import AccountError
from bootstrap.core.facts import (
    Backups,
    Capacity,
    Datapoint,
    Destinations,
    EventSource,
    ImportFacts,
    ImportRequest,
    KeyFacts,
    Limits,
    TableFacts,
    TtlStatus,
    index_warm_writes,
)


class AwsTarget:
    """`TargetAccount` through the importer role.

    `lambda_` and `far_kms` are clients in the consumer's Region.
    """

    def __init__(
        self,
        calls: Calls,
        dynamodb: Any,
        lambda_: Any,
        kms: Any = None,
        cloudwatch: Any = None,
        far_kms: Any = None,
    ) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._lambda = lambda_
        self._tables = Tables(calls, dynamodb)
        self._keys, self._far_kms = KeyReader(calls, kms), far_kms
        self._far_keys = KeyReader(calls, far_kms)
        self._metrics = TableMetrics(calls, cloudwatch)

    def table(self, name: str) -> TableFacts | None:
        return self._tables.describe(name)

    def destinations(self, table: str) -> Destinations:
        return self._tables.destinations(table)

    def create_table(self, parameters: Mapping[str, Any]) -> TableFacts:
        answer = self._calls(
            "dynamodb", self._dynamodb.create_table, str(parameters["TableName"]), **parameters
        )
        return facts_of(answer["TableDescription"])

    def backups(self, table: str) -> Backups:
        return self._tables.backups(table)

    def enable_backups(self, table: str) -> None:
        self._tables.enable_backups(table)

    def protect(self, table: str) -> None:
        self._update(table, lambda there: there.deletion_protection, DeletionProtectionEnabled=True)

    def unprotect(self, table: str) -> None:
        self._update(
            table, lambda there: not there.deletion_protection, DeletionProtectionEnabled=False
        )

    def set_class(self, table: str, table_class: str) -> None:
        self._update(table, lambda there: there.table_class == table_class, TableClass=table_class)

    def set_stream(self, table: str, view: str) -> None:
        self._update(
            table,
            lambda there: there.stream_view == view,
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
        )

    def warm(self, table: str, reads: int, writes: int) -> None:
        self._update(
            table,
            lambda there: there.warm_writes >= writes,
            WarmThroughput=_warmth(reads, writes),
        )

    def warm_indexes(self, table: str, units: Mapping[str, tuple[int, int]]) -> None:
        def so(facts: TableFacts) -> bool:
            found = {each["IndexName"]: index_warm_writes(each) for each in facts.global_indexes}
            return all(found.get(name, 0) >= writes for name, (_, writes) in units.items())

        updates = [
            {"Update": {"IndexName": name, "WarmThroughput": _warmth(reads, writes)}}
            for name, (reads, writes) in sorted(units.items())
        ]
        self._update(table, so, GlobalSecondaryIndexUpdates=updates)

    def _update(self, table: str, done: Callable[[TableFacts], bool], **changes: Any) -> None:
        def so() -> bool:
            there = self.table(table)
            return there is not None and done(there)

        with unless(so):
            self._calls("dynamodb", self._dynamodb.update_table, table, TableName=table, **changes)

    def set_capacity(self, table: str, capacity: Capacity) -> None:
        there = self.table(table)
        changes = {} if there is None else capacity_changes(there, capacity)
        if changes or there is None:  # without a table, the call says so
            self._update(table, lambda now: not capacity_changes(now, capacity), **changes)

    def limits(self) -> Limits:
        answer = self._calls("dynamodb", self._dynamodb.describe_limits, "the account's limits")
        return Limits(
            table_writes=int(answer["TableMaxWriteCapacityUnits"]),
            table_reads=int(answer["TableMaxReadCapacityUnits"]),
        )

    def running_imports(self) -> int | None:
        listing = pages(
            self._calls,
            "dynamodb",
            self._dynamodb.list_imports,
            "the account's imports",
            PageSize=PAGE,
        )
        return count_running(listing, "ImportSummaryList", "ImportStatus")

    def key(self, arn: str) -> KeyFacts:
        # KMS finds a key by its ARN in the key's own Region alone.
        far = self._far_kms is not None and self._far_kms.meta.region_name == arn.split(":")[3]
        return (self._far_keys if far else self._keys).look(arn)

    def concurrency(self) -> int | None:
        try:
            answer = self._calls("lambda", self._lambda.get_account_settings, "the account")
        except AccountError:
            return None  # only a hint: no reason to fail
        return int(answer["AccountLimit"]["UnreservedConcurrentExecutions"])

    def consumed_writes(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        return self._metrics.consumed_writes(table, since, until, period)

    def tags(self, table_arn: str) -> Mapping[str, str]:
        return self._tables.tags(table_arn)

    def tag(self, table_arn: str, tags: Mapping[str, str]) -> None:
        self._calls(
            "dynamodb",
            self._dynamodb.tag_resource,
            table_arn,
            ResourceArn=table_arn,
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )

    def expiry(self, table: str) -> TtlStatus:
        return self._tables.expiry(table)

    def set_expiry(self, table: str, attribute: str, on: bool) -> None:
        self._tables.set_expiry(table, attribute, on)

    def drop(self, table: str) -> None:
        try:
            self._calls("dynamodb", self._dynamodb.delete_table, table, TableName=table)
        except AccountError as error:
            if error.code not in MISSING:
                raise

    # -- the import ------------------------------------------------------------------------------

    def import_table(self, request: ImportRequest) -> ImportFacts:
        answer = self._calls(
            "dynamodb",
            self._dynamodb.import_table,
            str(request.table["TableName"]),
            ClientToken=request.token,
            S3BucketSource={
                "S3Bucket": request.bucket,
                "S3BucketOwner": request.bucket_owner,
                "S3KeyPrefix": request.prefix,
            },
            InputFormat="DYNAMODB_JSON",
            InputCompressionType="GZIP",
            TableCreationParameters=request.table,
        )
        return _import_facts(answer["ImportTableDescription"])

    def describe_import(self, arn: str) -> ImportFacts | None:
        try:
            answer = self._calls("dynamodb", self._dynamodb.describe_import, arn, ImportArn=arn)
        except AccountError as error:
            if error.code == "ImportNotFoundException":
                return None
            raise
        return _import_facts(answer["ImportTableDescription"])

    def find_import(self, table_arn: str, prefix: str) -> ImportFacts | None:
        return search_twice(lambda: self._search_imports(table_arn, prefix))

    def _search_imports(self, table_arn: str, prefix: str) -> ImportFacts | None:
        listing = pages(
            self._calls,
            "dynamodb",
            self._dynamodb.list_imports,
            table_arn,
            TableArn=table_arn,
            PageSize=PAGE,
        )
        found = [
            (timestamp(each.get("StartTime")) or 0, each["ImportArn"])
            for answer in listing
            for each in answer.get("ImportSummaryList", [])
            if each.get("S3BucketSource", {}).get("S3KeyPrefix") == prefix
        ]
        return self.describe_import(max(found)[1]) if found else None

    # -- the consumer ----------------------------------------------------------------------------

    def mapping(self, uuid: str) -> EventSource | None:
        try:
            answer = self._calls("lambda", self._lambda.get_event_source_mapping, uuid, UUID=uuid)
        except AccountError as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise
        return mapping_in(answer)

    def enable_mapping(self, uuid: str) -> None:
        self._switch(uuid, True)

    def disable_mapping(self, uuid: str) -> None:
        self._switch(uuid, False)

    def _switch(self, uuid: str, on: bool) -> None:
        try:
            self._calls(
                "lambda",
                self._lambda.update_event_source_mapping,
                uuid,
                UUID=uuid,
                Enabled=on,
            )
        except AccountError as error:
            # A change is in progress, perhaps this call's own with a lost answer: poll again.
            if error.code not in ("ResourceInUseException", "ResourceConflictException"):
                raise


def _warmth(reads: int, writes: int) -> dict[str, int]:
    """Return a WarmThroughput. Unknown reads are left as they are: 0 is refused."""
    known = {"ReadUnitsPerSecond": reads} if reads else {}
    return {**known, "WriteUnitsPerSecond": writes}


def _import_facts(found: dict[str, Any]) -> ImportFacts:
    return ImportFacts(
        arn=found["ImportArn"],
        status=found["ImportStatus"],
        prefix=found.get("S3BucketSource", {}).get("S3KeyPrefix", ""),
        processed_items=int(found.get("ProcessedItemCount", 0)),
        imported_items=int(found.get("ImportedItemCount", 0)),
        processed_bytes=int(found.get("ProcessedSizeBytes", 0)),
        errors=int(found.get("ErrorCount", 0)),
        started=timestamp(found.get("StartTime")),
        ended=timestamp(found.get("EndTime")),
        failure_code=found.get("FailureCode", ""),
        failure=found.get("FailureMessage", ""),
        log_group=found.get("CloudWatchLogGroupArn", ""),
        table_id=found.get("TableId", ""),
    )
