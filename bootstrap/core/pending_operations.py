"""Operations that the state of a Pulumi stack holds as begun and not ended."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.core.stack_outputs import Runner, run_pulumi

RUNBOOK = "docs/operate.md, An `up` failed or was killed"


@dataclass(frozen=True)
class PendingOperation:
    """One resource that an `up` was at work on when it last wrote the state."""

    operation: str
    """creating, updating, deleting, reading or importing."""
    type: str
    name: str
    """The resource's name in the program: AWS's has a hyphen and seven characters more."""

    def __str__(self) -> str:
        return f"{self.operation} {self.type} {self.name}"


def read(stack: str, run: Runner = run_pulumi) -> Sequence[PendingOperation]:
    """Read a stack's pending operations with the Pulumi CLI.

    Raises:
        ValueError: they cannot be read; with the reason.
    """
    try:
        done = run(["pulumi", "stack", "export", "--stack", stack])
    except FileNotFoundError:
        raise ValueError("there is no `pulumi` on the path") from None
    if done.returncode != 0:
        raise ValueError(done.stderr.strip() or f"exit status {done.returncode}")
    try:
        deployment = json.loads(done.stdout)["deployment"] or {}
        return [_operation(each) for each in deployment.get("pending_operations") or ()]
    except (AttributeError, KeyError, TypeError, json.JSONDecodeError):
        raise ValueError("it printed something else than a stack's state") from None


def _operation(entry: Mapping[str, Any]) -> PendingOperation:
    resource = entry["resource"]
    return PendingOperation(entry["type"], resource["type"], resource["urn"].rpartition("::")[2])


def warnings(stack: str, run: Runner = run_pulumi) -> Sequence[str]:
    """Return what an operator has to know of a stack's pending operations, a line each."""
    named = shlex.quote(stack)
    try:
        pending = read(stack, run)
    except ValueError as error:
        return [
            f"whether an `up` of stack {stack} was killed is unknown: {error}. "
            f"Try: pulumi stack export --stack {named}"
        ]
    return [
        f"an `up` of stack {stack} is running, or was killed, while it was {each}. "
        + (
            "AWS may have made it, and the stack does not know it: the next `pulumi up` makes "
            f"another, and you pay for both. Look for {each.name}-* and delete what no output "
            f"names; then: pulumi refresh --clear-pending-creates --stack {named} ({RUNBOOK})"
            if each.operation == "creating"
            else f"Try: pulumi up --refresh --stack {named} ({RUNBOOK})"
        )
        for each in pending
    ]
