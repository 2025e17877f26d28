"""The `vpc` section of the stack file: where in a network the functions are."""

from __future__ import annotations

import re
from dataclasses import dataclass

from infra.config_validation import NOT_GIVEN, ConfigReader

MOST_SUBNETS, MOST_SECURITY_GROUPS = 16, 5
"""AWS Lambda API Reference, VpcConfig."""


@dataclass(frozen=True)
class VpcConfig:
    """The subnets and security groups of every function of the stack.

    All are in the target account, in the source's Region, and of one VPC.
    """

    subnet_ids: tuple[str, ...]
    """Of a VPC in the target account, in the source's Region, where the functions are. Two or more
    in different Availability Zones: with one, the functions stand still while its zone does."""
    security_group_ids: tuple[str, ...]
    """Security groups of that VPC. They have to let HTTPS out to the endpoints; nothing comes
    in."""


def read_vpc(top: ConfigReader) -> VpcConfig | None:
    """Read and check the section. None where it is absent."""
    if top.raw("vpc") is NOT_GIVEN:
        return None
    section = top.section("vpc", "write vpc: {subnetIds: [subnet-…], securityGroupIds: [sg-…]}")
    config = VpcConfig(
        subnet_ids=_ids(section, "subnetIds", "subnet", "a subnet", MOST_SUBNETS),
        security_group_ids=_ids(
            section, "securityGroupIds", "sg", "a security group", MOST_SECURITY_GROUPS
        ),
    )
    section.refuse_unknown_keys()
    return config


def _ids(section: ConfigReader, name: str, prefix: str, what: str, most: int) -> tuple[str, ...]:
    fix = f"write {name}: [{prefix}-0123456789abcdef0], with your own ids"
    given = section.sequence(name, fix, required=True)
    for n, value in enumerate(given):
        if not (isinstance(value, str) and re.fullmatch(rf"{prefix}-[0-9a-f]{{8,17}}", value)):
            section.mistakes.add(f"{section.key(name)}[{n}]", value, f"the id of {what}", fix)
        elif value in given[:n]:
            section.mistakes.add(
                f"{section.key(name)}[{n}]", value, "each id once", "remove the duplicate"
            )
    if len(given) > most:
        section.mistakes.add(
            section.key(name),
            f"{len(given)} ids",
            f"up to {most}, which Lambda takes",
            "remove some",
        )
    return tuple(map(str, given))
