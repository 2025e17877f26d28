"""The refusal of another path for roles that a switched table's policy names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from infra.run_rows import PRIMARIES, RunRow
from infra.stack_config import StackConfig

NAMED_IN = ("SWITCHING", *PRIMARIES)
"""States of a run in which a table's policy has to keep its hold on exactly these roles."""


def find_moved_roles(
    config: StackConfig, before: Mapping[str, Any], runs: Mapping[str, RunRow]
) -> Iterator[str]:
    """Yield a refusal of another `target.rolePath` during a switch and after it.

    The Deny on the target names the consumer's and the importer's ARN. Roles of another path are
    other roles: during a switch the Deny would stop them, and after it they would be let in.
    """
    known = (before.get("target") or {}).get("importerRoleArn")
    tables = sorted(table for table, run in runs.items() if run.state in NAMED_IN)
    if not known or not tables:
        return
    path, wanted = path_of(known), config.target.role_path or "/"
    if path != wanted:
        yield (
            f"The roles of the stack {pulumi.get_stack()} cannot move to another path now: "
            f"target.rolePath is {wanted}, and the roles are under {path}. The policies of the "
            f"targets of {', '.join(tables)} name them, because these tables are being switched, "
            f"or were.\nTry: put it back: pulumi config set --path target.rolePath {path}"
        )


def path_of(role_arn: str) -> str:
    """Return the path of a role: `/`, or one that begins and ends with a slash."""
    return role_arn.partition(":role")[2].rpartition("/")[0] + "/"
