"""Requests to AWS, recorded and checked against botocore's model of the API."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from tests.support.bootstrap.fake_aws import SOURCE_ARN
from tests.support.fakes.requests import check_shape

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


EXPORT = {"ExportArn": f"{SOURCE_ARN}/export/1", "ExportStatus": "IN_PROGRESS", "S3Prefix": "p/1"}


IMPORT = {"ImportArn": f"{SOURCE_ARN}/import/1", "ImportStatus": "IN_PROGRESS"}


TABLE = {"TableArn": SOURCE_ARN, "TableStatus": "ACTIVE"}


SHARD = {"HashKeyRange": {"StartingHashKey": "0"}}


OPEN = {"ShardId": "b", **SHARD, "SequenceNumberRange": {}}


CLOSED = {"ShardId": "a", **SHARD, "SequenceNumberRange": {"EndingSequenceNumber": "9"}}


ANSWERS: dict[str, Any] = {
    "describe_table": {"Table": TABLE},
    "describe_time_to_live": {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}},
    "describe_scalable_targets": {"ScalableTargets": []},
    "get_resource_policy": {"Policy": "{}", "RevisionId": "1"},
    "describe_contributor_insights": {"ContributorInsightsStatus": "DISABLED"},
    "describe_continuous_backups": {"ContinuousBackupsDescription": {}},
    "export_table_to_point_in_time": {"ExportDescription": EXPORT},
    "describe_export": {"ExportDescription": EXPORT},
    "list_exports": {"ExportSummaries": [{"ExportArn": EXPORT["ExportArn"]}]},
    "describe_stream_summary": {
        "StreamDescriptionSummary": {
            "StreamStatus": "ACTIVE",
            "StreamCreationTimestamp": NOW,
            "RetentionPeriodHours": 8760,
        }
    },
    "list_shards": {"Shards": [OPEN, CLOSED]},
    "put_records": {
        "Records": [{"ErrorCode": "ProvisionedThroughputExceededException"}, {"ShardId": "b"}]
    },
    "get_metric_statistics": {"Datapoints": [{"Timestamp": NOW, "Maximum": 3.0, "Sum": 3.0}]},
    "import_table": {"ImportTableDescription": IMPORT},
    "describe_key": {"KeyMetadata": {"KeyState": "Enabled"}},
    "get_key_policy": {"Policy": "{}"},
    "list_aliases": {"Aliases": [{"AliasName": "alias/aws/dynamodb"}]},
    "describe_import": {"ImportTableDescription": IMPORT},
    "list_imports": {
        "ImportSummaryList": [
            {
                "ImportArn": f"{SOURCE_ARN}/import/1",
                "StartTime": NOW,
                "S3BucketSource": {"S3KeyPrefix": "p/"},
            }
        ]
    },
}


DATE = {"ResponseMetadata": {"HTTPHeaders": {"date": "Thu, 01 Jan 2026 00:00:00 GMT"}}}


class Recorder:
    """A client that answers from the table above, and keeps what it was asked."""

    def __init__(self, service: str, asked: list[tuple[str, dict[str, Any]]]) -> None:
        self._service = service
        self._asked = asked

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        def call(**request: Any) -> dict[str, Any]:
            operation = "".join(part.capitalize() for part in method.split("_"))
            check_shape(self._service, operation, request)
            self._asked.append((operation, request))
            return {**ANSWERS.get(method, {}), **DATE}

        return call
