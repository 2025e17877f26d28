"""The program, run by an engine that deploys nothing: what it declares for a stack file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pulumi

from infra import glue_package, package, partitions
from infra.glue_package import GluePackage
from infra.local import program
from infra.local.program import STACK_OUTPUTS
from infra.local.secret_values import without_secrets
from infra.resource_names import SUFFIX
from infra.verification_names import GLUE

# How AWS names what has an ARN.
ARNS = {
    "aws:iam/role:Role": "arn:{partition}:iam::{account}:role{path}{name}",
    "aws:iam/policy:Policy": "arn:{partition}:iam::{account}:policy/{name}",
    "aws:s3/bucket:Bucket": "arn:{partition}:s3:::{name}",
    "aws:kinesis/stream:Stream": "arn:{partition}:kinesis:{region}:{account}:stream/{name}",
    "aws:dynamodb/table:Table": "arn:{partition}:dynamodb:{region}:{account}:table/{name}",
    "aws:kms/key:Key": "arn:{partition}:kms:{region}:{account}:key/{uuid}",
    "aws:lambda/function:Function": "arn:{partition}:lambda:{region}:{account}:function:{name}",
    "aws:lambda/eventSourceMapping:EventSourceMapping": (
        "arn:{partition}:lambda:{region}:{account}:event-source-mapping:{uuid}"
    ),
    "aws:cloudwatch/logGroup:LogGroup": "arn:{partition}:logs:{region}:{account}:log-group:{name}",
    "aws:cloudwatch/eventRule:EventRule": "arn:{partition}:events:{region}:{account}:rule/{name}",
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}"
    ),
    "aws:glue/job:Job": "arn:{partition}:glue:{region}:{account}:job/{name}",
    "aws:sns/topic:Topic": "arn:{partition}:sns:{region}:{account}:{name}",
}


@dataclass(frozen=True)
class DeclaredResource:
    """One resource of AWS's or one provider, with the outputs that AWS would fill in."""

    type: str
    name: str
    """As the program has it, without Pulumi's suffix."""
    side: str
    """`source` or `target`: the provider's name. Empty for the providers themselves."""
    values: Mapping[str, Any]


@dataclass(frozen=True)
class DryRun:
    """The resources and the outputs of one run of the program."""

    resources: tuple[DeclaredResource, ...]
    outputs: Mapping[str, Any]

    @classmethod
    def of(cls, config: Mapping[str, Any], *, stack: str) -> DryRun:
        """Run the program for the plain values of a stack file, as a stack's first `up`.

        Nothing is looked up: every source table is taken to be there. No archive has to be built.

        Raises:
            Whatever the program raised.
        """
        engine = _DryEngine(config)
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "lambda"
            stand_in_archive(archive, config.get("architecture", "arm64"))
            values = {**config, "lambdaArchive": str(archive), **stand_in_job(config, archive)}
            outputs = program.run(engine, values, stack=stack)
        return cls(tuple(engine.declared), outputs)


class _DryEngine(pulumi.runtime.Mocks):
    """Gives each resource the ARN that AWS would."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self.declared: list[DeclaredResource] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        side = (args.provider or "").rpartition("::")[2]
        name, uuid = f"{args.name}{SUFFIX}", str(uuid5(NAMESPACE_URL, args.name))
        values = {
            "name": name,
            "bucket": name,
            "uuid": uuid,
            "keyId": uuid,
            **without_secrets(args.inputs),
        }
        if args.typ in ARNS:
            place = self._config[side]
            region = args.inputs.get("region") or place["region"]
            values["arn"] = ARNS[args.typ].format(
                partition=partitions.partition(region),
                region=region,
                account=place["accountId"],
                path=values.get("path") or "/",
                name=values["name"],
                uuid=uuid,
            )
        self.declared.append(DeclaredResource(args.typ, args.name, side, values))
        return args.name, values

    def call(
        self, args: pulumi.runtime.MockCallArgs
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        return {"outputs": {}} if args.token == STACK_OUTPUTS else dict(args.args), []


def stand_in_job(config: Mapping[str, Any], archive: Path) -> dict[str, Any]:
    """Return `verification` with a folder that passes for a current build of its job, if any.

    `archive`: the folder beside which it is made.
    """
    chosen = config.get("verification") or {}
    if chosen.get("engine") != GLUE:
        return {}
    folder = archive.with_name(f"{archive.name}-glue")
    (folder / glue_package.WHEELS).mkdir(parents=True, exist_ok=True)
    (folder / glue_package.SCRIPT).write_text("")
    (folder / glue_package.MODULES).write_bytes(b"")
    (folder / glue_package.WHEELS / "msgspec-0.0.0-py3-none-any.whl").write_bytes(b"")
    glue_package.write_manifest(
        GluePackage(folder, "glue", glue_package.inputs_hash("glue"), package.tree_hash(folder))
    )
    return {"verification": {**chosen, "package": str(folder)}}


def stand_in_archive(folder: Path, architecture: str = "arm64") -> None:
    """Make a folder that passes for a current build, without the seconds that a build takes."""
    platform = package.LAMBDA_PLATFORMS[architecture]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "handler.py").write_text("")
    manifest = {
        "folder": str(folder),
        "platform": platform,
        "inputs": package.inputs_hash(platform),
        "contents": package.tree_hash(folder),
    }
    folder.with_name(f"{folder.name}.manifest.json").write_text(json.dumps(manifest))
