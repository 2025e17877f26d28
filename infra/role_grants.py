"""The policies of a role for operators: one inline, and managed ones for further tables."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.key_config import PLACES
from infra.place_keys import PlaceKeys
from infra.role_policies import declare_inline, declare_managed
from infra.snapshot import SnapshotBucket
from infra.stack_arns import OperatorScope, PlaceArns, SharedArns, TableArns
from infra.stack_config import StackConfig
from infra.statements import policy_of
from infra.table_groups import GRANTS_BY_ROLE, KEY_GRANTS_BY_ROLE, tables_per_policy
from infra.table_stack import TableStack


def declare_grants(
    name: str,
    key: str,
    role: aws.iam.Role,
    settings: StackConfig,
    shared: pulumi.Output[SharedArns],
    stacks: Sequence[TableStack],
    opts: pulumi.ResourceOptions,
) -> None:
    """Declare the inline policy, and managed ones for the tables that it has no room for.

    `key` says which of `table_groups.GRANTS_BY_ROLE` they are. Where the stack file wants managed
    ones alone, they have names of their own: what the older ones grant stays until the new ones do.
    """
    scope, start = settings.operator_scope, 0
    tables = [_table_arns(stack) for stack in stacks]
    managed = f"{name}-managed" if scope.managed_policies else name
    before: pulumi.Resource | None = None
    for n, count in enumerate(tables_per_policy(key, scope, [stack.table for stack in stacks])):
        arns = pulumi.Output.all(shared, *tables[start : start + count])
        text = arns.apply(functools.partial(_text, key, n, scope))
        start += count
        if not n and not scope.managed_policies:
            before = declare_inline(name, role.name, text, opts)
            continue
        # A table that moves forward gains its grants there before it loses them here.
        before, _ = declare_managed(
            f"{managed}-{n + 1}" if n else managed,
            role.name,
            text,
            opts,
            description="The tables that the role's other policies have no room for"
            if n
            else "What the role may do",
            after=before,
        )


def declare_key_grants(
    name: str,
    key: str,
    role: aws.iam.Role,
    settings: StackConfig,
    keys: PlaceKeys,
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Declare what a role may do with the keys of the places, if it may do anything.

    `key` says which of `table_groups.KEY_GRANTS_BY_ROLE` they are.
    """
    scope, tables = settings.operator_scope, settings.tables
    if not KEY_GRANTS_BY_ROLE[key](scope, scope.expected_places(), tables):
        return []
    text = place_arns(keys).apply(
        lambda places: json.dumps(policy_of(KEY_GRANTS_BY_ROLE[key](scope, places, tables)))
    )
    made = declare_managed(name, role.name, text, opts, description="Keys that the role may use")
    return [made[1]]


def place_arns(keys: PlaceKeys) -> pulumi.Output[PlaceArns]:
    """Return the ARNs of the keys of the places."""
    arns = {place: keys.outputs.get(place) for place in PLACES}
    return pulumi.Output.all(**arns).apply(
        lambda known: PlaceArns(**{place: (arn,) for place, arn in known.items() if arn})
    )


def shared_arns(
    snapshot: SnapshotBucket, journal: aws.dynamodb.Table, keys: PlaceKeys
) -> pulumi.Output[SharedArns]:
    """Return the ARNs of what a stack has once."""
    return pulumi.Output.all(
        snapshots=snapshot.bucket.arn,
        key=snapshot.own_key_arn,
        journal=journal.arn,
        places=place_arns(keys),
    ).apply(_shared_arns)


def _shared_arns(known: dict[str, Any]) -> SharedArns:
    own = (known["key"],) if known["key"] else ()
    return SharedArns(known["snapshots"], own, known["journal"], known["places"])


def _table_arns(stack: TableStack) -> pulumi.Output[TableArns]:
    buffer = stack.buffer
    return pulumi.Output.all(
        stream=buffer.stream_arn if buffer else "",
        stream_key=buffer.key_arn if buffer else "",
        ledger=stack.ledger.arn,
        mapping=stack.consumer.mapping_arn or "",
        function=stack.consumer.function_arn,
        quarantine=stack.consumer.quarantine.arn,
        failures=stack.consumer.failures.arn,
        target_key=stack.target_key,
    ).apply(lambda arns: TableArns(stack.table, **arns))


def _text(role: str, n: int, scope: OperatorScope, arns: Sequence[Any]) -> str:
    shared, *tables = arns
    return json.dumps(policy_of(GRANTS_BY_ROLE[role](scope, shared, tables, first=not n)))
