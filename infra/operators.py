"""The roles that the operator's tool assumes, with all their permissions, and its journal."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.ledger import encryption
from infra.place_keys import PlaceKeys
from infra.policies import assumed_by
from infra.role_grants import declare_grants, declare_key_grants
from infra.roles import declare_role
from infra.stack_arns import SharedArns
from infra.stack_config import StackConfig
from infra.table_stack import TableStack


class Operators(pulumi.ComponentResource):
    """Exporter role (source account), importer role and journal (target account), in each account a
    role that may only look, and the keys of the places.

    The roles have no permissions at first: the snapshot bucket's policy names the exporter before
    the bucket's ARN can be in the exporter's own policy. `grant` adds them. Their
    rights to use keys come first, before anything is encrypted.
    """

    exporter: aws.iam.Role
    importer: aws.iam.Role
    source_reader: aws.iam.Role
    target_reader: aws.iam.Role
    journal: aws.dynamodb.Table
    keys: PlaceKeys
    key_grants: list[pulumi.Resource]
    """The grants of the roles to use the keys of the places."""

    def __init__(self, name: str, settings: StackConfig, accounts: Accounts) -> None:
        super().__init__("replication:index:Operators", name)
        self._name, self._settings, self._accounts = name, settings, accounts
        who = settings.operators
        exports = "Takes the snapshot and watches the buffer"
        self.exporter = self._role(f"{name}-exporter", "source", who.source, exports)
        imports = "Imports the snapshot and runs the consumer"
        self.importer = self._role(f"{name}-importer", "target", who.target, imports)
        sees = "Sees where the replication stands, and changes nothing"
        self.source_reader = self._role(f"{name}-operator-source", "source", who.source, sees)
        self.target_reader = self._role(f"{name}-operator-target", "target", who.target, sees)
        # A key that the stack makes names the exporter, and may encrypt the journal.
        self.keys = PlaceKeys.declared(settings, accounts, exporter=self.exporter.arn)
        self.key_grants = [
            right
            for key, role, opts in self._roles_with_options()
            for right in declare_key_grants(
                f"{name}-{key}-keys", key, role, settings, self.keys, opts
            )
        ]
        self.journal = aws.dynamodb.Table(
            f"{name}-journal",
            region=settings.target.region,
            billing_mode="PAY_PER_REQUEST",
            hash_key="pk",
            range_key="sk",
            attributes=[{"name": "pk", "type": "S"}, {"name": "sk", "type": "S"}],
            # No TTL: what has been paid for and what is irreversible is known from here alone.
            point_in_time_recovery={"enabled": True},
            server_side_encryption=encryption(self.keys.target),
            deletion_protection_enabled=settings.protect,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=accounts.target,
                protect=settings.protect,
                depends_on=self.key_grants,
            ),
        )
        self.register_outputs({"journal": self.journal.name})

    def _role(self, name: str, side: str, who: Sequence[str], description: str) -> aws.iam.Role:
        trust = assumed_by(who, self._settings.operators.external_id)
        return declare_role(
            name,
            side,
            self._settings,
            self._accounts,
            description=description,
            trust=trust,
            parent=self,
        )

    def grant(self, shared: pulumi.Output[SharedArns], stacks: Sequence[TableStack]) -> None:
        """Grant each role what it needs for these tables, and nothing else."""
        for key, role, opts in self._roles_with_options():
            # A role that got its rights from here before has them from there first.
            after = pulumi.ResourceOptions(depends_on=self.key_grants)
            opts = pulumi.ResourceOptions.merge(opts, after)
            declare_grants(
                f"{self._name}-{key}-grants", key, role, self._settings, shared, stacks, opts
            )

    def _roles_with_options(
        self,
    ) -> tuple[tuple[str, aws.iam.Role, pulumi.ResourceOptions], ...]:
        here, there = (
            pulumi.ResourceOptions(parent=self, provider=self._accounts.of(side))
            for side in ("source", "target")
        )
        return (
            ("exporter", self.exporter, here),
            ("importer", self.importer, there),
            ("operator-source", self.source_reader, here),
            ("operator-target", self.target_reader, there),
        )
