"""The stack's outputs: everything that the operator's tool needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.key_services import key_services, places_with_made_keys
from infra.load_config import LoadConfig
from infra.operators import Operators
from infra.place_keys import PlaceKeys
from infra.secrets_in_state import holds_secret
from infra.snapshot import SnapshotBucket
from infra.stack_config import StackConfig
from infra.table_config import TableConfig
from infra.table_stack import TableStack
from infra.verification import VerificationJob
from infra.verification_config import VerificationConfig


def outputs(
    settings: StackConfig,
    operators: Operators,
    keys: PlaceKeys,
    switch_roles: Mapping[str, aws.iam.Role],
    snapshot: SnapshotBucket,
    tables: Sequence[TableStack],
    migrating: Set[str],
    verification: VerificationJob | None,
) -> dict[str, Any]:
    """Return the stack's outputs by name; `bootstrap/core/stack_outputs.py` reads them.

    `migrating`: source tables of which the state still holds the Deny on the target's writers.
    """
    found: dict[str, Any] = {
        "project": pulumi.get_project(),
        "stack": pulumi.get_stack(),
        "source": {
            "accountId": settings.source.account_id,
            "region": settings.source.region,
            "exporterRoleArn": operators.exporter.arn,
            "operatorRoleArn": operators.source_reader.arn,
        },
        "target": {
            "accountId": settings.target.account_id,
            "region": settings.target.region,
            "importerRoleArn": operators.importer.arn,
            "operatorRoleArn": operators.target_reader.arn,
        },
        # For the target table: the import makes it, and takes none.
        "tags": settings.tags.with_own(pulumi.get_project(), pulumi.get_stack()),
        "journalTable": operators.journal.name,
        "snapshotBucket": snapshot.bucket.name,
        "tables": [
            {
                **stack.consumer.outputs,
                **({"targetKeyArn": stack.target_key} if stack.target_key else {}),
                **_earlier_keys(stack.table),
                "watchdogLogGroup": stack.watchdog.log_group,
                "watchdogRoleArn": stack.watchdog.role_arn,
                "observerRoleArn": stack.watchdog.observer_arn,
                "denyOtherWriters": settings.denies_other_writers(stack.table),
                "stackOwnsTargetDeny": stack.table.source in migrating,
                **_load(stack.table.load),
            }
            for stack in tables
        ],
    }
    for side, account in (("source", settings.source), ("target", settings.target)):
        if account.sts_region is not None:
            found[side]["stsRegion"] = account.sts_region
    for side, role in switch_roles.items():
        found[side]["switchRoleArn"] = role.arn
    if settings.vpc is not None:
        found["vpc"] = {
            "subnetIds": list(settings.vpc.subnet_ids),
            "securityGroupIds": list(settings.vpc.security_group_ids),
        }
    if snapshot.key_arn is not None:
        found["snapshotKeyArn"] = snapshot.key_arn
    if places_with_made_keys(settings):
        found["madeKeys"] = len(places_with_made_keys(settings))
    if settings.verification != VerificationConfig():
        found["verification"] = _verification(settings.verification, verification)
    if keys.by_place:
        found["keys"] = keys.outputs
        found["keyServices"] = {place: key_services(place, settings) for place in keys.outputs}
    return found


def _earlier_keys(table: TableConfig) -> dict[str, Any]:
    """Return the keys that the target may still have, for the next `up`."""
    keys = list(table.earlier_target_keys)
    # The configuration does not have them any more, and so cannot say that they are secret.
    kept = pulumi.Output.secret(keys) if holds_secret("tables") else keys
    return {"earlierTargetKeyArns": kept} if keys else {}


def _verification(config: VerificationConfig, job: VerificationJob | None) -> dict[str, Any]:
    """Return the default engine of `verify`, and the job."""
    if job is None:
        return {"engine": config.engine}
    return {
        "engine": config.engine,
        "workers": config.workers,
        "workerType": config.worker_type,
        "maxHours": config.max_hours,
        **job.outputs,
    }


def _load(load: LoadConfig) -> dict[str, Any]:
    """Return a table's outputs that say how its snapshot is loaded."""
    if not load.is_bulk:
        return {"load": load.mode}
    limit = load.max_write_request_units
    return {
        "load": load.mode,
        "adopt": load.adopt,
        "performanceTier": load.performance_tier,
        **({} if limit is None else {"maxWriteRequestUnits": limit}),
    }
