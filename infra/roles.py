"""The roles of the stack, which are all made here."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.stack_config import StackConfig


def declare_role(
    name: str,
    side: str,
    settings: StackConfig,
    accounts: Accounts,
    *,
    description: str,
    trust: pulumi.Output[str],
    parent: pulumi.Resource,
    longest_session: int | None = None,
) -> aws.iam.Role:
    """Declare a role of the source or the target account, without any grant.

    It has the boundary and the path that the account demands of every role. `side`: source or
    target. `longest_session`: seconds; None: IAM's default, an hour.
    """
    account = settings.account(side)
    return aws.iam.Role(
        name,
        description=description,
        assume_role_policy=trust,
        path=account.role_path,
        permissions_boundary=account.permissions_boundary_arn,
        max_session_duration=longest_session,
        opts=pulumi.ResourceOptions(parent=parent, provider=accounts.of(side)),
    )
