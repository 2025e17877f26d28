"""The roles of the stack, which are all made here."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts


def declare_role(
    name: str,
    side: str,
    accounts: Accounts,
    *,
    description: str,
    trust: pulumi.Output[str],
    parent: pulumi.Resource,
    longest_session: int | None = None,
) -> aws.iam.Role:
    """Declare a role of the source or the target account, without any grant.

    `side`: source or target. `longest_session`: seconds; None: IAM's default, an hour.
    """
    return aws.iam.Role(
        name,
        description=description,
        assume_role_policy=trust,
        max_session_duration=longest_session,
        opts=pulumi.ResourceOptions(parent=parent, provider=accounts.of(side)),
    )
