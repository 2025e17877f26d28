"""A CloudWatch that answers with given datapoints."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from bootstrap.aws.calls import Calls
from bootstrap.aws.usage import Metrics
from bootstrap.core.errors import Side


class CloudWatch:
    """Answers with datapoints, and keeps what it was asked."""

    def __init__(self, *points: dict[str, Any], code: str = "") -> None:
        self.points, self.code = points, code
        self.asked: list[dict[str, Any]] = [{}]

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        if self.code:
            raise ClientError({"Error": {"Code": self.code}}, "GetMetricStatistics")
        return {"Datapoints": list(self.points)}


def metrics(cloudwatch: CloudWatch) -> Metrics:
    return Metrics(Calls(Side.TARGET, "Role importer"), cloudwatch)
