"""Warnings about operations that the state of a Pulumi stack holds as begun and not ended."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from bootstrap.core.stack_state import StackState

RUNBOOK = "docs/operate.md, An `up` failed or was killed"


def unknown(stack: str, why: object) -> str:
    """Return what an operator has to know where the state cannot be read."""
    return (
        f"whether an `up` of stack {stack} was killed is unknown: {why}. "
        f"Try: pulumi stack export --stack {shlex.quote(stack)}"
    )


def warnings(stack: str, state: StackState) -> Sequence[str]:
    """Return what an operator has to know of a stack's pending operations, a line each."""
    named = shlex.quote(stack)
    return [
        f"an `up` of stack {stack} is running, or was killed, while it was {each}. "
        + (
            "AWS may have made it, and the stack does not know it: the next `pulumi up` makes "
            f"another, and you pay for both. Look for {each.name}-* and delete what no output "
            f"names; then: pulumi refresh --clear-pending-creates --stack {named} ({RUNBOOK})"
            if each.operation == "creating"
            else f"Try: pulumi up --refresh --stack {named} ({RUNBOOK})"
        )
        for each in state.pending
    ]
