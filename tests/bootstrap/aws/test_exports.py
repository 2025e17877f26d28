"""Facts of exports, read from DescribeExport."""

from __future__ import annotations

from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.exports import TableExports
from bootstrap.core.errors import Side


class DynamoDb:
    """A client with one export in a bucket of its own."""

    def describe_export(self, **request: Any) -> dict[str, Any]:
        return {
            "ExportDescription": {
                "ExportArn": request["ExportArn"],
                "ExportStatus": "COMPLETED",
                "S3Bucket": "elsewhere",
                "S3Prefix": "nightly",
            }
        }


def test_export_is_described_with_bucket_and_prefix() -> None:
    exports = TableExports(Calls(Side.SOURCE, "Role exporter"), DynamoDb())
    facts = exports.describe("arn:aws:dynamodb:eu-west-1:111111111111:table/orders/export/1")
    assert facts is not None
    assert (facts.bucket, facts.prefix) == ("elsewhere", "nightly")
