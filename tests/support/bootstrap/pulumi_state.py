"""A stand-in for the Pulumi CLI that prints a stack's state."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

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


def state(*pending: dict[str, Any], resources: Sequence[dict[str, Any]] = ()) -> Pulumi:
    deployment = {"pending_operations": list(pending), "resources": list(resources)}
    return Pulumi(json.dumps({"version": 3, "deployment": deployment}))


def entry(operation: str, type_: str = STREAM, urn: str = URN) -> dict[str, Any]:
    return {"resource": {"urn": urn, "type": type_, "custom": True}, "type": operation}


def resource(type_: str, id_: str) -> dict[str, Any]:
    return {"urn": URN, "type": type_, "custom": True, "id": id_}
