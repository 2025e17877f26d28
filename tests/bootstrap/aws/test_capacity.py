"""The capacity of a target after its switch: one request, with what differs."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.target import AwsTarget
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.facts import Capacity, CapacityUnits
from tests.support.bootstrap.fake_aws import TARGET_ARN
from tests.support.fakes.errors import client_error
from tests.support.fakes.requests import check_shape

pytestmark = pytest.mark.promise("C6")

PROVISIONED = Capacity(
    "PROVISIONED",
    CapacityUnits(100, 50),
    {"by-day": CapacityUnits(10, 50), "other": CapacityUnits(1, 1)},
)
LIMITED = Capacity("PAY_PER_REQUEST", CapacityUnits(None, 500), {"by-day": CapacityUnits(40, None)})


class UpdatedTable:
    """DynamoDB with one table, which has an index. `refuses`: as AWS answers a needless change."""

    def __init__(self, *, refuses: bool = False, applies: bool = True) -> None:
        self.asked: list[dict[str, Any]] = []
        self.refuses, self.applies = refuses, applies
        self.table: dict[str, Any] = {
            "TableArn": TARGET_ARN,
            "TableStatus": "ACTIVE",
            "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
            "GlobalSecondaryIndexes": [{"IndexName": "by-day"}],
        }

    def describe_table(self, **_: Any) -> dict[str, Any]:
        return {"Table": self.table}

    def update_table(self, **request: Any) -> dict[str, Any]:
        check_shape("dynamodb", "UpdateTable", request)
        self.asked.append(request)
        if self.applies:
            self._apply(request)
        if self.refuses:
            raise client_error("UpdateTable", "ValidationException", "AWS's words")
        return {"ResponseMetadata": {"HTTPHeaders": {}}}

    def _apply(self, request: dict[str, Any]) -> None:
        if "BillingMode" in request:
            self.table["BillingModeSummary"] = {"BillingMode": request["BillingMode"]}
        for each in ("ProvisionedThroughput", "OnDemandThroughput"):
            if each in request:
                self.table[each] = request[each]
        for each in request.get("GlobalSecondaryIndexUpdates", ()):
            (index,) = self.table["GlobalSecondaryIndexes"]
            index |= each["Update"]


def target(client: UpdatedTable) -> AwsTarget:
    return AwsTarget(Calls(Side.TARGET, "Role importer"), client, None)


@pytest.mark.parametrize("wanted", [PROVISIONED, LIMITED])
def test_a_capacity_is_set_in_one_call_and_not_set_again(wanted: Capacity) -> None:
    client = UpdatedTable()
    target(client).set_capacity("orders-replica", wanted)
    target(client).set_capacity("orders-replica", wanted)
    assert len(client.asked) == 1
    there = target(client).table("orders-replica")
    assert there is not None
    now = Capacity.of(there)
    assert (now.billing_mode, now.table) == (wanted.billing_mode, wanted.table)
    assert now.indexes["by-day"] == wanted.indexes["by-day"]


def test_provisioned_units_are_requested_of_the_table_and_of_every_index_it_has() -> None:
    client = UpdatedTable()
    target(client).set_capacity("orders-replica", PROVISIONED)
    assert client.asked == [
        {
            "TableName": "orders-replica",
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": {"ReadCapacityUnits": 100, "WriteCapacityUnits": 50},
            "GlobalSecondaryIndexUpdates": [
                {
                    "Update": {
                        "IndexName": "by-day",
                        "ProvisionedThroughput": {
                            "ReadCapacityUnits": 10,
                            "WriteCapacityUnits": 50,
                        },
                    }
                }
            ],
        }
    ]


def test_a_maximum_is_taken_off_by_its_own_value() -> None:
    client = UpdatedTable()
    target(client).set_capacity("orders-replica", LIMITED)
    target(client).set_capacity("orders-replica", Capacity("PAY_PER_REQUEST"))
    assert client.asked[1] == {
        "TableName": "orders-replica",
        "OnDemandThroughput": {"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": -1},
    }


def test_a_table_that_has_the_capacity_already_is_not_asked() -> None:
    client = UpdatedTable()
    target(client).set_capacity("orders-replica", Capacity("PAY_PER_REQUEST"))
    assert client.asked == []


def test_a_repetition_after_a_lost_answer_is_no_failure() -> None:
    target(UpdatedTable(refuses=True)).set_capacity("orders-replica", PROVISIONED)


def test_a_refused_capacity_is_reported_in_awss_words() -> None:
    client = UpdatedTable(refuses=True, applies=False)
    with pytest.raises(AccountError, match="AWS's words"):
        target(client).set_capacity("orders-replica", PROVISIONED)
