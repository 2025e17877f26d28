"""The functions in a VPC: where they are, and what their roles need to be there."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.policies import document
from infra.role_policies import declare_policy
from infra.stack_config import StackConfig
from infra.statements import allow, deny

# AWS Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC": the
# permissions of the execution role, by which Lambda keeps the network interfaces.
INTERFACE_ACTIONS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
)
LOOK_ACTIONS = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")


def vpc_of_functions(settings: StackConfig) -> aws.lambda_.FunctionVpcConfigArgs | None:
    """Return the place of the stack's functions. None: outside of any VPC of the account."""
    if settings.vpc is None:
        return None
    return aws.lambda_.FunctionVpcConfigArgs(
        subnet_ids=list(settings.vpc.subnet_ids),
        security_group_ids=list(settings.vpc.security_group_ids),
    )


def network_rights(
    name: str,
    settings: StackConfig,
    role_name: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Declare what a function's role needs for a VPC, if the stack has one.

    The function depends on it, and it is a policy of its own: a function that enters the VPC has it
    before, and one that leaves keeps it until then, because Pulumi deletes last.
    """
    if settings.vpc is None:
        return []
    # In the form that the guide asks for: with a narrower one Lambda may refuse the function.
    everything = settings.target.arn("ec2", "*/*", region=settings.source.region)
    rights = declare_policy(
        name,
        role_name,
        document(
            allow("KeepInterfaces", INTERFACE_ACTIONS, [everything]),
            allow("SeeNetwork", LOOK_ACTIONS, ["*"]),
            # Lambda itself calls these. A call of the function's code carries the function's ARN.
            deny(
                "NotItsOwnCode",
                [*INTERFACE_ACTIONS, *LOOK_ACTIONS],
                ["*"],
                when={"Null": {"lambda:SourceFunctionArn": "false"}},
            ),
        ),
        opts,
        managed=settings.iam.managed_policies,
    )
    return [rights]


def warn_of_two_regions(settings: StackConfig) -> None:
    """Warn where the functions' own VPC cannot have what they need."""
    here, there = settings.source.region, settings.target.region
    if settings.vpc is not None and here != there:
        pulumi.log.warn(
            f"The functions are in a VPC in {here}, and the target is in {there}. No gateway "
            f"endpoint in {here} serves DynamoDB and S3 of {there}: the subnets need a NAT "
            f"gateway, or a way to interface endpoints in {there}. Without it nothing is applied, "
            "and changes wait in the stream. See docs/platform-teams.md, The functions in a VPC."
        )
