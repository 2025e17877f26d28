"""Warnings about an `up` that was killed while it made something."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from bootstrap.core import pending_operations
from bootstrap.core.pending_operations import PendingOperation

STREAM = "aws:kinesis/stream:Stream"
NAME = "replicate-orders-buffer-stream"
URN = f"urn:pulumi:prod::dynamodb-replication::replication:index:Buffer${STREAM}::{NAME}"


class Pulumi:
    """Stands for the CLI: answers `pulumi stack export`."""

    def __init__(self, text: str, status: int = 0, error: str = "") -> None:
        self.text, self.status, self.error = text, status, error
        self.commands: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        return subprocess.CompletedProcess(command, self.status, self.text, self.error)


def state(*pending: dict[str, Any]) -> Pulumi:
    return Pulumi(json.dumps({"version": 3, "deployment": {"pending_operations": list(pending)}}))


def entry(operation: str) -> dict[str, Any]:
    return {"resource": {"urn": URN, "type": STREAM, "custom": True}, "type": operation}


def test_a_pending_creation_is_named_with_what_to_look_for() -> None:
    pulumi = state(entry("creating"))
    assert pending_operations.read("prod", pulumi) == [PendingOperation("creating", STREAM, NAME)]
    [warning] = pending_operations.warnings("prod", pulumi)
    assert f"was killed, while it was creating {STREAM} {NAME}" in warning
    assert f"Look for {NAME}-*" in warning
    assert "pulumi refresh --clear-pending-creates --stack prod" in warning
    assert pulumi.commands[0] == ["pulumi", "stack", "export", "--stack", "prod"]


def test_another_pending_operation_leaves_nothing_behind_that_is_not_known() -> None:
    [warning] = pending_operations.warnings("prod", state(entry("updating")))
    assert "updating" in warning and "Look for" not in warning
    assert "Try: pulumi up --refresh --stack prod" in warning


@pytest.mark.parametrize("text", ['{"deployment": {}}', '{"deployment": null}'])
def test_a_state_without_pending_operations_warns_of_nothing(text: str) -> None:
    assert pending_operations.warnings("prod", Pulumi(text)) == []


@pytest.mark.parametrize(
    "pulumi",
    [
        Pulumi("", 255, "error: no stack named 'prod' found"),
        Pulumi("not JSON"),
        Pulumi("[]"),
        Pulumi('{"deployment": {"pending_operations": [{}]}}'),
    ],
)
def test_a_state_that_cannot_be_read_is_unknown_and_not_healthy(pulumi: Pulumi) -> None:
    [warning] = pending_operations.warnings("prod", pulumi)
    assert warning.startswith("whether an `up` of stack prod was killed is unknown: ")
    assert "Try: pulumi stack export --stack prod" in warning
