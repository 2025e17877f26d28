"""The Deny on a target's other writers, as the local cloud enforces it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bootstrap.core.write_deny import WriteDeny, sid, with_deny
from infra.local.bindings import dynamodb as binding
from infra.local.bindings.inputs import Inputs
from infra.local.bindings.request import Request
from infra.local.cloud import TARGET, LocalCloud
from tests.support.infra.clouds import as_role, make_role, make_table, policy

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
        document = with_deny(None, WriteDeny("abc", arn, excepted=excepted))
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
