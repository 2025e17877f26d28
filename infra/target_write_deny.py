"""The Deny on a target's other writers that older programs made: on its way out of the state.

The operator's tool owns the Deny now. An older program made it as a resource, whose deletion would
delete the table's whole policy. It leaves the state in two `up`s: the first says in the state that
its deletion deletes nothing in AWS, the second leaves it out.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.consumer import ConsumerRole
from infra.held_resources import TABLE_POLICY, HeldResources
from infra.policies import Text, deny_to_all_but
from infra.stack_config import StackConfig
from infra.table_config import TableConfig
from infra.table_stack import TableStack

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
    """A resource policy on the target table that no `up` makes, changes or deletes any more.

    The new name is the proof for the second `up`: an engine that has it in its state has it with
    `retain_on_delete`. An `up --target` that passes the resource over keeps the old name.
    """

    @classmethod
    def declared(
        cls,
        settings: StackConfig,
        accounts: Accounts,
        stacks: Sequence[TableStack],
        importer: Text,
        held: HeldResources,
    ) -> set[str]:
        """Declare those that are needed; return the source tables whose Deny the state holds."""
        migrating = set()
        for stack in stacks:
            if cls.is_needed(stack.table, settings, held):
                cls(stack.table, settings, accounts, consumer=stack.role, importer=importer)
                migrating.add(stack.table.source)
        return migrating

    @classmethod
    def is_needed(cls, table: TableConfig, settings: StackConfig, held: HeldResources) -> bool:
        """Tell whether this is the first of the two `up`s: a new stack never makes the resource.

        Where the file asks for no Deny any more, the old resource is left out at once: then its
        policy is deleted, as the older program would have done.
        """
        return settings.denies_other_writers(table) and held.has(TABLE_POLICY, _old_name(table))

    def __init__(
        self,
        table: TableConfig,
        settings: StackConfig,
        accounts: Accounts,
        *,
        consumer: ConsumerRole,
        importer: Text,
    ) -> None:
        super().__init__("replication:index:WriteFence", _old_name(table))
        arn = settings.target.table_arn(table.target)
        aws.dynamodb.ResourcePolicy(
            f"{table.prefix}-write-deny",
            region=settings.target.region,
            resource_arn=arn,
            policy=deny_to_all_but([consumer.arn, importer], WRITES, [arn]),
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=accounts.target,
                aliases=[pulumi.Alias(name=_old_name(table))],
                retain_on_delete=True,
                # What is in AWS stays, also if the operator's tool has adopted it meanwhile.
                ignore_changes=["policy"],
                # If a refresh finds no policy, the engine ends here, instead of making one.
                import_=arn,
            ),
        )
        self.register_outputs({})
        pulumi.log.info(
            f"The Deny on other writers of {table.target} stays. From now on it belongs to the "
            "operator's tool: one more `pulumi up --refresh` takes it out of this stack's state, "
            "and the next `run` adopts it."
        )


def _old_name(table: TableConfig) -> str:
    return f"{table.prefix}-write-fence"
