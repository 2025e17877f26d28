"""The state of a Pulumi stack: what it knows of, and what it holds as begun and not ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.core.stack_outputs import Runner, run_pulumi


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


@dataclass(frozen=True)
class KnownResource:
    """One resource of the state that AWS has given an id."""

    type: str
    id: str
    """As the AWS provider has it: a stream's ARN, a table's, bucket's or function's name."""


@dataclass(frozen=True)
class StackState:
    """The contents of a stack's state, as far as they are judged."""

    pending: Sequence[PendingOperation] = ()
    resources: Sequence[KnownResource] = ()
    """Those that wait for their deletion included."""


def read(stack: str, run: Runner = run_pulumi) -> StackState:
    """Read a stack's state with the Pulumi CLI.

    Raises:
        ValueError: it cannot be read; with the reason.
    """
    try:
        done = run(["pulumi", "stack", "export", "--stack", stack])
    except FileNotFoundError:
        raise ValueError("there is no `pulumi` on the path") from None
    if done.returncode != 0:
        raise ValueError(done.stderr.strip() or f"exit status {done.returncode}")
    try:
        deployment = json.loads(done.stdout)["deployment"] or {}
        return StackState(
            [_operation(each) for each in deployment.get("pending_operations") or ()],
            list(_known(deployment.get("resources") or ())),
        )
    except (AttributeError, KeyError, TypeError, json.JSONDecodeError):
        raise ValueError("it printed something else than a stack's state") from None


def _operation(entry: Mapping[str, Any]) -> PendingOperation:
    resource = entry["resource"]
    return PendingOperation(entry["type"], resource["type"], resource["urn"].rpartition("::")[2])


def _known(resources: Sequence[Mapping[str, Any]]) -> Iterator[KnownResource]:
    for each in resources:
        if each.get("id"):  # a component has none
            yield KnownResource(str(each["type"]), str(each["id"]))
