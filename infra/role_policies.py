"""A role's policies: inline, or managed and attached to it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.policies import Text
from infra.policy_sizes import INLINE_POLICY_LIMIT, MANAGED_POLICY_LIMIT, characters


def declare_inline(
    name: str, role: Text, policy: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """Declare a policy inside of a role, given by its name; return what grants the rights."""
    text = policy.apply(lambda known: within(known, INLINE_POLICY_LIMIT))
    return aws.iam.RolePolicy(name, role=role, policy=text, opts=opts)


def declare_managed(
    name: str,
    role: Text,
    policy: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
    *,
    description: str,
    after: pulumi.Resource | None = None,
) -> tuple[aws.iam.Policy, aws.iam.RolePolicyAttachment]:
    """Declare a managed policy and attach it to a role. `after`: what has to be changed before."""
    waits = pulumi.ResourceOptions(depends_on=[after] if after else None)
    made = aws.iam.Policy(
        name,
        description=description,
        policy=policy.apply(lambda known: within(known, MANAGED_POLICY_LIMIT)),
        opts=pulumi.ResourceOptions.merge(opts, waits),
    )
    attachment = aws.iam.RolePolicyAttachment(
        f"{name}-attachment", role=role, policy_arn=made.arn, opts=opts
    )
    return made, attachment


def declare_policy(
    name: str,
    role: Text,
    policy: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
    *,
    managed: bool,
) -> pulumi.Resource:
    """Declare a policy of a role; return what grants the rights.

    Inline and managed ones have names of their own: a stack that goes over to the other kind makes
    the new one before the engine, at the end of its `up`, deletes the old one.
    """
    if not managed:
        return declare_inline(name, role, policy, opts)
    _, attachment = declare_managed(
        f"{name}-managed", role, policy, opts, description="Rights of one role"
    )
    return attachment


def within(policy: str, allowed: int) -> str:
    """Return a policy, unless IAM would refuse it for its size.

    Raises:
        pulumi.RunError: with what to do about it.
    """
    size = characters(policy)
    if size > allowed:
        raise pulumi.RunError(
            f"A role needs a policy of {size} characters, and IAM allows {allowed}: "
            "pulumi:autonaming makes names longer than the program counted.\n"
            "Try: make the pattern of pulumi:autonaming shorter, or move some of the tables to a "
            "second stack."
        )
    return policy
