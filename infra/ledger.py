"""Target account and Region: the ledger of the versions that have been applied."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.place_keys import PlaceKey
from infra.stack_config import StackConfig
from infra.table_config import TableConfig


def encryption(key: PlaceKey | None) -> aws.dynamodb.TableServerSideEncryptionArgs | None:
    """Return a table's encryption with a customer-managed key; None: with DynamoDB's own."""
    if key is None:
        return None
    return aws.dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=key.arn)


class LedgerTable(pulumi.ComponentResource):
    """One entry per key, and the consumer's settings row. Deletes leave an entry too."""

    arn: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(
        self,
        table: TableConfig,
        settings: StackConfig,
        accounts: Accounts,
        *,
        key: PlaceKey | None,
        key_grants: Sequence[pulumi.Resource],
    ) -> None:
        """`key_grants`: of the roles to use the key."""
        name = f"{table.prefix}-ledger"
        super().__init__("replication:index:Ledger", name)
        ledger = aws.dynamodb.Table(
            name,
            region=settings.target.region,
            billing_mode="PAY_PER_REQUEST",
            hash_key="k",
            attributes=[{"name": "k", "type": "B"}],
            ttl={"attribute_name": "x", "enabled": True},
            point_in_time_recovery={"enabled": True},
            server_side_encryption=encryption(key),
            deletion_protection_enabled=settings.protects(table),
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=accounts.target,
                protect=settings.protects(table),
                # Both belong to the operator's tool: a paused table must not lose entries while
                # changes wait for it, and warm throughput, once raised, cannot be lowered.
                ignore_changes=["ttl", "warmThroughput"],
                depends_on=[*key_grants],
            ),
        )
        self.arn, self.name = ledger.arn, ledger.name
        self.register_outputs({"name": self.name})
