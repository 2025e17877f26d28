"""The Deny on a target's other writers, as the local cloud enforces it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bootstrap.aws.calls import Calls
from bootstrap.aws.resource_policies import AwsResourcePolicies
from bootstrap.core.errors import Side
from bootstrap.core.write_deny import WriteDeny, sid, with_deny
from bootstrap.run.deny_put import put_deny
from infra.local.bindings import dynamodb as binding
from infra.local.bindings.inputs import Inputs
from infra.local.bindings.request import Request
from infra.local.cloud import TARGET, LocalCloud
from tests.support.infra import bulk_puts
from tests.support.infra.clouds import (
    as_role,
    bulk_client,
    make_bucket,
    make_role,
    make_table,
    policy,
)

pytestmark = pytest.mark.slow

ITEM = {"pk": {"S": "a"}}


def test_only_the_consumer_and_the_importer_write_to_a_target_that_denies_others(
    tmp_path: Path,
) -> None:
    with LocalCloud(tmp_path / "cloud", chaos="policy_spread=0") as cloud:
        root = cloud.client("dynamodb", TARGET)
        name = "orders-replica"
        make_table(root, name)
        clients: dict[str, Any] = {}
        excepted: list[str] = []
        for role in ("consumer-role", "importer", "other"):
            arn = make_role(cloud, TARGET, role, policy((["dynamodb:*"], ["*"])))
            clients[role] = as_role(cloud, TARGET, arn, "dynamodb")
            excepted += [arn] if role != "other" else []
        arn = root.describe_table(TableName=name)["Table"]["TableArn"]
        document = with_deny(None, WriteDeny("abc", arn, excepted=excepted, bulk=False))
        inputs = Inputs({"resourceArn": arn, "policy": document})
        request = Request(
            "write-fence",
            inputs,
            "local",
            TARGET.account_id,
            TARGET.region,
            lambda service: cloud.client(service, TARGET),
        )
        assert binding.resource_policy(request).id == arn
        shown = json.loads(root.get_resource_policy(ResourceArn=arn)["Policy"])
        assert shown["Statement"][0]["Sid"] == sid("abc")
        for role in ("consumer-role", "importer"):
            clients[role].put_item(TableName=name, Item=ITEM)
            clients[role].transact_write_items(
                TransactItems=[{"Delete": {"TableName": name, "Key": ITEM}}]
            )
        for client in (clients["other"], root):
            with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
                client.put_item(TableName=name, Item=ITEM)
            assert client.scan(TableName=name)["Items"] == []


@pytest.mark.parametrize("takes", [True, False])
def test_the_deny_is_put_with_the_bulk_load_where_the_cloud_takes_it_and_without_it_elsewhere(
    tmp_path: Path, takes: bool
) -> None:
    bulk = "policies=on" if takes else ""
    with LocalCloud(tmp_path / "cloud", chaos="policy_spread=0", bulk=bulk) as cloud:
        root = bulk_client(cloud, TARGET)
        for bucket in (bulk_puts.INPUT, bulk_puts.OUTPUT):
            make_bucket(cloud, TARGET, bucket)
        arn = make_table(root, "orders")
        bulk_puts.offer(cloud, "orders", [bulk_puts.item("a")])
        policies = AwsResourcePolicies(Calls(Side.TARGET, "root"), root)
        deny = WriteDeny("abc", arn)
        assert put_deny(policies, policies.read(arn), None, deny) is takes
        with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
            root.put_item(TableName="orders", Item=ITEM)
        if takes:
            with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
                bulk_puts.start(root, "orders")
        else:
            began = bulk_puts.start(root, "orders")
            assert bulk_puts.ended(root, began["BulkOperationArn"])["ProcessedItemCount"] == 1
