"""The leftovers of an `up` that was killed: pending operations, and what no state knows."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bootstrap.app.account_clients import AccountClients
from bootstrap.app.command_options import CommandOptions
from bootstrap.core import pending_operations, stack_state, unknown_resources
from bootstrap.core.errors import AccessDeniedError, BootstrapError, Side
from bootstrap.core.pending_operations import RUNBOOK
from bootstrap.core.stack_outputs import Outputs, Runner, run_pulumi
from bootstrap.core.stack_state import StackState
from bootstrap.core.unknown_resources import Place, UnknownResource

Listing = Callable[[Place, Mapping[str, str]], Sequence[str]]
"""Lists a place's ARNs by tags."""


@dataclass
class StackCheck:
    """The findings about one stack."""

    stack: str
    state: StackState | None = None
    """None: it could not be read."""
    unknown: list[UnknownResource] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was not looked for, and why."""

    def as_json(self) -> dict[str, object]:
        """Return what `--json` has of it. Pending operations are null where they are unknown."""
        return {
            "pendingOperations": self.state
            and [
                {"operation": each.operation, "type": each.type, "name": each.name}
                for each in self.state.pending
            ],
            "unknownResources": [
                {"arn": each.arn, "account": each.place.side.name.lower()} for each in self.unknown
            ],
            "warnings": self.warnings,
            "notes": self.notes,
        }


def check_stack(
    options: CommandOptions, outputs: Outputs, clients: AccountClients, run: Runner = run_pulumi
) -> StackCheck | None:
    """Look for what is left of an `up` that was killed. Nothing of it is an error.

    Returns None for a file of outputs: that has no state, and may be older than the stack.
    """
    if options.stack is None:
        return None
    profiles = {Side.SOURCE: options.source_profile, Side.TARGET: options.target_profile}

    def listing(place: Place, tags: Mapping[str, str]) -> Sequence[str]:
        return clients.tagged(place.side, place.region).arns(tags)

    return check(options.stack, outputs, listing, profiles, run)


def check(
    stack: str,
    outputs: Outputs,
    listing: Listing,
    profiles: Mapping[Side, str | None],
    run: Runner = run_pulumi,
) -> StackCheck:
    """Compare the state of a stack with what AWS lists by the stack's tags."""
    found = StackCheck(stack)
    try:
        found.state = stack_state.read(stack, run)
    except ValueError as error:
        found.warnings.append(pending_operations.unknown(stack, error))
        found.notes.append(
            f"not looked for: resources of stack {stack} that its state does not know, because the "
            "state is unknown"
        )
        return found
    found.warnings += pending_operations.warnings(stack, found.state)
    for place in unknown_resources.places(outputs):
        try:
            arns = listing(place, {"project": outputs.project, "stack": outputs.stack})
            unknown = unknown_resources.unknown(found.state, outputs, place, arns)
        except (BootstrapError, ValueError) as error:
            found.notes.append(_not_looked_for(stack, place, error))
            continue
        found.unknown += unknown
        found.warnings += [each.warning(stack, profiles[place.side]) for each in unknown]
    return found


def _not_looked_for(stack: str, place: Place, error: BootstrapError | ValueError) -> str:
    why = error.what if isinstance(error, BootstrapError) else str(error)
    advice = (
        f"Try: pulumi up --refresh --stack {shlex.quote(stack)}, which grants it"
        if isinstance(error, AccessDeniedError)
        else f"Look for them by hand after an `up` that was killed ({RUNBOOK})"
    )
    return (
        f"not looked for in {place}: resources of stack {stack} that its state does not know. "
        f"{why.rstrip('.')}. {advice}"
    )
