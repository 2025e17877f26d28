"""The policy that denies other writers on a target table, where the configuration asks for it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.consumer import ConsumerRole
from infra.policies import Text, deny_to_all_but
from infra.stack_config import StackConfig
from infra.table_config import TableConfig

WRITES = (
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
)
"""Every action that changes an item. A transaction is authorised by its action on each."""


class TargetWriteDeny(pulumi.ComponentResource):
    """A resource policy on the target table, which the import has to have made before.

    It denies, and so binds administrators of the account too; a switch to the replica removes it.
    The importer may write, for `quarantine redrive --direct`.
    """

    def __init__(
        self,
        table: TableConfig,
        settings: StackConfig,
        accounts: Accounts,
        *,
        consumer: ConsumerRole,
        importer: Text,
    ) -> None:
        name = f"{table.prefix}-write-fence"
        super().__init__("replication:index:WriteFence", name)
        arn = settings.target.table_arn(table.target)
        aws.dynamodb.ResourcePolicy(
            name,
            region=settings.target.region,
            resource_arn=arn,
            policy=deny_to_all_but([consumer.arn, importer], WRITES, [arn]),
            opts=pulumi.ResourceOptions(parent=self, provider=accounts.target),
        )
        self.register_outputs({})
