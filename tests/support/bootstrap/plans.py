"""Plans of a fake world: what changes the world, and what blocks a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from bootstrap.core.bulk_facts import BulkFacts
from bootstrap.core.durations import Timing
from bootstrap.core.facts import KeyFacts, TableFacts, TtlStatus
from bootstrap.core.ports import BulkLoads
from bootstrap.core.stack_outputs import Outputs
from bootstrap.plan import plan
from bootstrap.plan.inspection import AdoptedTableClients, Inspection, inspect
from bootstrap.plan.replication import Replication, of_outputs
from replicator.stream import Destination
from tests.support.bootstrap.fake_accounts import FakeScanner, FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import STREAM_ARN, FakeAws, outputs

GB, TB = 10**9, 10**12


class NoLoads:
    """Bulk puts of an account in which none runs, or these."""

    def __init__(self, running: Sequence[BulkFacts] = ()) -> None:
        self._running = running

    def on_table(self, table_arn: str, since: float | None = None) -> Sequence[BulkFacts]:
        return [each for each in self._running if each.table_arn == table_arn]


def observed(
    world: FakeAws, running: Sequence[BulkFacts] = (), **table: Any
) -> tuple[Inspection, Replication]:
    """Inspect the world. `running`: bulk puts of the target account."""
    return observed_by(world, outputs(**table), running)


def observed_by(
    world: FakeAws, stack: Outputs, running: Sequence[BulkFacts] = ()
) -> tuple[Inspection, Replication]:
    """The same with these outputs of the stack."""
    replication = of_outputs(stack, stack.tables[0])
    source, target = FakeSource(world, lambda: None), FakeTarget(world, lambda: None)
    readers = AdoptedTableClients(
        FakeScanner(world, lambda: None), cast(BulkLoads, NoLoads(running))
    )
    seen = inspect(source, target, replication, Timing(), world.clock(), load=readers, full=True)
    return seen, replication


def planned(world: FakeAws, **table: Any) -> plan.Plan:
    return plan.make(*observed(world, **table))


def planned_by(world: FakeAws, stack: Outputs | None = None) -> plan.Plan:
    """The plan by these outputs of the stack."""
    return plan.make(*observed_by(world, stack or outputs()))


def source(**changes: Any) -> Callable[[FakeAws], None]:
    def change(world: FakeAws) -> None:
        world.source = dataclasses.replace(world.source, **changes)

    return change


def having(**changes: Any) -> Callable[[FakeAws], None]:
    def change(world: FakeAws) -> None:
        for name, value in changes.items():
            assert hasattr(world, name)
            setattr(world, name, value)

    return change


def writes(units_a_second: float) -> Callable[[FakeAws], None]:
    return having(writes=lambda begin: units_a_second * 60)


def both(*changes: Callable[[FakeAws], None]) -> Callable[[FakeAws], None]:
    def change(world: FakeAws) -> None:
        for each in changes:
            each(world)

    return change


def local_index(name: str = "latest", by: str = "at", **changes: Any) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": by, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
        **changes,
    }


# Each blocker, and what provokes it. Those of keys: test_plan_keys.py; credentials of another
# account before there are roles: test_trouble.py.
THEIRS = TableFacts("arn", "theirs", "ACTIVE", 1, 1, False)
BLOCKED: dict[str, tuple[Callable[[FakeAws], None], str, str]] = {
    "table missing": (having(source=None), "There is no table orders", "check the table's name"),
    "wrong account": (
        source(arn="arn:aws:dynamodb:eu-west-1:999999999999:table/orders"),
        "credentials lead to arn:aws:dynamodb:eu-west-1:999999999999",
        "--source-profile",
    ),
    "being deleted": (source(status="DELETING"), "is DELETING", "wait"),
    "local indexes": (
        source(local_indexes=[local_index("by-day")]),
        "(by-day)",
        "pulumi config set --path 'tables[0].load' bulk --stack local, then: pulumi up",
    ),
    "streams elsewhere": (
        having(destinations=[Destination("arn:other", "ACTIVE", "MICROSECOND")]),
        "to arn:other",
        "pulumi up",
    ),
    "milliseconds": (
        having(destinations=[Destination(STREAM_ARN, "ACTIVE", "MILLISECOND")]),
        "MILLISECOND",
        "update-kinesis-streaming-destination",
    ),
    "retention": (having(retention_hours=24), "after 24 hours", "retentionHours"),
    "retention of a large table": (
        both(source(size_bytes=80 * TB), having(retention_hours=400)),
        "after 400 hours",
        "retentionHours",
    ),
    "automatic distribution": (
        having(distribution="AUTO"),
        "over its shards by AUTO",
        "--record-distribution-strategy USER_PARTITION_KEY",
    ),
    "record size": (having(record_kib=1_024), "up to 1024 KiB", "pulumi up"),
    "too fast to read": (
        both(
            writes(2_000),
            source(items=1_000, size_bytes=1_000_000),
            having(stream_mode="PROVISIONED"),
        ),
        "never catch up",
        "set shards to 9",
    ),
    "target exists": (having(target=THEIRS), "orders-replica exists already", "another target"),
    "write quota": (
        both(writes(20_000), having(record_kib=10_240)),
        "cost 44000",
        "request-service-quota-increase",
    ),
    "imports": (having(running_imports=50), "50 imports run", "list-imports"),
    "exports": (having(running_exports=300), "300 exports run", "list-exports"),
    "export size": (source(size_bytes=101 * TB), "may be at", "exports in flight"),
    "import objects, by size": (
        source(size_bytes=600 * TB),
        "at least 60,000 objects",
        "source objects",
    ),
    "import objects, by writes": (
        source(warm_writes=50_001_000),
        "at least 50,001 objects",
        "source objects",
    ),
    "busy partition": (having(throttled_partitions=7), "7 writes of the last day", "spread"),
    "import size": (source(size_bytes=200 * TB), "may read", "source size of imports"),
    "concurrency": (having(concurrency=1), "in 2 concurrent batches", "concurrent executions"),
    "mapping gone": (having(mapping_exists=False), "is gone", "pulumi up"),
    "mapping on": (having(mapping_enabled_at=0.0), "switched on already", "--no-enabled"),
    "mapping of another stream": (
        having(mapping_stream="arn:x"),
        "reads arn:x",
        "pulumi state unprotect --yes",
    ),
    "mapping at a later time": (
        having(mapping_position="AT_TIMESTAMP", mapping_starts_at=4e9),
        "is still to come",
        "startAt",
    ),
    "mapping at latest": (having(mapping_position="LATEST"), "at LATEST", "TRIM_HORIZON"),
}


BULK: dict[str, Any] = {"load": "bulk", "adopt": False, "performanceTier": "STANDARD"}
ADOPT: dict[str, Any] = {**BULK, "adopt": True}
THEIRS_ARN = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"


def adoptable(**changes: Any) -> Callable[[FakeAws], None]:
    """Let the target be a table of the user's own with the source's key, and empty."""

    def change(world: FakeAws) -> None:
        assert world.source is not None
        made = TableFacts(
            THEIRS_ARN,
            "theirs",
            "ACTIVE",
            0,
            0,
            False,
            keys=world.source.keys,
            attributes=world.source.attributes,
            global_indexes=world.source.global_indexes,
            local_indexes=world.source.local_indexes,
        )
        world.target = dataclasses.replace(made, **changes)

    return change


OTHER_KEY = [{"AttributeName": "id", "KeyType": "HASH"}]
OURS, OTHER = (f"arn:aws:kms:eu-west-1:222222222222:key/{name}" for name in ("ours", "other"))
KNOWN_KEY = having(keys={OURS: KeyFacts(OURS, "Enabled", None)})
IN_THE_MAKING = [{**local_index("by-day"), "IndexStatus": "CREATING"}]
RUNNING = BulkFacts(f"{THEIRS_ARN}/bulk-operation/1", "IN_PROGRESS", THEIRS_ARN)
BULK_BLOCKED: dict[str, tuple[dict[str, Any], Callable[[FakeAws], None], str, str]] = {
    "taken": (BULK, having(target=THEIRS), "exists already", "'tables[0].adopt' true"),
    "limit": (
        {**BULK, "maxWriteRequestUnits": 50_000},
        having(),
        "maxWriteRequestUnits is 50,000",
        "'tables[0].maxWriteRequestUnits' 40000",
    ),
    "missing": (ADOPT, having(), "and the stack adopts one", "pulumi config rm --path"),
    "not empty": (
        ADOPT,
        both(adoptable(), having(target_items=[{"pk": {"S": "a"}}])),
        "has items",
        "make it anew",
    ),
    "other key": (
        ADOPT,
        adoptable(keys=OTHER_KEY, attributes=[{"AttributeName": "id", "AttributeType": "N"}]),
        "The key of orders-replica is id (N), and that of orders is pk (S)",
        "with the source's key",
    ),
    "replica": (
        ADOPT,
        adoptable(replicas=("us-east-1",)),
        "also in us-east-1",
        "--replica-updates",
    ),
    "old global table": (
        ADOPT,
        adoptable(global_version="2017.11.29"),
        "version 2017.11.29",
        "no global table",
    ),
    "expiry": (
        ADOPT,
        both(adoptable(), having(expiries={"orders-replica": TtlStatus(True, "until")})),
        "Time to live of orders-replica is on",
        "Enabled=false,AttributeName=until",
    ),
    "index in the making": (
        ADOPT,
        adoptable(status="UPDATING", global_indexes=IN_THE_MAKING),
        "is creating an index (by-day)",
        "describe-table",
    ),
    "being deleted": (ADOPT, adoptable(status="DELETING"), "is DELETING", "until it is gone"),
    "changing": (ADOPT, adoptable(status="UPDATING"), "is UPDATING", "describe-table"),
    "stream": (
        ADOPT,
        adoptable(stream_view="NEW_IMAGE"),
        "The DynamoDB stream of orders-replica is on (NEW_IMAGE)",
        "StreamEnabled=false",
    ),
    "destination": (
        ADOPT,
        both(
            adoptable(),
            having(target_destinations=[Destination("arn:theirs", "ACTIVE", "MILLISECOND")]),
        ),
        "streams its changes to arn:theirs",
        "disable-kinesis-streaming-destination",
    ),
    "another key": (
        {**ADOPT, "targetKeyArn": OURS},
        both(adoptable(encryption="KMS", key_arn=OTHER), KNOWN_KEY),
        f"encrypted with {OTHER}, and targetKeyArn is {OURS}",
        f"'tables[0].targetKeyArn' {OTHER}",
    ),
    "no key": (
        {**ADOPT, "targetKeyArn": OURS},
        both(adoptable(), KNOWN_KEY),
        "encrypted with the key that DynamoDB owns",
        "pulumi config rm --path 'tables[0].targetKeyArn'",
    ),
}
"""Each blocker of a bulk load: the table's outputs, and what provokes it."""


CONFIG = """
config:
  dynamodb-replication:source: {accountId: "111111111111", region: eu-west-1, profile: shop}
  dynamodb-replication:target: {accountId: "222222222222", region: eu-central-1}
  dynamodb-replication:operators: {source: [account], target: [account]}
  dynamodb-replication:tables:
    - source: orders
      target: orders-replica
    - source: customers
"""


def stack_file(tmp_path: Path, text: str = CONFIG) -> Path:
    path = tmp_path / "Pulumi.prod.yaml"
    path.write_text(text)
    return path


def planned_before_deployment(world: FakeAws, replication: Replication) -> plan.Plan:
    world.destinations = []
    source_side, target_side = FakeSource(world, lambda: None), FakeTarget(world, lambda: None)
    seen = inspect(source_side, target_side, replication, Timing(), world.clock(), full=True)
    return plan.make(seen, replication)
