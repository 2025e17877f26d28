"""The writer suite again, through botocore, against the emulator: the fake is no softer than it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import TARGET as TARGET_ACCOUNT
from infra.local.cloud import LocalCloud
from replicator.call_context import CallContext
from replicator.consumer.ledger import LedgerWriter
from replicator.consumer.writer import ConditionalWriter
from tests.support.fakes.errors import Call, Faults
from tests.support.replicator.consumer_harness import ConsumerHarness, Item
from tests.support.replicator.writer_conformance import WriterConformance

pytestmark = [pytest.mark.slow, pytest.mark.promise("C1", "C2", "C4")]
numbers = itertools.count()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    directory: Path = tmp_path_factory.mktemp("cloud")
    with LocalCloud(directory) as cloud:
        yield cloud


class Through:
    """A real client with the fakes' hook for faults around it."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.faults = Faults()

    def _call(self, operation: str, method: str, request: Any) -> Any:
        call = Call("dynamodb", operation, request, 0)
        self.faults.before(call)
        try:
            return getattr(self._client, method)(**request)
        finally:
            self.faults.after(call)

    def transact_write_items(self, **request: Any) -> Any:
        return self._call("TransactWriteItems", "transact_write_items", request)

    def batch_get_item(self, **request: Any) -> Any:
        return self._call("BatchGetItem", "batch_get_item", request)

    def put_item(self, **request: Any) -> Any:
        return self._call("PutItem", "put_item", request)


class EmulatorHarness:
    """Real tables, virtual time."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.client = cloud.client("dynamodb", TARGET_ACCOUNT)
        self.through = Through(self.client)
        self.world = ConsumerHarness()
        number = next(numbers)
        self.target, self.ledger = f"target-{number}", f"ledger-{number}"
        for table, key, kind in ((self.target, "pk", "S"), (self.ledger, "k", "B")):
            self.client.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind}],
                BillingMode="PAY_PER_REQUEST",
            )
            self.client.get_waiter("table_exists").wait(TableName=table)
        self.writer: ConditionalWriter = self.another()

    def another(self) -> ConditionalWriter:
        return LedgerWriter(
            self.through,
            target_table=self.target,
            ledger_table=self.ledger,
            runtime=self.world.runtime,
        )

    def image(self, key: str) -> Item | None:
        found: Item | None = self.client.get_item(
            TableName=self.target, Key={"pk": {"S": key}}, ConsistentRead=True
        ).get("Item")
        return found

    def set_faults(self, faults: Faults) -> None:
        self.through.faults = faults

    def context(self, seconds: float = 60, **more: Any) -> CallContext:
        return self.world.context(seconds, **more)


class TestLedgerGuardOnTheLocalCloud(WriterConformance):
    @pytest.fixture
    def harness(self, cloud: LocalCloud) -> EmulatorHarness:
        return EmulatorHarness(cloud)
