"""One account's half of a stack, for its owner to review: `python -m infra.review`.

It prints what the stack makes in one account, and every policy in full, read off what the program
declares for the stack file. It calls no AWS and needs no credentials and no Pulumi.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.dry_run import DeclaredResource, DryRun
from infra.resource_names import SUFFIX
from infra.stack_config import StackConfig, plain_values

SIDES = ("source", "target")
ENDS = "-…"
"""In place of what Pulumi appends to a name."""
POLICIES: Mapping[str, str] = {
    "assumeRolePolicy": "who may assume it",
    "policy": "its policy",
}
"""Arguments that hold a policy."""


def review(config: Mapping[str, Any], side: str, *, stack: str) -> str:
    """Return the text about one account: `source` or `target`.

    `config`: the plain values of a stack file.
    """
    ran = DryRun.of(config, stack=stack)
    mine = sorted(
        (each for each in ran.resources if each.side == side),
        key=lambda each: (_kind(each), each.name),
    )
    place, other = config[side], config[next(each for each in SIDES if each != side)]
    lines = [
        f"Stack {stack} in the {side} account {place['accountId']}, {place['region']}.",
        f"Pulumi puts seven digits of its own in the place of {ENDS} at the end of a name.",
        "",
        f"What account {other['accountId']} may do here:",
        *(_indented(_crossing(mine, str(other["accountId"]))) or ["  nothing"]),
        "",
        f"Resources ({len(mine)}):",
        *(f"  {_kind(each):28} {_region(each, place):14} {each.name}" for each in mine),
        "",
        "Policies:",
    ]
    for each in mine:
        for argument, what in POLICIES.items():
            if argument in each.values:
                document = json.dumps(json.loads(each.values[argument]), indent=1)
                whose = f" of role {each.values['role']}" if "role" in each.values else ""
                lines += ["", f"{_kind(each)} {each.name}{whose}, {what}:", document]
    text = "\n".join(lines)
    return text.replace(SUFFIX, ENDS)


def _crossing(resources: Sequence[DeclaredResource], other: str) -> Iterator[str]:
    """List what policies of these resources let principals of the other account do."""
    for each in resources:
        for argument in POLICIES:
            if argument not in each.values:
                continue
            for statement in json.loads(each.values[argument])["Statement"]:
                for principal in _principals(statement):
                    if f"::{other}:" in principal:
                        given = statement["Action"]
                        actions = given if isinstance(given, str) else ", ".join(given)
                        yield f"{principal}: {actions} (by {_kind(each)} {each.name})"


def _principals(statement: Mapping[str, Any]) -> list[str]:
    named = statement.get("Principal")
    if statement["Effect"] != "Allow" or not isinstance(named, dict):
        return []
    found = named.get("AWS", [])
    return [found] if isinstance(found, str) else list(found)


def _kind(resource: DeclaredResource) -> str:
    return resource.type.rpartition(":")[2]


def _region(resource: DeclaredResource, place: Mapping[str, Any]) -> str:
    if resource.type.startswith("aws:iam/"):
        return "global"
    return str(resource.values.get("region") or place["region"])


def _indented(lines: Iterator[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.review", description=__doc__)
    parser.add_argument(
        "--config", type=Path, required=True, help="the stack file, such as Pulumi.prod.yaml"
    )
    parser.add_argument("--side", choices=SIDES, required=True, help="the account to review")
    given = parser.parse_args()
    try:
        StackConfig.read(given.config)
        values, _ = plain_values(given.config)
    except (OSError, ValueError) as error:
        sys.exit(f"{given.config}: {error}")
    stack = given.config.name.removeprefix("Pulumi.").removesuffix(".yaml")
    sys.stdout.write(review(values, given.side, stack=stack) + "\n")


if __name__ == "__main__":
    main()
