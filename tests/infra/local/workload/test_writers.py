"""The writers' process while a policy refuses its writes for a time."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path

import pytest

from infra.local import setup
from infra.local.cloud import SOURCE, LocalCloud
from infra.local.data.item_source import GeneratedItems
from infra.local.workload.stats import WINDOW
from infra.local.workload.writers import Writers, WriterSettings
from tests.support.infra.clouds import until


def fence(arn: str, begin: float, end: float) -> str:
    """A policy that denies every write between two times, in epoch seconds."""
    between = {"DateGreaterThan": begin, "DateLessThan": end}
    condition = {
        operator: {"aws:CurrentTime": datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat()}
        for operator, at in between.items()
    }
    actions = [f"dynamodb:{name}" for name in ("BatchWriteItem", "DeleteItem", "PutItem")]
    statement = {
        "Sid": "Fence",
        "Effect": "Deny",
        "Principal": "*",
        "Action": [*actions, "dynamodb:UpdateItem"],
        "Resource": arn,
        "Condition": condition,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.slow
def test_writers_outlive_a_fence_and_count_what_it_refused(tmp_path: Path) -> None:
    source = GeneratedItems(1, int(time.time()), 200)
    with LocalCloud(tmp_path / "cloud", chaos="policy_spread=1") as cloud:
        dynamodb = cloud.client("dynamodb", SOURCE)
        setup.create_table(dynamodb, source.shape)
        setup.seed(dynamodb, source.shape.name, map(source.item, range(200)), source.shape.keys)
        arn = dynamodb.describe_table(TableName=source.shape.name)["Table"]["TableArn"]
        settings = WriterSettings(
            table=source.shape.name,
            item_source=source.as_json(),
            counts=str(tmp_path / "counts.jsonl"),
            seed=1,
            rate=60,
        )
        writers = Writers(settings, tmp_path, cloud.environment())
        try:
            until(lambda: writers.counts().total > 10, "the writers write", 60)
            begin = time.time() + 2
            end = begin + 3
            dynamodb.put_resource_policy(ResourceArn=arn, Policy=fence(arn, begin, end))
            until(lambda: writers.counts().between(end + 1).total > 10, "they write again", 60)
            writers.stop()
        finally:
            writers.close()
    counts = writers.counts()
    # A count carries the time at which its call ended; a call takes less than a second.
    inside = counts.between(begin + 1, end - WINDOW)
    assert sum(inside.refused.values()) > 10
    assert inside.writes_by_kind == {}
    outside = [counts.between(0, begin - WINDOW), counts.between(end + 1)]
    assert [each.refused for each in outside] == [{}, {}]
    assert counts.failed == {}
