"""A stack of ten tables on the local cloud: every request within AWS's limits, and 4 GB."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from infra.local.deploy import deploy
from infra.local.emulator.workers import MOST_PROCESSES
from tests.support.infra.clouds import processes_below, until

pytestmark = pytest.mark.slow

TABLES = [f"tab{n}" for n in range(10)]
SECONDS = 15.0
MOST_KB = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalCloud, dict[str, Any]]]:
    with LocalCloud(tmp_path_factory.mktemp("ten")) as cloud:
        dynamodb = cloud.client("dynamodb", SOURCE)
        for name in TABLES:
            dynamodb.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            )
        sides = {
            side: {"accountId": account.account_id, "region": account.region}
            for side, account in (("source", SOURCE), ("target", TARGET))
        }
        yield cloud, deploy(cloud, {**sides, "tables": [{"source": name} for name in TABLES]})


def resident_kb(group: int) -> int:
    """Sum the resident memory of a process group; pages that are shared count more than once."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            numbers = (process / "stat").read_text().rpartition(") ")[2].split()
            if int(numbers[2]) == group:
                total += int(numbers[21]) * 4
        except OSError:
            continue
    return total


def test_a_stack_of_ten_tables_runs_within_4_gb(
    stack: tuple[LocalCloud, dict[str, Any]],
) -> None:
    cloud, outputs = stack
    lambda_client = cloud.client("lambda", TARGET)
    for table in outputs["tables"]:
        lambda_client.update_event_source_mapping(UUID=table["mappingUuid"], Enabled=True)
        kinesis = cloud.client("kinesis", SOURCE)
        kinesis.put_records(
            StreamName=table["streamName"],
            Records=[{"Data": b"{}", "PartitionKey": str(n)} for n in range(40)],
        )
    most, processes = 0, 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        most = max(most, resident_kb(cloud.process_group))
        processes = max(processes, len(processes_below(cloud.directory / "tmp")))
        time.sleep(0.5)
    # The functions are of one archive, and start from one process that has imported it.
    assert 10 <= processes <= MOST_PROCESSES + 1
    assert most < MOST_KB, f"{most / 1024:,.0f} MB"
    until(lambda: all_rounds(cloud, outputs), "a round of every watchdog", seconds=240)


def all_rounds(cloud: LocalCloud, outputs: dict[str, Any]) -> bool:
    """Return whether every table's watchdog has run to its end at least once."""
    cloudwatch = cloud.client("cloudwatch", TARGET)
    listed = cloudwatch.get_paginator("list_metrics").paginate(Namespace="DynamoDBReplication")
    tables = {
        dimension["Value"]
        for page in listed
        for metric in page["Metrics"]
        for dimension in metric["Dimensions"]
        if dimension["Name"] == "Table"
    }
    return tables >= set(TABLES)
