"""A Pulumi engine that deploys nothing and remembers everything that the program asks for."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc

from infra.dry_run import stand_in_archive, stand_in_job
from infra.local import program
from infra.local.program import STACK_OUTPUTS, TABLE
from infra.local.secret_values import without_secrets
from infra.run_rows import NO_ITEM

TABLE_ITEM = "aws:dynamodb/getTableItem:getTableItem"
STATE = "pulumi:pulumi:readStackResourceOutputs"
"""The look-up of the stack's own state."""
SOURCE = {"accountId": "111111111111", "region": "eu-west-1"}
TARGET = {"accountId": "222222222222", "region": "eu-west-1"}
CONFIG: Mapping[str, Any] = {
    "source": SOURCE,
    "target": TARGET,
    "operators": {"source": ["account"], "target": ["account"]},
    "tables": [{"source": "orders", "target": "orders-replica"}],
}


@dataclass(frozen=True)
class Registered:
    """One resource, with the options that only the engine sees."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    custom: bool
    parent: str
    provider: str
    protect: bool
    retain_on_delete: bool
    delete_before_replace: bool
    ignore_changes: tuple[str, ...]
    depends_on: tuple[str, ...]
    parent_urn: str = ""
    aliases: tuple[str, ...] = ()
    """Names."""
    import_id: str = ""

    @property
    def kind(self) -> str:
        """The last part of the type: Bucket, Stream …"""
        return self.type.rpartition(":")[2]

    @property
    def side(self) -> str:
        """`source` or `target`: which account's provider creates it; empty when none is named."""
        return self.provider.rpartition("::")[0].rpartition("::")[2]


@dataclass
class Deployment:
    """What one run of the program asked for."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[Registered]:
        return [resource for resource in self.resources if resource.kind == kind]

    def one(self, kind: str, name: str = "") -> Registered:
        [found] = [resource for resource in self.of(kind) if name in resource.name]
        return found

    @property
    def aws(self) -> list[Registered]:
        return [resource for resource in self.resources if resource.type.startswith("aws:")]

    def region(self, resource: Registered) -> str:
        """Where a resource lands: its own `region`, or its provider's."""
        [provider] = [p for p in self.of("aws") if p.name == resource.side]
        return str(resource.inputs.get("region") or provider.inputs["region"])

    def arn(self, resource: Registered) -> str:
        return arn(resource.kind, resource.name)


def arn(kind: str, name: str) -> str:
    """The ARN that this engine gives to a resource."""
    return f"arn:aws:{kind.lower()}:::{name}"


def look_up(args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
    """Answer the program's look-ups: a first deployment, and every source table is there."""
    if args.token == STACK_OUTPUTS:
        return {"outputs": {}}
    assert args.token == TABLE, f"the program looks up {args.token}"
    return {"name": args.args["name"]}


class _Answers(pulumi.runtime.Mocks):
    def __init__(self, before: Mapping[str, Any], held: Mapping[str, Any], suffix: str) -> None:
        self._before, self._held, self._suffix = before, held, suffix

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        kind = args.typ.rpartition(":")[2]
        name = f"{args.name}{self._suffix}"
        known = {"arn": arn(kind, name), "name": name, "bucket": name}
        known["uuid"] = known["keyId"] = f"uuid-of-{args.name}"
        return f"{args.name}-id", {**known, **args.inputs}

    def call(
        self, args: pulumi.runtime.MockCallArgs
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token == STACK_OUTPUTS:
            return {"outputs": dict(self._before)}, []
        if args.token == TABLE_ITEM:
            return {}, [("item", f"reading DynamoDB Table Item: {NO_ITEM}")]  # no run has begun
        if args.token == STATE:
            return {"outputs": dict(self._held)}, []
        return look_up(args), []


class _Monitor(mocks.MockMonitor):
    """Mocks see only inputs; a resource's options are on the request to the engine."""

    def __init__(self, answers: pulumi.runtime.Mocks) -> None:
        super().__init__(answers)
        self.registered: list[Registered] = []
        self._lock = threading.Lock()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        # The parent class does the same: reading inputs needs an event loop on this thread.
        mocks._ensure_event_loop()  # type: ignore[attr-defined]
        resource = Registered(
            type=request.type,
            name=request.name,
            inputs=without_secrets(rpc.deserialize_properties(request.object)),
            custom=request.custom,
            parent=request.parent.rpartition("::")[2],
            provider=request.provider,
            protect=request.protect,
            retain_on_delete=request.retainOnDelete,
            delete_before_replace=request.deleteBeforeReplace,
            ignore_changes=tuple(request.ignoreChanges),
            depends_on=tuple(urn.rpartition("::")[2] for urn in request.dependencies),
            parent_urn=request.parent,
            aliases=tuple(alias.spec.name for alias in request.aliases),
            import_id=request.importId,
        )
        with self._lock:
            self.registered.append(resource)
        return super().RegisterResource(request)


def record(
    config: Mapping[str, Any],
    archive: Path,
    *,
    stack: str = "test",
    before: Mapping[str, Any] | None = None,
    held: Sequence[str] | Mapping[str, Any] = (),
    suffix: str = "",
) -> Deployment:
    """Runs the program with this configuration. `archive` is a folder for a stand-in archive.

    `before`: the stack's outputs after the last `up`; None for the first. `held`: the URNs of its
    state, with or without their outputs. `suffix`: what the engine appends to names.
    """
    stand_in_archive(archive, config.get("architecture", "arm64"))
    answers = _Answers(
        before or {}, held if isinstance(held, Mapping) else {urn: {} for urn in held}, suffix
    )
    monitor = _Monitor(answers)
    values = {"lambdaArchive": str(archive), **config, **stand_in_job(config, archive)}
    outputs = program.run(answers, values, stack=stack, monitor=monitor)
    return Deployment([r for r in monitor.registered if r.kind != "Stack"], outputs)


def statements(policy: str) -> list[dict[str, Any]]:
    """The statements of a policy, with Action and Resource as lists."""
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    for statement in found:
        for key in ("Action", "Resource"):
            if isinstance(statement.get(key), str):
                statement[key] = [statement[key]]
    return found


def role_statements(stack: Deployment, role: str) -> list[dict[str, Any]]:
    """The statements of a role's grants, and of its rights to use keys. `role`: as they name it."""
    return [
        statement
        for kind in ("RolePolicy", "Policy")
        for policy in stack.of(kind)
        if policy.name.endswith((f"{role}-grants", f"{role}-keys"))
        for statement in statements(policy.inputs["policy"])
    ]
