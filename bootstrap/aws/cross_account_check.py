"""An object in the snapshot bucket on AWS, by which the accounts' rules are tried."""

from __future__ import annotations

from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.quarantine import AwsBucket
from bootstrap.aws.snapshots import AwsSnapshots
from replicator.uploads import encryption

CONTENT = b"Tries whether a snapshot may cross the accounts. `plan` and `run` remove it.\n"


class AwsCrossAccountCheck:
    """`CrossAccountCheck` through both roles, each with its own client for the bucket's Region."""

    def __init__(
        self,
        exporter: Calls,
        exporters_s3: Any,
        importer: Calls,
        importers_s3: Any,
        *,
        bucket: str,
        owner: str,
        key_arn: str,
    ) -> None:
        """`owner`: the bucket's account. `key_arn`: as of an export; empty for S3's own key."""
        self._exporter, self._s3 = exporter, exporters_s3
        self._bucket, self._owner = bucket, owner
        self._kept = AwsBucket(importer, importers_s3, bucket)
        self._snapshots = AwsSnapshots(importer, importers_s3, bucket)
        self._encryption = encryption(key_arn)

    def write(self, key: str) -> None:
        self._exporter(
            "s3",
            self._s3.put_object,
            f"{self._bucket}/{key}",
            Bucket=self._bucket,
            Key=key,
            Body=CONTENT,
            ExpectedBucketOwner=self._owner,
            # An export needs s3:PutObjectAcl (developer guide, S3DataExport_Requesting), and so
            # does this. A bucket without ACLs takes this one alone (S3 User Guide,
            # about-object-ownership).
            ACL="bucket-owner-full-control",
            **self._encryption,
        )

    def read(self, key: str) -> None:
        # None: another process has removed it meanwhile. S3 says so only to a role that may read
        # objects and list the bucket; to others it says AccessDenied (API reference, GetObject).
        self._kept.get(key)

    def remove(self, key: str) -> None:
        self._snapshots.remove(key)
