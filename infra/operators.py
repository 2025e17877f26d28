"""The roles that the operator's tool assumes, with all their permissions, and its journal."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.policies import assumed_by
from infra.policy_sizes import characters
from infra.snapshot import SnapshotBucket
from infra.stack_arns import OperatorScope, SharedArns, TableArns
from infra.stack_config import StackConfig
from infra.statements import policy_of
from infra.table_groups import GRANTS, size_limit, tables_per_policy
from infra.table_stack import TableStack


class Operators(pulumi.ComponentResource):
    """Exporter role (source account), importer role and journal (target account), and in each
    account a role that may only look.

    The roles have no permissions at first: the snapshot bucket's policy names the exporter before
    the bucket's ARN can be in the exporter's own policy. `grant` adds them.
    """

    exporter: aws.iam.Role
    importer: aws.iam.Role
    source_reader: aws.iam.Role
    target_reader: aws.iam.Role
    journal: aws.dynamodb.Table

    def __init__(self, name: str, settings: StackConfig, accounts: Accounts) -> None:
        super().__init__("replication:index:Operators", name)
        self._name, self._settings, self._accounts = name, settings, accounts
        who = settings.operators
        self.exporter = aws.iam.Role(
            f"{name}-exporter",
            description="Takes the snapshot and watches the buffer",
            assume_role_policy=assumed_by(who.source, who.external_id),
            opts=pulumi.ResourceOptions(parent=self, provider=accounts.source),
        )
        self.importer = aws.iam.Role(
            f"{name}-importer",
            description="Imports the snapshot and runs the consumer",
            assume_role_policy=assumed_by(who.target, who.external_id),
            opts=pulumi.ResourceOptions(parent=self, provider=accounts.target),
        )
        self.source_reader = self._reader("source", who.source)
        self.target_reader = self._reader("target", who.target)
        self.journal = aws.dynamodb.Table(
            f"{name}-journal",
            region=settings.target.region,
            billing_mode="PAY_PER_REQUEST",
            hash_key="pk",
            range_key="sk",
            attributes=[{"name": "pk", "type": "S"}, {"name": "sk", "type": "S"}],
            # No TTL: what has been paid for and what is irreversible is known from here alone.
            point_in_time_recovery={"enabled": True},
            deletion_protection_enabled=settings.protect,
            opts=pulumi.ResourceOptions(
                parent=self, provider=accounts.target, protect=settings.protect
            ),
        )
        self.register_outputs({"journal": self.journal.name})

    def _reader(self, side: str, who: Sequence[str]) -> aws.iam.Role:
        provider = self._accounts.source if side == "source" else self._accounts.target
        return aws.iam.Role(
            f"{self._name}-operator-{side}",
            description="Sees where the replication stands, and changes nothing",
            assume_role_policy=assumed_by(who, self._settings.operators.external_id),
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )

    def grant(self, snapshot: SnapshotBucket, stacks: Sequence[TableStack]) -> None:
        """Grant each role what it needs for these tables, and nothing else."""
        here, there = self._accounts.source, self._accounts.target
        roles = (
            ("exporter", self.exporter, here),
            ("importer", self.importer, there),
            ("operator-source", self.source_reader, here),
            ("operator-target", self.target_reader, there),
        )
        shared = pulumi.Output.all(
            snapshots=snapshot.bucket.arn, key=snapshot.key_arn, journal=self.journal.arn
        ).apply(_shared_arns)
        tables = [_table_arns(stack) for stack in stacks]
        for side, role, provider in roles:
            opts = pulumi.ResourceOptions(parent=self, provider=provider)
            self._grant(side, role, shared, tables, opts)

    def _grant(
        self,
        side: str,
        role: aws.iam.Role,
        shared: pulumi.Output[SharedArns],
        tables: Sequence[pulumi.Output[TableArns]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Declare the inline policy, and managed ones for the tables that it has no room for."""
        scope, start = self._settings.operator_scope, 0
        declared: pulumi.Resource | None = None
        for n, count in enumerate(tables_per_policy(side, scope, self._settings.tables)):
            name = f"{self._name}-{side}-grants"
            arns = pulumi.Output.all(shared, *tables[start : start + count])
            text = arns.apply(functools.partial(_text, side, n, scope))
            start += count
            if declared is None:
                declared = aws.iam.RolePolicy(name, role=role.name, policy=text, opts=opts)
                continue
            # A table that moves forward gains its grants there before it loses them here.
            after = pulumi.ResourceOptions(depends_on=[declared])
            declared = aws.iam.Policy(
                f"{name}-{n + 1}",
                description="The tables that the role's other policies have no room for",
                policy=text,
                opts=pulumi.ResourceOptions.merge(opts, after),
            )
            aws.iam.RolePolicyAttachment(
                f"{name}-{n + 1}-attachment", role=role.name, policy_arn=declared.arn, opts=opts
            )


def _shared_arns(known: dict[str, Any]) -> SharedArns:
    keys = (known["key"],) if known["key"] else ()
    return SharedArns(snapshots=known["snapshots"], keys=keys, journal=known["journal"])


def _table_arns(stack: TableStack) -> pulumi.Output[TableArns]:
    return pulumi.Output.all(
        stream=stack.buffer.stream_arn,
        stream_key=stack.buffer.key_arn,
        ledger=stack.ledger.arn,
        mapping=stack.consumer.mapping_arn,
        quarantine=stack.consumer.quarantine.arn,
        failures=stack.consumer.failures.arn,
    ).apply(lambda arns: TableArns(stack.table, **arns))


def _text(role: str, n: int, scope: OperatorScope, arns: Sequence[Any]) -> str:
    shared, *tables = arns
    return fits_into_a_role(
        json.dumps(policy_of(GRANTS[role](scope, shared, tables, first=not n))), n
    )


def fits_into_a_role(policy: str, number: int = 0) -> str:
    """Return a policy, unless IAM would refuse it for its size. Number 0 is the inline one.

    Raises:
        pulumi.RunError: with what to do about it.
    """
    size, allowed = characters(policy), size_limit(number)
    if size > allowed:
        raise pulumi.RunError(
            f"An operators' role needs a policy of {size} characters, and IAM allows {allowed}: "
            "resources have longer names than Pulumi gives them by default.\n"
            "Try: remove pulumi:autonaming from the stack file and from Pulumi.yaml, or move some "
            "of the tables to a second stack."
        )
    return policy
