"""A stack of an older program on its way to a switch, and after it: what an `up` leaves alone."""

from __future__ import annotations

import functools
import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.write_deny import WriteDeny, stacks_deny, with_deny
from infra.local.cloud import LocalCloud
from tests.pulumi_engine.cli import PulumiCli
from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine, EngineStack, RefusedError
from tests.pulumi_engine.restored import restore
from tests.support.infra.clouds import make_table

pytestmark = [
    pytest.mark.slow,
    pytest.mark.promise("C9"),
    pytest.mark.filterwarnings(*OPEN_COROUTINES),
]

RECORDED = Path(__file__).resolve().parent / "states" / "c64db66.json.gz"
"""Configuration and state that the program of commit c64db66 left, with denyOtherWriters."""
TARGET = "orders-replica"
OLD, NEW = "replicate-orders-write-fence", "replicate-orders-write-deny"
DESTINATION = "replicate-{}-buffer-destination"
CHANGES = {"dynamodb:DeleteResourcePolicy", "dynamodb:PutResourcePolicy"}


class World:
    """The stack, and what a switch changes in the local cloud."""

    def __init__(self, engine: Engine, stack: EngineStack, recording: Path) -> None:
        self.engine, self.stack, self._recording = engine, stack, recording
        self.here = engine.cloud.client("dynamodb", engine.cloud.source)
        self.there = engine.cloud.client("dynamodb", engine.cloud.target)
        self.lambda_ = engine.cloud.client("lambda", engine.cloud.target)
        self.target_arn = f"arn:aws:dynamodb:eu-west-1:222222222222:table/{TARGET}"

    def policy_changes(self) -> list[str]:
        """Return each change of a table's policy since the cloud began, by action and ARN."""
        calls = map(json.loads, self._recording.read_text().splitlines())
        return [f"{c['action']} {c['resource']}" for c in calls if c["action"] in CHANGES]

    def target_policy(self) -> dict[str, Any]:
        found: dict[str, Any] = self.there.get_resource_policy(ResourceArn=self.target_arn)
        return {key: found[key] for key in ("Policy", "RevisionId")}

    def table(self, name: str) -> dict[str, Any]:
        """Return the stack's outputs about a table."""
        tables = self.stack.outputs()["tables"]
        [found] = [table for table in tables if table["sourceTable"] == name]
        return dict(found)

    def set_run(self, table: str, state: str, *, finished: bool = False) -> None:
        """Write the row of a table's run, as the operator's tool does."""
        after = json.dumps({"done": ["open-target"], "finished_at": 1.0 if finished else 0})
        self.there.put_item(
            TableName=self.stack.outputs()["journalTable"],
            Item={
                "pk": {"S": table},
                "sk": {"S": "run"},
                "state": {"S": state},
                "record:after-switch": {"S": after},
            },
        )

    def stop_destination(self, table: str) -> None:
        stream = self.table(table)["streamArn"]
        self.here.disable_kinesis_streaming_destination(TableName=table, StreamArn=stream)
        settle(lambda: self.destinations(table) == ["DISABLED"])

    def destinations(self, table: str) -> list[str]:
        found = self.here.describe_kinesis_streaming_destination(TableName=table)
        return [each["DestinationStatus"] for each in found["KinesisDataStreamDestinations"]]

    def facts(self, table: str, target: str) -> dict[str, Any]:
        """Return all that a switch sets of a pair of tables."""
        found: dict[str, Any] = {}
        for side, client, name in (("source", self.here, table), ("target", self.there, target)):
            described = client.describe_table(TableName=name)["Table"]
            arn = described["TableArn"]
            found[side] = {
                "mode": described.get("BillingModeSummary"),
                "units": described["ProvisionedThroughput"],
                "expiry": client.describe_time_to_live(TableName=name)["TimeToLiveDescription"],
                "policy": client.get_resource_policy(ResourceArn=arn)["Policy"],
            }
        found["destinations"] = self.destinations(table)
        uuid = self.table(table)["mappingUuid"]
        found["mapping"] = self.lambda_.get_event_source_mapping(UUID=uuid)["State"]
        return found


@pytest.fixture(scope="module")
def world(cli: PulumiCli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The older program's stack, whose target's policy has a statement of the user's as well."""
    folder = tmp_path_factory.mktemp("switch")
    with LocalCloud(folder / "cloud", recording=folder / "calls.jsonl") as cloud:
        for account, names in (
            (cloud.source, ("orders", "customers")),
            (cloud.target, (TARGET, "customers")),
        ):
            for name in names:
                make_table(cloud.client("dynamodb", account), name)
        engine = Engine(cli, cloud, folder)
        text = gzip.decompress(RECORDED.read_bytes()).decode()
        record = json.loads(text.replace("{archive}", str(engine.archive)))
        stack = engine.stack("upgrade")
        stack.load(restore({"resources": record["resources"]}, cloud))
        stack.configure(engine.config(*record["tables"], switch=True))
        world = World(engine, stack, folder / "calls.jsonl")
        theirs = json.loads(world.target_policy()["Policy"])
        statements = theirs["Statement"]
        own = {
            "Sid": "Ours",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
            "Action": "dynamodb:GetItem",
            "Resource": world.target_arn,
        }
        listed = statements if isinstance(statements, list) else [statements]
        world.there.put_resource_policy(
            ResourceArn=world.target_arn, Policy=json.dumps({**theirs, "Statement": [*listed, own]})
        )
        settle(lambda: "Ours" in world.target_policy()["Policy"])
        yield world


def settle(shown: Callable[[], bool]) -> None:
    """Wait until the local cloud shows a change: like AWS's, it is late."""
    deadline = time.monotonic() + 30
    while not shown():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def policies(world: World) -> dict[str, bool]:
    """Return the names of the tables' policies in the state: whether their deletion is none."""
    return {
        each["urn"].rpartition("::")[2]: each.get("retainOnDelete", False)
        for each in world.stack.resources()
        if each["type"] == "aws:dynamodb/resourcePolicy:ResourcePolicy"
    }


def test_the_old_deny_leaves_the_state_in_two_ups_and_stands_all_the_time(world: World) -> None:
    before, changes = world.target_policy(), world.policy_changes()
    assert stacks_deny(before["Policy"], world.target_arn)
    assert policies(world) == {OLD: False}

    # An `up` of something else makes nothing of it, whatever its outputs say.
    passing = world.stack.urn("replicate-customers-buffer-stream")
    world.stack.up(target=[passing])
    assert policies(world) == {OLD: False}

    first = world.stack.up()
    assert "delete" not in first.by_operation
    assert policies(world) == {NEW: True}
    assert world.table("orders")["stackOwnsTargetDeny"] is True
    assert (world.target_policy(), world.policy_changes()) == (before, changes)

    second = world.stack.up()
    assert second.by_operation["delete"] == {f"ResourcePolicy {NEW}", f"WriteFence {OLD}"}
    assert policies(world) == {}
    assert world.table("orders")["stackOwnsTargetDeny"] is False
    assert (world.target_policy(), world.policy_changes()) == (before, changes)


def test_an_up_changes_nothing_that_a_switch_has_set(world: World) -> None:
    switched(world, "orders", TARGET)
    world.set_run("orders", "SWITCHED")
    before = world.facts("orders", TARGET)
    assert before["destinations"] == ["ACTIVE"]
    assert world.stack.up().unchanged
    assert world.facts("orders", TARGET) == before


def test_an_up_does_not_stream_a_finished_source_again(world: World) -> None:
    world.stop_destination("orders")
    world.set_run("orders", "SWITCHED", finished=True)
    before = world.facts("orders", TARGET)
    assert world.stack.up().unchanged
    assert world.facts("orders", TARGET) == before
    held = {each["urn"].rpartition("::")[2] for each in world.stack.resources()}
    assert DESTINATION.format("orders") not in held
    assert DESTINATION.format("customers") in held


def test_an_up_does_not_stream_the_source_of_a_promoted_target_again(world: World) -> None:
    """Nothing in the journal says that it was stopped: the first `up` finds it gone, and ends."""
    switched(world, "customers", "customers")
    world.set_run("customers", "PROMOTED")
    world.stop_destination("customers")
    before = world.facts("customers", "customers")
    with pytest.raises(RefusedError, match=DESTINATION.format("customers")):
        world.stack.up()
    assert world.facts("customers", "customers") == before
    world.stack.up()
    assert world.facts("customers", "customers") == before


def switched(world: World, source: str, target: str) -> None:
    """Set by hand what a switch, or a promotion, sets of a pair of tables."""
    for client, name, expires in ((world.here, source, False), (world.there, target, True)):
        described = client.describe_table(TableName=name)["Table"]
        arn = described["TableArn"]
        deny = with_deny(
            None, WriteDeny("abc", arn, only=["arn:aws:iam::222222222222:role/x"], bulk=False)
        )
        client.put_resource_policy(ResourceArn=arn, Policy=deny)
        settle(functools.partial(_shows, client, arn))
        expiry = {"Enabled": expires, "AttributeName": "expires"}
        if expires:
            client.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
            client.update_table(
                TableName=name,
                BillingMode="PROVISIONED",
                ProvisionedThroughput={"ReadCapacityUnits": 7, "WriteCapacityUnits": 9},
            )


def _shows(client: Any, arn: str) -> bool:
    try:
        return "Replicationabc" in client.get_resource_policy(ResourceArn=arn)["Policy"]
    except client.exceptions.PolicyNotFoundException:
        return False
