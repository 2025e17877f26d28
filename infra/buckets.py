"""The private bucket that every object of this stack is kept in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.bucket_config import BucketRules
from infra.place_keys import PlaceKey
from infra.policies import Text, document, tls_only
from infra.statements import Statement


@dataclass(frozen=True)
class ObjectExpiry:
    """Objects under `prefix` expire after `days`."""

    prefix: str
    days: int


class PrivateBucket(pulumi.ComponentResource):
    """Owned by its account alone (no ACLs), encrypted, TLS only, no public access, no versions.

    With SSE-S3, unless a key is given. `key_grants`: of roles to use it, which come before.

    No versions: the buckets of this stack hold objects that are written once. A second copy of each
    would double the snapshot's cost and would keep what an operator meant to discard.
    """

    arn: pulumi.Output[str]
    name: pulumi.Output[str]
    ready: list[pulumi.Resource]
    """Resources that have to exist before the first write."""

    def __init__(
        self,
        name: str,
        *,
        region: str,
        protect: bool,
        expiry: ObjectExpiry | None = None,
        key: PlaceKey | None = None,
        key_grants: Sequence[pulumi.Resource] = (),
        rules: BucketRules,
        statements: Callable[[pulumi.Output[str]], Sequence[Statement]] = lambda arn: (),
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("replication:storage:PrivateBucket", name, None, opts)
        bucket = aws.s3.Bucket(
            name,
            region=region,
            # A bucket that S3 refuses to delete, as it holds objects, keeps the key that reads
            # them: the key is deleted after it, or not at all.
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=protect,
                depends_on=key.needed if key else [],
            ),
        )
        # What guards the bucket goes with it, never before it: S3 refuses to delete a bucket that
        # holds objects, and these would be left without block, policy and ownership.
        child = pulumi.ResourceOptions(parent=self, deleted_with=bucket)
        self.arn, self.name = bucket.arn, bucket.bucket
        private = []
        if rules.block_public_access:
            private.append(self._private(name, bucket, region, child))
        ownership = aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=bucket.bucket,
            region=region,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=child,
        )
        encryption = aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.bucket,
            region=region,
            rules=[_encryption(key.arn if key else None)],
            opts=pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=list(key_grants))
            ),
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            region=region,
            rules=_lifecycle(expiry),
            opts=child,
        )
        policy = aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.bucket,
            region=region,
            policy=document(tls_only(bucket.arn), *statements(bucket.arn)),
            opts=child,
        )
        if rules.access_log_bucket:
            aws.s3.BucketLogging(
                f"{name}-access-log",
                bucket=bucket.bucket,
                region=region,
                target_bucket=rules.access_log_bucket,
                target_prefix=pulumi.Output.concat(bucket.bucket, "/"),
                opts=child,
            )
        self.ready = [*private, ownership, encryption, policy]
        self.register_outputs({"arn": self.arn, "name": self.name})

    def _private(
        self, name: str, bucket: aws.s3.Bucket, region: str, child: pulumi.ResourceOptions
    ) -> aws.s3.BucketPublicAccessBlock:
        return aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.bucket,
            region=region,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            # Once the configuration leaves the blocks to others, those that are there stay.
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(retain_on_delete=True)),
        )


def _encryption(
    key: Text | None,
) -> aws.s3.BucketServerSideEncryptionConfigurationRuleArgs:
    algorithm = "AES256" if key is None else "aws:kms"
    default = (
        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs
    )
    return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
        apply_server_side_encryption_by_default=default(
            sse_algorithm=algorithm, kms_master_key_id=key
        ),
        # One data key for many objects: a call to KMS for each would cost more than the storage.
        bucket_key_enabled=None if key is None else True,
    )


def _lifecycle(expiry: ObjectExpiry | None) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
    """Expire the parts of unfinished uploads after a week, and objects where an expiry is given."""
    rules = [
        aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="abandoned-uploads",
            status="Enabled",
            filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
            abort_incomplete_multipart_upload=(
                aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                    days_after_initiation=7
                )
            ),
        )
    ]
    if expiry:
        rules.append(
            aws.s3.BucketLifecycleConfigurationRuleArgs(
                id="expiry",
                status="Enabled",
                filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=expiry.prefix),
                expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=expiry.days),
            )
        )
    return rules
