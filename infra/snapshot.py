"""The bucket of the native snapshot: the source account exports into it, the target imports."""

from __future__ import annotations

import pulumi

from infra.accounts import Accounts
from infra.buckets import PrivateBucket
from infra.config import Settings
from infra.policies import allow


class Snapshot(pulumi.ComponentResource):
    """In the target's account and Region: ImportTable's caller is there, and the copy must last.

    Nothing in it expires by age. An export and its import may take days, an object that changes or
    goes while they last fails the import, and the age at which a run is over is not known to S3:
    the snapshot is kept until the table has been replicating for 30 days, which only the operator's
    tool can tell.
    """

    bucket: PrivateBucket

    def __init__(
        self, name: str, settings: Settings, accounts: Accounts, *, writer: pulumi.Output[str]
    ) -> None:
        super().__init__("replication:index:Snapshot", name)
        self.bucket = PrivateBucket(
            name,
            region=settings.target.region,
            protect=settings.protect,
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
