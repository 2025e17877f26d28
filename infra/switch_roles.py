"""The roles that change tables' resource policies, with all their permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.monitoring.notifications import Notifications
from infra.monitoring.role_use import RoleUse
from infra.policies import assumed_by
from infra.role_grants import declare_grants
from infra.roles import declare_role
from infra.stack_arns import SharedArns
from infra.stack_config import StackConfig
from infra.table_stack import TableStack

SESSION_SECONDS = 3600
"""The shortest that IAM allows for a role's longest session (API reference, CreateRole)."""


def declare_switch_roles(
    settings: StackConfig,
    accounts: Accounts,
    shared: pulumi.Output[SharedArns],
    stacks: Sequence[TableStack],
    notifications: Notifications,
) -> Mapping[str, aws.iam.Role]:
    """Declare the roles, and the messages about their use; return them by side."""
    if not settings.has_switch_roles:
        return {}
    roles = SwitchRoles("replication-switch", settings, accounts, shared, stacks).by_side
    if roles:
        RoleUse("replication-switch-use", settings, accounts, notifications, roles)
    return roles


class SwitchRoles(pulumi.ComponentResource):
    """In each account a role for the Deny on writers, where the configuration asks for it.

    Declared only where it asks for one in either account.
    """

    by_side: Mapping[str, aws.iam.Role]
    """By `source` and `target`; without a side that has none."""

    def __init__(
        self,
        name: str,
        settings: StackConfig,
        accounts: Accounts,
        shared: pulumi.Output[SharedArns],
        stacks: Sequence[TableStack],
    ) -> None:
        super().__init__("replication:index:SwitchRoles", name)
        who = settings.switch_principals
        made = {}
        for side, principals in (("source", who.source), ("target", who.target)):
            tables = settings.switch_tables(side)
            if not tables:
                continue
            made[side] = declare_role(
                f"{name}-{side}",
                side,
                settings,
                accounts,
                description="Changes resource policies of replicated tables, for a switch",
                trust=assumed_by(principals, settings.operators.external_id, mfa=who.mfa),
                parent=self,
                longest_session=SESSION_SECONDS,
            )
            declare_grants(
                f"{name}-{side}-grants",
                f"switch-{side}",
                made[side],
                settings,
                shared,
                [stack for stack in stacks if stack.table in tables],
                pulumi.ResourceOptions(parent=self, provider=accounts.of(side)),
            )
        self.by_side = made
        self.register_outputs({})
