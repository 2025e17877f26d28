"""Warm throughput of tables and of their indexes, through the gateway that raises it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bootstrap.aws.calls import Calls
from bootstrap.aws.target import AwsTarget
from bootstrap.core.errors import Side
from bootstrap.core.facts import index_warm_reads, index_warm_writes
from infra.local.cloud import TARGET, LocalCloud

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dynamodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud.client("dynamodb", TARGET)


def test_table_and_index_are_born_cold_warmed_apart_and_never_cooled(dynamodb: Any) -> None:
    names = ("pk", "day")
    dynamodb.create_table(
        TableName="orders",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    target = AwsTarget(Calls(Side.TARGET, "the test"), dynamodb, None)

    def warmth() -> tuple[int, int, int]:
        facts = target.table("orders")
        assert facts is not None
        (index,) = facts.global_indexes
        return facts.warm_writes, index_warm_writes(index), index_warm_reads(index)

    assert warmth() == (4_000, 4_000, 12_000)
    target.warm_indexes("orders", {"by-day": (12_000, 9_000)})
    assert warmth() == (4_000, 9_000, 12_000)
    target.warm("orders", 0, 8_000)
    assert warmth() == (8_000, 9_000, 12_000)
    with pytest.raises(ClientError, match="lower than the current"):
        dynamodb.update_table(TableName="orders", WarmThroughput={"WriteUnitsPerSecond": 7_999})
    assert warmth() == (8_000, 9_000, 12_000)
