"""The bucket of the native snapshot: the source account exports into it, the target imports."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.buckets import PrivateBucket
from infra.place_keys import PlaceKey, PlaceKeys
from infra.policies import KEY_ADMINISTRATION, Text, document
from infra.shared_actions import OBJECT_KEY_ACTIONS
from infra.stack_config import StackConfig
from infra.statements import allow, only, through


class SnapshotBucket(pulumi.ComponentResource):
    """In the target's account and Region: ImportTable's caller is there, and the copy must last.

    Nothing in it expires by age. An export and its import may take days, an object that changes or
    goes while they last fails the import, and S3 does not know when a run is over: the
    operator's tool keeps the snapshot until the table has been replicating for 30 days.
    """

    bucket: PrivateBucket
    key_arn: Text | None
    """None where the bucket is encrypted with S3's own key."""
    own_key_arn: pulumi.Output[str] | None
    """The key that the stack makes for this bucket alone."""

    def __init__(
        self,
        name: str,
        settings: StackConfig,
        accounts: Accounts,
        keys: PlaceKeys,
        key_grants: Sequence[pulumi.Resource],
        *,
        writer: pulumi.Output[str],
        reader: pulumi.Output[str],
        job: pulumi.Output[str] | None = None,
    ) -> None:
        """`key_grants`: of the roles to use the keys of the places. `job`: the role of a
        verification's job, which reads exports and writes its results."""
        super().__init__("replication:index:Snapshot", name)
        key = keys.target if settings.snapshots_under_place_key else None
        self.own_key_arn = None
        if settings.snapshot_key:
            made = self._key(name, settings, accounts, writer, reader, job)
            key, self.own_key_arn = PlaceKey(made.arn, made), made.arn
        self.key_arn = key.arn if key else None
        self.bucket = PrivateBucket(
            name,
            region=settings.target.region,
            protect=settings.protect,
            key=key,
            key_grants=key_grants if settings.snapshots_under_place_key else (),
            rules=settings.buckets.rules("target"),
            # The three actions that AWS asks for when the bucket belongs to another account, for
            # the role that calls ExportTableToPointInTime: Amazon DynamoDB Developer Guide,
            # "Requesting a table export".
            statements=lambda arn: [
                allow(
                    "ExporterWrites",
                    ["s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload"],
                    [pulumi.Output.concat(arn, "/*")],
                    principal=writer,
                )
            ],
            opts=pulumi.ResourceOptions(parent=self, providers=[accounts.target]),
        )
        self.register_outputs({"bucket": self.bucket.name})

    def _key(
        self,
        name: str,
        settings: StackConfig,
        accounts: Accounts,
        writer: pulumi.Output[str],
        reader: pulumi.Output[str],
        job: pulumi.Output[str] | None,
    ) -> aws.kms.Key:
        """In the bucket's account and Region, as an export requires ("Requesting a table export").

        Export and import use it with their callers' permissions, and both callers are known.
        """
        target = settings.target
        by_s3 = through("s3", target.region)
        return aws.kms.Key(
            f"{name}-key",
            region=target.region,
            description="Snapshots on their way into this account",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=document(
                allow("AccountAdministers", KEY_ADMINISTRATION, ["*"], principal=target.root_arn),
                allow("ExporterWrites", OBJECT_KEY_ACTIONS, ["*"], principal=writer, when=by_s3),
                # It reads snapshots, and exports the target for `verify`.
                allow("ImporterUses", OBJECT_KEY_ACTIONS, ["*"], principal=reader, when=by_s3),
                *only(
                    job is not None,
                    allow("JobUses", OBJECT_KEY_ACTIONS, ["*"], principal=job, when=by_s3),
                ),
            ),
            opts=pulumi.ResourceOptions(
                parent=self, provider=accounts.target, protect=settings.protect
            ),
        )
