"""The lives of two stacks whose table is filled by bulk puts: one is made for it, one adopted."""

from __future__ import annotations

from infra.local.cloud import TARGET
from tests.infra.least_privilege.recorded_run import Stage


def made(stage: Stage) -> None:
    """The run makes the table, and `abandon` deletes it."""
    stage.bootstrap("run")
    stage.bootstrap("abandon", "--yes", "--drop-target")


def adopted(stage: Stage) -> None:
    """The table is there, empty and under its owner's key, and stays."""
    stage.cloud.client("dynamodb", TARGET).create_table(
        TableName=stage.lane["targetTable"],
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        SSESpecification={
            "Enabled": True,
            "SSEType": "KMS",
            "KMSMasterKeyId": stage.lane["targetKeyArn"],
        },
    )
    stage.bootstrap("plan")
    stage.bootstrap("run")
    stage.bootstrap("abandon", "--yes")
