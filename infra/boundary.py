"""The permissions boundary of an account's roles: `python -m infra.boundary`.

It prints the policy that lets through whatever the roles of a stack may do in one account, read off
what the program declares for the stack file. A boundary grants nothing, so it names no single
table: one policy serves every stack of the same options.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infra.dry_run import DeclaredResource, DryRun
from infra.policy_sizes import MANAGED_POLICY_LIMIT, characters
from infra.stack_config import StackConfig, plain_values
from infra.statements import policy_of

SIDES = ("source", "target")
GRANTS = ("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy")
"""Types of resources whose `policy` a role has."""
OURS = re.compile(r"((?:[^/:]+[/:])*)(replicate|replication)-")
"""The beginning of a resource that the stack makes: kind, path, and the name's first word."""


def boundary(config: Mapping[str, Any], side: str, *, stack: str) -> dict[str, Any]:
    """Return the boundary for the roles of one account: `source` or `target`.

    `config`: the plain values of a stack file.
    """
    actions: dict[str, set[str]] = {}
    for statement in _statements(DryRun.of(config, stack=stack).resources, side):
        for resource in statement["Resource"]:
            actions.setdefault(pattern(resource), set()).update(statement["Action"])
    by_actions: dict[tuple[str, ...], list[str]] = {}
    for resource in sorted(actions):
        by_actions.setdefault(tuple(sorted(actions[resource])), []).append(resource)
    return policy_of(
        [
            {"Effect": "Allow", "Action": list(allowed), "Resource": resources}
            for allowed, resources in by_actions.items()
        ]
    )


def pattern(arn: str) -> str:
    """Return a pattern for all resources that a stack of another table would name instead."""
    if arn == "*":
        return arn
    *place, region, account, resource = arn.split(":", 5)
    ours = OURS.match(resource)
    kind = ours[0] if ours else re.split(r"(?<=[/:])", resource, maxsplit=1)[0]
    return ":".join([*place, "*" if region else "", account, f"{kind}*"])


def _statements(resources: Iterable[DeclaredResource], side: str) -> Iterable[dict[str, Any]]:
    for resource in resources:
        if resource.type in GRANTS and resource.side == side:
            statements = json.loads(resource.values["policy"])["Statement"]
            # What a role's own policy denies, it denies under any boundary.
            yield from (each for each in statements if each["Effect"] == "Allow")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.boundary", description=__doc__)
    parser.add_argument(
        "--config", type=Path, required=True, help="the stack file, such as Pulumi.prod.yaml"
    )
    parser.add_argument(
        "--side", choices=SIDES, required=True, help="the account whose roles get the boundary"
    )
    given = parser.parse_args()
    try:
        StackConfig.read(given.config)
        values, _ = plain_values(given.config)
    except (OSError, ValueError) as error:
        sys.exit(f"{given.config}: {error}")
    stack = given.config.name.removeprefix("Pulumi.").removesuffix(".yaml")
    text = json.dumps(boundary(values, given.side, stack=stack), indent=1)
    print(text)
    if characters(text) > MANAGED_POLICY_LIMIT:
        sys.exit(
            f"This policy has {characters(text)} characters, and IAM allows {MANAGED_POLICY_LIMIT} "
            "in a managed one.\nTry: leave out options of the stack file that are not needed, or "
            "write wider actions for a service, such as kms:*"
        )


if __name__ == "__main__":
    main()
