"""A replica in another Region, and new code for the consumer while changes arrive."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from infra import package
from infra.local.cloud import REPOSITORY, SOURCE, TARGET, LocalAccount, LocalCloud
from infra.local.deploy import deploy

pytestmark = [pytest.mark.slow, pytest.mark.promise("C1", "C4")]

FAR = LocalAccount(TARGET.account_id, "us-east-1")
PATIENCE = 120.0
RELEASES = 4


@dataclass
class Replica:
    """A table of eu-west-1 with its replica in us-east-1."""

    cloud: LocalCloud
    outputs: dict[str, Any]
    said: str

    @property
    def table(self) -> dict[str, Any]:
        table: dict[str, Any] = self.outputs["tables"][0]
        return table

    def items(self, account: LocalAccount, table: str) -> dict[str, Any]:
        pages = self.cloud.client("dynamodb", account).get_paginator("scan")
        found = pages.paginate(TableName=table, ConsistentRead=True)
        return {item["pk"]["S"]: item for page in found for item in page["Items"]}

    def differences(self) -> set[str]:
        """Return the keys whose items are not the same on both sides."""
        here = self.items(SOURCE, "orders")
        there = self.items(FAR, self.table["targetTable"])
        return {key for key in here | there if here.get(key) != there.get(key)}

    def settle(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while differing := self.differences():
            assert time.monotonic() < deadline, f"{len(differing)} keys still differ"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    directory = tmp_path_factory.mktemp("far")
    with LocalCloud(directory, target=FAR) as cloud:
        dynamodb = cloud.client("dynamodb", SOURCE)
        dynamodb.create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        for n in range(100):
            dynamodb.put_item(TableName="orders", Item={"pk": {"S": f"{n}"}, "v": {"N": "0"}})
        sides = {
            side: {"accountId": account.account_id, "region": account.region}
            for side, account in (("source", SOURCE), ("target", FAR))
        }
        values = deploy(cloud, {**sides, "tables": [{"source": "orders"}]})
        (directory / "outputs.json").write_text(json.dumps(values))
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "bootstrap", "run"),
                *("--outputs", str(directory / "outputs.json")),
                *("--source-profile", "source", "--target-profile", "target"),
            ],
            cwd=REPOSITORY,
            env=cloud.environment(),
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        yield Replica(cloud, values, ran.stdout)


def test_c1_a_replica_in_another_region_equals_its_source(replica: Replica) -> None:
    assert "REPLICATING" in replica.said
    dynamodb = replica.cloud.client("dynamodb", SOURCE)
    dynamodb.put_item(TableName="orders", Item={"pk": {"S": "new"}, "v": {"N": "1"}})
    dynamodb.delete_item(TableName="orders", Key={"pk": {"S": "7"}})
    replica.settle()
    assert len(replica.items(FAR, replica.table["targetTable"])) == 100


def test_the_machinery_of_a_far_replica_stands_where_its_neighbours_are(replica: Replica) -> None:
    """Function and on-failure bucket with the stream, all else with the target."""
    table, cloud = replica.table, replica.cloud
    assert table["consumerRegion"] == SOURCE.region
    assert cloud.client("lambda", TARGET).get_function(FunctionName=table["functionName"])
    far = cloud.client("dynamodb", FAR)
    for name in (table["targetTable"], table["ledgerTable"], replica.outputs["journalTable"]):
        assert name in far.list_tables()["TableNames"]
        assert name not in cloud.client("dynamodb", TARGET).list_tables()["TableNames"]
    places = {
        table["onFailureBucket"]: SOURCE.region,
        table["quarantineBucket"]: FAR.region,
        replica.outputs["snapshotBucket"]: FAR.region,
    }
    for bucket, region in places.items():
        place = cloud.client("s3", FAR).get_bucket_location(Bucket=bucket)["LocationConstraint"]
        assert (place or "us-east-1") == region


class Writer(threading.Thread):
    """Writes, changes and deletes until stopped; counts what it did."""

    def __init__(self, cloud: LocalCloud) -> None:
        super().__init__(daemon=True)
        self._dynamodb = cloud.client("dynamodb", SOURCE)
        self._stop_asked = threading.Event()
        self.written = 0

    def run(self) -> None:
        while not self._stop_asked.wait(0.005):
            self.written += 1
            key = {"pk": {"S": f"busy-{self.written % 80}"}}
            if self.written % 9 == 0:
                self._dynamodb.delete_item(TableName="orders", Key=key)
            else:
                item = {**key, "v": {"N": f"{self.written}"}}
                self._dynamodb.put_item(TableName="orders", Item=item)

    def __enter__(self) -> Writer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_asked.set()
        self.join()


def release(number: int) -> bytes:
    """Return the consumer's archive as another release of it: one more file."""
    folder, file = package.build("local").folder, io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in folder.rglob("*"):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
        archive.writestr("release.txt", str(number))
    return file.getvalue()


def test_c3_new_code_under_load_loses_nothing(replica: Replica) -> None:
    lambda_ = replica.cloud.client("lambda", TARGET)
    name, hashes = replica.table["functionName"], set()
    with Writer(replica.cloud) as writer:
        for number in range(RELEASES):
            before = writer.written
            updated = lambda_.update_function_code(FunctionName=name, ZipFile=release(number))
            hashes.add(updated["CodeSha256"])
            deadline = time.monotonic() + PATIENCE
            while writer.written < before + 50:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    assert len(hashes) == RELEASES
    replica.settle()
    quarantined = replica.cloud.client("s3", FAR).list_objects_v2(
        Bucket=replica.table["quarantineBucket"]
    )
    assert quarantined["KeyCount"] == 0
